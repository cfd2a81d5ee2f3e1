//! Many tasks waiting on words of memory with one thread for each 127 words.
//!
//! A task registers its interest in a word and sleeps. A thread of the reactor
//! waits on all words at once with `futex_waitv` and fires the tasks for which it
//! is worth looking again. The thread itself never takes anything.
//!
//! A wake-up is a thing that can get lost. `sem_post` wakes one waiter, and if
//! that is this reactor while its task has just been cancelled, a native process
//! asleep on the same semaphore would sleep on beside a free token. So whenever
//! the reactor may have swallowed a wake-up that no task used, it passes it on.
//!
//! The kernel may wake several of the words before the thread has left it, and names
//! only the last one in the order in which they were given. It is in that order that
//! the words of one futex, which several guests have mapped, are woken: they are given
//! one after the other, and the named one and those of its futex before it were woken
//! for certain. About other words before it there is a doubt. Those of busy guests
//! come first, which settles most doubts: the next thing that happens to them is soon.
//!
//! While the thread is not in the kernel it is no waiter. What changes then it sees by
//! the values; a word that is woken without a change goes unnoticed then, as it would by
//! any waiter that is not asleep yet.

#[cfg(test)]
mod tests;

use crate::sys::Errno;
use crate::sys::futex::{MAX_WORDS, WakeWord};
use crate::sys::word::{self, Word};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a thread sleeps before it looks at its words unasked: a peer that
/// shrinks an object wakes nobody.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// How long a word may be in doubt. A wake-up that came without a change of the word and
/// was not seen is so much late; and a guest finds out so often at most that there was
/// none.
const LONGEST_DOUBT: Duration = Duration::from_millis(100);

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// A semaphore's value above 0, to take one.
    Take,
    /// A semaphore's value above 0, to know.
    Look,
    /// A word that no longer holds this value, or a wake-up.
    Change(u32),
}

/// The threads, and what they wait for. Dropping it ends them.
pub(super) struct Reactor {
    shards: Mutex<Vec<(Arc<Shard>, JoinHandle<()>)>>,
}

impl Reactor {
    pub(super) fn new() -> Self {
        Self {
            shards: Mutex::new(Vec::new()),
        }
    }

    /// Registers a task's interest in a word. None if the system has no room for the
    /// thread that it takes.
    pub(super) fn register(&self, word: Word, interest: Interest) -> Option<Registration> {
        let entry = Arc::new(Entry {
            interest,
            fired: Notify::new(),
        });
        // Until the word has its place, so that no shard gets more than it can wait on.
        let mut shards = lock(&self.shards);
        let shard = Self::shard_for(&mut shards, &word)?;
        let order = shard.enqueue(&word, &entry);
        drop(shards);
        Some(Registration {
            shard,
            word,
            entry,
            state: State::Queued(order),
        })
    }

    /// All tasks of one word are in one shard.
    fn shard_for(
        shards: &mut Vec<(Arc<Shard>, JoinHandle<()>)>,
        word: &Word,
    ) -> Option<Arc<Shard>> {
        let address = word.address();
        let with_word = shards
            .iter()
            .find(|(shard, _)| lock(&shard.words).by_address.contains_key(&address));
        let with_room = || {
            shards
                .iter()
                .find(|(shard, _)| lock(&shard.words).by_address.len() < MAX_WORDS - 1)
        };
        if let Some((shard, _)) = with_word.or_else(with_room) {
            return Some(shard.clone());
        }
        let shard = Arc::new(Shard::default());
        let runner = shard.clone();
        let thread = std::thread::Builder::new()
            .name("posix-ipc-waits".into())
            .spawn(move || runner.run())
            .ok()?;
        shards.push((shard.clone(), thread));
        Some(shard)
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        for (shard, thread) in lock(&self.shards).drain(..) {
            shard.stopping.store(true, Ordering::SeqCst);
            shard.wake_word.ring();
            let _ = thread.join();
        }
    }
}

