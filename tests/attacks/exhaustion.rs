//! Guests that want more than there is, of anything, and the others beside them.

use super::{ask, attack};
use crate::support::{Embedded, Ended, Names, Native, Running, embed, guest, run};
use std::process::Stdio;
use std::time::Duration;
use wasmtime_posix_ipc::grant::Grants;
use wasmtime_posix_ipc::quota::Quota;
use wasmtime_posix_ipc::{IpcCtx, IpcHost};

// ---- beside others in one process --------------------------------------------------

fn context(host: &IpcHost, names: &Names, change: impl FnOnce(&mut Quota)) -> IpcCtx {
    let mut quota = Quota::default();
    change(&mut quota);
    let grants = ["sem", "shm", "mq"].map(|kind| format!("{kind}:{},own", names.pattern()));
    let grants = Grants::parse(grants).unwrap();
    let ipc = IpcCtx::builder().quota(quota).grants(grants);
    ipc.build(host).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Runs one guest over and over that reaches a quota, while another works. In its words,
/// `P.` is for the start of a name; there is a semaphore `P.gate`.
fn beside_another(change: fn(&mut Quota), lines: &[&str], met: impl Fn(&str) -> bool) {
    let probe = guest("probe");
    let (names, others) = (Names::new(), Names::new());
    let _native = Native::set_up(&[format!("s = sem.open {} create", names.name("gate"))]);
    let before = names.existing();
    let host = IpcHost::new();
    let arguments: Vec<String> = lines
        .iter()
        .map(|line| line.replace("P.", &names.name("")))
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let prefix = others.name("");
    runtime().block_on(async {
        let attacker = async {
            loop {
                let ended = embed(&probe, &arguments, context(&host, &names, change)).await;
                assert_eq!(ended.end, Ok(0), "{ended:?}");
                assert!(met(&ended.stdout), "{ended:?}");
            }
        };
        let arguments = ["attack", "work", &prefix, "300"];
        let worker = embed(&probe, &arguments, context(&host, &others, |_| {}));
        let ended: Embedded = tokio::select! {
            ended = worker => ended,
            () = attacker => unreachable!("it goes on for ever"),
        };
        assert_eq!(ended.lines(), ["working", "0 errors in 300 rounds"]);
    });
    assert_eq!((names.existing(), others.existing()), (before, vec![]));
}

fn refused(stdout: &str) -> bool {
    stdout.contains("error quota")
}

#[test]
fn all_handles_beside_another_guest() {
    let line = "a = sem.open P.a create value=1";
    let mut lines = vec!["do".to_owned(), line.into()];
    lines.extend((0..40).map(|n| format!("a{n} = sem.open P.a")));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    beside_another(|quota| quota.handles = 32, &lines, refused);
}

#[test]
fn all_created_objects_beside_another_guest() {
    let mut lines = vec!["do".to_owned()];
    for n in 0..12 {
        lines.push(format!("s{n} = sem.open P.{n} create value=1"));
        lines.push(format!("m{n} = shm.open P.{n} create size=8"));
        lines.push(format!("q{n} = mq.open P.{n} create limits=1x8"));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    beside_another(|quota| quota.created = 24, &lines, refused);
}

#[test]
fn all_bytes_of_shared_memory_beside_another_guest() {
    let lines = [
        "do",
        "a = shm.open P.a create size=1048576",
        "shm.write a 1048575 x",
        "b = shm.open P.b create size=1",
    ];
    beside_another(|quota| quota.shm_bytes = 1 << 20, &lines, refused);
}

#[test]
fn all_bytes_of_queues_beside_another_guest() {
    let lines = [
        "do",
        "a = mq.open P.a create limits=2x256",
        "mq.send a x",
        "b = mq.open P.b create limits=2x256",
        "c = mq.open P.c create limits=1x1",
    ];
    beside_another(|quota| quota.mq_bytes = 1024, &lines, refused);
}

#[test]
fn the_longest_messages_beside_another_guest() {
    let lines = [
        "do",
        "a = mq.open P.a create limits=1x512",
        "b = mq.open P.b create limits=1x513",
    ];
    beside_another(|quota| quota.message_size = 512, &lines, refused);
}

#[test]
fn all_pollables_beside_another_guest() {
    let arguments = ["attack", "forget-pollables", "P.gate", "1000"];
    beside_another(
        |quota| quota.pollables = 100,
        &arguments,
        |stdout| stdout.contains("100, then quota"),
    );
}

#[test]
fn all_memory_beside_another_guest() {
    beside_another(
        |quota| quota.memory = 32 << 20,
        &["attack", "grow", "100"],
        |stdout| stdout.contains("MiB") && !stdout.contains("100 MiB"),
    );
}

#[test]
fn the_longest_waits_beside_another_guest() {
    let lines = [
        "do",
        "s = sem.open P.s create",
        "sem.acquire s",
        "sem.acquire s timeout=max64",
    ];
    let short = |quota: &mut Quota| quota.wait = Some(Duration::from_millis(5));
    beside_another(short, &lines, |stdout| stdout.contains("error timed-out"));
}

/// Six hundred guests of one process that wait for what does not come, more than a pool
/// of threads would have, and one more that works.
#[test]
fn six_hundred_waits_beside_another_guest() {
    let probe = guest("probe");
    let (names, others) = (Names::new(), Names::new());
    let name = names.name("never");
    let mut native = Native::set_up(&[
        format!("s = sem.open {name} create"),
        format!("m = shm.open {name} create size=8"),
        format!("q = mq.open {name} create limits=1x8"),
    ]);
    let waits = [
        [format!("o = sem.open {name}"), "sem.acquire o".into()],
        [format!("o = shm.open {name}"), "shm.wait o 0 0".into()],
        [format!("o = mq.open {name}"), "mq.receive o".into()],
    ];
    let host = IpcHost::new();
    let prefix = others.name("");
    runtime().block_on(async {
        let mut waiting = tokio::task::JoinSet::new();
        for number in 0..600 {
            let (probe, [open, wait]) = (probe.clone(), waits[number % 3].clone());
            let ipc = context(&host, &names, |_| {});
            waiting.spawn(async move { embed(&probe, &["do", &open, &wait], ipc).await });
        }
        let arguments = ["attack", "work", &prefix, "100"];
        let worker = embed(&probe, &arguments, context(&host, &others, |_| {}));
        assert_eq!(worker.await.lines(), ["working", "0 errors in 100 rounds"]);
        assert!(waiting.try_join_next().is_none(), "all of them wait");

        // And nobody is forgotten.
        native.run("shm.word m u32 0 store 1").unwrap();
        for _ in 0..200 {
            native.run("sem.release s").unwrap();
            native.run("mq.send q x").unwrap();
            native.run("shm.notify m 0 200").unwrap();
        }
        while let Some(ended) = waiting.join_next().await {
            let ended = ended.unwrap();
            let lines = ended.lines();
            assert!(lines[0] == "ok" && lines[1].starts_with("ok"), "{lines:?}");
        }
    });
    assert_eq!(native.run("sem.value s"), Ok("0".into()));
}

// ---- numbers -----------------------------------------------------------------------

/// Sizes and offsets that are too large, or whose sum is.
#[test]
fn sizes_that_overflow() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("m");
    let (over, invalid, gone) = ("error quota", "error invalid", "error truncated");
    let rows = [
        ("m = shm.open P.m create size=9223372036854775808", invalid),
        ("m = shm.open P.m create size=max64", invalid),
        ("m = shm.open P.m create size=9223372036854775807", over),
        ("m = shm.open P.m create size=2147483648", over),
        ("m = shm.open P.m", "error no-entry"),
        ("m = shm.open P.m create size=0", "ok"),
        ("shm.read m 0 1", "ok \"\""),
        ("shm.write m 0 x", gone),
        ("shm.write m 0 ''", "ok"),
        ("shm.word m u32 0 load", gone),
        ("shm.resize m max64", invalid),
        ("shm.resize m 9223372036854775808", invalid),
        ("shm.resize m 9223372036854775807", over),
        ("shm.resize m 4096", "ok"),
        ("shm.read m max64 max64", "ok \"\""),
        ("shm.read m 4092 max64", "ok \"\\x00\\x00\\x00\\x00\""),
        ("shm.read m 18446744073709547520 4096", "ok \"\""),
        ("shm.write m max64 x", gone),
        ("shm.write m max64-1 xyz", gone),
        ("shm.write m 4095 xy", gone),
        ("shm.word m u32 max64-3 load", gone),
        ("shm.word m u64 max64-7 add 1", gone),
        ("shm.word m u32 max64 load", invalid),
        ("shm.word m u64 4092 load", invalid),
        ("shm.word m u64 4096 load", gone),
        ("shm.wait m max64-3 0", gone),
        ("shm.notify m max64-3 max32", gone),
        ("q = mq.open P.q create limits=max32xmax32", over),
        ("q = mq.open P.q create limits=max32x1", over),
        ("q = mq.open P.q create limits=1xmax32", over),
        ("q = mq.open P.q create limits=0x0", invalid),
        ("s = sem.open P.s create value=max32", invalid),
        ("s = sem.open P.s create value=2147483648", invalid),
        ("s = sem.open P.s create value=2147483647", "ok"),
        ("sem.release s", "error overflow"),
    ];
    let lines: Vec<String> = rows
        .map(|(line, _)| line.replace("P.", &names.name("")))
        .into();
    let grant = format!("{},own", names.pattern());
    let flags = ["--sem", &grant, "--shm", &grant, "--mq", &grant];
    let (outcomes, _) = ask(&probe, &flags, &lines);
    for (line, (outcome, (_, expected))) in lines.iter().zip(outcomes.iter().zip(rows)) {
        assert_eq!(outcome, expected, "{line}");
    }

    // Where it is allowed, past what fits into 32 bits.
    let lines = [
        format!("m = shm.open {name} create size=3221225472"),
        "shm.write m 3221225470 xy".into(),
        "shm.read m 3221225470 max64".into(),
        "shm.word m u32 2147483648 add 5".into(),
        "shm.word m u32 2147483648 load".into(),
    ];
    let flags = ["--shm", &grant, "--max-shm-bytes", "4GiB"];
    let (outcomes, _) = ask(&probe, &flags, &lines);
    assert_eq!(outcomes, ["ok", "ok", "ok \"xy\"", "ok 0", "ok 5"]);
}

/// One call gives at most 16 MiB, whatever is asked for.
#[test]
fn a_read_of_everything() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("m");
    let _native = Native::set_up(&[format!("m = shm.open {name} create size=67108864")]);
    let lines = [format!("m = shm.open {name}"), "shm.read m 0 max64".into()];
    let (outcomes, _) = ask(&probe, &["--shm", &name], &lines);
    assert!(outcomes[1].starts_with("ok 16777216 bytes"), "{outcomes:?}");
}

