//! The tool that follows system calls.

use super::cannot_run;
use std::path::PathBuf;
use std::process::Command;

/// The program, in PATH or where `tools/setup-guests` has put it.
pub fn strace() -> PathBuf {
    let find = r#"
        tools="${POSIX_IPC_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/posix-ipc/tools}"
        if [ -r "$tools/env.sh" ]; then . "$tools/env.sh"; fi
        strace=$(command -v "${POSIX_IPC_STRACE:-strace}") && "$strace" -qq true >&2 && printf %s "$strace"
    "#;
    let output = Command::new("sh").args(["-c", find]).output().unwrap();
    if output.status.success() {
        return String::from_utf8(output.stdout).unwrap().into();
    }
    cannot_run("there is no strace, or it may not trace; `make test` sets it up")
}
