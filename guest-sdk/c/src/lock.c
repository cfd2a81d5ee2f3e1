/* <pthread.h>: locks. Nobody else can hold one of this thread's, so a lock that is held stays
 * so, unless a function gives it back that runs when a notification arrives. Where a native
 * program would wait for ever, this is the error that POSIX has for a deadlock. */
#include "internal.h"

#include <pthread.h>

/* Waits until something may have changed: 0, ETIMEDOUT, or EDEADLK if nothing ever will. */
static int wait_for_change(clockid_t clock, const struct timespec *end) {
	uint64_t limit = end ? time_until(clock, end) : FOREVER;
	if (end && limit == 0)
		return ETIMEDOUT;
	push();
	bool changed = wait_for_notification(limit);
	pull();
	deliver();
	return changed ? 0 : end ? ETIMEDOUT : EDEADLK;
}

/* ---- mutexes ------------------------------------------------------------------------ */

struct mutex {
	int type;
	unsigned count; /* how often it is locked */
};

_Static_assert(sizeof(struct mutex) <= sizeof(pthread_mutex_t), "what the C library has for it");
_Static_assert(PTHREAD_MUTEX_NORMAL == 0, "what a static initializer makes");

static struct mutex *mutex_of(pthread_mutex_t *public) {
	return (struct mutex *)public;
}

/* Locks it, or says with `held` that it is locked. */
static int lock(struct mutex *mutex, int held) {
	if (mutex->count > 0 && mutex->type != PTHREAD_MUTEX_RECURSIVE)
		return held;
	if (mutex->count + 1 == 0)
		return EAGAIN;
	mutex->count++;
	return 0;
}

int pthread_mutex_init(pthread_mutex_t *restrict public, const pthread_mutexattr_t *restrict attributes) {
	*mutex_of(public) = (struct mutex){.type = PTHREAD_MUTEX_DEFAULT};
	return attributes ? pthread_mutexattr_gettype(attributes, &mutex_of(public)->type) : 0;
}

int pthread_mutex_destroy(pthread_mutex_t *public) {
	return mutex_of(public)->count > 0 ? EBUSY : 0;
}

int pthread_mutex_lock(pthread_mutex_t *public) {
	return lock(mutex_of(public), EDEADLK);
}

int pthread_mutex_trylock(pthread_mutex_t *public) {
	return lock(mutex_of(public), EBUSY);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict public, const struct timespec *restrict end) {
	struct mutex *mutex = mutex_of(public);
	for (;;) {
		int result = lock(mutex, EDEADLK);
		if (result != EDEADLK || mutex->type == PTHREAD_MUTEX_ERRORCHECK)
			return result;
		if (!valid_time(end))
			return EINVAL;
		result = wait_for_change(CLOCK_REALTIME, end);
		if (result)
			return result;
	}
}

int pthread_mutex_unlock(pthread_mutex_t *public) {
	struct mutex *mutex = mutex_of(public);
	if (mutex->count == 0)
		return mutex->type == PTHREAD_MUTEX_NORMAL ? 0 : EPERM;
	mutex->count--;
	return 0;
}

/* Nobody dies with one locked. */
int pthread_mutex_consistent(pthread_mutex_t *public) {
	(void)public;
	return EINVAL;
}

/* ---- conditions --------------------------------------------------------------------- */

struct condition {
	clockid_t clock; /* NULL for that of the time of day */
};

_Static_assert(sizeof(struct condition) <= sizeof(pthread_cond_t), "what the C library has for it");

int pthread_cond_init(pthread_cond_t *restrict public, const pthread_condattr_t *restrict attributes) {
	struct condition *condition = (struct condition *)public;
	*condition = (struct condition){0};
	return attributes ? pthread_condattr_getclock(attributes, &condition->clock) : 0;
}

int pthread_cond_destroy(pthread_cond_t *public) {
	(void)public;
	return 0;
}

int pthread_cond_timedwait(pthread_cond_t *restrict public, pthread_mutex_t *restrict mutex,
	const struct timespec *restrict end) {
	struct condition *condition = (struct condition *)public;
	if (end && !valid_time(end))
		return EINVAL;
	unsigned count = mutex_of(mutex)->count;
	mutex_of(mutex)->count = 0;
	/* Who waits looks at what he waits for again: to wake too often is no error. */
	int result = wait_for_change(condition->clock ? condition->clock : CLOCK_REALTIME, end);
	mutex_of(mutex)->count = count;
	return result;
}

int pthread_cond_wait(pthread_cond_t *restrict public, pthread_mutex_t *restrict mutex) {
	return pthread_cond_timedwait(public, mutex, NULL);
}

