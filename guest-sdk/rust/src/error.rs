use std::fmt;
use std::io;

use crate::bindings::posix::ipc::types::ErrorCode;

/// The result of a call that can fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. [`kind`](Error::kind) tells the causes apart.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    /// The operating system's words, where the kind says less than they do.
    detail: Option<String>,
}

/// The cause of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The host has not granted this name, or not this use of it. It says the same whether
    /// or not the object exists. Similar to `EPERM` in POSIX.
    NotPermitted,
    /// The operating system refused access because of the object's owner and mode, or the
    /// handle was opened without this direction. Similar to `EACCES` in POSIX, or `EBADF`
    /// for the direction.
    Access,
    /// The object exists already, and was to be a new one. Similar to `EEXIST` in POSIX.
    Exists,
    /// No object has this name. Similar to `ENOENT` in POSIX.
    NoEntry,
    /// The call would have had to wait and was asked not to, or the queue's notification is
    /// taken. Similar to `EAGAIN` and `EBUSY` in POSIX.
    Busy,
    /// The timeout elapsed. Similar to `ETIMEDOUT` in POSIX.
    TimedOut,
    /// The host ended the wait. Nothing was consumed. Similar to `ECANCELED` in POSIX.
    Cancelled,
    /// An argument is out of its range, a name is malformed, or the object is not what its
    /// name says. Similar to `EINVAL` in POSIX.
    Invalid,
    /// The name is longer than the kind of object allows. Similar to `ENAMETOOLONG` in POSIX.
    NameTooLong,
    /// The message is longer than the queue allows. Similar to `EMSGSIZE` in POSIX.
    MessageTooLong,
    /// The semaphore is at its maximum value. Similar to `EOVERFLOW` in POSIX.
    Overflow,
    /// The system has no room for the object: memory, the space of the shared memory file
    /// system, the system's limit on queues or open files. Similar to `ENOSPC`, `ENOMEM` and
    /// `EMFILE` in POSIX.
    NoSpace,
    /// The guest has reached a limit that the host set for it.
    Quota,
    /// The object behind the handle is gone. Similar to `EBADF` in POSIX.
    Closed,
    /// The object is shorter than the call needs, for instance because a peer shrank it.
    /// A native program would have met `SIGBUS`.
    Truncated,
    /// The host does not offer this operation for this object.
    Unsupported,
    /// Any other cause. The error's `Display` has the operating system's words, if there
    /// are any.
    Other,
}

impl Error {
    /// The cause.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, detail: None }
    }
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        let kind = match code {
            ErrorCode::NotPermitted => ErrorKind::NotPermitted,
            ErrorCode::Access => ErrorKind::Access,
            ErrorCode::Exists => ErrorKind::Exists,
            ErrorCode::NoEntry => ErrorKind::NoEntry,
            ErrorCode::Busy => ErrorKind::Busy,
            ErrorCode::TimedOut => ErrorKind::TimedOut,
            ErrorCode::Cancelled => ErrorKind::Cancelled,
            ErrorCode::Invalid => ErrorKind::Invalid,
            ErrorCode::NameTooLong => ErrorKind::NameTooLong,
            ErrorCode::MessageTooLong => ErrorKind::MessageTooLong,
            ErrorCode::Overflow => ErrorKind::Overflow,
            ErrorCode::NoSpace => ErrorKind::NoSpace,
            ErrorCode::Quota => ErrorKind::Quota,
            ErrorCode::Closed => ErrorKind::Closed,
            ErrorCode::Truncated => ErrorKind::Truncated,
            ErrorCode::Unsupported => ErrorKind::Unsupported,
            ErrorCode::Other(detail) => {
                return Self {
                    kind: ErrorKind::Other,
                    detail,
                };
            }
        };
        kind.into()
    }
}

impl From<Error> for io::Error {
    /// The error as one of I/O, for functions that return those. The original is its
    /// source.
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::NotPermitted | ErrorKind::Access => io::ErrorKind::PermissionDenied,
            ErrorKind::Exists => io::ErrorKind::AlreadyExists,
            ErrorKind::NoEntry => io::ErrorKind::NotFound,
            ErrorKind::Busy => io::ErrorKind::WouldBlock,
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::Invalid | ErrorKind::MessageTooLong => io::ErrorKind::InvalidInput,
            ErrorKind::NameTooLong => io::ErrorKind::InvalidFilename,
            ErrorKind::NoSpace => io::ErrorKind::StorageFull,
            ErrorKind::Quota => io::ErrorKind::QuotaExceeded,
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            // Cancelled is not `Interrupted`: much code takes that as a call to try again.
            ErrorKind::Cancelled | ErrorKind::Overflow | ErrorKind::Closed | ErrorKind::Other => {
                io::ErrorKind::Other
            }
        };
        Self::new(kind, error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => f.write_str(detail),
            None => self.kind.fmt(f),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPermitted => "not permitted by the host",
            Self::Access => "access denied",
            Self::Exists => "object exists",
            Self::NoEntry => "no such object",
            Self::Busy => "would have to wait",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled by the host",
            Self::Invalid => "invalid argument",
            Self::NameTooLong => "name too long",
            Self::MessageTooLong => "message too long",
            Self::Overflow => "semaphore is at its maximum",
            Self::NoSpace => "no space left",
            Self::Quota => "limit of the host reached",
            Self::Closed => "object is closed",
            Self::Truncated => "object is too short",
            Self::Unsupported => "not supported",
            Self::Other => "unknown error",
        })
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_are_kept() {
        let error = Error::from(ErrorCode::Other(Some("too many links".to_owned())));
        assert_eq!(error.kind(), ErrorKind::Other);
        assert_eq!(error.to_string(), "too many links");
        let error = Error::from(ErrorCode::Other(None));
        assert_eq!(error.to_string(), "unknown error");
    }

    #[test]
    fn io_errors_keep_the_original() {
        let error = io::Error::from(Error::from(ErrorCode::NotPermitted));
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let original = error.downcast::<Error>().unwrap();
        assert_eq!(original.kind(), ErrorKind::NotPermitted);
    }
}
