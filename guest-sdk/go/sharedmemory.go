package posixipc

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math"
	"time"

	mappings "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/bindings/imports/posix_ipc_mappings"
	raw "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/bindings/imports/posix_ipc_shared_memory"
	types "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/bindings/imports/posix_ipc_types"
	wit "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/wit/types"
)

// Segment is an object of shared memory. It is an [io.ReaderAt] and an [io.WriterAt].
//
// Others may change the bytes, and the size, at any time. Reads and writes copy, and
// concurrent ones can tear each other; the atomics cannot be torn.
type Segment struct {
	raw    *raw.Segment
	name   string
	number number
	closed bool
}

// OpenSegment opens a segment, which must exist unless an option is [Create] or [CreateNew].
// A new one has the size 0 unless an option is its [Size]. shm_open and ftruncate.
func OpenSegment(name string, options ...SegmentOption) (*Segment, error) {
	o := collect(options, SegmentOption.segment)
	size := wit.None[uint64]()
	if o.size != nil {
		if err := o.size.check("open", name); err != nil {
			return nil, err
		}
		size = wit.Some(uint64(*o.size))
	}
	opened, err := value(enter("open"), name, raw.SegmentOpen(name, uint8(o.flag), o.mode, size, uint8(o.access)))
	if err != nil {
		return nil, explained(err)
	}
	return &Segment{raw: opened, name: name, number: segmentNumber(opened.Handle())}, nil
}

// NewUniqueSegment makes a segment under a name that nobody has: the prefix, which starts
// with a slash, and random letters and digits behind it.
func NewUniqueSegment(prefix string, options ...SegmentOption) (*Segment, error) {
	o := collect(options, SegmentOption.segment)
	if err := o.unique(prefix); err != nil {
		return nil, err
	}
	size := uint64(0)
	if o.size != nil {
		if err := o.size.check("create", prefix); err != nil {
			return nil, err
		}
		size = uint64(*o.size)
	}
	opened, err := value(enter("create"), prefix, raw.SegmentCreateUnique(prefix, o.mode, size))
	if err != nil {
		return nil, explained(err)
	}
	return &Segment{raw: opened, name: text(opened.Name), number: segmentNumber(opened.Handle())}, nil
}

// UnlinkSegment removes the name. The memory goes when its last handle is closed.
// shm_unlink.
func UnlinkSegment(name string) error {
	return explained(done(enter("unlink"), name, raw.Unlink(name)))
}

// Name returns the name under which the guest knows it.
func (s *Segment) Name() string { return s.name }

// Mode returns the permission bits.
func (s *Segment) Mode() (fs.FileMode, error) {
	bits, err := value(enter("mode"), s.name, s.raw.Mode())
	return fs.FileMode(bits), err
}

// Size returns the size in bytes.
func (s *Segment) Size() (int64, error) {
	size, err := value(enter("size"), s.name, s.raw.Size())
	return clamp(size), err
}

// Truncate sets the size in bytes; new bytes are zero. ftruncate.
func (s *Segment) Truncate(size int64) error {
	if err := Size(size).check("truncate", s.name); err != nil {
		return err
	}
	return done(enter("truncate"), s.name, s.raw.Resize(uint64(size)))
}

// ReadAt fills the buffer from an offset. It returns fewer bytes only together with an
// error: [io.EOF] where the segment ends.
func (s *Segment) ReadAt(buffer []byte, offset int64) (int, error) {
	if err := checkOffset("read", s.name, offset); err != nil {
		return 0, err
	}
	n := 0
	for n < len(buffer) {
		read, err := s.read(buffer[n:], uint64(offset)+uint64(n))
		if err != nil {
			return n, err
		}
		if read == 0 {
			return n, io.EOF
		}
		n += read
	}
	return n, nil
}

// The host copies at least this much with one call.
const longestRead = 1 << 20

func (s *Segment) read(buffer []byte, offset uint64) (int, error) {
	if read, ok := s.number.readInto(s.raw.Handle(), offset, buffer); ok {
		return read, nil
	}
	op := enter("read")
	read := s.raw.Read(offset, min(uint64(len(buffer)), longestRead))
	return copied(op, s.name, read, func(bytes []byte) int { return copy(buffer, bytes) })
}

