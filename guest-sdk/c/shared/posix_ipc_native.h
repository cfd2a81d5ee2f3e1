/* Types for data in memory that a guest shares with native programs. A guest has 32 bits where
 * 64-bit Linux has 64: in `long`, `size_t` and pointers. These types are as long and aligned
 * there as here, under the names of what they stand for:
 *
 *     struct frame {
 *         uint32_t width, height;
 *         native_size_t used;      // size_t of the native program
 *         native_timespec taken;   // its struct timespec
 *     };
 *     NATIVE_MEMBER(struct frame, used, 8);
 *     NATIVE_SIZE(struct frame, 32);
 *
 * NATIVE_MEMBER says where a member lies, and NATIVE_SIZE how long all is. Where that is wrong
 * the program does not compile, nor does a guest where the member is a `long`, a `size_t` or a
 * pointer to `void` or `char`. The native program includes this too, by -I guest-sdk/c/shared,
 * which has nothing else. `sem_t` and `time_t` are the same in both. */
#ifndef POSIX_IPC_NATIVE_H
#define POSIX_IPC_NATIVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
#define NATIVE_ASSERT(condition, text) static_assert(condition, text)
#define NATIVE_ALIGNED alignas(8)
#else
#define NATIVE_ASSERT(condition, text) _Static_assert(condition, text)
#define NATIVE_ALIGNED _Alignas(8)
#endif

typedef int64_t native_long;
typedef uint64_t native_ulong;
typedef uint64_t native_size_t;
typedef int64_t native_ssize_t;
typedef int64_t native_off_t;
typedef int64_t native_time_t;

/* An address of the native program, which means nothing here; or an offset in its place. */
typedef uint64_t native_pointer;

typedef struct {
	NATIVE_ALIGNED int64_t tv_sec;
	int64_t tv_nsec;
} native_timespec;

typedef struct {
	NATIVE_ALIGNED int64_t tv_sec;
	int64_t tv_usec;
} native_timeval;

#define NATIVE_SIZE(type, length) NATIVE_ASSERT(sizeof(type) == (length), #type " is not " #length " bytes long")

#define NATIVE_MEMBER(type, member, place) \
	NATIVE_ASSERT(offsetof(type, member) == (place), #member " of " #type " is not at " #place); \
	NATIVE_ASSERT(NATIVE_FIXED(type, member), #member " of " #type " is longer in a native program")

/* A guest tells `long` from every type of fixed width: what is 64 bits long is a `long long`.
 * A native program cannot. */
#if defined(__wasm__) && !defined(__cplusplus)
#define NATIVE_FIXED(type, member) \
	_Generic(&((type *)0)->member, \
		long *: 0, unsigned long *: 0, void **: 0, char **: 0, const void **: 0, const char **: 0, default: 1)
#else
#define NATIVE_FIXED(type, member) 1
#endif

NATIVE_SIZE(native_timespec, 16);
NATIVE_SIZE(native_timeval, 16);
NATIVE_SIZE(time_t, 8);
#ifdef __LP64__
NATIVE_SIZE(long, 8);
NATIVE_SIZE(size_t, 8);
NATIVE_SIZE(off_t, 8);
NATIVE_SIZE(void *, 8);
NATIVE_SIZE(struct timespec, 16);
#endif

#endif
