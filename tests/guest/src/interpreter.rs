//! `probe do [LINE...]`: runs lines of the language of `tests/support`, from
//! standard input if there are none, and prints an outcome for each.
//!
//! On the bare bindings, because the SDK refuses what only a mistaken guest would do.

use crate::bindings::posix::ipc::limits;
use crate::bindings::posix::ipc::message_queue::{
    self, MessageParam, Notification, Queue, QueueLimits,
};
use crate::bindings::posix::ipc::semaphore::{self, Semaphore};
use crate::bindings::posix::ipc::shared_memory::{self, AtomicOperation, Segment, WaitOutcome};
use crate::bindings::posix::ipc::types::{Access as Direction, ErrorCode, OpenFlags};
use crate::language::{
    self, Access, Limits, Line, Modify, Open, Operation, Width, printed, shown, shown_attributes,
    shown_message,
};
use std::collections::HashMap;
use std::io::{BufRead, Write};

/// `probe repeat LINE...`: the same over and over, whatever comes out.
pub fn repeat(lines: &[&str]) {
    let mut interpreter = Interpreter::default();
    println!("repeating");
    loop {
        for line in lines {
            let _ = interpreter.run(line);
        }
    }
}

/// `probe must LINE...`: the same, and the first error ends it with 1.
pub fn must(lines: &[&str]) {
    must_and(lines, || {});
}

/// The same, and then something else while the objects are open.
pub fn must_and(lines: &[&str], then: impl FnOnce()) {
    let mut interpreter = Interpreter::default();
    for line in lines {
        let outcome = interpreter.run(line);
        println!("{}", printed(&outcome));
        if outcome.is_err() {
            std::process::exit(1);
        }
    }
    then();
}

pub fn main(lines: &[&str]) {
    let mut interpreter = Interpreter::default();
    if lines.is_empty() {
        for line in std::io::stdin().lock().lines() {
            let outcome = interpreter.run(&line.expect("standard input is text"));
            println!("{}", printed(&outcome));
            std::io::stdout().flush().expect("somebody reads");
        }
    } else {
        for line in lines {
            println!("{}", printed(&interpreter.run(line)));
        }
    }
}

#[derive(Default)]
pub struct Interpreter {
    objects: HashMap<String, Object>,
}

enum Object {
    Semaphore(Semaphore),
    Segment(Segment),
    Queue(Queue),
    Notification(Notification),
}

type Outcome = Result<String, ErrorCode>;

impl Interpreter {
    pub fn run(&mut self, line: &str) -> Result<String, String> {
        let Line {
            variable,
            operation,
        } = Line::parse(line);
        match variable {
            Some(variable) => self.open(operation).map(|object| {
                // What was in it is closed first, as for a native program that uses
                // a variable again.
                self.objects.remove(&variable);
                self.objects.insert(variable, object);
                String::new()
            }),
            None => self.perform(operation),
        }
        .map_err(|code| word(&code))
    }

    fn open(&self, operation: Operation) -> Result<Object, ErrorCode> {
        use Operation::*;
        Ok(match operation {
            SemaphoreOpen(open, value) => {
                let flags = flags(&open);
                Object::Semaphore(Semaphore::open(&open.name, flags, open.mode, value)?)
            }
            SemaphoreUnique(prefix, mode, value) => {
                Object::Semaphore(Semaphore::create_unique(&prefix, mode, value)?)
            }
            SegmentOpen(open, size) => {
                let (flags, access) = (flags(&open), direction(&open));
                Object::Segment(Segment::open(&open.name, flags, open.mode, size, access)?)
            }
            SegmentUnique(prefix, mode, size) => {
                Object::Segment(Segment::create_unique(&prefix, mode, size)?)
            }
            QueueOpen(open, size) => {
                let (flags, access, size) =
                    (flags(&open), direction(&open), size.map(queue_limits));
                Object::Queue(Queue::open(&open.name, flags, open.mode, access, size)?)
            }
            QueueUnique(prefix, mode, size) => {
                Object::Queue(Queue::create_unique(&prefix, mode, size.map(queue_limits))?)
            }
            QueueNotify(queue) => Object::Notification(self.queue(&queue)?.request_notification()?),
            other => panic!("makes no object: {other:?}"),
        })
    }