// ---- lists -------------------------------------------------------------------------

/// More than 128 MiB in one call end the guest; less is an error.
#[test]
fn a_message_and_a_name_of_a_quarter_gigabyte() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("q");
    let _native = Native::set_up(&[format!("q = mq.open {name} create limits=1x8")]);
    for how in [&["long-name"][..], &["long-message", &name]] {
        for (length, code, said) in [
            ("1048576", 0, "too-long"),
            ("67108864", 0, "too-long"),
            ("268435456", 134, "ing"),
        ] {
            let arguments = [how, &[length]].concat();
            let ended = attack(&probe, &["--mq", &name, "--sem", "/x"], &arguments);
            assert_eq!(ended.code, Some(code), "{how:?} {length}: {ended:?}");
            let said = ended.stdout.lines().any(|line| line.contains(said));
            assert!(said, "{how:?} {length}: {ended:?}");
            if code == 134 {
                assert!(ended.stderr.contains("fuel"), "{ended:?}");
            }
        }
    }
}

/// The messages of the batch are the same bytes of the guest, again and again. The host
/// does not make a copy of each while it waits for room.
#[test]
fn a_batch_of_one_message_many_times() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("q");
    let mut native = Native::set_up(&[
        format!("q = mq.open {name} create limits=1x8192"),
        "mq.send q full".into(),
    ]);
    let mut resident = |count: &str| {
        let arguments = ["attack", "long-batch", &name, count, "8192"];
        let mut running = Running::start(&mut run(&["--mq", &name], &probe, &arguments));
        assert_eq!(running.line(), "sending");
        std::thread::sleep(Duration::from_millis(300));
        let resident = running.status("VmRSS");
        assert!(running.is_running());
        // It does go on, one by one.
        for _ in 0..2 {
            native.run("mq.receive q").unwrap();
        }
        drop(running);
        native.run("mq.send q full timeout=0").ok();
        resident
    };
    let (few, many) = (resident("2"), resident("12000"));
    // All of them would be 96 MiB.
    assert!(
        many < few + (32 << 10),
        "{few} KiB with two, {many} KiB with 12000"
    );
}

