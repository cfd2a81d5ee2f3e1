//! Waits against real objects: what a cancelled one must not do, and what must not
//! get lost between guests and native waiters.

use super::*;
use crate::name::{Kind, Name};
use crate::sys::message_queue::{self, Direction, MessageQueue, QueueSize};
use crate::sys::semaphore::{self, Semaphore};
use crate::sys::shared_memory::{self, SharedMemory};
use crate::sys::{self, Errno};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

const ROUNDS: u32 = 1000;
/// Nothing here takes so long; a test that waits for it has failed.
const FOREVER: Duration = Duration::from_secs(60);

/// No inline wait, so that every wait is parked.
fn waits(strategy: WaitStrategy) -> Arc<Waits> {
    Arc::new(Waits::new(strategy, Duration::ZERO, None))
}

const STRATEGIES: [WaitStrategy; 2] = [WaitStrategy::Reactor, WaitStrategy::Polling];

/// A semaphore without a name: nothing to clean up.
fn semaphore(value: u32) -> Arc<Semaphore> {
    let name = Name::unique(Kind::Semaphore);
    let semaphore = Semaphore::create(&name, 0o600, value, |_| {}).unwrap();
    semaphore::unlink(&name).unwrap();
    semaphore.into()
}

fn queue() -> PollableQueue {
    let name = Name::unique(Kind::MessageQueue);
    let size = QueueSize {
        max_messages: 2,
        max_message_size: 4,
    };
    let queue = MessageQueue::create(&name, Direction::Both, 0o600, Some(size), |_| {}).unwrap();
    message_queue::unlink(&name).unwrap();
    PollableQueue::new(queue, &waits(WaitStrategy::Auto))
}

fn segment(size: u64) -> SharedMemory {
    let name = Name::unique(Kind::SharedMemory);
    let segment = SharedMemory::create(&name, 0o600, size, |_| {}).unwrap();
    shared_memory::unlink(&name).unwrap();
    segment
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(FOREVER, test).await.unwrap() })
}

/// A time at which to do something to a wait: around its beginning or in its midst.
fn moment() -> Duration {
    Duration::from_micros(rand::random_range(0..300))
}

fn later(action: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    let moment = moment();
    thread::spawn(move || {
        thread::sleep(moment);
        action();
    })
}

const ANY: WaitMode = WaitMode::Until(Deadline::Never);

#[test]
fn a_cancelled_acquire_takes_nothing() {
    for strategy in STRATEGIES {
        let waits = waits(strategy);
        let semaphore = semaphore(0);
        run(async {
            for round in 0..ROUNDS {
                let poster = semaphore.clone();
                let poster = later(move || poster.release().unwrap());
                let canceller = Canceller::new();
                let acquire = waits.acquire(&semaphore, ANY, &canceller);
                let taken = tokio::time::timeout(moment(), acquire).await.is_ok();
                poster.join().unwrap();
                let left = semaphore.value().unwrap();
                assert_eq!(left, u32::from(!taken), "{strategy:?}, round {round}");
                if left == 1 {
                    semaphore.try_acquire().unwrap();
                }
            }
        });
    }
}

/// Long enough for another thread to fall asleep in the kernel. If it is not, a test
/// proves less, and does not fail.
const SETTLED: Duration = Duration::from_millis(5);

#[test]
fn a_native_waiter_gets_the_token_that_a_cancelled_guest_was_woken_for() {
    let waits = waits(WaitStrategy::Reactor);
    let semaphore = semaphore(0);
    run(async {
        for round in 0..20 {
            let canceller = Canceller::new();
            let mut acquire = Box::pin(waits.acquire(&semaphore, ANY, &canceller));
            assert!(poll_once(acquire.as_mut()).await.is_none());
            thread::sleep(SETTLED);
            // Behind the guest in the queue of the kernel.
            let native = semaphore.clone();
            let native = thread::spawn(move || native.wait_in_library(FOREVER / 2));
            thread::sleep(SETTLED);
            semaphore.release().unwrap();
            thread::sleep(SETTLED);
            // Woken, but cancelled before it looked.
            drop(acquire);
            assert_eq!(native.join().unwrap(), Ok(()), "round {round}");
        }
        assert_eq!(semaphore.value(), Ok(0));
    });
}

