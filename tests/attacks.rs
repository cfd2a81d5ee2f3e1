//! Attacks, each by a guest or a native peer that means it. `SECURITY.md` says which
//! test is for which class of attacks.

mod blocking;
mod documented;
mod exhaustion;
mod generated;
mod handles;
mod instances;
mod lifetime;
mod names;
mod namespaces;
mod outside;
mod quotas;
mod rights;
mod stuck;
mod system;

use crate::support::{Ended, ask, run};
use std::path::Path;

/// Lets a guest attack.
fn attack(probe: &Path, flags: &[&str], arguments: &[&str]) -> Ended {
    let arguments = [&["attack"], arguments].concat();
    Ended::of(&mut run(flags, probe, &arguments))
}