/// Five thousand places in one poll.
#[test]
fn a_poll_of_five_thousand() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("gate");
    let mut native = Native::set_up(&[format!("s = sem.open {name} create value=1")]);
    let arguments = ["poll", &name, "1000", "5000"];
    let ended = attack(&probe, &["--sem", &name], &arguments);
    assert_eq!(ended.lines(), ["5000 ready"]);
    // While there is nothing it can be ended.
    native.run("sem.try s").unwrap();
    let ended = attack(&probe, &["--sem", &name, "--timeout", "500ms"], &arguments);
    assert_eq!(ended.code, Some(124), "{ended:?}");
}

// ---- time --------------------------------------------------------------------------

/// A queue that is full, or empty, for ever.
#[test]
fn a_queue_that_is_never_ready() {
    let probe = guest("probe");
    let names = Names::new();
    let [full, empty] = ["full", "empty"].map(|stem| names.name(stem));
    let mut native = Native::set_up(&[
        format!("f = mq.open {full} create limits=1x8"),
        format!("e = mq.open {empty} create limits=1x8"),
        "mq.send f x".into(),
    ]);
    let mut guest = Running::guest(&["--mq", &full, "--mq", &empty], &probe);
    assert_eq!(guest.tell(&format!("f = mq.open {full}")), "ok");
    assert_eq!(guest.tell(&format!("e = mq.open {empty}")), "ok");
    for call in [
        "mq.send f y",
        "mq.send-batch f y:0",
        "mq.receive e",
        "mq.receive-batch e 2",
    ] {
        assert_eq!(
            guest.tell(&format!("{call} timeout=0")),
            "error busy",
            "{call}"
        );
        assert_eq!(
            guest.tell(&format!("{call} timeout=1")),
            "error timed-out",
            "{call}"
        );
        for timeout in [
            "",
            "timeout=max64",
            "timeout=max64-1",
            "timeout=9223372036854775808",
        ] {
            guest.say(&format!("{call} {timeout}"));
            // Most probably it waits by then; the outcome is the same if not.
            std::thread::sleep(Duration::from_millis(20));
            match call.contains(" f") {
                true => native.run("mq.receive f timeout=0").map(drop).unwrap(),
                false => native.run("mq.send e x timeout=0").map(drop).unwrap(),
            }
            let outcome = guest.line();
            assert!(outcome.starts_with("ok"), "{call} {timeout}: {outcome}");
        }
    }
    assert_eq!(guest.end().code, Some(0));
}

