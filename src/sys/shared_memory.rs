//! Shared memory: `shm_open`, `ftruncate`, `mmap` and their family.
//!
//! References: POSIX `shm_open`, `ftruncate`, `mmap`; Linux `shm_overview(7)`.

use super::memory_file::{self, MemoryFile};
use super::sigbus::Guard;
use super::{Errno, Identity, Result, TRUNCATED, file_type, permissions, retry_on_intr};
use nix::fcntl::{FallocateFlags, OFlag, fallocate, open};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, lstat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{Whence, ftruncate, lseek};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// An open shared-memory object, closed on drop.
///
/// Everything that reads or writes it goes through a guarded mapping, so that a
/// peer can shrink the object at any moment: the call then fails with
/// [`TRUNCATED`] or comes back short, and the next one maps what is left. Pages come
/// with their first use: where the file system has none left, the call fails with
/// [`Errno::ENOSPC`].
pub(crate) struct SharedMemory {
    descriptor: Arc<OwnedFd>,
    writable: bool,
    mapping: Option<Arc<Mapping>>,
}

impl SharedMemory {
    /// Opens an existing object.
    pub(crate) fn open(name: &str, writable: bool) -> Result<Self> {
        let direction = if writable {
            OFlag::O_RDWR
        } else {
            OFlag::O_RDONLY
        };
        // As the C library's `shm_open`, which follows no link that somebody has
        // planted, and without getting stuck on a pipe.
        let flags = direction | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let path = memory_file::path(file_name(name)?);
        let this = Self::from_file(open(path.as_str(), flags, Mode::empty())?, writable);
        match file_type(&this.stat()?) {
            SFlag::S_IFREG => Ok(this),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Creates an object that must not exist, open for both directions. `created` is
    /// told which object it is before it has its name.
    pub(crate) fn create(
        name: &str,
        mode: u32,
        size: u64,
        created: impl FnOnce(Identity),
    ) -> Result<Self> {
        let file = MemoryFile::new(mode)?;
        let identity = file.identity;
        let this = Self::from_file(
            file.descriptor.try_clone().map_err(|_| Errno::EMFILE)?,
            true,
        );
        this.resize(size)?;
        created(identity);
        file.publish(file_name(name)?)?;
        Ok(this)
    }

    /// Shared memory that is a file somewhere else.
    pub(crate) fn from_file(descriptor: OwnedFd, writable: bool) -> Self {
        Self {
            descriptor: descriptor.into(),
            writable,
            mapping: None,
        }
    }

    pub(crate) fn identity(&self) -> Result<Identity> {
        self.stat().map(|stat| Identity::of(&stat))
    }

    /// The permission bits.
    pub(crate) fn mode(&self) -> Result<u32> {
        self.stat().map(|stat| permissions(&stat))
    }

    /// The size in bytes: `lseek` to the end, which takes a third of the time that
    /// `fstat` does. Nothing else uses the position.
    pub(crate) fn size(&self) -> Result<u64> {
        lseek(&self.descriptor, 0, Whence::SeekEnd).map(|size| size as u64)
    }

    /// The object itself, to map it.
    pub(crate) fn object(&self) -> Arc<OwnedFd> {
        self.descriptor.clone()
    }

    fn stat(&self) -> Result<FileStat> {
        fstat(&self.descriptor)
    }

    /// Grows a file and backs it with memory, so that a full file system is an error
    /// here and not at some later access: `fallocate`.
    pub(crate) fn reserve(&self, size: u64) -> Result<()> {
        let size = i64::try_from(size).map_err(|_| Errno::EFBIG)?;
        retry_on_intr(|| fallocate(&self.descriptor, FallocateFlags::empty(), 0, size))
    }

    /// `ftruncate`.
    pub(crate) fn resize(&self, size: u64) -> Result<()> {
        if !self.writable {
            return Err(Errno::EACCES);
        }
        // The call takes a signed size, and says `EINVAL` for what would wrap.
        let size = i64::try_from(size).map_err(|_| Errno::EINVAL)?;
        retry_on_intr(|| ftruncate(&self.descriptor, size))
    }

    /// Replaces what is in `bytes` by up to `length` bytes of the object, fewer only
    /// where it ends.
    pub(crate) fn read(&mut self, offset: u64, length: usize, bytes: &mut Vec<u8>) -> Result<()> {
        bytes.clear();
        let length = self.reach(offset, length)?;
        if length == 0 {
            return Ok(());
        }
        bytes.reserve_exact(length);
        let buffer = &mut bytes.spare_capacity_mut()[..length];
        self.mapping(offset, length)?.copy_out(offset, buffer);
        // SAFETY: that many bytes have just been written, the capacity allowing.
        unsafe { bytes.set_len(length) };
        match self.intact() {
            // Shrunk while we were reading: what was copied of its end is zeros
            // that nobody wrote.
            Err(TRUNCATED) => bytes.truncate(self.size_from(offset)?),
            // What has no page yet is zeros.
            Err(Errno::ENOSPC) => {}
            intact => intact?,
        }
        Ok(())
    }

    /// Copies bytes of the object over those of the buffer, fewer only where it ends,
    /// and gives how many. What is behind them in the buffer is unspecified.
    pub(crate) fn read_into(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let length = match self.shows(offset, buffer.len()) {
            true => buffer.len(),
            false => self.reach(offset, buffer.len())?,
        };
        if length == 0 {
            return Ok(0);
        }
        self.mapping(offset, length)?
            .copy_over(offset, &mut buffer[..length]);
        match self.intact() {
            Err(TRUNCATED) => Ok(length.min(self.size_from(offset)?)),
            Err(Errno::ENOSPC) => Ok(length),
            intact => intact.map(|()| length),
        }
    }

    /// Whether the object is seen to have all of a range. Between the end of an object and
    /// the end of its last page there are zeros, so what is not zero is not past the end:
    /// then there is no need to ask the system for the size, which takes longer than to copy
    /// a page.
    fn shows(&mut self, offset: u64, length: usize) -> bool {
        let Some(end) = offset.checked_add(length as u64) else {
            return false;
        };
        let seen = self.mapping.as_ref().is_some_and(|mapping| {
            offset < end && mapping.covers(&(offset..end)) && mapping.byte(end - 1) != 0
        });
        // The look itself may have met the end: then there is no mapping any more.
        self.intact().is_ok() && seen
    }

    /// How much of a range the object has. That much is mapped.
    fn reach(&mut self, offset: u64, length: usize) -> Result<usize> {
        // A peer may shrink the object between the look at its size and the mapping.
        const MOST_TRIES: usize = 100;
        for _ in 0..MOST_TRIES {
            let length = length.min(self.size_from(offset)?);
            match length {
                0 => return Ok(0),
                length => match self.mapping(offset, length) {
                    Err(TRUNCATED) => {}
                    mapping => return mapping.map(|_| length),
                },
            }
        }
        Err(TRUNCATED)
    }

    fn size_from(&self, offset: u64) -> Result<usize> {
        let size = self.size()?.saturating_sub(offset);
        Ok(usize::try_from(size).unwrap_or(usize::MAX))
    }

    /// Copies into the object, which must have room for all of it.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        if !self.writable {
            return Err(Errno::EACCES);
        }
        let end = offset.checked_add(data.len() as u64).ok_or(TRUNCATED)?;
        if !self.shows(offset, data.len()) && end > self.size()? {
            return Err(TRUNCATED);
        }
        if data.is_empty() {
            return Ok(());
        }
        self.mapping(offset, data.len())?.copy_in(offset, data);
        self.intact()
    }

