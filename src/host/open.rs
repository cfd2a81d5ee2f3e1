//! What opening, creating and unlinking have in common for the three kinds.

use crate::audit::Operation;
use crate::bindings::posix::ipc::types::{Access, OpenFlags};
use crate::ctx::{AccessRequest, IpcCtx, Permit};
use crate::error::{Error, ErrorCode};
use crate::grant::{Kind, Right};
use crate::objects::remove;
use crate::random;
use crate::sys::limits::Refusal;
use crate::sys::{self, Errno};

/// What a guest asks for that opens an object: the rights on its content, and to
/// create it if need be. This is for the log: an object that exists is opened
/// without the right to create it.
pub(super) fn asked(rights: &[Right], flags: OpenFlags) -> Vec<Right> {
    let create = flags.contains(OpenFlags::CREATE).then_some(Right::Create);
    rights.iter().copied().chain(create).collect()
}

/// An object that was opened, and whether it was created on the way.
pub(super) enum Opened<T> {
    Existing(T),
    New(T),
}

impl<T> Opened<T> {
    /// The object, and whether it is new.
    pub(super) fn into_parts(self) -> (T, bool) {
        match self {
            Self::Existing(object) => (object, false),
            Self::New(object) => (object, true),
        }
    }
}

/// The outcome of opening a name, of which the audit is told. To open an object that
/// exists takes the rights; what was opened comes with whether it is new.
pub(super) fn audited_open<T>(
    ctx: &IpcCtx,
    kind: Kind,
    name: &str,
    rights: &[Right],
    flags: OpenFlags,
    opened: Result<(T, bool), Error>,
) -> Result<T, Error> {
    if !ctx.is_audited() {
        return opened.map(|(object, _)| object);
    }
    // What exists is opened without the right to create it.
    let exists = matches!(opened, Ok((_, false)));
    let (operation, rights) = match flags.contains(OpenFlags::CREATE) && !exists {
        true => (Operation::Create, asked(rights, flags)),
        false => (Operation::Open, rights.into()),
    };
    let request = AccessRequest::new(operation, kind, name).with_rights(&rights);
    ctx.audited(request, opened).map(|(object, _)| object)
}

/// Opens the object or creates it, as the flags say. Whether it was created is
/// known for sure: it is either opened without `O_CREAT` or created with `O_EXCL`.
pub(super) fn open_or_create<T>(
    ctx: &mut IpcCtx,
    kind: Kind,
    permit: &Permit,
    flags: OpenFlags,
    mut open: impl FnMut(&str) -> sys::Result<T>,
    mut create: impl FnMut(&mut IpcCtx, &str) -> Result<T, Error>,
) -> Result<Opened<T>, Error> {
    let creates = flags.contains(OpenFlags::CREATE);
    let exclusive = flags.contains(OpenFlags::EXCLUSIVE);
    if exclusive && !creates {
        return Err(ErrorCode::Invalid.into());
    }
    let may_create = permit.grant.allows(Right::Create, false);
    if exclusive && !may_create {
        return Err(ctx.deny(kind, &permit.guest_name, &[Right::Create], false));
    }
    if exclusive {
        return create(ctx, &permit.host_name).map(Opened::New);
    }
    // A peer that creates and unlinks the name all the time could keep both ways
    // from succeeding.
    const MOST_TRIES: usize = 100;
    for _ in 0..MOST_TRIES {
        match open(&permit.host_name) {
            Err(Errno::ENOENT) if creates => {}
            opened => {
                let refused = |errno| ctx.refused(kind, permit, refusal(kind, errno));
                return opened.map(Opened::Existing).map_err(refused);
            }
        }
        if !may_create {
            return Err(ctx.deny(kind, &permit.guest_name, &[Right::Create], false));
        }
        match create(ctx, &permit.host_name) {
            Err(Error::Code(ErrorCode::Exists)) => {}
            created => return created.map(Opened::New),
        }
    }
    Err(ErrorCode::Busy.into())
}

fn refusal(kind: Kind, errno: Errno) -> Refusal {
    match kind {
        Kind::Semaphore | Kind::SharedMemory => Refusal::of_memory(errno),
        Kind::MessageQueue => Refusal::of_queue(errno, None),
    }
}

/// Creates an object under the prefix and a random word, with `create`.
pub(super) fn create_unique<T>(
    ctx: &mut IpcCtx,
    kind: Kind,
    prefix: &str,
    rights: &[Right],
    mut create: impl FnMut(&mut IpcCtx, &Permit) -> Result<T, Error>,
) -> Result<T, Error> {
    // 36^16 words: the second try is for a random generator that is broken.
    const MOST_TRIES: usize = 8;
    const WORD: usize = 16;
    for _ in 0..MOST_TRIES {
        let name = format!("{prefix}{}", random::word(WORD));
        let rights = [rights, &[Right::Create]].concat();
        let permit = ctx.permit(kind, &name, &rights, &rights);
        let created = permit.and_then(|permit| create(ctx, &permit));
        let request = AccessRequest {
            prefix: Some(prefix),
            ..AccessRequest::new(Operation::Create, kind, &name).with_rights(&rights)
        };
        match ctx.audited(request, created) {
            Err(Error::Code(ErrorCode::Exists)) => {}
            done => return done,
        }
    }
    Err(ErrorCode::Exists.into())
}

/// Removes a name that the guest may remove.
pub(super) fn unlink_name(ctx: &mut IpcCtx, kind: Kind, name: &str) -> Result<(), Error> {
    let mut created = false;
    let unlinked = unlink(ctx, kind, name, &mut created);
    // To be told that there is nothing takes no more than to remove one's own.
    let missing = matches!(unlinked, Err(Error::Code(ErrorCode::NoEntry)));
    let request = AccessRequest {
        created_by_guest: created || missing,
        ..AccessRequest::new(Operation::Unlink, kind, name).with_rights(&[Right::Unlink])
    };
    ctx.audited(request, unlinked)
}

/// Sets `created` if the guest had created the object, as far as anybody wants to know.
fn unlink(ctx: &mut IpcCtx, kind: Kind, name: &str, created: &mut bool) -> Result<(), Error> {
    let permit = ctx.find(kind, name, &[Right::Unlink])?;
    let is_creator = |ctx: &mut IpcCtx| ctx.created().is_creator(kind, &permit.host_name);
    *created = match permit.depends_on_creator() {
        true => is_creator(ctx)?,
        false => ctx.is_audited() && is_creator(ctx).unwrap_or(false),
    };
    if !permit.grant.allows(Right::Unlink, *created) {
        return Err(ctx.deny(kind, name, &[Right::Unlink], false));
    }
    remove(kind, &permit.host_name)?;
    ctx.created().forget(kind, &permit.host_name);
    Ok(())
}

/// Semaphores and queues have nothing to truncate.
pub(super) fn refuse_truncate(flags: OpenFlags) -> Result<(), Error> {
    if flags.contains(OpenFlags::TRUNCATE) {
        Err(ErrorCode::Invalid.into())
    } else {
        Ok(())
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
