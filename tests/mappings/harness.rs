//! Guests written by hand, the host they run on, and the native side.

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wasmtime::component::{Component, ComponentType, Instance, Lift, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_posix_ipc::grant::Grants;
use wasmtime_posix_ipc::mappings::Mappings;
use wasmtime_posix_ipc::quota::Quota;
use wasmtime_posix_ipc::{IpcCtx, IpcCtxView, IpcHost, IpcView, LinkOptions, add_to_linker};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// Where the first mapping of a guest is.
pub const FIRST: u64 = 0xC000_0000;

/// Whether tests take the time for the large numbers.
pub fn long() -> bool {
    std::env::var_os("POSIX_IPC_LONG").is_some()
}

/// A name that no other test and no other run uses.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("/posix-ipc-test.mappings.{}.{next}", std::process::id())
}

/// An object, seen by a native program.
pub struct Object {
    pub name: String,
    descriptor: OwnedFd,
    start: *mut u8,
    size: usize,
}

unsafe impl Send for Object {}
unsafe impl Sync for Object {}

impl Object {
    pub fn new(size: usize) -> Self {
        let name = unique();
        let c_name = CString::new(name.clone()).unwrap();
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        unsafe {
            let descriptor = libc::shm_open(c_name.as_ptr(), flags, 0o600);
            assert!(descriptor >= 0, "{}", std::io::Error::last_os_error());
            assert_eq!(libc::ftruncate(descriptor, size as i64), 0);
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let start = libc::mmap(
                std::ptr::null_mut(),
                size,
                access,
                libc::MAP_SHARED,
                descriptor,
                0,
            );
            assert_ne!(start, libc::MAP_FAILED);
            Self {
                name,
                descriptor: OwnedFd::from_raw_fd(descriptor),
                start: start.cast(),
                size,
            }
        }
    }

    pub fn u32(&self, offset: usize) -> &AtomicU32 {
        assert!(offset + 4 <= self.size);
        unsafe { AtomicU32::from_ptr(self.start.add(offset).cast()) }
    }

    pub fn u64(&self, offset: usize) -> &AtomicU64 {
        assert!(offset + 8 <= self.size);
        unsafe { AtomicU64::from_ptr(self.start.add(offset).cast()) }
    }

    /// Fills it with bytes that are easily recognised.
    pub fn fill(&self) -> &Self {
        for offset in (0..self.size).step_by(4) {
            self.u32(offset)
                .store(0xA5A5_0000 | offset as u32, Ordering::SeqCst);
        }
        self
    }

    pub fn words(&self) -> Vec<u32> {
        let load = |offset| self.u32(offset).load(Ordering::SeqCst);
        (0..self.size).step_by(4).map(load).collect()
    }

    /// Changes the size under everybody who has it mapped.
    pub fn truncate(&self, size: usize) {
        let done = unsafe { libc::ftruncate(self.descriptor.as_raw_fd(), size as i64) };
        assert_eq!(done, 0);
    }

    /// How often this process has it mapped, this mapping not counted.
    pub fn other_mappings(&self) -> usize {
        mappings(&format!("/dev/shm{}", self.name)) - 1
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let name = CString::new(self.name.clone()).unwrap();
        unsafe {
            libc::munmap(self.start.cast(), self.size);
            libc::shm_unlink(name.as_ptr());
        }
    }
}

/// A queue, for the guest's other end.
pub struct Queue {
    pub name: String,
}

impl Queue {
    pub fn new() -> Self {
        let name = unique();
        let c_name = CString::new(name.clone()).unwrap();
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        unsafe {
            // Small: all queues of a user share one limit.
            let mut size: libc::mq_attr = std::mem::zeroed();
            (size.mq_maxmsg, size.mq_msgsize) = (2, 64);
            let queue = libc::mq_open(c_name.as_ptr(), flags, 0o600, &mut size);
            assert!(queue >= 0, "{}", std::io::Error::last_os_error());
            libc::mq_close(queue);
        }
        Self { name }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let name = CString::new(self.name.clone()).unwrap();
        unsafe { libc::mq_unlink(name.as_ptr()) };
    }
}

/// How many mappings of this process show a file.
pub fn mappings(file: &str) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let shows = |line: &&str| {
        let path = line.split_ascii_whitespace().nth(5);
        path == Some(file)
    };
    maps.lines().filter(shows).count()
}

/// Runs a closure in a process of its own, and checks that it ends well. The closure
/// must do nothing but compute: other threads of this process may have held locks.
/// It ends with the value, also when the test panics.
pub struct Process(libc::pid_t);