    fn perform(&mut self, operation: Operation) -> Outcome {
        use Operation::*;
        match operation {
            SemaphoreUnlink(name) => semaphore::unlink(&name).map(nothing),
            SemaphoreName(s) => Ok(self.semaphore(&s)?.name()),
            SemaphoreMode(s) => Ok(octal(self.semaphore(&s)?.mode())),
            SemaphoreValue(s) => self.semaphore(&s)?.value().map(text),
            SemaphoreTryAcquire(s) => self.semaphore(&s)?.try_acquire().map(nothing),
            SemaphoreAcquire(s, timeout) => self.semaphore(&s)?.acquire(timeout).map(nothing),
            SemaphoreRelease(s) => self.semaphore(&s)?.release().map(nothing),
            SemaphoreReady(s) => {
                let pollable = self.semaphore(&s)?.subscribe()?;
                Ok(text(pollable.ready()))
            }

            SegmentUnlink(name) => shared_memory::unlink(&name).map(nothing),
            SegmentName(m) => Ok(self.segment(&m)?.name()),
            SegmentMode(m) => self.segment(&m)?.mode().map(octal),
            SegmentSize(m) => self.segment(&m)?.size().map(text),
            SegmentResize(m, size) => self.segment(&m)?.resize(size).map(nothing),
            SegmentRead(m, offset, length) => self
                .segment(&m)?
                .read(offset, length)
                .map(|bytes| shown(&bytes)),
            SegmentWrite(m, offset, data) => self.segment(&m)?.write(offset, &data).map(nothing),
            SegmentWord(m, width, offset, access) => {
                word_of(self.segment(&m)?, width, offset, access)
            }
            SegmentWait(m, offset, expected, timeout) => {
                let outcome = self.segment(&m)?.wait(offset, expected, timeout)?;
                Ok(match outcome {
                    WaitOutcome::Woken => "woken".into(),
                    WaitOutcome::NotEqual => "not-equal".into(),
                })
            }
            SegmentNotify(m, offset, count) => self.segment(&m)?.notify(offset, count).map(text),

            QueueUnlink(name) => message_queue::unlink(&name).map(nothing),
            QueueName(q) => Ok(self.queue(&q)?.name()),
            QueueMode(q) => self.queue(&q)?.mode().map(octal),
            QueueAttributes(q) => {
                let now = self.queue(&q)?.attributes()?;
                let QueueLimits {
                    max_messages,
                    max_message_size,
                } = now.limits;
                Ok(shown_attributes(
                    max_messages,
                    max_message_size,
                    now.current_messages,
                ))
            }
            QueueSend(q, message, timeout) => {
                let language::Message { payload, priority } = message;
                self.queue(&q)?
                    .send(&payload, priority, timeout)
                    .map(nothing)
            }
            QueueReceive(q, timeout) => {
                let message = self.queue(&q)?.receive(timeout)?;
                Ok(shown_message(&message.payload, message.priority))
            }
            QueueSendBatch(q, messages, timeout) => {
                let messages: Vec<_> = messages
                    .iter()
                    .map(|message| MessageParam {
                        payload: &message.payload,
                        priority: message.priority,
                    })
                    .collect();
                self.queue(&q)?.send_batch(&messages, timeout).map(text)
            }
            QueueReceiveBatch(q, max, timeout) => {
                let messages = self.queue(&q)?.receive_batch(max, timeout)?;
                let shown = messages
                    .iter()
                    .map(|m| shown_message(&m.payload, m.priority));
                Ok(shown.collect::<Vec<_>>().join(" "))
            }
            QueueReadable(q) => {
                let pollable = self.queue(&q)?.subscribe_readable()?;
                Ok(text(pollable.ready()))
            }
            QueueWritable(q) => {
                let pollable = self.queue(&q)?.subscribe_writable()?;
                Ok(text(pollable.ready()))
            }
            NotificationDelivered(n) => Ok(text(self.notification(&n)?.delivered())),
            NotificationReady(n) => {
                let pollable = self.notification(&n)?.subscribe()?;
                Ok(text(pollable.ready()))
            }

            Close(variable) => {
                let object = self.objects.remove(&variable);
                object.ok_or_else(|| nothing_in(&variable))?;
                Ok(String::new())
            }
            SystemLimits => {
                let (defaults, maximums) = (limits::queue_defaults(), limits::queue_maximums());
                Ok(format!(
                    "value {} priority {} default {}x{} maximum {}x{} page {}",
                    limits::semaphore_value_max(),
                    limits::queue_priority_max(),
                    defaults.max_messages,
                    defaults.max_message_size,
                    maximums.max_messages,
                    maximums.max_message_size,
                    limits::page_size()
                ))
            }
            other => panic!("makes an object: {other:?}"),
        }
    }

