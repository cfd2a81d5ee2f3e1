use std::fmt;
use std::io;

use crate::bindings::posix::ipc::types::ErrorCode;

/// The result of a call that can fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. [`kind`](Error::kind) tells the causes apart; printed, it says what could
/// not be done with which object, and why.
///
/// ```
/// # use posix_ipc_guest::{Error, ErrorKind};
/// # fn say(error: Error) {
/// println!("{error}"); // cannot open semaphore /gate: no such object
/// # }
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    /// Few errors are looked at by more than their kind: they are small.
    context: Option<Box<Context>>,
}

#[derive(Clone, Default)]
struct Context {
    /// What could not be done, as in "open semaphore".
    operation: Option<&'static str>,
    /// The object that it could not be done with.
    name: String,
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

    /// The words for the cause alone: those of the operating system, where it has some that
    /// say more than the kind does.
    #[must_use]
    pub fn cause(&self) -> &str {
        let detail = self.context.as_ref().and_then(|at| at.detail.as_deref());
        detail.unwrap_or(self.kind.words())
    }

    /// What could not be done, as in "open semaphore" or "send to queue".
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.context.as_ref()?.operation
    }

    /// The name of the object that it could not be done with.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let context = self.context.as_ref()?;
        context.operation.map(|_| &*context.name)
    }

    #[cold]
    pub(crate) fn during(mut self, operation: &'static str, name: impl Into<String>) -> Self {
        let context = self.context.get_or_insert_default();
        context.operation = Some(operation);
        context.name = name.into();
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        let context = None;
        Self { kind, context }
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
                let context = Context {
                    detail,
                    ..Context::default()
                };
                return Self {
                    kind: ErrorKind::Other,
                    context: Some(context.into()),
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
        if let (Some(operation), Some(name)) = (self.operation(), self.name()) {
            write!(f, "cannot {operation} {name}: ")?;
        }
        f.write_str(self.cause())
    }
}

impl fmt::Debug for Error {
    /// As a program prints it whose `main` returns it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?})", self.kind)
    }
}

impl ErrorKind {
    fn words(self) -> &'static str {
        match self {
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
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
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
    fn errors_say_what_could_not_be_done_with_what() {
        let error = Error::from(ErrorCode::NoEntry).during("open semaphore", "/gate");
        assert_eq!(
            error.to_string(),
            "cannot open semaphore /gate: no such object"
        );
        assert_eq!(
            format!("{error:?}"),
            "cannot open semaphore /gate: no such object (NoEntry)"
        );
        assert_eq!(error.operation(), Some("open semaphore"));
        assert_eq!(error.name(), Some("/gate"));
        assert_eq!(error.cause(), "no such object");
        let bare = Error::from(ErrorKind::Quota);
        assert_eq!((bare.operation(), bare.name()), (None, None));
        assert_eq!(bare.to_string(), "limit of the host reached");
        let detailed = Error::from(ErrorCode::Other(Some("too many links".to_owned())));
        let detailed = detailed.during("map segment", "/a");
        assert_eq!(
            detailed.to_string(),
            "cannot map segment /a: too many links"
        );
    }

    #[test]
    fn io_errors_keep_the_original() {
        let error = io::Error::from(Error::from(ErrorCode::NotPermitted));
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let original = error.downcast::<Error>().unwrap();
        assert_eq!(original.kind(), ErrorKind::NotPermitted);
    }
}
