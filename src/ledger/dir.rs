//! The folder of the ledgers, one for each user.
//!
//! A living host has its own ledger locked, and nobody else ever locks one for longer
//! than it takes to find that out. What keeps those who look from those who clean up is
//! the lock of the folder.

use super::record;
use crate::random;
use crate::sys::shared_memory::SharedMemory;
use nix::dir::Dir;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, UnlinkatFlags, eaccess, geteuid, unlinkat};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder that only its owner can write to. It stays the same one, whatever becomes of
/// its path.
#[derive(Clone, Debug)]
pub struct LedgerDir {
    /// For messages.
    path: PathBuf,
    folder: Arc<OwnedFd>,
}

const EXTENSION: &str = ".ledger";
const LOCK: &str = "lock";

impl LedgerDir {
    /// The usual folder: `posix-ipc` in `$XDG_RUNTIME_DIR`, for root in `/run`, else
    /// `posix-ipc-UID` in `/tmp`. It lives no longer than the objects of the machine.
    ///
    /// In `/tmp`, where everybody may take that name first, it is `posix-ipc-UID.1` or the
    /// like then.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or does not belong to this user alone.
    pub fn usual() -> io::Result<Self> {
        let user = geteuid();
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let usable = |folder: &PathBuf| folder.is_absolute() && folder.is_dir();
        match runtime.filter(usable) {
            Some(runtime) => Self::at(runtime.join("posix-ipc")),
            None if user.is_root() && Path::new("/run").is_dir() => Self::at("/run/posix-ipc"),
            None => Self::first_in(Path::new("/tmp"), &format!("posix-ipc-{user}")),
        }
    }

    /// The folder of this user in one that users share, such as a volume that outlives a
    /// container: its name is the number of the user. In a folder with mode 1777, nobody can
    /// remove it but its user; where everybody can, in one with mode 777, a ledger that
    /// somebody removes cleans up nothing.
    ///
    /// Somebody else may have taken the name. Then it is `UID.1` or the like.
    ///
    /// # Errors
    ///
    /// If `parent` does not exist, or this user has no folder there and cannot make one.
    pub fn shared(parent: impl AsRef<Path>) -> io::Result<Self> {
        let parent = parent.as_ref();
        let user = geteuid();
        let name = user.to_string();
        match std::fs::metadata(parent) {
            Err(error) => return Err(describe(parent, &error.to_string())),
            Ok(about) if !about.is_dir() => return Err(describe(parent, "it is no folder")),
            Ok(_) => {}
        }
        let can_make = eaccess(parent, AccessFlags::W_OK | AccessFlags::X_OK);
        match can_make {
            Ok(()) => Self::first_in(parent, &name),
            Err(_) => Self::open(&parent.join(&name)).map_err(|error| {
                let problem = format!(
                    "user {user} cannot make a folder in it; give it mode 1777, or make \
                     {name} in it for this user alone ({error})"
                );
                describe(parent, &problem)
            }),
        }
    }

    /// The folder of this name in one where everybody can make some. Whoever looks for it
    /// finds the same one: the first that belongs to this user, or else the first name
    /// that nobody has taken.
    fn first_in(parent: &Path, name: &str) -> io::Result<Self> {
        /// Whoever takes more names than this is to be seen.
        const MOST_NAMES: usize = 100;
        let names = (0..MOST_NAMES).map(|number| match number {
            0 => parent.join(name),
            number => parent.join(format!("{name}.{number}")),
        });
        if let Some(own) = names.clone().find_map(|path| Self::open(&path).ok()) {
            return Ok(own);
        }
        let mut last = None;
        for path in names {
            match Self::at(path) {
                Ok(own) => return Ok(own),
                Err(error) => last = Some(error),
            }
        }
        let last = last.map_or_else(String::new, |error| format!(": {error}"));
        Err(io::Error::other(format!(
            "others have taken {MOST_NAMES} names that the ledger folder could have in {}; \
             choose a folder of your own{last}",
            parent.display()
        )))
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
                Err(describe(&path, &error.to_string()))
            }
            _ => Self::open(&path),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// This folder, which exists.
    fn open(path: &Path) -> io::Result<Self> {
        let unsafe_folder = || {
            let problem = "it is not a folder that only this user can write to";
            describe(path, problem)
        };
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW);
        let folder = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => describe(path, &error.to_string()),
            _ => unsafe_folder(),
        })?;
        let about = folder.metadata()?;
        let ours = about.uid() == geteuid().as_raw();
        if !ours || about.mode() & 0o022 != 0 {
            return Err(unsafe_folder());
        }
        Ok(Self {
            path: path.into(),
            folder: Arc::new(folder.into()),
        })
    }

    /// The path of a file in it, for messages.
    pub(super) fn shown(&self, name: &str) -> PathBuf {
        self.path.join(name)
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
        let file = self.open_file(LOCK, OFlag::O_CREAT)?;
        loop {
            match lock(&file) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                locked => break locked.map(|()| Lock { _file: file }),
            }
        }
    }

    fn open_file(&self, name: &str, flags: OFlag) -> io::Result<File> {
        let flags = flags | OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        Ok(openat(&self.folder, name, flags, mode)?.into())
    }

    /// Makes a ledger that is locked before anybody can find it, and gives its name.
    pub(super) fn new_ledger(&self) -> io::Result<(String, File)> {
        let _lock = self.share()?;
        let name = format!("{}-{}{EXTENSION}", std::process::id(), random::word(16));
        let hidden = format!(".{name}");
        let file = self.open_file(&hidden, OFlag::O_CREAT | OFlag::O_EXCL)?;
        file.try_lock()?;
        renameat(&self.folder, &*hidden, &self.folder, &*name)?;
        Ok((name, file))
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.folder, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// The names of all ledgers, for whoever has the folder locked.
    pub(super) fn ledgers(&self, _: &Lock) -> io::Result<Vec<String>> {
        self.files(false)
    }

    /// What hosts have left that died while they made their ledgers, for whoever has
    /// claimed the folder: hosts that are alive make none meanwhile.
    pub(super) fn unfinished(&self, _: &Lock) -> io::Result<Vec<String>> {
        self.files(true)
    }

    fn files(&self, hidden: bool) -> io::Result<Vec<String>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut files = Vec::new();
        for entry in Dir::openat(&self.folder, ".", flags, Mode::empty())?.iter() {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str()
                && name.ends_with(EXTENSION)
                && name.starts_with('.') == hidden
            {
                files.push(name.to_owned());
            }
        }
        files.sort_unstable();
        Ok(files)
    }
}

