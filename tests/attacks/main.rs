//! Attacks, each by a guest or a native peer that means it. `SECURITY.md` says which
//! test is for which class of attacks.
#![cfg(feature = "cli")]

mod documented;
mod exhaustion;
mod handles;
mod lifetime;
mod names;
mod outside;
mod quotas;
mod rights;
#[path = "../support/mod.rs"]
mod support;
mod system;

use std::path::Path;
use support::{Ended, run};

/// Lets a guest run these lines; gives what comes of each, and the host's log.
#[track_caller]
fn ask<S: AsRef<str>>(probe: &Path, flags: &[&str], lines: &[S]) -> (Vec<String>, Vec<String>) {
    let mut arguments = vec!["do"];
    arguments.extend(lines.iter().map(AsRef::as_ref));
    let ended = Ended::of(&mut run(flags, probe, &arguments));
    let outcomes = ended.lines().into_iter().map(String::from).collect();
    (outcomes, ended.stderr.lines().map(String::from).collect())
}

/// Lets a guest attack.
fn attack(probe: &Path, flags: &[&str], arguments: &[&str]) -> Ended {
    let arguments = [&["attack"], arguments].concat();
    Ended::of(&mut run(flags, probe, &arguments))
}
