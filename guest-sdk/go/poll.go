package posixipc

import (
	"errors"

	wasi "posixipc/internal/bindings/imports/wasi_io_poll"

	types "posixipc/internal/bindings/imports/posix_ipc_types"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Pollable is something to wait for.
type Pollable struct {
	raw *wasi.Pollable
}

func pollable(op, name string, result wit.Result[*wasi.Pollable, types.ErrorCode]) (*Pollable, error) {
	made, err := value(op, name, result)
	if err != nil {
		return nil, err
	}
	return &Pollable{made}, nil
}

// Ready reports whether it is ready, without waiting.
func (p *Pollable) Ready() bool { return p.raw.Ready() }

// Wait waits until it is ready.
func (p *Pollable) Wait() { p.raw.Block() }

// Close frees it.
func (p *Pollable) Close() error {
	p.raw.Drop()
	return nil
}

// Poll waits until at least one is ready, and returns the indices of all that are.
func Poll(pollables ...*Pollable) []int {
	if len(pollables) == 0 {
		return nil
	}
	all := make([]*wasi.Pollable, len(pollables))
	for i, p := range pollables {
		all[i] = p.raw
	}
	ready := wasi.Poll(all)
	indices := make([]int, len(ready))
	for i, index := range ready {
		indices[i] = int(index)
	}
	return indices
}

// unlessBusy is for the calls that do not wait: false in place of [ErrBusy].
func unlessBusy(err error) (bool, error) {
	if errors.Is(err, ErrBusy) {
		return false, nil
	}
	return err == nil, err
}

// notBusy is for the calls with a timeout, of which one of 0 fails with [ErrTimedOut] too.
func notBusy(err error) error {
	var failed *Error
	if errors.As(err, &failed) && failed.Err == ErrBusy {
		failed.Err = ErrTimedOut
	}
	return err
}
