//! When mappings end.

use super::harness::{FIRST, Host, Object, Text};
use std::time::Instant;

const LIFE: Text<'_> = Text {
    core: r#"
    (func (export "map") (param i64) (result i64)
        (i64.extend_i32_u (call $map (i64.const 4096) (i32.const 2))))
    (func (export "unmap") (param i64) (result i64)
        (call $unmap (global.get $mapping))
        (i64.const 0))
    (func (export "close") (param i64) (result i64)
        (call $close (global.get $segment))
        (i64.const 0))
    (func (export "cycles") (param $n i64) (result i64)
        (loop $again
            (drop (i32.atomic.rmw.add (call $map (i64.const 4096) (i32.const 2)) (i32.const 1)))
            (call $unmap (global.get $mapping))
            (local.set $n (i64.sub (local.get $n) (i64.const 1)))
            (br_if $again (i64.ne (local.get $n) (i64.const 0))))
        (i64.const 0))
    (func (export "load") (param $address i64) (result i64)
        (i64.extend_i32_u (i32.load (i32.wrap_i64 (local.get $address)))))
    (func (export "load-folded") (param i64) (result i64)
        (i64.extend_i32_u (i32.load offset=0xC0000000 (i32.const 0))))
    (func (export "add") (param $address i64) (result i64)
        (i64.extend_i32_u (i32.atomic.rmw.add (i32.wrap_i64 (local.get $address)) (i32.const 1))))
    (func (export "wide") (param $address i64) (result i64)
        (v128.store (i32.wrap_i64 (local.get $address)) (v128.const i64x2 0 0))
        (i64.const 0))
    (func (export "grow") (param $pages i64) (result i64)
        (i64.extend_i32_s (memory.grow (i32.wrap_i64 (local.get $pages)))))
    (func (export "size") (param i64) (result i64)
        (i64.extend_i32_u (memory.size)))
    (func (export "store") (param $address i64) (result i64)
        (i32.store (i32.wrap_i64 (local.get $address)) (i32.const 7))
        (i64.extend_i32_u (i32.load (i32.wrap_i64 (local.get $address)))))
    (func (export "trap") (param i64) (result i64)
        unreachable)"#,
    functions: &[
        "map",
        "unmap",
        "close",
        "cycles",
        "load",
        "load-folded",
        "add",
        "wide",
        "grow",
        "size",
        "store",
        "trap",
    ],
    ..Text::NONE
};

fn grant(object: &Object) -> String {
    format!("shm:{}::/object,map", object.name)
}

#[test]
fn a_mapping_that_is_dropped_is_unmapped() {
    let (host, object) = (Host::new(), Object::new(4096));
    object.fill();
    for access in ["load", "load-folded", "add", "wide"] {
        let mut guest = host.guest(&LIFE.component(), &[&grant(&object)]);
        let before = object.words();
        assert_eq!(guest.call("map", 0).unwrap(), FIRST);
        assert_eq!(object.other_mappings(), 1);
        assert_eq!(guest.call("load", FIRST).unwrap(), 0xA5A5_0000);
        guest.call("unmap", 0).unwrap();
        assert_eq!(object.other_mappings(), 0);
        let reason = guest.trap(access, FIRST);
        assert!(reason.contains("out of bounds"), "{access}: {reason}");
        assert_eq!(object.words(), before);
    }
}

#[test]
fn a_mapping_outlives_its_segment() {
    let (host, object) = (Host::new(), Object::new(4096));
    let mut guest = host.guest(&LIFE.component(), &[&grant(&object)]);
    guest.call("map", 0).unwrap();
    guest.call("close", 0).unwrap();
    guest.call("add", FIRST).unwrap();
    guest.call("unmap", 0).unwrap();
    assert_eq!((object.words()[0], object.other_mappings()), (1, 0));
}

#[test]
fn the_edges_of_a_mapping_trap() {
    let (host, object) = (Host::new(), Object::new(2 * 4096));
    for address in [
        FIRST - 4,
        FIRST - 3,
        FIRST + 4093,
        FIRST + 4096,
        0xFFFF_0000,
        0xFFFF_FFFC,
    ] {
        let mut guest = host.guest(&LIFE.component(), &[&grant(&object)]);
        guest.call("map", 0).unwrap();
        guest.call("load", FIRST + 4092).unwrap();
        let reason = guest.trap("load", address);
        assert!(reason.contains("out of bounds"), "{address:x}: {reason}");
    }
}

