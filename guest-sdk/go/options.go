package posixipc

import (
	"fmt"
	"io/fs"

	types "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/bindings/imports/posix_ipc_types"
)

// SemaphoreOption is what [OpenSemaphore] and [NewUniqueSemaphore] take: a [Flag], a [Mode]
// or a [Value].
type SemaphoreOption interface{ semaphore(*options) }

// SegmentOption is what [OpenSegment] and [NewUniqueSegment] take: a [Flag], a [Mode], an
// [Access] or a [Size].
type SegmentOption interface{ segment(*options) }

// QueueOption is what [OpenQueue] and [NewUniqueQueue] take: a [Flag], a [Mode], an [Access]
// or [QueueLimits].
type QueueOption interface{ queue(*options) }

// Flag says how to open an object, which must exist if no flag says otherwise. Flags can be
// combined: Create|Truncate. The values are not those of package os.
type Flag uint8

const (
	// Create makes the object if it does not exist. O_CREAT.
	Create = Flag(types.OpenFlags_Create)
	// CreateNew makes the object, and fails with [ErrExists] if it exists. O_CREAT|O_EXCL.
	CreateNew = Create | Flag(types.OpenFlags_Exclusive)
	// Truncate cuts an existing segment to size 0. O_TRUNC.
	Truncate = Flag(types.OpenFlags_Truncate)
)

// Mode is the permission bits of a new object, 0600 if none are given.
type Mode fs.FileMode

// Value is the value of a new semaphore, 0 if none is given.
type Value uint32

// Size is the size in bytes that a segment gets when it is opened, whether it is a new one
// or not. ftruncate.
type Size int64

// Access is the directions that an object is opened for, both if none is given.
type Access uint8

const (
	// ReadOnly is to read a segment, or to receive from a queue.
	ReadOnly = Access(types.Access_Read)
	// WriteOnly is to send to a queue. A segment cannot be opened so.
	WriteOnly = Access(types.Access_Write)
	// ReadWrite is both.
	ReadWrite = Access(types.Access_ReadWrite)
)

// QueueLimits is the size of a queue, which is fixed when it is made: the system's own for
// a new queue for which none is given.
type QueueLimits struct {
	// MaxMessages is how many messages it holds.
	MaxMessages uint32
	// MaxMessageSize is how many bytes one message has at most.
	MaxMessageSize uint32
}

func (f Flag) semaphore(o *options) { o.flag |= f }
func (f Flag) segment(o *options)   { o.flag |= f }
func (f Flag) queue(o *options)     { o.flag |= f }

func (m Mode) semaphore(o *options) { o.mode = uint32(fs.FileMode(m).Perm()) }
func (m Mode) segment(o *options)   { o.mode = uint32(fs.FileMode(m).Perm()) }
func (m Mode) queue(o *options)     { o.mode = uint32(fs.FileMode(m).Perm()) }

func (v Value) semaphore(o *options) { o.value = uint32(v) }

func (s Size) segment(o *options) { o.size = &s }

func (a Access) segment(o *options) { o.access = a }
func (a Access) queue(o *options)   { o.access = a }

func (l QueueLimits) queue(o *options) { o.limits = &l }

// options is all that is asked of opening an object.
type options struct {
	flag   Flag
	mode   uint32
	value  uint32
	access Access
	size   *Size
	limits *QueueLimits
}

func collect[O any](given []O, apply func(O, *options)) options {
	o := options{mode: 0o600, access: ReadWrite}
	for _, option := range given {
		apply(option, &o)
	}
	return o
}

// unique checks the options of an object whose name nobody has.
func (o options) unique(prefix string) error {
	if o.flag != 0 {
		return invalid("create", prefix, "a unique object is always a new one: leave the flags out")
	}
	if o.access != ReadWrite {
		return invalid("create", prefix, "a unique object is open for both directions: leave the access out")
	}
	return nil
}

func (s Size) check(op, name string) error {
	if s < 0 {
		return invalid(op, name, fmt.Sprintf("the size %d is negative", s))
	}
	return nil
}
