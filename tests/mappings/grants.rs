//! Who may map, and what.

use super::harness::{FIRST, Host, Object, Text, unique};
use wasmtime_posix_ipc::quota::Quota;

/// `map` gives the address, or 1000 and the number of the error. Its argument is the
/// access, and times 16 the length of the probe, and times 256 the offset.
const MAP: Text<'_> = Text {
    core: r#"
    (func (export "map") (param $how i64) (result i64)
        (call $open (i32.const 0) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 0)
            (i64.const 0) (i32.wrap_i64 (i64.and (local.get $how) (i64.const 15))) (i32.const 512))
        (global.set $segment (call $check))
        (call $map-it (local.get $how) (i64.const 4096)))
    (func (export "map-more") (param $how i64) (result i64)
        (call $map-it (local.get $how) (i64.const 4096)))
    (func (export "map-long") (param $length i64) (result i64)
        (call $map-it (i64.const 0x12) (local.get $length)))
    (func (export "map-writable") (param $how i64) (result i64)
        (call $open-object (i32.const 0))
        (call $map-it (i64.const 0x12) (i64.const 4096)))
    (func $map-it (param $how i64) (param $length i64) (result i64)
        (call $host-map (global.get $segment) (i32.const 0)
            (i32.wrap_i64 (i64.and (i64.shr_u (local.get $how) (i64.const 4)) (i64.const 15)))
            (i64.shr_u (local.get $how) (i64.const 8)) (local.get $length)
            (i32.wrap_i64 (i64.and (local.get $how) (i64.const 15))) (i32.const 512))
        (call $answer))
    (func $answer (result i64)
        (if (result i64) (i32.load8_u (i32.const 512))
            (then (i64.add (i64.const 1000) (i64.load8_u (i32.const 516))))
            (else
                (global.set $mapping (i32.load (i32.const 516)))
                (call $address (global.get $mapping)))))
    (func (export "gate") (param i64) (result i64)
        (call $open-gate (i32.const 8) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 512))
        (call $map-gate (call $check) (i32.const 0) (i32.const 1) (i32.const 512))
        (call $answer))
    (func (export "load") (param $address i64) (result i64)
        (i64.load (i32.wrap_i64 (local.get $address))))
    (func (export "add") (param $address i64) (result i64)
        (i64.atomic.rmw.add (i32.wrap_i64 (local.get $address)) (i64.const 1)))
    (func (export "store") (param $address i64) (result i64)
        (i32.store (i32.wrap_i64 (local.get $address)) (i32.const 1))
        (i64.const 0))"#,
    functions: &[
        "map",
        "map-more",
        "map-long",
        "map-writable",
        "gate",
        "load",
        "add",
        "store",
    ],
    ..Text::NONE
};

const READ: u64 = 0x10;
const WRITE: u64 = 0x11;
const BOTH: u64 = 0x12;
const NO_PROBE: u64 = 0x02;

const NOT_PERMITTED: u64 = 1000;
const ACCESS: u64 = 1001;
const INVALID: u64 = 1007;
const NO_SPACE: u64 = 1011;
const QUOTA: u64 = 1012;
const TRUNCATED: u64 = 1014;
const UNSUPPORTED: u64 = 1015;

#[test]
fn only_a_grant_that_says_map_maps() {
    let (host, object) = (Host::new(), Object::new(4096));
    let text = MAP.component();
    for (option, access, answer) in [
        ("", BOTH, NOT_PERMITTED),
        (",ro", READ, NOT_PERMITTED),
        (",map", BOTH, FIRST),
        (",map", READ, FIRST),
        (",ro,map", READ, FIRST),
        (",map", NO_PROBE, INVALID),
    ] {
        let grant = format!("shm:{}::/object{option}", object.name);
        let mut guest = host.guest(&text, &[&grant]);
        assert_eq!(guest.call("map", access).unwrap(), answer, "{grant}");
    }
}

