/* Maps of shared memory, and of nothing: what `mmap.mmap` is made of.
 *
 * Where the host lets the guest map the object, its bytes are at an address, and a buffer of
 * the map is the object. Elsewhere every access is a call of the host, and a buffer is a copy
 * whose changes are written back when it is released. */
#include "module.h"

#include <stdlib.h>
#include <string.h>

/* A buffer that somebody has of a map without an address. */
struct copied {
	struct copied *next;
	uint8_t *now, *before;
};

typedef struct {
	PyObject head;
	bool is_open, may_write;
	uint8_t *memory;  /* NULL: the bytes are reached by calls */
	bool is_own;      /* `memory` was allocated */
	int32_t mapping;  /* the host's, where `memory` is the object */
	Segment *segment; /* where the bytes are; NULL if they are the guest's own */
	uint64_t offset;
	Py_ssize_t length, position;
	Py_ssize_t exports;
	struct copied *copies;
} Map;

static PyObject *name_os_error;

static const char CLOSED[] = "mmap closed or invalid";
static const char READ_ONLY[] = "mmap can't modify a readonly memory map.";

/* ---- access to the bytes ---------------------------------------------------------------- */

static Map *live(PyObject *object) {
	Map *self = (Map *)object;
	if (self->is_open)
		return self;
	PyErr_SetString(PyExc_ValueError, CLOSED);
	return NULL;
}

static Map *writable(PyObject *object) {
	Map *self = live(object);
	if (!self || self->may_write)
		return self;
	PyErr_SetString(PyExc_TypeError, READ_ONLY);
	return NULL;
}

/* Makes of a failure what code that works with descriptors expects. */
static bool as_os_error(Map *self) {
	PyObject *failure = PyErr_GetRaisedException();
	PyObject *error = call_python(name_os_error, (PyObject *)self, &failure, 1, NULL);
	Py_DecRef(failure);
	if (error)
		PyErr_SetRaisedException(error);
	return false;
}

static bool cut_shorter(void) {
	PyObject *arguments = Py_BuildValue("(is)", 21, "The segment has been cut shorter than the map");
	if (arguments) {
		PyErr_SetObject(PyExc_OSError, arguments);
		Py_DecRef(arguments);
	}
	return false;
}

static bool read_slowly(Map *self, Py_ssize_t start, uint8_t *to, Py_ssize_t length) {
	size_t read;
	if (!segment_read(self->segment, self->offset + (uint64_t)start, to, (size_t)length, &read))
		return as_os_error(self);
	return (Py_ssize_t)read == length || cut_shorter();
}

static bool copy_out(Map *self, Py_ssize_t start, uint8_t *to, Py_ssize_t length) {
	if (self->memory) {
		copy(to, self->memory + start, (size_t)length);
		return true;
	}
	native_list_u8_t buffer = {to, (size_t)length};
	return length == 0
		|| posix_ipc_direct_read_into(self->segment->number, self->offset + (uint64_t)start, &buffer) == length
		|| read_slowly(self, start, to, length);
}

static bool copy_in(Map *self, Py_ssize_t start, const uint8_t *from, Py_ssize_t length) {
	if (self->memory) {
		copy(self->memory + start, from, (size_t)length);
		return true;
	}
	native_list_u8_t buffer = {(uint8_t *)from, (size_t)length};
	return length == 0
		|| posix_ipc_direct_write(self->segment->number, self->offset + (uint64_t)start, &buffer)
		|| segment_write(self->segment, self->offset + (uint64_t)start, from, (size_t)length)
		|| as_os_error(self);
}

static PyObject *bytes_at(Map *self, Py_ssize_t start, Py_ssize_t length) {
	PyObject *bytes = PyBytes_FromStringAndSize(NULL, length);
	if (bytes && !copy_out(self, start, (uint8_t *)PyBytes_AsString(bytes), length)) {
		Py_DecRef(bytes);
		return NULL;
	}
	return bytes;
}

