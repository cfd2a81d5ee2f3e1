//! Uses mappings as a guest author would. The first argument says what to do; what it
//! finds wrong it says, and fails.

use posix_ipc_guest::{Access, ErrorKind, Mapping, Queue, QueueLimits, Segment, Semaphore};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| -> u64 { arguments[at].parse().expect("a number") };
    match arguments[1].as_str() {
        "count" => count(number(2)),
        "compare-exchange" => compare_exchange(number(2)),
        "copy" => copy(),
        "bounds" => bounds(),
        "read-only" => read_only(),
        "semaphore" => semaphore(number(2) == 1),
        "ping-pong" => ping_pong(number(2)),
        "memcpy" => memcpy(),
        "print" => print(),
        "private" => private(),
        "charge" => charge(),
        "direct" => direct(),
        "watch" => watch(),
        what => panic!("{what}?"),
    }
}

fn mapping() -> Mapping {
    let segment = Segment::open("/object", Access::ReadWrite).unwrap();
    segment.map_all(Access::ReadWrite).unwrap()
}

/// Counts beside a native process, in both sizes of words.
fn count(rounds: u64) {
    let mapping = mapping();
    while mapping.u32(16).unwrap().load(SeqCst) == 0 {}
    let (small, large) = (mapping.u32(0).unwrap(), mapping.u64(8).unwrap());
    for _ in 0..rounds {
        small.fetch_add(1, SeqCst);
        large.fetch_add(1, SeqCst);
    }
}

fn compare_exchange(rounds: u64) {
    let mapping = mapping();
    while mapping.u32(16).unwrap().load(SeqCst) == 0 {}
    let (small, large) = (mapping.u32(0).unwrap(), mapping.u64(8).unwrap());
    for _ in 0..rounds {
        small
            .fetch_update(SeqCst, SeqCst, |old| Some(old + 1))
            .unwrap();
        large
            .fetch_update(SeqCst, SeqCst, |old| Some(old + 1))
            .unwrap();
    }
}

/// Bulk copies of every length and alignment that matters.
fn copy() {
    let mapping = mapping();
    let pattern: Vec<u8> = (0..4096).map(|at| (at * 7 + at / 256) as u8).collect();
    for from in [0, 1, 3, 8, 15, 16, 17] {
        for to in [0, 1, 5, 8, 16] {
            for length in [0, 1, 7, 8, 15, 16, 17, 31, 63, 64, 65, 127, 200, 1000, 4000] {
                mapping.write(0, &[0; 4096]).unwrap();
                mapping.write(from, &pattern[to..to + length]).unwrap();
                let mut back = vec![0xEE; 4096];
                mapping
                    .read_exact(from, &mut back[to..to + length])
                    .unwrap();
                assert_eq!(back[to..to + length], pattern[to..to + length]);
                assert!(back[..to].iter().all(|&byte| byte == 0xEE));
                assert!(back[to + length..].iter().all(|&byte| byte == 0xEE));
                mapping.read_exact(0, &mut back).unwrap();
                assert!(back[..from].iter().all(|&byte| byte == 0));
                assert!(back[from + length..].iter().all(|&byte| byte == 0));
            }
        }
    }
    // The host reads the same by copying.
    mapping.write(0, &pattern).unwrap();
    let segment = Segment::open("/object", Access::ReadWrite).unwrap();
    assert_eq!(segment.read(0, 4096).unwrap(), pattern);
    let mut buffer = vec![0; 5000];
    assert_eq!(segment.read_into(100, &mut buffer).unwrap(), 3996);
    assert_eq!(buffer[..3996], pattern[100..]);
    segment.write(50, &[1; 50]).unwrap();
    mapping.read_exact(0, &mut buffer[..150]).unwrap();
    assert_eq!(
        (&buffer[..50], &buffer[100..150]),
        (&pattern[..50], &pattern[100..150])
    );
    assert_eq!(buffer[50..100], [1; 50]);
}

