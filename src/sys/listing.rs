//! The objects of the machine, listed by what the system shows of them.
//!
//! References: Linux `sem_overview(7)`, `shm_overview(7)`, `mq_overview(7)`, the
//! layout of `sem_t` in glibc (`nptl/sem_waitcommon.c`).

#![deny(unsafe_code)]

use super::memory_file::{DIRECTORY as MEMORY_DIRECTORY, SEMAPHORE_PREFIX};
use super::message_queue::{
    DIRECTORY as QUEUE_DIRECTORY, Direction, FILE_SYSTEM as QUEUE_FILE_SYSTEM, MessageQueue,
};
use super::{Errno, Identity, Result as SysResult, file_type, private_mount};
use crate::name::{Kind, Name};
use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat as Stat, Mode, SFlag, fstat, fstatat};
use nix::sys::statfs::fstatfs;
use nix::sys::uio::pread;
use std::ffi::CStr;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An object that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Object {
    /// Its name, with the leading slash. Bytes that are not UTF-8 are shown as
    /// U+FFFD.
    pub name: String,
    /// Its permission bits.
    pub mode: u32,
    /// The user that owns it.
    pub owner: u32,
    /// The group that owns it.
    pub group: u32,
    /// When its content was last changed by a call. Changes in mapped memory, and so
    /// to the value of a semaphore, are not seen.
    pub modified: SystemTime,
    /// The device that it is on. Together with the inode it says which object this
    /// is, whatever happens to its name.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// What is in it.
    pub content: Content,
}

/// What is in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A semaphore.
    Semaphore {
        /// Its value.
        value: u32,
    },
    /// A shared-memory object.
    SharedMemory {
        /// Its size in bytes.
        size: u64,
    },
    /// A message queue.
    MessageQueue {
        /// How many messages it holds at most.
        max_messages: u32,
        /// How many bytes one message has at most.
        max_message_size: u32,
        /// How many messages wait in it.
        messages: u32,
    },
    /// It exists, but what is in it is not known.
    Unknown {
        /// Why, in words.
        reason: String,
    },
}

/// The named semaphores.
///
/// # Errors
///
/// If the directory of their memory cannot be read.
pub fn semaphores() -> Result<Vec<Object>, ListError> {
    let object = |directory: BorrowedFd<'_>, file: &CStr, stat: &Stat| {
        let name = file.to_bytes().strip_prefix(SEMAPHORE_PREFIX.as_bytes())?;
        let content = match read_semaphore(directory, file, stat) {
            Ok(content) => content,
            Err(Errno::ENOENT) => return None,
            Err(errno) => unknown(errno),
        };
        Some(Object::new(name, stat, content))
    };
    list_memory("semaphores", object)
}

/// The shared-memory objects. The memory of semaphores is not among them.
///
/// # Errors
///
/// If their directory cannot be read.
pub fn shared_memory() -> Result<Vec<Object>, ListError> {
    let object = |_: BorrowedFd<'_>, file: &CStr, stat: &Stat| {
        let name = file.to_bytes();
        if name.starts_with(SEMAPHORE_PREFIX.as_bytes()) {
            return None;
        }
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        Some(Object::new(name, stat, Content::SharedMemory { size }))
    };
    list_memory("shared memory", object)
}

/// The message queues of this process's IPC namespace.
///
/// They are read from the file system of queues where it is mounted as usual, and
/// else from a mount of it that nobody else sees and that goes with the call. That
/// takes the privilege to mount (`CAP_SYS_ADMIN`).
///
/// # Errors
///
/// If neither is possible.
pub fn message_queues() -> Result<Vec<Object>, ListError> {
    let failed = |cause| ListError {
        what: "message queues",
        cause,
    };
    let directory = queue_directory().map_err(failed)?;
    let object = |_: BorrowedFd<'_>, file: &CStr, stat: &Stat| {
        let content = match read_queue(file, stat) {
            Ok(content) => content,
            Err(Errno::ENOENT) => Content::Unknown {
                reason: "not a queue of this IPC namespace".into(),
            },
            Err(errno) => unknown(errno),
        };
        Some(Object::new(file.to_bytes(), stat, content))
    };
    list(directory, object).map_err(|errno| failed(Cause::Directory(QUEUE_DIRECTORY, errno)))
}

impl Object {
    fn new(file: &[u8], stat: &Stat, content: Content) -> Self {
        let Identity { device, inode } = Identity::of(stat);
        Self {
            name: format!("/{}", String::from_utf8_lossy(file)),
            mode: stat.st_mode & 0o7777,
            owner: stat.st_uid,
            group: stat.st_gid,
            modified: time(stat),
            device,
            inode,
            content,
        }
    }
}

fn time(stat: &Stat) -> SystemTime {
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let whole = match stat.st_mtime {
        0.. => UNIX_EPOCH.checked_add(seconds),
        _ => UNIX_EPOCH.checked_sub(seconds),
    };
    let nanoseconds = Duration::from_nanos(stat.st_mtime_nsec.unsigned_abs());
    whole
        .and_then(|whole| whole.checked_add(nanoseconds))
        .unwrap_or(UNIX_EPOCH)
}

