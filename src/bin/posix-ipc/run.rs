//! `posix-ipc run`: a guest from start to end.

use crate::audit::{AuditOptions, Lost, Record};
use crate::guest::Guest;
use crate::ledger::LedgerOptions;
use crate::manifest::parse_duration;
use crate::options::{Audit, GrantOptions, QuotaOptions, WasiOptions};
use crate::recorder::{GrantRecorder, ManifestFile};
use crate::runtime::Program;
use crate::supervise::{TimeLimits, supervise};
use crate::watch::Watch;
use crate::{cache, engine, guest, output, reap};
use anyhow::{Context, Result, anyhow};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use wasmtime::{Store, Trap};
use wasmtime_posix_ipc::grant::Bytes;
use wasmtime_posix_ipc::mappings::Mappings;
use wasmtime_posix_ipc::{IpcHost, IpcView, limit_store};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::CommandPre;

/// Run a guest with the names that you grant it
///
/// The guest is a component that exports wasi:cli/run, such as `cargo build --target
/// wasm32-wasip2` makes, or a script in Python or JavaScript. It gets its arguments,
/// the standard streams of this process, and what the flags give. It gets nothing else
/// of the machine, except that a script can read its own folder, and starts there.
/// When the guest ends, the host unlinks what the guest created.
///
/// The exit code is the guest's own, with these exceptions: 134 after a trap, 124 after
/// --timeout, 128 plus the number after SIGHUP, SIGINT, SIGQUIT or SIGTERM, and 1 if
/// the host cannot start the guest or cannot continue the audit.
///
/// To a process that runs a guest, SIGUSR1 (`kill -USR1 PID`) is a question: it says on
/// standard error what the guest waits for and holds, and the guest goes on.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc run --mq /jobs,recv --sem /gate,wait worker.wasm
  posix-ipc run --shm /frames::/in,ro viewer.wasm --verbose
  posix-ipc run --shm '/render.*,create,max-size=16MiB,max=4' render.wasm
  posix-ipc run --private tests.wasm
  posix-ipc run --mq /jobs,recv worker.py --verbose
  posix-ipc run --private hello.js
  posix-ipc run --watch-waits 5s --sem /gate,wait worker.wasm
  posix-ipc run --learn tests.wasm
  posix-ipc run --learn --mq /jobs --sem '/app.*,own' worker.wasm
  posix-ipc run --learn-to worker.toml tests.wasm
  posix-ipc run --audit /var/log/worker.jsonl --mq /jobs,recv worker.wasm")]
pub struct Args {
    #[command(flatten)]
    grants: GrantOptions,

    #[command(flatten)]
    limits: QuotaOptions,

    #[command(flatten)]
    audit: AuditOptions,

    /// Say at the end which grants the guest needed. Without grants it runs in a private
    /// namespace, where every name works. With grants it runs within those
    #[arg(long, help_heading = "Record")]
    learn: bool,

    /// As --learn, and write the grants to a manifest. What the guest was denied is there as
    /// a comment. The file must not exist
    #[arg(long, help_heading = "Record", value_name = "FILE")]
    learn_to: Option<PathBuf>,

    /// Say when a wait of the guest lasts longer than this
    #[arg(long, help_heading = "Record", value_name = "TIME", value_parser = parse_duration)]
    watch_waits: Option<Duration>,

    #[command(flatten)]
    ledger: LedgerOptions,

    #[command(flatten)]
    wasi: WasiOptions,

    /// End the guest after this time, as in 500ms, 10s, 2min
    #[arg(long, help_heading = "Limits", value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,

    /// The guest: a component (.wasm, .wat) or a script (.py, .js, .mjs)
    #[arg(help_heading = None)]
    guest: PathBuf,

    /// Arguments of the guest
    #[arg(help_heading = None, trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let learns = self.learn || self.learn_to.is_some();
        let policy = self.grants.read(&self.limits, learns)?;
        let recorder = learns.then(|| GrantRecorder::new(&policy));
        let audit = audit(self.audit.open()?, recorder.clone());
        let name = file_name(&self.guest);
        let program = Program::find(&self.guest)?;
        let wasi = self
            .wasi
            .context(&name, program.script(), &self.arguments)?;
        let (engine, mappings) = engine::new(policy.maps())?;
        let manifest = self.learn_to.as_deref().map(ManifestFile::create);
        let manifest = manifest.transpose()?;
        let host = host(mappings, &self.ledger)?;
        let ipc = policy.context(&name, audit, &host)?;
        let limits = TimeLimits {
            // A runtime of scripts is no guest's: it takes the time that it takes.
            compile: self.timeout.filter(|_| program.script().is_none()),
            run: self.timeout,
        };
        let guest = self.guest.display().to_string();
        let watch = Watch::new(
            guest,
            ipc.canceller(),
            ipc.usage().clone(),
            self.watch_waits,
        );
        let (end, waiting) = supervise(limits, &host, &watch, move |supervisor| {
            let component = cache::load(&engine, program.component())?;
            let command = guest::linker(&engine, &component)?
                .instantiate_pre(&component)
                .and_then(CommandPre::new)
                .map_err(|error| {
                    let guest = program.component().display();
                    anyhow!(
                        "{guest} does not fit this host: {error:#}; see `posix-ipc check {guest}`"
                    )
                })?;
            engine::start_ticking(&engine)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .thread_keep_alive(ALWAYS)
                .build()
                .context("cannot start")?;
            // WASI has files read on another thread. Tokio panics where it can start none, so
            // one is there before the guest is, and stays.
            std::thread::Builder::new()
                .spawn(|| ())
                .context("cannot start a thread")?;
            runtime.spawn_blocking(|| ());
            let mut store = Store::new(&engine, Guest::new(ipc, wasi));
            limit_store(&mut store);
            let end = runtime.block_on(supervisor.until_stopped(execute(command, store)));
            // A thread of the runtime may sit in a read of standard input for ever.
            runtime.shutdown_background();
            Ok(end)
        })?;
        if let Some(reason) = end.reason() {
            let waiting = waiting.map_or(String::new(), |waiting| {
                let seconds = waiting.since.elapsed().as_secs_f64();
                format!(", after waiting {seconds:.1} s for {waiting}")
            });
            output::tell(&format!(
                "posix-ipc: {}: {reason}{waiting}\n",
                self.guest.display()
            ));
        }
        if let Some(recorder) = recorder {
            output::tell(&recorder.in_words(&name));
            if let Some(manifest) = manifest {
                manifest.write(&recorder, &name)?;
            }
            if !matches!(end, End::Exit(0)) {
                output::tell("posix-ipc: the guest did not succeed, so it may need more\n");
            }
        }
        Ok(end.exit_code())
    }
}

