//! Everything but loads, stores and atomics stays out of a mapping.

use super::harness::{FIRST, Guest, Host, Object, Queue, Text, wait};
use wasmtime::component::Component;
use wasmtime_posix_ipc::quota::Quota;

const IMPORTS: &str = r#"
(import "odd" (instance $odd
    (type $r' (record
        (field "a" u64) (field "b" u64) (field "c" u64) (field "d" u64) (field "e" u64)
        (field "f" u64) (field "g" u64) (field "h" u64) (field "i" u64) (field "j" u64)
        (field "k" u64) (field "l" u64) (field "m" u64) (field "n" u64) (field "o" u64)
        (field "p" u64) (field "q" u64)))
    (export "all" (type $r (eq $r')))
    (export "many" (func (param "all" $r)))
    (export "lists" (func (param "strings" (list string)) (param "numbers" (list u32))))))
(import "wasi:io/error@0.2.0" (instance $io-errors (export "error" (type (sub resource)))))
(alias export $io-errors "error" (type $io-error))
(import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $o (sub resource)))
    (alias outer 1 $io-error (type $e')) (export "error" (type $e (eq $e')))
    (type $s' (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $s (eq $s')))
    (export "[method]output-stream.blocking-write-and-flush"
        (func (param "self" (borrow $o)) (param "contents" (list u8))
            (result (result (error $s)))))))
(alias export $streams "output-stream" (type $output-stream))
(import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $o')) (export "output-stream" (type $o (eq $o')))
    (export "get-stdout" (func (result (own $o))))))
(import "posix:ipc/direct@0.1.0" (instance $direct
    (alias outer 1 $segment (type $s')) (export "segment" (type $s (eq $s')))
    (alias outer 1 $queue (type $q')) (export "queue" (type $q (eq $q')))
    (export "segment-number" (func (param "segment" (borrow $s)) (result u32)))
    (export "queue-number" (func (param "queue" (borrow $q)) (result u32)))
    (export "read-into" (func (param "segment" u32) (param "offset" u64)
        (param "buffer" (list u8)) (result s64)))
    (export "write" (func (param "segment" u32) (param "offset" u64)
        (param "data" (list u8)) (result bool)))
    (export "send" (func (param "queue" u32) (param "payload" (list u8))
        (param "priority" u32) (result bool)))
    (export "receive-into" (func (param "queue" u32) (param "buffer" (list u8)) (result s64)))))