int pthread_cond_signal(pthread_cond_t *public) {
	(void)public;
	return 0;
}

int pthread_cond_broadcast(pthread_cond_t *public) {
	return pthread_cond_signal(public);
}

/* ---- locks for reading and writing -------------------------------------------------- */

struct rwlock {
	unsigned readers;
	bool writing;
};

_Static_assert(sizeof(struct rwlock) <= sizeof(pthread_rwlock_t), "what the C library has for it");

static struct rwlock *rwlock_of(pthread_rwlock_t *public) {
	return (struct rwlock *)public;
}

static int lock_to_read(struct rwlock *rwlock, int held) {
	if (rwlock->writing)
		return held;
	rwlock->readers++;
	return 0;
}

static int lock_to_write(struct rwlock *rwlock, int held) {
	if (rwlock->writing || rwlock->readers > 0)
		return held;
	rwlock->writing = true;
	return 0;
}

static int lock_until(struct rwlock *rwlock, int (*lock)(struct rwlock *, int), const struct timespec *end) {
	for (;;) {
		if (lock(rwlock, EBUSY) == 0)
			return 0;
		if (!valid_time(end))
			return EINVAL;
		int result = wait_for_change(CLOCK_REALTIME, end);
		if (result)
			return result;
	}
}

int pthread_rwlock_init(pthread_rwlock_t *restrict public, const pthread_rwlockattr_t *restrict attributes) {
	(void)attributes;
	*rwlock_of(public) = (struct rwlock){0};
	return 0;
}

int pthread_rwlock_destroy(pthread_rwlock_t *public) {
	return rwlock_of(public)->readers > 0 || rwlock_of(public)->writing ? EBUSY : 0;
}

int pthread_rwlock_rdlock(pthread_rwlock_t *public) {
	return lock_to_read(rwlock_of(public), EDEADLK);
}

int pthread_rwlock_tryrdlock(pthread_rwlock_t *public) {
	return lock_to_read(rwlock_of(public), EBUSY);
}

int pthread_rwlock_timedrdlock(pthread_rwlock_t *restrict public, const struct timespec *restrict end) {
	return lock_until(rwlock_of(public), lock_to_read, end);
}

int pthread_rwlock_wrlock(pthread_rwlock_t *public) {
	return lock_to_write(rwlock_of(public), EDEADLK);
}

int pthread_rwlock_trywrlock(pthread_rwlock_t *public) {
	return lock_to_write(rwlock_of(public), EBUSY);
}

int pthread_rwlock_timedwrlock(pthread_rwlock_t *restrict public, const struct timespec *restrict end) {
	return lock_until(rwlock_of(public), lock_to_write, end);
}

int pthread_rwlock_unlock(pthread_rwlock_t *public) {
	struct rwlock *rwlock = rwlock_of(public);
	if (rwlock->writing)
		rwlock->writing = false;
	else if (rwlock->readers > 0)
		rwlock->readers--;
	else
		return EPERM;
	return 0;
}

/* ---- spin locks and barriers -------------------------------------------------------- */

int pthread_spin_init(pthread_spinlock_t *spin, int shared) {
	if (shared != PTHREAD_PROCESS_PRIVATE)
		return ENOTSUP;
	*spin = 0;
	return 0;
}

int pthread_spin_destroy(pthread_spinlock_t *spin) {
	return *spin ? EBUSY : 0;
}

int pthread_spin_trylock(pthread_spinlock_t *spin) {
	if (*spin)
		return EBUSY;
	*spin = 1;
	return 0;
}

int pthread_spin_lock(pthread_spinlock_t *spin) {
	return pthread_spin_trylock(spin) ? EDEADLK : 0;
}

int pthread_spin_unlock(pthread_spinlock_t *spin) {
	*spin = 0;
	return 0;
}

struct barrier {
	unsigned count;
};

_Static_assert(sizeof(struct barrier) <= sizeof(pthread_barrier_t), "what the C library has for it");

int pthread_barrier_init(pthread_barrier_t *restrict public, const pthread_barrierattr_t *restrict attributes,
	unsigned count) {
	(void)attributes;
	if (count == 0)
		return EINVAL;
	((struct barrier *)public)->count = count;
	return 0;
}

int pthread_barrier_destroy(pthread_barrier_t *public) {
	(void)public;
	return 0;
}

int pthread_barrier_wait(pthread_barrier_t *public) {
	return ((struct barrier *)public)->count == 1 ? PTHREAD_BARRIER_SERIAL_THREAD : EDEADLK;
}