/// The lock of the folder, as long as this lives.
pub(super) struct Lock {
    _file: File,
}

/// A ledger that was found.
pub(super) struct Found {
    name: String,
    file: File,
    /// Whether a living host has it locked.
    pub(super) alive: bool,
}

impl Found {
    /// None if it is gone by now: a host that ends removes its own.
    pub(super) fn open(folder: &LedgerDir, name: &str) -> io::Result<Option<Self>> {
        // Without getting stuck on a pipe.
        let file = match folder.open_file(name, OFlag::O_NONBLOCK) {
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
            name: name.into(),
            file,
            alive,
        }))
    }

    /// The whole file.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        const LONGEST: u64 = record::offset(record::MOST_RECORDS);
        let mut bytes = Vec::new();
        (&self.file).take(LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST {
            return Err(io::Error::other("it is longer than any host writes"));
        }
        Ok(bytes)
    }

    /// Its records, to be changed by whoever has claimed the folder, if its host is dead.
    pub(super) fn records(&self) -> io::Result<SharedMemory> {
        Ok(SharedMemory::from_file(self.file.try_clone()?.into(), true))
    }

    /// The process that it belongs to, as its name says.
    pub(super) fn process(&self) -> Option<u32> {
        self.name.split_once('-')?.0.parse().ok()
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn path(folder: &LedgerDir) -> &Path {
        &folder.path
    }

    /// Somebody else may be first to take a name in `/tmp`: here it is taken by what is
    /// no folder of this user alone.
    #[test]
    fn a_name_that_somebody_has_taken_is_passed_over() {
        let parent = Scratch::new();
        let first = |name| LedgerDir::first_in(&parent.0.path, name);
        std::fs::write(parent.path("a"), "").unwrap();
        std::os::unix::fs::symlink("/", parent.path("a.1")).unwrap();
        DirBuilder::new()
            .mode(0o777)
            .create(parent.path("a.2"))
            .unwrap();
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(parent.path("a.2"), open).unwrap();
        assert_eq!(path(&first("a").unwrap()), parent.path("a.3"));
        // It stays the one, though a name before it is free by now.
        std::fs::remove_file(parent.path("a")).unwrap();
        assert_eq!(path(&first("a").unwrap()), parent.path("a.3"));
        assert_eq!(path(&first("b").unwrap()), parent.path("b"));
    }

    #[test]
    fn users_who_share_a_folder_have_one_each() {
        let parent = Scratch::new();
        let shared = || LedgerDir::shared(&parent.0.path);
        let own = parent.path(&geteuid().to_string());
        assert_eq!(path(&shared().unwrap()), own);
        assert_eq!(path(&shared().unwrap()), own);
        std::fs::remove_dir(&own).unwrap();
        // As somebody else makes it, who lets everybody write there.
        std::fs::create_dir(&own).unwrap();
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(path(&shared().unwrap()), own.with_extension("1"));

        std::fs::write(parent.path("file"), "").unwrap();
        for (folder, why) in [("none", "No such file"), ("file", "it is no folder")] {
            let error = LedgerDir::shared(parent.path(folder)).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    /// Whoever can write to the folder around it can put another one in its place.
    #[test]
    fn a_folder_stays_the_one_that_was_looked_at() {
        let parent = Scratch::new();
        let folder = LedgerDir::at(parent.path("f")).unwrap();
        std::fs::rename(parent.path("f"), parent.path("was")).unwrap();
        std::fs::create_dir(parent.path("f")).unwrap();
        let (name, _file) = folder.new_ledger().unwrap();
        assert!(parent.path("was").join(name).exists());
        assert_eq!(std::fs::read_dir(parent.path("f")).unwrap().count(), 0);
    }
}
