//! Pollables of all kinds, polled at once and together with a clock.

use crate::support::{Names, Native, Running, guest, run};
use std::process::Stdio;

/// Longer than the test waits for anything: what is ready is not the clock.
const LONG: &str = "100000";

#[test]
fn many_are_polled_at_once_and_say_how_it_is_now() {
    let probe = guest("probe");
    let names = Names::new();
    let (semaphore, queue, full) = (names.name("s"), names.name("q"), names.name("f"));
    let mut native = Native::default();
    for line in [
        format!("s = sem.open {semaphore} create"),
        format!("q = mq.open {queue} create limits=2x8"),
        format!("f = mq.open {full} create limits=1x8"),
        "mq.send f fill".into(),
    ] {
        native.run(&line).unwrap();
    }
    let flags = [
        format!("--sem={semaphore},wait"),
        format!("--mq={queue},recv"),
        format!("--mq={full},send"),
    ];
    let flags = flags.each_ref().map(String::as_str);
    let mut command = run(&flags, &probe, &["poll", &semaphore, &queue, &full]);
    let mut guest = Running::start(command.stdin(Stdio::piped()));
    assert_eq!(guest.line(), "polling");

    assert_eq!(guest.tell("5"), "clock");
    // Each becomes ready while it is waited for, stays so, and ceases to be.
    guest.say(LONG);
    native.run("sem.release s").unwrap();
    assert_eq!(guest.line(), "semaphore");
    assert_eq!(guest.tell(LONG), "semaphore");
    native.run("sem.try s").unwrap();
    assert_eq!(guest.tell("5"), "clock");

    guest.say(LONG);
    native.run("mq.receive f").unwrap();
    assert_eq!(guest.line(), "writable");
    assert_eq!(guest.tell(LONG), "writable");
    native.run("mq.send f fill").unwrap();
    assert_eq!(guest.tell("5"), "clock");

    native.run("mq.send q hello").unwrap();
    assert_eq!(guest.tell(LONG), "readable notified");
    native.run("mq.receive q").unwrap();
    // A notification is for once, and what was told stays told.
    assert_eq!(guest.tell(LONG), "notified");

    native.run("sem.release s").unwrap();
    native.run("mq.receive f").unwrap();
    native.run("mq.send q again").unwrap();
    assert_eq!(guest.tell(LONG), "semaphore readable writable notified");

    // A pollable outlives what it came from.
    assert_eq!(guest.tell("drop"), "dropped");
    assert_eq!(guest.tell(LONG), "semaphore readable writable notified");
    assert_eq!(guest.end().code, Some(0));
}

#[test]
fn a_queue_has_one_notification_in_the_whole_system() {
    let probe = guest("probe");
    let names = Names::new();
    let queue = names.name("q");
    let mut native = Native::default();
    native
        .run(&format!("q = mq.open {queue} create limits=2x8"))
        .unwrap();
    let flag = format!("--mq={queue}");
    let open = format!("q = mq.open {queue}");
    let mut guests = [0, 1].map(|_| Running::guest(&[&flag], &probe));
    for guest in &mut guests {
        assert_eq!(guest.tell(&open), "ok");
    }
    let [one, two] = &mut guests;

    native.run("n = mq.notify q").unwrap();
    assert_eq!(one.tell("n = mq.notify q"), "error busy");
    native.run("close n").unwrap();
    assert_eq!(one.tell("n = mq.notify q"), "ok");
    assert_eq!(two.tell("n = mq.notify q"), "error busy");
    assert!(native.run("n = mq.notify q").is_err());
    // The end of one guest's interest, and of its other handles, is not another's.
    assert_eq!(one.tell("close n"), "ok");
    assert_eq!(two.tell("n = mq.notify q"), "ok");
    assert_eq!(one.tell("close q"), "ok");
    native.run("mq.send q hello").unwrap();
    assert_eq!(two.tell("notification.delivered n"), "ok true");
}