(import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-arguments" (func (result (list string))))))
"#;

/// A component beside the guest: to one inside of it calls are not allowed.
const OTHER: &str = r#"
(component $other
    (core module $m
        (memory (export "memory") 2)
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $next)
            (global.set $next (i32.and (i32.const -8)
                (i32.add (i32.const 7) (i32.add (global.get $next) (local.get 3))))))
        (func (export "take") (param i32 i32))
        (func (export "give") (result i32) (i32.const 16))
        (data (i32.const 16) "\20\00\00\00\05\00\00\00")
        (data (i32.const 32) "hello"))
    (core instance $m (instantiate $m))
    (func (export "take-utf8") (param "text" string)
        (canon lift (core func $m "take") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
    (func (export "take-utf16") (param "text" string)
        (canon lift (core func $m "take") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))
            string-encoding=utf16))
    (func (export "take-bytes") (param "bytes" (list u8))
        (canon lift (core func $m "take") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
    (func (export "take-pairs") (param "pairs" (list (tuple u8 u32)))
        (canon lift (core func $m "take") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
    (func (export "give") (result string)
        (canon lift (core func $m "give") (memory (core memory $m "memory")))))
"#;

const OTHERS_TYPE: &str = r#"
(import "other" (instance $other
    (export "take-utf8" (func (param "text" string)))
    (export "take-utf16" (func (param "text" string)))
    (export "take-bytes" (func (param "bytes" (list u8))))
    (export "take-pairs" (func (param "pairs" (list (tuple u8 u32)))))
    (export "give" (func (result string)))))
"#;
const LOWERED: &str = r#"
(core func $many (canon lower (func $odd "many") (memory $memory)))
(core func $lists (canon lower (func $odd "lists") (memory $memory)))
(core func $stdout (canon lower (func $stdout "get-stdout")))
(core func $print (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory $memory) (realloc $realloc)))
(core func $segment-number (canon lower (func $direct "segment-number")))
(core func $queue-number (canon lower (func $direct "queue-number")))
(core func $direct-read-into (canon lower (func $direct "read-into") (memory $memory)))
(core func $direct-write (canon lower (func $direct "write") (memory $memory)))
(core func $direct-send (canon lower (func $direct "send") (memory $memory)))
(core func $direct-receive-into (canon lower (func $direct "receive-into") (memory $memory)))
(core func $arguments (canon lower (func $environment "get-arguments")
    (memory $memory) (realloc $realloc)))
"#;

const OTHERS_LOWERED: &str = r#"
(core func $take-utf8 (canon lower (func $other "take-utf8") (memory $memory)))
(core func $take-utf16 (canon lower (func $other "take-utf16") (memory $memory)))
(core func $take-bytes (canon lower (func $other "take-bytes") (memory $memory)))
(core func $take-pairs (canon lower (func $other "take-pairs") (memory $memory)))
(core func $give (canon lower (func $other "give") (memory $memory) (realloc $realloc)))
"#;

const MORE: &str = r#"
(export "many" (func $many)) (export "lists" (func $lists))
(export "stdout" (func $stdout)) (export "print" (func $print))
(export "arguments" (func $arguments))
(export "segment-number" (func $segment-number)) (export "queue-number" (func $queue-number))
(export "direct-read-into" (func $direct-read-into)) (export "direct-write" (func $direct-write))
(export "direct-send" (func $direct-send))
(export "direct-receive-into" (func $direct-receive-into))
"#;

const OTHERS: &str = r#"
(export "give" (func $give)) (export "take-utf8" (func $take-utf8)) (export "take-utf16" (func $take-utf16))
(export "take-bytes" (func $take-bytes)) (export "take-pairs" (func $take-pairs))
"#;

const USES: &str = r#"
(import "more" "many" (func $many (param i32)))
(import "more" "lists" (func $lists (param i32 i32 i32 i32)))
(import "more" "stdout" (func $stdout (result i32)))
(import "more" "print" (func $print (param i32 i32 i32 i32)))
(import "more" "arguments" (func $arguments (param i32)))
(import "more" "segment-number" (func $segment-number (param i32) (result i32)))
(import "more" "queue-number" (func $queue-number (param i32) (result i32)))
(import "more" "direct-read-into" (func $direct-read-into (param i32 i64 i32 i32) (result i64)))
(import "more" "direct-write" (func $direct-write (param i32 i64 i32 i32) (result i32)))
(import "more" "direct-send" (func $direct-send (param i32 i32 i32 i32) (result i32)))
(import "more" "direct-receive-into" (func $direct-receive-into (param i32 i32 i32) (result i64)))
"#;

const USES_OF_OTHER: &str = r#"
(import "more" "give" (func $give (param i32)))
(import "more" "take-utf8" (func $take-utf8 (param i32 i32)))
(import "more" "take-utf16" (func $take-utf16 (param i32 i32)))
(import "more" "take-bytes" (func $take-bytes (param i32 i32)))
(import "more" "take-pairs" (func $take-pairs (param i32 i32)))
"#;

const CORE: &str = r#"
(data $data "some bytes of a data segment")
(global $at (mut i32) (i32.const 0))
(func (export "text") (result i32)
    ;; Address and length of a string, for the export of that name.
    (i32.store (i32.const 1024) (global.get $at))
    (i32.store (i32.const 1028) (i32.const 8))
    (i32.const 1024))
(func (export "area") (result i32)
    (global.get $at))
"#;

const EXPORTS: &str = r#"
(func (export "text") (result string)
    (canon lift (core func $main "text") (memory $memory)))
(func (export "bytes") (result (list u8))
    (canon lift (core func $main "text") (memory $memory)))
(func (export "area") (result string)
    (canon lift (core func $main "area") (memory $memory)))
"#;

/// What is done to 16 bytes, of which `$at` is the address: works on the guest's own
/// memory, and must not on a mapping. Where it ends is what the guest's end says.
const CASES: &[(&str, &str, &str)] = &[
    // Calls to the host.
    (
        "write",
        "(call $write (global.get $segment) (i64.const 0) (local.get $at) (i32.const 16) (i32.const 512))",
        "list pointer/length out of bounds",
    ),
    (
        "write-none",
        "(call $write (global.get $segment) (i64.const 0) (local.get $at) (i32.const 0) (i32.const 512))",
        "list pointer/length out of bounds",
    ),
    (
        "read-into",
        "(call $read-into (global.get $segment) (i64.const 32) (local.get $at) (i32.const 16) (i32.const 512))",
        "list pointer/length out of bounds",
    ),
    (
        "read-into-none",
        "(call $read-into (global.get $segment) (i64.const 32) (local.get $at) (i32.const 0) (i32.const 512))",
        "list pointer/length out of bounds",
    ),
    (
        "probe",
        "(call $host-map (global.get $segment) (local.get $at) (i32.const 1) (i64.const 0)
            (i64.const 4096) (i32.const 0) (i32.const 512))",
        "list pointer/length out of bounds",
    ),
    (
        "name",
        "(call $open (local.get $at) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 0)
            (i64.const 0) (i32.const 0) (i32.const 512))",
        "string pointer/length out of bounds",
    ),
    (
        "result",
        "(call $size (global.get $segment) (local.get $at))",
        "pointer out of bounds",
    ),
    (
        "result-of-read",
        "(call $read (global.get $segment) (i64.const 32) (i64.const 16) (local.get $at))",
        "pointer out of bounds",
    ),
    (
        "room-for-read",
        "(global.set $forced (local.get $at))
         (call $read (global.get $segment) (i64.const 32) (i64.const 16) (i32.const 512))",
        "realloc return",
    ),
    (
        "room-for-name",
        "(global.set $forced (local.get $at))
         (call $name (global.get $segment) (i32.const 512))",
        "realloc return",
    ),
    (
        "send",
        "(call $send (call $open-jobs) (local.get $at) (i32.const 16) (i32.const 0)
            (i32.const 1) (i64.const 0) (i32.const 512))",
        "list pointer/length out of bounds",
    ),
    (
        "send-batch",
        "(call $send-batch (call $open-jobs) (local.get $at) (i32.const 1)
            (i32.const 1) (i64.const 0) (i32.const 512))",
        "list pointer/length out of bounds",
    ),
    (
        "send-batch-payload",
        "(i32.store (i32.const 2048) (local.get $at))
         (i32.store (i32.const 2052) (i32.const 16))
         (i32.store (i32.const 2056) (i32.const 0))
         (call $send-batch (call $open-jobs) (i32.const 2048) (i32.const 1)
            (i32.const 1) (i64.const 0) (i32.const 512))",
        "list pointer/length out of bounds",
    ),
    (
        "receive",
        "(local.set $jobs (call $open-jobs))
         (call $send (local.get $jobs) (i32.const 0) (i32.const 4) (i32.const 0)
            (i32.const 1) (i64.const 0) (i32.const 512))
         (call $receive (local.get $jobs) (i32.const 1) (i64.const 0) (local.get $at))",
        "pointer out of bounds",
    ),
    (
        "room-for-receive",
        "(local.set $jobs (call $open-jobs))
         (call $send (local.get $jobs) (i32.const 0) (i32.const 4) (i32.const 0)
            (i32.const 1) (i64.const 0) (i32.const 512))
         (global.set $forced (local.get $at))
         (call $receive (local.get $jobs) (i32.const 1) (i64.const 0) (i32.const 512))",
        "realloc return",
    ),
    (
        "many-parameters",
        "(call $many (local.get $at))",
        "pointer out of bounds",
    ),
    (
        "strings",
        "(call $lists (local.get $at) (i32.const 1) (i32.const 0) (i32.const 0))",
        "list pointer/length out of bounds",
    ),
    (
        "string-of-strings",
        "(i32.store (i32.const 2048) (local.get $at))
         (i32.store (i32.const 2052) (i32.const 8))
         (call $lists (i32.const 2048) (i32.const 1) (i32.const 0) (i32.const 0))",
        "string pointer/length out of bounds",
    ),
    (
        "numbers",
        "(call $lists (i32.const 0) (i32.const 0) (local.get $at) (i32.const 4))",
        "list pointer/length out of bounds",
    ),
    (
        "no-numbers",
        "(call $lists (i32.const 0) (i32.const 0) (local.get $at) (i32.const 0))",
        "list pointer/length out of bounds",
    ),
    // Calls to the host without a handle.
    (
        "direct-read-into",
        "(if (i64.ne (i64.const 16) (call $direct-read-into
            (call $segment-number (global.get $segment)) (i64.const 0) (local.get $at) (i32.const 16)))
            (then unreachable))",
        "list pointer/length out of bounds",
    ),
    (
        "direct-write",
        "(if (i32.eqz (call $direct-write
            (call $segment-number (global.get $segment)) (i64.const 0) (local.get $at) (i32.const 16)))
            (then unreachable))",
        "list pointer/length out of bounds",
    ),
    (
        "direct-send",
        "(if (i32.eqz (call $direct-send
            (call $queue-number (call $open-jobs)) (local.get $at) (i32.const 16) (i32.const 0)))
            (then unreachable))",
        "list pointer/length out of bounds",
    ),
    (
        "direct-receive-into",
        // One that was sent before.
        "(if (i64.lt_s (call $direct-receive-into
            (call $queue-number (call $open-jobs)) (local.get $at) (i32.const 64)) (i64.const 0))
            (then unreachable))",
        "list pointer/length out of bounds",
    ),
    // Calls to WASI.
    (
        "print",
        "(call $print (call $stdout) (local.get $at) (i32.const 16) (i32.const 512))",
        "list pointer/length out of bounds",
    ),
    (
        "arguments",
        "(call $arguments (local.get $at))",
        "pointer out of bounds",
    ),
    (
        "room-for-arguments",
        "(global.set $forced (local.get $at))
         (call $arguments (i32.const 512))",
        "realloc return",
    ),
    // Bulk instructions, whose lengths the compiler may know or not.
    (
        "copy-from",
        "(memory.copy (i32.const 4096) (local.get $at) (i32.const 16))",
        "out of bounds",
    ),
    (
        "copy-from-128",
        "(memory.copy (i32.const 4096) (local.get $at) (i32.const 128))",
        "out of bounds",
    ),
    (
        "copy-from-some",
        "(memory.copy (i32.const 4096) (local.get $at) (i32.load (i32.const 900)))",
        "out of bounds",
    ),
    (
        "copy-from-none",
        "(memory.copy (i32.const 4096) (local.get $at) (i32.const 0))",
        "out of bounds",
    ),
    (
        "copy-to",
        "(memory.copy (local.get $at) (i32.const 4096) (i32.const 16))",
        "out of bounds",
    ),
    (
        "copy-to-128",
        "(memory.copy (local.get $at) (i32.const 4096) (i32.const 128))",
        "out of bounds",
    ),
    (
        "copy-to-some",
        "(memory.copy (local.get $at) (i32.const 4096) (i32.load (i32.const 900)))",
        "out of bounds",
    ),
    (
        "copy-to-none",
        "(memory.copy (local.get $at) (i32.const 4096) (i32.load (i32.const 904)))",
        "out of bounds",
    ),
    (
        "copy-within",
        "(memory.copy (local.get $at) (local.get $at) (i32.const 16))",
        "out of bounds",
    ),
    (
        "fill",
        "(memory.fill (local.get $at) (i32.const 1) (i32.const 16))",
        "out of bounds",
    ),
    (
        "fill-some",
        "(memory.fill (local.get $at) (i32.const 1) (i32.load (i32.const 900)))",
        "out of bounds",
    ),
    (
        "init",
        "(memory.init $data (local.get $at) (i32.const 0) (i32.const 16))",
        "out of bounds",
    ),
    (
        "notify",
        "(drop (memory.atomic.notify (local.get $at) (i32.const 1)))",
        "out of bounds",
    ),
    // For exports that return what is there.
    ("point", "(global.set $at (local.get $at))", ""),
];

