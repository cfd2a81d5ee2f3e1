//! What the tests have in common.

// Each test is a program of its own and uses a part of this.
#![allow(dead_code, unused_imports)]

mod command;
mod embedded;
mod guest;
pub mod language;
pub mod manual;
mod names;
mod native;
pub mod program;
mod runtimes;
pub mod scripts;
mod strace;
mod text;

pub use command::{Ended, Running, ask, posix_ipc, run, unshared};
pub use embedded::{Embedded, embed};
pub use guest::guest;
pub use names::{Names, exists};
pub use native::{Native, SIGBUS, UNDEFINED};
pub use strace::strace;
pub use text::component;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Nothing here takes so long: whoever waits this long has met a bug, and fails
/// instead of hanging.
pub const FOREVER: Duration = Duration::from_secs(120);

/// A folder for files that tests make, inside of `target`.
pub fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// The top of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file for a test to build from, at the same place each time: what has been compiled
/// is found again.
pub fn scratch_file(path: &str, text: &str) -> PathBuf {
    let path = scratch().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

/// A folder of a test's own, gone with the value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let folder = scratch().join(format!("folder-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a file in it.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Ends a test that cannot run here, and says what to do. What did not run has not passed.
pub fn cannot_run(why: &str) -> ! {
    panic!("did not run: {why}")
}