/* The bytes of an object go to the map. */
static bool store(Map *self, Py_ssize_t start, const Py_buffer *view) {
	if (self->memory || !is_mapped(view->buf))
		return copy_in(self, start, view->buf, view->len);
	/* The host takes no bytes from there. */
	uint8_t *room = malloc((size_t)view->len);
	if (!room) {
		PyErr_NoMemory();
		return false;
	}
	copy(room, view->buf, (size_t)view->len);
	bool ok = copy_in(self, start, room, view->len);
	free(room);
	return ok;
}

/* ---- as a sequence ------------------------------------------------------------------------ */

static Py_ssize_t length(PyObject *object) {
	Map *self = live(object);
	return self ? self->length : -1;
}

/* The place that an index means. */
static bool place_of(Map *self, PyObject *index, Py_ssize_t *place) {
	if (!PyIndex_Check(index)) {
		PyErr_SetString(PyExc_TypeError, "mmap indices must be integers");
		return false;
	}
	*place = PyNumber_AsSsize_t(index, PyExc_IndexError);
	if (*place == -1 && PyErr_Occurred())
		return false;
	if (*place < 0)
		*place += self->length;
	if (*place >= 0 && *place < self->length)
		return true;
	PyErr_SetString(PyExc_IndexError, "mmap index out of range");
	return false;
}

static PyObject *every(Map *self, Py_ssize_t start, Py_ssize_t step, Py_ssize_t count) {
	/* All from the first to the last, of which some are left out. */
	Py_ssize_t low = step < 0 ? start + step * (count - 1) : start;
	Py_ssize_t span = (step < 0 ? -step : step) * (count - 1) + 1;
	uint8_t *all = malloc((size_t)span);
	PyObject *bytes = all ? PyBytes_FromStringAndSize(NULL, count) : PyErr_NoMemory();
	if (bytes && !copy_out(self, low, all, span)) {
		Py_DecRef(bytes);
		bytes = NULL;
	}
	if (bytes) {
		char *to = PyBytes_AsString(bytes);
		for (Py_ssize_t i = 0; i < count; i++)
			to[i] = (char)all[start + i * step - low];
	}
	free(all);
	return bytes;
}

/* Whether a slice is what `PySliceObject` says: otherwise it is asked. */
static bool knows_slices;

/* A bound that is left out, or a small number from 0 on, which is nearly all of them. */
static bool plain_bound(PyObject *bound, Py_ssize_t otherwise, Py_ssize_t *value) {
	int overflow;
	if (bound == Py_None) {
		*value = otherwise;
		return true;
	}
	if (bound->ob_type != &PyLong_Type)
		return false;
	*value = PyLong_AsLongAndOverflow(bound, &overflow);
	return !overflow && *value >= 0;
}

/* Where a slice starts, its step, and how many places it has; -1 raises. */
static Py_ssize_t places(Map *self, PyObject *key, Py_ssize_t *start, Py_ssize_t *step) {
	PySliceObject *slice = (PySliceObject *)key;
	Py_ssize_t stop;
	*step = 1;
	if (knows_slices && slice->step == Py_None && plain_bound(slice->start, 0, start)
		&& plain_bound(slice->stop, self->length, &stop)) {
		if (stop > self->length)
			stop = self->length;
		return *start < stop ? stop - *start : 0;
	}
	if (PySlice_Unpack(key, start, &stop, step) < 0)
		return -1;
	return PySlice_AdjustIndices(self->length, start, &stop, *step);
}

static PyObject *subscript(PyObject *object, PyObject *key) {
	Map *self = live(object);
	Py_ssize_t start, step;
	if (!self)
		return NULL;
	if (key->ob_type == &PySlice_Type) {
		Py_ssize_t count = places(self, key, &start, &step);
		if (count <= 0)
			return count < 0 ? NULL : PyBytes_FromStringAndSize(NULL, 0);
		return step == 1 ? bytes_at(self, start, count) : every(self, start, step, count);
	}
	uint8_t byte;
	if (!place_of(self, key, &start) || !copy_out(self, start, &byte, 1))
		return NULL;
	return PyLong_FromLong(byte);
}

