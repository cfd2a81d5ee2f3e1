//! Opening, creating and unlinking, which is the same for the three kinds.

use crate::audit::Operation;
use crate::ctx::{AccessRequest, Call, Charge, IpcCtx, IpcCtxView, Lookup, Permit};
use crate::error::{Error, ErrorCode};
use crate::grant::Right;
use crate::host::bindings::posix::ipc::types::{Access, OpenFlags};
use crate::ledger::Entry;
use crate::name::{Kind, Name};
use crate::objects::remove;
use crate::quota::{Reservation, Resource};
use crate::random;
use crate::sys::limits::Refusal;
use crate::sys::message_queue::MessageQueue;
use crate::sys::{self, Errno, Identity};
use std::sync::Arc;

/// What a guest wants to open or create, as far as the kinds differ.
pub(super) trait Opening {
    /// The object itself.
    type Raw;

    const KIND: Kind;

    /// The rights that it takes to open an object that exists.
    fn rights(&self) -> &'static [Right];

    /// The rights that the log suggests to a guest which has none.
    fn suggested_rights(&self) -> &'static [Right] {
        self.rights()
    }

    /// Fails if the arguments make no sense.
    fn check(&self, flags: OpenFlags) -> Result<(), Error>;

    /// Opens what exists.
    fn open(&self, name: &Name) -> sys::Result<Self::Raw>;

    /// Fails if the guest may not create an object like this.
    fn check_limits(&self, ctx: &IpcCtx, permit: &Permit) -> Result<(), Error>;

    /// The bytes that a new object takes of the guest's quota.
    fn bytes(&self) -> Option<(Resource, u64)>;

    /// Creates what does not exist, and says which object it is as soon as that is known.
    fn create(&self, name: &Name, created: impl FnOnce(Identity)) -> sys::Result<Self::Raw>;

    /// Which limit of the system's was met if it has refused to open or to create the
    /// object.
    fn refusal(&self, errno: Errno, _creating: bool) -> Refusal {
        Refusal::of_memory(errno)
    }

    fn identity(raw: &Self::Raw) -> sys::Result<Identity>;

    /// A queue, which is told by its descriptor whether it still has its name.
    fn queue(_: &Self::Raw) -> Option<MessageQueue> {
        None
    }
}

/// An object that was opened, and what it takes of the guest.
pub(super) struct Opened<T> {
    pub(super) raw: T,
    pub(super) identity: Identity,
    /// Whether it was created on the way.
    pub(super) is_new: bool,
    pub(super) permit: Permit,
    /// The handle.
    pub(super) handle: Reservation,
    /// Of a semaphore with `undo`.
    pub(super) undo: Option<Reservation>,
    /// What the object takes of the quota of the guest of this host that has created it.
    pub(super) charge: Option<Arc<Charge>>,
    /// The same if that is this guest.
    pub(super) own_charge: Option<Arc<Charge>>,
    pub(super) entry: Entry,
}

/// Opens an object for a guest, or creates it, as the flags say. `finish` makes a handle
/// of it. The audit is told of the outcome.
pub(super) fn open<'a, O: Opening, T>(
    view: &mut IpcCtxView<'a>,
    name: &str,
    flags: OpenFlags,
    opening: &O,
    finish: impl FnOnce(&mut IpcCtxView<'a>, Opened<O::Raw>) -> Result<T, Error>,
) -> Result<T, Error> {
    let creates = flags.contains(OpenFlags::CREATE);
    let call = match (creates, flags.contains(OpenFlags::EXCLUSIVE)) {
        (false, _) => "open",
        (true, false) => "open-or-create",
        (true, true) => "create",
    };
    let watched = view.ctx.begins(Call::new(call), O::KIND, name)?;
    let lookup = view.ctx.look_up(O::KIND, name);
    let mut exists = false;
    let opened = open_or_create(view.ctx, &lookup, flags, opening).and_then(|opened| {
        let is_new = opened.is_new;
        finish(view, opened).inspect(|_| exists = !is_new)
    });
    let opened = watched.ends_as(opened, |_| None);
    if !view.ctx.is_audited() {
        return opened;
    }
    // What exists is opened without the right to create it.
    let (operation, rights) = match creates && !exists {
        true => (Operation::Create, and_create(opening.rights())),
        false => (Operation::Open, opening.rights().into()),
    };
    let request = AccessRequest::new(operation, lookup.target()).with_rights(&rights);
    view.ctx.audited(request, opened)
}