/// In a process of its own, because the others here need their threads.
#[test]
fn a_guest_waits_where_the_system_has_no_room_for_a_thread() {
    const ALONE: &str = "POSIX_IPC_TEST_WITHOUT_THREADS";
    if std::env::var_os(ALONE).is_some() {
        return wait_without_threads();
    }
    let this = "wait::tests::a_guest_waits_where_the_system_has_no_room_for_a_thread";
    let alone = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", this, "--test-threads=1"])
        .env(ALONE, "")
        .output()
        .unwrap();
    assert!(alone.status.success(), "{alone:?}");
}

fn wait_without_threads() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (waits, semaphore) = (waits(WaitStrategy::Reactor), semaphore(0));
    let canceller = Canceller::new();
    let token = || async {
        let release = async {
            tokio::time::sleep(SETTLED).await;
            semaphore.release().unwrap();
        };
        let (taken, ()) = tokio::join!(waits.acquire(&semaphore, ANY, &canceller), release);
        taken.unwrap();
    };

    // How semaphores look cannot be tried out.
    without_room_for_threads(|| runtime.block_on(token()));
    assert!(waits.reactor().is_some(), "that was only for the moment");

    // The C library keeps the stack of the thread that tried it: this one uses it.
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let sleeper = thread::spawn(move || ended.recv());
    without_room_for_threads(|| runtime.block_on(token()));
    drop(end);
    assert!(sleeper.join().unwrap().is_err());
    runtime.block_on(token());
}

/// A thread needs more memory than that for its stack.
fn without_room_for_threads(test: impl FnOnce()) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    const ROOM: u64 = 1 << 20;
    let memory = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = memory.split(' ').next().unwrap().parse().unwrap();
    let (usual, most) = getrlimit(Resource::RLIMIT_AS).unwrap();
    let narrow = pages * sys::limits::page_size() as u64 + ROOM;
    setrlimit(Resource::RLIMIT_AS, narrow, most).unwrap();
    assert!(thread::Builder::new().spawn(|| ()).is_err());
    test();
    setrlimit(Resource::RLIMIT_AS, usual, most).unwrap();
}

