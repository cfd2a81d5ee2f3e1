//! `posix-ipc`: runs WebAssembly components with exactly the POSIX IPC names that
//! they were granted, and looks after the host's objects.
#![deny(unsafe_code)]

mod audit;
mod cache;
mod check;
// With the other unsafe code, in the folder of that; the library itself has no use for it.
#[path = "../../sys/compiled.rs"]
#[allow(unsafe_code)]
mod compiled;
mod doctor;
mod engine;
mod exec;
mod explore;
mod files;
mod guest;
mod holders;
mod isolate;
mod ledger;
mod log;
mod ls;
mod manifest;
mod new;
mod objects;
mod options;
mod output;
mod reap;
mod recorder;
mod rm;
mod run;
mod runtime;
mod supervise;
mod types;
mod up;
mod watch;
mod wit;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Run WebAssembly guests that reach only the semaphores, shared memory and message
/// queues of this machine that you grant them.
#[derive(Parser)]
#[command(name = "posix-ipc", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Explore(explore::Args),
    Check(check::Args),
    Ls(ls::Ls),
    Rm(rm::Rm),
    Reap(reap::Args),
    Mq(objects::mq::Args),
    Sem(objects::sem::Args),
    Shm(objects::shm::Args),
    Exec(exec::Args),
    Up(up::Args),
    Wit(wit::Args),
    New(new::Args),
    Types(types::Args),
    Doctor(doctor::Args),
    Cache(cache::Args),
    #[command(name = isolate::first::WORD, hide = true)]
    First(isolate::first::Args),
    #[command(name = up::guard::WORD, hide = true)]
    Fleet(up::guard::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::install();
    let done = match cli.command {
        Command::Run(args) => args.run(),
        Command::Explore(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Ls(args) => args.run(),
        Command::Rm(args) => args.run(),
        Command::Reap(args) => args.run(),
        Command::Mq(args) => args.run(),
        Command::Sem(args) => args.run(),
        Command::Shm(args) => args.run(),
        Command::Exec(args) => args.run(),
        Command::Wit(args) => args.run(),
        Command::New(args) => args.run(),
        Command::Types(args) => args.run(),
        Command::Doctor(args) => args.run(),
        Command::Cache(args) => args.run(),
        Command::Up(args) => args.run(),
        Command::Fleet(args) => args.run(),
        Command::First(args) => args.run(),
    };
    done.unwrap_or_else(|error| {
        output::tell(&format!("posix-ipc: {error:#}\n"));
        ExitCode::FAILURE
    })
}
