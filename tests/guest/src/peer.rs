//! `probe peer`: what a guest does together with the native program of
//! `tests/peers/peer.c`, which says what they agree on.

use posix_ipc_guest::{Access, ErrorKind, Message, Queue, Result, Segment, Semaphore, WaitOutcome};
use std::time::{Duration, Instant};

pub fn main(arguments: &[&str]) {
    let number = |text: &str| -> u32 { text.parse().expect("a number") };
    let done = match *arguments {
        ["count", segment, count] => self::count(segment, number(count)),
        ["semaphores", ping, pong, segment, rounds] => {
            semaphores(ping, pong, segment, number(rounds))
        }
        ["queues", requests, answers, count] => queues(requests, answers, number(count)),
        ["words", segment, rounds] => words(segment, number(rounds)),
        ["shrunk-segment", segment, size, seconds] => {
            shrunk_segment(segment, number(size) as usize, number(seconds))
        }
        ["shrunk-semaphore", semaphore, seconds] => shrunk_semaphore(semaphore, number(seconds)),
        _ => panic!("unknown arguments: {arguments:?}"),
    };
    done.expect("nothing fails that is not expected to");
}

fn count(segment: &str, count: u32) -> Result<()> {
    let segment = Segment::open(segment, Access::ReadWrite)?;
    let (small, large) = (segment.u32(0), segment.u64(8));
    let (progress, present) = (segment.u32(16), segment.u32(20));
    present.fetch_add(1)?;
    while present.load()? < 2 {}
    for i in 0..count {
        small.fetch_add(1)?;
        large.fetch_add(1)?;
        if i % 1000 == 0 {
            progress.store(i)?;
        }
    }
    progress.store(count)
}

fn semaphores(ping: &str, pong: &str, segment: &str, rounds: u32) -> Result<()> {
    let (ping, pong) = (Semaphore::open(ping)?, Semaphore::open(pong)?);
    let segment = Segment::open(segment, Access::ReadWrite)?;
    for i in 0..rounds {
        ping.release()?;
        // Every way to wait.
        match i % 3 {
            0 => pong.acquire()?,
            1 => pong.acquire_timeout(Duration::from_secs(100))?,
            _ => {
                while !pong.try_acquire()? {
                    pong.subscribe()?.block();
                }
            }
        }
        let number = segment.read(0, 4)?;
        assert_eq!(number, (2 * i + 1).to_ne_bytes(), "round {i}");
        segment.write(0, &(2 * i + 2).to_ne_bytes())?;
    }
    Ok(())
}

const PRIORITIES: u32 = 3;
const MESSAGE_SIZE: usize = 64;

fn message(number: u32) -> Vec<u8> {
    let length = 4 + number as usize % (MESSAGE_SIZE - 4 + 1);
    let rest = (4..length).map(|i| (number * 31).wrapping_add(i as u32) as u8);
    number.to_ne_bytes().into_iter().chain(rest).collect()
}

fn queues(requests: &str, answers: &str, count: u32) -> Result<()> {
    let requests = Queue::open(requests, Access::Read)?;
    let answers = Queue::open(answers, Access::Write)?;
    let mut next = [0, 1, 2];
    let mut received = 0;
    while received < count {
        // Every way to receive and to send.
        let mut messages = match received % 4 {
            0 => vec![requests.receive()?],
            1 => requests.receive_batch(3)?,
            2 => vec![requests.receive_timeout(Duration::from_secs(100))?],
            _ => {
                requests.subscribe_readable()?.block();
                vec![requests.try_receive()?.expect("there is no other receiver")]
            }
        };
        received += messages.len() as u32;
        for Message { payload, priority } in &mut messages {
            let number = &mut next[*priority as usize];
            assert_eq!(*payload, message(*number), "priority {priority}");
            *number += PRIORITIES;
            payload.iter_mut().for_each(|byte| *byte = !*byte);
        }
        match &messages[..] {
            [one] if received % 2 == 0 => answers.send(&one.payload, one.priority)?,
            all => {
                let sent = answers.send_batch(all.iter().map(Message::as_parts))?;
                assert_eq!(sent, all.len());
            }
        }
    }
    assert_eq!(received, count);
    Ok(())
}

