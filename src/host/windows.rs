//! The interface `windows`, and mapping what the windows show.

use crate::bindings::posix::ipc::windows::{Host, HostWindow};
use crate::ctx::{Charge, IpcCtxView};
use crate::error::{Error, ErrorCode};
use crate::quota::{Reservation, Resource};
use crate::sys::window::{self, Region};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::Resource as Handle;

/// A guest's handle to a window.
pub struct Window {
    raw: Arc<window::Window>,
    _taken: [Reservation; 3],
    /// It keeps the object's memory when the handle and the name are gone.
    _charge: Option<Arc<Charge>>,
}

/// Part of an object, as a guest wants to map it.
pub(super) struct Part {
    pub(super) object: Arc<OwnedFd>,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) writable: bool,
}

impl Host for IpcCtxView<'_> {}

impl HostWindow for IpcCtxView<'_> {
    fn address(&mut self, this: Handle<Window>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.raw.address())
    }

    fn length(&mut self, this: Handle<Window>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.raw.length())
    }

    fn drop(&mut self, this: Handle<Window>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl IpcCtxView<'_> {
    /// The memory that a window is asked for, told by the address of one of its bytes.
    pub(super) fn region(
        &self,
        engine: &Engine,
        probe: Option<usize>,
    ) -> Result<Arc<Region>, Error> {
        let probe = probe.ok_or(ErrorCode::Invalid)?;
        let windows = self.ctx.host().windows().ok_or(ErrorCode::Unsupported)?;
        // Why an engine does not fit is in the log.
        windows.check(engine).map_err(|_| ErrorCode::Unsupported)?;
        let region = windows.region(probe).filter(|region| region.has_room());
        region.ok_or_else(|| ErrorCode::Unsupported.into())
    }

    /// Maps part of an object that the guest may map.
    pub(super) fn open_window(
        &mut self,
        region: &Arc<Region>,
        part: Part,
        charge: Option<Arc<Charge>>,
    ) -> Result<Handle<Window>, Error> {
        let Part {
            object,
            offset,
            length,
            writable,
        } = part;
        // What is no length of this process is none of a guest either.
        let length = usize::try_from(length).map_err(|_| ErrorCode::NoSpace)?;
        let taken = [
            self.ctx.reserve(Resource::Handles, 1)?,
            self.ctx.reserve(Resource::Windows, 1)?,
            self.ctx
                .reserve(Resource::WindowBytes, window::pages(length))?,
        ];
        let raw = Arc::new(region.map(object, offset, length, writable)?);
        self.ctx.open_windows_mut().add(&raw);
        Ok(self.table.push(Window {
            raw,
            _taken: taken,
            _charge: charge,
        })?)
    }
}
