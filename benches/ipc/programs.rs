//! The same by programs in other languages: natively, and as guests of `posix-ipc run`.

use crate::native::{World, name};
use crate::who::Who;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A process that does what it reads and says how long that took.
struct Program {
    who: Who,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// All of them that can be had.
pub struct Programs {
    running: Vec<Program>,
    /// Who is not there, and what would help.
    pub missing: Vec<String>,
}

impl Programs {
    pub fn start(world: &World) -> Self {
        let mut programs = Self {
            running: Vec::new(),
            missing: Vec::new(),
        };
        for who in Who::ALL {
            match command(who) {
                None => {}
                Some(Ok(command)) => programs.running.push(Program::run(world, who, command)),
                Some(Err(cure)) => {
                    let missing = format!("{} was skipped: {cure}", who.word());
                    programs.missing.push(missing);
                }
            }
        }
        programs
    }

    /// Lets one do something so often; none if there is no such program, or it does no such
    /// thing.
    pub fn sample(&mut self, who: Who, what: &str, count: u64, size: usize) -> Option<Duration> {
        let program = self.running.iter_mut().find(|program| program.who == who)?;
        writeln!(program.input, "{what} {count} {size}").expect("the program reads");
        match &*program.line() {
            "-" => None,
            nanoseconds => Some(Duration::from_nanos(
                nanoseconds.parse().expect("nanoseconds"),
            )),
        }
    }
}

/// A file of this repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file that has to be built.
fn built(path: &str) -> Result<PathBuf, &'static str> {
    let file = file(path);
    let there = file.exists().then_some(file);
    there.ok_or("`make bench` builds it")
}

/// The C program as a guest, and the Go program.
pub fn c_guest() -> Result<PathBuf, &'static str> {
    built("target/guests/bench/c.wasm")
}

pub fn go_guest() -> Result<PathBuf, &'static str> {
    built("target/guests/bench/go.wasm")
}

/// The folder of the components that run scripts, if they are built.
pub fn runtimes() -> Result<PathBuf, &'static str> {
    built("target/runtimes/python.wasm")?;
    built("target/runtimes/js.wasm")?;
    Ok(file("target/runtimes"))
}

/// What starts a program, or what it lacks.
fn command(who: Who) -> Option<Result<Command, &'static str>> {
    let script = |path| Ok(file(path));
    let command = match who {
        Who::Native | Who::Call | Who::Mapping => return None,
        Who::C => built("target/guests/bench/c").map(Command::new),
        Who::Python => std::env::var_os("POSIX_IPC_BENCH_PYTHON")
            .ok_or("set POSIX_IPC_BENCH_PYTHON to an interpreter that has posix_ipc")
            .map(|python| {
                let mut command = Command::new(python);
                command.arg(file("benches/python.py"));
                command
            }),
        Who::CCall | Who::CMapping => c_guest().and_then(|guest| run(who, guest)),
        Who::GoCall => go_guest().and_then(|guest| run(who, guest)),
        Who::PythonCall | Who::PythonMapping => {
            script("benches/python.py").and_then(|script| run(who, script))
        }
        Who::JsCall | Who::JsMapping => {
            script("benches/js.mjs").and_then(|script| run(who, script))
        }
    };
    Some(command.map(|mut command| {
        for what in ["gate", "jobs", "object", "new"] {
            command.arg(format!("{what}={}", name(what)));
        }
        let maps = who.maps() || who == Who::C;
        command.arg(if maps { "mapping=yes" } else { "mapping=no" });
        command
    }))
}

/// What runs a guest.
fn run(who: Who, guest: PathBuf) -> Result<Command, &'static str> {
    let map = if who.maps() { ",map" } else { "" };
    let mut command = Command::new(env!("CARGO_BIN_EXE_posix-ipc"));
    command.env("POSIX_IPC_RUNTIMES", runtimes()?).arg("run");
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
    command.arg(guest);
    Ok(command)
}

impl Program {
    /// The world must be there: it has what the program opens.
    fn run(_: &World, who: Who, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take().expect("is piped");
        let output = BufReader::new(child.stdout.take().expect("is piped"));
        let mut program = Self {
            who,
            child,
            input,
            output,
        };
        let ready = program.line();
        assert_eq!(ready, "ready", "{command:?} starts");
        program
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .expect("the program writes");
        line.trim().into()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
