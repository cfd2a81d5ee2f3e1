package posixipc

import (
	"context"
	"io/fs"
	"time"

	raw "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/bindings/imports/posix_ipc_semaphore"
)

// Semaphore is a named counting semaphore, shared with native programs. Its value counts
// what is there to take.
type Semaphore struct {
	raw    *raw.Semaphore
	name   string
	number number
	closed bool
}

// OpenSemaphore opens a semaphore, which must exist unless an option is [Create] or
// [CreateNew]. sem_open.
func OpenSemaphore(name string, options ...SemaphoreOption) (*Semaphore, error) {
	o := collect(options, SemaphoreOption.semaphore)
	opened, err := value(enter("open"), name, raw.SemaphoreOpen(name, uint8(o.flag), o.mode, o.value))
	if err != nil {
		return nil, explained(err)
	}
	return &Semaphore{raw: opened, name: name, number: semaphoreNumber(opened.Handle())}, nil
}

// NewUniqueSemaphore makes a semaphore under a name that nobody has: the prefix, which
// starts with a slash, and random letters and digits behind it.
func NewUniqueSemaphore(prefix string, options ...SemaphoreOption) (*Semaphore, error) {
	o := collect(options, SemaphoreOption.semaphore)
	if err := o.unique(prefix); err != nil {
		return nil, err
	}
	opened, err := value(enter("create"), prefix, raw.SemaphoreCreateUnique(prefix, o.mode, o.value))
	if err != nil {
		return nil, explained(err)
	}
	return &Semaphore{raw: opened, name: text(opened.Name), number: semaphoreNumber(opened.Handle())}, nil
}

// UnlinkSemaphore removes the name. The semaphore goes when its last handle is closed.
// sem_unlink.
func UnlinkSemaphore(name string) error {
	return explained(done(enter("unlink"), name, raw.Unlink(name)))
}

// Name returns the name under which the guest knows it.
func (s *Semaphore) Name() string { return s.name }

// Mode returns the permission bits that it had when it was opened.
func (s *Semaphore) Mode() fs.FileMode { return fs.FileMode(s.raw.Mode()) }

// Value returns the value, which others may change at any time: good for a display, not
// for a decision. sem_getvalue.
func (s *Semaphore) Value() (uint32, error) {
	return value(enter("value"), s.name, s.raw.Value())
}

// Acquire takes one, and waits until there is one. sem_wait.
func (s *Semaphore) Acquire() error { return s.acquire(forever) }

// AcquireTimeout is Acquire that fails with [ErrTimedOut] after some time. sem_timedwait.
func (s *Semaphore) AcquireTimeout(timeout time.Duration) error {
	return s.acquire(atMost(timeout))
}

// AcquireContext is Acquire that fails with the context's error once that is done.
func (s *Semaphore) AcquireContext(ctx context.Context) error {
	return s.acquire(until(ctx))
}

func (s *Semaphore) acquire(limit limit) error {
	err := limit.first(func(time.Duration) error {
		if s.number.tryAcquire(s.raw.Handle()) {
			return nil
		}
		return s.attempt(0)
	})
	if !hasToWait(err) {
		return err
	}
	return limit.wait(err, operation{
		op: "acquire", name: s.name, attempt: s.attempt, subscribe: s.Subscribe, closed: &s.closed,
	})
}

func (s *Semaphore) attempt(most time.Duration) error {
	return done(enter("acquire"), s.name, s.raw.Acquire(nanoseconds(most)))
}

// TryAcquire takes one if there is one, and says whether it did. sem_trywait.
func (s *Semaphore) TryAcquire() (bool, error) {
	if s.number.tryAcquire(s.raw.Handle()) {
		turn()
		return true, nil
	}
	return unlessBusy(done(enter("acquire"), s.name, s.raw.TryAcquire()))
}

// Release gives one back, or adds one. sem_post.
func (s *Semaphore) Release() error {
	if s.number.release(s.raw.Handle()) {
		return nil
	}
	return done(enter("release"), s.name, s.raw.Release())
}

// Do calls a function between Acquire and Release.
func (s *Semaphore) Do(function func() error) (err error) {
	if err := s.Acquire(); err != nil {
		return err
	}
	defer func() {
		if released := s.Release(); err == nil {
			err = released
		}
	}()
	return function()
}

// Subscribe returns what is ready while the value is above 0. Being ready takes nothing:
// follow it with TryAcquire.
func (s *Semaphore) Subscribe() (*Pollable, error) {
	return pollable(enter("subscribe"), s.name, s.raw.Subscribe())
}

// Map asks for the semaphore's memory page in the guest's address range.
func (s *Semaphore) Map() (*Mapping, error) {
	return mapping(enter("map"), s.name, s.raw.Map(probe))
}

// Close closes the handle. sem_close.
func (s *Semaphore) Close() error {
	s.closed = true
	s.raw.Drop()
	return nil
}
