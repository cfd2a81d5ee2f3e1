//! `posix-ipc rm`: remove names of objects.

use anyhow::Result;
use clap::Args;
use std::fmt;
use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::str::FromStr;
use wasmtime_posix_ipc::grant::{Kind, Name};
use wasmtime_posix_ipc::objects;

const EXAMPLES: &str = "\
Examples:
  posix-ipc rm mq:/jobs
  posix-ipc rm sem:/gate shm:/frames
  posix-ipc rm --force mq:/jobs      succeeds also if there is none

A program that has the object open can go on using it. The object goes when the last
program closes it. The exit code is 1 if a name could not be removed. The others are
removed all the same.";

/// Remove semaphores, shared memory and message queues by name
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Rm {
    /// What to remove, as in sem:/gate, shm:/frames, mq:/jobs
    #[arg(required = true, value_name = "KIND:NAME")]
    targets: Vec<Target>,

    /// Accept names that do not exist
    #[arg(short, long)]
    force: bool,
}

impl Rm {
    /// Removes each of the names.
    pub fn run(self) -> Result<ExitCode> {
        let mut code = ExitCode::SUCCESS;
        for target in &self.targets {
            match target.unlink() {
                Ok(()) => {}
                Err(error) if self.force && error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    code = ExitCode::FAILURE;
                    eprintln!("posix-ipc: {target} cannot be removed: {}", words(&error));
                }
            }
        }
        Ok(code)
    }
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "it does not exist".into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// An object: `mq:/jobs`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target(Name);

impl Target {
    fn unlink(&self) -> io::Result<()> {
        objects::unlink(&self.0)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kind = |word: &str| word.parse::<Kind>().ok();
        let (kind, name) = text
            .split_once(':')
            .and_then(|(word, name)| Some((kind(word)?, name)))
            .ok_or_else(|| {
                // The name alone was meant, or something else entirely.
                let name = if text.starts_with('/') { text } else { "/name" };
                format!("say which kind it is: sem:{name}, shm:{name} or mq:{name}")
            })?;
        Name::new(kind, name)
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.kind(), self.0.as_str().escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_say_their_kind() {
        let target = "sem:/gate".parse::<Target>().unwrap();
        assert_eq!(target, Target(Name::new(Kind::Semaphore, "/gate").unwrap()));
        assert_eq!(target.to_string(), "sem:/gate");
    }

    #[test]
    fn what_is_no_target_is_explained() {
        for (text, message) in [
            (
                "/gate",
                "say which kind it is: sem:/gate, shm:/gate or mq:/gate",
            ),
            (
                "/a:b",
                "say which kind it is: sem:/a:b, shm:/a:b or mq:/a:b",
            ),
            (
                "gate",
                "say which kind it is: sem:/name, shm:/name or mq:/name",
            ),
            (
                "queue:/a",
                "say which kind it is: sem:/name, shm:/name or mq:/name",
            ),
            (
                "mq:jobs",
                "\"jobs\" is not the name of a message queue: it must start with a slash, as in \"/jobs\"",
            ),
        ] {
            assert_eq!(text.parse::<Target>().unwrap_err(), message);
        }
        assert!(
            "shm:/sem.gate"
                .parse::<Target>()
                .unwrap_err()
                .contains("semaphore /gate itself")
        );
    }
}
