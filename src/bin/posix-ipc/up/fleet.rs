//! The programs while they run: one loop starts them, reads what they write, and hears of
//! their ends and of signals.

use super::file::{Command as What, Plan, Program};
use super::lines::{Partial, Stream, Writer};
use crate::isolate::{Signals, caught};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mqueue::{MQ_OFlag, mq_close, mq_open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigmaskHow, Signal, killpg, sigprocmask};
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wasmtime_posix_ipc::grant::{Kind, Name};

/// How often to look whether an object exists, and whether lines were read.
const LOOK: Duration = Duration::from_millis(5);

/// When to say that an object is waited for.
const LONG: Duration = Duration::from_secs(5);

/// How long to wait before a program is started again, at first. It doubles each time.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long a reader may sleep when everything has ended by a signal.
const PATIENCE: Duration = Duration::from_secs(1);

/// What has become of a program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    /// It has failed, and is started again then.
    Pausing(Instant),
    /// Its number is also that of its process group.
    Running(Pid),
    Ended,
}

/// One program, as often as it is to run.
struct Instance {
    /// Its place in the plan.
    program: usize,
    name: String,
    state: State,
    restarts: u32,
    /// When it was started, among all.
    turn: u64,
    /// Whether it was told to end.
    told: bool,
    outputs: Vec<Output>,
}

/// What a program writes to.
struct Output {
    pipe: File,
    stream: Stream,
    partial: Partial,
}

/// The way to the end of all.
struct Stop {
    signal: Signal,
    until: Instant,
}

struct Fleet {
    plan: Plan,
    instances: Vec<Instance>,
    writer: Writer,
    started: Instant,
    said_what_is_missing: bool,
    turns: u64,
    stop: Option<Stop>,
    /// The exit code of what failed first, or of a signal.
    code: Option<u8>,
}

/// Runs programs until all have ended, or until `guard`, the end of a pipe, says that nobody
/// wants them any more. Gives the exit code. Descendants of the programs may still run.
pub fn run(plan: Plan, guard: Option<File>) -> Result<u8> {
    let signals = Signals::block()?;
    let mut instances = Vec::new();
    for (place, program) in plan.programs.iter().enumerate() {
        for number in 1..=program.count {
            instances.push(Instance {
                program: place,
                name: match program.count {
                    1 => program.name.clone(),
                    _ => format!("{}.{number}", program.name),
                },
                state: State::Waiting,
                restarts: 0,
                turn: 0,
                told: false,
                outputs: Vec::new(),
            });
        }
    }
    let names = instances
        .iter()
        .map(|instance| instance.name.chars().count());
    let mut fleet = Fleet {
        writer: Writer::start(names.max().unwrap_or(0))?,
        plan,
        instances,
        started: Instant::now(),
        said_what_is_missing: false,
        turns: 0,
        stop: None,
        code: None,
    };
    fleet.until_ended(&signals, guard.as_ref())?;
    fleet.until_written(&signals, guard.as_ref())?;
    Ok(fleet.code.unwrap_or(0))
}

impl Fleet {
    fn until_ended(&mut self, signals: &Signals, guard: Option<&File>) -> Result<()> {
        loop {
            self.reap()?;
            match self.stop {
                Some(_) => self.stop_next(),
                None => self.start_what_can(),
            }
            // The signal of an end is lost while a program is started: see `spawn`.
            let ended = self.reap()?;
            let mut instances = self.instances.iter();
            if instances.all(|instance| instance.state == State::Ended) {
                return Ok(());
            }
            if ended {
                continue;
            }
            if !self.wait(signals, guard)? {
                return Ok(());
            }
            self.read();
        }
    }

