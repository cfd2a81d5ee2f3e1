/* Semaphores, as in POSIX. In place of the C library's header, whose functions have no
 * definition. */
#ifndef _SEMAPHORE_H
#define _SEMAPHORE_H

#include <fcntl.h>
#include <limits.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As long as the native one, and aligned like it: an unnamed semaphore in shared memory
 * is the native peer's too. */
typedef union {
	char __size[32];
	long long __align;
} sem_t;

#define SEM_FAILED ((sem_t *)0)

sem_t *sem_open(const char *, int, ...);
int sem_close(sem_t *);
int sem_unlink(const char *);

int sem_init(sem_t *, int, unsigned);
int sem_destroy(sem_t *);

int sem_wait(sem_t *);
int sem_trywait(sem_t *);
int sem_timedwait(sem_t *__restrict, const struct timespec *__restrict);
int sem_clockwait(sem_t *__restrict, clockid_t, const struct timespec *__restrict);
int sem_post(sem_t *);
int sem_getvalue(sem_t *__restrict, int *__restrict);

/* ---- in the program itself ---------------------------------------------------------- */

/* A semaphore in mapped memory is taken and given by a change of its first word, as long as
 * nobody has to wait or to be woken. That takes less time than to call a function: so it is
 * tried here, once, and all else is left to the function. A loop would look in each turn
 * whether the guest is to be interrupted. */

/* Copies of shared memory, which have to meet the object, and requests for notifications. */
extern __SIZE_TYPE__ __posix_ipc_copied_mappings __attribute__((__visibility__("hidden")));
extern __SIZE_TYPE__ __posix_ipc_registrations_made __attribute__((__visibility__("hidden")));

/* Whether the semaphore is mapped, and its word is all that a call is about. */
static __inline__ int __posix_ipc_is_word(const sem_t *semaphore)
{
    return (__UINTPTR_TYPE__)semaphore / 65536 >= __builtin_wasm_memory_size(0)
        && (__UINTPTR_TYPE__)semaphore % 8 == 0
        && (__posix_ipc_copied_mappings | __posix_ipc_registrations_made) == 0;
}

static __inline__ int __posix_ipc_took_at_once(sem_t *semaphore)
{
    if (!__posix_ipc_is_word(semaphore))
        return 0;
    __UINT64_TYPE__ *at = (__UINT64_TYPE__ *)(void *)semaphore;
    __UINT64_TYPE__ word = __atomic_load_n(at, __ATOMIC_SEQ_CST);
    /* The value is the lower half. */
    return (__UINT32_TYPE__)word > 0
        && __atomic_compare_exchange_n(at, &word, word - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static __inline__ int __posix_ipc_gave_at_once(sem_t *semaphore)
{
    if (!__posix_ipc_is_word(semaphore))
        return 0;
    __UINT64_TYPE__ *at = (__UINT64_TYPE__ *)(void *)semaphore;
    __UINT64_TYPE__ word = __atomic_load_n(at, __ATOMIC_SEQ_CST);
    /* Nobody waits, who would be in the upper half, and there is room for one more. */
    return word < SEM_VALUE_MAX
        && __atomic_compare_exchange_n(at, &word, word + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* All else. */
int __posix_ipc_sem_wait(sem_t *);
int __posix_ipc_sem_trywait(sem_t *);
int __posix_ipc_sem_post(sem_t *);

/* Without atomic instructions, and without optimisation, which would not put them in place,
 * there are the functions alone. */
#if defined(__OPTIMIZE__) && defined(__wasm_atomics__) && !defined(POSIX_IPC_INTERNAL_H)
#define __POSIX_IPC_IN_PLACE extern __inline__ __attribute__((__gnu_inline__, __always_inline__))

__POSIX_IPC_IN_PLACE int sem_wait(sem_t *semaphore)
{
    return __posix_ipc_took_at_once(semaphore) ? 0 : __posix_ipc_sem_wait(semaphore);
}

__POSIX_IPC_IN_PLACE int sem_trywait(sem_t *semaphore)
{
    return __posix_ipc_took_at_once(semaphore) ? 0 : __posix_ipc_sem_trywait(semaphore);
}

__POSIX_IPC_IN_PLACE int sem_post(sem_t *semaphore)
{
    return __posix_ipc_gave_at_once(semaphore) ? 0 : __posix_ipc_sem_post(semaphore);
}

#undef __POSIX_IPC_IN_PLACE
#endif

#ifdef __cplusplus
}
#endif

#endif
