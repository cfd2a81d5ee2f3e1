//! Mappings: objects mapped into the address range of a guest, above its memory.
//!
//! For the memory of a guest wasmtime reserves the whole range that a 32-bit
//! address reaches, and memory takes the beginning of it, up to its length. Compiled
//! code need not compare an address with the length: past the length there are only
//! pages without access rights, and touching one is a trap. A mapping is an object
//! that is mapped among those pages, so the guest's loads, stores and atomics reach
//! it and nothing else does: bulk instructions, the adapters between components and
//! every access of the host compare with the length of the memory first. That is
//! what keeps Rust from ever making a reference to bytes that a peer is changing.
//!
//! The memory must not grow into its mappings, so memories with room for mappings are
//! made here, by a [`Creator`], and end below [`FIRST`].
//!
//! References: wasmtime `MemoryCreator`; Linux `mmap(2)`, `memfd_create(2)`.

use super::limits::page_size;
use super::sigbus::{self, Guard};
use super::{Errno, Result};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};
use nix::sys::stat::fstat;
use nix::sys::uio::{pread, pwrite};
use nix::unistd::ftruncate;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// What a 32-bit address reaches. A memory for which less is reserved has compiled
/// code that compares with its length.
const REACH: usize = 1 << 32;

/// The page of WebAssembly.
const WASM_PAGE: usize = 1 << 16;

/// The guest address of the first mapping.
pub(crate) const FIRST: usize = 0xC000_0000;

/// Where mappings end: the last page of the range stays empty, so that nothing wraps.
const END: usize = REACH - WASM_PAGE;

/// The most that a memory with room for mappings grows to: a page short of the
/// first mapping, so that no access reaches over the end of the one into the other.
const LARGEST_MEMORY: usize = FIRST - WASM_PAGE;

/// The memories of an engine's guests, found by address.
#[derive(Default)]
pub(crate) struct Registry {
    regions: Mutex<BTreeMap<usize, Arc<Region>>>,
}

impl Registry {
    /// The memory that an address of this process lies in.
    pub(crate) fn find(&self, address: usize) -> Option<Arc<Region>> {
        let regions = lock(&self.regions);
        let (_, region) = regions.range(..=address).next_back()?;
        (address - region.base.addr().get() < region.reserved).then(|| region.clone())
    }
}

/// Makes the memories of an engine's guests.
pub(crate) struct Creator(pub(crate) Arc<Registry>);

// SAFETY: a memory has all of the reservation and the guard that are asked for, is
// zeroed, aligned to pages, does not move, and goes only when it is dropped. What it
// lets happen besides is the subject of this module: objects are mapped where the
// caller expects pages that cannot be accessed. Whether the code that an engine
// compiles works with that is for `crate::mappings` to find out before it maps any.
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> std::result::Result<Box<dyn LinearMemory>, String> {
        let describe = |errno: Errno| format!("cannot reserve memory for a guest: {errno}");
        let region = Region::new(&ty, minimum, reserved.unwrap_or(0), guard).map_err(describe)?;
        let region = Arc::new(region);
        let mut memory = Memory {
            region: region.clone(),
            registry: self.0.clone(),
            length: 0,
        };
        lock(&self.0.regions).insert(region.base.addr().get(), region);
        memory.resize(minimum).map_err(describe)?;
        Ok(Box::new(memory))
    }
}

/// The memory of a guest. Dropping it ends its mappings.
struct Memory {
    region: Arc<Region>,
    registry: Arc<Registry>,
    length: usize,
}

impl Memory {
    /// Makes the bytes up to `length` accessible.
    fn resize(&mut self, length: usize) -> Result<()> {
        if length > self.region.capacity {
            return Err(Errno::ENOMEM);
        }
        let (from, to) = (round_up(self.length), round_up(length));
        if from < to {
            self.region.open_up(from..to)?;
        }
        self.length = length;
        Ok(())
    }
}

// SAFETY: the memory is aligned to pages and followed by the guard. `byte_size` is
// what `resize` has made accessible, and the base never changes.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.length
    }

    fn byte_capacity(&self) -> usize {
        self.region.capacity
    }

    fn grow_to(&mut self, length: usize) -> wasmtime::Result<()> {
        Ok(self.resize(length).map_err(std::io::Error::from)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.region.base.as_ptr()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let base = self.region.base.addr().get();
        lock(&self.registry.regions).remove(&base);
        self.region.close();
    }
}

/// A range of addresses that was reserved for the memory of a guest.
pub(crate) struct Region {
    base: NonNull<u8>,
    /// Of the memory, without the guard.
    reserved: usize,
    /// With the guard.
    total: usize,
    /// The most that the memory may grow to.
    capacity: usize,
    has_room: bool,
    state: Mutex<State>,
}

