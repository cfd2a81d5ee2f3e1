//! What the system has, and how much of it.

use super::Finding;
use crate::guest::Guest;
use crate::output::rounded;
use crate::run::{End, execute};
use crate::{engine, guest};
use anyhow::{Result, anyhow};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mqueue::{MQ_OFlag, MqAttr, mq_open, mq_unlink};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::Mode;
use nix::sys::statvfs::statvfs;
use wasmtime::Store;
use wasmtime::component::Component;
use wasmtime_posix_ipc::{IpcCtx, IpcHost, WaitStrategy, limit_store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::CommandPre;

const SECTION: &str = "machine";

/// Where shared memory and semaphores are.
const MEMORY: &str = "/dev/shm";

/// As many open files as a guest may have handles, and some for the host.
const FEW_FILES: u64 = 1024;

/// The kernel's own default.
const USUAL_MAPS: u64 = 65530;

/// So little shared memory is no room for a guest's 64 MiB.
const LITTLE_MEMORY: u64 = 64 << 20;

pub fn findings() -> Vec<Finding> {
    let mut findings = vec![a_guest_runs()];
    findings.extend(shared_memory());
    findings.extend(queues());
    findings.extend([open_files(), memory_maps(), waits()]);
    findings
}

fn ok(check: &'static str, found: impl Into<String>) -> Finding {
    Finding::ok(SECTION, check, found)
}

/// A component with a memory that does nothing, successfully.
const NOTHING: &str = r#"(component
    (core module $code (memory 1) (func (export "run") (result i32) (i32.const 0)))
    (core instance $code (instantiate $code))
    (func $run (result (result)) (canon lift (core func $code "run")))
    (instance $command (export "run" (func $run)))
    (export "wasi:cli/run@0.2.12" (instance $command)))"#;

fn a_guest_runs() -> Finding {
    const CHECK: &str = "a guest";
    match run_nothing() {
        Ok(()) => ok(CHECK, "compiles and runs"),
        Err(error) => ok(CHECK, format!("does not run: {error:#}")).error(
            "guests need memory for code, and 4 GiB of addresses each; see `ulimit -v`, \
             `ulimit -d`, and what the container or the system forbids",
        ),
    }
}

fn run_nothing() -> Result<()> {
    let (engine, _) = engine::new(false)?;
    let component = Component::new(&engine, NOTHING).map_err(|error| anyhow!("{error:#}"))?;
    let command = guest::linker(&engine, &component)?
        .instantiate_pre(&component)
        .and_then(CommandPre::new)
        .map_err(|error| anyhow!("{error:#}"))?;
    let ipc = IpcCtx::builder().build(&IpcHost::new())?;
    let mut store = Store::new(&engine, Guest::new(ipc, WasiCtxBuilder::new().build()));
    limit_store(&mut store);
    engine::start_ticking(&engine)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match runtime.block_on(execute(command, store)) {
        End::Exit(0) => Ok(()),
        end => Err(anyhow!(end.reason().unwrap_or_default())),
    }
}