    /// Waits until there is something to do. False if nobody wants the programs any more.
    fn wait(&mut self, signals: &Signals, guard: Option<&File>) -> Result<bool> {
        let room = self.writer.has_room();
        let timeout = self.timeout(room);
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(guard.map(|guard| PollFd::new(guard.as_fd(), PollFlags::POLLIN)));
        if room {
            let outputs = self.instances.iter().flat_map(|instance| &instance.outputs);
            fds.extend(outputs.map(|output| PollFd::new(output.pipe.as_fd(), PollFlags::POLLIN)));
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let is_ready = |fd: &PollFd| fd.any().unwrap_or(false);
        let (signalled, gone) = (is_ready(&fds[0]), guard.is_some() && is_ready(&fds[1]));
        if signalled && let Some((signal, _)) = signals.read()? {
            self.hear(signal);
        }
        Ok(!gone)
    }

    fn timeout(&self, room: bool) -> PollTimeout {
        let now = Instant::now();
        let mut times = Vec::new();
        if let Some(stop) = &self.stop {
            times.push(stop.until.saturating_duration_since(now));
        }
        for instance in &self.instances {
            match instance.state {
                State::Pausing(until) => times.push(until.saturating_duration_since(now)),
                State::Waiting if !self.plan.programs[instance.program].objects.is_empty() => {
                    times.push(LOOK);
                }
                _ => {}
            }
        }
        if !room {
            times.push(LOOK);
        }
        times.into_iter().min().map_or(PollTimeout::NONE, |time| {
            // Not before the time, for nothing would be done then.
            let milliseconds = time.as_micros().div_ceil(1000);
            PollTimeout::from(u16::try_from(milliseconds).unwrap_or(u16::MAX))
        })
    }

    fn hear(&mut self, signal: Signal) {
        match signal {
            Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP | Signal::SIGQUIT => {
                match &mut self.stop {
                    // Who says it twice does not want to wait.
                    Some(stop) => stop.until = Instant::now(),
                    None => {
                        self.code.get_or_insert(128 + signal as u8);
                        self.end_all(signal);
                    }
                }
            }
            other => self.tell_all(other),
        }
    }

    fn tell_all(&self, signal: Signal) {
        for instance in &self.instances {
            if let State::Running(id) = instance.state {
                // It is not reaped, so its number is nobody else's.
                let _ = killpg(id, signal);
            }
        }
    }

    /// Starts the end of all.
    fn end_all(&mut self, signal: Signal) {
        self.stop = Some(Stop {
            signal,
            until: Instant::now() + self.plan.grace,
        });
        for instance in &mut self.instances {
            if !matches!(instance.state, State::Running(_)) {
                instance.state = State::Ended;
            }
        }
    }

    /// Tells the last that was started to end, once those started later have.
    fn stop_next(&mut self) {
        let Some(stop) = &self.stop else { return };
        if stop.until <= Instant::now() {
            self.tell_all(Signal::SIGKILL);
            // They end, but not before they are asked for again.
            self.stop = Some(Stop {
                signal: stop.signal,
                until: Instant::now() + LONG,
            });
            return;
        }
        let running = self.instances.iter_mut();
        let running = running.filter(|instance| matches!(instance.state, State::Running(_)));
        let Some(last) = running.max_by_key(|instance| instance.turn) else {
            return;
        };
        if let State::Running(id) = last.state
            && !last.told
        {
            last.told = true;
            let _ = killpg(id, stop.signal);
        }
    }

    fn start_what_can(&mut self) {
        for at in 0..self.instances.len() {
            let instance = &self.instances[at];
            let can = match instance.state {
                State::Waiting => self.is_free(&self.plan.programs[instance.program]),
                State::Pausing(until) => until <= Instant::now(),
                _ => false,
            };
            if can {
                self.start(at);
            }
            if self.stop.is_some() {
                return;
            }
        }
        self.say_what_is_missing();
    }

    /// Whether all has happened that a program waits for.
    fn is_free(&self, program: &Program) -> bool {
        let mut ended = self.instances.iter();
        ended.all(|other| !program.after.contains(&other.program) || other.state == State::Ended)
            && program
                .objects
                .iter()
                .all(|(kind, name)| exists(*kind, name))
    }

    fn say_what_is_missing(&mut self) {
        if self.said_what_is_missing || self.started.elapsed() < LONG {
            return;
        }
        self.said_what_is_missing = true;
        let mut said = Vec::new();
        for instance in &self.instances {
            if instance.state == State::Waiting {
                let objects = &self.plan.programs[instance.program].objects;
                let missing = objects.iter().find(|(kind, name)| !exists(*kind, name));
                if let Some((kind, name)) = missing {
                    let name = name.as_str().escape_debug();
                    said.push(format!("{} waits for {kind}:{name}", instance.name));
                }
            }
        }
        said.iter().for_each(|said| self.writer.say(said));
    }

    fn start(&mut self, at: usize) {
        let program = &self.plan.programs[self.instances[at].program];
        match spawn(&self.plan, program) {
            Ok((id, outputs)) => {
                self.turns += 1;
                let instance = &mut self.instances[at];
                instance.state = State::Running(id);
                instance.turn = self.turns;
                instance.outputs = outputs;
            }
            Err(error) => {
                let name = &self.instances[at].name;
                self.writer
                    .say(&format!("{name} cannot be started: {error:#}"));
                self.instances[at].state = State::Ended;
                let kind = error
                    .downcast_ref::<std::io::Error>()
                    .map(|error| error.kind());
                self.fail(match kind {
                    Some(ErrorKind::NotFound) => 127,
                    _ => 126,
                });
            }
        }
    }

    fn fail(&mut self, code: u8) {
        self.code.get_or_insert(code);
        if self.stop.is_none() {
            self.end_all(Signal::SIGTERM);
        }
    }

    /// Hears of the programs that have ended, and of what has lost its parent. Says whether
    /// a program has ended.
    fn reap(&mut self) -> Result<bool> {
        let mut ended = false;
        loop {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
            let id = match waitid(Id::All, flags) {
                Err(Errno::EINTR) => continue,
                Err(Errno::ECHILD) => return Ok(ended),
                status => match status?.pid() {
                    Some(id) => id,
                    None => return Ok(ended),
                },
            };
            let mut instances = self.instances.iter();
            let at = instances.position(|instance| instance.state == State::Running(id));
            if at.is_some() {
                // What it has left in its group. Nobody else has the number yet.
                let _ = killpg(id, Signal::SIGKILL);
            }
            let code = match waitpid(id, None) {
                Ok(WaitStatus::Signaled(_, signal, _)) => 128 + signal as u8,
                Ok(WaitStatus::Exited(_, code)) => code as u8,
                _ => 1,
            };
            if let Some(at) = at {
                ended = true;
                self.end(at, code);
            }
        }
    }

    fn end(&mut self, at: usize, code: u8) {
        self.read_from(at);
        let instance = &mut self.instances[at];
        let color = instance.program;
        let is_guest = matches!(self.plan.programs[color].command, What::Guest { .. });
        for mut output in instance.outputs.drain(..) {
            if let Some(rest) = output.partial.rest() {
                self.writer
                    .line(output.stream, &instance.name, color, is_guest, &rest);
            }
        }
        instance.state = State::Ended;
        if code == 0 || self.stop.is_some() {
            return;
        }
        let most = self.plan.programs[color].restarts;
        if instance.restarts < most {
            let pause = PAUSE * 2_u32.pow(instance.restarts.min(10));
            instance.restarts += 1;
            instance.state = State::Pausing(Instant::now() + pause.min(LONGEST_PAUSE));
            let (name, count) = (&instance.name, instance.restarts);
            self.writer.say(&format!(
                "{name} ended with {code}; restart {count} of {most}"
            ));
            return;
        }
        let name = &instance.name;
        self.writer
            .say(&format!("{name} ended with {code}; the others are ended"));
        self.fail(code);
    }

    /// Reads what the programs have written, as far as it has a reader.
    fn read(&mut self) {
        for at in 0..self.instances.len() {
            if !self.writer.has_room() {
                return;
            }
            self.read_some(at, 1);
        }
    }

    /// Reads what a program has written that has ended: no more than pipes hold, so a
    /// descendant that writes on does not keep it from its end.
    fn read_from(&mut self, at: usize) {
        self.read_some(at, 64);
    }

    fn read_some(&mut self, at: usize, times: usize) {
        let Instance {
            program,
            name,
            outputs,
            ..
        } = &mut self.instances[at];
        let is_guest = matches!(self.plan.programs[*program].command, What::Guest { .. });
        let writer = &mut self.writer;
        let mut bytes = vec![0; 16 << 10];
        outputs.retain_mut(|output| {
            for _ in 0..times {
                match output.pipe.read(&mut bytes) {
                    Ok(length) if length > 0 => output.partial.add(&bytes[..length], |line| {
                        writer.line(output.stream, name, *program, is_guest, &line);
                    }),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    _ => {
                        if let Some(rest) = output.partial.rest() {
                            writer.line(output.stream, name, *program, is_guest, &rest);
                        }
                        return false;
                    }
                }
            }
            true
        });
    }

    /// Waits until somebody has read everything. A signal makes that wait short.
    fn until_written(&mut self, signals: &Signals, guard: Option<&File>) -> Result<()> {
        let mut until = self.stop.as_ref().map(|_| Instant::now() + PATIENCE);
        while !self.writer.is_done() && until.is_none_or(|until| Instant::now() < until) {
            let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            fds.extend(guard.map(|guard| PollFd::new(guard.as_fd(), PollFlags::POLLIN)));
            let ready = poll(&mut fds, PollTimeout::from(1_u8)).unwrap_or(0);
            if ready > 0 {
                if fds.len() > 1 && fds[1].any().unwrap_or(false) {
                    return Ok(());
                }
                if signals.read()?.is_some() {
                    until = Some(Instant::now());
                }
            }
        }
        Ok(())
    }
}

/// Starts a program in a process group of its own.
fn spawn(plan: &Plan, program: &Program) -> Result<(Pid, Vec<Output>)> {
    let mut manifest = None;
    let mut command = match &program.command {
        What::Native(words) => {
            let (first, arguments) = words.split_first().context("there is no program")?;
            let mut command = Command::new(first);
            command.args(arguments);
            command
        }
        What::Guest {
            options,
            guest,
            arguments,
            manifest: grants,
        } => {
            // Without CLOEXEC: it is for this program, and closed when that has started.
            let mut file = File::from(memfd_create("posix-ipc-manifest", MFdFlags::empty())?);
            file.write_all(grants.to_text().as_bytes())?;
            let mut command = Command::new("/proc/self/exe");
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            command.args(["run", "--manifest", &path]).args(options);
            command.arg("--").arg(guest).args(arguments);
            manifest = Some(file);
            command
        }
    };
    command
        .current_dir(&plan.folder)
        .envs(&program.variables)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // It gets the mask that this command was started with. What comes in between kills this
    // process, and the guard ends the programs.
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&caught()), None)?;
    let started = command.spawn();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&caught()), None)?;
    drop(manifest);
    let mut child = started?;
    let pipes = [
        (child.stdout.take().map(OwnedFd::from), Stream::Output),
        (child.stderr.take().map(OwnedFd::from), Stream::Error),
    ];
    let mut outputs = Vec::new();
    for (pipe, stream) in pipes {
        let Some(pipe) = pipe else { continue };
        do_not_block(pipe.as_fd())?;
        outputs.push(Output {
            pipe: File::from(pipe),
            stream,
            partial: Partial::default(),
        });
    }
    Ok((Pid::from_raw(child.id() as i32), outputs))
}

fn do_not_block(pipe: BorrowedFd<'_>) -> Result<()> {
    let flags = OFlag::from_bits_truncate(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Whether there is an object that is ready for use. Shared memory is, once it has a size.
fn exists(kind: Kind, name: &Name) -> bool {
    let file = &name.as_str()[1..];
    match kind {
        Kind::Semaphore => std::fs::metadata(format!("/dev/shm/sem.{file}")).is_ok(),
        Kind::SharedMemory => {
            std::fs::metadata(format!("/dev/shm/{file}")).is_ok_and(|about| about.len() > 0)
        }
        _ => {
            let flags = MQ_OFlag::O_RDONLY | MQ_OFlag::O_NONBLOCK | MQ_OFlag::O_CLOEXEC;
            match mq_open(name.as_str(), flags, Mode::empty(), None) {
                Ok(queue) => {
                    let _ = mq_close(queue);
                    true
                }
                // It is there, and for others.
                Err(errno) => errno == Errno::EACCES,
            }
        }
    }
}
