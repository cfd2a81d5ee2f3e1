//! Scripts, run natively and by the runtime components.

use super::runtimes::runtime;
use super::{Ended, Names, cannot_run, posix_ipc};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The runtime of a language, `python` or `js`. Where there is no tool chain for it, the
/// test fails and says so:
///
/// ```ignore
/// let python = Runtime::find("python");
/// ```
#[derive(Clone)]
pub struct Runtime {
    folder: PathBuf,
}

impl Runtime {
    pub fn find(language: &str) -> Self {
        match runtime(language) {
            Ok(folder) => Self { folder },
            Err(why) => cannot_run(&format!(
                "there is no runtime for {language}; `make test` sets up what it takes: {why}"
            )),
        }
    }

    /// Where it is: `POSIX_IPC_RUNTIMES` for the command.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `posix-ipc run FLAGS SCRIPT ARGUMENTS`.
    pub fn command(&self, flags: &[&str], script: &Path, arguments: &[&str]) -> Command {
        let mut command = posix_ipc();
        command
            .env("POSIX_IPC_RUNTIMES", &self.folder)
            .arg("run")
            .args(flags)
            .arg(script)
            .args(arguments);
        command
    }

    /// Runs a script to its end.
    pub fn run(&self, flags: &[&str], script: &Path, arguments: &[&str]) -> Ended {
        Ended::of(&mut self.command(flags, script, arguments))
    }
}

/// A native Python that has the module `posix_ipc`.
pub fn native_python() -> PathBuf {
    let find = r#"
        tools="${POSIX_IPC_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/posix-ipc/tools}"
        if [ -r "$tools/env.sh" ]; then . "$tools/env.sh"; fi
        "${POSIX_IPC_PEER_PYTHON:-python3}" -c 'import sys, posix_ipc; print(sys.executable)'
    "#;
    let output = Command::new("sh").args(["-c", find]).output().unwrap();
    if output.status.success() {
        let python = String::from_utf8(output.stdout).unwrap();
        python.trim().into()
    } else {
        cannot_run("there is no native Python with posix_ipc; `make test` sets it up")
    }
}

/// The flags that give a guest all of the names, of every kind, and tell it of them.
pub fn all_of(names: &Names) -> Vec<String> {
    let prefix = format!("POSIX_IPC_PREFIX={}.", names.start());
    let mut flags = names.owned();
    flags.extend(["--env".into(), prefix]);
    flags
}
