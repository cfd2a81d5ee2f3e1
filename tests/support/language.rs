//! A language for what a program does with POSIX IPC objects, one operation a line.
//!
//! The tests run it in a guest, and natively, so it names operations and not calls:
//!
//! ```text
//! s = sem.open /gate create mode=600 value=3     # an object in a variable
//! sem.acquire s timeout=1000000
//! close s
//! ```
//!
//! Words are separated by blanks. In a word, `\0`, `\s` and `\\` stand for a NUL, a
//! blank and a backslash, and `''` is the empty word. Numbers are decimal, octal for
//! modes, or `max32` and `max64`, and `max64-3` is three less. Errors of a line are
//! mistakes of the test: they panic.

/// A line of the language.
#[derive(Debug)]
pub struct Line {
    /// The variable that the object is for.
    pub variable: Option<String>,
    pub operation: Operation,
}

/// Nanoseconds; none waits for ever.
pub type Timeout = Option<u64>;

#[derive(Debug)]
pub enum Operation {
    SemaphoreOpen(Open, u32),
    SemaphoreUnique(String, u32, u32),
    SemaphoreUnlink(String),
    SemaphoreName(String),
    SemaphoreMode(String),
    SemaphoreValue(String),
    SemaphoreTryAcquire(String),
    SemaphoreAcquire(String, Timeout),
    SemaphoreRelease(String),
    SemaphoreReady(String),

    SegmentOpen(Open, Option<u64>),
    SegmentUnique(String, u32, u64),
    SegmentUnlink(String),
    SegmentName(String),
    SegmentMode(String),
    SegmentSize(String),
    SegmentResize(String, u64),
    SegmentRead(String, u64, u64),
    SegmentWrite(String, u64, Vec<u8>),
    SegmentWord(String, Width, u64, Access),
    SegmentWait(String, u64, u32, Timeout),
    SegmentNotify(String, u64, u32),

    QueueOpen(Open, Option<Limits>),
    QueueUnique(String, u32, Option<Limits>),
    QueueUnlink(String),
    QueueName(String),
    QueueMode(String),
    QueueAttributes(String),
    QueueSend(String, Message, Timeout),
    QueueReceive(String, Timeout),
    QueueSendBatch(String, Vec<Message>, Timeout),
    QueueReceiveBatch(String, u32, Timeout),
    QueueReadable(String),
    QueueWritable(String),
    QueueNotify(String),
    NotificationDelivered(String),
    NotificationReady(String),

    Close(String),
    SystemLimits,
}

/// How an object is opened.
#[derive(Debug)]
pub struct Open {
    pub name: String,
    pub create: bool,
    pub exclusive: bool,
    pub truncate: bool,
    pub mode: u32,
    pub direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Read,
    Write,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    U32,
    U64,
}

/// What is done to a word of memory.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    Load,
    Store(u64),
    Modify(Modify, u64),
    CompareExchange(u64, u64),
}

#[derive(Clone, Copy, Debug)]
pub enum Modify {
    Add,
    And,
    Or,
    Xor,
    Exchange,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub messages: Limit,
    pub size: Limit,
}

/// A limit of a queue. What the system allows is known only where the line is run.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    Is(u32),
    /// The system's maximum and this.
    MaximumAnd(u32),
}

