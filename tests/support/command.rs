//! The command `posix-ipc`, and what is learnt from running it.

use super::{FOREVER, cannot_run, scratch};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The command, away from the ledgers and the cache of whoever runs the tests.
pub fn posix_ipc() -> Command {
    let folder = |name| {
        let folder = scratch().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_posix-ipc"));
    command
        .env("XDG_RUNTIME_DIR", folder("runtime"))
        .env("XDG_CACHE_HOME", folder("cache"))
        .env_remove("POSIX_IPC_LOG")
        .env_remove("POSIX_IPC_LEDGER")
        .stdin(Stdio::null());
    // Tests may be run by what ignores this, as `nohup` does, and so would the command.
    // SAFETY: to call `signal` between `fork` and `exec` is allowed.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_DFL);
            Ok(())
        });
    }
    command
}

/// `posix-ipc run FLAGS GUEST ARGUMENTS`.
pub fn run(flags: &[&str], guest: &Path, arguments: &[&str]) -> Command {
    let mut command = posix_ipc();
    command.arg("run").args(flags).arg(guest).args(arguments);
    command
}

/// Lets the guest `probe` run these lines; gives what comes of each, and the host's log.
#[track_caller]
pub fn ask<S: AsRef<str>>(probe: &Path, flags: &[&str], lines: &[S]) -> (Vec<String>, Vec<String>) {
    let mut arguments = vec!["do"];
    arguments.extend(lines.iter().map(AsRef::as_ref));
    let ended = Ended::of(&mut run(flags, probe, &arguments));
    let outcomes = ended.lines().into_iter().map(String::from).collect();
    (outcomes, ended.stderr.lines().map(String::from).collect())
}

/// A command in namespaces of its own, which a shell script sets up: it ends in a `;`,
/// and the command is its `"$@"`. Who is not root is root of a namespace of users. Where
/// this user must not have that either, the test fails and says so.
pub fn unshared(namespaces: &[&str], script: &str, command: &Command) -> Command {
    let outer = |users: &[&str], script: &str| {
        let mut outer = Command::new("unshare");
        outer.args(users).args(namespaces);
        outer.args(["sh", "-ec", script, "sh"]);
        outer
    };
    let allowed = |users: &&&[&str]| {
        let output = outer(users, &format!("{script} true")).output();
        output.is_ok_and(|output| output.status.success())
    };
    let users: [&[&str]; 2] = [&[], &["--user", "--map-root-user"]];
    let Some(users) = users.iter().find(allowed) else {
        cannot_run("this user may have no namespaces; allow those of users, or be root");
    };
    let mut outer = outer(users, &format!("{script} exec \"$@\""));
    outer.arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(key, value),
            None => outer.env_remove(key),
        };
    }
    outer
}

/// What a program has said by its end.
#[derive(Debug)]
pub struct Ended {
    /// None if a signal killed it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Starts a program and waits for its end.
    pub fn of(command: &mut Command) -> Self {
        Running::start(command).end()
    }

    /// Standard output, of a program that has succeeded.
    #[track_caller]
    pub fn lines(&self) -> Vec<&str> {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout.lines().collect()
    }
}

/// A program that runs. Dropping it kills it.
pub struct Running {
    /// How it was started, for whoever reads why a test failed.
    shown: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    /// What [`Self::line`] has given.
    read: String,
}

impl Running {
    /// Starts a program. Its standard input is empty unless it is to be
    /// [told](Self::tell) something: then the caller has made it a pipe.
    pub fn start(command: &mut Command) -> Self {
        let shown = format!("{command:?}");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{shown}: {error}"));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.unwrap_or_else(|error| format!("<{error}>"));
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self {
            shown,
            stdin: child.stdin.take(),
            child,
            lines,
            stderr: Some(stderr),
            read: String::new(),
        }
    }

    /// Starts a guest that waits to be told what to do.
    pub fn guest(flags: &[&str], probe: &Path) -> Self {
        Self::start(run(flags, probe, &["do"]).stdin(Stdio::piped()))
    }

    /// A number of its `/proc/PID/status`, such as `VmRSS` in KiB.
    pub fn status(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to it.
    pub fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its standard input is a pipe");
        writeln!(stdin, "{line}").unwrap_or_else(|error| panic!("{line}: {error}"));
    }

    /// The next line that it writes.
    #[track_caller]
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(FOREVER) {
            Ok(line) => {
                self.read += &line;
                self.read.push('\n');
                line
            }
            Err(RecvTimeoutError::Timeout) => panic!("writes nothing: {}", self.shown),
            Err(RecvTimeoutError::Disconnected) => {
                let _ = self.child.kill();
                let stderr = self.stderr.take().map(JoinHandle::join);
                panic!("has ended: {}: {stderr:?}", self.shown);
            }
        }
    }

    /// Writes a line to it, and gives what it answers.
    #[track_caller]
    pub fn tell(&mut self, line: &str) -> String {
        self.say(line);
        self.line()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: only sends a signal, to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, with its standard input open. None if a signal killed it.
    #[track_caller]
    pub fn wait(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status.code(),
                None => assert!(started.elapsed() < FOREVER, "does not end: {}", self.shown),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Closes its standard input and waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        self.stdin = None;
        let code = self.wait();
        let mut stdout = std::mem::take(&mut self.read);
        for line in self.lines.iter() {
            stdout += &line;
            stdout.push('\n');
        }
        Ended {
            code,
            stdout,
            stderr: self.stderr.take().unwrap().join().unwrap(),
        }
    }

    /// Waits for its end, which must be a good one, and gives what it wrote.
    #[track_caller]
    pub fn output(self) -> String {
        let shown = self.shown.clone();
        let ended = self.end();
        assert_eq!(ended.code, Some(0), "{shown}: {ended:?}");
        ended.stdout
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
