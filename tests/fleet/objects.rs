//! `posix-ipc mq`, `sem` and `shm` on objects of the kernel, beside a native program.

use crate::support::{Ended, FOREVER, Names, Native, Running, exists, posix_ipc};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn tool(arguments: &[&str]) -> Command {
    let mut command = posix_ipc();
    command.args(arguments);
    command
}

/// What it prints, line by line: a line is complete here though it has no end.
#[track_caller]
fn done(arguments: &[&str]) -> String {
    let ended = Ended::of(&mut tool(arguments));
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    ended.stdout
}

#[track_caller]
fn fails(arguments: &[&str], code: i32, why: &str) {
    let ended = Ended::of(&mut tool(arguments));
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stderr.contains(why), "{ended:?}");
    assert_eq!(ended.stdout, "");
}

/// Runs it with this on standard input; gives the exit code and the output, byte by byte.
fn fed(arguments: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let mut command = tool(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may refuse its input before all of it is written.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), output.stdout, stderr)
}

/// Waits until a process sleeps in the kernel and not on its way there.
fn wait_until_blocked(running: &Running, call: &str) {
    let file = format!("/proc/{}/syscall", running.id());
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < FOREVER, "never makes the call {call}");
        let now = std::fs::read_to_string(&file).unwrap_or_default();
        if now.starts_with(&format!("{call} ")) {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_script_and_a_native_program_share_a_semaphore() {
    let names = Names::new();
    let gate = &*names.name("gate");
    assert_eq!(done(&["sem", "create", gate, "--value", "2"]), "");
    let mut native = Native::set_up(&[format!("s = sem.open {gate}")]);
    assert_eq!(native.run("sem.value s").unwrap(), "2");
    assert_eq!(done(&["sem", "wait", gate]), "");
    assert_eq!(native.run("sem.value s").unwrap(), "1");
    native.run("sem.release s").unwrap();
    done(&["sem", "post", gate]);
    assert_eq!(done(&["sem", "value", gate]), "3\n");
    let json = done(&["sem", "value", gate, "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json, serde_json::json!({ "name": gate, "value": 3 }));
}

#[test]
fn a_wait_for_a_semaphore_ends_by_a_post_of_a_native_program() {
    let names = Names::new();
    let gate = &*names.name("gate");
    let mut native = Native::set_up(&[format!("s = sem.open {gate} create value=0")]);
    let waiting = Running::start(&mut tool(&["sem", "wait", gate]));
    wait_until_blocked(&waiting, &libc::SYS_futex.to_string());
    native.run("sem.release s").unwrap();
    let ended = waiting.end();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_eq!(native.run("sem.value s").unwrap(), "0");
}

#[test]
fn the_end_of_the_time_is_124_and_takes_nothing() {
    let names = Names::new();
    let (gate, jobs) = (&*names.name("gate"), &*names.name("jobs"));
    done(&["sem", "create", gate]);
    let size = ["--max-msgs", "1", "--max-msg-size", "8B"];
    done(&[&["mq", "create", jobs], &size[..]].concat());
    for timeout in ["0s", "30ms"] {
        let timeout = ["--timeout", timeout];
        let with = |arguments: &[&'static str], name| {
            let mut all: Vec<&str> = arguments.to_vec();
            all.push(name);
            all.extend(timeout);
            all
        };
        fails(
            &with(&["sem", "wait"], gate),
            124,
            "nobody posted it within",
        );
        fails(&with(&["mq", "recv"], jobs), 124, "no message came within");
    }
    done(&["mq", "send", jobs, "full"]);
    let send = ["mq", "send", jobs, "more", "--timeout", "30ms"];
    fails(&send, 124, "it stayed full within");
    assert_eq!(done(&["sem", "value", gate]), "0\n");
    assert_eq!(done(&["mq", "recv", jobs]), "full\n");
    fails(&["mq", "recv", jobs, "--timeout", "0s"], 124, "no message");
}

#[test]
fn messages_keep_their_bytes_and_priorities() {
    let names = Names::new();
    let jobs = &*names.name("jobs");
    let create = ["--max-msgs", "4", "--max-msg-size", "64B"];
    done(&[&["mq", "create", jobs], &create[..]].concat());
    let bytes = b"\0\xff\n end";
    assert_eq!(fed(&["mq", "send", jobs], bytes).0, Some(0));
    done(&["mq", "send", jobs, "--priority", "32767", "-first"]);
    let mut native = Native::set_up(&[format!("q = mq.open {jobs}")]);
    assert_eq!(native.run("mq.receive q").unwrap(), "\"-first\":32767");
    let (code, received, stderr) = fed(&["mq", "recv", jobs], b"");
    assert_eq!((code, &*received, &*stderr), (Some(0), &bytes[..], ""));

    native.run("mq.send q a\\sjob:3").unwrap();
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&done(&[arguments, &["--format", "json"]].concat())).unwrap()
    };
    let expected = serde_json::json!({ "priority": 3, "size": 5, "text": "a job" });
    assert_eq!(json(&["mq", "recv", jobs]), expected);
    assert_eq!(fed(&["mq", "send", jobs], b"\xff").0, Some(0));
    let expected = serde_json::json!({ "priority": 0, "size": 1, "base64": "/w==" });
    assert_eq!(json(&["mq", "recv", jobs]), expected);
}

#[test]
fn a_receiver_waits_for_a_message_and_a_sender_for_room() {
    let names = Names::new();
    let jobs = &*names.name("jobs");
    let mut native = Native::set_up(&[format!("q = mq.open {jobs} create limits=1x8")]);
    let waiting = Running::start(&mut tool(&["mq", "recv", jobs]));
    wait_until_blocked(&waiting, &libc::SYS_poll.to_string());
    native.run("mq.send q one:0").unwrap();
    assert_eq!(waiting.output(), "one\n");

    native.run("mq.send q two:0").unwrap();
    let waiting = Running::start(&mut tool(&["mq", "send", jobs, "three"]));
    wait_until_blocked(&waiting, &libc::SYS_poll.to_string());
    assert_eq!(native.run("mq.receive q").unwrap(), "\"two\":0");
    waiting.output();
    assert_eq!(native.run("mq.receive q").unwrap(), "\"three\":0");
}

#[test]
fn a_message_that_is_too_long_is_not_sent() {
    let names = Names::new();
    let jobs = &*names.name("jobs");
    let mut native = Native::set_up(&[format!("q = mq.open {jobs} create limits=2x8")]);
    let (code, _, stderr) = fed(&["mq", "send", jobs], &[b'x'; 100_000]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("messages of up to 8 bytes"), "{stderr}");
    assert_eq!(
        native.run("mq.attributes q").unwrap(),
        "0 of 2 messages of 8 bytes"
    );
}

#[test]
fn shared_memory_is_written_and_read_in_place() {
    let names = Names::new();
    let frames = &*names.name("frames");
    let create = ["shm", "write", frames, "--create", "--size", "16B"];
    assert_eq!(fed(&create, b"abc").0, Some(0));
    assert_eq!(
        fed(&["shm", "write", frames, "--offset", "14B"], b"yz").0,
        Some(0)
    );
    let mut native = Native::set_up(&[format!("m = shm.open {frames}")]);
    assert_eq!(native.run("shm.size m").unwrap(), "16");
    let all = b"abc\0\0\0\0\0\0\0\0\0\0\0yz";
    let cat = |more: &[&str]| fed(&[&["shm", "cat", frames], more].concat(), b"");
    assert_eq!(cat(&[]), (Some(0), all.to_vec(), String::new()));
    let part = cat(&["--offset", "1B", "--length", "2B"]);
    assert_eq!(part, (Some(0), b"bc".to_vec(), String::new()));
    assert_eq!(cat(&["--offset", "16B"]).1, b"");
    assert_eq!(cat(&["--offset", "17B"]).0, Some(1));

    let (code, _, stderr) = fed(&["shm", "write", frames, "--offset", "15B"], b"12");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("Nothing was written"), "{stderr}");
    assert_eq!(cat(&[]).1, all);
    let (code, _, stderr) = fed(&["shm", "write", frames, "--create"], b"new");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("cannot be created: it exists"), "{stderr}");
    assert_eq!(cat(&[]).1, all);
}

