//! `posix-ipc doctor` and `posix-ipc cache`: what they say of this machine.

use crate::support::{Ended, Folder, component, posix_ipc, unshared};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

// ---- doctor ------------------------------------------------------------------------

fn doctor() -> Command {
    let mut command = posix_ipc();
    command.arg("doctor");
    command
}

/// What it has found, by what it looked at.
#[track_caller]
fn found(command: &mut Command, check: &str) -> (Value, Option<i32>) {
    let ended = Ended::of(command.args(["--format", "json"]));
    assert_eq!(ended.stderr, "", "{ended:?}");
    let all: Value = serde_json::from_str(&ended.stdout).unwrap();
    let finding = all.as_array().unwrap().iter();
    let finding = finding.clone().find(|finding| finding["check"] == check);
    let finding = finding.unwrap_or_else(|| panic!("{check}: {all:#}"));
    (finding.clone(), ended.code)
}

fn limit(line: &str) -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|text| text.strip_prefix(line));
    let soft = line.unwrap().split_whitespace().next().unwrap();
    soft.parse().unwrap_or(u64::MAX)
}

#[test]
fn doctor_says_that_guests_run_here() {
    let ended = Ended::of(&mut doctor());
    // The tests could not run otherwise.
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    for words in [
        "a guest  ",
        "compiles and runs",
        "/dev/shm has ",
        "(RLIMIT_MSGQUEUE)",
        "(RLIMIT_NOFILE)",
        "(vm.max_map_count)",
        "Guests run here.",
    ] {
        assert!(ended.stdout.contains(words), "{words}: {ended:?}");
    }
}

#[test]
fn doctor_names_the_limits_of_the_system() {
    for (check, line) in [
        ("bytes in queues", "Max msgqueue size"),
        ("open files", "Max open files"),
    ] {
        let (finding, _) = found(&mut doctor(), check);
        let text = finding["found"].as_str().unwrap();
        let number = match limit(line) {
            u64::MAX => "any number".to_owned(),
            limit => limit.to_string(),
        };
        assert!(text.starts_with(&number), "{check}: {text}");
    }
    let maps = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let (finding, _) = found(&mut doctor(), "memory maps");
    let text = finding["found"].as_str().unwrap();
    assert!(text.starts_with(maps.trim()), "{text}");
}

#[test]
fn doctor_says_what_to_do_about_a_low_limit() {
    let limited = |options: &str| {
        let command = doctor();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit {options}; exec \"$@\""), "sh"]);
        shell.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
    };
    let (finding, code) = found(&mut limited("-n 200"), "open files");
    assert_eq!((&finding["status"], code), (&"note".into(), Some(0)));
    assert!(
        finding["advice"]
            .as_str()
            .unwrap()
            .contains("ulimit -n 1024")
    );
    // A guest takes 4 GiB of addresses.
    let (finding, code) = found(&mut limited("-v 1000000"), "a guest");
    assert_eq!(
        (&finding["status"], code),
        (&"error".into(), Some(1)),
        "{finding}"
    );
    assert!(finding["advice"].as_str().unwrap().contains("ulimit -v"));
}

#[test]
fn doctor_fails_where_nothing_can_be_made_in_shared_memory() {
    let script = "mount -t tmpfs -o ro none /dev/shm;";
    let command = doctor();
    let mut command = unshared(&["--mount"], script, &command);
    let (finding, code) = found(&mut command, "shared memory");
    assert_eq!(
        (&finding["status"], code),
        (&"error".into(), Some(1)),
        "{finding}"
    );
    assert!(
        finding["advice"]
            .as_str()
            .unwrap()
            .contains("mount -t tmpfs")
    );
}

#[test]
fn doctor_finds_runtimes_tools_and_folders() {
    let folder = Folder::new();
    let runtime = folder.file("js.wasm", "");
    let tool = folder.file("guest-cc", "");
    let text = format!("export POSIX_IPC_GUEST_CC='{}'\n", tool.display());
    folder.file("env.sh", text);
    let told = || {
        let mut command = doctor();
        command
            .env("POSIX_IPC_RUNTIMES", folder.path())
            .env("POSIX_IPC_TOOLS", folder.path())
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("XDG_CACHE_HOME", folder.path())
            .env_remove("POSIX_IPC_GUEST_CC");
        command
    };
    let (finding, _) = found(&mut told(), "JavaScript");
    assert_eq!(finding["status"], "ok");
    assert_eq!(finding["found"], runtime.to_str().unwrap());
    let (finding, code) = found(&mut told(), "Python");
    assert_eq!((&finding["status"], code), (&"note".into(), Some(0)));
    assert!(
        finding["advice"]
            .as_str()
            .unwrap()
            .contains("make runtimes")
    );

    // A file that cannot be executed is no tool.
    let (finding, _) = found(&mut told(), "C");
    assert_eq!(finding["status"], "note");
    assert!(
        finding["advice"]
            .as_str()
            .unwrap()
            .contains("tools/setup-guests c")
    );
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let (finding, _) = found(&mut told(), "C");
    assert_eq!(finding["status"], "ok", "{finding}");

    let (finding, _) = found(&mut told(), "ledgers");
    let ledgers = folder.path().join("posix-ipc");
    assert_eq!(finding["found"], ledgers.to_str().unwrap());
    let (finding, _) = found(&mut told(), "compiled guests");
    let text = finding["found"].as_str().unwrap();
    let guests = folder.path().join("posix-ipc/guests");
    assert_eq!(
        text,
        format!("{}: 0 guests, 0 bytes (at most 1GiB)", guests.display())
    );
}

// ---- cache -------------------------------------------------------------------------

/// A cache of a test's own.
struct Cache(Folder);