fn list_memory(
    what: &'static str,
    object: impl Fn(BorrowedFd<'_>, &CStr, &Stat) -> Option<Object>,
) -> Result<Vec<Object>, ListError> {
    open_directory(MEMORY_DIRECTORY)
        .and_then(|directory| list(directory, object))
        .map_err(|errno| ListError {
            what,
            cause: Cause::Directory(MEMORY_DIRECTORY, errno),
        })
}

/// The objects in a directory, sorted by name. Only regular files are objects: the
/// C library opens nothing else.
fn list(
    mut directory: Dir,
    object: impl Fn(BorrowedFd<'_>, &CStr, &Stat) -> Option<Object>,
) -> SysResult<Vec<Object>> {
    let entries = directory.iter().collect::<SysResult<Vec<_>>>()?;
    let mut objects = Vec::new();
    for entry in &entries {
        let file = entry.file_name();
        let stat = match fstatat(&directory, file, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Somebody was faster.
            Err(Errno::ENOENT) => continue,
            Err(errno) => return Err(errno),
        };
        if file_type(&stat) == SFlag::S_IFREG {
            objects.extend(object(directory.as_fd(), file, &stat));
        }
    }
    objects.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(objects)
}

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

fn open_directory(path: &str) -> SysResult<Dir> {
    Dir::from_fd(open(path, DIRECTORY, Mode::empty())?)
}

/// Reads the value of a semaphore out of its file. Mapping it, as `sem_open` does,
/// would let whoever shrinks the file end this process.
fn read_semaphore(directory: BorrowedFd<'_>, file: &CStr, stat: &Stat) -> SysResult<Content> {
    let size = size_of::<libc::sem_t>();
    if usize::try_from(stat.st_size) != Ok(size) {
        let reason = format!(
            "not a semaphore: the file has {} bytes instead of {size}",
            stat.st_size
        );
        return Ok(Content::Unknown { reason });
    }
    // The file may be something else by now, such as a pipe, which must not block.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = openat(directory, file, flags, Mode::empty())?;
    if Identity::of(&fstat(&file)?) != Identity::of(stat) {
        return Err(Errno::ENOENT);
    }
    let mut state = [0; size_of::<u64>()];
    if pread(&file, &mut state, 0)? != state.len() {
        return Err(Errno::ENOENT);
    }
    // The value is in the lower half, how many wait for it in the upper.
    let value = u64::from_ne_bytes(state) as u32;
    Ok(Content::Semaphore { value })
}

/// A directory of the queues.
fn queue_directory() -> Result<Dir, Cause> {
    let mounted = open_directory(QUEUE_DIRECTORY).ok().filter(|directory| {
        fstatfs(directory).is_ok_and(|system| system.filesystem_type() == QUEUE_FILE_SYSTEM)
    });
    match mounted {
        Some(directory) => Ok(directory),
        None => mount_privately().map_err(|errno| match errno {
            Errno::ENODEV => Cause::NoQueues,
            errno => Cause::NoMount(errno),
        }),
    }
}

/// Mounts the file system of queues nowhere: only the descriptor leads to it.
fn mount_privately() -> SysResult<Dir> {
    let mounted = private_mount::mount(c"mqueue")?;
    // The descriptor of a mount cannot be read as a directory; one that is opened
    // through it can.
    Dir::openat(mounted, c".", DIRECTORY, Mode::empty())
}

/// Reads the size and fill of a queue, in whichever direction its mode lets us open
/// it. That changes nothing about the queue.
fn read_queue(file: &CStr, stat: &Stat) -> SysResult<Content> {
    let name = file.to_str().map_err(|_| Errno::EILSEQ)?;
    let name = Name::new(Kind::MessageQueue, &format!("/{name}")).map_err(|_| Errno::EILSEQ)?;
    let queue = match MessageQueue::open(&name, Direction::Receive) {
        Err(Errno::EACCES) => MessageQueue::open(&name, Direction::Send)?,
        queue => queue?,
    };
    // A mount can show the queues of another namespace, which names do not reach.
    if queue.identity()? != Identity::of(stat) {
        return Err(Errno::ENOENT);
    }
    let attributes = queue.attributes()?;
    Ok(Content::MessageQueue {
        max_messages: attributes.size.max_messages,
        max_message_size: attributes.size.max_message_size,
        messages: attributes.current_messages,
    })
}

fn unknown(errno: Errno) -> Content {
    Content::Unknown {
        reason: words(errno),
    }
}

fn words(errno: Errno) -> String {
    match errno {
        Errno::EACCES | Errno::EPERM => "permission denied".into(),
        Errno::ENOENT => "it does not exist".into(),
        errno => errno.to_string(),
    }
}

/// Why objects could not be listed. The message says what would help.
#[derive(Clone, Debug)]
pub struct ListError {
    what: &'static str,
    cause: Cause,
}

#[derive(Clone, Debug)]
enum Cause {
    Directory(&'static str, Errno),
    NoQueues,
    NoMount(Errno),
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be listed: ", self.what)?;
        match self.cause {
            Cause::Directory(path, errno) => write!(f, "{path}: {}", words(errno)),
            Cause::NoQueues => f.write_str("this kernel has none"),
            Cause::NoMount(errno) => write!(
                f,
                "{QUEUE_DIRECTORY} is not mounted, and mounting it privately failed ({}); \
                 run as root, or have root mount it: \
                 mkdir -p {QUEUE_DIRECTORY} && mount -t mqueue none {QUEUE_DIRECTORY}",
                words(errno)
            ),
        }
    }
}

impl std::error::Error for ListError {}

#[cfg(test)]
mod tests {
    use super::super::message_queue::{self, QueueSize};
    use super::super::semaphore::{self, Semaphore};
    use super::super::shared_memory::{self, SharedMemory};
    use super::*;
    use std::fs;

    fn find(listed: Result<Vec<Object>, ListError>, name: &Name) -> Option<Object> {
        listed
            .unwrap()
            .into_iter()
            .find(|object| object.name == name.as_str())
    }

    #[test]
    fn a_semaphore_is_listed_with_its_value() {
        let name = Name::unique(Kind::Semaphore);
        let semaphore = Semaphore::create(&name, 0o640, 7, |_| {}).unwrap();
        semaphore.try_acquire().unwrap();
        let object = find(semaphores(), &name);
        let memory = format!("/sem.{}", name.stem());
        let memory = shared_memory()
            .unwrap()
            .into_iter()
            .find(|o| o.name == memory);
        semaphore::unlink(&name).unwrap();

        let object = object.unwrap();
        assert_eq!(object.content, Content::Semaphore { value: 6 });
        assert_eq!(object.mode & !0o040, 0o600);
        assert_eq!(object.owner, nix::unistd::geteuid().as_raw());
        let identity = semaphore.identity();
        assert_eq!(
            (object.device, object.inode),
            (identity.device, identity.inode)
        );
        assert!(object.modified.elapsed().unwrap() < Duration::from_secs(60));
        assert_eq!(memory, None);
        assert_eq!(find(semaphores(), &name), None);
    }

    #[test]
    fn shared_memory_is_listed_with_its_size() {
        let name = Name::unique(Kind::SharedMemory);
        let memory = SharedMemory::create(&name, 0o600, 0, |_| {}).unwrap();
        memory.resize(12345).unwrap();
        let object = find(shared_memory(), &name);
        shared_memory::unlink(&name).unwrap();
        assert_eq!(
            object.unwrap().content,
            Content::SharedMemory { size: 12345 }
        );
    }

    #[test]
    fn a_queue_is_listed_with_its_size_and_fill() {
        let name = Name::unique(Kind::MessageQueue);
        let size = QueueSize {
            max_messages: 3,
            max_message_size: 16,
        };
        let queue =
            MessageQueue::create(&name, Direction::Both, 0o600, Some(size), |_| {}).unwrap();
        queue.try_send(b"first", 0).unwrap();
        queue.try_send(b"second", 0).unwrap();
        let listed = message_queues();
        message_queue::unlink(&name).unwrap();
        match listed {
            Ok(_) => assert_eq!(
                find(listed, &name).unwrap().content,
                Content::MessageQueue {
                    max_messages: 3,
                    max_message_size: 16,
                    messages: 2
                }
            ),
            // Without privilege there may be no way to list queues.
            Err(error) => assert!(error.to_string().contains("mount -t mqueue"), "{error}"),
        }
    }

    #[test]
    fn a_file_that_is_no_semaphore_is_listed_as_that() {
        for content in [&b""[..], &[0; 31], &[0; 4096]] {
            let name = Name::unique(Kind::Semaphore);
            let path = format!("{MEMORY_DIRECTORY}/sem.{}", name.stem());
            fs::write(&path, content).unwrap();
            let object = find(semaphores(), &name);
            fs::remove_file(&path).unwrap();
            let reason = format!(
                "not a semaphore: the file has {} bytes instead of 32",
                content.len()
            );
            assert_eq!(object.unwrap().content, Content::Unknown { reason });
        }
    }

    #[test]
    fn what_is_no_regular_file_is_no_object() {
        let name = Name::unique(Kind::Semaphore);
        let path = format!("{MEMORY_DIRECTORY}{name}");
        let other = format!("{MEMORY_DIRECTORY}/sem.{}", name.stem());
        fs::create_dir(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &other).unwrap();
        let listed = (find(shared_memory(), &name), find(semaphores(), &name));
        fs::remove_dir(&path).unwrap();
        fs::remove_file(&other).unwrap();
        assert_eq!(listed, (None, None));
    }
}