#[test]
fn a_misaligned_atomic_traps() {
    let (host, object) = (Host::new(), Object::new(4096));
    let mut guest = host.guest(&LIFE.component(), &[&grant(&object)]);
    guest.call("map", 0).unwrap();
    let reason = guest.trap("add", FIRST + 2);
    assert!(reason.contains("unaligned atomic"), "{reason}");
}

#[test]
fn cycles_leave_nothing_behind() {
    let (host, object) = (Host::new(), Object::new(4096));
    let mut guest = host.guest(&LIFE.component(), &[&grant(&object)]);
    guest.call("cycles", 1).unwrap();
    let lines = || {
        std::fs::read_to_string("/proc/self/maps")
            .unwrap()
            .lines()
            .count()
    };
    let (before, start) = (lines(), Instant::now());
    guest.call("cycles", 10_000).unwrap();
    println!("{:?} a cycle", start.elapsed() / 10_000);
    assert_eq!(object.words()[0], 10_001);
    assert_eq!(object.other_mappings(), 0);
    // Other tests of this process map and unmap meanwhile.
    assert!(lines() < before + 200, "{before}, {}", lines());
}

#[test]
fn every_end_of_a_guest_ends_its_mappings() {
    let (host, object) = (Host::new(), Object::new(4096));
    object.fill();
    let mapped = || {
        let mut guest = host.guest(&LIFE.component(), &[&grant(&object)]);
        guest.call("map", 0).unwrap();
        guest.call("map", 0).unwrap();
        assert_eq!(object.other_mappings(), 2);
        guest
    };
    drop(mapped());
    assert_eq!(object.other_mappings(), 0);

    let mut trapped = mapped();
    trapped.trap("trap", 0);
    drop(trapped);
    assert_eq!(object.other_mappings(), 0);

    // What a store held may be taken out of it, and be dropped later.
    let data = mapped().store.into_data();
    assert_eq!(object.other_mappings(), 0);
    let other = mapped();
    drop(data);
    assert_eq!(object.other_mappings(), 2);
    drop(other);
    assert_eq!(object.other_mappings(), 0);

    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guest = mapped();
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(unwound.is_err());
    assert_eq!(object.other_mappings(), 0);
    assert_eq!(object.words(), object.fill().words());
}

#[test]
fn a_later_guest_finds_nothing_of_an_earlier_one() {
    let (host, object) = (Host::new(), Object::new(4096));
    for _ in 0..20 {
        let mut guest = host.guest(&LIFE.component(), &[&grant(&object)]);
        guest.call("map", 0).unwrap();
        drop(guest);
        let mut other = host.guest(&LIFE.component(), &[]);
        other.trap("load", FIRST);
    }
}

#[test]
fn memory_grows_to_its_limit_and_not_into_mappings() {
    const LIMIT: u64 = (FIRST >> 16) - 1;
    let (host, object) = (Host::new(), Object::new(4096));
    object.fill();
    let mut guest = host.guest(&LIFE.component(), &[&grant(&object)]);
    guest.call("map", 0).unwrap();
    let minus_one = u64::MAX;
    assert_eq!(guest.call("size", 0).unwrap(), 2);
    assert_eq!(guest.call("grow", LIMIT - 1).unwrap(), minus_one);
    assert_eq!(guest.call("grow", 0xFFFF).unwrap(), minus_one);
    assert_eq!(guest.call("grow", 98).unwrap(), 2);
    assert_eq!(guest.call("grow", LIMIT - 100).unwrap(), 100);
    assert_eq!(guest.call("size", 0).unwrap(), LIMIT);
    assert_eq!(guest.call("grow", 1).unwrap(), minus_one);
    assert_eq!(guest.call("grow", 0).unwrap(), LIMIT);
    assert_eq!(guest.call("store", (LIMIT << 16) - 4).unwrap(), 7);
    assert_eq!(guest.call("load", FIRST).unwrap(), 0xA5A5_0000);
    assert_eq!(guest.call("add", FIRST + 4092).unwrap(), 0xA5A5_0FFC);
    let reason = guest.trap("load", (LIMIT << 16) - 3);
    assert!(reason.contains("out of bounds"), "{reason}");
}
