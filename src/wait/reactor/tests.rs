//! What the thread makes of what the kernel tells it, without a thread.

use super::*;
use crate::name::{Kind, Name};
use crate::sys::semaphore::{self, Semaphore};
use crate::sys::shared_memory::{self, SharedMemory};
use std::thread;

/// One segment, as so many guests have mapped it.
fn mapped<const N: usize>() -> [SharedMemory; N] {
    let name = Name::unique(Kind::SharedMemory);
    let _segment = SharedMemory::create(&name, 0o600, 4096, |_| {}).unwrap();
    let mapped = std::array::from_fn(|_| SharedMemory::open(&name, true).unwrap());
    shared_memory::unlink(&name).unwrap();
    mapped
}

fn word(segment: &mut SharedMemory, offset: u64) -> Word {
    Word::Segment(segment.waitable(offset).unwrap().into())
}

fn semaphore() -> Word {
    let name = Name::unique(Kind::Semaphore);
    let semaphore = Semaphore::create(&name, 0o600, 0, |_| {}).unwrap();
    semaphore::unlink(&name).unwrap();
    Word::Semaphore(Arc::new(semaphore))
}

/// Tasks that wait for words, of which none has changed.
struct Tasks {
    shard: Shard,
    entries: Vec<(Word, i64, Arc<Entry>)>,
    start: Instant,
}

impl Tasks {
    fn new(words: &[&Word]) -> Self {
        let shard = Shard::default();
        let enqueue = |word: &&Word| {
            let interest = match word.is_semaphore() {
                true => Interest::Take,
                false => Interest::Change(0),
            };
            let fired = Notify::new();
            let entry = Arc::new(Entry { interest, fired });
            ((*word).clone(), shard.enqueue(word, &entry), entry)
        };
        Self {
            entries: words.iter().map(enqueue).collect(),
            shard,
            start: Instant::now(),
        }
    }

    /// Tells that the kernel has named the last of these words. Gives those that are
    /// still waited for, in the order in which the kernel gets them.
    fn named(&self, woken: &[&Word], after: Duration) -> Vec<usize> {
        let woken: Vec<Word> = woken.iter().copied().cloned().collect();
        let (waiting, _) = self.shard.fire(&woken, self.start + after);
        waiting.iter().map(|(word, _)| word.address()).collect()
    }
}

fn addresses(words: &[&Word]) -> Vec<usize> {
    words.iter().map(|word| word.address()).collect()
}

#[test]
fn words_of_one_futex_are_woken_in_turn_and_those_of_others_are_doubted_for_a_while() {
    let [mut one, mut two, mut three] = mapped();
    let [first, second, third] = [&mut one, &mut two, &mut three].map(|guest| word(guest, 8));
    let [idle, busy] = [64, 128].map(|offset| word(&mut one, offset));
    let semaphore = semaphore();
    let tasks = Tasks::new(&[&first, &idle, &second, &semaphore, &busy, &third]);
    let order = [&semaphore, &first, &second, &third, &busy, &idle];
    assert_eq!(tasks.named(&[], Duration::ZERO), addresses(&order));

    // Two of the three, and the kernel names the second one.
    let left = [&semaphore, &third, &busy, &idle];
    let woken = tasks.named(&order[..3], Duration::ZERO);
    assert_eq!(woken, addresses(&left));

    // The two before it may have been woken as well: they are of other futexes.
    let left = [&semaphore, &third, &idle];
    let woken = tasks.named(&[&semaphore, &third, &busy], Duration::ZERO);
    assert_eq!(woken, addresses(&left));
    let (_, longest) = tasks.shard.fire(&[], tasks.start);
    assert_eq!(longest, LONGEST_DOUBT);
    let woken = tasks.named(&[], LONGEST_DOUBT);
    assert_eq!(woken, addresses(&[&semaphore, &idle]));
    let (_, longest) = tasks.shard.fire(&[], tasks.start + LONGEST_DOUBT);
    assert_eq!(longest, LONGEST_SLEEP);
}

/// The kernel names one of two words that were woken, and the tasks of both are gone.
#[test]
fn a_wake_up_of_a_word_that_is_not_named_goes_to_whoever_else_waits() {
    let [mut one, mut native] = mapped();
    let (gone, named) = (word(&mut one, 0), word(&mut one, 4));
    let tasks = Tasks::new(&[]);
    let native = word(&mut native, 0);
    let native = thread::spawn(move || native.wait(0, Duration::from_secs(30)));
    while !native.is_finished() {
        tasks.named(&[&gone, &named], Duration::ZERO);
        thread::yield_now();
    }
    assert_eq!(native.join().unwrap(), Ok(()));
}

/// Another guest of this host waits, for whom the thread was not asleep at that moment.
#[test]
fn a_wake_up_that_a_guest_has_not_used_goes_to_the_next_guest() {
    let [mut one, mut two, mut three] = mapped();
    let [first, second, third] = [&mut one, &mut two, &mut three].map(|guest| word(guest, 8));
    let tasks = Tasks::new(&[&first, &second, &third]);
    let woken = tasks.named(&[&first], Duration::ZERO);
    assert_eq!(woken, addresses(&[&second, &third]));
    let (word, order, entry) = &tasks.entries[0];
    tasks.shard.withdraw(word, *order, entry.interest);
    let woken = tasks.named(&[], Duration::ZERO);
    assert_eq!(woken, addresses(&[&third]));
}
