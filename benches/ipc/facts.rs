//! What is not compared operation by operation: starting, and holding many guests.

use crate::guest::{Guests, file};
use crate::programs;
use crate::report::Fact;
use crate::waiters;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use wasmtime_posix_ipc::grant::{Grants, Kind, Name};

pub fn all(guests: &Guests, wanted: &dyn Fn(&str) -> bool) -> Vec<Fact> {
    let mut facts = Vec::new();
    if wanted("start") {
        start(&mut facts);
    }
    if wanted("guests") {
        many(guests, &mut facts);
    }
    if wanted("waiting") {
        waiters::all(guests, &mut facts);
    }
    if wanted("grants") {
        grants(&mut facts);
        checks(guests, &mut facts);
    }
    facts
}

/// How long programs take from their start to their end that only end.
fn start(facts: &mut Vec<Fact>) {
    let cache = std::env::temp_dir().join(format!("posix-ipc-bench.{}", std::process::id()));
    let scripts = cache.with_extension("scripts");
    std::fs::create_dir_all(&scripts).expect("there is a place for temporary files");
    let run = |options: &[&str], guest: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_posix-ipc"));
        command.arg("run").env("XDG_CACHE_HOME", &cache);
        if let Ok(runtimes) = programs::runtimes() {
            command.env("POSIX_IPC_RUNTIMES", runtimes);
        }
        command.args(options).arg(guest);
        command
    };
    let script = |name: &str| {
        let path = scripts.join(name);
        std::fs::write(&path, "").expect("the file can be written");
        run(&[], &path)
    };
    let python = std::env::var_os("POSIX_IPC_BENCH_PYTHON").unwrap_or("python3".into());
    let mut native_python = Command::new(python);
    native_python.args(["-c", "pass"]);
    let mut node = Command::new("node");
    node.args(["-e", ""]);
    let mut all = vec![
        ("python3 -c pass", Some(native_python)),
        ("node -e ''", Some(node).filter(|_| there_is_node())),
        ("a guest", Some(run(&[], Path::new(file())))),
        (
            "a guest, --map",
            Some(run(&["--private", "--map"], Path::new(file()))),
        ),
        (
            "in C",
            programs::c_guest().ok().map(|guest| run(&[], &guest)),
        ),
        (
            "in Go",
            programs::go_guest().ok().map(|guest| run(&[], &guest)),
        ),
        (
            "a script, Python",
            programs::runtimes().ok().map(|_| script("pass.py")),
        ),
        (
            "a script, JavaScript",
            programs::runtimes().ok().map(|_| script("pass.mjs")),
        ),
    ];
    let cold: Vec<f64> = (0..3)
        .map(|_| {
            remove(&cache);
            milliseconds(&mut run(&[], Path::new(file())))
        })
        .collect();
    // The first round compiles, and is to get warm.
    let mut rounds = vec![Vec::new(); all.len()];
    for round in 0..=20 {
        for ((_, command), taken) in all.iter_mut().zip(&mut rounds) {
            if let Some(command) = command {
                let milliseconds = milliseconds(command);
                taken.extend((round > 0).then_some(milliseconds));
            }
        }
    }
    remove(&cache);
    remove(&scripts);
    let all = all.into_iter().zip(rounds);
    let all = all.filter_map(|((name, command), taken)| command.map(|_| (name, median(taken))));
    let all: Vec<(&str, f64)> = all.collect();
    for (name, value) in &all {
        let fact = Fact::new(format!("start: {name}"), *value, "ms");
        facts.push(match *name {
            "a guest" => fact.at_most(50.0),
            _ => fact,
        });
    }
    facts.push(Fact::new(
        "start: a guest, compiled first",
        median(cold),
        "ms",
    ));
    for (guest, native, most) in [
        ("a guest", "python3 -c pass", 3.0),
        ("a script, Python", "python3 -c pass", 1.0),
        ("a script, JavaScript", "node -e ''", 0.2),
    ] {
        let of = |name| {
            all.iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value)
        };
        let name = format!("start: {guest}, as a multiple of {native}");
        // What was not measured misses its goal.
        let ratio = of(guest).zip(of(native)).map_or(f64::NAN, |(a, b)| a / b);
        facts.push(Fact::new(name, ratio, "times").at_most(most));
    }
}

