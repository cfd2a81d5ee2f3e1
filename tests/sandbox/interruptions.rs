//! Waits of a guest whose host is stopped and continued all the time, which makes the
//! kernel interrupt every system call that waits.

use crate::support::{Names, Native, Running, guest};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn interrupted_system_calls_never_surface() {
    let probe = guest("probe");
    let names = Names::new();
    let (semaphore, queue, memory) = (names.name("s"), names.name("q"), names.name("m"));
    let mut native = Native::default();
    for line in [
        format!("s = sem.open {semaphore} create"),
        format!("q = mq.open {queue} create limits=1x8"),
        format!("m = shm.open {memory} create size=64"),
    ] {
        native.run(&line).unwrap();
    }
    let flags = [
        format!("--sem={semaphore}"),
        format!("--mq={queue}"),
        format!("--shm={memory}"),
    ];
    let mut guest = Running::guest(&flags.each_ref().map(String::as_str), &probe);
    for line in [
        format!("s = sem.open {semaphore}"),
        format!("q = mq.open {queue}"),
        format!("m = shm.open {memory}"),
    ] {
        assert_eq!(guest.tell(&line), "ok");
    }

    let (storm, host) = (AtomicBool::new(true), guest.id() as i32);
    thread::scope(|scope| {
        scope.spawn(|| {
            while storm.load(Ordering::SeqCst) {
                for signal in [libc::SIGSTOP, libc::SIGCONT] {
                    // SAFETY: only sends a signal, to a child that is not waited for.
                    unsafe { libc::kill(host, signal) };
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        let _calm = Calm(&storm);
        let said: Vec<_> = (0..10)
            .flat_map(|_| {
                [
                    "sem.acquire s timeout=20000000",
                    "mq.receive q timeout=20000000",
                    "shm.wait m 0 0 timeout=20000000",
                ]
            })
            .map(|line| guest.tell(line))
            .collect();
        guest.say("sem.acquire s");
        thread::sleep(Duration::from_millis(20));
        native.run("sem.release s").unwrap();
        let acquired = guest.line();
        guest.say("mq.receive q");
        thread::sleep(Duration::from_millis(20));
        native.run("mq.send q hello").unwrap();
        let received = guest.line();

        // Waiting for a word may end without a cause.
        let expected = |line: &str| matches!(line, "error timed-out" | "ok woken");
        assert!(said.iter().all(|line| expected(line)), "{said:?}");
        assert_eq!(acquired, "ok");
        assert!(received.starts_with("ok"), "{received}");
    });
}

/// Ends the storm, also when the test panics.
struct Calm<'a>(&'a AtomicBool);

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
