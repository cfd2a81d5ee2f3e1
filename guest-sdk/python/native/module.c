/* The module `_posix_ipc`: what of `posix_ipc` and `mmap` programs do often, and the calls
 * of the host for the rest of them, which is written in Python. */
#include "module.h"

#include <stdlib.h>
#include <string.h>

#define ABI_VERSION 3

bool awaited;

static PyObject *failure;

/* ---- errors ------------------------------------------------------------------------- */

static const char *const codes[] = {
	"not-permitted", "access", "exists", "no-entry", "busy", "timed-out", "cancelled", "invalid",
	"name-too-long", "message-too-long", "overflow", "no-space", "quota", "closed", "truncated",
	"unsupported", "other",
};

PyObject *fail(ipc_error *error) {
	PyObject *words = NULL;
	bool has_words = error->tag == POSIX_IPC_TYPES_ERROR_CODE_OTHER && error->val.other.is_some;
	if (has_words)
		words = PyUnicode_FromStringAndSize((char *)error->val.other.val.ptr, (Py_ssize_t)error->val.other.val.len);
	PyObject *value = NULL;
	if (!has_words || words)
		value = Py_BuildValue("(sO)", codes[error->tag], words ? words : none());
	if (words)
		Py_DecRef(words);
	posix_ipc_types_error_code_free(error);
	if (value) {
		PyErr_SetObject(failure, value);
		Py_DecRef(value);
	}
	return NULL;
}

/* ---- what the types have in common ---------------------------------------------------- */

PyObject *text(native_string_t *string) {
	PyObject *value = PyUnicode_FromStringAndSize((char *)string->ptr, (Py_ssize_t)string->len);
	native_string_free(string);
	return value;
}

PyTypeObject *add_type(PyObject *module, PyType_Spec *spec) {
	PyObject *type = PyType_FromSpec(spec);
	if (!type || PyModule_AddObjectRef(module, strrchr(spec->name, '.') + 1, type) < 0)
		return NULL;
	return (PyTypeObject *)type;
}

void free_object(PyObject *self) {
	PyTypeObject *type = self->ob_type;
	((void (*)(void *))PyType_GetSlot(type, Py_tp_free))(self);
	Py_DecRef((PyObject *)type);
}

PyObject *call_python(PyObject *name, PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
	Py_ssize_t all = count + (names ? PyTuple_Size(names) : 0);
	PyObject *room[8], **vector = room;
	if (all >= (Py_ssize_t)(sizeof room / sizeof *room) && !(vector = malloc((size_t)(all + 1) * sizeof *vector)))
		return PyErr_NoMemory();
	vector[0] = self;
	for (Py_ssize_t i = 0; i < all; i++)
		vector[i + 1] = arguments[i];
	PyObject *result = PyObject_VectorcallMethod(name, vector, (size_t)count + 1, names);
	if (vector != room)
		free(vector);
	return result;
}

/* ---- timeouts ------------------------------------------------------------------------ */

uint64_t *read_timeout(PyObject *timeout, uint64_t *limit, bool *ok) {
	*ok = true;
	if (timeout == Py_None)
		return NULL;
	*limit = PyLong_AsUnsignedLongLong(timeout);
	*ok = *limit != UINT64_MAX || !PyErr_Occurred();
	return limit;
}

enum patience read_patience(PyObject *timeout) {
	if (timeout == Py_None)
		return FOREVER;
	if (timeout->ob_type == &PyLong_Type) {
		int overflow;
		long seconds = PyLong_AsLongAndOverflow(timeout, &overflow);
		if (overflow || seconds < 0)
			return ASK_PYTHON;
		return seconds == 0 ? NOT_AT_ALL : A_WHILE;
	}
	if (timeout->ob_type == &PyFloat_Type) {
		double seconds = PyFloat_AsDouble(timeout);
		if (seconds > 0)
			return A_WHILE;
		return seconds == 0 ? NOT_AT_ALL : ASK_PYTHON;
	}
	return ASK_PYTHON;
}

/* ---- what is no method ----------------------------------------------------------------- */

static PyObject *await_notifications(PyObject *module, PyObject *value) {
	int wanted = PyObject_IsTrue(value);
	if (wanted < 0)
		return NULL;
	awaited = wanted;
	return none();
}

static PyObject *install_allocator(PyObject *module, PyObject *unused) {
	allocator_install();
	return none();
}

static PyObject *page_size(PyObject *module, PyObject *unused) {
	return PyLong_FromUnsignedLong(posix_ipc_limits_page_size());
}

static PyObject *semaphore_value_max(PyObject *module, PyObject *unused) {
	return PyLong_FromUnsignedLong(posix_ipc_limits_semaphore_value_max());
}

static PyObject *queue_priority_max(PyObject *module, PyObject *unused) {
	return PyLong_FromUnsignedLong(posix_ipc_limits_queue_priority_max());
}

static PyObject *queue_limits(posix_ipc_limits_queue_limits_t limits) {
	return Py_BuildValue("(II)", limits.max_messages, limits.max_message_size);
}

static PyObject *queue_defaults(PyObject *module, PyObject *unused) {
	posix_ipc_limits_queue_limits_t limits;
	posix_ipc_limits_queue_defaults(&limits);
	return queue_limits(limits);
}

static PyObject *queue_maximums(PyObject *module, PyObject *unused) {
	posix_ipc_limits_queue_limits_t limits;
	posix_ipc_limits_queue_maximums(&limits);
	return queue_limits(limits);
}

static PyMethodDef functions[] = {
	{"await_notifications", await_notifications, METH_O, "Says whether a notification may arrive."},
	{"install_allocator", install_allocator, METH_NOARGS, "Makes small objects faster to make."},
	{"page_size", page_size, METH_NOARGS, NULL},
	{"semaphore_value_max", semaphore_value_max, METH_NOARGS, NULL},
	{"queue_priority_max", queue_priority_max, METH_NOARGS, NULL},
	{"queue_defaults", queue_defaults, METH_NOARGS, NULL},
	{"queue_maximums", queue_maximums, METH_NOARGS, NULL},
	{NULL},
};

static PyModuleDef definition = {
	.base = {1, NULL},
	.name = "_posix_ipc",
	.doc = "What posix_ipc and mmap have in C.",
	.size = -1,
	.methods = functions,
};

__attribute__((__visibility__("default"))) PyObject *PyInit__posix_ipc(void) {
	PyObject *module = PyModule_Create2(&definition, ABI_VERSION);
	if (!module)
		return NULL;
	failure = PyErr_NewException("_posix_ipc.CallError", NULL, NULL);
	if (!failure || PyModule_AddObjectRef(module, "CallError", failure) < 0)
		return NULL;
	if (PyModule_AddFunctions(module, descriptor_methods) < 0 || PyModule_AddFunctions(module, poll_methods) < 0)
		return NULL;
	if (!semaphore_init(module) || !segment_init(module) || !queue_init(module) || !poll_init(module)
		|| !map_init(module))
		return NULL;
	return module;
}
