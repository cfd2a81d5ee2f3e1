//! The same by a guest, on the engine that `posix-ipc run` has.

use crate::native::name;
use std::time::Duration;
use tokio::task::JoinHandle;
use wasmtime::component::{Component, Linker, Resource, ResourceTable};
use wasmtime::{Config, Engine, Store, StoreContextMut};
use wasmtime_posix_ipc::grant::Grants;
use wasmtime_posix_ipc::internals::bindings::posix::ipc::direct::Host;
use wasmtime_posix_ipc::internals::bindings::posix::ipc::semaphore::Semaphore;
use wasmtime_posix_ipc::mappings::Mappings;
use wasmtime_posix_ipc::{
    IpcCtx, IpcCtxBuilder, IpcCtxView, IpcHost, IpcView, LinkOptions, add_to_linker,
};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

pub struct Data {
    ipc: IpcCtx,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl IpcView for Data {
    fn ipc(&mut self) -> IpcCtxView<'_> {
        IpcCtxView {
            ctx: &mut self.ipc,
            table: &mut self.table,
        }
    }
}

impl WasiView for Data {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// The guest, for both engines.
pub struct Guests {
    plain: Loaded,
    mappings: Loaded,
    /// Two that differ in nothing but the check of a release.
    checked: Loaded,
    unchecked: Loaded,
    runtime: tokio::runtime::Runtime,
}

struct Loaded {
    engine: Engine,
    mappings: Option<Mappings>,
    command: CommandPre<Data>,
}

/// Where the guest is.
pub fn file() -> &'static str {
    concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/target/guests-atomics/wasm32-wasip2/release/bench-guest.wasm"
    )
}

