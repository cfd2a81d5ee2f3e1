//! Mappings: shared memory that a guest reaches with its own loads, stores and
//! atomics, at native speed.
//!
//! A guest whose grant says `map` can map an object into its address range, above
//! its own memory. That needs memories with a certain layout, which the engine's
//! configuration decides:
//!
//! ```
//! use wasmtime::{Config, Engine};
//! use wasmtime_posix_ipc::{IpcHost, mappings::Mappings};
//!
//! let mut config = Config::new();
//! let mappings = Mappings::configure(&mut config);
//! let engine = Engine::new(&config)?;
//! // Not needed: it makes an unfit engine fail early, and says why.
//! mappings.check(&engine)?;
//! let host = IpcHost::builder().mappings(mappings).build();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With another engine, or without the call of `IpcHostBuilder::mappings`, `map` answers
//! `unsupported` and everything else works.
//!
//! # How does an engine with mappings differ?
//!
//! - The memory of a guest can grow to 3 GiB less a page of 64 KiB, not to 4 GiB.
//! - Guests start a little more slowly: the engine fills their memories from data
//!   segments, and does not map an image of them.
//! - Memories that declare a maximum below 4 GiB, have 64-bit addresses or a custom
//!   page size work, but get no mappings.
//! - A guest that was compiled for another engine has to be compiled again. Caches keep
//!   both.
//!
//! # What can a guest do with a mapping?
//!
//! Loads, stores, atomics and SIMD reach it. Nothing else does. Bulk instructions such
//! as `memory.copy` trap on its addresses, and so does every call to the host or to
//! another component that gets one. All of these first compare an address with the
//! length of the memory, and a mapping lies above it. So no Rust code of the host ever
//! holds a reference to bytes that a peer may be changing.
//!
//! If a peer has shrunk the object, the access of the guest traps.
//! [`IpcCtx::explain`](crate::IpcCtx::explain) adds the cause to the message.
//!
//! A guest with a mapping to a busy object has a clock of high resolution. It helps the
//! guest to measure what other code does to the caches. Grant `map` accordingly.
//!
//! # Why is this sound?
//!
//! wasmtime does not document that compiled code reaches past the length of a memory.
//! It follows from how it compiles memories of 4 GiB: the code compares no length, and
//! pages without access rights do the rest. So before the first mapping of an engine, a
//! self-test compiles and runs a small module on that engine. It checks that every kind
//! of access reaches a mapping, that no bulk instruction does, and that an unmapped
//! mapping is gone. If anything differs, there are no mappings. Compiled code carries
//! the settings that matter, and an engine with other settings refuses it. So what
//! holds for the module of the self-test holds for every guest of the engine.

use crate::sys::guest_mapping::{Creator, FIRST, Fault, GuestMapping, Region, Registry, Scratch};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use wasmtime::{
    Config, Engine, EngineWeak, Extern, Instance, Memory, Module, Store, Strategy, Trap, TypedFunc,
    WasmParams, WasmResults,
};

/// The mappings of one engine's guests. Clones are the same.
#[derive(Clone)]
pub struct Mappings {
    registry: Arc<Registry>,
    checked: Arc<Mutex<Vec<Checked>>>,
}

/// An engine, and what trying it out has shown.
type Checked = (EngineWeak, Result<(), UnfitEngine>);

impl Mappings {
    /// Prepares a configuration for engines with mappings.
    ///
    /// It sets how engines allocate memories: by our own creator, 4 GiB at a time, with
    /// a guard of 32 MiB and without images. It also sets Cranelift, traps by signals,
    /// and the threads proposal, for atomics. Later settings may undo that, and then
    /// there are no mappings.
    pub fn configure(config: &mut Config) -> Self {
        let registry = Arc::new(Registry::default());
        config
            .strategy(Strategy::Cranelift)
            .signals_based_traps(true)
            .memory_reservation(1 << 32)
            .memory_guard_size(32 << 20)
            // Images and memories of a creator do not go together: wasmtime panics.
            .memory_init_cow(false)
            .with_host_memory(Arc::new(Creator(registry.clone())))
            .wasm_threads(true);
        Self {
            registry,
            checked: Arc::default(),
        }
    }

