//! Hosts in other mount and IPC namespaces, as those of containers, that keep their
//! ledgers in the same folder.

use crate::support::{Ended, Folder, Names, Running, guest, posix_ipc, run, unshared};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

const SHM: &str = "mount -t tmpfs none /dev/shm;";

/// A process that keeps namespaces with an own `/dev/shm` alive.
fn container() -> Running {
    let mut command = Command::new("sh");
    command.args(["-c", "echo ready; exec sleep infinity"]);
    let mut command = unshared(&["--mount", "--ipc"], SHM, &command);
    let mut running = Running::start(&mut command);
    assert_eq!(running.line(), "ready");
    running
}

/// A command in the namespaces of a container, with its ledger in this folder.
fn inside(container: &Running, folder: &Folder, command: &Command) -> Command {
    let mut outer = Command::new("nsenter");
    outer.args(["--target", &container.id().to_string(), "--mount", "--ipc"]);
    // Who is not root has them in a namespace of users.
    let users = |id: u32| std::fs::read_link(format!("/proc/{id}/ns/user")).unwrap();
    if users(container.id()) != users(std::process::id()) {
        outer.args(["--user", "--preserve-credentials"]);
    }
    outer.arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            outer.env(key, value);
        }
    }
    outer.env("XDG_RUNTIME_DIR", folder.path());
    outer
}

fn reap(folder: &Folder) -> Command {
    let mut command = posix_ipc();
    command.arg("reap").env("XDG_RUNTIME_DIR", folder.path());
    command
}

fn ledgers(folder: &Folder) -> usize {
    let files = std::fs::read_dir(folder.path().join("posix-ipc")).unwrap();
    let names = files.map(|file| file.unwrap().file_name());
    names
        .filter(|name| name.to_str().unwrap().ends_with(".ledger"))
        .count()
}

/// Runs a guest in a container that creates a segment and a queue, and kills its host.
/// Gives the inode of the segment.
fn kill_a_host(container: &Running, folder: &Folder, probe: &Path, names: &Names) -> u64 {
    let owned = names.owned();
    let owned: Vec<_> = owned.iter().map(String::as_str).collect();
    let command = run(&owned, probe, &["do"]);
    let mut command = inside(container, folder, &command);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let (segment, queue) = (names.name("m"), names.name("q"));
    let create = format!("m = shm.open {segment} create size=8");
    assert_eq!(running.tell(&create), "ok");
    let create = format!("q = mq.open {queue} create limits=1x8");
    assert_eq!(running.tell(&create), "ok");
    let file = format!("/proc/{}/root/dev/shm{segment}", container.id());
    let inode = std::fs::metadata(file).unwrap().ino();
    running.signal(libc::SIGKILL);
    running.wait();
    inode
}

/// Who looks from outside finds none of the objects. That is no reason to forget them.
#[test]
fn a_ledger_of_another_namespace_is_left_to_those_inside() {
    let probe = guest("probe");
    let (names, folder) = (Names::new(), Folder::new());
    let container = container();
    kill_a_host(&container, &folder, &probe, &names);

    let outside = Ended::of(&mut reap(&folder));
    assert_eq!(outside.code, Some(0), "{outside:?}");
    let left = outside.stdout.matches("in another namespace").count();
    assert_eq!(left, 2, "{outside:?}");
    assert_eq!(ledgers(&folder), 1);

    let mut within = inside(&container, &folder, &reap(&folder));
    let within = Ended::of(&mut within);
    assert_eq!(within.code, Some(0), "{within:?}");
    assert_eq!(within.stdout.matches("unlinked").count(), 2, "{within:?}");
    assert_eq!(ledgers(&folder), 0);
}

/// Devices and inodes are given out again. The file in the place of what was created
/// is somebody else's.
#[test]
fn the_next_life_of_a_container_has_objects_of_the_same_numbers() {
    let probe = guest("probe");
    let (names, folder) = (Names::new(), Folder::new());
    let first = container();
    let root = format!("/proc/{}/root/dev/shm", first.id());
    let device = std::fs::metadata(root).unwrap().dev();
    let inode = kill_a_host(&first, &folder, &probe, &names);
    first.signal(libc::SIGKILL);
    drop(first);

    // File systems until one has the device, and files until one has the inode.
    let planted = format!("/dev/shm{}", names.name("m"));
    let script = format!(
        "hidden='{}'
         for number in $(seq 40); do
             mkdir -p \"$hidden/$number\"
             mount -t tmpfs none \"$hidden/$number\"
             [ $(stat -c %d \"$hidden/$number\") = {device} ] && break
         done
         mount --bind \"$hidden/$number\" /dev/shm
         for number in $(seq 100); do
             : > /dev/shm/file.$number
             [ $(stat -c %i /dev/shm/file.$number) = {inode} ] && break
         done
         mv /dev/shm/file.$number '{planted}'
         stat -c '%d %i' '{planted}';",
        folder.path().display(),
    );
    let reap = reap(&folder);
    let mut command = Command::new("sh");
    let then = format!("\"$@\"; [ -e '{planted}' ] && echo still there");
    command.args(["-c", &then, "sh"]);
    command.arg(reap.get_program()).args(reap.get_args());
    command.env("XDG_RUNTIME_DIR", folder.path());
    let ended = Ended::of(&mut unshared(&["--mount", "--ipc"], &script, &command));
    assert!(ended.stdout.ends_with("still there\n"), "{ended:?}");
    assert!(!ended.stdout.contains("unlinked"), "{ended:?}");
    println!(
        "the device was {device} and the inode {inode}: {}",
        ended.stdout
    );
}
