//! Counts of a guest and a native process, which lose nothing.

use super::harness::{Guest, Host, Object, Process, Text, long};
use std::sync::atomic::Ordering::SeqCst;

fn rounds() -> u64 {
    if long() { 20_000_000 } else { 2_000_000 }
}

/// Each counts up to its argument in the word at the start of the mapping.
const COUNT: Text<'_> = Text {
    core: r#"
    (func (export "map") (param i64) (result i64)
        (i64.extend_i32_u (call $map (i64.const 4096) (i32.const 2))))
    (func (export "add-u32") (param $n i64) (result i64)
        (loop $again
            (drop (i32.atomic.rmw.add (i32.const 0xC0000000) (i32.const 1)))
            (local.set $n (i64.sub (local.get $n) (i64.const 1)))
            (br_if $again (i64.ne (local.get $n) (i64.const 0))))
        (local.get $n))
    (func (export "add-u64") (param $n i64) (result i64)
        (loop $again
            (drop (i64.atomic.rmw.add offset=0xC0000000 (i32.const 0) (i64.const 1)))
            (local.set $n (i64.sub (local.get $n) (i64.const 1)))
            (br_if $again (i64.ne (local.get $n) (i64.const 0))))
        (local.get $n))
    (func (export "exchange-u32") (param $n i64) (result i64)
        (local $old i32)
        (loop $again
            (local.set $old (i32.atomic.load (i32.const 0xC0000000)))
            (br_if $again (i32.ne (local.get $old)
                (i32.atomic.rmw.cmpxchg (i32.const 0xC0000000)
                    (local.get $old) (i32.add (local.get $old) (i32.const 1)))))
            (local.set $n (i64.sub (local.get $n) (i64.const 1)))
            (br_if $again (i64.ne (local.get $n) (i64.const 0))))
        (local.get $n))
    (func (export "exchange-u64") (param $n i64) (result i64)
        (local $old i64)
        (loop $again
            (local.set $old (i64.atomic.load offset=0xC0000000 (i32.const 0)))
            (br_if $again (i64.ne (local.get $old)
                (i64.atomic.rmw.cmpxchg offset=0xC0000000 (i32.const 0)
                    (local.get $old) (i64.add (local.get $old) (i64.const 1)))))
            (local.set $n (i64.sub (local.get $n) (i64.const 1)))
            (br_if $again (i64.ne (local.get $n) (i64.const 0))))
        (local.get $n))
    ;; Waits for a number at the end of the mapping.
    (func (export "wait") (param $n i64) (result i64)
        (loop $again
            (br_if $again
                (i64.ne (i64.atomic.load offset=0xC0000FF8 (i32.const 0)) (local.get $n))))
        (local.get $n))"#,
    functions: &[
        "map",
        "add-u32",
        "add-u64",
        "exchange-u32",
        "exchange-u64",
        "wait",
    ],
    ..Text::NONE
};

fn guest(host: &Host, object: &Object) -> Guest {
    let grant = format!("shm:{}::/object,map", object.name);
    let mut guest = host.guest(&COUNT.component(), &[&grant]);
    guest.call("map", 0).unwrap();
    guest
}

/// A guest and a native process count at the same time: both start when the process
/// says so, and neither is done before the other has begun.
fn count(function: &str, native: impl Fn(&Object, u64)) {
    let object = Object::new(4096);
    let mut guest = guest(&Host::new(), &object);
    let rounds = rounds();
    let process = Process::start(|| {
        object.u64(4088).store(1, SeqCst);
        native(&object, rounds);
    });
    guest.call("wait", 1).unwrap();
    guest.call(function, rounds).unwrap();
    process.join();
    assert_eq!(object.u64(0).load(SeqCst), 2 * rounds, "{function}");
}

#[test]
fn u32_add() {
    count("add-u32", |object, rounds| {
        for _ in 0..rounds {
            object.u32(0).fetch_add(1, SeqCst);
        }
    });
}

#[test]
fn u64_add() {
    count("add-u64", |object, rounds| {
        for _ in 0..rounds {
            object.u64(0).fetch_add(1, SeqCst);
        }
    });
}

#[test]
fn u32_compare_exchange() {
    count("exchange-u32", |object, rounds| {
        let more = |old: u32| Some(old + 1);
        for _ in 0..rounds {
            object.u32(0).fetch_update(SeqCst, SeqCst, more).unwrap();
        }
    });
}

#[test]
fn u64_compare_exchange() {
    count("exchange-u64", |object, rounds| {
        let more = |old: u64| Some(old + 1);
        for _ in 0..rounds {
            object.u64(0).fetch_update(SeqCst, SeqCst, more).unwrap();
        }
    });
}

#[test]
fn two_guests_in_two_threads() {
    let (host, object) = (Host::new(), Object::new(4096));
    let rounds = rounds();
    std::thread::scope(|scope| {
        for function in ["add-u32", "exchange-u32"] {
            let mut guest = guest(&host, &object);
            scope.spawn(move || guest.call(function, rounds).unwrap());
        }
    });
    assert_eq!(object.u64(0).load(SeqCst), 2 * rounds);
}
