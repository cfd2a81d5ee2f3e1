//! Mappings that survive a peer which shrinks the object behind them.
//!
//! An access to a mapped page past the end of its object raises `SIGBUS`, which
//! kills the process. Objects are shared with peers that may shrink them at any
//! moment, so no check beforehand can help. Instead, ranges are registered here,
//! and a handler decides by the address of a fault.
//!
//! - In a range that the host itself accesses it puts private zeros in the place of the
//!   range, so that the access completes; whoever made it then asks [`Guard::faulted`] and
//!   discards what it read.
//! - In a range that only compiled guests access it hands the fault to the handler
//!   that wasmtime has for `SIGSEGV`, which ends the guest with a trap.
//! - Everywhere else it does what would have been done without it.
//!
//! To put something in the place of a range is a mapping more for a moment, and a process
//! may have no more than `vm.max_map_count`. So there are [spare](SPARES) ones for the handler
//! to give up, without which no range is registered.

use super::limits::page_size;
use super::{Errno, Result};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::ffi::{c_int, c_void};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, compiler_fence};
use std::sync::{Mutex, OnceLock};

/// A registered range of addresses. Dropping it ends the registration, so it must
/// be dropped before the range is unmapped.
pub(super) struct Guard {
    slot: &'static Slot,
    version: usize,
}

impl Guard {
    /// Registers `length` bytes from `start`.
    ///
    /// # Safety
    ///
    /// Until the guard is dropped the range must stay mapped, and it must be sound
    /// to replace its pages by private zeros.
    pub(super) unsafe fn new(start: *const c_void, length: usize) -> Self {
        Self::register(start, length, Remedy::Mend)
    }

    /// Registers `length` bytes from `start` in which only compiled guests make
    /// accesses. One that faults is a trap of the guest.
    pub(super) fn trapping(start: *const c_void, length: usize) -> Self {
        Self::register(start, length, Remedy::Trap)
    }

    fn register(start: *const c_void, length: usize, remedy: Remedy) -> Self {
        let slot = FREE_SLOTS.lock().unwrap_or_else(|e| e.into_inner()).pop();
        let slot = slot.unwrap_or_else(new_slot);
        let range = start as usize..start as usize + length;
        let version = slot.publish(&range, remedy);
        Self { slot, version }
    }

    /// Whether an access inside the range has faulted since the guard was made.
    /// The range no longer shows the object then, and never will again.
    #[inline]
    pub(super) fn faulted(&self) -> bool {
        // The handler runs on the thread that made the access, so keeping the
        // compiler from moving the access past this point is all it takes.
        compiler_fence(Ordering::SeqCst);
        self.slot.faulted.load(Ordering::Relaxed) == self.version
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.slot.withdraw();
        FREE_SLOTS
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .push(self.slot);
    }
}

/// What is done about a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// The access finds zeros.
    Mend,
    /// The guest that made it is ended.
    Trap,
}

/// A place in the list of ranges. A signal handler may not take locks, so slots
/// are only ever added to the list, and re-used.
struct Slot {
    /// Counts how often the slot was taken and given back: it is odd as long as the slot
    /// is free, and the rest of it means nothing. A handler on another thread would
    /// otherwise mix two ranges.
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    traps: AtomicBool,
    /// The latest version that has seen a fault.
    faulted: AtomicUsize,
    next: AtomicPtr<Slot>,
}

/// What is in a slot.
struct Registered {
    version: usize,
    range: Range<usize>,
    remedy: Remedy,
}

impl Slot {
    /// Fills a free slot, which nobody else does meanwhile.
    fn publish(&self, range: &Range<usize>, remedy: Remedy) -> usize {
        self.start.store(range.start, Ordering::SeqCst);
        self.end.store(range.end, Ordering::SeqCst);
        self.traps.store(remedy == Remedy::Trap, Ordering::SeqCst);
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn withdraw(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    /// None if the slot is free, or was for a moment of this. A range that somebody is
    /// accessing stays registered until the access is done, so it is never missed.
    fn registered(&self) -> Option<Registered> {
        let version = self.version.load(Ordering::SeqCst);
        let range = self.start.load(Ordering::SeqCst)..self.end.load(Ordering::SeqCst);
        let remedy = match self.traps.load(Ordering::SeqCst) {
            true => Remedy::Trap,
            false => Remedy::Mend,
        };
        let whole = version.is_multiple_of(2) && self.version.load(Ordering::SeqCst) == version;
        whole.then_some(Registered {
            version,
            range,
            remedy,
        })
    }

    /// Of an earlier version it says nothing about the present one.
    fn mark_faulted(&self, version: usize) {
        self.faulted.fetch_max(version, Ordering::SeqCst);
    }
}

static FIRST_SLOT: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());
static FREE_SLOTS: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

/// Every slot, those that are free included.
fn slots() -> impl Iterator<Item = &'static Slot> {
    // SAFETY: slots are never freed, and the list is only ever added to.
    let slot = |pointer: &AtomicPtr<Slot>| unsafe { pointer.load(Ordering::SeqCst).as_ref() };
    std::iter::successors(slot(&FIRST_SLOT), move |previous| slot(&previous.next))
}

