//! Telling the audit what was decided.

use super::IpcCtx;
use super::permit::{Permit, Target};
use crate::audit::{AuditEvent, Decision, Operation};
use crate::error::{Error, ErrorCode};
use crate::grant::Right;
use std::cell::Cell;

/// What is told of each decision. An error ends the guest.
pub(super) type Audit = dyn Fn(&AuditEvent<'_>) -> wasmtime::Result<()> + Send + Sync;

/// What a guest did or wanted to do, with an object or with none.
#[derive(Clone, Copy)]
pub(crate) struct AccessRequest<'a> {
    pub(crate) operation: Operation,
    pub(crate) target: Option<Target<'a>>,
    pub(crate) prefix: Option<&'a str>,
    pub(crate) rights: &'a [Right],
    pub(crate) created_by_guest: bool,
}

impl<'a> AccessRequest<'a> {
    pub(crate) fn new(operation: Operation, target: Target<'a>) -> Self {
        Self {
            target: Some(target),
            ..Self::nameless(operation)
        }
    }

    /// What a guest does with nothing that has a name.
    pub(super) fn nameless(operation: Operation) -> Self {
        Self {
            operation,
            target: None,
            prefix: None,
            rights: &[],
            created_by_guest: false,
        }
    }

    pub(crate) fn with_rights(self, rights: &'a [Right]) -> Self {
        Self { rights, ..self }
    }
}

/// Whether a handle may be used for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RightState {
    Denied,
    /// It may, and the audit is to be told when it is the first time.
    Unreported,
    Allowed,
}

impl IpcCtx {
    /// Whether somebody wants to know what is decided.
    pub(crate) fn is_audited(&self) -> bool {
        self.audit.is_some()
    }

    /// The outcome of a request, of which the audit is told first.
    pub(crate) fn audited<T>(
        &self,
        request: AccessRequest<'_>,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        let error = match &outcome {
            Ok(_) => None,
            Err(Error::Code(code)) => Some(code),
            Err(Error::Trap(_)) => return outcome,
        };
        self.tell(request, error)?;
        outcome
    }

    /// As [`Self::audited`], of what is left to the system unless there is too much of it.
    pub(crate) fn audited_limit<T>(
        &self,
        request: AccessRequest<'_>,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        match outcome {
            Err(Error::Code(ErrorCode::Quota)) => self.audited(request, outcome),
            outcome => outcome,
        }
    }

    /// What a handle may be used for, from its permit.
    pub(crate) fn usable(&self, permit: &Permit, right: Right) -> RightState {
        match (permit.grant.allows(right, false), &self.audit) {
            (false, _) => RightState::Denied,
            (true, Some(_)) => RightState::Unreported,
            (true, None) => RightState::Allowed,
        }
    }

    /// Whether a handle may be used so, where that is not known to be
    /// [`RightState::Allowed`]. By then it is, if it may.
    pub(crate) fn check_use(
        &mut self,
        state: &Cell<RightState>,
        permit: &Permit,
        operation: Operation,
        right: Right,
    ) -> Result<(), Error> {
        let rights = &[right];
        let request = AccessRequest::new(operation, permit.target()).with_rights(rights);
        if state.get() == RightState::Denied {
            let denied = self.deny(&permit.guest_name, rights);
            return self.audited(request, Err(denied));
        }
        self.tell(request, None)?;
        state.set(RightState::Allowed);
        Ok(())
    }

    fn tell(&self, request: AccessRequest<'_>, error: Option<&ErrorCode>) -> Result<(), Error> {
        let Some(audit) = &self.audit else {
            return Ok(());
        };
        let host_name = request.target.and_then(|target| target.host_name);
        let decision = match error {
            Some(ErrorCode::NotPermitted) => Decision::Denied,
            Some(ErrorCode::Quota) => Decision::OverLimit,
            // Not a name, or something else was wrong with it before it was looked up.
            _ if request.target.is_some() && host_name.is_none() => Decision::Denied,
            _ => Decision::Allowed,
        };
        audit(&AuditEvent {
            guest: &self.label,
            operation: request.operation,
            kind: request.target.map(|target| target.kind),
            name: request.target.map_or("", |target| target.name),
            prefix: request.prefix,
            host_name,
            rights: request.rights,
            created_by_guest: request.created_by_guest,
            decision,
            error,
        })
        .map_err(Error::Trap)
    }
}