/// What cannot be made leaves nothing behind.
#[test]
fn shared_memory_without_room_for_its_input_is_not_created() {
    let names = Names::new();
    let frames = &*names.name("frames");
    let create = ["shm", "write", frames, "--create", "--size", "2B"];
    let (code, _, stderr) = fed(&create, b"abc");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("has no room"), "{stderr}");
    let greatest = format!("{}B", u64::MAX);
    let create = ["shm", "write", frames, "--create", "--size", &greatest];
    assert_eq!(fed(&create, b"abc").0, Some(1));
    assert!(!exists("shm", frames));
}

#[test]
fn what_does_not_exist_is_1_and_what_is_no_name_is_2() {
    let names = Names::new();
    let nothing = &*names.name("nothing");
    for arguments in [
        &["sem", "post"][..],
        &["sem", "wait"],
        &["sem", "value"],
        &["mq", "recv"],
        &["mq", "send"],
        &["shm", "cat"],
        &["shm", "write"],
    ] {
        fails(&[arguments, &[nothing]].concat(), 1, "it does not exist");
        fails(&[arguments, &["nothing"]].concat(), 2, "slash");
        assert_eq!(names.existing(), [""; 0]);
    }
    fails(&["shm", "cat", "/sem.gate"], 2, "semaphore /gate itself");
    fails(&["sem", "create", nothing, "--mode", "888"], 2, "octal");
    fails(&["mq", "send", nothing, "--priority", "32768"], 2, "32768");
}

