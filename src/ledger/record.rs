//! The layout of a ledger file. All numbers are in the host's byte order: the file
//! never leaves the machine, nor outlives its boot.
//!
//! | offset | header | record |
//! |---|---|---|
//! | 0 | `MAGIC`, which ends in the version | role, 0 if not in use |
//! | 4 | | how often a semaphore is held |
//! | 8 | | kind |
//! | 12 | | length of the name |
//! | 16 | the boot of the machine: 36 bytes | device |
//! | 24 | | inode |
//! | 32 | | name, 256 bytes |
//! | 56 | the device of semaphores and shared memory, and when it was made | |
//! | 72 | the namespace of queues | |
//! | 288 | | length of the guest's label, and the label: 4 + 92 bytes |

use super::space::{self, Space};
use crate::name::{Kind, Name};
use crate::sys::Identity;

/// The bytes of the header, and of each record.
pub(super) const HEADER: usize = 128;
const SIZE: usize = 384;

/// Where in a record the count is that changes. The role is before it.
pub(super) const HELD: u64 = 4;

const MAGIC: &[u8; 16] = b"posix-ipc ledg 2";
const BOOT: usize = 36;
const SPACE: usize = 56;
const LONGEST_NAME: usize = 256;
const LONGEST_LABEL: usize = 92;

/// How often a guest may hold semaphores that are given back when it ends. To give back
/// this many takes milliseconds; a larger number in a ledger is damage.
pub(crate) const MOST_HELD: u32 = 1 << 16;

/// The most records of a ledger: 400 MB.
pub(super) const MOST_RECORDS: u64 = 1 << 20;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Free = 0,
    /// A queue that may have been created: which one it is was not known yet.
    Creating = 1,
    /// An object that goes when its guest goes.
    Created = 2,
    /// An object that a guest has open.
    Open = 3,
    /// A semaphore that is given back as often as it is held.
    Undo = 4,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) role: Role,
    pub(super) identity: Identity,
    pub(super) held: u32,
    /// The host's name of the object.
    pub(super) name: Name,
    pub(super) guest: String,
}

/// Where a record is.
pub(super) const fn offset(place: u64) -> u64 {
    HEADER as u64 + place * SIZE as u64
}

pub(super) fn header() -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    header[MAGIC.len()..][..BOOT].copy_from_slice(&boot());
    header[SPACE..][..space::SIZE].copy_from_slice(&Space::here().encode());
    header
}

/// What makes this boot of the machine different from others.
fn boot() -> [u8; BOOT] {
    let mut boot = [0; BOOT];
    let text = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let length = text.len().min(BOOT);
    boot[..length].copy_from_slice(&text[..length]);
    boot
}

/// What a file is.
pub(super) enum Contents {
    /// A ledger of this boot: where its objects are, and its records that are in use, with
    /// their places.
    Records(Space, Vec<(u64, Record)>),
    /// A ledger of an earlier boot, whose objects went with it.
    Outdated,
    /// Anything else, and what about it is wrong.
    Unknown(&'static str),
}

/// Reads a whole file. Records that make no sense are passed over: of those that do,
/// none is acted upon without a look at the object itself.
pub(super) fn parse(bytes: &[u8]) -> Contents {
    let Some((header, records)) = bytes.split_at_checked(HEADER) else {
        return Contents::Unknown("it is too short");
    };
    let version = MAGIC.len() - 1;
    if header[..version] != MAGIC[..version] {
        return Contents::Unknown("it is no ledger");
    }
    if header[version] != MAGIC[version] {
        return Contents::Unknown("another version of posix-ipc wrote it");
    }
    if header[MAGIC.len()..][..BOOT] != boot() {
        return Contents::Outdated;
    }
    let records = (0..).zip(records.chunks_exact(SIZE));
    let in_use = records.filter_map(|(place, bytes)| Some((place, decode(bytes)?)));
    let mut space = [0; space::SIZE];
    space.copy_from_slice(&header[SPACE..][..space::SIZE]);
    Contents::Records(Space::decode(space), in_use.collect())
}

impl Record {
    /// All but the role: the bytes from [`HELD`] on.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SIZE);
        let label = &self.guest[..self.guest.floor_char_boundary(LONGEST_LABEL)];
        bytes.extend(self.held.to_ne_bytes());
        bytes.extend((self.name.kind() as u32).to_ne_bytes());
        bytes.extend((self.name.as_str().len() as u32).to_ne_bytes());
        bytes.extend(self.identity.device.to_ne_bytes());
        bytes.extend(self.identity.inode.to_ne_bytes());
        extend_padded(&mut bytes, self.name.as_str().as_bytes(), LONGEST_NAME);
        bytes.extend((label.len() as u32).to_ne_bytes());
        extend_padded(&mut bytes, label.as_bytes(), LONGEST_LABEL);
        bytes
    }
}

