use std::sync::OnceLock;
use std::time::Duration;

use crate::bindings::posix::ipc::message_queue as raw;
#[cfg(feature = "direct")]
use crate::direct;
use crate::options::{Access, Create, DEFAULT_MODE};
use crate::time::{nanoseconds, timed_out};
use crate::{Error, ErrorKind, Pollable, Result};

/// Operations, as errors name them.
const SEND: &str = "send to queue";
const RECEIVE: &str = "receive from queue";
const SUBSCRIBE: &str = "subscribe to queue";
const ATTRIBUTES: &str = "read the attributes of queue";

/// A message and its priority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Message {
    /// The bytes, which may be none.
    pub payload: Vec<u8>,
    /// From 0 to the [maximum](crate::limits::queue_priority_max). A message of a higher
    /// priority is received earlier.
    pub priority: u32,
}

impl Message {
    /// The message as [`Queue::send_batch`] takes it.
    #[must_use]
    pub fn as_parts(&self) -> (&[u8], u32) {
        (&self.payload, self.priority)
    }
}

impl From<raw::MessageResult> for Message {
    fn from(message: raw::MessageResult) -> Self {
        Self {
            payload: message.payload,
            priority: message.priority,
        }
    }
}

/// The size of a queue, which is fixed when it is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueLimits {
    /// How many messages the queue holds. Similar to `mq_maxmsg` in POSIX.
    pub max_messages: u32,
    /// How many bytes one message has at most. Similar to `mq_msgsize` in POSIX.
    pub max_message_size: u32,
}

impl From<raw::QueueLimits> for QueueLimits {
    fn from(limits: raw::QueueLimits) -> Self {
        Self {
            max_messages: limits.max_messages,
            max_message_size: limits.max_message_size,
        }
    }
}

impl From<QueueLimits> for raw::QueueLimits {
    fn from(limits: QueueLimits) -> Self {
        Self {
            max_messages: limits.max_messages,
            max_message_size: limits.max_message_size,
        }
    }
}

/// The state of a queue. Similar to `struct mq_attr` in POSIX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct QueueAttributes {
    /// The size of the queue.
    pub limits: QueueLimits,
    /// How many messages were in it.
    pub current_messages: u32,
}

/// Copies a message into a buffer that has room for it.
fn fill(buffer: &mut [u8], message: raw::MessageResult) -> (usize, u32) {
    let length = message.payload.len();
    buffer[..length].copy_from_slice(&message.payload);
    (length, message.priority)
}

/// A named queue of messages with priorities, shared with native programs.
///
/// Of the messages in the queue, the oldest of those with the highest priority is received
/// first. Each message is received by one.
///
/// Dropping it closes it, similar to `mq_close` in POSIX. Messages stay in the queue.
#[derive(Debug)]
pub struct Queue {
    raw: raw::Queue,
    /// The size, once it is needed: it never changes.
    limits: OnceLock<QueueLimits>,
    /// For calls without the handle.
    #[cfg(feature = "direct")]
    number: u32,
}

impl Queue {
    fn new(raw: raw::Queue) -> Self {
        Self {
            #[cfg(feature = "direct")]
            number: direct::queue_number(&raw),
            limits: OnceLock::new(),
            raw,
        }
    }

    /// Opens a queue that exists, to receive ([`Access::Read`]), to send
    /// ([`Access::Write`]), or both. Similar to `mq_open` in POSIX.
    ///
    /// # Errors
    ///
    /// [`NoEntry`](crate::ErrorKind::NoEntry) if it does not exist,
    /// [`NotPermitted`](crate::ErrorKind::NotPermitted) if the host has not granted it, or not for
    /// this direction.
    pub fn open(name: &str, access: Access) -> Result<Self> {
        Self::options().access(access).open(name)
    }

