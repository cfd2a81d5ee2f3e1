//! The language of [`language`](super::language), run by this process with the C
//! library: what a native program would do.
//!
//! It shares no code with the library under test.

use super::language::{
    Access, Direction, Limits, Line, Message, Modify, Open, Operation, Timeout, Width, shown,
    shown_attributes, shown_message,
};
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{CString, c_int, c_void};
use std::io::Error;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, SystemTime};

/// Runs lines. Dropping it closes what they opened and unlinks nothing.
#[derive(Default)]
pub struct Native {
    objects: HashMap<String, Object>,
}

/// Why a call failed: the name of its `errno`, or one of [`SIGBUS`] and [`UNDEFINED`].
pub type Errno = String;

/// The process would have died.
pub const SIGBUS: &str = "SIGBUS";
/// POSIX and C do not say what happens, and no program may find out.
pub const UNDEFINED: &str = "UNDEFINED";

enum Object {
    Semaphore(Semaphore),
    Segment(Segment),
    Queue(Queue),
    Notification(Notification),
}

impl Native {
    /// Runs a line, and gives what it says, or the name of the `errno`.
    pub fn run(&mut self, line: &str) -> Result<String, Errno> {
        let Line {
            variable,
            operation,
        } = Line::parse(line);
        match variable {
            Some(variable) => self.open(operation).map(|object| {
                self.objects.insert(variable, object);
                String::new()
            }),
            None => self.perform(operation),
        }
    }

    /// Runs lines that cannot fail.
    pub fn set_up(lines: &[String]) -> Self {
        let mut native = Self::default();
        for line in lines {
            let outcome = native.run(line);
            assert!(outcome.is_ok(), "{line}: {outcome:?}");
        }
        native
    }

    fn open(&self, operation: Operation) -> Result<Object, Errno> {
        use Operation::*;
        Ok(match operation {
            SemaphoreOpen(open, value) => Object::Semaphore(Semaphore::open(&open, value)?),
            SemaphoreUnique(prefix, mode, value) => unique(&prefix, mode, |open| {
                Semaphore::open(open, value).map(Object::Semaphore)
            })?,
            SegmentOpen(open, size) => Object::Segment(Segment::open(&open, size)?),
            SegmentUnique(prefix, mode, size) => unique(&prefix, mode, |open| {
                Segment::open(open, Some(size)).map(Object::Segment)
            })?,
            QueueOpen(open, limits) => Object::Queue(Queue::open(&open, limits)?),
            QueueUnique(prefix, mode, limits) => unique(&prefix, mode, |open| {
                Queue::open(open, limits).map(Object::Queue)
            })?,
            QueueNotify(queue) => Object::Notification(self.queue(&queue)?.notify()?),
            other => panic!("makes no object: {other:?}"),
        })
    }