impl Process {
    pub fn start(work: impl FnOnce()) -> Self {
        match unsafe { libc::fork() } {
            0 => {
                work();
                unsafe { libc::_exit(0) }
            }
            child => {
                assert!(child > 0, "{}", std::io::Error::last_os_error());
                Self(child)
            }
        }
    }

    pub fn join(self) {
        assert_eq!(std::mem::ManuallyDrop::new(self).wait(), 0);
    }

    fn wait(&self) -> libc::c_int {
        let mut status = 0;
        assert_eq!(unsafe { libc::waitpid(self.0, &mut status, 0) }, self.0);
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        unsafe { libc::kill(self.0, libc::SIGKILL) };
        self.wait();
    }
}

pub struct Data {
    pub ipc: IpcCtx,
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

/// More than the parameters that are passed in registers.
#[derive(ComponentType, Lift)]
#[component(record)]
#[allow(dead_code)]
struct Many {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
    h: u64,
    i: u64,
    j: u64,
    k: u64,
    l: u64,
    m: u64,
    n: u64,
    o: u64,
    p: u64,
    q: u64,
}

/// An engine with mappings, and a host for its guests.
pub struct Host {
    pub engine: Engine,
    pub ipc: IpcHost,
    linker: Linker<Data>,
}

impl Host {
    pub fn new() -> Self {
        Self::with(|config| config)
    }

    /// With settings made after those for mappings.
    pub fn with(change: impl FnOnce(&mut Config) -> &mut Config) -> Self {
        let mut config = Config::new();
        let mappings = Mappings::configure(&mut config);
        config.concurrency_support(false).epoch_interruption(true);
        change(&mut config);
        Self::of(Engine::new(&config).unwrap(), Some(mappings))
    }

    pub fn without_mappings() -> Self {
        let mut config = Config::new();
        config.concurrency_support(false).epoch_interruption(true);
        Self::of(Engine::new(&config).unwrap(), None)
    }

    fn of(engine: Engine, mappings: Option<Mappings>) -> Self {
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        let mut options = LinkOptions::default();
        add_to_linker(&mut linker, options.direct(true)).unwrap();
        let mut odd = linker.instance("odd").unwrap();
        odd.func_wrap("many", |_, (_,): (Many,)| Ok(())).unwrap();
        odd.func_wrap("lists", |_, (_, _): (Vec<String>, Vec<u32>)| Ok(()))
            .unwrap();
        let mut host = IpcHost::builder();
        if let Some(mappings) = mappings {
            host = host.mappings(mappings);
        }
        Self {
            engine,
            ipc: host.build(),
            linker,
        }
    }

    /// A guest with these grants.
    pub fn guest(&self, text: &str, grants: &[&str]) -> Guest {
        self.guest_with(text, grants, Quota::default())
    }

    pub fn guest_with(&self, text: &str, grants: &[&str], quota: Quota) -> Guest {
        let component = Component::new(&self.engine, text).unwrap_or_else(|error| {
            panic!("{error:?}\n{text}");
        });
        self.start(&component, grants, quota)
    }

    pub fn start(&self, component: &Component, grants: &[&str], quota: Quota) -> Guest {
        let grants = Grants::parse(grants).unwrap();
        let ipc = IpcCtx::builder().quota(quota).grants(grants);
        let data = Data {
            ipc: ipc.build(&self.ipc).unwrap(),
            wasi: WasiCtxBuilder::new().arg("guest").build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&self.engine, data);
        store.set_epoch_deadline(1_000_000);
        let instance = wait(self.linker.instantiate_async(&mut store, component)).unwrap();
        Guest { store, instance }
    }
}

pub struct Guest {
    pub store: Store<Data>,
    pub instance: Instance,
}

impl Guest {
    /// Calls one of the guest's functions of a number.
    pub fn call(&mut self, function: &str, argument: u64) -> wasmtime::Result<u64> {
        let function = self
            .instance
            .get_typed_func::<(u64,), (u64,)>(&mut self.store, function)
            .unwrap_or_else(|error| panic!("{function}: {error:?}"));
        let call = function.call_async(&mut self.store, (argument,));
        wait(call).map(|(result,)| result)
    }