    /// Creates a queue that does not exist yet, of this size, open for both directions.
    /// Similar to `mq_open` in POSIX with `O_CREAT` and `O_EXCL`.
    ///
    /// # Errors
    ///
    /// [`Exists`](crate::ErrorKind::Exists) if there is one,
    /// [`NotPermitted`](crate::ErrorKind::NotPermitted) if the host does not let the guest create
    /// it, [`Invalid`](crate::ErrorKind::Invalid) if the size is above the system's
    /// [maximum](crate::limits::queue_maximums), [`Quota`](crate::ErrorKind::Quota) or
    /// [`NoSpace`](crate::ErrorKind::NoSpace) if there is no room for it.
    pub fn create_new(name: &str, limits: QueueLimits) -> Result<Self> {
        Self::options().create_new(true).limits(limits).open(name)
    }

    /// Options for every other way to open or create a queue.
    pub fn options() -> QueueOptions {
        QueueOptions::new()
    }

    /// Removes the name. Handles stay usable; the queue goes when the last one is closed.
    /// Similar to `mq_unlink` in POSIX.
    ///
    /// # Errors
    ///
    /// [`NoEntry`](crate::ErrorKind::NoEntry) if it does not exist,
    /// [`NotPermitted`](crate::ErrorKind::NotPermitted) if the host does not let the guest unlink
    /// it.
    pub fn unlink(name: &str) -> Result<()> {
        raw::unlink(name).map_err(|code| Error::from(code).during("unlink queue", name))
    }

    /// The name under which the guest knows it.
    #[must_use]
    pub fn name(&self) -> String {
        self.raw.name()
    }

    /// The permission bits.
    ///
    /// # Errors
    ///
    /// Fails only if the host cannot reach it any more.
    pub fn mode(&self) -> Result<u32> {
        self.raw
            .mode()
            .map_err(self.failed("read the mode of queue"))
    }

    /// Its size, and how many messages are in it, which others may change at any time.
    /// Similar to `mq_getattr` in POSIX.
    ///
    /// # Errors
    ///
    /// Fails only if the host cannot reach it any more.
    pub fn attributes(&self) -> Result<QueueAttributes> {
        let attributes = self.raw.attributes();
        let attributes = attributes.map_err(self.failed(ATTRIBUTES))?;
        Ok(QueueAttributes {
            limits: attributes.limits.into(),
            current_messages: attributes.current_messages,
        })
    }

    /// Adds a message, waiting while the queue is full. Similar to `mq_send` in POSIX.
    ///
    /// # Errors
    ///
    /// [`MessageTooLong`](crate::ErrorKind::MessageTooLong) if the queue allows only shorter ones,
    /// [`Invalid`](crate::ErrorKind::Invalid) if the priority is above its
    /// [maximum](crate::limits::queue_priority_max),
    /// [`Access`](crate::ErrorKind::Access) if the queue was not opened to send,
    /// [`Cancelled`](crate::ErrorKind::Cancelled) if the host ends the wait; the message was not
    /// sent then.
    pub fn send(&self, payload: &[u8], priority: u32) -> Result<()> {
        if self.send_directly(payload, priority) {
            return Ok(());
        }
        let sent = self.raw.send(payload, priority, None);
        sent.map_err(self.failed(SEND))
    }

    /// As [`send`](Self::send), waiting at most for this long. Similar to `mq_timedsend` in
    /// POSIX, on the monotonic clock.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut) if the time elapsed first; otherwise as
    /// [`send`](Self::send).
    pub fn send_timeout(&self, payload: &[u8], priority: u32, timeout: Duration) -> Result<()> {
        if self.send_directly(payload, priority) {
            return Ok(());
        }
        let result = self.raw.send(payload, priority, Some(nanoseconds(timeout)));
        result.map_err(|code| timed_out(self.failed(SEND)(code)))
    }

    /// Adds a message if the queue has room for it, and says whether it did. Does not wait.
    /// Similar to `mq_send` in POSIX on a queue that is not blocking.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[must_use = "only the value tells whether the message was sent"]
    pub fn try_send(&self, payload: &[u8], priority: u32) -> Result<bool> {
        if self.send_directly(payload, priority) {
            return Ok(true);
        }
        match self.raw.send(payload, priority, Some(0)) {
            Ok(()) => Ok(true),
            Err(raw::ErrorCode::Busy) => Ok(false),
            Err(code) => Err(self.failed(SEND)(code)),
        }
    }

