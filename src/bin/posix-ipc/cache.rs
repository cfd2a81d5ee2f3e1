//! Compiled guests, kept between runs.
//!
//! Compiling takes seconds for a large guest; a compiled one is mapped in a millisecond,
//! and its pages are shared by all processes that run it. In the folder there are
//!
//! - `CONTENT.cwasm`: a compiled guest, by the hash of the guest and of the engine's
//!   settings;
//! - `FILE.of`: which content a file had, by its place, size and times, so that not even
//!   reading it is needed again;
//! - `CONTENT.lock`: held by the process that compiles it.
//!
//! When something is added, what has not been used for a month is removed, and what was used
//! longest ago where the folder is larger than its bound.

mod args;
mod kept;

pub use args::Args;
pub use kept::{bound, content, folder, path};

use crate::compiled::PrivateFolder;
use crate::runtime;
use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::hash::{Hash, Hasher};
use std::io::{IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_posix_ipc::check_component;

/// How old the mark of the last use must be to be set anew.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How long ago a file must have been changed for its times to tell contents apart: the
/// clock of a file system has steps.
const SETTLED: Duration = Duration::from_secs(2);

/// From this size on, a person is told what is being waited for.
const LARGE: usize = 8 << 20;

/// Loads a guest: compiled if it is kept so, else compiling it, which is kept.
pub fn load(engine: &Engine, path: &Path) -> Result<Component> {
    let shown = path.display();
    let mut file = File::open(path).with_context(|| {
        let endings = match runtime::has_known_ending(path) {
            true => String::new(),
            false => format!(" (what can be run ends in {})", runtime::endings()),
        };
        format!("cannot read the guest {shown}{endings}")
    })?;
    let folder = kept::folder()
        .inspect_err(|error| tracing::debug!("compiled guests are not kept: {error:#}"))
        .ok();
    let version = file.metadata().ok().and_then(|data| settled(&data));
    let version = version.map(|version| hash(engine, &[version.as_bytes()]) + ".of");
    if let (Some(folder), Some(version)) = (&folder, &version)
        && let Ok(content) = folder.read(version)
        && let Some(component) = kept(engine, folder, &content)
    {
        return Ok(component);
    }

    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .with_context(|| format!("cannot read the guest {shown}"))?;
    if is_core_module(&bytes) {
        bail!(
            "{shown} is a core WebAssembly module, not a component; build it for \
             wasm32-wasip2, or wrap it with `wasm-tools component new`"
        );
    }
    let unusable =
        |error: &dyn std::fmt::Display| anyhow!("{shown} is not a usable component: {error}");
    let is_text = path.extension().is_some_and(|extension| extension == "wat");
    if !is_text && !bytes.starts_with(b"\0asm") {
        return Err(unusable(&format_args!(
            "it is not WebAssembly; what can be run ends in {}",
            runtime::endings()
        )));
    }
    let bytes = wat::parse_bytes(&bytes).map_err(|error| unusable(&error))?;
    // What is kept has passed this.
    check_component(&bytes).map_err(|error| unusable(&error))?;
    let component = match &folder {
        None => Component::new(engine, &bytes),
        Some(folder) => {
            let content = hash(engine, &[&bytes]);
            let component = compiled(engine, folder, &content, &bytes, path);
            if let (Some(version), Ok(_)) = (&version, &component) {
                note(folder.write(version, content.as_bytes()));
            }
            component
        }
    };
    component.map_err(|error| unusable(&format_args!("{error:#}")))
}

/// The guest with this content, as it is kept or else compiled now.
fn compiled(
    engine: &Engine,
    folder: &PrivateFolder,
    content: &str,
    bytes: &[u8],
    path: &Path,
) -> wasmtime::Result<Component> {
    if let Some(component) = kept(engine, folder, content) {
        return Ok(component);
    }
    let lock_name = format!("{content}.lock");
    let lock = folder.lock(&lock_name);
    // Another process may have been at it.
    if let Some(component) = kept(engine, folder, content) {
        return Ok(component);
    }
    if bytes.len() >= LARGE && std::io::stderr().is_terminal() {
        eprintln!("posix-ipc: compiling {} for the first time", path.display());
    }
    let name = file_name(content);
    let mapped = folder
        .compile(engine, &name, bytes)
        .and_then(|()| folder.map(engine, &name));
    match kept::bound() {
        Ok(bound) => kept::bound_size(folder, bound),
        Err(error) => tracing::warn!("the cache of compiled guests is not bounded: {error:#}"),
    }
    note(folder.remove(&lock_name));
    drop(lock);
    mapped.or_else(|error| {
        tracing::debug!("the compiled guest is not kept: {error:#}");
        Component::new(engine, bytes)
    })
}

/// A compiled guest, if it is kept.
fn kept(engine: &Engine, folder: &PrivateFolder, content: &str) -> Option<Component> {
    if !is_hash(content) {
        return None;
    }
    let name = file_name(content);
    let (used, _) = folder.used(&name).ok()?;
    if used.elapsed().unwrap_or_default() > HOUR {
        note(folder.touch(&name));
    }
    folder
        .map(engine, &name)
        .inspect_err(|error| tracing::debug!("{name} is not usable: {error:#}"))
        .ok()
}

fn file_name(content: &str) -> String {
    format!("{content}.cwasm")
}

/// What tells the versions of a file apart. None if it was changed just now.
fn settled(data: &Metadata) -> Option<String> {
    let changed = Duration::new(data.ctime().try_into().ok()?, data.ctime_nsec() as u32);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    let parts = [
        data.dev().into(),
        data.ino().into(),
        data.size().into(),
        i128::from(data.mtime()),
        data.mtime_nsec().into(),
        data.ctime().into(),
        data.ctime_nsec().into(),
    ];
    (now.checked_sub(changed)? > SETTLED).then(|| format!("{parts:?}"))
}

/// A hash of the engine's settings and some bytes.
fn hash(engine: &Engine, parts: &[&[u8]]) -> String {
    struct Settings(Sha256);
    impl Hasher for Settings {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut settings = Settings(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut settings);
    let mut digest = settings.0;
    // To be changed with what a component is checked for before it is kept.
    digest.update(b"check 1");
    parts.iter().for_each(|part| digest.update(part));
    let mut text = String::new();
    for byte in digest.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What fails here costs time and nothing else.
fn note(done: nix::Result<()>) {
    if let Err(error) = done {
        tracing::debug!("the cache of compiled guests: {error}");
    }
}

/// The preamble of a module says version 1 where that of a component has a layer.
fn is_core_module(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}
