//! A file for shared memory, or for a semaphore, that has no name until it is
//! complete.
//!
//! It is what `shm_open` and `sem_open` create, made in another order: a process
//! that dies in between leaves nothing, peers never see it half-made, and its
//! identity can be written down before anybody can reach it.

use super::{Errno, Identity, Result, file_type, mode, permissions};
use crate::name::Name;
use crate::random;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, lstat};
use nix::unistd::{AccessFlags, access, linkat, unlink};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::OnceLock;

/// Where glibc keeps both.
pub(super) const DIRECTORY: &str = "/dev/shm";

/// How the file of a semaphore starts: that of `/gate` is `sem.gate`.
pub(super) const SEMAPHORE_PREFIX: &str = "sem.";

/// Where the files without a name have one.
const DESCRIPTORS: &str = "/proc/self/fd";

pub(super) struct MemoryFile {
    pub(super) descriptor: OwnedFd,
    pub(super) identity: Identity,
    /// The permission bits that the umask has left.
    pub(super) mode: u32,
    /// Its path until it has its own name, where there are no files without one.
    hidden: Option<String>,
}

impl MemoryFile {
    pub(super) fn new(bits: u32) -> Result<Self> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        if !has_descriptors() {
            return Self::hidden(bits);
        }
        match open(DIRECTORY, flags, mode(bits & 0o777)) {
            // What systems say that know no such files: gVisor, for one.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR) => Self::hidden(bits),
            descriptor => Self::from_descriptor(descriptor?, None),
        }
    }

    /// A file with a name that nobody looks for. A process that is killed before it is
    /// [published](Self::publish) leaves it.
    fn hidden(bits: u32) -> Result<Self> {
        let path = format!("{DIRECTORY}/.posix-ipc.{}", random::word(16));
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let descriptor = open(path.as_str(), flags, mode(bits & 0o777))?;
        Self::from_descriptor(descriptor, Some(path))
    }

    fn from_descriptor(descriptor: OwnedFd, hidden: Option<String>) -> Result<Self> {
        let stat = fstat(&descriptor)?;
        Ok(Self {
            descriptor,
            identity: Identity::of(&stat),
            mode: permissions(&stat),
            hidden,
        })
    }

    /// Gives the file its name; `Errno::EEXIST` if that is taken.
    pub(super) fn publish(&self, path: &str) -> Result<()> {
        // A path, because linking a bare descriptor needs a privilege.
        let this = || format!("{DESCRIPTORS}/{}", self.descriptor.as_raw_fd());
        let this = self.hidden.clone().unwrap_or_else(this);
        let follow = match self.hidden {
            None => AtFlags::AT_SYMLINK_FOLLOW,
            Some(_) => AtFlags::empty(),
        };
        linkat(AT_FDCWD, this.as_str(), AT_FDCWD, path, follow)
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        if let Some(path) = &self.hidden {
            let _ = unlink(path.as_str());
        }
    }
}

/// Whether `/proc` is there.
fn has_descriptors() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| access(DESCRIPTORS, AccessFlags::F_OK).is_ok())
}

/// The path of a segment.
pub(super) fn segment(name: &Name) -> String {
    format!("{DIRECTORY}/{}", name.stem())
}

/// The path of a semaphore.
pub(super) fn semaphore(name: &Name) -> String {
    format!("{DIRECTORY}/{SEMAPHORE_PREFIX}{}", name.stem())
}

/// Opens what is there. It follows no link that somebody has planted, does not get stuck
/// on a pipe, and does not wait for a peer that has leased the file: that is
/// `Errno::EAGAIN`. Anything but a regular file is `Errno::EINVAL`.
pub(super) fn open_existing(path: &str, direction: OFlag) -> Result<(OwnedFd, FileStat)> {
    let flags = direction | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let descriptor = open(path, flags, Mode::empty())?;
    let stat = fstat(&descriptor)?;
    match file_type(&stat) {
        SFlag::S_IFREG => Ok((descriptor, stat)),
        _ => Err(Errno::EINVAL),
    }
}

/// The object that a path leads to now.
pub(super) fn identify(path: &str) -> Result<Identity> {
    lstat(path).map(|stat| Identity::of(&stat))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where there are no files without a name, as if there were.
    #[test]
    fn a_hidden_file_is_gone_when_it_has_its_name_and_when_it_gets_none() {
        let path = format!("{DIRECTORY}/posix-ipc.hidden.{}", random::word(16));
        let file = MemoryFile::hidden(0o640).unwrap();
        let (hidden, identity) = (file.hidden.clone().unwrap(), file.identity);
        assert_eq!(identify(&hidden), Ok(identity));
        assert_eq!(file.publish(&path), Ok(()));
        drop(file);
        assert_eq!(identify(&hidden), Err(Errno::ENOENT));
        assert_eq!(identify(&path), Ok(identity));

        let other = MemoryFile::hidden(0o640).unwrap();
        let hidden = other.hidden.clone().unwrap();
        assert_eq!(other.publish(&path), Err(Errno::EEXIST));
        drop(other);
        assert_eq!(identify(&hidden), Err(Errno::ENOENT));
        unlink(path.as_str()).unwrap();
    }
}
