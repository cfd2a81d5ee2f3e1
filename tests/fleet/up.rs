//! `posix-ipc up`: several programs together.

use crate::support::program::{Program, guest_rust, native_c};
use crate::support::{Ended, FOREVER, Folder, Names, Running, posix_ipc, repository};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// `posix-ipc up` of a file with this text. Programs find the command as `$IPC`.
fn up(folder: &Folder, text: &str) -> Command {
    let file = folder.file("posix-ipc.toml", text);
    let mut command = posix_ipc();
    command.arg("up").arg(file);
    command.env("IPC", posix_ipc().get_program());
    command
}

/// A table for a shell script.
fn shell(name: &str, script: &str, more: &str) -> String {
    format!("[[process]]\nname = '{name}'\ncommand = ['sh', '-ec', '''{script}''']\n{more}\n")
}

/// Whether a process has this among its arguments.
fn marked(mark: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|process| {
        let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        command
            .split(|byte| *byte == 0)
            .any(|word| word == mark.as_bytes())
    })
}

fn wait_until_marked(mark: &str, wanted: bool) {
    let started = Instant::now();
    while marked(mark) != wanted {
        assert!(started.elapsed() < FOREVER, "{mark}: runs is not {wanted}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn each_line_has_the_name_of_its_program() {
    let folder = Folder::new();
    let text = shell("a", "echo one; echo two >&2; printf three", "")
        + &shell(
            "long",
            "echo $WORD; pwd",
            "count = 2\nenv = { WORD = 'x y' }",
        );
    let ended = Ended::of(&mut up(&folder, &text));
    let path = folder.path().canonicalize().unwrap();
    let path = path.display();
    ended.lines();
    assert_eq!(
        sorted(&ended.stdout),
        [
            "a      | one".to_owned(),
            "a      | three".to_owned(),
            format!("long.1 | {path}"),
            "long.1 | x y".to_owned(),
            format!("long.2 | {path}"),
            "long.2 | x y".to_owned(),
        ]
    );
    assert_eq!(ended.stderr, "a      | two\n");
}

#[test]
fn a_program_waits_for_the_end_of_others() {
    let folder = Folder::new();
    let text = shell("last", "echo last; cat made", "after = ['first', 'second']")
        + &shell("second", "echo second >> made", "after = 'first'")
        + &shell("first", "sleep 0.05; echo first > made", "");
    let ended = Ended::of(&mut up(&folder, &text));
    assert_eq!(
        ended.lines(),
        ["last   | last", "last   | first", "last   | second"],
        "{ended:?}"
    );
}

#[test]
fn a_program_waits_for_objects() {
    let names = Names::new();
    for isolate in [false, true] {
        let folder = Folder::new();
        let name = names.name("o");
        let text = format!("isolate = {isolate}\n")
            + &shell(
                "reader",
                &format!(
                    "\"$IPC\" mq recv {name}; \"$IPC\" shm cat {name}; \"$IPC\" sem value {name}; \"$IPC\" rm mq:{name} shm:{name} sem:{name}"
                ),
                &format!("after-object = ['mq:{name}', 'shm:{name}', 'sem:{name}']"),
            )
            + &shell(
                "maker",
                &format!(
                    "\"$IPC\" mq create {name}; \"$IPC\" mq send {name} hello; sleep 0.05
                    echo bytes | \"$IPC\" shm write --create {name}; sleep 0.05
                    \"$IPC\" sem create {name} --value 7"
                ),
                "",
            );
        let ended = Ended::of(&mut up(&folder, &text));
        assert_eq!(
            ended.lines(),
            ["reader | hellobytes", "reader | 7"],
            "{ended:?}"
        );
        assert_eq!(names.existing(), [""; 0]);
    }
}

#[test]
fn the_first_failure_ends_the_others_and_gives_the_exit_code() {
    for isolate in [false, true] {
        let folder = Folder::new();
        let text = format!("isolate = {isolate}\n")
            + &shell(
                "bad",
                "while ! test -e ready; do sleep 0.01; done; exit 7",
                "",
            )
            + &shell("never", "echo never", "after = 'bad'")
            + &shell(
                "good",
                "trap \"echo ended; exit 9\" TERM; touch ready; while :; do sleep 0.01; done",
                "",
            );
        let ended = Ended::of(&mut up(&folder, &text));
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert_eq!(ended.stdout, "good  | ended\n", "{ended:?}");
        assert!(ended.stderr.contains("bad ended with 7"), "{ended:?}");
    }
}

#[test]
fn a_program_that_fails_is_started_again_but_not_for_ever() {
    let folder = Folder::new();
    let restart = "restart = 'on-failure'\nmax-restarts = 2";
    let text = shell(
        "a",
        "echo x >> count; test $(wc -l < count) -gt 2; echo done",
        restart,
    );
    let ended = Ended::of(&mut up(&folder, &text));
    assert_eq!(ended.lines(), ["a | done"], "{ended:?}");
    assert!(ended.stderr.contains("restart 2 of 2"), "{ended:?}");

    let folder = Folder::new();
    let ended = Ended::of(&mut up(
        &folder,
        &shell("a", "echo x >> count; exit 3", restart),
    ));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let count = std::fs::read_to_string(folder.path().join("count")).unwrap();
    assert_eq!(count.lines().count(), 3);
}

#[test]
fn signals_are_passed_on_and_the_last_started_ends_first() {
    for isolate in [false, true] {
        for (signal, word) in [(libc::SIGTERM, "TERM"), (libc::SIGINT, "INT")] {
            let folder = Folder::new();
            let script = |name: &str| {
                format!(
                    "trap \"echo {word}; sleep 0.05; exit 0\" {word}; touch {name}; echo ready; while :; do sleep 0.01; done"
                )
            };
            let text = format!("isolate = {isolate}\n")
                + &shell("a", &script("a"), "")
                + &shell("b", &script("b"), "");
            let mut running = Running::start(&mut up(&folder, &text));
            running.line();
            running.line();
            running.signal(signal);
            let ended = running.end();
            assert_eq!(ended.code, Some(128 + signal), "{ended:?}");
            let said: Vec<&str> = ended.stdout.lines().skip(2).collect();
            let expected = [format!("b | {word}"), format!("a | {word}")];
            assert_eq!(said, expected, "{isolate} {ended:?}");
        }
    }
}

#[test]
fn what_does_not_end_is_killed_after_the_grace_time() {
    let folder = Folder::new();
    let text = "grace = '50ms'\n".to_owned()
        + &shell(
            "a",
            "trap \"\" TERM; echo ready; while :; do sleep 0.01; done",
            "",
        );
    let mut running = Running::start(&mut up(&folder, &text));
    running.line();
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().code, Some(143));
}

/// It has left the session and the process group, and ignores what it can.
fn daemon(mark: &str) -> String {
    format!(
        "(trap \"\" TERM INT HUP; exec setsid sh -c \"while :; do sleep 0.05; done\" {mark}) \
         >/dev/null 2>&1 </dev/null & echo started"
    )
}

#[test]
fn nothing_is_left_running() {
    let names = Names::new();
    let mark = names.name("daemon");
    let forever = "; while :; do sleep 1; done";
    for isolate in [false, true] {
        let isolate = format!("isolate = {isolate}\n");
        let folder = Folder::new();
        let text = isolate.clone() + &shell("a", &daemon(&mark), "");
        let ended = Ended::of(&mut up(&folder, &text));
        assert_eq!(ended.lines(), ["a | started"], "{ended:?}");
        assert!(!marked(&mark));

        let text = isolate + &shell("a", &(daemon(&mark) + forever), "");
        let mut running = Running::start(&mut up(&folder, &text));
        running.line();
        wait_until_marked(&mark, true);
        running.signal(libc::SIGKILL);
        assert_eq!(running.wait(), None);
        wait_until_marked(&mark, false);
    }
}

/// The process that starts the programs can be killed too.
#[test]
fn the_guard_ends_what_the_other_process_has_started() {
    let names = Names::new();
    let mark = names.name("daemon");
    let folder = Folder::new();
    let text = shell("a", &(daemon(&mark) + "; while :; do sleep 1; done"), "");
    let mut running = Running::start(&mut up(&folder, &text));
    running.line();
    wait_until_marked(&mark, true);
    let children = format!("/proc/{0}/task/{0}/children", running.id());
    let child = std::fs::read_to_string(children).unwrap();
    let child = child.trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::SIGKILL).unwrap();
    assert_eq!(running.end().code, Some(137));
    assert!(!marked(&mark));
}

