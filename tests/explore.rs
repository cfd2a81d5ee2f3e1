//! `posix-ipc explore`: wrong programs fail, right ones do not, and a run can be repeated.

use crate::support::program::{Program, guest_c};
use crate::support::scripts::Runtime;
use crate::support::{Ended, Folder, posix_ipc, repository, unshared};
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

/// A guest of the examples.
fn example(name: &str) -> PathBuf {
    let source = repository().join("guest-examples/lab/c").join(name);
    match guest_c(&source) {
        Program::Guest(path) => path,
        other => panic!("{other:?} is no guest"),
    }
}

fn explore(options: &[&str], guests: &[&PathBuf], arguments: &[&str]) -> Ended {
    let mut command = posix_ipc();
    command.arg("explore").args(options).args(guests);
    Ended::of(command.arg("--").args(arguments))
}

#[test]
fn two_locks_in_two_orders_deadlock() {
    let guest = example("two-locks.c");
    for strategy in ["random", "pct", "exhaustive"] {
        let found = explore(&["--strategy", strategy], &[&guest; 2], &["{n}"]);
        assert_eq!(found.code, Some(1), "{found:?}");
        for line in ["sem:/left (acquire)", "sem:/right (acquire)", "deadlock"] {
            assert!(found.stdout.contains(line), "{line}: {found:?}");
        }
    }
    let found = explore(&["--runs", "200"], &[&guest; 2], &["{n}", "right"]);
    assert_eq!(found.code, Some(0), "{found:?}");
    assert!(
        found.stdout.starts_with("no failure in 200 runs"),
        "{found:?}"
    );
}

/// Each of the programs, with how many guests it is for and how it fails.
const PROGRAMS: [(&str, usize, &str); 11] = [
    ("two-locks.c", 2, "deadlock"),
    ("lost-wakeup.c", 2, "deadlock"),
    ("full-queue.c", 2, "deadlock"),
    ("initial-value.c", 2, "deadlock"),
    ("check-then-act.c", 2, "exit"),
    ("overtaken.c", 2, "exit"),
    ("upgrade.c", 2, "deadlock"),
    ("barrier.c", 2, "exit"),
    ("dead-worker.c", 3, "deadlock"),
    ("counter.c", 2, "exit"),
    ("ring.c", 2, "exit"),
];

