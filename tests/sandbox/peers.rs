//! Guests and native programs on the same objects, friendly and hostile ones.

use crate::support::program::{Program, native_c};
use crate::support::{Ended, Folder, Names, Native, Running, guest, repository, run};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A native program is not asked what it may do.
const NO_FLAGS: [&str; 0] = [];

/// The guest of this test, and the native program that it meets.
fn both() -> (PathBuf, Program) {
    let native = native_c(&repository().join("tests/peers/peer.c"));
    (guest("probe"), native)
}

/// Runs the two side by side, with the same arguments, until both have succeeded.
fn together(flags: &[&str], (probe, native): &(PathBuf, Program), arguments: &[&str]) {
    let native = native.start_with(NO_FLAGS, arguments);
    let arguments = [&["peer"], arguments].concat();
    let guest = Running::start(&mut run(flags, probe, &arguments));
    for (who, running) in [("guest", guest), ("native", native)] {
        let ended = running.end();
        assert_eq!(
            (ended.code, &*ended.stderr),
            (Some(0), ""),
            "{who}: {ended:?}"
        );
    }
}

// ---- friends -----------------------------------------------------------------------

#[test]
fn both_count_on_the_same_words() {
    let both = both();
    let names = Names::new();
    let name = names.name("counters");
    let mut native = Native::set_up(&[format!("m = shm.open {name} create size=24")]);
    together(&["--shm", &name], &both, &["count", &name, "1000000"]);
    assert_eq!(native.run("shm.word m u32 0 load"), Ok("2000000".into()));
    assert_eq!(native.run("shm.word m u64 8 load"), Ok("2000000".into()));
}

#[test]
fn both_hand_a_semaphore_back_and_forth() {
    let both = both();
    let names = Names::new();
    let [ping, pong, number] = ["ping", "pong", "number"].map(|stem| names.name(stem));
    let mut native = Native::set_up(&[
        format!("s = sem.open {ping} create"),
        format!("t = sem.open {pong} create"),
        format!("m = shm.open {number} create size=4"),
    ]);
    let (post, wait) = (format!("{ping},post"), format!("{pong},wait"));
    let flags = ["--sem", &post, "--sem", &wait, "--shm", &number];
    together(
        &flags,
        &both,
        &["semaphores", &ping, &pong, &number, "10000"],
    );
    assert_eq!(native.run("sem.value s"), Ok("0".into()));
    assert_eq!(native.run("sem.value t"), Ok("0".into()));
    assert_eq!(native.run("shm.word m u32 0 load"), Ok("20000".into()));
}

#[test]
fn both_send_and_receive_messages() {
    let both = both();
    let names = Names::new();
    let [requests, answers] = ["requests", "answers"].map(|stem| names.name(stem));
    let mut native = Native::set_up(&[
        format!("q = mq.open {requests} create limits=4x64"),
        format!("r = mq.open {answers} create limits=4x64"),
    ]);
    let (receive, send) = (format!("{requests},recv"), format!("{answers},send"));
    let flags = ["--mq", &receive, "--mq", &send];
    together(&flags, &both, &["queues", &requests, &answers, "10000"]);
    for queue in ["q", "r"] {
        let empty = Ok("0 of 4 messages of 64 bytes".into());
        assert_eq!(native.run(&format!("mq.attributes {queue}")), empty);
    }
}

#[test]
fn both_wait_for_each_other_on_a_word() {
    let both = both();
    let names = Names::new();
    let name = names.name("word");
    let mut native = Native::set_up(&[format!("m = shm.open {name} create size=4")]);
    together(&["--shm", &name], &both, &["words", &name, "10000"]);
    assert_eq!(native.run("shm.word m u32 0 load"), Ok("20000".into()));
}

// ---- enemies -----------------------------------------------------------------------

/// How many seconds a guest has to bear a hostile peer.
fn seconds() -> &'static str {
    match std::env::var("POSIX_IPC_LONG").as_deref() {
        Ok("1") => "5",
        _ => "2",
    }
}

/// Lets a guest work on an object that a native program spoils all the time.
fn bear(flags: &[&str], probe: &Path, peer: &mut Command, arguments: &[&str]) {
    let mut hostile = Running::start(peer);
    assert_eq!(hostile.line(), "shrinking");
    let ended = Ended::of(&mut run(flags, probe, arguments));
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    // It did go on until the end.
    assert!(hostile.is_running());
}

