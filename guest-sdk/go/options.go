package posixipc

import (
	"io/fs"
	"math"
	"time"

	types "posixipc/internal/bindings/imports/posix_ipc_types"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Flag says how to open an object. The values are not those of package os.
type Flag uint8

const (
	// Create makes the object if it does not exist. O_CREAT.
	Create = Flag(types.OpenFlags_Create)
	// Exclusive, with Create, fails with [ErrExists] if it does. O_EXCL.
	Exclusive = Flag(types.OpenFlags_Exclusive)
	// Truncate cuts an existing segment to size 0. O_TRUNC.
	Truncate = Flag(types.OpenFlags_Truncate)
)

// Access is the directions that an object is opened for.
type Access uint8

const (
	// ReadOnly is to read a segment, or to receive from a queue.
	ReadOnly = Access(types.Access_Read)
	// WriteOnly is to send to a queue. A segment cannot be opened so.
	WriteOnly = Access(types.Access_Write)
	// ReadWrite is both.
	ReadWrite = Access(types.Access_ReadWrite)
)

func mode(perm fs.FileMode) uint32 { return uint32(perm.Perm()) }

// forever is a wait without an end.
var forever = wit.None[uint64]()

// atMost makes nanoseconds of a timeout. A negative one does not wait.
func atMost(timeout time.Duration) wit.Option[uint64] {
	return wit.Some(uint64(max(timeout, 0)))
}

// clamp makes a size of the host's one of Go's.
func clamp(size uint64) int64 {
	return int64(min(size, math.MaxInt64))
}
