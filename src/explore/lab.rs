//! One run: the guests of a laboratory under one schedule, from start to end.

use super::gate::Gate;
use super::record::{Killed, Operation, Record};
use super::scheduler::{Scheduler, Turn};
use super::strategy::{Fault, Schedule, Strategy};
use crate::ctx::{IpcCtx, IpcCtxView, IpcHost, IpcView, limit_store};
use crate::grant::{Grants, PrivateNamespace};
use crate::host::linker::LinkOptions;
use crate::quota::Quota;
use crate::wait::Canceller;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Result, Store, UpdateDeadline};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
};

/// How much a guest may print in a run.
const MOST_OUTPUT: usize = 1 << 20;

/// A wait that lasts longer than this, in the time of the guests, never ends.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Gives a guest its arguments, variables and folders.
pub type Configure = dyn Fn(&mut WasiCtxBuilder) -> Result<()> + Send + Sync;

/// Looks at a run. Gives what is wrong with it.
type Check = dyn Fn(&Run) -> Result<Option<String>> + Send + Sync;

/// Guests that are run together, again and again.
pub struct Lab {
    engine: Engine,
    guests: Vec<Program>,
    quota: Quota,
    most_steps: usize,
    preempt: Option<u64>,
    check: Option<Box<Check>>,
}

struct Program {
    label: String,
    grants: Option<Grants>,
    command: CommandPre<Guest>,
    configure: Box<Configure>,
}

/// What came of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Who went on, choice after choice.
    pub schedule: Schedule,
    /// What the guests did, in the order in which it was done.
    pub operations: Vec<Operation>,
    /// What was made to go wrong.
    pub faults: Vec<Fault>,
    /// What each guest printed, on standard output and standard error.
    pub outputs: Vec<[String; 2]>,
    /// How long it took in the time of the guests.
    pub elapsed: Duration,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
}

/// What a laboratory looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody can run, and no time-out is pending. The guests that wait, and for what:
    /// none if it is a pollable.
    Deadlock(Vec<(usize, Option<String>)>),
    /// A guest ended with an exit code other than 0.
    Exit {
        /// Its number.
        guest: usize,
        /// The code.
        code: i32,
    },
    /// A guest trapped.
    Trap {
        /// Its number.
        guest: usize,
        /// Why, in words.
        why: String,
    },
    /// The run took more steps than it may.
    StepLimit,
    /// What the [check](Lab::check) says.
    Check(String),
}

impl Lab {
    /// An engine whose guests can be explored.
    ///
    /// # Errors
    ///
    /// If this system has no such engine.
    pub fn engine() -> Result<Engine> {
        let mut config = Config::new();
        config
            .concurrency_support(false)
            .epoch_interruption(true)
            .consume_fuel(true)
            .async_stack_size(10 << 20)
            .max_wasm_stack(8 << 20);
        Engine::new(&config)
    }

