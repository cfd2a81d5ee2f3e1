//! The same in Python: natively with the module `posix_ipc`, and as a guest.

use crate::native::{World, name};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A process that runs the script.
pub struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// The same script three times.
pub struct Pythons {
    /// By the interpreter that has the module, if there is one.
    pub native: Option<Python>,
    /// As a guest, and as one that may map objects, if the runtime is built.
    pub guest: Option<Python>,
    pub mapping: Option<Python>,
}

impl Pythons {
    pub fn start(world: &World) -> Self {
        Self {
            native: Python::start(world),
            guest: Python::start_guest(world, ""),
            mapping: Python::start_guest(world, ",map"),
        }
    }
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/python.py");

/// The folder of the component that runs scripts, if it is built.
pub fn runtimes() -> Option<&'static Path> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/runtimes"));
    folder.join("python.wasm").exists().then_some(folder)
}

impl Python {
    fn start(world: &World) -> Option<Self> {
        let mut command = Command::new(std::env::var_os("POSIX_IPC_BENCH_PYTHON")?);
        command.arg(SCRIPT);
        Some(Self::run(world, command))
    }

    fn start_guest(world: &World, map: &str) -> Option<Self> {
        let runtimes = runtimes()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_posix-ipc"));
        command.env("POSIX_IPC_RUNTIMES", runtimes).arg("run");
        for (kind, what, uses) in [
            ("--sem", "gate", map),
            ("--shm", "object", map),
            ("--mq", "jobs", ""),
            ("--sem", "new", ",own"),
            ("--shm", "new", ",own"),
            ("--mq", "new", ",own"),
        ] {
            command.args([kind, &format!("{}{uses}", name(what))]);
        }
        command.arg(SCRIPT);
        Some(Self::run(world, command))
    }

    /// The world must be there: it has what the script opens.
    fn run(_: &World, mut command: Command) -> Self {
        let names = ["gate", "jobs", "object", "new"].map(|what| format!("{what}={}", name(what)));
        let mut child = command
            .args(names)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("POSIX_IPC_BENCH_PYTHON is an interpreter");
        let input = child.stdin.take().expect("is piped");
        let output = BufReader::new(child.stdout.take().expect("is piped"));
        let mut python = Self {
            child,
            input,
            output,
        };
        let ready = python.line();
        assert_eq!(ready, "ready", "the interpreter has the module posix_ipc");
        python
    }

    pub fn sample(&mut self, what: &str, count: u64, size: usize) -> Duration {
        writeln!(self.input, "{what} {count} {size}").expect("the script reads");
        let nanoseconds = self.line().parse().expect("a number");
        Duration::from_nanos(nanoseconds)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the script writes");
        line.trim().into()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