fn there_is_node() -> bool {
    let mut node = Command::new("node");
    let quiet = node.arg("--version").stdout(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn remove(folder: &Path) {
    // At first it is not there.
    let _ = std::fs::remove_dir_all(folder);
}

fn milliseconds(command: &mut Command) -> f64 {
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{command:?}");
    start.elapsed().as_secs_f64() * 1e3
}

/// A thousand guests in this process.
fn many(guests: &Guests, facts: &mut Vec<Fact>) {
    const MANY: usize = 1000;
    for (mappings, engine) in [(false, ""), (true, ", mappings")] {
        // What the first guest of a process costs is not of interest.
        drop(guests.start(mappings, 10));
        let (start, before) = (Instant::now(), resident());
        let all = guests.start(mappings, MANY);
        let (taken, after) = (start.elapsed(), resident());
        assert_eq!(all.len(), MANY);
        let rate = MANY as f64 / taken.as_secs_f64();
        let memory = (after - before) / MANY as f64;
        let name = |what: &str| format!("guests: {what}{engine}");
        facts.push(
            Fact::new(name("instantiated of 1000"), all.len() as f64, "guests").at_least(1000.0),
        );
        facts.push(Fact::new(name("instantiated in a second"), rate, "guests"));
        facts.push(Fact::new(name("memory of an idle one"), memory, "KiB"));
    }
}

/// The memory of this process in KiB.
pub fn resident() -> f64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux has it");
    let line = rollup.lines().find(|line| line.starts_with("Rss:"));
    let number = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

/// Looking a name up among the grants of a guest.
fn grants(facts: &mut Vec<Fact>) {
    for count in [1, 100] {
        let grants = (0..count).map(|index| format!("mq:/jobs.{index}"));
        let grants = Grants::parse(grants).expect("no name twice");
        let rounds = (0..9).map(|_| {
            let start = Instant::now();
            for _ in 0..10_000 {
                let name = Name::new(Kind::MessageQueue, std::hint::black_box("/jobs.0"));
                let found = grants.find(&name.expect("a name"));
                assert!(matches!(std::hint::black_box(found), Ok(Some(_))));
            }
            start.elapsed().as_nanos() as f64 / 1e4
        });
        let name = format!("grants: finding one of {count}");
        facts.push(Fact::new(name, median(rounds.collect()), "ns"));
    }
}

/// What it costs a release that the guest has grants. All take turns, as for the rows.
fn checks(guests: &Guests, facts: &mut Vec<Fact>) {
    const COUNT: u64 = 200_000;
    const ROUNDS: usize = 31;
    let kinds = [(1, false), (1, true), (100, true)];
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let sample = |(grants, checked)| {
            let taken = guests.release(grants, checked, COUNT);
            taken.as_nanos() as f64 / COUNT as f64
        };
        let taken = kinds.map(sample);
        // The first one is to get warm.
        if round > 0 {
            rounds.push(taken);
        }
    }
    let column = |of: &dyn Fn(&[f64; 3]) -> f64| median(rounds.iter().map(of).collect());
    let name = |what: &str| format!("grants: a release {what}");
    let nanoseconds = |what, at: usize| Fact::new(name(what), column(&|taken| taken[at]), "ns");
    facts.push(nanoseconds("without the check", 0));
    facts.push(nanoseconds("with 1 grant", 1));
    facts.push(nanoseconds("with 100 grants", 2));
    for (what, at) in [("with 1, as a multiple", 1), ("with 100, as a multiple", 2)] {
        let times = Fact::new(name(what), column(&|taken| taken[at] / taken[0]), "times");
        facts.push(times.at_most(1.05));
    }
}

pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