async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[test]
fn many_waiters_on_one_semaphore_all_get_their_turn() {
    for strategy in STRATEGIES {
        let waits = waits(strategy);
        let semaphore = semaphore(0);
        let taken = Arc::new(AtomicU32::new(0));
        run(async {
            let mut tasks = Vec::new();
            for _ in 0..300 {
                let (waits, semaphore, taken) = (waits.clone(), semaphore.clone(), taken.clone());
                tasks.push(tokio::spawn(async move {
                    let canceller = Canceller::new();
                    waits.acquire(&semaphore, ANY, &canceller).await.unwrap();
                    taken.fetch_add(1, Ordering::SeqCst);
                }));
            }
            for task in tasks.drain(..100) {
                task.abort();
            }
            let poster = semaphore.clone();
            thread::spawn(move || (0..300).for_each(|_| poster.release().unwrap()));
            for task in tasks {
                task.await.unwrap();
            }
            // Of the aborted ones, those that were quicker have taken theirs.
            while semaphore.value().unwrap() + taken.load(Ordering::SeqCst) < 300 {
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(
            semaphore.value().unwrap() + taken.load(Ordering::SeqCst),
            300
        );
    }
}

#[test]
fn more_semaphores_than_one_thread_can_wait_for() {
    let waits = waits(WaitStrategy::Reactor);
    let semaphores: Vec<_> = (0..300).map(|_| semaphore(0)).collect();
    run(async {
        let mut tasks = Vec::new();
        for semaphore in &semaphores {
            let (waits, semaphore) = (waits.clone(), semaphore.clone());
            tasks.push(tokio::spawn(async move {
                waits
                    .acquire(&semaphore, ANY, &Canceller::new())
                    .await
                    .unwrap();
            }));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        for semaphore in semaphores.iter().rev() {
            semaphore.release().unwrap();
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_waiter_is_gone_from_the_semaphore_when_its_wait_is() {
    let waits = waits(WaitStrategy::Reactor);
    let semaphore = semaphore(0);
    run(async {
        for _ in 0..100 {
            let canceller = Canceller::new();
            let acquire = waits.acquire(&semaphore, ANY, &canceller);
            let _ = tokio::time::timeout(moment(), acquire).await;
        }
    });
    assert_eq!(semaphore.announced(), 0);
}

#[test]
fn a_cancelled_receive_takes_no_message() {
    let waits = waits(WaitStrategy::Auto);
    let queue = Arc::new(queue());
    run(async {
        for round in 0..ROUNDS {
            let sender = queue.clone();
            let sender = later(move || sender.get().try_send(b"note", 0).unwrap());
            let mut buffer = Vec::new();
            let canceller = Canceller::new();
            let receive = waits.receive(&queue, 4, &mut buffer, ANY, &canceller);
            let taken = tokio::time::timeout(moment(), receive).await.is_ok();
            sender.join().unwrap();
            let left = queue.get().attributes().unwrap().current_messages;
            assert_eq!(left, u32::from(!taken), "round {round}");
            if left == 1 {
                queue.get().try_receive(4, &mut Vec::new()).unwrap();
            }
        }
    });
}

#[test]
fn a_cancelled_send_sends_nothing() {
    let waits = waits(WaitStrategy::Auto);
    let queue = Arc::new(queue());
    queue.get().try_send(b"full", 0).unwrap();
    queue.get().try_send(b"full", 0).unwrap();
    run(async {
        for round in 0..ROUNDS {
            let receiver = queue.clone();
            let receiver = later(move || {
                receiver.get().try_receive(4, &mut Vec::new()).unwrap();
            });
            let canceller = Canceller::new();
            let send = waits.send(&queue, b"more", 0, ANY, &canceller);
            let sent = tokio::time::timeout(moment(), send).await.is_ok();
            receiver.join().unwrap();
            let held = queue.get().attributes().unwrap().current_messages;
            assert_eq!(held, 1 + u32::from(sent), "round {round}");
            if !sent {
                queue.get().try_send(b"full", 0).unwrap();
            }
        }
    });
}

#[test]
fn a_word_wakes_when_it_is_woken_and_when_it_has_changed() {
    for strategy in STRATEGIES {
        let waits = waits(strategy);
        let mut segment = segment(4096);
        run(async {
            for round in 1..=200 {
                let word = segment.waitable(8).unwrap();
                let peer = sys::word::Word::Segment(segment.waitable(8).unwrap().into());
                let peer = later(move || {
                    peer.store_for_test(round);
                    peer.wake(1).unwrap();
                });
                let canceller = Canceller::new();
                let waited = waits.changed(word, round - 1, ANY, &canceller).await;
                assert!(waited.is_ok(), "{strategy:?}, round {round}");
                peer.join().unwrap();
            }
        });
    }
}

/// One segment, as so many guests of one host have it open.
fn opened(guests: usize) -> Vec<SharedMemory> {
    let name = Name::unique(Kind::SharedMemory);
    let _segment = SharedMemory::create(&name, 0o600, 4096, |_| {}).unwrap();
    let open = || SharedMemory::open(&name, true).unwrap();
    let opened = std::iter::repeat_with(open).take(guests).collect();
    shared_memory::unlink(&name).unwrap();
    opened
}

#[test]
fn a_word_that_is_woken_without_a_change_wakes_as_many_guests_as_it_says() {
    let waits = waits(WaitStrategy::Reactor);
    let mut guests = opened(6);
    let peer = guests.pop().unwrap().waitable(8).unwrap();
    let peer = sys::word::Word::Segment(peer.into());
    run(async {
        let mut tasks = std::collections::VecDeque::new();
        for guest in &mut guests {
            let (waits, word) = (waits.clone(), guest.waitable(8).unwrap());
            let wait = async move { waits.changed(word, 0, ANY, &Canceller::new()).await };
            let mut wait = Box::pin(wait);
            // In this order.
            assert!(poll_once(wait.as_mut()).await.is_none());
            tasks.push_back(tokio::spawn(wait));
        }
        for some in [2, 3] {
            let mut woken = 0;
            while woken < some {
                let most = if some == 2 { some - woken } else { u32::MAX };
                woken += peer.wake(most).unwrap();
                tokio::task::yield_now().await;
            }
            assert_eq!(woken, some);
            for task in tasks.drain(..some as usize) {
                assert!(task.await.unwrap().is_ok());
            }
            assert!(tasks.iter().all(|task| !task.is_finished()));
        }
    });
}

#[test]
fn a_native_waiter_gets_the_wake_up_that_a_cancelled_guest_had() {
    let waits = waits(WaitStrategy::Reactor);
    let mut opened = opened(2);
    let mut words = opened.iter_mut().map(|one| one.waitable(0).unwrap());
    let (word, native) = (Arc::new(words.next().unwrap()), words.next().unwrap());
    let native = sys::word::Word::Segment(native.into());
    let peer = native.clone();
    run(async {
        let guest = sys::word::Word::Segment(word);
        let registered = waits.register(guest, reactor::Interest::Change(0));
        let mut registered = registered.unwrap();
        thread::sleep(SETTLED);
        // Behind the guest in the queue of the kernel.
        let native = thread::spawn(move || native.wait(0, FOREVER / 2));
        thread::sleep(SETTLED);
        peer.store_for_test(1);
        peer.wake(1).unwrap();
        registered.fired().await;
        drop(registered);
        // It may have been late, and have found the change.
        let woken = native.join().unwrap();
        assert!(matches!(woken, Ok(()) | Err(Errno::EAGAIN)), "{woken:?}");
    });
}

#[test]
fn deadlines_and_cancellation_end_every_kind_of_wait() {
    for strategy in STRATEGIES {
        let waits = waits(strategy);
        let semaphore = semaphore(0);
        let queue = queue();
        let mut segment = segment(64);
        run(async {
            for wait_mode in [WaitMode::new(Some(1)), WaitMode::new(Some(2_000_000))] {
                let canceller = Canceller::new();
                let acquired = waits.acquire(&semaphore, wait_mode, &canceller).await;
                assert_errno(acquired, Errno::ETIMEDOUT);
                let received = waits
                    .receive(&queue, 4, &mut Vec::new(), wait_mode, &canceller)
                    .await;
                assert_errno(received, Errno::ETIMEDOUT);
                let word = segment.waitable(0).unwrap();
                assert_errno(
                    waits.changed(word, 0, wait_mode, &canceller).await,
                    Errno::ETIMEDOUT,
                );
            }
            let canceller = Canceller::new();
            let other = canceller.clone();
            later(move || other.cancel());
            // Longer than the clock reaches.
            let wait_mode = WaitMode::new(Some(u64::MAX));
            let acquired = waits.acquire(&semaphore, wait_mode, &canceller).await;
            assert_errno(acquired, Errno::ECANCELED);
            let received = waits
                .receive(&queue, 4, &mut Vec::new(), wait_mode, &canceller)
                .await;
            assert_errno(received, Errno::ECANCELED);
            let word = segment.waitable(0).unwrap();
            assert_errno(
                waits.changed(word, 0, wait_mode, &canceller).await,
                Errno::ECANCELED,
            );
        });
    }
}

fn assert_errno<T: std::fmt::Debug>(result: sys::Result<T>, errno: Errno) {
    assert_eq!(result.map(drop), Err(errno));
}

#[test]
fn a_semaphore_whose_file_is_cut_while_somebody_waits_is_an_error() {
    for strategy in STRATEGIES {
        let waits = waits(strategy);
        let name = Name::unique(Kind::Semaphore);
        let semaphore = Arc::new(Semaphore::create(&name, 0o600, 0, |_| {}).unwrap());
        let path = format!("/dev/shm/sem.{}", &name.as_str()[1..]);
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        semaphore::unlink(&name).unwrap();
        thread::spawn(move || {
            thread::sleep(SETTLED);
            file.set_len(0).unwrap();
        });
        let acquired = run(async { waits.acquire(&semaphore, ANY, &Canceller::new()).await });
        assert_errno(acquired, sys::TRUNCATED);
        assert_eq!(semaphore.release(), Err(sys::TRUNCATED));
    }
}
