//! What the host does while its calls fail: a guest that uses every kind of object in every
//! way, beside objects of somebody else.

use crate::support::scripts::Runtime;
use crate::support::{
    Ended, Folder, Names, Native, Running, exists, guest, posix_ipc, run, scratch_file,
};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `P.` is for the start of a name. Each is allowed.
const LINES: [&str; 34] = [
    "g = sem.open P.gate",
    "sem.acquire g timeout=1000000000",
    "s = sem.open P.s create value=1",
    "sem.try s",
    "sem.acquire s timeout=1000000",
    "sem.release s",
    "sem.unlink P.s",
    "u = sem.unique P.u value=2",
    "sem.try u",
    "m = shm.open P.m create size=64",
    "shm.write m 0 data",
    "shm.read m 0 4",
    "shm.resize m 100000",
    "shm.word m u32 8 add 1",
    "shm.unlink P.m",
    "n = shm.open P.n create size=8",
    "t = shm.open P.n truncate size=4096",
    "close t",
    "f = shm.open P.foreign access=read",
    "shm.read f 0 8",
    "q = mq.open P.q create limits=2x16",
    "n2 = mq.notify q",
    "mq.send q hello",
    "notification.delivered n2",
    "close n2",
    "mq.receive q timeout=0",
    "mq.receive q timeout=1000000",
    "r = mq.open P.q access=read",
    "close r",
    "mq.unlink P.q",
    "k = mq.open P.k create limits=1x8",
    "x = mq.open P.foreign access=read",
    "sem.release g",
    "sem.try g",
];

/// The same in Python, as far as it goes: the start of the names is its argument.
const SCRIPT: &str = r#"
import mmap, posix_ipc, sys
from posix_ipc import MessageQueue, O_CREX, Semaphore, SharedMemory

start = sys.argv[1]


def attempt(what):
    try:
        value = what()
    except (posix_ipc.Error, OSError, MemoryError, ValueError) as error:
        print("error", type(error).__name__)
        return None
    print("ok")
    return value


def each(thing, *steps):
    for step in steps:
        if thing is not None:
            attempt(lambda: step(thing))


gate = attempt(lambda: Semaphore(start + "gate"))
each(gate, lambda gate: gate.acquire(1))
each(
    attempt(lambda: Semaphore(start + "s", O_CREX, initial_value=1)),
    lambda own: own.acquire(0),
    lambda own: own.release(),
    lambda own: own.unlink(),
)
segment = attempt(lambda: SharedMemory(start + "m", O_CREX, size=4096))
if segment is not None:
    each(
        attempt(lambda: mmap.mmap(segment.fd, 4096)),
        lambda bytes: bytes.write(b"data"),
        lambda bytes: bytes[0:4],
        lambda bytes: bytes.close(),
    )
each(segment, lambda segment: segment.close_fd(), lambda segment: segment.unlink())
foreign = attempt(lambda: SharedMemory(start + "foreign", read_only=True))
each(foreign, lambda foreign: foreign.close_fd())
each(
    attempt(lambda: MessageQueue(start + "q", O_CREX, max_messages=2, max_message_size=16)),
    lambda queue: queue.send(b"hello"),
    lambda queue: queue.receive(1),
    lambda queue: queue.unlink(),
    lambda queue: queue.close(),
)
each(gate, lambda gate: gate.release(), lambda gate: gate.acquire(0))
"#;

/// The guest that uses the objects.
pub enum Subject {
    /// The guest `probe`, told what to do by lines.
    Probe(PathBuf),
    Script(Runtime, PathBuf),
}

impl Subject {
    pub fn probe() -> Self {
        Self::Probe(guest("probe"))
    }

    pub fn script() -> Self {
        let script = scratch_file("faults/script.py", SCRIPT);
        Self::Script(Runtime::find("python"), script)
    }
}

/// A machine with what others have on it, and what one host makes and leaves.
pub struct Scenario<'a> {
    names: Names,
    folder: Folder,
    native: Native,
    subject: &'a Subject,
}