fn words(segment: &str, rounds: u32) -> Result<()> {
    let segment = Segment::open(segment, Access::ReadWrite)?;
    let word = segment.u32(0);
    for i in 0..rounds {
        word.store(2 * i + 1)?;
        assert!(word.notify(1)? <= 1);
        while word.load()? == 2 * i + 1 {
            let outcome = match i % 2 {
                0 => word.wait(2 * i + 1)?,
                _ => word.wait_timeout(2 * i + 1, Duration::from_secs(100))?,
            };
            if outcome == WaitOutcome::NotEqual {
                break;
            }
        }
        assert_eq!(word.load()?, 2 * i + 2, "round {i}");
    }
    Ok(())
}

/// How often what came out.
#[derive(Debug, Default)]
struct Tally {
    whole: u64,
    short: u64,
    truncated: u64,
    timed_out: u64,
}

impl Tally {
    /// Counts a result that is what was asked for, or an error that is to be expected.
    fn count<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.whole += 1;
                return Some(value);
            }
            Err(error) => match error.kind() {
                ErrorKind::Truncated => self.truncated += 1,
                ErrorKind::TimedOut => self.timed_out += 1,
                other => panic!("{other:?}"),
            },
        }
        None
    }
}

/// What the peer writes, what this writes, and what nobody has written.
const PEER: u8 = 0x5a;
const OWN: u8 = 0xa5;

fn check_bytes(bytes: &[u8]) {
    let unknown = bytes.iter().find(|byte| ![0, PEER, OWN].contains(byte));
    assert_eq!(unknown, None, "nobody has written this");
}

fn shrunk_segment(segment: &str, size: usize, seconds: u32) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds.into());
    let segment = Segment::open(segment, Access::ReadWrite)?;
    let own = vec![OWN; size];
    let mut buffer = vec![0; size];
    let mut tally = Tally::default();
    let mut turn = 0_u64;
    // Both things have to have happened, or it shows nothing.
    while Instant::now() < end || tally.whole == 0 || tally.truncated == 0 {
        turn += 1;
        let offset = turn * 4104 % (size as u64 - 8);
        let offset = offset - offset % 8;
        let bytes = segment.read(0, size)?;
        check_bytes(&bytes);
        tally.short += u64::from(bytes.len() < size);
        let bytes = segment.read(offset, 100)?;
        check_bytes(&bytes);
        let length = segment.read_into(0, &mut buffer)?;
        check_bytes(&buffer[..length]);
        tally.short += u64::from(length < size);
        assert!(segment.size()? <= size as u64);

        let (small, large) = (segment.u32(offset), segment.u64(offset));
        let (own32, peer32) = (u32::from_ne_bytes([OWN; 4]), u32::from_ne_bytes([PEER; 4]));
        let (own64, peer64) = (u64::from_ne_bytes([OWN; 8]), u64::from_ne_bytes([PEER; 8]));
        let words32 = [
            tally.count(small.load()),
            tally.count(small.swap(own32)),
            tally.count(small.fetch_add(0)),
            tally
                .count(small.compare_exchange(peer32, own32))
                .map(|word| word.unwrap_or_else(|now| now)),
        ];
        let words64 = [
            tally.count(large.load()),
            tally.count(large.swap(own64)),
            tally.count(large.fetch_or(0)),
            tally
                .count(large.compare_exchange(own64, peer64))
                .map(|word| word.unwrap_or_else(|now| now)),
        ];
        words32
            .iter()
            .flatten()
            .for_each(|word| check_bytes(&word.to_ne_bytes()));
        words64
            .iter()
            .flatten()
            .for_each(|word| check_bytes(&word.to_ne_bytes()));
        tally.count(small.store(own32));
        tally.count(segment.write(0, &own));
        tally.count(segment.write(offset, &own[..8]));
        tally.count(small.notify(1));
        if turn.is_multiple_of(16) {
            tally.count(small.wait_timeout(0, Duration::from_micros(200)));
        }
    }
    println!("{tally:?}");
    Ok(())
}

fn shrunk_semaphore(name: &str, seconds: u32) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds.into());
    let mut tally = Tally::default();
    while Instant::now() < end || tally.whole == 0 || tally.truncated == 0 {
        let semaphore = match Semaphore::open(name) {
            Ok(semaphore) => semaphore,
            // It has no size at this moment.
            Err(error) if error.kind() == ErrorKind::Invalid => continue,
            Err(error) => return Err(error),
        };
        let before = tally.truncated;
        while tally.truncated == before {
            tally.count(semaphore.release());
            tally.count(semaphore.value());
            tally.count(semaphore.try_acquire());
            tally.count(semaphore.acquire_timeout(Duration::from_micros(200)));
        }
    }
    println!("{tally:?}");
    Ok(())
}
