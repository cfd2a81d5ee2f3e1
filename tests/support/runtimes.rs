//! The runtime components of scripting languages.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// The folder that has the runtime of a language, `python` or `js`: built if need be, up to
/// date in any case. Otherwise why it could not be.
pub fn runtime(language: &str) -> Result<PathBuf, String> {
    static BUILT: Mutex<Option<HashMap<String, Result<PathBuf, String>>>> = Mutex::new(None);
    let mut built = BUILT
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let built = built
        .get_or_insert_default()
        .entry(language.into())
        .or_insert_with(|| build(language));
    built.clone()
}

/// Has `make` look whether the runtime is up to date, one process after the other.
fn build(language: &str) -> Result<PathBuf, String> {
    let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtimes.lock");
    let lock = File::create(lock).unwrap();
    lock.lock().unwrap();
    let path = format!("target/runtimes/{language}.wasm");
    let output = Command::new("make")
        .arg("--silent")
        .arg(&path)
        .current_dir(super::repository())
        // A `make test` that this may run under has nothing to do with it.
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .output()
        .map_err(|error| format!("make: {error}"))?;
    if output.status.success() {
        Ok(super::repository().join("target/runtimes"))
    } else {
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(format!("make {path} failed: {}", stderr.trim()))
    }
}