/// The same, in calls to another component.
const CALLS_TO_ANOTHER: &[(&str, &str, &str)] = &[
    (
        "take-utf8",
        "(call $take-utf8 (local.get $at) (i32.const 8))",
        "out-of-bounds",
    ),
    (
        "take-utf8-none",
        "(call $take-utf8 (local.get $at) (i32.const 0))",
        "out-of-bounds",
    ),
    (
        "take-utf16",
        "(call $take-utf16 (local.get $at) (i32.const 8))",
        "out-of-bounds",
    ),
    (
        "take-bytes",
        "(call $take-bytes (local.get $at) (i32.const 16))",
        "out-of-bounds",
    ),
    (
        "take-pairs",
        "(call $take-pairs (local.get $at) (i32.const 2))",
        "out-of-bounds",
    ),
    ("give", "(call $give (local.get $at))", "out of bounds"),
    (
        "room-for-give",
        "(global.set $forced (local.get $at))
         (call $give (i32.const 512))",
        "out-of-bounds",
    ),
];

/// The guest's own bytes that the cases work on. They are zeros.
const OWN: u64 = 8192;

/// A function of the core module for each case, after mapping the object.
fn functions(cases: &[(&str, &str, &str)]) -> String {
    let function = |&(name, body, _): &(&str, &str, &str)| {
        format!(
            r#"(func (export "{name}") (param $n i64) (result i64)
                (local $at i32) (local $jobs i32)
                (drop (call $map (i64.const 4096) (i32.const 2)))
                (i32.store (i32.const 900) (i32.const 40))
                (local.set $at (i32.wrap_i64 (local.get $n)))
                {body}
                (i64.const 0))"#
        )
    };
    cases.iter().map(function).collect()
}

