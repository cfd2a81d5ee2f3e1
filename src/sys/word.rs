//! Words that tasks wait on: the value of a semaphore, and a word of a segment.

use super::Result;
use super::futex::{self, WakeWord};
use super::semaphore::{self, Semaphore};
use super::shared_memory::MappedWord;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

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
            semaphore.announce();
        }
    }

    /// Takes [`Self::announce`] back.
    pub(crate) fn renounce(&self) {
        if let Word::Semaphore(semaphore) = self {
            semaphore.renounce();
        }
    }

    /// Wakes up to `count` waiters of the word, in this process and others.
    pub(crate) fn wake(&self, count: u32) -> Result<u32> {
        futex::wake(self.get(), count)
    }

    /// Blocks this thread while the word holds `expected`, for up to `limit`.
    /// `Errno::EAGAIN` if it does not, `Errno::ETIMEDOUT`, `Errno::EINTR`.
    pub(crate) fn wait(&self, expected: u32, limit: Duration) -> Result<()> {
        futex::wait(self.get(), expected, limit)
    }

    #[cfg(test)]
    pub(crate) fn store_for_test(&self, value: u32) {
        self.get().store(value, std::sync::atomic::Ordering::SeqCst);
    }

    /// Where it is mapped. A semaphore is mapped once in a process, a segment by every
    /// guest that has it open.
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
            (Word::Semaphore(one), Word::Semaphore(other)) => one.identity() == other.identity(),
            _ => false,
        }
    }
}

/// [`futex::wait_any`] on such words.
pub(crate) fn wait_any(
    wake_word: &WakeWord,
    rung: u32,
    words: &[(Word, u32)],
    limit: Duration,
) -> Result<Option<usize>> {
    let words = words.iter().map(|(word, value)| (word.get(), *value));
    futex::wait_any(wake_word, rung, words, limit)
}

/// Whether a semaphore can be waited on by its word: the kernel has `futex_waitv`, and it is
/// known how the C library keeps a semaphore.
pub(crate) fn semaphores_have_words() -> bool {
    futex::has_waitv() && semaphore::layout_is_known()
}
