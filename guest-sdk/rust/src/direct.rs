//! Calls by the number of an object, which are faster than those by its handle, never wait,
//! and do not tell why something could not be done.
//!
//! A number is good as long as the handle that it is kept beside.

#![allow(unsafe_code)]

use crate::bindings::posix::ipc::direct as raw;
pub(crate) use raw::{
    queue_number, release, segment_number, semaphore_number, send, try_acquire, write,
};
use std::cell::RefCell;

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
    crate::native::call()
}

#[cfg(not(target_arch = "wasm32"))]
unsafe extern "C" fn import_receive_into(_: u32, _: *mut u8, _: usize) -> i64 {
    crate::native::call()
}

#[cfg(not(target_arch = "wasm32"))]
unsafe extern "C" fn import_receive_batch(_: u32, _: *mut u8, _: usize, _: u32) -> u32 {
    crate::native::call()
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

thread_local! {
    /// Room for a batch, which is kept: to allocate it takes as long as the call.
    static BATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// No longer room is kept, nor taken for more messages than one.
const LONGEST: usize = 1 << 20;

/// Calls with room for a batch. The call must not do so itself.
fn with_room<R>(call: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    BATCH.with_borrow_mut(|room| {
        room.clear();
        let result = call(room);
        room.shrink_to(LONGEST);
        result
    })
}

/// Sends messages, given as payload and priority, and gives how many.
pub(crate) fn send_batch<'a>(queue: u32, messages: impl Iterator<Item = (&'a [u8], u32)>) -> usize {
    with_room(|packed| {
        for (payload, priority) in messages {
            // Memory has 32 bits, and so has every length.
            packed.extend_from_slice(&(payload.len() as u32).to_le_bytes());
            packed.extend_from_slice(&priority.to_le_bytes());
            packed.extend_from_slice(payload);
        }
        raw::send_batch(queue, packed) as usize
    })
}

/// Receives up to `max` messages that are at most `longest` bytes long, or as many as there
/// is room for, and gives each as payload and priority.
pub(crate) fn receive_batch<M>(
    queue: u32,
    longest: usize,
    max: u32,
    message: impl Fn(Vec<u8>, u32) -> M,
) -> Vec<M> {
    let slot = HEAD + longest;
    let length = slot * (max as usize).clamp(1, (LONGEST / slot).max(1));
    with_room(|room| {
        room.reserve(length);
        // SAFETY: the host writes at most `length` bytes to the room.
        let count = unsafe { import_receive_batch(queue, room.as_mut_ptr(), length, max) };
        let mut start = room.as_ptr();
        let next = |_| {
            // SAFETY: the host wrote this many messages, one after the other, of each the
            // length, the priority, and the payload of that length.
            let (payload, priority) = unsafe {
                let [length, priority] =
                    [0, 4].map(|at| u32::from_le_bytes(start.add(at).cast::<[u8; 4]>().read()));
                let payload = std::slice::from_raw_parts(start.add(HEAD), length as usize);
                start = start.add(HEAD + payload.len());
                (payload, priority)
            };
            message(payload.to_vec(), priority)
        };
        (0..count).map(next).collect()
    })
}
