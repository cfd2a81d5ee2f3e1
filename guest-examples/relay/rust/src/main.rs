//! A stage of a relay, see ../README.md.
//!
//!     relay produce PREFIX COUNT
//!     relay consume PREFIX

use posix_ipc_guest::{Access, ErrorKind, Queue, QueueLimits, Segment, Semaphore};
use std::error::Error;
use std::thread::sleep;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SLOTS: u32 = 4;
const HEADER: u64 = 64;
const SLOT_SIZE: u32 = 4096;
const SIZE: u64 = HEADER + SLOTS as u64 * SLOT_SIZE as u64;

const FREE: u8 = 0;
const FILLED: u8 = 1;
const TRANSFORMED: u8 = 2;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["produce", prefix, count] => produce(prefix, count.parse()?),
        ["consume", prefix] => consume(prefix),
        _ => {
            eprintln!("usage: relay produce PREFIX COUNT\n       relay consume PREFIX");
            std::process::exit(2);
        }
    }
}

fn payload(seed: u32) -> Vec<u8> {
    let mut x = seed.wrapping_mul(2654435761);
    let length = 1 + (x >> 16) % SLOT_SIZE;
    let next = || {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x as u8
    };
    std::iter::repeat_with(next).take(length as usize).collect()
}

fn transformed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ 0x5a).collect()
}

fn fnv(bytes: &[u8]) -> u32 {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(16777619);
    bytes.iter().fold(2166136261, step)
}

/// What a message of the queue says.
struct Job {
    slot: u32,
    length: u32,
    seed: u32,
    checksum: u32,
}

impl Job {
    fn to_bytes(&self) -> Vec<u8> {
        let words = [self.slot, self.length, self.seed, self.checksum];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (words, []) = bytes.as_chunks::<4>() else {
            return Err("a message of a strange length".into());
        };
        match words
            .iter()
            .map(|word| u32::from_le_bytes(*word))
            .collect::<Vec<_>>()[..]
        {
            [slot, length, seed, checksum] => Ok(Self {
                slot,
                length,
                seed,
                checksum,
            }),
            _ => Err("a message of a strange length".into()),
        }
    }

    fn priority(seed: u32) -> u32 {
        1 + seed % 3
    }
}

/// The slots in shared memory: a byte of state for each, and their payloads.
struct Slots {
    memory: Segment,
    /// Guards the states: others change their neighbours.
    lock: Semaphore,
}

impl Slots {
    fn state(&self, slot: u32) -> Result<u8> {
        let _guard = self.lock.lock()?;
        Ok(self.memory.read(slot.into(), 1)?[0])
    }

    fn set_state(&self, slot: u32, state: u8) -> Result<()> {
        let _guard = self.lock.lock()?;
        Ok(self.memory.write(slot.into(), &[state])?)
    }

    fn offset(slot: u32) -> u64 {
        HEADER + u64::from(slot) * u64::from(SLOT_SIZE)
    }

    fn get(&self, slot: u32, length: usize) -> Result<Vec<u8>> {
        let bytes = self.memory.read(Self::offset(slot), length)?;
        if bytes.len() == length {
            Ok(bytes)
        } else {
            Err("the slots are cut short".into())
        }
    }

    fn put(&self, slot: u32, bytes: &[u8]) -> Result<()> {
        Ok(self.memory.write(Self::offset(slot), bytes)?)
    }
}

fn produce(prefix: &str, count: u32) -> Result<()> {
    let [room_name, lock_name, slots_name, jobs_name] =
        ["room", "lock", "slots", "jobs"].map(|suffix| format!("{prefix}.{suffix}"));
    let room = Semaphore::create_new(&room_name, SLOTS)?;
    let slots = Slots {
        memory: Segment::create_new(&slots_name, SIZE)?,
        lock: Semaphore::create_new(&lock_name, 1)?,
    };
    // The queue comes last: where it is, the others are.
    let jobs = Queue::options()
        .create_new(true)
        .limits(QueueLimits {
            max_messages: 8,
            max_message_size: 16,
        })
        .access(Access::Write)
        .open(&jobs_name)?;

    let mut bytes = 0;
    // What was put into each slot last.
    let mut in_slot = [0; SLOTS as usize];
    let verify = |slot: u32, seed: u32| -> Result<()> {
        let expected = transformed(&payload(seed));
        if slots.get(slot, expected.len())? != expected {
            return Err(format!("job {seed}: wrong transformed byte").into());
        }
        slots.set_state(slot, FREE)
    };
    for seed in 1..=count {
        room.acquire()?;
        let mut free = None;
        for slot in 0..SLOTS {
            match slots.state(slot)? {
                FILLED => continue,
                TRANSFORMED => verify(slot, in_slot[slot as usize])?,
                _ => {}
            }
            free = Some(slot);
            break;
        }
        let slot = free.ok_or("wrong count of free slots")?;
        let content = payload(seed);
        slots.put(slot, &content)?;
        slots.set_state(slot, FILLED)?;
        in_slot[slot as usize] = seed;
        bytes += content.len();
        let job = Job {
            slot,
            length: content.len() as u32,
            seed,
            checksum: fnv(&content),
        };
        jobs.send(&job.to_bytes(), Job::priority(seed))?;
    }
    for _ in 0..SLOTS {
        room.acquire()?;
    }
    for slot in 0..SLOTS {
        match slots.state(slot)? {
            FREE => {}
            TRANSFORMED => verify(slot, in_slot[slot as usize])?,
            _ => return Err("wrong count of free slots".into()),
        }
    }
    jobs.send(&[], 0)?;
    Semaphore::unlink(&room_name)?;
    Semaphore::unlink(&lock_name)?;
    Segment::unlink(&slots_name)?;
    Queue::unlink(&jobs_name)?;
    println!("produced {count} jobs, {bytes} bytes");
    Ok(())
}

fn consume(prefix: &str) -> Result<()> {
    let [room, lock, slots, jobs] =
        ["room", "lock", "slots", "jobs"].map(|suffix| format!("{prefix}.{suffix}"));
    let jobs = loop {
        match Queue::open(&jobs, Access::Read) {
            Err(error) if error.kind() == ErrorKind::NoEntry => sleep(Duration::from_millis(1)),
            opened => break opened?,
        }
    };
    let room = Semaphore::open(&room)?;
    let slots = Slots {
        memory: Segment::open(&slots, Access::ReadWrite)?,
        lock: Semaphore::open(&lock)?,
    };

    let (mut count, mut bytes, mut checksum) = (0, 0, 0u32);
    loop {
        let message = jobs.receive()?;
        if message.payload.is_empty() {
            break;
        }
        let job = Job::from_bytes(&message.payload)?;
        let wrong =
            |what: &str| -> Result<()> { Err(format!("job {}: wrong {what}", job.seed).into()) };
        if job.slot >= SLOTS || slots.state(job.slot)? != FILLED {
            wrong("slot")?;
        }
        if message.priority != Job::priority(job.seed) {
            wrong("priority")?;
        }
        let expected = payload(job.seed);
        if job.length as usize != expected.len() {
            wrong("length")?;
        }
        let found = slots.get(job.slot, expected.len())?;
        if found != expected {
            wrong("byte")?;
        }
        if fnv(&found) != job.checksum {
            wrong("checksum")?;
        }
        slots.put(job.slot, &transformed(&found))?;
        slots.set_state(job.slot, TRANSFORMED)?;
        room.release()?;
        count += 1;
        bytes += found.len();
        checksum = checksum.wrapping_add(job.checksum);
    }
    println!("consumed {count} jobs, {bytes} bytes, checksum {checksum:08x}");
    Ok(())
}