impl<'a> Scenario<'a> {
    pub fn new(subject: &'a Subject) -> Self {
        let names = Names::new();
        for queue in ["q", "k"] {
            names.name(queue);
        }
        let mut native = Native::default();
        for line in [
            "g = sem.open P.gate create value=1",
            "m = shm.open P.foreign create size=8",
            "shm.write m 0 foreign!",
            "q = mq.open P.foreign create limits=1x8",
            "mq.send q foreign",
        ] {
            native.run(&expand(line, &names)).unwrap();
        }
        Self {
            names,
            folder: Folder::new(),
            native,
            subject,
        }
    }

    /// The host, started by `strace` with these options. It ends by itself.
    pub fn host(&self, strace: &Path, options: &[&str]) -> Command {
        let grants = [
            format!("--sem={},create", self.names.pattern()),
            format!("--sem={},undo", self.names.name("gate")),
            format!("--shm={},create", self.names.pattern()),
            format!("--mq={},create", self.names.pattern()),
        ];
        let mut flags: Vec<&str> = grants.iter().map(String::as_str).collect();
        flags.extend(["--timeout", "20s"]);
        let host = match self.subject {
            Subject::Probe(probe) => {
                let lines = LINES.map(|line| expand(line, &self.names));
                let mut arguments = vec!["do"];
                arguments.extend(lines.iter().map(String::as_str));
                run(&flags, probe, &arguments)
            }
            Subject::Script(python, script) => {
                python.command(&flags, script, &[&expand("P.", &self.names)])
            }
        };
        let mut traced = Command::new(strace);
        traced.args(["-f", "-qq"]).args(options);
        traced.arg(host.get_program()).args(host.get_args());
        for (key, value) in host.get_envs() {
            if let Some(value) = value {
                traced.env(key, value);
            }
        }
        traced.env("XDG_RUNTIME_DIR", self.folder.path());
        traced.process_group(0);
        traced
    }

    /// How the host ended. If it does not end, the test fails, and nothing of it goes on.
    pub fn end(&self, host: &mut Command) -> Ended {
        struct Group(u32);
        impl Drop for Group {
            fn drop(&mut self) {
                let _ = killpg(Pid::from_raw(self.0 as i32), Signal::SIGKILL);
            }
        }
        let running = Running::start(host);
        let _group = Group(running.id());
        running.end()
    }

    /// The path of a file of its own.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Cleans up after the host, and says what is wrong then. The token of the semaphore
    /// is given back, or lost if that is said to be allowed.
    pub fn problem(&mut self, lost: Option<&mut usize>) -> Option<String> {
        let mut reap = posix_ipc();
        reap.arg("reap").env("XDG_RUNTIME_DIR", self.folder.path());
        let reaped = Ended::of(&mut reap);
        if reaped.code != Some(0) {
            return Some(format!("reap: {reaped:?}"));
        }
        let foreign = [
            format!("mq:{}", self.names.name("foreign")),
            format!("sem:{}", self.names.name("gate")),
            format!("shm:{}", self.names.name("foreign")),
        ];
        if self.names.existing() != foreign {
            return Some(format!("left: {:?}", self.names.existing()));
        }
        let left = std::fs::read_dir(self.folder.path().join("posix-ipc"));
        let left: Vec<_> = left
            .into_iter()
            .flatten()
            .map(|file| file.unwrap().file_name())
            .filter(|name| name != "lock")
            .collect();
        if !left.is_empty() {
            return Some(format!("ledgers: {left:?}"));
        }
        let content = self.native.run("shm.read m 0 8");
        if content.as_deref() != Ok("\"foreign!\"") || !exists("mq", &self.names.name("foreign")) {
            return Some(format!("somebody else's segment: {content:?}"));
        }
        match (self.native.run("sem.value g").as_deref(), lost) {
            (Ok("1"), _) => None,
            (Ok("0"), Some(lost)) => {
                *lost += 1;
                self.native.run("sem.release g").unwrap();
                None
            }
            (value, _) => Some(format!("the semaphore is {value:?}")),
        }
    }
}

fn expand(line: &str, names: &Names) -> String {
    line.replace("P.", &format!("{}.", names.start()))
}