    /// Runs `operation` on the 32-bit word at an offset.
    pub(crate) fn with_u32<T>(
        &mut self,
        offset: u64,
        write: bool,
        operation: impl FnOnce(&AtomicU32) -> T,
    ) -> Result<T> {
        let word = self.word(offset, size_of::<u32>(), write)?;
        // SAFETY: the word is mapped, aligned, and all parties access it atomically
        // or not through Rust. A read-only mapping is only loaded from: `write`.
        let result = operation(unsafe { AtomicU32::from_ptr(word.cast()) });
        self.intact().map(|()| result)
    }

    /// Runs `operation` on the 64-bit word at an offset.
    pub(crate) fn with_u64<T>(
        &mut self,
        offset: u64,
        write: bool,
        operation: impl FnOnce(&AtomicU64) -> T,
    ) -> Result<T> {
        let word = self.word(offset, size_of::<u64>(), write)?;
        // SAFETY: as for `with_u32`.
        let result = operation(unsafe { AtomicU64::from_ptr(word.cast()) });
        self.intact().map(|()| result)
    }

    fn word(&mut self, offset: u64, size: usize, write: bool) -> Result<*mut u8> {
        if write && !self.writable {
            return Err(Errno::EACCES);
        }
        if !offset.is_multiple_of(size as u64) {
            return Err(Errno::EINVAL);
        }
        let mapping = self.mapping(offset, size)?;
        Ok(mapping.at(offset))
    }