    /// Checks that guests of an engine can have mappings. The first call for an engine
    /// runs the self-test, which takes some milliseconds.
    ///
    /// # Errors
    ///
    /// The error says why guests of this engine cannot have mappings.
    pub fn check(&self, engine: &Engine) -> Result<(), UnfitEngine> {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.retain(|(engine, _)| engine.upgrade().is_some());
        let known = checked.iter().find(|(known, _)| {
            known
                .upgrade()
                .is_some_and(|known| Engine::same(&known, engine))
        });
        if let Some((_, outcome)) = known {
            return outcome.clone();
        }
        let outcome = self.self_test(engine);
        if let Err(unfit) = &outcome {
            tracing::warn!("guests cannot map objects: {unfit}");
        }
        checked.push((engine.weak(), outcome.clone()));
        outcome
    }

    /// The memory of a guest that an address of this process lies in.
    pub(crate) fn region(&self, address: usize) -> Option<Arc<Region>> {
        self.registry.find(address)
    }

    fn self_test(&self, engine: &Engine) -> Result<(), UnfitEngine> {
        // On a thread of its own: the stack of a guest that asks for a mapping may be
        // too short for a compiler. And a panic ends with it.
        let test = || SelfTest::new(engine, &self.registry)?.run();
        let ended = std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("posix-ipc-mappings".into())
                .spawn_scoped(scope, test)
                .map(|thread| thread.join())
        });
        match ended {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(UnfitEngine::because(
                "it cannot make a memory with contents; Config::memory_init_cow must be false",
            )),
            Err(error) => Err(UnfitEngine::because(format!(
                "no thread for trying it: {error}"
            ))),
        }
    }
}

impl fmt::Debug for Mappings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mappings").finish_non_exhaustive()
    }
}

/// An engine whose guests cannot have mappings, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfitEngine {
    problem: String,
}

impl UnfitEngine {
    fn because(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
        }
    }
}

impl fmt::Display for UnfitEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the engine does not fit mappings: {}", self.problem)
    }
}

impl std::error::Error for UnfitEngine {}

/// The mappings that one guest has open.
#[derive(Default)]
pub(crate) struct OpenMappings(Vec<Weak<GuestMapping>>);

impl OpenMappings {
    pub(crate) fn add(&mut self, mapping: &Arc<GuestMapping>) {
        self.0.retain(|mapping| mapping.strong_count() > 0);
        self.0.push(Arc::downgrade(mapping));
    }

    /// Why an access to one of them has ended the guest, if one has.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let fault = |mapping: &Weak<GuestMapping>| mapping.upgrade()?.fault();
        Some(match self.0.iter().find_map(fault)? {
            Fault::Shrunk => "the object behind the mapping was shrunk by a peer",
            Fault::NoMemory => "the system has no memory left for the object behind the mapping",
        })
    }
}

/// A module on the engine that is tried out, and a mapping of an object of its own.
struct SelfTest {
    store: Store<()>,
    instance: Instance,
    object: Scratch,
    region: Arc<Region>,
}

/// What is at the beginning of the object.
const CONTENT: [u32; 4] = [0x1122_3344, 0x5566_7788, 7, 9];

/// The guest address of the mapping.
const MAPPING: u32 = FIRST as u32;

/// More pages than a memory below the mappings has.
const TOO_MANY_PAGES: u32 = MAPPING >> 16;

impl SelfTest {
    fn new(engine: &Engine, registry: &Registry) -> Result<Self, UnfitEngine> {
        let cannot = |error: wasmtime::Error| UnfitEngine::because(format!("{error:#}"));
        let module = Module::from_binary(engine, include_bytes!("mappings/self-test.wasm"))
            .map_err(cannot)?;
        let mut store = Store::new(engine, ());
        // Where the engine counts neither, these do nothing.
        store.set_epoch_deadline(1 << 40);
        let _ = store.set_fuel(1 << 40);
        let instance = Instance::new(&mut store, &module, &[]).map_err(cannot)?;
        let Some(Extern::Memory(memory)) = instance.get_export(&mut store, "memory") else {
            return Err(UnfitEngine::because("the test has no memory"));
        };
        let region = Self::region(registry, memory, &store)?;
        let object = Scratch::new(4096).map_err(system)?;
        for (index, word) in CONTENT.iter().enumerate() {
            object
                .write(index as u64 * 4, &word.to_le_bytes())
                .map_err(system)?;
        }
        Ok(Self {
            store,
            instance,
            object,
            region,
        })
    }