    fn perform(&mut self, operation: Operation) -> Result<String, Errno> {
        use Operation::*;
        match operation {
            SemaphoreUnlink(name) => {
                let name = c_name(&name)?;
                // SAFETY: the name is a C string.
                done(unsafe { libc::sem_unlink(name.as_ptr()) })
            }
            SemaphoreName(s) => Ok(self.semaphore(&s)?.name.clone()),
            SemaphoreMode(s) => Ok(octal(self.semaphore(&s)?.mode)),
            SemaphoreValue(s) => self.semaphore(&s)?.value().map(text),
            SemaphoreTryAcquire(s) => self.semaphore(&s)?.acquire(Some(0)),
            SemaphoreAcquire(s, timeout) => self.semaphore(&s)?.acquire(timeout),
            SemaphoreRelease(s) => self.semaphore(&s)?.release(),
            SemaphoreReady(s) => self.semaphore(&s)?.value().map(|value| text(value > 0)),

            SegmentUnlink(name) => {
                let name = c_name(&name)?;
                // SAFETY: the name is a C string.
                done(unsafe { libc::shm_unlink(name.as_ptr()) })
            }
            SegmentName(m) => Ok(self.segment(&m)?.name.clone()),
            SegmentMode(m) => stat(self.segment(&m)?.file.as_raw_fd()).map(|s| octal(s.st_mode)),
            SegmentSize(m) => stat(self.segment(&m)?.file.as_raw_fd()).map(|s| text(s.st_size)),
            SegmentResize(m, size) => self.segment(&m)?.resize(size),
            SegmentRead(m, offset, length) => self.segment(&m)?.read(offset, length),
            SegmentWrite(m, offset, data) => self.segment(&m)?.write(offset, &data),
            SegmentWord(m, width, offset, access) => self.segment(&m)?.word(width, offset, access),
            SegmentWait(m, offset, expected, timeout) => {
                self.segment(&m)?.wait(offset, expected, timeout)
            }
            SegmentNotify(m, offset, count) => self.segment(&m)?.wake(offset, count),

            QueueUnlink(name) => {
                let name = c_name(&name)?;
                // SAFETY: the name is a C string.
                done(unsafe { libc::mq_unlink(name.as_ptr()) })
            }
            QueueName(q) => Ok(self.queue(&q)?.name.clone()),
            QueueMode(q) => stat(self.queue(&q)?.descriptor.as_raw_fd()).map(|s| octal(s.st_mode)),
            QueueAttributes(q) => {
                let now = self.queue(&q)?.attributes()?;
                let number = |value: libc::c_long| u32::try_from(value).expect("fits");
                Ok(shown_attributes(
                    number(now.mq_maxmsg),
                    number(now.mq_msgsize),
                    number(now.mq_curmsgs),
                ))
            }
            QueueSend(q, message, timeout) => self.queue(&q)?.send(&message, timeout),
            QueueReceive(q, timeout) => self.queue(&q)?.receive(timeout),
            QueueSendBatch(q, messages, timeout) => {
                let queue = self.queue(&q)?;
                let send = |message| queue.send(message, timeout);
                let (sent, error) = until_error(messages.iter().map(send));
                match error {
                    Some(error) if sent.is_empty() => Err(error),
                    _ => Ok(text(sent.len())),
                }
            }
            QueueReceiveBatch(q, max, timeout) => {
                let timeouts = std::iter::once(timeout).chain(std::iter::repeat(Some(0)));
                let queue = self.queue(&q)?;
                let receive = |timeout| queue.receive(timeout);
                let (received, error) = until_error(timeouts.map(receive).take(max as usize));
                match error {
                    Some(error) if received.is_empty() => Err(error),
                    _ => Ok(received.join(" ")),
                }
            }
            QueueReadable(q) => self.queue(&q)?.poll(libc::POLLIN),
            QueueWritable(q) => self.queue(&q)?.poll(libc::POLLOUT),
            NotificationDelivered(n) | NotificationReady(n) => {
                self.notification(&n)?.is_delivered().map(text)
            }

            Close(variable) => {
                let object = self.objects.remove(&variable);
                object.ok_or_else(|| nothing_in(&variable))?;
                Ok(String::new())
            }
            SystemLimits => Ok(system_limits()),
            other => panic!("makes an object: {other:?}"),
        }
    }

    fn semaphore(&self, variable: &str) -> Result<&Semaphore, Errno> {
        match self.objects.get(variable) {
            Some(Object::Semaphore(semaphore)) => Ok(semaphore),
            _ => Err(nothing_in(variable)),
        }
    }

    fn segment(&self, variable: &str) -> Result<&Segment, Errno> {
        match self.objects.get(variable) {
            Some(Object::Segment(segment)) => Ok(segment),
            _ => Err(nothing_in(variable)),
        }
    }

    fn queue(&self, variable: &str) -> Result<&Queue, Errno> {
        match self.objects.get(variable) {
            Some(Object::Queue(queue)) => Ok(queue),
            _ => Err(nothing_in(variable)),
        }
    }

    fn notification(&self, variable: &str) -> Result<&Notification, Errno> {
        match self.objects.get(variable) {
            Some(Object::Notification(notification)) => Ok(notification),
            _ => Err(nothing_in(variable)),
        }
    }
}

