// What benches/ipc does natively, in Go.
//
// Reads lines of: what, how often, and a size; answers each with nanoseconds, or with - if it
// does no such thing. The arguments say the names.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"

	ipc "github.com/posix-ipc/posix-ipc/guest-sdk/go"
)

// must gives the value of a call that is not to fail.
func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// objects are what everybody uses.
type objects struct {
	names  map[string]string
	gate   *ipc.Semaphore
	jobs   *ipc.Queue
	object *ipc.Segment
	buffer []byte
}

// operation gives what is done again and again, or nil.
func (o *objects) operation(what string, size int) func() {
	data := o.buffer[:size]
	switch what {
	case "sem-pair":
		return func() {
			check(o.gate.Release())
			if !must(o.gate.TryAcquire()) {
				panic("the semaphore is somebody else's too")
			}
		}
	case "sem-release":
		return func() { check(o.gate.Release()) }
	case "mq":
		return func() {
			check(o.jobs.Send(data, 0))
			if length, _, err := o.jobs.ReceiveInto(o.buffer); err != nil || length != size {
				panic(fmt.Sprint(length, err))
			}
		}
	case "shm-read":
		return func() { must(o.object.ReadAt(data, 0)) }
	case "shm-write":
		return func() { must(o.object.WriteAt(data, 0)) }
	case "atomic":
		word := o.object.Uint32(0)
		return func() { must(word.Add(1)) }
	case "sem-open":
		return func() { check(must(ipc.OpenSemaphore(o.names["gate"])).Close()) }
	case "shm-open":
		return func() { check(must(ipc.OpenSegment(o.names["object"])).Close()) }
	case "mq-open":
		return func() { check(must(ipc.OpenQueue(o.names["jobs"])).Close()) }
	}
	return nil
}

func main() {
	if len(os.Args) == 1 {
		return // For measuring how long it takes to get here.
	}
	names := map[string]string{}
	for _, argument := range os.Args[1:] {
		key, value, _ := strings.Cut(argument, "=")
		names[key] = value
	}
	object := must(ipc.OpenSegment(names["object"]))
	o := &objects{
		names:  names,
		gate:   must(ipc.OpenSemaphore(names["gate"])),
		jobs:   must(ipc.OpenQueue(names["jobs"])),
		object: object,
		buffer: make([]byte, must(object.Size())),
	}
	for i := range o.buffer {
		o.buffer[i] = 1
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var what string
		var count, size int
		must(fmt.Sscan(lines.Text(), &what, &count, &size))
		operation := o.operation(what, size)
		if operation == nil {
			fmt.Println("-")
			continue
		}
		start := time.Now()
		for range count {
			operation()
		}
		fmt.Println(time.Since(start).Nanoseconds())
	}
	check(lines.Err())
}
