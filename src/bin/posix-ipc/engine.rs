//! The engine that guests run on, and loading them.

use anyhow::{Context, Result, anyhow, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wasmtime::component::Component;
use wasmtime::{Cache, CacheConfig, Config, Engine};
use wasmtime_posix_ipc::windows::Windows;

/// How often a guest that computes is made to look whether it should stop.
const TICK: Duration = Duration::from_millis(10);

/// An engine whose compiled guests are kept between runs, and if guests are to map
/// objects, their windows. They are compiled differently then: what is kept of them is
/// kept apart, because compiled guests are found by the settings of their engine too.
pub fn new(maps: bool) -> Result<(Engine, Option<Windows>)> {
    let mut config = Config::new();
    let windows = maps.then(|| Windows::configure(&mut config));
    config.concurrency_support(false).epoch_interruption(true);
    match cache() {
        Ok(cache) => config.cache(Some(cache)),
        Err(error) => {
            tracing::debug!("compiled guests are not kept: {error:#}");
            config.cache(None)
        }
    };
    let engine = Engine::new(&config).map_err(|error| anyhow!("{error:#}"))?;
    Ok((engine, windows))
}

/// Lets the engine's guests be interrupted, as long as the process lives.
pub fn start_ticking(engine: &Engine) -> Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new()
        .name("posix-ipc-ticks".into())
        .spawn(tick)
        .context("cannot start a thread")?;
    Ok(())
}

fn cache() -> Result<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(cache_folder().context("neither XDG_CACHE_HOME nor HOME is set")?);
    Cache::new(config).map_err(|error| anyhow!("{error:#}"))
}

fn cache_folder() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("posix-ipc/compiled"))
}

/// Loads and compiles a guest.
pub fn load(engine: &Engine, path: &Path) -> Result<Component> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read the guest {shown}"))?;
    if is_core_module(&bytes) {
        bail!(
            "{shown} is a core WebAssembly module, not a component; build it for \
             wasm32-wasip2, or wrap it with `wasm-tools component new`"
        );
    }
    Component::new(engine, &bytes)
        .map_err(|error| anyhow!("{shown} is not a usable component: {error:#}"))
}

/// The preamble of a module says version 1 where that of a component has a layer.
fn is_core_module(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}