    /// Calls a function that is expected to end the guest; gives the reason.
    pub fn trap(&mut self, function: &str, argument: u64) -> String {
        let error = self.call(function, argument).expect_err(function);
        format!("{:#}", self.store.data().ipc.explain(error))
    }
}

/// Runs a future of wasmtime, as a host does.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// What a guest is made of besides its own functions.
pub struct Text<'a> {
    /// Of the core module. It has all functions that are imported here, and:
    /// `$map (i64 length, i32 access) -> i32 address`, `$segment`, `$mapping`, and
    /// 1024 bytes at 1024 to do as it likes with.
    pub core: &'a str,
    /// The pages of its memory, and the most that it may have.
    pub memory: &'a str,
    /// Its functions of a number.
    pub functions: &'a [&'a str],
    /// What else the component has: imports, before the rest.
    pub imports: &'a str,
    /// Core functions from those, for the module `more`.
    pub lowered: &'a str,
    /// Exports of the module `more`.
    pub more: &'a str,
    /// What the core module imports of it.
    pub uses: &'a str,
    /// What comes last in the component.
    pub exports: &'a str,
}

impl Text<'_> {
    pub const NONE: Self = Text {
        core: "",
        memory: "2",
        functions: &[],
        imports: "",
        lowered: "",
        more: "",
        uses: "",
        exports: "",
    };

    /// The component. Its object is `/object`, its semaphore `/gate`, its queue `/jobs`.
    pub fn component(&self) -> String {
        let Self {
            core,
            memory,
            functions,
            imports,
            lowered,
            more,
            uses,
            exports,
        } = self;
        let lifted: String = functions
            .iter()
            .map(|name| {
                format!(
                    r#"(func (export "{name}") (param "n" u64) (result u64)
                        (canon lift (core func $main "{name}")))"#
                )
            })
            .collect();
        format!(
            r#"(component
            {INTERFACES}
            {imports}
            (core module $libc
                (memory (export "memory") {memory})
                ;; What `realloc` gives, if it is not 0.
                (global (export "forced") (mut i32) (i32.const 0))
                (global $next (mut i32) (i32.const 0x10000))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (if (global.get 0) (then (return (global.get 0))))
                    (global.set $next
                        (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.get $next)
                    (global.set $next (i32.add (global.get $next) (local.get 3))))
                (data (i32.const 0) "/object /gate /jobs posix-ipc"))
            (core instance $libc (instantiate $libc))
            (alias core export $libc "memory" (core memory $memory))
            (alias core export $libc "realloc" (core func $realloc))
            {LOWERED}
            {lowered}
            (core module $main
                (import "libc" "memory" (memory {memory}))
                (import "libc" "forced" (global $forced (mut i32)))
                (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
                {uses}
                {CORE}
                {core})
            (core instance $main (instantiate $main
                (with "libc" (instance $libc))
                (with "host" (instance {HOST}))
                (with "more" (instance {more}))))
            {lifted}
            {exports})"#
        )
    }
}

impl Text<'_> {
    /// The component inside another, beside a third one that it imports.
    pub fn component_beside(&self, name: &str, other: &str) -> String {
        let exports: String = self
            .functions
            .iter()
            .map(|name| format!(r#"(export "{name}" (func $guest "{name}"))"#))
            .collect();
        format!(
            r#"(component
            {INTERFACES}
            {other}
            (instance $other (instantiate ${name}))
            (component $guest {})
            (instance $guest (instantiate $guest
                (with "wasi:io/poll@0.2.12" (instance $poll))
                (with "posix:ipc/types@0.1.0" (instance $types))
                (with "posix:ipc/mappings@0.1.0" (instance $mappings))
                (with "posix:ipc/semaphore@0.1.0" (instance $semaphores))
                (with "posix:ipc/shared-memory@0.1.0" (instance $segments))
                (with "posix:ipc/message-queue@0.1.0" (instance $queues))
                (with "{name}" (instance $other))))
            {exports})"#,
            self.component()
                .trim_start_matches("(component")
                .trim_end_matches(')'),
        )
    }
}

const INTERFACES: &str = r#"
(import "wasi:io/poll@0.2.12" (instance $poll (export "pollable" (type (sub resource)))))
(import "posix:ipc/types@0.1.0" (instance $types
    (type $f (flags "create" "exclusive" "truncate"))
    (export "open-flags" (type (eq $f)))
    (type $a (enum "read" "write" "read-write"))
    (export "access" (type (eq $a)))
    (type $e (variant (case "not-permitted") (case "access") (case "exists") (case "no-entry")
        (case "busy") (case "timed-out") (case "cancelled") (case "invalid")
        (case "name-too-long") (case "message-too-long") (case "overflow") (case "no-space")
        (case "quota") (case "closed") (case "truncated") (case "unsupported")
        (case "other" (option string))))
    (export "error-code" (type (eq $e)))))
(alias export $types "open-flags" (type $open-flags))
(alias export $types "access" (type $access))
(alias export $types "error-code" (type $error-code))
(import "posix:ipc/mappings@0.1.0" (instance $mappings
    (export "mapping" (type $mapping (sub resource)))
    (export "[method]mapping.address" (func (param "self" (borrow $mapping)) (result u64)))))
