//! Every limit on what a guest holds: the error for the guest, the line for the host,
//! and that what is given back can be had again.

use super::{ask, attack};
use crate::support::{Folder, Names, Native, Running, exists, guest, run};
use std::path::Path;
use std::process::Stdio;

const QUOTA: &str = "error quota";

/// Runs lines with one quota, of which some meet it, and compares what the log says.
#[track_caller]
fn limited(probe: &Path, names: &Names, quota: [&str; 2], lines: &[(&str, &str)], log: &[&str]) {
    let pattern = format!("{},own", names.pattern());
    let flags = ["--sem", &pattern, "--shm", &pattern, "--mq", &pattern];
    let flags = [&flags[..], &quota].concat();
    let texts: Vec<String> = lines
        .iter()
        .map(|(line, _)| line.replace("P.", &names.name("")))
        .collect();
    let (outcomes, said) = ask(probe, &flags, &texts);
    let expected: Vec<&str> = lines.iter().map(|(_, outcome)| *outcome).collect();
    assert_eq!(outcomes, expected, "{quota:?}");
    let log: Vec<String> = log
        .iter()
        .map(|line| format!("posix-ipc: {line}"))
        .collect();
    assert_eq!(said, log, "{quota:?}");
    assert_eq!(names.existing(), [""; 0], "{quota:?}");
}

#[test]
fn handles() {
    let probe = guest("probe");
    let names = Names::new();
    limited(
        &probe,
        &names,
        ["--max-handles", "3"],
        &[
            ("a = sem.open P.a create value=1", "ok"),
            ("b = shm.open P.a create size=8", "ok"),
            ("c = mq.open P.a create limits=1x8", "ok"),
            ("d = sem.open P.a", QUOTA),
            ("d = shm.open P.d create size=8", QUOTA),
            ("d = mq.unique P.d limits=1x8", QUOTA),
            ("d = mq.notify c", QUOTA),
            // Nothing was made.
            ("shm.unlink P.d", "error no-entry"),
            ("close b", "ok"),
            ("d = mq.notify c", "ok"),
            ("close d", "ok"),
            ("d = shm.open P.a", "ok"),
            ("b = sem.open P.a", QUOTA),
        ],
        &[
            "the limit of 3 open handles does not allow 1 more: 3 in use; raise it with --max-handles N",
        ],
    );
}

/// A semaphore that is to be given back stays open behind the guest's back.
#[test]
fn handles_under_undo() {
    let probe = guest("probe");
    let names = Names::new();
    let mut lines = vec![];
    for name in 0..5 {
        lines.push(format!(
            "s = sem.open {} create value=1",
            names.name(&name.to_string())
        ));
        lines.push("sem.try s".into());
        lines.push(format!("sem.unlink {}", names.name(&name.to_string())));
        lines.push("close s".into());
    }
    let grant = format!("--sem={},own,undo", names.pattern());
    let (outcomes, _) = ask(&probe, &[&grant, "--max-handles", "4"], &lines);
    assert_eq!(outcomes[..12], ["ok"; 12]);
    // Three are held, and a fourth takes two.
    assert_eq!(outcomes[12], QUOTA);
    assert_eq!(outcomes[16], QUOTA);
}

#[test]
fn created_objects() {
    let probe = guest("probe");
    let names = Names::new();
    limited(
        &probe,
        &names,
        ["--max-created", "2"],
        &[
            ("a = sem.open P.a create value=1", "ok"),
            ("b = shm.open P.b create size=8", "ok"),
            ("c = mq.open P.c create limits=1x8", QUOTA),
            ("c = mq.open P.c", "error no-entry"),
            ("c = sem.unique P.c value=1", QUOTA),
            ("c = shm.open P.b", "ok"),
            ("shm.unlink P.b", "ok"),
            ("close b", "ok"),
            // One handle is left.
            ("d = mq.open P.c create limits=1x8", QUOTA),
            ("close c", "ok"),
            ("d = mq.open P.c create limits=1x8", "ok"),
        ],
        &[
            "the limit of 2 created objects does not allow 1 more: 2 in use; raise it with --max-created N",
        ],
    );
}

