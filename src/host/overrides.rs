//! The functions that are put into the linker by hand, over those that are generated
//! from the WIT package.
//!
//! Generated functions get a copy of a list. Where a list says *which* memory is
//! meant, or is written to, a copy is no use at all, and where many bytes are passed
//! it costs. And a generated function that may have to wait is a future, with room
//! for all that waiting takes, even if there is nothing to wait for. Here it is tried
//! first, and what succeeds at once, or fails, is done.

use super::direct::NOTHING;
use super::mappings::Mapping;
use super::message_queue::Queue;
use super::semaphore::Semaphore;
use super::shared_memory::Segment;
use crate::ctx::IpcView;
use crate::error::{Error, ErrorCode};
use crate::host::bindings::posix::ipc::message_queue::{HostQueue, Message};
use crate::host::bindings::posix::ipc::types::Access;
use crate::host::bindings::posix::ipc::types::ErrorCode as GuestError;
use crate::sys::guest_memory::{address_of, with_bytes};
use std::future::{Future, ready};
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Resource as Handle, WasmList};

/// Replaces generated functions of the interface `semaphore`.
pub(super) fn semaphore<T: IpcView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut semaphores = linker.instance("posix:ipc/semaphore@0.1.0")?;
    semaphores.func_wrap("[method]semaphore.map", map_semaphore)?;
    semaphores.func_wrap_async("[method]semaphore.acquire", acquire)
}

/// Replaces generated functions of the interface `shared-memory`.
pub(super) fn shared_memory<T: IpcView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut segments = linker.instance("posix:ipc/shared-memory@0.1.0")?;
    segments.func_wrap("[method]segment.map", map_segment)?;
    segments.func_wrap("[method]segment.read", read)?;
    segments.func_wrap("[method]segment.write", write)?;
    segments.func_wrap("[method]segment.read-into", read_into)
}

/// Replaces generated functions of the interface `message-queue`.
pub(super) fn message_queue<T: IpcView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut queues = linker.instance("posix:ipc/message-queue@0.1.0")?;
    queues.func_wrap_async("[method]queue.send", send)?;
    queues.func_wrap_async("[method]queue.receive", receive)?;
    queues.func_wrap_async("[method]queue.send-batch", send_batch)?;
    queues.func_wrap_async("[method]queue.receive-batch", receive_batch)
}

/// Replaces generated functions of the interface `direct`.
pub(super) fn direct<T: IpcView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut direct = linker.instance("posix:ipc/direct@0.1.0")?;
    direct.func_wrap("read-into", read_into_directly)?;
    direct.func_wrap("write", write_directly)?;
    direct.func_wrap("send", send_directly)?;
    direct.func_wrap("receive-into", receive_directly)?;
    direct.func_wrap("send-batch", send_batch_directly)?;
    direct.func_wrap("receive-batch", receive_batch_directly)
}

/// What a function returns: one result, which is an answer for the guest.
type Answer<R> = wasmtime::Result<(Result<R, GuestError>,)>;

/// The answer of a function that may have to wait.
type Later<'a, R> = Box<dyn Future<Output = Answer<R>> + Send + 'a>;

fn answer<R>(result: Result<R, Error>) -> Answer<R> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(Error::Code(code)) => Ok((Err(code.into()),)),
        Err(Error::Trap(trap)) => Err(trap),
    }
}

fn now<'a, R: Send + 'a>(result: Result<R, Error>) -> Later<'a, R> {
    Box::new(ready(answer(result)))
}

/// Whether a call that was tried has to wait.
fn waits<R>(tried: &Result<R, Error>, timeout: Option<u64>) -> bool {
    matches!(tried, Err(Error::Code(ErrorCode::Busy))) && timeout != Some(0)
}

fn map_semaphore<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, probe): (Handle<Semaphore>, WasmList<u8>),
) -> Answer<Handle<Mapping>> {
    let engine = store.engine().clone();
    let probe = (probe.len() > 0).then(|| address_of(&store, &probe));
    answer(store.data_mut().ipc().map_semaphore(&this, &engine, probe))
}

fn acquire<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, timeout): (Handle<Semaphore>, Option<u64>),
) -> Later<'_, ()> {
    match store.data_mut().ipc().acquire_or_wait(&this, timeout) {
        Ok(Some(wait)) => {
            Box::new(async move { answer(wait.acquire(store.data_mut().ipc().ctx, timeout).await) })
        }
        done => now(done.map(drop)),
    }
}

