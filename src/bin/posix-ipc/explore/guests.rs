//! The guests of a search, from the command line and from a file.
//!
//! ```toml
//! [[guest]]
//! program = "worker.py"    # from the folder of this file
//! args = ["{n}", "fast"]
//! count = 2
//! grants = ["sem:/gate,wait,undo", "mq:/jobs,recv"]
//! ```

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use wasmtime_posix_ipc::grant::Grants;

/// One guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Guest {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// Everything in the namespace of the search if there are none.
    pub grants: Option<Vec<String>>,
}

impl Guest {
    /// What the guest may do, of objects in the namespace of the search.
    pub fn grants(&self) -> Result<Option<Grants>> {
        Ok(self.grants.as_ref().map(Grants::parse).transpose()?)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    guest: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    program: PathBuf,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default = "one")]
    count: usize,
    grants: Option<Vec<String>>,
}

fn one() -> usize {
    1
}

/// More guests than this have more orders than anybody can look at.
const MOST: usize = 100;

/// The guests that a file lists, each as often as it says.
pub fn read(file: &Path) -> Result<Vec<Guest>> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    let listed: File =
        toml::from_str(&text).with_context(|| format!("{shown} is no list of guests"))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut guests = Vec::new();
    for listed in listed.guest {
        if listed.count > MOST - guests.len() {
            bail!("{shown} has more than {MOST} guests; lower a count");
        }
        let guest = Guest {
            program: folder.join(listed.program),
            arguments: listed.args,
            grants: listed.grants,
        };
        guest
            .grants()
            .with_context(|| format!("{shown}, guest {}", guest.program.display()))?;
        guests.extend(std::iter::repeat_n(guest, listed.count));
    }
    if guests.is_empty() {
        bail!("{shown} has no guest; add a [[guest]] with a program");
    }
    Ok(guests)
}
