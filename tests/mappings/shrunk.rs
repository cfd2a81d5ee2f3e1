//! A peer that shrinks an object ends the guest that looks, and nobody else.

use super::harness::{FIRST, Guest, Host, Object, Text, end_after};
use std::time::Duration;

const LOOK: Text<'_> = Text {
    core: r#"
    (func (export "map") (param $length i64) (result i64)
        (i64.extend_i32_u (call $map (local.get $length) (i32.const 2))))
    (func (export "loop") (param $address i64) (result i64)
        (loop $again
            (drop (i32.atomic.load (i32.wrap_i64 (local.get $address))))
            (br $again))
        unreachable)
    (func (export "load") (param $address i64) (result i64)
        (i64.load (i32.wrap_i64 (local.get $address))))
    (func (export "store") (param $address i64) (result i64)
        (i64.store (i32.wrap_i64 (local.get $address)) (i64.const 1))
        (i64.const 0))
    (func (export "add") (param $address i64) (result i64)
        (i64.atomic.rmw.add (i32.wrap_i64 (local.get $address)) (i64.const 1)))
    (func (export "exchange") (param $address i64) (result i64)
        (i64.atomic.rmw.cmpxchg (i32.wrap_i64 (local.get $address)) (i64.const 1) (i64.const 1)))
    (func (export "byte") (param $address i64) (result i64)
        (i64.load8_u (i32.wrap_i64 (local.get $address))))
    (func (export "wide-load") (param $address i64) (result i64)
        (i64x2.extract_lane 0 (v128.load (i32.wrap_i64 (local.get $address)))))
    (func (export "lane") (param $address i64) (result i64)
        (i64x2.extract_lane 0 (v128.load32_lane 0
            (i32.wrap_i64 (local.get $address)) (v128.const i64x2 0 0))))
    (func (export "wide-store") (param $address i64) (result i64)
        (v128.store (i32.wrap_i64 (local.get $address)) (v128.const i64x2 0 0))
        (i64.const 0))"#,
    functions: &[
        "map",
        "loop",
        "load",
        "store",
        "add",
        "exchange",
        "byte",
        "wide-load",
        "lane",
        "wide-store",
    ],
    ..Text::NONE
};

const SIZE: usize = 4 * 4096;

fn mapped(host: &Host, object: &Object) -> Guest {
    let grant = format!("shm:{}::/object,map", object.name);
    let mut guest = host.guest(&LOOK.component(), &[&grant]);
    guest.call("map", SIZE as u64).unwrap();
    guest
}

const SHRUNK: &str = "the object behind the mapping was shrunk by a peer";

#[test]
fn a_guest_that_loops_is_ended_with_the_reason() {
    let (host, object) = (Host::new(), Object::new(SIZE));
    let mut looping = mapped(&host, &object);
    let other_object = Object::new(SIZE);
    let mut other = mapped(&host, &other_object);
    let watch = end_after(&host.engine, Duration::from_secs(60));
    let reason = std::thread::scope(|scope| {
        let thread = scope.spawn(|| looping.trap("loop", FIRST + 3 * 4096));
        // Long enough for the guest to be at it.
        std::thread::sleep(Duration::from_millis(50));
        object.truncate(4096);
        thread.join().unwrap()
    });
    drop(watch);
    assert!(reason.contains(SHRUNK), "{reason}");
    // Both the other guest and this process go on.
    assert_eq!(other.call("add", FIRST).unwrap(), 0);
    drop(looping);
    assert_eq!(object.other_mappings(), 0);
    let mut again = host.guest(
        &LOOK.component(),
        &[&format!("shm:{}::/object,map", other_object.name)],
    );
    again.call("map", SIZE as u64).unwrap();
    assert_eq!(again.call("load", FIRST).unwrap(), 1);
}

#[test]
fn every_kind_of_access_traps() {
    let host = Host::new();
    for access in LOOK.functions.iter().filter(|name| **name != "map") {
        let object = Object::new(SIZE);
        let mut guest = mapped(&host, &object);
        object.truncate(4096);
        assert_eq!(guest.call("load", FIRST).unwrap(), 0);
        let reason = guest.trap(access, FIRST + 4096);
        assert!(reason.contains(SHRUNK), "{access}: {reason}");
        assert!(reason.contains("out of bounds memory access"), "{reason}");
    }
}

#[test]
fn an_object_that_is_grown_again_in_time_is_there_again() {
    let (host, object) = (Host::new(), Object::new(SIZE));
    let mut guest = mapped(&host, &object);
    object.truncate(0);
    object.truncate(SIZE);
    assert_eq!(guest.call("add", FIRST + 8192).unwrap(), 0);
}

#[test]
fn other_traps_have_their_own_reason() {
    let (host, object) = (Host::new(), Object::new(SIZE));
    let mut guest = mapped(&host, &object);
    object.truncate(4096);
    let reason = guest.trap("load", FIRST + SIZE as u64);
    assert!(!reason.contains(SHRUNK), "{reason}");
    let mut guest = mapped(&host, &Object::new(SIZE));
    let reason = guest.trap("add", FIRST + 1);
    assert!(reason.contains("unaligned"), "{reason}");
}
