/* Message queues: what descriptors of them are for, and the two methods of `MessageQueue` that
 * programs call in loops. */
#include "module.h"

#include <stdlib.h>

PyTypeObject *queue_type;

#define PRIORITY_MAX 32767

static PyObject *name_send, *name_receive;
static PyObject *word_timeout, *word_priority;

static posix_ipc_message_queue_borrow_queue_t borrow(PyObject *self) {
	return (posix_ipc_message_queue_borrow_queue_t){((Queue *)self)->handle};
}

/* ---- MessageQueue ---------------------------------------------------------------------- */

typedef struct {
	PyObject head;
	int fd; /* -1: closed, or not opened yet */
	char may_read, may_write;
} MessageQueue;

/* The arguments of `send`, where they are as in most programs. */
struct sending {
	PyObject *timeout, *priority;
};

static bool is(PyObject *name, PyObject *word) {
	return name == word || PyUnicode_Compare(name, word) == 0;
}

static bool read_arguments(struct sending *sending, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
	if (count < 1 || count > 3)
		return false;
	sending->timeout = count > 1 ? arguments[1] : NULL;
	sending->priority = count > 2 ? arguments[2] : NULL;
	Py_ssize_t named = names ? PyTuple_Size(names) : 0;
	for (Py_ssize_t i = 0; i < named; i++) {
		PyObject *name = PyTuple_GetItem(names, i);
		PyObject **to = is(name, word_timeout) ? &sending->timeout : is(name, word_priority) ? &sending->priority : NULL;
		if (!to || *to)
			return false;
		*to = arguments[count + i];
	}
	return true;
}

/* The bytes of a message that need not be given back. */
static bool plain_bytes(PyObject *message, native_list_u8_t *bytes) {
	Py_ssize_t length;
	if (message->ob_type == &PyBytes_Type) {
		bytes->ptr = (uint8_t *)PyBytes_AsString(message);
		bytes->len = (size_t)PyBytes_Size(message);
		return true;
	}
	if (message->ob_type != &PyUnicode_Type)
		return false;
	bytes->ptr = (uint8_t *)PyUnicode_AsUTF8AndSize(message, &length);
	if (!bytes->ptr) {
		PyErr_Clear();
		return false;
	}
	bytes->len = (size_t)length;
	return true;
}

static bool send_at_once(MessageQueue *self, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
	Queue *queue = queue_of(self->fd);
	struct sending sending;
	long priority = 0;
	int overflow = 0;
	if (!queue || awaited || !self->may_write || !read_arguments(&sending, arguments, count, names))
		return false;
	if (sending.timeout && read_patience(sending.timeout) == ASK_PYTHON)
		return false;
	if (sending.priority) {
		if (sending.priority->ob_type != &PyLong_Type)
			return false;
		priority = PyLong_AsLongAndOverflow(sending.priority, &overflow);
		if (overflow || priority < 0 || priority > PRIORITY_MAX)
			return false;
	}
	native_list_u8_t plain;
	if (plain_bytes(arguments[0], &plain))
		return posix_ipc_direct_send(queue->number, &plain, (uint32_t)priority);
	struct bytes bytes;
	if (!bytes_open(&bytes, arguments[0])) {
		PyErr_Clear();
		return false;
	}
	bool sent = posix_ipc_direct_send(queue->number, &bytes.list, (uint32_t)priority);
	bytes_close(&bytes);
	return sent;
}

static PyObject *send(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
	if (send_at_once((MessageQueue *)self, arguments, count, names))
		return none();
	return call_python(name_send, self, arguments, count, names);
}

static PyObject *message(const void *bytes, size_t length, uint32_t priority) {
	PyObject *pair = PyTuple_New(2);
	PyObject *payload = PyBytes_FromStringAndSize(bytes, (Py_ssize_t)length);
	PyObject *number = PyLong_FromUnsignedLong(priority);
	if (pair && payload && number) {
		PyTuple_SetItem(pair, 0, payload);
		PyTuple_SetItem(pair, 1, number);
		return pair;
	}
	if (pair)
		Py_DecRef(pair);
	if (payload)
		Py_DecRef(payload);
	if (number)
		Py_DecRef(number);
	return NULL;
}

static PyObject *receive(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
	MessageQueue *self = (MessageQueue *)object;
	Queue *queue = queue_of(self->fd);
	if (queue && !awaited && self->may_read && !names && count <= 1
		&& (count == 0 || read_patience(arguments[0]) != ASK_PYTHON)) {
		/* No message is taken that there is no memory for. */
		if (!queue->buffer && !(queue->buffer = malloc(queue->max_message_size)))
			return PyErr_NoMemory();
		native_list_u8_t buffer = {queue->buffer, queue->max_message_size};
		int64_t received = posix_ipc_direct_receive_into(queue->number, &buffer);
		if (received >= 0)
			return message(queue->buffer, (uint32_t)received, (uint32_t)(received >> 32));
	}
	return call_python(name_receive, object, arguments, count, names);
}