#[test]
fn a_segment_that_is_open_for_reading_maps_for_reading() {
    let (host, object) = (Host::new(), Object::new(4096));
    object.fill();
    let grant = format!("shm:{}::/object,map", object.name);
    let mut guest = host.guest(&MAP.component(), &[&grant]);
    assert_eq!(guest.call("map-writable", 0).unwrap(), ACCESS);
    let address = guest.call("map-more", READ).unwrap();
    assert_eq!(guest.call("load", address).unwrap() as u32, 0xA5A5_0000);
    let before = object.words();
    let reason = guest.trap("add", address);
    assert!(reason.contains("out of bounds memory access"), "{reason}");
    // It was not the peer.
    assert!(!reason.contains("shrunk"), "{reason}");
    let mut guest = host.guest(&MAP.component(), &[&grant]);
    let address = guest.call("map", READ).unwrap();
    guest.trap("store", address);
    assert_eq!(object.words(), before);
}

#[test]
fn a_mapping_is_a_part_of_its_object() {
    let (host, object) = (Host::new(), Object::new(3 * 4096));
    object.fill();
    let grant = format!("shm:{}::/object,map", object.name);
    let mut guest = host.guest(&MAP.component(), &[&grant]);
    assert_eq!(guest.call("map", BOTH).unwrap(), FIRST);
    // A page that cannot be accessed, then the next one.
    let second = guest.call("map-more", BOTH | 4096 << 8).unwrap();
    assert_eq!(second, FIRST + 2 * 4096);
    assert_eq!(guest.call("load", second).unwrap() as u32, 0xA5A5_1000);
    for (how, answer) in [
        (BOTH | 1 << 8, INVALID),
        (BOTH | 2048 << 8, INVALID),
        (BOTH | (3 * 4096) << 8, TRUNCATED),
        (BOTH | (1 << 40) << 8, TRUNCATED),
        (WRITE, INVALID),
    ] {
        assert_eq!(guest.call("map-more", how).unwrap(), answer, "{how:x}");
    }
    for (length, answer) in [
        (0, INVALID),
        (3 * 4096 + 1, TRUNCATED),
        (u64::MAX, TRUNCATED),
    ] {
        assert_eq!(guest.call("map-long", length).unwrap(), answer, "{length}");
    }
    assert!(guest.call("map-long", 1).unwrap() > FIRST);
    assert_eq!(object.other_mappings(), 3);
}

#[test]
fn a_quota_limits_mappings_and_their_bytes() {
    let (host, object) = (Host::new(), Object::new(4096));
    let grant = format!("shm:{}::/object,map", object.name);
    let mut quota = Quota::default();
    quota.mappings = 2;
    let mut guest = host.guest_with(&MAP.component(), &[&grant], quota);
    assert_eq!(guest.call("map", BOTH).unwrap(), FIRST);
    assert!(guest.call("map-more", BOTH).unwrap() > FIRST);
    assert_eq!(guest.call("map-more", BOTH).unwrap(), QUOTA);

    let mut quota = Quota::default();
    quota.mapping_bytes = 4096;
    let mut guest = host.guest_with(&MAP.component(), &[&grant], quota);
    assert_eq!(guest.call("map", BOTH).unwrap(), FIRST);
    assert_eq!(guest.call("map-long", 1).unwrap(), QUOTA);
}

#[test]
fn the_address_range_ends() {
    let (host, object) = (Host::new(), Object::new(600 << 20));
    let grant = format!("shm:{}::/object,map", object.name);
    let mut quota = Quota::default();
    quota.mapping_bytes = 4 << 30;
    let mut guest = host.guest_with(&MAP.component(), &[&grant], quota);
    guest.call("map", BOTH).unwrap();
    assert!(guest.call("map-long", 600 << 20).unwrap() > FIRST);
    assert_eq!(guest.call("map-long", 600 << 20).unwrap(), NO_SPACE);
    assert!(guest.call("map-long", 300 << 20).unwrap() > FIRST);
    object.truncate(5 << 30);
    assert_eq!(guest.call("map-long", 4 << 30).unwrap(), QUOTA);
    let mut quota = Quota::default();
    quota.mapping_bytes = u64::MAX;
    let mut guest = host.guest_with(&MAP.component(), &[&grant], quota);
    guest.call("map", BOTH).unwrap();
    assert_eq!(guest.call("map-long", 2 << 30).unwrap(), NO_SPACE);
    assert_eq!(guest.call("map-long", 5 << 30).unwrap(), NO_SPACE);
}

