//! The interface `message-queue`.

mod batch;
mod notification;

pub use notification::Notification;

use self::batch::Batch;
use super::open::{Opened, Opening, create_unique, directions, open, refuse_truncate, unlink};
use super::packed;
use crate::audit::Operation;
use crate::ctx::{AccessRequest, Call, IpcCtx, IpcCtxView, OpenCharge, Permit, Watched};
use crate::error::{Error, ErrorCode};
use crate::grant::{Bytes, Right};
use crate::host::bindings::posix::ipc::message_queue::{
    Attributes, Host, HostQueue, Message, QueueLimits,
};
use crate::host::bindings::posix::ipc::types::{Access, OpenFlags};
use crate::ledger::Entry;
use crate::name::{Kind, Name};
use crate::quota::{Reservation, Resource};
use crate::sys::limits::{self, Refusal};
use crate::sys::message_queue::{Direction, MessageQueue, QueueSize};
use crate::sys::{self, Errno, Identity};
use crate::wait::{PollableQueue, WaitMode};
use std::cell::OnceCell;
use std::sync::Arc;
use wasmtime::component::{Resource as Handle, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

/// A guest's handle to a queue.
pub struct Queue {
    raw: Arc<PollableQueue>,
    permit: Permit,
    may_receive: bool,
    may_send: bool,
    size: QueueSize,
    /// Room for the longest message, which the system insists on.
    room: Vec<u8>,
    open_charge: Arc<OpenCharge>,
    _entry: Entry,
}

const KIND: Kind = Kind::MessageQueue;

impl Host for IpcCtxView<'_> {
    fn unlink(&mut self, name: String) -> Result<(), Error> {
        unlink(self.ctx, KIND, &name)
    }
}

