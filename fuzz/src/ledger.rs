//! The ledger: whatever its file holds, reaping ends, and touches only the very objects
//! that the file is about.

use super::native::{self, Size};
use arbitrary::{Result, Unstructured};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;
use wasmtime_posix_ipc::grant::Kind;
use wasmtime_posix_ipc::ledger::{LedgerDir, reap, scan};

pub fn check(input: &[u8]) {
    let machine = Machine::new();
    let mut u = Unstructured::new(input);
    let file = match u.ratio(1, 8) {
        Ok(true) => u.take_rest().to_vec(),
        _ => machine.file(&mut u).unwrap_or_default(),
    };
    let expected = machine.expected(&file);
    let folder = LedgerDir::at(&machine.folder).expect("the folder is new");
    // The name of a process that there cannot be.
    let path = machine.folder.join("0-fuzz.ledger");
    std::fs::write(&path, &file).expect("the folder can be written to");
    scan(&folder).expect("the folder can be read");
    assert_eq!(
        machine.state(),
        machine.before,
        "looking has changed something"
    );
    reap(&folder).expect("the folder can be read");
    assert_eq!(machine.state(), expected);
}

/// Objects that are there, of which the ledger may be, and its folder. All of it goes
/// with the value.
struct Machine {
    prefix: String,
    folder: PathBuf,
    before: Vec<State>,
}

/// An object that a record can be about.
struct Object {
    kind: Kind,
    name: String,
}

/// What is to be seen of an object: if it is there, which one it is, and the value of a
/// semaphore.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    identity: Option<(u64, u64)>,
    value: Option<u32>,
}

const NAMES: [&str; 2] = ["finished", "unfinished"];
const VALUE: u32 = 3;

