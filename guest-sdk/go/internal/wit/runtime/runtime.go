// Package runtime is what the generated bindings stand on: handles, and memory for what
// passes between the guest and the host.
package runtime

import (
	"runtime"
	"unsafe"
)

// Handle is the number of a resource, until it is taken.
type Handle struct {
	number int32
}

// MakeHandle makes a handle of a number.
func MakeHandle(number int32) *Handle { return &Handle{number} }

// Use returns the number.
func (h *Handle) Use() int32 {
	if h.number == 0 {
		Leave()
		panic("posixipc: use of what is closed")
	}
	return h.number
}

// Take returns the number, and leaves none.
func (h *Handle) Take() int32 {
	number := h.Use()
	h.number = 0
	return number
}

// TakeOrNil is Take that may find none.
func (h *Handle) TakeOrNil() int32 {
	number := h.number
	h.number = 0
	return number
}

// Set gives a number to a handle that has none.
func (h *Handle) Set(number int32) { h.number = number }

// Allocate makes memory for what a call passes to the host.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	// The collector's memory is aligned to what it is made of.
	memory := unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	pinner.Pin(memory)
	return memory
}

// The memory for what the host passes to the guest is not the collector's. The host asks
// for it in the middle of a call, when the guest must not call anything in turn, and a
// collection looks at the clock. So it comes from an arena, and what is in it is copied
// by those who made the call before they leave.

const (
	page  = 64 << 10
	first = 2 * page
)

var (
	arena struct {
		start, next, end uintptr
	}
	// How many are between Enter and Leave.
	users int
)

// Enter begins a call whose result may be in the arena.
func Enter() { users++ }

// Leave ends it: the result has been copied.
func Leave() {
	users = max(users-1, 0)
	if users == 0 {
		arena.next = arena.start
	}
}

//go:linkname sbrk runtime.sbrk
func sbrk(size uintptr) unsafe.Pointer

// The host may ask before Go's runtime has started, and within every call. Nothing here may
// allocate, grow the stack or let another goroutine run.
//
//go:nosplit
//go:wasmexport cabi_realloc
func reallocate(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	if oldSize != 0 {
		// The host never changes its mind about a size.
		*(*byte)(nil) = 0
	}
	at := (arena.next + align - 1) &^ (align - 1)
	if arena.start == 0 || at+size > arena.end {
		// The old one is lost, but each is twice as long as the one before.
		length := max(first, 2*(arena.end-arena.start), (size+page-1)&^(page-1))
		arena.start = uintptr(sbrk(length))
		arena.end = arena.start + length
		at = arena.start
	}
	arena.next = at + size
	return unsafe.Pointer(at)
}