/// Longer than any guest runs.
const ALWAYS: Duration = Duration::from_secs(1 << 32);

/// What is to be told of what is decided, if anything is.
fn audit(record: Option<Record>, recorder: Option<GrantRecorder>) -> Option<Audit> {
    if record.is_none() && recorder.is_none() {
        return None;
    }
    Some(Box::new(move |event| {
        if let Some(recorder) = &recorder {
            recorder.add(event);
        }
        match &record {
            Some(record) => record.add(event),
            None => Ok(()),
        }
    }))
}

/// A host with a ledger, after a look at what others have left.
fn host(mappings: Option<Mappings>, ledger: &LedgerOptions) -> Result<IpcHost> {
    let mut host = IpcHost::builder();
    match ledger.folder() {
        Ok(folder) => {
            reap::before_run(&folder);
            host = host.ledger(folder);
        }
        // Who chooses a folder relies on it.
        Err(error) if ledger.is_chosen() => return Err(error),
        Err(error) => {
            tracing::warn!("if this process is killed, what its guests created stays: {error}");
        }
    }
    if let Some(mappings) = mappings {
        host = host.mappings(mappings);
    }
    Ok(host.build())
}

/// Runs a guest until it ends by itself.
pub async fn execute(command: CommandPre<Guest>, mut store: Store<Guest>) -> End {
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let command = match command.instantiate_async(&mut store).await {
        Ok(command) => command,
        Err(error) => return End::of_start(store.data_mut(), error),
    };
    match command.wasi_cli_run().call_run(&mut store).await {
        Ok(Ok(())) => End::Exit(0),
        Ok(Err(())) => End::Exit(1),
        Err(error) => End::of_error(store.data_mut(), error),
    }
}

/// How a guest ended.
pub enum End {
    Exit(i32),
    Trap(wasmtime::Error),
    Unrecorded(String),
    /// While it was compiled.
    NeverStarted(Duration),
    /// Its limit of memory is too small for what it has from the start.
    NoRoom(Bytes),
    TimedOut(Duration),
    Signal(&'static str, i32),
}

impl End {
    /// A guest's `exit` arrives as an error too.
    fn of_error(guest: &mut Guest, error: wasmtime::Error) -> Self {
        if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
            return Self::Exit(*code);
        }
        match error.downcast_ref::<Lost>() {
            Some(lost) => Self::Unrecorded(lost.to_string()),
            None => Self::Trap(guest.ipc().ctx.explain(error)),
        }
    }

    /// Of a guest that could not be instantiated.
    fn of_start(guest: &mut Guest, error: wasmtime::Error) -> Self {
        let trapped = error.is::<Trap>();
        let refused = guest.ipc().ctx.was_refused_memory();
        match Self::of_error(guest, error) {
            Self::Trap(_) if refused && !trapped => {
                Self::NoRoom(Bytes(guest.ipc().ctx.quota().memory))
            }
            end => end,
        }
    }

    /// Why it ended, if it has not ended by itself.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Exit(_) => None,
            Self::Trap(error) => Some(format!("the guest trapped: {error:?}")),
            Self::Unrecorded(why) => Some(format!("ended: {why}")),
            Self::NeverStarted(limit) => Some(format!(
                "it could not be compiled within {limit:?} (--timeout); without a limit, \
                 `posix-ipc check` compiles it and keeps the result"
            )),
            Self::NoRoom(limit) => Some(format!(
                "it cannot start: its memories and tables need more than the {limit} of --max-memory"
            )),
            Self::TimedOut(limit) => Some(format!("ended after {limit:?} (--timeout)")),
            Self::Signal(what, _) => Some((*what).into()),
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            // The system passes on the lower eight bits.
            Self::Exit(code) => ExitCode::from(*code as u8),
            Self::Trap(_) => ExitCode::from(134),
            Self::Unrecorded(_) | Self::NoRoom(_) => ExitCode::FAILURE,
            Self::NeverStarted(_) | Self::TimedOut(_) => ExitCode::from(124),
            Self::Signal(_, number) => ExitCode::from(128 + *number as u8),
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