impl Machine {
    fn new() -> Self {
        let prefix = native::prefix();
        let folder = std::env::temp_dir().join(prefix[1..].trim_end_matches('.'));
        let mut this = Self {
            prefix,
            folder,
            before: Vec::new(),
        };
        for name in NAMES {
            let unfinished = name == "unfinished";
            let name = this.name(name);
            native::create_semaphore(&name, VALUE);
            native::create_segment(&name, b"segment");
            let size = Size {
                messages: 1,
                bytes: 1,
            };
            native::create_queue(&name, size, unfinished);
        }
        this.before = this.state();
        this
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn objects(&self) -> impl Iterator<Item = Object> {
        Kind::ALL.iter().flat_map(|&kind| {
            NAMES.map(|name| Object {
                kind,
                name: self.name(name),
            })
        })
    }

    fn state(&self) -> Vec<State> {
        let state = |Object { kind, name }| State {
            identity: native::identity(kind, &name),
            value: (kind == Kind::Semaphore)
                .then(|| native::semaphore(&name))
                .flatten(),
        };
        self.objects().map(state).collect()
    }

    /// A ledger about these objects, with some damage.
    fn file(&self, u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        let mut file = header();
        for _ in 0..u.int_in_range(0..=6)? {
            let object = u.choose_index(self.before.len())?;
            let record = Record::arbitrary(u)?;
            file.extend(record.bytes(self, object));
        }
        for _ in 0..u.int_in_range(0..=3)? {
            let at = u.choose_index(file.len())?;
            file[at] = u.arbitrary()?;
        }
        if u.ratio(1, 8)? {
            file.truncate(u.choose_index(file.len())?);
        }
        Ok(file)
    }

    /// What is to be left, read from the bytes of the file by the table in its manual.
    fn expected(&self, file: &[u8]) -> Vec<State> {
        let mut state = self.before.clone();
        let here = header();
        if file.len() < HEADER || file[..52] != here[..52] {
            return state;
        }
        for record in file[HEADER..].chunks_exact(SIZE) {
            let read = Some(record)
                .filter(|record| text(record, 288, 292, 92).is_some())
                .and_then(|record| text(record, 12, 32, 256));
            let Some(name) = read else { continue };
            for (object, state) in self.objects().zip(&mut state) {
                let identity = (long(record, 16), long(record, 24));
                if object.name != name || number(record, 8) != object.kind as u32 {
                    continue;
                }
                let space = match object.kind {
                    Kind::MessageQueue => QUEUES,
                    _ => MEMORY,
                };
                if file[space.clone()] != here[space] {
                    continue;
                }
                let same = state.identity == Some(identity);
                let unfinished =
                    object.kind == Kind::MessageQueue && object.name.ends_with(".unfinished");
                match number(record, 0) {
                    1 if unfinished && state.identity.is_some() => *state = GONE,
                    2 if same => *state = GONE,
                    4 if same && number(record, 4) <= MOST_HELD => {
                        state.value = state.value.map(|value| value + number(record, 4));
                    }
                    _ => {}
                }
            }
        }
        state
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for Object { kind, name } in self.objects() {
            native::unlink(kind, &name);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const GONE: State = State {
    identity: None,
    value: None,
};

// The layout of the file, see `src/ledger/record.rs`.
const HEADER: usize = 128;
const SIZE: usize = 384;
const MOST_HELD: u32 = 1 << 16;

/// Where the header says which objects are meant.
const MEMORY: Range<usize> = 56..72;
const QUEUES: Range<usize> = 72..80;

fn header() -> Vec<u8> {
    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut header = b"posix-ipc ledg 2".to_vec();
    header.extend(boot.iter().take(36));
    header.resize(MEMORY.start, 0);
    let memory = std::fs::metadata("/dev/shm").expect("semaphores have a directory");
    let born = memory.created().ok();
    let born = born.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let born = born.map_or(0, |born| born.as_nanos() as u64);
    let queues = std::fs::metadata("/proc/self/ns/ipc").expect("queues have a namespace");
    for number in [memory.dev(), born, queues.ino()] {
        header.extend(number.to_ne_bytes());
    }
    header.resize(HEADER, 0);
    header
}

fn number(record: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(record[at..at + 4].try_into().unwrap_or_default())
}

fn long(record: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(record[at..at + 8].try_into().unwrap_or_default())
}

fn text(record: &[u8], length: usize, at: usize, room: usize) -> Option<&str> {
    let text = record[at..at + room].get(..number(record, length) as usize)?;
    std::str::from_utf8(text).ok()
}

struct Record {
    role: u8,
    held: u8,
    /// Of another kind than the object whose name it has, and which.
    kind: Option<u32>,
    identity: Identity,
    label: u8,
}

enum Identity {
    Same,
    Unknown,
    /// Another device or inode by so much.
    Near(u8, u8),
}

impl Record {
    fn arbitrary(u: &mut Unstructured<'_>) -> Result<Self> {
        Ok(Self {
            role: u.int_in_range(0..=5)?,
            held: u.arbitrary()?,
            kind: match u.ratio(1, 8)? {
                true => Some(u.int_in_range(0..=3)?),
                false => None,
            },
            identity: match u.int_in_range(0..=3)? {
                0 => Identity::Unknown,
                1 => Identity::Near(u.arbitrary()?, u.arbitrary()?),
                _ => Identity::Same,
            },
            label: u.int_in_range(0..=92)?,
        })
    }

    fn bytes(self, machine: &Machine, object: usize) -> Vec<u8> {
        let (device, inode) = machine.before[object].identity.unwrap_or_default();
        let (device, inode) = match self.identity {
            Identity::Same => (device, inode),
            Identity::Unknown => (0, 0),
            Identity::Near(a, b) => (device.wrapping_add(a.into()), inode.wrapping_add(b.into())),
        };
        let Object { kind, name } = machine.objects().nth(object).expect("an object");
        let kind = self.kind.unwrap_or(kind as u32);
        let label = vec![b'x'; usize::from(self.label)];
        let mut bytes = Vec::with_capacity(SIZE);
        bytes.extend(u32::from(self.role).to_ne_bytes());
        bytes.extend(u32::from(self.held).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((name.len() as u32).to_ne_bytes());
        bytes.extend(device.to_ne_bytes());
        bytes.extend(inode.to_ne_bytes());
        bytes.extend(name.as_bytes());
        bytes.resize(288, 0);
        bytes.extend((label.len() as u32).to_ne_bytes());
        bytes.extend(label);
        bytes.resize(SIZE, 0);
        bytes
    }
}