    fn semaphore(&self, variable: &str) -> Result<&Semaphore, ErrorCode> {
        match self.objects.get(variable) {
            Some(Object::Semaphore(semaphore)) => Ok(semaphore),
            _ => Err(nothing_in(variable)),
        }
    }

    fn segment(&self, variable: &str) -> Result<&Segment, ErrorCode> {
        match self.objects.get(variable) {
            Some(Object::Segment(segment)) => Ok(segment),
            _ => Err(nothing_in(variable)),
        }
    }

    fn queue(&self, variable: &str) -> Result<&Queue, ErrorCode> {
        match self.objects.get(variable) {
            Some(Object::Queue(queue)) => Ok(queue),
            _ => Err(nothing_in(variable)),
        }
    }

    fn notification(&self, variable: &str) -> Result<&Notification, ErrorCode> {
        match self.objects.get(variable) {
            Some(Object::Notification(notification)) => Ok(notification),
            _ => Err(nothing_in(variable)),
        }
    }
}

/// Something before this line has failed that should not have.
fn nothing_in(variable: &str) -> ErrorCode {
    ErrorCode::Other(Some(format!("nothing in {variable}")))
}

fn word_of(segment: &Segment, width: Width, offset: u64, access: Access) -> Outcome {
    let operation = |modify| match modify {
        Modify::Add => AtomicOperation::Add,
        Modify::And => AtomicOperation::And,
        Modify::Or => AtomicOperation::Or,
        Modify::Xor => AtomicOperation::Xor,
        Modify::Exchange => AtomicOperation::Exchange,
    };
    match width {
        Width::U32 => match access {
            Access::Load => segment.atomic_load_u32(offset).map(text),
            Access::Store(value) => segment.atomic_store_u32(offset, value as u32).map(nothing),
            Access::Modify(modify, operand) => segment
                .atomic_rmw_u32(offset, operation(modify), operand as u32)
                .map(text),
            Access::CompareExchange(expected, new) => segment
                .atomic_compare_exchange_u32(offset, expected as u32, new as u32)
                .map(text),
        },
        Width::U64 => match access {
            Access::Load => segment.atomic_load_u64(offset).map(text),
            Access::Store(value) => segment.atomic_store_u64(offset, value).map(nothing),
            Access::Modify(modify, operand) => segment
                .atomic_rmw_u64(offset, operation(modify), operand)
                .map(text),
            Access::CompareExchange(expected, new) => segment
                .atomic_compare_exchange_u64(offset, expected, new)
                .map(text),
        },
    }
}

fn flags(open: &Open) -> OpenFlags {
    let mut flags = OpenFlags::empty();
    flags.set(OpenFlags::CREATE, open.create);
    flags.set(OpenFlags::EXCLUSIVE, open.exclusive);
    flags.set(OpenFlags::TRUNCATE, open.truncate);
    flags
}

fn direction(open: &Open) -> Direction {
    match open.direction {
        language::Direction::Read => Direction::Read,
        language::Direction::Write => Direction::Write,
        language::Direction::Both => Direction::ReadWrite,
    }
}

fn queue_limits(limits: Limits) -> QueueLimits {
    let maximums = limits::queue_maximums();
    QueueLimits {
        max_messages: limits.messages.value(maximums.max_messages),
        max_message_size: limits.size.value(maximums.max_message_size),
    }
}

fn text(value: impl ToString) -> String {
    value.to_string()
}

fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

fn nothing((): ()) -> String {
    String::new()
}

/// The case of the WIT variant.
pub fn word(code: &ErrorCode) -> String {
    match code {
        ErrorCode::NotPermitted => "not-permitted",
        ErrorCode::Access => "access",
        ErrorCode::Exists => "exists",
        ErrorCode::NoEntry => "no-entry",
        ErrorCode::Busy => "busy",
        ErrorCode::TimedOut => "timed-out",
        ErrorCode::Cancelled => "cancelled",
        ErrorCode::Invalid => "invalid",
        ErrorCode::NameTooLong => "name-too-long",
        ErrorCode::MessageTooLong => "message-too-long",
        ErrorCode::Overflow => "overflow",
        ErrorCode::NoSpace => "no-space",
        ErrorCode::Quota => "quota",
        ErrorCode::Closed => "closed",
        ErrorCode::Truncated => "truncated",
        ErrorCode::Unsupported => "unsupported",
        ErrorCode::Other(words) => return format!("other {words:?}"),
    }
    .into()
}
