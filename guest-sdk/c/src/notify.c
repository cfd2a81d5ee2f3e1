/* mq_notify: registrations, and what is run when a message arrives. */
#include "internal.h"

#include <stdlib.h>

struct registration {
	struct registration *next;
	posix_ipc_message_queue_own_notification_t handle;
	struct descriptor *owner;
	struct sigevent event;
};

static struct registration *registrations;
size_t registrations_made;

static posix_ipc_message_queue_borrow_notification_t borrowed(const struct registration *r) {
	return posix_ipc_message_queue_borrow_notification(r->handle);
}

static void forget(struct registration *registration) {
	for (struct registration **at = &registrations; *at; at = &(*at)->next)
		if (*at == registration) {
			*at = registration->next;
			break;
		}
	registrations_made--;
	registration->owner->registration = NULL;
	posix_ipc_message_queue_notification_drop_own(registration->handle);
	free(registration);
}

int request_notification(struct descriptor *descriptor, const struct sigevent *event) {
	switch (event->sigev_notify) {
	case SIGEV_NONE:
		break;
	case SIGEV_SIGNAL:
		if (event->sigev_signo < 0 || event->sigev_signo > SIGRTMAX)
			return fail_with(EINVAL);
		break;
	case SIGEV_THREAD:
		if (!event->sigev_notify_function)
			return fail_with(EINVAL);
		break;
	default:
		return fail_with(EINVAL);
	}
	/* A registration that has been used up is in nobody's way. */
	deliver();
	if (descriptor->registration)
		return fail_with(EBUSY);
	struct registration *registration = malloc(sizeof *registration);
	if (!registration)
		return fail_with(ENOMEM);
	ipc_error error;
	if (!posix_ipc_message_queue_method_queue_request_notification(descriptor->queue, &registration->handle, &error)) {
		free(registration);
		if (error.tag == POSIX_IPC_TYPES_ERROR_CODE_BUSY)
			return fail_with(EBUSY);
		return ipc_fail(&error, A_DESCRIPTOR);
	}
	registration->owner = descriptor;
	registration->event = *event;
	registration->next = registrations;
	registrations = registration;
	registrations_made++;
	descriptor->registration = registration;
	return 0;
}

void cancel_notification(struct descriptor *descriptor) {
	if (descriptor->registration)
		forget(descriptor->registration);
}

size_t notification_pollables(int32_t *handles, size_t room) {
	size_t count = 0;
	for (struct registration *r = registrations; r && count < room; r = r->next) {
		posix_ipc_message_queue_own_pollable_t pollable;
		ipc_error error;
		if (posix_ipc_message_queue_method_notification_subscribe(borrowed(r), &pollable, &error))
			handles[count++] = pollable.__handle;
		else
			posix_ipc_types_error_code_free(&error);
	}
	return count;
}

/* The next registration whose message has arrived. */
static struct registration *delivered(void) {
	for (struct registration *r = registrations; r; r = r->next)
		if (posix_ipc_message_queue_method_notification_delivered(borrowed(r)))
			return r;
	return NULL;
}

void deliver(void) {
	/* What a function of the program's does is a call boundary too, and it may well
	 * register again. */
	static bool busy;
	if (busy)
		return;
	busy = true;
	struct registration *r;
	while (registrations_made && (r = delivered())) {
		struct sigevent event = r->event;
		forget(r);
		int before = errno;
		if (event.sigev_notify == SIGEV_SIGNAL && event.sigev_signo != 0)
			send_signal(event.sigev_signo, SI_MESGQ, event.sigev_value);
		else if (event.sigev_notify == SIGEV_THREAD)
			event.sigev_notify_function(event.sigev_value);
		errno = before;
	}
	busy = false;
}
