// A guest that uses all that the package posixipc has, against a native peer.
//
//	kinds self PREFIX      everything within the guest
//	kinds peer PREFIX      the native peer counts, writes and answers
//	kinds heap             much memory and many goroutines
//	kinds churn PREFIX     many calls that return much, beside the collector
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	ipc "github.com/posix-ipc/posix-ipc/guest-sdk/go"
)

func main() {
	if len(os.Args) < 2 {
		os.Exit(2)
	}
	switch os.Args[1] {
	case "self":
		semaphores(os.Args[2])
		segments(os.Args[2])
		queues(os.Args[2])
		limits()
	case "peer":
		peer(os.Args[2])
	case "heap":
		heap()
	case "churn":
		churn(os.Args[2])
	default:
		os.Exit(2)
	}
	fmt.Println("done")
	// Through the runtime's own exit, as most programs end.
	defer os.Exit(0)
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

// fails checks that an error has a cause.
func fails(err error, cause error) {
	if !errors.Is(err, cause) {
		panic(fmt.Sprintf("%v instead of %v", err, cause))
	}
}

func semaphores(prefix string) {
	name := prefix + ".gate"
	_, err := ipc.OpenSemaphore(name)
	fails(err, ipc.ErrNotExist)
	fails(err, fs.ErrNotExist)
	want("text", err.Error() == "open "+name+": no such object")
	gate := must(ipc.OpenSemaphore(name, ipc.CreateNew, ipc.Mode(0o640), ipc.Value(1)))
	_, err = ipc.OpenSemaphore(name, ipc.CreateNew, ipc.Mode(0o640), ipc.Value(1))
	fails(err, ipc.ErrExists)
	fails(err, fs.ErrExist)
	_, err = ipc.OpenSemaphore("/elsewhere")
	fails(err, ipc.ErrNotPermitted)
	fails(err, fs.ErrPermission)
	_, err = ipc.OpenSemaphore("no slash")
	fails(err, ipc.ErrInvalid)
	_, err = ipc.OpenSemaphore("/" + strings.Repeat("x", 300))
	fails(err, ipc.ErrNameTooLong)

	want("name", gate.Name() == name)
	want("mode", gate.Mode() == 0o640)
	want("value", must(gate.Value()) == 1)
	check(gate.Acquire())
	want("busy", !must(gate.TryAcquire()))
	start := time.Now()
	err = gate.AcquireTimeout(20 * time.Millisecond)
	fails(err, ipc.ErrTimedOut)
	fails(err, os.ErrDeadlineExceeded)
	want("timeout", os.IsTimeout(err) && time.Since(start) >= 20*time.Millisecond)
	fails(gate.AcquireTimeout(0), ipc.ErrTimedOut)
	fails(gate.AcquireTimeout(-time.Second), ipc.ErrTimedOut)
	available := must(gate.Subscribe())
	want("not ready", !available.Ready())
	check(gate.Release())
	want("ready", available.Ready())
	available.Wait()
	check(available.Close())
	check(gate.Do(func() error {
		want("held", must(gate.Value()) == 0)
		return nil
	}))
	want("given back", must(gate.Value()) == 1)
	_, err = gate.Map()
	want("map", err == nil || errors.Is(err, ipc.ErrUnsupported) || errors.Is(err, ipc.ErrNotPermitted))
	full := must(ipc.NewUniqueSemaphore(prefix+".", ipc.Value(ipc.SemaphoreValueMax())))
	want("unique", strings.HasPrefix(full.Name(), prefix+".") && len(full.Name()) > len(prefix)+8)
	fails(full.Release(), ipc.ErrOverflow)
	check(ipc.UnlinkSemaphore(full.Name()))
	check(full.Close())
	check(gate.Close())
	check(ipc.UnlinkSemaphore(name))
	fails(ipc.UnlinkSemaphore(name), ipc.ErrNotExist)
	fmt.Println("semaphores")
}

func segments(prefix string) {
	name := prefix + ".memory"
	memory := must(ipc.OpenSegment(name, ipc.CreateNew, ipc.Size(10000)))
	want("size", must(memory.Size()) == 10000 && must(memory.Mode()) == 0o600)
	_, err := memory.WriteAt([]byte("hello"), 9995)
	check(err)
	_, err = memory.WriteAt([]byte("hello"), 9996)
	fails(err, ipc.ErrTruncated)
	buffer := make([]byte, 10)
	n, err := memory.ReadAt(buffer, 9995)
	want("end", n == 5 && err == io.EOF && string(buffer[:5]) == "hello")
	_, err = memory.ReadAt(buffer, -1)
	fails(err, ipc.ErrInvalid)
	section := io.NewSectionReader(memory, 9990, 10)
	want("section", bytes.Equal(must(io.ReadAll(section)), []byte("\x00\x00\x00\x00\x00hello")))
	n, err = memory.ReadInto(buffer[:5], 9995)
	want("read into", err == nil && n == 5 || errors.Is(err, ipc.ErrUnsupported))

	reader := must(ipc.OpenSegment(name, ipc.ReadOnly))
	_, err = reader.WriteAt([]byte("x"), 0)
	fails(err, ipc.ErrAccess)
	check(reader.Close())

	word := memory.Uint32(0)
	check(word.Store(5))
	want("add", must(word.Add(3)) == 5 && must(word.Load()) == 8)
	want("or", must(word.Or(1)) == 8 && must(word.And(1)) == 9 && must(word.Xor(3)) == 1 && must(word.Swap(7)) == 2)
	want("cas", must(word.CompareAndSwap(7, 1)) && !must(word.CompareAndSwap(7, 2)))
	want("not equal", !must(word.Wait(2)))
	_, err = word.WaitTimeout(1, 10*time.Millisecond)
	fails(err, ipc.ErrTimedOut)
	// Nobody waits any more, but the host may still have been about to notice.
	must(word.Wake(1))
	must(word.WakeAll())
	_, err = memory.Uint32(2).Load()
	fails(err, ipc.ErrInvalid)
	long := memory.Uint64(8)
	check(long.Store(1 << 40))
	want("add 64", must(long.Add(1)) == 1<<40 && must(long.Load()) == 1<<40+1)
	want("or 64", must(long.And(1)) == 1<<40+1 && must(long.Or(2)) == 1 && must(long.Xor(1)) == 3 && must(long.Swap(9)) == 2)
	want("cas 64", must(long.CompareAndSwap(9, 1)) && !must(long.CompareAndSwap(9, 1)))

	check(memory.Truncate(4))
	want("shorter", must(memory.Size()) == 4)
	fails(memory.Truncate(-1), ipc.ErrInvalid)
	_, err = memory.Map(0, 4096, ipc.ReadWrite)
	want("map", err != nil)
	check(memory.Close())
	check(ipc.UnlinkSegment(name))
	unique := must(ipc.NewUniqueSegment(prefix+".", ipc.Size(1<<20)))
	large := make([]byte, 1<<20)
	for i := range large {
		large[i] = byte(i * 7)
	}
	must(unique.WriteAt(large, 0))
	back := make([]byte, 1<<20)
	must(unique.ReadAt(back, 0))
	want("large", bytes.Equal(large, back))
	check(ipc.UnlinkSegment(unique.Name()))
	fmt.Println("segments")
}

func queues(prefix string) {
	name := prefix + ".queue"
	queue := must(ipc.OpenQueue(name, ipc.Create, ipc.QueueLimits{MaxMessages: 3, MaxMessageSize: 50}))
	attributes := must(queue.Attributes())
	want("attributes", attributes.MaxMessages == 3 && attributes.MaxMessageSize == 50 && attributes.Messages == 0)
	want("mode", must(queue.Mode()) == 0o600 && queue.Name() == name)
	_, ok, err := queue.TryReceive()
	want("empty", !ok && err == nil)
	_, err = queue.ReceiveTimeout(10 * time.Millisecond)
	fails(err, ipc.ErrTimedOut)
	fails(queue.Send(make([]byte, 51), 0), ipc.ErrMessageTooLong)
	fails(queue.Send(nil, ipc.QueuePriorityMax()+1), ipc.ErrInvalid)

	notification := must(queue.RequestNotification())
	_, err = queue.RequestNotification()
	fails(err, ipc.ErrBusy)
	want("not told", !notification.Delivered())
	arrived := must(notification.Subscribe())
	readable, writable := must(queue.SubscribeReadable()), must(queue.SubscribeWritable())
	want("only room", fmt.Sprint(ipc.Poll(readable, writable)) == "[1]")
	check(queue.Send([]byte("low"), 1))
	arrived.Wait()
	want("told", notification.Delivered())
	check(notification.Close())
	check(queue.Send(nil, 9))
	want("room", must(queue.TrySend([]byte("middle"), 5)))
	want("full", !must(queue.TrySend([]byte("none"), 5)))
	fails(queue.SendTimeout([]byte("none"), 5, 10*time.Millisecond), ipc.ErrTimedOut)
	want("only messages", fmt.Sprint(ipc.Poll(readable, writable)) == "[0]")
	message := must(queue.Receive())
	want("order", len(message.Payload) == 0 && message.Priority == 9)
	rest := must(queue.ReceiveBatch(10))
	want("batch", len(rest) == 2 && string(rest[0].Payload) == "middle" && string(rest[1].Payload) == "low")
	_, err = queue.ReceiveBatchTimeout(10, 0)
	fails(err, ipc.ErrTimedOut)
	want("sent", must(queue.SendBatchTimeout(append(rest, rest...), 0)) == 3)
	want("none sent", must(queue.SendBatch(nil)) == 0)
	reader := must(ipc.OpenQueue(name, ipc.ReadOnly))
	fails(reader.Send(nil, 0), ipc.ErrAccess)
	check(reader.Close())
	check(queue.Close())
	check(ipc.UnlinkQueue(name))
	fmt.Println("queues")
}

func limits() {
	defaults, most := ipc.QueueDefaults(), ipc.QueueMaximums()
	want("limits", defaults.MaxMessages > 0 && most.MaxMessageSize > 0)
	want("page", ipc.PageSize() == 4096 || ipc.PageSize() > 4096)
	fmt.Println("limits")
}

// The peer sends numbers; each is added to the word in memory under the semaphore, and
// answered by the word's new value.
func peer(prefix string) {
	// What the peer makes last.
	for {
		if _, err := ipc.OpenQueue(prefix+".answers", ipc.WriteOnly); !errors.Is(err, fs.ErrNotExist) {
			check(err)
			break
		}
		time.Sleep(time.Millisecond)
	}
	gate := must(ipc.OpenSemaphore(prefix + ".gate"))
	memory := must(ipc.OpenSegment(prefix + ".memory"))
	asked := must(ipc.OpenQueue(prefix+".asked", ipc.ReadOnly))
	answers := must(ipc.OpenQueue(prefix+".answers", ipc.WriteOnly))
	for {
		message := must(asked.ReceiveTimeout(30 * time.Second))
		if len(message.Payload) == 0 {
			break
		}
		var number, total uint32
		must(fmt.Sscan(string(message.Payload), &number))
		check(gate.Do(func() error {
			before, err := memory.Uint32(0).Add(number)
			total = before + number
			return err
		}))
		check(answers.Send([]byte(fmt.Sprint(total)), message.Priority))
	}
	// A native program waits for this word, or looks at it before it does.
	check(memory.Uint32(4).Store(1))
	must(memory.Uint32(4).WakeAll())
}

// What the way of building is about: memory that grows, and the collector, beside calls.
func heap() {
	var wait sync.WaitGroup
	sums := make(chan int, 100)
	for g := range 100 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			block := make([]byte, 1<<20)
			for i := range block {
				block[i] = byte(i + g)
			}
			runtime.Gosched()
			sum := 0
			for i, b := range block {
				if b != byte(i+g) {
					panic("memory changed")
				}
				sum += int(b)
			}
			sums <- sum
		}()
	}
	wait.Wait()
	close(sums)
	total := 0
	for sum := range sums {
		total += sum
	}
	kept := make([][]byte, 0, 64)
	for range 64 {
		kept = append(kept, bytes.Repeat([]byte{1}, 1<<20))
		runtime.GC()
	}
	for _, block := range kept {
		want("kept", block[0] == 1 && block[len(block)-1] == 1)
	}
	fmt.Println("total", total)
}

