/* The part of CPython's stable ABI (3.12) that the module uses, for a platform of 32 bits.
 * componentize-py brings the interpreter without its headers. */
#ifndef PYTHON_H
#define PYTHON_H

#include <stddef.h>
#include <stdint.h>

typedef int32_t Py_ssize_t;
typedef struct PyTypeObject PyTypeObject;

typedef struct PyObject {
	Py_ssize_t ob_refcnt;
	PyTypeObject *ob_type;
} PyObject;

typedef struct Py_buffer {
	void *buf;
	PyObject *obj;
	Py_ssize_t len;
	Py_ssize_t itemsize;
	int readonly;
	int ndim;
	char *format;
	Py_ssize_t *shape;
	Py_ssize_t *strides;
	Py_ssize_t *suboffsets;
	void *internal;
} Py_buffer;

#define PyBUF_SIMPLE 0
#define PyBUF_WRITABLE 1

/* ---- modules, types and functions --------------------------------------------------- */

typedef PyObject *(*PyCFunction)(PyObject *, PyObject *);
typedef PyObject *PyCFunctionFast(PyObject *, PyObject *const *, Py_ssize_t);
typedef PyObject *PyCFunctionFastWithKeywords(PyObject *, PyObject *const *, Py_ssize_t, PyObject *names);

typedef struct PyMethodDef {
	const char *ml_name;
	PyCFunction ml_meth;
	int ml_flags;
	const char *ml_doc;
} PyMethodDef;

#define METH_VARARGS 1
#define METH_KEYWORDS 2
#define METH_NOARGS 4
#define METH_O 8
#define METH_STATIC 0x20
#define METH_FASTCALL 0x80

typedef struct PyMemberDef {
	const char *name;
	int type;
	Py_ssize_t offset;
	int flags;
	const char *doc;
} PyMemberDef;

#define Py_T_INT 1
#define Py_T_BOOL 14
#define Py_T_PYSSIZET 19
#define Py_READONLY 1

typedef struct PyModuleDef {
	PyObject base;
	PyObject *(*init)(void);
	Py_ssize_t index;
	PyObject *copy;
	const char *name;
	const char *doc;
	Py_ssize_t size;
	PyMethodDef *methods;
	void *slots, *traverse, *clear, *free;
} PyModuleDef;

typedef struct PyType_Slot {
	int slot;
	void *pfunc;
} PyType_Slot;

typedef struct PyType_Spec {
	const char *name;
	int basicsize;
	int itemsize;
	unsigned flags;
	PyType_Slot *slots;
} PyType_Spec;

#define Py_TPFLAGS_BASETYPE (1u << 10)
#define Py_TPFLAGS_DEFAULT (1u << 18)

#define Py_bf_getbuffer 1
#define Py_bf_releasebuffer 2
#define Py_mp_ass_subscript 3
#define Py_mp_length 4
#define Py_mp_subscript 5
#define Py_tp_dealloc 52
#define Py_tp_doc 56
#define Py_tp_methods 64
#define Py_tp_members 72
#define Py_tp_free 74

PyObject *PyModule_Create2(PyModuleDef *, int version);
int PyModule_AddFunctions(PyObject *module, PyMethodDef *);
int PyModule_AddObjectRef(PyObject *module, const char *name, PyObject *value);
PyObject *PyType_FromSpec(PyType_Spec *);
void *PyType_GetSlot(PyTypeObject *, int slot);
int PyType_IsSubtype(PyTypeObject *, PyTypeObject *);
PyObject *PyType_GenericAlloc(PyTypeObject *, Py_ssize_t);

/* ---- objects ------------------------------------------------------------------------ */

extern PyObject _Py_NoneStruct, _Py_TrueStruct, _Py_FalseStruct;
#define Py_None (&_Py_NoneStruct)

/* These objects live for ever: nobody counts who refers to them. */
static inline PyObject *none(void) { return &_Py_NoneStruct; }
static inline PyObject *boolean(int value) { return value ? &_Py_TrueStruct : &_Py_FalseStruct; }

