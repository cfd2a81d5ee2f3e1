//! Programs that the tests build, natively and for the sandbox, and run side by side.

use super::guest::build_rust;
use super::scripts::{Runtime, native_python};
use super::{Names, Running, cannot_run, posix_ipc, repository, scratch};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// A program that was built.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// One that the system runs.
    Native(PathBuf),
    /// One that another program runs.
    Script(PathBuf, PathBuf),
    /// A component, or a script that a runtime of the command's runs.
    Guest(PathBuf),
}

impl Program {
    /// Starts it. What a native one may do is not asked; a guest may do what it likes
    /// with the names under `names`.
    pub fn start<S: AsRef<OsStr>>(
        &self,
        names: &Names,
        arguments: impl IntoIterator<Item = S>,
    ) -> Running {
        self.start_with(names.owned(), arguments)
    }

    /// Starts it, a guest with these options of `posix-ipc run`.
    pub fn start_with<O: AsRef<OsStr>, S: AsRef<OsStr>>(
        &self,
        options: impl IntoIterator<Item = O>,
        arguments: impl IntoIterator<Item = S>,
    ) -> Running {
        Running::start(self.command(options).args(arguments))
    }

    /// What starts it, without arguments: a guest with these options of `posix-ipc run`.
    pub fn command<O: AsRef<OsStr>>(&self, options: impl IntoIterator<Item = O>) -> Command {
        let mut command = match self {
            Self::Native(program) => Command::new(program),
            Self::Script(interpreter, script) => {
                let mut command = Command::new(interpreter);
                command.arg(script);
                command
            }
            Self::Guest(component) => {
                let mut command = posix_ipc();
                command.arg("run").args(options).arg(component);
                command
            }
        };
        command.stdin(Stdio::null());
        command
    }
}

/// A C program built by the system's compiler.
pub fn native_c(source: &Path) -> Program {
    let program = build(source, "native", |output| {
        let mut command = Command::new("cc");
        command.args(["-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-pthread"]);
        command.arg(source).arg("-o").arg(output).arg("-lrt");
        command
    });
    Program::Native(program.expect("a C compiler is part of every Rust tool chain on Linux"))
}

/// The same program, built for the sandbox.
pub fn guest_c(source: &Path) -> Program {
    let compiler = repository().join("guest-sdk/c/posix-ipc-cc");
    let guest = build(source, "c.wasm", |output| {
        let mut command = Command::new(compiler);
        command.args(["-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-pthread"]);
        command.arg(source).arg("-o").arg(output);
        command
    });
    guest_of(guest, "C")
}

/// A Go program, the main package in a folder, built for the sandbox.
pub fn guest_go(folder: &Path) -> Program {
    let builder = repository().join("guest-sdk/go/posix-ipc-go");
    let guest = build(folder, "go.wasm", |output| {
        let mut command = Command::new(builder);
        command.arg("build").arg("-o").arg(output).arg(folder);
        command
    });
    guest_of(guest, "Go")
}

/// A Rust program, the package in a folder, built for the sandbox.
pub fn guest_rust(folder: &Path) -> Program {
    let target = scratch().with_file_name("guests").join(stem(folder));
    Program::Guest(build_rust(&folder.join("Cargo.toml"), &target, ""))
}

/// A script for the sandbox, in `python` or `js`.
pub fn guest_script(language: &str, script: &Path) -> Program {
    // So that it is there when the script is to run.
    Runtime::find(language);
    Program::Guest(script.to_owned())
}

/// A Python script, run by a native Python that has the module `posix_ipc`.
pub fn peer_python(script: &Path) -> Program {
    Program::Script(native_python(), script.to_owned())
}

fn guest_of(guest: Result<PathBuf, String>, language: &str) -> Program {
    match guest {
        Ok(path) => Program::Guest(path),
        Err(why) => cannot_run(&format!(
            "there is no guest in {language}; `make test` sets up what it takes: {why}"
        )),
    }
}

/// Builds something once in this process. Other processes may build the same at the same
/// time: what is built moves into its place when it is whole.
fn build(
    source: &Path,
    suffix: &str,
    command: impl FnOnce(&Path) -> Command,
) -> Result<PathBuf, String> {
    type Built = HashMap<(PathBuf, String), Result<PathBuf, String>>;
    static BUILT: Mutex<Option<Built>> = Mutex::new(None);
    let mut built = BUILT
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let built = built.get_or_insert_default();
    let key = (source.to_owned(), suffix.to_owned());
    if let Some(done) = built.get(&key) {
        return done.clone();
    }
    let place = scratch().join(format!("{}.{suffix}", stem(source)));
    let fresh = place.with_extension(format!("{:016x}", rand::random::<u64>()));
    let mut command = command(&fresh);
    let done = match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => {
            std::fs::rename(&fresh, &place).unwrap();
            Ok(place)
        }
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            // As of a shell whose command is missing. What is there and fails is a bug.
            assert_eq!(output.status.code(), Some(127), "{command:?}:\n{stderr}");
            Err(stderr.trim().to_owned())
        }
        Err(error) => Err(format!("{command:?}: {error}")),
    };
    built.insert(key, done.clone());
    done
}

/// A name for what is built of something.
fn stem(source: &Path) -> String {
    let path = source.strip_prefix(repository()).unwrap_or(source);
    path.with_extension("").to_string_lossy().replace('/', "-")
}