fn extend_padded(bytes: &mut Vec<u8>, text: &[u8], length: usize) {
    let end = bytes.len() + length;
    bytes.extend(&text[..text.len().min(length)]);
    bytes.resize(end, 0);
}

fn decode(bytes: &[u8]) -> Option<Record> {
    let role = match number(bytes, 0)? {
        1 => Role::Creating,
        2 => Role::Created,
        3 => Role::Open,
        4 => Role::Undo,
        _ => return None,
    };
    let kind = Kind::ALL
        .iter()
        .copied()
        .find(|&kind| Some(kind as u32) == number(bytes, 8))?;
    let held = number(bytes, HELD as usize)?;
    let makes_sense = match role {
        // Only queues are there before it is known which one it is.
        Role::Creating => kind == Kind::MessageQueue,
        Role::Undo => kind == Kind::Semaphore && held <= MOST_HELD,
        Role::Free | Role::Created | Role::Open => true,
    };
    if !makes_sense {
        return None;
    }
    Some(Record {
        role,
        identity: Identity {
            device: long(bytes, 16)?,
            inode: long(bytes, 24)?,
        },
        held,
        name: Name::new(kind, &text(bytes, 32, LONGEST_NAME, number(bytes, 12)?)?).ok()?,
        guest: text(bytes, 292, LONGEST_LABEL, number(bytes, 288)?)?,
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn text(bytes: &[u8], at: usize, room: usize, length: u32) -> Option<String> {
    let bytes = bytes.get(at..at + room)?.get(..length as usize)?;
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            role: Role::Undo,
            identity: Identity {
                device: u64::MAX,
                inode: 7,
            },
            held: 3,
            name: Name::new(Kind::Semaphore, &format!("/{}", "é".repeat(125))).unwrap(),
            guest: "worker.wasm".into(),
        }
    }

    fn file(records: &[Record]) -> Vec<u8> {
        let mut file = header().to_vec();
        for record in records {
            file.extend((record.role as u32).to_ne_bytes());
            file.extend(record.encode());
            assert_eq!((file.len() - HEADER) % SIZE, 0);
        }
        file
    }

    fn records(file: &[u8]) -> Vec<Record> {
        match parse(file) {
            Contents::Records(_, records) => {
                records.into_iter().map(|(_, record)| record).collect()
            }
            _ => panic!("no records"),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let long = Record {
            guest: "ü".repeat(60),
            role: Role::Created,
            ..record()
        };
        let read = records(&file(&[record(), long]));
        assert_eq!(read[0], record());
        assert_eq!(read[1].guest, "ü".repeat(46));
    }

    #[test]
    fn damage_costs_only_what_is_damaged() {
        let whole = file(&[record(), record()]);
        for at in HEADER..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] = 0xff;
            let intact = records(&damaged)
                .iter()
                .filter(|&read| *read == record())
                .count();
            assert!(intact >= 1, "byte {at}");
        }
        for length in 0..whole.len() {
            parse(&whole[..length]);
        }
    }

    /// Each of these would be acted upon without a look at which object it is, or for
    /// minutes.
    #[test]
    fn damage_never_makes_a_record_mean_something_else() {
        let creating = Record {
            role: Role::Creating,
            ..record()
        };
        let held = Record {
            held: u32::MAX,
            ..record()
        };
        assert_eq!(records(&file(&[creating, held])), []);
    }

    #[test]
    fn strangers_and_other_versions_are_told_apart() {
        let mut other = file(&[record()]);
        other[15] = b'1';
        assert!(matches!(parse(&other), Contents::Unknown(why) if why.contains("version")));
        assert!(
            matches!(parse(&[b'x'; HEADER]), Contents::Unknown(why) if why.contains("no ledger"))
        );
        let mut earlier = file(&[record()]);
        earlier[20] ^= 1;
        assert!(matches!(parse(&earlier), Contents::Outdated));
    }
}
