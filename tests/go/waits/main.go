// A guest whose goroutines wait, beside others that must run meanwhile. What would starve
// never comes to its end.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	ipc "github.com/posix-ipc/posix-ipc/guest-sdk/go"
)

func main() {
	for _, part := range []struct {
		name string
		run  func()
	}{
		{"timers fire beside a loop of waits", loopOfWaits},
		{"timers fire beside a loop of calls that need not wait", loopOfCalls},
		{"timers fire beside a loop of attempts", loopOfAttempts},
		{"a goroutine sends what another one waits for", oneForAnother},
		{"a context ends each kind of wait", contexts},
		{"many goroutines wait", many},
		{"goroutines wait for words", words},
		{"a batch is sent as there is room", batches},
		{"a poll ends with its time or its context", polls},
		{"what is closed ends the waits", closing},
	} {
		part.run()
		fmt.Println(part.name)
	}
	os.Exit(0)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func want(what string, ok bool) {
	if !ok {
		panic(what)
	}
}

func fails(err error, cause error) {
	if !errors.Is(err, cause) {
		panic(fmt.Sprintf("%v instead of %v", err, cause))
	}
}

var small = ipc.QueueLimits{MaxMessages: 2, MaxMessageSize: 16}

// All in all no more than the 64 objects that a guest may create.

func queue() *ipc.Queue { return must(ipc.NewUniqueQueue("/waits.", small)) }

func semaphore() *ipc.Semaphore { return must(ipc.NewUniqueSemaphore("/waits.")) }

func soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 20*time.Millisecond)
}

func loopOfWaits() {
	ctx, cancel := soon()
	defer cancel()
	q, ticks := queue(), 0
	go func() {
		for range time.Tick(time.Millisecond) {
			ticks++
		}
	}()
	for ctx.Err() == nil {
		_, err := q.ReceiveTimeout(3 * time.Millisecond)
		fails(err, ipc.ErrTimedOut)
		fails(err, os.ErrDeadlineExceeded)
	}
	want("ticks", ticks > 0)
}

func loopOfCalls() {
	ctx, cancel := soon()
	defer cancel()
	for q := queue(); ctx.Err() == nil; {
		check(q.Send([]byte("x"), 0))
		must(q.Receive())
	}
}

func loopOfAttempts() {
	ctx, cancel := soon()
	defer cancel()
	for gate := semaphore(); ctx.Err() == nil; {
		want("not taken", !must(gate.TryAcquire()))
	}
}

func oneForAnother() {
	q, gate := queue(), semaphore()
	go func() {
		time.Sleep(2 * time.Millisecond)
		check(q.Send([]byte("at last"), 7))
		check(gate.Acquire())
		must(q.Receive())
	}()
	message := must(q.Receive())
	want("message", string(message.Payload) == "at last" && message.Priority == 7)
	check(q.Send(nil, 0))
	check(q.Send(nil, 0))
	check(gate.Release())
	// Full until the other one has received.
	check(q.Send(nil, 0))
}

func contexts() {
	q, full, gate := queue(), queue(), semaphore()
	for full.Send([]byte("x"), 0) == nil && must(full.Attributes()).Messages < 2 {
	}
	waits := map[string]func(context.Context) error{
		"acquire": gate.AcquireContext,
		"send":    func(ctx context.Context) error { return full.SendContext(ctx, []byte("x"), 0) },
		"receive": func(ctx context.Context) error { _, err := q.ReceiveContext(ctx); return err },
		"batch":   func(ctx context.Context) error { _, err := q.ReceiveBatchContext(ctx, 3); return err },
		"into":    func(ctx context.Context) error { _, _, err := q.ReceiveIntoContext(ctx, make([]byte, 16)); return err },
	}
	for name, wait := range waits {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		fails(wait(ctx), context.DeadlineExceeded)
		cancel()
		ctx, cancel = context.WithCancel(context.Background())
		time.AfterFunc(time.Millisecond, cancel)
		err := wait(ctx)
		want(name, err == context.Canceled)
		// One that is done before does not even try.
		check(q.Send(nil, 0))
		check(gate.Release())
		want(name, wait(ctx) == context.Canceled)
		check(gate.Acquire())
		must(q.Receive())
	}
	ctx, cancel := soon()
	defer cancel()
	received := 0
	check(q.Send(nil, 0))
	for _, err := range q.Messages(ctx) {
		if err != nil {
			fails(err, context.DeadlineExceeded)
			break
		}
		received++
	}
	want("messages", received == 1)
}

// Each hands on what it took, in an order that none of them chose.
func many() {
	const count = 30
	var all sync.WaitGroup
	gates := make([]*ipc.Semaphore, count+1)
	for i := range gates {
		gates[i] = semaphore()
	}
	for i := range count {
		all.Go(func() {
			if i%2 == 0 {
				check(gates[i].Acquire())
			} else {
				check(gates[i].AcquireTimeout(time.Hour))
			}
			check(gates[i+1].Release())
		})
	}
	time.Sleep(time.Millisecond)
	check(gates[0].Release())
	check(gates[count].Acquire())
	all.Wait()
}

func words() {
	memory := must(ipc.NewUniqueSegment("/waits.", ipc.Size(64)))
	gate := semaphore()
	var all sync.WaitGroup
	for i := range int64(3) {
		all.Go(func() {
			for must(memory.Uint32(4*i).Load()) == 0 {
				must(memory.Uint32(4 * i).Wait(0))
			}
			check(gate.Release())
		})
	}
	for i := range int64(3) {
		time.Sleep(time.Millisecond)
		check(memory.Uint32(4 * i).Store(1))
		must(memory.Uint32(4 * i).WakeAll())
		check(gate.Acquire())
	}
	all.Wait()
	ctx, cancel := soon()
	defer cancel()
	_, err := memory.Uint32(0).WaitContext(ctx, 1)
	fails(err, context.DeadlineExceeded)
}

func batches() {
	q := queue()
	seven := make([]ipc.Message, 7)
	go func() { want("sent", must(q.SendBatch(seven)) == 7) }()
	for received := 0; received < 7; {
		received += len(must(q.ReceiveBatch(7)))
	}
	ctx, cancel := soon()
	defer cancel()
	want("some", must(q.SendBatchContext(ctx, seven)) == 2)
	_, err := q.SendBatchContext(ctx, seven)
	fails(err, context.DeadlineExceeded)
}

func polls() {
	q := queue()
	readable := must(q.SubscribeReadable())
	want("nothing", len(ipc.PollTimeout(time.Millisecond, readable)) == 0)
	ctx, cancel := soon()
	defer cancel()
	_, err := ipc.PollContext(ctx, readable)
	fails(err, context.DeadlineExceeded)
	go func() {
		time.Sleep(time.Millisecond)
		check(q.Send(nil, 0))
	}()
	want("ready", len(ipc.Poll(readable)) == 1)
}

func closing() {
	q, gate := queue(), semaphore()
	go func() {
		time.Sleep(time.Millisecond)
		check(q.Close())
		check(gate.Close())
	}()
	var all sync.WaitGroup
	all.Go(func() { fails(gate.Acquire(), ipc.ErrClosed) })
	_, err := q.Receive()
	fails(err, ipc.ErrClosed)
	all.Wait()
}
