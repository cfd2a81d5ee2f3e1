package posixipc

import (
	"io/fs"
	"time"

	raw "posixipc/internal/bindings/imports/posix_ipc_message_queue"
	wit "posixipc/internal/wit/types"
)

// Queue is a bounded queue of messages with priorities, shared with native programs.
type Queue struct {
	raw  *raw.Queue
	name string
}

// QueueLimits is the size of a queue, which is fixed when it is made.
type QueueLimits struct {
	// MaxMessages is how many messages it holds.
	MaxMessages uint32
	// MaxMessageSize is how many bytes one message has at most.
	MaxMessageSize uint32
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

// OpenQueue opens a queue, and with [Create] makes it if it does not exist; perm and
// limits are for a new one, and nil limits stand for the system's own. mq_open.
func OpenQueue(name string, flag Flag, perm fs.FileMode, access Access, limits *QueueLimits) (*Queue, error) {
	opened, err := value(enter("open"), name, raw.QueueOpen(name, uint8(flag), mode(perm), uint8(access), rawLimits(limits)))
	if err != nil {
		return nil, err
	}
	return &Queue{opened, name}, nil
}

// NewQueue makes a queue under a name that nobody has: the prefix, which starts with a
// slash, and random letters and digits behind it.
func NewQueue(prefix string, perm fs.FileMode, limits *QueueLimits) (*Queue, error) {
	opened, err := value(enter("create"), prefix, raw.QueueCreateUnique(prefix, mode(perm), rawLimits(limits)))
	if err != nil {
		return nil, err
	}
	return &Queue{opened, text(opened.Name)}, nil
}

// UnlinkQueue removes the name. The queue goes when its last handle is closed. mq_unlink.
func UnlinkQueue(name string) error {
	return done(enter("unlink"), name, raw.Unlink(name))
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
	return done(enter("send"), q.name, q.raw.Send(payload, priority, forever))
}

// SendTimeout is Send that fails with [ErrTimedOut] after some time. mq_timedsend.
func (q *Queue) SendTimeout(payload []byte, priority uint32, timeout time.Duration) error {
	return notBusy(done(enter("send"), q.name, q.raw.Send(payload, priority, atMost(timeout))))
}

// TrySend adds a message if there is room, and says whether it did.
func (q *Queue) TrySend(payload []byte, priority uint32) (bool, error) {
	return unlessBusy(done(enter("send"), q.name, q.raw.Send(payload, priority, atMost(0))))
}

// Receive takes the oldest message of the highest priority, and waits while the queue is
// empty. mq_receive.
func (q *Queue) Receive() (Message, error) {
	return q.receive(forever)
}

// ReceiveTimeout is Receive that fails with [ErrTimedOut] after some time.
// mq_timedreceive.
func (q *Queue) ReceiveTimeout(timeout time.Duration) (Message, error) {
	message, err := q.receive(atMost(timeout))
	return message, notBusy(err)
}

// TryReceive takes a message if there is one, and says whether it did.
func (q *Queue) TryReceive() (Message, bool, error) {
	message, err := q.receive(atMost(0))
	ok, err := unlessBusy(err)
	return message, ok, err
}

func (q *Queue) receive(timeout wit.Option[uint64]) (Message, error) {
	message, err := value(enter("receive"), q.name, q.raw.Receive(timeout))
	return Message(message), err
}

// SendBatch sends messages in order with one call, and returns how many were sent. It
// fails only if the first one could not be.
func (q *Queue) SendBatch(messages []Message) (int, error) {
	return q.sendBatch(messages, forever)
}

// SendBatchTimeout is SendBatch with a timeout for all of it.
func (q *Queue) SendBatchTimeout(messages []Message, timeout time.Duration) (int, error) {
	sent, err := q.sendBatch(messages, atMost(timeout))
	return sent, notBusy(err)
}

func (q *Queue) sendBatch(messages []Message, timeout wit.Option[uint64]) (int, error) {
	all := make([]raw.Message, len(messages))
	for i, message := range messages {
		all[i] = raw.Message(message)
	}
	sent, err := value(enter("send"), q.name, q.raw.SendBatch(all, timeout))
	return int(sent), err
}

// ReceiveBatch waits for one message, then takes what else is there, up to most in all.
func (q *Queue) ReceiveBatch(most int) ([]Message, error) {
	return q.receiveBatch(most, forever)
}

// ReceiveBatchTimeout is ReceiveBatch with a timeout for the first message.
func (q *Queue) ReceiveBatchTimeout(most int, timeout time.Duration) ([]Message, error) {
	messages, err := q.receiveBatch(most, atMost(timeout))
	return messages, notBusy(err)
}

func (q *Queue) receiveBatch(most int, timeout wit.Option[uint64]) ([]Message, error) {
	all, err := value(enter("receive"), q.name, q.raw.ReceiveBatch(uint32(max(most, 0)), timeout))
	messages := make([]Message, len(all))
	for i, message := range all {
		messages[i] = Message(message)
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
