//! Does one thing many times and prints how many nanoseconds that took.
//!
//! Arguments: what, how often, and a size where there is one.

use posix_ipc_guest::{Access, Message, Queue, QueueLimits, Segment, Semaphore};
use std::hint::black_box;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(what) = arguments.get(1) else {
        // For measuring how long it takes to get here.
        return;
    };
    let number = |at: usize| -> usize {
        arguments
            .get(at)
            .map_or(0, |text| text.parse().expect("a number"))
    };
    println!("{}", measure(what, number(2), number(3)).as_nanos());
}

fn measure(what: &str, count: usize, size: usize) -> Duration {
    match what {
        "loop" => time(count, || black_box(())),
        "wait-own" => time(count, || {
            Semaphore::create_new("/wait", 0)
                .and_then(|own| own.acquire())
                .unwrap()
        }),
        "wait-shared" => time(count, || {
            Semaphore::open("/wait")
                .and_then(|shared| shared.acquire())
                .unwrap()
        }),
        "sem-pair" => pair(Semaphore::open("/gate").unwrap(), count),
        "sem-pair-mapping" => pair(mapped("/gate"), count),
        "sem-release" => release(Semaphore::open("/gate").unwrap(), count),
        "sem-release-mapping" => release(mapped("/gate"), count),
        "sem-contended" => contended(Semaphore::open("/lock").unwrap(), count),
        "sem-contended-mapping" => contended(mapped("/lock"), count),
        "mq" => queue(count, size),
        "mq-list" => queue_list(count, size),
        "mq-batch" => queue_batch(count, size),
        "shm-read-list" => {
            let segment = segment();
            time(count, || drop(black_box(segment.read(0, size).unwrap())))
        }
        "shm-read-into" => {
            let (segment, mut buffer) = (segment(), Buffer::new(size));
            // The host maps the object at the first use, and each page of it once.
            segment.write(0, buffer.bytes()).unwrap();
            time(count, || {
                black_box(segment.read_into(0, black_box(buffer.bytes())).unwrap());
            })
        }
        "shm-write" => {
            let (segment, mut buffer) = (segment(), Buffer::new(size));
            segment.write(0, buffer.bytes()).unwrap();
            time(count, || {
                segment.write(0, black_box(buffer.bytes())).unwrap()
            })
        }
        "mapping-read" => {
            let mapping = segment().map_all(Access::ReadWrite).unwrap();
            let mut buffer = Buffer::new(size);
            mapping.write(0, buffer.bytes()).unwrap();
            time(count, || {
                mapping.read_exact(0, black_box(buffer.bytes())).unwrap()
            })
        }
        "mapping-write" => {
            let mapping = segment().map_all(Access::ReadWrite).unwrap();
            let mut buffer = Buffer::new(size);
            mapping.write(0, buffer.bytes()).unwrap();
            time(count, || {
                mapping.write(0, black_box(buffer.bytes())).unwrap()
            })
        }
        "atomic" => {
            let segment = segment();
            let word = segment.u32(0);
            time(count, || {
                black_box(word.fetch_add(1).unwrap());
            })
        }
        "atomic-mapping" => {
            let mapping = segment().map_all(Access::ReadWrite).unwrap();
            let word = mapping.u32(0).unwrap();
            time(count, || {
                black_box(word.fetch_add(1, SeqCst));
            })
        }
        "sem-ping-pong" => sem_ping_pong(Semaphore::open, count),
        "sem-ping-pong-mapping" => sem_ping_pong(|name| Ok(mapped(name)), count),
        "mq-ping-pong" => {
            let ping = Queue::open("/ping", Access::Write).unwrap();
            let pong = Queue::open("/pong", Access::Read).unwrap();
            let payload = [7; 64];
            time(count, || {
                ping.send(&payload, 0).unwrap();
                black_box(pong.receive().unwrap());
            })
        }
        "sem-open" => time(count, || drop(Semaphore::open("/gate").unwrap())),
        "sem-create" => time(count, || {
            drop(Semaphore::create_new("/new", 0).unwrap());
            Semaphore::unlink("/new").unwrap();
        }),
        "shm-open" => time(count, || {
            drop(Segment::open("/object", Access::ReadWrite).unwrap());
        }),
        "shm-create" => time(count, || {
            drop(Segment::create_new("/new", 4096).unwrap());
            Segment::unlink("/new").unwrap();
        }),
        "mq-open" => time(count, || {
            drop(Queue::open("/jobs", Access::ReadWrite).unwrap());
        }),
        "mq-create" => time(count, || {
            let limits = QueueLimits {
                max_messages: 4,
                max_message_size: 64,
            };
            drop(Queue::create_new("/new", limits).unwrap());
            Queue::unlink("/new").unwrap();
        }),
        "map" => {
            let segment = segment();
            time(count, || {
                drop(black_box(segment.map(0, 65536, Access::ReadWrite).unwrap()));
            })
        }
        what => panic!("{what}?"),
    }
}

