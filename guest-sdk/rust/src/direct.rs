//! Calls by the number of an object, which are faster than those by its handle, never wait,
//! and do not tell why something could not be done.
//!
//! A number is good as long as the handle that it is kept beside.

#![allow(unsafe_code)]

pub(crate) use crate::bindings::posix::ipc::direct::{
    queue_number, release, segment_number, semaphore_number, send, try_acquire, write,
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
}

#[cfg(not(target_arch = "wasm32"))]
unsafe extern "C" fn import_read_into(_: u32, _: u64, _: *mut u8, _: usize) -> i64 {
    unreachable!("calls need a host of posix:ipc")
}

#[cfg(not(target_arch = "wasm32"))]
unsafe extern "C" fn import_receive_into(_: u32, _: *mut u8, _: usize) -> i64 {
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
