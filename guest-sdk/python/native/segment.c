/* Shared memory, for its descriptors. Maps of it are in map.c. */
#include "module.h"

PyTypeObject *segment_type;

static posix_ipc_shared_memory_borrow_segment_t borrow(PyObject *self) {
	return (posix_ipc_shared_memory_borrow_segment_t){((Segment *)self)->handle};
}

static void close_handle(PyObject *self) {
	Segment *segment = (Segment *)self;
	if (segment->handle)
		posix_ipc_shared_memory_segment_drop_own((posix_ipc_shared_memory_own_segment_t){segment->handle});
	segment->handle = 0;
}

static PyObject *opened(PyObject *self, posix_ipc_shared_memory_own_segment_t handle) {
	close_handle(self);
	((Segment *)self)->handle = handle.__handle;
	((Segment *)self)->number = posix_ipc_direct_segment_number((posix_ipc_direct_borrow_segment_t){handle.__handle});
	return none();
}

static PyObject *open(PyObject *self, PyObject *arguments) {
	native_string_t name;
	int flags, access;
	unsigned mode;
	posix_ipc_shared_memory_own_segment_t handle;
	ipc_error error;
	if (!PyArg_ParseTuple(arguments, "s#iIi", &name.ptr, &name.len, &flags, &mode, &access))
		return NULL;
	if (!posix_ipc_shared_memory_static_segment_open(&name, (uint8_t)flags, mode, NULL, (uint8_t)access, &handle, &error))
		return fail(&error);
	return opened(self, handle);
}

static PyObject *create_unique(PyObject *self, PyObject *arguments) {
	native_string_t name;
	unsigned mode;
	posix_ipc_shared_memory_own_segment_t handle;
	ipc_error error;
	if (!PyArg_ParseTuple(arguments, "s#I", &name.ptr, &name.len, &mode))
		return NULL;
	if (!posix_ipc_shared_memory_static_segment_create_unique(&name, mode, 0, &handle, &error))
		return fail(&error);
	opened(self, handle);
	posix_ipc_shared_memory_method_segment_name(borrow(self), &name);
	return text(&name);
}

static PyObject *mode(PyObject *self, PyObject *unused) {
	uint32_t mode;
	ipc_error error;
	if (!posix_ipc_shared_memory_method_segment_mode(borrow(self), &mode, &error))
		return fail(&error);
	return PyLong_FromUnsignedLong(mode);
}

static PyObject *size(PyObject *self, PyObject *unused) {
	uint64_t size;
	ipc_error error;
	if (!posix_ipc_shared_memory_method_segment_size(borrow(self), &size, &error))
		return fail(&error);
	return PyLong_FromUnsignedLongLong(size);
}

static PyObject *resize(PyObject *self, PyObject *size) {
	uint64_t bytes = PyLong_AsUnsignedLongLong(size);
	ipc_error error;
	if (bytes == UINT64_MAX && PyErr_Occurred())
		return NULL;
	return done(posix_ipc_shared_memory_method_segment_resize(borrow(self), bytes, &error), &error);
}

bool segment_read(Segment *self, uint64_t offset, uint8_t *to, size_t length, size_t *read) {
	ipc_error error;
	for (*read = 0; *read < length;) {
		native_list_u8_t part = {to + *read, length - *read};
		uint64_t count;
		if (!posix_ipc_shared_memory_method_segment_read_into(borrow((PyObject *)self), offset + *read, &part, &count, &error)) {
			fail(&error);
			return false;
		}
		if (count == 0)
			break;
		*read += (size_t)count;
	}
	return true;
}

bool segment_write(Segment *self, uint64_t offset, const uint8_t *from, size_t length) {
	ipc_error error;
	while (length > 0) {
		native_list_u8_t part = {(uint8_t *)from, length < ONE_CALL ? length : ONE_CALL};
		if (!posix_ipc_shared_memory_method_segment_write(borrow((PyObject *)self), offset, &part, &error)) {
			fail(&error);
			return false;
		}
		offset += part.len, from += part.len, length -= part.len;
	}
	return true;
}

/* Up to `length` bytes, fewer where the segment ends. */
static PyObject *read(PyObject *self, PyObject *arguments) {
	unsigned long long offset, size;
	Py_ssize_t length;
	size_t read;
	ipc_error error;
	if (!PyArg_ParseTuple(arguments, "Kn", &offset, &length))
		return NULL;
	/* No memory is taken for bytes that are not there. */
	if (!posix_ipc_shared_memory_method_segment_size(borrow(self), &size, &error))
		return fail(&error);
	uint64_t left = offset < size ? size - offset : 0;
	if ((uint64_t)length > left)
		length = (Py_ssize_t)left;
	PyObject *bytes = PyBytes_FromStringAndSize(NULL, length);
	if (!bytes)
		return NULL;
	if (!segment_read((Segment *)self, offset, (uint8_t *)PyBytes_AsString(bytes), (size_t)length, &read)) {
		Py_DecRef(bytes);
		return NULL;
	}
	if ((Py_ssize_t)read < length)
		_PyBytes_Resize(&bytes, (Py_ssize_t)read);
	return bytes;
}

static PyObject *write(PyObject *self, PyObject *arguments) {
	unsigned long long offset;
	PyObject *data;
	struct bytes bytes;
	if (!PyArg_ParseTuple(arguments, "KO", &offset, &data) || !bytes_open(&bytes, data))
		return NULL;
	bool ok = segment_write((Segment *)self, offset, bytes.list.ptr, bytes.list.len);
	bytes_close(&bytes);
	return ok ? none() : NULL;
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
	return done(posix_ipc_shared_memory_unlink(&name, &error), &error);
}

static void dealloc(PyObject *self) {
	close_handle(self);
	free_object(self);
}

static PyMethodDef methods[] = {
	{"open", open, METH_VARARGS, NULL},
	{"create_unique", create_unique, METH_VARARGS, NULL},
	{"mode", mode, METH_NOARGS, NULL},
	{"size", size, METH_NOARGS, NULL},
	{"resize", resize, METH_O, NULL},
	{"read", read, METH_VARARGS, NULL},
	{"write", write, METH_VARARGS, NULL},
	{"close", close, METH_NOARGS, NULL},
	{"unlink", unlink, METH_VARARGS | METH_STATIC, NULL},
	{NULL},
};

static PyType_Slot slots[] = {{Py_tp_dealloc, dealloc}, {Py_tp_methods, methods}, {0}};

static PyType_Spec spec = {
	.name = "_posix_ipc.Segment",
	.basicsize = sizeof(Segment),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.slots = slots,
};

bool segment_init(PyObject *module) {
	segment_type = add_type(module, &spec);
	return segment_type;
}
