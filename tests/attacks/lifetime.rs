//! Ends of a guest, and hostile native programs beside it.

use crate::support::{Ended, FOREVER, Names, Native, Running, embed, guest, posix_ipc};
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wasmtime_posix_ipc::grant::Grants;
use wasmtime_posix_ipc::{IpcCtx, IpcHost};

// ---- ends --------------------------------------------------------------------------

/// One object of each kind, of a native program.
fn objects(names: &Names) -> (String, Native) {
    let name = names.name("x");
    let native = Native::set_up(&[
        format!("s = sem.open {name} create"),
        format!("m = shm.open {name} create size=8"),
        format!("q = mq.open {name} create limits=1x8"),
    ]);
    (name, native)
}

fn open_all(name: &str) -> [String; 4] {
    [
        format!("s = sem.open {name}"),
        format!("m = shm.open {name}"),
        "shm.word m u32 0 load".into(),
        format!("q = mq.open {name}"),
    ]
}

/// A host that is killed while its guest waits has taken nothing, and holds up nobody.
#[test]
fn a_host_that_is_killed_while_its_guest_waits() {
    let probe = guest("probe");
    for wait in [
        "sem.acquire s",
        "mq.receive q",
        "mq.receive-batch q 4",
        "shm.wait m 0 0",
    ] {
        let names = Names::new();
        let (name, mut native) = objects(&names);
        let mut running = Running::guest(&["--sem", &name, "--shm", &name, "--mq", &name], &probe);
        for line in open_all(&name) {
            assert!(running.tell(&line).starts_with("ok"), "{line}");
        }
        running.say(wait);
        std::thread::sleep(Duration::from_millis(100));
        running.signal(libc::SIGKILL);
        assert_eq!(running.wait(), None);

        native.run("sem.release s").unwrap();
        assert_eq!(native.run("sem.value s"), Ok("1".into()), "{wait}");
        native.run("sem.acquire s timeout=0").unwrap();
        native.run("mq.send q x timeout=0").unwrap();
        assert_eq!(
            native.run("mq.receive q timeout=0"),
            Ok("\"x\":0".into()),
            "{wait}"
        );
        // Nor is the notification taken.
        native.run("n = mq.notify q").unwrap();
    }
}

/// What the process has open of these names: descriptors and mappings.
fn open_here(names: &Names) -> Vec<String> {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    let links = links.map(|path| path.to_string_lossy().into_owned());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let all = links.chain(maps.lines().map(String::from));
    all.filter(|line| line.contains(names.prefix())).collect()
}

/// Waits are taken back by a thread of the host, which may take a moment.
#[track_caller]
fn assert_nothing_is_open(names: &Names, how: &str) {
    let started = Instant::now();
    while !open_here(names).is_empty() {
        assert!(started.elapsed() < FOREVER, "{how}: {:?}", open_here(names));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whichever way a guest ends, the process that runs it has nothing of it left.
#[test]
fn a_guest_that_ends_leaves_no_descriptor_and_no_mapping() {
    let probe = guest("probe");
    let names = Names::new();
    let (name, native) = objects(&names);
    // Of this process's own, there is to be nothing either.
    drop(native);
    assert_eq!(open_here(&names), [""; 0]);
    let host = IpcHost::new();
    let context = || {
        let grants = ["sem", "shm", "mq"].map(|kind| format!("{kind}:{name},own"));
        let grants = Grants::parse(grants).unwrap();
        IpcCtx::builder().grants(grants).build(&host).unwrap()
    };
    let lines = open_all(&name);
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.push("n = mq.notify q");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for how in ["return", "exit 3", "trap", "panic"] {
            let arguments = match how {
                "return" => [&["must"], &lines[..]].concat(),
                how => [&["end", how], &lines[..]].concat(),
            };
            let ended = embed(&probe, &arguments, context()).await;
            assert_eq!(ended.stdout.lines().count(), 5, "{how}: {ended:?}");
            assert_nothing_is_open(&names, how);
        }
        for wait in ["sem.acquire s", "shm.wait m 0 0", "mq.receive q"] {
            let arguments = [&["do"], &lines[..], &[wait]].concat();
            // Cancelled by the host: the guest goes on, and can do no harm.
            let ipc = context();
            let canceller = ipc.canceller();
            let guest = embed(&probe, &arguments, ipc);
            let cancel = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                canceller.cancel();
                std::future::pending::<()>().await;
            };
            tokio::select! {
                ended = guest => {
                    assert_eq!(ended.lines().last(), Some(&"error cancelled"), "{wait}");
                }
                () = cancel => unreachable!(),
            }
            assert_nothing_is_open(&names, wait);
            // Dropped in the middle of the call.
            let guest = embed(&probe, &arguments, context());
            assert!(
                tokio::time::timeout(Duration::from_millis(100), guest)
                    .await
                    .is_err()
            );
            assert_nothing_is_open(&names, wait);
        }
    });
}