fn time(count: usize, mut operation: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        operation();
    }
    start.elapsed()
}

/// Bytes that start in the middle of a page, as those of the native side do: copying
/// between addresses that are equal in their lower bits is slow.
struct Buffer {
    room: Vec<u8>,
    start: usize,
    size: usize,
}

impl Buffer {
    fn new(size: usize) -> Self {
        let room = vec![1; size + 4096];
        let start = (4096 + 2048 - room.as_ptr().addr() % 4096) % 4096;
        Self { room, start, size }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.room[self.start..][..self.size]
    }
}

fn mapped(name: &str) -> Semaphore {
    Semaphore::options().fast(true).open(name).unwrap()
}

fn segment() -> Segment {
    Segment::open("/object", Access::ReadWrite).unwrap()
}

fn pair(semaphore: Semaphore, count: usize) -> Duration {
    time(count, || {
        semaphore.release().unwrap();
        assert!(semaphore.try_acquire().unwrap());
    })
}

fn contended(semaphore: Semaphore, count: usize) -> Duration {
    time(count, || {
        semaphore.acquire().unwrap();
        semaphore.release().unwrap();
    })
}

fn release(semaphore: Semaphore, count: usize) -> Duration {
    time(count, || semaphore.release().unwrap())
}

fn queue(count: usize, size: usize) -> Duration {
    let jobs = Queue::open("/jobs", Access::ReadWrite).unwrap();
    let longest = jobs.attributes().unwrap().limits.max_message_size as usize;
    let (payload, mut buffer) = (vec![7; size], vec![0; longest]);
    time(count, || {
        jobs.send(black_box(&payload), 0).unwrap();
        let received = jobs.receive_into(black_box(&mut buffer)).unwrap();
        assert_eq!(received, (size, 0));
    })
}

/// What is received is a list, made for it.
fn queue_list(count: usize, size: usize) -> Duration {
    let jobs = Queue::open("/jobs", Access::ReadWrite).unwrap();
    let payload = vec![7; size];
    time(count, || {
        jobs.send(black_box(&payload), 0).unwrap();
        black_box(jobs.receive().unwrap());
    })
}

/// The count is of messages.
fn queue_batch(count: usize, size: usize) -> Duration {
    let jobs = Queue::open("/jobs", Access::ReadWrite).unwrap();
    let capacity = jobs.attributes().unwrap().limits.max_messages as usize;
    let messages: Vec<Message> = (0..capacity)
        .map(|_| Message {
            payload: vec![7; size],
            priority: 0,
        })
        .collect();
    time(count / capacity, || {
        let sent = jobs.send_batch(messages.iter().map(Message::as_parts));
        assert_eq!(sent.unwrap(), capacity);
        let received = jobs.receive_batch(capacity as u32).unwrap();
        assert_eq!(black_box(received).len(), capacity);
    })
}

fn sem_ping_pong(open: fn(&str) -> posix_ipc_guest::Result<Semaphore>, count: usize) -> Duration {
    let (ping, pong) = (open("/ping").unwrap(), open("/pong").unwrap());
    time(count, || {
        ping.release().unwrap();
        pong.acquire().unwrap();
    })
}