    fn region(
        registry: &Registry,
        memory: Memory,
        store: &Store<()>,
    ) -> Result<Arc<Region>, UnfitEngine> {
        let region = registry
            .find(memory.data_ptr(store).addr())
            .ok_or_else(|| {
                UnfitEngine::because(
                    "it does not allocate memories with the creator of Mappings::configure; \
                     the pooling allocator never does",
                )
            })?;
        if !region.has_room() {
            return Err(UnfitEngine::because(
                "it reserves less than 4 GiB for a memory; see Config::memory_reservation",
            ));
        }
        Ok(region)
    }

    fn run(mut self) -> Result<(), UnfitEngine> {
        let gone = [MAPPING, MAPPING + 4092];
        self.unreachable("before it is mapped", &gone)?;
        let mapping = self
            .region
            .map(self.object.object(), 0, 4096, true)
            .map_err(system)?;
        if mapping.address() != u64::from(MAPPING) {
            return Err(UnfitEngine::because("the first mapping is misplaced"));
        }
        self.reachable()?;
        self.only_loads_and_stores()?;
        self.unreachable("past its end", &[MAPPING + 4096, MAPPING - 4])?;
        drop(mapping);
        self.unreachable("after it is unmapped", &gone)?;
        let view = self
            .region
            .map(self.object.object(), 0, 4096, false)
            .map_err(system)?;
        let loaded = self.call::<u32, u32>("load", MAPPING + 8)?;
        self.expect("a load of a read-only mapping", loaded.ok() == Some(11))?;
        let added = self.call::<_, u32>("add", (MAPPING, 1u32))?;
        self.expect("a change of a read-only mapping", is_out_of_bounds(&added))?;
        drop(view);
        Ok(())
    }

    /// Every kind of access that compilers make, with the address as a value and as
    /// part of the instruction.
    fn reachable(&mut self) -> Result<(), UnfitEngine> {
        let [first, second, third, _] = CONTENT;
        let loaded = self.call::<u32, u32>("load", MAPPING)?;
        self.expect("a load", loaded.ok() == Some(first))?;
        let loaded = self.call::<(), u32>("load-folded", ())?;
        self.expect("a load of a constant address", loaded.ok() == Some(first))?;
        let added = self.call::<_, u32>("add", (MAPPING + 4, 1u32))?;
        self.expect("an atomic", added.ok() == Some(second))?;
        let added = self.call::<_, u32>("add-folded", 3u32)?;
        self.expect("an atomic at a constant address", added.ok() == Some(first))?;
        let wide = u64::from(third) | u64::from(CONTENT[3]) << 32;
        let exchanged = self.call::<_, u64>("exchange", (MAPPING + 8, wide, 11u64))?;
        self.expect("a 64-bit atomic", exchanged.ok() == Some(wide))?;
        let stored = self.call::<u32, ()>("store-wide", MAPPING + 4080)?;
        self.expect("a wide store", stored.is_ok())?;

        let object: [u8; 16] = self.object.read(0).map_err(system)?;
        let words = [first + 3, second + 1, 11, 0].map(u32::to_le_bytes);
        self.expect(
            "what the object holds then",
            object == *words.as_flattened(),
        )?;
        let object: [u8; 16] = self.object.read(4080).map_err(system)?;
        let words = [5u32, 6, 7, 8].map(u32::to_le_bytes);
        self.expect("the end of the object", object == *words.as_flattened())
    }

    /// What compares with the length of the memory must not reach the mapping.
    fn only_loads_and_stores(&mut self) -> Result<(), UnfitEngine> {
        let before: [u8; 64] = self.object.read(0).map_err(system)?;
        for bulk in ["copy-from", "copy-to", "fill"] {
            let done = self.call::<u32, ()>(bulk, MAPPING)?;
            self.expect(bulk, is_out_of_bounds(&done))?;
        }
        for length in [0, 1, 64, 4096u32] {
            let done = self.call::<_, ()>("copy-some", (MAPPING, length))?;
            self.expect("a copy", is_out_of_bounds(&done))?;
        }
        let after: [u8; 64] = self.object.read(0).map_err(system)?;
        self.expect("what bulk instructions did", before == after)?;
        let grown = self.call::<_, u32>("grow", TOO_MANY_PAGES)?;
        self.expect("growing into the mappings", grown.ok() == Some(u32::MAX))?;
        let size = self.call::<(), u32>("size", ())?;
        self.expect("the size of the memory", size.ok() == Some(1))
    }

