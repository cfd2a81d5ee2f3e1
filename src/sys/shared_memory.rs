//! Shared memory: `shm_open`, `ftruncate`, `mmap` and their family.
//!
//! References: POSIX `shm_open`, `ftruncate`, `mmap`; Linux `shm_overview(7)`.

mod mapping;

pub(crate) use mapping::MappedWord;

use super::memory_file::{self, MemoryFile};
use super::{Errno, Identity, Result, TRUNCATED, permissions, retry_on_intr};
use crate::name::Name;
use mapping::{Mapping, part_to_map};
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use nix::sys::stat::{FileStat, fstat};
use nix::sys::uio::pread;
use nix::unistd::{Whence, ftruncate, lseek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// An open shared-memory object, closed on drop.
///
/// Everything that reads or writes it goes through a guarded mapping, so that a
/// peer can shrink the object at any moment: the call then fails with
/// [`TRUNCATED`] or comes back short, and the next one maps what is left. Pages come
/// with their first use: where the file system has none left, the call fails with
/// [`Errno::ENOSPC`].
///
/// A look through a mapping at a page that the object does not have gives it one. Whoever
/// may only read is not to fill the memory of the system so: as long as the object is not
/// known to have all its pages, that one reads by calls, which give it none.
pub(crate) struct SharedMemory {
    descriptor: Arc<OwnedFd>,
    writable: bool,
    /// Whether the object was found to have all its pages. It is not looked at again
    /// whether it still has: it had them.
    is_dense: bool,
    mapping: Option<Arc<Mapping>>,
}

impl SharedMemory {
    /// Opens an existing object.
    pub(crate) fn open(name: &Name, writable: bool) -> Result<Self> {
        let direction = if writable {
            OFlag::O_RDWR
        } else {
            OFlag::O_RDONLY
        };
        let path = memory_file::segment(name);
        let (descriptor, _) = memory_file::open_existing(&path, direction)?;
        Ok(Self::from_file(descriptor, writable))
    }

    /// Creates an object that must not exist, open for both directions. `created` is
    /// told which object it is before it has its name.
    pub(crate) fn create(
        name: &Name,
        mode: u32,
        size: u64,
        created: impl FnOnce(Identity),
    ) -> Result<Self> {
        let path = memory_file::segment(name);
        let file = MemoryFile::new(mode)?;
        let identity = file.identity;
        let this = Self::from_file(
            file.descriptor.try_clone().map_err(|_| Errno::EMFILE)?,
            true,
        );
        this.resize(size)?;
        created(identity);
        file.publish(&path)?;
        Ok(this)
    }

    /// Shared memory that is a file somewhere else.
    pub(crate) fn from_file(descriptor: OwnedFd, writable: bool) -> Self {
        Self {
            descriptor: descriptor.into(),
            writable,
            is_dense: false,
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
        if self.may_have_holes()? {
            bytes.resize(length.min(self.size_from(offset)?), 0);
            let length = self.read_by_call(offset, bytes)?;
            bytes.truncate(length);
            return Ok(());
        }
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
        if self.may_have_holes()? {
            return self.read_by_call(offset, buffer);
        }
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

    /// Whether a look through the mapping may be what gives the object a page.
    #[inline]
    fn may_have_holes(&mut self) -> Result<bool> {
        if !self.writable && !self.is_dense {
            /// What the system counts in, whatever the file system does.
            const BLOCK: i64 = 512;
            let stat = self.stat()?;
            self.is_dense = stat.st_blocks.saturating_mul(BLOCK) >= stat.st_size;
        }
        Ok(!self.writable && !self.is_dense)
    }

    fn read_by_call(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            let Ok(offset) = i64::try_from(offset.saturating_add(done as u64)) else {
                break;
            };
            match retry_on_intr(|| pread(&self.descriptor, &mut buffer[done..], offset))? {
                0 => break,
                read => done += read,
            }
        }
        Ok(done)
    }

    /// Whether a word is in no page, or zero as if it were. A word that is not zero is in a
    /// page, through which it is then loaded at once.
    fn is_blank(&mut self, offset: u64, size: usize) -> Result<bool> {
        if !self.may_have_holes()? {
            return Ok(false);
        }
        let mut word = [0; size_of::<u64>()];
        match self.read_by_call(offset, &mut word[..size])? == size {
            true => Ok(word == [0; 8]),
            false => Err(TRUNCATED),
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
        let Some(word) = word else {
            return Ok(operation(&AtomicU32::new(0)));
        };
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
        let Some(word) = word else {
            return Ok(operation(&AtomicU64::new(0)));
        };
        // SAFETY: as for `with_u32`.
        let result = operation(unsafe { AtomicU64::from_ptr(word.cast()) });
        self.intact().map(|()| result)
    }

    /// None if it is [blank](Self::is_blank), where it would be loaded.
    fn word(&mut self, offset: u64, size: usize, write: bool) -> Result<Option<*mut u8>> {
        if write && !self.writable {
            return Err(Errno::EACCES);
        }
        if !offset.is_multiple_of(size as u64) {
            return Err(Errno::EINVAL);
        }
        if !write && self.is_blank(offset, size)? {
            return Ok(None);
        }
        let mapping = self.mapping(offset, size)?;
        Ok(Some(mapping.at(offset)))
    }

    /// The word at an offset as something to wait on, which keeps it mapped, and gives the
    /// object a page for it.
    pub(crate) fn waitable(&mut self, offset: u64) -> Result<MappedWord> {
        const SIZE: usize = size_of::<u32>();
        if !offset.is_multiple_of(SIZE as u64) {
            return Err(Errno::EINVAL);
        }
        self.mapping(offset, SIZE)?;
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
            self.is_dense = false;
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
            self.is_dense = false;
        }
        intact
    }
}

impl AsFd for SharedMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// `shm_unlink`.
pub(crate) fn unlink(name: &Name) -> Result<()> {
    nix::unistd::unlink(memory_file::segment(name).as_str())
}

/// The object that a name leads to now.
pub(crate) fn identify(name: &Name) -> Result<Identity> {
    memory_file::identify(&memory_file::segment(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Kind;

    const PAGE: u64 = 4096;

    /// Two pages full of ones without a name, and another descriptor of them.
    fn object() -> (SharedMemory, SharedMemory) {
        let name = Name::unique(Kind::SharedMemory);
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

    /// A sparse object of a peer is no way to take the memory of the system.
    #[test]
    fn whoever_may_only_read_gives_an_object_no_page() {
        const PAGES: u64 = 64;
        let name = Name::unique(Kind::SharedMemory);
        let mut peer = SharedMemory::create(&name, 0o600, PAGES * PAGE, |_| {}).unwrap();
        let mut object = SharedMemory::open(&name, false).unwrap();
        unlink(&name).unwrap();
        let pages = |object: &SharedMemory| object.stat().unwrap().st_blocks as u64 * 512 / PAGE;

        peer.write(7 * PAGE + 8, &[1; 4]).unwrap();
        let mut all = Vec::new();
        for round in 0..2 {
            object.read(0, usize::MAX, &mut all).unwrap();
            assert_eq!(all.len() as u64, PAGES * PAGE);
            assert_eq!(all.iter().map(|&byte| u64::from(byte)).sum::<u64>(), 4);
            assert_eq!(read(&mut object, 7 * PAGE, 12)[8..], [1; 4]);
            assert_eq!(read(&mut object, PAGES * PAGE - 1, 2), [0]);
            for page in 0..PAGES {
                let load = |word: &AtomicU32| word.load(std::sync::atomic::Ordering::SeqCst);
                let word = object.with_u32(page * PAGE + 8, false, load).unwrap();
                assert_eq!(word, if page == 7 { 0x0101_0101 } else { 0 });
            }
            let load = |word: &AtomicU64| word.load(std::sync::atomic::Ordering::SeqCst);
            assert_eq!(object.with_u64(PAGES * PAGE, false, load), Err(TRUNCATED));
            assert_eq!(pages(&object), 1, "round {round}");
        }
        // Once it has them all, it is mapped.
        peer.write(0, &[1; (PAGES * PAGE) as usize]).unwrap();
        assert_eq!(read(&mut object, 0, 3), [1; 3]);
        assert!(object.is_dense && object.mapping.is_some());
    }
}
