/* poll, for queues too: on the systems whose programs do this, a queue is a descriptor. */
#include "internal.h"

#include <poll.h>
#include <stdlib.h>
#include <wasi/wasip2.h>

WRAPS(poll, (void *)poll);

/* How long others wait while one of the two kinds is waited for. */
#define SLICE 5

int __real_poll(struct pollfd *, nfds_t, int);

struct watched {
	int32_t pollable;
	short event;
	nfds_t index;
};

static void watch(struct watched *all, size_t *count, const struct descriptor *d, const struct pollfd *at, nfds_t index) {
	posix_ipc_message_queue_own_pollable_t pollable;
	ipc_error error;
	if ((at->events & POLLIN) && may_read(d)) {
		if (posix_ipc_message_queue_method_queue_subscribe_readable(d->queue, &pollable, &error))
			all[(*count)++] = (struct watched){pollable.__handle, POLLIN, index};
		else
			posix_ipc_types_error_code_free(&error);
	}
	if ((at->events & POLLOUT) && may_write(d)) {
		if (posix_ipc_message_queue_method_queue_subscribe_writable(d->queue, &pollable, &error))
			all[(*count)++] = (struct watched){pollable.__handle, POLLOUT, index};
		else
			posix_ipc_types_error_code_free(&error);
	}
}

/* Marks what is ready, after waiting for at most `limit`. */
static void look(struct pollfd *polled, const struct watched *watched, size_t count, uint64_t limit) {
	poll_borrow_pollable_t *handles = calloc(count + 1, sizeof *handles);
	if (!handles)
		return;
	size_t all = count;
	for (size_t i = 0; i < count; i++)
		handles[i].__handle = watched[i].pollable;
	monotonic_clock_own_pollable_t timer = {0};
	if (limit != FOREVER) {
		timer = monotonic_clock_subscribe_duration(limit);
		handles[all++].__handle = timer.__handle;
	}
	if (all > 0) {
		poll_list_borrow_pollable_t list = {handles, all};
		wasip2_list_u32_t ready;
		poll_poll(&list, &ready);
		for (size_t i = 0; i < ready.len; i++)
			if (ready.ptr[i] < count)
				polled[watched[ready.ptr[i]].index].revents |= watched[ready.ptr[i]].event;
		wasip2_list_u32_free(&ready);
	}
	if (limit != FOREVER)
		poll_pollable_drop_own((poll_own_pollable_t){timer.__handle});
	free(handles);
}

static int marked(const struct pollfd *polled, nfds_t count) {
	int ready = 0;
	for (nfds_t i = 0; i < count; i++)
		ready += polled[i].revents != 0;
	return ready;
}

int __wrap_poll(struct pollfd *polled, nfds_t count, int timeout) {
	bool queues = false, others = false;
	for (nfds_t i = 0; i < count; i++) {
		queues |= descriptor_of(polled[i].fd) != NULL;
		others |= polled[i].fd >= 0 && !descriptor_of(polled[i].fd);
	}
	push();
	if (!queues) {
		int ready = __real_poll(polled, count, timeout);
		pull();
		return ready;
	}
	struct watched *watched = calloc(2 * count, sizeof *watched);
	struct pollfd *rest = calloc(count, sizeof *rest);
	if (!watched || !rest) {
		free(watched);
		free(rest);
		return fail_with(ENOMEM);
	}
	size_t watching = 0;
	for (nfds_t i = 0; i < count; i++) {
		struct descriptor *d = descriptor_of(polled[i].fd);
		polled[i].revents = 0;
		rest[i] = (struct pollfd){d ? -1 : polled[i].fd, polled[i].events, 0};
		if (d && d->kind == QUEUE)
			watch(watched, &watching, d, &polled[i], i);
		else if (d)
			polled[i].revents = polled[i].events & (POLLIN | POLLOUT);
	}
	uint64_t start = now(), limit = timeout < 0 ? FOREVER : (uint64_t)timeout * 1000000;
	int ready;
	interrupted(BY_ANY_HANDLER);
	for (;;) {
		if (others && __real_poll(rest, count, 0) > 0)
			for (nfds_t i = 0; i < count; i++)
				polled[i].revents |= rest[i].revents;
		uint64_t passed = now() - start, left = limit == FOREVER ? FOREVER : limit > passed ? limit - passed : 0;
		uint64_t span = marked(polled, count) ? 0 : left;
		if (span > SLICE * 1000000 && (others || notification_count() > 0))
			span = SLICE * 1000000;
		look(polled, watched, watching, span);
		ready = marked(polled, count);
		deliver();
		if (ready > 0 || left == 0)
			break;
		if (interrupted(BY_ANY_HANDLER)) {
			ready = fail_with(EINTR);
			break;
		}
	}
	for (size_t i = 0; i < watching; i++)
		poll_pollable_drop_own((poll_own_pollable_t){watched[i].pollable});
	free(watched);
	free(rest);
	pull();
	return ready;
}