static int assign_slice(Map *self, PyObject *key, PyObject *value) {
	Py_ssize_t start, step;
	Py_buffer view;
	Py_ssize_t count = places(self, key, &start, &step);
	if (count < 0)
		return -1;
	if (!value) {
		PyErr_SetString(PyExc_TypeError, "mmap object doesn't support slice deletion");
		return -1;
	}
	/* As any other, only without taking a buffer. */
	if (step == 1 && value->ob_type == &PyBytes_Type && PyBytes_Size(value) == count)
		return copy_in(self, start, (uint8_t *)PyBytes_AsString(value), count) ? 0 : -1;
	if (PyObject_GetBuffer(value, &view, PyBUF_SIMPLE) < 0)
		return -1;
	bool ok = view.len == count;
	if (!ok)
		PyErr_SetString(PyExc_IndexError, "mmap slice assignment is wrong size");
	else if (step == 1)
		ok = store(self, start, &view);
	else
		/* One by one: what lies between is somebody else's. */
		for (Py_ssize_t i = 0; ok && i < count; i++) {
			uint8_t byte = ((volatile uint8_t *)view.buf)[i];
			ok = copy_in(self, start + i * step, &byte, 1);
		}
	PyBuffer_Release(&view);
	return ok ? 0 : -1;
}

static int assign(PyObject *object, PyObject *key, PyObject *value) {
	Map *self = writable(object);
	Py_ssize_t place;
	if (!self)
		return -1;
	if (key->ob_type == &PySlice_Type)
		return assign_slice(self, key, value);
	if (!place_of(self, key, &place))
		return -1;
	if (!value || !PyIndex_Check(value)) {
		PyErr_SetString(PyExc_TypeError,
			value ? "mmap item value must be an int" : "mmap object doesn't support item deletion");
		return -1;
	}
	Py_ssize_t number = PyNumber_AsSsize_t(value, PyExc_TypeError);
	if (number == -1 && PyErr_Occurred())
		return -1;
	if (number < 0 || number > 255) {
		PyErr_SetString(PyExc_ValueError, "mmap item value must be in range(0, 256)");
		return -1;
	}
	uint8_t byte = (uint8_t)number;
	return copy_in(self, place, &byte, 1) ? 0 : -1;
}

/* ---- as a file ------------------------------------------------------------------------------ */

static PyObject *read(PyObject *object, PyObject *const *arguments, Py_ssize_t count) {
	Map *self = live(object);
	if (!self)
		return NULL;
	if (count > 1)
		return PyErr_Format(PyExc_TypeError, "read expected at most 1 argument, got %d", (int)count);
	Py_ssize_t left = self->position < self->length ? self->length - self->position : 0;
	Py_ssize_t wanted = -1;
	if (count == 1 && arguments[0] != Py_None) {
		wanted = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
		if (wanted == -1 && PyErr_Occurred())
			return NULL;
	}
	if (wanted < 0 || wanted > left)
		wanted = left;
	PyObject *bytes = bytes_at(self, self->position, wanted);
	if (bytes)
		self->position += wanted;
	return bytes;
}

static PyObject *read_byte(PyObject *object, PyObject *unused) {
	Map *self = live(object);
	uint8_t byte;
	if (!self)
		return NULL;
	if (self->position >= self->length) {
		PyErr_SetString(PyExc_ValueError, "read byte out of range");
		return NULL;
	}
	if (!copy_out(self, self->position, &byte, 1))
		return NULL;
	self->position++;
	return PyLong_FromLong(byte);
}

