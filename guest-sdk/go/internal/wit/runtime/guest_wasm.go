package runtime

import (
	"runtime/metrics"
	"unsafe"
)

//go:linkname sbrk runtime.sbrk
func sbrk(size uintptr) unsafe.Pointer

//go:linkname programMain main.main
func programMain()

// A guest is built as a library, which has this function in place of its start.
//
//go:wasmexport wasi:cli/run@0.2.12#run
func run() int32 {
	programMain()
	return 0
}

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
	return Allocate(size, align)
}

//go:linkname nanotime runtime.nanotime
func nanotime() int64

// When the next timer is due, far away if there is none.
//
//go:linkname timeSleepUntil runtime.timeSleepUntil
func timeSleepUntil() int64

var runnable = []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}}

// Idle returns for how many nanoseconds no other goroutine has anything to do: none if one
// could run now, and -1 if that is for ever.
func Idle() int64 {
	metrics.Read(runnable)
	if runnable[0].Value.Uint64() > 0 {
		return 0
	}
	const century = 100 * 365 * 24 * 3600 * 1_000_000_000
	due := timeSleepUntil()
	if due > century {
		return -1
	}
	return max(due-nanotime(), 0)
}