/// Creates an object under the prefix and a random word.
pub(super) fn create_unique<'a, O: Opening, T>(
    view: &mut IpcCtxView<'a>,
    prefix: &str,
    opening: &O,
    finish: impl FnOnce(&mut IpcCtxView<'a>, Opened<O::Raw>) -> Result<T, Error>,
) -> Result<T, Error> {
    // 36^16 words: the second try is for a random generator that is broken.
    const MOST_TRIES: usize = 8;
    const WORD: usize = 16;
    let watched = view
        .ctx
        .begins(Call::new("create-unique"), O::KIND, prefix)?;
    let rights = and_create(opening.rights());
    for _ in 0..MOST_TRIES {
        let name = format!("{prefix}{}", random::word(WORD));
        let lookup = view.ctx.look_up(O::KIND, &name);
        let created = lookup
            .permit(view.ctx, &rights, &rights)
            .and_then(|permit| {
                let reserved = Reserved::new(view.ctx, permit)?;
                let (raw, charge) = create(view.ctx, permit, opening)?;
                reserved.opened::<O>(view.ctx, permit, raw, Some(charge))
            });
        let request = AccessRequest {
            prefix: Some(prefix),
            ..AccessRequest::new(Operation::Create, lookup.target()).with_rights(&rights)
        };
        match view.ctx.audited(request, created) {
            Err(Error::Code(ErrorCode::Exists)) => {}
            created => {
                let opened = created.and_then(|opened| finish(view, opened));
                return watched.ends_as(opened, |_| None);
            }
        }
    }
    Err(ErrorCode::Exists.into())
}

/// Opens the object or creates it, as the flags say. Whether it was created is
/// known for sure: it is either opened without `O_CREAT` or created with `O_EXCL`.
fn open_or_create<O: Opening>(
    ctx: &mut IpcCtx,
    lookup: &Lookup<'_>,
    flags: OpenFlags,
    opening: &O,
) -> Result<Opened<O::Raw>, Error> {
    opening.check(flags)?;
    let creates = flags.contains(OpenFlags::CREATE);
    let exclusive = flags.contains(OpenFlags::EXCLUSIVE);
    let permit = match creates {
        true => lookup.permit(
            ctx,
            opening.rights(),
            &and_create(opening.suggested_rights()),
        )?,
        false => lookup.permit(ctx, opening.rights(), opening.suggested_rights())?,
    };
    let reserved = Reserved::new(ctx, permit)?;
    if exclusive && !creates {
        return Err(ErrorCode::Invalid.into());
    }
    let may_create = permit.grant.allows(Right::Create, false);
    // A peer that creates and unlinks the name all the time could keep both ways
    // from succeeding.
    const MOST_TRIES: usize = 100;
    for _ in 0..MOST_TRIES {
        if !exclusive {
            match opening.open(&permit.host_name) {
                Err(Errno::ENOENT) if creates => {}
                Err(errno) => return Err(ctx.refused(permit, opening.refusal(errno, false))),
                Ok(raw) => return reserved.opened::<O>(ctx, permit, raw, None),
            }
        }
        if !may_create {
            return Err(ctx.deny(&permit.guest_name, &[Right::Create]));
        }
        match create(ctx, permit, opening) {
            Err(Error::Code(ErrorCode::Exists)) if !exclusive => {}
            Err(error) => return Err(error),
            Ok((raw, charge)) => return reserved.opened::<O>(ctx, permit, raw, Some(charge)),
        }
    }
    Err(ErrorCode::Busy.into())
}

