//! `posix-ipc sem`: named semaphores.

use super::{Format, failed, mode, semaphore, timed_out};
use crate::manifest::parse_duration;
use crate::output;
use anyhow::Result;
use clap::Subcommand;
use std::process::ExitCode;
use std::time::Duration;
use wasmtime_posix_ipc::grant::Name;
use wasmtime_posix_ipc::objects::Semaphore;

/// Create, post, wait for and read a semaphore of this machine
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc sem create /gate --value 1
  posix-ipc sem wait /gate --timeout 5s && do-something; posix-ipc sem post /gate
  posix-ipc sem value /gate
  posix-ipc sem value /gate --format json

The exit code is 124 if --timeout ended the wait, and 1 if anything failed, as when there
is no such semaphore. `posix-ipc rm sem:/gate` removes it.")]
pub struct Args {
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Subcommand)]
enum Operation {
    /// Create a semaphore, which must not exist
    Create {
        #[arg(value_parser = semaphore)]
        name: Name,
        /// Its value
        #[arg(long, default_value_t = 0)]
        value: u32,
        /// Who may use it, in octal. The umask applies
        #[arg(long, default_value = "600", value_parser = mode)]
        mode: u32,
    },
    /// Add 1 to the value, which wakes one of those that wait
    Post {
        #[arg(value_parser = semaphore)]
        name: Name,
    },
    /// Take 1 from the value, and wait while it is 0
    ///
    /// What was taken is not given back when this command ends: `sem post` does that.
    Wait {
        #[arg(value_parser = semaphore)]
        name: Name,
        /// Wait no longer than this, as in 500ms, 10s, 2min. 0s does not wait
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        timeout: Option<Duration>,
    },
    /// Print the value
    Value {
        #[arg(value_parser = semaphore)]
        name: Name,
        /// How to print it
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let open =
            |name: &Name| Semaphore::open(name).map_err(|error| failed("opened", name, &error));
        match self.operation {
            Operation::Create { name, value, mode } => {
                Semaphore::create(&name, mode, value)
                    .map_err(|error| failed("created", &name, &error))?;
            }
            Operation::Post { name } => open(&name)?
                .post()
                .map_err(|error| failed("posted", &name, &error))?,
            Operation::Wait { name, timeout } => {
                let taken = open(&name)?
                    .wait(timeout)
                    .map_err(|error| failed("taken", &name, &error))?;
                if !taken {
                    let limit = timeout.unwrap_or_default();
                    return Ok(timed_out(&name, "nobody posted it", limit));
                }
            }
            Operation::Value { name, format } => {
                let value = open(&name)?
                    .value()
                    .map_err(|error| failed("read", &name, &error))?;
                let text = match format {
                    Format::Raw => format!("{value}\n"),
                    Format::Json => {
                        let json = serde_json::json!({ "name": name.as_str(), "value": value });
                        format!("{}\n", output::escape_json(&json.to_string()))
                    }
                };
                output::write(&text)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
