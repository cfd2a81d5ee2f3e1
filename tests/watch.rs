//! What a running `posix-ipc run` says of its guest: SIGUSR1 and `--watch-waits`.

use crate::support::{FOREVER, Names, Native, guest, run};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The probe under a host that is listened to while it runs.
struct Watched {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Watched {
    fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: lines(child.stdout.take().unwrap()),
            stderr: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_ref().unwrap(), "{line}").unwrap();
    }

    /// The next line that the guest prints.
    #[track_caller]
    fn answer(&self) -> String {
        self.stdout
            .recv_timeout(FOREVER)
            .expect("the guest answers")
    }

    /// The next line that the host says.
    #[track_caller]
    fn said(&self) -> String {
        self.stderr
            .recv_timeout(FOREVER)
            .expect("the host says something")
    }

    /// Asks until an answer has these words, and gives its lines.
    #[track_caller]
    fn ask_until(&self, words: &str) -> [String; 3] {
        loop {
            // SAFETY: only sends a signal, to a child that has not been waited for.
            let sent = unsafe { libc::kill(self.child.id() as i32, libc::SIGUSR1) };
            assert_eq!(sent, 0);
            let answer = [self.said(), self.said(), self.said()];
            let unasked = answer.iter().any(|line| line.contains("still waits"));
            assert!(!unasked, "{answer:?}");
            if answer.iter().any(|line| line.contains(words)) {
                return answer;
            }
        }
    }

    /// Its exit code, and what else it has said.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        self.stdin = None;
        let code = end_of(&mut self.child);
        (code, self.stderr.iter().collect())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of a host, and gives its exit code.
#[track_caller]
fn end_of(child: &mut Child) -> Option<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if started.elapsed() > FOREVER {
            let _ = child.kill();
            panic!("the host does not end");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn probe(flags: &[&str], probe: &Path) -> Watched {
    Watched::start(&mut run(flags, probe, &["do"]))
}

#[test]
fn sigusr1_says_what_a_guest_waits_for_and_the_guest_goes_on() {
    let guest = guest("probe");
    let names = Names::new();
    let name = names.name("gate");
    let mut native = Native::set_up(&[format!("s = sem.open {name} create value=0")]);
    let mut watched = probe(&["--sem", &name], &guest);
    watched.say(&format!("s = sem.open {name}"));
    assert_eq!(watched.answer(), "ok");
    let [runs, waits, holds] = watched.ask_until("running for");
    let own = format!("posix-ipc: {}: ", guest.display());
    assert!(runs.starts_with(&format!("{own}running for ")), "{runs}");
    let words = format!("{own}waits for no object: it computes, polls, or is in another call");
    assert_eq!(waits, words);
    assert!(
        holds.starts_with(&format!("{own}open handles: 1 of 256; ")),
        "{holds}"
    );
    assert!(holds.contains("bytes of the guest's memory: "), "{holds}");

    watched.say("sem.acquire s");
    let what = format!("waits for sem:{name} (acquire), for ");
    let [_, waits, _] = watched.ask_until(&what);
    assert!(waits.ends_with(" s now"), "{waits}");
    native.run("sem.release s").unwrap();
    assert_eq!(watched.answer(), "ok");
    watched.say("close s");
    assert_eq!(watched.answer(), "ok");
    let [_, waits, holds] = watched.ask_until("waits for no object");
    assert!(!holds.contains("open handles"), "{waits} {holds}");
    assert_eq!(watched.end().0, Some(0));
}

#[test]
fn a_long_wait_is_told_of_once() {
    let guest = guest("probe");
    let names = Names::new();
    let [first, second] = ["first", "second"].map(|stem| names.name(stem));
    let mut native = Native::set_up(&[
        format!("f = sem.open {first} create value=0"),
        format!("s = sem.open {second} create value=0"),
    ]);
    let grant = names.pattern();
    let mut watched = probe(&["--watch-waits", "20ms", "--sem", &grant], &guest);
    for (variable, name) in [("f", &first), ("s", &second)] {
        watched.say(&format!("{variable} = sem.open {name}"));
        assert_eq!(watched.answer(), "ok");
        watched.say(&format!("sem.acquire {variable}"));
        let said = watched.said();
        let words = format!(
            "posix-ipc: {}: still waits for sem:{name} (acquire), for ",
            guest.display()
        );
        assert!(said.starts_with(&words), "{said}");
        // The host has looked again many times meanwhile.
        let long_enough = |line: &str| {
            let (_, time) = line.rsplit_once(", for ").unwrap();
            time.strip_suffix(" s now").unwrap().parse::<f64>().unwrap() > 0.5
        };
        while !long_enough(&watched.ask_until("waits for sem")[1]) {}
        native.run(&format!("sem.release {variable}")).unwrap();
        assert_eq!(watched.answer(), "ok");
    }
    // Each was told of once, however long it has taken since.
    assert_eq!(watched.end(), (Some(0), vec![]));
}

#[test]
fn a_wait_that_is_short_enough_is_not_told_of() {
    let guest = guest("probe");
    let names = Names::new();
    let name = names.name("gate");
    let _native = Native::set_up(&[format!("s = sem.open {name} create value=0")]);
    let mut watched = probe(&["--watch-waits", "1h", "--sem", &name], &guest);
    watched.say(&format!("s = sem.open {name}"));
    assert_eq!(watched.answer(), "ok");
    watched.say("sem.acquire s timeout=300000000");
    assert_eq!(watched.answer(), "error timed-out");
    assert_eq!(watched.end(), (Some(0), vec![]));
}

#[test]
fn sigusr1_is_answered_while_a_guest_computes() {
    let guest = guest("probe");
    let watched = Watched::start(&mut run(&[], &guest, &["process", "spin"]));
    assert_eq!(watched.answer(), "spinning");
    watched.ask_until("waits for no object: it computes");
}

/// Whoever does not read standard error keeps neither the guest nor its end.
#[test]
fn answers_that_nobody_reads_hold_nothing_up() {
    let guest = guest("probe");
    let (_unread, mut full) = std::io::pipe().unwrap();
    // SAFETY: asks for the size of a pipe that is open.
    let size = unsafe { libc::fcntl(full.as_raw_fd(), libc::F_GETPIPE_SZ) };
    full.write_all(&vec![b'.'; size as usize]).unwrap();
    let mut command = run(&["--watch-waits", "10ms"], &guest, &["do"]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.stderr(full).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stdout = lines(child.stdout.take().unwrap());
    for _ in 0..200 {
        writeln!(stdin, "limits").unwrap();
        let answer = stdout.recv_timeout(FOREVER).expect("the guest answers");
        assert!(answer.starts_with("ok "), "{answer}");
        // SAFETY: only sends a signal, to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGUSR1) }, 0);
    }
    drop(stdin);
    assert_eq!(end_of(&mut child), Some(0));
}
