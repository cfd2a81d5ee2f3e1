//! A file for shared memory, or for a semaphore, that has no name until it is
//! complete.
//!
//! It is what `shm_open` and `sem_open` create, made in another order: a process
//! that dies in between leaves nothing, peers never see it half-made, and its
//! identity can be written down before anybody can reach it.

use super::{Identity, Result, mode, permissions};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::stat::fstat;
use nix::unistd::linkat;
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
    pub(super) fn new(bits: u32) -> Result<Self> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let descriptor = open(DIRECTORY, flags, mode(bits & 0o777))?;
        let stat = fstat(&descriptor)?;
        Ok(Self {
            descriptor,
            identity: Identity::of(&stat),
            mode: permissions(&stat),
        })
    }

    /// Gives the file its name; `Errno::EEXIST` if that is taken.
    pub(super) fn publish(&self, file: &str) -> Result<()> {
        // A path, because linking a bare descriptor needs a privilege.
        let this = format!("/proc/self/fd/{}", self.descriptor.as_raw_fd());
        let follow = AtFlags::AT_SYMLINK_FOLLOW;
        linkat(
            AT_FDCWD,
            this.as_str(),
            AT_FDCWD,
            path(file).as_str(),
            follow,
        )
    }
}

/// The path of a file of the directory.
pub(super) fn path(file: &str) -> String {
    format!("{DIRECTORY}/{file}")
}
