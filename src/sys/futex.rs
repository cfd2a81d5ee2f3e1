//! Waiting on words of shared memory, and on the word inside a semaphore.
//!
//! References: Linux `futex(2)`, `futex_waitv(2)` (since 5.16), the
//! layout of `sem_t` in glibc (`nptl/sem_waitcommon.c`).

use super::semaphore::{Sample, Semaphore};
use super::shared_memory::MappedWord;
use super::{Errno, Result, limits};
use rustix::thread::futex::{self, Flags, Wait, WaitFlags, WaitPtr, WaitvFlags};
use rustix::time::{ClockId, Timespec};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// How many words one thread can wait on at once, a word of its own included.
pub(crate) const MAX_WORDS: usize = 128;

/// A word that somebody waits on, and what keeps it mapped.
#[derive(Clone)]
pub(crate) enum Word {
    /// The value of a semaphore.
    Semaphore(Arc<Semaphore>),
    /// A word of a segment.
    Segment(Arc<MappedWord>),
}

impl Word {
    fn get(&self) -> &AtomicU32 {
        match self {
            Word::Semaphore(semaphore) => semaphore.value_word(),
            Word::Segment(word) => word.get(),
        }
    }

    /// What the word holds now.
    pub(crate) fn load(&self) -> Result<u32> {
        match self {
            Word::Semaphore(semaphore) => semaphore.value(),
            Word::Segment(word) => word.load(),
        }
    }

    /// Tells the C library's `sem_post` that there is somebody to wake.
    pub(crate) fn announce(&self) {
        if let Word::Semaphore(semaphore) = self {
            semaphore
                .state_word()
                .fetch_add(ONE_WAITER, Ordering::SeqCst);
        }
    }

    /// Takes [`Self::announce`] back.
    pub(crate) fn renounce(&self) {
        if let Word::Semaphore(semaphore) = self {
            semaphore
                .state_word()
                .fetch_sub(ONE_WAITER, Ordering::SeqCst);
        }
    }

    /// Wakes up to `count` waiters of the word, in this process and others.
    pub(crate) fn wake(&self, count: u32) -> Result<u32> {
        let count = count.min(i32::MAX as u32);
        futex::wake(self.get(), Flags::empty(), count).map(|woken| woken as u32)
    }

    /// Blocks this thread while the word holds `expected`, for up to `limit`.
    /// `Errno::AGAIN` if it does not, `Errno::TIMEDOUT`, `Errno::INTR`.
    pub(crate) fn wait(&self, expected: u32, limit: Duration) -> Result<()> {
        futex::wait(self.get(), Flags::empty(), expected, Some(&timespec(limit)))
    }

    #[cfg(test)]
    pub(crate) fn store_for_test(&self, value: u32) {
        self.get().store(value, Ordering::SeqCst);
    }

    /// Where it is mapped. The C library maps a semaphore once in a process; a segment is
    /// mapped by every guest that has it open.
    pub(crate) fn address(&self) -> usize {
        self.get().as_ptr() as usize
    }

    pub(crate) fn is_semaphore(&self) -> bool {
        matches!(self, Word::Semaphore(_))
    }

    /// Whether the kernel, too, takes both for one: who wakes waiters of the one wakes
    /// those of the other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Word::Segment(one), Word::Segment(other)) => one.is_same(other),
            _ => self.address() == other.address(),
        }
    }
}

/// Takes a semaphore, for which it blocks this thread for up to `limit`;
/// `Errno::TIMEDOUT` if there is none by then, or if semaphores cannot be waited on
/// here.
pub(crate) fn acquire_within(semaphore: &Arc<Semaphore>, limit: Duration) -> Result<()> {
    if !semaphore_layout_is_known() {
        return Err(Errno::TIMEDOUT);
    }
    let word = Word::Semaphore(semaphore.clone());
    let start = Instant::now();
    word.announce();
    let acquired = loop {
        match semaphore.try_acquire() {
            Err(Errno::AGAIN) => {}
            done => break done,
        }
        match word.wait(0, limit.saturating_sub(start.elapsed())) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => break Err(errno),
        }
    };
    word.renounce();
    acquired
}

