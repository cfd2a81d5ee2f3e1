//! Where objects are: the file system of semaphores and shared memory, and the namespace
//! of queues. A name in another container leads to another object, and so does the
//! same name in the next life of the same container.

use crate::grant::Kind;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

/// The directory of semaphores and shared memory.
const MEMORY: &str = "/dev/shm";

/// The namespace of processes that sees them all, by its number: `PROC_PID_INIT_INO`.
const ALL_PROCESSES: u64 = 0xEFFF_FFFC;

/// What a process sees. A part that cannot be looked at is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// The device of the file system, and when that was made, in nanoseconds: another one
    /// may have the same device later, and its first file the same inode.
    memory: [u64; 2],
    /// The namespace of queues. Another one may have its number later, but the inodes of
    /// queues are those of the system, and are not repeated.
    queues: u64,
}

/// The bytes of a space in the header of a ledger.
pub(super) const SIZE: usize = 24;

impl Space {
    /// That of this process.
    pub(super) fn here() -> Self {
        let memory = std::fs::metadata(MEMORY).ok();
        Self {
            memory: memory.map_or([0; 2], |root| [root.dev(), born(&root)]),
            queues: namespace("self", "ipc").unwrap_or(0),
        }
    }

    /// Whether objects of this kind are the same here and there.
    pub(super) fn shares(&self, kind: Kind, other: &Self) -> bool {
        match kind {
            Kind::Semaphore | Kind::SharedMemory => self.memory == other.memory,
            Kind::MessageQueue => self.queues == other.queues,
        }
    }

    /// Whether no process sees any of this any more. Only who sees all processes knows; a
    /// space that is in doubt exists.
    pub(super) fn is_gone(&self) -> bool {
        namespace("self", "pid") == Some(ALL_PROCESSES) && self.is_unseen().unwrap_or(false)
    }

    fn is_unseen(&self) -> Option<bool> {
        for process in std::fs::read_dir("/proc").ok()? {
            let process = process.ok()?.file_name();
            let Some(id) = process.to_str().filter(|name| name.parse::<u32>().is_ok()) else {
                continue;
            };
            // What the kernel writes: to look into the directory of a container could take
            // as long as somebody there likes.
            let mounts = std::fs::read_to_string(format!("/proc/{id}/mountinfo"));
            match (namespace(id, "ipc"), mounts) {
                (Some(queues), Ok(mounts)) => {
                    let memory = memory_device(&mounts);
                    if queues == self.queues || memory == Some(self.memory[0]) {
                        return Some(false);
                    }
                }
                _ if has_ended(id) => {}
                _ => return None,
            }
        }
        Some(true)
    }

    pub(super) fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let numbers = [self.memory[0], self.memory[1], self.queues];
        for (bytes, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            bytes.copy_from_slice(&number.to_ne_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: [u8; SIZE]) -> Self {
        let number = |at: usize| {
            let bytes = bytes[at..at + 8].try_into().unwrap_or_default();
            u64::from_ne_bytes(bytes)
        };
        Self {
            memory: [number(0), number(8)],
            queues: number(16),
        }
    }
}

/// Whether a process is no more, or nothing but its exit code.
fn has_ended(process: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    status.map_or(true, |status| status.contains("\nState:\tZ"))
}

fn born(root: &Metadata) -> u64 {
    let born = root.created().ok();
    let since = born.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_nanos() as u64)
}

fn namespace(process: &str, kind: &str) -> Option<u64> {
    let link = format!("/proc/{process}/ns/{kind}");
    std::fs::metadata(link).ok().map(|file| file.ino())
}

/// The device that is mounted where semaphores are, of a process's `mountinfo`:
/// `31 25 0:27 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw`.
fn memory_device(mounts: &str) -> Option<u64> {
    let mount = |line: &str| {
        let mut fields = line.split(' ').skip(2);
        let (major, minor) = fields.next()?.split_once(':')?;
        let is_memory = fields.nth(1)? == MEMORY;
        let device = nix::sys::stat::makedev(major.parse().ok()?, minor.parse().ok()?);
        is_memory.then_some(device)
    };
    // The one that was mounted last hides the others.
    mounts.lines().rev().find_map(mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_among_all() {
        let here = Space::here();
        assert_ne!(here.queues, 0);
        assert_eq!(Space::decode(here.encode()), here);
        assert!(!here.is_gone());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        if let Some(device) = memory_device(&mounts) {
            assert_eq!(device, here.memory[0]);
        }
    }

    /// Only for who can look at all processes.
    #[test]
    fn what_no_process_sees_is_gone() {
        let nowhere = Space {
            memory: [u64::MAX; 2],
            queues: u64::MAX,
        };
        let sees_first = namespace("1", "ipc").is_some();
        let sees_all = sees_first && namespace("self", "pid") == Some(ALL_PROCESSES);
        assert_eq!(
            nowhere.is_gone(),
            sees_all && nix::unistd::geteuid().is_root()
        );
    }

    #[test]
    fn a_new_file_system_is_another_one_though_it_has_the_number_of_the_old() {
        let here = Space::here();
        let mut next_life = here;
        next_life.memory[1] += 1;
        assert!(!here.shares(Kind::Semaphore, &next_life));
        assert!(!here.shares(Kind::SharedMemory, &next_life));
        assert!(here.shares(Kind::MessageQueue, &next_life));
    }
}
