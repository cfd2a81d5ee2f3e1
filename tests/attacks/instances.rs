//! Memory of the host by ways that are no growth of a memory within its limits.

use crate::support::{Ended, Folder, component, run};

#[track_caller]
fn run_text(flags: &[&str], text: &str) -> Ended {
    let folder = Folder::new();
    let file = folder.file("guest.wat", text);
    Ended::of(&mut run(flags, &file, &[]))
}

/// wasmtime reports a growth that overflows as one that has failed, without having asked
/// for it before: it gives nothing back.
#[test]
fn a_growth_that_overflows_gives_nothing_back() {
    let grow = "(if (i32.ne (memory.grow (i32.const 64)) (i32.const -1))
                    (then (local.set $grown (i32.add (local.get $grown) (i32.const 1)))))";
    let fails = "(drop (table.grow $t (ref.null func) (i64.const -1)))
                 (drop (memory.grow $big (i64.const -1)))";
    let body = format!(
        "(local $grown i32) (local $left i32)
         (local.set $left (i32.const 20))
         (loop $again {grow} {fails}
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $again (local.get $left)))
         (call $exit (local.get $grown)) unreachable"
    );
    let fields = "(memory 0) (memory $big i64 0) (table $t i64 1 funcref)";
    let ended = run_text(&["--max-memory", "9MiB"], &component(fields, &body));
    // Of 4 MiB each.
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

/// Each of them takes memory, addresses or both, though none has a page.
#[test]
fn instances_memories_and_tables_without_end() {
    let with = |fields: &str, instances: usize| {
        let module = format!("(core module $m {fields})");
        let instances = "(core instance (instantiate $m))".repeat(instances);
        let text = component("", "(i32.const 0)");
        let text = text.strip_prefix("(component").unwrap();
        run_text(&[], &format!("(component {module} {instances} {text}"))
    };
    let references = format!("(func $f) (elem func {})", "$f ".repeat(10_000));
    for (fields, instances, words) in [
        ("", 300, "it has 301 core instances"),
        (&*"(memory 0)".repeat(10), 10, "memory count too high"),
        (&"(table 0 funcref)".repeat(100), 11, "table count too high"),
        (
            &"(global i32 i32.const 0)".repeat(10_000),
            200,
            "2000002 globals",
        ),
        (&references, 200, "2000202 globals"),
    ] {
        let ended = with(fields, instances);
        assert_ne!(ended.code, Some(0), "{words}");
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    let ended = with("(memory 0) (table 0 funcref) (global i32 i32.const 0)", 60);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