    /// The word at an offset as something to wait on, which keeps it mapped.
    pub(crate) fn waitable(&mut self, offset: u64) -> Result<MappedWord> {
        self.word(offset, size_of::<u32>(), false)?;
        let mapping = self.mapping.clone().ok_or(TRUNCATED)?;
        Ok(MappedWord { mapping, offset })
    }

    /// A mapping that covers the range. Made at the first use and again when the
    /// object has grown.
    fn mapping(&mut self, offset: u64, length: usize) -> Result<&Mapping> {
        let end = offset.checked_add(length as u64).ok_or(TRUNCATED)?;
        let covered = self
            .mapping
            .as_ref()
            .is_some_and(|mapping| mapping.covers(&(offset..end)));
        if !covered {
            let size = self.size()?;
            if end > size {
                return Err(TRUNCATED);
            }
            self.mapping = None;
            let part = part_to_map(size, offset..end);
            let mapping = Mapping::new(self.descriptor.clone(), part, self.writable)?;
            self.mapping = Some(mapping.into());
        }
        self.mapping.as_deref().ok_or(TRUNCATED)
    }

    /// Whether the object was whole during the access that was just made. If not,
    /// the mapping shows pages of zeros in places and is given up.
    #[inline]
    fn intact(&mut self) -> Result<()> {
        let intact = self
            .mapping
            .as_ref()
            .map_or(Ok(()), |mapping| mapping.intact());
        if intact.is_err() {
            self.mapping = None;
        }
        intact
    }
}

impl AsFd for SharedMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// A word of an object that stays mapped while somebody waits on it.
pub(crate) struct MappedWord {
    mapping: Arc<Mapping>,
    offset: u64,
}

impl MappedWord {
    pub(crate) fn get(&self) -> &AtomicU32 {
        // SAFETY: `SharedMemory::waitable` checked bounds and alignment, and the
        // mapping lives as long as `self`.
        unsafe { AtomicU32::from_ptr(self.mapping.at(self.offset).cast()) }
    }

    /// Loads the word, unless its object no longer reaches so far.
    pub(crate) fn load(&self) -> Result<u32> {
        let value = self.get().load(Ordering::SeqCst);
        self.mapping.intact().map(|()| value)
    }

    /// Whether both are the same word of one object, which may be mapped more than once.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.mapping.identity, self.offset) == (other.mapping.identity, other.offset)
    }
}

/// What to map of an object of this size for an access to this range: all of it, unless
/// that is very large. A peer can make an object of any size without any memory, and the
/// addresses of the process are for all guests.
fn part_to_map(size: u64, range: Range<u64>) -> Range<u64> {
    const LARGEST: u64 = 1 << 30;
    if size <= LARGEST {
        return 0..size;
    }
    let start = range.start - range.start % LARGEST;
    start..size.min(start.saturating_add(LARGEST)).max(range.end)
}

