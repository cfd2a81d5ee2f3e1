/* <pthread.h>: attributes. They say how threads are made, of which none is, and how locks
 * are. No lock is shared with other programs: those of 64 bits lay them out differently. */
#include "internal.h"

#include <limits.h>
#include <pthread.h>

/* Two functions for each attribute, which a struct of this library keeps. */
#define ATTRIBUTE(public, own, type, kind, name, valid) \
	int kind##_get##name(const public *restrict attributes, type *restrict value) { \
		*value = ((const own *)attributes)->name; \
		return 0; \
	} \
	int kind##_set##name(public *attributes, type value) { \
		if (!(valid)) \
			return EINVAL; \
		((own *)attributes)->name = value; \
		return 0; \
	}

/* ---- of threads --------------------------------------------------------------------- */

struct thread_attributes {
	int detachstate, scope, inheritsched, schedpolicy;
	size_t stacksize, guardsize;
};

_Static_assert(sizeof(struct thread_attributes) <= sizeof(pthread_attr_t), "what the C library has for it");

#define STACK (64 << 10)

int pthread_attr_init(pthread_attr_t *attributes) {
	*(struct thread_attributes *)attributes = (struct thread_attributes){.stacksize = STACK};
	return 0;
}

int pthread_attr_destroy(pthread_attr_t *attributes) {
	(void)attributes;
	return 0;
}

#define OF_THREADS(type, name, valid) ATTRIBUTE(pthread_attr_t, struct thread_attributes, type, pthread_attr, name, valid)

OF_THREADS(int, detachstate, value == PTHREAD_CREATE_JOINABLE || value == PTHREAD_CREATE_DETACHED)
OF_THREADS(int, scope, value == PTHREAD_SCOPE_SYSTEM)
OF_THREADS(int, inheritsched, value == PTHREAD_INHERIT_SCHED || value == PTHREAD_EXPLICIT_SCHED)
OF_THREADS(int, schedpolicy, true)
OF_THREADS(size_t, stacksize, value >= PTHREAD_STACK_MIN)
OF_THREADS(size_t, guardsize, true)

/* ---- of locks ----------------------------------------------------------------------- */

/* For a lock that only this program knows, and for no other. */
#define ONLY_PRIVATE(public, kind) \
	int kind##_getpshared(const public *restrict attributes, int *restrict shared) { \
		(void)attributes; \
		*shared = PTHREAD_PROCESS_PRIVATE; \
		return 0; \
	} \
	int kind##_setpshared(public *attributes, int shared) { \
		(void)attributes; \
		return shared == PTHREAD_PROCESS_PRIVATE ? 0 : shared == PTHREAD_PROCESS_SHARED ? ENOTSUP : EINVAL; \
	} \
	int kind##_init(public *attributes) { \
		*attributes = (public){0}; \
		return 0; \
	} \
	int kind##_destroy(public *attributes) { \
		(void)attributes; \
		return 0; \
	}

ONLY_PRIVATE(pthread_mutexattr_t, pthread_mutexattr)
ONLY_PRIVATE(pthread_condattr_t, pthread_condattr)
ONLY_PRIVATE(pthread_rwlockattr_t, pthread_rwlockattr)
ONLY_PRIVATE(pthread_barrierattr_t, pthread_barrierattr)

int pthread_mutexattr_gettype(const pthread_mutexattr_t *restrict attributes, int *restrict type) {
	*type = (int)attributes->__attr;
	return 0;
}

int pthread_mutexattr_settype(pthread_mutexattr_t *attributes, int type) {
	if (type != PTHREAD_MUTEX_NORMAL && type != PTHREAD_MUTEX_RECURSIVE && type != PTHREAD_MUTEX_ERRORCHECK)
		return EINVAL;
	attributes->__attr = (unsigned)type;
	return 0;
}

/* Both say what happens between threads. */

int pthread_mutexattr_setrobust(pthread_mutexattr_t *attributes, int robust) {
	(void)attributes;
	return robust == PTHREAD_MUTEX_STALLED || robust == PTHREAD_MUTEX_ROBUST ? 0 : EINVAL;
}

int pthread_mutexattr_setprotocol(pthread_mutexattr_t *attributes, int protocol) {
	(void)attributes;
	return protocol == PTHREAD_PRIO_NONE || protocol == PTHREAD_PRIO_INHERIT ? 0 : ENOTSUP;
}

int pthread_condattr_getclock(const pthread_condattr_t *restrict attributes, clockid_t *restrict clock) {
	*clock = attributes->__attr ? CLOCK_MONOTONIC : CLOCK_REALTIME;
	return 0;
}

int pthread_condattr_setclock(pthread_condattr_t *attributes, clockid_t clock) {
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return EINVAL;
	attributes->__attr = clock == CLOCK_MONOTONIC;
	return 0;
}
