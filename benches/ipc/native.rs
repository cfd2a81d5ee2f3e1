//! The same with the C library, and the processes on the other side.

use std::ffi::CString;
use std::hint::black_box;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The size of the object.
pub const OBJECT: usize = 16 << 20;

/// The messages that the queue holds.
pub const CAPACITY: usize = 10;

/// The objects that everybody uses.
pub struct World {
    gate: *mut libc::sem_t,
    ping: *mut libc::sem_t,
    pong: *mut libc::sem_t,
    lock: *mut libc::sem_t,
    jobs: libc::mqd_t,
    mq_ping: libc::mqd_t,
    mq_pong: libc::mqd_t,
    memory: *mut u8,
    buffer: std::cell::UnsafeCell<Vec<u8>>,
    peers: Vec<Child>,
}

/// The name of an object of this run.
pub fn name(what: &str) -> String {
    format!("/posix-ipc-bench.{}.{what}", std::process::id())
}

fn c_name(what: &str) -> CString {
    CString::new(name(what)).expect("no NUL")
}

fn semaphore(name: &CString) -> *mut libc::sem_t {
    // SAFETY: the name is a C string.
    let semaphore = unsafe { libc::sem_open(name.as_ptr(), libc::O_CREAT, 0o600, 0) };
    assert_ne!(
        semaphore,
        libc::SEM_FAILED,
        "{}",
        std::io::Error::last_os_error()
    );
    semaphore
}

fn queue(name: &CString, messages: i64, size: i64) -> libc::mqd_t {
    // SAFETY: the name is a C string, the attributes are plain data.
    let queue = unsafe {
        let mut attributes: libc::mq_attr = std::mem::zeroed();
        (attributes.mq_maxmsg, attributes.mq_msgsize) = (messages, size);
        let flags = libc::O_CREAT | libc::O_RDWR;
        libc::mq_open(name.as_ptr(), flags, 0o600, &mut attributes)
    };
    assert!(queue >= 0, "{}", std::io::Error::last_os_error());
    queue
}

impl World {
    pub fn new() -> Self {
        let memory = unsafe {
            // SAFETY: system calls with valid arguments.
            let object = libc::shm_open(
                c_name("object").as_ptr(),
                libc::O_CREAT | libc::O_RDWR,
                0o600,
            );
            assert!(object >= 0, "{}", std::io::Error::last_os_error());
            assert_eq!(libc::ftruncate(object, OBJECT as i64), 0);
            let access = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(
                std::ptr::null_mut(),
                OBJECT,
                access,
                libc::MAP_SHARED,
                object,
                0,
            )
        };
        assert_ne!(memory, libc::MAP_FAILED);
        // SAFETY: just mapped. Every page gets memory before anything is measured.
        unsafe { libc::memset(memory, 1, OBJECT) };
        let mut world = Self {
            gate: semaphore(&c_name("gate")),
            ping: semaphore(&c_name("ping")),
            pong: semaphore(&c_name("pong")),
            lock: semaphore(&c_name("lock")),
            jobs: queue(&c_name("jobs"), CAPACITY as i64, 8192),
            mq_ping: queue(&c_name("ping"), 2, 64),
            mq_pong: queue(&c_name("pong"), 2, 64),
            memory: memory.cast(),
            buffer: vec![1; OBJECT + 4096].into(),
            peers: Vec::new(),
        };
        for kind in ["sem", "mq"] {
            world.peers.push(peer(kind, "ping", "pong"));
        }
        world
    }

    /// Starts a process that takes the lock and gives it back all the time.
    pub fn contend(&self) -> Contender {
        // One that was killed before may have had it.
        // SAFETY: the semaphore is open.
        unsafe {
            while libc::sem_trywait(self.lock) == 0 {}
            libc::sem_post(self.lock);
        }
        Contender(peer("lock", "lock", "lock"))
    }

