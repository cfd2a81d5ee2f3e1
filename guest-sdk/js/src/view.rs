//! Buffers of JavaScript that are shared memory itself.
//!
//! Mapped memory lies beyond the guest's own. The engine's loads, stores and atomics reach it,
//! and so do its copies, since `build-runtime` has replaced all bulk instructions. The host
//! does not: it is given copies. Nor does Rust, for which bytes behind a reference must not
//! change.

use std::borrow::Cow;
use std::ffi::c_void;
use std::ptr;

use posix_ipc_guest::{Access, Mapping, Segment};
use rquickjs::{Ctx, Exception, Result, TypedArray, Value, qjs};

use crate::handle::{Held, using};

/// Whether bytes are beyond the guest's own memory.
#[cfg(target_arch = "wasm32")]
pub(crate) fn is_mapped(bytes: *const [u8]) -> bool {
    bytes.addr() >> 16 >= core::arch::wasm32::memory_size(0)
}

/// Built for a machine, this is only looked at by compilers.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn is_mapped(_: *const [u8]) -> bool {
    false
}

/// A buffer that is all of a segment as it is now. The mapping goes with it.
pub(crate) fn map<'js>(
    ctx: Ctx<'js>,
    held: Held<'js, Segment>,
    writable: bool,
) -> Result<Value<'js>> {
    let access = if writable {
        Access::ReadWrite
    } else {
        Access::Read
    };
    let mapping = using(&ctx, &held, |segment| segment.map_all(access))?;
    let (start, length) = (mapping.as_ptr(), mapping.len());
    let mapping = Box::into_raw(Box::new(mapping));
    // SAFETY: the context is alive. The bytes stay mapped until the engine calls `release`,
    // once, with the mapping, unless it makes no buffer.
    unsafe {
        let context = ctx.as_raw().as_ptr();
        let opaque = mapping.cast::<c_void>();
        let length = length as _;
        let buffer =
            qjs::JS_NewArrayBuffer(context, start, length, 0, Some(release), opaque, false);
        if qjs::JS_IsException(buffer) {
            drop(Box::from_raw(mapping));
            return Err(rquickjs::Error::Exception);
        }
        if !writable {
            qjs::JS_SetImmutableArrayBuffer(buffer, true);
        }
        Ok(Value::from_raw(ctx, buffer))
    }
}

/// Takes the memory away from a buffer and its views.
pub(crate) fn detach<'js>(ctx: Ctx<'js>, buffer: Value<'js>) {
    // SAFETY: both are alive. The engine looks whether it is a buffer.
    unsafe { qjs::JS_DetachArrayBuffer(ctx.as_raw().as_ptr(), buffer.as_raw()) }
}

/// Called by the engine with a size of 0 when a buffer has no use for its memory any more, and
/// with another one to have it resized, which mapped memory cannot be.
unsafe extern "C" fn release(
    _: *mut qjs::JSRuntime,
    mapping: *mut c_void,
    _: *mut c_void,
    size: qjs::size_t,
) -> *mut c_void {
    if size == 0 {
        // SAFETY: it is the one that `map` gave, and this is the last use of it.
        drop(unsafe { Box::from_raw(mapping.cast::<Mapping>()) });
    }
    ptr::null_mut()
}

type Bytes<'js> = TypedArray<'js, u8>;

fn raw(ctx: &Ctx<'_>, array: &Bytes<'_>) -> Result<*mut [u8]> {
    match array.as_raw() {
        Some(bytes) => Ok(bytes.as_ptr()),
        None => Err(Exception::throw_type(ctx, "the ArrayBuffer is detached")),
    }
}

/// What is behind a typed array, or a copy of it if it is mapped.
pub(crate) fn bytes<'a>(ctx: &Ctx<'_>, array: &'a Bytes<'_>) -> Result<Cow<'a, [u8]>> {
    let bytes = raw(ctx, array)?;
    // SAFETY: the array is alive, and no function here calls JavaScript, which alone could
    // change or move the bytes, before the borrow of its arguments ends. Of mapped ones there
    // is no reference.
    unsafe {
        if !is_mapped(bytes) {
            return Ok(Cow::Borrowed(&*bytes));
        }
        let mut copy = vec![0; bytes.len()];
        ptr::copy_nonoverlapping(bytes.cast::<u8>(), copy.as_mut_ptr(), copy.len());
        Ok(Cow::Owned(copy))
    }
}

/// Has a typed array filled, which gives how much of it was, and a result.
pub(crate) fn fill<R>(
    ctx: &Ctx<'_>,
    array: &Bytes<'_>,
    action: impl FnOnce(&mut [u8]) -> Result<(usize, R)>,
) -> Result<R> {
    let bytes = raw(ctx, array)?;
    // SAFETY: as for `bytes`; and nothing else borrows these.
    unsafe {
        if !is_mapped(bytes) {
            return action(&mut *bytes).map(|(_, result)| result);
        }
        let mut copy = vec![0; bytes.len()];
        let (filled, result) = action(&mut copy)?;
        // To make an exception calls JavaScript; to get here does not.
        ptr::copy_nonoverlapping(copy.as_ptr(), bytes.cast::<u8>(), filled);
        Ok(result)
    }
}
