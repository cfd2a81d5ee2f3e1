package posixipc

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"iter"
	"time"

	raw "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/bindings/imports/posix_ipc_message_queue"
	wit "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/wit/types"
)

// Queue is a bounded queue of messages with priorities, shared with native programs.
type Queue struct {
	raw    *raw.Queue
	name   string
	number number
	closed bool
	// The size of its longest message, once that was asked for, and room for one.
	longest int
	room    []byte
}

// QueueAttributes is the state of a queue.
type QueueAttributes struct {
	QueueLimits
	// Messages is how many messages wait in it now.
	Messages uint32
}

// Message is what a queue holds. Those of a higher priority are received earlier.
type Message struct {
	Payload  []byte
	Priority uint32
}

// OpenQueue opens a queue, which must exist unless an option is [Create] or [CreateNew].
// mq_open.
func OpenQueue(name string, options ...QueueOption) (*Queue, error) {
	o := collect(options, QueueOption.queue)
	opened, err := value(enter("open"), name, raw.QueueOpen(name, uint8(o.flag), o.mode, uint8(o.access), rawLimits(o.limits)))
	if err != nil {
		return nil, explained(err)
	}
	return &Queue{raw: opened, name: name, number: queueNumber(opened.Handle())}, nil
}

// NewUniqueQueue makes a queue under a name that nobody has: the prefix, which starts with
// a slash, and random letters and digits behind it.
func NewUniqueQueue(prefix string, options ...QueueOption) (*Queue, error) {
	o := collect(options, QueueOption.queue)
	if err := o.unique(prefix); err != nil {
		return nil, err
	}
	opened, err := value(enter("create"), prefix, raw.QueueCreateUnique(prefix, o.mode, rawLimits(o.limits)))
	if err != nil {
		return nil, explained(err)
	}
	return &Queue{raw: opened, name: text(opened.Name), number: queueNumber(opened.Handle())}, nil
}

// UnlinkQueue removes the name. The queue goes when its last handle is closed. mq_unlink.
func UnlinkQueue(name string) error {
	return explained(done(enter("unlink"), name, raw.Unlink(name)))
}

func rawLimits(limits *QueueLimits) wit.Option[raw.QueueLimits] {
	if limits == nil {
		return wit.None[raw.QueueLimits]()
	}
	return wit.Some(raw.QueueLimits(*limits))
}

// Name returns the name under which the guest knows it.
func (q *Queue) Name() string { return q.name }

// Mode returns the permission bits.
func (q *Queue) Mode() (fs.FileMode, error) {
	bits, err := value(enter("mode"), q.name, q.raw.Mode())
	return fs.FileMode(bits), err
}

// Attributes returns the size and fill of the queue. mq_getattr.
func (q *Queue) Attributes() (QueueAttributes, error) {
	now, err := value(enter("attributes"), q.name, q.raw.Attributes())
	return QueueAttributes{QueueLimits(now.Limits), now.CurrentMessages}, err
}

// Send adds a message, and waits while the queue is full. mq_send.
func (q *Queue) Send(payload []byte, priority uint32) error {
	return q.send(payload, priority, forever)
}

// SendTimeout is Send that fails with [ErrTimedOut] after some time. mq_timedsend.
func (q *Queue) SendTimeout(payload []byte, priority uint32, timeout time.Duration) error {
	return q.send(payload, priority, atMost(timeout))
}

// SendContext is Send that fails with the context's error once that is done.
func (q *Queue) SendContext(ctx context.Context, payload []byte, priority uint32) error {
	return q.send(payload, priority, until(ctx))
}

// TrySend adds a message if there is room, and says whether it did.
func (q *Queue) TrySend(payload []byte, priority uint32) (bool, error) {
	return unlessBusy(q.sendNow(payload, priority))
}

func (q *Queue) send(payload []byte, priority uint32, limit limit) error {
	err := limit.first(func(time.Duration) error { return q.sendNow(payload, priority) })
	if !hasToWait(err) {
		return err
	}
	return limit.wait(err, operation{
		op: "send", name: q.name, subscribe: q.SubscribeWritable, closed: &q.closed,
		attempt: func(most time.Duration) error {
			return done(enter("send"), q.name, q.raw.Send(payload, priority, nanoseconds(most)))
		},
	})
}

func (q *Queue) sendNow(payload []byte, priority uint32) error {
	if q.number.send(q.raw.Handle(), payload, priority) {
		return nil
	}
	return done(enter("send"), q.name, q.raw.Send(payload, priority, nanoseconds(0)))
}

