//! `posix-ipc explore`: guests under every order that a strategy finds, until they fail.

mod replay;
mod report;

use crate::cache;
use crate::guest::link_options;
use crate::runtime::Program;
use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;
use replay::Recording;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use wasmtime_posix_ipc::explore::{
    Exhaustive, Failure, Lab, Pct, RandomWalk, Replay, Run, Schedule, Strategy, simpler, switches,
};
use wasmtime_wasi::FsPerms;

/// Search for an order in which guests fail together
///
/// Runs the guests in one namespace of their own, again and again, each time in another
/// order: one guest goes on at a time, and after each call that others can notice, another
/// one may be next. Time passes only when nobody can run, so sleeps and time-outs take none.
/// The search ends with the first run in which a guest deadlocks, traps, or ends with an
/// exit code other than 0. That run is made as simple as possible, and shown; with --save
/// it is kept, and --replay repeats it.
///
/// The exit code is 0 if no run failed, 1 if one did.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc explore philosopher.wasm philosopher.wasm -- '{n}'
  posix-ipc explore --strategy exhaustive --preemptions 2 producer.wasm consumer.wasm
  posix-ipc explore --save deadlock.json a.py b.py
  posix-ipc explore --replay deadlock.json")]
pub struct Args {
    /// How to choose who goes on
    #[arg(long, value_enum, default_value_t)]
    strategy: Kind,

    /// How many runs to make, at most
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    runs: u64,

    /// Where random choices start. Run number N has the seed SEED + N
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,

    /// For pct: how many choices have to be in order for the failure
    #[arg(long, value_name = "N", default_value_t = 3)]
    depth: u32,

    /// For exhaustive: how often a guest is interrupted that could have gone on
    #[arg(long, value_name = "N")]
    preemptions: Option<usize>,

    /// Choose anew each time that a guest has executed so many instructions, too
    #[arg(long, value_name = "N")]
    preempt: Option<u64>,

    /// A run with more choices than this has failed
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    steps: usize,

    /// Keep the run that failed in this file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,

    /// Repeat the run that a file has
    #[arg(long, value_name = "FILE", conflicts_with_all = ["guests", "save"])]
    replay: Option<PathBuf>,

    /// The guests: components (.wasm, .wat) or scripts, each as often as it is named
    #[arg(required_unless_present = "replay", value_name = "GUEST")]
    guests: Vec<PathBuf>,

    /// Arguments of every guest; {n} is the number of the guest, from 0
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Kind {
    /// Every guest that can run is as likely to be next
    #[default]
    Random,
    /// Random priorities that change a few times, which finds bugs of a small depth
    Pct,
    /// Every order there is, or with --preemptions all that interrupt no more often
    Exhaustive,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        match &self.replay {
            Some(file) => replay(file),
            None => self.search(),
        }
    }

    fn search(&self) -> Result<ExitCode> {
        let setting = Setting {
            guests: self.guests.clone(),
            arguments: self.arguments.clone(),
            steps: self.steps,
            preempt: self.preempt,
        };
        let lab = setting.lab()?;
        let start = Instant::now();
        let (runs, failed) = self.find(&lab)?;
        let seconds = start.elapsed().as_secs_f64();
        let rate = runs as f64 / seconds.max(1e-9);
        let Some(failed) = failed else {
            let all = match self.strategy {
                Kind::Exhaustive if runs < self.runs => ", which are all there are",
                _ => "",
            };
            println!("no failure in {runs} runs{all} ({rate:.0} a second)");
            return Ok(ExitCode::SUCCESS);
        };
        println!("run {runs} failed ({rate:.0} a second)");
        let simplest = simplify(&lab, failed)?;
        println!(
            "its simplest form has {} choices and {} switches\n",
            simplest.schedule.len(),
            switches(&simplest.schedule)
        );
        report::print(&lab, &simplest);
        if let Some(file) = &self.save {
            Recording::of(&setting, &simplest.schedule)?.write(file)?;
            println!("\nposix-ipc explore --replay {} repeats it", file.display());
        }
        Ok(ExitCode::FAILURE)
    }