struct State {
    /// Whether the range is still reserved.
    open: bool,
    /// In the order of their addresses.
    mappings: Vec<Mapped>,
}

struct Mapped {
    /// Guest addresses, whole pages.
    range: Range<usize>,
    /// None once the mapping is gone and its pages could not be given back.
    guard: Option<Guard>,
}

// SAFETY: a region is addresses. What is done to the pages behind them is done
// under the lock of its state, or by the one owner of the memory.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    fn new(ty: &MemoryType, minimum: usize, reserved: usize, guard: usize) -> Result<Self> {
        let whole_range = |pages: u64| pages.saturating_mul(WASM_PAGE as u64) >= REACH as u64;
        let has_room = reserved >= REACH
            && minimum <= LARGEST_MEMORY
            && ty.page_size() == WASM_PAGE as u64
            && !ty.is_64()
            && !ty.is_shared()
            // Of a memory with a smaller maximum the compiler knows that an
            // address past it cannot be meant.
            && ty.maximum().is_none_or(whole_range);
        let reserved = round_up(reserved.max(minimum));
        let total = reserved
            .checked_add(guard)
            .map(round_up)
            .and_then(|total| NonZeroUsize::new(total.max(page_size())))
            .ok_or(Errno::ENOMEM)?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
            mmap_anonymous(None, total, ProtFlags::PROT_NONE, flags)?
        };
        Ok(Self {
            base: base.cast(),
            reserved,
            total: total.get(),
            capacity: if has_room { LARGEST_MEMORY } else { reserved },
            has_room,
            state: Mutex::new(State {
                open: true,
                mappings: Vec::new(),
            }),
        })
    }

    /// Whether objects can be mapped above the memory.
    pub(crate) fn has_room(&self) -> bool {
        self.has_room
    }

    /// Makes pages of the memory accessible.
    fn open_up(&self, pages: Range<usize>) -> Result<()> {
        debug_assert!(pages.end <= round_up(self.capacity));
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the pages are inside the reservation, below every mapping, and
        // nothing has been able to use them so far.
        unsafe { mprotect(self.at(pages.start), pages.len(), access) }
    }

    /// Maps `length` bytes of an object from an offset that is a multiple of the
    /// page size. `Errno::ENOSPC` if there is no room for so many.
    pub(crate) fn map(
        self: &Arc<Self>,
        object: Arc<OwnedFd>,
        offset: u64,
        length: usize,
        writable: bool,
    ) -> Result<GuestMapping> {
        let page = page_size();
        let end = offset.checked_add(length as u64).ok_or(Errno::EINVAL)?;
        if length == 0 || !offset.is_multiple_of(page as u64) {
            return Err(Errno::EINVAL);
        }
        if !self.has_room {
            return Err(Errno::ENOTSUP);
        }
        if length > END - FIRST {
            return Err(Errno::ENOSPC);
        }
        sigbus::prepare()?;
        let mut state = lock(&self.state);
        if !state.open {
            return Err(Errno::EBADF);
        }
        let (index, range) = state.place(round_up(length)).ok_or(Errno::ENOSPC)?;
        let mut access = ProtFlags::PROT_READ;
        access.set(ProtFlags::PROT_WRITE, writable);
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        // SAFETY: the range is inside the reservation, above all that the memory
        // can grow to, and held by no other mapping: it replaces pages that nobody
        // can access. From now on only compiled code of the guest accesses it.
        let mapped = unsafe {
            let (start, length) = (self.at(range.start).addr(), range.len());
            let length = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
            mmap(Some(start), length, access, flags, &object, offset as i64)
        };
        if let Err(errno) = mapped {
            // A call that failed may have taken the old pages away.
            let _ = self.clear(&range);
            return Err(errno);
        }
        let guard = Some(Guard::trapping(self.at(range.start).as_ptr(), range.len()));
        let address = range.start;
        state.mappings.insert(index, Mapped { range, guard });
        Ok(GuestMapping {
            region: self.clone(),
            address,
            length,
            object,
            end,
        })
    }

    /// Unmaps the mapping that starts at a guest address.
    fn unmap(&self, address: usize) {
        let mut state = lock(&self.state);
        // After the memory's end its mappings are gone, and the addresses may
        // belong to somebody else.
        if !state.open {
            return;
        }
        let start = |mapped: &Mapped| mapped.range.start;
        if let Ok(index) = state.mappings.binary_search_by_key(&address, start) {
            state.mappings[index].guard = None;
            if self.clear(&state.mappings[index].range).is_ok() {
                state.mappings.remove(index);
            }
        }
    }

    /// Takes the access rights of a mapping's range away for good, and gives its
    /// pages back. If the kernel has no room for that, the range stays in use.
    fn clear(&self, range: &Range<usize>) -> Result<()> {
        let start = self.at(range.start);
        let length = NonZeroUsize::new(range.len()).ok_or(Errno::EINVAL)?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE | MapFlags::MAP_FIXED;
        // SAFETY: the range belongs to a mapping that is ending. It is replaced in one
        // step: an unmapped hole could be filled by a mapping of somebody else, which
        // the guest would reach.
        unsafe {
            mmap_anonymous(Some(start.addr()), length, ProtFlags::PROT_NONE, flags)
                .map(drop)
                .inspect_err(|_| {
                    let _ = mprotect(start, length.get(), ProtFlags::PROT_NONE);
                })
        }
    }

    /// Unmaps everything.
    fn close(&self) {
        let mut state = lock(&self.state);
        state.open = false;
        state.mappings.clear();
        // SAFETY: the memory is being dropped, so no guest runs in it, and from now on
        // no mapping touches the range.
        unsafe {
            let _ = munmap(self.base.cast(), self.total);
        }
    }

    fn mapping_faulted(&self, address: usize) -> bool {
        let state = lock(&self.state);
        let start = |mapped: &Mapped| mapped.range.start;
        let mapping = state.mappings.binary_search_by_key(&address, start);
        let guard = mapping.map(|index| &state.mappings[index].guard);
        matches!(guard, Ok(Some(guard)) if guard.faulted())
    }

    fn at(&self, offset: usize) -> NonNull<c_void> {
        debug_assert!(offset <= self.total);
        // SAFETY: every caller stays within the range that was reserved.
        unsafe { self.base.add(offset).cast() }
    }
}

