//! What the folder of compiled guests takes, and its bound.
//!
//! Other processes may read, write and remove files at any time. A file that goes while one
//! maps it stays mapped, and whoever does not find a file compiles the guest.

use crate::compiled::PrivateFolder;
use crate::output::rounded;
use anyhow::{Context, Result};
use nix::errno::Errno;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use wasmtime_posix_ipc::grant::Bytes;

/// Says how large the folder may get.
const BOUND_VARIABLE: &str = "POSIX_IPC_CACHE_SIZE";

/// How large it may get if nobody says otherwise.
const BOUND: Bytes = Bytes(1 << 30);

/// What nobody has used for this long is removed, whatever the size.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What has been used so recently stays, whatever the size: the process that has just
/// written it is about to map it.
const FRESH: Duration = Duration::from_secs(60);

/// What is being written, or waited for, by a process that may still run.
const UNFINISHED: Duration = Duration::from_secs(60 * 60);

/// How large the folder may get.
pub fn bound() -> Result<Bytes> {
    match std::env::var(BOUND_VARIABLE) {
        Ok(text) => text.parse().with_context(|| BOUND_VARIABLE),
        Err(_) => Ok(BOUND),
    }
}

/// Where compiled guests are kept.
pub fn path() -> Result<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let caches = absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(caches.join("posix-ipc/guests"))
}

/// The folder, made if it does not exist.
pub fn folder() -> Result<PrivateFolder> {
    let path = path()?;
    PrivateFolder::open(&path)
        .with_context(|| format!("the folder {} cannot be used", path.display()))
}

/// A file of the folder.
struct Kept {
    name: String,
    size: u64,
    unused: Duration,
}

/// The files, the one used last first.
fn files(folder: &PrivateFolder) -> Vec<Kept> {
    let now = SystemTime::now();
    let names = folder.names().unwrap_or_default();
    // What others have removed by now is not there.
    let kept = names.into_iter().filter_map(|name| {
        let (used, size) = folder.used(&name).ok()?;
        let unused = now.duration_since(used).unwrap_or_default();
        Some(Kept { name, size, unused })
    });
    let mut files: Vec<Kept> = kept.collect();
    files.sort_by(|a, b| (a.unused, &a.name).cmp(&(b.unused, &b.name)));
    files
}

impl Kept {
    /// Whether it is a whole guest, or a note which content a file has. Everything else is a
    /// lock, or is being written.
    fn is_finished(&self) -> bool {
        self.is_guest() || self.name.ends_with(".of")
    }

    fn is_guest(&self) -> bool {
        self.name.ends_with(".cwasm")
    }
}

/// How much is kept.
#[derive(Default)]
pub struct Content {
    /// How many guests.
    pub guests: usize,
    /// The bytes of all files.
    pub bytes: u64,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guests = if self.guests == 1 { "guest" } else { "guests" };
        write!(f, "{} {guests}, {}", self.guests, rounded(self.bytes))
    }
}

/// How much is in the folder now.
pub fn content(folder: &PrivateFolder) -> Content {
    files(folder)
        .iter()
        .fold(Content::default(), |sum, kept| Content {
            guests: sum.guests + usize::from(kept.is_guest()),
            bytes: sum.bytes + kept.size,
        })
}

/// Removes what has not been used for long, and what was used longest ago if the files
/// together are larger than the bound.
pub fn bound_size(folder: &PrivateFolder, bound: Bytes) {
    let mut total = 0_u64;
    for kept in files(folder) {
        total = total.saturating_add(kept.size);
        let too_much = total > bound.0 && kept.unused > FRESH && kept.is_finished();
        if too_much || kept.unused > UNUSED {
            super::note(folder.remove(&kept.name));
            total -= kept.size;
        }
    }
}

/// Removes what is kept. What other processes are writing stays.
pub fn clear(folder: &PrivateFolder) -> nix::Result<Content> {
    let mut removed = Content::default();
    for kept in files(folder) {
        if !kept.is_finished() && kept.unused < UNFINISHED {
            continue;
        }
        match folder.remove(&kept.name) {
            // Another process has been at it.
            Err(Errno::ENOENT) => continue,
            done => done?,
        }
        removed.guests += usize::from(kept.is_guest());
        removed.bytes += kept.size;
    }
    Ok(removed)
}
