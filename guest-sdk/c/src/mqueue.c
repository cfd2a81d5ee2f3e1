/* <mqueue.h> */
#include "internal.h"

#include <mqueue.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

mqd_t mq_open(const char *text, int flags, ...) {
	struct name name;
	if (!queue_name(&name, text))
		return -1;
	posix_ipc_types_open_flags_t open_flags = 0;
	posix_ipc_message_queue_queue_limits_t limits, *wanted = NULL;
	uint32_t mode = 0;
	if (flags & O_CREAT) {
		va_list rest;
		va_start(rest, flags);
		mode = new_mode(va_arg(rest, mode_t));
		const struct mq_attr *attributes = va_arg(rest, const struct mq_attr *);
		va_end(rest);
		open_flags |= POSIX_IPC_TYPES_OPEN_FLAGS_CREATE;
		if (flags & O_EXCL)
			open_flags |= POSIX_IPC_TYPES_OPEN_FLAGS_EXCLUSIVE;
		if (attributes) {
			/* 0 is as wrong as what is below, and only looked at for a new queue. */
			limits.max_messages = attributes->mq_maxmsg > 0 ? (uint32_t)attributes->mq_maxmsg : 0;
			limits.max_message_size = attributes->mq_msgsize > 0 ? (uint32_t)attributes->mq_msgsize : 0;
			wanted = &limits;
		}
	}
	struct descriptor descriptor = {.kind = QUEUE, .nonblock = flags & O_NONBLOCK};
	posix_ipc_types_access_t access;
	switch (flags & O_RDWR) {
	case O_RDWR:
		descriptor.access = O_RDWR;
		access = POSIX_IPC_TYPES_ACCESS_READ_WRITE;
		break;
	case O_WRONLY:
		descriptor.access = O_WRONLY;
		access = POSIX_IPC_TYPES_ACCESS_WRITE;
		break;
	/* Where reading is 0, as on other systems, it may be left out. */
	default:
		descriptor.access = O_RDONLY;
		access = POSIX_IPC_TYPES_ACCESS_READ;
	}
	posix_ipc_message_queue_own_queue_t queue;
	posix_ipc_message_queue_attributes_t now;
	ipc_error error;
	if (!posix_ipc_message_queue_static_queue_open(&name.string, open_flags, mode, access, wanted, &queue, &error))
		return ipc_fail(&error, A_NAME);
	descriptor.queue = posix_ipc_message_queue_borrow_queue(queue);
	int number;
	if (!posix_ipc_message_queue_method_queue_attributes(descriptor.queue, &now, &error)) {
		number = ipc_fail(&error, A_NAME);
	} else {
		descriptor.message_size = now.limits.max_message_size;
		number = descriptor_add(&descriptor);
	}
	if (number < 0) {
		int before = errno;
		posix_ipc_message_queue_queue_drop_own(queue);
		errno = before;
	}
	return number;
}

int mq_unlink(const char *text) {
	struct name name;
	if (!queue_name(&name, text))
		return -1;
	ipc_error error;
	if (!posix_ipc_message_queue_unlink(&name.string, &error))
		return ipc_fail(&error, A_NAME);
	return 0;
}

/* The queue of a descriptor, or NULL with errno set. */
static struct descriptor *queue_of(mqd_t number) {
	struct descriptor *descriptor = descriptor_of(number);
	if (descriptor && descriptor->kind == QUEUE)
		return descriptor;
	errno = EBADF;
	return NULL;
}

int mq_close(mqd_t number) {
	return queue_of(number) ? descriptor_close(number) : -1;
}

int mq_getattr(mqd_t number, struct mq_attr *attributes) {
	return mq_setattr(number, NULL, attributes);
}

int mq_setattr(mqd_t number, const struct mq_attr *restrict new, struct mq_attr *restrict old) {
	if (new && (new->mq_flags & ~O_NONBLOCK))
		return fail_with(EINVAL);
	struct descriptor *queue = queue_of(number);
	if (!queue)
		return -1;
	meet();
	deliver();
	if (old) {
		posix_ipc_message_queue_attributes_t now;
		ipc_error error;
		if (!posix_ipc_message_queue_method_queue_attributes(queue->queue, &now, &error))
			return ipc_fail(&error, A_DESCRIPTOR);
		*old = (struct mq_attr){
			.mq_flags = queue->nonblock ? O_NONBLOCK : 0,
			.mq_maxmsg = (long)now.limits.max_messages,
			.mq_msgsize = (long)now.limits.max_message_size,
			.mq_curmsgs = (long)now.current_messages,
		};
	}
	if (new)
		queue->nonblock = new->mq_flags & O_NONBLOCK;
	return 0;
}