fn names<'a>(cases: &[(&'a str, &str, &str)]) -> Vec<&'a str> {
    cases.iter().map(|(name, ..)| *name).collect()
}

struct Cases {
    host: Host,
    object: Object,
    jobs: Queue,
    component: Component,
}

impl Cases {
    fn new() -> Self {
        let text = Text {
            core: &format!("{CORE}{}", functions(CASES)),
            functions: &names(CASES),
            imports: IMPORTS,
            lowered: LOWERED,
            more: MORE,
            uses: USES,
            exports: EXPORTS,
            ..Text::NONE
        };
        Self::of(&text.component())
    }

    /// With another component beside the guest.
    fn with_another() -> Self {
        let names = names(CALLS_TO_ANOTHER);
        let text = Text {
            core: &functions(CALLS_TO_ANOTHER),
            functions: &names,
            imports: OTHERS_TYPE,
            lowered: OTHERS_LOWERED,
            more: OTHERS,
            uses: USES_OF_OTHER,
            ..Text::NONE
        };
        Self::of(&text.component_beside("other", OTHER))
    }

    fn of(text: &str) -> Self {
        let host = Host::new();
        let component = Component::new(&host.engine, text);
        Self {
            component: component.unwrap_or_else(|error| panic!("{error:?}")),
            host,
            object: Object::new(4096),
            jobs: Queue::new(),
        }
    }