fn bounds() {
    let mapping = mapping();
    let kind = |result: posix_ipc_guest::Result<()>| result.unwrap_err().kind();
    assert_eq!(mapping.len(), 4096);
    assert_eq!(mapping.as_ptr() as usize, 0xC000_0000);
    assert_eq!(kind(mapping.u32(2).map(drop)), ErrorKind::Invalid);
    assert_eq!(kind(mapping.u64(4).map(drop)), ErrorKind::Invalid);
    assert_eq!(kind(mapping.u32(4096).map(drop)), ErrorKind::Truncated);
    assert_eq!(
        kind(mapping.u64(usize::MAX - 7).map(drop)),
        ErrorKind::Truncated
    );
    mapping.u64(4088).unwrap();
    assert_eq!(kind(mapping.write(4090, &[0; 7])), ErrorKind::Truncated);
    assert_eq!(
        kind(mapping.read_exact(1, &mut [0; 4096])),
        ErrorKind::Truncated
    );
    mapping.read_exact(4096, &mut []).unwrap();
    mapping.write(4090, &[0; 6]).unwrap();
}

fn read_only() {
    let segment = Segment::open("/object", Access::Read).unwrap();
    let mapping = segment.map_all(Access::Read).unwrap();
    assert_eq!(
        mapping.write(0, &[1]).unwrap_err().kind(),
        ErrorKind::Access
    );
    assert_eq!(mapping.u32(0).unwrap().load(SeqCst), 0xA5A5_0000);
    let refused = segment.map_all(Access::ReadWrite);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Access);
}

/// Everything that a semaphore does, whether it is mapped or not.
fn semaphore(mapped: bool) {
    let gate = Semaphore::options().fast(true).open("/gate").unwrap();
    assert_eq!(gate.map().is_ok(), mapped);
    let other = Semaphore::open("/gate").unwrap();
    let values = || (gate.value().unwrap(), other.value().unwrap());
    assert_eq!(values(), (0, 0));
    assert!(!gate.try_acquire().unwrap());
    let late = gate.acquire_timeout(Duration::from_millis(5));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
    gate.release().unwrap();
    assert_eq!(values(), (1, 1));
    gate.acquire().unwrap();
    assert_eq!(values(), (0, 0));
    other.release().unwrap();
    gate.release().unwrap();
    assert_eq!(values(), (2, 2));
    gate.acquire_timeout(Duration::from_secs(1)).unwrap();
    assert!(gate.try_acquire().unwrap());
    assert!(gate.try_lock().unwrap().is_none());
    gate.release().unwrap();
    drop(gate.lock().unwrap());
    assert_eq!(values(), (1, 1));
    for _ in 0..100_000 {
        gate.release().unwrap();
        assert!(gate.try_acquire().unwrap());
    }
    assert!(gate.try_acquire().unwrap());
    // Up to the maximum, and no further.
    let most = posix_ipc_guest::limits::semaphore_value_max();
    if mapped {
        let page = gate.map().unwrap();
        page.u32(0).unwrap().store(most - 1, SeqCst);
        gate.release().unwrap();
        let full = gate.release();
        assert_eq!(full.unwrap_err().kind(), ErrorKind::Overflow);
        assert_eq!(values(), (most, most));
        page.u32(0).unwrap().store(0, SeqCst);
    }
    assert_eq!(values(), (0, 0));
}

fn ping_pong(rounds: u64) {
    let ping = Semaphore::options().fast(true).open("/ping").unwrap();
    let pong = Semaphore::options().fast(true).open("/pong").unwrap();
    for _ in 0..rounds {
        ping.release().unwrap();
        pong.acquire().unwrap();
    }
}

/// What the documentation warns of.
fn memcpy() {
    let mapping = mapping();
    let mut buffer = vec![0u8; 4096];
    // SAFETY: it is not. It traps.
    unsafe { std::ptr::copy_nonoverlapping(mapping.as_ptr(), buffer.as_mut_ptr(), 4096) };
    println!("{}", buffer[17]);
}

fn print() {
    use std::io::Write;
    let mapping = mapping();
    // SAFETY: it is not. The call is refused.
    let bytes = unsafe { std::slice::from_raw_parts(mapping.as_ptr(), 16) };
    std::io::stdout().write_all(bytes).unwrap();
    std::io::stdout().flush().unwrap();
}

fn private() {
    let segment = Segment::create_new("/mine", 4096).unwrap();
    let mapping = segment.map_all(Access::ReadWrite).unwrap();
    mapping.u32(0).unwrap().store(7, SeqCst);
    assert_eq!(segment.u32(0).load().unwrap(), 7);
}