    /// How many runs were made, and the first that failed.
    fn find(&self, lab: &Lab) -> Result<(u64, Option<Run>)> {
        let mut exhaustive = Exhaustive::new(self.preemptions.unwrap_or(usize::MAX));
        let mut length = 100;
        for number in 0..self.runs {
            let seed = self.seed.wrapping_add(number);
            let run = match self.strategy {
                Kind::Random => once(lab, &mut RandomWalk::new(seed))?,
                Kind::Pct => once(lab, &mut Pct::new(seed, self.depth, length))?,
                Kind::Exhaustive => once(lab, &mut exhaustive)?,
            };
            length = run.schedule.len() as u64;
            if run.failure.is_some() {
                return Ok((number + 1, Some(run)));
            }
            if matches!(self.strategy, Kind::Exhaustive) && !exhaustive.advance() {
                return Ok((number + 1, None));
            }
        }
        Ok((self.runs, None))
    }
}

fn once(lab: &Lab, strategy: &mut dyn Strategy) -> Result<Run> {
    lab.run(strategy).map_err(|error| anyhow!("{error:#}"))
}

/// What decides how guests behave, but for the order.
#[derive(serde::Serialize, serde::Deserialize)]
struct Setting {
    guests: Vec<PathBuf>,
    arguments: Vec<String>,
    steps: usize,
    preempt: Option<u64>,
}

impl Setting {
    fn lab(&self) -> Result<Lab> {
        let failed = |error: wasmtime::Error| anyhow!("{error:#}");
        let engine = Lab::engine().map_err(failed)?;
        let mut lab = Lab::new(&engine);
        lab.most_steps(self.steps);
        lab.preempt(self.preempt);
        for (number, guest) in self.guests.iter().enumerate() {
            let program = Program::find(guest)?;
            let component = cache::load(&engine, program.component())?;
            let name = guest
                .file_name()
                .unwrap_or(guest.as_os_str())
                .to_string_lossy()
                .into_owned();
            let mut arguments = vec![
                program
                    .script()
                    .map_or(name.clone(), |script| script.path().into()),
            ];
            let number = number.to_string();
            arguments.extend(
                self.arguments
                    .iter()
                    .map(|text| text.replace("{n}", &number)),
            );
            let folder = program.script().map(|script| script.folder().to_owned());
            if let Some(script) = program.script() {
                script.may_read_folder()?;
            }
            lab.add(
                format!("{number}:{name}"),
                &component,
                &link_options(&component),
                move |wasi| {
                    wasi.args(&arguments);
                    if let Some(folder) = &folder {
                        wasi.initial_cwd(folder);
                        wasi.preopened_dir(folder, folder, FsPerms::ReadOnly)?;
                    }
                    Ok(())
                },
            )
            .map_err(|error| {
                let shown = guest.display();
                anyhow!(
                    "{shown} does not fit the laboratory: {error:#}; see `posix-ipc check {shown}`"
                )
            })?;
        }
        Ok(lab)
    }
}

/// The simplest run that is found which fails in the same way: with few switches, then
/// with few choices.
fn simplify(lab: &Lab, mut best: Run) -> Result<Run> {
    let cost = |schedule: &Schedule| (switches(schedule), schedule.len());
    'better: loop {
        for schedule in simpler(&best.schedule) {
            let run = once(lab, &mut Replay::new(schedule))?;
            if same_kind(&run, &best) && cost(&run.schedule) < cost(&best.schedule) {
                best = run;
                continue 'better;
            }
        }
        return Ok(best);
    }
}

fn same_kind(one: &Run, other: &Run) -> bool {
    match (&one.failure, &other.failure) {
        (Some(Failure::Deadlock(_)), Some(Failure::Deadlock(_)))
        | (Some(Failure::StepLimit), Some(Failure::StepLimit)) => true,
        (one, other) => one.is_some() && one == other,
    }
}

fn replay(file: &Path) -> Result<ExitCode> {
    let recording = Recording::read(file)?;
    let lab = recording.setting.lab()?;
    let run = once(&lab, &mut Replay::new(recording.schedule.clone()))?;
    if run.schedule != recording.schedule {
        bail!(
            "{} was not repeated: the guests made other calls than when it was recorded",
            file.display()
        );
    }
    report::print(&lab, &run);
    Ok(match run.failure {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    })
}