/// A task's place in the reactor. Dropping it gives the place up.
pub(super) struct Registration {
    shard: Arc<Shard>,
    word: Word,
    entry: Arc<Entry>,
    state: State,
}

enum State {
    /// Waiting to be fired, or fired and not yet aware of it. Knows its place.
    Queued(i64),
    /// The task is looking at the word.
    Fired,
    /// The task is done with the word.
    Settled,
}

impl Registration {
    /// Waits until it is worth looking at the word.
    pub(super) async fn fired(&mut self) {
        self.entry.fired.notified().await;
        self.state = State::Fired;
    }

    /// Says that the task looked and needs to wait again. It keeps its turn.
    pub(super) fn again(&mut self) {
        let order = self.shard.requeue(&self.word, &self.entry);
        self.state = State::Queued(order);
    }

    /// Says that the task has used the wake-up that it was given.
    pub(super) fn settle(&mut self) {
        self.state = State::Settled;
        self.shard.settle(&self.word, self.entry.interest);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        match self.state {
            State::Queued(order) => self.shard.withdraw(&self.word, order, self.entry.interest),
            State::Fired => self.shard.decline(&self.word, self.entry.interest),
            State::Settled => {}
        }
    }
}

struct Entry {
    interest: Interest,
    fired: Notify,
}

/// One thread's words.
#[derive(Default)]
struct Shard {
    wake_word: WakeWord,
    words: Mutex<Words>,
    /// Signalled whenever the thread has come back from the kernel.
    turned: Condvar,
    stopping: AtomicBool,
}

#[derive(Default)]
struct Words {
    by_address: HashMap<usize, Waiters>,
    /// How often the thread has come back from the kernel.
    turns: u64,
    /// How many words have come.
    arrivals: u64,
}

/// The tasks of one word, in the order in which they are fired. Present as long as
/// any task is queued or looking; so long the word is announced.
struct Waiters {
    word: Word,
    /// The number of its arrival, and of the latest one of the [same](Word::is_same).
    arrival: u64,
    latest: u64,
    queue: BTreeMap<i64, Arc<Entry>>,
    /// Tasks that were fired to take a token and have not said how it went.
    taking: u32,
    /// The number of the next task. Those that keep their turn count down.
    next: i64,
    next_again: i64,
    /// Whether somebody has woken the word. A semaphore's value says all there is to
    /// know, so this is about words of segments.
    woken: bool,
    /// Since when somebody may have.
    doubted: Option<Instant>,
}

impl Waiters {
    fn new(word: Word, arrival: u64) -> Self {
        word.announce();
        Self {
            word,
            arrival,
            latest: arrival,
            queue: BTreeMap::new(),
            taking: 0,
            next: 0,
            next_again: -1,
            woken: false,
            doubted: None,
        }
    }
}

impl Words {
    /// The tasks of a word, which comes with the first of them.
    fn waiters(&mut self, word: &Word) -> &mut Waiters {
        let address = word.address();
        if !self.by_address.contains_key(&address) {
            self.arrivals += 1;
            let latest = self.arrivals;
            self.same(word).for_each(|same| same.latest = latest);
        }
        let arrival = self.arrivals;
        let new = || Waiters::new(word.clone(), arrival);
        self.by_address.entry(address).or_insert_with(new)
    }

    fn same(&mut self, word: &Word) -> impl Iterator<Item = &mut Waiters> {
        let same = |waiters: &&mut Waiters| waiters.word.is_same(word);
        self.by_address.values_mut().filter(same)
    }

    /// Notes the words that may have been woken, of which the last one was. See the top.
    fn were_woken(&mut self, words: &[Word], now: Instant) {
        let Some(named) = words.last() else { return };
        for word in words {
            match self.by_address.get_mut(&word.address()) {
                // Its task was gone before the thread knew.
                None => self.pass_on(word),
                Some(_) if word.is_semaphore() => {}
                Some(waiters) if word.is_same(named) => waiters.woken = true,
                Some(waiters) => _ = waiters.doubted.get_or_insert(now),
            }
        }
    }

