//! `posix-ipc exec --isolate`: native programs in a namespace of their own.

use crate::support::{Ended, FOREVER, Names, Native, Running, exists, posix_ipc, repository};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A shell script in a namespace of its own, which finds the command as `$IPC`.
fn isolated(script: &str) -> Command {
    let mut command = posix_ipc();
    command.args(["exec", "--isolate", "--", "sh", "-ec", script]);
    let this = posix_ipc();
    command.env("IPC", this.get_program());
    command
}

/// The same for a user who is not root, if this one is: from a copy of the command that
/// every user may run.
fn isolated_for_nobody(script: &str) -> (Command, PathBuf) {
    let program = std::env::temp_dir().join(format!("posix-ipc-{:016x}", rand::random::<u64>()));
    std::fs::copy(posix_ipc().get_program(), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["exec", "--isolate", "--", "sh", "-ec", script]);
    command.env("IPC", &program).current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    (command, program)
}

/// Whether a process exists that is more than an exit code.
fn is_alive(id: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"));
    status.is_ok_and(|status| !status.contains("\nState:\tZ"))
}

fn wait_until_gone(mark: &str) {
    let started = Instant::now();
    while marked(mark) {
        assert!(started.elapsed() < FOREVER, "{mark} still runs");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process has this among its arguments, in whatever namespace it is.
fn marked(mark: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut ids = processes.filter_map(|process| process.file_name().into_string().ok());
    ids.any(|id| {
        let command = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        command.split('\0').any(|word| word == mark) && is_alive(&id)
    })
}

const LEAK: &str = r#"
    "$IPC" sem create "$1" --value 3
    "$IPC" mq create "$1"
    echo leaked | "$IPC" shm write --create "$1"
    "$IPC" sem value "$1"
    echo made
"#;

/// The script with `$1` as this name.
fn with_name(script: &str, name: &str) -> String {
    format!("set -- '{name}'\n{script}")
}

#[test]
fn what_a_program_leaves_is_seen_by_nobody() {
    let names = Names::new();
    let name = names.name("leak");
    let _outside = Native::set_up(&[format!("s = sem.open {name} create value=7")]);
    let ended = Ended::of(&mut isolated(&with_name(LEAK, &name)));
    assert_eq!(ended.lines(), ["3", "made"], "{ended:?}");
    assert_eq!(names.existing(), [format!("sem:{name}")]);
}

#[test]
fn what_a_user_who_is_not_root_leaves_is_seen_by_nobody() {
    let names = Names::new();
    let name = names.name("leak");
    let script = format!("{}\nid -u\nid -g\n", with_name(LEAK, &name));
    let (mut command, program) = isolated_for_nobody(&script);
    let ended = Ended::of(&mut command);
    std::fs::remove_file(program).unwrap();
    let user = match nix::unistd::geteuid().as_raw() {
        0 => "65534".to_owned(),
        user => user.to_string(),
    };
    let lines = ended.lines();
    assert_eq!(lines[..3], ["3", "made", &user], "{ended:?}");
    assert_eq!(names.existing(), [""; 0]);
}

#[test]
fn nothing_of_the_machine_is_seen_inside() {
    let names = Names::new();
    let name = names.name("outside");
    let _outside = Native::set_up(&[
        format!("s = sem.open {name} create value=7"),
        format!("q = mq.open {name} create limits=1x8"),
    ]);
    let ended = Ended::of(&mut isolated("echo $$ $(ls /dev/shm); \"$IPC\" ls"));
    let id = ended.lines()[0].to_owned();
    assert_eq!(ended.stdout, format!("{id}\n"), "{ended:?}");
    // The second process of a namespace of its own.
    assert_eq!(id, "2");
}

#[test]
fn the_exit_code_is_passed_on() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
    ] {
        let ended = Ended::of(&mut isolated(script));
        assert_eq!((ended.code, &*ended.stderr), (Some(code), ""), "{script}");
    }
    let run = |program: &Path| {
        let mut command = posix_ipc();
        Ended::of(command.args(["exec", "--isolate", "--"]).arg(program))
    };
    let ended = run(Path::new("/no/such/program"));
    assert_eq!(ended.code, Some(127), "{ended:?}");
    let why = "posix-ipc: /no/such/program cannot be run: No such file";
    assert!(ended.stderr.starts_with(why), "{ended:?}");
    assert_eq!(run(&repository().join("README.md")).code, Some(126));
}

#[test]
fn signals_are_passed_on_once() {
    let script = "trap 'echo usr1' USR1; trap 'echo term; exit 9' TERM; echo ready
        while :; do sleep 0.01; done";
    let mut running = Running::start(&mut isolated(script));
    assert_eq!(running.line(), "ready");
    running.signal(libc::SIGUSR1);
    assert_eq!(running.line(), "usr1");
    running.signal(libc::SIGTERM);
    let ended = running.end();
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(9), "ready\nusr1\nterm\n")
    );
}

#[test]
fn a_program_without_a_handler_is_ended_by_a_signal() {
    let mut running = Running::start(&mut isolated("echo ready; exec sleep 1000"));
    assert_eq!(running.line(), "ready");
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().code, Some(143));
}

/// A daemon has left the session and the process group, and ignores what it can.
const DAEMON: &str = "(trap '' TERM INT HUP; exec setsid sh -c 'while :; do sleep 0.05; done' \"$1\") \
    >/dev/null 2>&1 </dev/null & echo started";

#[test]
fn what_a_program_still_runs_ends_with_it() {
    let names = Names::new();
    let mark = names.name("daemon");
    let ended = Ended::of(&mut isolated(&with_name(DAEMON, &mark)));
    assert_eq!(ended.lines(), ["started"], "{ended:?}");
    assert!(!marked(&mark));
}

#[test]
fn everything_ends_with_a_command_that_is_killed() {
    let names = Names::new();
    let mark = names.name("daemon");
    let script = format!("{}; while :; do sleep 1; done", with_name(DAEMON, &mark));
    let (by_nobody, copy) = isolated_for_nobody(&script);
    for mut command in [isolated(&script), by_nobody] {
        let mut running = Running::start(&mut command);
        assert_eq!(running.line(), "started");
        running.signal(libc::SIGKILL);
        assert_eq!(running.wait(), None);
        wait_until_gone(&mark);
    }
    std::fs::remove_file(copy).unwrap();
    assert!(!exists("shm", &mark));
}

#[test]
fn without_isolate_it_says_why_not() {
    let ended = Ended::of(posix_ipc().args(["exec", "--", "true"]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--isolate"), "{ended:?}");
}

/// Where users may have no namespaces, it says what to ask for. Inside of a namespace of
/// users, its root can forbid further ones.
#[test]
fn a_system_without_namespaces_is_named() {
    let program = posix_ipc();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-ec"]);
    // Without the capability, and with no room for more.
    command.arg(
        "echo 0 > /proc/sys/user/max_user_namespaces
         exec setpriv --bounding-set -sys_admin --inh-caps -sys_admin \"$@\"",
    );
    command.arg("sh").arg(program.get_program());
    command.args(["exec", "--isolate", "--", "true"]);
    let ended = Ended::of(&mut command);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let advice = "let the administrator allow namespaces of users";
    assert!(ended.stderr.contains(advice), "{ended:?}");
}