/// A message is as long as the queue allows, and that is for whoever made it to say.
#[test]
fn a_queue_with_messages_of_the_greatest_length() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("q");
    let message = "m".repeat(8192);
    let mut native = Native::set_up(&[format!("q = mq.open {name} create limits=1x8192")]);
    native.run(&format!("mq.send q {message}")).unwrap();
    let open = format!("q = mq.open {name}");
    let (outcomes, log) = ask(
        &probe,
        &["--mq", &name, "--max-message-size", "8191B"],
        &[&open],
    );
    assert_eq!(outcomes, ["error quota"]);
    assert!(
        log[0].contains("raise it with --max-message-size SIZE"),
        "{log:?}"
    );
    let (outcomes, _) = ask(&probe, &["--mq", &name], &[&*open, "mq.receive q"]);
    assert!(outcomes[1].starts_with("ok 8192 bytes"), "{outcomes:?}");
}

/// A guest that never waits, only asks again.
#[test]
fn a_busy_loop_of_calls() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("x");
    let _native = Native::set_up(&[
        format!("s = sem.open {name} create"),
        format!("q = mq.open {name} create limits=1x8"),
    ]);
    for (open, call) in [
        (format!("s = sem.open {name}"), "sem.try s"),
        (format!("s = sem.open {name}"), "sem.acquire s timeout=0"),
        (format!("s = sem.open {name}"), "sem.ready s"),
        (format!("q = mq.open {name}"), "mq.receive q timeout=0"),
        (format!("q = mq.open {name}"), "mq.receive q timeout=1"),
        ("limits".into(), "s = sem.open /denied"),
    ] {
        let flags = ["--sem", &name, "--mq", &name, "--timeout", "300ms"];
        let ended = Ended::of(&mut run(&flags, &probe, &["repeat", &open, call]));
        assert_eq!(ended.code, Some(124), "{call}: {ended:?}");
        assert_eq!(ended.stdout, "repeating\n", "{call}");
    }
}