impl HostQueue for IpcCtxView<'_> {
    fn open(
        &mut self,
        name: String,
        flags: OpenFlags,
        mode: u32,
        access: Access,
        limits: Option<QueueLimits>,
    ) -> Result<Handle<Queue>, Error> {
        let opening = OpenQueue::new(mode, access, limits);
        open(self, &name, flags, &opening, |view, opened| {
            view.push_queue(opened, access)
        })
    }

    fn create_unique(
        &mut self,
        prefix: String,
        mode: u32,
        limits: Option<QueueLimits>,
    ) -> Result<Handle<Queue>, Error> {
        let access = Access::ReadWrite;
        let opening = OpenQueue::new(mode, access, limits);
        create_unique(self, &prefix, &opening, |view, opened| {
            view.push_queue(opened, access)
        })
    }

    fn name(&mut self, this: Handle<Queue>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.permit.guest_name.to_string())
    }

    fn mode(&mut self, this: Handle<Queue>) -> Result<u32, Error> {
        Ok(self.table.get(&this)?.raw.get().mode()?)
    }

    fn attributes(&mut self, this: Handle<Queue>) -> Result<Attributes, Error> {
        let queue = self.table.get(&this)?;
        let watched = queue.begins(self.ctx, Call::new("attributes"))?;
        let now = queue.raw.get().attributes().map_err(Error::from);
        let now = watched.ends_as(now, |now| Some(now.current_messages.into()))?;
        Ok(Attributes {
            limits: now.size.into(),
            current_messages: now.current_messages,
        })
    }

    async fn send(
        &mut self,
        this: Handle<Queue>,
        payload: Vec<u8>,
        priority: u32,
        timeout: Option<u64>,
    ) -> Result<(), Error> {
        let message = Message { payload, priority };
        let wait_mode = self.ctx.wait_mode(timeout);
        self.send_waiting(&this, &message, wait_mode, timeout).await
    }

    async fn receive(
        &mut self,
        this: Handle<Queue>,
        timeout: Option<u64>,
    ) -> Result<Message, Error> {
        let queue = receivable(self.table, &this)?;
        let watched = queue.goes_on(self.ctx, Call::new("receive").waiting(timeout));
        let received = async {
            let received = queue.receive(self.ctx, self.ctx.wait_mode(timeout)).await;
            self.ctx.waited(received, timeout)
        };
        watched.waits(received, bytes).await
    }

    /// Not this, which would copy all of them, is called: see [`super::overrides`].
    async fn send_batch(
        &mut self,
        _: Handle<Queue>,
        _: Vec<Message>,
        _: Option<u64>,
    ) -> Result<u32, Error> {
        Err(ErrorCode::Unsupported.into())
    }

    async fn receive_batch(
        &mut self,
        this: Handle<Queue>,
        max: u32,
        timeout: Option<u64>,
    ) -> Result<Vec<Message>, Error> {
        let queue = receivable(self.table, &this)?;
        let call = Call::new("receive-batch").with("max", max.into());
        let watched = queue.goes_on(self.ctx, call.waiting(timeout));
        let mut batch = Batch::new(queue, max);
        let mut wait_mode = self.ctx.wait_mode(timeout);
        let received = async {
            while batch.has_room() {
                let received = queue.receive(self.ctx, wait_mode).await;
                if !batch.add(self.ctx.waited(received, timeout))? {
                    break;
                }
                wait_mode = WaitMode::None;
            }
            Ok(batch.messages)
        };
        watched
            .waits(received, |messages| Some(messages.len() as u64))
            .await
    }

    fn subscribe_readable(&mut self, this: Handle<Queue>) -> Result<Handle<DynPollable>, Error> {
        self.subscribe_queue(&this, Side::Readable)
    }

    fn subscribe_writable(&mut self, this: Handle<Queue>) -> Result<Handle<DynPollable>, Error> {
        self.subscribe_queue(&this, Side::Writable)
    }

    fn request_notification(&mut self, this: Handle<Queue>) -> Result<Handle<Notification>, Error> {
        let requested = self.notification(&this);
        let permit = &self.table.get(&this)?.permit;
        let request = AccessRequest::new(Operation::Notify, permit.target());
        let request = request.with_rights(&[Right::Receive]);
        self.ctx.audited(request, requested)
    }

    fn drop(&mut self, this: Handle<Queue>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl IpcCtxView<'_> {
    /// Sends without waiting. After this the guest waits for `timeout`.
    pub(super) fn try_send(
        &mut self,
        this: &Handle<Queue>,
        payload: &[u8],
        priority: u32,
        timeout: Option<u64>,
    ) -> Result<(), Error> {
        let queue = self.table.get(this)?;
        if !queue.may_send {
            return Err(ErrorCode::Access.into());
        }
        let watched = queue.begins(self.ctx, sending(payload, priority, timeout))?;
        let sent = queue.raw.get().try_send(payload, priority);
        watched.ends(sent.map_err(Error::from))
    }

    /// Sends, and waits for room if need be. `wait_mode` comes from `timeout`.
    pub(super) async fn send_waiting(
        &mut self,
        this: &Handle<Queue>,
        message: &Message,
        wait_mode: WaitMode,
        timeout: Option<u64>,
    ) -> Result<(), Error> {
        let queue = sendable(self.table, this)?;
        let name = self.table.get(this)?.permit.guest_name.clone();
        let call = sending(&message.payload, message.priority, timeout);
        let watched = self.ctx.goes_on(call, KIND, name.as_str());
        let sent = async {
            let sent = send(self.ctx, &queue, &name, message, wait_mode).await;
            self.ctx.waited(sent, timeout)
        };
        watched.waits(sent, |()| None).await
    }

    /// Receives without waiting. After this the guest waits for `timeout`.
    pub(super) fn try_receive(
        &mut self,
        this: &Handle<Queue>,
        timeout: Option<u64>,
    ) -> Result<Message, Error> {
        let queue = receivable(self.table, this)?;
        let watched = queue.begins(self.ctx, Call::new("receive").waiting(timeout))?;
        watched.ends_as(queue.try_receive(), bytes)
    }

    /// Receives into a buffer without waiting; gives the length and the priority.
    pub(super) fn try_receive_into(
        &mut self,
        this: &Handle<Queue>,
        buffer: &mut [u8],
    ) -> Result<(usize, u32), Error> {
        let queue = receivable(self.table, this)?;
        let watched = queue.begins(self.ctx, Call::new("receive").waiting(Some(0)))?;
        let received = queue.raw.get().try_receive_into(buffer);
        watched.ends_as(received.map_err(Error::from), |(length, _)| {
            Some(*length as u64)
        })
    }

    /// Sends messages of this form without waiting, up to the first that cannot be sent, and
    /// says how many. More may be received meanwhile than the queue holds, but not sent: a
    /// call has an end.
    pub(super) fn try_send_packed(
        &mut self,
        this: &Handle<Queue>,
        messages: &[u8],
    ) -> Result<u32, Error> {
        let queue = self.table.get(this)?;
        if !queue.may_send {
            return Err(ErrorCode::Access.into());
        }
        let watched = queue.begins(self.ctx, Call::new("send-batch"))?;
        let raw = queue.raw.get();
        let most = queue.size.max_messages as usize;
        let sent = packed::Messages(messages)
            .take(most)
            .take_while(|(payload, priority)| raw.try_send(payload, *priority).is_ok())
            .count() as u32;
        // A guest that has sent none tries in another way.
        match sent {
            0 => Ok(0),
            _ => watched.ends(Ok(sent)),
        }
    }

    /// Receives up to `max` messages without waiting, and says how many.
    pub(super) fn try_receive_packed(
        &mut self,
        this: &Handle<Queue>,
        buffer: &mut [u8],
        max: u32,
    ) -> Result<u32, Error> {
        let queue = receivable(self.table, this)?;
        let watched = queue.begins(self.ctx, Call::new("receive-batch"))?;
        let raw = queue.raw.get();
        let longest = queue.size.max_message_size as usize;
        let most = max.min(queue.size.max_messages);
        let mut room = packed::Room(buffer);
        let mut received = 0;
        while received < most && room.add(longest, |payload| raw.try_receive_into(payload)) {
            received += 1;
        }
        match received {
            0 => Ok(0),
            _ => watched.ends(Ok(received)),
        }
    }

    /// Receives up to `max` messages, and at least one, without waiting. After this the guest
    /// waits for `timeout`.
    pub(super) fn try_receive_batch(
        &mut self,
        this: &Handle<Queue>,
        max: u32,
        timeout: Option<u64>,
    ) -> Result<Vec<Message>, Error> {
        let queue = receivable(self.table, this)?;
        let call = Call::new("receive-batch").with("max", max.into());
        let watched = queue.begins(self.ctx, call.waiting(timeout))?;
        let mut batch = Batch::new(queue, max);
        let received = loop {
            match batch.has_room().then(|| batch.add(queue.try_receive())) {
                Some(Ok(true)) => {}
                Some(Err(error)) => break Err(error),
                Some(Ok(false)) | None => break Ok(batch.messages),
            }
        };
        watched.ends_as(received, |messages| Some(messages.len() as u64))
    }

    fn push_queue(
        &mut self,
        opened: Opened<MessageQueue>,
        access: Access,
    ) -> Result<Handle<Queue>, Error> {
        // A queue may have longer messages than the host wants to hold.
        let size = opened.raw.attributes()?.size;
        self.ctx.check_message_size(size.max_message_size)?;
        let (may_receive, may_send) = directions(access);
        Ok(self.table.push(Queue {
            raw: Arc::new(PollableQueue::new(opened.raw, self.ctx.host().waits())),
            permit: opened.permit,
            may_receive,
            may_send,
            size,
            room: Vec::new(),
            open_charge: OpenCharge::new(opened.handle, opened.charge),
            _entry: opened.entry,
        })?)
    }

    fn subscribe_queue(
        &mut self,
        this: &Handle<Queue>,
        side: Side,
    ) -> Result<Handle<DynPollable>, Error> {
        let queue = self.table.get(this)?;
        let allowed = match side {
            Side::Readable => queue.may_receive,
            Side::Writable => queue.may_send,
        };
        if !allowed {
            return Err(ErrorCode::Access.into());
        }
        let pollable = self.ctx.reserve_pollable(&queue.permit)?;
        let ready = Ready {
            queue: queue.raw.clone(),
            side,
            _open_charge: queue.open_charge.clone(),
            _pollable: pollable,
        };
        let ready = self.table.push(ready)?;
        subscribe(self.table, ready).map_err(Error::Trap)
    }
}