// WriteAt writes bytes at an offset. A segment never grows by it: if it is too short,
// nothing past its end is written, and the error is [ErrTruncated].
func (s *Segment) WriteAt(bytes []byte, offset int64) (int, error) {
	if err := checkOffset("write", s.name, offset); err != nil {
		return 0, err
	}
	if s.number.write(s.raw.Handle(), uint64(offset), bytes) {
		return len(bytes), nil
	}
	if err := done(enter("write"), s.name, s.raw.Write(uint64(offset), bytes)); err != nil {
		return 0, err
	}
	return len(bytes), nil
}

// ReadInto has the host copy straight into the buffer, which saves a copy, and returns how
// many bytes. Where the guest may run inside of another component that provides this
// interface, use ReadAt: such a one receives a copy of the buffer.
func (s *Segment) ReadInto(buffer []byte, offset int64) (int, error) {
	if err := checkOffset("read", s.name, offset); err != nil {
		return 0, err
	}
	n, err := value(enter("read"), s.name, s.raw.ReadInto(uint64(offset), buffer))
	return int(n), err
}

func checkOffset(op, name string, offset int64) error {
	if offset < 0 {
		return invalid(op, name, fmt.Sprintf("the offset %d is negative", offset))
	}
	return nil
}

// Map asks for a part of the segment in the guest's address range. The offset is a
// multiple of the page size.
func (s *Segment) Map(offset, length int64, access Access) (*Mapping, error) {
	if offset < 0 || length < 0 {
		return nil, invalid("map", s.name, fmt.Sprintf("the range of %d bytes at %d is negative", length, offset))
	}
	return mapping(enter("map"), s.name, s.raw.Map(probe, uint64(offset), uint64(length), uint8(access)))
}

// Close closes the handle.
func (s *Segment) Close() error {
	s.closed = true
	s.raw.Drop()
	return nil
}

// Uint32 is the 32-bit word at an offset, which is a multiple of 4. Its operations are
// atomic and sequentially consistent, native programs included.
func (s *Segment) Uint32(offset int64) Uint32 { return Uint32{s, uint64(offset)} }

// Uint64 is the 64-bit word at an offset, which is a multiple of 8.
func (s *Segment) Uint64(offset int64) Uint64 { return Uint64{s, uint64(offset)} }

// Uint32 is a word of shared memory.
type Uint32 struct {
	s      *Segment
	offset uint64
}

// Load returns the word.
func (w Uint32) Load() (uint32, error) {
	return value(enter("load"), w.s.name, w.s.raw.AtomicLoadU32(w.offset))
}

// Store sets the word.
func (w Uint32) Store(new uint32) error {
	return done(enter("store"), w.s.name, w.s.raw.AtomicStoreU32(w.offset, new))
}

// Add adds, wrapping around, and returns the word as it was before.
func (w Uint32) Add(delta uint32) (old uint32, err error) {
	return w.change(raw.AtomicOperation_Add, delta)
}

// And is a bitwise and, and returns the word as it was before.
func (w Uint32) And(mask uint32) (old uint32, err error) {
	return w.change(raw.AtomicOperation_And, mask)
}

// Or is a bitwise or, and returns the word as it was before.
func (w Uint32) Or(mask uint32) (old uint32, err error) {
	return w.change(raw.AtomicOperation_Or, mask)
}

// Xor is a bitwise exclusive or, and returns the word as it was before.
func (w Uint32) Xor(mask uint32) (old uint32, err error) {
	return w.change(raw.AtomicOperation_Xor, mask)
}

// Swap sets the word and returns it as it was before.
func (w Uint32) Swap(new uint32) (old uint32, err error) {
	return w.change(raw.AtomicOperation_Exchange, new)
}

func (w Uint32) change(operation uint8, operand uint32) (uint32, error) {
	return value(enter("change"), w.s.name, w.s.raw.AtomicRmwU32(w.offset, operation, operand))
}

// CompareAndSwap sets the word if it equals old, and says whether it did.
func (w Uint32) CompareAndSwap(old, new uint32) (bool, error) {
	before, err := value(enter("change"), w.s.name, w.s.raw.AtomicCompareExchangeU32(w.offset, old, new))
	return err == nil && before == old, err
}

// Wait waits while the word has the expected value, until somebody wakes it; false says
// that it had another value, so there was no wait, or that it changed while this goroutine
// waited beside others. Look at the word again after it. FUTEX_WAIT.
func (w Uint32) Wait(expected uint32) (bool, error) {
	return w.wait(expected, forever)
}

// WaitTimeout is Wait that fails with [ErrTimedOut] after some time.
func (w Uint32) WaitTimeout(expected uint32, timeout time.Duration) (bool, error) {
	return w.wait(expected, atMost(timeout))
}