    /// A laboratory without guests, on an engine of [`Self::engine`].
    pub fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            guests: Vec::new(),
            quota: Quota::default(),
            most_steps: 100_000,
            preempt: None,
            check: None,
        }
    }

    /// Adds a guest, which exports `wasi:cli/run`. It finds WASI and, as the options say,
    /// the interfaces of this crate.
    ///
    /// # Errors
    ///
    /// If it imports what a laboratory does not have.
    pub fn add(
        &mut self,
        label: impl Into<String>,
        component: &Component,
        options: &LinkOptions,
        configure: impl Fn(&mut WasiCtxBuilder) -> Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        let mut linker = Linker::new(&self.engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        crate::add_to_linker(&mut linker, options)?;
        let command = CommandPre::new(linker.instantiate_pre(component)?)?;
        self.guests.push(Program {
            label: label.into(),
            grants: None,
            command,
            configure: Box::new(configure),
        });
        Ok(())
    }

    /// Gives the guest that was added last these grants, of names in the namespace of the
    /// laboratory. Without, it may do everything there.
    pub fn grants(&mut self, grants: Grants) {
        if let Some(guest) = self.guests.last_mut() {
            guest.grants = Some(grants);
        }
    }

    /// Looks at each run that has not failed. A text says what is wrong with it.
    pub fn check(
        &mut self,
        check: impl Fn(&Run) -> Result<Option<String>> + Send + Sync + 'static,
    ) {
        self.check = Some(Box::new(check));
    }

    /// The names of the guests, by their numbers.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.guests.iter().map(|guest| guest.label.as_str())
    }

    /// After how many steps a run fails: 100,000 by default.
    pub fn most_steps(&mut self, most: usize) {
        self.most_steps = most;
    }

    /// Lets another guest go on between instructions too, each time that one has executed
    /// so many.
    pub fn preempt(&mut self, instructions: Option<u64>) {
        self.preempt = instructions;
    }

    /// Runs the guests once.
    ///
    /// # Errors
    ///
    /// If a guest cannot be started, or the check has an error. What it does when it runs is in the [`Run`].
    pub fn run(&self, strategy: &mut dyn Strategy) -> Result<Run> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            // See `Gate`.
            .max_blocking_threads(1)
            .build()?;
        // One poll of this task is many turns of guests.
        let mut run = runtime.block_on(tokio::task::unconstrained(self.drive(strategy)))?;
        if let (None, Some(check)) = (&run.failure, &self.check) {
            run.failure = check(&run)?.map(Failure::Check);
        }
        Ok(run)
    }

    async fn drive(&self, strategy: &mut dyn Strategy) -> Result<Run> {
        let start = Instant::now();
        let scheduler = Arc::new(Scheduler::default());
        let host = IpcHost::builder().park(scheduler.clone()).build();
        let namespace = PrivateNamespace::random();
        let record = Record::new(start, self.guests.len());
        let mut guests = Vec::new();
        for number in 0..self.guests.len() {
            guests.push(self.start(number, &host, &namespace, start, &record)?);
        }
        let mut schedule = Schedule::new();
        let mut gate = Gate::close().await;
        let failure = loop {
            let runnable: Vec<usize> = (0..guests.len())
                .filter(|&guest| guests[guest].future.is_some())
                .filter(|&guest| guests[guest].turn.is_woken() || scheduler.can_go_on(guest))
                .collect();
            let waiting = || (0..guests.len()).filter(|&guest| guests[guest].future.is_some());
            if runnable.is_empty() {
                if waiting().next().is_none() {
                    break None;
                }
                let turns: Vec<_> = waiting().map(|guest| guests[guest].turn.clone()).collect();
                // While the thread is held no time passes.
                drop(gate);
                let passes = time_passes(&turns).await;
                gate = Gate::close().await;
                if !passes {
                    let blocked = waiting().map(|guest| {
                        let object = guests[guest].canceller.waiting();
                        (guest, object.map(|object| object.to_string()))
                    });
                    break Some(Failure::Deadlock(blocked.collect()));
                }
                continue;
            }
            if schedule.len() == self.most_steps {
                break Some(Failure::StepLimit);
            }
            let chosen = strategy.choose(&runnable, schedule.last().copied());
            schedule.push(chosen);
            scheduler.set_current(chosen);
            record.turn(schedule.len() - 1, chosen, |operation, faults| {
                strategy.fault(chosen, operation, faults)
            });
            if let Some(failure) = guests[chosen].go_on(chosen) {
                break Some(failure);
            }
            let started = &guests[chosen];
            let waits = started.future.is_some() && !started.turn.is_woken();
            if waits {
                gate = gate.pass().await;
            }
        };
        let (operations, faults) = record.take();
        Ok(Run {
            schedule,
            operations,
            faults,
            elapsed: start.elapsed(),
            outputs: guests.iter().map(Started::output).collect(),
            failure,
        })
    }

    fn start(
        &self,
        number: usize,
        host: &IpcHost,
        namespace: &PrivateNamespace,
        start: Instant,
        record: &Record,
    ) -> Result<Started> {
        let program = &self.guests[number];
        let ipc = IpcCtx::builder()
            .label(&program.label)
            .quota(self.quota.clone())
            .watch(record.watch(number));
        let ipc = match &program.grants {
            None => ipc.private_namespace(namespace.clone()),
            Some(grants) => ipc.grants(grants.clone().within(namespace.clone())),
        };
        let ipc = ipc.build(host)?;
        let canceller = ipc.canceller();
        let outputs = [(); 2].map(|()| MemoryOutputPipe::new(MOST_OUTPUT));
        let mut wasi = WasiCtxBuilder::new();
        // Everything that differs from run to run is given by the laboratory. A guest's
        // files are read where it stands: no other thread decides when that is done.
        let clock = Clock(start);
        let seed = number as u64;
        wasi.allow_blocking_current_thread(true)
            .stdout(outputs[0].clone())
            .stderr(outputs[1].clone())
            .monotonic_clock(clock)
            .wall_clock(clock)
            .secure_random(StdRng::seed_from_u64(seed))
            .insecure_random(StdRng::seed_from_u64(seed))
            .insecure_random_seed(seed.into());
        (program.configure)(&mut wasi)?;
        let guest = Guest {
            ipc,
            wasi: wasi.build(),
            table: ResourceTable::new(),
            engine: self.engine.clone(),
            has_acted: false,
        };
        let mut store = Store::new(&self.engine, guest);
        limit_store(&mut store);
        store.set_fuel(u64::MAX)?;
        store.fuel_async_yield_interval(self.preempt)?;
        store.set_epoch_deadline(1);
        // Each call that others can notice moves the epoch on: the guest comes here before
        // it goes much further.
        store.epoch_deadline_callback(|mut store| {
            Ok(match std::mem::take(&mut store.data_mut().has_acted) {
                true => UpdateDeadline::Yield(1),
                false => UpdateDeadline::Continue(1),
            })
        });
        Ok(Started {
            turn: Turn::new(),
            future: Some(Box::pin(execute(program.command.clone(), store))),
            ended: None,
            outputs,
            canceller,
        })
    }
}