#[test]
fn wrong_programs_fail_and_right_ones_do_not() {
    for (name, guests, failure) in PROGRAMS {
        let guest = example(name);
        let guests = vec![&guest; guests];
        let found = explore(&["--runs", "5000"], &guests, &["{n}"]);
        assert_eq!(found.code, Some(1), "{name}: {found:?}");
        assert!(
            found.stdout.to_lowercase().contains(failure),
            "{name}: {found:?}"
        );
        let found = explore(&["--runs", "200"], &guests, &["{n}", "right"]);
        assert_eq!(found.code, Some(0), "{name}: {found:?}");
        assert!(
            found.stdout.starts_with("no failure in 200 runs"),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn a_recording_is_repeated_and_another_guest_is_refused() {
    let guest = example("two-locks.c");
    let folder = Folder::new();
    let copy = folder.file("guest.wasm", std::fs::read(&guest).unwrap());
    let recording = folder.path().join("deadlock.json");
    let save = ["--save", recording.to_str().unwrap()];
    let found = explore(&save, &[&copy; 2], &["{n}"]);
    assert_eq!(found.code, Some(1), "{found:?}");

    let replay = || Ended::of(posix_ipc().arg("explore").arg("--replay").arg(&recording));
    let (first, second) = (replay(), replay());
    assert_eq!(first.code, Some(1), "{first:?}");
    assert_eq!(first.stdout, second.stdout);
    assert!(first.stdout.contains("deadlock"), "{first:?}");

    folder.file("guest.wasm", b"another");
    let refused = replay();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("has changed"), "{refused:?}");
}

#[test]
fn a_seed_gives_the_same_search_each_time() {
    let guest = example("two-locks.c");
    let search = |seed| {
        let found = explore(&["--seed", seed], &[&guest; 2], &["{n}"]);
        // How fast it was is not repeated.
        let line = found.stdout.lines().next().unwrap();
        let run = line.split(" (").next().unwrap().to_owned();
        let rest = found.stdout.lines().skip(1).map(str::to_owned);
        std::iter::once(run).chain(rest).collect::<Vec<_>>()
    };
    assert_eq!(search("7"), search("7"));
    assert_ne!(search("7"), search("1000"));
}

/// Guests that wait for each other have created objects, which nobody unlinks.
#[test]
fn nothing_is_left_of_a_deadlock() {
    let guest = example("two-locks.c");
    let mut search = posix_ipc();
    search.arg("explore").args([&guest; 2]).args(["--", "{n}"]);
    let mut command = Command::new("sh");
    command.args(["-c", r#""$@"; ls -A /dev/shm"#, "sh"]);
    command.arg(search.get_program()).args(search.get_args());
    let mount = "mount -t tmpfs shm /dev/shm;";
    let mut command = unshared(&["--mount"], mount, &command);
    let ended = Ended::of(&mut command);
    let last = ended.stdout.lines().last();
    assert!(
        last.is_some_and(|line| line.starts_with("deadlock")),
        "{ended:?}"
    );
}

/// What the guests did is a table with a column for each. A recording has it too, and is not
/// repeated if they do something else.
#[test]
fn the_operations_of_a_run_are_shown_and_kept() {
    let guest = example("counter.c");
    let folder = Folder::new();
    let recording = folder.path().join("run.json");
    let save = ["--save", recording.to_str().unwrap()];
    let found = explore(&save, &[&guest; 2], &["{n}"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    let lines: Vec<&str> = found.stdout.lines().collect();
    let second = lines[3].find("1:").unwrap();
    let writes: Vec<usize> = lines
        .iter()
        .filter_map(|line| line.find("write shm:/state at=0 bytes=4 value=1: ok"))
        .collect();
    assert_eq!(writes.len(), 2, "both write the same value: {found:?}");
    assert!(writes.contains(&0) && writes.contains(&second), "{found:?}");
    assert!(
        lines.contains(&"acquire sem:/done: waits"),
        "who waits says so: {found:?}"
    );

    let text = std::fs::read_to_string(&recording).unwrap();
    let kept: Value = serde_json::from_str(&text).unwrap();
    let kept = kept["operations"].as_array().unwrap();
    let shown = lines.iter().filter(|line| {
        let cell = line.trim_start();
        ["shm:/", "sem:/"].iter().any(|kind| cell.contains(kind))
    });
    assert_eq!(kept.len(), shown.count(), "{found:?}");

    let replay = || Ended::of(posix_ipc().arg("explore").arg("--replay").arg(&recording));
    let repeated = replay();
    assert_eq!(repeated.code, Some(1), "{repeated:?}");
    assert!(found.stdout.contains(&repeated.stdout), "{repeated:?}");
    std::fs::write(&recording, text.replace("\"acquire\"", "\"release\"")).unwrap();
    let refused = replay();
    assert!(refused.stderr.contains("was not repeated"), "{refused:?}");
}

/// The trace has a track for each guest, and an arrow from each release to the acquisition
/// that it has let go on.
#[test]
fn a_trace_has_what_perfetto_draws() {
    let guest = example("counter.c");
    let folder = Folder::new();
    let file = folder.path().join("trace.json");
    let options = ["--trace", file.to_str().unwrap()];
    let found = explore(&options, &[&guest; 2], &["{n}"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    let trace: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |phase: &'static str| events.iter().filter(move |event| event["ph"] == phase);
    for event in events {
        assert!(event["name"].is_string() && event["pid"] == 1, "{event}");
        assert!([1, 2].map(Value::from).contains(&event["tid"]), "{event}");
        assert!(event["ph"] == "M" || event["ts"].is_u64(), "{event}");
    }
    let names: Vec<&Value> = of("M").map(|event| &event["args"]["name"]).collect();
    assert_eq!(names.len(), 2, "{names:?}");

    // What a track shows at a time: no slice overlaps another one of the same track.
    let mut slices: HashMap<(u64, u64), &Value> = HashMap::new();
    for slice in of("X") {
        let (start, length) = (
            slice["ts"].as_u64().unwrap(),
            slice["dur"].as_u64().unwrap(),
        );
        assert!(length > 0, "{slice}");
        for time in start..start + length {
            let place = (slice["tid"].as_u64().unwrap(), time);
            assert_eq!(slices.insert(place, slice), None, "{slice}");
        }
    }
    assert!(of("X").any(|slice| slice["cat"] == "wait"));
    assert!(of("i").any(|event| event["cat"] == "failure"));

    let ends = |phase: &'static str| -> HashMap<u64, &Value> {
        let arrows = of(phase).map(|arrow| (arrow["id"].as_u64().unwrap(), arrow));
        arrows.collect()
    };
    let (starts, ends) = (ends("s"), ends("f"));
    assert!(!starts.is_empty() && starts.len() == ends.len(), "{trace}");
    for (id, start) in starts {
        let slice = |arrow: &Value| {
            let place = (
                arrow["tid"].as_u64().unwrap(),
                arrow["ts"].as_u64().unwrap(),
            );
            slices[&place]
        };
        let (from, to) = (slice(start), slice(ends[&id]));
        assert_ne!(from["tid"], to["tid"]);
        assert_eq!(from["args"]["object"], to["args"]["object"]);
        let calls = (&from["args"]["call"], &to["args"]["call"]);
        assert_eq!(calls, (&"release".into(), &"acquire".into()));
        assert!(from["ts"].as_u64() < to["ts"].as_u64());
    }
}

#[test]
fn programs_can_read_what_was_found() {
    let guest = example("two-locks.c");
    let folder = Folder::new();
    let junit = folder.path().join("junit.xml");
    let options = [
        "--format",
        "json",
        "--runs",
        "50",
        "--junit",
        junit.to_str().unwrap(),
    ];
    let search = |arguments: &[&str]| {
        let found = explore(&options, &[&guest; 2], arguments);
        let value: Value = serde_json::from_str(&found.stdout).unwrap();
        (found.code, value, std::fs::read_to_string(&junit).unwrap())
    };
    let (code, value, xml) = search(&["{n}"]);
    assert_eq!(code, Some(1));
    assert_eq!(value["failure"]["kind"], "deadlock", "{value}");
    assert_eq!(
        value["failure"]["waits"][0]["waits-for"],
        "sem:/right (acquire)"
    );
    assert_eq!(value["run"]["operations"][0]["call"], "open-or-create");
    for part in [
        r#"<testsuites tests="1" failures="1">"#,
        r#"<failure message="deadlock: nobody can go on">"#,
        "acquire sem:/left: waits",
    ] {
        assert!(xml.contains(part), "{part}: {xml}");
    }
    let (code, value, xml) = search(&["{n}", "right"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        (&value["runs"], &value["failure"]),
        (&50.into(), &Value::Null)
    );
    assert!(
        xml.contains(r#"failures="0""#) && !xml.contains("<failure"),
        "{xml}"
    );
}

#[test]
fn a_check_decides_whether_a_run_has_failed() {
    let guest = example("two-locks.c");
    let check = |command| {
        let options = ["--runs", "20", "--check", command];
        explore(&options, &[&guest; 2], &["{n}", "right"])
    };
    let passed = check(r#"grep -q '"call":"acquire"'"#);
    assert_eq!(passed.code, Some(0), "{passed:?}");
    let failed = check("echo no receive; grep -q '\"call\":\"receive\"'");
    assert_eq!(failed.code, Some(1), "{failed:?}");
    for part in ["run 1 failed", "the check failed: ", "no receive"] {
        assert!(failed.stdout.contains(part), "{part}: {failed:?}");
    }
    // A check that does not read its input holds nothing up.
    assert_eq!(check("true").code, Some(0));
}

/// Who is killed while it holds a lock stops the others, unless the lock is given back.
#[test]
fn a_guest_is_killed_and_its_locks_are_given_back_under_undo() {
    let guest = example("two-locks.c");
    let folder = Folder::new();
    folder.file("guest.wasm", std::fs::read(&guest).unwrap());
    let recording = folder.path().join("killed.json");
    let search = |options: &str, runs| {
        let manifest = format!(
            r#"
                [[guest]]
                program = "guest.wasm"
                args = ["{{n}}", "right"]
                count = 2
                grants = ["sem:/left,create{options}", "sem:/right,create{options}"]
            "#
        );
        let manifest = folder.file("guests.toml", manifest);
        let mut command = posix_ipc();
        command.args(["explore", "--faults", "kill", "--runs", runs]);
        command.arg("--save").arg(&recording);
        Ended::of(command.arg("--manifest").arg(manifest))
    };
    let found = search("", "500");
    assert_eq!(found.code, Some(1), "{found:?}");
    for part in ["killed (fault)", "deadlock: nobody can go on"] {
        assert!(found.stdout.contains(part), "{part}: {found:?}");
    }
    let repeated = Ended::of(posix_ipc().arg("explore").arg("--replay").arg(&recording));
    assert!(found.stdout.contains(&repeated.stdout), "{repeated:?}");

    let found = search(",undo", "300");
    assert_eq!(found.code, Some(0), "{found:?}");
}

#[test]
fn a_call_is_refused_as_posix_may() {
    let guest = example("two-locks.c");
    let found = explore(&["--faults", "errors"], &[&guest; 2], &["{n}", "right"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.stdout.contains("ENOSPC (fault)"), "{found:?}");
    assert!(
        found.stdout.contains("No space left on device"),
        "{found:?}"
    );
    let options = ["--faults", "errors", "--strategy", "exhaustive"];
    let refused = explore(&options, &[&guest; 2], &["{n}"]);
    assert!(
        refused.stderr.contains("--faults are random"),
        "{refused:?}"
    );
}

#[test]
fn a_wrong_list_of_guests_is_refused() {
    let folder = Folder::new();
    for (text, part) in [
        ("", "missing field `guest`"),
        ("guest = []", "has no guest"),
        ("[[guest]]\nargs = []", "missing field `program`"),
        ("[[guest]]\nprogram = 'a.wasm'\ncuont = 2", "cuont"),
        (
            "[[guest]]\nprogram = 'a.wasm'\ncount = 1000000000",
            "more than 100 guests",
        ),
        (
            "[[guest]]\nprogram = 'a.wasm'\ngrants = ['sem:gate']",
            "guest",
        ),
    ] {
        let manifest = folder.file("guests.toml", text);
        let refused = Ended::of(posix_ipc().args(["explore", "--manifest"]).arg(manifest));
        assert_eq!(refused.code, Some(1), "{text}: {refused:?}");
        assert!(refused.stderr.contains(part), "{text}: {refused:?}");
    }
}

/// A program that opens a semaphore and adds to it has six turns: two of them begin it, and
/// each of the two calls has two. Two such programs never wait, so each order of their turns
/// is possible: 12 over 6.
#[test]
fn exhaustive_search_makes_as_many_runs_as_there_are_orders() {
    let folder = Folder::new();
    let source = r#"
        #include <fcntl.h>
        #include <semaphore.h>
        int main(void)
        {
            sem_t *one = sem_open("/one", O_CREAT, 0600, 0);
            return one == SEM_FAILED || sem_post(one) < 0;
        }
    "#;
    let Program::Guest(guest) = guest_c(&folder.file("one.c", source)) else {
        panic!("it is no guest");
    };
    let alone = explore(&["--check", "false", "--format", "json"], &[&guest], &[]);
    let alone: Value = serde_json::from_str(&alone.stdout).unwrap();
    let turns = alone["run"]["schedule"].as_array().unwrap().len();
    assert_eq!(turns, 6, "{alone}");
    let found = explore(&["--strategy", "exhaustive"], &[&guest; 2], &[]);
    let expected = "no failure in 924 runs, which are all there are";
    assert!(found.stdout.starts_with(expected), "{found:?}");
}

/// The runs of a search, each as a line: what was said, done and chosen, and how long it took.
fn runs_of(folder: &Folder, options: &[&str], guests: &[&PathBuf], arguments: &[&str]) -> String {
    let file = folder.path().join("runs");
    let _ = std::fs::remove_file(&file);
    let check = format!("cat >> '{0}' && echo >> '{0}'", file.display());
    let mut command = posix_ipc();
    command.args(["explore", "--check", &check]).args(options);
    let ended = Ended::of(command.args(guests).arg("--").args(arguments));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    std::fs::read_to_string(file).unwrap()
}

fn two_searches_are_equal(guests: &[&PathBuf], arguments: &[&str], runs: usize) {
    let folder = Folder::new();
    let count = runs.to_string();
    let options = ["--runs", &count];
    let first = runs_of(&folder, &options, guests, arguments);
    assert_eq!(first.lines().count(), runs);
    assert!(first.contains("\"operations\":[{"), "{first}");
    assert!(first == runs_of(&folder, &options, guests, arguments));
}

#[test]
fn a_seed_is_repeated_to_the_byte_in_c() {
    let guest = example("two-locks.c");
    two_searches_are_equal(&[&guest; 2], &["{n}", "right"], 100);
    let guest = example("dead-worker.c");
    two_searches_are_equal(&[&guest; 3], &["{n}", "right"], 50);
}

/// Clocks and random numbers are those of the laboratory, whatever asks for them.
#[test]
fn a_seed_is_repeated_to_the_byte_in_scripts() {
    let folder = Folder::new();
    let python = "
import posix_ipc, random, time, uuid

gate = posix_ipc.Semaphore('/gate', posix_ipc.O_CREAT)
gate.release()
time.sleep(random.random())
gate.acquire()
print(time.time(), time.monotonic(), random.random(), uuid.uuid4(), {'a', 'b', 'c'}, id(gate))
";
    let javascript = "
import { Semaphore } from 'posix-ipc';

const gate = Semaphore.open('/gate', { create: true });
gate.release();
gate.acquire();
console.log(Math.random(), Date.now(), new Date().toString());
";
    for (language, name, text) in [
        ("python", "guest.py", python),
        ("js", "guest.js", javascript),
    ] {
        Runtime::find(language);
        let script = folder.file(name, text);
        two_searches_are_equal(&[&script; 2], &[], 5);
    }
}

/// Scripts, with how many guests they are for and how they fail.
const SCRIPTS: [(&str, &str); 4] = [
    ("two_locks.py", "deadlock"),
    ("counter.py", "lost something"),
    ("check_then_act.py", "BusyError"),
    ("full_queue.py", "deadlock"),
];

#[test]
fn wrong_scripts_fail_and_right_ones_do_not() {
    Runtime::find("python");
    for (name, failure) in SCRIPTS {
        let script = repository().join("guest-examples/lab/python").join(name);
        let found = explore(&["--runs", "1000"], &[&script; 2], &["{n}"]);
        assert_eq!(found.code, Some(1), "{name}: {found:?}");
        assert!(found.stdout.contains(failure), "{name}: {found:?}");
        let found = explore(&["--runs", "30"], &[&script; 2], &["{n}", "right"]);
        assert_eq!(found.code, Some(0), "{name}: {found:?}");
    }
}
