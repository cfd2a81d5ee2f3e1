//! The interface `shared-memory`.

use super::mappings::{Mapping, Part};
use super::open::{Opened, Opening, create_unique, directions, open, unlink};
use crate::audit::Operation;
use crate::ctx::{AccessRequest, Call, Charge, IpcCtx, IpcCtxView, Number, OpenCharge, Permit};
use crate::error::{Error, ErrorCode};
use crate::grant::{Bytes, Right};
use crate::host::bindings::posix::ipc::shared_memory::{
    AtomicOperation, Host, HostSegment, WaitOutcome,
};
use crate::host::bindings::posix::ipc::types::{Access, OpenFlags};
use crate::ledger::Entry;
use crate::name::{Kind, Name};
use crate::quota::Resource;
use crate::sys::limits::Refusal;
use crate::sys::shared_memory::SharedMemory;
use crate::sys::word::Word;
use crate::sys::{self, Errno, Identity};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};
use wasmtime::Engine;
use wasmtime::component::Resource as Handle;

/// A guest's handle to a shared-memory object.
pub struct Segment {
    raw: SharedMemory,
    permit: Permit,
    identity: Identity,
    may_write: bool,
    open_charge: Arc<OpenCharge>,
    /// What the guest pays for of the segment: all of its own, or what it has added.
    charge: Option<Arc<Charge>>,
    _entry: Entry,
}

const KIND: Kind = Kind::SharedMemory;

/// The most bytes that one `read` returns. The host holds them twice for a moment.
const LONGEST_READ: u64 = 16 << 20;

impl Host for IpcCtxView<'_> {
    fn unlink(&mut self, name: String) -> Result<(), Error> {
        unlink(self.ctx, KIND, &name)
    }
}

