//! The WIT interfaces on top of the rest: one file for each. They ask [`crate::ctx`]
//! whether and how much, call [`crate::sys`] and [`crate::wait`], and convert.

mod direct;
mod limits;
pub(crate) mod mappings;
pub(crate) mod message_queue;
mod open;
mod overrides;
mod packed;
pub(crate) mod semaphore;
pub(crate) mod shared_memory;

use crate::bindings::posix::ipc;
use crate::ctx::{IpcCtxView, IpcView};
use crate::error::{Error, ErrorCode};
use wasmtime::component::{HasData, Linker};

/// Adds all interfaces of the package `posix:ipc` to a linker.
///
/// Guests that use pollables need `wasi:io/poll` besides, which
/// [`wasmtime_wasi::p2::add_to_linker_async`] adds. Guests must be called with
/// `call_async`, on a Tokio runtime with time and I/O enabled.
///
/// # Errors
///
/// If the linker has something under one of the names already.
pub fn add_to_linker<T: IpcView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let view: fn(&mut T) -> IpcCtxView<'_> = T::ipc;
    ipc::types::add_to_linker::<_, Ipc>(linker, view)?;
    ipc::limits::add_to_linker::<_, Ipc>(linker, view)?;
    // Whether a linker lets names be defined again can be set but not asked for.
    // This was defined a moment ago, so nothing changes either way.
    let shadowing = ipc::limits::add_to_linker::<_, Ipc>(linker, view).is_ok();
    ipc::semaphore::add_to_linker::<_, Ipc>(linker, view)?;
    ipc::shared_memory::add_to_linker::<_, Ipc>(linker, view)?;
    ipc::mappings::add_to_linker::<_, Ipc>(linker, view)?;
    ipc::message_queue::add_to_linker::<_, Ipc>(linker, view)?;
    let mut options = ipc::direct::LinkOptions::default();
    ipc::direct::add_to_linker::<_, Ipc>(linker, options.direct(true), view)?;
    linker.allow_shadowing(true);
    let replaced = overrides::add_to_linker(linker);
    linker.allow_shadowing(shadowing);
    replaced
}

struct Ipc;

impl HasData for Ipc {
    type Data<'a> = IpcCtxView<'a>;
}

impl ipc::types::Host for IpcCtxView<'_> {
    fn convert_error_code(&mut self, error: Error) -> wasmtime::Result<ErrorCode> {
        match error {
            Error::Code(code) => Ok(code),
            Error::Trap(trap) => Err(trap),
        }
    }
}