    fn guest(&self) -> Guest {
        let grants = [
            format!("shm:{}::/object,map", self.object.name),
            format!("mq:{}::/jobs", self.jobs.name),
        ];
        let grants = grants.each_ref().map(String::as_str);
        self.host.start(&self.component, &grants, Quota::default())
    }

    /// Each does something on the guest's own memory, and ends the guest on a mapping.
    fn check(&self, cases: &[(&str, &str, &str)]) {
        for (name, _, reason) in cases.iter().filter(|(.., reason)| !reason.is_empty()) {
            self.guest()
                .call(name, OWN)
                .unwrap_or_else(|error| panic!("{name} on the guest's own memory: {error:?}"));
            let before = self.object.fill().words();
            for address in [FIRST, FIRST + 2048, FIRST - 8, FIRST + 4080, FIRST + 8192] {
                let found = self.guest().trap(name, address);
                assert!(found.contains(reason), "{name} at {address:x}: {found}");
                assert_eq!(self.object.words(), before, "{name} at {address:x}");
            }
        }
    }
}

#[test]
fn nothing_but_loads_and_stores_reaches_a_mapping() {
    Cases::new().check(CASES);
}

#[test]
fn calls_to_another_component_do_not_reach_a_mapping() {
    Cases::with_another().check(CALLS_TO_ANOTHER);
}

