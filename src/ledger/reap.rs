//! Finishing what dead hosts could not, and telling who holds what.

use super::dir::{Found, LedgerDir};
use super::record::{self, Contents, Record, Role};
use super::space::Space;
use super::{set_held, set_role};
use crate::name::Kind;
use crate::objects;
use crate::sys::semaphore::Semaphore;
use crate::sys::shared_memory::SharedMemory;
use crate::sys::{Errno, Identity, message_queue};
use std::io;

/// What is known about the objects that hosts have created or hold.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Scan {
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
    /// The object cannot be looked at, or the call failed, so it is left alone. Its ledger
    /// stays, and the next [`reap`] tries again.
    Failed,
    /// The object is in another mount or IPC namespace, as that of a container. Its ledger
    /// stays for a [`reap`] there, unless that namespace is seen to be gone.
    Elsewhere,
}

/// Looks at all ledgers without changing anything.
///
/// # Errors
///
/// If the folder cannot be read or locked. What is wrong with a single ledger is one of
/// the [problems](Scan::problems).
pub fn scan(folder: &LedgerDir) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let lock = folder.share()?;
    let here = Space::here();
    for name in folder.ledgers(&lock)? {
        let Some(ledger) = read(folder, &name, &mut scan.problems) else {
            continue;
        };
        for (_, record) in &ledger.records {
            let is_holder = matches!(record.role, Role::Open | Role::Created);
            if is_holder && ledger.space.shares(record.name.kind(), &here) {
                scan.holders.push(holder(record, &ledger.found));
            }
            if !ledger.found.alive {
                scan.leftovers
                    .extend(leftover(record, &ledger.space, &here));
            }
        }
    }
    Ok(scan)
}

/// Finishes the cleanup of every dead host: what its guests created is unlinked, and
/// semaphores that they took under `undo` are given back. An object is touched only
/// if it is the very one that the ledger is about.
///
/// # Errors
///
/// If the folder cannot be read or locked. What is wrong with a single ledger is one of
/// the [problems](Scan::problems), and keeps none of the others from being cleaned up.
pub fn reap(folder: &LedgerDir) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let lock = folder.claim()?;
    for name in folder.ledgers(&lock)? {
        let Some(ledger) = read(folder, &name, &mut scan.problems) else {
            // Not ours to judge, nor to remove.
            continue;
        };
        if ledger.found.alive {
            continue;
        }
        let mut file = ledger.found.records()?;
        let left = scan.leftovers.len();
        let complete = finish(
            &mut file,
            &ledger.space,
            &ledger.records,
            &mut scan.leftovers,
        );
        let elsewhere = |left: &Leftover| left.reaped == Reaped::Elsewhere;
        let gone = || scan.leftovers[left..].iter().all(elsewhere) && ledger.space.is_gone();
        // What could not be done is left for the next time.
        if complete || gone() {
            remove(folder, &name, &mut scan.problems);
        }
    }
    for name in folder.unfinished(&lock)? {
        remove(folder, &name, &mut scan.problems);
    }
    Ok(scan)
}

/// Does what is to be done about the records of a host, and crosses them out. Says
/// whether all could be done.
pub(super) fn finish(
    file: &mut SharedMemory,
    space: &Space,
    records: &[(u64, Record)],
    done: &mut Vec<Leftover>,
) -> bool {
    let here = Space::here();
    let mut complete = true;
    for (place, record) in records {
        let leftover = leftover(record, space, &here);
        let leftover = leftover.map(|leftover| act(file, *place, record, leftover));
        let reaped = leftover.as_ref().map(|leftover| leftover.reaped);
        if let Some(Reaped::Failed | Reaped::Elsewhere) = reaped {
            complete = false;
        } else {
            // If this fails, so it will the next time, or finds nothing to do.
            let _ = set_role(file, *place, Role::Free);
        }
        done.extend(leftover);
    }
    complete
}

fn remove(folder: &LedgerDir, name: &str, problems: &mut Vec<String>) {
    if let Err(error) = folder.remove(name) {
        let path = folder.shown(name);
        problems.push(format!("{} cannot be removed: {error}", path.display()));
    }
}

/// A ledger that could be read, and its records with their places, of which there are
/// none in one of an earlier boot.
struct Read {
    found: Found,
    space: Space,
    records: Vec<(u64, Record)>,
}

