//! Calls by the number of an object, which are faster than those by its handle, never wait,
//! and do not tell why something could not be done.
//!
//! A number is good as long as the handle that it is kept beside.

#![allow(unsafe_code)]

pub(crate) use crate::bindings::posix::ipc::direct::{
    queue_number, release, segment_number, semaphore_number, send, send_batch, try_acquire, write,
};

// The imports that the generated bindings leave out, see `guest-sdk/bindings`: the host
// changes the buffers.
#[cfg(target_arch = "wasm32")]
#[link(wasm_import_module = "posix:ipc/direct@0.1.0")]
unsafe extern "C" {
    #[link_name = "read-into"]
    fn import_read_into(segment: u32, offset: u64, buffer: *mut u8, length: usize) -> i64;
    #[link_name = "receive-into"]
    fn import_receive_into(queue: u32, buffer: *mut u8, length: usize) -> i64;
    #[link_name = "receive-batch"]
    fn import_receive_batch(queue: u32, buffer: *mut u8, length: usize, max: u32) -> u32;
}

#[cfg(not(target_arch = "wasm32"))]
unsafe extern "C" fn import_read_into(_: u32, _: u64, _: *mut u8, _: usize) -> i64 {
    unreachable!("calls need a host of posix:ipc")
}

#[cfg(not(target_arch = "wasm32"))]
unsafe extern "C" fn import_receive_into(_: u32, _: *mut u8, _: usize) -> i64 {
    unreachable!("calls need a host of posix:ipc")
}

#[cfg(not(target_arch = "wasm32"))]
unsafe extern "C" fn import_receive_batch(_: u32, _: *mut u8, _: usize, _: u32) -> u32 {
    unreachable!("calls need a host of posix:ipc")
}

/// Reads part of a segment, and gives how many bytes.
#[inline]
pub(crate) fn read_into(segment: u32, offset: u64, buffer: &mut [u8]) -> Option<usize> {
    // SAFETY: the host writes at most `buffer.len()` bytes to the buffer.
    let read = unsafe { import_read_into(segment, offset, buffer.as_mut_ptr(), buffer.len()) };
    usize::try_from(read).ok()
}

/// Receives a message, and gives its length and priority. The buffer has to have room for
/// the longest message of the queue.
#[inline]
pub(crate) fn receive_into(queue: u32, buffer: &mut [u8]) -> Option<(usize, u32)> {
    // SAFETY: as for `read_into`.
    let received = unsafe { import_receive_into(queue, buffer.as_mut_ptr(), buffer.len()) };
    (received >= 0).then_some((received as u32 as usize, (received >> 32) as u32))
}

/// The bytes that stand before the payload in a batch: the length and the priority.
const HEAD: usize = 8;

/// Messages, given as payload and priority, as `send_batch` takes them.
pub(crate) fn packed<'a>(messages: impl Iterator<Item = (&'a [u8], u32)> + Clone) -> Vec<u8> {
    let length = messages.clone().map(|(payload, _)| HEAD + payload.len());
    let mut packed = Vec::with_capacity(length.sum());
    for (payload, priority) in messages {
        // Memory has 32 bits, and so has every length.
        packed.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        packed.extend_from_slice(&priority.to_le_bytes());
        packed.extend_from_slice(payload);
    }
    packed
}

/// Receives up to `max` messages that are at most `longest` bytes long, or as many as fit
/// into a buffer, and gives each as payload and priority.
pub(crate) fn receive_batch<M>(
    queue: u32,
    longest: usize,
    max: u32,
    message: impl Fn(Vec<u8>, u32) -> M,
) -> Vec<M> {
    // More is worth no longer buffer: the call is the smallest part by far.
    const BUFFER: usize = 1 << 20;
    let slot = HEAD + longest;
    let room = slot * (max as usize).clamp(1, (BUFFER / slot).max(1));
    let mut buffer = Vec::<u8>::with_capacity(room);
    // SAFETY: the host writes at most `room` bytes to the buffer.
    let count = unsafe { import_receive_batch(queue, buffer.as_mut_ptr(), room, max) };
    let mut messages = Vec::with_capacity(count as usize);
    let mut start = buffer.as_ptr();
    for _ in 0..count {
        // SAFETY: the host wrote this many messages to the buffer, one after the other, of
        // each the length, the priority, and the payload of that length.
        let (payload, priority) = unsafe {
            let [length, priority] =
                [0, 4].map(|at| u32::from_le_bytes(start.add(at).cast::<[u8; 4]>().read()));
            let payload = std::slice::from_raw_parts(start.add(HEAD), length as usize);
            start = start.add(HEAD + payload.len());
            (payload, priority)
        };
        messages.push(message(payload.to_vec(), priority));
    }
    messages
}
