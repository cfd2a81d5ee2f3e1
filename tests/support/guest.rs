//! The guests of the tests, built when they are needed.

use super::{cannot_run, repository, scratch};
use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

const TARGET: &str = "wasm32-wasip2";

/// The component of a guest of the tests. It is built if need be; where that cannot be
/// done because there is no tool chain, the test fails and says so:
///
/// ```ignore
/// let probe = guest("probe");
/// ```
pub fn guest(name: &str) -> PathBuf {
    // Where `make guests` builds them as well.
    let (manifest, target, flags) = match name {
        "probe" => ("tests/guest", "guests", ""),
        "mappings-guest" => (
            "tests/mappings/guest",
            "guests-atomics",
            "-C target-feature=+atomics",
        ),
        other => panic!("no such guest: {other}"),
    };
    let manifest = repository().join(manifest).join("Cargo.toml");
    build_rust(&manifest, &scratch().with_file_name(target), flags)
}

/// Builds a program in Rust for the sandbox, once in a process, into a folder for which
/// its flags are always the same.
pub fn build_rust(manifest: &Path, target: &Path, flags: &str) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<PathBuf, Option<PathBuf>>>> = Mutex::new(None);
    // The lock is held while a guest is built, so that this is done once.
    let mut built = BUILT
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let path = built
        .get_or_insert_default()
        .entry(manifest.into())
        .or_insert_with(|| build(manifest, target, flags))
        .clone();
    path.unwrap_or_else(|| cannot_run("there is no Rust for guests; `make test` sets it up"))
}

fn build(manifest: &Path, target: &Path, flags: &str) -> Option<PathBuf> {
    let compiler = compiler()?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--release", "--target", TARGET])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .env("RUSTC", compiler)
        .env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", flags);
    // What somebody wants for the host is not for guests.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER"] {
        cargo.env_remove(variable);
    }
    let output = cargo.output().expect("cargo can be run");
    assert!(
        output.status.success(),
        "the guest {manifest:?} cannot be built:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let messages = String::from_utf8(output.stdout).unwrap();
    let program = messages.split('"').find(|word| word.ends_with(".wasm"));
    let program = program.unwrap_or_else(|| panic!("{manifest:?} is no program"));
    Some(program.into())
}

/// A compiler that has the target's standard library.
fn compiler() -> Option<String> {
    let told = set_up().filter(|compiler| !compiler.is_empty());
    let usual = || env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let compiler = told.unwrap_or_else(usual);
    let output = Command::new(&compiler)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    let mut libraries = Path::new(folder.trim()).read_dir().ok()?;
    let is_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    libraries
        .any(|file| file.is_ok_and(|file| file.file_name().to_str().is_some_and(is_std)))
        .then_some(compiler)
}

/// What `tools/setup-guests` has found, if it has been run.
fn set_up() -> Option<String> {
    let folder = |name| env::var_os(name).map(PathBuf::from);
    let caches = || folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    let tools = folder("POSIX_IPC_TOOLS").or_else(|| Some(caches()?.join("posix-ipc/tools")))?;
    let output = Command::new("sh")
        .arg("-c")
        .arg(r#". "$0" && printf %s "$POSIX_IPC_GUEST_RUSTC""#)
        .arg(tools.join("env.sh"))
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).ok())?
}