// ---- peers -------------------------------------------------------------------------

/// A name that leads to another object all of a sudden. Handles stay on the old one.
#[test]
fn a_peer_that_replaces_what_is_in_use() {
    let probe = guest("probe");
    let names = Names::new();
    let (name, mut native) = objects(&names);
    let mut running = Running::guest(&["--sem", &name, "--shm", &name, "--mq", &name], &probe);
    for line in open_all(&name) {
        assert!(running.tell(&line).starts_with("ok"), "{line}");
    }
    assert_eq!(running.tell("shm.write m 0 old"), "ok");
    assert_eq!(running.tell("mq.send q old"), "ok");
    assert_eq!(running.tell("sem.release s"), "ok");
    for line in [
        format!("sem.unlink {name}"),
        format!("shm.unlink {name}"),
        format!("mq.unlink {name}"),
        format!("t = sem.open {name} create exclusive value=5"),
        format!("n = shm.open {name} create exclusive size=4"),
        format!("r = mq.open {name} create exclusive limits=2x16"),
    ] {
        native.run(&line).unwrap();
    }
    for (line, outcome) in [
        ("shm.read m 0 3".to_owned(), "ok \"old\""),
        ("shm.size m".into(), "ok 8"),
        ("mq.receive q timeout=0".into(), "ok \"old\":0"),
        ("sem.value s".into(), "ok 1"),
        (format!("t = sem.open {name}"), "ok"),
        (format!("n = shm.open {name}"), "ok"),
        (format!("r = mq.open {name}"), "ok"),
        ("sem.value t".into(), "ok 5"),
        ("sem.value s".into(), "ok 1"),
        ("shm.read n 0 9".into(), "ok \"\\x00\\x00\\x00\\x00\""),
        ("mq.attributes r".into(), "ok 0 of 2 messages of 16 bytes"),
    ] {
        assert_eq!(running.tell(&line), outcome, "{line}");
    }
    assert_eq!(running.end().code, Some(0));
    assert_eq!(names.existing().len(), 3);
}

fn semaphore_file(name: &str) -> fs::File {
    let path = format!("/dev/shm/sem.{}", &name[1..]);
    fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
}

/// The C library ends the process that posts on such a semaphore.
#[test]
fn a_peer_that_writes_a_kind_of_futex_that_there_is_not() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("gate");
    drop(Native::set_up(&[format!(
        "s = sem.open {name} create value=1"
    )]));
    let mut running = Running::guest(&["--sem", &name], &probe);
    assert_eq!(running.tell(&format!("s = sem.open {name}")), "ok");
    // The value, the waiters, and what the C library makes the operation of.
    let words = [1_u32, 1, 0x1234, 0];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    semaphore_file(&name).write_at(&bytes, 0).unwrap();
    for (line, outcome) in [
        ("sem.release s", "ok"),
        ("sem.value s", "ok 2"),
        ("sem.acquire s", "ok"),
        ("sem.acquire s", "ok"),
        ("sem.acquire s timeout=1000000", "error timed-out"),
    ] {
        assert_eq!(running.tell(line), outcome, "{line}");
    }
    assert_eq!(running.end().code, Some(0));
}