fn sendable(table: &ResourceTable, this: &Handle<Queue>) -> Result<Arc<PollableQueue>, Error> {
    let queue = table.get(this)?;
    if queue.may_send {
        Ok(queue.raw.clone())
    } else {
        Err(ErrorCode::Access.into())
    }
}

fn receivable<'a>(
    table: &'a mut ResourceTable,
    this: &Handle<Queue>,
) -> Result<&'a mut Queue, Error> {
    let queue = table.get_mut(this)?;
    if queue.may_receive {
        Ok(queue)
    } else {
        Err(ErrorCode::Access.into())
    }
}

fn sending(payload: &[u8], priority: u32, timeout: Option<u64>) -> Call {
    Call::new("send")
        .with("bytes", payload.len() as u64)
        .with("priority", priority.into())
        .waiting(timeout)
}

fn bytes(message: &Message) -> Option<u64> {
    Some(message.payload.len() as u64)
}

impl Queue {
    fn begins(&self, ctx: &IpcCtx, call: Call) -> Result<Watched, Error> {
        ctx.begins(call, KIND, self.permit.guest_name.as_str())
    }

    fn goes_on(&self, ctx: &IpcCtx, call: Call) -> Watched {
        ctx.goes_on(call, KIND, self.permit.guest_name.as_str())
    }

    async fn receive(&mut self, ctx: &IpcCtx, wait_mode: WaitMode) -> Result<Message, Error> {
        let longest = self.size.max_message_size as usize;
        let waits = ctx.host().waits();
        let waiter = ctx.waiter(&self.permit.guest_name, "receive");
        let priority = waits
            .receive(&self.raw, longest, &mut self.room, wait_mode, waiter)
            .await?;
        Ok(self.message(priority))
    }

    fn try_receive(&mut self) -> Result<Message, Error> {
        let longest = self.size.max_message_size as usize;
        let priority = self.raw.get().try_receive(longest, &mut self.room)?;
        Ok(self.message(priority))
    }