/// Something before this line has failed that should not have.
fn nothing_in(variable: &str) -> Errno {
    format!("nothing in {variable}")
}

// ---- semaphores --------------------------------------------------------------------

struct Semaphore {
    raw: *mut libc::sem_t,
    name: String,
    /// There is no call to ask for it.
    mode: u32,
}

impl Semaphore {
    fn open(open: &Open, value: u32) -> Result<Self, Errno> {
        let name = c_name(&open.name)?;
        // SAFETY: the name is a C string, and the rest what `O_CREAT` asks for.
        let raw = unsafe { libc::sem_open(name.as_ptr(), flags(open), open.mode, value) };
        if raw == libc::SEM_FAILED {
            return Err(errno());
        }
        let file = format!("/dev/shm/sem.{}", open.name.trim_start_matches('/'));
        let about = std::fs::metadata(file).map_err(|error| name_of(&error))?;
        Ok(Self {
            raw,
            name: open.name.clone(),
            mode: std::os::unix::fs::PermissionsExt::mode(&about.permissions()),
        })
    }

    fn value(&self) -> Result<c_int, Errno> {
        let mut value = 0;
        // SAFETY: the semaphore is open.
        done(unsafe { libc::sem_getvalue(self.raw, &mut value) }).map(|_| value)
    }

    fn acquire(&self, timeout: Timeout) -> Result<String, Errno> {
        // SAFETY: the semaphore is open and the time valid.
        done(unsafe {
            match timeout {
                None => libc::sem_wait(self.raw),
                Some(0) => libc::sem_trywait(self.raw),
                Some(nanoseconds) => libc::sem_timedwait(self.raw, &from_now(nanoseconds)),
            }
        })
    }

    fn release(&self) -> Result<String, Errno> {
        // SAFETY: the semaphore is open.
        done(unsafe { libc::sem_post(self.raw) })
    }
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        // SAFETY: the semaphore is open, and not used after this.
        unsafe { libc::sem_close(self.raw) };
    }
}

// ---- shared memory -----------------------------------------------------------------

struct Segment {
    file: OwnedFd,
    name: String,
}

impl Segment {
    fn open(open: &Open, size: Option<u64>) -> Result<Self, Errno> {
        let name = c_name(&open.name)?;
        let shm_open = |flags| {
            // SAFETY: the name is a C string.
            let file = unsafe { libc::shm_open(name.as_ptr(), flags, open.mode) };
            // SAFETY: nobody else has the new descriptor.
            number(file).map(|file| unsafe { OwnedFd::from_raw_fd(file) })
        };
        // Two steps, to know whether it is new.
        let fresh = match open.create {
            true => shm_open(flags(open) | libc::O_EXCL),
            false => Err("EEXIST".into()),
        };
        let is_new = fresh.is_ok();
        let file = match fresh {
            Err(errno) if errno == "EEXIST" && !(open.create && open.exclusive) => {
                shm_open(flags(open) & !libc::O_CREAT)?
            }
            file => file?,
        };
        let this = Self {
            file,
            name: open.name.clone(),
        };
        if let Some(size) = size
            && let Err(errno) = this.resize(size)
        {
            if is_new {
                // SAFETY: the name is a C string.
                unsafe { libc::shm_unlink(name.as_ptr()) };
            }
            return Err(errno);
        }
        Ok(this)
    }

    fn resize(&self, size: u64) -> Result<String, Errno> {
        // SAFETY: the descriptor is open.
        done(unsafe { libc::ftruncate(self.file.as_raw_fd(), size as i64) })
    }

