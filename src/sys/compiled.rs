//! Files of compiled components, in a folder that belongs to this user alone.
//!
//! It is for the command `posix-ipc`, and here because loading what was compiled is unsafe.
//! Compiled code is trusted code: whoever could change such a file would have the rights
//! of this process. That is why the folder is checked each time, through a descriptor
//! that stays the same folder whatever happens to its path.

use nix::Result;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::{UnlinkatFlags, geteuid, mkdir, unlinkat};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::SystemTime;
use wasmtime::Engine;
use wasmtime::component::Component;

/// A folder of this user, which nobody else can write to or look into.
pub struct PrivateFolder(OwnedFd);

const FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

/// The mode of its files.
const OWNER: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

impl PrivateFolder {
    /// Opens the folder, and makes it if it does not exist. One that somebody else owns,
    /// or that is open to others, is refused.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || open(path, FOLDER | OFlag::O_NOFOLLOW, Mode::empty());
        let folder = match open() {
            Err(Errno::ENOENT) => {
                let parent = path.parent().ok_or(Errno::EINVAL)?;
                std::fs::create_dir_all(parent).map_err(errno)?;
                match mkdir(path, Mode::S_IRWXU) {
                    Ok(()) | Err(Errno::EEXIST) => open()?,
                    Err(error) => return Err(error),
                }
            }
            opened => opened?,
        };
        if !is_own(&fstat(&folder)?, SFlag::S_IFDIR, 0o077) {
            return Err(Errno::EPERM);
        }
        Ok(Self(folder))
    }

    /// Waits until no other process compiles what is kept under `name`. Until the value
    /// is dropped, none starts to.
    pub fn lock(&self, name: &str) -> Result<File> {
        let flags = OFlag::O_CREAT | OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.0, name, flags, OWNER)?);
        file.lock().map_err(errno)?;
        Ok(file)
    }

    /// What a small file says.
    pub fn read(&self, name: &str) -> Result<String> {
        let mut text = String::new();
        self.open_file(name)?
            .take(4096)
            .read_to_string(&mut text)
            .map_err(errno)?;
        Ok(text)
    }

    /// Writes a file, but not one of a [compiled](Self::compile) component.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        match is_compiled(name) {
            true => Err(Errno::EINVAL),
            false => self.replace(name, content),
        }
    }

    /// Writes a file, which appears when it is whole. No file is ever changed in place:
    /// the pages of a compiled component may be mapped.
    fn replace(&self, name: &str, content: &[u8]) -> Result<()> {
        let fresh = format!("{name}.{}", std::process::id());
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        // Left over from a process with the same number.
        let _ = self.remove(&fresh);
        let file = openat(&self.0, fresh.as_str(), flags, OWNER)?;
        let written = File::from(file)
            .write_all(content)
            .map_err(errno)
            .and_then(|()| renameat(&self.0, fresh.as_str(), &self.0, name));
        if written.is_err() {
            let _ = self.remove(&fresh);
        }
        written
    }

    /// Compiles a component and keeps the result, under a name that ends in `.cwasm`.
    pub fn compile(&self, engine: &Engine, name: &str, component: &[u8]) -> wasmtime::Result<()> {
        let code = engine.precompile_component(component)?;
        match is_compiled(name) {
            true => Ok(self.replace(name, &code)?),
            false => Err(Errno::EINVAL.into()),
        }
    }

    /// Maps a component that [`compile`](Self::compile) has put here, for an engine with
    /// the same settings as that which compiled it.
    pub fn map(&self, engine: &Engine, name: &str) -> wasmtime::Result<Component> {
        if !is_compiled(name) {
            return Err(Errno::EINVAL.into());
        }
        let file = self.open_file(name)?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // SAFETY: the file is in a folder that only this user can write to, it is this
        // user's, and this program writes nothing to files of such names but the output of
        // `Engine::precompile_component`; wasmtime checks that it is of this version and
        // these settings. It is not changed while it is mapped, because files of the
        // folder are only ever replaced and removed.
        unsafe { Component::deserialize_file(engine, path) }
    }

    /// When a file was last written or [touched](Self::touch), and how many bytes it has.
    pub fn used(&self, name: &str) -> Result<(SystemTime, u64)> {
        let data = self.open_file(name)?.metadata().map_err(errno)?;
        Ok((data.modified().map_err(errno)?, data.len()))
    }

    /// Marks a file as used now.
    pub fn touch(&self, name: &str) -> Result<()> {
        let file = self.open_file(name)?;
        file.set_modified(SystemTime::now()).map_err(errno)
    }

    /// The names of the files.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::openat(&self.0, ".", FOLDER, Mode::empty())?.iter() {
            if let Ok(name) = entry?.file_name().to_str()
                && !name.starts_with('.')
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Removes a file. Maps of it stay.
    pub fn remove(&self, name: &str) -> Result<()> {
        unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)
    }

    fn open_file(&self, name: &str) -> Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&self.0, name, flags, Mode::empty())?;
        if !is_own(&fstat(&file)?, SFlag::S_IFREG, 0o022) {
            return Err(Errno::EPERM);
        }
        Ok(File::from(file))
    }
}

/// Whether a file of this name is a compiled component.
fn is_compiled(name: &str) -> bool {
    name.ends_with(".cwasm")
}

/// Whether a file is of this kind and this user's, with none of the mode bits.
fn is_own(stat: &FileStat, kind: SFlag, others: u32) -> bool {
    let file_type = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    file_type == kind && stat.st_uid == geteuid().as_raw() && stat.st_mode & others == 0
}

fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
