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
use support::{Ended, ask, run};

/// Lets a guest attack.
fn attack(probe: &Path, flags: &[&str], arguments: &[&str]) -> Ended {
    let arguments = [&["attack"], arguments].concat();
    Ended::of(&mut run(flags, probe, &arguments))
}
