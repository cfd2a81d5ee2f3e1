package posixipc

import (
	"context"
	"errors"
	"math"
	goruntime "runtime"
	"slices"
	"time"

	wasi "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/bindings/imports/wasi_io_poll"
	"github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/wit/runtime"
	wit "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/wit/types"
)

// How goroutines wait. There is one thread: while it is in the host, no goroutine runs, and
// Go's runtime does not know what the host could wake it for. So of all goroutines that wait
// one leads: it lets the others run until none of them can, and only then waits in the host,
// for itself and for all who follow, until the next timer is due. The others are parked, and
// are woken to try again.

// limit is what ends a wait: a context, a time, or neither.
type limit struct {
	ctx     context.Context
	timed   bool
	timeout time.Duration
}

// forever is a wait without an end.
var forever = limit{}

// atMost ends a wait after a time. One that is not positive does not wait.
func atMost(timeout time.Duration) limit { return limit{timed: true, timeout: timeout} }

// until ends a wait when a context is done.
func until(ctx context.Context) limit { return limit{ctx: ctx} }

// noEnd is the longest time.
const noEnd = time.Duration(math.MaxInt64)

// The longest that the host waits for something while there is also something to wait for
// of which it cannot tell.
const slice = time.Millisecond

// first makes a call that does not wait, unless the context is done.
func (l limit) first(call func(time.Duration) error) error {
	if l.ctx != nil && l.ctx.Err() != nil {
		return l.ctx.Err()
	}
	err := call(0)
	if !hasToWait(err) {
		turn()
	}
	return err
}

// operation is a call of the host that has to wait.
type operation struct {
	op, name string
	// attempt makes the call. It waits for some time at most, and fails with ErrBusy or
	// ErrTimedOut if it has to go on.
	attempt func(most time.Duration) error
	// subscribe gives what to wait for while somebody else leads. Without it, and without
	// pollables, the call is tried again and again.
	subscribe func() (*Pollable, error)
	// pollables is what to wait for if it is there already.
	pollables []*Pollable
	// closed is set when somebody closes the object.
	closed *bool
}

// sources gives what to wait for, and a function that frees it.
func (o operation) sources() ([]*Pollable, func(), error) {
	if o.subscribe == nil {
		return o.pollables, func() {}, nil
	}
	pollable, err := o.subscribe()
	if err != nil {
		return nil, nil, err
	}
	return []*Pollable{pollable}, func() { pollable.Close() }, nil
}

// follower is a goroutine that is parked while another one leads.
type follower struct {
	sources []*Pollable
	// Has room for the one value that is sent, by who takes it out of the list.
	wake chan struct{}
}

var (
	// Whether there is a goroutine that leads.
	leading   bool
	followers []*follower
)

// wait makes a call that failed with ErrBusy until it need not go on, and keeps no other
// goroutine from running.
func (l limit) wait(err error, call operation) error {
	if l.timed && l.timeout <= 0 {
		goruntime.Gosched()
		return timedOut(err)
	}
	var deadline time.Time
	if l.timed {
		deadline = time.Now().Add(l.timeout)
	}
	// Somebody leads as long as somebody follows.
	defer func() {
		if !leading && len(followers) > 0 {
			wake(followers[0])
		}
	}()
	for hasToWait(err) {
		if leading {
			err = l.follow(call, deadline)
		} else {
			err = l.lead(call, deadline)
		}
	}
	if err == errPassed {
		return &Error{Op: call.op, Name: call.name, Err: ErrTimedOut}
	}
	return err
}

var errPassed = errors.New("the time is up")

// over is the error of a wait that nothing can come of any more.
func (l limit) over(call operation) error {
	if l.ctx != nil && l.ctx.Err() != nil {
		return l.ctx.Err()
	}
	if call.closed != nil && *call.closed {
		return &Error{Op: call.op, Name: call.name, Err: ErrClosed, Detail: "closed while a goroutine waited"}
	}
	return nil
}

// follow parks until what the call waits for is there, or nobody leads any more.
func (l limit) follow(call operation, deadline time.Time) error {
	sources, free, err := call.sources()
	if err != nil {
		return err
	}
	defer free()
	var done <-chan struct{}
	if l.ctx != nil {
		done = l.ctx.Done()
	}
	var passed <-chan time.Time
	if l.timed {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		passed = timer.C
	}
	self := &follower{sources, make(chan struct{}, 1)}
	followers = append(followers, self)
	select {
	case <-self.wake:
	case <-done:
	case <-passed:
	}
	followers = without(followers, self)
	if err := l.over(call); err != nil {
		return err
	}
	err = call.attempt(0)
	if hasToWait(err) && l.timed && !time.Now().Before(deadline) {
		return errPassed
	}
	return err
}