#[test]
fn a_peer_that_shrinks_a_segment_kills_nobody() {
    let (probe, native) = both();
    let names = Names::new();
    let name = names.name("shrunk");
    let size = "65536";
    let _native = Native::set_up(&[format!("m = shm.open {name} create size={size}")]);
    let arguments = ["peer", "shrunk-segment", &name, size, seconds()];
    let mut peer = native.command(NO_FLAGS);
    bear(
        &["--shm", &name],
        &probe,
        peer.args(["shrink-segment", &name, size]),
        &arguments,
    );
}

#[test]
fn a_peer_that_shrinks_a_semaphore_kills_nobody() {
    let (probe, native) = both();
    let names = Names::new();
    let name = names.name("shrunk");
    let _native = Native::set_up(&[format!("s = sem.open {name} create")]);
    let arguments = ["peer", "shrunk-semaphore", &name, seconds()];
    let mut peer = native.command(NO_FLAGS);
    bear(
        &["--sem", &name],
        &probe,
        peer.args(["shrink-semaphore", &name]),
        &arguments,
    );
}

#[test]
fn a_segment_that_was_shrunk_can_be_used_when_it_has_grown_again() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("shrunk");
    let mut native = Native::set_up(&[
        format!("m = shm.open {name} create size=8192"),
        "shm.write m 4096 before".into(),
    ]);
    let mut guest = Running::guest(&["--shm", &name], &probe);
    assert_eq!(guest.tell(&format!("m = shm.open {name}")), "ok");
    assert_eq!(guest.tell("shm.read m 4096 6"), "ok \"before\"");
    for (size, within) in [(0, "ok \"\""), (4096, "ok \"\\x00\\x00\\x00\\x00\"")] {
        native.run(&format!("shm.resize m {size}")).unwrap();
        let truncated = "error truncated";
        assert_eq!(guest.tell("shm.word m u32 4096 load"), truncated);
        assert_eq!(guest.tell("shm.word m u64 4096 add 1"), truncated);
        assert_eq!(guest.tell("shm.wait m 4096 0 timeout=1000000"), truncated);
        assert_eq!(guest.tell("shm.notify m 4096 1"), truncated);
        assert_eq!(guest.tell("shm.write m 4096 lost"), truncated);
        assert_eq!(guest.tell("shm.read m 4096 6"), "ok \"\"");
        assert_eq!(guest.tell("shm.read m 0 4"), within);
        assert_eq!(guest.tell("shm.size m"), format!("ok {size}"));

        native.run("shm.resize m 8192").unwrap();
        native.run("shm.write m 4096 after").unwrap();
        assert_eq!(guest.tell("shm.read m 4096 6"), "ok \"after\\x00\"");
        assert_eq!(guest.tell("shm.write m 4096 guest"), "ok");
        assert_eq!(guest.tell("shm.word m u32 4104 add 7"), "ok 0");
        assert_eq!(native.run("shm.read m 4096 5"), Ok("\"guest\"".into()));
        assert_eq!(native.run("shm.word m u32 4104 exchange 0"), Ok("7".into()));
    }
    assert_eq!(guest.end().code, Some(0));
}

#[test]
fn a_wait_ends_when_its_word_is_gone() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("shrunk");
    let mut native = Native::set_up(&[format!("m = shm.open {name} create size=4096")]);
    let mut guest = Running::guest(&["--shm", &name], &probe);
    assert_eq!(guest.tell(&format!("m = shm.open {name}")), "ok");
    guest.say("shm.wait m 0 0");
    // So that it waits already, most probably; the answer is the same if not.
    std::thread::sleep(Duration::from_millis(100));
    native.run("shm.resize m 0").unwrap();
    assert_eq!(guest.line(), "error truncated");
    assert_eq!(guest.end().code, Some(0));
}

fn semaphore_file(name: &str) -> File {
    let path = Path::new("/dev/shm").join(format!("sem.{}", &name[1..]));
    File::options().write(true).open(path).unwrap()
}

