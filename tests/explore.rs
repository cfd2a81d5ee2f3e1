//! `posix-ipc explore`: wrong programs fail, right ones do not, and a run can be repeated.

use crate::support::program::{Program, guest_c};
use crate::support::{Ended, Folder, posix_ipc, repository, unshared};
use std::path::PathBuf;
use std::process::Command;

/// A guest of the examples.
fn example(name: &str) -> PathBuf {
    let source = repository().join("guest-examples/lab/c").join(name);
    match guest_c(&source) {
        Program::Guest(path) => path,
        other => panic!("{other:?} is no guest"),
    }
}

fn explore(options: &[&str], guests: &[&PathBuf], arguments: &[&str]) -> Ended {
    let mut command = posix_ipc();
    command.arg("explore").args(options).args(guests);
    Ended::of(command.arg("--").args(arguments))
}

#[test]
fn two_locks_in_two_orders_deadlock() {
    let guest = example("two-locks.c");
    for strategy in ["random", "pct", "exhaustive"] {
        let found = explore(&["--strategy", strategy], &[&guest; 2], &["{n}"]);
        assert_eq!(found.code, Some(1), "{found:?}");
        for line in ["sem:/left (acquire)", "sem:/right (acquire)", "deadlock"] {
            assert!(found.stdout.contains(line), "{line}: {found:?}");
        }
    }
    let found = explore(&["--runs", "200"], &[&guest; 2], &["{n}", "right"]);
    assert_eq!(found.code, Some(0), "{found:?}");
    assert!(
        found.stdout.starts_with("no failure in 200 runs"),
        "{found:?}"
    );
}

/// Each of the programs, with how many guests it is for and how it fails.
const PROGRAMS: [(&str, usize, &str); 11] = [
    ("two-locks.c", 2, "deadlock"),
    ("lost-wakeup.c", 2, "deadlock"),
    ("full-queue.c", 2, "deadlock"),
    ("initial-value.c", 2, "deadlock"),
    ("check-then-act.c", 2, "exit"),
    ("overtaken.c", 2, "exit"),
    ("upgrade.c", 2, "deadlock"),
    ("barrier.c", 2, "exit"),
    ("dead-worker.c", 3, "deadlock"),
    ("counter.c", 2, "exit"),
    ("ring.c", 2, "exit"),
];

#[test]
fn wrong_programs_fail_and_right_ones_do_not() {
    for (name, guests, failure) in PROGRAMS {
        let guest = example(name);
        let guests = vec![&guest; guests];
        let found = explore(&["--runs", "5000"], &guests, &["{n}"]);
        assert_eq!(found.code, Some(1), "{name}: {found:?}");
        assert!(
            found.stdout.to_lowercase().contains(failure),
            "{name}: {found:?}"
        );
        let found = explore(&["--runs", "200"], &guests, &["{n}", "right"]);
        assert_eq!(found.code, Some(0), "{name}: {found:?}");
        assert!(
            found.stdout.starts_with("no failure in 200 runs"),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn a_recording_is_repeated_and_another_guest_is_refused() {
    let guest = example("two-locks.c");
    let folder = Folder::new();
    let copy = folder.file("guest.wasm", std::fs::read(&guest).unwrap());
    let recording = folder.path().join("deadlock.json");
    let save = ["--save", recording.to_str().unwrap()];
    let found = explore(&save, &[&copy; 2], &["{n}"]);
    assert_eq!(found.code, Some(1), "{found:?}");

    let replay = || Ended::of(posix_ipc().arg("explore").arg("--replay").arg(&recording));
    let (first, second) = (replay(), replay());
    assert_eq!(first.code, Some(1), "{first:?}");
    assert_eq!(first.stdout, second.stdout);
    assert!(first.stdout.contains("deadlock"), "{first:?}");

    folder.file("guest.wasm", b"another");
    let refused = replay();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("has changed"), "{refused:?}");
}

#[test]
fn a_seed_gives_the_same_search_each_time() {
    let guest = example("two-locks.c");
    let search = |seed| {
        let found = explore(&["--seed", seed], &[&guest; 2], &["{n}"]);
        // How fast it was is not repeated.
        let line = found.stdout.lines().next().unwrap();
        let run = line.split(" (").next().unwrap().to_owned();
        let rest = found.stdout.lines().skip(1).map(str::to_owned);
        std::iter::once(run).chain(rest).collect::<Vec<_>>()
    };
    assert_eq!(search("7"), search("7"));
    assert_ne!(search("7"), search("1000"));
}

/// Guests that wait for each other have created objects, which nobody unlinks.
#[test]
fn nothing_is_left_of_a_deadlock() {
    let guest = example("two-locks.c");
    let mut search = posix_ipc();
    search.arg("explore").args([&guest; 2]).args(["--", "{n}"]);
    let mut command = Command::new("sh");
    command.args(["-c", r#""$@"; ls -A /dev/shm"#, "sh"]);
    command.arg(search.get_program()).args(search.get_args());
    let mount = "mount -t tmpfs shm /dev/shm;";
    let mut command = unshared(&["--mount"], mount, &command);
    let ended = Ended::of(&mut command);
    let last = ended.stdout.lines().last();
    assert!(
        last.is_some_and(|line| line.starts_with("deadlock")),
        "{ended:?}"
    );
}