// Receive takes the oldest message of the highest priority, and waits while the queue is
// empty. mq_receive.
func (q *Queue) Receive() (Message, error) { return q.receive(nil, forever) }

// ReceiveTimeout is Receive that fails with [ErrTimedOut] after some time.
// mq_timedreceive.
func (q *Queue) ReceiveTimeout(timeout time.Duration) (Message, error) {
	return q.receive(nil, atMost(timeout))
}

// ReceiveContext is Receive that fails with the context's error once that is done.
func (q *Queue) ReceiveContext(ctx context.Context) (Message, error) {
	return q.receive(nil, until(ctx))
}

// TryReceive takes a message if there is one, and says whether it did.
func (q *Queue) TryReceive() (Message, bool, error) {
	message, err := q.receiveNow(nil)
	ok, err := unlessBusy(err)
	return message, ok, err
}

// ReceiveInto is Receive without an allocation: the bytes of the message go to the buffer.
// It must have room for the longest message of the queue, or the error is
// [ErrMessageTooLong] and no message is taken.
func (q *Queue) ReceiveInto(buffer []byte) (length int, priority uint32, err error) {
	return q.receiveInto(buffer, forever)
}

// ReceiveIntoContext is ReceiveInto that fails with the context's error once that is done.
func (q *Queue) ReceiveIntoContext(ctx context.Context, buffer []byte) (length int, priority uint32, err error) {
	return q.receiveInto(buffer, until(ctx))
}

func (q *Queue) receiveInto(buffer []byte, limit limit) (int, uint32, error) {
	longest, err := q.longestMessage()
	if err != nil {
		return 0, 0, err
	}
	if len(buffer) < longest {
		detail := fmt.Sprintf("the buffer of %d bytes has no room for the longest message of the queue, %d bytes", len(buffer), longest)
		return 0, 0, &Error{Op: "receive", Name: q.name, Err: ErrMessageTooLong, Detail: detail}
	}
	message, err := q.receive(buffer, limit)
	return len(message.Payload), message.Priority, err
}

// Messages receives one message after the other, until the context is done or a call fails:
//
//	for message, err := range jobs.Messages(ctx) { ... }
func (q *Queue) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			message, err := q.ReceiveContext(ctx)
			if !yield(message, err) || err != nil {
				return
			}
		}
	}
}

// receive takes a message into a buffer, or one of its own.
func (q *Queue) receive(buffer []byte, limit limit) (Message, error) {
	var message Message
	err := limit.first(func(time.Duration) (err error) {
		message, err = q.receiveNow(buffer)
		return err
	})
	if hasToWait(err) {
		return q.waitForMessage(buffer, limit, err)
	}
	return message, err
}

// waitForMessage is the rest of receive, of its own because what it needs is allocated.
func (q *Queue) waitForMessage(buffer []byte, limit limit, err error) (message Message, _ error) {
	err = limit.wait(err, operation{
		op: "receive", name: q.name, subscribe: q.SubscribeReadable, closed: &q.closed,
		attempt: func(most time.Duration) (err error) {
			message, err = q.receiveFor(buffer, most)
			return err
		},
	})
	return message, err
}

func (q *Queue) receiveNow(buffer []byte) (Message, error) {
	if q.room == nil && direct {
		longest, err := q.longestMessage()
		if err != nil {
			return Message{}, err
		}
		q.room = make([]byte, longest)
	}
	room := buffer
	if room == nil {
		room = q.room
	}
	if length, priority, ok := q.number.receiveInto(q.raw.Handle(), room); ok {
		if buffer == nil {
			return Message{bytes.Clone(room[:length]), priority}, nil
		}
		return Message{buffer[:length], priority}, nil
	}
	return q.receiveFor(buffer, 0)
}

func (q *Queue) receiveFor(buffer []byte, most time.Duration) (Message, error) {
	return copied(enter("receive"), q.name, q.raw.Receive(nanoseconds(most)), func(received raw.Message) Message {
		if buffer == nil {
			return owned(received)
		}
		return Message{append(buffer[:0], received.Payload...), received.Priority}
	})
}

// owned is a message whose bytes are not in the host's memory.
func owned(received raw.Message) Message {
	return Message{bytes.Clone(received.Payload), received.Priority}
}

func (q *Queue) longestMessage() (int, error) {
	if q.longest == 0 {
		attributes, err := q.Attributes()
		if err != nil {
			return 0, err
		}
		q.longest = int(attributes.MaxMessageSize)
	}
	return q.longest, nil
}