impl Loaded {
    fn new(with_mappings: bool, change: impl FnOnce(&mut Linker<Data>)) -> Self {
        let mut config = Config::new();
        let mappings = with_mappings.then(|| Mappings::configure(&mut config));
        config.concurrency_support(false).epoch_interruption(true);
        let engine = Engine::new(&config).expect("the configuration is valid");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("an empty linker");
        let mut options = LinkOptions::default();
        add_to_linker(&mut linker, options.direct(true)).expect("no name twice");
        change(&mut linker);
        let component = Component::from_file(&engine, file())
            .unwrap_or_else(|error| panic!("{error:?}; `make bench` builds the guest"));
        let command = linker.instantiate_pre(&component).and_then(CommandPre::new);
        let ticked = engine.weak();
        std::thread::spawn(move || {
            while let Some(engine) = ticked.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self {
            engine,
            mappings,
            command: command.expect("the guest fits"),
        }
    }

    fn store(
        &self,
        host: &IpcHost,
        arguments: &[String],
        output: &MemoryOutputPipe,
    ) -> Store<Data> {
        let map = if self.mappings.is_some() { ",map" } else { "" };
        let grants = [
            format!("sem:{}::/gate{map}", name("gate")),
            format!("sem:{}::/ping{map}", name("ping")),
            format!("sem:{}::/pong{map}", name("pong")),
            format!("sem:{}::/lock{map}", name("lock")),
            format!("sem:{}::/new,create", name("new")),
            format!("shm:{}::/object{map}", name("object")),
            format!("shm:{}::/new,create", name("new")),
            format!("mq:{}::/jobs", name("jobs")),
            format!("mq:{}::/ping", name("ping")),
            format!("mq:{}::/pong", name("pong")),
            format!("mq:{}::/new,create", name("new")),
        ];
        let ipc = IpcCtx::builder().grants(Grants::parse(grants).expect("no name twice"));
        let mut wasi = WasiCtxBuilder::new();
        wasi.arg("guest").args(arguments).stdout(output.clone());
        let data = Data {
            ipc: ipc.build(host).expect("no private namespace"),
            wasi: wasi.build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&self.engine, data);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store
    }

    fn host(&self) -> IpcHost {
        let mut host = IpcHost::builder();
        if let Some(mappings) = &self.mappings {
            host = host.mappings(mappings.clone());
        }
        host.build()
    }
}

/// Has a function in the place of the library's that calls it.
fn release_checked(linker: &mut Linker<Data>) {
    replace_release(linker, |view, number| {
        Host::release(view, number).is_ok_and(|done| done)
    });
}

/// The same without the check.
fn release_unchecked(linker: &mut Linker<Data>) {
    replace_release(linker, |view, number| {
        let semaphore = view.table.get(&Resource::<Semaphore>::new_borrow(number));
        semaphore.is_ok_and(|semaphore| semaphore.release_unchecked().is_ok())
    });
}

fn replace_release(
    linker: &mut Linker<Data>,
    release: impl Fn(&mut IpcCtxView<'_>, u32) -> bool + Send + Sync + 'static,
) {
    linker.allow_shadowing(true);
    let mut direct = linker
        .instance("posix:ipc/direct@0.1.0")
        .expect("it is there");
    let release = move |mut store: StoreContextMut<'_, Data>, (number,): (u32,)| {
        Ok((release(&mut store.data_mut().ipc(), number),))
    };
    direct.func_wrap("release", release).expect("the same type");
}

impl Guests {
    pub fn load() -> Self {
        Self {
            plain: Loaded::new(false, |_| {}),
            mappings: Loaded::new(true, |_| {}),
            checked: Loaded::new(false, release_checked),
            unchecked: Loaded::new(false, release_unchecked),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
        }
    }

    /// Lets a guest do something so often; it says itself how long it took.
    pub fn sample(&self, mappings: bool, what: &str, count: u64, size: usize) -> Duration {
        let loaded = if mappings {
            &self.mappings
        } else {
            &self.plain
        };
        self.sample_of(loaded, None, what, count, size)
    }

    /// Lets a guest release a semaphore so often that has so many grants, and whose host
    /// looks at them or does not.
    pub fn release(&self, grants: usize, checked: bool, count: u64) -> Duration {
        let loaded = if checked {
            &self.checked
        } else {
            &self.unchecked
        };
        let others = (1..grants).map(|other| format!("sem:{}.{other}", name("gate")));
        let grants = others.chain([format!("sem:{}::/gate", name("gate"))]);
        let ipc = IpcCtx::builder().grants(Grants::parse(grants).expect("no name twice"));
        self.sample_of(loaded, Some(ipc), "sem-release", count, 0)
    }

    fn sample_of(
        &self,
        loaded: &Loaded,
        ipc: Option<IpcCtxBuilder>,
        what: &str,
        count: u64,
        size: usize,
    ) -> Duration {
        let output = MemoryOutputPipe::new(1024);
        let arguments = [what.into(), count.to_string(), size.to_string()];
        // A host of its own: its threads run where this thread runs now.
        let host = loaded.host();
        let mut store = loaded.store(&host, &arguments, &output);
        if let Some(ipc) = ipc {
            store.data_mut().ipc = ipc.build(&host).expect("no private namespace");
        }
        self.runtime.block_on(async {
            let command = loaded.command.instantiate_async(&mut store).await;
            let command = command.expect("the guest starts");
            let ended = command.wasi_cli_run().call_run(&mut store).await;
            if let Err(error) = ended.map(|ended| ended.expect("the guest succeeds")) {
                panic!("{what}: {error:?}");
            }
        });
        let output = String::from_utf8(output.contents().to_vec()).expect("text");
        Duration::from_nanos(output.trim().parse().expect("a number"))
    }

    /// Starts guests and keeps them, without running them.
    pub fn start(&self, mappings: bool, count: usize) -> Vec<Store<Data>> {
        let loaded = if mappings {
            &self.mappings
        } else {
            &self.plain
        };
        let (host, output) = (loaded.host(), MemoryOutputPipe::new(0));
        let start = || {
            let mut store = loaded.store(&host, &[], &output);
            let instantiated = loaded.command.instantiate_async(&mut store);
            self.runtime
                .block_on(instantiated)
                .expect("the guest starts");
            store
        };
        std::iter::repeat_with(start).take(count).collect()
    }

    /// Starts guests that wait for ever, in one host, and lets them get that far.
    pub fn wait(&self, what: &str, count: usize) -> Vec<JoinHandle<()>> {
        let loaded = &self.plain;
        let (host, output) = (loaded.host(), MemoryOutputPipe::new(0));
        let start = |_| {
            let arguments = [what.into(), "1".into(), "0".into()];
            let mut store = loaded.store(&host, &arguments, &output);
            store.data_mut().ipc = IpcCtx::builder()
                .private()
                .build(&host)
                .expect("a namespace");
            if what == "wait-shared" {
                let grants = Grants::parse([format!("sem:{}::/wait", name("pong"))]);
                let ipc = IpcCtx::builder().grants(grants.expect("a grant"));
                store.data_mut().ipc = ipc.build(&host).expect("no namespace");
            }
            let command = loaded.command.clone();
            self.runtime.spawn(async move {
                let command = command.instantiate_async(&mut store).await;
                let command = command.expect("the guest starts");
                let ended = command.wasi_cli_run().call_run(&mut store).await;
                panic!("a guest does not wait: {ended:?}");
            })
        };
        let waiting = (0..count).map(start).collect();
        self.runtime
            .block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
        waiting
    }

    /// Ends them.
    pub fn end(&self, waiting: Vec<JoinHandle<()>>) {
        self.runtime.block_on(async {
            for guest in waiting {
                assert!(!guest.is_finished(), "all are still waiting");
                guest.abort();
                let _ = guest.await;
            }
        });
    }
}
