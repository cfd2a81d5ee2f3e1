//! A mount that only a descriptor leads to.
//!
//! References: Linux `fsopen(2)`, `fsconfig(2)`, `fsmount(2)` (since 5.2).

use super::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// `FSOPEN_CLOEXEC`, which `FSMOUNT_CLOEXEC` equals.
const CLOEXEC: libc::c_uint = 1;

/// `FSCONFIG_CMD_CREATE`.
const CREATE: libc::c_uint = 6;

/// `MOUNT_ATTR_NOSUID`, `MOUNT_ATTR_NODEV` and `MOUNT_ATTR_NOEXEC`.
const ATTRIBUTES: libc::c_uint = 0x2 | 0x4 | 0x8;

/// Mounts a file system of this type nowhere. It goes with the descriptor.
pub(super) fn mount(file_system: &CStr) -> Result<OwnedFd> {
    // SAFETY: the name is a C string.
    let context = unsafe { libc::syscall(libc::SYS_fsopen, file_system.as_ptr(), CLOEXEC) };
    let context = owned(context)?;
    let number = context.as_raw_fd();
    // SAFETY: the command takes neither a key nor a value.
    let created = unsafe {
        let (none, value) = (ptr::null::<libc::c_char>(), ptr::null::<libc::c_void>());
        libc::syscall(libc::SYS_fsconfig, number, CREATE, none, value, 0)
    };
    Errno::result(created)?;
    // SAFETY: the call takes nothing but numbers.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, number, CLOEXEC, ATTRIBUTES) })
}

/// The descriptor that a call has given us.
fn owned(result: libc::c_long) -> Result<OwnedFd> {
    let number = Errno::result(result)?;
    // SAFETY: both calls above give a new descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(number as libc::c_int) })
}
