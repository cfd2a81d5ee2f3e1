//! A file for shared memory, or for a semaphore, that has no name until it is
//! complete.
//!
//! It is what `shm_open` and `sem_open` create, made in another order: a process
//! that dies in between leaves nothing, peers never see it half-made, and its
//! identity can be written down before anybody can reach it.

use super::{Identity, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use std::os::fd::{AsRawFd, OwnedFd};

/// Where glibc keeps both.
pub(super) const DIRECTORY: &str = "/dev/shm";

/// How the file of a semaphore starts: that of `/gate` is `sem.gate`.
pub(super) const SEMAPHORE_PREFIX: &str = "sem.";

pub(super) struct MemoryFile {
    pub(super) descriptor: OwnedFd,
    pub(super) identity: Identity,
    /// The permission bits that the umask has left.
    pub(super) mode: u32,
}

impl MemoryFile {
    pub(super) fn new(mode: u32) -> Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode & 0o777);
        let descriptor = rustix::fs::open(DIRECTORY, flags, mode)?;
        let stat = rustix::fs::fstat(&descriptor)?;
        Ok(Self {
            descriptor,
            identity: Identity::of(&stat),
            mode: stat.st_mode & 0o777,
        })
    }

    /// Gives the file its name; `Errno::EXIST` if that is taken.
    pub(super) fn publish(&self, file: &str) -> Result<()> {
        // A path, because linking a bare descriptor needs a privilege.
        let this = format!("/proc/self/fd/{}", self.descriptor.as_raw_fd());
        rustix::fs::linkat(CWD, this, CWD, path(file), AtFlags::SYMLINK_FOLLOW)
    }
}

/// The path of a file of the directory.
pub(super) fn path(file: &str) -> String {
    format!("{DIRECTORY}/{file}")
}
