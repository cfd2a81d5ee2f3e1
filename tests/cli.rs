//! The command `posix-ipc`, from outside.

use crate::support::{
    Ended, Folder, Names, Native, Running, component, exists, guest, posix_ipc, repository, run,
};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

/// Runs a component that does nothing but run this body.
fn run_body(flags: &[&str], body: &str) -> Ended {
    let folder = Folder::new();
    let file = folder.file("guest.wat", component("", body));
    Ended::of(&mut run(flags, &file, &[]))
}

// ---- how a guest ends --------------------------------------------------------------

#[test]
fn a_guests_exit_code_is_passed_on() {
    for (body, code) in [
        ("(i32.const 0)", 0),
        ("(i32.const 1)", 1),
        ("(call $exit (i32.const 0)) unreachable", 0),
        ("(call $exit (i32.const 3)) unreachable", 3),
        ("(call $exit (i32.const 255)) unreachable", 255),
    ] {
        let ended = run_body(&[], body);
        assert_eq!(ended.code, Some(code), "{body}: {ended:?}");
        assert_eq!((&*ended.stdout, &*ended.stderr), ("", ""), "{body}");
    }
}

#[test]
fn the_exit_code_of_a_rust_guest_is_passed_on() {
    let probe = guest("probe");
    for code in [0, 1] {
        let arguments = ["process", "exit", &code.to_string()];
        let ended = Ended::of(&mut run(&[], &probe, &arguments));
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn a_trap_is_134_and_says_what_it_was() {
    for (body, what) in [
        ("unreachable", "wasm `unreachable` instruction executed"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", "divide by zero"),
        ("(i32.const 17)", "invalid expected discriminant"),
    ] {
        let ended = run_body(&[], body);
        assert_eq!(ended.code, Some(134), "{body}: {ended:?}");
        assert!(ended.stderr.starts_with("posix-ipc: "), "{body}: {ended:?}");
        assert!(
            ended.stderr.contains("the guest trapped: "),
            "{body}: {ended:?}"
        );
        assert!(ended.stderr.contains(what), "{body}: {ended:?}");
    }
}

const ENDLESS: &str = "(loop $again (br $again)) unreachable";

#[test]
fn a_timeout_ends_a_guest_that_computes() {
    let ended = run_body(&["--timeout", "100ms"], ENDLESS);
    assert_eq!(ended.code, Some(124), "{ended:?}");
    assert!(
        ended.stderr.ends_with("ended after 100ms (--timeout)\n"),
        "{ended:?}"
    );
}

#[test]
fn a_guest_that_ends_in_time_knows_nothing_of_a_timeout() {
    let ended = run_body(
        &["--timeout", "1h"],
        "(call $exit (i32.const 3)) unreachable",
    );
    assert_eq!((ended.code, &*ended.stderr), (Some(3), ""));
}

/// Lines with which a guest creates something and then waits for what never comes.
fn endless_waits(name: &str) -> [[String; 2]; 4] {
    [
        [
            format!("s = sem.open {name} create"),
            "sem.acquire s".into(),
        ],
        [
            format!("q = mq.open {name} create limits=1x8"),
            "mq.receive q".into(),
        ],
        [
            format!("q = mq.open {name} create limits=1x8"),
            "mq.send-batch q a:0 b:0".into(),
        ],
        [
            format!("m = shm.open {name} create size=8"),
            "shm.wait m 4 0".into(),
        ],
    ]
}

#[test]
fn a_timeout_ends_a_guest_that_waits() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("endless");
    let grant = format!("{name},create");
    let flags = [
        "--timeout",
        "300ms",
        "--sem",
        &grant,
        "--shm",
        &grant,
        "--mq",
        &grant,
    ];
    for [open, wait] in endless_waits(&name) {
        let ended = Ended::of(&mut run(&flags, &probe, &["do", &open, &wait]));
        assert_eq!(ended.code, Some(124), "{wait}: {ended:?}");
        // It did come as far as the wait.
        assert_eq!(ended.stdout, "ok\n", "{wait}");
        assert_eq!(names.existing(), [""; 0], "{wait}");
        let what = format!(":{name} (");
        let says_what = ended.stderr.contains("after waiting") && ended.stderr.contains(&what);
        assert!(says_what, "{wait}: {ended:?}");
    }
}

#[test]
fn signals_end_a_guest_that_waits() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("endless");
    let grant = format!("{name},create");
    let flags = ["--sem", &grant, "--shm", &grant, "--mq", &grant];
    for [open, wait] in endless_waits(&name) {
        for (signal, code, word) in [
            (libc::SIGINT, 130, "interrupted"),
            (libc::SIGTERM, 143, "terminated"),
        ] {
            let mut running = Running::guest(&flags, &probe);
            assert_eq!(running.tell(&open), "ok");
            assert_eq!(names.existing().len(), 1);
            running.say(&wait);
            running.signal(signal);
            let ended = running.end();
            assert_eq!(ended.code, Some(code), "{wait}: {ended:?}");
            // The signal may come before the wait has begun, or after.
            let (_, after) = ended.stderr.split_once(&format!(": {word}")).unwrap();
            let waited = after.starts_with(", after waiting ") && after.contains(&*name);
            assert!(after == "\n" || waited, "{wait}: {ended:?}");
            assert_eq!(names.existing(), [""; 0], "{wait}");
        }
    }
}

#[test]
fn signals_end_a_guest_that_computes() {
    let probe = guest("probe");
    for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        let mut running = Running::start(&mut run(&[], &probe, &["process", "spin"]));
        assert_eq!(running.line(), "spinning");
        running.signal(signal);
        let ended = running.end();
        assert_eq!(ended.code, Some(code), "{ended:?}");
    }
}

