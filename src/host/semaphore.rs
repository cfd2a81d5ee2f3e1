//! The interface `semaphore`.

use super::mappings::{Mapping, Part};
use super::open::{
    asked, audited_open, create_unique, open_or_create, refuse_truncate, unlink_name,
};
use crate::audit::Operation;
use crate::bindings::posix::ipc::semaphore::{Host, HostSemaphore};
use crate::bindings::posix::ipc::types::OpenFlags;
use crate::ctx::{
    AccessRequest, Charge, Held, IpcCtx, IpcCtxView, IpcHost, OpenCharge, Permit, RightState,
};
use crate::error::{Error, ErrorCode};
use crate::grant::{Kind, Right};
use crate::ledger::Entry;
use crate::quota::{Reservation, Resource};
use crate::sys;
use crate::sys::limits::Refusal;
use std::cell::Cell;
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::Resource as Handle;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

/// A guest's handle to a semaphore.
pub struct Semaphore {
    raw: Arc<sys::semaphore::Semaphore>,
    name: String,
    wait: Cell<RightState>,
    post: Cell<RightState>,
    may_map: bool,
    host_name: String,
    held: Option<Arc<Held>>,
    open_charge: Arc<OpenCharge>,
    _entry: Entry,
}

const KIND: Kind = Kind::Semaphore;

impl Host for IpcCtxView<'_> {
    fn unlink(&mut self, name: String) -> Result<(), Error> {
        unlink_name(self.ctx, KIND, &name)
    }
}

impl HostSemaphore for IpcCtxView<'_> {
    fn open(
        &mut self,
        name: String,
        flags: OpenFlags,
        mode: u32,
        initial_value: u32,
    ) -> Result<Handle<Semaphore>, Error> {
        let opened = self.open_semaphore(&name, flags, mode, initial_value);
        audited_open(self.ctx, KIND, &name, &[], flags, opened)
    }

    fn create_unique(
        &mut self,
        prefix: String,
        mode: u32,
        initial_value: u32,
    ) -> Result<Handle<Semaphore>, Error> {
        let (permit, handle, undo, raw, charge) =
            create_unique(self.ctx, KIND, &prefix, &[], |ctx, permit| {
                let handle = ctx.reserve(Resource::Handles, 1)?;
                let undo = ctx.reserve_undo(permit)?;
                let (semaphore, charge) = create(ctx, permit, mode, initial_value)?;
                Ok((permit.clone(), handle, undo, semaphore, charge))
            })?;
        self.push(raw, permit, handle, undo, Some(charge))
    }

    fn name(&mut self, this: Handle<Semaphore>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.name.clone())
    }

    fn mode(&mut self, this: Handle<Semaphore>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&this)?.raw.mode())
    }

    fn value(&mut self, this: Handle<Semaphore>) -> Result<u32, Error> {
        Ok(self.table.get(&this)?.raw.value()?)
    }

    fn try_acquire(&mut self, this: Handle<Semaphore>) -> Result<(), Error> {
        let semaphore = self.table.get(&this)?;
        semaphore.check_wait(self.ctx)?;
        semaphore.raw.try_acquire()?;
        if let Some(held) = &semaphore.held {
            held.acquired();
        }
        Ok(())
    }

    async fn acquire(
        &mut self,
        this: Handle<Semaphore>,
        timeout: Option<u64>,
    ) -> Result<(), Error> {
        let semaphore = self.table.get(&this)?;
        semaphore.check_wait(self.ctx)?;
        let (raw, held) = (semaphore.raw.clone(), semaphore.held.clone());
        let waits = self.ctx.host().waits();
        let acquired = waits
            .acquire(&raw, self.ctx.wait_mode(timeout), self.ctx.canceller_ref())
            .await;
        self.ctx.waited(acquired, timeout)?;
        if let Some(held) = held {
            held.acquired();
        }
        Ok(())
    }

    fn release(&mut self, this: Handle<Semaphore>) -> Result<(), Error> {
        let semaphore = self.table.get(&this)?;
        semaphore.check_post(self.ctx)?;
        semaphore.release_unchecked()
    }

    fn subscribe(&mut self, this: Handle<Semaphore>) -> Result<Handle<DynPollable>, Error> {
        let semaphore = self.table.get(&this)?;
        semaphore.check_wait(self.ctx)?;
        let available = Available {
            host: self.ctx.host().clone(),
            semaphore: semaphore.raw.clone(),
            _open_charge: semaphore.open_charge.clone(),
            _pollable: self.ctx.reserve_pollable(KIND, &semaphore.name)?,
        };
        let available = self.table.push(available)?;
        subscribe(self.table, available).map_err(Error::Trap)
    }

    /// Not this, which knows no memory, is called: see [`super::overrides`].
    fn map(&mut self, _: Handle<Semaphore>, _: Vec<u8>) -> Result<Handle<Mapping>, Error> {
        Err(ErrorCode::Unsupported.into())
    }

    fn drop(&mut self, this: Handle<Semaphore>) -> wasmtime::Result<()> {
        let semaphore = self.table.delete(this)?;
        let undoes = semaphore.held.is_some();
        drop(semaphore);
        if undoes {
            self.ctx.forget_unheld();
        }
        Ok(())
    }
}

impl Semaphore {
    fn check_wait(&self, ctx: &mut IpcCtx) -> Result<(), Error> {
        match self.wait.get() {
            RightState::Allowed => Ok(()),
            _ => self.use_first(ctx, &self.wait, Operation::Wait, Right::Wait),
        }
    }

    fn check_post(&self, ctx: &mut IpcCtx) -> Result<(), Error> {
        match self.post.get() {
            RightState::Allowed => Ok(()),
            _ => self.use_first(ctx, &self.post, Operation::Post, Right::Post),
        }
    }

