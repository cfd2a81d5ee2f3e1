//! What can be granted: rights, and the words that stand for groups of rights.

use crate::name::Kind;
use std::fmt;

/// One thing that an operation can need. An operation that needs several is
/// allowed only if every one of them is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Take a semaphore, or wait until it could be taken.
    Wait,
    /// Add to a semaphore.
    Post,
    /// Read the bytes of a shared-memory object.
    Read,
    /// Change the bytes of a shared-memory object.
    Write,
    /// Take messages from a queue.
    Receive,
    /// Put messages into a queue.
    Send,
    /// Make an object that does not exist.
    Create,
    /// Change the size of a shared-memory object; truncating it at `open` too.
    Resize,
    /// Remove a name.
    Unlink,
    /// Put the object into the guest's memory.
    Map,
}

impl Right {
    /// All rights.
    pub const ALL: &'static [Self] = &[
        Self::Wait,
        Self::Post,
        Self::Read,
        Self::Write,
        Self::Receive,
        Self::Send,
        Self::Create,
        Self::Resize,
        Self::Unlink,
        Self::Map,
    ];

    /// The word for this right in logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Post => "post",
            Self::Read => "read",
            Self::Write => "write",
            Self::Receive => "recv",
            Self::Send => "send",
            Self::Create => "create",
            Self::Resize => "resize",
            Self::Unlink => "unlink",
            Self::Map => "map",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a guest may do with an object that is open. Each is for one kind only.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// `wait`: take a semaphore, never add to it.
    Wait,
    /// `post`: add to a semaphore, never take it.
    Post,
    /// `use`: take a semaphore and add to it.
    Use,
    /// `ro`: read shared memory.
    ReadOnly,
    /// `rw`: read and write shared memory.
    ReadWrite,
    /// `recv`: receive from a queue.
    Receive,
    /// `send`: send to a queue.
    Send,
    /// `both`: receive from a queue and send to it.
    Both,
}

impl Access {
    /// Every access, for each kind from narrow to wide.
    pub const ALL: &'static [Self] = &[
        Self::Wait,
        Self::Post,
        Self::Use,
        Self::ReadOnly,
        Self::ReadWrite,
        Self::Receive,
        Self::Send,
        Self::Both,
    ];

    /// Those to one kind of object, from narrow to wide.
    pub(super) fn of(kind: Kind) -> impl Iterator<Item = Self> {
        Self::ALL
            .iter()
            .copied()
            .filter(move |access| access.kind() == kind)
    }

    /// The access of a grant that does not say which: all there is.
    pub const fn default_of(kind: Kind) -> Self {
        match kind {
            Kind::Semaphore => Self::Use,
            Kind::SharedMemory => Self::ReadWrite,
            Kind::MessageQueue => Self::Both,
        }
    }

    /// The kind of object that this is an access to.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Wait | Self::Post | Self::Use => Kind::Semaphore,
            Self::ReadOnly | Self::ReadWrite => Kind::SharedMemory,
            Self::Receive | Self::Send | Self::Both => Kind::MessageQueue,
        }
    }

    /// The word for this access in grants.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Post => "post",
            Self::Use => "use",
            Self::ReadOnly => "ro",
            Self::ReadWrite => "rw",
            Self::Receive => "recv",
            Self::Send => "send",
            Self::Both => "both",
        }
    }

    /// Whether this access includes a right. Rights that are not about the content
    /// of an open object, such as [`Right::Create`], are never included.
    pub const fn allows(self, right: Right) -> bool {
        match right {
            Right::Wait => matches!(self, Self::Wait | Self::Use),
            Right::Post => matches!(self, Self::Post | Self::Use),
            Right::Read => matches!(self, Self::ReadOnly | Self::ReadWrite),
            Right::Write => matches!(self, Self::ReadWrite),
            Right::Receive => matches!(self, Self::Receive | Self::Both),
            Right::Send => matches!(self, Self::Send | Self::Both),
            Right::Create | Right::Resize | Right::Unlink | Right::Map => false,
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a guest may do with the existence of an object.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifecycle {
    /// `open`: use an object that exists. No creating, resizing or unlinking.
    #[default]
    Open,
    /// `create`: also create it; resize, truncate and unlink what this guest
    /// created.
    Create,
    /// `own`: also resize, truncate and unlink what others created.
    Own,
}

impl Lifecycle {
    /// Every lifecycle, from narrow to wide.
    pub const ALL: &'static [Self] = &[Self::Open, Self::Create, Self::Own];

    /// The word for this in grants.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Own => "own",
        }
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The words of the options that a kind of grant has, for messages.
pub(super) fn options(kind: Kind) -> String {
    let limits: &[&str] = match kind {
        Kind::Semaphore => &["max=N", "undo", "map", "keep"],
        Kind::SharedMemory => &["max=N", "max-size=SIZE", "map", "keep"],
        Kind::MessageQueue => &["max=N", "max-msgs=N", "max-msg-size=SIZE", "keep"],
    };
    Access::of(kind)
        .map(Access::word)
        .chain(Lifecycle::ALL.iter().map(|lifecycle| lifecycle.word()))
        .chain(limits.iter().copied())
        .collect::<Vec<_>>()
        .join(", ")
}