/// An object without a name and without a handle is there as long as a mapping of it is,
/// and so takes the room of another.
fn charge() {
    let segment = Segment::create_new("/one", 4096).unwrap();
    let mapping = segment.map_all(Access::ReadWrite).unwrap();
    drop(segment);
    Segment::unlink("/one").unwrap();
    mapping.u32(0).unwrap().store(7, SeqCst);
    let another = || Segment::create_new("/another", 4096);
    assert_eq!(another().unwrap_err().kind(), ErrorKind::Quota);
    drop(mapping);
    another().unwrap();
}

/// Looks at a word until it is gone.
fn watch() {
    let mapping = mapping();
    let word = mapping.u32(0).unwrap();
    word.store(1, SeqCst);
    while word.load(SeqCst) == 1 {}
}

/// What is done without a handle, or falls back on it: to wait, and to say why not.
fn direct() {
    let gate = Semaphore::create_new("/gate", 0).unwrap();
    assert!(!gate.try_acquire().unwrap());
    let late = gate.acquire_timeout(Duration::from_millis(1)).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::TimedOut);
    gate.release().unwrap();
    gate.acquire().unwrap();

    let object = Segment::create_new("/object", 10).unwrap();
    object.write(0, b"0123456789").unwrap();
    let mut buffer = [b'-'; 8];
    assert_eq!(object.read_into(5, &mut buffer).unwrap(), 5);
    assert_eq!(&buffer[..5], b"56789");
    assert_eq!(object.read_into(10, &mut buffer).unwrap(), 0);
    let long = object.write(5, b"abcdef").unwrap_err();
    assert_eq!(long.kind(), ErrorKind::Truncated);
    let reader = Segment::open("/object", Access::Read).unwrap();
    let refused = reader.write(0, b"a").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Access);

    let limits = QueueLimits {
        max_messages: 2,
        max_message_size: 8,
    };
    let jobs = Queue::create_new("/jobs", limits).unwrap();
    jobs.send(b"low", 1).unwrap();
    jobs.send(b"", 0xFFFF_FFFF).unwrap_err();
    jobs.send(b"high", 7).unwrap();
    assert!(!jobs.try_send(b"more", 0).unwrap());
    let full = jobs
        .send_timeout(b"more", 0, Duration::from_millis(1))
        .unwrap_err();
    assert_eq!(full.kind(), ErrorKind::TimedOut);
    let long = jobs.send(b"123456789", 0).unwrap_err();
    assert_eq!(long.kind(), ErrorKind::MessageTooLong);
    // A buffer that would not do for every message loses none.
    let short = jobs.receive_into(&mut buffer[..7]).unwrap_err();
    assert_eq!(short.kind(), ErrorKind::MessageTooLong);
    assert_eq!(jobs.receive_into(&mut buffer).unwrap(), (4, 7));
    assert_eq!(&buffer[..4], b"high");
    assert_eq!(jobs.receive_into(&mut buffer).unwrap(), (3, 1));
    assert!(jobs.try_receive().unwrap().is_none());

    let one = [(&b"one"[..], 1)];
    assert_eq!(jobs.try_send_batch([]).unwrap(), 0);
    assert_eq!(jobs.try_receive_batch(5).unwrap(), []);
    // Those before the one that is too long, or has no room.
    assert_eq!(jobs.send_batch([one[0], (b"123456789", 2)]).unwrap(), 1);
    assert_eq!(jobs.try_send_batch([(&b""[..], 3), one[0]]).unwrap(), 1);
    assert_eq!(jobs.try_send_batch(one).unwrap(), 0);
    let late = jobs.send_batch_timeout(one, Duration::from_millis(1));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
    let received = jobs.receive_batch(1).unwrap();
    assert_eq!(received[0].as_parts(), (&b""[..], 3));
    assert_eq!(jobs.send_batch(one).unwrap(), 1);
    let received = jobs.receive_batch(u32::MAX).unwrap();
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|message| message.as_parts() == one[0]));
    assert_eq!(jobs.send_batch([one[0]; 2]).unwrap(), 2);
    assert_eq!(jobs.receive_batch(0).unwrap().len(), 0);
    assert_eq!(jobs.receive_batch(2).unwrap().len(), 2);
}