    fn read(&self, offset: u64, length: u64) -> Result<String, Errno> {
        // No object here is that large and not empty: more would never be filled.
        let mut bytes = vec![0; usize::try_from(length).unwrap().min(1 << 20)];
        // SAFETY: the descriptor is open and the buffer as long as said.
        let length = unsafe {
            libc::pread(
                self.file.as_raw_fd(),
                bytes.as_mut_ptr().cast(),
                bytes.len(),
                offset as i64,
            )
        };
        let length = usize::try_from(length).map_err(|_| errno())?;
        Ok(shown(&bytes[..length]))
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<String, Errno> {
        if data.is_empty() {
            return Ok(String::new());
        }
        let mapping = Mapping::new(self, offset, data.len(), true)?;
        // SAFETY: inside of the mapping, at least as far as it goes; the process that
        // does it may die of it. What a copy that dies has written depends on the
        // processor, so the byte that kills it comes first.
        mapping.try_out(|start| unsafe {
            let last = data.len() - 1;
            start.add(last).write_volatile(data[last]);
            ptr::copy_nonoverlapping(data.as_ptr(), start, data.len());
            0
        })?;
        Ok(String::new())
    }

    fn word(&self, width: Width, offset: u64, access: Access) -> Result<String, Errno> {
        let size = match width {
            Width::U32 => size_of::<u32>(),
            Width::U64 => size_of::<u64>(),
        };
        if !offset.is_multiple_of(size as u64) {
            return Err(UNDEFINED.into());
        }
        let writes = !matches!(access, Access::Load);
        let mapping = Mapping::new(self, offset, size, writes)?;
        // SAFETY: aligned, and inside of the mapping; see `write`.
        let before = mapping.try_out(|start| unsafe {
            match width {
                Width::U32 => word32(AtomicU32::from_ptr(start.cast()), access),
                Width::U64 => word64(AtomicU64::from_ptr(start.cast()), access),
            }
        })?;
        Ok(match access {
            Access::Store(_) => String::new(),
            _ => text(before),
        })
    }

    fn wait(&self, offset: u64, expected: u32, timeout: Timeout) -> Result<String, Errno> {
        let mapping = Mapping::new(self, offset, size_of::<u32>(), false)?;
        let limit = timeout.map(span);
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the kernel checks the address.
        let result = unsafe {
            libc::syscall(
                libc::SYS_futex,
                mapping.at,
                libc::FUTEX_WAIT,
                expected,
                limit,
            )
        };
        match result {
            0 => Ok("woken".into()),
            _ if errno() == "EAGAIN" => Ok("not-equal".into()),
            _ => Err(errno()),
        }
    }

    fn wake(&self, offset: u64, count: u32) -> Result<String, Errno> {
        let mapping = Mapping::new(self, offset, size_of::<u32>(), false)?;
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        // SAFETY: the kernel checks the address.
        let woken = unsafe { libc::syscall(libc::SYS_futex, mapping.at, libc::FUTEX_WAKE, count) };
        if woken < 0 {
            Err(errno())
        } else {
            Ok(text(woken))
        }
    }
}

fn word32(word: &AtomicU32, access: Access) -> u64 {
    let before = match access {
        Access::Load => word.load(SeqCst),
        Access::Store(value) => {
            word.store(value as u32, SeqCst);
            0
        }
        Access::Modify(modify, operand) => match modify {
            Modify::Add => word.fetch_add(operand as u32, SeqCst),
            Modify::And => word.fetch_and(operand as u32, SeqCst),
            Modify::Or => word.fetch_or(operand as u32, SeqCst),
            Modify::Xor => word.fetch_xor(operand as u32, SeqCst),
            Modify::Exchange => word.swap(operand as u32, SeqCst),
        },
        Access::CompareExchange(expected, new) => word
            .compare_exchange(expected as u32, new as u32, SeqCst, SeqCst)
            .unwrap_or_else(|now| now),
    };
    before.into()
}

fn word64(word: &AtomicU64, access: Access) -> u64 {
    match access {
        Access::Load => word.load(SeqCst),
        Access::Store(value) => {
            word.store(value, SeqCst);
            0
        }
        Access::Modify(modify, operand) => match modify {
            Modify::Add => word.fetch_add(operand, SeqCst),
            Modify::And => word.fetch_and(operand, SeqCst),
            Modify::Or => word.fetch_or(operand, SeqCst),
            Modify::Xor => word.fetch_xor(operand, SeqCst),
            Modify::Exchange => word.swap(operand, SeqCst),
        },
        Access::CompareExchange(expected, new) => word
            .compare_exchange(expected, new, SeqCst, SeqCst)
            .unwrap_or_else(|now| now),
    }
}

/// The pages of an object around a range, whether or not the object is so long.
struct Mapping {
    pages: *mut c_void,
    length: usize,
    /// Where the range starts.
    at: *mut u8,
}

impl Mapping {
    fn new(segment: &Segment, offset: u64, length: usize, writable: bool) -> Result<Self, Errno> {
        let page = page_size() as u64;
        let first = offset - offset % page;
        let before = (offset - first) as usize;
        let protection = match writable {
            true => libc::PROT_READ | libc::PROT_WRITE,
            false => libc::PROT_READ,
        };
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let pages = unsafe {
            libc::mmap(
                ptr::null_mut(),
                before + length,
                protection,
                libc::MAP_SHARED,
                segment.file.as_raw_fd(),
                first as i64,
            )
        };
        if pages == libc::MAP_FAILED {
            return Err(errno());
        }
        Ok(Self {
            pages,
            length: before + length,
            // SAFETY: inside of the mapping.
            at: unsafe { pages.cast::<u8>().add(before) },
        })
    }