// lead waits in the host, for all, until the call need not go on.
func (l limit) lead(call operation, deadline time.Time) error {
	leading = true
	defer func() { leading = false }()
	var own []*Pollable
	free := func() {}
	defer func() { free() }()
	for {
		// Whoever can run does. It may come to wait too.
		goruntime.Gosched()
		if err := l.over(call); err != nil {
			return err
		}
		most := noEnd
		if idle := runtime.Idle(); idle >= 0 {
			most = time.Duration(idle)
		}
		if l.timed {
			most = min(most, max(time.Until(deadline), 0))
		}
		if len(followers) > 0 && own == nil {
			var err error
			if own, free, err = call.sources(); err != nil {
				free = func() {}
				return err
			}
		}
		err := error(ErrBusy)
		switch {
		case len(followers) == 0:
			err = call.attempt(most)
		case len(own) == 0:
			err = call.attempt(min(most, slice))
			waitForAll(nil, 0)
		case waitForAll(own, most):
			err = call.attempt(0)
		}
		if !hasToWait(err) {
			return err
		}
		if l.timed && !time.Now().Before(deadline) {
			return errPassed
		}
	}
}

// waitForAll waits for what the followers wait for, and wakes those for whom something is
// there. It says whether something is for who leads.
func waitForAll(own []*Pollable, most time.Duration) (ready bool) {
	all := slices.Clone(own)
	of := make([]*follower, len(own))
	for _, follower := range slices.Clone(followers) {
		if len(follower.sources) == 0 {
			// Nobody can tell: it is to look itself, again and again.
			most = min(most, slice)
			defer wake(follower)
		}
		for _, source := range follower.sources {
			if source.closed {
				wake(follower)
				return false
			}
			all, of = append(all, source), append(of, follower)
		}
	}
	for _, i := range poll(all, most) {
		if of[i] == nil {
			ready = true
		} else if slices.Contains(followers, of[i]) {
			wake(of[i])
		}
	}
	return ready
}

func wake(f *follower) {
	followers = without(followers, f)
	f.wake <- struct{}{}
}

func without(all []*follower, one *follower) []*follower {
	return slices.DeleteFunc(all, func(f *follower) bool { return f == one })
}

// poll waits for pollables, and returns the indices of those that are ready.
func poll(pollables []*Pollable, most time.Duration) (indices []int) {
	all := make([]*wasi.Pollable, len(pollables), len(pollables)+1)
	for i, p := range pollables {
		all[i] = p.raw
	}
	if most < noEnd {
		timer := wasi.PollableFromOwnHandle(subscribeDuration(uint64(most)))
		defer timer.Drop()
		all = append(all, timer)
	}
	runtime.Enter()
	defer runtime.Leave()
	for _, index := range wasi.Poll(all) {
		if int(index) < len(pollables) {
			indices = append(indices, int(index))
		}
	}
	return indices
}

// nanoseconds is a time as the host wants it: none for one without an end.
func nanoseconds(most time.Duration) wit.Option[uint64] {
	if most == noEnd {
		return wit.None[uint64]()
	}
	return wit.Some(uint64(most))
}

// How many calls in a row may do without a wait until others have their turn: a goroutine
// that only makes calls would keep them from running for ever.
const row = 64

var calls int

// turn is for calls that did not have to wait.
func turn() {
	if calls++; calls == row {
		calls = 0
		goruntime.Gosched()
	}
}

// hasToWait says whether a call has to go on.
func hasToWait(err error) bool {
	if failed, ok := err.(*Error); ok {
		return failed.Err == ErrBusy || failed.Err == ErrTimedOut
	}
	return err == ErrBusy
}

// timedOut is for the calls with a timeout, of which one of 0 fails with [ErrTimedOut] too.
func timedOut(err error) error {
	if failed, ok := err.(*Error); ok && failed.Err == ErrBusy {
		failed.Err = ErrTimedOut
	}
	return err
}

// unlessBusy is for the calls that do not wait: false in place of [ErrBusy].
func unlessBusy(err error) (bool, error) {
	if failed, ok := err.(*Error); ok && failed.Err == ErrBusy {
		// Who tries again until it works must not keep others from running.
		goruntime.Gosched()
		return false, nil
	}
	turn()
	return err == nil, err
}
