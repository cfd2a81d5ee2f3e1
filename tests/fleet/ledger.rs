//! Ledgers in a folder that is chosen, as a volume that outlives a container.

use crate::support::{Ended, Folder, Names, Running, exists, guest, posix_ipc, run};
use nix::unistd::geteuid;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A folder that all users share, with these permission bits.
fn shared(mode: u32) -> Folder {
    let folder = Folder::new();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    folder
}

/// Starts a guest that has created a queue, and kills its host.
fn kill_one(probe: &Path, name: &str, settings: impl FnOnce(&mut Command)) {
    let grant = format!("{name},create");
    let line = format!("q = mq.open {name} create limits=1x8");
    let mut command = run(&["--mq", &grant], probe, &["end", "spin", &line]);
    settings(&mut command);
    let mut running = Running::start(&mut command);
    running.line();
    running.line();
    running.signal(libc::SIGKILL);
    assert_eq!(running.wait(), None);
    assert!(exists("mq", name));
}

#[test]
fn the_next_run_with_the_same_ledger_cleans_up() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("q");
    for mode in [0o1777, 0o777] {
        let folder = shared(mode);
        let flag = format!("--ledger={}", folder.path().display());
        kill_one(&probe, &name, |command| {
            // What a container has of its own is gone with it.
            command.env("POSIX_IPC_LEDGER", folder.path());
        });
        let own = folder.path().join(geteuid().to_string());
        assert_eq!(
            std::fs::metadata(&own).unwrap().permissions().mode() & 0o777,
            0o700
        );

        let other = Folder::new();
        let elsewhere = format!("--ledger={}", other.path().display());
        Ended::of(&mut run(&[&elsewhere], &probe, &["do"])).lines();
        assert!(exists("mq", &name));

        let listed = Ended::of(posix_ipc().args(["ls", &flag, &name]));
        assert!(listed.stdout.contains("probe.wasm (dead"), "{listed:?}");
        let doctor = Ended::of(posix_ipc().args(["doctor", &flag]));
        assert!(
            doctor.stdout.contains(&*own.to_string_lossy()),
            "{doctor:?}"
        );
        let dry = Ended::of(posix_ipc().args(["reap", "--dry-run", &flag]));
        assert_eq!(dry.lines().len(), 1, "{dry:?}");

        Ended::of(&mut run(&[&flag], &probe, &["do"])).lines();
        assert_eq!(names.existing(), [""; 0]);
        let left: Vec<_> = std::fs::read_dir(&own).unwrap().flatten().collect();
        let left: Vec<_> = left.iter().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["lock"]);
    }
}

#[test]
fn a_ledger_folder_that_cannot_be_used_is_an_error() {
    let probe = guest("probe");
    let folder = Folder::new();
    let file = folder.file("file", "");
    for (path, why) in [
        (folder.path().join("none"), "No such file"),
        (file, "it is no folder"),
    ] {
        let flag = format!("--ledger={}", path.display());
        let ended = Ended::of(&mut run(&[&flag], &probe, &["do"]));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended.stderr.contains("--ledger cannot be used"),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(why), "{ended:?}");
        let mut command = posix_ipc();
        let ended = Ended::of(command.arg("reap").env("POSIX_IPC_LEDGER", &path));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended.stderr.contains("POSIX_IPC_LEDGER cannot be used"),
            "{ended:?}"
        );
    }
}

/// Another user cannot make a folder in one of root's, and is told what is missing.
#[test]
fn a_folder_of_somebody_else_is_an_error() {
    let program = std::env::temp_dir().join(format!("posix-ipc-{:016x}", rand::random::<u64>()));
    std::fs::copy(posix_ipc().get_program(), &program).unwrap();
    // Nobody but root can write there, and with root this runs as somebody else.
    let mut command = Command::new(&program);
    command.args(["reap", "--ledger=/usr"]).current_dir("/");
    if geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let ended = Ended::of(&mut command);
    std::fs::remove_file(program).unwrap();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("cannot make a folder in it; give it mode 1777"),
        "{ended:?}"
    );
}

/// Nobody could clean up what is in a ledger of a namespace that is gone.
#[test]
fn no_ledger_of_a_namespace_of_its_own_is_outside() {
    let probe = guest("probe");
    let folder = Folder::new();
    let program = posix_ipc();
    let mut command = posix_ipc();
    command
        .args(["exec", "--isolate", "--"])
        .arg(program.get_program());
    command
        .args(["run", "--private"])
        .arg(&probe)
        .args(["end", "spin"]);
    command.env("XDG_RUNTIME_DIR", folder.path());
    let mut running = Running::start(&mut command);
    running.line();
    running.signal(libc::SIGKILL);
    assert_eq!(running.wait(), None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
