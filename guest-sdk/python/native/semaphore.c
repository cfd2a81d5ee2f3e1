/* Semaphores. Taken and given back by atomics where the page of the semaphore is mapped, by
 * its number otherwise, and where that says no, by the method of the handle, in Python. */
#include "module.h"

typedef struct {
	PyObject head;
	int32_t handle; /* 0: closed, or not opened yet */
	uint32_t number;
	int32_t mapping; /* 0: none */
	uint64_t *page;
} Semaphore;

static PyObject *name_acquire, *name_release;

static posix_ipc_semaphore_borrow_semaphore_t borrow(Semaphore *self) {
	return (posix_ipc_semaphore_borrow_semaphore_t){self->handle};
}

/* ---- on the page ---------------------------------------------------------------------- */

/* The C library of the host keeps the value in the lower half of this word, and the number
 * of waiters in the upper half. It maps no semaphore whose library does otherwise. */
#define VALUE(word) ((uint32_t)(word))
#define VALUE_MAX INT32_MAX

static bool take(uint64_t *page) {
	uint64_t word = __atomic_load_n(page, __ATOMIC_SEQ_CST);
	while (VALUE(word) > 0)
		if (__atomic_compare_exchange_n(page, &word, word - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return true;
	return false;
}

/* Not where somebody waits, who would have to be woken. */
static bool give(uint64_t *page) {
	uint64_t word = __atomic_load_n(page, __ATOMIC_SEQ_CST);
	while (word < VALUE_MAX)
		if (__atomic_compare_exchange_n(page, &word, word + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return true;
	return false;
}

/* ---- what is done often ---------------------------------------------------------------- */

static PyObject *acquire(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
	Semaphore *self = (Semaphore *)object;
	if (self->handle && !awaited && !names && count <= 1
		&& (count == 0 || read_patience(arguments[0]) != ASK_PYTHON)
		&& (self->page ? take(self->page) : posix_ipc_direct_try_acquire(self->number)))
		return none();
	return call_python(name_acquire, object, arguments, count, names);
}

static PyObject *release(PyObject *object, PyObject *unused) {
	Semaphore *self = (Semaphore *)object;
	if (self->handle && !awaited
		&& ((self->page && give(self->page)) || posix_ipc_direct_release(self->number)))
		return none();
	return call_python(name_release, object, NULL, 0, NULL);
}

static PyObject *enter(PyObject *self, PyObject *unused) {
	PyObject *acquired = acquire(self, NULL, 0, NULL);
	if (!acquired)
		return NULL;
	Py_DecRef(acquired);
	Py_IncRef(self);
	return self;
}

static PyObject *leave(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
	return release(self, NULL);
}

/* ---- what the Python part calls -------------------------------------------------------- */

static PyObject *opened(Semaphore *self, posix_ipc_semaphore_own_semaphore_t handle) {
	ipc_error error;
	self->handle = handle.__handle;
	self->number = posix_ipc_direct_semaphore_number((posix_ipc_direct_borrow_semaphore_t){self->handle});
	posix_ipc_semaphore_own_mapping_t mapping;
	if (posix_ipc_semaphore_method_semaphore_map(borrow(self), PROBE, &mapping, &error)) {
		posix_ipc_mappings_borrow_mapping_t mapped = {mapping.__handle};
		self->mapping = mapping.__handle;
		self->page = (uint64_t *)(uintptr_t)posix_ipc_mappings_method_mapping_address(mapped);
	} else {
		posix_ipc_types_error_code_free(&error);
	}
	return none();
}

static void close_handles(Semaphore *self) {
	if (self->mapping)
		posix_ipc_mappings_mapping_drop_own((posix_ipc_mappings_own_mapping_t){self->mapping});
	if (self->handle)
		posix_ipc_semaphore_semaphore_drop_own((posix_ipc_semaphore_own_semaphore_t){self->handle});
	self->mapping = self->handle = 0;
	self->page = NULL;
}

static PyObject *open(PyObject *object, PyObject *arguments) {
	native_string_t name;
	int flags;
	unsigned mode, value;
	posix_ipc_semaphore_own_semaphore_t handle;
	ipc_error error;
	if (!PyArg_ParseTuple(arguments, "s#iII", &name.ptr, &name.len, &flags, &mode, &value))
		return NULL;
	if (!posix_ipc_semaphore_static_semaphore_open(&name, (uint8_t)flags, mode, value, &handle, &error))
		return fail(&error);
	close_handles((Semaphore *)object);
	return opened((Semaphore *)object, handle);
}

static PyObject *create_unique(PyObject *object, PyObject *arguments) {
	native_string_t name;
	unsigned mode, value;
	posix_ipc_semaphore_own_semaphore_t handle;
	ipc_error error;
	if (!PyArg_ParseTuple(arguments, "s#II", &name.ptr, &name.len, &mode, &value))
		return NULL;
	if (!posix_ipc_semaphore_static_semaphore_create_unique(&name, mode, value, &handle, &error))
		return fail(&error);
	close_handles((Semaphore *)object);
	opened((Semaphore *)object, handle);
	posix_ipc_semaphore_method_semaphore_name(borrow((Semaphore *)object), &name);
	return text(&name);
}

static PyObject *is_open(PyObject *self, PyObject *unused) {
	return boolean(((Semaphore *)self)->handle != 0);
}

static PyObject *wait(PyObject *object, PyObject *timeout) {
	uint64_t limit;
	bool ok;
	ipc_error error;
	uint64_t *read = read_timeout(timeout, &limit, &ok);
	if (!ok)
		return NULL;
	return done(posix_ipc_semaphore_method_semaphore_acquire(borrow((Semaphore *)object), read, &error), &error);
}

static PyObject *post(PyObject *self, PyObject *unused) {
	ipc_error error;
	return done(posix_ipc_semaphore_method_semaphore_release(borrow((Semaphore *)self), &error), &error);
}

static PyObject *value(PyObject *self, PyObject *unused) {
	uint32_t value;
	ipc_error error;
	if (!posix_ipc_semaphore_method_semaphore_value(borrow((Semaphore *)self), &value, &error))
		return fail(&error);
	return PyLong_FromUnsignedLong(value);
}

static PyObject *subscribe(PyObject *self, PyObject *unused) {
	posix_ipc_semaphore_own_pollable_t pollable;
	ipc_error error;
	if (!posix_ipc_semaphore_method_semaphore_subscribe(borrow((Semaphore *)self), &pollable, &error))
		return fail(&error);
	return new_pollable(pollable.__handle);
}

static PyObject *close(PyObject *self, PyObject *unused) {
	close_handles((Semaphore *)self);
	return none();
}

static PyObject *unlink(PyObject *module, PyObject *arguments) {
	native_string_t name;
	ipc_error error;
	if (!PyArg_ParseTuple(arguments, "s#", &name.ptr, &name.len))
		return NULL;
	return done(posix_ipc_semaphore_unlink(&name, &error), &error);
}

static void dealloc(PyObject *self) {
	close_handles((Semaphore *)self);
	free_object(self);
}

static PyMethodDef methods[] = {
	{"acquire", (PyCFunction)(void *)acquire, METH_FASTCALL | METH_KEYWORDS,
		"Takes the semaphore, waiting as long as it takes, or at most `timeout` seconds."},
	{"release", release, METH_NOARGS, "Gives the semaphore back, and wakes one that waits for it."},
	{"__enter__", enter, METH_NOARGS, NULL},
	{"__exit__", (PyCFunction)(void *)leave, METH_FASTCALL, NULL},
	{"_open", open, METH_VARARGS, NULL},
	{"_create_unique", create_unique, METH_VARARGS, NULL},
	{"_is_open", is_open, METH_NOARGS, NULL},
	{"_wait", wait, METH_O, NULL},
	{"_post", post, METH_NOARGS, NULL},
	{"_value", value, METH_NOARGS, NULL},
	{"_subscribe", subscribe, METH_NOARGS, NULL},
	{"_close", close, METH_NOARGS, NULL},
	{"_unlink", unlink, METH_VARARGS | METH_STATIC, NULL},
	{NULL},
};

static PyType_Slot slots[] = {{Py_tp_dealloc, dealloc}, {Py_tp_methods, methods}, {0}};

static PyType_Spec spec = {
	.name = "_posix_ipc.Semaphore",
	.basicsize = sizeof(Semaphore),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.slots = slots,
};

bool semaphore_init(PyObject *module) {
	name_acquire = PyUnicode_InternFromString("_acquire");
	name_release = PyUnicode_InternFromString("_release");
	return name_acquire && name_release && add_type(module, &spec);
}
