//! A guest and a native program are made to do the same. What they get must be the
//! same, except where [`DIFFERENCES`] says why it is not.

mod table;

use crate::support::language::{Line, Operation, printed};
use crate::support::{Ended, Names, Native, Running, SIGBUS, UNDEFINED, embed, guest, run};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use table::Scenario;
use wasmtime_posix_ipc::grant::Grants;
use wasmtime_posix_ipc::quota::Quota;
use wasmtime_posix_ipc::{IpcCtx, IpcHost, WaitStrategy};

/// What a guest is told of an error of the system.
const ERRORS: &[(&str, &str)] = &[
    ("EACCES", "access"),
    // Of a queue that was opened for the other direction: nothing here is closed.
    ("EBADF", "access"),
    ("EEXIST", "exists"),
    ("ENOENT", "no-entry"),
    ("EAGAIN", "busy"),
    ("EBUSY", "busy"),
    ("ETIMEDOUT", "timed-out"),
    ("EINVAL", "invalid"),
    ("EISDIR", "invalid"),
    (UNDEFINED, "invalid"),
    ("ENAMETOOLONG", "name-too-long"),
    ("EMSGSIZE", "message-too-long"),
    ("EOVERFLOW", "overflow"),
    ("ENOSPC", "no-space"),
    ("ENOMEM", "no-space"),
    ("EMFILE", "no-space"),
    (SIGBUS, "truncated"),
    ("EFAULT", "truncated"),
];

/// Why a guest gets another answer than a native program.
#[derive(Debug)]
enum Because {
    /// One rule says what a name is, for every kind and before anything else is
    /// looked at.
    NamesFollowOneRule,
    /// A name has one spelling, or a grant for it would not cover all of them.
    NamesHaveOneSpelling,
    /// The memory of a semaphore is not shared memory: who may write it can crash
    /// whoever uses the semaphore.
    SemaphoresAreNoMemory,
    /// Flags that mean nothing together, or for this kind, are a mistake. The system
    /// ignores some, and destroys the object with others.
    FlagsMakeSense,
    /// `mode` has permission bits only.
    ModesAreMasked,
    /// An object ends where `size` says and not at the end of its last page.
    ObjectsEndAtTheirSize,
    /// There is nothing at the end of the range of offsets, as there is nothing
    /// behind the end of the object: the one answer for all that is too far.
    OffsetsAreUnsigned,
    /// What is opened for reading changes in no way, its size included, and nobody
    /// is woken by it. The error says that this is why.
    ReadersOnlyRead,
    /// A new object has its size before it has its name.
    CreatingIsOneStep,
    /// A timeout of 0 does not wait, for every operation alike.
    ZeroIsBusy,
}

