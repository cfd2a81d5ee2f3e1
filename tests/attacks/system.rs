//! Limits of the system: an error that says what it was, for the guest and for the host.

use super::ask;
use crate::support::{Ended, Names, guest, run, unshared};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Without the privilege that would lift limits, even if the tests have it.
const UNPRIVILEGED: &str = "setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource";

#[track_caller]
fn check(mut command: Command, outcomes: &[&str], log: &[&[&str]]) {
    let ended = Ended::of(&mut command);
    assert_eq!(ended.lines(), outcomes, "{ended:?}");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), log.len(), "{ended:?}");
    for (line, words) in lines.iter().zip(log) {
        for words in *words {
            assert!(line.contains(words), "{words:?}: {line}");
        }
    }
}

pub(super) fn limited(command: &mut Command, resource: libc::__rlimit_resource_t, most: u64) {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: a system call and nothing else.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(resource, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

fn the_guest<S: AsRef<str>>(probe: &Path, names: &Names, lines: &[S]) -> Command {
    let grant = format!("{},own", names.pattern());
    let mut arguments = vec!["do"];
    arguments.extend(lines.iter().map(AsRef::as_ref));
    run(
        &["--sem", &grant, "--shm", &grant, "--mq", &grant],
        probe,
        &arguments,
    )
}

/// The kernel says `EMFILE`, as if there were no descriptors left.
#[test]
fn the_bytes_of_all_queues_of_a_user() {
    let probe = guest("probe");
    let names = Names::new();
    let line = format!("q = mq.open {} create limits=1x8", names.name("q"));
    let mut command = the_guest(&probe, &names, &[line]);
    limited(&mut command, libc::RLIMIT_MSGQUEUE, 10);
    let words = [
        "the system refuses mq:/",
        "RLIMIT_MSGQUEUE, 10",
        "ulimit -q",
        "prlimit --msgqueue",
    ];
    check(command, &["error no-space"], &[&words]);
}

#[test]
fn the_open_files_of_a_process() {
    let probe = guest("probe");
    let names = Names::new();
    let mut lines = vec![format!("m = shm.open {} create size=8", names.name("m"))];
    lines.extend((0..100).map(|n| format!("m{n} = shm.open {}", names.name("m"))));
    lines.push(format!("q = mq.open {} create limits=1x8", names.name("q")));
    let mut command = the_guest(&probe, &names, &lines);
    limited(&mut command, libc::RLIMIT_NOFILE, 64);
    let ended = Ended::of(&mut command);
    let outcomes = ended.lines();
    assert_eq!(outcomes[0], "ok");
    assert_eq!(outcomes[100..], ["error no-space"; 2]);
    let mut log = ended.stderr.lines();
    for kind in ["shm", "mq"] {
        let line = log.next().unwrap();
        let start = format!("posix-ipc: the system refuses {kind}:/");
        assert!(line.starts_with(&start), "{line}");
        assert!(
            line.contains("RLIMIT_NOFILE, 64") && line.contains("ulimit -n"),
            "{line}"
        );
    }
    assert_eq!(log.next(), None);
}

/// The kernel says `ENOSPC`, and means neither bytes nor a disk.
#[test]
fn the_number_of_queues_of_a_system() {
    let probe = guest("probe");
    let names = Names::new();
    let lines = ["one", "two"]
        .map(|stem| format!("{stem} = mq.open {} create limits=1x8", names.name(stem)));
    let command = the_guest(&probe, &names, &lines);
    let script = format!("echo 1 >/proc/sys/fs/mqueue/queues_max; {UNPRIVILEGED} true;");
    let script = format!("{script} set -- {UNPRIVILEGED} \"$@\";");
    let command = unshared(&["--ipc"], &script, &command);
    let words = [
        "the system refuses mq:/",
        "the most queues that it may have (1)",
        "sysctl -w fs.mqueue.queues_max=N",
    ];
    check(command, &["ok", "error no-space"], &[&words]);
}

/// The kernel says `EINVAL`, and not of which of the two numbers.
#[test]
fn the_size_of_a_queue() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("q");
    let lines = [
        format!("q = mq.open {name} create limits=3x16"),
        format!("q = mq.open {name} create limits=2x129"),
        // A mistake of the guest's own is not worth a line.
        format!("q = mq.open {name} create limits=0x16"),
        format!("q = mq.open {name} create limits=2x128"),
    ];
    let command = the_guest(&probe, &names, &lines);
    let script = format!(
        "echo 2 >/proc/sys/fs/mqueue/msg_max; echo 128 >/proc/sys/fs/mqueue/msgsize_max; \
         set -- {UNPRIVILEGED} \"$@\";"
    );
    let command = unshared(&["--ipc"], &script, &command);
    let log: &[&[&str]] = &[
        &[
            "allows a queue 2 messages and not 3",
            "sysctl fs.mqueue.msg_max",
            "sysctl -w fs.mqueue.msg_max=N",
        ],
        &[
            "allows a queue 128 bytes in a message and not 129",
            "fs.mqueue.msgsize_max=N",
        ],
    ];
    let invalid = "error invalid";
    check(command, &[invalid, invalid, invalid, "ok"], log);
}

/// A write to memory that the file system cannot give is a signal that kills, for a
/// native program.
#[test]
fn a_full_file_system_of_shared_memory() {
    let probe = guest("probe");
    let names = Names::new();
    // Sixteen pages, of which the object asks for more.
    let mut lines = vec![format!(
        "m = shm.open {} create size=131072",
        names.name("m")
    )];
    lines.extend((0..17).map(|page| format!("shm.write m {} x", page * 4096)));
    lines.push(format!("s = sem.open {} create value=1", names.name("s")));
    lines.push("shm.read m 0 1".into());
    lines.push("shm.read m 69632 1".into());
    lines.push("shm.word m u32 69632 add 1".into());
    lines.push("shm.word m u64 69632 load".into());
    lines.push("shm.write m 0 y".into());
    lines.push("shm.size m".into());
    let command = the_guest(&probe, &names, &lines);
    let script = "mount -t tmpfs -o size=64k none /dev/shm;";
    let command = unshared(&["--mount"], script, &command);
    let full = "error no-space";
    let outcomes = [
        &["ok"; 17][..],
        &[
            full,
            full,
            "ok \"x\"",
            "ok \"\\x00\"",
            full,
            full,
            "ok",
            "ok 131072",
        ],
    ]
    .concat();
    let log: &[&[&str]] = &[
        &[
            "the system refuses shm:/",
            "/dev/shm is full",
            "df /dev/shm",
            "mount -o remount,size=SIZE /dev/shm",
        ],
        &["the system refuses sem:/", "/dev/shm is full"],
    ];
    check(command, &outcomes, log);
}

/// None of this is told where it is not the system's doing.
#[test]
fn errors_that_are_no_limits_are_not_logged() {
    let probe = guest("probe");
    let names = Names::new();
    let grant = format!("{},own", names.pattern());
    let name = names.name("x");
    let lines = [
        format!("s = sem.open {name}"),
        format!("m = shm.open {name} create size=8"),
        "shm.write m 8 x".into(),
        format!("m = shm.open {name} create exclusive"),
        format!("q = mq.open {name} create limits=0x0"),
    ];
    let flags = ["--sem", &grant, "--shm", &grant, "--mq", &grant];
    let (_, log) = ask(&probe, &flags, &lines);
    assert_eq!(log, [""; 0]);
}
