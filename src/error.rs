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