impl HostSegment for IpcCtxView<'_> {
    fn open(
        &mut self,
        name: String,
        flags: OpenFlags,
        mode: u32,
        size: Option<u64>,
        access: Access,
    ) -> Result<Handle<Segment>, Error> {
        let opening = OpenSegment { mode, size, access };
        open(self, &name, flags, &opening, |view, opened| {
            let is_new = opened.is_new;
            let mut segment = Segment::new(opened, opening.writes());
            let truncate = flags.contains(OpenFlags::TRUNCATE);
            if !is_new && (truncate || size.is_some()) {
                segment.resize(view.ctx, size.unwrap_or(0), truncate)?;
            }
            Ok(view.table.push(segment)?)
        })
    }

    fn create_unique(
        &mut self,
        prefix: String,
        mode: u32,
        size: u64,
    ) -> Result<Handle<Segment>, Error> {
        let opening = OpenSegment {
            mode,
            size: Some(size),
            access: Access::ReadWrite,
        };
        create_unique(self, &prefix, &opening, |view, opened| {
            Ok(view.table.push(Segment::new(opened, true))?)
        })
    }

    fn name(&mut self, this: Handle<Segment>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.permit.guest_name.to_string())
    }

    fn mode(&mut self, this: Handle<Segment>) -> Result<u32, Error> {
        Ok(self.table.get(&this)?.raw.mode()?)
    }

    fn size(&mut self, this: Handle<Segment>) -> Result<u64, Error> {
        let segment = self.table.get(&this)?;
        let name = segment.permit.guest_name.as_str();
        let watched = self.ctx.begins(Call::new("size"), KIND, name)?;
        watched.ends(segment.raw.size().map_err(Error::from))
    }

    fn resize(&mut self, this: Handle<Segment>, size: u64) -> Result<(), Error> {
        let segment = self.table.get_mut(&this)?;
        let call = Call::new("resize").with("bytes", size);
        let name = segment.permit.guest_name.as_str();
        let watched = self.ctx.begins(call, KIND, name)?;
        watched.ends(segment.resize(self.ctx, size, false))
    }

    fn read(&mut self, this: Handle<Segment>, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.read_list(&this, offset, length, &mut bytes)?;
        Ok(bytes)
    }

    fn write(&mut self, this: Handle<Segment>, offset: u64, data: Vec<u8>) -> Result<(), Error> {
        self.write_segment(&this, offset, &data)
    }

    /// Not this, which would read into a copy, is called: see [`super::overrides`].
    fn read_into(&mut self, _: Handle<Segment>, _: u64, _: Vec<u8>) -> Result<u64, Error> {
        Err(ErrorCode::Unsupported.into())
    }

    fn atomic_load_u32(&mut self, this: Handle<Segment>, offset: u64) -> Result<u32, Error> {
        self.on(&this, at("load", offset), |segment| {
            segment.with_u32(offset, false, |word| word.load(SeqCst))
        })
    }

    fn atomic_store_u32(
        &mut self,
        this: Handle<Segment>,
        offset: u64,
        value: u32,
    ) -> Result<(), Error> {
        let call = at("store", offset).with("value", value.into());
        self.on_writable(&this, call, |segment| {
            segment.with_u32(offset, true, |word| word.store(value, SeqCst))
        })
    }

    fn atomic_rmw_u32(
        &mut self,
        this: Handle<Segment>,
        offset: u64,
        operation: AtomicOperation,
        operand: u32,
    ) -> Result<u32, Error> {
        let apply = |word: &AtomicU32| match operation {
            AtomicOperation::Add => word.fetch_add(operand, SeqCst),
            AtomicOperation::And => word.fetch_and(operand, SeqCst),
            AtomicOperation::Or => word.fetch_or(operand, SeqCst),
            AtomicOperation::Xor => word.fetch_xor(operand, SeqCst),
            AtomicOperation::Exchange => word.swap(operand, SeqCst),
        };
        let call = at(name(operation), offset).with("operand", operand.into());
        self.on_writable(&this, call, |segment| segment.with_u32(offset, true, apply))
    }

    fn atomic_compare_exchange_u32(
        &mut self,
        this: Handle<Segment>,
        offset: u64,
        expected: u32,
        replacement: u32,
    ) -> Result<u32, Error> {
        let apply = |word: &AtomicU32| {
            let exchanged = word.compare_exchange(expected, replacement, SeqCst, SeqCst);
            exchanged.unwrap_or_else(|now| now)
        };
        let call = at("compare-exchange", offset)
            .with("expected", expected.into())
            .with("replacement", replacement.into());
        self.on_writable(&this, call, |segment| segment.with_u32(offset, true, apply))
    }

    fn atomic_load_u64(&mut self, this: Handle<Segment>, offset: u64) -> Result<u64, Error> {
        self.on(&this, at("load", offset), |segment| {
            segment.with_u64(offset, false, |word| word.load(SeqCst))
        })
    }

    fn atomic_store_u64(
        &mut self,
        this: Handle<Segment>,
        offset: u64,
        value: u64,
    ) -> Result<(), Error> {
        let call = at("store", offset).with("value", value);
        self.on_writable(&this, call, |segment| {
            segment.with_u64(offset, true, |word| word.store(value, SeqCst))
        })
    }

    fn atomic_rmw_u64(
        &mut self,
        this: Handle<Segment>,
        offset: u64,
        operation: AtomicOperation,
        operand: u64,
    ) -> Result<u64, Error> {
        let apply = |word: &AtomicU64| match operation {
            AtomicOperation::Add => word.fetch_add(operand, SeqCst),
            AtomicOperation::And => word.fetch_and(operand, SeqCst),
            AtomicOperation::Or => word.fetch_or(operand, SeqCst),
            AtomicOperation::Xor => word.fetch_xor(operand, SeqCst),
            AtomicOperation::Exchange => word.swap(operand, SeqCst),
        };
        let call = at(name(operation), offset).with("operand", operand);
        self.on_writable(&this, call, |segment| segment.with_u64(offset, true, apply))
    }

    fn atomic_compare_exchange_u64(
        &mut self,
        this: Handle<Segment>,
        offset: u64,
        expected: u64,
        replacement: u64,
    ) -> Result<u64, Error> {
        let apply = |word: &AtomicU64| {
            let exchanged = word.compare_exchange(expected, replacement, SeqCst, SeqCst);
            exchanged.unwrap_or_else(|now| now)
        };
        let call = at("compare-exchange", offset)
            .with("expected", expected)
            .with("replacement", replacement);
        self.on_writable(&this, call, |segment| segment.with_u64(offset, true, apply))
    }

    async fn wait(
        &mut self,
        this: Handle<Segment>,
        offset: u64,
        expected: u32,
        timeout: Option<u64>,
    ) -> Result<WaitOutcome, Error> {
        let segment = self.table.get_mut(&this)?;
        let name = &segment.permit.guest_name;
        let call = at("wait", offset).with("expected", expected.into());
        let watched = self
            .ctx
            .begins(call.waiting(timeout), KIND, name.as_str())?;
        let word = segment.raw.waitable(offset);
        let word = word.map_err(|errno| refused(self.ctx, &segment.permit, errno))?;
        let waits = self.ctx.host().waits();
        let wait_mode = self.ctx.wait_mode(timeout);
        let waiter = self.ctx.waiter(name, "wait");
        let waited = async {
            let waited = waits.changed(word, expected, wait_mode, waiter).await;
            self.ctx.waited(waited, timeout)
        };
        Ok(match watched.waits(waited, |_| None).await? {
            true => WaitOutcome::Woken,
            false => WaitOutcome::NotEqual,
        })
    }

    fn notify(&mut self, this: Handle<Segment>, offset: u64, count: u32) -> Result<u32, Error> {
        let call = at("notify", offset).with("count", count.into());
        self.on_writable(&this, call, |segment| {
            Word::Segment(segment.waitable(offset)?.into()).wake(count)
        })
    }

    /// Not this, which knows no memory, is called: see [`super::overrides`].
    fn map(
        &mut self,
        _: Handle<Segment>,
        _: Vec<u8>,
        _: u64,
        _: u64,
        _: Access,
    ) -> Result<Handle<Mapping>, Error> {
        Err(ErrorCode::Unsupported.into())
    }

    fn drop(&mut self, this: Handle<Segment>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl IpcCtxView<'_> {
    pub(super) fn write_segment(
        &mut self,
        this: &Handle<Segment>,
        offset: u64,
        data: &[u8],
    ) -> Result<(), Error> {
        let mut call = at("write", offset).with("bytes", data.len() as u64);
        if let Some(value) = number(data) {
            call = call.with("value", value);
        }
        self.on_writable(this, call, |segment| segment.write(offset, data))
    }

    pub(super) fn read_list(
        &mut self,
        this: &Handle<Segment>,
        offset: u64,
        length: u64,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let length = length.min(LONGEST_READ);
        let call = at("read", offset).with("bytes", length);
        let read = |segment: &mut SharedMemory| {
            segment.read(offset, length as usize, bytes)?;
            Ok(Read(bytes.len(), number(bytes)))
        };
        self.on(this, call, read).map(drop)
    }

    pub(super) fn read_segment(
        &mut self,
        this: &Handle<Segment>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<u64, Error> {
        let call = at("read", offset).with("bytes", buffer.len() as u64);
        let Read(read, _) = self.on(this, call, |segment| {
            let read = segment.read_into(offset, buffer)?;
            Ok(Read(read, buffer.get(..read).and_then(number)))
        })?;
        Ok(read as u64)
    }

    pub(super) fn map_segment(
        &mut self,
        this: &Handle<Segment>,
        engine: &Engine,
        probe: Option<usize>,
        range: Range<u64>,
        access: Access,
    ) -> Result<Handle<Mapping>, Error> {
        let permit = self.table.get(this)?.permit.clone();
        let mapped = self.map_allowed_segment(this, engine, probe, range, access);
        let request = AccessRequest::new(Operation::Map, permit.target());
        let request = request.with_rights(&[Right::Map]);
        self.ctx.audited(request, mapped)
    }

    fn map_allowed_segment(
        &mut self,
        this: &Handle<Segment>,
        engine: &Engine,
        probe: Option<usize>,
        range: Range<u64>,
        access: Access,
    ) -> Result<Handle<Mapping>, Error> {
        let segment = self.table.get(this)?;
        let writable = match directions(access) {
            (true, write) => write,
            (false, _) => return Err(ErrorCode::Invalid.into()),
        };
        if !segment.permit.grant.allows(Right::Map, false) {
            let name = &segment.permit.guest_name;
            return Err(self.ctx.deny_optional(name, &[Right::Map]));
        }
        if writable && !segment.may_write {
            return Err(ErrorCode::Access.into());
        }
        let size = segment.raw.size()?;
        let object = segment.raw.object();
        let charge = segment.open_charge.charge();
        let region = self.region(engine, probe)?;
        if range.end > size {
            return Err(ErrorCode::Truncated.into());
        }
        let part = Part {
            object,
            offset: range.start,
            length: range.end - range.start,
            writable,
        };
        self.open_mapping(&region, part, charge)
    }

    /// Does something with the object behind a handle.
    fn on<T: Number>(
        &mut self,
        this: &Handle<Segment>,
        call: Call,
        operation: impl FnOnce(&mut SharedMemory) -> sys::Result<T>,
    ) -> Result<T, Error> {
        let segment = self.table.get_mut(this)?;
        let name = segment.permit.guest_name.as_str();
        let watched = self.ctx.begins(call, KIND, name)?;
        let done = operation(&mut segment.raw);
        watched.ends(done.map_err(|errno| refused(self.ctx, &segment.permit, errno)))
    }

    /// As [`Self::on`], if it was opened for writing.
    fn on_writable<T: Number>(
        &mut self,
        this: &Handle<Segment>,
        call: Call,
        operation: impl FnOnce(&mut SharedMemory) -> sys::Result<T>,
    ) -> Result<T, Error> {
        match self.table.get(this)?.may_write {
            true => self.on(this, call, operation),
            false => Err(ErrorCode::Access.into()),
        }
    }
}

impl Segment {
    fn new(opened: Opened<SharedMemory>, may_write: bool) -> Self {
        Self {
            raw: opened.raw,
            permit: opened.permit,
            identity: opened.identity,
            may_write,
            open_charge: OpenCharge::new(opened.handle, opened.charge),
            charge: opened.own_charge,
            _entry: opened.entry,
        }
    }

    /// Changes the size; with `truncate`, nothing stays of what is in the object.
    fn resize(&mut self, ctx: &mut IpcCtx, size: u64, truncate: bool) -> Result<(), Error> {
        if !self.may_write {
            return Err(ErrorCode::Access.into());
        }
        let before = self.raw.size()?;
        if size == before && (size == 0 || !truncate) {
            return Ok(());
        }
        let created = ctx.created().charge(KIND, self.identity).is_some();
        let resized = self.change_size(ctx, before, size, truncate, created);
        let request = AccessRequest {
            created_by_guest: created,
            ..AccessRequest::new(Operation::Resize, self.permit.target())
        };
        ctx.audited(request.with_rights(&[Right::Resize]), resized)
    }

    fn change_size(
        &mut self,
        ctx: &mut IpcCtx,
        before: u64,
        size: u64,
        truncate: bool,
        created: bool,
    ) -> Result<(), Error> {
        if !self.permit.grant.allows(Right::Resize, created) {
            return Err(ctx.deny(&self.permit.guest_name, &[Right::Resize]));
        }
        check_size(ctx, &self.permit, size)?;
        if self.charge.is_none() {
            self.charge = ctx.created().grown(self.identity);
        }
        let taken = self.charge.as_ref().map_or(0, |charge| charge.amount());
        // What the guest pays for is what it made: all of its own object, and of
        // another's the part that it added.
        let wanted = if created {
            size
        } else {
            let (taken, before) = match truncate {
                true => (taken.saturating_sub(before), 0),
                false => (taken, before),
            };
            taken.saturating_add(size).saturating_sub(before)
        };
        let charge = match self.charge.clone() {
            None if wanted == 0 => None,
            None => {
                let count = ctx.take_or_reclaim(|ctx| ctx.usage().reserve(Resource::Created, 1))?;
                Some(ctx.created().grows(self.identity, count))
            }
            charge => charge,
        };
        self.charge.clone_from(&charge);
        if let Some(charge) = &charge {
            ctx.take_or_reclaim(|ctx| charge.pay_shm_bytes(ctx.usage(), wanted))?;
        }
        // Only now that nothing forbids the new size is the old content lost.
        let truncated = if truncate { self.raw.resize(0) } else { Ok(()) };
        let resized = truncated.and_then(|()| self.raw.resize(size));
        if resized.is_err()
            && let Some(charge) = charge
        {
            // Less than now, or what was there a moment ago: it cannot fail.
            let _ = charge.pay_shm_bytes(ctx.usage(), taken);
        }
        resized.map_err(|errno| refused(ctx, &self.permit, errno))
    }
}

fn at(name: &'static str, offset: u64) -> Call {
    Call::new(name).with("at", offset)
}

fn name(operation: AtomicOperation) -> &'static str {
    match operation {
        AtomicOperation::Add => "add",
        AtomicOperation::And => "and",
        AtomicOperation::Or => "or",
        AtomicOperation::Xor => "xor",
        AtomicOperation::Exchange => "exchange",
    }
}

