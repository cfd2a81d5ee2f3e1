//! The engine that guests run on.

use anyhow::{Context, Result, anyhow};
use std::time::Duration;
use wasmtime::{Config, Engine};
use wasmtime_posix_ipc::mappings::Mappings;

/// How often a guest that computes is made to look whether it should stop.
const TICK: Duration = Duration::from_millis(10);

/// How deep calls of a guest may nest. Interpreters count their own calls, and end a
/// recursion without end in the words of their language, if they come so far.
const GUEST_STACK: usize = 8 << 20;

/// The stack that a guest and the host's functions that it calls have together.
const STACK: usize = GUEST_STACK + (2 << 20);

/// An engine, and if guests are to map objects, their mappings. They are compiled
/// differently then: what is kept of them is kept apart, because compiled guests are
/// found by the settings of their engine too.
pub fn new(maps: bool) -> Result<(Engine, Option<Mappings>)> {
    let mut config = Config::new();
    let mappings = maps.then(|| Mappings::configure(&mut config));
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(STACK);
    let engine = Engine::new(&config).map_err(|error| anyhow!("{error:#}"))?;
    Ok((engine, mappings))
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