static PyMethodDef message_queue_methods[] = {
	{"send", (PyCFunction)(void *)send, METH_FASTCALL | METH_KEYWORDS,
		"Sends a message, waiting while the queue is full, or at most `timeout` seconds."},
	{"receive", (PyCFunction)(void *)receive, METH_FASTCALL | METH_KEYWORDS,
		"Takes the oldest message of the highest priority, and returns both.\n\n"
		"Waits while the queue is empty, or at most `timeout` seconds."},
	{NULL},
};

static PyMemberDef message_queue_members[] = {
	{"_fd", Py_T_INT, offsetof(MessageQueue, fd), 0, NULL},
	{"_may_read", Py_T_BOOL, offsetof(MessageQueue, may_read), 0, NULL},
	{"_may_write", Py_T_BOOL, offsetof(MessageQueue, may_write), 0, NULL},
	{NULL},
};

static PyType_Slot message_queue_slots[] = {
	{Py_tp_dealloc, free_object},
	{Py_tp_methods, message_queue_methods},
	{Py_tp_members, message_queue_members},
	{0},
};

static PyType_Spec message_queue_spec = {
	.name = "_posix_ipc.MessageQueue",
	.basicsize = sizeof(MessageQueue),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.slots = message_queue_slots,
};

/* ---- what a descriptor is for ------------------------------------------------------------ */

static void close_handle(PyObject *self) {
	Queue *queue = (Queue *)self;
	if (queue->handle)
		posix_ipc_message_queue_queue_drop_own((posix_ipc_message_queue_own_queue_t){queue->handle});
	queue->handle = 0;
	free(queue->buffer);
	queue->buffer = NULL;
}

/* Gives the limits of the queue. */
static PyObject *opened(PyObject *self, posix_ipc_message_queue_own_queue_t handle) {
	Queue *queue = (Queue *)self;
	posix_ipc_message_queue_attributes_t attributes;
	ipc_error error;
	close_handle(self);
	queue->handle = handle.__handle;
	queue->block = true;
	queue->number = posix_ipc_direct_queue_number((posix_ipc_direct_borrow_queue_t){handle.__handle});
	if (!posix_ipc_message_queue_method_queue_attributes(borrow(self), &attributes, &error))
		return fail(&error);
	queue->max_message_size = attributes.limits.max_message_size;
	return Py_BuildValue("(II)", attributes.limits.max_messages, attributes.limits.max_message_size);
}

/* The limits of a new queue; 0 and 0 are the system's. */
static bool read_limits(PyObject *limits, posix_ipc_message_queue_queue_limits_t *room,
	posix_ipc_message_queue_queue_limits_t **read) {
	*read = limits == Py_None ? NULL : room;
	return limits == Py_None || PyArg_ParseTuple(limits, "II", &room->max_messages, &room->max_message_size);
}

static PyObject *open(PyObject *self, PyObject *arguments) {
	native_string_t name;
	int flags, access;
	unsigned mode;
	PyObject *wanted;
	posix_ipc_message_queue_queue_limits_t room, *limits;
	posix_ipc_message_queue_own_queue_t handle;
	ipc_error error;
	if (!PyArg_ParseTuple(arguments, "s#iIiO", &name.ptr, &name.len, &flags, &mode, &access, &wanted)
		|| !read_limits(wanted, &room, &limits))
		return NULL;
	if (!posix_ipc_message_queue_static_queue_open(&name, (uint8_t)flags, mode, (uint8_t)access, limits, &handle, &error))
		return fail(&error);
	return opened(self, handle);
}

static PyObject *create_unique(PyObject *self, PyObject *arguments) {
	native_string_t name;
	unsigned mode;
	PyObject *wanted;
	posix_ipc_message_queue_queue_limits_t room, *limits;
	posix_ipc_message_queue_own_queue_t handle;
	ipc_error error;
	if (!PyArg_ParseTuple(arguments, "s#IO", &name.ptr, &name.len, &mode, &wanted) || !read_limits(wanted, &room, &limits))
		return NULL;
	if (!posix_ipc_message_queue_static_queue_create_unique(&name, mode, limits, &handle, &error))
		return fail(&error);
	return opened(self, handle);
}

static PyObject *name(PyObject *self, PyObject *unused) {
	native_string_t name;
	posix_ipc_message_queue_method_queue_name(borrow(self), &name);
	return text(&name);
}

static PyObject *mode(PyObject *self, PyObject *unused) {
	uint32_t mode;
	ipc_error error;
	if (!posix_ipc_message_queue_method_queue_mode(borrow(self), &mode, &error))
		return fail(&error);
	return PyLong_FromUnsignedLong(mode);
}

