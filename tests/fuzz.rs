//! The fuzz targets of `fuzz/`, on inputs that once found something and on some
//! thousands more, the same ones each time.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// Runs a target on the inputs in `fuzz/fixed/NAME`, and on `count` others.
fn run(name: &str, count: u64, check: fn(&[u8])) {
    let fixed = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/fixed")
        .join(name);
    let mut files = 0;
    for entry in std::fs::read_dir(&fixed).unwrap_or_else(|error| panic!("{fixed:?}: {error}")) {
        let path = entry.unwrap().path();
        let _shown = OnPanic(|| eprintln!("the input is {}", path.display()));
        check(&std::fs::read(&path).unwrap());
        files += 1;
    }
    assert!(files > 0, "{fixed:?} is empty");
    for seed in 0..count {
        let input = random_bytes(seed);
        let _shown = OnPanic(|| eprintln!("the input is {input:02x?}, of seed {seed}"));
        check(&input);
    }
}

struct OnPanic<F: Fn()>(F);

impl<F: Fn()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

/// Up to 1 KiB, by SplitMix64.
fn random_bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    let length = next() as usize % 1024;
    let words = std::iter::repeat_with(|| next().to_le_bytes());
    words.take(length / 8 + 1).flatten().take(length).collect()
}

#[test]
fn grants() {
    run("grants", 5000, targets::grants::check);
}

#[test]
fn names() {
    run("names", 5000, targets::names::check);
}

#[test]
fn ledger() {
    run("ledger", 1000, targets::ledger::check);
}

#[test]
fn plan() {
    run("plan", 1000, targets::plan::check);
}
