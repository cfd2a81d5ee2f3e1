//! The same in Python with the module `posix_ipc`, if there is one.

use crate::native::{World, name};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

pub struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// The interpreter that has the module.
fn interpreter() -> Option<std::ffi::OsString> {
    std::env::var_os("POSIX_IPC_BENCH_PYTHON")
}

impl Python {
    /// The world must be there: it has what the script opens.
    pub fn start(_: &World) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/python.py");
        let names = ["gate", "jobs", "object", "new"].map(|what| format!("{what}={}", name(what)));
        let mut child = Command::new(interpreter()?)
            .arg(script)
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
        assert_eq!(
            python.line(),
            "ready",
            "POSIX_IPC_BENCH_PYTHON has posix_ipc"
        );
        Some(python)
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
