package posixipc_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"time"

	ipc "github.com/posix-ipc/posix-ipc/guest-sdk/go"
)

// These run in the sandbox: posix-ipc-go test.

func Example() {
	gate, err := ipc.OpenSemaphore("/gate", ipc.Create, ipc.Value(1))
	if err != nil {
		log.Fatal(err)
	}
	total, err := ipc.OpenSegment("/total", ipc.Create, ipc.Size(4))
	if err != nil {
		log.Fatal(err)
	}
	err = gate.Do(func() error {
		_, err := total.Uint32(0).Add(5)
		return err
	})
	sum, _ := total.Uint32(0).Load()
	fmt.Println(sum, err)
	// Output: 5 <nil>
}

func ExampleOpenSemaphore() {
	_, err := ipc.OpenSemaphore("/nobody")
	fmt.Println(err, errors.Is(err, fs.ErrNotExist))
	_, err = ipc.OpenSemaphore("nobody")
	fmt.Println(err)
	// Output:
	// open /nobody: no such object true
	// open nobody: a name starts with a slash: "/nobody"
}

func ExampleNewUniqueQueue() {
	replies, err := ipc.NewUniqueQueue("/replies.", ipc.QueueLimits{MaxMessages: 4, MaxMessageSize: 64})
	if err != nil {
		log.Fatal(err)
	}
	defer ipc.UnlinkQueue(replies.Name())
	fmt.Println(len(replies.Name()) > len("/replies."))
	// Output: true
}

// A goroutine that waits does not keep others from running.
func ExampleQueue_ReceiveContext() {
	jobs, err := ipc.OpenQueue("/jobs", ipc.Create)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	_, err = jobs.ReceiveContext(ctx)
	fmt.Println(err)
	_, err = jobs.ReceiveTimeout(time.Millisecond)
	fmt.Println(err, errors.Is(err, os.ErrDeadlineExceeded))
	// Output:
	// context canceled
	// receive /jobs: timed out true
}

func ExampleQueue_Messages() {
	jobs, err := ipc.OpenQueue("/letters", ipc.Create)
	if err != nil {
		log.Fatal(err)
	}
	for _, letter := range []string{"a", "b", "c"} {
		if err := jobs.Send([]byte(letter), 0); err != nil {
			log.Fatal(err)
		}
	}
	for message, err := range jobs.Messages(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(message.Payload))
		if string(message.Payload) == "c" {
			break
		}
	}
	// Output:
	// a
	// b
	// c
}