    /// Takes the oldest message of the highest priority, waiting while the queue is empty.
    /// Similar to `mq_receive` in POSIX.
    ///
    /// # Errors
    ///
    /// [`Access`](crate::ErrorKind::Access) if the queue was not opened to receive,
    /// [`Cancelled`](crate::ErrorKind::Cancelled) if the host ends the wait; no message was taken
    /// then.
    pub fn receive(&self) -> Result<Message> {
        let received = self.raw.receive(None);
        received.map(Message::from).map_err(self.failed(RECEIVE))
    }

    /// As [`receive`](Self::receive), into a buffer that has room for the longest message of
    /// the queue; returns the length and the priority. What is behind the message in the
    /// buffer is unspecified.
    ///
    /// # Errors
    ///
    /// [`MessageTooLong`](crate::ErrorKind::MessageTooLong) if the buffer is shorter than the
    /// longest message that the queue allows; otherwise as [`receive`](Self::receive).
    pub fn receive_into(&self, buffer: &mut [u8]) -> Result<(usize, u32)> {
        if let Some(received) = self.receive_directly(buffer) {
            return Ok(received);
        }
        self.has_room(buffer)?;
        let message = self.raw.receive(None);
        let message = message.map_err(self.failed(RECEIVE))?;
        Ok(fill(buffer, message))
    }

    /// As [`receive_into`](Self::receive_into), waiting at most for this long.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut) if the time elapsed first; otherwise as
    /// [`receive_into`](Self::receive_into).
    pub fn receive_into_timeout(
        &self,
        buffer: &mut [u8],
        timeout: Duration,
    ) -> Result<(usize, u32)> {
        if let Some(received) = self.receive_directly(buffer) {
            return Ok(received);
        }
        self.has_room(buffer)?;
        let result = self.raw.receive(Some(nanoseconds(timeout)));
        let message = result.map_err(|code| timed_out(self.failed(RECEIVE)(code)))?;
        Ok(fill(buffer, message))
    }

    /// As [`receive_into`](Self::receive_into), if there is a message. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`receive_into`](Self::receive_into).
    pub fn try_receive_into(&self, buffer: &mut [u8]) -> Result<Option<(usize, u32)>> {
        if let Some(received) = self.receive_directly(buffer) {
            return Ok(Some(received));
        }
        self.has_room(buffer)?;
        match self.raw.receive(Some(0)) {
            Ok(message) => Ok(Some(fill(buffer, message))),
            Err(raw::ErrorCode::Busy) => Ok(None),
            Err(code) => Err(self.failed(RECEIVE)(code)),
        }
    }

    /// The length of the longest message that the queue allows.
    ///
    /// # Errors
    ///
    /// Fails only if the host cannot reach it any more.
    pub fn longest(&self) -> Result<usize> {
        Ok(self.limits()?.max_message_size as usize)
    }

    fn has_room(&self, buffer: &[u8]) -> Result<()> {
        if buffer.len() < self.longest()? {
            let error = Error::from(ErrorKind::MessageTooLong);
            return Err(error.during(RECEIVE, self.name()));
        }
        Ok(())
    }

    /// Receives in a faster way than by a method of the handle, if there is a message and the
    /// buffer has room for every one.
    #[inline]
    fn receive_directly(&self, buffer: &mut [u8]) -> Option<(usize, u32)> {
        #[cfg(feature = "direct")]
        return direct::receive_into(self.number, buffer);
        #[cfg(not(feature = "direct"))]
        {
            let _ = buffer;
            None
        }
    }

    /// As [`receive`](Self::receive), waiting at most for this long. Similar to
    /// `mq_timedreceive` in POSIX, on the monotonic clock.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut) if the time elapsed first; otherwise as
    /// [`receive`](Self::receive).
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Message> {
        match self.raw.receive(Some(nanoseconds(timeout))) {
            Ok(message) => Ok(message.into()),
            Err(code) => Err(timed_out(self.failed(RECEIVE)(code))),
        }
    }

