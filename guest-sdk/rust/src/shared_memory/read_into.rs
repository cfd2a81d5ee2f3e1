//! The one import that the generated bindings leave out, see `guest-sdk/bindings`: they
//! would pass the buffer as `&[u8]`, by which the compiler may take for granted that the
//! call does not change it. The host does.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
#[cfg(target_arch = "wasm32")]
use std::mem::offset_of;

use crate::bindings::posix::ipc::shared_memory::Segment;
use crate::bindings::posix::ipc::types::ErrorCode;
use crate::{Error, Result};

#[cfg(target_arch = "wasm32")]
#[link(wasm_import_module = "posix:ipc/shared-memory@0.1.0")]
unsafe extern "C" {
    #[link_name = "[method]segment.read-into"]
    fn import(segment: u32, offset: u64, buffer: *mut u8, length: usize, answer: *mut Answer);
}

#[cfg(not(target_arch = "wasm32"))]
unsafe extern "C" fn import(_: u32, _: u64, _: *mut u8, _: usize, _: *mut Answer) {
    crate::native::call()
}

/// `result<u64, error-code>` as the canonical ABI lays it out.
#[repr(C)]
struct Answer {
    is_error: u8,
    payload: Payload,
}

#[repr(C)]
union Payload {
    count: u64,
    code: Code,
}

/// `error-code`: the number of the case, and `option<string>` for the last one.
#[derive(Clone, Copy)]
#[repr(C)]
struct Code {
    case: u8,
    detail: Detail,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Detail {
    is_some: u8,
    bytes: *mut u8,
    length: usize,
}

// What the ABI prescribes, with pointers of 32 bits.
#[cfg(target_arch = "wasm32")]
const _: () = {
    assert!(size_of::<Answer>() == 24 && align_of::<Answer>() == 8);
    assert!(offset_of!(Answer, payload) == 8);
    assert!(offset_of!(Code, detail) == 4);
    assert!(offset_of!(Detail, bytes) == 4 && offset_of!(Detail, length) == 8);
};

pub(super) fn read_into(segment: &Segment, offset: u64, buffer: &mut [u8]) -> Result<usize> {
    let mut answer = MaybeUninit::<Answer>::uninit();
    // SAFETY: the host writes at most `buffer.len()` bytes to the buffer, and one
    // `result<u64, error-code>` to the answer.
    let answer = unsafe {
        import(
            segment.handle(),
            offset,
            buffer.as_mut_ptr(),
            buffer.len(),
            answer.as_mut_ptr(),
        );
        answer.assume_init()
    };
    if answer.is_error == 0 {
        // SAFETY: the tag says which field was written. The count fits, as it is at most
        // the buffer's length.
        Ok(unsafe { answer.payload.count } as usize)
    } else {
        // SAFETY: as above.
        Err(unsafe { lift(answer.payload.code) })
    }
}

/// # Safety
///
/// The code was written by the host, and is lifted once: it may own a string.
unsafe fn lift(code: Code) -> Error {
    match code.case {
        0 => ErrorCode::NotPermitted,
        1 => ErrorCode::Access,
        2 => ErrorCode::Exists,
        3 => ErrorCode::NoEntry,
        4 => ErrorCode::Busy,
        5 => ErrorCode::TimedOut,
        6 => ErrorCode::Cancelled,
        7 => ErrorCode::Invalid,
        8 => ErrorCode::NameTooLong,
        9 => ErrorCode::MessageTooLong,
        10 => ErrorCode::Overflow,
        11 => ErrorCode::NoSpace,
        12 => ErrorCode::Quota,
        13 => ErrorCode::Closed,
        14 => ErrorCode::Truncated,
        15 => ErrorCode::Unsupported,
        _ => ErrorCode::Other((code.detail.is_some != 0).then(|| {
            let Detail { bytes, length, .. } = code.detail;
            // SAFETY: the host allocated the string with the guest's own allocator, with no
            // room to spare, and handed it over. It is UTF-8, or lowering would have trapped.
            unsafe { String::from_raw_parts(bytes, length, length) }
        })),
    }
    .into()
}