    /// Gives a wake-up that a task has not used to whoever else waits: another task, if
    /// the thread looks at its words after this.
    fn pass_on(&mut self, word: &Word) {
        match self.same(word).min_by_key(|same| same.arrival) {
            Some(other) => other.woken = true,
            None => _ = word.wake(1),
        }
    }

    fn forget_if_idle(&mut self, word: &Word) {
        let address = word.address();
        let idle = |waiters: &Waiters| waiters.queue.is_empty() && waiters.taking == 0;
        if self.by_address.get(&address).is_some_and(idle) {
            self.by_address.remove(&address);
            word.renounce();
        }
    }
}

impl Shard {
    fn enqueue(&self, word: &Word, entry: &Arc<Entry>) -> i64 {
        let mut words = lock(&self.words);
        let waiters = words.waiters(word);
        let order = waiters.next;
        waiters.next += 1;
        waiters.queue.insert(order, entry.clone());
        drop(words);
        self.wake_word.ring();
        order
    }

    /// The word is still there: it is as long as the task was looking.
    fn requeue(&self, word: &Word, entry: &Arc<Entry>) -> i64 {
        let mut words = lock(&self.words);
        let waiters = words.waiters(word);
        waiters.taking = waiters.taking.saturating_sub(1);
        let order = waiters.next_again;
        waiters.next_again -= 1;
        waiters.queue.insert(order, entry.clone());
        drop(words);
        self.wake_word.ring();
        order
    }

    /// A task has used its wake-up.
    fn settle(&self, word: &Word, interest: Interest) {
        let mut words = lock(&self.words);
        if interest == Interest::Take
            && let Some(waiters) = words.by_address.get_mut(&word.address())
        {
            waiters.taking = waiters.taking.saturating_sub(1);
        }
        words.forget_if_idle(word);
    }

    /// A task is gone that may have been fired without knowing.
    fn withdraw(&self, word: &Word, order: i64, interest: Interest) {
        let mut words = lock(&self.words);
        let queued = words
            .by_address
            .get_mut(&word.address())
            .map(|waiters| waiters.queue.remove(&order));
        if matches!(queued, Some(Some(_))) {
            words.forget_if_idle(word);
            // The thread may be asleep on the word.
            self.wake_word.ring();
            if matches!(interest, Interest::Change(_)) {
                self.let_go(words);
            }
        } else {
            drop(words);
            self.decline(word, interest);
        }
    }

    /// Waits until the thread is not in the kernel with the words that it knew. Until
    /// then it would count as a waiter of a word that nobody waits for: whoever wakes
    /// one, and is told that it did, would be told wrong. That is a moment, and it is
    /// given up on where the thread has no processor to run on.
    fn let_go(&self, words: MutexGuard<'_, Words>) {
        const LONGEST: Duration = Duration::from_millis(100);
        let before = words.turns;
        let unturned = |words: &mut Words| words.turns == before;
        drop(self.turned.wait_timeout_while(words, LONGEST, unturned));
    }

    /// A fired task is gone without having used its wake-up.
    fn decline(&self, word: &Word, interest: Interest) {
        let mut words = lock(&self.words);
        let mut others = false;
        if let Some(waiters) = words.by_address.get_mut(&word.address()) {
            if interest == Interest::Take {
                waiters.taking = waiters.taking.saturating_sub(1);
            }
            others = !waiters.queue.is_empty();
        }
        words.forget_if_idle(word);
        match interest {
            Interest::Change(_) => words.pass_on(word),
            Interest::Take | Interest::Look if others => {}
            Interest::Take | Interest::Look => return post_on(word),
        }
        drop(words);
        self.wake_word.ring();
    }

