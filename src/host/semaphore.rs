//! The interface `semaphore`.

use super::mappings::{Mapping, Part};
use super::open::{Opened, Opening, create_unique, open, refuse_truncate, unlink};
use crate::audit::Operation;
use crate::ctx::{
    AccessRequest, Call, Held, IpcCtx, IpcCtxView, IpcHost, OpenCharge, Permit, RightState, Watched,
};
use crate::error::{Error, ErrorCode};
use crate::grant::Right;
use crate::host::bindings::posix::ipc::semaphore::{Host, HostSemaphore};
use crate::host::bindings::posix::ipc::types::OpenFlags;
use crate::ledger::Entry;
use crate::name::{Kind, Name};
use crate::quota::{Reservation, Resource};
use crate::sys;
use crate::sys::Identity;
use std::cell::Cell;
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::Resource as Handle;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

/// A guest's handle to a semaphore.
pub struct Semaphore {
    raw: Arc<sys::semaphore::Semaphore>,
    permit: Permit,
    wait: Cell<RightState>,
    post: Cell<RightState>,
    held: Option<Arc<Held>>,
    open_charge: Arc<OpenCharge>,
    _entry: Entry,
}

const KIND: Kind = Kind::Semaphore;

impl Host for IpcCtxView<'_> {
    fn unlink(&mut self, name: String) -> Result<(), Error> {
        unlink(self.ctx, KIND, &name)
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
        let opening = OpenSemaphore {
            mode,
            value: initial_value,
        };
        open(self, &name, flags, &opening, Self::push)
    }

    fn create_unique(
        &mut self,
        prefix: String,
        mode: u32,
        initial_value: u32,
    ) -> Result<Handle<Semaphore>, Error> {
        let opening = OpenSemaphore {
            mode,
            value: initial_value,
        };
        create_unique(self, &prefix, &opening, Self::push)
    }

    fn name(&mut self, this: Handle<Semaphore>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.permit.guest_name.to_string())
    }

    fn mode(&mut self, this: Handle<Semaphore>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&this)?.raw.mode())
    }

    fn value(&mut self, this: Handle<Semaphore>) -> Result<u32, Error> {
        let semaphore = self.table.get(&this)?;
        let watched = semaphore.begins(self.ctx, Call::new("value"))?;
        watched.ends(semaphore.raw.value().map_err(Error::from))
    }

    fn try_acquire(&mut self, this: Handle<Semaphore>) -> Result<(), Error> {
        let semaphore = self.table.get(&this)?;
        let call = Call::new("try-acquire").waiting(Some(0));
        let watched = semaphore.begins(self.ctx, call)?;
        watched.ends(semaphore.try_acquire(self.ctx))
    }

    async fn acquire(
        &mut self,
        this: Handle<Semaphore>,
        timeout: Option<u64>,
    ) -> Result<(), Error> {
        match self.acquire_or_wait(&this, timeout)? {
            Some(wait) => wait.acquire(self.ctx, timeout).await,
            None => Ok(()),
        }
    }

    fn release(&mut self, this: Handle<Semaphore>) -> Result<(), Error> {
        let semaphore = self.table.get(&this)?;
        let watched = semaphore.begins(self.ctx, Call::new("release"))?;
        let allowed = semaphore.check_post(self.ctx);
        watched.ends(allowed.and_then(|()| semaphore.release_unchecked()))
    }

    fn subscribe(&mut self, this: Handle<Semaphore>) -> Result<Handle<DynPollable>, Error> {
        let semaphore = self.table.get(&this)?;
        semaphore.check_wait(self.ctx)?;
        let available = Available {
            host: self.ctx.host().clone(),
            semaphore: semaphore.raw.clone(),
            _open_charge: semaphore.open_charge.clone(),
            _pollable: self.ctx.reserve_pollable(&semaphore.permit)?,
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
    fn begins(&self, ctx: &IpcCtx, call: Call) -> Result<Watched, Error> {
        ctx.begins(call, KIND, self.permit.guest_name.as_str())
    }

    fn try_acquire(&self, ctx: &mut IpcCtx) -> Result<(), Error> {
        self.check_wait(ctx)?;
        self.raw.try_acquire()?;
        if let Some(held) = &self.held {
            held.acquired();
        }
        Ok(())
    }

    fn check_wait(&self, ctx: &mut IpcCtx) -> Result<(), Error> {
        if self.wait.get() != RightState::Allowed {
            self.use_first(ctx, &self.wait, Operation::Wait, Right::Wait)?;
        }
        match &self.held {
            Some(held) => held.check_room().map_err(|full| ctx.over(&full)),
            None => Ok(()),
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
        ctx.check_use(state, &self.permit, operation, right)
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
    /// Takes a semaphore, or gives the wait for it where that is what the guest wants.
    pub(super) fn acquire_or_wait(
        &mut self,
        this: &Handle<Semaphore>,
        timeout: Option<u64>,
    ) -> Result<Option<AcquireWait>, Error> {
        let semaphore = self.table.get(this)?;
        let watched = semaphore.begins(self.ctx, acquiring(timeout))?;
        match watched.ends(semaphore.try_acquire(self.ctx)) {
            Err(Error::Code(ErrorCode::Busy)) if timeout != Some(0) => Ok(Some(AcquireWait {
                name: semaphore.permit.guest_name.clone(),
                raw: semaphore.raw.clone(),
                held: semaphore.held.clone(),
            })),
            done => done.map(|()| None),
        }
    }

    pub(super) fn map_semaphore(
        &mut self,
        this: &Handle<Semaphore>,
        engine: &Engine,
        probe: Option<usize>,
    ) -> Result<Handle<Mapping>, Error> {
        let semaphore = self.table.get(this)?;
        let permit = semaphore.permit.clone();
        let mapped = self.map_allowed_semaphore(this, engine, probe);
        let request = AccessRequest::new(Operation::Map, permit.target());
        let request = request.with_rights(&[Right::Map]);
        self.ctx.audited(request, mapped)
    }

    fn map_allowed_semaphore(
        &mut self,
        this: &Handle<Semaphore>,
        engine: &Engine,
        probe: Option<usize>,
    ) -> Result<Handle<Mapping>, Error> {
        let semaphore = self.table.get(this)?;
        let permit = &semaphore.permit;
        if !permit.grant.allows(Right::Map, false) {
            return Err(self.ctx.deny_optional(&permit.guest_name, &[Right::Map]));
        }
        let region = self.region(engine, probe)?;
        // What a guest would not know how to use is not given to it.
        if !sys::word::semaphores_have_words() {
            return Err(ErrorCode::Unsupported.into());
        }
        let object = semaphore.raw.reopen(&semaphore.permit.host_name)?;
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
        opened: Opened<sys::semaphore::Semaphore>,
    ) -> Result<Handle<Semaphore>, Error> {
        let Opened {
            raw,
            permit,
            handle,
            undo,
            charge,
            entry,
            ..
        } = opened;
        let raw = Arc::new(raw);
        let undo = undo.map(|taken| {
            let host_name = &permit.host_name;
            self.ctx.undo(&raw, host_name, charge.as_ref(), taken)
        });
        Ok(self.table.push(Semaphore {
            wait: Cell::new(self.ctx.usable(&permit, Right::Wait)),
            post: Cell::new(self.ctx.usable(&permit, Right::Post)),
            held: undo,
            raw,
            permit,
            open_charge: OpenCharge::new(handle, charge),
            _entry: entry,
        })?)
    }
}

fn acquiring(timeout: Option<u64>) -> Call {
    Call::new("acquire").waiting(timeout)
}

/// A semaphore that a guest may take, and that had to be waited for.
pub(super) struct AcquireWait {
    name: Name,
    raw: Arc<sys::semaphore::Semaphore>,
    held: Option<Arc<Held>>,
}

impl AcquireWait {
    pub(super) async fn acquire(self, ctx: &IpcCtx, timeout: Option<u64>) -> Result<(), Error> {
        let waits = ctx.host().waits();
        let wait_mode = ctx.wait_mode(timeout);
        let acquired = waits.acquire(&self.raw, wait_mode, ctx.waiter(&self.name, "acquire"));
        let watched = ctx.goes_on(acquiring(timeout), KIND, self.name.as_str());
        let acquired = async { ctx.waited(acquired.await, timeout) };
        watched.waits(acquired, |()| None).await?;
        if let Some(held) = self.held {
            held.acquired();
        }
        Ok(())
    }
}

/// A semaphore that is to be opened, or created with this mode and value.
struct OpenSemaphore {
    mode: u32,
    value: u32,
}

impl Opening for OpenSemaphore {
    type Raw = sys::semaphore::Semaphore;

    const KIND: Kind = KIND;

    /// Whether it may be taken and added to is found out when that is done.
    fn rights(&self) -> &'static [Right] {
        &[]
    }

    fn suggested_rights(&self) -> &'static [Right] {
        &[Right::Wait, Right::Post]
    }

    fn check(&self, flags: OpenFlags) -> Result<(), Error> {
        refuse_truncate(flags)
    }

    fn open(&self, name: &Name) -> sys::Result<Self::Raw> {
        Self::Raw::open(name)
    }

    fn check_limits(&self, _: &IpcCtx, _: &Permit) -> Result<(), Error> {
        Ok(())
    }

    fn bytes(&self) -> Option<(Resource, u64)> {
        None
    }

    fn create(&self, name: &Name, created: impl FnOnce(Identity)) -> sys::Result<Self::Raw> {
        Self::Raw::create(name, self.mode, self.value, created)
    }

    fn identity(raw: &Self::Raw) -> sys::Result<Identity> {
        Ok(raw.identity())
    }
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
