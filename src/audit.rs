//! The audit: what guests asked for by name, and what was decided.
//!
//! A host that must be able to say later what a guest did gives its context a function
//! that is told of each decision: [`IpcCtxBuilder::audit`](crate::IpcCtxBuilder::audit).
//! Where there is none, nothing is gathered.
//!
//! What is told of, each time:
//!
//! - opening, creating and unlinking, whatever came of it;
//! - resizing, mapping and asking for a notification;
//! - a subscription, and memory of its own, where the quota does not allow it.
//!
//! And the first time by each handle, or each time if it is denied:
//!
//! - taking a semaphore, and adding to it. Those two are not decided when a semaphore is
//!   opened; what a segment or a queue is good for is, by the access that it is opened for.
//!
//! Reading, writing, sending and receiving by an open handle are not told of, nor waits.

use crate::error::ErrorCode;
use crate::grant::Right;
use crate::name::{Kind, Name};
use std::fmt;

/// One decision.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuditEvent<'a> {
    /// What the guest is called, see
    /// [`IpcCtxBuilder::label`](crate::IpcCtxBuilder::label).
    pub guest: &'a str,
    /// What the guest did or wanted to do.
    pub operation: Operation,
    /// The kind of the object. None if it is about no object.
    pub kind: Option<Kind>,
    /// The name that the guest used, whatever it is made of. Of an object that was created
    /// under a unique name, that name; empty if it is about no object.
    pub name: &'a str,
    /// What the guest said of a unique name: how it starts.
    pub prefix: Option<&'a str>,
    /// The name that the system was given, if the guest's is granted.
    pub host_name: Option<&'a Name>,
    /// The rights that it took, or would have.
    pub rights: &'a [Right],
    /// Whether the guest itself created what it resized or unlinked, or nobody's object
    /// was there. To do that to another's takes more.
    pub created_by_guest: bool,
    /// What was decided.
    pub decision: Decision,
    /// The error that the guest got, if it was not done.
    pub error: Option<&'a ErrorCode>,
}

impl AuditEvent<'_> {
    /// The error by its name in POSIX, such as `ENOENT`.
    pub fn errno(&self) -> Option<&'static str> {
        self.error.map(ErrorCode::errno)
    }
}

/// What a guest does that is decided upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening an object that exists.
    Open,
    /// Creating an object, or opening it with leave to create it where that failed.
    Create,
    /// Removing a name.
    Unlink,
    /// Taking a semaphore, or waiting until it could be taken.
    Wait,
    /// Adding to a semaphore.
    Post,
    /// Changing the size of shared memory, when it is opened too.
    Resize,
    /// Putting an object into the guest's memory.
    Map,
    /// Asking to be notified of a message.
    Notify,
    /// Making a pollable.
    Subscribe,
    /// Growing a memory or a table of its own.
    Grow,
}

impl Operation {
    /// The word for it in records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Unlink => "unlink",
            Self::Wait => "wait",
            Self::Post => "post",
            Self::Resize => "resize",
            Self::Map => "map",
            Self::Notify => "notify",
            Self::Subscribe => "subscribe",
            Self::Grow => "grow",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What was decided about an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decision {
    /// It was left to the system, which may have refused it.
    Allowed,
    /// The grants do not allow it, or it was not about what can be granted.
    Denied,
    /// The quota, or a limit of the grant, does not allow it.
    OverLimit,
}

impl Decision {
    /// The word for it in records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::OverLimit => "over-limit",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