    /// The message that has just been received. A short one is copied; for a long one
    /// it is faster to give the room away.
    fn message(&mut self, priority: u32) -> Message {
        const SHORT: usize = 1024;
        let payload = match self.room.len() {
            ..=SHORT => self.room.clone(),
            _ => std::mem::take(&mut self.room),
        };
        Message { payload, priority }
    }
}

async fn send(
    ctx: &IpcCtx,
    queue: &PollableQueue,
    name: &Name,
    message: &Message,
    wait_mode: WaitMode,
) -> Result<(), Error> {
    let Message { payload, priority } = message;
    let waits = ctx.host().waits();
    let sent = waits.send(
        queue,
        payload,
        *priority,
        wait_mode,
        ctx.waiter(name, "send"),
    );
    Ok(sent.await?)
}

/// A queue that is to be opened, or created with this mode and size.
struct OpenQueue {
    mode: u32,
    access: Access,
    /// The system's default if it is not known yet.
    size: OnceCell<QueueSize>,
}

impl OpenQueue {
    fn new(mode: u32, access: Access, limits: Option<QueueLimits>) -> Self {
        Self {
            mode,
            access,
            size: limits
                .map(QueueSize::from)
                .map_or_else(OnceCell::new, OnceCell::from),
        }
    }

    fn size(&self) -> QueueSize {
        *self.size.get_or_init(limits::queue_defaults)
    }
}

impl Opening for OpenQueue {
    type Raw = MessageQueue;

    const KIND: Kind = KIND;

    fn rights(&self) -> &'static [Right] {
        match self.access {
            Access::Read => &[Right::Receive],
            Access::Write => &[Right::Send],
            Access::ReadWrite => &[Right::Receive, Right::Send],
        }
    }

    fn check(&self, flags: OpenFlags) -> Result<(), Error> {
        refuse_truncate(flags)
    }

    fn open(&self, name: &Name) -> sys::Result<MessageQueue> {
        MessageQueue::open(name, direction(self.access))
    }

    fn check_limits(&self, ctx: &IpcCtx, permit: &Permit) -> Result<(), Error> {
        let QueueSize {
            max_messages,
            max_message_size,
        } = self.size();
        let over = |max: Option<u32>, asked| max.filter(|max| asked > *max);
        if let Some(max) = over(permit.grant.max_messages(), max_messages) {
            return Err(ctx.over_grant(permit, "max-msgs", max, max_messages));
        }
        if let Some(max) = over(permit.grant.max_message_size(), max_message_size) {
            let [max, asked] = [max, max_message_size].map(|bytes| Bytes(bytes.into()));
            return Err(ctx.over_grant(permit, "max-msg-size", max, asked));
        }
        ctx.check_message_size(max_message_size)
    }

    fn bytes(&self) -> Option<(Resource, u64)> {
        let QueueSize {
            max_messages,
            max_message_size,
        } = self.size();
        let bytes = u64::from(max_messages) * u64::from(max_message_size);
        Some((Resource::MqBytes, bytes))
    }

    fn create(&self, name: &Name, created: impl FnOnce(Identity)) -> sys::Result<MessageQueue> {
        let (direction, size) = (direction(self.access), Some(self.size()));
        MessageQueue::create(name, direction, self.mode, size, created)
    }

    fn refusal(&self, errno: Errno, creating: bool) -> Refusal {
        Refusal::of_queue(errno, creating.then(|| self.size()))
    }

    fn identity(raw: &MessageQueue) -> sys::Result<Identity> {
        raw.identity()
    }

    fn queue(raw: &MessageQueue) -> Option<MessageQueue> {
        Some(raw.clone())
    }
}

fn direction(access: Access) -> Direction {
    match access {
        Access::Read => Direction::Receive,
        Access::Write => Direction::Send,
        Access::ReadWrite => Direction::Both,
    }
}

impl From<QueueLimits> for QueueSize {
    fn from(limits: QueueLimits) -> Self {
        let QueueLimits {
            max_messages,
            max_message_size,
        } = limits;
        Self {
            max_messages,
            max_message_size,
        }
    }
}

impl From<QueueSize> for QueueLimits {
    fn from(size: QueueSize) -> Self {
        let QueueSize {
            max_messages,
            max_message_size,
        } = size;
        Self {
            max_messages,
            max_message_size,
        }
    }
}

#[derive(Clone, Copy)]
enum Side {
    Readable,
    Writable,
}

/// Ready while the queue holds a message, or has room for one.
struct Ready {
    queue: Arc<PollableQueue>,
    side: Side,
    _open_charge: Arc<OpenCharge>,
    _pollable: Reservation,
}

#[async_trait]
impl Pollable for Ready {
    async fn ready(&mut self) {
        match self.side {
            Side::Readable => self.queue.readable().await,
            Side::Writable => self.queue.writable().await,
        }
    }
}
