//! Why a call fails, for the guest: one table from the operating system's errors
//! and this crate's own to the error codes that a guest gets.

use crate::name::NameError;
use crate::sys::{self, Errno};
use std::fmt;
use wasmtime::component::ResourceTableError;

/// The error that a guest gets: `error-code` of the WIT package.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// Outside the guest's grants, whether or not the object exists.
    NotPermitted,
    /// The object's permissions do not allow it, or the handle was opened without it.
    Access,
    /// The object exists.
    Exists,
    /// The object does not exist.
    NoEntry,
    /// The call would have to wait.
    Busy,
    /// The time was over.
    TimedOut,
    /// Somebody has ended the wait.
    Cancelled,
    /// An argument makes no sense.
    Invalid,
    /// The name is too long.
    NameTooLong,
    /// The message is longer than those of the queue.
    MessageTooLong,
    /// The semaphore has its greatest value.
    Overflow,
    /// The system has no room left.
    NoSpace,
    /// A limit of the guest's quota or grant.
    Quota,
    /// The object is closed.
    Closed,
    /// A peer has shrunk the object, or the range reaches past its end.
    Truncated,
    /// This host cannot do it.
    Unsupported,
    /// Anything else, in words.
    Other(Option<String>),
}

impl ErrorCode {
    /// Its name in POSIX, such as `ENOENT`. As the C library for guests says it, but of
    /// opening and unlinking too: what is not granted is `EPERM`, and `EACCES` is what
    /// the system says.
    pub const fn errno(&self) -> &'static str {
        match self {
            Self::NotPermitted => "EPERM",
            Self::Access => "EACCES",
            Self::Exists => "EEXIST",
            Self::NoEntry => "ENOENT",
            Self::Busy => "EAGAIN",
            Self::TimedOut => "ETIMEDOUT",
            Self::Cancelled => "ECANCELED",
            Self::Invalid => "EINVAL",
            Self::NameTooLong => "ENAMETOOLONG",
            Self::MessageTooLong => "EMSGSIZE",
            Self::Overflow => "EOVERFLOW",
            Self::NoSpace => "ENOSPC",
            Self::Quota => "EDQUOT",
            Self::Closed => "EBADF",
            Self::Truncated => "EFAULT",
            Self::Unsupported => "ENOTSUP",
            Self::Other(_) => "EIO",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPermitted => "not granted to the guest",
            Self::Access => "the object or the handle does not allow it",
            Self::Exists => "the object exists",
            Self::NoEntry => "there is no such object",
            Self::Busy => "it would have to wait",
            Self::TimedOut => "the time is over",
            Self::Cancelled => "the wait was cancelled",
            Self::Invalid => "an argument makes no sense",
            Self::NameTooLong => "the name is too long",
            Self::MessageTooLong => "the message is too long for the queue",
            Self::Overflow => "the semaphore has its greatest value",
            Self::NoSpace => "the system has no room left",
            Self::Quota => "a limit of the guest is reached",
            Self::Closed => "the object is closed",
            Self::Truncated => "the object is shorter than that",
            Self::Unsupported => "this host cannot do it",
            Self::Other(Some(words)) => words,
            Self::Other(None) => "something else went wrong",
        })
    }
}

impl std::error::Error for ErrorCode {}

/// What a host function fails with: an answer for the guest, or the end of it.
///
/// A guest's mistakes are answers. Only what no correct guest can do, such as the
/// use of a handle that it does not have, is a trap.
#[derive(Debug)]
pub enum Error {
    /// The guest gets this code.
    Code(ErrorCode),
    /// The guest is ended.
    Trap(wasmtime::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => code.fmt(f),
            Self::Trap(trap) => trap.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Code(code_of(errno))
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::Code(match error {
            NameError::TooLong { .. } => ErrorCode::NameTooLong,
            _ => ErrorCode::Invalid,
        })
    }
}

impl From<ResourceTableError> for Error {
    fn from(error: ResourceTableError) -> Self {
        match error {
            ResourceTableError::Full => Self::Code(ErrorCode::Quota),
            other => Self::Trap(other.into()),
        }
    }
}

/// The meaning of an error of the operating system. What the calls of this crate
/// cannot fail with is passed on in words.
fn code_of(errno: Errno) -> ErrorCode {
    match errno {
        Errno::EACCES | Errno::EPERM | Errno::EROFS => ErrorCode::Access,
        Errno::EEXIST => ErrorCode::Exists,
        Errno::ENOENT => ErrorCode::NoEntry,
        Errno::EAGAIN | Errno::EBUSY => ErrorCode::Busy,
        Errno::ETIMEDOUT => ErrorCode::TimedOut,
        Errno::ECANCELED => ErrorCode::Cancelled,
        Errno::EINVAL | Errno::EFBIG | Errno::ELOOP | Errno::EISDIR | Errno::ENOTDIR => {
            ErrorCode::Invalid
        }
        Errno::ENAMETOOLONG => ErrorCode::NameTooLong,
        Errno::EMSGSIZE => ErrorCode::MessageTooLong,
        Errno::EOVERFLOW => ErrorCode::Overflow,
        Errno::ENOSPC | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE | Errno::EDQUOT => {
            ErrorCode::NoSpace
        }
        Errno::EBADF => ErrorCode::Closed,
        sys::TRUNCATED => ErrorCode::Truncated,
        Errno::ENOSYS | Errno::ENOTSUP => ErrorCode::Unsupported,
        other => ErrorCode::Other(Some(other.to_string())),
    }
}