/// Adds a slot to the list. It is leaked: the list lives as long as the process
/// and is as long as the largest number of guards that ever lived at once.
fn new_slot() -> &'static Slot {
    let slot: &'static Slot = Box::leak(Box::new(Slot {
        version: AtomicUsize::new(1),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        traps: AtomicBool::new(false),
        faulted: AtomicUsize::new(0),
        next: AtomicPtr::new(ptr::null_mut()),
    }));
    let new = ptr::from_ref(slot).cast_mut();
    let mut first = FIRST_SLOT.load(Ordering::SeqCst);
    loop {
        slot.next.store(first, Ordering::SeqCst);
        match FIRST_SLOT.compare_exchange(first, new, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return slot,
            Err(now) => first = now,
        }
    }
}

/// Prepares for a range to be registered: to be called before it is mapped.
///
/// # Errors
///
/// `Errno::ENOMEM` if the process has no room for the mappings that the handler may need.
pub(super) fn prepare() -> Result<()> {
    install_handler();
    refill_spares()
}

/// Addresses of pages that nobody uses, each of them a mapping of its own; 0 for none. More
/// of them than there are threads that could map something between a look at them and the
/// mapping.
static SPARES: [AtomicUsize; 16] = [const { AtomicUsize::new(0) }; 16];

fn refill_spares() -> Result<()> {
    for spare in &SPARES {
        if spare.load(Ordering::SeqCst) != 0 {
            continue;
        }
        let page = NonZeroUsize::new(page_size()).ok_or(Errno::EINVAL)?;
        // The kernel joins no shared mappings of different memory.
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let new = unsafe { mmap_anonymous(None, page, ProtFlags::PROT_NONE, flags)? };
        let address = new.as_ptr().expose_provenance();
        let filled = spare.compare_exchange(0, address, Ordering::SeqCst, Ordering::SeqCst);
        if filled.is_err() {
            // SAFETY: somebody was faster, and nobody knows of this one.
            unsafe { munmap(new, page.get())? };
        }
    }
    Ok(())
}

/// Gives one up, if there is any.
fn give_up_spare() -> bool {
    let take = |spare: &AtomicUsize| spare.swap(0, Ordering::SeqCst);
    let taken = SPARES.iter().map(take).find(|&address| address != 0);
    let spare = taken.and_then(|address| NonNull::new(ptr::with_exposed_provenance_mut(address)));
    // SAFETY: the page is a mapping of its own that nobody uses.
    spare.is_some_and(|spare| unsafe { munmap(spare, page_size()) }.is_ok())
}

static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

fn install_handler() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // SAFETY: both structures are plain data for which zero is valid; the
        // handler has the signature that `SA_SIGINFO` asks for and does only what
        // is allowed in a signal handler.
        unsafe {
            let mut previous: libc::sigaction = std::mem::zeroed();
            // Read before the handler is in place, so that it always finds it.
            libc::sigaction(libc::SIGBUS, ptr::null(), &mut previous);
            PREVIOUS.get_or_init(|| previous);
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_sigbus as *const () as usize;
            // On the alternate stack, because the guest's stack may be the one
            // that is running.
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigaction(libc::SIGBUS, &action, ptr::null_mut());
        }
    });
}

extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t` to a `SA_SIGINFO` handler.
    let cause = Cause::of(unsafe { &*info });
    let done = match cause {
        Cause::Page(address) => match note(address) {
            Some(Registered {
                remedy: Remedy::Mend,
                range,
                ..
            }) => replace(&range, address),
            Some(_) => trap(info, context),
            None => false,
        },
        Cause::OtherAccess | Cause::Sent => false,
    };
    if !done {
        // SAFETY: the arguments are those of this handler, and the action was read from
        // the kernel.
        unsafe { chain(PREVIOUS.get(), &cause, signal, info, context) };
    }
}

/// Why there is a `SIGBUS`.
#[derive(Debug, PartialEq, Eq)]
enum Cause {
    /// An access to this address, where the object has no page, or one that the memory
    /// has lost.
    Page(usize),
    /// An access that failed for another reason, such as its alignment.
    OtherAccess,
    /// Somebody sent the signal. It comes with no address: in its place is who it was.
    Sent,
}

impl Cause {
    fn of(info: &libc::siginfo_t) -> Self {
        match info.si_code {
            // SAFETY: `si_addr` is the address of the fault for these.
            libc::BUS_ADRERR | libc::BUS_MCEERR_AR => {
                Self::Page(unsafe { info.si_addr() } as usize)
            }
            libc::BUS_ADRALN | libc::BUS_OBJERR => Self::OtherAccess,
            // The kernel's word of lost memory that nobody has accessed is among them.
            _ => Self::Sent,
        }
    }
}

/// Marks the registered range that the address lies in, and says what it is. Nothing is
/// registered twice.
fn note(address: usize) -> Option<Registered> {
    slots().find_map(|slot| {
        let registered = slot.registered()?;
        registered.range.contains(&address).then(|| {
            slot.mark_faulted(registered.version);
            registered
        })
    })
}

/// Hands a fault to the handler for `SIGSEGV`. wasmtime, whose handler that is when
/// a guest runs, takes a `SIGBUS` for the fault of the memory access that it is;
/// where it finds that no guest made the access, it ends the process as the signal
/// would have done.
fn trap(info: *mut libc::siginfo_t, context: *mut c_void) -> bool {
    // SAFETY: plain data, for which zero is valid, and a call that only reads the
    // action and may be made in a signal handler. A handler with `SA_SIGINFO` is a
    // function of this type.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGSEGV, ptr::null(), &mut action);
        let handles = action.sa_sigaction != libc::SIG_DFL
            && action.sa_sigaction != libc::SIG_IGN
            && action.sa_flags & libc::SA_SIGINFO != 0;
        if handles {
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                std::mem::transmute(action.sa_sigaction);
            handler(libc::SIGBUS, info, context);
        }
        handles
    }
}

/// Puts zeros in the place of a registered range.
fn replace(range: &Range<usize>, address: usize) -> bool {
    let page = page_size();
    let whole = range.start & !(page - 1)..range.end.next_multiple_of(page);
    // Where the system lends no memory that it may not have, it may still have a page. To
    // replace one splits the mapping of the others.
    let part = address & !(page - 1)..(address & !(page - 1)) + page;
    // SAFETY: a read and a write of this thread's `errno`, which the interrupted code may be
    // about to look at.
    let errno = unsafe { *libc::__errno_location() };
    let replaced = loop {
        if put_zeros(&whole) || put_zeros(&part) {
            break true;
        }
        if !give_up_spare() {
            break false;
        }
    };
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    replaced
}

fn put_zeros(pages: &Range<usize>) -> bool {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE | MapFlags::MAP_FIXED;
    let (Some(start), Some(length)) = (
        NonZeroUsize::new(pages.start),
        NonZeroUsize::new(pages.len()),
    ) else {
        return false;
    };
    // SAFETY: the pages belong to a registered range, whose owner agreed to the
    // replacement. `mmap` is a plain system call here.
    unsafe { mmap_anonymous(Some(start), length, access, flags) }.is_ok()
}

/// Does about a signal that is not ours what would have been done without us.
///
/// # Safety
///
/// `previous` is an action that the kernel has accepted, and the rest what a handler of
/// `signal` was called with.
unsafe fn chain(
    previous: Option<&libc::sigaction>,
    cause: &Cause,
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    let (handler, flags) = previous.map_or((libc::SIG_DFL, 0), |action| {
        (action.sa_sigaction, action.sa_flags)
    });
    match handler {
        libc::SIG_IGN if *cause == Cause::Sent => {}
        // An access that fails ends the process even where the signal is ignored.
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: calls that may be made in a signal handler. With the default action
            // in place the access fails again on return and ends the process; what was
            // sent does not come again by itself.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                if *cause == Cause::Sent {
                    libc::raise(signal);
                }
            }
        }
        handler if flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the flags say that the handler is a function of this type.
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: the flags say that the handler is a function of this type.
            let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slot is filled and emptied on one thread while a fault is looked up on another.
    #[test]
    fn no_range_is_ever_seen_that_nobody_registered() {
        const ROUNDS: usize = 200_000;
        let starts = [1 << 20, 1 << 40];
        std::thread::scope(|scope| {
            let registering = scope.spawn(|| {
                for round in 0..ROUNDS {
                    drop(Guard::trapping(
                        ptr::without_provenance(starts[round % 2]),
                        4096,
                    ));
                }
            });
            while !registering.is_finished() {
                // From nowhere, and from one of them to the other.
                for address in [1_usize, 1 << 30] {
                    assert!(note(address).is_none());
                }
            }
        });
    }

    #[test]
    fn a_slot_that_is_used_again_has_not_faulted() {
        let start = 1 << 50;
        for _ in 0..2 {
            let guard = Guard::trapping(ptr::without_provenance(start), 4096);
            assert!(!guard.faulted());
            assert!(note(start).is_some());
            assert!(guard.faulted());
        }
    }

    #[test]
    fn only_an_access_has_an_address() {
        // SAFETY: plain data, for which zero is valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        for (code, cause) in [
            (libc::BUS_ADRERR, Cause::Page(0)),
            (libc::BUS_MCEERR_AR, Cause::Page(0)),
            (libc::BUS_ADRALN, Cause::OtherAccess),
            (libc::BUS_MCEERR_AO, Cause::Sent),
            (libc::SI_USER, Cause::Sent),
            (libc::SI_TKILL, Cause::Sent),
        ] {
            info.si_code = code;
            assert_eq!(Cause::of(&info), cause, "{code}");
        }
    }

    /// In a process of its own, because the others here need to map something.
    #[test]
    fn a_process_with_no_mapping_left_survives_a_fault() {
        const ALONE: &str = "POSIX_IPC_TEST_WITHOUT_MAPPINGS";
        if std::env::var_os(ALONE).is_some() {
            return fault_without_mappings();
        }
        let this = "sys::sigbus::tests::a_process_with_no_mapping_left_survives_a_fault";
        let alone = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this, "--test-threads=1"])
            .env(ALONE, "")
            .output()
            .unwrap();
        assert!(alone.status.success(), "{alone:?}");
    }

    fn fault_without_mappings() {
        use crate::name::{Kind, Name};
        use crate::sys::TRUNCATED;
        use crate::sys::shared_memory::{self, SharedMemory};
        let page = page_size();
        let objects = [(); 3].map(|()| {
            let name = Name::unique(Kind::SharedMemory);
            let peer = SharedMemory::create(&name, 0o600, 4 * page as u64, |_| {}).unwrap();
            let mut object = SharedMemory::open(&name, true).unwrap();
            shared_memory::unlink(&name).unwrap();
            object.write(0, b"mapped").unwrap();
            (object, peer)
        });
        let mut mapped = Vec::with_capacity(1 << 21);
        for (mut object, peer) in objects {
            // Neighbours of different access are not joined.
            let accesses = [ProtFlags::PROT_NONE, ProtFlags::PROT_READ];
            let mut accesses = accesses.into_iter().cycle();
            let length = NonZeroUsize::new(page).unwrap();
            // SAFETY: new mappings at addresses of the kernel's choice.
            let map =
                |access| unsafe { mmap_anonymous(None, length, access, MapFlags::MAP_PRIVATE) };
            while mapped.len() < mapped.capacity()
                && let Ok(page) = map(accesses.next().unwrap())
            {
                mapped.push(page);
            }
            peer.resize(page as u64).unwrap();
            let written = object.write(2 * page as u64, b"in the midst");
            // Allocations are possible again.
            for mapping in mapped.drain(..) {
                // SAFETY: nobody uses it.
                unsafe { munmap(mapping, page).unwrap() };
            }
            assert_eq!(written, Err(TRUNCATED));
        }
    }

    /// One `kill -BUS` ends a process that does nothing about it, as the first one does
    /// without us.
    #[test]
    fn a_signal_that_was_sent_has_its_usual_effect() {
        let ends = |handler| {
            // SAFETY: the child makes calls that may be made after `fork` in a process
            // with threads, and ends. The structures are plain data.
            unsafe {
                let child = libc::fork();
                if child == 0 {
                    // No core file.
                    libc::prctl(libc::PR_SET_DUMPABLE, 0);
                    let mut action: libc::sigaction = std::mem::zeroed();
                    action.sa_sigaction = handler;
                    let mut info: libc::siginfo_t = std::mem::zeroed();
                    let context = ptr::null_mut();
                    chain(
                        Some(&action),
                        &Cause::Sent,
                        libc::SIGBUS,
                        &mut info,
                        context,
                    );
                    libc::_exit(7);
                }
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                (libc::WIFSIGNALED(status), libc::WEXITSTATUS(status))
            }
        };
        assert_eq!(ends(libc::SIG_DFL), (true, 0));
        assert_eq!(ends(libc::SIG_IGN), (false, 7));
    }
}
