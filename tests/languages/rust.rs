//! Guests written in Rust: the examples of the SDK, run as each says itself.

use crate::support::program::{Program, guest_rust};
use crate::support::{Ended, Names, Native, Running, repository, scratch};
use std::path::PathBuf;
use std::process::Command;

fn folder() -> PathBuf {
    repository().join("guest-sdk/rust/examples")
}

fn example(name: &str) -> Program {
    // All are built at once.
    let Program::Guest(any) = guest_rust(&folder()) else {
        unreachable!("a guest")
    };
    Program::Guest(any.with_file_name(format!("{name}.wasm")))
}

#[test]
fn futures_wait_for_each_other_in_one_thread() {
    let (own, other) = (example("tasks"), example("executor"));
    let said = own.start_with(["--private"], [""; 0]).output();
    let jobs: String = (0..5).map(|job| format!("job {job}\n")).collect();
    assert_eq!(said, jobs + "all done, and more: false\n");
    let said = other.start_with(["--private"], [""; 0]).output();
    let turns = (1..=3).map(|turn| format!("ping {turn}\npong {turn}\n"));
    assert_eq!(said, turns.collect::<String>());
}

#[test]
fn a_poll_waits_for_either_and_not_for_ever() {
    let guest = example("either");
    let names = Names::new();
    let (orders, stop) = (names.name("orders"), names.name("stop"));
    let mut peer = Native::set_up(&[
        format!("o = mq.open {orders} create limits=2x16"),
        format!("s = sem.open {stop} create"),
    ]);
    let start = |patience| {
        let orders = format!("{orders}::/orders,recv");
        let stop = format!("{stop}::/stop,wait");
        guest.start_with(["--mq", &orders, "--sem", &stop], [patience])
    };
    let mut running = start("600000");
    peer.run("mq.send o tea:0").unwrap();
    assert_eq!(running.line(), "order: tea");
    peer.run("sem.release s").unwrap();
    assert_eq!(running.output(), "order: tea\nstopped\n");
    assert_eq!(start("20").output(), "nothing for 20ms\n");
}

#[test]
fn a_count_of_runs_stays_behind() {
    let guest = example("counter");
    let names = Names::new();
    let runs = format!("{}::/runs,create,keep", names.name("runs"));
    for run in 1..=2 {
        let running: Running = guest.start_with(["--sem", &runs, "--shm", &runs], [""; 0]);
        assert_eq!(running.output(), format!("run {run}\n"));
    }
}

#[test]
fn main_says_what_could_not_be_done() {
    let guest = example("either");
    let ended = guest.start_with(["--private"], [""; 0]).end();
    let said = "Error: cannot open queue /orders: no such object (NoEntry)\n";
    assert_eq!((ended.code, &*ended.stderr), (Some(1), said));
}

#[test]
fn a_program_for_another_target_says_so_when_it_is_built() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--bin", "counter", "--manifest-path"])
        .arg(folder().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(scratch().with_file_name("sdk"));
    let ended = Ended::of(&mut cargo);
    assert_ne!(ended.code, Some(0));
    let said = "posix-ipc-guest is for WebAssembly components: build with --target wasm32-wasip2";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}