// What the host passes is asked for in the middle of a call: no collection may begin then,
// and nothing of it may stay.
func churn(prefix string) {
	memory := must(ipc.OpenSegment(prefix+".memory", ipc.Create, ipc.Size(1<<20)))
	queue := must(ipc.OpenQueue(prefix+".queue", ipc.Create, ipc.QueueLimits{MaxMessages: 4, MaxMessageSize: 8192}))
	check(ipc.UnlinkSegment(prefix + ".memory"))
	check(ipc.UnlinkQueue(prefix + ".queue"))
	pattern := make([]byte, 1<<20)
	for i := range pattern {
		pattern[i] = byte(i*31 + i>>8)
	}
	must(memory.WriteAt(pattern, 0))
	buffer := make([]byte, 1<<20)
	for range 400 {
		clear(buffer[:64])
		must(memory.ReadAt(buffer, 0))
		want("bytes", bytes.Equal(buffer[:64], pattern[:64]))
	}
	want("all bytes", bytes.Equal(buffer, pattern))

	var kept [][]byte
	for i := range 4000 {
		check(queue.Send(pattern[i:i+4000], 0))
		check(queue.Send(pattern[i:i+10], 1))
		messages := must(queue.ReceiveBatch(2))
		if i%1000 == 0 {
			kept = append(kept, messages[1].Payload)
		}
		// A handle that only the collector closes.
		if i%10 == 0 {
			must(queue.SubscribeReadable())
		}
		if i%100 == 0 {
			runtime.GC()
		}
		garbage = make([]byte, 16<<10)
	}
	for i, payload := range kept {
		want("kept", bytes.Equal(payload, pattern[i*1000:i*1000+4000]))
	}
	// New memory comes from the top: where it is says how much there is of the old.
	garbage = make([]byte, 64<<20)
	top := uintptr(unsafe.Pointer(unsafe.SliceData(garbage)))
	want(fmt.Sprint("little memory, not ", top>>20, " MiB"), top < 100<<20)
	fmt.Println("churned")
}

var garbage []byte
