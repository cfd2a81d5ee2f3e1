//! Mappings that survive a peer which shrinks the object behind them.
//!
//! An access to a mapped page past the end of its object raises `SIGBUS`, which
//! kills the process. Objects are shared with peers that may shrink them at any
//! moment, so no check beforehand can help. Instead, ranges are registered here,
//! and a handler decides by the address of a fault.
//!
//! - In a range that the host itself accesses it puts a private page of zeros under
//!   the access, which completes; whoever made it then asks [`Guard::faulted`] and
//!   discards what it read.
//! - In a range that only compiled guests access it hands the fault to the handler
//!   that wasmtime has for `SIGSEGV`, which ends the guest with a trap.
//! - Everywhere else it does what would have been done without it.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, compiler_fence};
use std::sync::{Mutex, OnceLock};

/// A registered range of addresses. Dropping it ends the registration, so it must
/// be dropped before the range is unmapped.
pub(super) struct Guard {
    slot: &'static Slot,
}

impl Guard {
    /// Registers `length` bytes from `start`, and the handler with the first one.
    ///
    /// # Safety
    ///
    /// Until the guard is dropped the range must stay mapped, and it must be sound
    /// to replace any page of it by a private page of zeros.
    pub(super) unsafe fn new(start: *const c_void, length: usize) -> Self {
        Self::register(start, length, Remedy::Mend)
    }

    /// Registers `length` bytes from `start` in which only compiled guests make
    /// accesses. One that faults is a trap of the guest.
    pub(super) fn trapping(start: *const c_void, length: usize) -> Self {
        Self::register(start, length, Remedy::Trap)
    }

    fn register(start: *const c_void, length: usize, remedy: Remedy) -> Self {
        install_handler();
        let slot = FREE_SLOTS.lock().unwrap_or_else(|e| e.into_inner()).pop();
        let slot = slot.unwrap_or_else(new_slot);
        slot.faulted.store(false, Ordering::SeqCst);
        slot.traps.store(remedy == Remedy::Trap, Ordering::SeqCst);
        // The end is published last: a handler that runs between the two stores
        // sees an empty range.
        let range = start as usize..start as usize + length;
        slot.start.store(range.start, Ordering::SeqCst);
        slot.end.store(range.end, Ordering::SeqCst);
        // The C library maps a semaphore once, however often it is opened, so the
        // range may be one that has faulted before. A fault from now on marks this
        // slot too.
        if slots().any(|other| other.has_faulted_in(&range)) {
            slot.faulted.store(true, Ordering::SeqCst);
        }
        Self { slot }
    }

    /// Whether an access inside the range has faulted since the guard was made.
    /// The range no longer shows the object then, and never will again.
    #[inline]
    pub(super) fn faulted(&self) -> bool {
        // The handler runs on the thread that made the access, so keeping the
        // compiler from moving the access past this point is all it takes.
        compiler_fence(Ordering::SeqCst);
        self.slot.faulted.load(Ordering::Relaxed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.slot.end.store(0, Ordering::SeqCst);
        self.slot.start.store(0, Ordering::SeqCst);
        FREE_SLOTS
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .push(self.slot);
    }
}

/// What is done about a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// The access finds a page of zeros.
    Mend,
    /// The guest that made it is ended.
    Trap,
}

/// A place in the list of ranges. A signal handler may not take locks, so slots
/// are only ever added to the list, and re-used.
struct Slot {
    start: AtomicUsize,
    end: AtomicUsize,
    faulted: AtomicBool,
    traps: AtomicBool,
    next: AtomicPtr<Slot>,
}

impl Slot {
    /// Empty if the slot is free.
    fn range(&self) -> Range<usize> {
        self.start.load(Ordering::SeqCst)..self.end.load(Ordering::SeqCst)
    }

    fn has_faulted_in(&self, range: &Range<usize>) -> bool {
        let own = self.range();
        let meets = own.start < range.end && range.start < own.end;
        meets && self.faulted.load(Ordering::SeqCst)
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
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        faulted: AtomicBool::new(false),
        traps: AtomicBool::new(false),
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
    // SAFETY: the kernel passes a valid `siginfo_t` to a `SA_SIGINFO` handler, and
    // `si_addr` is the address of the fault for `SIGBUS`.
    let address = unsafe { (*info).si_addr() } as usize;
    let done = match note(address) {
        Some(Remedy::Mend) => replace_page(address),
        Some(Remedy::Trap) => trap(info, context),
        None => false,
    };
    if !done {
        chain(signal, info, context);
    }
}

/// Marks the registered ranges that the address lies in, and says what is to be
/// done about them.
fn note(address: usize) -> Option<Remedy> {
    let mut remedy = None;
    for slot in slots().filter(|slot| slot.range().contains(&address)) {
        slot.faulted.store(true, Ordering::SeqCst);
        remedy = Some(match slot.traps.load(Ordering::SeqCst) {
            true => Remedy::Trap,
            false => Remedy::Mend,
        });
    }
    remedy
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

fn replace_page(address: usize) -> bool {
    let page = rustix::param::page_size();
    let start = address & !(page - 1);
    // SAFETY: the page belongs to a registered range, whose owner agreed to the
    // replacement. `mmap` is a plain system call here and saves `errno` below.
    unsafe {
        let errno = *libc::__errno_location();
        let mapped = libc::mmap(
            start as *mut c_void,
            page,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        );
        *libc::__errno_location() = errno;
        mapped != libc::MAP_FAILED
    }
}

/// Hands a fault that is not ours to whoever handled `SIGBUS` before.
fn chain(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let previous = PREVIOUS.get();
    // SAFETY: the action was read from the kernel, so its handler is a function of
    // the kind that its flags say. Restoring the default action makes the access
    // fault again on return and then ends the process, as it would have without us.
    unsafe {
        match previous {
            Some(action) if action.sa_sigaction == libc::SIG_IGN => {}
            Some(action) if action.sa_sigaction != libc::SIG_DFL => {
                if action.sa_flags & libc::SA_SIGINFO != 0 {
                    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                        std::mem::transmute(action.sa_sigaction);
                    handler(signal, info, context);
                } else {
                    let handler: extern "C" fn(c_int) = std::mem::transmute(action.sa_sigaction);
                    handler(signal);
                }
            }
            _ => {
                libc::signal(libc::SIGBUS, libc::SIG_DFL);
            }
        }
    }
}
