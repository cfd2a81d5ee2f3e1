//! The operating system: safe types over the real POSIX calls, and the only
//! `unsafe` code of the crate.
//!
//! Nothing here knows of grants or quotas. Of guests it knows the memory, which mappings
//! are in and lists are read from. Errors are [`Errno`]s as the calls give them, with one
//! addition: [`TRUNCATED`].

#![allow(unsafe_code)]

mod close;
#[cfg(feature = "cli")]
pub(crate) mod compiled;
pub(crate) mod futex;
pub(crate) mod guest_mapping;
pub(crate) mod guest_memory;
mod identity;
pub(crate) mod limits;
pub(crate) mod listing;
mod memory_file;
pub(crate) mod message_queue;
pub(crate) mod notification;
pub(crate) mod semaphore;
pub(crate) mod shared_memory;
mod sigbus;

pub(crate) use identity::Identity;
use rustix::io::retry_on_intr;
pub(crate) use rustix::io::{Errno, Result};

use std::ffi::CString;

/// What an access past the end of a shrunken object answers, where native code
/// would have died of `SIGBUS`. It is what the kernel says when it meets such an
/// address itself; none of the calls in this module fails with it otherwise.
pub(crate) const TRUNCATED: Errno = Errno::FAULT;

/// Names reach this layer validated; one with a NUL in it is still no reason to
/// open the object that the part before the NUL names.
fn c_name(name: &str) -> Result<CString> {
    CString::new(name).map_err(|_| Errno::INVAL)
}

/// Converts the `-1`-and-`errno` convention of the C library.
fn check(result: libc::c_int) -> Result<libc::c_int> {
    if result == -1 {
        Err(last_errno())
    } else {
        Ok(result)
    }
}

fn last_errno() -> Errno {
    let raw = std::io::Error::last_os_error().raw_os_error();
    Errno::from_raw_os_error(raw.unwrap_or(libc::EIO))
}