static PyObject *current_messages(PyObject *self, PyObject *unused) {
	posix_ipc_message_queue_attributes_t attributes;
	ipc_error error;
	if (!posix_ipc_message_queue_method_queue_attributes(borrow(self), &attributes, &error))
		return fail(&error);
	return PyLong_FromUnsignedLong(attributes.current_messages);
}

static PyObject *wait_send(PyObject *self, PyObject *arguments) {
	PyObject *payload, *timeout;
	unsigned priority;
	uint64_t limit;
	bool ok;
	struct bytes bytes;
	ipc_error error;
	if (!PyArg_ParseTuple(arguments, "OIO", &payload, &priority, &timeout))
		return NULL;
	uint64_t *read = read_timeout(timeout, &limit, &ok);
	if (!ok || !bytes_open(&bytes, payload))
		return NULL;
	bool sent = posix_ipc_message_queue_method_queue_send(borrow(self), &bytes.list, priority, read, &error);
	bytes_close(&bytes);
	return done(sent, &error);
}

static PyObject *wait_receive(PyObject *self, PyObject *timeout) {
	posix_ipc_message_queue_message_t received;
	uint64_t limit;
	bool ok;
	ipc_error error;
	uint64_t *read = read_timeout(timeout, &limit, &ok);
	if (!ok)
		return NULL;
	if (!posix_ipc_message_queue_method_queue_receive(borrow(self), read, &received, &error))
		return fail(&error);
	PyObject *pair = message(received.payload.ptr, received.payload.len, received.priority);
	posix_ipc_message_queue_message_free(&received);
	return pair;
}

static PyObject *subscribe_readable(PyObject *self, PyObject *unused) {
	posix_ipc_message_queue_own_pollable_t pollable;
	ipc_error error;
	if (!posix_ipc_message_queue_method_queue_subscribe_readable(borrow(self), &pollable, &error))
		return fail(&error);
	return new_pollable(pollable.__handle);
}

static PyObject *subscribe_writable(PyObject *self, PyObject *unused) {
	posix_ipc_message_queue_own_pollable_t pollable;
	ipc_error error;
	if (!posix_ipc_message_queue_method_queue_subscribe_writable(borrow(self), &pollable, &error))
		return fail(&error);
	return new_pollable(pollable.__handle);
}

static PyObject *request_notification(PyObject *self, PyObject *unused) {
	posix_ipc_message_queue_own_notification_t notification;
	ipc_error error;
	if (!posix_ipc_message_queue_method_queue_request_notification(borrow(self), &notification, &error))
		return fail(&error);
	return new_notification(notification.__handle);
}

static PyObject *close(PyObject *self, PyObject *unused) {
	close_handle(self);
	return none();
}

static PyObject *unlink(PyObject *module, PyObject *arguments) {
	native_string_t name;
	ipc_error error;
	if (!PyArg_ParseTuple(arguments, "s#", &name.ptr, &name.len))
		return NULL;
	return done(posix_ipc_message_queue_unlink(&name, &error), &error);
}

static void dealloc(PyObject *self) {
	close_handle(self);
	free_object(self);
}

static PyMethodDef methods[] = {
	{"open", open, METH_VARARGS, NULL},
	{"create_unique", create_unique, METH_VARARGS, NULL},
	{"name", name, METH_NOARGS, NULL},
	{"mode", mode, METH_NOARGS, NULL},
	{"current_messages", current_messages, METH_NOARGS, NULL},
	{"send", wait_send, METH_VARARGS, NULL},
	{"receive", wait_receive, METH_O, NULL},
	{"subscribe_readable", subscribe_readable, METH_NOARGS, NULL},
	{"subscribe_writable", subscribe_writable, METH_NOARGS, NULL},
	{"request_notification", request_notification, METH_NOARGS, NULL},
	{"close", close, METH_NOARGS, NULL},
	{"unlink", unlink, METH_VARARGS | METH_STATIC, NULL},
	{NULL},
};

static PyMemberDef members[] = {
	{"block", Py_T_BOOL, offsetof(Queue, block), 0, NULL},
	{NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_dealloc, dealloc},
	{Py_tp_methods, methods},
	{Py_tp_members, members},
	{0},
};

static PyType_Spec spec = {
	.name = "_posix_ipc.Queue",
	.basicsize = sizeof(Queue),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.slots = slots,
};

bool queue_init(PyObject *module) {
	name_send = PyUnicode_InternFromString("_send");
	name_receive = PyUnicode_InternFromString("_receive");
	word_timeout = PyUnicode_InternFromString("timeout");
	word_priority = PyUnicode_InternFromString("priority");
	queue_type = add_type(module, &spec);
	return name_send && name_receive && word_timeout && word_priority && queue_type
		&& add_type(module, &message_queue_spec);
}
