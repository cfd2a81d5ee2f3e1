//! A guest in this process, as a program runs one that embeds the library.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_posix_ipc::{IpcCtx, IpcCtxView, IpcView, LinkOptions, add_to_linker, limit_store};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// How a guest ended, and what it wrote.
#[derive(Debug)]
pub struct Embedded {
    /// Its exit code, or why it trapped.
    pub end: Result<i32, String>,
    pub stdout: String,
    pub stderr: String,
}

impl Embedded {
    /// Standard output, of a guest that has succeeded.
    #[track_caller]
    pub fn lines(&self) -> Vec<&str> {
        assert_eq!(self.end, Ok(0), "{self:?}");
        self.stdout.lines().collect()
    }
}

struct Guest {
    ipc: IpcCtx,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl IpcView for Guest {
    fn ipc(&mut self) -> IpcCtxView<'_> {
        IpcCtxView {
            ctx: &mut self.ipc,
            table: &mut self.table,
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.concurrency_support(false).epoch_interruption(true);
    let engine = Engine::new(&config).unwrap();
    let ticking = engine.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(10));
            ticking.increment_epoch();
        }
    });
    engine
});

/// Runs a guest from start to end. Its context is gone when this returns.
pub async fn embed(guest: &Path, arguments: &[&str], ipc: IpcCtx) -> Embedded {
    const MOST_OUTPUT: usize = 16 << 20;
    let stdout = MemoryOutputPipe::new(MOST_OUTPUT);
    let stderr = MemoryOutputPipe::new(MOST_OUTPUT);
    let wasi = WasiCtxBuilder::new()
        .arg("guest")
        .args(arguments)
        .stdout(stdout.clone())
        .stderr(stderr.clone())
        .build();
    let guest = component(guest);
    let data = Guest {
        ipc,
        wasi,
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&ENGINE, data);
    limit_store(&mut store);
    let end = execute(&guest, store).await;
    let text = |pipe: MemoryOutputPipe| String::from_utf8_lossy(&pipe.contents()).into_owned();
    Embedded {
        end: match end {
            Ok(Ok(())) => Ok(0),
            Ok(Err(())) => Ok(1),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(code)) => Ok(*code),
                None => Err(format!("{error:?}")),
            },
        },
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

async fn execute(guest: &Component, mut store: Store<Guest>) -> wasmtime::Result<Result<(), ()>> {
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let mut linker = Linker::new(&ENGINE);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    add_to_linker(&mut linker, &LinkOptions::default())?;
    let command = Command::instantiate_async(&mut store, guest, &linker).await?;
    command.wasi_cli_run().call_run(&mut store).await
}

/// A guest is compiled once in a process.
fn component(path: &Path) -> Component {
    static COMPILED: Mutex<Option<HashMap<PathBuf, Component>>> = Mutex::new(None);
    let mut compiled = COMPILED.lock().unwrap();
    let compile = || Component::from_file(&ENGINE, path).unwrap();
    compiled
        .get_or_insert_default()
        .entry(path.into())
        .or_insert_with(compile)
        .clone()
}