#[test]
fn the_mode_is_that_which_was_asked_for() {
    let names = Names::new();
    let name = &*names.name("object");
    done(&["sem", "create", name, "--mode", "640"]);
    done(&["mq", "create", name, "--mode", "600"]);
    assert_eq!(
        fed(&["shm", "write", name, "--create", "--mode", "400"], b"x").0,
        Some(0)
    );
    let mut native = Native::set_up(&[
        format!("s = sem.open {name}"),
        format!("m = shm.open {name} access=read"),
        format!("q = mq.open {name}"),
    ]);
    for (mode, expected) in [
        ("sem.mode s", "0640"),
        ("shm.mode m", "0400"),
        ("mq.mode q", "0600"),
    ] {
        assert_eq!(native.run(mode).unwrap(), expected, "{mode}");
    }
    fails(&["sem", "create", name], 1, "cannot be created: it exists");
    fails(&["mq", "create", name], 1, "cannot be created: it exists");
}

/// A pipe in the place of an object would hold up whoever opens it.
#[test]
fn what_is_planted_in_the_place_of_an_object_is_refused() {
    let names = Names::new();
    let name = names.name("planted");
    let path = format!("/dev/shm{name}");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    fails(&["shm", "cat", &name], 1, "another kind of file");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    fails(&["shm", "cat", &name], 1, "cannot be opened");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(format!("/dev/shm/sem.{}", &name[1..]), "short").unwrap();
    fails(&["sem", "post", &name], 1, "cannot be opened");
}

/// The message has left the queue: to say nothing would be to lose it in silence.
#[test]
fn a_message_that_nobody_reads_is_said_to_be_lost() {
    let names = Names::new();
    let jobs = &*names.name("jobs");
    let _native = Native::set_up(&[
        format!("q = mq.open {jobs} create limits=1x8"),
        "mq.send q lost:0".to_owned(),
    ]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = tool(&["mq", "recv", jobs]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("was taken and is lost"), "{stderr}");
}
