//go:build direct && wasm

package posixipc

import "unsafe"

// The calls by the number of an object, which take half the time, never wait, and do not
// say why something was not done. Hosts have to offer the unstable interface `direct`.
type number uint32

const direct = true

//go:wasmimport posix:ipc/direct@0.1.0 semaphore-number
//go:noescape
func semaphoreNumber(handle int32) number

//go:wasmimport posix:ipc/direct@0.1.0 segment-number
//go:noescape
func segmentNumber(handle int32) number

//go:wasmimport posix:ipc/direct@0.1.0 queue-number
//go:noescape
func queueNumber(handle int32) number

//go:wasmimport posix:ipc/direct@0.1.0 release
//go:noescape
func directRelease(semaphore number) int32

//go:wasmimport posix:ipc/direct@0.1.0 try-acquire
//go:noescape
func directTryAcquire(semaphore number) int32

//go:wasmimport posix:ipc/direct@0.1.0 read-into
//go:noescape
func directReadInto(segment number, offset uint64, buffer unsafe.Pointer, length uint32) int64

//go:wasmimport posix:ipc/direct@0.1.0 write
//go:noescape
func directWrite(segment number, offset uint64, data unsafe.Pointer, length uint32) int32

//go:wasmimport posix:ipc/direct@0.1.0 send
//go:noescape
func directSend(queue number, payload unsafe.Pointer, length uint32, priority uint32) int32

//go:wasmimport posix:ipc/direct@0.1.0 receive-into
//go:noescape
func directReceiveInto(queue number, buffer unsafe.Pointer, length uint32) int64

// The handle is only looked at: to use one that is closed panics.

func (n number) release(_ int32) bool { return directRelease(n) != 0 }

func (n number) tryAcquire(_ int32) bool { return directTryAcquire(n) != 0 }

func (n number) readInto(_ int32, offset uint64, buffer []byte) (int, bool) {
	read := directReadInto(n, offset, unsafe.Pointer(unsafe.SliceData(buffer)), uint32(len(buffer)))
	return int(read), read >= 0
}

func (n number) write(_ int32, offset uint64, data []byte) bool {
	return directWrite(n, offset, unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data))) != 0
}

func (n number) send(_ int32, payload []byte, priority uint32) bool {
	return directSend(n, unsafe.Pointer(unsafe.SliceData(payload)), uint32(len(payload)), priority) != 0
}

// receiveInto needs a buffer for the longest message of the queue.
func (n number) receiveInto(_ int32, buffer []byte) (length int, priority uint32, ok bool) {
	received := directReceiveInto(n, unsafe.Pointer(unsafe.SliceData(buffer)), uint32(len(buffer)))
	return int(uint32(received)), uint32(received >> 32), received >= 0
}
