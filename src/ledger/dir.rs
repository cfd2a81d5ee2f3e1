//! The folder of the ledgers, one for each user.
//!
//! A living host has its own ledger locked, and nobody else ever locks one for longer
//! than it takes to find that out. What keeps those who look from those who clean up is
//! the lock of the folder.

use crate::random;
use crate::sys::shared_memory::SharedMemory;
use nix::unistd::geteuid;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A folder that only its owner can write to.
#[derive(Clone, Debug)]
pub struct LedgerDir {
    path: PathBuf,
}

const EXTENSION: &str = "ledger";
const LOCK: &str = "lock";

impl LedgerDir {
    /// The usual folder: `posix-ipc` in `$XDG_RUNTIME_DIR`, for root in `/run`, else
    /// `posix-ipc-UID` in `/tmp`. It lives no longer than the objects of the machine.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or does not belong to this user alone.
    pub fn usual() -> io::Result<Self> {
        let user = geteuid();
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
        let ours = about.uid() == geteuid().as_raw();
        if !about.is_dir() || !ours || about.mode() & 0o022 != 0 {
            return Err(describe(
                &path,
                "it is not a folder that only this user can write to",
            ));
        }
        Ok(Self { path })
    }

    /// Locks the folder for those who add to it or read what is there. Waits while it
    /// is [claimed](Self::claim).
    pub(super) fn share(&self) -> io::Result<Lock> {
        self.lock(File::lock_shared)
    }

    /// Locks the folder for cleaning up. Waits until nobody else has it.
    pub(super) fn claim(&self) -> io::Result<Lock> {
        self.lock(File::lock)
    }

    /// A file for it and not the folder itself, which others may be able to open.
    fn lock(&self, lock: impl Fn(&File) -> io::Result<()>) -> io::Result<Lock> {
        let mut options = options();
        options.create(true).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(self.path.join(LOCK))?;
        loop {
            match lock(&file) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                locked => break locked.map(|()| Lock { _file: file }),
            }
        }
    }

    /// Makes a ledger that is locked before anybody can find it.
    pub(super) fn new_ledger(&self) -> io::Result<(PathBuf, File)> {
        let _lock = self.share()?;
        let name = format!("{}-{}.{EXTENSION}", std::process::id(), random::word(16));
        let hidden = self.path.join(format!(".{name}"));
        let path = self.path.join(name);
        let file = options().create_new(true).open(&hidden)?;
        file.try_lock()?;
        std::fs::rename(&hidden, &path)?;
        Ok((path, file))
    }

    /// All ledgers, for whoever has the folder locked.
    pub(super) fn ledgers(&self, _: &Lock) -> io::Result<Vec<PathBuf>> {
        self.files(false)
    }

    /// What hosts have left that died while they made their ledgers, for whoever has
    /// claimed the folder: hosts that are alive make none meanwhile.
    pub(super) fn unfinished(&self, _: &Lock) -> io::Result<Vec<PathBuf>> {
        self.files(true)
    }

    fn files(&self, hidden: bool) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let path = entry.path();
            let extension = path.extension();
            if extension.is_some_and(|extension| extension == EXTENSION) && is_hidden == hidden {
                files.push(path);
            }
        }
        Ok(files)
    }
}

/// The lock of the folder, as long as this lives.
pub(super) struct Lock {
    _file: File,
}

/// A ledger that was found.
pub(super) struct Found {
    path: PathBuf,
    file: File,
    /// Whether a living host has it locked.
    pub(super) alive: bool,
}

impl Found {
    /// None if it is gone by now: a host that ends removes its own.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        // Without getting stuck on a pipe.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = match options().custom_flags(flags).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        // Shared, so that all who look at the same time find the same.
        let alive = match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => true,
            lock => lock.map(|()| false)?,
        };
        let removed = file.metadata()?.nlink() == 0;
        Ok((!removed).then(|| Self {
            path: path.into(),
            file,
            alive,
        }))
    }

    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        /// More than any host writes: 100,000 records.
        const LONGEST: u64 = 40 << 20;
        let mut bytes = Vec::new();
        (&self.file).take(LONGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Its records, to be changed by whoever has claimed the folder, if its host is dead.
    pub(super) fn records(&self) -> io::Result<SharedMemory> {
        Ok(SharedMemory::from_file(self.file.try_clone()?.into(), true))
    }

    /// The process that it belongs to, as its name says.
    pub(super) fn process(&self) -> Option<u32> {
        let name = self.path.file_name()?.to_str()?;
        name.split_once('-')?.0.parse().ok()
    }
}

/// To open a file for its owner alone, which the one that makes it is.
fn options() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).mode(0o600);
    options
}

fn describe(path: &Path, problem: &str) -> io::Error {
    io::Error::other(format!("the ledger folder {}: {problem}", path.display()))
}

/// A folder for a test, gone with it.
#[cfg(test)]
pub(super) struct Scratch(LedgerDir);

#[cfg(test)]
impl Scratch {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("posix-ipc.ledgers.{}", random::word(16)));
        Self(LedgerDir::at(path).unwrap())
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.0.path.join(file)
    }
}

#[cfg(test)]
impl std::ops::Deref for Scratch {
    type Target = LedgerDir;

    fn deref(&self) -> &LedgerDir {
        &self.0
    }
}

#[cfg(test)]
impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0.path);
    }
}
