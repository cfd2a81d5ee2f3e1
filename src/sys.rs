//! The operating system: safe types over the real POSIX calls, and the only
//! `unsafe` code of the crate.
//!
//! Nothing here knows of grants or quotas. Of guests it knows the memory, which mappings
//! are in and lists are read from. Errors are [`Errno`]s as the calls give them, with one
//! addition: [`TRUNCATED`].

#![allow(unsafe_code)]

mod close;
pub(crate) mod futex;
pub(crate) mod guest_mapping;
pub(crate) mod guest_memory;
mod identity;
pub(crate) mod limits;
pub(crate) mod listing;
mod memory_file;
pub(crate) mod message_queue;
pub(crate) mod notification;
mod private_mount;
mod queue_fd;
mod sem_layout;
pub(crate) mod semaphore;
pub(crate) mod shared_memory;
mod sigbus;
pub(crate) mod word;

pub(crate) use identity::Identity;
pub(crate) use nix::Result;
pub(crate) use nix::errno::Errno;
use nix::sys::stat::{FileStat, Mode, SFlag};

/// What an access past the end of a shrunken object answers, where native code
/// would have died of `SIGBUS`. It is what the kernel says when it meets such an
/// address itself; none of the calls in this module fails with it otherwise.
pub(crate) const TRUNCATED: Errno = Errno::EFAULT;

/// Makes a call again as long as a signal interrupts it.
fn retry_on_intr<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}

/// The permission bits of a file.
fn permissions(stat: &FileStat) -> u32 {
    stat.st_mode & 0o777
}

/// Permission bits as a call takes them. Other bits are left out.
fn mode(bits: u32) -> Mode {
    Mode::from_bits_truncate(bits)
}

/// What kind of file it is.
fn file_type(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}