// ---- what the process has ----------------------------------------------------------

/// A descriptor of a queue cannot be closed by a process that waits for a notification
/// of it without losing that.
#[test]
fn queues_opened_and_closed_beside_a_notification() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("q");
    let mut native = Native::set_up(&[format!("q = mq.open {name} create limits=1x8")]);
    let mut running = Running::guest(&["--mq", &name], &probe);
    assert_eq!(running.tell(&format!("q = mq.open {name}")), "ok");
    assert_eq!(running.tell("n = mq.notify q"), "ok");
    let open = |running: &Running| {
        let folder = format!("/proc/{}/fd", running.id());
        std::fs::read_dir(folder).unwrap().count()
    };
    let before = open(&running);
    for _ in 0..300 {
        assert_eq!(running.tell(&format!("r = mq.open {name}")), "ok");
        assert_eq!(running.tell("close r"), "ok");
    }
    assert_eq!(open(&running), before);
    assert_eq!(running.tell("notification.delivered n"), "ok false");
    native.run("mq.send q x").unwrap();
    assert_eq!(running.tell("notification.delivered n"), "ok true");
    assert_eq!(running.end().code, Some(0));
}

/// A peer needs no memory to make an object that is larger than all addresses of the
/// process. Handles to it do not use those up.
#[test]
fn handles_to_an_enormous_segment() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("m");
    let size = 1_u64 << 44;
    let mut native = Native::set_up(&[format!("m = shm.open {name} create size={size}")]);
    let mut lines = Vec::new();
    for handle in 0..100 {
        let end = size - 8;
        lines.push(format!("m{handle} = shm.open {name}"));
        lines.push(format!("shm.word m{handle} u64 {end} add 1"));
        // Across the edge of what is mapped at once.
        lines.push(format!("shm.write m{handle} 1073741820 {handle:08}"));
        lines.push(format!("shm.read m{handle} 1073741820 8"));
    }
    let (outcomes, log) = ask(&probe, &["--shm", &name], &lines);
    for (handle, outcomes) in outcomes.chunks(4).enumerate() {
        let expected = [
            "ok",
            &format!("ok {handle}"),
            "ok",
            &format!("ok \"{handle:08}\""),
        ];
        assert_eq!(outcomes, expected);
    }
    assert_eq!(log, [""; 0]);
    native.run(&format!("shm.resize m {}", 1 << 20)).unwrap();
}

/// A semaphore under `undo` is kept for the end of the guest only as long as it is held.
#[test]
fn semaphores_used_under_undo_and_unlinked() {
    let probe = guest("probe");
    let names = Names::new();
    let grant = format!("--sem={},own,undo", names.pattern());
    let mut command = run(&[&grant], &probe, &["do"]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let mapped = |running: &Running| {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", running.id())).unwrap();
        maps.lines()
            .filter(|line| line.contains(names.prefix()))
            .count()
    };
    for number in 0..300 {
        let name = names.name(&number.to_string());
        for line in [
            format!("s = sem.open {name} create value=1"),
            "sem.try s".into(),
            "sem.release s".into(),
            format!("sem.unlink {name}"),
            "close s".into(),
        ] {
            assert_eq!(running.tell(&line), "ok", "{number}: {line}");
        }
    }
    assert_eq!(mapped(&running), 0);
    assert_eq!(running.end().code, Some(0));
}
