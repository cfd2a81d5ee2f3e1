// Package runtime is what the generated bindings stand on: handles, and memory for what
// passes between the guest and the host.
package runtime

import "unsafe"

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

// IsOpen reports whether there is a number.
func (h *Handle) IsOpen() bool { return h.number != 0 }

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

// The memory for what passes is not the collector's. The host asks for it in the middle of
// a call, when the guest must not call anything in turn, and a collection looks at the
// clock. So it comes from an arena, and what is in it is copied by those who made the call
// before they leave.

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

// Allocate makes memory for what a call passes to the host, until the call is left.
//
//go:nosplit
func Allocate(size, align uintptr) unsafe.Pointer {
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

// Keep has the bytes that a call is given be in the collector's memory, which never moves,
// as a stack does.
func Keep(bytes unsafe.Pointer) {
	if never {
		kept = bytes
	}
}

var (
	never bool
	kept  unsafe.Pointer
)