#[test]
fn a_list_over_the_end_of_a_memory_at_its_limit_is_refused() {
    let cases = Cases::new();
    let before = cases.object.fill().words();
    let text = Text {
        core: r#"
        (func (export "grow-and-write") (param $length i64) (result i64)
            (drop (call $map (i64.const 4096) (i32.const 2)))
            (if (i32.ne (i32.const 2) (memory.grow (i32.const 49149))) (then unreachable))
            (call $write (global.get $segment) (i64.const 0) (i32.const 0xBFFEFFF8)
                (i32.wrap_i64 (local.get $length)) (i32.const 512))
            (i64.load8_u (i32.const 512)))"#,
        functions: &["grow-and-write"],
        ..Text::NONE
    };
    let grant = format!("shm:{}::/object,map", cases.object.name);
    let text = text.component();
    for length in [9, 16, 0x10010, 0x10000 + 8 + 4096] {
        let reason = cases
            .host
            .guest(&text, &[&grant])
            .trap("grow-and-write", length);
        assert!(
            reason.contains("list pointer/length out of bounds"),
            "{reason}"
        );
        assert_eq!(cases.object.words(), before);
    }
    let mut guest = cases.host.guest(&text, &[&grant]);
    assert_eq!(guest.call("grow-and-write", 8).unwrap(), 0);
}

#[test]
fn results_that_lie_in_a_mapping_are_refused() {
    let cases = Cases::new();
    let before = cases.object.fill().words();
    let results = |export: &str, address: u64| {
        let mut guest = cases.guest();
        guest.call("point", address).unwrap();
        let export = guest.instance.get_func(&mut guest.store, export).unwrap();
        let mut results = [wasmtime::component::Val::Bool(false)];
        wait(export.call_async(&mut guest.store, &[], &mut results))
    };
    for export in ["text", "bytes", "area"] {
        results(export, OWN).unwrap_or_else(|error| panic!("{export}: {error:?}"));
        let error = results(export, FIRST).expect_err(export);
        assert!(format!("{error:#}").contains("out of bounds"), "{error:?}");
        assert_eq!(cases.object.words(), before);
    }
}

/// It is for shared memories only, and looks at the address first.
#[test]
fn waiting_in_a_mapping_is_refused() {
    let text = Text {
        core: r#"
        (func (export "wait") (param $at i64) (result i64)
            (drop (call $map (i64.const 4096) (i32.const 2)))
            (i64.extend_i32_u (memory.atomic.wait32
                (i32.wrap_i64 (local.get $at)) (i32.const 0) (i64.const 0))))"#,
        functions: &["wait"],
        ..Text::NONE
    };
    let (host, object) = (Host::new(), Object::new(4096));
    let grant = format!("shm:{}::/object,map", object.name);
    let reason = host.guest(&text.component(), &[&grant]).trap("wait", FIRST);
    assert!(reason.contains("out of bounds"), "{reason}");
}
