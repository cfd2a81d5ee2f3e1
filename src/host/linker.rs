//! Giving guests the interfaces of the package `posix:ipc`: all of them with
//! [`add_to_linker`], or single ones with the other functions here.
//!
//! Guests that use pollables need `wasi:io/poll` besides, which
//! [`wasmtime_wasi::p2::add_to_linker_async`] adds. Guests must be called with
//! `call_async`, on a Tokio runtime with time and I/O enabled.
//!
//! A single interface works together with those that it uses by its WIT: `semaphore` and
//! `shared-memory` use `mappings`, and `direct` uses the three that it is about.
//!
//! # Errors
//!
//! Each function fails if the linker has something under the name already.

use super::{Ipc, overrides};
use crate::ctx::{IpcCtxView, IpcView};
use crate::host::bindings::posix::ipc;
use wasmtime::Result;
use wasmtime::component::Linker;

/// Which of the interfaces that are not stable yet are added by [`add_to_linker`]. None
/// by default: they change without notice.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LinkOptions {
    direct: bool,
}

impl LinkOptions {
    /// Adds the interface `direct`: fast calls on the numbers of open objects. A number
    /// is good for the guest as a whole. If it is composed of several components, each can
    /// use what any of them has open.
    pub fn direct(&mut self, enabled: bool) -> &mut Self {
        self.direct = enabled;
        self
    }
}

/// Adds all interfaces that are stable, and those of the options.
///
/// # Errors
///
/// If the linker has something under one of the names already.
pub fn add_to_linker<T: IpcView + 'static>(
    linker: &mut Linker<T>,
    options: &LinkOptions,
) -> Result<()> {
    ipc::types::add_to_linker::<_, Ipc>(linker, view::<T>())?;
    add_limits(linker)?;
    add_semaphore(linker)?;
    add_shared_memory(linker)?;
    add_mappings(linker)?;
    add_message_queue(linker)?;
    match options.direct {
        true => add_direct(linker),
        false => Ok(()),
    }
}

/// Adds the interface `semaphore`.
pub fn add_semaphore<T: IpcView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    let generated =
        |linker: &mut Linker<T>| ipc::semaphore::add_to_linker::<_, Ipc>(linker, view::<T>());
    add(linker, generated, overrides::semaphore)
}

/// Adds the interface `shared-memory`.
pub fn add_shared_memory<T: IpcView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    let generated =
        |linker: &mut Linker<T>| ipc::shared_memory::add_to_linker::<_, Ipc>(linker, view::<T>());
    add(linker, generated, overrides::shared_memory)
}

/// Adds the interface `message-queue`.
pub fn add_message_queue<T: IpcView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    let generated =
        |linker: &mut Linker<T>| ipc::message_queue::add_to_linker::<_, Ipc>(linker, view::<T>());
    add(linker, generated, overrides::message_queue)
}

/// Adds the interface `mappings`. Without [`Mappings`](crate::mappings::Mappings) in the
/// host nothing can be mapped.
pub fn add_mappings<T: IpcView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    ipc::mappings::add_to_linker::<_, Ipc>(linker, view::<T>())
}

/// Adds the interface `limits`.
pub fn add_limits<T: IpcView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    ipc::limits::add_to_linker::<_, Ipc>(linker, view::<T>())
}

/// Adds the interface `direct`, which is not stable; see [`LinkOptions::direct`].
pub fn add_direct<T: IpcView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    let mut options = ipc::direct::LinkOptions::default();
    options.direct(true);
    let generated = |linker: &mut Linker<T>| {
        ipc::direct::add_to_linker::<_, Ipc>(linker, &options, view::<T>())
    };
    add(linker, generated, overrides::direct)
}

fn view<T: IpcView>() -> fn(&mut T) -> IpcCtxView<'_> {
    T::ipc
}

/// Adds an interface, and puts functions of our own in the place of some.
fn add<T: 'static>(
    linker: &mut Linker<T>,
    generated: impl Fn(&mut Linker<T>) -> Result<()>,
    replace: fn(&mut Linker<T>) -> Result<()>,
) -> Result<()> {
    generated(linker)?;
    // Whether a linker lets names be defined again can be set but not asked for. These
    // were defined a moment ago, so nothing changes either way.
    let shadowing = generated(linker).is_ok();
    linker.allow_shadowing(true);
    let replaced = replace(linker);
    linker.allow_shadowing(shadowing);
    replaced
}
