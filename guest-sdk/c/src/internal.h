/* What the files of the library share. None of it is for programs. */
#ifndef POSIX_IPC_INTERNAL_H
#define POSIX_IPC_INTERNAL_H

#include "../posix_ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* The linker knows the library's own functions by names that no program may have. */
#define INTERNAL(name) __asm__("__posix_ipc_" #name) __attribute__((__visibility__("hidden")))

/* Where a function of this library takes the place of the C library's (--wrap), the linker loads
 * the latter only if something calls it by its own name, and makes a broken program otherwise.
 * This is such a thing, in each file that has such functions. Nothing uses it. */
#define WRAPS(file, ...) \
	extern void *const loaded[] __asm__("__posix_ipc_loaded_by_" #file); \
	void *const loaded[] = {__VA_ARGS__}

typedef posix_ipc_types_error_code_t ipc_error;

/* ---- error.c ------------------------------------------------------------------------ */

/* What the error is about, where the same one has two numbers. */
enum subject {
	A_NAME,       /* opening or unlinking */
	A_SEMAPHORE,
	A_DESCRIPTOR, /* of shared memory or a queue */
};

/* The number of an error. Frees the error. */
int ipc_errno(ipc_error *error, enum subject) INTERNAL(ipc_errno);
/* Sets errno, and returns -1. */
int ipc_fail(ipc_error *error, enum subject) INTERNAL(ipc_fail);
int fail_with(int number) INTERNAL(fail_with);

/* ---- name.c ------------------------------------------------------------------------- */

#define LONGEST_NAME 255

/* A name as the host wants it: with one leading slash. */
struct name {
	char text[LONGEST_NAME + 2];
	posix_ipc_string_t string;
};

/* For semaphores and shared memory, of which the native library takes several spellings.
 * The prefix is what it puts before the name of a file. False with errno set. */
bool file_name(struct name *, const char *text, const char *prefix) INTERNAL(file_name);
bool queue_name(struct name *, const char *text) INTERNAL(queue_name);
/* The mode of a new object, with what umask was called with taken away. */
uint32_t new_mode(mode_t) INTERNAL(new_mode);

/* ---- time.c ------------------------------------------------------------------------- */

#define SECOND 1000000000ull
#define FOREVER UINT64_MAX

bool valid_time(const struct timespec *) INTERNAL(valid_time);
/* Nanoseconds from now until a point of a clock; 0 if it has passed. */
uint64_t time_until(clockid_t, const struct timespec *) INTERNAL(time_until);
uint64_t now(void) INTERNAL(now);

/* ---- wait.c ------------------------------------------------------------------------- */

/* One try at something, which waits for at most the timeout; with none, for ever. */
typedef bool attempt(void *object, uint64_t *timeout, ipc_error *);

/* Tries until it succeeds or fails for another reason than the time. What arrives in the
 * meantime is delivered; the wait ends with EINTR if a handler says so. `limit` in
 * nanoseconds may be FOREVER. Returns 0, an error number, or -1 with the error stored. */
int wait_for(attempt *, void *object, uint64_t limit, ipc_error *) INTERNAL(wait_for);
/* Waits for a notification, for at most `limit`. False if none can come in that time. */
bool wait_for_notification(uint64_t limit) INTERNAL(wait_for_notification);

/* ---- signal.c ----------------------------------------------------------------------- */

/* Whether a handler ran since the last call of this, or one that was not installed with
 * SA_RESTART. */
enum interruption { BY_ANY_HANDLER, BY_A_HANDLER_WITHOUT_RESTART };
bool interrupted(enum interruption) INTERNAL(interrupted);
void send_signal(int number, int code, union sigval value) INTERNAL(send_signal);
/* Runs the handlers of pending signals that are not blocked. */
void deliver_pending(void) INTERNAL(deliver_pending);

/* ---- notify.c ----------------------------------------------------------------------- */

struct descriptor;

int request_notification(struct descriptor *, const struct sigevent *) INTERNAL(request_notification);
void cancel_notification(struct descriptor *) INTERNAL(cancel_notification);
/* Runs what is to be run for the notifications that have arrived. */
void deliver(void) INTERNAL(deliver);
extern size_t registrations_made INTERNAL(registrations_made);
static inline size_t notification_count(void) { return registrations_made; }
/* A pollable for each registration; as many as fit. */
size_t notification_pollables(int32_t *handles, size_t room) INTERNAL(notification_pollables);

/* ---- mapped.c ----------------------------------------------------------------------- */

/* Some byte of the guest's own: it says to the host which memory a mapping is for. */
#define PROBE (posix_ipc_list_u8_t){(uint8_t *)"", 1}

/* Whether an address is beyond the guest's own memory. */
static inline bool is_mapped(const void *address) {
	return (uintptr_t)address / 65536 >= __builtin_wasm_memory_size(0);
}
char *mapping_address(posix_ipc_mappings_own_mapping_t) INTERNAL(mapping_address);
/* The bytes, or a copy if they lie in a mapping: `copy` is to be freed in any case. NULL
 * with errno set if there is no memory for it. */
const void *lend(const void *bytes, size_t length, void **copy) INTERNAL(lend);

/* ---- mman.c ------------------------------------------------------------------------- */

/* Shared memory that is open: by a descriptor, by mappings of it, or both. */
struct segment {
	posix_ipc_shared_memory_borrow_segment_t handle;
	unsigned uses;
	bool writable;
};

void segment_release(struct segment *) INTERNAL(segment_release);

/* The points at which mapped memory and the object meet. To push is to make the guest's
 * own changes visible to others; to pull, to see theirs. Cheap where nothing is mapped. */
void push(void) INTERNAL(push);
void pull(void) INTERNAL(pull);
/* Both, in that order. */
void meet(void) INTERNAL(meet);

/* Where in an object an address is that is mapped for sharing and writing, if it is. */
struct segment *shared_at(const void *address, size_t length, uint64_t *offset) INTERNAL(shared_at);
uint32_t page_size(void) INTERNAL(page_size);
/* How many mappings of shared memory are copies, which have something to meet. */
extern size_t copied_mappings INTERNAL(copied_mappings);

/* ---- fd.c --------------------------------------------------------------------------- */

enum descriptor_kind { SEGMENT = 1, QUEUE };

struct descriptor {
	enum descriptor_kind kind;
	int access;     /* O_RDONLY, O_WRONLY, O_RDWR */
	bool nonblock;
	struct segment *segment;
	int64_t position;
	posix_ipc_message_queue_borrow_queue_t queue;
	size_t message_size;
	struct registration *registration;
};

/* The descriptor of a number, or NULL if it is not of this library. */
struct descriptor *descriptor_of(int number) INTERNAL(descriptor_of);
/* The number of a new descriptor, or -1. */
int descriptor_add(const struct descriptor *) INTERNAL(descriptor_add);
int descriptor_close(int number) INTERNAL(descriptor_close);

static inline bool may_read(const struct descriptor *d) { return d->access != O_WRONLY; }
static inline bool may_write(const struct descriptor *d) { return d->access != O_RDONLY; }


#endif