#[test]
fn bytes_of_shared_memory() {
    let probe = guest("probe");
    let names = Names::new();
    limited(
        &probe,
        &names,
        ["--max-shm-bytes", "4KiB"],
        &[
            ("a = shm.open P.a create size=4097", QUOTA),
            ("a = shm.open P.a", "error no-entry"),
            ("a = shm.open P.a create size=4096", "ok"),
            ("shm.resize a 4097", QUOTA),
            // What is refused leaves what was there.
            ("shm.write a 0 hello", "ok"),
            ("t = shm.open P.a truncate size=4097", QUOTA),
            ("shm.read a 0 5", "ok \"hello\""),
            ("t = shm.open P.a truncate size=4096", "ok"),
            ("shm.word a u32 0 load", "ok 0"),
            ("close t", "ok"),
            ("b = shm.unique P.b size=1", QUOTA),
            ("shm.resize a 4000", "ok"),
            ("b = shm.open P.b create size=96", "ok"),
            ("shm.resize b 97", QUOTA),
            ("shm.unlink P.a", "ok"),
            ("shm.resize b 97", QUOTA),
            ("close a", "ok"),
            ("shm.resize b 4096", "ok"),
        ],
        &[
            "the limit of 4096 bytes of shared memory does not allow 4097; raise it with --max-shm-bytes SIZE",
            "the limit of 4096 bytes of shared memory does not allow 1 more: 4096 in use; raise it with --max-shm-bytes SIZE",
        ],
    );
}

/// What the guest adds to a segment of somebody else is its own too.
#[test]
fn bytes_of_shared_memory_of_a_peer() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("foreign");
    let mut native = Native::set_up(&[format!("m = shm.open {name} create size=10000")]);
    let lines = [
        format!("m = shm.open {name}"),
        "shm.resize m 14096".into(),
        "shm.resize m 14097".into(),
        "close m".into(),
        format!("m = shm.open {name} size=14097"),
        format!("m = shm.open {name} size=12000"),
        "shm.resize m 14097".into(),
    ];
    let flags = ["--shm", &format!("{name},own"), "--max-shm-bytes", "4096B"];
    let (outcomes, _) = ask(&probe, &flags, &lines);
    assert_eq!(outcomes, ["ok", "ok", QUOTA, "ok", QUOTA, "ok", QUOTA]);
    assert_eq!(native.run("shm.size m"), Ok("12000".into()));
}

/// Each such segment is an object to look after for as long as the guest lives; one that
/// is only cut is not.
#[test]
fn segments_of_a_peer_that_are_grown() {
    let probe = guest("probe");
    let names = Names::new();
    let peers = ["a", "b", "c"].map(|stem| names.name(stem));
    let _native = Native::set_up(
        &peers
            .each_ref()
            .map(|name| format!("m = shm.open {name} create size=100")),
    );
    let [a, b, c] = peers;
    let lines = [
        format!("a = shm.open {a} size=50"),
        format!("b = shm.open {b} size=101"),
        format!("c = shm.open {c} size=50"),
        format!("c = shm.open {c} size=51"),
        format!("b = shm.open {b} size=102"),
    ];
    let flags = [
        "--shm",
        &format!("{},own", names.pattern()),
        "--max-created",
        "1",
    ];
    let (outcomes, _) = ask(&probe, &flags, &lines);
    assert_eq!(outcomes, ["ok", "ok", "ok", QUOTA, "ok"]);
}

