//! Limits of memory hold for whatever a guest is made of: guests that are made at random,
//! of memories, tables, globals and instances that grow in any order, with growth among
//! it that fails.

use crate::support::{Folder, component, run};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use std::fmt::Write;
use std::process::Stdio;

/// How many guests are tried where nobody asks for more.
const SAMPLE: u64 = 12;

const LIMIT: u64 = 16 << 20;

/// What a host takes besides the limit: the room that `check_component` allows, and what
/// differs from run to run.
const BESIDES: u64 = (64 << 20) + (24 << 20);

#[test]
fn guests_of_any_make_stay_within_their_memory() {
    let asked = std::env::var("POSIX_IPC_MODULES").ok();
    let guests = asked
        .as_ref()
        .map_or(SAMPLE, |guests| guests.parse().unwrap());
    let folder = Folder::new();
    let nothing = peak(&folder, &component("", "(i32.const 0)"));
    let mut most = 0;
    for number in 0..guests {
        // The same guests in each test run; others where somebody asks for more.
        let seed = match asked {
            None => number,
            Some(_) => rand::random(),
        };
        let peak = peak(&folder, &guest(&mut StdRng::seed_from_u64(seed)));
        let more = peak.saturating_sub(nothing);
        most = most.max(more);
        assert!(
            more <= LIMIT + BESIDES,
            "the guest of seed {seed} took {more} bytes"
        );
    }
    println!("{guests} guests; the largest took {most} bytes where the limit is {LIMIT}");
}

/// The most memory that the host of a guest had.
#[expect(
    clippy::zombie_processes,
    reason = "`wait4` waits for it, and says what it took"
)]
fn peak(folder: &Folder, text: &str) -> u64 {
    let file = folder.file("guest.wat", text);
    let limit = format!("{LIMIT}B");
    // Compiling takes memory too, but not the second time.
    let mut peak = 0;
    for _ in 0..2 {
        let mut command = run(&["--max-memory", &limit], &file, &[]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = child.spawn().unwrap();
        // SAFETY: plain data, for which zero is valid; and the child has not been waited for.
        peak = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            let mut status = 0;
            let id = child.id() as i32;
            assert_eq!(libc::wait4(id, &mut status, 0, &mut usage), id);
            assert!(libc::WIFEXITED(status), "{status:x}: {text}");
            usage.ru_maxrss as u64 * 1024
        };
    }
    peak
}

/// A guest that does what it can to take memory, and then returns.
fn guest(random: &mut impl Rng) -> String {
    let (fields, body) = module(random);
    let mut text = component(&fields, &format!("{body} (i32.const 0)"));
    let mut more = String::new();
    for number in 0..random.random_range(0..3) {
        let (fields, body) = module(random);
        let instance = format!("(core instance (instantiate $m{number}))");
        let instances = instance.repeat(random.random_range(0..30));
        let _ = write!(
            more,
            "(core module $m{number} {fields} (func $start {body}) (start $start)) {instances}"
        );
    }
    text.insert_str("(component".len(), &more);
    text
}

/// Memories, tables and globals, and steps that let them grow.
fn module(random: &mut impl Rng) -> (String, String) {
    let memories: Vec<bool> = (0..random.random_range(1..4))
        .map(|_| random.random())
        .collect();
    let tables = random.random_range(1..3);
    let mut fields = String::new();
    for (number, is_long) in memories.iter().enumerate() {
        let index = if *is_long { "i64" } else { "i32" };
        let pages = random.random_range(0..3);
        let _ = write!(fields, "(memory $memory{number} {index} {pages})");
    }
    for number in 0..tables {
        let index = ["i32", "i64"][random.random_range(0..2)];
        let _ = write!(fields, "(table $t{number} {index} 1 funcref)");
        let _ = write!(
            fields,
            "(func $grow{number} (param i64) (drop (table.grow $t{number} (ref.null func) {})))",
            if index == "i64" {
                "(local.get 0)"
            } else {
                "(i32.wrap_i64 (local.get 0))"
            },
        );
    }
    let globals = "(global (mut i64) (i64.const 1))".repeat(random.random_range(0..2000));
    fields += &globals;
    let mut body = String::new();
    for _ in 0..random.random_range(1..60) {
        let memory = random.random_range(0..memories.len());
        let index = if memories[memory] { "i64" } else { "i32" };
        let steps: [i64; 7] = [1, 7, 16, 64, 500, 65536, -1];
        let step = steps[random.random_range(0..steps.len())];
        let _ = match random.random_range(0..3) {
            0 => write!(
                body,
                "(drop (memory.grow $memory{memory} ({index}.const {step})))"
            ),
            // So that what it has is there.
            1 => write!(
                body,
                "(memory.fill $memory{memory} ({index}.const 0) (i32.const 1)
                    ({index}.mul (memory.size $memory{memory}) ({index}.const 65536)))"
            ),
            _ => write!(
                body,
                "(call $grow{} (i64.const {}))",
                random.random_range(0..tables),
                step.saturating_mul(1000)
            ),
        };
    }
    (fields, body)
}