/// Lines of a scenario that a guest gets another answer to.
#[derive(Debug)]
struct Difference {
    scenario: &'static str,
    because: Because,
    /// With what a native program gets, and what a guest gets.
    lines: &'static [(&'static str, &'static str, &'static str)],
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        scenario: "semaphore: exclusive",
        because: Because::FlagsMakeSense,
        lines: &[
            ("t = sem.open {a} exclusive", "ok", "error invalid"),
            (
                "t = sem.open {b} exclusive",
                "error ENOENT",
                "error invalid",
            ),
        ],
    },
    Difference {
        scenario: "semaphore: modes",
        because: Because::ModesAreMasked,
        lines: &[("sem.mode s", "ok 3640", "ok 0640")],
    },
    Difference {
        scenario: "semaphore: names",
        because: Because::NamesFollowOneRule,
        lines: &[
            ("s = sem.open /.", "error ENOENT", "error invalid"),
            ("s = sem.open /..", "error ENOENT", "error invalid"),
            ("sem.unlink ''", "error ENOENT", "error invalid"),
            ("sem.unlink {a}/b", "error ENOENT", "error invalid"),
        ],
    },
    Difference {
        scenario: "semaphore: names",
        because: Because::FlagsMakeSense,
        lines: &[("s = sem.open {a} truncate", "error ENOENT", "error invalid")],
    },
    Difference {
        scenario: "semaphore: long names",
        because: Because::NamesFollowOneRule,
        lines: &[(
            "s = sem.open {a~256}",
            "error EINVAL",
            "error name-too-long",
        )],
    },
    Difference {
        scenario: "semaphore: aliases",
        because: Because::NamesHaveOneSpelling,
        lines: &[
            ("t = sem.open {=a}", "ok", "error invalid"),
            ("t = sem.open /{a}", "ok", "error invalid"),
        ],
    },
    Difference {
        scenario: "semaphore: flags for others",
        because: Because::FlagsMakeSense,
        lines: &[("t = sem.open {a} truncate", "ok", "error invalid")],
    },
    Difference {
        scenario: "semaphore: unique names",
        because: Because::NamesFollowOneRule,
        lines: &[(
            "u = sem.unique {a~252}",
            "error EINVAL",
            "error name-too-long",
        )],
    },
    Difference {
        scenario: "shared memory: creating",
        because: Because::FlagsMakeSense,
        lines: &[
            ("n = shm.open {d} exclusive", "ok", "error invalid"),
            (
                "n = shm.open {e} exclusive",
                "error ENOENT",
                "error invalid",
            ),
        ],
    },
    Difference {
        scenario: "shared memory: modes",
        because: Because::ModesAreMasked,
        lines: &[("shm.mode m", "ok 7640", "ok 0640")],
    },
    Difference {
        scenario: "shared memory: an end in the midst of a page",
        because: Because::ObjectsEndAtTheirSize,
        lines: &[
            ("shm.write m 9 ab", "ok", "error truncated"),
            ("shm.word m u32 8 load", "ok 6447457", "error truncated"),
            ("shm.word m u64 8 add 1", "ok 6447457", "error truncated"),
            ("shm.wait m 12 1", "ok not-equal", "error truncated"),
            ("shm.notify m 12 1", "ok 0", "error truncated"),
            (
                "shm.read m 0 100",
                "ok \"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00ba\"",
                "ok \"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00ab\"",
            ),
        ],
    },
    Difference {
        scenario: "shared memory: offsets that overflow",
        because: Because::OffsetsAreUnsigned,
        lines: &[
            ("shm.read m max64 1", "error EINVAL", "ok \"\""),
            ("shm.read m max64-7 max64", "error EINVAL", "ok \"\""),
            (
                "shm.read m 9223372036854775807 1",
                "error EINVAL",
                "ok \"\"",
            ),
            ("shm.write m max64 a", "error EOVERFLOW", "error truncated"),
            (
                "shm.write m max64-1 abc",
                "error EOVERFLOW",
                "error truncated",
            ),
            (
                "shm.word m u32 max64-3 load",
                "error EOVERFLOW",
                "error truncated",
            ),
            (
                "shm.word m u64 max64-7 add 1",
                "error EOVERFLOW",
                "error truncated",
            ),
        ],
    },
    Difference {
        scenario: "shared memory: opened for reading",
        because: Because::ReadersOnlyRead,
        lines: &[
            ("shm.notify n 0 1", "ok 0", "error access"),
            ("shm.resize n 100", "error EINVAL", "error access"),
            ("shm.resize n 0", "error EINVAL", "error access"),
        ],
    },
    Difference {
        scenario: "shared memory: created for reading",
        because: Because::ReadersOnlyRead,
        lines: &[("shm.resize m 10", "error EINVAL", "error access")],
    },
    Difference {
        scenario: "shared memory: a size for an object that is opened for reading",
        because: Because::ReadersOnlyRead,
        lines: &[(
            "n = shm.open {a} access=read size=8",
            "error EINVAL",
            "error access",
        )],
    },
    Difference {
        scenario: "shared memory: a size for an object that is opened for reading",
        because: Because::CreatingIsOneStep,
        lines: &[(
            "n = shm.open {b} create access=read size=8",
            "error EINVAL",
            "ok",
        )],
    },
    Difference {
        scenario: "shared memory: opened for writing",
        because: Because::FlagsMakeSense,
        lines: &[("n = shm.open {a} access=write", "ok", "error invalid")],
    },
    Difference {
        scenario: "shared memory: truncating what is opened for reading",
        because: Because::ReadersOnlyRead,
        lines: &[
            (
                "n = shm.open {a} access=read truncate",
                "ok",
                "error access",
            ),
            ("shm.size m", "ok 0", "ok 16"),
        ],
    },
    Difference {
        scenario: "shared memory: waiting",
        because: Because::ZeroIsBusy,
        lines: &[("shm.wait m 4 7 timeout=0", "error ETIMEDOUT", "error busy")],
    },
    Difference {
        scenario: "shared memory: names",
        because: Because::NamesFollowOneRule,
        lines: &[
            ("shm.unlink ''", "error ENOENT", "error invalid"),
            ("shm.unlink {a}/b", "error ENOENT", "error invalid"),
        ],
    },
    Difference {
        scenario: "shared memory: aliases",
        because: Because::NamesHaveOneSpelling,
        lines: &[
            ("n = shm.open {=a}", "ok", "error invalid"),
            ("n = shm.open /{a}", "ok", "error invalid"),
        ],
    },
    Difference {
        scenario: "shared memory: aliases",
        because: Because::SemaphoresAreNoMemory,
        lines: &[
            ("n = shm.open /sem.{=b}", "ok", "error invalid"),
            ("n = shm.open /sem.{=b} access=read", "ok", "error invalid"),
            ("shm.unlink /sem.{=b}", "ok", "error invalid"),
        ],
    },
    Difference {
        scenario: "shared memory: unique names",
        because: Because::NamesFollowOneRule,
        lines: &[(
            "o = shm.unique {a~256}",
            "error EINVAL",
            "error name-too-long",
        )],
    },
    Difference {
        scenario: "queue: creating",
        because: Because::FlagsMakeSense,
        lines: &[
            ("r = mq.open {a} exclusive", "ok", "error invalid"),
            ("r = mq.open {b} exclusive", "error ENOENT", "error invalid"),
        ],
    },
    Difference {
        scenario: "queue: modes",
        because: Because::ModesAreMasked,
        lines: &[("mq.mode q", "ok 7640", "ok 0640")],
    },
    Difference {
        scenario: "queue: names",
        because: Because::NamesFollowOneRule,
        lines: &[
            (
                "q = mq.open / create limits=1x1",
                "error ENOENT",
                "error invalid",
            ),
            ("q = mq.open /.", "error EACCES", "error invalid"),
            ("q = mq.open /..", "error EACCES", "error invalid"),
            (
                "q = mq.open {a}/b create limits=1x1",
                "error EACCES",
                "error invalid",
            ),
            ("mq.unlink {a}/b", "error EACCES", "error invalid"),
        ],
    },
    Difference {
        scenario: "queue: names",
        because: Because::NamesHaveOneSpelling,
        lines: &[(
            "q = mq.open /{a} create limits=1x1",
            "error EACCES",
            "error invalid",
        )],
    },
    Difference {
        scenario: "queue: flags for others",
        because: Because::FlagsMakeSense,
        lines: &[("r = mq.open {a} truncate", "ok", "error invalid")],
    },
];