/// Part of an object as it was when it was mapped. No Rust reference to its bytes
/// is ever made, because peers change them at any time.
struct Mapping {
    start: NonNull<u8>,
    /// Where in the object it starts.
    offset: u64,
    size: usize,
    guard: ManuallyDrop<Guard>,
    descriptor: Arc<OwnedFd>,
    identity: Identity,
}

// SAFETY: the mapping is plain memory; access to it is by atomics and by copies
// that expect to race.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(descriptor: Arc<OwnedFd>, part: Range<u64>, writable: bool) -> Result<Self> {
        let offset = part.start;
        let size = usize::try_from(part.end - offset).map_err(|_| Errno::ENOMEM)?;
        let length = NonZeroUsize::new(size).ok_or(Errno::EINVAL)?;
        let protection = if writable {
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE
        } else {
            ProtFlags::PROT_READ
        };
        let identity = Identity::of(&fstat(&descriptor)?);
        // SAFETY: a new mapping at an address of the kernel's choice. The guard is
        // told of it, lives as long as it, and zeros are valid bytes.
        unsafe {
            let shared = MapFlags::MAP_SHARED;
            let start = mmap(None, length, protection, shared, &descriptor, offset as i64)?;
            let guard = ManuallyDrop::new(Guard::new(start.as_ptr(), size));
            Ok(Self {
                start: start.cast(),
                offset,
                size,
                guard,
                descriptor,
                identity,
            })
        }
    }

    /// Whether no access to the mapping has faulted, or why one has.
    #[inline]
    fn intact(&self) -> Result<()> {
        match self.guard.faulted() {
            false => Ok(()),
            true => Err(self.why_faulted()),
        }
    }

    #[cold]
    fn why_faulted(&self) -> Errno {
        let stat = fstat(&self.descriptor);
        let is_whole = stat.is_ok_and(|stat| stat.st_size as u64 >= self.end());
        let is_full = || {
            let statistics = fstatvfs(&self.descriptor);
            statistics.is_ok_and(|statistics| statistics.blocks_available() == 0)
        };
        match is_whole && is_full() {
            true => Errno::ENOSPC,
            false => TRUNCATED,
        }
    }

    /// Where in the object it ends.
    fn end(&self) -> u64 {
        self.offset + self.size as u64
    }

    fn covers(&self, range: &Range<u64>) -> bool {
        self.offset <= range.start && range.end <= self.end()
    }

    /// How much it has from an offset of the object on.
    fn room(&self, offset: u64) -> usize {
        (self.end() - offset) as usize
    }

    fn at(&self, offset: u64) -> *mut u8 {
        debug_assert!((self.offset..self.end()).contains(&offset));
        // SAFETY: every caller has found that the mapping covers the offset.
        unsafe { self.start.add((offset - self.offset) as usize).as_ptr() }
    }

    /// The byte at an offset, or 0 if a peer has cut it off.
    fn byte(&self, offset: u64) -> u8 {
        // SAFETY: the byte is mapped, and all parties access it atomically or not through
        // Rust.
        unsafe { AtomicU8::from_ptr(self.at(offset)) }.load(Ordering::Relaxed)
    }

    /// Copies as much as the mapping has and the buffer takes.
    fn copy_out(&self, offset: u64, buffer: &mut [MaybeUninit<u8>]) {
        let length = buffer.len().min(self.room(offset));
        // SAFETY: the range is inside the mapping. Peers may write at the same
        // time, through other mappings that Rust knows nothing of: the bytes may be
        // torn, which is what the interface says.
        unsafe { ptr::copy_nonoverlapping(self.at(offset), buffer.as_mut_ptr().cast(), length) }
    }

    /// As [`Self::copy_out`], over bytes that are there already.
    fn copy_over(&self, offset: u64, buffer: &mut [u8]) {
        let length = buffer.len().min(self.room(offset));
        // SAFETY: as for `copy_out`.
        unsafe { ptr::copy_nonoverlapping(self.at(offset), buffer.as_mut_ptr(), length) }
    }

    fn copy_in(&self, offset: u64, data: &[u8]) {
        debug_assert!(data.len() <= self.room(offset));
        // SAFETY: as for `copy_out`, and only writable mappings get here.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), self.at(offset), data.len()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing else refers to the mapping, and its guard goes first.
        unsafe {
            ManuallyDrop::drop(&mut self.guard);
            let _ = munmap(self.start.cast(), self.size);
        }
    }
}