/// The wait for standard input is in a thread that nothing can interrupt.
#[test]
fn a_signal_ends_a_guest_that_reads_standard_input() {
    let probe = guest("probe");
    let mut command = run(&[], &probe, &["process", "show"]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    assert_eq!(running.line(), "arguments []");
    assert_eq!(running.line(), "environment []");
    running.signal(libc::SIGTERM);
    // Not by the end of its input: that stays open.
    assert_eq!(running.wait(), Some(143));
}

// ---- what a guest sees of the machine ----------------------------------------------

#[test]
fn a_guest_has_the_streams_the_arguments_and_the_variables_that_it_is_given() {
    let probe = guest("probe");
    let flags = [
        "--env",
        "GIVEN=a=b",
        "--env",
        "PASSED_ON",
        "--env",
        "EMPTY=",
    ];
    let arguments = ["process", "show", "--mq", "two words", ""];
    let mut command = run(&flags, &probe, &arguments);
    command.env("PASSED_ON", "yes").env("KEPT_BACK", "no");
    let mut running = Running::start(command.stdin(Stdio::piped()));
    running.say("first");
    running.say("second");
    let ended = running.end();
    assert_eq!(
        ended.lines(),
        [
            r#"arguments ["--mq", "two words", ""]"#,
            r#"environment [("EMPTY", ""), ("GIVEN", "a=b"), ("PASSED_ON", "yes")]"#,
            r#"input "first\nsecond\n""#,
        ]
    );
    assert_eq!(ended.stderr, "and this is standard error\n");
}

#[test]
fn a_guest_has_the_folders_that_it_is_given() {
    let probe = guest("probe");
    let folder = Folder::new();
    let file = folder.file("file", "content");
    let host = folder.path().to_str().unwrap();
    let renamed = format!("{host}::/inside");
    let renamed = ["--dir", renamed.as_str()];

    let read =
        |flags: &[&str], path: &str| Ended::of(&mut run(flags, &probe, &["process", "read", path]));
    assert_eq!(read(&renamed, "/inside/file").lines(), ["content"]);
    assert_eq!(
        read(&["--dir", host], file.to_str().unwrap()).lines(),
        ["content"]
    );
    for (flags, path) in [
        (&[][..], file.to_str().unwrap()),
        (&renamed, file.to_str().unwrap()),
        (&renamed, "/inside/../file"),
        (&renamed, "/inside/../../../../../../../../etc/passwd"),
    ] {
        let ended = read(flags, path);
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(134), ""),
            "{flags:?} {path}"
        );
        assert!(ended.stderr.contains("can be read"), "{ended:?}");
    }

    let write = ["process", "write", "/inside/new", "by the guest"];
    Ended::of(&mut run(&renamed, &probe, &write)).lines();
    assert_eq!(
        fs::read_to_string(folder.path().join("new")).unwrap(),
        "by the guest"
    );
}

