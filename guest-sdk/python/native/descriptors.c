/* What the numbers of descriptors are for. The table outlives the Python part of the package,
 * which a program may import anew. */
#include "module.h"

#include <stdlib.h>
#include <string.h>

static struct {
	PyObject *object;
	bool is_queue;
} *table;
static int room;

Queue *queue_of(int number) {
	return number >= 0 && number < room && table[number].is_queue ? (Queue *)table[number].object : NULL;
}

static bool make_room(int number) {
	if (number < room)
		return true;
	int more = number < 64 ? 64 : number + number / 2;
	void *larger = realloc(table, (size_t)more * sizeof *table);
	if (!larger) {
		PyErr_NoMemory();
		return false;
	}
	table = larger;
	memset(table + room, 0, (size_t)(more - room) * sizeof *table);
	room = more;
	return true;
}

static PyObject *set(PyObject *module, PyObject *arguments) {
	int number;
	PyObject *object;
	if (!PyArg_ParseTuple(arguments, "iO", &number, &object) || !make_room(number))
		return NULL;
	PyObject *before = table[number].object;
	table[number].object = object == Py_None ? NULL : object;
	table[number].is_queue = PyType_IsSubtype(object->ob_type, queue_type);
	if (table[number].object)
		Py_IncRef(object);
	if (before)
		Py_DecRef(before);
	return none();
}

/* The object of a number, or None: also of what is no number. */
static PyObject *get(PyObject *module, PyObject *argument) {
	if (argument->ob_type != &PyLong_Type)
		return none();
	int overflow;
	long number = PyLong_AsLongAndOverflow(argument, &overflow);
	PyObject *object = !overflow && number >= 0 && number < room ? table[number].object : NULL;
	if (!object)
		return none();
	Py_IncRef(object);
	return object;
}

/* All numbers are below this one. */
static PyObject *end(PyObject *module, PyObject *unused) {
	return PyLong_FromLong(room);
}

PyMethodDef descriptor_methods[] = {
	{"descriptors_end", end, METH_NOARGS, NULL},
	{"set_descriptor", set, METH_VARARGS, NULL},
	{"descriptor", get, METH_O, NULL},
	{NULL},
};
