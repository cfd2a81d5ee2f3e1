//! An application with two plugins, each a guest with grants of its own: the stages of
//! the relay, see ../relay/README.md.
//!
//!     plugins PRODUCER.wasm CONSUMER.wasm

use std::path::Path;
use std::time::Duration;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::error::Context;
use wasmtime::{Config, Engine, Result, Store, bail};
use wasmtime_posix_ipc::grant::Grants;
use wasmtime_posix_ipc::quota::Quota;
use wasmtime_posix_ipc::{IpcCtx, IpcCtxView, IpcHost, IpcView, LinkOptions};
use wasmtime_wasi::p2::bindings::{Command, CommandPre};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

/// After this, a plugin is in the way.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a plugin has of the application.
struct Plugin {
    ipc: IpcCtx,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl IpcView for Plugin {
    fn ipc(&mut self) -> IpcCtxView<'_> {
        IpcCtxView {
            ctx: &mut self.ipc,
            table: &mut self.table,
        }
    }
}

impl WasiView for Plugin {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [producer, consumer] = &arguments[..] else {
        bail!("usage: plugins PRODUCER.wasm CONSUMER.wasm");
    };
    let application = Application::new()?;

    // The names are this process's own, so that two of these do not meet.
    let prefix = format!("/plugins-{}", std::process::id());
    let names = [
        ("sem", "room"),
        ("sem", "lock"),
        ("shm", "slots"),
        ("mq", "jobs"),
    ];
    let grants = |lifecycle: &str| -> Result<Grants> {
        let texts = names.map(|(kind, name)| format!("{kind}:{prefix}.{name},{lifecycle}"));
        Ok(Grants::parse(texts)?)
    };
    let producing = application.run(producer, grants("create")?, ["produce", &prefix, "100"]);
    let consuming = application.run(consumer, grants("open")?, ["consume", &prefix]);
    let (producing, consuming) = tokio::join!(producing, consuming);
    producing.with_context(|| format!("the producer {producer}"))?;
    consuming.with_context(|| format!("the consumer {consumer}"))?;
    Ok(())
}

/// What all plugins share: the engine, the functions that they find, and the host that
/// keeps track of their objects.
struct Application {
    linker: Linker<Plugin>,
    ipc: IpcHost,
}

impl Application {
    fn new() -> Result<Self> {
        let mut config = Config::new();
        config.concurrency_support(false);
        // A plugin that computes for ever comes by here now and then, and can be left.
        config.epoch_interruption(true);
        let engine = Engine::new(&config)?;
        let ticking = engine.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(10));
                ticking.increment_epoch();
            }
        });
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_posix_ipc::add_to_linker(&mut linker, &LinkOptions::default())?;
        Ok(Self {
            linker,
            ipc: IpcHost::new(),
        })
    }

    /// Runs a plugin to its end, or to that of the patience with it.
    async fn run<const N: usize>(
        &self,
        component: impl AsRef<Path>,
        grants: Grants,
        arguments: [&str; N],
    ) -> Result<()> {
        let ipc = IpcCtx::builder()
            .label(component.as_ref().display().to_string())
            .quota(Quota::default())
            .grants(grants);
        let plugin = Plugin {
            ipc: ipc.build(&self.ipc)?,
            wasi: WasiCtx::builder()
                .inherit_stdout()
                .inherit_stderr()
                .arg("plugin")
                .args(&arguments)
                .build(),
            table: ResourceTable::new(),
        };
        let engine = self.linker.engine();
        let component = Component::from_file(engine, component)?;
        let component = CommandPre::new(self.linker.instantiate_pre(&component)?)?;

        let mut store = Store::new(engine, plugin);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        // Leaving the future ends what the plugin waits for, and loses nothing of it. The
        // store goes with it, and with the store everything that the plugin holds.
        let running = async {
            let command: Command = component.instantiate_async(&mut store).await?;
            command.wasi_cli_run().call_run(&mut store).await
        };
        match tokio::time::timeout(PATIENCE, running).await {
            Err(_) => bail!("it is still running after {PATIENCE:?}"),
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(()))) => bail!("it failed"),
            Ok(Err(error)) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(0)) => Ok(()),
                Some(I32Exit(code)) => bail!("it failed with {code}"),
                None => Err(error),
            },
        }
    }
}