impl Limit {
    pub fn value(self, maximum: u32) -> u32 {
        match self {
            Self::Is(value) => value,
            Self::MaximumAnd(more) => maximum + more,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Message {
    pub payload: Vec<u8>,
    pub priority: u32,
}

impl Line {
    pub fn parse(text: &str) -> Self {
        let mut words = Words {
            text,
            words: text.split(' ').filter(|word| !word.is_empty()).collect(),
        };
        let variable = match words.words.get(1) {
            Some(&"=") => {
                let variable = words.words.drain(..2).next();
                variable.map(str::to_owned)
            }
            _ => None,
        };
        let verb = words.next();
        let operation = operation(verb, &mut words);
        assert!(words.words.is_empty(), "more words than expected: {text:?}");
        Self {
            variable,
            operation,
        }
    }
}

fn operation(verb: &str, words: &mut Words<'_>) -> Operation {
    use Operation::*;
    match verb {
        "sem.open" => {
            let value = words.option("value").map_or(0, small);
            SemaphoreOpen(words.open(), value)
        }
        "sem.unique" => {
            let (mode, value) = (words.mode(), words.option("value").map_or(0, small));
            SemaphoreUnique(words.text(), mode, value)
        }
        "sem.unlink" => SemaphoreUnlink(words.text()),
        "sem.name" => SemaphoreName(words.text()),
        "sem.mode" => SemaphoreMode(words.text()),
        "sem.value" => SemaphoreValue(words.text()),
        "sem.try" => SemaphoreTryAcquire(words.text()),
        "sem.acquire" => {
            let timeout = words.timeout();
            SemaphoreAcquire(words.text(), timeout)
        }
        "sem.release" => SemaphoreRelease(words.text()),
        "sem.ready" => SemaphoreReady(words.text()),

        "shm.open" => {
            let size = words.option("size").map(number);
            SegmentOpen(words.open(), size)
        }
        "shm.unique" => {
            let (mode, size) = (words.mode(), words.option("size").map_or(0, number));
            SegmentUnique(words.text(), mode, size)
        }
        "shm.unlink" => SegmentUnlink(words.text()),
        "shm.name" => SegmentName(words.text()),
        "shm.mode" => SegmentMode(words.text()),
        "shm.size" => SegmentSize(words.text()),
        "shm.resize" => SegmentResize(words.text(), words.number()),
        "shm.read" => SegmentRead(words.text(), words.number(), words.number()),
        "shm.write" => SegmentWrite(words.text(), words.number(), words.bytes()),
        "shm.word" => {
            let (variable, width, offset) = (words.text(), words.width(), words.number());
            SegmentWord(variable, width, offset, words.access())
        }
        "shm.wait" => {
            let timeout = words.timeout();
            SegmentWait(words.text(), words.number(), words.small(), timeout)
        }
        "shm.notify" => SegmentNotify(words.text(), words.number(), words.small()),

        "mq.open" => {
            let limits = words.option("limits").map(limits);
            QueueOpen(words.open(), limits)
        }
        "mq.unique" => {
            let (mode, limits) = (words.mode(), words.option("limits").map(limits));
            QueueUnique(words.text(), mode, limits)
        }
        "mq.unlink" => QueueUnlink(words.text()),
        "mq.name" => QueueName(words.text()),
        "mq.mode" => QueueMode(words.text()),
        "mq.attributes" => QueueAttributes(words.text()),
        "mq.send" => {
            let timeout = words.timeout();
            QueueSend(words.text(), message(words.next()), timeout)
        }
        "mq.receive" => {
            let timeout = words.timeout();
            QueueReceive(words.text(), timeout)
        }
        "mq.send-batch" => {
            let (timeout, queue) = (words.timeout(), words.text());
            QueueSendBatch(queue, words.words.drain(..).map(message).collect(), timeout)
        }
        "mq.receive-batch" => {
            let timeout = words.timeout();
            QueueReceiveBatch(words.text(), words.small(), timeout)
        }
        "mq.readable" => QueueReadable(words.text()),
        "mq.writable" => QueueWritable(words.text()),
        "mq.notify" => QueueNotify(words.text()),
        "notification.delivered" => NotificationDelivered(words.text()),
        "notification.ready" => NotificationReady(words.text()),

        "close" => Close(words.text()),
        "limits" => SystemLimits,
        _ => panic!("unknown operation: {:?}", words.text),
    }
}

struct Words<'a> {
    text: &'a str,
    words: Vec<&'a str>,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> &'a str {
        assert!(!self.words.is_empty(), "a word is missing: {:?}", self.text);
        self.words.remove(0)
    }

    fn bytes(&mut self) -> Vec<u8> {
        unescape(self.next()).into_bytes()
    }

    fn text(&mut self) -> String {
        unescape(self.next())
    }

    fn number(&mut self) -> u64 {
        number(self.next())
    }

    fn small(&mut self) -> u32 {
        small(self.next())
    }

    fn flag(&mut self, flag: &str) -> bool {
        let place = self.words.iter().position(|word| *word == flag);
        place.map(|place| self.words.remove(place)).is_some()
    }

    /// The value of `NAME=VALUE`, wherever it stands.
    fn option(&mut self, name: &str) -> Option<&'a str> {
        let value = |word: &&'a str| word.strip_prefix(name)?.strip_prefix('=');
        let place = self.words.iter().position(|word| value(word).is_some())?;
        value(&self.words.remove(place))
    }

    fn timeout(&mut self) -> Timeout {
        self.option("timeout").map(number)
    }

    fn mode(&mut self) -> u32 {
        let mode = self.option("mode").unwrap_or("600");
        u32::from_str_radix(mode, 8).unwrap_or_else(|_| panic!("not a mode: {mode:?}"))
    }

    fn open(&mut self) -> Open {
        let direction = match self.option("access") {
            Some("read") => Direction::Read,
            Some("write") => Direction::Write,
            Some("both") | None => Direction::Both,
            Some(other) => panic!("not an access: {other:?}"),
        };
        Open {
            create: self.flag("create"),
            exclusive: self.flag("exclusive"),
            truncate: self.flag("truncate"),
            mode: self.mode(),
            direction,
            name: self.text(),
        }
    }

    fn width(&mut self) -> Width {
        match self.next() {
            "u32" => Width::U32,
            "u64" => Width::U64,
            other => panic!("not a width: {other:?}"),
        }
    }

    fn access(&mut self) -> Access {
        let modify = match self.next() {
            "load" => return Access::Load,
            "store" => return Access::Store(self.number()),
            "compare-exchange" => return Access::CompareExchange(self.number(), self.number()),
            "add" => Modify::Add,
            "and" => Modify::And,
            "or" => Modify::Or,
            "xor" => Modify::Xor,
            "exchange" => Modify::Exchange,
            other => panic!("not an access to a word: {other:?}"),
        };
        Access::Modify(modify, self.number())
    }
}

/// `abc:3`: a payload and its priority.
fn message(word: &str) -> Message {
    let (payload, priority) = word.rsplit_once(':').unwrap_or((word, "0"));
    Message {
        payload: unescape(payload).into_bytes(),
        priority: small(priority),
    }
}

/// `4x64`, or `max+1x64`.
fn limits(word: &str) -> Limits {
    let limit = |word: &str| match word.strip_prefix("max+") {
        Some(more) => Limit::MaximumAnd(small(more)),
        None => Limit::Is(small(word)),
    };
    // The `x` of `max` is not the one between the two.
    let mut between = word.match_indices('x').map(|(at, _)| at);
    let between = between.find(|&at| !word[..at].ends_with("ma"));
    let between = between.unwrap_or_else(|| panic!("not limits: {word:?}"));
    Limits {
        messages: limit(&word[..between]),
        size: limit(&word[between + 1..]),
    }
}

fn small(word: &str) -> u32 {
    let number = number(word);
    u32::try_from(number).unwrap_or_else(|_| panic!("too large: {word:?}"))
}

fn number(word: &str) -> u64 {
    let (base, less) = word.split_once('-').unwrap_or((word, "0"));
    let base = match base {
        "max32" => u32::MAX.into(),
        "max64" => u64::MAX,
        _ => base
            .parse()
            .unwrap_or_else(|_| panic!("not a number: {word:?}")),
    };
    let less: u64 = less
        .parse()
        .unwrap_or_else(|_| panic!("not a number: {word:?}"));
    base - less
}

fn unescape(word: &str) -> String {
    if word == "''" {
        return String::new();
    }
    let mut text = String::new();
    let mut letters = word.chars();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '\\' => match letters.next() {
                Some('0') => '\0',
                Some('s') => ' ',
                Some('\\') => '\\',
                other => panic!("not an escape: {other:?} in {word:?}"),
            },
            letter => letter,
        });
    }
    text
}

/// A text as a word of the language.
pub fn escaped(text: &str) -> String {
    match text {
        "" => "''".into(),
        text => text
            .replace('\\', "\\\\")
            .replace('\0', "\\0")
            .replace(' ', "\\s"),
    }
}

/// How bytes are shown in an outcome: many of them by their number and a hash.
pub fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= 64 {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{} bytes with hash {fnv:016x}", bytes.len())
}

/// How a message is shown in an outcome.
pub fn shown_message(payload: &[u8], priority: u32) -> String {
    format!("{}:{priority}", shown(payload))
}

/// How the state of a queue is shown in an outcome.
pub fn shown_attributes(messages: u32, size: u32, current: u32) -> String {
    format!("{current} of {messages} messages of {size} bytes")
}

/// How an outcome is printed, on one line.
pub fn printed(outcome: &Result<String, String>) -> String {
    match outcome {
        Ok(value) if value.is_empty() => "ok".into(),
        Ok(value) => format!("ok {value}"),
        Err(error) => format!("error {error}"),
    }
}