#[test]
fn bytes_of_queues() {
    let probe = guest("probe");
    let names = Names::new();
    limited(
        &probe,
        &names,
        ["--max-mq-bytes", "64B"],
        &[
            ("a = mq.open P.a create limits=3x32", QUOTA),
            ("a = mq.open P.a", "error no-entry"),
            ("a = mq.open P.a create limits=2x32", "ok"),
            ("b = mq.unique P.b limits=1x1", QUOTA),
            ("mq.unlink P.a", "ok"),
            ("close a", "ok"),
            ("b = mq.unique P.b limits=1x64", "ok"),
        ],
        &[
            "the limit of 64 bytes of queues does not allow 96; raise it with --max-mq-bytes SIZE",
            "the limit of 64 bytes of queues does not allow 1 more: 64 in use; raise it with --max-mq-bytes SIZE",
        ],
    );
}

#[test]
fn the_size_of_a_message() {
    let probe = guest("probe");
    let names = Names::new();
    limited(
        &probe,
        &names,
        ["--max-message-size", "32B"],
        &[
            ("a = mq.open P.a create limits=1x33", QUOTA),
            ("a = mq.open P.a", "error no-entry"),
            ("a = mq.open P.a create limits=1x32", "ok"),
        ],
        &[
            "the limit of 32 bytes of a message does not allow 33; raise it with --max-message-size SIZE",
        ],
    );
}

#[test]
fn pollables() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("gate");
    let _native = Native::set_up(&[format!("s = sem.open {name} create")]);
    let flags = ["--sem", &name, "--max-pollables", "4"];
    let ended = attack(&probe, &flags, &["forget-pollables", &name, "9"]);
    assert_eq!(ended.lines(), ["4, then quota", "ok"]);
    assert_eq!(
        ended.stderr,
        "posix-ipc: the limit of 4 pollables does not allow 1 more: 4 in use; \
         raise it with --max-pollables N\n"
    );
    // They are given back: each of these makes one.
    let flag = format!("--sem={name}");
    let lines: Vec<String> = std::iter::once(format!("s = sem.open {name}"))
        .chain(vec!["sem.ready s".into(); 20])
        .collect();
    let (outcomes, log) = ask(&probe, &[&flag, "--max-pollables", "1"], &lines);
    assert_eq!(outcomes[1..], ["ok true"; 20]);
    assert_eq!(log, [""; 0]);
}

#[test]
fn the_longest_wait() {
    let probe = guest("probe");
    let names = Names::new();
    let late = "error timed-out";
    limited(
        &probe,
        &names,
        ["--max-wait", "20ms"],
        &[
            ("s = sem.open P.a create", "ok"),
            ("q = mq.open P.a create limits=1x8", "ok"),
            ("m = shm.open P.a create size=8", "ok"),
            // The guest's own limit is shorter.
            ("sem.acquire s timeout=1000", late),
            ("sem.acquire s", late),
            ("sem.acquire s timeout=max64", late),
            ("mq.receive q", late),
            ("mq.receive-batch q 2", late),
            ("shm.wait m 0 0", late),
            ("mq.send q fill", "ok"),
            ("mq.send q more", late),
            ("mq.send-batch q more:0 still:0", late),
        ],
        &["the limit of 20ms for a wait has ended one; raise it with --max-wait TIME"],
    );
}