impl Cache {
    fn new() -> Self {
        Self(Folder::new())
    }

    fn command(&self, arguments: &[&str]) -> Ended {
        let mut command = posix_ipc();
        let command = command.env("XDG_CACHE_HOME", self.0.path());
        Ended::of(command.args(arguments))
    }

    fn bounded(&self, size: &str, arguments: &[&str]) -> Ended {
        let mut command = posix_ipc();
        let command = command
            .env("XDG_CACHE_HOME", self.0.path())
            .env("POSIX_IPC_CACHE_SIZE", size);
        Ended::of(command.args(arguments))
    }

    /// A guest that exits with this code.
    fn guest(&self, code: u8) -> PathBuf {
        let body = format!("(call $exit (i32.const {code})) unreachable");
        let file = format!("guest{code}.wat");
        self.0.file(&file, component("", &body))
    }

    fn guests(&self) -> PathBuf {
        self.0.path().join("posix-ipc/guests")
    }

    /// The compiled guests.
    fn kept(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.guests()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut kept: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "cwasm"))
            .collect();
        kept.sort();
        kept
    }

    fn said(&self, arguments: &[&str]) -> String {
        let ended = self.command(arguments);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
        ended.stdout
    }
}

fn make_older(path: &Path, time: Duration) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - time).unwrap();
}

#[test]
fn the_cache_is_shown_and_cleared() {
    let cache = Cache::new();
    let path = cache.guests();
    let place = path.display();
    let empty = format!("{place}: 0 guests, 0 bytes (at most 1GiB)\n");
    assert_eq!(cache.said(&["cache"]), empty);
    for code in [3, 4] {
        let guest = cache.guest(code);
        let ended = cache.command(&["run", guest.to_str().unwrap()]);
        assert_eq!(ended.code, Some(code.into()), "{ended:?}");
    }
    let shown = cache.said(&["cache"]);
    assert!(
        shown.starts_with(&format!("{place}: 2 guests, ")),
        "{shown}"
    );
    assert_eq!(cache.kept().len(), 2);

    let cleared = cache.said(&["cache", "--clear"]);
    assert!(
        cleared.starts_with(&format!("{place}: removed 2 guests, ")),
        "{cleared}"
    );
    assert_eq!(cache.said(&["cache"]), empty);
    let ended = cache.command(&["run", cache.guest(3).to_str().unwrap()]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
}

/// What another process is writing is not taken away from it.
#[test]
fn clearing_leaves_what_is_being_written() {
    let cache = Cache::new();
    cache.said(&["cache"]);
    let name = |end: &str| cache.guests().join(format!("{:064x}.{end}", 1));
    let [fresh, old] = [name("cwasm.1"), name("cwasm.2")];
    for file in [&fresh, &old] {
        fs::write(file, "half").unwrap();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(file, permissions).unwrap();
    }
    make_older(&old, Duration::from_secs(2 * 60 * 60));
    cache.said(&["cache", "--clear"]);
    assert_eq!((fresh.exists(), old.exists()), (true, false));
}

#[test]
fn the_cache_keeps_to_its_bound_by_what_was_used_last() {
    let cache = Cache::new();
    let run = |size: &str, code: u8| {
        let guest = cache.guest(code);
        let ended = cache.bounded(size, &["run", guest.to_str().unwrap()]);
        assert_eq!(
            (ended.code, &*ended.stderr),
            (Some(code.into()), ""),
            "{ended:?}"
        );
    };
    // The bound is not for what was used just now.
    for code in [1, 2, 3] {
        run("1B", code);
    }
    let kept = cache.kept();
    assert_eq!(kept.len(), 3);
    for (file, minutes) in kept.iter().zip([2, 30, 10]) {
        make_older(file, Duration::from_secs(minutes * 60));
    }
    // Room for the new one and two others.
    let size = fs::metadata(&kept[0]).unwrap().len();
    run(&format!("{}B", size * 7 / 2), 4);
    let left = cache.kept();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(
        left.contains(&kept[0]) && left.contains(&kept[2]),
        "{left:?}"
    );
    // What is gone is compiled again.
    for code in [1, 2, 3] {
        run("1GiB", code);
    }
    assert_eq!(cache.kept().len(), 4);
}

#[test]
fn a_wrong_bound_is_said_and_nothing_is_removed() {
    let cache = Cache::new();
    let guest = cache.guest(5);
    let ended = cache.bounded("64", &["run", guest.to_str().unwrap()]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    let words = "POSIX_IPC_CACHE_SIZE: 64 of what? write 64B, 64KiB, 64MiB or 64GiB";
    assert!(ended.stderr.contains(words), "{ended:?}");
    let ended = cache.bounded("64", &["cache"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(words), "{ended:?}");
}

/// Processes that run, compile, evict and clear at the same time do not disturb each other.
#[test]
fn processes_share_the_cache() {
    let cache = Cache::new();
    let guests: Vec<PathBuf> = (1..=3).map(|code| cache.guest(code)).collect();
    std::thread::scope(|scope| {
        for round in 0..4 {
            for (code, guest) in (1..).zip(&guests) {
                let cache = &cache;
                scope.spawn(move || {
                    let ended = cache.bounded("1B", &["run", guest.to_str().unwrap()]);
                    let outcome = (ended.code, &*ended.stderr);
                    assert_eq!(outcome, (Some(code), ""), "{ended:?}");
                });
            }
            if round % 2 == 1 {
                scope.spawn(|| cache.said(&["cache", "--clear"]));
            }
        }
    });
    let ended = cache.command(&["run", guests[0].to_str().unwrap()]);
    assert_eq!((ended.code, &*ended.stderr), (Some(1), ""), "{ended:?}");
}