#[test]
fn without_grants_nothing_can_be_reached_and_the_log_says_what_would_help() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("wanted");
    for (line, log) in [
        (
            format!("s = sem.open {name} create value=1"),
            format!("sem:{name} (wait, post, create): not granted; add --sem {name},use,create"),
        ),
        (
            format!("m = shm.open {name} create size=10"),
            format!("shm:{name} (read, write, create): not granted; add --shm {name},rw,create"),
        ),
        (
            format!("q = mq.open {name} create access=write limits=1x8"),
            format!("mq:{name} (send, create): not granted; add --mq {name},send,create"),
        ),
    ] {
        let ended = Ended::of(&mut run(&[], &probe, &["must", &line]));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stdout, "error not-permitted\n");
        assert_eq!(ended.stderr, format!("posix-ipc: denied {log}\n"));
        assert_eq!(names.existing(), [""; 0]);
    }
}

// ---- what is not a guest -----------------------------------------------------------

#[test]
fn what_is_not_a_guest_is_refused_in_words() {
    let folder = Folder::new();
    let component = component("", "(i32.const 0)");
    let library = "(component (core module $m) (core instance (instantiate $m)))";
    let imports = r#"(component (import "far:away/thing@1.0.0" (instance (export "f" (func)))))"#;
    for (name, content, words) in [
        (
            "core.wasm",
            b"\0asm\x01\0\0\0".to_vec(),
            "is a core WebAssembly module, not a component",
        ),
        (
            "core.wat",
            b"(module)".to_vec(),
            "is not a usable component",
        ),
        ("empty.wasm", b"".to_vec(), "is not a usable component"),
        (
            "text.txt",
            b"print('hello')\n".to_vec(),
            "is not a usable component",
        ),
        (
            "header.wasm",
            b"\0asm\x0d\0\x01\0\x07".to_vec(),
            "is not a usable component",
        ),
        (
            "half.wat",
            component.as_bytes()[..200].to_vec(),
            "is not a usable component",
        ),
        ("library.wat", library.into(), "`wasi:cli/run@0.2"),
        ("foreign.wat", imports.into(), "far:away/thing@1.0.0"),
    ] {
        let file = folder.file(name, content);
        let ended = Ended::of(&mut run(&[], &file, &[]));
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(1), ""),
            "{name}: {ended:?}"
        );
        let start = format!("posix-ipc: {}", file.display());
        assert!(ended.stderr.starts_with(&start), "{name}: {ended:?}");
        assert!(ended.stderr.contains(words), "{name}: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{name}: {ended:?}");
    }
    let unknown = folder.path().join("missing.rb");
    let ended = Ended::of(&mut run(&[], &unknown, &[]));
    let start = format!(
        "posix-ipc: cannot read the guest {} (what can be run ends in .wasm, .wat, .py, .js",
        unknown.display()
    );
    assert!(ended.stderr.starts_with(&start), "{ended:?}");
    let missing = folder.path().join("missing.wasm");
    let named = folder.path().join("folder.wasm");
    fs::create_dir(&named).unwrap();
    for path in [missing.as_path(), named.as_path()] {
        let ended = Ended::of(&mut run(&[], path, &[]));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let start = format!("posix-ipc: cannot read the guest {}: ", path.display());
        assert!(ended.stderr.starts_with(&start), "{ended:?}");
    }
}

#[test]
fn half_a_guest_is_refused_in_words() {
    let probe = guest("probe");
    let folder = Folder::new();
    let whole = fs::read(probe).unwrap();
    for length in [8, 9, 100, whole.len() / 2, whole.len() - 1] {
        let file = folder.file("half.wasm", &whole[..length]);
        let ended = Ended::of(&mut run(&[], &file, &[]));
        assert_eq!(ended.code, Some(1), "{length}: {ended:?}");
        let start = format!("posix-ipc: {}", file.display());
        assert!(ended.stderr.starts_with(&start), "{length}: {ended:?}");
    }
}

// ---- check -------------------------------------------------------------------------

