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

#ifdef __cplusplus
}
#endif

#endif