    /// Takes a message if there is one. Does not wait. Similar to `mq_receive` in POSIX on a
    /// queue that is not blocking.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn try_receive(&self) -> Result<Option<Message>> {
        match self.raw.receive(Some(0)) {
            Ok(message) => Ok(Some(message.into())),
            Err(raw::ErrorCode::Busy) => Ok(None),
            Err(code) => Err(self.failed(RECEIVE)(code)),
        }
    }

    /// Makes the error of an operation.
    fn failed(&self, operation: &'static str) -> impl FnOnce(raw::ErrorCode) -> Error {
        move |code| Error::from(code).during(operation, self.raw.name())
    }

    /// As [`send`](Self::send), as a [future](crate::future). It sends when it ends: dropped
    /// before that it has sent nothing.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send) and [`subscribe_writable`](Self::subscribe_writable).
    pub async fn send_async(&self, payload: &[u8], priority: u32) -> Result<()> {
        while !self.try_send(payload, priority)? {
            self.subscribe_writable()?.await;
        }
        Ok(())
    }

    /// As [`receive`](Self::receive), as a [future](crate::future). It takes a message when it
    /// ends: dropped before that it has taken none.
    ///
    /// # Errors
    ///
    /// As [`try_receive`](Self::try_receive) and
    /// [`subscribe_readable`](Self::subscribe_readable).
    pub async fn receive_async(&self) -> Result<Message> {
        loop {
            if let Some(message) = self.try_receive()? {
                return Ok(message);
            }
            self.subscribe_readable()?.await;
        }
    }

    fn limits(&self) -> Result<QueueLimits> {
        if let Some(&limits) = self.limits.get() {
            return Ok(limits);
        }
        let limits = self.attributes()?.limits;
        Ok(*self.limits.get_or_init(|| limits))
    }

    /// Sends in a faster way than by a method of the handle. Says whether it did; if not, the
    /// method waits or tells why.
    #[inline]
    fn send_directly(&self, payload: &[u8], priority: u32) -> bool {
        #[cfg(feature = "direct")]
        return direct::send(self.number, payload, priority);
        #[cfg(not(feature = "direct"))]
        {
            let _ = (payload, priority);
            false
        }
    }

    /// Sends messages, given as payload and priority, in order with one call to the host,
    /// waiting while the queue is full. Returns how many it sent: fewer than all if the next
    /// one could not be sent, and sending that one tells why.
    ///
    /// ```no_run
    /// # use posix_ipc_guest::{Message, Queue};
    /// # fn send(queue: &Queue, messages: &[Message]) -> posix_ipc_guest::Result<()> {
    /// let count = queue.send_batch([(b"first".as_slice(), 0), (b"second", 0)])?;
    /// let count = queue.send_batch(messages.iter().map(Message::as_parts))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), if the first message could not be sent.
    #[must_use = "only the value tells how many messages were sent"]
    pub fn send_batch<'a>(
        &self,
        messages: impl IntoIterator<Item = (&'a [u8], u32)>,
    ) -> Result<usize> {
        let sent = self.send_all(&batch(messages), None);
        sent.map_err(self.failed(SEND))
    }

    /// As [`send_batch`](Self::send_batch), waiting at most for this long in all.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout), if the first message could not be sent.
    #[must_use = "only the value tells how many messages were sent"]
    pub fn send_batch_timeout<'a>(
        &self,
        messages: impl IntoIterator<Item = (&'a [u8], u32)>,
        timeout: Duration,
    ) -> Result<usize> {
        let sent = self.send_all(&batch(messages), Some(nanoseconds(timeout)));
        sent.map_err(|code| timed_out(self.failed(SEND)(code)))
    }

    /// As [`send_batch`](Self::send_batch), as many as the queue has room for, which may be
    /// none. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send), if the first message could not be sent.
    #[must_use = "only the value tells how many messages were sent"]
    pub fn try_send_batch<'a>(
        &self,
        messages: impl IntoIterator<Item = (&'a [u8], u32)>,
    ) -> Result<usize> {
        match self.send_all(&batch(messages), Some(0)) {
            Err(raw::ErrorCode::Busy) => Ok(0),
            sent => sent.map_err(self.failed(SEND)),
        }
    }

    /// Sends what it can in the faster way, and the rest by the method, which waits or tells
    /// why not.
    fn send_all(
        &self,
        messages: &[raw::MessageParam<'_>],
        timeout: Option<u64>,
    ) -> std::result::Result<usize, raw::ErrorCode> {
        let sent = self.send_batch_directly(messages);
        if sent > 0 && sent == messages.len() {
            return Ok(sent);
        }
        match self.raw.send_batch(&messages[sent..], timeout) {
            Ok(count) => Ok(sent + count as usize),
            Err(_) if sent > 0 => Ok(sent),
            Err(code) => Err(code),
        }
    }

    fn send_batch_directly(&self, messages: &[raw::MessageParam<'_>]) -> usize {
        #[cfg(feature = "direct")]
        {
            let parts = messages.iter().map(|one| (one.payload, one.priority));
            direct::send_batch(self.number, parts)
        }
        #[cfg(not(feature = "direct"))]
        {
            let _ = messages;
            0
        }
    }

    /// Waits for a message as [`receive`](Self::receive) does, then takes what else is there,
    /// up to `max` messages in all, with one call to the host.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_batch(&self, max: u32) -> Result<Vec<Message>> {
        let received = self.receive_up_to(max, None);
        received.map_err(self.failed(RECEIVE))
    }

    /// As [`receive_batch`](Self::receive_batch), waiting at most for this long.
    ///
    /// # Errors
    ///
    /// As [`receive_timeout`](Self::receive_timeout).
    pub fn receive_batch_timeout(&self, max: u32, timeout: Duration) -> Result<Vec<Message>> {
        let received = self.receive_up_to(max, Some(nanoseconds(timeout)));
        received.map_err(|code| timed_out(self.failed(RECEIVE)(code)))
    }

    /// As [`receive_batch`](Self::receive_batch), what is there, which may be none. Does not
    /// wait.
    ///
    /// # Errors
    ///
    /// As [`try_receive`](Self::try_receive).
    pub fn try_receive_batch(&self, max: u32) -> Result<Vec<Message>> {
        match self.receive_up_to(max, Some(0)) {
            Err(raw::ErrorCode::Busy) => Ok(Vec::new()),
            received => received.map_err(self.failed(RECEIVE)),
        }
    }

    fn receive_up_to(
        &self,
        max: u32,
        timeout: Option<u64>,
    ) -> std::result::Result<Vec<Message>, raw::ErrorCode> {
        #[cfg(feature = "direct")]
        if let Ok(limits) = self.limits() {
            let longest = limits.max_message_size as usize;
            let max = max.min(limits.max_messages);
            let message = |payload, priority| Message { payload, priority };
            let received = direct::receive_batch(self.number, longest, max, message);
            if !received.is_empty() {
                return Ok(received);
            }
        }
        let received = self.raw.receive_batch(max, timeout)?;
        Ok(received.into_iter().map(Message::from).collect())
    }

    /// Something to [poll](crate::poll) that is ready while the queue holds a message. Follow
    /// it with [`try_receive`](Self::try_receive), as somebody else may be faster.
    ///
    /// # Errors
    ///
    /// [`Quota`](crate::ErrorKind::Quota) if the guest holds as many handles as the host allows.
    pub fn subscribe_readable(&self) -> Result<Pollable> {
        let raw = self.raw.subscribe_readable();
        raw.map(Pollable::new).map_err(self.failed(SUBSCRIBE))
    }

    /// Something to [poll](crate::poll) that is ready while the queue has room for a message.
    /// Follow it with [`try_send`](Self::try_send), as somebody else may be faster.
    ///
    /// # Errors
    ///
    /// [`Quota`](crate::ErrorKind::Quota) if the guest holds as many handles as the host allows.
    pub fn subscribe_writable(&self) -> Result<Pollable> {
        let raw = self.raw.subscribe_writable();
        raw.map(Pollable::new).map_err(self.failed(SUBSCRIBE))
    }

    /// Asks to be told, once, when a message arrives in the empty queue and nobody waits to
    /// receive it. It takes a queue that was opened for receiving. Similar to
    /// `mq_notify` in POSIX.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::ErrorKind::Busy) if it is taken: a queue has one registration in the whole
    /// system.
    pub fn request_notification(&self) -> Result<Notification> {
        let raw = self.raw.request_notification();
        let raw = raw.map_err(self.failed("request a notification of queue"))?;
        Ok(Notification { raw })
    }
}

