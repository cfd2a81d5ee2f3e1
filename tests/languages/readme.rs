//! The programs of the front page, one in each language, and each does the same.

use crate::support::manual::Example;
use crate::support::program::{Program, guest_c, guest_go, guest_rust};
use crate::support::scripts::Runtime;
use crate::support::{Ended, Folder, Names, Native, repository, scratch_file};
use std::path::PathBuf;
use std::process::Command;

fn program(language: &str) -> String {
    Example::only(&repository().join("README.md"), language).text
}

/// A file in a folder of its own, at the same place each time: what has been compiled is
/// found again.
fn file(path: &str, text: &str) -> PathBuf {
    scratch_file(&format!("readme/{path}"), text)
}

/// Has a native program beside it, under the names that the page has.
#[track_caller]
fn works(start: impl FnOnce(&[&str]) -> Command) {
    let names = Names::new();
    let (gate, jobs) = (names.name("gate"), names.name("jobs"));
    let _peer = Native::set_up(&[
        format!("g = sem.open {gate} create value=1"),
        format!("j = mq.open {jobs} create limits=1x64"),
        "mq.send j a\\sjob:3".to_owned(),
    ]);
    let options = [
        "--sem",
        &format!("{gate}::/gate,wait"),
        "--mq",
        &format!("{jobs}::/jobs,recv"),
    ];
    let ended = Ended::of(&mut start(&options));
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    assert_eq!(ended.stdout, "5 bytes with priority 3\n");
}

#[track_caller]
fn component_works(guest: Option<Program>) {
    if let Some(guest) = guest {
        works(|options| guest.command(options));
    }
}

#[track_caller]
fn script_works(runtime: &str, file: &str, language: &str) {
    if let Some(runtime) = Runtime::find(runtime) {
        let folder = Folder::new();
        let script = folder.file(file, program(language));
        works(|options| runtime.command(options, &script, &[]));
    }
}

#[test]
fn python() {
    script_works("python", "worker.py", "python");
}

#[test]
fn javascript() {
    script_works("js", "worker.js", "js");
}

#[test]
fn rust() {
    let sdk = repository().join("guest-sdk/rust");
    let manifest = format!(
        "[package]\nname = \"worker\"\nedition = \"2024\"\n\
         [dependencies]\nposix-ipc-guest = {{ path = {sdk:?} }}\n[workspace]\n"
    );
    let manifest = file("rust/Cargo.toml", &manifest);
    file("rust/src/main.rs", &program("rust"));
    component_works(guest_rust(manifest.parent().unwrap()));
}

#[test]
fn c() {
    component_works(guest_c(&file("worker.c", &program("c"))));
}

#[test]
fn go() {
    let module = file("go/go.mod", "module worker\n\ngo 1.24\n");
    file("go/main.go", &program("go"));
    component_works(guest_go(module.parent().unwrap()));
}