// WaitContext is Wait that fails with the context's error once that is done.
func (w Uint32) WaitContext(ctx context.Context, expected uint32) (bool, error) {
	return w.wait(expected, until(ctx))
}

func (w Uint32) wait(expected uint32, limit limit) (woken bool, err error) {
	attempt := func(most time.Duration) error {
		outcome, err := value(enter("wait"), w.s.name, w.s.raw.Wait(w.offset, expected, nanoseconds(most)))
		woken = err == nil && outcome == raw.WaitOutcome_Woken
		return err
	}
	err = limit.first(attempt)
	if hasToWait(err) {
		err = limit.wait(err, operation{op: "wait", name: w.s.name, attempt: attempt, closed: &w.s.closed})
	}
	return woken, err
}

// Wake wakes up to count of those who wait for the word, guests and native programs, and
// returns how many. Change the word first: who is not asleep at this very moment is not
// woken, and goes by what the word holds. FUTEX_WAKE.
func (w Uint32) Wake(count uint32) (uint32, error) {
	return value(enter("wake"), w.s.name, w.s.raw.Notify(w.offset, count))
}

// WakeAll wakes all of them.
func (w Uint32) WakeAll() (uint32, error) { return w.Wake(math.MaxInt32) }

// Uint64 is a word of shared memory.
type Uint64 struct {
	s      *Segment
	offset uint64
}

// Load returns the word.
func (w Uint64) Load() (uint64, error) {
	return value(enter("load"), w.s.name, w.s.raw.AtomicLoadU64(w.offset))
}

// Store sets the word.
func (w Uint64) Store(new uint64) error {
	return done(enter("store"), w.s.name, w.s.raw.AtomicStoreU64(w.offset, new))
}

// Add adds, wrapping around, and returns the word as it was before.
func (w Uint64) Add(delta uint64) (old uint64, err error) {
	return w.change(raw.AtomicOperation_Add, delta)
}

// And is a bitwise and, and returns the word as it was before.
func (w Uint64) And(mask uint64) (old uint64, err error) {
	return w.change(raw.AtomicOperation_And, mask)
}

// Or is a bitwise or, and returns the word as it was before.
func (w Uint64) Or(mask uint64) (old uint64, err error) {
	return w.change(raw.AtomicOperation_Or, mask)
}

// Xor is a bitwise exclusive or, and returns the word as it was before.
func (w Uint64) Xor(mask uint64) (old uint64, err error) {
	return w.change(raw.AtomicOperation_Xor, mask)
}

// Swap sets the word and returns it as it was before.
func (w Uint64) Swap(new uint64) (old uint64, err error) {
	return w.change(raw.AtomicOperation_Exchange, new)
}

func (w Uint64) change(operation uint8, operand uint64) (uint64, error) {
	return value(enter("change"), w.s.name, w.s.raw.AtomicRmwU64(w.offset, operation, operand))
}

// CompareAndSwap sets the word if it equals old, and says whether it did.
func (w Uint64) CompareAndSwap(old, new uint64) (bool, error) {
	before, err := value(enter("change"), w.s.name, w.s.raw.AtomicCompareExchangeU64(w.offset, old, new))
	return err == nil && before == old, err
}

// Mapping is a range of guest addresses that is an object's own memory. Only loads, stores
// and atomics reach it: what copies in bulk, as copy and append do, and calls that are
// given a part of it, end the guest. Nor does Go's collector know of it.
type Mapping struct {
	raw *mappings.Mapping
}

// The host takes from this byte which memory is meant.
var probe = []byte{0}

func mapping(op, name string, result wit.Result[*mappings.Mapping, types.ErrorCode]) (*Mapping, error) {
	mapped, err := value(op, name, result)
	if err != nil {
		return nil, err
	}
	return &Mapping{mapped}, nil
}

// Address is the address of the first byte.
func (w *Mapping) Address() uintptr { return uintptr(w.raw.Address()) }

// Len is the length in bytes.
func (w *Mapping) Len() int { return int(w.raw.Length()) }

// Close unmaps it. An access after that ends the guest.
func (w *Mapping) Close() error {
	w.raw.Drop()
	return nil
}

var (
	_ io.ReaderAt = (*Segment)(nil)
	_ io.WriterAt = (*Segment)(nil)
)

// clamp makes a size of the host's one of Go's.
func clamp(size uint64) int64 {
	return int64(min(size, math.MaxInt64))
}