fn map_segment<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, probe, offset, length, access): (Handle<Segment>, WasmList<u8>, u64, u64, Access),
) -> Answer<Handle<Mapping>> {
    let engine = store.engine().clone();
    let probe = (probe.len() > 0).then(|| address_of(&store, &probe));
    let range = offset..offset.saturating_add(length);
    let mut view = store.data_mut().ipc();
    answer(view.map_segment(&this, &engine, probe, range, access))
}

/// Copies twice, as the list is made in the guest's memory once its contents are
/// known. The first copy is to memory that is kept for it, unless it is very long.
fn read<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, offset, length): (Handle<Segment>, u64, u64),
) -> Answer<Arc<Vec<u8>>> {
    const LONGEST_KEPT: usize = 1 << 20;
    let mut view = store.data_mut().ipc();
    let spare = std::mem::take(view.ctx.spare());
    let mut bytes = Arc::try_unwrap(spare).unwrap_or_default();
    let read = view.read_list(&this, offset, length, &mut bytes);
    let bytes = Arc::new(bytes);
    if bytes.capacity() <= LONGEST_KEPT {
        *view.ctx.spare() = bytes.clone();
    }
    answer(read.map(|()| bytes))
}

fn write<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, offset, data): (Handle<Segment>, u64, WasmList<u8>),
) -> Answer<()> {
    let write = |host: &mut T, data: &mut [u8]| host.ipc().write_segment(&this, offset, data);
    answer(with_bytes(&mut store, &data, write))
}

fn read_into<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, offset, buffer): (Handle<Segment>, u64, WasmList<u8>),
) -> Answer<u64> {
    let read = |host: &mut T, buffer: &mut [u8]| host.ipc().read_segment(&this, offset, buffer);
    answer(with_bytes(&mut store, &buffer, read))
}

fn send<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, payload, priority, timeout): (Handle<Queue>, WasmList<u8>, u32, Option<u64>),
) -> Later<'_, ()> {
    let send =
        |host: &mut T, payload: &mut [u8]| host.ipc().try_send(&this, payload, priority, timeout);
    let tried = with_bytes(&mut store, &payload, send);
    if !waits(&tried, timeout) {
        return now(tried);
    }
    let payload = with_bytes(&mut store, &payload, |_, payload| payload.to_vec());
    Box::new(async move {
        let mut view = store.data_mut().ipc();
        answer(HostQueue::send(&mut view, this, payload, priority, timeout).await)
    })
}

fn receive<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, timeout): (Handle<Queue>, Option<u64>),
) -> Later<'_, Message> {
    let tried = store.data_mut().ipc().try_receive(&this, timeout);
    if !waits(&tried, timeout) {
        return now(tried);
    }
    Box::new(async move {
        let mut view = store.data_mut().ipc();
        answer(HostQueue::receive(&mut view, this, timeout).await)
    })
}

/// A message that is still in the guest's memory.
#[derive(ComponentType, Lift)]
#[component(record)]
struct Outgoing {
    payload: WasmList<u8>,
    priority: u32,
}

/// Of the messages that the guest passes the host holds a copy of at most one, while it
/// waits for room for it.
fn send_batch<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, messages, timeout): (Handle<Queue>, Vec<Outgoing>, Option<u64>),
) -> Later<'_, u32> {
    let (mut sent, mut outcome) = try_send_batch(&mut store, &this, &messages, timeout);
    let all = messages.len();
    let is_over = move |sent: u32, outcome: &Result<(), Error>| match outcome {
        Ok(()) => sent as usize == all,
        Err(_) => !waits(outcome, timeout),
    };
    if is_over(sent, &outcome) {
        return now(batch(sent, outcome));
    }
    Box::new(async move {
        let wait_mode = store.data_mut().ipc().ctx.wait_mode(timeout);
        while !is_over(sent, &outcome) {
            let left = &messages[sent as usize..];
            if outcome.is_ok() {
                tokio::task::yield_now().await;
                let more;
                (more, outcome) = try_send_batch(&mut store, &this, left, timeout);
                sent += more;
                continue;
            }
            let Outgoing { payload, priority } = &left[0];
            let message = Message {
                payload: with_bytes(&mut store, payload, |_, payload| payload.to_vec()),
                priority: *priority,
            };
            let mut view = store.data_mut().ipc();
            outcome = view.send_waiting(&this, &message, wait_mode, timeout).await;
            sent += u32::from(outcome.is_ok());
        }
        answer(batch(sent, outcome))
    })
}