/// Every call comes back, with whatever, and the host goes on.
#[test]
fn a_peer_that_writes_garbage_into_a_semaphore() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("gate");
    drop(Native::set_up(&[format!(
        "s = sem.open {name} create value=1"
    )]));
    let file = semaphore_file(&name);
    let mut running = Running::guest(&["--sem", &name], &probe);
    assert_eq!(running.tell(&format!("s = sem.open {name}")), "ok");
    let answers = |answer: &str| {
        let known = ["ok", "error busy", "error overflow", "error timed-out"];
        known.iter().any(|known| answer.starts_with(known))
    };
    let patterns = [[0xff; 32], [0x80; 32], [0x7f; 32], [0; 32], [0x01; 32]];
    for round in 0..200 {
        let garbage: [u8; 32] = match patterns.get(round) {
            Some(pattern) => *pattern,
            None => rand::random(),
        };
        for line in [
            "sem.release s",
            "sem.value s",
            "sem.try s",
            "sem.ready s",
            "sem.acquire s timeout=100000",
            "sem.release s",
        ] {
            file.write_at(&garbage, 0).unwrap();
            let answer = running.tell(line);
            assert!(answers(&answer), "{garbage:x?} {line}: {answer}");
        }
        // A second handle, which is made of the garbage.
        assert_eq!(running.tell(&format!("t = sem.open {name}")), "ok");
        assert!(answers(&running.tell("sem.release t")));
    }
    // And while it waits.
    file.write_at(&[0; 32], 0).unwrap();
    running.say("sem.acquire s timeout=2000000000");
    for _ in 0..100 {
        file.write_at(&rand::random::<[u8; 32]>(), 0).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let answer = running.line();
    assert!(answers(&answer), "{answer}");
    assert_eq!(running.end().code, Some(0));
}

/// A semaphore at its greatest value, and past it.
#[test]
fn a_peer_that_posts_up_to_the_greatest_value() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("gate");
    drop(Native::set_up(&[format!("s = sem.open {name} create")]));
    let file = semaphore_file(&name);
    let mut running = Running::guest(&["--sem", &name], &probe);
    assert_eq!(running.tell(&format!("s = sem.open {name}")), "ok");
    let value = || {
        let mut bytes = [0; 8];
        file.read_at(&mut bytes, 0).unwrap();
        u64::from_ne_bytes(bytes)
    };
    for greatest in [0x7fff_ffff, 0x8000_0000, 0xffff_ffff_u64] {
        file.write_at(&greatest.to_ne_bytes(), 0).unwrap();
        assert_eq!(
            running.tell("sem.release s"),
            "error overflow",
            "{greatest:#x}"
        );
        // Above all, nothing has run over into the number of waiters.
        assert_eq!(value(), greatest);
    }
    file.write_at(&0x7fff_fffe_u64.to_ne_bytes(), 0).unwrap();
    assert_eq!(running.tell("sem.release s"), "ok");
    assert_eq!(value(), 0x7fff_ffff);
    assert_eq!(running.tell("sem.try s"), "ok");
    assert_eq!(running.end().code, Some(0));
}

/// Bytes are bytes, of the greatest length and the greatest priority too.
#[test]
fn a_peer_that_sends_garbage() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("q");
    let mut native = Native::set_up(&[format!("q = mq.open {name} create limits=2x64")]);
    let mut running = Running::guest(&["--mq", &name], &probe);
    assert_eq!(running.tell(&format!("q = mq.open {name}")), "ok");
    for (message, shown) in [
        ("\\0\\0", "ok \"\\x00\\x00\":0"),
        ("'':32767", "ok \"\":32767"),
        ("\u{7f}\u{80}:1", "ok \"\\x7f\\xc2\\x80\":1"),
    ] {
        native.run(&format!("mq.send q {message}")).unwrap();
        assert_eq!(running.tell("mq.receive q"), shown);
    }
    native
        .run(&format!("mq.send q {}", "x".repeat(64)))
        .unwrap();
    assert!(running.tell("mq.receive q").starts_with("ok \"xxx"));
    assert!(
        native
            .run(&format!("mq.send q {}", "x".repeat(65)))
            .is_err()
    );
    assert_eq!(running.end().code, Some(0));
}

