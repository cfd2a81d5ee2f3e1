// A pool of workers that a poison pill ends.
//
//	workers boss PREFIX TASKS WORKERS     makes the queues, and takes them away again
//	workers work PREFIX                   as many of them as there are WORKERS
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	ipc "github.com/posix-ipc/posix-ipc/guest-sdk/go"
)

const (
	taskPriority = 1
	// Behind all tasks that are still waiting.
	pillPriority = 0
)

var limits = ipc.QueueLimits{MaxMessages: 4, MaxMessageSize: 8}

func main() {
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 4 && args[0] == "boss":
		var tasks, workers int
		tasks, err = strconv.Atoi(args[2])
		if err == nil {
			workers, err = strconv.Atoi(args[3])
		}
		if err == nil {
			err = boss(args[1], tasks, workers)
		}
	case len(args) == 2 && args[0] == "work":
		err = work(args[1])
	default:
		fmt.Fprintln(os.Stderr, "usage: workers boss PREFIX TASKS WORKERS\n       workers work PREFIX")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "workers:", err)
		os.Exit(1)
	}
}

func boss(prefix string, tasks, workers int) error {
	results, err := ipc.OpenQueue(prefix+".results", ipc.CreateNew, ipc.ReadOnly, limits)
	if err != nil {
		return err
	}
	defer ipc.UnlinkQueue(prefix + ".results")
	// Last, because workers wait for it.
	queue, err := ipc.OpenQueue(prefix+".tasks", ipc.CreateNew, ipc.WriteOnly, limits)
	if err != nil {
		return err
	}
	defer ipc.UnlinkQueue(prefix + ".tasks")

	// Neither queue holds everything: hand out what there is room for, else take a result.
	var sum uint64
	for sent, received := 0, 0; received < tasks; {
		if sent < tasks {
			taken, err := queue.TrySend(number(uint64(sent+1)), taskPriority)
			if err != nil {
				return err
			}
			if taken {
				sent++
				continue
			}
		}
		result, err := results.Receive()
		if err != nil {
			return err
		}
		sum += binary.LittleEndian.Uint64(result.Payload)
		received++
	}
	for range workers {
		if err := queue.Send(nil, pillPriority); err != nil {
			return err
		}
	}
	// Each says that it has taken its pill: the queues stay until nobody needs them.
	for range workers {
		if _, err := results.Receive(); err != nil {
			return err
		}
	}
	fmt.Println("sum of squares:", sum)
	return nil
}

func work(prefix string) error {
	queue, err := ipc.OpenQueue(prefix+".tasks", ipc.ReadOnly)
	for errors.Is(err, ipc.ErrNotExist) {
		time.Sleep(time.Millisecond)
		queue, err = ipc.OpenQueue(prefix+".tasks", ipc.ReadOnly)
	}
	if err != nil {
		return err
	}
	results, err := ipc.OpenQueue(prefix+".results", ipc.WriteOnly)
	if err != nil {
		return err
	}
	for done := 0; ; done++ {
		task, err := queue.Receive()
		if err != nil {
			return err
		}
		if len(task.Payload) == 0 {
			fmt.Println("tasks done:", done)
			return results.Send(nil, 0)
		}
		n := binary.LittleEndian.Uint64(task.Payload)
		if err := results.Send(number(n*n), 0); err != nil {
			return err
		}
	}
}

func number(n uint64) []byte {
	return binary.LittleEndian.AppendUint64(nil, n)
}
