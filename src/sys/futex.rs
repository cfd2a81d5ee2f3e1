//! Waiting on words of memory.
//!
//! References: Linux `futex(2)`, `futex_waitv(2)` (since 5.16).

use super::{Errno, Result};
use nix::time::{ClockId, clock_gettime};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How many words one thread can wait on at once, a word of its own included.
pub(crate) const MAX_WORDS: usize = 128;

/// Wakes up to `count` waiters of a word that processes share.
pub(super) fn wake(word: &AtomicU32, count: u32) -> Result<u32> {
    wake_by(word, libc::FUTEX_WAKE, count)
}

fn wake_by(word: &AtomicU32, operation: libc::c_int, count: u32) -> Result<u32> {
    let count = count.min(i32::MAX as u32);
    // SAFETY: the call only looks at the address of the word.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, count) };
    Errno::result(woken).map(|woken| woken as u32)
}

/// Blocks this thread while the word holds `expected`, for up to `limit`.
/// `Errno::EAGAIN` if it does not, `Errno::ETIMEDOUT`, `Errno::EINTR`.
pub(super) fn wait(word: &AtomicU32, expected: u32, limit: Duration) -> Result<()> {
    let limit = timespec(limit);
    // SAFETY: the word and the time are valid for the whole call, and the word is atomic.
    let waited = unsafe {
        let (word, limit) = (word.as_ptr(), ptr::from_ref(&limit));
        libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, expected, limit)
    };
    Errno::result(waited).map(drop)
}

/// A word of the process's own, to end [`wait_any`] from another thread.
#[derive(Default)]
pub(crate) struct WakeWord {
    rung: AtomicU32,
}

impl WakeWord {
    pub(crate) fn count(&self) -> u32 {
        self.rung.load(Ordering::SeqCst)
    }

    pub(crate) fn ring(&self) {
        self.rung.fetch_add(1, Ordering::SeqCst);
        let private = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        let _ = wake_by(&self.rung, private, 1);
    }
}

/// Blocks this thread until the wake word has rung since `rung`, or one of the words is
/// woken, or does not hold the value given beside it, which is `Errno::EAGAIN`.
/// Gives the word that was woken, none for the wake word. At most [`MAX_WORDS`] - 1
/// words; with any word, `Errno::ETIMEDOUT` after `limit`.
pub(super) fn wait_any<'a>(
    wake_word: &WakeWord,
    rung: u32,
    words: impl ExactSizeIterator<Item = (&'a AtomicU32, u32)>,
    limit: Duration,
) -> Result<Option<usize>> {
    let has_limit = words.len() > 0;
    let mut waits = Vec::with_capacity(words.len() + 1);
    waits.push(Wait::new(&wake_word.rung, rung, PRIVATE));
    waits.extend(words.map(|(word, value)| Wait::new(word, value, 0)));
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    let end = timespec(Duration::from(now).saturating_add(limit));
    let end = if has_limit {
        &raw const end
    } else {
        ptr::null()
    };
    // SAFETY: the list has the length given, and its words and the time are valid for the
    // whole call.
    let woken = unsafe {
        let (list, length) = (waits.as_ptr(), waits.len());
        libc::syscall(
            libc::SYS_futex_waitv,
            list,
            length,
            0,
            end,
            libc::CLOCK_MONOTONIC,
        )
    };
    Errno::result(woken).map(|woken| (woken as usize).checked_sub(1))
}

/// Whether the kernel has `futex_waitv`.
pub(super) fn has_waitv() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        // A call that cannot wait, because the word does not hold the value.
        let none = std::iter::empty();
        wait_any(&WakeWord::default(), 1, none, Duration::ZERO) == Err(Errno::EAGAIN)
    })
}

/// `struct futex_waitv`.
#[repr(C)]
struct Wait {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// `FUTEX2_SIZE_U32` and `FUTEX2_PRIVATE`.
const SIZE_U32: u32 = 2;
const PRIVATE: u32 = 128;

impl Wait {
    fn new(word: &AtomicU32, value: u32, flags: u32) -> Self {
        Self {
            value: value.into(),
            address: word.as_ptr().expose_provenance() as u64,
            flags: flags | SIZE_U32,
            reserved: 0,
        }
    }
}

fn timespec(span: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(span.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}