/// Whoever may write the ledger of a user may do as much as that user; but what is in it
/// is no path, and the reaper goes by what was created.
#[test]
fn a_ledger_does_not_lead_to_foreign_files() {
    let mut command = posix_ipc();
    let folder = crate::support::Folder::new();
    let ledgers = folder.path().join("posix-ipc");
    fs::create_dir_all(&ledgers).unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&ledgers, fs::Permissions::from_mode(0o700)).unwrap();
    let victim = folder.file("victim", "stays");
    std::os::unix::fs::symlink(&victim, ledgers.join("1-link.ledger")).unwrap();
    command.env("XDG_RUNTIME_DIR", folder.path()).arg("reap");
    let mut running = Running::start(command.stdin(Stdio::null()));
    running.wait();
    assert_eq!(fs::read_to_string(victim).unwrap(), "stays");
}

/// What nobody may open, its creator included, goes all the same. Root may open
/// everything, so this is tried as somebody else.
#[test]
fn objects_that_nobody_may_open() {
    let probe = guest("probe");
    let names = Names::new();
    let folder = std::env::temp_dir().join(names.prefix());
    let open_to_all = || fs::Permissions::from_mode(0o777);
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, open_to_all()).unwrap();
    let (host, guest) = (folder.join("host"), folder.join("probe.wasm"));
    fs::copy(env!("CARGO_BIN_EXE_posix-ipc"), &host).unwrap();
    fs::copy(&probe, &guest).unwrap();
    fs::set_permissions(&guest, open_to_all()).unwrap();

    let mut lines = Vec::new();
    for mode in ["0", "400", "200"] {
        for (kind, rest) in [("sem", "value=1"), ("shm", "size=8"), ("mq", "limits=1x8")] {
            let name = |stem: &str| names.name(&format!("{stem}-{kind}-{mode}"));
            let (gone, left) = (name("gone"), name("left"));
            lines.push(format!("a = {kind}.open {gone} create mode={mode} {rest}"));
            lines.push(format!("{kind}.unlink {gone}"));
            lines.push("close a".to_owned());
            lines.push(format!("a = {kind}.open {left} create mode={mode} {rest}"));
            lines.push("close a".to_owned());
        }
    }
    let grant = format!("{},create", names.pattern());
    let mut command = Command::new(&host);
    command
        .arg("run")
        .args(["--sem", &grant, "--shm", &grant, "--mq", &grant]);
    command
        .arg(&guest)
        .arg("do")
        .args(&lines)
        .current_dir(&folder);
    command.env("HOME", &folder).env("XDG_RUNTIME_DIR", &folder);
    command.env_remove("XDG_CACHE_HOME");
    if nix::unistd::geteuid().is_root() {
        const NOBODY: u32 = 65534;
        command.uid(NOBODY).gid(NOBODY);
    }
    let ended = Ended::of(&mut command);
    let _ = fs::remove_dir_all(&folder);
    assert_eq!(ended.lines(), vec!["ok"; lines.len()], "{}", ended.stderr);
    assert_eq!(ended.stderr, "");
    assert_eq!(names.existing(), [""; 0]);
}

/// What a peer has cut short cannot be used any more, and is removed as ever.
#[test]
fn a_semaphore_that_is_cut_is_removed_all_the_same() {
    let probe = guest("probe");
    let names = Names::new();
    let (unlinked, left) = (names.name("unlinked"), names.name("left"));
    let grant = format!("{},create", names.pattern());
    let mut guest = Running::guest(&["--sem", &grant], &probe);
    for name in [&unlinked, &left] {
        assert_eq!(guest.tell(&format!("s = sem.open {name} create")), "ok");
        let file = format!("/dev/shm/sem.{}", &name[1..]);
        fs::File::options()
            .write(true)
            .open(file)
            .unwrap()
            .set_len(0)
            .unwrap();
    }
    assert_eq!(guest.tell(&format!("sem.unlink {unlinked}")), "ok");
    let ended = guest.end();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    assert_eq!(names.existing(), [""; 0]);
}