fn shared_memory() -> Vec<Finding> {
    const CHECK: &str = "shared memory";
    const UNNAMED: &str = "files without a name";
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let unnamed = open(MEMORY, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(drop);
    let room = match statvfs(MEMORY) {
        Ok(room) => room,
        Err(error) => {
            return vec![ok(CHECK, format!("{MEMORY}: {error}")).error(
                "semaphores and shared memory live there; `mount -t tmpfs tmpfs /dev/shm` makes it",
            )];
        }
    };
    let block = room.fragment_size();
    let [size, free] = [room.blocks(), room.blocks_available()].map(|blocks| blocks * block);
    let found = format!(
        "{MEMORY} has {}, {} of it free",
        rounded(size),
        rounded(free)
    );
    match unnamed {
        Ok(()) => {
            let few = ok(CHECK, found).note_if(
                free < LITTLE_MEMORY,
                format!(
                    "guests get \"no space\" when it is full; `mount -o remount,size=SIZE {MEMORY}` \
                     makes it larger"
                ),
            );
            vec![few, ok(UNNAMED, format!("{MEMORY} has them (O_TMPFILE)"))]
        }
        Err(Errno::EOPNOTSUPP | Errno::EISDIR) => vec![
            ok(CHECK, found),
            ok(UNNAMED, format!("{MEMORY} has none (O_TMPFILE)")).note(
                "a host that is killed while it creates an object may leave a file \
                 /dev/shm/.posix-ipc.*; nothing else changes",
            ),
        ],
        Err(error) => {
            vec![ok(CHECK, format!("{found}, and nothing can be made there: {error}")).error(
            format!(
                "semaphores and shared memory live there; it has to be a tmpfs with mode 1777, as \
                 after `mount -t tmpfs -o mode=1777 tmpfs {MEMORY}`"
            ),
        )]
        }
    }
}

fn queues() -> Vec<Finding> {
    const CHECK: &str = "message queues";
    let mut findings = vec![match create_queue() {
        Ok(()) => ok(CHECK, "can be created"),
        Err(Errno::ENOSYS) => ok(CHECK, "this kernel has none")
            .error("use a kernel with message queues (CONFIG_POSIX_MQUEUE)"),
        Err(Errno::EMFILE | Errno::ENOMEM) => ok(CHECK, "none can be created now").note(
            "the queues of this user take all bytes that they may, or this process may have no \
             more open files; `posix-ipc ls mq` shows the queues, `posix-ipc rm` removes one, \
             `ulimit -q` and `ulimit -n` show the limits",
        ),
        Err(Errno::ENOSPC) => ok(CHECK, "none can be created now").note(
            "the system has the most queues that it may have; `sysctl -w fs.mqueue.queues_max=N` \
             raises that",
        ),
        Err(error) => ok(CHECK, format!("cannot be created: {error}")).note(
            "guests can open queues that exist, if the system lets them; a container or a \
             security module may forbid more",
        ),
    }];
    let [messages, size, most, usual, usual_size] = [
        "msg_max",
        "msgsize_max",
        "queues_max",
        "msg_default",
        "msgsize_default",
    ]
    .map(|name| {
        let text = std::fs::read_to_string(format!("/proc/sys/fs/mqueue/{name}"));
        text.ok().and_then(|text| text.trim().parse::<u64>().ok())
    });
    if let (Some(messages), Some(size), Some(most)) = (messages, size, most) {
        findings.push(ok(
            "size of queues",
            format!(
                "a new one may have {messages} messages of {size} bytes, and the system {most} \
                 queues (fs.mqueue.msg_max, msgsize_max, queues_max)"
            ),
        ));
    }
    let bytes = limit(Resource::RLIMIT_MSGQUEUE);
    // What the kernel counts for each message besides its bytes is less than this.
    const OVERHEAD: u64 = 128;
    let usual = usual.unwrap_or(10) * (usual_size.unwrap_or(8192) + OVERHEAD);
    findings.push(
        ok(
            "bytes in queues",
            format!("{} in all queues of this user (RLIMIT_MSGQUEUE)", shown(bytes)),
        )
        .note_if(
            bytes < usual,
            format!(
                "a queue of the usual size takes {usual}; `prlimit --msgqueue=BYTES COMMAND` raises \
                 the limit"
            ),
        ),
    );
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let place = fields.next()?;
        (fields.next() == Some("mqueue")).then(|| place.to_owned())
    });
    findings.push(match mounted {
        Some(place) => ok("list of queues", format!("mounted at {place}")),
        None => ok("list of queues", "not mounted").note(
            "only root can list queues with `posix-ipc ls`, and other programs cannot; \
             `mkdir -p /dev/mqueue && mount -t mqueue none /dev/mqueue` mounts the list",
        ),
    });
    findings
}

/// Makes a queue, and removes it.
fn create_queue() -> nix::Result<()> {
    let name = format!("/posix-ipc.doctor.{:016x}", rand::random::<u64>());
    let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR | MQ_OFlag::O_CLOEXEC;
    let size = MqAttr::new(0, 1, 8, 0);
    let queue = mq_open(
        name.as_str(),
        flags,
        Mode::S_IRUSR | Mode::S_IWUSR,
        Some(&size),
    )?;
    let unlinked = mq_unlink(name.as_str());
    nix::mqueue::mq_close(queue).and(unlinked)
}

fn open_files() -> Finding {
    let files = limit(Resource::RLIMIT_NOFILE);
    ok(
        "open files",
        format!("{} in a process (RLIMIT_NOFILE)", shown(files)),
    )
    .note_if(
        files < FEW_FILES,
        format!("a guest may meet this limit before its own; `ulimit -n {FEW_FILES}` raises it"),
    )
}

fn memory_maps() -> Finding {
    const CHECK: &str = "memory maps";
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let Some(most) = text.ok().and_then(|text| text.trim().parse::<u64>().ok()) else {
        return ok(CHECK, "the limit of a process is unknown");
    };
    ok(CHECK, format!("{most} in a process (vm.max_map_count)")).note_if(
        most < USUAL_MAPS,
        format!(
            "a process has room for fewer guests and mappings; \
             `sysctl -w vm.max_map_count={USUAL_MAPS}` raises it"
        ),
    )
}

fn waits() -> Finding {
    const CHECK: &str = "waits";
    match WaitStrategy::detected() {
        WaitStrategy::Reactor => ok(CHECK, "the kernel wakes guests (futex_waitv)"),
        _ => ok(
            CHECK,
            "guests look every 5 ms for semaphores and words (no futex_waitv)",
        )
        .note(
            "Linux 5.16 or later wakes them at once; a container may have to allow the call \
             futex_waitv",
        ),
    }
}

/// A limit of this process.
fn limit(resource: Resource) -> u64 {
    getrlimit(resource).map_or(u64::MAX, |(soft, _)| soft)
}

fn shown(limit: u64) -> String {
    match limit {
        libc::RLIM_INFINITY => "any number".into(),
        limit => limit.to_string(),
    }
}