/// `shm_unlink`.
pub(crate) fn unlink(name: &str) -> Result<()> {
    nix::unistd::unlink(memory_file::path(file_name(name)?).as_str())
}

/// The object that a name leads to now.
pub(crate) fn identify(name: &str) -> Result<Identity> {
    lstat(memory_file::path(file_name(name)?).as_str()).map(|stat| Identity::of(&stat))
}

/// How the file of an object is called: never a path to somewhere else.
fn file_name(name: &str) -> Result<&str> {
    match name.trim_start_matches('/') {
        "" | "." | ".." => Err(Errno::EINVAL),
        file if file.contains('/') => Err(Errno::EINVAL),
        file => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    /// Two pages full of ones without a name, and another descriptor of them.
    fn object() -> (SharedMemory, SharedMemory) {
        let name = format!("/posix-ipc.memory.{:016x}", rand::random::<u64>());
        let mut one = SharedMemory::create(&name, 0o600, 2 * PAGE, |_| {}).unwrap();
        let other = SharedMemory::open(&name, true).unwrap();
        unlink(&name).unwrap();
        one.write(0, &[1; 2 * PAGE as usize]).unwrap();
        (one, other)
    }

    fn read(object: &mut SharedMemory, offset: u64, length: usize) -> Vec<u8> {
        let mut buffer = vec![9; length];
        let length = object.read_into(offset, &mut buffer).unwrap();
        buffer.truncate(length);
        buffer
    }

    /// Where the object ends within a page that stays mapped, no access faults.
    #[test]
    fn the_end_is_found_within_a_page() {
        let (mut object, peer) = object();
        assert_eq!(read(&mut object, PAGE, 100), [1; 100]);
        peer.resize(PAGE + 10).unwrap();
        assert_eq!(read(&mut object, PAGE, 100), [1; 10]);
        assert_eq!(read(&mut object, PAGE, 10), [1; 10]);
        assert_eq!(read(&mut object, PAGE, 11), [1; 10]);
        assert_eq!(read(&mut object, PAGE + 10, 5), [0; 0]);
        assert_eq!(object.write(PAGE + 9, &[2, 2]), Err(TRUNCATED));
        assert_eq!(object.write(PAGE + 9, &[2]), Ok(()));
        peer.resize(2 * PAGE).unwrap();
        assert_eq!(read(&mut object, PAGE + 8, 4), [1, 2, 0, 0]);
    }

    /// A look at a page that is gone leaves nothing behind for the time when it is back.
    #[test]
    fn the_end_is_found_before_a_page_and_moves_again() {
        let (mut object, mut peer) = object();
        peer.resize(10).unwrap();
        assert_eq!(object.write(PAGE, &[3; 20]), Err(TRUNCATED));
        peer.resize(2 * PAGE).unwrap();
        peer.write(PAGE, &[4; 20]).unwrap();
        assert_eq!(read(&mut object, PAGE, 20), [4; 20]);
        assert_eq!(object.write(PAGE, &[5; 20]), Ok(()));
        assert_eq!(read(&mut peer, PAGE, 20), [5; 20]);
        peer.resize(10).unwrap();
        assert_eq!(read(&mut object, PAGE, 20), [0; 0]);
        assert_eq!(read(&mut object, 0, 20), [1; 10]);
    }
}
