//! The guest's side of a conversation with a native program, see `../README.md`.
//!
//! ```text
//! conversation [--try-denied]
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use posix_ipc_guest::{Access, ErrorKind, Message, Queue, Segment, Semaphore};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// No wait is longer than this: a side whose peer is gone must not hang.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Round 1: the message in shared memory is a header (kind, sequence number, length, four
/// bytes unused, checksum) and the payload.
const HEADER: usize = 24;
const PAYLOAD_MAX: usize = 8192;
const KIND_MESSAGE: u32 = 1;
const KIND_END: u32 = 2;

/// Round 2: how many messages a queue holds, and the sequence number that starts each.
const QUEUE_MESSAGES: u32 = 8;
const JOB_HEADER: usize = 4;

#[derive(Default)]
struct Totals {
    messages: u64,
    bytes: u64,
}

fn main() -> ExitCode {
    match converse() {
        Ok(Totals { messages, bytes }) => {
            println!("guest:  done, {messages} messages, {bytes} bytes, errors: 0");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("guest:  error: {error}");
            println!("guest:  gave up, errors: 1");
            ExitCode::FAILURE
        }
    }
}

fn converse() -> Result<Totals> {
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("--try-denied") => try_denied()?,
        Some(other) => return Err(format!("no such option: {other}").into()),
    }

    // The names are the guest's own: the host puts the native program's behind them.
    let ping = Semaphore::open("/ping")?;
    let pong = Semaphore::open("/pong")?;
    let data = Segment::open("/data", Access::ReadWrite)?;
    let jobs = Queue::open("/jobs", Access::Read)?;
    let answers = Queue::open("/answers", Access::Write)?;

    let mut totals = Totals::default();
    round_one(&data, &ping, &pong, &mut totals)?;
    round_two(&jobs, &answers, &ping, &pong, &mut totals)?;
    Ok(totals)
}

/// Nobody granted this queue. That there may be one must make no difference.
fn try_denied() -> Result {
    match Queue::open("/admin", Access::Write) {
        Err(error) if error.kind() == ErrorKind::NotPermitted => {
            println!("guest:  opening the queue /admin: {error}");
            Ok(())
        }
        Err(error) => Err(format!("/admin should be not permitted, but is: {error}").into()),
        Ok(_) => Err("/admin should be not permitted, but it opened".into()),
    }
}

/// Answers each message in shared memory with its bytes in reverse, each combined with the
/// sequence number.
fn round_one(data: &Segment, ping: &Semaphore, pong: &Semaphore, totals: &mut Totals) -> Result {
    let mut received = Checksum::new();
    let mut sent = Checksum::new();
    let (mut count, mut total) = (0, 0);
    let mut payload = vec![0; PAYLOAD_MAX];

    loop {
        ping.acquire_timeout(TIMEOUT)
            .map_err(|error| format!("waiting for a message: {error}"))?;
        let mut header = [0; HEADER];
        data.read_exact(0, &mut header)?;
        let kind = u32::from_le_bytes(part(&header, 0));
        let number = u32::from_le_bytes(part(&header, 4));
        let length = u32::from_le_bytes(part(&header, 8)) as usize;
        let checksum = u64::from_le_bytes(part(&header, 16));

        if kind == KIND_END {
            if number != count || checksum != received.0 {
                return Err("the two sides do not agree on round 1".into());
            }
            header[16..].copy_from_slice(&sent.0.to_le_bytes());
            data.write(0, &header)?;
            pong.release()?;
            break;
        }
        count += 1;
        if kind != KIND_MESSAGE || number != count || length > PAYLOAD_MAX {
            return Err(format!("expected message {count}, got {number} of {length} bytes").into());
        }
        let payload = &mut payload[..length];
        data.read_exact(HEADER as u64, payload)?;
        received.add(number, payload);
        if checksum != received.0 {
            return Err(format!("the checksum of message {number} is wrong").into());
        }

        payload.reverse();
        payload.iter_mut().for_each(|byte| *byte ^= number as u8);
        sent.add(number, payload);
        header[16..].copy_from_slice(&sent.0.to_le_bytes());
        data.write(HEADER as u64, payload)?;
        data.write(0, &header)?;
        pong.release()?;
        total += 2 * length as u64;
    }

    totals.messages += 2 * u64::from(count);
    totals.bytes += total;
    println!(
        "guest:  round 1, shared memory:  {count} messages in, {count} answers out, \
         {total} bytes, checksums {:016x} {:016x}",
        received.0, sent.0
    );
    Ok(())
}

/// Answers each job with the checksum over all jobs so far. The jobs of a batch are all in
/// the queue when it is announced, so they have to come by priority, then by age.
fn round_two(
    jobs: &Queue,
    answers: &Queue,
    ping: &Semaphore,
    pong: &Semaphore,
    totals: &mut Totals,
) -> Result {
    let mut checksum = Checksum::new();
    let (mut count, mut total) = (0, 0);

    for round in 0.. {
        ping.acquire_timeout(TIMEOUT)
            .map_err(|error| format!("waiting for jobs: {error}"))?;
        // Both ways of taking them, by turns.
        let batch = if round % 2 == 0 {
            jobs.try_receive_batch(QUEUE_MESSAGES)?
        } else {
            one_by_one(jobs)?
        };

        let mut last = None;
        for Message { payload, priority } in &batch {
            if payload.len() < JOB_HEADER {
                return Err(format!("a job of {} bytes", payload.len()).into());
            }
            let number = u32::from_le_bytes(part(payload, 0));
            if last.is_some_and(|last| last >= (u32::MAX - priority, number)) {
                return Err(format!("job {number} of priority {priority} came too late").into());
            }
            last = Some((u32::MAX - priority, number));
            checksum.add(number, &payload[JOB_HEADER..]);

            let mut answer = number.to_le_bytes().to_vec();
            answer.extend(checksum.0.to_le_bytes());
            answers
                .send_timeout(&answer, *priority, TIMEOUT)
                .map_err(|error| format!("answering job {number}: {error}"))?;
            total += (payload.len() + answer.len()) as u64;
            count += 1;
        }
        pong.release()?;
        if batch.is_empty() {
            break;
        }
    }

    totals.messages += 2 * count;
    totals.bytes += total;
    println!(
        "guest:  round 2, message queues: {count} jobs in, {count} answers out, \
         {total} bytes, checksum {:016x}",
        checksum.0
    );
    Ok(())
}

fn one_by_one(jobs: &Queue) -> Result<Vec<Message>> {
    let mut batch = Vec::new();
    while let Some(job) = jobs.try_receive()? {
        batch.push(job);
    }
    Ok(batch)
}

/// FNV-1a with 64 bits, a chain over all messages so far: it shows one that is lost,
/// repeated, reordered or torn.
struct Checksum(u64);

impl Checksum {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, number: u32, payload: &[u8]) {
        let head = [number.to_le_bytes(), (payload.len() as u32).to_le_bytes()];
        for &byte in head.as_flattened().iter().chain(payload) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The bytes of a number at an offset.
fn part<const SIZE: usize>(bytes: &[u8], at: usize) -> [u8; SIZE] {
    bytes[at..at + SIZE].try_into().expect("SIZE bytes")
}