/// The one way in which an object comes to be: it is paid for, the ledger knows of it,
/// the system makes it, and the guest is noted as its creator.
fn create<O: Opening>(
    ctx: &mut IpcCtx,
    permit: &Permit,
    opening: &O,
) -> Result<(O::Raw, Arc<Charge>), Error> {
    opening.check_limits(ctx, permit)?;
    let charge = ctx.charge_object(permit, opening.bytes())?;
    let mut pending = ctx.ledger().creates(&permit.host_name);
    let raw = opening
        .create(&permit.host_name, |identity| {
            pending.created(identity);
            charge.created(identity);
        })
        .map_err(|errno| {
            charge.cancel();
            ctx.refused(permit, opening.refusal(errno, true))
        })?;
    // Not before: a creation that fails must not take the place of the one that is there.
    ctx.host().charges().list(&permit.host_name, &charge);
    let (entry, identity) = pending.finish();
    ctx.created()
        .add(permit, identity, O::queue(&raw), &charge, entry);
    Ok((raw, charge))
}

/// What an open object takes of the guest's quota, whoever created it.
struct Reserved {
    handle: Reservation,
    undo: Option<Reservation>,
}

impl Reserved {
    fn new(ctx: &IpcCtx, permit: &Permit) -> Result<Self, Error> {
        Ok(Self {
            handle: ctx.reserve(Resource::Handles, 1)?,
            undo: ctx.reserve_undo(permit)?,
        })
    }

    /// The object is open. `created` is its charge if it is new.
    fn opened<O: Opening>(
        self,
        ctx: &mut IpcCtx,
        permit: &Permit,
        raw: O::Raw,
        created: Option<Arc<Charge>>,
    ) -> Result<Opened<O::Raw>, Error> {
        let identity = O::identity(&raw)?;
        let is_new = created.is_some();
        let own_charge = created.or_else(|| ctx.created().charge(O::KIND, identity));
        let of_any_guest = || ctx.host().charges().of(&permit.host_name, identity);
        Ok(Opened {
            is_new,
            charge: own_charge.clone().or_else(of_any_guest),
            own_charge,
            entry: ctx.ledger().opens(&permit.host_name, identity),
            permit: permit.clone(),
            handle: self.handle,
            undo: self.undo,
            identity,
            raw,
        })
    }
}

fn and_create(rights: &[Right]) -> Vec<Right> {
    [rights, &[Right::Create]].concat()
}

/// Removes a name that the guest may remove.
pub(super) fn unlink(ctx: &mut IpcCtx, kind: Kind, name: &str) -> Result<(), Error> {
    let watched = ctx.begins(Call::new("unlink"), kind, name)?;
    let lookup = ctx.look_up(kind, name);
    let mut created = false;
    let unlinked = watched.ends(unlink_permitted(ctx, &lookup, &mut created));
    // To be told that there is nothing takes no more than to remove one's own.
    let missing = matches!(unlinked, Err(Error::Code(ErrorCode::NoEntry)));
    let request = AccessRequest {
        created_by_guest: created || missing,
        ..AccessRequest::new(Operation::Unlink, lookup.target()).with_rights(&[Right::Unlink])
    };
    ctx.audited(request, unlinked)
}

/// Sets `created` if the guest had created the object, as far as anybody wants to know.
fn unlink_permitted(
    ctx: &mut IpcCtx,
    lookup: &Lookup<'_>,
    created: &mut bool,
) -> Result<(), Error> {
    let permit = lookup.found(ctx, &[Right::Unlink])?;
    let is_creator = |ctx: &mut IpcCtx| ctx.created().is_creator(&permit.host_name);
    *created = match permit.depends_on_creator() {
        true => is_creator(ctx)?,
        false => ctx.is_audited() && is_creator(ctx).unwrap_or(false),
    };
    if !permit.grant.allows(Right::Unlink, *created) {
        return Err(ctx.deny(&permit.guest_name, &[Right::Unlink]));
    }
    remove(&permit.host_name)?;
    ctx.created().forget(&permit.host_name);
    Ok(())
}

