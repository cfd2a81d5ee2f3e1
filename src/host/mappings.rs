//! The interface `mappings`, and mapping what the mappings show.

use crate::ctx::{Charge, IpcCtxView};
use crate::error::{Error, ErrorCode};
use crate::host::bindings::posix::ipc::mappings::{Host, HostMapping};
use crate::quota::{Reservation, Resource};
use crate::sys::guest_mapping::{self, Region};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::Resource as Handle;

/// A guest's handle to a mapping.
pub struct Mapping {
    raw: Arc<guest_mapping::GuestMapping>,
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

impl HostMapping for IpcCtxView<'_> {
    fn address(&mut self, this: Handle<Mapping>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.raw.address())
    }

    fn length(&mut self, this: Handle<Mapping>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.raw.length())
    }

    fn drop(&mut self, this: Handle<Mapping>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl IpcCtxView<'_> {
    /// The memory that a mapping is asked for, told by the address of one of its bytes.
    pub(super) fn region(
        &self,
        engine: &Engine,
        probe: Option<usize>,
    ) -> Result<Arc<Region>, Error> {
        let probe = probe.ok_or(ErrorCode::Invalid)?;
        let mappings = self.ctx.host().mappings().ok_or(ErrorCode::Unsupported)?;
        // Why an engine does not fit is in the log.
        mappings.check(engine).map_err(|_| ErrorCode::Unsupported)?;
        let region = mappings.region(probe).filter(|region| region.has_room());
        region.ok_or_else(|| ErrorCode::Unsupported.into())
    }

    /// Maps part of an object that the guest may map.
    pub(super) fn open_mapping(
        &mut self,
        region: &Arc<Region>,
        part: Part,
        charge: Option<Arc<Charge>>,
    ) -> Result<Handle<Mapping>, Error> {
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
            self.ctx.reserve(Resource::Mappings, 1)?,
            self.ctx
                .reserve(Resource::MappingBytes, guest_mapping::pages(length))?,
        ];
        let raw = Arc::new(region.map(object, offset, length, writable)?);
        self.ctx.open_mappings_mut().add(&raw);
        Ok(self.table.push(Mapping {
            raw,
            _taken: taken,
            _charge: charge,
        })?)
    }
}