#[test]
fn check_says_what_a_guest_imports_and_would_get() {
    let probe = guest("probe");
    let mut command = posix_ipc();
    command.args(["check", "--mq", "/jobs::/in,recv", "--shm", "/r.*,create"]);
    let ended = Ended::of(command.arg(&probe));
    let lines = ended.lines();
    assert_eq!(lines[0], format!("{} imports", probe.display()));
    let (imports, grants) = lines.split_at(lines.iter().position(|l| *l == "grants").unwrap());
    for import in [
        "  posix:ipc/semaphore@0.1.0",
        "      [static]semaphore.open",
        "      unlink",
        "  posix:ipc/shared-memory@0.1.0",
        "  posix:ipc/message-queue@0.1.0",
        "      [method]queue.request-notification",
        "  posix:ipc/limits@0.1.0",
    ] {
        assert!(imports.contains(&import), "{import}: {imports:#?}");
    }
    assert_eq!(
        grants,
        [
            "grants",
            "  shm /r.*: read, write, create, resize, unlink (unlinking what the guest created)",
            "  mq /jobs as /in: recv (if it exists)",
            "  no sem, which the guest imports: every use will be denied; see --sem",
            "can be run",
        ]
    );
}

#[test]
fn check_of_a_script_is_about_its_grants() {
    let folder = Folder::new();
    let script = folder.file("worker.js", "");
    // Any component will do that can be run: scripts are not run by `check`.
    folder.file(
        "js.wasm",
        wat::parse_str(component("", "(i32.const 0)")).unwrap(),
    );
    let check = |flags: &[&str]| {
        let mut command = posix_ipc();
        command.env("POSIX_IPC_RUNTIMES", folder.path());
        Ended::of(command.arg("check").args(flags).arg(&script))
    };
    let first = format!("{} is a script in JavaScript", script.display());
    assert_eq!(
        check(&["--mq", "/jobs,recv"]).lines(),
        [
            &*first,
            "grants",
            "  mq /jobs: recv (if it exists)",
            "can be run"
        ]
    );
    assert_eq!(
        check(&[]).lines(),
        [
            &*first,
            "grants",
            "  none: every use will be denied; `posix-ipc run --learn` says what the script needs",
            "can be run"
        ]
    );
    let ended = check(&["--format", "json", "--private"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let expected = serde_json::json!({
        "guest": script, "language": "JavaScript", "imports": null, "private": true,
        "grants": [], "missing": [], "problem": null,
    });
    assert_eq!((ended.code, report), (Some(0), expected));
}

#[test]
fn check_says_the_same_as_json() {
    let probe = guest("probe");
    let mut command = posix_ipc();
    command.args(["check", "--format", "json", "--mq", "/jobs::/in,recv"]);
    let ended = Ended::of(command.arg(&probe));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, &report["problem"]), (Some(0), &Value::Null));
    let grant = serde_json::json!([{
        "kind": "mq", "name": "/jobs", "guest_name": "/in", "rights": ["recv"],
        "lifecycle": "open", "text": "mq:/jobs::/in,recv",
    }]);
    assert_eq!(report["grants"], grant);
    assert_eq!(report["missing"], serde_json::json!(["sem", "shm"]));
    assert_eq!(report["language"], Value::Null);
    let functions = report["imports"]["posix:ipc/semaphore@0.1.0"]
        .as_array()
        .unwrap();
    assert!(
        functions.contains(&"[static]semaphore.open".into()),
        "{functions:?}"
    );

    let folder = Folder::new();
    let file = folder.file("guest.wat", "(component)");
    let ended = Ended::of(posix_ipc().args(["check", "--format", "json"]).arg(file));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(ended.code, Some(1));
    let problem = report["problem"].as_str().unwrap();
    assert!(
        problem.starts_with("it does not export wasi:cli/run"),
        "{problem}"
    );
}

#[test]
fn check_says_why_a_guest_cannot_be_run() {
    let folder = Folder::new();
    for (content, words) in [
        (
            "(component)",
            "cannot be run: it does not export wasi:cli/run",
        ),
        (
            r#"(component (import "far:away/thing@1.0.0" (instance (export "f" (func)))))"#,
            "cannot be run: component imports instance `far:away/thing@1.0.0`",
        ),
    ] {
        let file = folder.file("guest.wat", content);
        let ended = Ended::of(posix_ipc().arg("check").arg(file));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stdout.contains(words), "{ended:?}");
    }
}

