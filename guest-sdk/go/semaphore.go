package posixipc

import (
	"io/fs"
	"time"

	raw "posixipc/internal/bindings/imports/posix_ipc_semaphore"
)

// Semaphore is a named counting semaphore, shared with native programs. Its value counts
// what is there to take.
type Semaphore struct {
	raw  *raw.Semaphore
	name string
}

// OpenSemaphore opens a semaphore, and with [Create] makes it if it does not exist; perm
// and initial, its value, are for a new one. sem_open.
func OpenSemaphore(name string, flag Flag, perm fs.FileMode, initial uint32) (*Semaphore, error) {
	opened, err := value(enter("open"), name, raw.SemaphoreOpen(name, uint8(flag), mode(perm), initial))
	if err != nil {
		return nil, err
	}
	return &Semaphore{opened, name}, nil
}

// NewSemaphore makes a semaphore under a name that nobody has: the prefix, which starts
// with a slash, and random letters and digits behind it.
func NewSemaphore(prefix string, perm fs.FileMode, initial uint32) (*Semaphore, error) {
	opened, err := value(enter("create"), prefix, raw.SemaphoreCreateUnique(prefix, mode(perm), initial))
	if err != nil {
		return nil, err
	}
	return &Semaphore{opened, text(opened.Name)}, nil
}

// UnlinkSemaphore removes the name. The semaphore goes when its last handle is closed.
// sem_unlink.
func UnlinkSemaphore(name string) error {
	return done(enter("unlink"), name, raw.Unlink(name))
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
func (s *Semaphore) Acquire() error {
	return done(enter("acquire"), s.name, s.raw.Acquire(forever))
}

// AcquireTimeout is Acquire that fails with [ErrTimedOut] after some time. sem_timedwait.
func (s *Semaphore) AcquireTimeout(timeout time.Duration) error {
	return notBusy(done(enter("acquire"), s.name, s.raw.Acquire(atMost(timeout))))
}

// TryAcquire takes one if there is one, and says whether it did. sem_trywait.
func (s *Semaphore) TryAcquire() (bool, error) {
	return unlessBusy(done(enter("acquire"), s.name, s.raw.TryAcquire()))
}

// Release gives one back, or adds one. sem_post.
func (s *Semaphore) Release() error {
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
	s.raw.Drop()
	return nil
}
