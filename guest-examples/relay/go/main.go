// A stage of a relay, see ../README.md.
//
//	relay produce PREFIX COUNT
//	relay consume PREFIX
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"strconv"
	"time"

	ipc "github.com/posix-ipc/posix-ipc/guest-sdk/go"
)

const (
	slots    = 4
	header   = 64
	slotSize = 4096
	size     = header + slots*slotSize
)

const (
	free        = 0
	filled      = 1
	transformed = 2
)

// job is what a message of the queue says.
type job struct {
	Slot, Length, Seed, Checksum uint32
}

func priority(seed uint32) uint32 { return 1 + seed%3 }

func main() {
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 3 && args[0] == "produce":
		var count uint64
		if count, err = strconv.ParseUint(args[2], 10, 32); err == nil {
			err = produce(args[1], uint32(count))
		}
	case len(args) == 2 && args[0] == "consume":
		err = consume(args[1])
	default:
		fmt.Fprintln(os.Stderr, "usage: relay produce PREFIX COUNT\n       relay consume PREFIX")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

func payload(seed uint32) []byte {
	x := seed * 2654435761
	content := make([]byte, 1+(x>>16)%slotSize)
	for i := range content {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		content[i] = byte(x)
	}
	return content
}

func transform(content []byte) []byte {
	for i := range content {
		content[i] ^= 0x5a
	}
	return content
}

func checksum(content []byte) uint32 {
	hash := fnv.New32a()
	hash.Write(content)
	return hash.Sum32()
}

// stage has the memory that the two stages share, and the lock of the slots' states, whose
// neighbours the other one changes.
type stage struct {
	memory *ipc.Segment
	lock   *ipc.Semaphore
}

func (s stage) state(slot uint32) (byte, error) {
	var state [1]byte
	err := s.lock.Do(func() error {
		_, err := s.memory.ReadAt(state[:], int64(slot))
		return err
	})
	return state[0], err
}

func (s stage) setState(slot uint32, state byte) error {
	return s.lock.Do(func() error {
		_, err := s.memory.WriteAt([]byte{state}, int64(slot))
		return err
	})
}

func (s stage) get(slot uint32, length int) ([]byte, error) {
	content := make([]byte, length)
	_, err := s.memory.ReadAt(content, header+int64(slot)*slotSize)
	return content, err
}

func (s stage) put(slot uint32, content []byte) error {
	_, err := s.memory.WriteAt(content, header+int64(slot)*slotSize)
	return err
}

// release verifies what the consumer made of a job, and frees its slot.
func (s stage) release(slot, seed uint32) error {
	expected := transform(payload(seed))
	found, err := s.get(slot, len(expected))
	if err != nil {
		return err
	}
	if !bytes.Equal(found, expected) {
		return fmt.Errorf("job %d: wrong transformed byte", seed)
	}
	return s.setState(slot, free)
}

// freeSlot finds a slot that is not in use, and returns it free.
func (s stage) freeSlot(inSlot *[slots]uint32) (uint32, error) {
	for slot := range uint32(slots) {
		state, err := s.state(slot)
		switch {
		case err != nil:
			return 0, err
		case state == filled:
			continue
		case state == transformed:
			return slot, s.release(slot, inSlot[slot])
		}
		return slot, nil
	}
	return 0, errors.New("wrong count of free slots")
}

func produce(prefix string, count uint32) error {
	room, err := ipc.OpenSemaphore(prefix+".room", ipc.CreateNew, ipc.Value(slots))
	if err != nil {
		return err
	}
	lock, err := ipc.OpenSemaphore(prefix+".lock", ipc.CreateNew, ipc.Value(1))
	if err != nil {
		return err
	}
	memory, err := ipc.OpenSegment(prefix+".slots", ipc.CreateNew, ipc.Size(size))
	if err != nil {
		return err
	}
	// The queue comes last: where it is, the others are.
	limits := ipc.QueueLimits{MaxMessages: 8, MaxMessageSize: 16}
	jobs, err := ipc.OpenQueue(prefix+".jobs", ipc.CreateNew, ipc.WriteOnly, limits)
	if err != nil {
		return err
	}

	s := stage{memory, lock}
	var inSlot [slots]uint32 // what was put there last
	total := 0
	for seed := uint32(1); seed <= count; seed++ {
		if err := room.Acquire(); err != nil {
			return err
		}
		slot, err := s.freeSlot(&inSlot)
		if err != nil {
			return err
		}
		content := payload(seed)
		if err := s.put(slot, content); err != nil {
			return err
		}
		if err := s.setState(slot, filled); err != nil {
			return err
		}
		inSlot[slot] = seed
		total += len(content)
		message, _ := binary.Append(nil, binary.LittleEndian, job{slot, uint32(len(content)), seed, checksum(content)})
		if err := jobs.Send(message, priority(seed)); err != nil {
			return err
		}
	}
	for range slots {
		if err := room.Acquire(); err != nil {
			return err
		}
	}
	for slot := range uint32(slots) {
		state, err := s.state(slot)
		if err == nil && state == filled {
			err = errors.New("wrong count of free slots")
		}
		if err == nil && state == transformed {
			err = s.release(slot, inSlot[slot])
		}
		if err != nil {
			return err
		}
	}
	if err := jobs.Send(nil, 0); err != nil {
		return err
	}
	fmt.Printf("produced %d jobs, %d bytes\n", count, total)
	return errors.Join(
		ipc.UnlinkSemaphore(prefix+".room"),
		ipc.UnlinkSemaphore(prefix+".lock"),
		ipc.UnlinkSegment(prefix+".slots"),
		ipc.UnlinkQueue(prefix+".jobs"),
	)
}

func consume(prefix string) error {
	var jobs *ipc.Queue
	for {
		var err error
		if jobs, err = ipc.OpenQueue(prefix+".jobs", ipc.ReadOnly); err == nil {
			break
		} else if !errors.Is(err, ipc.ErrNotExist) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	room, err := ipc.OpenSemaphore(prefix + ".room")
	if err != nil {
		return err
	}
	lock, err := ipc.OpenSemaphore(prefix + ".lock")
	if err != nil {
		return err
	}
	memory, err := ipc.OpenSegment(prefix + ".slots")
	if err != nil {
		return err
	}

	s := stage{memory, lock}
	count, total, sum := 0, 0, uint32(0)
	for {
		message, err := jobs.Receive()
		if err != nil {
			return err
		}
		if len(message.Payload) == 0 {
			break
		}
		var job job
		if _, err := binary.Decode(message.Payload, binary.LittleEndian, &job); err != nil {
			return err
		}
		if err := s.consume(job, message.Priority); err != nil {
			return fmt.Errorf("job %d: %w", job.Seed, err)
		}
		if err := room.Release(); err != nil {
			return err
		}
		count++
		total += int(job.Length)
		sum += job.Checksum
	}
	fmt.Printf("consumed %d jobs, %d bytes, checksum %08x\n", count, total, sum)
	return nil
}

// consume verifies a job and transforms its payload.
func (s stage) consume(job job, sent uint32) error {
	if job.Slot >= slots {
		return errors.New("wrong slot")
	}
	state, err := s.state(job.Slot)
	if err != nil {
		return err
	}
	if state != filled {
		return errors.New("wrong slot")
	}
	if sent != priority(job.Seed) {
		return errors.New("wrong priority")
	}
	expected := payload(job.Seed)
	if int(job.Length) != len(expected) {
		return errors.New("wrong length")
	}
	found, err := s.get(job.Slot, len(expected))
	if err != nil {
		return err
	}
	if !bytes.Equal(found, expected) {
		return errors.New("wrong byte")
	}
	if checksum(found) != job.Checksum {
		return errors.New("wrong checksum")
	}
	if err := s.put(job.Slot, transform(found)); err != nil {
		return err
	}
	return s.setState(job.Slot, transformed)
}