int mq_notify(mqd_t number, const struct sigevent *event) {
	struct descriptor *queue = queue_of(number);
	if (!queue)
		return -1;
	if (event)
		return request_notification(queue, event);
	deliver();
	cancel_notification(queue);
	return 0;
}

/* ---- messages ----------------------------------------------------------------------- */

/* How long a call waits. */
static uint64_t patience(const struct descriptor *queue, const struct timespec *end) {
	return queue->nonblock ? 0 : end ? time_until(CLOCK_REALTIME, end) : FOREVER;
}

/* What a transfer that is over returns: 0, or -1 with errno set. */
static int outcome(const struct descriptor *queue, int result, ipc_error *error) {
	if (result == 0)
		return 0;
	if (result > 0)
		return fail_with(result);
	if (error->tag == POSIX_IPC_TYPES_ERROR_CODE_BUSY || error->tag == POSIX_IPC_TYPES_ERROR_CODE_TIMED_OUT)
		return fail_with(queue->nonblock ? EAGAIN : ETIMEDOUT);
	return ipc_fail(error, A_DESCRIPTOR);
}

static bool bad_time(const struct timespec *end) {
	return end && (end->tv_sec < 0 || !valid_time(end));
}

struct sending {
	posix_ipc_message_queue_borrow_queue_t queue;
	posix_ipc_list_u8_t payload;
	uint32_t priority;
};

static bool try_send(void *object, uint64_t *timeout, ipc_error *error) {
	struct sending *s = object;
	return posix_ipc_message_queue_method_queue_send(s->queue, &s->payload, s->priority, timeout, error);
}

int mq_timedsend(mqd_t number, const char *message, size_t length, unsigned priority, const struct timespec *end) {
	if (bad_time(end) || priority > posix_ipc_limits_queue_priority_max())
		return fail_with(EINVAL);
	struct descriptor *queue = queue_of(number);
	if (!queue)
		return -1;
	if (!may_write(queue))
		return fail_with(EBADF);
	if (length > queue->message_size)
		return fail_with(EMSGSIZE);
	void *copy;
	const void *lent = lend(message, length, &copy);
	if (!lent && length > 0)
		return -1;
	struct sending sending = {queue->queue, {(uint8_t *)lent, length}, priority};
	uint64_t limit = patience(queue, end);
	ipc_error error;
	push();
	int result = outcome(queue, wait_for(try_send, &sending, limit, &error), &error);
	free(copy);
	deliver();
	return result;
}

int mq_send(mqd_t number, const char *message, size_t length, unsigned priority) {
	return mq_timedsend(number, message, length, priority, NULL);
}

struct receiving {
	posix_ipc_message_queue_borrow_queue_t queue;
	posix_ipc_message_queue_message_t message;
};

static bool try_receive(void *object, uint64_t *timeout, ipc_error *error) {
	struct receiving *r = object;
	return posix_ipc_message_queue_method_queue_receive(r->queue, timeout, &r->message, error);
}

ssize_t mq_timedreceive(mqd_t number, char *restrict buffer, size_t length, unsigned *restrict priority,
	const struct timespec *restrict end) {
	if (bad_time(end))
		return fail_with(EINVAL);
	struct descriptor *queue = queue_of(number);
	if (!queue)
		return -1;
	if (!may_read(queue))
		return fail_with(EBADF);
	if (length < queue->message_size)
		return fail_with(EMSGSIZE);
	struct receiving receiving = {.queue = queue->queue};
	uint64_t limit = patience(queue, end);
	ipc_error error;
	push();
	ssize_t result = outcome(queue, wait_for(try_receive, &receiving, limit, &error), &error);
	if (result == 0) {
		result = (ssize_t)receiving.message.payload.len;
		memcpy(buffer, receiving.message.payload.ptr, (size_t)result);
		if (priority)
			*priority = receiving.message.priority;
		posix_ipc_message_queue_message_free(&receiving.message);
	}
	pull();
	deliver();
	return result;
}

ssize_t mq_receive(mqd_t number, char *buffer, size_t length, unsigned *priority) {
	return mq_timedreceive(number, buffer, length, priority, NULL);
}