/// `None` if there is no such ledger, or none that can be read.
fn read(folder: &LedgerDir, name: &str, problems: &mut Vec<String>) -> Option<Read> {
    let mut problem = |why: &str| {
        let path = folder.shown(name);
        let path = path.display();
        problems.push(format!(
            "{path} is left alone: {why}; remove it once you know that it is not needed"
        ));
    };
    let read = || match Found::open(folder, name)? {
        Some(found) => found.read().map(|bytes| Some((found, bytes))),
        None => Ok(None),
    };
    let (found, bytes) = read()
        .map_err(|error: io::Error| problem(&error.to_string()))
        .ok()??;
    let (space, records) = match record::parse(&bytes) {
        Contents::Records(space, records) => (space, records),
        // The machine was started again, and the objects are gone.
        Contents::Outdated => (Space::here(), Vec::new()),
        // A host that is just starting.
        Contents::Unknown(_) if found.alive => return None,
        // One that died while it was starting.
        Contents::Unknown(_) if bytes.iter().all(|&byte| byte == 0) => (Space::here(), Vec::new()),
        Contents::Unknown(why) => {
            problem(why);
            return None;
        }
    };
    Some(Read {
        found,
        space,
        records,
    })
}

fn holder(record: &Record, found: &Found) -> Holder {
    Holder {
        kind: record.name.kind(),
        name: record.name.to_string(),
        device: record.identity.device,
        inode: record.identity.inode,
        guest: record.guest.clone(),
        process: found.process(),
        alive: found.alive,
        creator: record.role == Role::Created,
    }
}

/// What is to be done about a record of a dead host, if anything is.
fn leftover(record: &Record, space: &Space, here: &Space) -> Option<Leftover> {
    let reaped = if !is_leftover(record) {
        return None;
    } else if !space.shares(record.name.kind(), here) {
        Reaped::Elsewhere
    } else {
        match (record.role, target(record)) {
            (_, Err(_)) => Reaped::Failed,
            (_, Ok(None)) => return None,
            (Role::Undo, Ok(Some(_))) => Reaped::GivenBack(record.held),
            (_, Ok(Some(_))) => Reaped::Unlinked,
        }
    };
    Some(Leftover {
        kind: record.name.kind(),
        name: record.name.to_string(),
        guest: record.guest.clone(),
        reaped,
    })
}

/// Whether a record asks for anything at all.
fn is_leftover(record: &Record) -> bool {
    match record.role {
        Role::Free | Role::Open => false,
        Role::Undo => record.held > 0,
        Role::Creating | Role::Created => true,
    }
}

/// The object that is to be acted upon, if it is still there.
fn target(record: &Record) -> Result<Option<Identity>, Errno> {
    let now = match record.role {
        Role::Free | Role::Open => return Ok(None),
        Role::Creating => message_queue::identify_unfinished(&record.name),
        Role::Created | Role::Undo => {
            objects::identify(&record.name).map(|now| (now == record.identity).then_some(now))
        }
    };
    match now {
        // Another object's name by now, perhaps not even of this kind.
        Err(Errno::ENOENT | Errno::EINVAL) => Ok(None),
        now => now,
    }
}

fn act(file: &mut SharedMemory, place: u64, record: &Record, leftover: Leftover) -> Leftover {
    let done = match leftover.reaped {
        Reaped::Failed | Reaped::Elsewhere => return leftover,
        Reaped::Unlinked => objects::remove(&record.name),
        Reaped::GivenBack(count) => give_back(file, place, record, count),
    };
    match done {
        Ok(()) => leftover,
        Err(_) => Leftover {
            reaped: Reaped::Failed,
            ..leftover
        },
    }
}