    /// Makes an access that a process may die of, in a process of its own.
    fn try_out(&self, access: impl FnOnce(*mut u8) -> u64) -> Result<u64, Errno> {
        // SAFETY: a new page, shared with the child; the child calls nothing that a
        // child of a process with threads may not call, and never returns.
        unsafe {
            let answer = libc::mmap(
                ptr::null_mut(),
                size_of::<u64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(answer, libc::MAP_FAILED);
            let child = libc::fork();
            assert_ne!(child, -1);
            if child == 0 {
                libc::signal(libc::SIGBUS, libc::SIG_DFL);
                *answer.cast::<u64>() = access(self.at);
                libc::_exit(0);
            }
            let mut status = 0;
            while libc::waitpid(child, &mut status, 0) == -1 {
                assert_eq!(errno(), "EINTR");
            }
            let value = *answer.cast::<u64>();
            libc::munmap(answer, size_of::<u64>());
            if libc::WIFSIGNALED(status) {
                assert_eq!(libc::WTERMSIG(status), libc::SIGBUS);
                return Err(SIGBUS.into());
            }
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
            Ok(value)
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing refers to it any more.
        unsafe { libc::munmap(self.pages, self.length) };
    }
}

// ---- queues ------------------------------------------------------------------------

struct Queue {
    descriptor: OwnedFd,
    name: String,
}

impl Queue {
    fn open(open: &Open, limits: Option<Limits>) -> Result<Self, Errno> {
        let name = c_name(&open.name)?;
        let attributes = limits.map(|limits| {
            // SAFETY: plain data, for which zero is valid.
            let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
            attributes.mq_maxmsg = limits.messages.value(setting("msg_max")).into();
            attributes.mq_msgsize = limits.size.value(setting("msgsize_max")).into();
            attributes
        });
        let attributes = attributes.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the name is a C string, the attributes are null or valid.
        let descriptor =
            unsafe { libc::mq_open(name.as_ptr(), flags(open), open.mode, attributes) };
        Ok(Self {
            // SAFETY: nobody else has the new descriptor.
            descriptor: unsafe { OwnedFd::from_raw_fd(number(descriptor)?) },
            name: open.name.clone(),
        })
    }

    fn attributes(&self) -> Result<libc::mq_attr, Errno> {
        // SAFETY: plain data, for which zero is valid; the descriptor is open.
        unsafe {
            let mut attributes = std::mem::zeroed();
            done(libc::mq_getattr(
                self.descriptor.as_raw_fd(),
                &mut attributes,
            ))?;
            Ok(attributes)
        }
    }

    fn set_flags(&self, flags: c_int) {
        // SAFETY: plain data, for which zero is valid; the descriptor is open.
        unsafe {
            let mut attributes: libc::mq_attr = std::mem::zeroed();
            attributes.mq_flags = flags.into();
            let queue = self.descriptor.as_raw_fd();
            assert_eq!(libc::mq_setattr(queue, &attributes, ptr::null_mut()), 0);
        }
    }

    fn send(&self, message: &Message, timeout: Timeout) -> Result<String, Errno> {
        let queue = self.descriptor.as_raw_fd();
        let Message { payload, priority } = message;
        let (data, length) = (payload.as_ptr().cast(), payload.len());
        self.set_flags(if timeout == Some(0) {
            libc::O_NONBLOCK
        } else {
            0
        });
        // SAFETY: the descriptor is open, the payload as long as said, the time valid.
        done(unsafe {
            match timeout {
                None | Some(0) => libc::mq_send(queue, data, length, *priority),
                Some(limit) => libc::mq_timedsend(queue, data, length, *priority, &from_now(limit)),
            }
        })
    }

    fn receive(&self, timeout: Timeout) -> Result<String, Errno> {
        let queue = self.descriptor.as_raw_fd();
        let mut buffer = vec![0_u8; self.attributes()?.mq_msgsize as usize];
        let (data, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        let mut priority = 0;
        self.set_flags(if timeout == Some(0) {
            libc::O_NONBLOCK
        } else {
            0
        });
        // SAFETY: the descriptor is open, the buffer as long as said, the time valid.
        let length = unsafe {
            match timeout {
                None | Some(0) => libc::mq_receive(queue, data, length, &mut priority),
                Some(limit) => {
                    libc::mq_timedreceive(queue, data, length, &mut priority, &from_now(limit))
                }
            }
        };
        let length = usize::try_from(length).map_err(|_| errno())?;
        Ok(shown_message(&buffer[..length], priority))
    }

    fn poll(&self, events: libc::c_short) -> Result<String, Errno> {
        let mut poll = libc::pollfd {
            fd: self.descriptor.as_raw_fd(),
            events,
            revents: 0,
        };
        // SAFETY: one entry, as said.
        done(unsafe { libc::poll(&mut poll, 1, 0) }.min(0))?;
        Ok(text(poll.revents & events != 0))
    }

    fn notify(&self) -> Result<Notification, Errno> {
        // SAFETY: plain data, for which zero is valid; the descriptor is open.
        unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_NONE;
            done(libc::mq_notify(self.descriptor.as_raw_fd(), &event))?;
        }
        Ok(Notification {
            queue: self.descriptor.try_clone().map_err(|e| name_of(&e))?,
            delivered: Cell::new(false),
        })
    }
}

/// A registration that tells nobody: what is left of it shows what has happened.
struct Notification {
    queue: OwnedFd,
    delivered: Cell<bool>,
}

impl Notification {
    fn is_delivered(&self) -> Result<bool, Errno> {
        if !self.delivered.get() {
            let mut status = [0_u8; 256];
            // SAFETY: the descriptor is open, the buffer as long as said.
            let length = unsafe {
                let buffer = status.as_mut_ptr().cast();
                libc::pread(self.queue.as_raw_fd(), buffer, status.len(), 0)
            };
            let length = usize::try_from(length).map_err(|_| errno())?;
            let status = str::from_utf8(&status[..length]).expect("the kernel writes ASCII");
            let owner = status
                .split_whitespace()
                .find_map(|w| w.strip_prefix("NOTIFY_PID:"));
            self.delivered
                .set(owner.expect("the kernel says who is registered") == "0");
        }
        Ok(self.delivered.get())
    }
}

impl Drop for Notification {
    fn drop(&mut self) {
        if !self.delivered.get() {
            // SAFETY: the descriptor is open.
            unsafe { libc::mq_notify(self.queue.as_raw_fd(), ptr::null()) };
        }
    }
}

// ---- what they share ---------------------------------------------------------------

fn unique(
    prefix: &str,
    mode: u32,
    open: impl Fn(&Open) -> Result<Object, Errno>,
) -> Result<Object, Errno> {
    open(&Open {
        name: format!("{prefix}{:016x}", rand::random::<u64>()),
        create: true,
        exclusive: true,
        truncate: false,
        mode,
        direction: Direction::Both,
    })
}

fn flags(open: &Open) -> c_int {
    let direction = match open.direction {
        Direction::Read => libc::O_RDONLY,
        Direction::Write => libc::O_WRONLY,
        Direction::Both => libc::O_RDWR,
    };
    let flag = |set, flag| if set { flag } else { 0 };
    direction
        | flag(open.create, libc::O_CREAT)
        | flag(open.exclusive, libc::O_EXCL)
        | flag(open.truncate, libc::O_TRUNC)
}

/// The results until the first error, and that error.
fn until_error<T>(results: impl Iterator<Item = Result<T, Errno>>) -> (Vec<T>, Option<Errno>) {
    let mut values = Vec::new();
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(errno) => return (values, Some(errno)),
        }
    }
    (values, None)
}

fn system_limits() -> String {
    // SAFETY: takes any number.
    let system = |name| unsafe { libc::sysconf(name) };
    format!(
        "value {} priority {} default {}x{} maximum {}x{} page {}",
        system(libc::_SC_SEM_VALUE_MAX),
        system(libc::_SC_MQ_PRIO_MAX) - 1,
        setting("msg_default"),
        setting("msgsize_default"),
        setting("msg_max"),
        setting("msgsize_max"),
        page_size()
    )
}

fn setting(name: &str) -> u32 {
    let text = std::fs::read_to_string(format!("/proc/sys/fs/mqueue/{name}"));
    text.expect("the kernel has queues").trim().parse().unwrap()
}

fn page_size() -> usize {
    // SAFETY: takes any number.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

fn stat(file: RawFd) -> Result<libc::stat, Errno> {
    // SAFETY: plain data, for which zero is valid; the descriptor is open.
    unsafe {
        let mut stat = std::mem::zeroed();
        done(libc::fstat(file, &mut stat))?;
        Ok(stat)
    }
}

fn from_now(nanoseconds: u64) -> libc::timespec {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    timespec(now.unwrap() + Duration::from_nanos(nanoseconds))
}

fn span(nanoseconds: u64) -> libc::timespec {
    timespec(Duration::from_nanos(nanoseconds))
}

fn timespec(span: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: span.as_secs() as i64,
        tv_nsec: span.subsec_nanos().into(),
    }
}

fn octal(mode: u32) -> String {
    format!("{:04o}", mode & 0o7777)
}

fn text(value: impl ToString) -> String {
    value.to_string()
}

fn c_name(name: &str) -> Result<CString, Errno> {
    CString::new(name).map_err(|_| UNDEFINED.into())
}

fn done(result: c_int) -> Result<String, Errno> {
    number(result).map(|_| String::new())
}

fn number(result: c_int) -> Result<c_int, Errno> {
    if result == -1 {
        Err(errno())
    } else {
        Ok(result)
    }
}

fn errno() -> Errno {
    name_of(&Error::last_os_error())
}

fn name_of(error: &Error) -> Errno {
    match error.raw_os_error().unwrap_or(0) {
        libc::EACCES => "EACCES",
        libc::EAGAIN => "EAGAIN",
        libc::EBADF => "EBADF",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::EFAULT => "EFAULT",
        libc::EFBIG => "EFBIG",
        libc::EINTR => "EINTR",
        libc::EINVAL => "EINVAL",
        libc::EISDIR => "EISDIR",
        libc::EMFILE => "EMFILE",
        libc::EMSGSIZE => "EMSGSIZE",
        libc::ENAMETOOLONG => "ENAMETOOLONG",
        libc::ENOENT => "ENOENT",
        libc::ENOMEM => "ENOMEM",
        libc::ENOSPC => "ENOSPC",
        libc::EOVERFLOW => "EOVERFLOW",
        libc::EPERM => "EPERM",
        libc::ETIMEDOUT => "ETIMEDOUT",
        _ => return format!("{error}"),
    }
    .into()
}
