//! Peers that hold up whoever calls the kernel: leases, locks, and nothing left to open.

use crate::support::{Ended, Folder, Names, Running, guest, posix_ipc, run};
use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// A queue, opened by a peer.
fn peer_queue(name: &str) -> OwnedFd {
    let name = CString::new(name).unwrap();
    // SAFETY: a system call with a C string; it gives a new descriptor.
    unsafe {
        let queue = libc::mq_open(name.as_ptr(), libc::O_RDONLY | libc::O_NONBLOCK);
        assert!(queue >= 0, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(queue)
    }
}

/// Takes a lease, of which whoever opens the file is to be told first. It ends with the
/// descriptor.
fn lease(file: &impl AsRawFd, kind: i32) -> std::io::Result<()> {
    // SAFETY: system calls and nothing else. Without it the signal that tells of an open
    // ends the process.
    unsafe {
        libc::signal(libc::SIGIO, libc::SIG_IGN);
        match libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

// ---- queues at the end -------------------------------------------------------------

#[test]
fn a_queue_is_removed_without_a_descriptor_to_spare() {
    let probe = guest("probe");
    let names = Names::new();
    let segment = names.name("m");
    let mut lines = vec!["do".to_owned()];
    lines.push(format!("m = shm.open {segment} create size=8"));
    lines.extend((0..100).map(|n| format!("m{n} = shm.open {segment}")));
    for (n, mode) in ["600", "0"].iter().enumerate() {
        let name = names.name(&format!("q{mode}"));
        // The last one.
        lines.push(format!("close m{n}"));
        lines.push(format!(
            "q{n} = mq.open {name} create mode={mode} limits=1x8"
        ));
    }
    let grant = format!("{},create", names.pattern());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut command = run(&["--shm", &grant, "--mq", &grant], &probe, &lines);
    super::system::limited(&mut command, libc::RLIMIT_NOFILE, 64);
    let ended = Ended::of(&mut command);
    assert_eq!(
        ended.lines()[100..],
        ["error no-space", "ok", "ok", "ok", "ok"]
    );
    assert_eq!(names.existing(), [""; 0], "{ended:?}");
}

#[test]
fn a_queue_that_a_peer_has_leased_is_removed() {
    let probe = guest("probe");
    for (access, kind) in [("", libc::F_WRLCK), ("access=read", libc::F_RDLCK)] {
        let names = Names::new();
        let name = names.name("q");
        let grant = format!("{},create", names.pattern());
        let mut guest = Running::guest(&["--mq", &grant], &probe);
        let line = format!("q = mq.open {name} create limits=1x8 {access}");
        assert_eq!(guest.tell(&line), "ok");
        assert_eq!(guest.tell("close q"), "ok");
        let queue = peer_queue(&name);
        // What it can get: as long as the host has the queue open, not every one.
        let _ = lease(&queue, kind);
        let ended = guest.end();
        drop(queue);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
        assert_eq!(names.existing(), [""; 0]);
    }
}

// ---- semaphores and segments -------------------------------------------------------

/// The file of an object, which nobody else has open: else nobody could lease it.
fn file(path: &str, content: &[u8]) -> File {
    let path = format!("/dev/shm/{path}");
    fs::write(&path, content).unwrap();
    let options = File::options().read(true).write(true).open(path);
    options.unwrap()
}

/// A semaphore of this value.
fn semaphore(name: &str, value: u8) -> File {
    let mut content = [0; size_of::<libc::sem_t>()];
    content[0] = value;
    file(&format!("sem.{}", &name[1..]), &content)
}

/// `sem_open` would wait for 45 seconds, and no timeout nor signal would end the guest.
#[test]
fn objects_that_a_peer_has_leased() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("x");
    let grant = format!("{},own", names.pattern());
    let mut guest = Running::guest(&["--sem", &grant, "--shm", &grant], &probe);
    let files = [semaphore(&name, 1), file(&name[1..], &[0; 8])];
    for file in &files {
        lease(file, libc::F_WRLCK).unwrap();
    }
    for options in ["", "create"] {
        assert_eq!(
            guest.tell(&format!("s = sem.open {name} {options}")),
            "error busy"
        );
    }
    for options in ["", "access=read", "create", "size=16", "truncate"] {
        assert_eq!(
            guest.tell(&format!("m = shm.open {name} {options}")),
            "error busy"
        );
    }
    drop(files);
    assert_eq!(guest.tell(&format!("s = sem.open {name}")), "ok");
    assert_eq!(guest.tell(&format!("m = shm.open {name}")), "ok");
    assert_eq!(guest.end().code, Some(0));
}

#[test]
fn a_semaphore_to_give_back_that_a_peer_has_leased() {
    let probe = guest("probe");
    let (names, folder) = (Names::new(), Folder::new());
    let name = names.name("gate");
    let value = |file: &File| {
        let mut value = [0; 4];
        file.read_exact_at(&mut value, 0).unwrap();
        u32::from_ne_bytes(value)
    };
    let file = semaphore(&name, 1);
    let flag = format!("{name},undo");
    let lines = [format!("s = sem.open {name}"), "sem.acquire s".into()];
    let arguments = ["end", "spin", &*lines[0], &*lines[1]];
    let mut command = run(&["--sem", &flag], &probe, &arguments);
    let mut host = Running::start(command.env("XDG_RUNTIME_DIR", folder.path()));
    for _ in 0..3 {
        host.line();
    }
    host.signal(libc::SIGKILL);
    assert_eq!(host.wait(), None);

    let reap = || {
        let mut command = posix_ipc();
        Ended::of(command.arg("reap").env("XDG_RUNTIME_DIR", folder.path()))
    };
    lease(&file, libc::F_WRLCK).unwrap();
    let failed = reap();
    assert_eq!((failed.code, value(&file)), (Some(1), 0), "{failed:?}");
    assert!(failed.stdout.contains("left alone"), "{failed:?}");

    lease(&file, libc::F_UNLCK).unwrap();
    let done = reap();
    assert_eq!((done.code, value(&file)), (Some(0), 1), "{done:?}");
}

/// Whoever may read an object can lock it, and be stopped while it has it.
#[test]
fn objects_that_a_peer_has_locked() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("x");
    let grant = format!("{},own", names.pattern());
    let files = [semaphore(&name, 1), file(&name[1..], &[0; 8])];
    for file in &files {
        file.lock().unwrap();
        // SAFETY: plain data, for which zero is valid, and a system call that reads it.
        unsafe {
            let mut lock: libc::flock = std::mem::zeroed();
            lock.l_type = libc::F_WRLCK as i16;
            let locked = libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock);
            assert_eq!(locked, 0);
        }
    }
    let mut guest = Running::guest(&["--sem", &grant, "--shm", &grant], &probe);
    for line in [
        &*format!("s = sem.open {name}"),
        "sem.acquire s",
        "sem.release s",
        &format!("m = shm.open {name}"),
        "shm.write m 0 x",
        "shm.resize m 16",
        &format!("sem.unlink {name}"),
        &format!("shm.unlink {name}"),
    ] {
        assert_eq!(guest.tell(line), "ok", "{line}");
    }
    assert_eq!(guest.end().code, Some(0));
}