// SendBatch sends messages in order with one call, and returns how many were sent. It
// fails only if the first one could not be.
func (q *Queue) SendBatch(messages []Message) (int, error) {
	return q.sendBatch(messages, forever)
}

// SendBatchTimeout is SendBatch with a timeout for the first message.
func (q *Queue) SendBatchTimeout(messages []Message, timeout time.Duration) (int, error) {
	return q.sendBatch(messages, atMost(timeout))
}

// SendBatchContext is SendBatch that fails with the context's error if that is done first.
func (q *Queue) SendBatchContext(ctx context.Context, messages []Message) (int, error) {
	return q.sendBatch(messages, until(ctx))
}

func (q *Queue) sendBatch(messages []Message, limit limit) (int, error) {
	rest := make([]raw.Message, len(messages))
	for i, message := range messages {
		rest[i] = raw.Message(message)
	}
	attempt := func(most time.Duration) error {
		sent, err := value(enter("send"), q.name, q.raw.SendBatch(rest, nanoseconds(most)))
		rest = rest[sent:]
		if err == nil && len(rest) > 0 {
			return ErrBusy
		}
		return err
	}
	err := limit.first(attempt)
	if hasToWait(err) {
		err = limit.wait(err, operation{
			op: "send", name: q.name, attempt: attempt, subscribe: q.SubscribeWritable, closed: &q.closed,
		})
	}
	if sent := len(messages) - len(rest); sent > 0 {
		return sent, nil
	}
	return 0, err
}

// ReceiveBatch waits for one message, then takes what else is there, up to most in all.
func (q *Queue) ReceiveBatch(most int) ([]Message, error) {
	return q.receiveBatch(most, forever)
}

// ReceiveBatchTimeout is ReceiveBatch with a timeout for the first message.
func (q *Queue) ReceiveBatchTimeout(most int, timeout time.Duration) ([]Message, error) {
	return q.receiveBatch(most, atMost(timeout))
}

// ReceiveBatchContext is ReceiveBatch that fails with the context's error once that is done.
func (q *Queue) ReceiveBatchContext(ctx context.Context, most int) ([]Message, error) {
	return q.receiveBatch(most, until(ctx))
}

func (q *Queue) receiveBatch(count int, limit limit) (messages []Message, err error) {
	attempt := func(most time.Duration) (err error) {
		op := enter("receive")
		result := q.raw.ReceiveBatch(uint32(max(count, 0)), nanoseconds(most))
		messages, err = copied(op, q.name, result, func(all []raw.Message) []Message {
			messages := make([]Message, len(all))
			for i, message := range all {
				messages[i] = owned(message)
			}
			return messages
		})
		return err
	}
	err = limit.first(attempt)
	if hasToWait(err) {
		err = limit.wait(err, operation{
			op: "receive", name: q.name, attempt: attempt, subscribe: q.SubscribeReadable, closed: &q.closed,
		})
	}
	return messages, err
}

// SubscribeReadable returns what is ready while the queue holds a message.
func (q *Queue) SubscribeReadable() (*Pollable, error) {
	return pollable(enter("subscribe"), q.name, q.raw.SubscribeReadable())
}

// SubscribeWritable returns what is ready while the queue has room.
func (q *Queue) SubscribeWritable() (*Pollable, error) {
	return pollable(enter("subscribe"), q.name, q.raw.SubscribeWritable())
}

// RequestNotification asks to be told, once, when a message arrives in the empty queue and
// nobody waits to receive it. A queue has one such registration in the whole system:
// [ErrBusy] says that it is taken. The queue must be open for receiving. mq_notify.
func (q *Queue) RequestNotification() (*Notification, error) {
	registered, err := value(enter("notify"), q.name, q.raw.RequestNotification())
	if err != nil {
		return nil, err
	}
	return &Notification{registered, q.name}, nil
}

// Close closes the handle. mq_close.
func (q *Queue) Close() error {
	q.closed = true
	q.raw.Drop()
	return nil
}

// Notification is a registration for the arrival of a message.
type Notification struct {
	raw  *raw.Notification
	name string
}

// Delivered reports whether the message has arrived. The registration is used up then.
func (n *Notification) Delivered() bool { return n.raw.Delivered() }

// Subscribe returns what is ready once the message has arrived.
func (n *Notification) Subscribe() (*Pollable, error) {
	return pollable(enter("subscribe"), n.name, n.raw.Subscribe())
}

// Close cancels the registration.
func (n *Notification) Close() error {
	n.raw.Drop()
	return nil
}
