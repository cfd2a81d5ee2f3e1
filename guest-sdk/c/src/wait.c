/* Waiting, for the host's objects and for notifications at the same time. */
#include "internal.h"

#include <stdlib.h>
#include <wasi/wasip2.h>

/* Most registrations that a wait looks at; more are looked at when it ends. */
#define MOST_POLLED 16

/* With a notification outstanding, a wait is made of pieces of this length. */
#define SLICE (5 * 1000000ull)

static bool would_wait(const ipc_error *error) {
	return error->tag == POSIX_IPC_TYPES_ERROR_CODE_BUSY
		|| error->tag == POSIX_IPC_TYPES_ERROR_CODE_TIMED_OUT;
}

int wait_for(attempt *try, void *object, uint64_t limit, ipc_error *error) {
	if (notification_count() == 0 || limit == 0) {
		uint64_t timeout = limit;
		return try(object, limit == FOREVER ? NULL : &timeout, error) ? 0 : -1;
	}
	uint64_t start = now();
	interrupted(BY_A_HANDLER_WITHOUT_RESTART);
	for (;;) {
		uint64_t passed = now() - start;
		uint64_t left = limit == FOREVER ? SLICE : limit > passed ? limit - passed : 0;
		uint64_t timeout = left < SLICE ? left : SLICE;
		if (try(object, &timeout, error))
			return 0;
		if (!would_wait(error) || left == 0)
			return -1;
		deliver();
		if (interrupted(BY_A_HANDLER_WITHOUT_RESTART))
			return EINTR;
	}
}

bool wait_for_notification(uint64_t limit) {
	poll_borrow_pollable_t polled[MOST_POLLED + 1];
	int32_t handles[MOST_POLLED];
	size_t count = notification_pollables(handles, MOST_POLLED);
	if (count == 0 && limit == FOREVER)
		return false;
	for (size_t i = 0; i < count; i++)
		polled[i].__handle = handles[i];
	size_t all = count;
	monotonic_clock_own_pollable_t timer = {0};
	if (limit != FOREVER) {
		timer = monotonic_clock_subscribe_duration(limit);
		polled[all++].__handle = timer.__handle;
	}
	poll_list_borrow_pollable_t list = {polled, all};
	wasip2_list_u32_t ready;
	poll_poll(&list, &ready);
	bool arrived = false;
	for (size_t i = 0; i < ready.len; i++)
		arrived |= ready.ptr[i] < count;
	wasip2_list_u32_free(&ready);
	for (size_t i = 0; i < count; i++)
		poll_pollable_drop_own((poll_own_pollable_t){handles[i]});
	if (limit != FOREVER)
		poll_pollable_drop_own((poll_own_pollable_t){timer.__handle});
	return arrived;
}