#[test]
fn a_semaphore_that_was_shrunk_is_truncated_for_whoever_has_it_open() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("shrunk");
    let native = Native::set_up(&[format!("s = sem.open {name} create value=3")]);
    // This process must not touch it any more.
    drop(native);
    let file = semaphore_file(&name);
    let size = file.metadata().unwrap().len();
    let mut guest = Running::guest(&["--sem", &name], &probe);
    let open = |variable: &str| format!("{variable} = sem.open {name}");
    assert_eq!(guest.tell(&open("s")), "ok");
    assert_eq!(guest.tell("sem.value s"), "ok 3");
    let truncated = "error truncated";
    let check = |guest: &mut Running, variable: &str| {
        for line in [
            "sem.release V",
            "sem.value V",
            "sem.try V",
            "sem.acquire V",
            "sem.acquire V timeout=0",
            "sem.acquire V timeout=1",
            "sem.acquire V timeout=3000000",
        ] {
            assert_eq!(
                guest.tell(&line.replace('V', variable)),
                truncated,
                "{line}"
            );
        }
        // Whoever waits for it learns that there is nothing to wait for.
        assert_eq!(guest.tell(&format!("sem.ready {variable}")), "ok true");
    };

    file.set_len(0).unwrap();
    check(&mut guest, "s");
    assert_eq!(guest.tell(&open("t")), "error invalid");
    // A whole one again, but this handle is not on it, and says so. A new one is.
    file.set_len(size).unwrap();
    check(&mut guest, "s");
    assert_eq!(guest.tell(&open("t")), "ok");
    assert_eq!(guest.tell("sem.release t"), "ok");
    check(&mut guest, "s");
    assert_eq!(guest.tell("close s"), "ok");
    assert_eq!(guest.tell("sem.value t"), "ok 1");
    let mut native = Native::set_up(&[format!("s = sem.open {name}")]);
    assert_eq!(native.run("sem.value s"), Ok("1".into()));
    assert_eq!(guest.end().code, Some(0));
}

#[test]
fn a_wait_ends_when_its_semaphore_is_gone() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("shrunk");
    drop(Native::set_up(&[format!("s = sem.open {name} create")]));
    let mut guest = Running::guest(&["--sem", &name], &probe);
    assert_eq!(guest.tell(&format!("s = sem.open {name}")), "ok");
    guest.say("sem.acquire s");
    // As for the word.
    std::thread::sleep(Duration::from_millis(100));
    semaphore_file(&name).set_len(0).unwrap();
    assert_eq!(guest.line(), "error truncated");
    assert_eq!(guest.end().code, Some(0));
}

/// What is no object is refused, and is neither followed nor waited for.
#[test]
fn what_is_planted_in_the_place_of_an_object_is_invalid() {
    let probe = guest("probe");
    let names = Names::new();
    let folder = Folder::new();
    let target = folder.file("target", [b'x'; 64]);
    let place = |name: &str| Path::new("/dev/shm").join(&name[1..]);
    let [link, semaphore_link, pipe, socket, directory] =
        ["link", "link", "pipe", "socket", "directory"].map(|stem| names.name(stem));
    let semaphore_place = |name: &str| Path::new("/dev/shm").join(format!("sem.{}", &name[1..]));
    symlink(&target, place(&link)).unwrap();
    symlink(&target, semaphore_place(&semaphore_link)).unwrap();
    for path in [place(&pipe), semaphore_place(&pipe)] {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    let _socket = std::os::unix::net::UnixListener::bind(place(&socket)).unwrap();
    fs::create_dir(place(&directory)).unwrap();
    let directory = Planted(directory);

    let mut lines = Vec::new();
    for name in [&link, &pipe, &socket, &directory.0] {
        for options in [
            "access=read",
            "",
            "size=0",
            "truncate",
            "create",
            "create size=1",
        ] {
            lines.push(format!("m = shm.open {name} {options}"));
        }
    }
    for name in [&semaphore_link, &pipe] {
        for options in ["", "create"] {
            lines.push(format!("s = sem.open {name} {options}"));
        }
    }
    let grant = format!("{},own", names.pattern());
    let mut guest = Running::guest(&["--shm", &grant, "--sem", &grant], &probe);
    for line in lines {
        let outcome = guest.tell(&line);
        let refused = [
            "error invalid",
            "error other Some(\"ENXIO: No such device or address\")",
        ];
        assert!(refused.contains(&&*outcome), "{line}: {outcome}");
    }
    assert_eq!(guest.end().code, Some(0));
    assert_eq!(fs::read(target).unwrap(), [b'x'; 64]);
}

/// A folder, which is in nobody's list of objects.
struct Planted(String);

impl Drop for Planted {
    fn drop(&mut self) {
        let _ = fs::remove_dir(Path::new("/dev/shm").join(&self.0[1..]));
    }
}