static PyObject *write(PyObject *object, PyObject *data) {
	Map *self = writable(object);
	Py_buffer view;
	if (!self || PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
		return NULL;
	PyObject *written = NULL;
	if (self->position > self->length || view.len > self->length - self->position)
		PyErr_SetString(PyExc_ValueError, "data out of range");
	else if (store(self, self->position, &view)) {
		self->position += view.len;
		written = PyLong_FromLong(view.len);
	}
	PyBuffer_Release(&view);
	return written;
}

static PyObject *tell(PyObject *object, PyObject *unused) {
	Map *self = live(object);
	return self ? PyLong_FromLong(self->position) : NULL;
}

/* ---- buffers ---------------------------------------------------------------------------------- */

/* Writes what was changed of a copy, in runs: what lies between is somebody else's. */
static bool write_back(Map *self, struct copied *copied) {
	Py_ssize_t start = 0, end;
	while (start < self->length) {
		if (copied->now[start] == copied->before[start]) {
			start++;
			continue;
		}
		for (end = start; end < self->length && copied->now[end] != copied->before[end]; end++)
			copied->before[end] = copied->now[end];
		if (!copy_in(self, start, copied->now + start, end - start))
			return false;
		start = end;
	}
	return true;
}

static int get_buffer(PyObject *object, Py_buffer *view, int flags) {
	Map *self = live(object);
	struct copied *copied = NULL;
	if (!self)
		return -1;
	uint8_t *bytes = self->memory;
	if (!bytes) {
		size_t size = (size_t)self->length;
		copied = malloc(sizeof *copied + 2 * size);
		if (!copied) {
			PyErr_NoMemory();
			return -1;
		}
		bytes = copied->now = (uint8_t *)(copied + 1);
		copied->before = copied->now + size;
		if (!copy_out(self, 0, copied->now, self->length)) {
			free(copied);
			return -1;
		}
		memcpy(copied->before, copied->now, size);
	}
	if (PyBuffer_FillInfo(view, object, bytes, self->length, !self->may_write, flags) < 0) {
		free(copied);
		return -1;
	}
	if (copied) {
		copied->next = self->copies;
		self->copies = copied;
	}
	view->internal = copied;
	self->exports++;
	return 0;
}

static void release_buffer(PyObject *object, Py_buffer *view) {
	Map *self = (Map *)object;
	struct copied *copied = view->internal, **at = &self->copies;
	self->exports--;
	if (!copied)
		return;
	while (*at != copied)
		at = &(*at)->next;
	*at = copied->next;
	/* Nobody can be told of it in another way. */
	if (self->may_write && !write_back(self, copied))
		PyErr_WriteUnraisable(object);
	free(copied);
}

static PyObject *synchronize(PyObject *object, PyObject *unused) {
	Map *self = (Map *)object;
	for (struct copied *copied = self->copies; copied; copied = copied->next)
		if (self->may_write && !write_back(self, copied))
			return NULL;
	return none();
}

/* ---- life ---------------------------------------------------------------------------------- */

static void forget(Map *self) {
	if (self->is_own)
		free(self->memory);
	if (self->mapping)
		posix_ipc_mappings_mapping_drop_own((posix_ipc_mappings_own_mapping_t){self->mapping});
	if (self->segment)
		Py_DecRef((PyObject *)self->segment);
	self->memory = NULL;
	self->segment = NULL;
	self->mapping = 0;
	self->is_open = self->is_own = false;
}

/* The bytes at an address, where the host maps them. Not being able to is no error. */
static void map(Map *self) {
	posix_ipc_shared_memory_borrow_segment_t segment = {self->segment->handle};
	posix_ipc_shared_memory_own_mapping_t mapping;
	ipc_error error;
	uint8_t access = self->may_write ? POSIX_IPC_TYPES_ACCESS_READ_WRITE : POSIX_IPC_TYPES_ACCESS_READ;
	if (!posix_ipc_shared_memory_method_segment_map(segment, PROBE, self->offset, (uint64_t)self->length, access, &mapping, &error)) {
		posix_ipc_types_error_code_free(&error);
		return;
	}
	posix_ipc_mappings_borrow_mapping_t mapped = {mapping.__handle};
	self->mapping = mapping.__handle;
	self->memory = (uint8_t *)(uintptr_t)posix_ipc_mappings_method_mapping_address(mapped);
}

/* Of a segment, or of new memory, which is where a private map copies the segment to. */
static PyObject *open(PyObject *object, PyObject *arguments) {
	Map *self = (Map *)object;
	PyObject *segment;
	unsigned long long offset;
	Py_ssize_t length;
	int may_write, is_private;
	if (!PyArg_ParseTuple(arguments, "OKnpp", &segment, &offset, &length, &may_write, &is_private))
		return NULL;
	forget(self);
	self->offset = offset;
	self->length = length;
	self->position = 0;
	self->may_write = may_write;
	if (segment != Py_None) {
		if (!PyType_IsSubtype(segment->ob_type, segment_type)) {
			PyErr_SetString(PyExc_TypeError, "a segment is required");
			return NULL;
		}
		Py_IncRef(segment);
		self->segment = (Segment *)segment;
	}
	if (!is_private && self->segment) {
		map(self);
	} else {
		self->memory = calloc((size_t)length, 1);
		self->is_own = true;
		if (!self->memory)
			return PyErr_NoMemory();
		if (self->segment && !read_slowly(self, 0, self->memory, length))
			return NULL;
	}
	self->is_open = true;
	return none();
}

/* After the segment has another size. */
static PyObject *remap(PyObject *object, PyObject *size) {
	Map *self = (Map *)object;
	Py_ssize_t length = PyNumber_AsSsize_t(size, PyExc_OverflowError);
	if (length == -1 && PyErr_Occurred())
		return NULL;
	if (self->is_own) {
		uint8_t *larger = realloc(self->memory, (size_t)length);
		if (!larger)
			return PyErr_NoMemory();
		if (length > self->length)
			memset(larger + self->length, 0, (size_t)(length - self->length));
		self->memory = larger;
		self->length = length;
		return none();
	}
	if (self->mapping)
		posix_ipc_mappings_mapping_drop_own((posix_ipc_mappings_own_mapping_t){self->mapping});
	self->mapping = 0;
	self->memory = NULL;
	self->length = length;
	map(self);
	return none();
}

static PyObject *close(PyObject *object, PyObject *unused) {
	Map *self = (Map *)object;
	if (self->exports) {
		PyErr_SetString(PyExc_BufferError, "cannot close exported pointers exist");
		return NULL;
	}
	forget(self);
	return none();
}

static void dealloc(PyObject *self) {
	forget((Map *)self);
	free_object(self);
}

static PyMethodDef methods[] = {
	{"read", (PyCFunction)(void *)read, METH_FASTCALL, "Up to n bytes from the position on."},
	{"read_byte", read_byte, METH_NOARGS, "The byte at the position."},
	{"write", write, METH_O, "Writes all of the bytes at the position."},
	{"tell", tell, METH_NOARGS, "The position."},
	{"_open", open, METH_VARARGS, NULL},
	{"_remap", remap, METH_O, NULL},
	{"_close", close, METH_NOARGS, NULL},
	{"_synchronize", synchronize, METH_NOARGS, NULL},
	{NULL},
};

static PyMemberDef members[] = {
	{"_is_open", Py_T_BOOL, offsetof(Map, is_open), Py_READONLY, NULL},
	{"_may_write", Py_T_BOOL, offsetof(Map, may_write), Py_READONLY, NULL},
	{"_length", Py_T_PYSSIZET, offsetof(Map, length), Py_READONLY, NULL},
	{"_position", Py_T_PYSSIZET, offsetof(Map, position), 0, NULL},
	{"_exports", Py_T_PYSSIZET, offsetof(Map, exports), Py_READONLY, NULL},
	{NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_dealloc, dealloc},
	{Py_tp_methods, methods},
	{Py_tp_members, members},
	{Py_mp_length, length},
	{Py_mp_subscript, subscript},
	{Py_mp_ass_subscript, assign},
	{Py_bf_getbuffer, get_buffer},
	{Py_bf_releasebuffer, release_buffer},
	{0},
};

static PyType_Spec spec = {
	.name = "_posix_ipc.Map",
	.basicsize = sizeof(Map),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.slots = slots,
};

static bool look_at_slices(void) {
	PyObject *slice = PySlice_New((PyObject *)&PyLong_Type, (PyObject *)&PyBytes_Type, Py_None);
	PySliceObject *known = (PySliceObject *)slice;
	if (!slice)
		return false;
	knows_slices = known->start == (PyObject *)&PyLong_Type && known->stop == (PyObject *)&PyBytes_Type
		&& known->step == Py_None;
	Py_DecRef(slice);
	return true;
}

bool map_init(PyObject *module) {
	name_os_error = PyUnicode_InternFromString("_os_error");
	return name_os_error && look_at_slices() && add_type(module, &spec);
}
