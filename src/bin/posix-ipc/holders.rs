//! Who has an object open, as the ledgers of the hosts say.

use crate::ledger::LedgerOptions;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use wasmtime_posix_ipc::ledger::{self, Scan};
use wasmtime_posix_ipc::objects::Object;

/// The guests that hold or created objects, by device and inode.
#[derive(Default)]
pub struct Holders(HashMap<(u64, u64), Vec<Holder>>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Holder {
    pub guest: String,
    pub process: Option<u32>,
    pub alive: bool,
    pub creator: bool,
}

impl Holders {
    /// Reads the ledgers of this user. Without any, nobody is known to hold anything.
    pub fn read(ledger: &LedgerOptions) -> Self {
        let folder = ledger.folder();
        let scan = folder.and_then(|folder| Ok(ledger::scan(&folder)?));
        match scan {
            Ok(scan) => Self::new(scan),
            Err(error) => {
                eprintln!("posix-ipc: cannot tell who holds what: {error:#}");
                Self::default()
            }
        }
    }

    fn new(scan: Scan) -> Self {
        let mut holders: HashMap<_, Vec<Holder>> = HashMap::new();
        for found in scan.holders {
            let of_object = holders.entry((found.device, found.inode)).or_default();
            let same = |holder: &&mut Holder| {
                (&holder.guest, holder.process) == (&found.guest, found.process)
            };
            match of_object.iter_mut().find(same) {
                Some(known) => known.creator |= found.creator,
                None => of_object.push(Holder {
                    guest: found.guest,
                    process: found.process,
                    alive: found.alive,
                    creator: found.creator,
                }),
            }
        }
        holders.values_mut().for_each(|of_object| of_object.sort());
        Self(holders)
    }

    pub fn of(&self, object: &Object) -> &[Holder] {
        self.0
            .get(&(object.device, object.inode))
            .map_or(&[], Vec::as_slice)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guest = self.guest.escape_debug();
        match (self.alive, self.process) {
            (false, _) => write!(f, "{guest} (dead; see posix-ipc reap)"),
            (true, Some(process)) => write!(f, "{guest} ({process})"),
            (true, None) => write!(f, "{guest}"),
        }
    }
}
