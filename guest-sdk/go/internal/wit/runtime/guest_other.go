//go:build !wasm

package runtime

import "unsafe"

func sbrk(uintptr) unsafe.Pointer {
	panic("posixipc: this program is for the sandbox; build it with guest-sdk/go/posix-ipc-go")
}

// Idle is for guests.
func Idle() int64 { return -1 }
