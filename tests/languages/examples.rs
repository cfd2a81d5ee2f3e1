//! The small examples, used as their page says.

use crate::support::program::{Program, guest_c, guest_go, guest_rust, native_c};
use crate::support::scripts::{Runtime, native_python};
use crate::support::{Ended, Names, Native, Running, repository};
use std::path::{Path, PathBuf};
use std::process::Command;

fn example(path: &str) -> PathBuf {
    repository().join("guest-examples").join(path)
}

fn start(program: &Program, options: &[&str], arguments: &[&str]) -> Running {
    Running::start(program.command(options).args(arguments))
}

/// What a program says that succeeds.
#[track_caller]
fn said(running: Running) -> String {
    let ended = running.end();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    ended.stdout
}

#[test]
fn an_application_with_two_plugins() {
    let guests = (
        guest_rust(&example("relay/rust")),
        guest_c(&example("relay/c/relay.c")),
    );
    let (Program::Guest(producer), Program::Guest(consumer)) = guests else {
        unreachable!("guests")
    };
    // Tests of the whole workspace have built it, with the features that all need together.
    // To build it apart from them would compile wasmtime once more.
    let built = Path::new(env!("CARGO_BIN_EXE_posix-ipc")).with_file_name("examples/plugins");
    let mut application = Command::new(&built);
    if !built.exists() {
        application = Command::new(env!("CARGO"));
        application.args(["run", "--quiet", "--example", "plugins"]);
        if !cfg!(debug_assertions) {
            application.arg("--release");
        }
        application.arg("--");
    }
    let run = Running::start(
        application
            .current_dir(repository())
            .args([producer.as_os_str(), consumer.as_os_str()]),
    );
    let said = said(run);
    assert!(said.contains("produced 100 jobs, "), "{said}");
    assert!(said.contains("consumed 100 jobs, "), "{said}");
}

#[test]
fn a_lock_with_a_timeout() {
    let (python, native) = (Runtime::find("python"), native_python());
    let script = example("lock/lock.py");
    let names = Names::new();
    let lock = names.name("lock");
    // As somebody else left it: taken.
    let mut peer = Native::set_up(&[format!("l = sem.open {lock} create value=0")]);

    let grant = format!("{lock},create,undo");
    let guest = |patience: &str, hold: &str| {
        python.command(&["--sem", &grant], &script, &[&lock, patience, hold])
    };
    let refused = Ended::of(&mut guest("0.05", "0"));
    assert_eq!(
        (refused.code, &*refused.stdout),
        (Some(1), "somebody else has it\n")
    );

    peer.run("sem.release l").unwrap();
    let mut holder = Running::start(&mut guest("60", "600"));
    assert_eq!(holder.line(), "mine");
    let mut outside = Command::new(native);
    outside.arg(&script).args([&*lock, "0.05", "0"]);
    let refused = Ended::of(&mut outside);
    assert_eq!(
        (refused.code, &*refused.stdout),
        (Some(1), "somebody else has it\n")
    );
    // It does not come to its `finally`; its grant says `undo`.
    holder.signal(libc::SIGTERM);
    assert_eq!(holder.end().code, Some(143));

    assert_eq!(
        said(Running::start(&mut guest("60", "0"))),
        "mine\ngiven back\n"
    );
    assert_eq!(peer.run("sem.value l").unwrap(), "1");
}

#[test]
fn a_progress_counter_that_a_native_program_watches() {
    let guest = guest_rust(&example("progress/guest"));
    let names = Names::new();
    let name = names.name("progress");
    let mut watch = start(&native_c(&example("progress/watch.c")), &[], &[&name]);
    assert_eq!(watch.line(), "waiting");
    let guest = start(&guest, &["--shm", &name], &[&name, "5"]);
    assert_eq!(said(guest), "5 steps done\n");
    let watched = said(watch);
    assert!(watched.ends_with("5 of 5\n"), "{watched}");
    assert_eq!(names.existing(), [""; 0]);
}

#[test]
fn workers_that_a_poison_pill_ends() {
    let guest = guest_go(&example("workers"));
    let names = Names::new();
    let (tasks, results) = (names.name("tasks"), names.name("results"));
    let prefix = tasks.strip_suffix(".tasks").unwrap();
    let worker = || {
        let (tasks, results) = (format!("{tasks},recv"), format!("{results},send"));
        start(
            &guest,
            &["--mq", &tasks, "--mq", &results],
            &["work", prefix],
        )
    };
    let workers = [worker(), worker()];
    let (tasks, results) = (
        format!("{tasks},send,create"),
        format!("{results},recv,create"),
    );
    let boss = start(
        &guest,
        &["--mq", &tasks, "--mq", &results],
        &["boss", prefix, "100", "2"],
    );
    assert_eq!(said(boss), "sum of squares: 338350\n");
    let done: u32 = workers
        .map(|worker| {
            let said = said(worker);
            let count = said.trim().strip_prefix("tasks done: ");
            count
                .unwrap_or_else(|| panic!("{said}"))
                .parse::<u32>()
                .unwrap()
        })
        .iter()
        .sum();
    assert_eq!(done, 100);
    assert_eq!(names.existing(), [""; 0]);
}

#[test]
fn one_loop_over_two_queues() {
    let source = example("select/select.c");
    let guest = guest_c(&source);
    let native = native_c(&source);
    for [listener, speaker] in [[&guest, &native], [&native, &guest]] {
        let names = Names::new();
        let (control, orders) = (names.name("control"), names.name("orders"));
        let prefix = orders.strip_suffix(".orders").unwrap();
        let all = [&*orders, &control].map(|name| format!("{name},own"));
        let all = ["--mq", &all[0], "--mq", &all[1]];
        let mut listening = start(listener, &all, &["listen", prefix]);
        assert_eq!(listening.line(), "listening");
        for (queue, text) in [("orders", "tea"), ("orders", "milk"), ("control", "stop")] {
            said(start(speaker, &all, &["say", prefix, queue, text]));
        }
        let heard = said(listening);
        assert_eq!(heard.matches("orders: ").count(), 2, "{heard}");
        assert!(heard.contains("orders: tea\norders: milk\n"), "{heard}");
        assert!(heard.contains("control: stop\n"), "{heard}");
        assert_eq!(names.existing(), [""; 0]);
    }
}