/// Each token is crossed out before it is given back: whoever is killed in between has
/// lost it, and the next one does not give it back once more.
fn give_back(
    file: &mut SharedMemory,
    place: u64,
    record: &Record,
    count: u32,
) -> Result<(), Errno> {
    let semaphore = Semaphore::open(&record.name)?;
    if semaphore.identity() != record.identity {
        return Ok(());
    }
    for less in (0..count).rev() {
        set_held(file, place, less)?;
        if let Err(errno) = semaphore.release() {
            set_held(file, place, less + 1)?;
            return Err(errno);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::dir::Scratch;
    use super::super::{GuestLedger, Ledger};
    use super::*;
    use crate::name::Name;
    use std::fs::File;
    use std::time::Duration;

    const DEAD: &str = "1-dead.ledger";

    /// A folder with the ledger of a host that died while a guest had something open.
    fn with_a_dead_host() -> Scratch {
        let folder = Scratch::new();
        let ledger = Ledger::create(&folder).unwrap();
        let guest = GuestLedger::new(Some(ledger.clone()), "guest");
        let identity = Identity {
            device: 1,
            inode: 2,
        };
        let name = Name::new(Kind::Semaphore, "/posix-ipc.no-such-name").unwrap();
        let _open = guest.opens(&name, identity);
        let lock = folder.share().unwrap();
        let living = folder.ledgers(&lock).unwrap().remove(0);
        std::fs::copy(folder.path(&living), folder.path(DEAD)).unwrap();
        folder
    }

    /// Everybody who lists holders finds out whether a host lives by trying its lock.
    #[test]
    fn a_dead_host_is_dead_to_all_who_look_at_the_same_time() {
        let folder = with_a_dead_host();
        let looking = File::open(folder.path(DEAD)).unwrap();
        looking.try_lock_shared().unwrap();

        let seen = scan(&folder).unwrap();
        let alive = |holder: &Holder| holder.alive;
        assert_eq!(seen.holders.iter().map(alive).collect::<Vec<_>>(), [false]);
        reap(&folder).unwrap();
        assert!(!folder.path(DEAD).exists());
    }

    #[test]
    fn a_living_host_is_alive() {
        let folder = Scratch::new();
        let ledger = Ledger::create(&folder).unwrap();
        for _ in 0..2 {
            reap(&folder).unwrap();
            let lock = folder.claim().unwrap();
            assert_eq!(folder.ledgers(&lock).unwrap().len(), 1);
        }
        drop(ledger);
        let lock = folder.claim().unwrap();
        assert!(folder.ledgers(&lock).unwrap().is_empty());
    }

    #[test]
    fn one_ledger_that_cannot_be_read_does_not_keep_the_others() {
        let folder = with_a_dead_host();
        for unreadable in ["0-folder.ledger", "2-folder.ledger", ".3-folder.ledger"] {
            std::fs::create_dir(folder.path(unreadable)).unwrap();
        }
        assert_eq!(scan(&folder).unwrap().problems.len(), 2);
        let reaped = reap(&folder).unwrap();
        assert_eq!(reaped.problems.len(), 3, "{:?}", reaped.problems);
        assert!(!folder.path(DEAD).exists());
    }

    #[test]
    fn a_ledger_that_was_never_finished_goes_unless_its_host_is_at_it() {
        let folder = Scratch::new();
        let (hidden, finished) = (folder.path(".1-x.ledger"), folder.path("1-x.ledger"));
        File::create(&hidden).unwrap();
        // As a host has it that has come so far.
        let starting = folder.share().unwrap();
        std::thread::scope(|scope| {
            let reaper = scope.spawn(|| reap(&folder).unwrap());
            // Time for it to do wrong.
            std::thread::sleep(Duration::from_millis(20));
            std::fs::rename(&hidden, &finished).unwrap();
            let host = File::open(&finished).unwrap();
            host.try_lock().unwrap();
            drop(starting);
            assert!(reaper.join().unwrap().problems.is_empty());
            assert!(finished.exists());
        });

        File::create(&hidden).unwrap();
        reap(&folder).unwrap();
        assert!(!hidden.exists());
    }

    /// So many guests has nobody yet, but a host that has them must not lose the last.
    #[test]
    fn the_last_of_very_many_records_is_read() {
        const MANY: usize = 110_000;
        let folder = Scratch::new();
        let ledger = Ledger::create(&folder).unwrap();
        let guest = GuestLedger::new(Some(ledger), "guest");
        let identity = Identity {
            device: 1,
            inode: 2,
        };
        let name = Name::new(Kind::Semaphore, "/posix-ipc.no-such-name").unwrap();
        let entries: Vec<_> = (0..MANY).map(|_| guest.opens(&name, identity)).collect();
        assert_eq!(scan(&folder).unwrap().holders.len(), MANY);
        drop(entries);
    }

    #[test]
    fn a_file_that_is_too_long_is_reported_and_left_alone() {
        let folder = with_a_dead_host();
        let file = File::options().write(true).open(folder.path(DEAD)).unwrap();
        file.set_len(record::offset(record::MOST_RECORDS) + 1)
            .unwrap();
        let reaped = reap(&folder).unwrap();
        assert!(reaped.problems[0].contains("longer"), "{reaped:?}");
        assert!(folder.path(DEAD).exists());
    }

    /// What a guest could not remove is left to whoever looks next, though the host ends
    /// in order.
    #[test]
    fn what_a_guest_leaves_outlives_its_host() {
        let folder = Scratch::new();
        let ledger = Ledger::create(&folder).unwrap();
        let guest = GuestLedger::new(Some(ledger), "guest");
        let name = format!("/posix-ipc-test-{}", crate::random::word(16));
        let path = format!("/dev/shm{name}");
        std::fs::write(&path, "").unwrap();
        let name = Name::new(Kind::SharedMemory, &name).unwrap();
        let mut pending = guest.creates(&name);
        pending.created(objects::identify(&name).unwrap());
        pending.finish().0.leave();
        drop(guest);
        let reaped = reap(&folder).unwrap();
        assert_eq!(reaped.leftovers.len(), 1, "{reaped:?}");
        assert!(!std::path::Path::new(&path).exists());
        assert!(reap(&folder).unwrap().leftovers.is_empty());
    }
}
