/* What can be waited for. */
#include "module.h"

#include <stdlib.h>

typedef struct {
	PyObject head;
	int32_t handle; /* 0: closed */
} Handle;

static PyTypeObject *pollable_type, *notification_type;

static PyObject *new_handle(PyTypeObject *type, int32_t handle) {
	PyObject *self = PyType_GenericAlloc(type, 0);
	if (self)
		((Handle *)self)->handle = handle;
	return self;
}

/* ---- pollables --------------------------------------------------------------------------- */

static void drop_pollable(int32_t handle) {
	wasi_io_poll_pollable_drop_own((wasi_io_poll_own_pollable_t){handle});
}

PyObject *new_pollable(int32_t handle) {
	PyObject *self = new_handle(pollable_type, handle);
	if (!self)
		drop_pollable(handle);
	return self;
}

static PyObject *close_pollable(PyObject *self, PyObject *unused) {
	Handle *pollable = (Handle *)self;
	if (pollable->handle)
		drop_pollable(pollable->handle);
	pollable->handle = 0;
	return none();
}

static void dealloc_pollable(PyObject *self) {
	close_pollable(self, NULL);
	free_object(self);
}

static PyMethodDef pollable_methods[] = {
	{"close", close_pollable, METH_NOARGS, NULL},
	{NULL},
};

static PyType_Slot pollable_slots[] = {
	{Py_tp_dealloc, dealloc_pollable},
	{Py_tp_methods, pollable_methods},
	{0},
};

static PyType_Spec pollable_spec = {
	.name = "_posix_ipc.Pollable",
	.basicsize = sizeof(Handle),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = pollable_slots,
};

/* ---- notifications ------------------------------------------------------------------------ */

static posix_ipc_message_queue_borrow_notification_t borrow(PyObject *self) {
	return (posix_ipc_message_queue_borrow_notification_t){((Handle *)self)->handle};
}

static void drop_notification(int32_t handle) {
	posix_ipc_message_queue_notification_drop_own((posix_ipc_message_queue_own_notification_t){handle});
}

PyObject *new_notification(int32_t handle) {
	PyObject *self = new_handle(notification_type, handle);
	if (!self)
		drop_notification(handle);
	return self;
}

static PyObject *delivered(PyObject *self, PyObject *unused) {
	return boolean(posix_ipc_message_queue_method_notification_delivered(borrow(self)));
}

static PyObject *subscribe(PyObject *self, PyObject *unused) {
	posix_ipc_message_queue_own_pollable_t pollable;
	ipc_error error;
	if (!posix_ipc_message_queue_method_notification_subscribe(borrow(self), &pollable, &error))
		return fail(&error);
	return new_pollable(pollable.__handle);
}

static PyObject *close_notification(PyObject *self, PyObject *unused) {
	Handle *notification = (Handle *)self;
	if (notification->handle)
		drop_notification(notification->handle);
	notification->handle = 0;
	return none();
}

static void dealloc_notification(PyObject *self) {
	close_notification(self, NULL);
	free_object(self);
}

static PyMethodDef notification_methods[] = {
	{"delivered", delivered, METH_NOARGS, NULL},
	{"subscribe", subscribe, METH_NOARGS, NULL},
	{"close", close_notification, METH_NOARGS, NULL},
	{NULL},
};

static PyType_Slot notification_slots[] = {
	{Py_tp_dealloc, dealloc_notification},
	{Py_tp_methods, notification_methods},
	{0},
};

static PyType_Spec notification_spec = {
	.name = "_posix_ipc.Notification",
	.basicsize = sizeof(Handle),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = notification_slots,
};

/* ---- functions ------------------------------------------------------------------------------ */

static PyObject *after(PyObject *module, PyObject *nanoseconds) {
	uint64_t duration = PyLong_AsUnsignedLongLong(nanoseconds);
	if (duration == UINT64_MAX && PyErr_Occurred())
		return NULL;
	return new_pollable(wasi_clocks_monotonic_clock_subscribe_duration(duration).__handle);
}

static PyObject *ready_of(wasi_io_poll_list_borrow_pollable_t *all) {
	native_list_u32_t ready;
	PyObject *places = PyList_New(0);
	if (!places)
		return NULL;
	wasi_io_poll_poll(all, &ready);
	for (size_t i = 0; i < ready.len; i++) {
		PyObject *place = PyLong_FromUnsignedLong(ready.ptr[i]);
		if (!place || PyList_Append(places, place) < 0) {
			Py_DecRef(places);
			places = NULL;
		}
		if (place)
			Py_DecRef(place);
		if (!places)
			break;
	}
	native_list_u32_free(&ready);
	return places;
}

/* The places of those that are ready, after a wait if none is. */
static PyObject *poll(PyObject *module, PyObject *pollables) {
	Py_ssize_t count = PyTuple_Size(pollables);
	if (count < 0)
		return NULL;
	if (count == 0) {
		PyErr_SetString(PyExc_ValueError, "there is nothing to wait for");
		return NULL;
	}
	wasi_io_poll_borrow_pollable_t *handles = malloc((size_t)count * sizeof *handles);
	if (!handles)
		return PyErr_NoMemory();
	for (Py_ssize_t i = 0; i < count; i++) {
		PyObject *pollable = PyTuple_GetItem(pollables, i);
		if (pollable->ob_type != pollable_type || !((Handle *)pollable)->handle) {
			free(handles);
			PyErr_SetString(PyExc_TypeError, "a pollable is required");
			return NULL;
		}
		handles[i].__handle = ((Handle *)pollable)->handle;
	}
	PyObject *ready = ready_of(&(wasi_io_poll_list_borrow_pollable_t){handles, (size_t)count});
	free(handles);
	return ready;
}

PyMethodDef poll_methods[] = {
	{"after", after, METH_O, "A pollable that is ready after so many nanoseconds."},
	{"poll", poll, METH_O, "The places of those that are ready, after a wait if none is."},
	{NULL},
};

bool poll_init(PyObject *module) {
	pollable_type = add_type(module, &pollable_spec);
	notification_type = add_type(module, &notification_spec);
	return pollable_type && notification_type;
}
