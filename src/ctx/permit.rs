//! What the grants say about a name that a guest uses.

use super::IpcCtx;
use crate::error::{Error, ErrorCode};
use crate::grant::{Grant, Lifecycle, Right};
use crate::name::{Kind, Name, NameError};
use std::sync::Arc;

/// The object that a request is about.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) kind: Kind,
    /// What the guest calls it, whatever that is made of.
    pub(crate) name: &'a str,
    /// What that leads to, if it is granted.
    pub(crate) host_name: Option<&'a Name>,
}

/// A name that a guest may use, and for what.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    /// The name that the guest uses.
    pub(crate) guest_name: Name,
    /// The name that the operating system is given.
    pub(crate) host_name: Name,
    pub(crate) grant: Arc<Grant>,
    /// Which of the guest's grants it is.
    pub(super) index: usize,
}

impl Permit {
    /// Whether what the guest may do with the object depends on who created it.
    pub(crate) fn depends_on_creator(&self) -> bool {
        self.grant.lifecycle() == Lifecycle::Create
    }

    /// For the audit.
    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            kind: self.guest_name.kind(),
            name: self.guest_name.as_str(),
            host_name: Some(&self.host_name),
        }
    }
}

/// A text that a guest uses as a name, looked up once.
pub(crate) struct Lookup<'a> {
    kind: Kind,
    text: &'a str,
    found: Result<Permit, NotFound>,
}

#[derive(Clone)]
enum NotFound {
    /// The text is not the name of an object.
    Malformed(NameError),
    /// No grant is for it.
    NotGranted(Name),
}

impl From<NameError> for NotFound {
    fn from(error: NameError) -> Self {
        Self::Malformed(error)
    }
}

impl Lookup<'_> {
    /// Whatever the guest may do with the object. If it may do nothing, the log says that
    /// it asked for `rights`.
    pub(crate) fn found(&self, ctx: &mut IpcCtx, rights: &[Right]) -> Result<&Permit, Error> {
        match &self.found {
            Ok(permit) => Ok(permit),
            Err(NotFound::Malformed(error)) => Err(error.clone().into()),
            Err(NotFound::NotGranted(name)) => Err(ctx.deny(name, rights)),
        }
    }

    /// A permit with every one of the rights. If one is missing, the log says that the
    /// guest asked for `asked`.
    pub(crate) fn permit(
        &self,
        ctx: &mut IpcCtx,
        rights: &[Right],
        asked: &[Right],
    ) -> Result<&Permit, Error> {
        let permit = self.found(ctx, asked)?;
        let mut rights = rights.iter();
        match rights.all(|&right| permit.grant.allows(right, false)) {
            true => Ok(permit),
            false => Err(ctx.deny(&permit.guest_name, asked)),
        }
    }

    /// For the audit.
    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            kind: self.kind,
            name: self.text,
            host_name: self.found.as_ref().ok().map(|permit| &permit.host_name),
        }
    }
}

impl IpcCtx {
    /// Looks up what a guest uses as a name: the only time that it is checked.
    pub(crate) fn look_up<'a>(&self, kind: Kind, text: &'a str) -> Lookup<'a> {
        Lookup {
            kind,
            text,
            found: self.permit_for(kind, text),
        }
    }

    fn permit_for(&self, kind: Kind, text: &str) -> Result<Permit, NotFound> {
        let guest_name = Name::new(kind, text)?;
        let Some(found) = self.grants.find(&guest_name)? else {
            return Err(NotFound::NotGranted(guest_name));
        };
        let (index, host_name) = (found.index, found.host_name);
        match self.grants.share(index) {
            Some(grant) => Ok(Permit {
                guest_name,
                host_name,
                grant,
                index,
            }),
            None => Err(NotFound::NotGranted(guest_name)),
        }
    }

    /// The answer to a use that is not granted, logged with the grant that would
    /// allow it. A guest that keeps asking fills no log: a line appears once, and
    /// of different lines there is a limit too.
    pub(crate) fn deny(&mut self, name: &Name, rights: &[Right]) -> Error {
        self.log_denial(name, rights, false);
        ErrorCode::NotPermitted.into()
    }

    /// As [`Self::deny`], of what a guest asks for to be faster and can do without: the
    /// log tells of it only where it is set to tell more than problems.
    pub(crate) fn deny_optional(&mut self, name: &Name, rights: &[Right]) -> Error {
        self.log_denial(name, rights, true);
        ErrorCode::NotPermitted.into()
    }
}
