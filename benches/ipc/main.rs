//! What guests pay in each language, beside what native programs pay, in one run.
//!
//! All that is compared is measured in turns, round by round, and a ratio is the median
//! of the ratios of the rounds: what slows the whole machine down for a while slows both
//! sides. See docs/performance.md for how to read it.

mod chart;
mod facts;
mod goals;
mod guest;
mod native;
mod programs;
mod report;
mod rows;
mod waiters;
mod who;

use clap::Parser;
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Measures guests beside native programs.
#[derive(Parser)]
struct Args {
    /// Rounds in which everything has its turn
    #[arg(long, default_value_t = 9)]
    rounds: usize,

    /// How long one turn takes
    #[arg(long, default_value_t = 10)]
    milliseconds: u64,

    /// Only rows whose name contains this
    #[arg(long)]
    only: Option<String>,

    /// Fail if a goal is missed or was not measured
    #[arg(long)]
    check: bool,

    /// Write the numbers to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Draw the ratios
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,

    /// Answer a peer: `sem`, `mq` or `lock`, and two names
    #[arg(long, hide = true, num_args = 3)]
    peer: Option<Vec<String>>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(peer) = &args.peer {
        native::answer(&peer[0], &peer[1], &peer[2]);
    }
    let world = native::World::new();
    let guests = guest::Guests::load();
    let mut programs = programs::Programs::start(&world);
    let wanted = |name: &str| args.only.as_deref().is_none_or(|part| name.contains(part));

    let mut report = Report::default();
    let turn = Duration::from_millis(args.milliseconds);
    for row in rows::all().into_iter().filter(|row| wanted(&row.name)) {
        eprint!("\r\x1b[K{}", row.name);
        report
            .rows
            .push(row.measure(&world, &guests, &mut programs, turn, args.rounds));
    }
    eprint!("\r\x1b[K");
    report.facts = facts::all(&guests, &wanted);

    print!("{report}");
    for missing in &programs.missing {
        println!("{missing}");
    }
    if let Some(path) = &args.json {
        std::fs::write(path, report.json()).expect("the file can be written");
    }
    if let Some(path) = &args.svg {
        std::fs::write(path, chart::svg(&report)).expect("the file can be written");
    }
    match args.check && !report.missed().is_empty() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
