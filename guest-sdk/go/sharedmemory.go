package posixipc

import (
	"io"
	"io/fs"
	"math"
	"time"

	raw "posixipc/internal/bindings/imports/posix_ipc_shared_memory"
	types "posixipc/internal/bindings/imports/posix_ipc_types"
	mappings "posixipc/internal/bindings/imports/posix_ipc_mappings"
	"posixipc/internal/wit/runtime"
	wit "posixipc/internal/wit/types"
)

// Segment is an object of shared memory. It is an [io.ReaderAt] and an [io.WriterAt].
//
// Others may change the bytes, and the size, at any time. Reads and writes copy, and
// concurrent ones can tear each other; the atomics cannot be torn.
type Segment struct {
	raw  *raw.Segment
	name string
}

// OpenSegment opens a segment, and with [Create] makes it, of size 0, if it does not
// exist; perm is for a new one. shm_open.
func OpenSegment(name string, flag Flag, perm fs.FileMode, access Access) (*Segment, error) {
	return openSegment(name, flag, perm, wit.None[uint64](), access)
}

// OpenSegmentSize is OpenSegment and sets the size, of a new segment and of an old one.
// shm_open and ftruncate.
func OpenSegmentSize(name string, flag Flag, perm fs.FileMode, size int64) (*Segment, error) {
	if size < 0 {
		return nil, &Error{Op: "open", Name: name, Err: ErrInvalid}
	}
	return openSegment(name, flag, perm, wit.Some(uint64(size)), ReadWrite)
}

func openSegment(name string, flag Flag, perm fs.FileMode, size wit.Option[uint64], access Access) (*Segment, error) {
	opened, err := value(enter("open"), name, raw.SegmentOpen(name, uint8(flag), mode(perm), size, uint8(access)))
	if err != nil {
		return nil, err
	}
	return &Segment{opened, name}, nil
}

// NewSegment makes a segment under a name that nobody has: the prefix, which starts with a
// slash, and random letters and digits behind it.
func NewSegment(prefix string, perm fs.FileMode, size int64) (*Segment, error) {
	if size < 0 {
		return nil, &Error{Op: "create", Name: prefix, Err: ErrInvalid}
	}
	opened, err := value(enter("create"), prefix, raw.SegmentCreateUnique(prefix, mode(perm), uint64(size)))
	if err != nil {
		return nil, err
	}
	return &Segment{opened, text(opened.Name)}, nil
}

// UnlinkSegment removes the name. The memory goes when its last handle is closed.
// shm_unlink.
func UnlinkSegment(name string) error {
	return done(enter("unlink"), name, raw.Unlink(name))
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
	if size < 0 {
		return &Error{Op: "truncate", Name: s.name, Err: ErrInvalid}
	}
	return done(enter("truncate"), s.name, s.raw.Resize(uint64(size)))
}

// ReadAt fills the buffer from an offset. It returns fewer bytes only together with an
// error: [io.EOF] where the segment ends.
func (s *Segment) ReadAt(buffer []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, &Error{Op: "read", Name: s.name, Err: ErrInvalid}
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
	runtime.Enter()
	defer runtime.Leave()
	result := s.raw.Read(offset, min(uint64(len(buffer)), longestRead))
	if result.IsErr() {
		return 0, failure("read", s.name, result.Err())
	}
	return copy(buffer, result.Ok()), nil
}

// WriteAt writes bytes at an offset. A segment never grows by it: if it is too short,
// nothing past its end is written, and the error is [ErrTruncated].
func (s *Segment) WriteAt(bytes []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, &Error{Op: "write", Name: s.name, Err: ErrInvalid}
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
	if offset < 0 {
		return 0, &Error{Op: "read", Name: s.name, Err: ErrInvalid}
	}
	n, err := value(enter("read"), s.name, s.raw.ReadInto(uint64(offset), buffer))
	return int(n), err
}

// Map asks for a part of the segment in the guest's address range. The offset is a
// multiple of the page size.
func (s *Segment) Map(offset, length int64, access Access) (*Mapping, error) {
	if offset < 0 || length < 0 {
		return nil, &Error{Op: "map", Name: s.name, Err: ErrInvalid}
	}
	return mapping(enter("map"), s.name, s.raw.Map(probe, uint64(offset), uint64(length), uint8(access)))
}

// Close closes the handle.
func (s *Segment) Close() error {
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
// that it had another value, so there was no wait. Look at the word again after it.
// FUTEX_WAIT.
func (w Uint32) Wait(expected uint32) (bool, error) {
	return w.wait(expected, forever)
}

// WaitTimeout is Wait that fails with [ErrTimedOut] after some time.
func (w Uint32) WaitTimeout(expected uint32, timeout time.Duration) (bool, error) {
	woken, err := w.wait(expected, atMost(timeout))
	return woken, notBusy(err)
}

func (w Uint32) wait(expected uint32, timeout wit.Option[uint64]) (bool, error) {
	outcome, err := value(enter("wait"), w.s.name, w.s.raw.Wait(w.offset, expected, timeout))
	return err == nil && outcome == raw.WaitOutcome_Woken, err
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