    /// Does something so often, and says how long it took.
    pub fn sample(&self, what: &str, count: u64, size: usize) -> Duration {
        // SAFETY: all objects are open for as long as the world is there, sizes are at
        // most those of the object and the buffer, which nobody else uses.
        unsafe {
            // Copying between addresses that are equal in their lower bits is slow.
            let buffer = &mut *self.buffer.get();
            let skew = (4096 + 2048 - buffer.as_ptr().addr() % 4096) % 4096;
            let buffer = &mut buffer[skew..];
            match what {
                "sem-pair" => time(count, || {
                    assert_eq!(libc::sem_post(self.gate), 0);
                    assert_eq!(libc::sem_trywait(self.gate), 0);
                }),
                "sem-release" => time(count, || assert_eq!(libc::sem_post(self.gate), 0)),
                "mq" => time(count, || {
                    send(self.jobs, &buffer[..size]);
                    receive(self.jobs, &mut buffer[..8192]);
                }),
                "mq-batch" => time(count / CAPACITY as u64, || {
                    (0..CAPACITY).for_each(|_| send(self.jobs, &buffer[..size]));
                    (0..CAPACITY).for_each(|_| receive(self.jobs, &mut buffer[..8192]));
                }),
                "shm-read" => time(count, || {
                    let (from, to) = black_box((self.memory, buffer.as_mut_ptr()));
                    std::ptr::copy_nonoverlapping(from, to, size);
                }),
                "shm-write" => time(count, || {
                    let (from, to) = black_box((buffer.as_ptr(), self.memory));
                    std::ptr::copy_nonoverlapping(from, to, size);
                }),
                "atomic" => {
                    let word = AtomicU32::from_ptr(self.memory.cast());
                    time(count, || {
                        black_box(word.fetch_add(1, Ordering::SeqCst));
                    })
                }
                "sem-contended" => time(count, || {
                    libc::sem_wait(self.lock);
                    libc::sem_post(self.lock);
                }),
                "sem-ping-pong" => time(count, || {
                    libc::sem_post(self.ping);
                    libc::sem_wait(self.pong);
                }),
                "mq-ping-pong" => time(count, || {
                    send(self.mq_ping, &buffer[..64]);
                    receive(self.mq_pong, &mut buffer[..64]);
                }),
                "sem-open" => {
                    let name = c_name("gate");
                    time(count, || {
                        // Of one that is open already the C library only counts users.
                        let other = libc::sem_open(name.as_ptr(), 0);
                        libc::sem_close(other);
                    })
                }
                "sem-create" => {
                    let name = c_name("new");
                    let flags = libc::O_CREAT | libc::O_EXCL;
                    time(count, || {
                        libc::sem_close(libc::sem_open(name.as_ptr(), flags, 0o600, 0));
                        libc::sem_unlink(name.as_ptr());
                    })
                }
                "shm-open" => {
                    let name = c_name("object");
                    time(count, || {
                        libc::close(libc::shm_open(name.as_ptr(), libc::O_RDWR, 0));
                    })
                }
                "shm-create" => {
                    let name = c_name("new");
                    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
                    time(count, || {
                        let object = libc::shm_open(name.as_ptr(), flags, 0o600);
                        libc::ftruncate(object, 4096);
                        libc::close(object);
                        libc::shm_unlink(name.as_ptr());
                    })
                }
                "mq-open" => {
                    let name = c_name("jobs");
                    time(count, || {
                        libc::mq_close(libc::mq_open(name.as_ptr(), libc::O_RDWR));
                    })
                }
                "mq-create" => {
                    let name = c_name("new");
                    time(count, || {
                        libc::mq_close(queue(&name, 4, 64));
                        libc::mq_unlink(name.as_ptr());
                    })
                }
                "map" => {
                    let object = libc::shm_open(c_name("object").as_ptr(), libc::O_RDWR, 0);
                    let access = libc::PROT_READ | libc::PROT_WRITE;
                    let null = std::ptr::null_mut();
                    let taken = time(count, || {
                        let mapped = libc::mmap(null, 65536, access, libc::MAP_SHARED, object, 0);
                        libc::munmap(mapped, 65536);
                    });
                    libc::close(object);
                    taken
                }
                what => panic!("{what}?"),
            }
        }
    }

    /// Takes what was released and not acquired.
    pub fn drain(&self) {
        // SAFETY: the semaphore is open.
        while unsafe { libc::sem_trywait(self.gate) } == 0 {}
    }

    /// Keeps this thread and the peers on one core, or lets them go where they like.
    pub fn pin(&self, pinned: bool) {
        // SAFETY: plain data, and calls that set the processors of threads of ours.
        unsafe {
            let mut cores: libc::cpu_set_t = std::mem::zeroed();
            let cores_of_all = if pinned {
                1
            } else {
                libc::CPU_SETSIZE as usize
            };
            (0..cores_of_all).for_each(|core| libc::CPU_SET(core, &mut cores));
            let size = size_of::<libc::cpu_set_t>();
            libc::sched_setaffinity(0, size, &cores);
            for peer in &self.peers {
                libc::sched_setaffinity(peer.id() as i32, size, &cores);
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for peer in &mut self.peers {
            let _ = peer.kill();
            let _ = peer.wait();
        }
        for what in ["gate", "ping", "pong", "lock", "jobs", "object", "new"] {
            let name = c_name(what);
            // SAFETY: the name is a C string.
            unsafe {
                libc::sem_unlink(name.as_ptr());
                libc::shm_unlink(name.as_ptr());
                libc::mq_unlink(name.as_ptr());
            }
        }
    }
}

fn peer(kind: &str, one: &str, other: &str) -> Child {
    let program = std::env::current_exe().expect("a program has a file");
    let mut peer = Command::new(program);
    peer.args(["--peer", kind, &name(one), &name(other)]);
    peer.spawn().expect("a peer starts")
}

/// Contends until it is dropped.
pub struct Contender(Child);

impl Drop for Contender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn time(count: u64, mut operation: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        operation();
    }
    start.elapsed()
}

fn send(queue: libc::mqd_t, payload: &[u8]) {
    // SAFETY: the queue is open and the payload has that length.
    let sent = unsafe { libc::mq_send(queue, payload.as_ptr().cast(), payload.len(), 0) };
    assert_eq!(sent, 0);
}

fn receive(queue: libc::mqd_t, buffer: &mut [u8]) {
    let mut priority = 0;
    // SAFETY: the queue is open and the buffer has that length.
    let received = unsafe {
        libc::mq_receive(
            queue,
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            &mut priority,
        )
    };
    assert!(received >= 0);
}

/// The other side of a ping-pong, until it is killed.
pub fn answer(kind: &str, ping: &str, pong: &str) -> ! {
    let [ping, pong] = [ping, pong].map(|name| CString::new(name).expect("no NUL"));
    // SAFETY: the names are C strings. A peer does not outlive the program that
    // started it.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    match kind {
        "sem" => {
            let (ping, pong) = (semaphore(&ping), semaphore(&pong));
            loop {
                // SAFETY: both are open.
                unsafe {
                    libc::sem_wait(ping);
                    libc::sem_post(pong);
                }
            }
        }
        "lock" => {
            let lock = semaphore(&ping);
            loop {
                // SAFETY: it is open.
                unsafe {
                    libc::sem_wait(lock);
                    libc::sem_post(lock);
                }
            }
        }
        _ => {
            let (ping, pong) = (queue(&ping, 2, 64), queue(&pong, 2, 64));
            let mut buffer = [0; 64];
            loop {
                receive(ping, &mut buffer);
                send(pong, &buffer);
            }
        }
    }
}