/// Semaphores and queues have nothing to truncate.
pub(super) fn refuse_truncate(flags: OpenFlags) -> Result<(), Error> {
    match flags.contains(OpenFlags::TRUNCATE) {
        true => Err(ErrorCode::Invalid.into()),
        false => Ok(()),
    }
}

/// Whether an access reads and writes.
pub(super) fn directions(access: Access) -> (bool, bool) {
    match access {
        Access::Read => (true, false),
        Access::Write => (false, true),
        Access::ReadWrite => (true, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctx::IpcHost;
    use crate::grant::PrivateNamespace;
    use crate::host::bindings::posix::ipc::shared_memory::{Host, HostSegment};
    use crate::host::shared_memory::Segment;
    use crate::quota::Quota;
    use wasmtime::component::{Resource as Handle, ResourceTable};

    struct Guest {
        ctx: IpcCtx,
        table: ResourceTable,
    }

    impl Guest {
        fn new(host: &IpcHost, namespace: &PrivateNamespace, quota: Quota) -> Self {
            let ctx = IpcCtx::builder()
                .private_namespace(namespace.clone())
                .quota(quota);
            Self {
                ctx: ctx.build(host).unwrap(),
                table: ResourceTable::new(),
            }
        }

        fn view(&mut self) -> IpcCtxView<'_> {
            IpcCtxView {
                ctx: &mut self.ctx,
                table: &mut self.table,
            }
        }

        fn open(&mut self, name: &str, flags: OpenFlags) -> Result<Handle<Segment>, Error> {
            let (name, size) = (name.into(), flags.contains(OpenFlags::CREATE).then_some(1));
            HostSegment::open(
                &mut self.view(),
                name,
                flags,
                0o600,
                size,
                Access::ReadWrite,
            )
        }
    }

    fn is_over_quota<T>(result: Result<T, Error>) -> bool {
        matches!(result, Err(Error::Code(ErrorCode::Quota)))
    }

    /// Two guests hold no more than both may: what one has created counts as its own as
    /// long as the other has it open.
    #[test]
    fn an_unlinked_object_counts_while_another_guest_has_it_open() {
        let (host, namespace) = (IpcHost::new(), PrivateNamespace::random());
        let quota = Quota {
            created: 1,
            ..Quota::default()
        };
        let mut first = Guest::new(&host, &namespace, quota.clone());
        let mut second = Guest::new(&host, &namespace, quota);

        let own = first.open("/a", OpenFlags::CREATE).unwrap();
        let opened = second.open("/a", OpenFlags::empty()).unwrap();
        Host::unlink(&mut first.view(), "/a".into()).unwrap();
        HostSegment::drop(&mut first.view(), own).unwrap();
        assert!(is_over_quota(first.open("/b", OpenFlags::CREATE)));
        HostSegment::drop(&mut second.view(), opened).unwrap();
        first.open("/b", OpenFlags::CREATE).unwrap();
    }

    /// A consumer that unlinks what it has taken does not stop its producer.
    #[test]
    fn an_object_that_a_peer_unlinks_no_longer_counts_once_it_is_closed() {
        let (host, namespace) = (IpcHost::new(), PrivateNamespace::random());
        let quota = Quota {
            created: 2,
            shm_bytes: 2,
            ..Quota::default()
        };
        let mut guest = Guest::new(&host, &namespace, quota);

        let closed = guest.open("/a", OpenFlags::CREATE).unwrap();
        HostSegment::drop(&mut guest.view(), closed).unwrap();
        let open = guest.open("/b", OpenFlags::CREATE).unwrap();
        for name in ["/a", "/b"] {
            let name = Name::new(Kind::SharedMemory, name).unwrap();
            remove(&namespace.host_name(&name).unwrap()).unwrap();
        }
        let again = guest.open("/a", OpenFlags::CREATE).unwrap();
        assert!(is_over_quota(guest.open("/c", OpenFlags::CREATE)));
        HostSegment::drop(&mut guest.view(), open).unwrap();
        // Bytes are given back as well.
        HostSegment::resize(&mut guest.view(), again, 2).unwrap();
    }
}