/// Sends without waiting, some messages at once: then others get their turn. Gives how
/// many were sent, and why not the next one if it was tried.
fn try_send_batch<T: IpcView + 'static>(
    store: &mut StoreContextMut<'_, T>,
    this: &Handle<Queue>,
    messages: &[Outgoing],
    timeout: Option<u64>,
) -> (u32, Result<(), Error>) {
    const MOST_AT_ONCE: usize = 256;
    let mut sent = 0;
    for Outgoing { payload, priority } in messages.iter().take(MOST_AT_ONCE) {
        let tried = with_bytes(store, payload, |host, payload| {
            host.ipc().try_send(this, payload, *priority, timeout)
        });
        if tried.is_err() {
            return (sent, tried);
        }
        sent += 1;
    }
    (sent, Ok(()))
}

/// What a batch answers: an error only if there was nothing before it.
fn batch(sent: u32, outcome: Result<(), Error>) -> Result<u32, Error> {
    match outcome {
        Err(Error::Code(_)) if sent > 0 => Ok(sent),
        outcome => outcome.map(|()| sent),
    }
}

fn receive_batch<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (this, max, timeout): (Handle<Queue>, u32, Option<u64>),
) -> Later<'_, Vec<Message>> {
    let tried = store
        .data_mut()
        .ipc()
        .try_receive_batch(&this, max, timeout);
    if !waits(&tried, timeout) {
        return now(tried);
    }
    Box::new(async move {
        let mut view = store.data_mut().ipc();
        answer(HostQueue::receive_batch(&mut view, this, max, timeout).await)
    })
}

fn read_into_directly<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (segment, offset, buffer): (u32, u64, WasmList<u8>),
) -> wasmtime::Result<(i64,)> {
    let segment = Handle::new_borrow(segment);
    let read = with_bytes(&mut store, &buffer, |host: &mut T, buffer| {
        host.ipc()
            .tried(|view| view.read_segment(&segment, offset, buffer))
    });
    Ok((read.map_or(NOTHING, |length| length as i64),))
}

fn write_directly<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (segment, offset, data): (u32, u64, WasmList<u8>),
) -> wasmtime::Result<(bool,)> {
    let segment = Handle::new_borrow(segment);
    let written = with_bytes(&mut store, &data, |host: &mut T, data| {
        host.ipc()
            .tried(|view| view.write_segment(&segment, offset, data))
    });
    Ok((written.is_ok(),))
}

fn send_directly<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (queue, payload, priority): (u32, WasmList<u8>, u32),
) -> wasmtime::Result<(bool,)> {
    let queue = Handle::new_borrow(queue);
    let sent = with_bytes(&mut store, &payload, |host: &mut T, payload| {
        host.ipc()
            .tried(|view| view.try_send(&queue, payload, priority, Some(0)))
    });
    Ok((sent.is_ok(),))
}

fn receive_directly<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (queue, buffer): (u32, WasmList<u8>),
) -> wasmtime::Result<(i64,)> {
    let queue = Handle::new_borrow(queue);
    let received = with_bytes(&mut store, &buffer, |host: &mut T, buffer| {
        host.ipc()
            .tried(|view| view.try_receive_into(&queue, buffer))
    });
    // A message is never as long as to be in the way of the priority.
    let word = |(length, priority)| i64::from(priority) << 32 | length as i64;
    Ok((received.map_or(NOTHING, word),))
}

fn send_batch_directly<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (queue, messages): (u32, WasmList<u8>),
) -> wasmtime::Result<(u32,)> {
    let queue = Handle::new_borrow(queue);
    let sent = with_bytes(&mut store, &messages, |host: &mut T, messages| {
        host.ipc()
            .tried(|view| view.try_send_packed(&queue, messages))
    });
    Ok((sent.unwrap_or(0),))
}

fn receive_batch_directly<T: IpcView + 'static>(
    mut store: StoreContextMut<'_, T>,
    (queue, buffer, max): (u32, WasmList<u8>, u32),
) -> wasmtime::Result<(u32,)> {
    let queue = Handle::new_borrow(queue);
    let received = with_bytes(&mut store, &buffer, |host: &mut T, buffer| {
        host.ipc()
            .tried(|view| view.try_receive_packed(&queue, buffer, max))
    });
    Ok((received.unwrap_or(0),))
}