/// Lets the time of the guests pass until one of them is woken. False if none ever is.
async fn time_passes(turns: &[Arc<Turn>]) -> bool {
    let woken = std::future::poll_fn(|context| {
        match turns.iter().any(|turn| turn.poll_woken(context).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    // With paused time this is the last of all timers, and elapses when there is no other.
    tokio::time::timeout(NEVER, woken).await.is_ok()
}

type Execution = dyn Future<Output = (Result<i32>, Store<Guest>)> + Send;

/// A guest of a run.
struct Started {
    turn: Arc<Turn>,
    /// None when it has ended.
    future: Option<Pin<Box<Execution>>>,
    /// What it created stays until the end of the run, as it does natively.
    ended: Option<Store<Guest>>,
    outputs: [MemoryOutputPipe; 2],
    /// It knows what the guest waits for.
    canceller: Canceller,
}

impl Started {
    /// Lets it go on until its next turn. Gives the failure, if it ends with one.
    fn go_on(&mut self, number: usize) -> Option<Failure> {
        let future = self.future.as_mut()?;
        self.turn.begin();
        let waker = Waker::from(self.turn.clone());
        let Poll::Ready((ended, mut store)) =
            future.as_mut().poll(&mut Context::from_waker(&waker))
        else {
            return None;
        };
        self.future = None;
        let killed = matches!(&ended, Err(error) if error.is::<Killed>());
        if killed {
            // The system closes what a process has open.
            store.data_mut().table = ResourceTable::new();
            store.data_mut().ipc.give_back();
        }
        self.ended = Some(store);
        match ended {
            _ if killed => None,
            Ok(0) => None,
            Ok(code) => Some(Failure::Exit {
                guest: number,
                code,
            }),
            Err(error) => Some(Failure::Trap {
                guest: number,
                why: format!("{:#}", error.root_cause()),
            }),
        }
    }

    fn output(&self) -> [String; 2] {
        let text = |pipe: &MemoryOutputPipe| String::from_utf8_lossy(&pipe.contents()).into_owned();
        [text(&self.outputs[0]), text(&self.outputs[1])]
    }
}

async fn execute(
    command: CommandPre<Guest>,
    mut store: Store<Guest>,
) -> (Result<i32>, Store<Guest>) {
    let ended: Result<i32> = async {
        let command = command.instantiate_async(&mut store).await?;
        let succeeded = command.wasi_cli_run().call_run(&mut store).await?;
        Ok(i32::from(succeeded.is_err()))
    }
    .await;
    let ended = match ended {
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => Ok(*code),
            None => Err(error),
        },
        ended => ended,
    };
    (ended, store)
}

/// The data of a guest's store.
struct Guest {
    ipc: IpcCtx,
    wasi: WasiCtx,
    table: ResourceTable,
    engine: Engine,
    /// Whether it has called the host for what others can notice, since its last turn.
    has_acted: bool,
}

impl IpcView for Guest {
    fn ipc(&mut self) -> IpcCtxView<'_> {
        self.has_acted = true;
        self.engine.increment_epoch();
        IpcCtxView {
            ctx: &mut self.ipc,
            table: &mut self.table,
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// The time of the guests, which begins with the run.
#[derive(Clone, Copy)]
struct Clock(Instant);

/// What the wall clock of a guest says first: 1 January 2025, the same each time.
const FIRST: Duration = Duration::from_secs(1_735_689_600);

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        FIRST + self.0.elapsed()
    }
}