#[test]
fn the_memory_of_the_guest() {
    let probe = guest("probe");
    let folder = Folder::new();
    let manifest = folder.file("grants.toml", "[quota]\nmemory = \"48MiB\"\n");
    let manifest = manifest.to_str().unwrap();
    for (flags, limit) in [
        (["--max-memory", "64MiB"], 64),
        (["--manifest", manifest], 48),
    ] {
        let ended = attack(&probe, &flags, &["grow", "200"]);
        let line = ended.lines()[0].to_owned();
        let taken: u64 = line.split(' ').next().unwrap().parse().unwrap();
        assert!((limit / 2..limit).contains(&taken), "{limit}: {line}");
        let words = format!(
            "posix-ipc: the limit of {} bytes of the guest's memory",
            limit << 20
        );
        assert!(ended.stderr.starts_with(&words), "{ended:?}");
        assert!(
            ended.stderr.contains("raise it with --max-memory SIZE"),
            "{ended:?}"
        );
    }
    // Not even enough to start with.
    let ended = attack(&probe, &["--max-memory", "64KiB"], &["grow", "1"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("--max-memory SIZE"), "{ended:?}");
    let words = "its memories and tables need more than the 64KiB of --max-memory\n";
    assert!(ended.stderr.ends_with(words), "{ended:?}");
    // Tables count, and so do several memories together.
    for (text, code) in [
        ("(memory 300) (memory 300)", 0),
        ("(memory 600) (memory 600)", 1),
        ("(table 4000000 funcref)", 0),
        ("(table 9000000 funcref)", 1),
    ] {
        let component = format!(
            r#"(component
                (core module $code {text} (func (export "run") (result i32) (i32.const 0)))
                (core instance $code (instantiate $code))
                (func $run (result (result)) (canon lift (core func $code "run")))
                (instance $command (export "run" (func $run)))
                (export "wasi:cli/run@0.2.12" (instance $command)))"#
        );
        let file = folder.file("guest.wat", component);
        let ended = crate::support::Ended::of(&mut run(&["--max-memory", "64MiB"], &file, &[]));
        assert_eq!(ended.code, Some(code), "{text}: {ended:?}");
    }
}

/// A guest that keeps asking does not fill the log.
#[test]
fn the_log_of_limits_is_not_flooded() {
    let probe = guest("probe");
    let names = Names::new();
    let lines: Vec<String> = (0..500)
        .map(|size| {
            format!(
                "m = shm.open {} create size={}",
                names.name("m"),
                100 + size
            )
        })
        .collect();
    let flags = [
        "--shm",
        &format!("{},own", names.pattern()),
        "--max-shm-bytes",
        "9B",
    ];
    let (outcomes, log) = ask(&probe, &flags, &lines);
    assert!(outcomes.iter().all(|outcome| outcome == QUOTA));
    assert_eq!(log.len(), 101);
    assert_eq!(
        log[100],
        "posix-ipc: 100 different limits met; later ones are not logged"
    );
}

/// What is reserved comes first: while the guest is refused, nothing appears.
#[test]
fn nothing_is_made_beyond_a_limit() {
    let probe = guest("probe");
    for (quota, create) in [
        ("--max-handles=1", "sem.open NAME create value=1"),
        ("--max-created=1", "sem.open NAME create value=1"),
        ("--max-created=1", "shm.open NAME create size=8"),
        ("--max-shm-bytes=8B", "shm.open NAME create size=8"),
        ("--max-mq-bytes=8B", "mq.open NAME create limits=1x8"),
    ] {
        let names = Names::new();
        let [one, two] = ["one", "two"].map(|stem| names.name(stem));
        let kind = create.split('.').next().unwrap();
        let grant = format!("--{kind}={},own", names.pattern());
        let mut command = run(&[&grant, quota], &probe, &["do"]);
        let mut running = Running::start(command.stdin(Stdio::piped()));
        assert_eq!(
            running.tell(&format!("a = {}", create.replace("NAME", &one))),
            "ok"
        );
        assert_eq!(
            running.tell(&format!("b = {}", create.replace("NAME", &two))),
            QUOTA
        );
        assert!(
            exists(kind, &one) && !exists(kind, &two),
            "{quota} {create}"
        );
        assert_eq!(running.end().code, Some(0));
    }
}

/// A pollable keeps its queue open when the handle is closed and the name is gone.
#[test]
fn pollables_that_outlive_their_queues() {
    let probe = guest("probe");
    let names = Names::new();
    let grant = format!("--mq={},own", names.pattern());
    let prefix = names.name("");
    for (quota, made) in [
        (["--max-mq-bytes", "200B"], "3, then quota"),
        (["--max-handles", "5"], "5, then quota"),
        (["--max-created", "4"], "4, then quota"),
    ] {
        let flags = [&[&*grant][..], &quota].concat();
        let ended = attack(&probe, &flags, &["outlive", &prefix, "50"]);
        assert_eq!(ended.lines(), [made], "{quota:?}: {}", ended.stderr);
    }
}
