/* <pthread.h>: what one thread has of itself. Others cannot be made. */
#include "internal.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes, void *(*start)(void *),
	void *restrict argument) {
	(void)thread, (void)attributes, (void)start, (void)argument;
	return EAGAIN;
}

static char the_thread;

pthread_t pthread_self(void) {
	return (pthread_t)&the_thread;
}

int(pthread_equal)(pthread_t a, pthread_t b) {
	return a == b;
}

int pthread_join(pthread_t thread, void **result) {
	(void)result;
	return thread == pthread_self() ? EDEADLK : ESRCH;
}

int pthread_detach(pthread_t thread) {
	return thread == pthread_self() ? 0 : ESRCH;
}

int pthread_kill(pthread_t thread, int number) {
	if (thread != pthread_self())
		return ESRCH;
	return raise(number) == 0 ? 0 : errno;
}

int pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
	(void)before, (void)parent, (void)child;
	return 0;
}

int pthread_once(pthread_once_t *once, void (*routine)(void)) {
	if (!*once) {
		*once = 1;
		routine();
	}
	return 0;
}

/* ---- values of the thread ----------------------------------------------------------- */

static struct {
	bool used;
	void (*destructor)(void *);
	void *value;
} keys[PTHREAD_KEYS_MAX];

static bool is_key(pthread_key_t key) {
	return key < PTHREAD_KEYS_MAX && keys[key].used;
}

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) {
	for (pthread_key_t i = 0; i < PTHREAD_KEYS_MAX; i++)
		if (!keys[i].used) {
			keys[i].used = true;
			keys[i].destructor = destructor;
			keys[i].value = NULL;
			*key = i;
			return 0;
		}
	return EAGAIN;
}

int pthread_key_delete(pthread_key_t key) {
	if (!is_key(key))
		return EINVAL;
	keys[key].used = false;
	return 0;
}

void *pthread_getspecific(pthread_key_t key) {
	return is_key(key) ? keys[key].value : NULL;
}

int pthread_setspecific(pthread_key_t key, const void *value) {
	if (!is_key(key))
		return EINVAL;
	keys[key].value = (void *)value;
	return 0;
}

static void destroy_values(void) {
	bool any = true;
	for (int round = 0; any && round < PTHREAD_DESTRUCTOR_ITERATIONS; round++) {
		any = false;
		for (pthread_key_t i = 0; i < PTHREAD_KEYS_MAX; i++) {
			void *value = keys[i].value;
			if (!keys[i].used || !value || !keys[i].destructor)
				continue;
			keys[i].value = NULL;
			keys[i].destructor(value);
			any = true;
		}
	}
}

/* ---- the end of the thread ---------------------------------------------------------- */

static struct __ptcb *cleanups;

void _pthread_cleanup_push(struct __ptcb *cleanup, void (*function)(void *), void *argument) {
	*cleanup = (struct __ptcb){function, argument, cleanups};
	cleanups = cleanup;
}

void _pthread_cleanup_pop(struct __ptcb *cleanup, int run) {
	cleanups = cleanup->__next;
	if (run)
		cleanup->__f(cleanup->__x);
}

/* With its last thread a process ends, and says that all went well. */
_Noreturn void pthread_exit(void *result) {
	(void)result;
	while (cleanups)
		_pthread_cleanup_pop(cleanups, 1);
	destroy_values();
	exit(0);
}

static int cancel_state = PTHREAD_CANCEL_ENABLE, cancel_type = PTHREAD_CANCEL_DEFERRED;
static bool cancelled;

int pthread_setcancelstate(int state, int *before) {
	if (state != PTHREAD_CANCEL_ENABLE && state != PTHREAD_CANCEL_DISABLE)
		return EINVAL;
	if (before)
		*before = cancel_state;
	cancel_state = state;
	return 0;
}

int pthread_setcanceltype(int type, int *before) {
	if (type != PTHREAD_CANCEL_DEFERRED && type != PTHREAD_CANCEL_ASYNCHRONOUS)
		return EINVAL;
	if (before)
		*before = cancel_type;
	cancel_type = type;
	if (type == PTHREAD_CANCEL_ASYNCHRONOUS)
		pthread_testcancel();
	return 0;
}

void pthread_testcancel(void) {
	if (cancelled && cancel_state == PTHREAD_CANCEL_ENABLE)
		pthread_exit(PTHREAD_CANCELED);
}

/* It is no other that asks: of the points of cancellation, only pthread_testcancel is one. */
int pthread_cancel(pthread_t thread) {
	if (thread != pthread_self())
		return ESRCH;
	cancelled = true;
	if (cancel_type == PTHREAD_CANCEL_ASYNCHRONOUS)
		pthread_testcancel();
	return 0;
}