(alias export $mappings "mapping" (type $mapping))
(import "posix:ipc/semaphore@0.1.0" (instance $semaphores
    (alias outer 1 $open-flags (type $f')) (export "open-flags" (type $f (eq $f')))
    (alias outer 1 $error-code (type $e')) (export "error-code" (type $e (eq $e')))
    (alias outer 1 $mapping (type $w')) (export "mapping" (type $w (eq $w')))
    (export "semaphore" (type $semaphore (sub resource)))
    (export "[static]semaphore.open" (func (param "name" string) (param "flags" $f)
        (param "mode" u32) (param "initial-value" u32)
        (result (result (own $semaphore) (error $e)))))
    (export "[method]semaphore.map" (func (param "self" (borrow $semaphore))
        (param "probe" (list u8)) (result (result (own $w) (error $e)))))))
(import "posix:ipc/shared-memory@0.1.0" (instance $segments
    (alias outer 1 $open-flags (type $f')) (export "open-flags" (type $f (eq $f')))
    (alias outer 1 $access (type $a')) (export "access" (type $a (eq $a')))
    (alias outer 1 $error-code (type $e')) (export "error-code" (type $e (eq $e')))
    (alias outer 1 $mapping (type $w')) (export "mapping" (type $w (eq $w')))
    (export "segment" (type $segment (sub resource)))
    (export "[static]segment.open" (func (param "name" string) (param "flags" $f)
        (param "mode" u32) (param "size" (option u64)) (param "access" $a)
        (result (result (own $segment) (error $e)))))
    (export "[method]segment.name" (func (param "self" (borrow $segment)) (result string)))
    (export "[method]segment.size" (func (param "self" (borrow $segment))
        (result (result u64 (error $e)))))
    (export "[method]segment.read" (func (param "self" (borrow $segment)) (param "offset" u64)
        (param "length" u64) (result (result (list u8) (error $e)))))
    (export "[method]segment.write" (func (param "self" (borrow $segment)) (param "offset" u64)
        (param "data" (list u8)) (result (result (error $e)))))
    (export "[method]segment.read-into" (func (param "self" (borrow $segment))
        (param "offset" u64) (param "buffer" (list u8)) (result (result u64 (error $e)))))
    (export "[method]segment.map" (func (param "self" (borrow $segment))
        (param "probe" (list u8)) (param "offset" u64) (param "length" u64) (param "access" $a)
        (result (result (own $w) (error $e)))))))
