//! The WIT interfaces on top of the rest: one file for each. They ask [`crate::ctx`]
//! whether and how much, call [`crate::sys`] and [`crate::wait`], and convert.

mod direct;
mod limits;
pub mod linker;
mod mappings;
mod message_queue;
mod open;
mod overrides;
mod packed;
mod semaphore;
mod shared_memory;

use crate::ctx::IpcCtxView;
use crate::error::{Error, ErrorCode};
use bindings::posix::ipc;
use wasmtime::component::HasData;

/// What `wasmtime` generates from the WIT package: one `Host` trait for each
/// interface and resource, implemented in the modules here.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "posix:ipc/imports",
        imports: {
            "posix:ipc/semaphore.[method]semaphore.acquire": async | trappable,
            "posix:ipc/shared-memory.[method]segment.wait": async | trappable,
            "posix:ipc/message-queue.[method]queue.send": async | trappable,
            "posix:ipc/message-queue.[method]queue.receive": async | trappable,
            "posix:ipc/message-queue.[method]queue.send-batch": async | trappable,
            "posix:ipc/message-queue.[method]queue.receive-batch": async | trappable,
            default: trappable,
        },
        trappable_error_type: { "posix:ipc/types.error-code" => crate::error::Error },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "posix:ipc/semaphore.semaphore": crate::host::semaphore::Semaphore,
            "posix:ipc/shared-memory.segment": crate::host::shared_memory::Segment,
            "posix:ipc/mappings.mapping": crate::host::mappings::Mapping,
            "posix:ipc/message-queue.queue": crate::host::message_queue::Queue,
            "posix:ipc/message-queue.notification": crate::host::message_queue::Notification,
        },
        require_store_data_send: true,
    });
}

/// Marks the data of the interfaces for `wasmtime`: what
/// [`IpcView::ipc`](crate::IpcView::ipc) gives. It is the `D` of the `add_to_linker` that
/// [`bindgen!`](wasmtime::component::bindgen) makes, for an interface of your own that is
/// implemented on [`IpcCtxView`].
pub struct Ipc;

impl HasData for Ipc {
    type Data<'a> = IpcCtxView<'a>;
}

impl ipc::types::Host for IpcCtxView<'_> {
    fn convert_error_code(&mut self, error: Error) -> wasmtime::Result<ipc::types::ErrorCode> {
        match error {
            Error::Code(code) => Ok(code.into()),
            Error::Trap(trap) => Err(trap),
        }
    }
}

impl From<ErrorCode> for ipc::types::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::NotPermitted => Self::NotPermitted,
            ErrorCode::Access => Self::Access,
            ErrorCode::Exists => Self::Exists,
            ErrorCode::NoEntry => Self::NoEntry,
            ErrorCode::Busy => Self::Busy,
            ErrorCode::TimedOut => Self::TimedOut,
            ErrorCode::Cancelled => Self::Cancelled,
            ErrorCode::Invalid => Self::Invalid,
            ErrorCode::NameTooLong => Self::NameTooLong,
            ErrorCode::MessageTooLong => Self::MessageTooLong,
            ErrorCode::Overflow => Self::Overflow,
            ErrorCode::NoSpace => Self::NoSpace,
            ErrorCode::Quota => Self::Quota,
            ErrorCode::Closed => Self::Closed,
            ErrorCode::Truncated => Self::Truncated,
            ErrorCode::Unsupported => Self::Unsupported,
            ErrorCode::Other(words) => Self::Other(words),
        }
    }
}
