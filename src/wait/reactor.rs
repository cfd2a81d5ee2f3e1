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

use crate::sys::Errno;
use crate::sys::futex::{self, Bell, Word};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::Notify;

/// How long a thread sleeps before it looks at its words unasked: a peer that
/// shrinks an object wakes nobody.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

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
        let shard = self.shard_for(&word)?;
        let entry = Arc::new(Entry {
            interest,
            fired: Notify::new(),
        });
        let order = shard.enqueue(&word, &entry);
        Some(Registration {
            shard,
            word,
            entry,
            state: State::Queued(order),
        })
    }

    /// All tasks of one word are in one shard. A shard may hold a few words more
    /// than it can wait on when tasks race for the last place: see `Shard::run`.
    fn shard_for(&self, word: &Word) -> Option<Arc<Shard>> {
        let address = word.address();
        let mut shards = lock(&self.shards);
        let with_word = shards
            .iter()
            .find(|(shard, _)| lock(&shard.words).by_address.contains_key(&address));
        let with_room = || {
            shards
                .iter()
                .find(|(shard, _)| lock(&shard.words).by_address.len() < futex::MAX_WORDS - 1)
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
            shard.bell.ring();
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
        self.shard.settle(&self.word);
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
    bell: Bell,
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
}

/// The tasks of one word, in the order in which they are fired. Present as long as
/// any task is queued or looking; so long the word is announced.
struct Waiters {
    word: Word,
    queue: BTreeMap<i64, Arc<Entry>>,
    /// Tasks that were fired to take a token and have not said how it went.
    taking: u32,
    /// The number of the next task. Those that keep their turn count down.
    next: i64,
    next_again: i64,
}

impl Waiters {
    fn new(word: Word) -> Self {
        word.announce();
        Self {
            word,
            queue: BTreeMap::new(),
            taking: 0,
            next: 0,
            next_again: -1,
        }
    }
}

impl Shard {
    fn enqueue(&self, word: &Word, entry: &Arc<Entry>) -> i64 {
        let mut words = lock(&self.words);
        let waiters = words
            .by_address
            .entry(word.address())
            .or_insert_with(|| Waiters::new(word.clone()));
        let order = waiters.next;
        waiters.next += 1;
        waiters.queue.insert(order, entry.clone());
        drop(words);
        self.bell.ring();
        order
    }

    fn requeue(&self, word: &Word, entry: &Arc<Entry>) -> i64 {
        let mut words = lock(&self.words);
        let waiters = words
            .by_address
            .entry(word.address())
            .or_insert_with(|| Waiters::new(word.clone()));
        waiters.taking = waiters.taking.saturating_sub(1);
        let order = waiters.next_again;
        waiters.next_again -= 1;
        waiters.queue.insert(order, entry.clone());
        drop(words);
        self.bell.ring();
        order
    }

    /// A task has taken its token.
    fn settle(&self, word: &Word) {
        let mut words = lock(&self.words);
        if let Some(waiters) = words.by_address.get_mut(&word.address()) {
            waiters.taking = waiters.taking.saturating_sub(1);
        }
        Self::forget_if_idle(&mut words, word);
    }

    /// A task is gone that may have been fired without knowing.
    fn withdraw(&self, word: &Word, order: i64, interest: Interest) {
        let mut words = lock(&self.words);
        let queued = words
            .by_address
            .get_mut(&word.address())
            .map(|waiters| waiters.queue.remove(&order));
        if matches!(queued, Some(Some(_))) {
            Self::forget_if_idle(&mut words, word);
            // The thread may be asleep on the word.
            self.bell.ring();
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
        Self::forget_if_idle(&mut words, word);
        drop(words);
        if others {
            self.bell.ring();
        } else {
            pass_on(word, interest);
        }
    }

    fn forget_if_idle(words: &mut Words, word: &Word) {
        let address = word.address();
        let idle = |waiters: &Waiters| waiters.queue.is_empty() && waiters.taking == 0;
        if words.by_address.get(&address).is_some_and(idle) {
            words.by_address.remove(&address);
            word.renounce();
        }
    }

    fn run(&self) {
        let mut woken = None;
        while !self.stopping.load(Ordering::SeqCst) {
            // Read before the words are: a ring after this ends the wait below.
            let rung = self.bell.count();
            let words = self.fire(woken.take());
            // More words than one call can take, for a moment: the rest has its
            // turn after the next wake-up, or the next second.
            let words = &words[..words.len().min(futex::MAX_WORDS - 1)];
            match futex::wait_any(&self.bell, rung, words, LONGEST_SLEEP) {
                Ok(index) => woken = index.map(|index| words[index].0.clone()),
                // A word changed, or a second is over, or an object is shorter
                // than it was, which `fire` finds out.
                Err(Errno::AGAIN | Errno::TIMEDOUT | Errno::INTR | Errno::FAULT) => {}
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Fires the tasks for which it is worth looking. Returns the words that others
    /// still wait on, with the values that were looked at.
    fn fire(&self, woken: Option<Word>) -> Vec<(Word, u32)> {
        let mut words = lock(&self.words);
        words.turns += 1;
        self.turned.notify_all();
        if let Some(word) = &woken
            && !words.by_address.contains_key(&word.address())
        {
            // Its task was gone before the thread knew.
            let _ = word.wake(1);
        }
        let woken = woken.map(|word| word.address());
        let mut waiting = Vec::with_capacity(words.by_address.len());
        let mut idle = Vec::new();
        for (&address, waiters) in words.by_address.iter_mut() {
            let value = waiters.fire(woken == Some(address));
            if waiters.queue.is_empty() {
                idle.push(waiters.word.clone());
            } else if let Some(value) = value {
                waiting.push((waiters.word.clone(), value));
            }
        }
        for word in idle {
            Self::forget_if_idle(&mut words, &word);
        }
        waiting
    }
}

impl Waiters {
    /// Gives the value that was looked at; none if the object is gone from under
    /// the word, in which case every task is fired to find that out.
    fn fire(&mut self, woken: bool) -> Option<u32> {
        let Ok(value) = self.word.load() else {
            for (_, entry) in std::mem::take(&mut self.queue) {
                self.taking += u32::from(entry.interest == Interest::Take);
                entry.fired.notify_one();
            }
            return None;
        };
        let mut free = value.saturating_sub(self.taking);
        let mut wake_up = woken;
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
                Interest::Change(expected) => value != expected || std::mem::take(&mut wake_up),
            };
            if fire {
                entry.fired.notify_one();
            }
            !fire
        });
        self.taking += taking;
        if looked && taking == 0 {
            pass_on(&self.word, Interest::Look);
        }
        Some(value)
    }
}

/// Gives a wake-up that no task of this process uses to whoever else waits.
fn pass_on(word: &Word, interest: Interest) {
    let is_semaphore = !matches!(interest, Interest::Change(_));
    if is_semaphore && matches!(word.load(), Ok(1..)) {
        let _ = word.wake(1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