#[test]
fn through_the_library() {
    for strategy in [WaitStrategy::Reactor, WaitStrategy::Polling] {
        let host = IpcHost::builder().wait_strategy(strategy);
        in_process(host.build(), false);
        // And with every wait given to the strategy.
        in_process(host_without_inline_wait(strategy), false);
    }
}

#[test]
fn in_a_private_namespace() {
    in_process(IpcHost::new(), true);
}

#[test]
fn through_the_command() {
    let probe = guest("probe");
    let _alone = alone();
    let names = Names::new();
    let grant = format!("{},own", names.pattern());
    let mut flags = vec!["--sem", &grant, "--shm", &grant, "--mq", &grant];
    flags.extend(["--max-created", "1000", "--max-message-size", "4GiB"]);
    flags.extend([
        "--max-shm-bytes",
        "17179869183GiB",
        "--max-mq-bytes",
        "17179869183GiB",
    ]);
    let ended = Ended::of(&mut run(&flags, &probe, &["conformance", names.prefix()]));
    compare(&ended.lines(), &native(), true);
    // The table has queues that are larger than the system allows.
    let limit = |line: &str| line.starts_with("posix-ipc: the system refuses mq:");
    assert!(ended.stderr.lines().all(limit), "{}", ended.stderr);
    assert_eq!(names.existing(), [""; 0]);
}

fn host_without_inline_wait(strategy: WaitStrategy) -> IpcHost {
    let host = IpcHost::builder().wait_strategy(strategy);
    host.inline_wait(Duration::ZERO).build()
}

fn in_process(host: IpcHost, private: bool) {
    let probe = guest("probe");
    let _alone = alone();
    let names = Names::new();
    let mut ipc = IpcCtx::builder().quota(unlimited());
    if private {
        ipc = ipc.private();
    } else {
        let grants = ["sem", "shm", "mq"].map(|kind| format!("{kind}:{},own", names.pattern()));
        ipc = ipc.grants(Grants::parse(grants).unwrap());
    }
    let ipc = ipc.build(&host).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let arguments = ["conformance", names.prefix()];
    let embedded = runtime.block_on(embed(&probe, &arguments, ipc));
    // A private namespace takes part of the length of a name.
    compare(&embedded.lines(), &native(), !private);
    assert_eq!(names.existing(), [""; 0]);
}

fn unlimited() -> Quota {
    let mut quota = Quota::default();
    quota.created = u64::MAX;
    quota.shm_bytes = u64::MAX;
    quota.mq_bytes = u64::MAX;
    quota.message_size = u64::MAX;
    quota
}

/// One test at a time: queues of the default size take much of what a user may have.
/// Each with the same umask, one that takes something away.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    // SAFETY: only changes a number of the process.
    unsafe { libc::umask(0o027) };
    alone
}

