//! `posix-ipc explore`: guests under every order that a strategy finds, until they fail.

mod check;
mod guests;
mod replay;
mod report;
mod results;
mod rows;
mod trace;

use crate::cache;
use crate::guest::link_options;
use crate::output::{self, Format};
use crate::runtime::Program;
use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use guests::Guest;
use replay::Recording;
use results::{json, write_junit};
use rows::{FaultName, rows};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use trace::trace;
use wasmtime_posix_ipc::explore::{
    Exhaustive, Failure, FaultKind, Faulty, Lab, Pct, RandomWalk, Replay, Run, Strategy, simpler,
    switches,
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
  posix-ipc explore --replay deadlock.json --trace deadlock.trace
  posix-ipc explore --faults kill --junit result.xml --manifest guests.toml")]
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
    #[arg(long, value_name = "FILE", conflicts_with_all = ["guests", "save", "manifest", "junit", "check", "faults"])]
    replay: Option<PathBuf>,

    /// Let something go wrong in each run, once
    #[arg(long, value_enum, value_name = "KIND", value_delimiter = ',')]
    faults: Vec<FaultName>,

    /// Run a command of the shell after each run that has not failed. It gets the run as
    /// JSON on standard input. The run has failed if its exit code is not 0
    #[arg(long, value_name = "COMMAND")]
    check: Option<String>,

    /// Write the run that failed for ui.perfetto.dev, as Chrome's trace events
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,

    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Write the result as a test case of JUnit
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Read guests from a TOML file: [[guest]] with program, args, count and grants
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// The guests: components (.wasm, .wat) or scripts, each as often as it is named
    #[arg(required_unless_present_any = ["replay", "manifest"], value_name = "GUEST")]
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
            Some(file) => replay(file, self.format, self.trace.as_deref()),
            None => self.search(),
        }
    }

    fn search(&self) -> Result<ExitCode> {
        let setting = self.setting()?;
        let lab = setting.lab()?;
        let start = Instant::now();
        let mut found = self.find(&lab)?;
        found.seconds = start.elapsed().as_secs_f64();
        if let Some(failed) = found.failed {
            found.failed = Some(simplify(&lab, failed)?);
        }
        match self.format {
            Format::Text => self.tell(&lab, &found)?,
            Format::Json => output::write(&format!("{}\n", json(&lab, &found)))?,
        }
        if let Some(file) = &self.junit {
            write_junit(file, &lab, &found)?;
        }
        let Some(run) = &found.failed else {
            return Ok(ExitCode::SUCCESS);
        };
        write_trace(self.trace.as_deref(), &lab, run)?;
        if let Some(file) = &self.save {
            Recording::of(setting, run)?.write(file)?;
        }
        Ok(ExitCode::FAILURE)
    }

    fn tell(&self, lab: &Lab, found: &Found) -> Result<()> {
        let runs = found.runs;
        let rate = runs as f64 / found.seconds.max(1e-9);
        let Some(run) = &found.failed else {
            let all = match found.complete {
                true => ", which are all there are",
                false => "",
            };
            return output::write(&format!(
                "no failure in {runs} runs{all} ({rate:.0} a second)\n"
            ));
        };
        let mut text = format!(
            "run {runs} failed ({rate:.0} a second)\n\
             its simplest form has {} choices and {} switches\n\n{}",
            run.schedule.len(),
            switches(&run.schedule),
            report::text(lab, run)
        );
        if let Some(file) = &self.save {
            let file = file.display();
            text += &format!("\nposix-ipc explore --replay {file} repeats it\n");
        }
        output::write(&text)
    }

    fn setting(&self) -> Result<Setting> {
        let mut guests = match &self.manifest {
            Some(file) => guests::read(file)?,
            None => Vec::new(),
        };
        guests.extend(self.guests.iter().map(|program| Guest {
            program: program.clone(),
            arguments: self.arguments.clone(),
            grants: None,
        }));
        Ok(Setting {
            guests,
            steps: self.steps,
            preempt: self.preempt,
            check: self.check.clone(),
        })
    }

    fn find(&self, lab: &Lab) -> Result<Found> {
        let kinds: Vec<FaultKind> = self.faults.iter().map(|fault| fault.kind()).collect();
        let mut exhaustive = Exhaustive::new(self.preemptions.unwrap_or(usize::MAX));
        if matches!(self.strategy, Kind::Exhaustive) && !kinds.is_empty() {
            bail!("--faults are random; use --strategy random or pct");
        }
        let mut found = Found::default();
        let mut length = 100;
        while found.runs < self.runs && found.failed.is_none() && !found.complete {
            let seed = self.seed.wrapping_add(found.runs);
            let faulty = |strategy: Box<dyn Strategy>| Faulty::new(strategy, seed, &kinds, length);
            let run = match self.strategy {
                Kind::Random => once(lab, &mut faulty(Box::new(RandomWalk::new(seed))))?,
                Kind::Pct => once(
                    lab,
                    &mut faulty(Box::new(Pct::new(seed, self.depth, length))),
                )?,
                Kind::Exhaustive => once(lab, &mut exhaustive)?,
            };
            length = run.schedule.len() as u64;
            found.runs += 1;
            match run.failure {
                Some(_) => found.failed = Some(run),
                None => {
                    found.complete =
                        matches!(self.strategy, Kind::Exhaustive) && !exhaustive.advance();
                }
            }
        }
        Ok(found)
    }
}

