//! Mappings of a guest that is written in Rust, run by the command.

use super::harness::{Object, Process, long, unique};
use crate::support::{self, Ended};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;

fn guest() -> PathBuf {
    support::guest("mappings-guest")
}

fn run(guest: &Path, grants: &[&str], arguments: &[&str]) -> Ended {
    Ended::of(support::run(grants, guest, arguments).env("POSIX_IPC_LOG", "warn"))
}

fn succeeds(guest: &Path, grants: &[&str], arguments: &[&str]) {
    let output = run(guest, grants, arguments);
    let errors = output.stderr;
    assert_eq!(output.code, Some(0), "{arguments:?}: {errors}");
    // No denial either: what is not granted here is asked for by the way.
    assert_eq!(errors, "");
}

fn traps(guest: &Path, grants: &[&str], arguments: &[&str], reason: &str) {
    let output = run(guest, grants, arguments);
    let errors = output.stderr;
    assert_eq!(output.code, Some(134), "{errors}");
    assert!(errors.contains(reason), "{errors}");
}

#[test]
fn mappings_copy_and_keep_their_bounds() {
    let guest = guest();
    let object = Object::new(4096);
    let grant = format!("--shm={}::/object,map", object.name);
    succeeds(&guest, &[&grant], &["copy"]);
    succeeds(&guest, &[&grant], &["bounds"]);
    object.fill();
    succeeds(&guest, &[&grant], &["read-only"]);
}

#[test]
fn counts_lose_nothing() {
    let guest = guest();
    let rounds: u32 = if long() { 20_000_000 } else { 2_000_000 };
    for how in ["count", "compare-exchange"] {
        let object = Object::new(4096);
        let process = Process::start(|| {
            object.u32(16).store(1, SeqCst);
            for _ in 0..rounds {
                object.u32(0).fetch_add(1, SeqCst);
                object.u64(8).fetch_add(1, SeqCst);
            }
        });
        let grant = format!("--shm={}::/object,map", object.name);
        succeeds(&guest, &[&grant], &[how, &rounds.to_string()]);
        process.join();
        assert_eq!(object.u32(0).load(SeqCst), 2 * rounds, "{how}");
        assert_eq!(object.u64(8).load(SeqCst), 2 * u64::from(rounds), "{how}");
    }
}

#[test]
fn what_makes_bulk_instructions_of_it_traps() {
    let guest = guest();
    let object = Object::new(4096);
    let before = object.fill().words();
    let grant = format!("--shm={}::/object,map", object.name);
    for how in ["memcpy", "print"] {
        traps(&guest, &[&grant], &[how], "out of bounds");
        assert_eq!(object.words(), before);
    }
}

#[test]
fn a_namespace_of_its_own_has_mappings_if_asked_for() {
    let guest = guest();
    for (flags, unsupported) in [(&["--private"][..], true), (&["--private", "--map"], false)] {
        let output = run(&guest, flags, &["private"]);
        let errors = output.stderr;
        assert_eq!(output.code == Some(0), !unsupported, "{flags:?}: {errors}");
        assert_eq!(errors.contains("Unsupported"), unsupported, "{errors}");
    }
}

#[test]
fn calls_without_a_handle_do_the_same() {
    let guest = guest();
    succeeds(&guest, &["--private"], &["direct"]);
}

#[test]
fn a_mapping_takes_the_room_of_its_object() {
    let guest = guest();
    let flags = ["--private", "--map", "--max-shm-bytes", "4KiB"];
    let ended = run(&guest, &flags, &["charge"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("--max-shm-bytes"), "{}", ended.stderr);
}

/// A semaphore, seen by a native program.
struct Gate {
    name: String,
    raw: *mut libc::sem_t,
}

unsafe impl Send for Gate {}
unsafe impl Sync for Gate {}

impl Gate {
    fn new() -> Self {
        let name = unique();
        let c_name = CString::new(name.clone()).unwrap();
        let flags = libc::O_CREAT | libc::O_EXCL;
        let raw = unsafe { libc::sem_open(c_name.as_ptr(), flags, 0o600, 0) };
        assert_ne!(raw, libc::SEM_FAILED);
        Self { name, raw }
    }

    fn wait(&self) {
        assert_eq!(unsafe { libc::sem_wait(self.raw) }, 0);
    }

    fn post(&self) {
        assert_eq!(unsafe { libc::sem_post(self.raw) }, 0);
    }

    fn value(&self) -> i32 {
        let mut value = 0;
        unsafe { libc::sem_getvalue(self.raw, &mut value) };
        value
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let name = CString::new(self.name.clone()).unwrap();
        unsafe {
            libc::sem_close(self.raw);
            libc::sem_unlink(name.as_ptr());
        }
    }
}

#[test]
fn a_semaphore_does_the_same_with_and_without_a_mapping() {
    let guest = guest();
    for (option, mapped) in [("", "0"), (",map", "1")] {
        let gate = Gate::new();
        let grant = format!("--sem={}::/gate{option}", gate.name);
        succeeds(&guest, &[&grant], &["semaphore", mapped]);
        assert_eq!(gate.value(), 0);
    }
}

#[test]
fn a_mapped_semaphore_wakes_and_is_woken() {
    let guest = guest();
    let rounds = if long() { 200_000 } else { 20_000 };
    for option in ["", ",map"] {
        let (ping, pong) = (Gate::new(), Gate::new());
        let grants = [
            format!("--sem={}::/ping{option}", ping.name),
            format!("--sem={}::/pong{option}", pong.name),
        ];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..rounds {
                    ping.wait();
                    pong.post();
                }
            });
            let grants = grants.each_ref().map(String::as_str);
            succeeds(&guest, &grants, &["ping-pong", &rounds.to_string()]);
        });
        assert_eq!((ping.value(), pong.value()), (0, 0));
    }
}

#[test]
fn the_reason_for_the_end_is_told() {
    let guest = guest();
    let object = Object::new(4096);
    let grant = format!("--shm={}::/object,map", object.name);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&guest, &[&grant], &["watch"]));
        while object.u32(0).load(SeqCst) == 0 {
            assert!(!running.is_finished(), "{:?}", running.join());
            std::thread::yield_now();
        }
        object.truncate(0);
        let output = running.join().unwrap();
        let errors = output.stderr;
        assert_eq!(output.code, Some(134), "{errors}");
        let reason = "the object behind the mapping was shrunk by a peer";
        assert!(errors.contains(reason), "{errors}");
    });
}