/// The scenarios, with what a native program gets.
fn native() -> Vec<(Scenario, Vec<String>)> {
    let names = Names::new();
    let scenarios = table::scenarios(names.prefix());
    scenarios
        .map(|scenario| {
            let mut native = Native::default();
            let run = |(_, line): &(&str, String)| {
                let outcome = native.run(line);
                if outcome.is_ok() {
                    adopt(&names, line, &mut native);
                }
                printed(&outcome)
            };
            let outcomes = scenario.lines.iter().map(run).collect();
            (scenario, outcomes)
        })
        .collect()
}

/// Of queues, which no folder lists, the names have to be known to be cleaned up.
fn adopt(names: &Names, line: &str, native: &mut Native) {
    let Line {
        variable: Some(variable),
        operation: Operation::QueueOpen(..) | Operation::QueueUnique(..),
    } = Line::parse(line)
    else {
        return;
    };
    names.adopt(native.run(&format!("mq.name {variable}")).unwrap());
}

/// Compares what the guest has printed with what a native program gets.
fn compare(guest: &[&str], native: &[(Scenario, Vec<String>)], with_long_names: bool) {
    let mut guest = guest.iter();
    let mut used = BTreeSet::new();
    let mut diff = String::new();
    let mut compared = 0;
    for (scenario, outcomes) in native {
        assert_eq!(guest.next(), Some(&scenario.name));
        let is_long = scenario.lines.iter().any(|(line, _)| line.contains('~'));
        for ((line, _), native) in scenario.lines.iter().zip(outcomes) {
            let found = guest.next().expect("an outcome for each line");
            if is_long && !with_long_names {
                continue;
            }
            compared += 1;
            let known = DIFFERENCES
                .iter()
                .filter(|known| known.scenario == scenario.name);
            let known = known.flat_map(|known| known.lines);
            let mut known =
                known.filter(|(known, of_native, _)| known == line && of_native == native);
            let expected = match known.next() {
                Some(difference) => {
                    used.insert((scenario.name, difference));
                    difference.2.to_owned()
                }
                None => translated(native),
            };
            if *found != expected {
                let name = scenario.name;
                writeln!(
                    diff,
                    "{name}\n    {line}\n  - {expected} (native: {native})\n  + {found}"
                )
                .unwrap();
            }
        }
    }
    assert_eq!(guest.next(), None);
    assert!(diff.is_empty(), "what a guest gets differs:\n{diff}");
    assert!(compared > 500, "{compared}");
    if with_long_names {
        for Difference {
            scenario,
            because,
            lines,
        } in DIFFERENCES
        {
            for line in *lines {
                let used = used.contains(&(*scenario, line));
                assert!(
                    used,
                    "{scenario}: no such difference: {line:?}, {because:?}"
                );
            }
        }
    }
}

/// What a guest is told where a native program gets this.
fn translated(native: &str) -> String {
    let Some(errno) = native.strip_prefix("error ") else {
        return native.into();
    };
    match ERRORS.iter().find(|(name, _)| *name == errno) {
        Some((_, code)) => format!("error {code}"),
        None => native.into(),
    }
}

/// What the system would have done with these flags, and what the table cannot show
/// for that reason.
#[test]
fn flags_that_are_refused_change_nothing() {
    let probe = guest("probe");
    let names = Names::new();
    let grant = format!("{},own", names.pattern());
    let [s, q, none] = ["s", "q", "none"].map(|name| names.name(name));
    let lines = [
        format!("s = sem.open {s} create value=3"),
        format!("t = sem.open {s} truncate"),
        format!("t = sem.open {s} create truncate"),
        "sem.value s".into(),
        format!("q = mq.open {q} create limits=2x8"),
        "mq.send q kept:1".into(),
        format!("r = mq.open {q} create truncate"),
        "mq.receive q".into(),
        format!("t = sem.open {none} exclusive"),
        format!("t = shm.open {none} exclusive"),
        format!("t = mq.open {none} exclusive"),
        format!("t = shm.open {none} create access=write"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let flags = ["--sem", &grant, "--shm", &grant, "--mq", &grant];
    let mut running = Running::guest(&flags, &probe);
    let outcomes: Vec<String> = lines.iter().map(|line| running.tell(line)).collect();
    let expected = [
        "ok",
        "error invalid",
        "error invalid",
        "ok 3",
        "ok",
        "ok",
        "error invalid",
        "ok \"kept\":1",
        "error invalid",
        "error invalid",
        "error invalid",
        "error invalid",
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(names.existing(), [format!("mq:{q}"), format!("sem:{s}")]);
    assert_eq!(running.end().code, Some(0));
}
