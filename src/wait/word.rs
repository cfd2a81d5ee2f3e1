//! Waiting for a semaphore, and for a word of a segment to change.

use super::reactor::Interest;
use super::{Backoff, WaitMode, Waiter, Waits, limited, park};
use crate::sys::semaphore::Semaphore;
use crate::sys::shared_memory::MappedWord;
use crate::sys::word::Word;
use crate::sys::{self, Errno};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much later a guest that waits in slices goes on after somebody has woken the word
/// without a change, which it does not see.
const LONGEST_UNSEEN: Duration = Duration::from_secs(1);

impl Waits {
    /// Waits for a semaphore that could not be taken a moment ago, and takes it.
    pub(crate) async fn acquire(
        &self,
        semaphore: &Arc<Semaphore>,
        wait_mode: WaitMode,
        waiter: impl Into<Waiter<'_>>,
    ) -> sys::Result<()> {
        let waiter = waiter.into();
        let WaitMode::Until(deadline) = wait_mode else {
            return Err(Errno::EAGAIN);
        };
        if waiter.canceller.is_cancelled() {
            return Err(Errno::ECANCELED);
        }
        if let Some(parking) = &self.parking {
            let parked = async {
                loop {
                    park::until(parking, has_token(semaphore)).await;
                    match semaphore.try_acquire() {
                        Err(Errno::EAGAIN) => {}
                        done => return done,
                    }
                }
            };
            return limited(parked, deadline, waiter).await;
        }
        match semaphore.acquire_within(self.inline.min(deadline.remaining())) {
            Err(Errno::ETIMEDOUT) => {}
            done => return done,
        }
        limited(self.acquire_parked(semaphore), deadline, waiter).await
    }

    async fn acquire_parked(&self, semaphore: &Arc<Semaphore>) -> sys::Result<()> {
        let mut backoff = Backoff::new();
        let mut parked = self.register(Word::Semaphore(semaphore.clone()), Interest::Take);
        loop {
            match &mut parked {
                Some(parked) => parked.fired().await,
                None => backoff.pause().await,
            }
            match semaphore.try_acquire() {
                Err(Errno::EAGAIN) => {}
                done => {
                    if let Some(parked) = &mut parked {
                        parked.settle();
                    }
                    return done;
                }
            }
            if let Some(parked) = &mut parked {
                parked.again();
            }
        }
    }

    /// Waits until a semaphore's value is above 0, or an error that the next call
    /// on it will report. Takes nothing.
    pub(crate) async fn available(&self, semaphore: &Arc<Semaphore>) {
        if let Some(parking) = &self.parking {
            return park::until(parking, has_token(semaphore)).await;
        }
        let mut backoff = Backoff::new();
        while semaphore.value() == Ok(0) {
            match self.register(Word::Semaphore(semaphore.clone()), Interest::Look) {
                Some(mut parked) => parked.fired().await,
                None => backoff.pause().await,
            }
        }
    }

    /// Waits while a word holds `expected`. `Ok(false)` if it did not.
    pub(crate) async fn changed(
        &self,
        word: MappedWord,
        expected: u32,
        wait_mode: WaitMode,
        waiter: impl Into<Waiter<'_>>,
    ) -> sys::Result<bool> {
        let waiter = waiter.into();
        if word.load()? != expected {
            return Ok(false);
        }
        let WaitMode::Until(deadline) = wait_mode else {
            return Err(Errno::EAGAIN);
        };
        if waiter.canceller.is_cancelled() {
            return Err(Errno::ECANCELED);
        }
        let word = Word::Segment(Arc::new(word));
        if let Some(parking) = &self.parking {
            let has_changed = {
                let word = word.clone();
                move || word.load() != Ok(expected)
            };
            let parked = async {
                park::until(parking, has_changed).await;
                Ok(true)
            };
            return limited(parked, deadline, waiter).await;
        }
        match word.wait(expected, self.inline.min(deadline.remaining())) {
            Err(Errno::ETIMEDOUT) => {}
            // Woken, changed just now, or interrupted: all of them are reasons to
            // look at the word again.
            Ok(()) | Err(Errno::EAGAIN | Errno::EINTR) => return Ok(true),
            Err(errno) => return Err(errno),
        }
        limited(self.changed_parked(word, expected), deadline, waiter).await
    }

    async fn changed_parked(&self, word: Word, expected: u32) -> sys::Result<bool> {
        match self.register(word.clone(), Interest::Change(expected)) {
            Some(mut parked) => {
                parked.fired().await;
                parked.settle();
                word.load()?;
            }
            None => {
                let mut backoff = Backoff::new();
                let end = Instant::now() + LONGEST_UNSEEN;
                while word.load()? == expected && Instant::now() < end {
                    backoff.pause().await;
                }
            }
        }
        Ok(true)
    }
}

/// Whether a semaphore can be taken, or the next call on it fails.
fn has_token(semaphore: &Arc<Semaphore>) -> impl Fn() -> bool + Clone + Send + Unpin + use<> {
    let semaphore = semaphore.clone();
    move || semaphore.value() != Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::Deadline;

    #[test]
    fn zero_does_not_wait_and_the_longest_span_never_ends() {
        assert!(matches!(WaitMode::new(Some(0)), WaitMode::None));
        assert!(matches!(
            WaitMode::new(None),
            WaitMode::Until(Deadline::Never)
        ));
        assert!(matches!(
            WaitMode::new(Some(1)),
            WaitMode::Until(Deadline::At(_))
        ));
        // 584 years: representable or not, it must not panic.
        assert!(matches!(WaitMode::new(Some(u64::MAX)), WaitMode::Until(_)));
    }
}
