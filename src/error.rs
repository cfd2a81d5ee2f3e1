//! Why a call fails, for the guest: one table from the operating system's errors
//! and this crate's own to the `error-code` of the WIT package.

use crate::grant::NameError;
use crate::sys::{self, Errno};
use wasmtime::component::ResourceTableError;

pub use crate::bindings::posix::ipc::types::ErrorCode;

/// What a host function fails with: an answer for the guest, or the end of it.
///
/// A guest's mistakes are answers. Only what no correct guest can do, such as the
/// use of a handle that it does not have, is a trap.
#[derive(Debug)]
pub enum Error {
    /// The guest is told.
    Code(ErrorCode),
    /// The guest is ended.
    Trap(wasmtime::Error),
}

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
        Errno::ACCESS | Errno::PERM | Errno::ROFS => ErrorCode::Access,
        Errno::EXIST => ErrorCode::Exists,
        Errno::NOENT => ErrorCode::NoEntry,
        Errno::AGAIN | Errno::BUSY => ErrorCode::Busy,
        Errno::TIMEDOUT => ErrorCode::TimedOut,
        Errno::CANCELED => ErrorCode::Cancelled,
        Errno::INVAL | Errno::FBIG | Errno::LOOP | Errno::ISDIR | Errno::NOTDIR => {
            ErrorCode::Invalid
        }
        Errno::NAMETOOLONG => ErrorCode::NameTooLong,
        Errno::MSGSIZE => ErrorCode::MessageTooLong,
        Errno::OVERFLOW => ErrorCode::Overflow,
        Errno::NOSPC | Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::DQUOT => {
            ErrorCode::NoSpace
        }
        Errno::BADF => ErrorCode::Closed,
        sys::TRUNCATED => ErrorCode::Truncated,
        Errno::NOSYS | Errno::NOTSUP => ErrorCode::Unsupported,
        other => ErrorCode::Other(Some(other.to_string())),
    }
}