void Py_IncRef(PyObject *);
void Py_DecRef(PyObject *);
PyObject *PyObject_GetAttr(PyObject *, PyObject *name);
PyObject *PyObject_GetAttrString(PyObject *, const char *name);
PyObject *PyObject_Vectorcall(PyObject *, PyObject *const *, size_t count, PyObject *names);
PyObject *PyObject_VectorcallMethod(PyObject *name, PyObject *const *, size_t count, PyObject *names);
int PyObject_IsTrue(PyObject *);
int PyObject_GetBuffer(PyObject *, Py_buffer *, int flags);
int PyObject_CheckBuffer(PyObject *);
int PyBuffer_FillInfo(Py_buffer *, PyObject *, void *, Py_ssize_t length, int readonly, int flags);
void PyBuffer_Release(Py_buffer *);

/* ---- numbers, bytes, text and tuples ------------------------------------------------- */

extern PyTypeObject PyLong_Type, PyFloat_Type, PyBytes_Type, PyUnicode_Type, PySlice_Type;

PyObject *PyLong_FromLong(long);
PyObject *PyLong_FromUnsignedLong(unsigned long);
PyObject *PyLong_FromLongLong(long long);
PyObject *PyLong_FromUnsignedLongLong(unsigned long long);
long PyLong_AsLongAndOverflow(PyObject *, int *overflow);
unsigned long long PyLong_AsUnsignedLongLong(PyObject *);
Py_ssize_t PyLong_AsSsize_t(PyObject *);
double PyFloat_AsDouble(PyObject *);
int PyIndex_Check(PyObject *);
Py_ssize_t PyNumber_AsSsize_t(PyObject *, PyObject *exception);
PyObject *PyBytes_FromStringAndSize(const char *, Py_ssize_t);
char *PyBytes_AsString(PyObject *);
Py_ssize_t PyBytes_Size(PyObject *);
int _PyBytes_Resize(PyObject **, Py_ssize_t);
PyObject *PyUnicode_FromStringAndSize(const char *, Py_ssize_t);
PyObject *PyUnicode_FromString(const char *);
PyObject *PyUnicode_InternFromString(const char *);
const char *PyUnicode_AsUTF8AndSize(PyObject *, Py_ssize_t *);
int PyUnicode_Compare(PyObject *, PyObject *);
PyObject *PyTuple_New(Py_ssize_t);
int PyTuple_SetItem(PyObject *, Py_ssize_t, PyObject *);
PyObject *PyTuple_GetItem(PyObject *, Py_ssize_t);
Py_ssize_t PyTuple_Size(PyObject *);
PyObject *PyList_New(Py_ssize_t);
int PyList_Append(PyObject *, PyObject *);
int PySlice_Unpack(PyObject *, Py_ssize_t *start, Py_ssize_t *stop, Py_ssize_t *step);
Py_ssize_t PySlice_AdjustIndices(Py_ssize_t length, Py_ssize_t *start, Py_ssize_t *stop, Py_ssize_t step);

int PyArg_ParseTuple(PyObject *, const char *format, ...);
PyObject *Py_BuildValue(const char *format, ...);

/* ---- beyond the stable ABI, of the version that componentize-py has ------------------------ */

typedef struct PyMemAllocatorEx {
	void *ctx;
	void *(*malloc)(void *, size_t);
	void *(*calloc)(void *, size_t, size_t);
	void *(*realloc)(void *, void *, size_t);
	void (*free)(void *, void *);
} PyMemAllocatorEx;

enum { PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ };

void PyMem_GetAllocator(int domain, PyMemAllocatorEx *);
void PyMem_SetAllocator(int domain, PyMemAllocatorEx *);

typedef struct PySliceObject {
	PyObject head;
	PyObject *start, *stop, *step;
} PySliceObject;

PyObject *PySlice_New(PyObject *start, PyObject *stop, PyObject *step);

/* ---- exceptions --------------------------------------------------------------------- */

extern PyObject *PyExc_BufferError, *PyExc_IndexError, *PyExc_MemoryError, *PyExc_OverflowError,
	*PyExc_TypeError, *PyExc_ValueError, *PyExc_OSError;

PyObject *PyErr_NewException(const char *name, PyObject *base, PyObject *dictionary);
void PyErr_SetObject(PyObject *, PyObject *);
void PyErr_SetString(PyObject *, const char *);
PyObject *PyErr_Format(PyObject *, const char *, ...);
PyObject *PyErr_NoMemory(void);
PyObject *PyErr_Occurred(void);
int PyErr_ExceptionMatches(PyObject *);
void PyErr_Clear(void);
void PyErr_WriteUnraisable(PyObject *);
PyObject *PyErr_GetRaisedException(void);
void PyErr_SetRaisedException(PyObject *);

#endif