/// Gives a semaphore a token and wakes a waiter, as `sem_post` of glibc does; `None` if
/// it is not known how semaphores look here. `Errno::OVERFLOW` at the greatest value.
pub(super) fn post(semaphore: &Semaphore) -> Option<Result<()>> {
    if !semaphore_layout_is_known() {
        return None;
    }
    let greatest = u64::from(limits::semaphore_value_max());
    // A peer may have written a value that is greater still. One more must not become
    // one of the waiters.
    let more = |state: u64| (state % ONE_WAITER < greatest).then(|| state + 1);
    let word = semaphore.state_word();
    let posted = word
        .fetch_update(Ordering::Release, Ordering::Relaxed, more)
        .map_err(|_| Errno::OVERFLOW);
    Some(posted.map(|before| {
        if before >= ONE_WAITER {
            // It fails only where the object has been cut, and nobody waits there.
            let _ = futex::wake(semaphore.value_word(), Flags::empty(), 1);
        }
    }))
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
        let _ = futex::wake(&self.rung, Flags::PRIVATE, 1);
    }
}

/// Blocks this thread until the wake_word has rung since `rung`, or one of the words is
/// woken, or does not hold the value given beside it, which is `Errno::AGAIN`.
/// Gives the word that was woken, none for the wake_word. At most [`MAX_WORDS`] - 1
/// words; with any word, `Errno::TIMEDOUT` after `limit`.
pub(crate) fn wait_any(
    wake_word: &WakeWord,
    rung: u32,
    words: &[(Word, u32)],
    limit: Duration,
) -> Result<Option<usize>> {
    let mut waits = Vec::with_capacity(words.len() + 1);
    waits.push(entry(&wake_word.rung, rung, WaitFlags::PRIVATE));
    waits.extend(
        words
            .iter()
            .map(|(word, value)| entry(word.get(), *value, WaitFlags::empty())),
    );
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let end = Duration::new(now.tv_sec as u64, now.tv_nsec as u32).saturating_add(limit);
    let end = timespec(end);
    let end = (!words.is_empty()).then_some(&end);
    let woken = futex::waitv(&waits, WaitvFlags::empty(), end, ClockId::Monotonic)?;
    Ok(woken.checked_sub(1))
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}

fn entry(word: &AtomicU32, value: u32, flags: WaitFlags) -> Wait {
    let mut wait = Wait::new();
    wait.val = value.into();
    wait.uaddr = WaitPtr::new(word.as_ptr().cast());
    wait.flags = flags | WaitFlags::SIZE_U32;
    wait
}

/// How many waiters the C library's `sem_post` would see.
#[cfg(test)]
pub(crate) fn announced(semaphore: &Semaphore) -> u64 {
    semaphore.state_word().load(Ordering::SeqCst) / ONE_WAITER
}

/// One waiter in the upper half of glibc's `sem_t`.
const ONE_WAITER: u64 = 1 << 32;

/// Whether a semaphore can be waited on by its word: the kernel has
/// `futex_waitv`, and the C library keeps the value in the lower and the number
/// of waiters in the upper half of the first 64 bits of a `sem_t`, as glibc does
/// since 2.21. Tried out on a semaphore of our own, once in a process; as long as that is
/// not possible, the answer is no.
pub(crate) fn semaphores_have_words() -> bool {
    static HAS_WAITV: OnceLock<bool> = OnceLock::new();
    *HAS_WAITV.get_or_init(has_waitv) && semaphore_layout_is_known()
}

pub(super) fn semaphore_layout_is_known() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    if let Some(&answer) = ANSWER.get() {
        return answer;
    }
    match try_layout() {
        Some(answer) => *ANSWER.get_or_init(|| answer),
        // Not known now, and perhaps the next time.
        None => false,
    }
}

/// A call that cannot wait, because the word does not hold the value.
fn has_waitv() -> bool {
    wait_any(&WakeWord::default(), 1, &[], Duration::ZERO) == Err(Errno::AGAIN)
}

/// None if it cannot be tried out, because the system has no room for a thread.
fn try_layout() -> Option<bool> {
    let Ok(semaphore) = Sample::new(3) else {
        return Some(false);
    };
    if semaphore.state() != 3 {
        return Some(false);
    }
    if (0..3).any(|_| semaphore.try_acquire().is_err()) || semaphore.state() != 0 {
        return Some(false);
    }
    // A waiter of the C library must show, and be gone when it has been posted to.
    thread::scope(|scope| {
        let wait = || semaphore.acquire_within(Duration::from_secs(5));
        let waiter = thread::Builder::new().spawn_scoped(scope, wait).ok()?;
        let end = Instant::now() + Duration::from_secs(2);
        while semaphore.state() != ONE_WAITER && Instant::now() < end {
            thread::yield_now();
        }
        let seen = semaphore.state() == ONE_WAITER;
        let posted = semaphore.release();
        let woken = waiter.join();
        Some(seen && posted.is_ok() && matches!(woken, Ok(Ok(()))) && semaphore.state() == 0)
    })
}