// ---- wit ---------------------------------------------------------------------------

#[test]
fn wit_is_the_package_of_this_repository() {
    let wit = |file| fs::read_to_string(repository().join("wit").join(file)).unwrap();
    let ended = Ended::of(posix_ipc().arg("wit"));
    assert_eq!((ended.code, ended.stdout), (Some(0), wit("posix-ipc.wit")));

    let folder = Folder::new();
    let output = folder.path().join("new/wit");
    let ended = Ended::of(posix_ipc().args(["wit", "--output"]).arg(&output));
    assert_eq!((ended.code, &*ended.stdout), (Some(0), ""));
    let mut files: Vec<PathBuf> = Vec::new();
    for place in [output.clone(), output.join("deps")] {
        let entries = fs::read_dir(place)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files.extend(entries.filter(|path| path.is_file()));
    }
    files.sort();
    let names = ["deps/io.wit", "posix-ipc.wit"];
    assert_eq!(files, names.map(|name| output.join(name)));
    for name in names {
        assert_eq!(fs::read_to_string(output.join(name)).unwrap(), wit(name));
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for arguments in [&["wit"][..], &["ls", "shm"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = posix_ipc();
        let status = command.args(arguments).stdout(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

// ---- ls and rm ---------------------------------------------------------------------

/// Whether all queues can be listed here: by a folder, or by the privilege to mount it.
fn queues_are_listed() -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = u64::from_str_radix(effective.unwrap().trim(), 16).unwrap();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mounted = |line: &str| line.split(' ').nth(2) == Some("mqueue");
    effective >> CAP_SYS_ADMIN & 1 == 1 || mounts.lines().any(mounted)
}

#[test]
fn ls_shows_what_exists() {
    let names = Names::new();
    let [sem, shm, mq] = ["gate", "frames", "jobs"].map(|stem| names.name(stem));
    let native = Native::set_up(&[
        format!("s = sem.open {sem} create mode=640 value=7"),
        format!("m = shm.open {shm} create mode=600 size=12345"),
        format!("q = mq.open {mq} create mode=604 limits=3x16"),
        "mq.send q one:0".into(),
        "mq.send q two:0".into(),
    ]);
    let listed = |arguments: &[&str]| {
        let ended = Ended::of(posix_ipc().arg("ls").args(arguments));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stderr, "");
        ended.stdout
    };
    let json = |arguments: &[&str]| {
        let text = listed(&[&["--format", "json"], arguments].concat());
        let parsed: Value = serde_json::from_str(&text).unwrap();
        parsed.as_array().expect("is an array").clone()
    };
    let row = |kind: &str, name: &str| {
        let table = listed(&[&format!("{kind}:{name}")]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 2, "{table}");
        assert!(lines[0].starts_with("KIND  NAME "), "{table}");
        let words: Vec<&str> = lines[1].split_whitespace().collect();
        words.join(" ")
    };

    assert!(row("sem", &sem).starts_with(&format!("sem {sem} 0640 ")));
    assert!(row("sem", &sem).contains("value 7"));
    assert!(row("shm", &shm).starts_with(&format!("shm {shm} 0600 ")));
    assert!(row("shm", &shm).contains("12 345 bytes"));
    let [found] = &json(&[&format!("sem:{sem}")])[..] else {
        panic!("one semaphore has this name");
    };
    assert_eq!(
        (&found["kind"], &found["name"]),
        (&"sem".into(), &sem.clone().into())
    );
    assert_eq!(
        (&found["mode"], &found["value"]),
        (&"0640".into(), &7.into())
    );
    let [found] = &json(&["shm", &format!("sem:{sem}")])
        .into_iter()
        .filter(|object| object["name"] == shm.as_str())
        .collect::<Vec<_>>()[..]
    else {
        panic!("one segment has this name");
    };
    assert_eq!(
        (&found["kind"], &found["size"]),
        (&"shm".into(), &12345.into())
    );

    if queues_are_listed() {
        assert!(row("mq", &mq).starts_with(&format!("mq {mq} 0604 ")));
        assert!(row("mq", &mq).contains("2 of 3 messages, each up to 16 bytes"));
        let all = json(&[&names.pattern()]);
        let kinds: Vec<&Value> = all.iter().map(|object| &object["kind"]).collect();
        assert_eq!(kinds, ["mq", "sem", "shm"]);
        let queue = &all[0];
        let members = ["messages", "max_messages", "max_message_size"];
        assert_eq!(
            members.map(|member| queue[member].as_u64()),
            [2, 3, 16].map(Some)
        );
    } else {
        let ended = Ended::of(posix_ipc().args(["ls", "mq"]));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.starts_with("posix-ipc: "), "{ended:?}");
    }

    drop(native);
    assert_eq!(listed(&[&format!("sem:{sem}x"), &format!("shm:{sem}")]), "");
}

#[test]
fn ls_says_which_guest_holds_what() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("held");
    let _native = Native::set_up(&[format!("s = sem.open {name} create")]);
    let mut running = Running::guest(&["--sem", &name], &probe);
    assert_eq!(running.tell(&format!("s = sem.open {name}")), "ok");
    let target = format!("sem:{name}");
    let holders = || {
        let ended = Ended::of(posix_ipc().args(["ls", "--format", "json", &target]));
        let parsed: Value = serde_json::from_str(&ended.stdout).unwrap();
        parsed[0]["holders"].clone()
    };
    let expected = serde_json::json!([{
        "guest": "probe.wasm", "process": running.id(), "alive": true, "creator": false,
    }]);
    assert_eq!(holders(), expected);
    assert_eq!(running.tell("close s"), "ok");
    assert_eq!(holders(), serde_json::json!([]));
}

#[test]
fn rm_removes_names() {
    let names = Names::new();
    let name = names.name("gone");
    let kept = names.name("kept");
    let _native = Native::set_up(&[
        format!("s = sem.open {name} create"),
        format!("m = shm.open {name} create"),
        format!("q = mq.open {name} create limits=1x8"),
        format!("s = sem.open {kept} create"),
    ]);
    let [sem, shm, mq] = ["sem", "shm", "mq"].map(|kind| format!("{kind}:{name}"));
    let rm = |arguments: &[&str]| Ended::of(posix_ipc().arg("rm").args(arguments));

    let ended = rm(&[&sem]);
    assert_eq!(
        (ended.code, &*ended.stdout, &*ended.stderr),
        (Some(0), "", "")
    );
    assert_eq!(
        names.existing(),
        [mq.clone(), format!("sem:{kept}"), shm.clone()]
    );

    // What is there goes, whatever is not.
    let ended = rm(&[&sem, &shm, &mq]);
    assert_eq!(ended.code, Some(1));
    let words = format!("posix-ipc: {sem} cannot be removed: it does not exist\n");
    assert_eq!(ended.stderr, words);
    assert_eq!(names.existing(), [format!("sem:{kept}")]);

    let ended = rm(&["--force", &sem, &shm, &mq]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

// ---- flags -------------------------------------------------------------------------

#[test]
fn mistakes_on_the_command_line_are_explained() {
    for (arguments, words) in [
        (&["rnu"][..], "unrecognized subcommand 'rnu'"),
        (&["chek", "x.wasm"], "a similar subcommand exists: 'check'"),
        (&["run", "--max-memroy", "1GiB", "x.wasm"], "'--max-memory'"),
        (&["run"], "<GUEST>"),
        (
            &["run", "--shared", "/a", "x.wasm"],
            "unexpected argument '--shared'",
        ),
        (
            &["run", "--mq", "jobs", "x.wasm"],
            r#"it must start with a slash, as in "/jobs""#,
        ),
        (
            &["run", "--mq", "/a/b", "x.wasm"],
            "only its first character may be a slash",
        ),
        (
            &["run", "--mq", "/jobs,ro", "x.wasm"],
            "the options of mq are recv, send, both",
        ),
        (
            &["run", "--sem", "/a,post,wait", "x.wasm"],
            r#""post" and "wait" exclude each other"#,
        ),
        (&["run", "--shm", "/a*", "x.wasm"], r#"as in "/render.*""#),
        (
            &["run", "--shm", "/sem.a", "x.wasm"],
            "use semaphore /a itself",
        ),
        (
            &["run", "--shm", "/a,max-size=5MB", "x.wasm"],
            "64B, 64KiB, 16MiB or 2GiB",
        ),
        (
            &["run", "--shm", "/a,max-size=64", "x.wasm"],
            "max-size: 64 of what? write 64B, 64KiB, 64MiB or 64GiB",
        ),
        (
            &["run", "--max-memory", "64", "x.wasm"],
            "64 of what? write 64B, 64KiB, 64MiB or 64GiB",
        ),
        (
            &["run", "--max-wait", "30", "x.wasm"],
            "30 of what? write 30ms, 30s, 30min or 30h",
        ),
        (
            &["run", "--sem", "/a,keep", "x.wasm"],
            r#"add "create" or "own""#,
        ),
        (
            &["run", "--private", "--mq", "/a", "x.wasm"],
            "'--private' cannot be used with",
        ),
        (
            &["run", "--timeout", "5", "x.wasm"],
            "5 of what? write 5ms, 5s, 5min or 5h",
        ),
        (
            &["run", "--max-handles", "many", "x.wasm"],
            "invalid value 'many'",
        ),
        (&["ls", "jobs"], "a name that starts with a slash (/jobs)"),
        (
            &["rm", "/jobs"],
            "say which kind it is: sem:/jobs, shm:/jobs or mq:/jobs",
        ),
        (&["rm"], "<KIND:NAME>"),
    ] {
        let ended = Ended::of(posix_ipc().args(arguments));
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(2), ""),
            "{arguments:?}: {ended:?}"
        );
        assert!(ended.stderr.contains(words), "{arguments:?}: {ended:?}");
    }
    for (arguments, words) in [
        (
            &["--mq", "/a", "--mq", "/a,recv"][..],
            "mq:/a is granted twice; write one grant",
        ),
        (
            &["--env", "POSIX_IPC_TEST_UNSET"],
            "write --env POSIX_IPC_TEST_UNSET=VALUE",
        ),
        (
            &["--dir", "/nonexistent"],
            "--dir /nonexistent: cannot open the folder",
        ),
        (
            &["--manifest", "/nonexistent"],
            "the manifest /nonexistent cannot be read",
        ),
    ] {
        let ended = run_body(arguments, "(i32.const 0)");
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(1), ""),
            "{arguments:?}: {ended:?}"
        );
        assert!(
            ended.stderr.starts_with("posix-ipc: "),
            "{arguments:?}: {ended:?}"
        );
        assert!(ended.stderr.contains(words), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn every_command_has_a_help() {
    for command in [
        "run", "check", "ls", "rm", "reap", "wit", "doctor", "cache", "new", "types",
    ] {
        let ended = Ended::of(posix_ipc().args([command, "--help"]));
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{command}");
        assert!(
            ended.stdout.contains("Examples:"),
            "{command}: {}",
            ended.stdout
        );
    }
    let ended = Ended::of(&mut posix_ipc());
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("Commands:"), "{ended:?}");
}

/// What the tests of this file rely on when they look for what is left.
#[test]
fn names_of_a_test_are_gone_after_it() {
    let names = Names::new();
    let name = names.name("left");
    let native = Native::set_up(&[
        format!("s = sem.open {name} create"),
        format!("m = shm.open {name} create"),
        format!("q = mq.open {name} create limits=1x8"),
    ]);
    let kinds = ["sem", "shm", "mq"];
    assert_eq!(kinds.map(|kind| exists(kind, &name)), [true; 3]);
    assert_eq!(names.existing().len(), 3);
    drop((native, names));
    assert_eq!(kinds.map(|kind| exists(kind, &name)), [false; 3]);
}

#[test]
fn check_shows_names_that_cannot_deceive_a_terminal() {
    let folder = Folder::new();
    let guest = "(component (import \"x\" (core module (export \"\\1b[31m\\n\" (func)))))";
    let odd = "\u{1b}[31m\u{9b}\u{202e}.wat";
    let ended = Ended::of(posix_ipc().arg("check").arg(folder.file(odd, guest)));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let all = ended.stdout + &ended.stderr;
    let hidden = |shown: char| shown != '\n' && (shown.is_control() || shown == '\u{202e}');
    assert!(!all.contains(hidden), "{all:?}");
    assert!(
        all.contains("\\u{1b}[31m\\u{9b}\\u{202e}.wat imports"),
        "{all}"
    );
}