fn batch<'a>(messages: impl IntoIterator<Item = (&'a [u8], u32)>) -> Vec<raw::MessageParam<'a>> {
    messages
        .into_iter()
        .map(|(payload, priority)| raw::MessageParam { payload, priority })
        .collect()
}

/// A registration for the arrival of a message, from [`Queue::request_notification`].
/// Dropping it cancels it.
#[derive(Debug)]
#[must_use = "the registration is cancelled at once when dropped"]
pub struct Notification {
    raw: raw::Notification,
}

impl Notification {
    /// Whether the message has arrived. Once it has, the registration is used up.
    #[must_use]
    pub fn delivered(&self) -> bool {
        self.raw.delivered()
    }

    /// Something to [poll](crate::poll) that is ready once the message has arrived, or the
    /// notification has been dropped.
    ///
    /// # Errors
    ///
    /// [`Quota`](crate::ErrorKind::Quota) if the guest holds as many handles as the host allows.
    pub fn subscribe(&self) -> Result<Pollable> {
        Ok(Pollable::new(self.raw.subscribe()?))
    }
}

/// How to open or create a [`Queue`]. Without further calls: open one that exists, for both
/// directions.
///
/// ```no_run
/// # use posix_ipc_guest::{Queue, QueueLimits};
/// # fn main() -> posix_ipc_guest::Result<()> {
/// let limits = QueueLimits { max_messages: 8, max_message_size: 256 };
/// let jobs = Queue::options().create(true).limits(limits).open("/jobs")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is opened until `open` or `create_unique` is called"]
pub struct QueueOptions {
    create: Create,
    mode: u32,
    access: Access,
    limits: Option<QueueLimits>,
}