    #[cold]
    fn use_first(
        &self,
        ctx: &mut IpcCtx,
        state: &Cell<RightState>,
        operation: Operation,
        right: Right,
    ) -> Result<(), Error> {
        let request = AccessRequest::new(operation, KIND, &self.name);
        ctx.check_use(state, request.with_rights(&[right]))
    }

    /// Whatever the grant says: public for the benchmark of what the check costs.
    #[doc(hidden)]
    pub fn release_unchecked(&self) -> Result<(), Error> {
        let Some(held) = &self.held else {
            return Ok(self.raw.release()?);
        };
        let was_held = held.releases();
        let released = self.raw.release();
        if was_held && released.is_err() {
            held.acquired();
        }
        Ok(released?)
    }
}

impl IpcCtxView<'_> {
    fn open_semaphore(
        &mut self,
        name: &str,
        flags: OpenFlags,
        mode: u32,
        initial_value: u32,
    ) -> Result<(Handle<Semaphore>, bool), Error> {
        refuse_truncate(flags)?;
        let asked = asked(&[Right::Wait, Right::Post], flags);
        let permit = self.ctx.find(KIND, name, &asked)?;
        let handle = self.ctx.reserve(Resource::Handles, 1)?;
        let undo = self.ctx.reserve_undo(&permit)?;
        let mut charge = None;
        let opened = open_or_create(
            self.ctx,
            KIND,
            &permit,
            flags,
            sys::semaphore::Semaphore::open,
            |ctx, _| {
                let (semaphore, new) = create(ctx, &permit, mode, initial_value)?;
                charge = Some(new);
                Ok(semaphore)
            },
        )?;
        let (raw, is_new) = opened.into_parts();
        let charge = charge.or_else(|| self.ctx.created().charge(KIND, raw.identity()));
        let handle = self.push(raw, permit, handle, undo, charge)?;
        Ok((handle, is_new))
    }

    pub(super) fn map_semaphore(
        &mut self,
        this: &Handle<Semaphore>,
        engine: &Engine,
        probe: Option<usize>,
    ) -> Result<Handle<Mapping>, Error> {
        let semaphore = self.table.get(this)?;
        let name = semaphore.name.clone();
        let mapped = self.map_allowed_semaphore(this, engine, probe);
        let request = AccessRequest::new(Operation::Map, KIND, &name).with_rights(&[Right::Map]);
        self.ctx.audited(request, mapped)
    }

    fn map_allowed_semaphore(
        &mut self,
        this: &Handle<Semaphore>,
        engine: &Engine,
        probe: Option<usize>,
    ) -> Result<Handle<Mapping>, Error> {
        let semaphore = self.table.get(this)?;
        if !semaphore.may_map {
            return Err(self.ctx.deny_optional(KIND, &semaphore.name, &[Right::Map]));
        }
        let region = self.region(engine, probe)?;
        // What a guest would not know how to use is not given to it.
        if !sys::word::semaphores_have_words() {
            return Err(ErrorCode::Unsupported.into());
        }
        let object = semaphore.raw.reopen(&semaphore.host_name)?;
        let part = Part {
            object: Arc::new(object),
            offset: 0,
            length: sys::semaphore::SIZE,
            writable: true,
        };
        // A page, and its semaphore counts as created until it is gone.
        let charge = semaphore.open_charge.charge();
        self.open_mapping(&region, part, charge)
    }

    fn push(
        &mut self,
        raw: sys::semaphore::Semaphore,
        permit: Permit,
        handle: Reservation,
        reserved: Option<Reservation>,
        charge: Option<Arc<Charge>>,
    ) -> Result<Handle<Semaphore>, Error> {
        let raw = Arc::new(raw);
        let undo = |taken| {
            let charge = charge.as_ref();
            self.ctx.undo(&raw, &permit.host_name, charge, taken)
        };
        let held = reserved.map(undo);
        Ok(self.table.push(Semaphore {
            wait: Cell::new(self.ctx.usable(&permit, Right::Wait)),
            post: Cell::new(self.ctx.usable(&permit, Right::Post)),
            may_map: permit.grant.allows(Right::Map, false),
            held,
            _entry: self
                .ctx
                .ledger()
                .opens(KIND, &permit.host_name, raw.identity()),
            raw,
            name: permit.guest_name,
            host_name: permit.host_name,
            open_charge: OpenCharge::new(handle, charge),
        })?)
    }
}

fn create(
    ctx: &mut IpcCtx,
    permit: &Permit,
    mode: u32,
    value: u32,
) -> Result<(sys::semaphore::Semaphore, Arc<Charge>), Error> {
    let charge = Charge::new(ctx.reserve_object(permit)?, None);
    let mut pending = ctx.ledger().creates(KIND, &permit.host_name);
    let created = |identity| pending.created(identity);
    let semaphore = sys::semaphore::Semaphore::create(&permit.host_name, mode, value, created)
        .map_err(|errno| ctx.refused(KIND, permit, Refusal::of_memory(errno)))?;
    let entry = pending.finish();
    ctx.created()
        .add(KIND, permit, semaphore.identity(), None, &charge, entry);
    Ok((semaphore, charge))
}

/// Ready while the semaphore's value is above 0.
struct Available {
    host: IpcHost,
    semaphore: Arc<sys::semaphore::Semaphore>,
    _open_charge: Arc<OpenCharge>,
    _pollable: Reservation,
}

#[async_trait]
impl Pollable for Available {
    async fn ready(&mut self) {
        self.host.waits().available(&self.semaphore).await;
    }
}
