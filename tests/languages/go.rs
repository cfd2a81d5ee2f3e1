//! Guests written in Go, built by the stock compiler.

use crate::support::manual::Example;
use crate::support::program::{guest_go, native_c};
use crate::support::{Names, repository, scratch_file};

#[test]
fn every_kind_within_a_guest() {
    let Some(guest) = guest_go(&repository().join("tests/go/kinds")) else {
        return;
    };
    let names = Names::new();
    let output = guest.start(&names, ["self", &names.start()]).output();
    assert_eq!(output, "semaphores\nsegments\nqueues\nlimits\ndone\n");
    assert_eq!(names.existing(), [""; 0]);
}

#[test]
fn every_kind_with_a_native_peer() {
    let Some(guest) = guest_go(&repository().join("tests/go/kinds")) else {
        return;
    };
    let peer = native_c(&repository().join("tests/go/peer.c"));
    let names = Names::new();
    names.name("asked");
    names.name("answers");
    let running = guest.start(&names, ["peer", &names.start()]);
    let peer = peer.start(&names, [&names.start()]).output();
    assert_eq!(running.output(), "done\n");
    // Each number from 1 to 200 once, and nothing of the peer's own lost.
    assert_eq!(peer, "total 20100\n");
}

#[test]
fn memory_grows_and_is_collected() {
    let Some(guest) = guest_go(&repository().join("tests/go/kinds")) else {
        return;
    };
    let names = Names::new();
    let output = guest.start(&names, ["heap"]).output();
    assert_eq!(output, "total 13369344000\ndone\n");
}

#[test]
fn calls_beside_the_collector() {
    let Some(guest) = guest_go(&repository().join("tests/go/kinds")) else {
        return;
    };
    let names = Names::new();
    names.name("queue");
    let output = guest.start(&names, ["churn", &names.start()]).output();
    assert_eq!(output, "churned\ndone\n");
}

#[test]
fn the_program_of_the_manual_runs() {
    let program = Example::only(&repository().join("guest-sdk/go/README.md"), "go");
    let source = scratch_file("go-manual/main.go", &program.text);
    scratch_file("go-manual/go.mod", "module manual\n\ngo 1.24\n");
    let Some(guest) = guest_go(source.parent().unwrap()) else {
        return;
    };
    super::program_of_a_manual(&guest);
}