impl QueueOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            create: Create::default(),
            mode: DEFAULT_MODE,
            access: Access::ReadWrite,
            limits: None,
        }
    }

    /// Whether to create the queue if it does not exist. Similar to `O_CREAT` in POSIX.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.create.create = create;
        self
    }

    /// Whether to create the queue, and fail if it exists. Similar to `O_CREAT` with `O_EXCL`
    /// in POSIX.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.create.create_new = create_new;
        self
    }

    /// The permission bits of a new queue, `0o600` by default. The host's umask applies.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }

    /// The directions to open it for, both by default.
    pub fn access(&mut self, access: Access) -> &mut Self {
        self.access = access;
        self
    }

    /// The size of a new queue. By default it has the system's
    /// [default](crate::limits::queue_defaults).
    pub fn limits(&mut self, limits: QueueLimits) -> &mut Self {
        self.limits = Some(limits);
        self
    }

    /// Opens or creates the queue. Similar to `mq_open` in POSIX.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](crate::ErrorKind::NotPermitted) if the host has not granted this,
    /// [`NoEntry`](crate::ErrorKind::NoEntry) or [`Exists`](crate::ErrorKind::Exists) as the options say,
    /// [`Invalid`](crate::ErrorKind::Invalid) if the name is malformed or the size above the
    /// system's [maximum](crate::limits::queue_maximums), [`Quota`](crate::ErrorKind::Quota) or
    /// [`NoSpace`](crate::ErrorKind::NoSpace) if there is no room for it.
    pub fn open(&self, name: &str) -> Result<Queue> {
        let raw = raw::Queue::open(
            name,
            self.create.flags(),
            self.mode,
            self.access.into(),
            self.limits.map(Into::into),
        );
        let raw = raw.map_err(|code| Error::from(code).during("open queue", name))?;
        Ok(Queue::new(raw))
    }

    /// Creates a queue under a name that nobody has: the prefix, which starts with a slash,
    /// followed by random letters and digits. [`Queue::name`] tells it. It is open for both
    /// directions.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn create_unique(&self, prefix: &str) -> Result<Queue> {
        let limits = self.limits.map(Into::into);
        let raw = raw::Queue::create_unique(prefix, self.mode, limits)
            .map_err(|code| Error::from(code).during("create queue", prefix))?;
        Ok(Queue::new(raw))
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self::new()
    }
}
