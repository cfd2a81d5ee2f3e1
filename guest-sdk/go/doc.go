// Package posixipc gives a WebAssembly component guest the named semaphores, shared memory
// and message queues of the machine: the same objects that native programs beside it use,
// as far as its host has granted them by name.
//
// A name starts with a slash and has no other, as in "/jobs". Every name that is not
// granted, and every other use of one that is, fails with [ErrNotPermitted], whether or
// not there is such an object.
//
// Close closes a handle; the object stays until its name is unlinked and its last handle
// is closed. Names that the guest created are unlinked by the host when the guest ends,
// unless it was told to keep them. A handle that is not closed is closed when it is
// collected. The use of a handle after Close panics.
//
// Calls without a timeout wait for ever, and the timeouts of the others are measured on
// the monotonic clock. While a goroutine waits, others run, and timers fire. To wait for
// several things at once, use [Poll].
package posixipc
