package posixipc

import (
	"context"
	"time"

	types "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/bindings/imports/posix_ipc_types"
	wasi "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/bindings/imports/wasi_io_poll"
	wit "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/wit/types"
)

// Pollable is something to wait for.
type Pollable struct {
	raw    *wasi.Pollable
	closed bool
}

func pollable(op, name string, result wit.Result[*wasi.Pollable, types.ErrorCode]) (*Pollable, error) {
	made, err := value(op, name, result)
	if err != nil {
		return nil, err
	}
	return &Pollable{raw: made}, nil
}

// Ready reports whether it is ready, without waiting.
func (p *Pollable) Ready() bool { return p.raw.Ready() }

// Wait waits until it is ready.
func (p *Pollable) Wait() { Poll(p) }

// Close frees it.
func (p *Pollable) Close() error {
	p.closed = true
	p.raw.Drop()
	return nil
}

// Poll waits until at least one is ready, and returns the indices of all that are.
func Poll(pollables ...*Pollable) []int {
	ready, _ := pollAll(forever, pollables)
	return ready
}

// PollTimeout is Poll that returns nothing if the time is up first.
func PollTimeout(timeout time.Duration, pollables ...*Pollable) []int {
	ready, _ := pollAll(atMost(timeout), pollables)
	return ready
}

// PollContext is Poll that fails with the context's error once that is done.
func PollContext(ctx context.Context, pollables ...*Pollable) ([]int, error) {
	return pollAll(until(ctx), pollables)
}

func pollAll(limit limit, pollables []*Pollable) (ready []int, err error) {
	if len(pollables) == 0 {
		return nil, nil
	}
	attempt := func(most time.Duration) error {
		if ready = poll(pollables, most); len(ready) == 0 {
			return ErrBusy
		}
		return nil
	}
	err = limit.first(attempt)
	if hasToWait(err) {
		err = limit.wait(err, operation{op: "poll", attempt: attempt, pollables: pollables})
	}
	return ready, err
}
