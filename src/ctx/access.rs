//! Telling the audit what was decided.

use super::{IpcCtx, Permit};
use crate::audit::{AuditEvent, Decision, Operation};
use crate::error::{Error, ErrorCode};
use crate::grant::{Kind, Right};
use std::cell::Cell;

/// What is told of each decision. An error ends the guest.
pub(super) type Audit = dyn Fn(&AuditEvent<'_>) -> wasmtime::Result<()> + Send + Sync;

/// What a guest did or wanted to do, with an object or with none.
#[derive(Clone, Copy)]
pub(crate) struct AccessRequest<'a> {
    pub(crate) operation: Operation,
    pub(crate) kind: Option<Kind>,
    pub(crate) name: &'a str,
    pub(crate) prefix: Option<&'a str>,
    pub(crate) rights: &'a [Right],
    pub(crate) created_by_guest: bool,
}

impl<'a> AccessRequest<'a> {
    pub(crate) fn new(operation: Operation, kind: Kind, name: &'a str) -> Self {
        Self {
            operation,
            kind: Some(kind),
            name,
            prefix: None,
            rights: &[],
            created_by_guest: false,
        }
    }

    /// What a guest does with nothing that has a name.
    pub(super) fn nameless(operation: Operation) -> Self {
        Self {
            kind: None,
            ..Self::new(operation, Kind::Semaphore, "")
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

    /// Whether a handle may be used so, where that is not known to be [`RightState::Allowed`]. By
    /// then it is, if it may.
    pub(crate) fn check_use(
        &mut self,
        state: &Cell<RightState>,
        request: AccessRequest<'_>,
    ) -> Result<(), Error> {
        if state.get() == RightState::Denied {
            let kind = request.kind.unwrap_or(Kind::Semaphore);
            let denied = self.deny(kind, request.name, request.rights, false);
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
        let found = request
            .kind
            .map(|kind| self.grants.find(kind, request.name));
        let host_name = match &found {
            Some(Ok(Some(found))) => Some(found.host_name.as_str()),
            _ => None,
        };
        let decision = match error {
            Some(ErrorCode::NotPermitted) => Decision::Denied,
            Some(ErrorCode::Quota) => Decision::OverLimit,
            // Not a name, or something else was wrong with it before it was looked up.
            _ if found.is_some() && host_name.is_none() => Decision::Denied,
            _ => Decision::Allowed,
        };
        audit(&AuditEvent {
            guest: &self.label,
            operation: request.operation,
            kind: request.kind,
            name: request.name,
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
