package posixipc

// A pollable that is ready after some nanoseconds.
//
//go:wasmimport wasi:clocks/monotonic-clock@0.2.12 subscribe-duration
func subscribeDuration(nanoseconds uint64) int32