/// How many bytes were read, and the number that they are.
struct Read(usize, Option<u64>);

impl Number for Read {
    fn number(&self) -> Option<u64> {
        self.1
    }
}

/// The number that bytes are, if they look like one.
fn number(bytes: &[u8]) -> Option<u64> {
    match bytes.len() {
        1 | 2 | 4 | 8 => {
            let mut number = [0; 8];
            number[..bytes.len()].copy_from_slice(bytes);
            Some(u64::from_le_bytes(number))
        }
        _ => None,
    }
}

fn refused(ctx: &IpcCtx, permit: &Permit, errno: Errno) -> Error {
    ctx.refused(permit, Refusal::of_memory(errno))
}

/// A segment that is to be opened, or created with this mode and size.
struct OpenSegment {
    mode: u32,
    size: Option<u64>,
    access: Access,
}

impl OpenSegment {
    fn writes(&self) -> bool {
        directions(self.access).1
    }
}

impl Opening for OpenSegment {
    type Raw = SharedMemory;

    const KIND: Kind = KIND;

    fn rights(&self) -> &'static [Right] {
        match self.writes() {
            true => &[Right::Read, Right::Write],
            false => &[Right::Read],
        }
    }

    fn check(&self, _: OpenFlags) -> Result<(), Error> {
        match directions(self.access) {
            (true, _) => Ok(()),
            (false, _) => Err(ErrorCode::Invalid.into()),
        }
    }

    fn open(&self, name: &Name) -> sys::Result<SharedMemory> {
        SharedMemory::open(name, self.writes())
    }

    fn check_limits(&self, ctx: &IpcCtx, permit: &Permit) -> Result<(), Error> {
        check_size(ctx, permit, self.size.unwrap_or(0))
    }

    fn bytes(&self) -> Option<(Resource, u64)> {
        Some((Resource::ShmBytes, self.size.unwrap_or(0)))
    }

    fn create(&self, name: &Name, created: impl FnOnce(Identity)) -> sys::Result<SharedMemory> {
        SharedMemory::create(name, self.mode, self.size.unwrap_or(0), created)
    }

    fn identity(raw: &SharedMemory) -> sys::Result<Identity> {
        raw.identity()
    }
}

/// What an object can have at all, and the grant's own limit.
fn check_size(ctx: &IpcCtx, permit: &Permit, size: u64) -> Result<(), Error> {
    if i64::try_from(size).is_err() {
        return Err(ErrorCode::Invalid.into());
    }
    match permit.grant.max_size() {
        Some(max) if size > max => Err(ctx.over_grant(permit, "max-size", Bytes(max), Bytes(size))),
        _ => Ok(()),
    }
}