impl State {
    /// The first free range of this length, with a page that nobody can access
    /// between any two mappings, and its place in the order.
    fn place(&self, length: usize) -> Option<(usize, Range<usize>)> {
        let mut start = FIRST;
        for (index, mapping) in self.mappings.iter().enumerate() {
            if mapping.range.start - start > length {
                return Some((index, start..start + length));
            }
            start = mapping.range.end + page_size();
        }
        let end = start.checked_add(length).filter(|&end| end <= END)?;
        Some((self.mappings.len(), start..end))
    }
}

/// Part of an object in the address range of a guest. Dropping it unmaps it.
pub(crate) struct GuestMapping {
    region: Arc<Region>,
    address: usize,
    length: usize,
    object: Arc<OwnedFd>,
    /// How long the object has to be for all of the mapping.
    end: u64,
}

/// Why an access to a mapping failed that the mapping's bounds allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The object no longer reaches so far.
    Shrunk,
    /// The system had no memory for a page that had never been written.
    NoMemory,
}

impl GuestMapping {
    /// The guest address of the first byte.
    pub(crate) fn address(&self) -> u64 {
        self.address as u64
    }

    /// The length in bytes that was asked for.
    pub(crate) fn length(&self) -> u64 {
        self.length as u64
    }

    /// Whether an access of the guest found no page behind the mapping.
    pub(crate) fn fault(&self) -> Option<Fault> {
        if !self.region.mapping_faulted(self.address) {
            return None;
        }
        let whole = fstat(&self.object).is_ok_and(|stat| stat.st_size as u64 >= self.end);
        Some(if whole {
            Fault::NoMemory
        } else {
            Fault::Shrunk
        })
    }
}

impl Drop for GuestMapping {
    fn drop(&mut self) {
        self.region.unmap(self.address);
    }
}

/// The bytes that a mapping of this length takes of a guest's address range.
pub(crate) fn pages(length: usize) -> u64 {
    (length as u64).saturating_add(page_size() as u64 - 1) / page_size() as u64 * page_size() as u64
}

fn round_up(length: usize) -> usize {
    length.next_multiple_of(page_size())
}

/// An object without a name, to try mappings out with.
pub(crate) struct Scratch(Arc<OwnedFd>);

impl Scratch {
    pub(crate) fn new(size: u64) -> Result<Self> {
        let object = memfd_create("posix-ipc.self-test", MFdFlags::MFD_CLOEXEC)?;
        ftruncate(&object, size as i64)?;
        Ok(Self(object.into()))
    }

    pub(crate) fn object(&self) -> Arc<OwnedFd> {
        self.0.clone()
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let written = pwrite(&self.0, bytes, offset as i64)?;
        if written == bytes.len() {
            Ok(())
        } else {
            Err(Errno::EIO)
        }
    }

    pub(crate) fn read<const N: usize>(&self, offset: u64) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        let read = pread(&self.0, &mut bytes, offset as i64)?;
        if read == N {
            Ok(bytes)
        } else {
            Err(Errno::EIO)
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