    fn unreachable(&mut self, when: &str, addresses: &[u32]) -> Result<(), UnfitEngine> {
        for &address in addresses {
            let loaded = self.call::<_, u32>("load", address)?;
            self.expect(&format!("a load {when}"), is_out_of_bounds(&loaded))?;
            let added = self.call::<_, u32>("add", (address, 1u32))?;
            self.expect(&format!("an atomic {when}"), is_out_of_bounds(&added))?;
        }
        Ok(())
    }

    /// Calls a function of the module, which may trap.
    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
        params: P,
    ) -> Result<wasmtime::Result<R>, UnfitEngine> {
        let function: TypedFunc<P, R> = self
            .instance
            .get_typed_func(&mut self.store, name)
            .map_err(|error| UnfitEngine::because(format!("{error:#}")))?;
        Ok(function.call(&mut self.store, params))
    }

    fn expect(&self, what: &str, right: bool) -> Result<(), UnfitEngine> {
        if right {
            return Ok(());
        }
        Err(UnfitEngine::because(format!(
            "in the code that it compiles, {what} does not do as expected; compilers other \
             than Cranelift, debugging and explicit bounds checks are known for that"
        )))
    }
}

fn is_out_of_bounds<R>(outcome: &wasmtime::Result<R>) -> bool {
    let trap = outcome
        .as_ref()
        .err()
        .and_then(|error| error.downcast_ref());
    trap == Some(&Trap::MemoryOutOfBounds)
}

fn system(errno: crate::sys::Errno) -> UnfitEngine {
    UnfitEngine::because(format!("trying it failed: {errno}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Config) -> &mut Config) -> Result<(), String> {
        let mut config = Config::new();
        let mappings = Mappings::configure(&mut config);
        change(&mut config);
        let engine = Engine::new(&config).unwrap();
        let outcome = mappings.check(&engine).map_err(|unfit| unfit.to_string());
        assert_eq!(
            outcome,
            mappings.check(&engine).map_err(|unfit| unfit.to_string())
        );
        outcome
    }

    #[test]
    fn the_module_of_the_self_test_is_its_text() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/mappings/self-test.wasm");
        let module = wat::parse_str(include_str!("mappings/self-test.wat")).unwrap();
        if std::env::var_os("UPDATE_SELF_TEST").is_some() {
            std::fs::write(path, module).unwrap();
        } else {
            assert_eq!(
                std::fs::read(path).unwrap(),
                module,
                "set UPDATE_SELF_TEST=1"
            );
        }
    }

    #[test]
    fn the_configuration_fits() {
        assert_eq!(check(|config| config), Ok(()));
        for level in [wasmtime::OptLevel::None, wasmtime::OptLevel::SpeedAndSize] {
            assert_eq!(check(|config| config.cranelift_opt_level(level)), Ok(()));
        }
        assert_eq!(check(|config| config.epoch_interruption(true)), Ok(()));
        assert_eq!(check(|config| config.consume_fuel(true)), Ok(()));
        assert_eq!(check(|config| config.concurrency_support(false)), Ok(()));
        assert_eq!(check(|config| config.memory_guard_size(0)), Ok(()));
        assert_eq!(check(|config| config.memory_reservation(6 << 30)), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for (change, reason) in [
            (
                (|config| config.memory_reservation(2 << 30)) as fn(&mut Config) -> &mut Config,
                "reserves less than 4 GiB",
            ),
            (
                |config| config.memory_reservation(0),
                "reserves less than 4 GiB",
            ),
            (
                |config| config.signals_based_traps(false),
                "does not do as expected",
            ),
            (
                |config| config.memory_init_cow(true),
                "memory_init_cow must be false",
            ),
            (|config| config.wasm_threads(false), "threads"),
        ] {
            let problem = check(change).unwrap_err();
            assert!(problem.contains(reason), "{problem}");
        }
    }

    #[test]
    fn an_engine_of_another_configuration_does_not_fit() {
        let mappings = Mappings::configure(&mut Config::new());
        let problem = mappings.check(&Engine::default()).unwrap_err().to_string();
        assert!(
            problem.contains("the creator of Mappings::configure"),
            "{problem}"
        );
    }

    #[test]
    fn outcomes_of_engines_that_are_gone_are_forgotten() {
        let mut config = Config::new();
        let mappings = Mappings::configure(&mut config);
        for _ in 0..3 {
            mappings.check(&Engine::new(&config).unwrap()).unwrap();
        }
        assert_eq!(mappings.checked.lock().unwrap().len(), 1);
    }
}
