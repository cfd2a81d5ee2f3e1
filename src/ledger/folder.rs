//! The folder of the ledgers, one for each user.

use crate::random;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A folder that only its owner can write to.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

const EXTENSION: &str = "ledger";

impl Folder {
    /// The usual folder: `posix-ipc` in `$XDG_RUNTIME_DIR`, for root in `/run`, else
    /// `posix-ipc-UID` in `/tmp`. It lives no longer than the objects of the machine.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or does not belong to this user alone.
    pub fn usual() -> io::Result<Self> {
        let user = rustix::process::geteuid();
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let usable = |folder: &PathBuf| folder.is_absolute() && folder.is_dir();
        Self::at(match runtime.filter(usable) {
            Some(runtime) => runtime.join("posix-ipc"),
            None if user.is_root() && Path::new("/run").is_dir() => "/run/posix-ipc".into(),
            None => format!("/tmp/posix-ipc-{}", user.as_raw()).into(),
        })
    }

    /// This folder, made if it does not exist.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or does not belong to this user alone.
    pub fn at(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(describe(&path, &error.to_string()));
            }
            _ => {}
        }
        let about = std::fs::symlink_metadata(&path)?;
        let ours = about.uid() == rustix::process::geteuid().as_raw();
        if !about.is_dir() || !ours || about.mode() & 0o022 != 0 {
            return Err(describe(
                &path,
                "it is not a folder that only this user can write to",
            ));
        }
        Ok(Self { path })
    }

    /// Makes a ledger that is locked before anybody can find it.
    pub(super) fn new_ledger(&self) -> io::Result<(PathBuf, File)> {
        let word = random::word(16);
        let hidden = self.path.join(format!(".{word}"));
        let path = self
            .path
            .join(format!("{}-{word}.{EXTENSION}", std::process::id()));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file: File = rustix::fs::open(&hidden, flags, Mode::from_raw_mode(0o600))?.into();
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        std::fs::rename(&hidden, &path)?;
        Ok((path, file))
    }

    /// All ledgers.
    pub(super) fn ledgers(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == EXTENSION)
            {
                found.extend(Found::open(path)?);
            }
        }
        Ok(found)
    }
}

/// A ledger that was found.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// Whether a living host has it locked. If not, we have.
    pub(super) alive: bool,
}

impl Found {
    /// None if it is gone by now.
    fn open(path: PathBuf) -> io::Result<Option<Self>> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = match rustix::fs::open(&path, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            file => file?.into(),
        };
        let alive = match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => true,
            lock => lock.map(|()| false)?,
        };
        // Whoever had the lock before us has cleaned up and removed the file.
        let removed = file.metadata()?.nlink() == 0;
        Ok((!removed).then_some(Self { path, file, alive }))
    }

    /// The process that it belongs to, as its name says.
    pub(super) fn process(&self) -> Option<u32> {
        let name = self.path.file_name()?.to_str()?;
        name.split_once('-')?.0.parse().ok()
    }
}

fn describe(path: &Path, problem: &str) -> io::Error {
    io::Error::other(format!("the ledger folder {}: {problem}", path.display()))
}

/// A folder for a test, gone with it.
#[cfg(test)]
pub(super) struct Scratch(Folder);

#[cfg(test)]
impl Scratch {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("posix-ipc.ledgers.{}", random::word(16)));
        Self(Folder::at(path).unwrap())
    }
}

#[cfg(test)]
impl std::ops::Deref for Scratch {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

#[cfg(test)]
impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0.path);
    }
}
