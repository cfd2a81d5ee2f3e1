//! Native programs, in C, that guests meet.

use super::{repository, scratch, skip};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// The program that `tests/peers/NAME.c` is. Where it cannot be compiled because
/// there is no compiler, the test says that it is skipped, and returns.
pub fn peer(name: &str) -> Option<PathBuf> {
    static COMPILED: Mutex<Option<HashMap<String, Option<PathBuf>>>> = Mutex::new(None);
    let mut compiled = COMPILED
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let compiled = compiled.get_or_insert_default();
    let path = compiled
        .entry(name.into())
        .or_insert_with(|| compile(name))
        .clone();
    if path.is_none() {
        skip("no C compiler; install cc");
    }
    path
}

fn compile(name: &str) -> Option<PathBuf> {
    let source = repository()
        .join("tests/peers")
        .join(name)
        .with_extension("c");
    // Other tests may compile it at the same time, or run it.
    let fresh = scratch().join(format!("{name}-{:016x}", rand::random::<u64>()));
    let output = Command::new("cc")
        .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread"])
        .arg(source)
        .arg("-o")
        .arg(&fresh)
        .arg("-lrt")
        .output()
        .ok()?;
    assert!(
        output.status.success(),
        "{name}.c cannot be compiled:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let path = scratch().join(name);
    std::fs::rename(fresh, &path).unwrap();
    Some(path)
}