#[test]
fn a_reader_that_is_asleep_does_not_keep_it_from_its_end() {
    let folder = Folder::new();
    let text = shell("a", "touch ready; while :; do echo yes; done", "");
    let mut command = up(&folder, &text);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !folder.path().join("ready").exists() {
        assert!(started.elapsed() < FOREVER);
        std::thread::sleep(Duration::from_millis(2));
    }
    let id = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(id, nix::sys::signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn errors_have_the_file_and_the_line() {
    let folder = Folder::new();
    let ended = Ended::of(&mut up(&folder, &shell("a", "true", "after = 'b'")));
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("posix-ipc.toml is wrong: line 4: "),
        "{ended:?}"
    );
    let mut command = posix_ipc();
    let ended = Ended::of(command.arg("up").current_dir(folder.path()).arg("no.toml"));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("no.toml cannot be read"), "{ended:?}");
}

/// The example: copied with its programs, as its page says.
#[test]
fn the_conversation_is_held() {
    let example = repository().join("guest-examples/conversation");
    let Program::Guest(guest) = guest_rust(&example.join("rust")) else {
        unreachable!("a guest")
    };
    let Program::Native(native) = native_c(&example.join("native.c")) else {
        unreachable!("a native program")
    };
    let names = Names::new();
    let folder = Folder::new();
    let copy = |from: &Path, to: &str| std::fs::copy(from, folder.path().join(to)).unwrap();
    copy(&native, "native");
    copy(&guest, "conversation.wasm");
    let file = repository().join("guest-examples/up/posix-ipc.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let ended = Ended::of(&mut up(&folder, &text));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for line in [
        "native | native: done, 12000 messages,",
        "guest  | guest:  done, 12000 messages,",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {ended:?}");
    }
    let denied = "guest  | posix-ipc: denied mq:/admin (send): not granted";
    assert!(ended.stderr.contains(denied), "{ended:?}");
    assert_eq!(names.existing(), [""; 0]);
}
