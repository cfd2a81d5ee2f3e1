//! Handles that a guest does not have.

use super::attack;
use crate::support::{Names, Native, Running, guest};

/// What wasmtime says of a number that is no handle.
fn is_no_handle(stderr: &str) -> bool {
    stderr.contains("unknown handle index") || stderr.contains("handle index")
}

fn a_semaphore(names: &Names) -> (String, Native) {
    let name = names.name("gate");
    let native = Native::set_up(&[format!("s = sem.open {name} create value=3")]);
    (name, native)
}

#[test]
fn the_use_of_a_dropped_handle() {
    let probe = guest("probe");
    let names = Names::new();
    let (name, mut native) = a_semaphore(&names);
    let ended = attack(&probe, &["--sem", &name], &["use-after-drop", &name]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(134), "dropped\n"),
        "{ended:?}"
    );
    assert!(is_no_handle(&ended.stderr), "{ended:?}");
    assert_eq!(native.run("sem.value s"), Ok("3".into()));
}

#[test]
fn a_handle_that_is_dropped_twice() {
    let probe = guest("probe");
    let names = Names::new();
    let (name, _native) = a_semaphore(&names);
    let ended = attack(&probe, &["--sem", &name], &["double-drop", &name]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(134), "dropped\n"),
        "{ended:?}"
    );
    assert!(is_no_handle(&ended.stderr), "{ended:?}");
}

#[test]
fn a_handle_of_another_kind() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("frame");
    let _native = Native::set_up(&[format!("m = shm.open {name} create size=32")]);
    let ended = attack(&probe, &["--shm", &name], &["other-kind", &name]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(134), "opened\n"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("handle index"), "{ended:?}");
}

/// While another guest has handles open, their numbers mean nothing in this one.
#[test]
fn a_handle_of_another_guest() {
    let probe = guest("probe");
    let names = Names::new();
    let (name, mut native) = a_semaphore(&names);
    let mut other = Running::guest(&["--sem", &name], &probe);
    assert_eq!(other.tell(&format!("s = sem.open {name}")), "ok");
    for number in ["0", "1", "2", "3", "7", "1000", "4294967295"] {
        let ended = attack(&probe, &["--sem", &name], &["invented", number]);
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(134), "inventing\n"),
            "{ended:?}"
        );
    }
    assert_eq!(native.run("sem.value s"), Ok("3".into()));
    assert_eq!(other.end().code, Some(0));
}

/// Ten times as many handles as a guest of WASI could lose in good faith.
#[test]
fn a_hundred_thousand_handles_that_are_forgotten() {
    let probe = guest("probe");
    let names = Names::new();
    let (name, mut native) = a_semaphore(&names);
    let ended = attack(&probe, &["--sem", &name], &["forget", &name, "100000"]);
    assert_eq!(ended.lines(), ["256, then quota"], "{ended:?}");

    // Nor where they are allowed: wasmtime's own limits are out of the way.
    let flags = ["--sem", &name, "--max-pollables", "120000"];
    let ended = attack(&probe, &flags, &["forget-pollables", &name, "130000"]);
    assert_eq!(ended.lines(), ["120000, then quota", "ok"], "{ended:?}");
    assert_eq!(native.run("sem.value s"), Ok("4".into()));
}
