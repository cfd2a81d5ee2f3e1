//! Finishing what dead hosts could not, and telling who holds what.

use super::folder::{Folder, Found};
use super::record::{self, Contents, Record, Role};
use crate::grant::Kind;
use crate::objects;
use crate::sys::semaphore::Semaphore;
use crate::sys::{Errno, Identity, message_queue};
use std::io::{self, Read};
use std::path::Path;

/// What is known about the objects that hosts have created or hold.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Survey {
    /// Who holds which object.
    pub holders: Vec<Holder>,
    /// What dead hosts have left, and what [`reap`] would do about it.
    pub leftovers: Vec<Leftover>,
    /// What could not be read, in words.
    pub problems: Vec<String>,
}

/// A guest that has an object open, or had when its host died.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The kind of the object.
    pub kind: Kind,
    /// The host's name of the object.
    pub name: String,
    /// The device of the object, which says with `inode` which one it is.
    pub device: u64,
    /// The inode of the object.
    pub inode: u64,
    /// The label of the guest.
    pub guest: String,
    /// The process of the host.
    pub process: Option<u32>,
    /// Whether the host is alive.
    pub alive: bool,
    /// Whether this guest created it, so that it goes when the guest does.
    pub creator: bool,
}

/// Something that a dead host has left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// The kind of the object.
    pub kind: Kind,
    /// The host's name of the object.
    pub name: String,
    /// The label of the guest.
    pub guest: String,
    /// What is to be done about it.
    pub reaped: Reaped,
}

/// What [`reap`] does with a leftover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reaped {
    /// The name is removed.
    Unlinked,
    /// The semaphore is released so many times.
    GivenBack(u32),
    /// The object cannot be looked at, or the call failed, so it is left alone.
    Failed,
}

/// Looks at all ledgers without changing anything.
///
/// # Errors
///
/// If the folder cannot be read.
pub fn survey(folder: &Folder) -> io::Result<Survey> {
    let mut survey = Survey::default();
    for mut found in folder.ledgers()? {
        let Some(records) = read(&mut found, &mut survey.problems)? else {
            continue;
        };
        for record in &records {
            if matches!(record.role, Role::Open | Role::Created) {
                survey.holders.push(holder(record, &found));
            }
            if !found.alive {
                survey.leftovers.extend(leftover(record));
            }
        }
    }
    Ok(survey)
}

/// Finishes the cleanup of every dead host: what its guests created is unlinked, and
/// semaphores that they took under `undo` are given back. An object is touched only
/// if it is the very one that the ledger is about.
///
/// # Errors
///
/// If the folder cannot be read or changed.
pub fn reap(folder: &Folder) -> io::Result<Survey> {
    let mut survey = Survey::default();
    for mut found in folder.ledgers()? {
        if found.alive {
            continue;
        }
        let records = match read(&mut found, &mut survey.problems)? {
            Some(records) => records,
            // Not ours to judge, nor to remove.
            None => continue,
        };
        for record in &records {
            survey
                .leftovers
                .extend(leftover(record).map(|leftover| act(record, leftover)));
        }
        // Still under the lock.
        std::fs::remove_file(&found.path)?;
    }
    Ok(survey)
}

/// The records, none for what is no ledger of this boot.
fn read(found: &mut Found, problems: &mut Vec<String>) -> io::Result<Option<Vec<Record>>> {
    /// More than any host writes: 100,000 records.
    const LONGEST: u64 = 40 << 20;
    let mut bytes = Vec::new();
    (&found.file).take(LONGEST).read_to_end(&mut bytes)?;
    match record::parse(&bytes) {
        Contents::Records(records) => Ok(Some(records)),
        // The machine was started again, and the objects are gone.
        Contents::Outdated => Ok(Some(Vec::new())),
        // A host that is just starting.
        Contents::Unknown(_) if found.alive => Ok(None),
        // One that died while it was starting.
        Contents::Unknown(_) if bytes.iter().all(|&byte| byte == 0) => Ok(Some(Vec::new())),
        Contents::Unknown(why) => {
            problems.push(unreadable(&found.path, why));
            Ok(None)
        }
    }
}

fn unreadable(path: &Path, why: &str) -> String {
    let path = path.display();
    format!("{path} is left alone: {why}; remove it once you know that it is not needed")
}

fn holder(record: &Record, found: &Found) -> Holder {
    Holder {
        kind: record.kind,
        name: record.name.clone(),
        device: record.identity.device,
        inode: record.identity.inode,
        guest: record.guest.clone(),
        process: found.process(),
        alive: found.alive,
        creator: record.role == Role::Created,
    }
}

/// What is to be done about a record of a dead host, if anything is.
fn leftover(record: &Record) -> Option<Leftover> {
    let reaped = match (record.role, target(record)) {
        (_, Err(_)) => Reaped::Failed,
        (_, Ok(None)) => return None,
        (Role::Undo, Ok(Some(_))) => Reaped::GivenBack(record.held),
        (_, Ok(Some(_))) => Reaped::Unlinked,
    };
    let Record {
        kind, name, guest, ..
    } = record.clone();
    Some(Leftover {
        kind,
        name,
        guest,
        reaped,
    })
}

/// The object that is to be acted upon, if it is still there.
fn target(record: &Record) -> Result<Option<Identity>, Errno> {
    let now = match record.role {
        Role::Free | Role::Open => return Ok(None),
        Role::Undo if record.held == 0 => return Ok(None),
        Role::Creating => message_queue::identify_unfinished(&record.name),
        Role::Created | Role::Undo => objects::identify(record.kind, &record.name)
            .map(|now| (now == record.identity).then_some(now)),
    };
    match now {
        // Another object's name by now, perhaps not even of this kind.
        Err(Errno::NOENT | Errno::INVAL) => Ok(None),
        now => now,
    }
}

fn act(record: &Record, leftover: Leftover) -> Leftover {
    let done = match leftover.reaped {
        Reaped::Failed => return leftover,
        Reaped::Unlinked => objects::remove(record.kind, &record.name),
        Reaped::GivenBack(count) => give_back(record, count),
    };
    match done {
        Ok(()) => leftover,
        Err(_) => Leftover {
            reaped: Reaped::Failed,
            ..leftover
        },
    }
}

fn give_back(record: &Record, count: u32) -> Result<(), Errno> {
    let semaphore = Semaphore::open(&record.name)?;
    if semaphore.identity() != record.identity {
        return Ok(());
    }
    (0..count).try_for_each(|_| semaphore.release())
}
