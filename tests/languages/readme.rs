//! The front page: its programs, one in each language, of which each does the same, and
//! what it says of the command.

use crate::support::manual::Example;
use crate::support::program::{Program, guest_c, guest_go, guest_rust};
use crate::support::scripts::Runtime;
use crate::support::{Ended, Folder, Names, Native, posix_ipc, repository, scratch_file};
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
fn component_works(guest: Program) {
    works(|options| guest.command(options));
}

#[track_caller]
fn script_works(runtime: &str, file: &str, language: &str) {
    let runtime = Runtime::find(runtime);
    let folder = Folder::new();
    let script = folder.file(file, program(language));
    works(|options| runtime.command(options, &script, &[]));
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
    let module = file("go/go.mod", "module worker\n\ngo 1.26\n");
    file("go/main.go", &program("go"));
    component_works(guest_go(module.parent().unwrap()));
}

#[test]
fn every_flag_of_the_command_is_there() {
    let page = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let commands = [
        "run",
        "check",
        "ls",
        "rm",
        "reap",
        "exec",
        "up",
        "sem create",
        "sem post",
        "sem wait",
        "sem value",
        "mq create",
        "mq send",
        "mq recv",
        "shm cat",
        "shm write",
        "wit",
        "doctor",
        "cache",
        "new",
        "types",
    ];
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        let row = page.lines().find(|line| {
            ["` |", " "]
                .iter()
                .any(|end| line.starts_with(&format!("| `{}{end}", words[0])))
        });
        let row = row.unwrap_or_else(|| panic!("{command}"));
        assert!(
            words[1..].iter().all(|word| row.contains(word)),
            "{command}"
        );
        let help = Ended::of(posix_ipc().args(words).arg("--help")).stdout;
        assert!(help.contains("--help"), "{command}: {help}");
        // In the examples are flags of guests.
        let help = help.split("Examples:").next().unwrap_or_default();
        let flags = help
            .split_whitespace()
            .filter(|word| word.starts_with("--"));
        for flag in flags.map(|flag| flag.trim_end_matches(',')) {
            let is_flag = |c: char| c.is_ascii_alphabetic() || c == '-';
            let said = page.match_indices(flag).any(|(start, _)| {
                let rest = &page[start + flag.len()..];
                !rest.starts_with(is_flag)
            });
            assert!(said || flag == "--help", "{command} {flag}");
        }
    }
}