/// What a search found.
#[derive(Default)]
struct Found {
    /// How many runs were made.
    runs: u64,
    /// Whether these are all there are.
    complete: bool,
    /// The first that failed, at last in its simplest form.
    failed: Option<Run>,
    seconds: f64,
}

fn write_trace(file: Option<&Path>, lab: &Lab, run: &Run) -> Result<()> {
    let Some(file) = file else {
        return Ok(());
    };
    std::fs::write(file, trace(lab, run).to_string())
        .with_context(|| format!("cannot write {}", file.display()))
}

fn once(lab: &Lab, strategy: &mut dyn Strategy) -> Result<Run> {
    lab.run(strategy).map_err(|error| anyhow!("{error:#}"))
}

/// What decides how guests behave, but for the order.
#[derive(serde::Serialize, serde::Deserialize)]
struct Setting {
    guests: Vec<Guest>,
    steps: usize,
    preempt: Option<u64>,
    check: Option<String>,
}

impl Setting {
    fn lab(&self) -> Result<Lab> {
        let failed = |error: wasmtime::Error| anyhow!("{error:#}");
        let engine = Lab::engine().map_err(failed)?;
        let mut lab = Lab::new(&engine);
        lab.most_steps(self.steps);
        lab.preempt(self.preempt);
        for (number, listed) in self.guests.iter().enumerate() {
            let guest = &listed.program;
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
                listed
                    .arguments
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
            if let Some(grants) = listed.grants()? {
                lab.grants(grants);
            }
        }
        if let Some(command) = self.check.clone() {
            let labels: Vec<String> = lab.labels().map(str::to_owned).collect();
            lab.check(move |run| {
                let checked = check::check(&command, &results::run(&labels, run));
                checked.map_err(|error| wasmtime::Error::msg(format!("{error:#}")))
            });
        }
        Ok(lab)
    }
}

/// The simplest run that is found which fails in the same way: with few faults, then with
/// few switches, then with few choices.
fn simplify(lab: &Lab, mut best: Run) -> Result<Run> {
    let cost = |run: &Run| {
        let schedule = &run.schedule;
        (run.faults.len(), switches(schedule), schedule.len())
    };
    'better: loop {
        let without = |at: usize| {
            let mut fewer = best.faults.clone();
            fewer.remove(at);
            (best.schedule.clone(), fewer)
        };
        let fewer = (0..best.faults.len()).map(without);
        let others = simpler(&best.schedule).into_iter();
        let others = others.map(|schedule| (schedule, best.faults.clone()));
        for (schedule, faults) in fewer.chain(others).collect::<Vec<_>>() {
            let run = once(lab, &mut Replay::new(schedule).with_faults(faults))?;
            if same_kind(&run, &best) && cost(&run) < cost(&best) {
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
        | (Some(Failure::Check(_)), Some(Failure::Check(_)))
        | (Some(Failure::StepLimit), Some(Failure::StepLimit)) => true,
        (one, other) => one.is_some() && one == other,
    }
}

fn replay(file: &Path, format: Format, trace: Option<&Path>) -> Result<ExitCode> {
    let recording = Recording::read(file)?;
    let lab = recording.setting.lab()?;
    let mut strategy = Replay::new(recording.schedule.clone()).with_faults(recording.faults());
    let run = once(&lab, &mut strategy)?;
    if run.schedule != recording.schedule || rows(&run) != recording.operations {
        bail!(
            "{} was not repeated: the guests made other calls than when it was recorded",
            file.display()
        );
    }
    match format {
        Format::Text => output::write(&report::text(&lab, &run))?,
        Format::Json => output::write(&format!(
            "{}\n",
            results::run(&lab.labels().collect::<Vec<_>>(), &run)
        ))?,
    }
    write_trace(trace, &lab, &run)?;
    Ok(match run.failure {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    })
}