#[test]
fn semaphores_map_and_are_the_c_librarys() {
    let host = Host::new();
    let name = unique();
    let c_name = std::ffi::CString::new(name.clone()).unwrap();
    let native = unsafe { libc::sem_open(c_name.as_ptr(), libc::O_CREAT, 0o600, 5) };
    let text = MAP.component();
    let map = |option: &str| {
        let mut guest = host.guest(&text, &[&format!("sem:{name}::/gate{option}")]);
        let answer = guest.call("gate", 0).unwrap();
        (guest, answer)
    };
    assert_eq!(map("").1, NOT_PERMITTED);
    assert_eq!(map(",undo").1, NOT_PERMITTED);
    let (mut guest, answer) = map(",map");
    assert_eq!(answer, FIRST);
    assert_eq!(guest.call("add", answer).unwrap(), 5);
    let mut value = 0;
    unsafe {
        assert_eq!(libc::sem_getvalue(native, &mut value), 0);
        assert_eq!(libc::sem_trywait(native), 0);
    }
    assert_eq!((value, guest.call("load", answer).unwrap()), (6, 5));

    // Another semaphore has the name now.
    let text = MAP.component().replace(
        r#"(func (export "gate") (param i64) (result i64)"#,
        r#"(func (export "gate") (param i64) (result i64)
            (if (i64.ne (local.get 0) (i64.const 0)) (then
                (call $map-gate (i32.wrap_i64 (i64.sub (local.get 0) (i64.const 1)))
                    (i32.const 0) (i32.const 1) (i32.const 512))
                (return (call $answer))))"#,
    );
    let mut guest = host.guest(&text, &[&format!("sem:{name}::/gate,map")]);
    assert_eq!(guest.call("gate", 0).unwrap(), FIRST);
    let other = unsafe {
        libc::sem_unlink(c_name.as_ptr());
        libc::sem_open(c_name.as_ptr(), libc::O_CREAT, 0o600, 7)
    };
    const NO_ENTRY: u64 = 1003;
    assert_eq!(guest.call("gate", 1 + 1).unwrap(), NO_ENTRY);
    unsafe {
        libc::sem_close(native);
        libc::sem_close(other);
        libc::sem_unlink(c_name.as_ptr());
    }
}

#[test]
fn without_a_fitting_engine_there_are_no_mappings() {
    let object = Object::new(4096);
    let grant = format!("shm:{}::/object,map", object.name);
    let hosts = [
        ("no mappings", Host::without_mappings()),
        (
            "2 GiB",
            Host::with(|config| config.memory_reservation(2 << 30)),
        ),
        (
            "checks",
            Host::with(|config| config.signals_based_traps(false)),
        ),
    ];
    for (what, host) in hosts {
        let mut guest = host.guest(&MAP.component(), &[&grant]);
        assert_eq!(guest.call("map", BOTH).unwrap(), UNSUPPORTED, "{what}");
        assert_eq!(object.other_mappings(), 0, "{what}");
        let reason = guest.trap("load", FIRST);
        assert!(reason.contains("out of bounds"), "{what}: {reason}");
    }
}

#[test]
fn a_memory_with_a_maximum_has_no_mappings() {
    let (host, object) = (Host::new(), Object::new(4096));
    let grant = format!("shm:{}::/object,map", object.name);
    for (memory, answer) in [
        ("2 65536", FIRST),
        ("2 65535", UNSUPPORTED),
        ("2 100", UNSUPPORTED),
        ("40000", FIRST),
        ("49151", FIRST),
        ("49152", UNSUPPORTED),
    ] {
        let text = Text { memory, ..MAP }.component();
        let mut guest = host.guest(&text, &[&grant]);
        assert_eq!(guest.call("map", BOTH).unwrap(), answer, "{memory}");
    }
}
