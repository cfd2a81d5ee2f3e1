//! A guest that blocks the thread which it runs on is ended all the same.

use crate::support::{FOREVER, Folder, Names, Native, component, exists, guest, posix_ipc, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

/// Starts a command whose output nobody reads. The reader is to be kept.
fn unread(command: &mut Command) -> (Child, std::io::PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let child = command.spawn().unwrap();
    // So that only the child has the other end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    (child, reader)
}

/// The exit code.
#[track_caller]
fn wait(mut child: Child) -> Option<i32> {
    let id = Pid::from_raw(child.id() as i32);
    let (done, is_done) = channel();
    std::thread::spawn(move || done.send(child.wait().unwrap()));
    let status = is_done.recv_timeout(FOREVER).unwrap_or_else(|_| {
        let _ = kill(id, Signal::SIGKILL);
        panic!("it does not end");
    });
    assert_eq!(status.signal(), None);
    status.code()
}

/// A guest that has created objects, holds a semaphore under `undo`, and has written more
/// than fits into the pipe.
fn stuck(names: &Names, flags: &[&str], native: &mut Native) -> (Child, std::io::PipeReader) {
    let probe = guest("probe");
    let (gate, own) = (names.name("gate"), names.name("own.m"));
    native
        .run(&format!("g = sem.open {gate} create value=1"))
        .unwrap();
    let lines = [
        format!("m = shm.open {own} create size=16"),
        format!("q = mq.open {} create limits=1x8", names.name("own.q")),
        format!("g = sem.open {gate}"),
        "sem.try g".into(),
    ];
    let own = names.name("own.");
    let grants = [
        format!("--sem={gate},undo"),
        format!("--shm={own}*,create"),
        format!("--mq={own}*,create"),
    ];
    let grants = grants.iter().map(String::as_str);
    let flags: Vec<_> = grants.chain(flags.iter().copied()).collect();
    let mut command = run(&flags, &probe, &["do"]);
    command.args(lines).args(["shm.read m 0 16"; 4000]);
    let started = unread(&mut command);
    // Taken, and so nearly stuck.
    while native.run("sem.value g").as_deref() != Ok("0") {
        std::thread::yield_now();
    }
    started
}

#[track_caller]
fn nothing_is_left(names: &Names, native: &mut Native) {
    assert_eq!(native.run("sem.value g").as_deref(), Ok("1"));
    for (kind, name) in [("shm", "own.m"), ("mq", "own.q")] {
        assert!(!exists(kind, &names.name(name)), "{kind}");
    }
}

#[test]
fn output_that_nobody_reads_before_a_timeout() {
    let (names, mut native) = (Names::new(), Native::default());
    let (child, _reader) = stuck(&names, &["--timeout", "2s"], &mut native);
    assert_eq!(wait(child), Some(124));
    nothing_is_left(&names, &mut native);
}

#[test]
fn output_that_nobody_reads_before_a_signal() {
    let (names, mut native) = (Names::new(), Native::default());
    let (child, _reader) = stuck(&names, &[], &mut native);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(wait(child), Some(128 + 15));
    nothing_is_left(&names, &mut native);
}

/// The last words of the host are not waited for either.
#[test]
fn errors_that_nobody_reads() {
    let folder = Folder::new();
    let file = folder.file("guest.wat", component("", "unreachable"));
    let mut command = posix_ipc();
    command.arg("run").arg(file);
    let (reader, mut writer) = std::io::pipe().unwrap();
    nix::fcntl::fcntl(
        &writer,
        nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK),
    )
    .unwrap();
    while std::io::Write::write(&mut writer, &[0; 4096]).is_ok() {}
    nix::fcntl::fcntl(
        &writer,
        nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()),
    )
    .unwrap();
    let child = command.stderr(writer).spawn().unwrap();
    assert_eq!(wait(child), Some(134));
    drop(reader);
}