(import "posix:ipc/message-queue@0.1.0" (instance $queues
    (alias outer 1 $open-flags (type $f')) (export "open-flags" (type $f (eq $f')))
    (alias outer 1 $access (type $a')) (export "access" (type $a (eq $a')))
    (alias outer 1 $error-code (type $e')) (export "error-code" (type $e (eq $e')))
    (type $l' (record (field "max-messages" u32) (field "max-message-size" u32)))
    (export "queue-limits" (type $l (eq $l')))
    (type $m' (record (field "payload" (list u8)) (field "priority" u32)))
    (export "message" (type $m (eq $m')))
    (export "queue" (type $queue (sub resource)))
    (export "[static]queue.open" (func (param "name" string) (param "flags" $f)
        (param "mode" u32) (param "access" $a) (param "limits" (option $l))
        (result (result (own $queue) (error $e)))))
    (export "[method]queue.send" (func (param "self" (borrow $queue)) (param "payload" (list u8))
        (param "priority" u32) (param "timeout" (option u64)) (result (result (error $e)))))
    (export "[method]queue.receive" (func (param "self" (borrow $queue))
        (param "timeout" (option u64)) (result (result $m (error $e)))))
    (export "[method]queue.send-batch" (func (param "self" (borrow $queue))
        (param "messages" (list $m)) (param "timeout" (option u64))
        (result (result u32 (error $e)))))))
(alias export $semaphores "semaphore" (type $semaphore))
(alias export $segments "segment" (type $segment))
(alias export $queues "queue" (type $queue))
"#;

const LOWERED: &str = r#"
(core func $open (canon lower (func $segments "[static]segment.open") (memory $memory) (realloc $realloc)))
(core func $name (canon lower (func $segments "[method]segment.name") (memory $memory) (realloc $realloc)))
(core func $size (canon lower (func $segments "[method]segment.size") (memory $memory) (realloc $realloc)))
(core func $read (canon lower (func $segments "[method]segment.read") (memory $memory) (realloc $realloc)))
(core func $write (canon lower (func $segments "[method]segment.write") (memory $memory) (realloc $realloc)))
(core func $read-into (canon lower (func $segments "[method]segment.read-into") (memory $memory) (realloc $realloc)))
(core func $map (canon lower (func $segments "[method]segment.map") (memory $memory) (realloc $realloc)))
(core func $address (canon lower (func $mappings "[method]mapping.address") (memory $memory)))
(core func $unmap (canon resource.drop $mapping))
(core func $close (canon resource.drop $segment))
(core func $open-gate (canon lower (func $semaphores "[static]semaphore.open") (memory $memory) (realloc $realloc)))
(core func $map-gate (canon lower (func $semaphores "[method]semaphore.map") (memory $memory) (realloc $realloc)))
(core func $open-queue (canon lower (func $queues "[static]queue.open") (memory $memory) (realloc $realloc)))
(core func $send (canon lower (func $queues "[method]queue.send") (memory $memory) (realloc $realloc)))
(core func $receive (canon lower (func $queues "[method]queue.receive") (memory $memory) (realloc $realloc)))
(core func $send-batch (canon lower (func $queues "[method]queue.send-batch") (memory $memory) (realloc $realloc)))
"#;

const HOST: &str = r#"
(export "open" (func $open)) (export "name" (func $name)) (export "size" (func $size))
(export "read" (func $read)) (export "write" (func $write))
(export "read-into" (func $read-into)) (export "map" (func $map))
(export "address" (func $address)) (export "unmap" (func $unmap)) (export "close" (func $close))
(export "open-gate" (func $open-gate)) (export "map-gate" (func $map-gate))
(export "open-queue" (func $open-queue)) (export "send" (func $send))
(export "receive" (func $receive)) (export "send-batch" (func $send-batch))
"#;

/// The functions of the host take the address of their result last. 512 is for it.
const CORE: &str = r#"
(import "host" "open" (func $open (param i32 i32 i32 i32 i32 i64 i32 i32)))
(import "host" "name" (func $name (param i32 i32)))
(import "host" "size" (func $size (param i32 i32)))
(import "host" "read" (func $read (param i32 i64 i64 i32)))
(import "host" "write" (func $write (param i32 i64 i32 i32 i32)))
(import "host" "read-into" (func $read-into (param i32 i64 i32 i32 i32)))
(import "host" "map" (func $host-map (param i32 i32 i32 i64 i64 i32 i32)))
(import "host" "address" (func $address (param i32) (result i64)))
(import "host" "unmap" (func $unmap (param i32)))
(import "host" "close" (func $close (param i32)))
(import "host" "open-gate" (func $open-gate (param i32 i32 i32 i32 i32 i32)))
(import "host" "map-gate" (func $map-gate (param i32 i32 i32 i32)))
(import "host" "open-queue" (func $open-queue (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(import "host" "send" (func $send (param i32 i32 i32 i32 i32 i64 i32)))
(import "host" "receive" (func $receive (param i32 i32 i64 i32)))
(import "host" "send-batch" (func $send-batch (param i32 i32 i32 i32 i64 i32)))

(global $segment (mut i32) (i32.const 0))
(global $mapping (mut i32) (i32.const 0))

;; The value of a result of the host, or the end.
(func $check (result i32)
    (if (i32.load8_u (i32.const 512)) (then unreachable))
    (i32.load (i32.const 516)))
(func $open-object (param $access i32)
    (if (global.get $segment) (then (return)))
    (call $open (i32.const 0) (i32.const 7) (i32.const 0) (i32.const 0)
        (i32.const 0) (i64.const 0) (local.get $access) (i32.const 512))
    (global.set $segment (call $check)))
;; Maps the object from its start.
(func $map (param $length i64) (param $access i32) (result i32)
    (call $open-object (local.get $access))
    (call $host-map (global.get $segment) (i32.const 0) (i32.const 1)
        (i64.const 0) (local.get $length) (local.get $access) (i32.const 512))
    (global.set $mapping (call $check))
    (i32.wrap_i64 (call $address (global.get $mapping))))
(func $open-jobs (result i32)
    (call $open-queue (i32.const 14) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 2)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))
    (call $check))
"#;

/// Ends a guest that loops for ever, if a test does not.
pub fn end_after(engine: &Engine, limit: Duration) -> Arc<Mutex<()>> {
    let done = Arc::new(Mutex::new(()));
    let (engine, watch) = (engine.clone(), Arc::downgrade(&done));
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        if watch.upgrade().is_some() {
            for _ in 0..1_000_001 {
                engine.increment_epoch();
            }
        }
    });
    done
}