    fn run(&self) {
        let mut woken = Vec::new();
        while !self.stopping.load(Ordering::SeqCst) {
            // Read before the words are: a ring after this ends the wait below.
            let rung = self.wake_word.count();
            let (words, longest) = self.fire(&woken, Instant::now());
            woken.clear();
            match word::wait_any(&self.wake_word, rung, &words, longest) {
                Ok(Some(named)) => {
                    woken.extend(words.into_iter().take(named + 1).map(|(word, _)| word));
                }
                // The wake_word alone; or a word changed, or the time is over, or an object
                // is shorter than it was, which `fire` finds out. If a word was woken
                // the kernel says that first.
                Ok(None) | Err(Errno::EAGAIN | Errno::ETIMEDOUT | Errno::EINTR | Errno::EFAULT) => {
                }
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Fires the tasks for which it is worth looking, after some words may have been
    /// woken. Returns the words that others still wait on, with the values that were
    /// looked at, and for how long to wait.
    fn fire(&self, woken: &[Word], now: Instant) -> (Vec<(Word, u32)>, Duration) {
        let mut words = lock(&self.words);
        words.turns += 1;
        self.turned.notify_all();
        words.were_woken(woken, now);
        let mut waiting = Vec::with_capacity(words.by_address.len());
        let mut idle = Vec::new();
        let mut longest = LONGEST_SLEEP;
        for waiters in words.by_address.values_mut() {
            let value = waiters.fire(now);
            if waiters.queue.is_empty() {
                idle.push(waiters.word.clone());
            } else if let Some(value) = value {
                waiting.push((waiters.place(), waiters.word.clone(), value));
                if let Some(since) = waiters.doubted {
                    longest = longest.min((since + LONGEST_DOUBT).saturating_duration_since(now));
                }
            }
        }
        for word in idle {
            words.forget_if_idle(&word);
        }
        drop(words);
        waiting.sort_unstable_by_key(|(place, ..)| *place);
        let waiting = waiting.into_iter().map(|(_, word, value)| (word, value));
        (waiting.collect(), longest)
    }
}

impl Waiters {
    /// Where the word comes among those that the kernel is given: semaphores first, as a
    /// wake-up of a later word puts none of them in doubt. See the top.
    fn place(&self) -> impl Ord + Copy + use<> {
        (
            !self.word.is_semaphore(),
            Reverse(self.latest),
            self.arrival,
        )
    }

    /// Gives the value that was looked at; none if the object is gone from under
    /// the word, in which case every task is fired to find that out.
    fn fire(&mut self, now: Instant) -> Option<u32> {
        let Ok(value) = self.word.load() else {
            for (_, entry) in std::mem::take(&mut self.queue) {
                self.taking += u32::from(entry.interest == Interest::Take);
                entry.fired.notify_one();
            }
            return None;
        };
        let doubted_enough = |since| now >= since + LONGEST_DOUBT;
        let woken = self.woken || self.doubted.is_some_and(doubted_enough);
        if woken {
            self.woken = false;
            self.doubted = None;
        }
        let mut free = value.saturating_sub(self.taking);
        let mut taking = 0;
        let mut looked = false;
        self.queue.retain(|_, entry| {
            let fire = match entry.interest {
                Interest::Take => {
                    let fire = free > 0;
                    free -= u32::from(fire);
                    taking += u32::from(fire);
                    fire
                }
                Interest::Look => {
                    looked |= value > 0;
                    value > 0
                }
                Interest::Change(expected) => value != expected || woken,
            };
            if fire {
                entry.fired.notify_one();
            }
            !fire
        });
        self.taking += taking;
        if looked && taking == 0 {
            post_on(&self.word);
        }
        Some(value)
    }
}

/// Wakes whoever else waits for a semaphore, if there is something to take.
fn post_on(semaphore: &Word) {
    if matches!(semaphore.load(), Ok(1..)) {
        let _ = semaphore.wake(1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
