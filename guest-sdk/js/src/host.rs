//! The native functions, for the modules of this runtime. Their callers have checked the
//! arguments: here is neither a default nor a message to a user.

use std::io::{Read, Write};
use std::time::Duration;

use posix_ipc_guest::{
    Access, ErrorKind, Message, Notification, Pollable, Queue, QueueLimits, Segment, Semaphore,
    WaitOutcome, limits,
};
use rquickjs::function::IntoJsFunc;
use rquickjs::module::{Declarations, Exports, ModuleDef};
use rquickjs::{Array, BigInt, Ctx, Exception, Function, Object, Result, TypedArray};

use crate::bindings::wasi::cli::exit::exit_with_code;
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::handle::{Held, MakeError, close, fail, hold, using, using_all};
use crate::view::{self, bytes, fill};

type Bytes<'js> = TypedArray<'js, u8>;

/// The module of them: an object of functions for each kind of thing.
pub(crate) struct Host;

impl ModuleDef for Host {
    fn declare(declarations: &Declarations<'_>) -> Result<()> {
        declarations.declare("default").map(drop)
    }

    fn evaluate<'js>(ctx: &Ctx<'js>, exports: &Exports<'js>) -> Result<()> {
        let host = Object::new(ctx.clone())?;
        host.set("semaphore", semaphores(ctx)?)?;
        host.set("segment", segments(ctx)?)?;
        host.set("queue", queues(ctx)?)?;
        host.set("notification", notifications(ctx)?)?;
        host.set("pollable", pollables(ctx)?)?;
        host.set("limits", system_limits(ctx)?)?;
        host.set("system", system(ctx)?)?;
        host.set("fast", crate::fast::functions(ctx)?)?;
        exports.export("default", host).map(drop)
    }
}

/// Functions, as they are collected.
struct Functions<'js>(Object<'js>);

impl<'js> Functions<'js> {
    fn new(ctx: &Ctx<'js>) -> Result<Self> {
        Object::new(ctx.clone()).map(Self)
    }

    fn with<P>(self, name: &str, function: impl IntoJsFunc<'js, P> + 'js) -> Result<Self> {
        let function = Function::new(self.0.ctx().clone(), function)?.with_name(name)?;
        self.0.set(name, function)?;
        Ok(self)
    }
}

/// A result of the SDK's about a name, or the exception.
fn about<'js, T>(ctx: &Ctx<'js>, name: &str, result: posix_ipc_guest::Result<T>) -> Result<T> {
    result.map_err(|error| fail(ctx, Some(name), &error))
}

/// A number for JavaScript. The engine's own conversion makes negative ones of large ones.
fn number(value: u32) -> f64 {
    value.into()
}

/// Milliseconds. What is longer than a `Duration` never ends.
fn duration(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or(Duration::MAX)
}

// ---- semaphores ------------------------------------------------------------------------

fn semaphores<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    fn open<'js>(
        ctx: Ctx<'js>,
        name: String,
        options: Object<'js>,
    ) -> Result<Held<'js, Semaphore>> {
        let opened = Semaphore::options()
            .create(options.get("create")?)
            .create_new(options.get("exclusive")?)
            .mode(options.get("mode")?)
            .value(options.get("value")?)
            .fast(true)
            .open(&name);
        hold(&ctx, about(&ctx, &name, opened)?)
    }
    fn unique<'js>(
        ctx: Ctx<'js>,
        prefix: String,
        options: Object<'js>,
    ) -> Result<Held<'js, Semaphore>> {
        let created = Semaphore::options()
            .mode(options.get("mode")?)
            .value(options.get("value")?)
            .fast(true)
            .create_unique(&prefix);
        hold(&ctx, about(&ctx, &prefix, created)?)
    }
    fn unlink(ctx: Ctx<'_>, name: String) -> Result<()> {
        about(&ctx, &name, Semaphore::unlink(&name))
    }
    fn name<'js>(ctx: Ctx<'js>, held: Held<'js, Semaphore>) -> Result<String> {
        using(&ctx, &held, |semaphore| Ok(semaphore.name()))
    }
    fn mode<'js>(ctx: Ctx<'js>, held: Held<'js, Semaphore>) -> Result<f64> {
        using(&ctx, &held, |semaphore| Ok(number(semaphore.mode())))
    }
    fn value<'js>(ctx: Ctx<'js>, held: Held<'js, Semaphore>) -> Result<f64> {
        using(&ctx, &held, Semaphore::value).map(number)
    }
    fn acquire<'js>(ctx: Ctx<'js>, held: Held<'js, Semaphore>, timeout: Option<f64>) -> Result<()> {
        using(&ctx, &held, |semaphore| match timeout {
            Some(timeout) => semaphore.acquire_timeout(duration(timeout)),
            None => semaphore.acquire(),
        })
    }
    fn try_acquire<'js>(ctx: Ctx<'js>, held: Held<'js, Semaphore>) -> Result<bool> {
        using(&ctx, &held, Semaphore::try_acquire)
    }
    fn release<'js>(ctx: Ctx<'js>, held: Held<'js, Semaphore>) -> Result<()> {
        using(&ctx, &held, Semaphore::release)
    }
    fn subscribe<'js>(ctx: Ctx<'js>, held: Held<'js, Semaphore>) -> Result<Held<'js, Pollable>> {
        hold(&ctx, using(&ctx, &held, Semaphore::subscribe)?)
    }
    let functions = Functions::new(ctx)?
        .with("open", open)?
        .with("unique", unique)?
        .with("unlink", unlink)?
        .with("name", name)?
        .with("mode", mode)?
        .with("value", value)?
        .with("acquire", acquire)?
        .with("tryAcquire", try_acquire)?
        .with("release", release)?
        .with("subscribe", subscribe)?
        .with("close", close::<Semaphore>)?;
    Ok(functions.0)
}

// ---- shared memory ---------------------------------------------------------------------

fn segments<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    fn open<'js>(ctx: Ctx<'js>, name: String, options: Object<'js>) -> Result<Held<'js, Segment>> {
        let mut wanted = Segment::options();
        wanted
            .create(options.get("create")?)
            .create_new(options.get("exclusive")?)
            .truncate(options.get("truncate")?)
            .mode(options.get("mode")?)
            .access(access(&options)?);
        if let Some(size) = options.get::<_, Option<f64>>("size")? {
            wanted.size(size as u64);
        }
        hold(&ctx, about(&ctx, &name, wanted.open(&name))?)
    }
    fn unique<'js>(
        ctx: Ctx<'js>,
        prefix: String,
        options: Object<'js>,
    ) -> Result<Held<'js, Segment>> {
        let created = Segment::options()
            .mode(options.get("mode")?)
            .size(options.get::<_, f64>("size")? as u64)
            .create_unique(&prefix);
        hold(&ctx, about(&ctx, &prefix, created)?)
    }
    fn unlink(ctx: Ctx<'_>, name: String) -> Result<()> {
        about(&ctx, &name, Segment::unlink(&name))
    }
    fn name<'js>(ctx: Ctx<'js>, held: Held<'js, Segment>) -> Result<String> {
        using(&ctx, &held, |segment| Ok(segment.name()))
    }
    fn mode<'js>(ctx: Ctx<'js>, held: Held<'js, Segment>) -> Result<f64> {
        using(&ctx, &held, Segment::mode).map(number)
    }
    fn size<'js>(ctx: Ctx<'js>, held: Held<'js, Segment>) -> Result<f64> {
        using(&ctx, &held, |segment| Ok(segment.size()? as f64))
    }
    fn resize<'js>(ctx: Ctx<'js>, held: Held<'js, Segment>, size: f64) -> Result<()> {
        using(&ctx, &held, |segment| segment.resize(size as u64))
    }
    fn read<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Segment>,
        offset: f64,
        length: f64,
    ) -> Result<Bytes<'js>> {
        let data = using(&ctx, &held, |segment| {
            read_all(segment, offset as u64, length as usize)
        })?;
        Bytes::new(ctx, data)
    }
    fn read_into<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Segment>,
        offset: f64,
        buffer: Bytes<'js>,
    ) -> Result<usize> {
        fill(&ctx, &buffer, |buffer| {
            let read = using(&ctx, &held, |segment| {
                read_into_all(segment, offset as u64, buffer)
            })?;
            Ok((read, read))
        })
    }
    fn write<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Segment>,
        offset: f64,
        data: Bytes<'js>,
    ) -> Result<()> {
        let data = bytes(&ctx, &data)?;
        using(&ctx, &held, |segment| segment.write(offset as u64, &data))
    }
    fn word32<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Segment>,
        operation: String,
        offset: f64,
        first: Option<u32>,
        second: Option<u32>,
    ) -> Result<f64> {
        let (first, second) = (first.unwrap_or_default(), second.unwrap_or_default());
        let value = using(&ctx, &held, |segment| {
            let word = segment.u32(offset as u64);
            match &*operation {
                "load" => word.load(),
                "store" => word.store(first).map(|()| first),
                "exchange" => word.swap(first),
                "add" => word.fetch_add(first),
                "sub" => word.fetch_sub(first),
                "and" => word.fetch_and(first),
                "or" => word.fetch_or(first),
                "xor" => word.fetch_xor(first),
                "compareExchange" => word.compare_exchange(first, second).map(either),
                _ => Err(ErrorKind::Invalid.into()),
            }
        })?;
        Ok(number(value))
    }
    fn word64<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Segment>,
        operation: String,
        offset: f64,
        first: Option<BigInt<'js>>,
        second: Option<BigInt<'js>>,
    ) -> Result<BigInt<'js>> {
        let word = |operand: Option<BigInt<'js>>| operand.map_or(Ok(0), BigInt::to_i64);
        let (first, second) = (word(first)? as u64, word(second)? as u64);
        let value = using(&ctx, &held, |segment| {
            let word = segment.u64(offset as u64);
            match &*operation {
                "load" => word.load(),
                "store" => word.store(first).map(|()| first),
                "exchange" => word.swap(first),
                "add" => word.fetch_add(first),
                "sub" => word.fetch_sub(first),
                "and" => word.fetch_and(first),
                "or" => word.fetch_or(first),
                "xor" => word.fetch_xor(first),
                "compareExchange" => word.compare_exchange(first, second).map(either),
                _ => Err(ErrorKind::Invalid.into()),
            }
        })?;
        BigInt::from_u64(ctx, value)
    }
    fn wait<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Segment>,
        offset: f64,
        expected: u32,
        timeout: Option<f64>,
    ) -> Result<&'static str> {
        using(&ctx, &held, |segment| {
            let word = segment.u32(offset as u64);
            let outcome = match timeout {
                Some(timeout) => word.wait_timeout(expected, duration(timeout)),
                None => word.wait(expected),
            };
            match outcome {
                Ok(WaitOutcome::Woken) => Ok("ok"),
                Ok(WaitOutcome::NotEqual) => Ok("not-equal"),
                Err(error) if error.kind() == ErrorKind::TimedOut => Ok("timed-out"),
                Err(error) => Err(error),
            }
        })
    }
    fn notify<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Segment>,
        offset: f64,
        count: u32,
    ) -> Result<f64> {
        using(&ctx, &held, |segment| {
            segment.u32(offset as u64).notify(count)
        })
        .map(number)
    }
    let functions = Functions::new(ctx)?
        .with("open", open)?
        .with("unique", unique)?
        .with("unlink", unlink)?
        .with("name", name)?
        .with("mode", mode)?
        .with("size", size)?
        .with("resize", resize)?
        .with("read", read)?
        .with("readInto", read_into)?
        .with("write", write)?
        .with("word32", word32)?
        .with("word64", word64)?
        .with("wait", wait)?
        .with("notify", notify)?
        .with("map", view::map)?
        .with("detach", view::detach)?
        .with("close", close::<Segment>)?;
    Ok(functions.0)
}

fn read_all(segment: &Segment, offset: u64, length: usize) -> posix_ipc_guest::Result<Vec<u8>> {
    // Whatever was asked for, there is no more than that.
    let rest = segment.size()?.saturating_sub(offset);
    let mut data = vec![0; length.min(usize::try_from(rest).unwrap_or(usize::MAX))];
    let count = read_into_all(segment, offset, &mut data)?;
    data.truncate(count);
    Ok(data)
}

/// The host limits what one call reads.
fn read_into_all(
    segment: &Segment,
    offset: u64,
    buffer: &mut [u8],
) -> posix_ipc_guest::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match segment.read_into(offset + count as u64, &mut buffer[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

/// The previous value, whether or not it was the expected one.
fn either<T>(outcome: std::result::Result<T, T>) -> T {
    match outcome {
        Ok(previous) | Err(previous) => previous,
    }
}

fn access(options: &Object<'_>) -> Result<Access> {
    let access: String = options.get("access")?;
    Ok(match &*access {
        "read" => Access::Read,
        "write" => Access::Write,
        _ => Access::ReadWrite,
    })
}

// ---- message queues --------------------------------------------------------------------

fn queues<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    fn open<'js>(ctx: Ctx<'js>, name: String, options: Object<'js>) -> Result<Held<'js, Queue>> {
        let mut wanted = Queue::options();
        wanted
            .create(options.get("create")?)
            .create_new(options.get("exclusive")?)
            .mode(options.get("mode")?)
            .access(access(&options)?);
        if let Some(limits) = queue_limits(&options)? {
            wanted.limits(limits);
        }
        hold(&ctx, about(&ctx, &name, wanted.open(&name))?)
    }
    fn unique<'js>(
        ctx: Ctx<'js>,
        prefix: String,
        options: Object<'js>,
    ) -> Result<Held<'js, Queue>> {
        let mut wanted = Queue::options();
        wanted.mode(options.get("mode")?);
        if let Some(limits) = queue_limits(&options)? {
            wanted.limits(limits);
        }
        hold(&ctx, about(&ctx, &prefix, wanted.create_unique(&prefix))?)
    }
    fn unlink(ctx: Ctx<'_>, name: String) -> Result<()> {
        about(&ctx, &name, Queue::unlink(&name))
    }
    fn name<'js>(ctx: Ctx<'js>, held: Held<'js, Queue>) -> Result<String> {
        using(&ctx, &held, |queue| Ok(queue.name()))
    }
    fn mode<'js>(ctx: Ctx<'js>, held: Held<'js, Queue>) -> Result<f64> {
        using(&ctx, &held, Queue::mode).map(number)
    }
    fn attributes<'js>(ctx: Ctx<'js>, held: Held<'js, Queue>) -> Result<Object<'js>> {
        let attributes = using(&ctx, &held, Queue::attributes)?;
        let object = limits_object(&ctx, attributes.limits)?;
        object.set("currentMessages", number(attributes.current_messages))?;
        Ok(object)
    }
    fn send<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Queue>,
        payload: Bytes<'js>,
        priority: u32,
        timeout: Option<f64>,
    ) -> Result<()> {
        let payload = bytes(&ctx, &payload)?;
        using(&ctx, &held, |queue| match timeout {
            Some(timeout) => queue.send_timeout(&payload, priority, duration(timeout)),
            None => queue.send(&payload, priority),
        })
    }
    fn try_send<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Queue>,
        payload: Bytes<'js>,
        priority: u32,
    ) -> Result<bool> {
        let payload = bytes(&ctx, &payload)?;
        using(&ctx, &held, |queue| queue.try_send(&payload, priority))
    }
    fn receive<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Queue>,
        timeout: Option<f64>,
    ) -> Result<Object<'js>> {
        let message = using(&ctx, &held, |queue| match timeout {
            Some(timeout) => queue.receive_timeout(duration(timeout)),
            None => queue.receive(),
        })?;
        message_object(&ctx, message)
    }
    /// The length and the priority of the message.
    fn receive_into<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Queue>,
        buffer: Bytes<'js>,
        timeout: Option<f64>,
    ) -> Result<Object<'js>> {
        let (length, priority) = fill(&ctx, &buffer, |buffer| {
            let received = using(&ctx, &held, |queue| match timeout {
                Some(timeout) => queue.receive_into_timeout(buffer, duration(timeout)),
                None => queue.receive_into(buffer),
            })?;
            Ok((received.0, received))
        })?;
        let object = Object::new(ctx)?;
        object.set("length", length)?;
        object.set("priority", number(priority))?;
        Ok(object)
    }
    fn try_receive<'js>(ctx: Ctx<'js>, held: Held<'js, Queue>) -> Result<Option<Object<'js>>> {
        let message = using(&ctx, &held, Queue::try_receive)?;
        message
            .map(|message| message_object(&ctx, message))
            .transpose()
    }
    fn send_batch<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Queue>,
        payloads: Vec<Bytes<'js>>,
        priorities: Vec<u32>,
        timeout: Option<f64>,
    ) -> Result<usize> {
        let payloads: Result<Vec<_>> = payloads.iter().map(|it| bytes(&ctx, it)).collect();
        let payloads = payloads?;
        let messages: Vec<(&[u8], u32)> = payloads.iter().map(|it| &**it).zip(priorities).collect();
        using(&ctx, &held, |queue| {
            let messages = messages.iter().copied();
            match timeout {
                Some(timeout) => queue.send_batch_timeout(messages, duration(timeout)),
                None => queue.send_batch(messages),
            }
        })
    }
    fn receive_batch<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Queue>,
        max: u32,
        timeout: Option<f64>,
    ) -> Result<Array<'js>> {
        let messages = using(&ctx, &held, |queue| match timeout {
            Some(timeout) => queue.receive_batch_timeout(max, duration(timeout)),
            None => queue.receive_batch(max),
        })?;
        let array = Array::new(ctx.clone())?;
        for (index, message) in messages.into_iter().enumerate() {
            array.set(index, message_object(&ctx, message)?)?;
        }
        Ok(array)
    }
    fn subscribe_readable<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Queue>,
    ) -> Result<Held<'js, Pollable>> {
        hold(&ctx, using(&ctx, &held, Queue::subscribe_readable)?)
    }
    fn subscribe_writable<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Queue>,
    ) -> Result<Held<'js, Pollable>> {
        hold(&ctx, using(&ctx, &held, Queue::subscribe_writable)?)
    }
    fn request_notification<'js>(
        ctx: Ctx<'js>,
        held: Held<'js, Queue>,
    ) -> Result<Held<'js, Notification>> {
        hold(&ctx, using(&ctx, &held, Queue::request_notification)?)
    }
    let functions = Functions::new(ctx)?
        .with("open", open)?
        .with("unique", unique)?
        .with("unlink", unlink)?
        .with("name", name)?
        .with("mode", mode)?
        .with("attributes", attributes)?
        .with("send", send)?
        .with("trySend", try_send)?
        .with("receive", receive)?
        .with("receiveInto", receive_into)?
        .with("tryReceive", try_receive)?
        .with("sendBatch", send_batch)?
        .with("receiveBatch", receive_batch)?
        .with("subscribeReadable", subscribe_readable)?
        .with("subscribeWritable", subscribe_writable)?
        .with("requestNotification", request_notification)?
        .with("close", close::<Queue>)?;
    Ok(functions.0)
}

fn message_object<'js>(ctx: &Ctx<'js>, message: Message) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("payload", Bytes::new(ctx.clone(), message.payload)?)?;
    object.set("priority", number(message.priority))?;
    Ok(object)
}

fn queue_limits(options: &Object<'_>) -> Result<Option<QueueLimits>> {
    let limit = |name| options.get::<_, Option<u32>>(name);
    let both = limit("maxMessages")?.zip(limit("maxMessageSize")?);
    Ok(both.map(|(max_messages, max_message_size)| QueueLimits {
        max_messages,
        max_message_size,
    }))
}

fn limits_object<'js>(ctx: &Ctx<'js>, limits: QueueLimits) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("maxMessages", number(limits.max_messages))?;
    object.set("maxMessageSize", number(limits.max_message_size))?;
    Ok(object)
}

fn notifications<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    fn delivered<'js>(ctx: Ctx<'js>, held: Held<'js, Notification>) -> Result<bool> {
        using(&ctx, &held, |notification| Ok(notification.delivered()))
    }
    fn subscribe<'js>(ctx: Ctx<'js>, held: Held<'js, Notification>) -> Result<Held<'js, Pollable>> {
        hold(&ctx, using(&ctx, &held, Notification::subscribe)?)
    }
    let functions = Functions::new(ctx)?
        .with("delivered", delivered)?
        .with("subscribe", subscribe)?
        .with("close", close::<Notification>)?;
    Ok(functions.0)
}

// ---- waiting for one of many -----------------------------------------------------------

fn pollables<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    fn ready<'js>(ctx: Ctx<'js>, held: Held<'js, Pollable>) -> Result<bool> {
        using(&ctx, &held, |pollable| Ok(pollable.ready()))
    }
    /// The indices of those that are ready: none if the time is up first.
    fn poll<'js>(
        ctx: Ctx<'js>,
        held: Vec<Held<'js, Pollable>>,
        timeout: Option<f64>,
    ) -> Result<Vec<usize>> {
        let timer = timeout.map(|timeout| timer(duration(timeout)));
        let mut ready = using_all(&ctx, &held, |pollables| {
            let mut pollables = pollables.to_vec();
            pollables.extend(&timer);
            posix_ipc_guest::poll(&pollables)
        })?;
        ready.retain(|index| *index < held.len());
        Ok(ready)
    }
    let functions = Functions::new(ctx)?
        .with("ready", ready)?
        .with("poll", poll)?
        .with("close", close::<Pollable>)?;
    Ok(functions.0)
}

/// A pollable that is ready after a time.
fn timer(time: Duration) -> Pollable {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let timer = monotonic_clock::subscribe_duration(nanoseconds);
    // SAFETY: it is a pollable, and was given up just now.
    unsafe { Pollable::from_handle(timer.take_handle()) }
}

// ---- the rest --------------------------------------------------------------------------

fn system_limits<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    fn queue_defaults(ctx: Ctx<'_>) -> Result<Object<'_>> {
        limits_object(&ctx, limits::queue_defaults())
    }
    fn queue_maximums(ctx: Ctx<'_>) -> Result<Object<'_>> {
        limits_object(&ctx, limits::queue_maximums())
    }
    let functions = Functions::new(ctx)?
        .with(
            "semaphoreValueMax",
            || number(limits::semaphore_value_max()),
        )?
        .with("queuePriorityMax", || number(limits::queue_priority_max()))?
        .with("queueDefaults", queue_defaults)?
        .with("queueMaximums", queue_maximums)?
        .with("pageSize", || number(limits::page_size()))?;
    Ok(functions.0)
}

fn system<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    /// The function that makes exceptions of codes and messages.
    fn errors<'js>(ctx: Ctx<'js>, make: Function<'js>) -> Result<()> {
        let stored = ctx.store_userdata(MakeError(make));
        stored.map(drop).map_err(|_| rquickjs::Error::Unknown)
    }
    fn write(file: u32, text: String) {
        // Nobody may be there any more to read it: that is no reason to end.
        let _ = match file {
            1 => output(std::io::stdout(), text.as_bytes()),
            _ => output(std::io::stderr(), text.as_bytes()),
        };
    }
    fn environment(ctx: Ctx<'_>) -> Result<Object<'_>> {
        let object = Object::new(ctx)?;
        for (name, value) in std::env::vars() {
            object.set(name, value)?;
        }
        Ok(object)
    }
    fn folder() -> Option<String> {
        Some(std::env::current_dir().ok()?.to_string_lossy().into_owned())
    }
    /// Milliseconds of the monotonic clock.
    fn now() -> f64 {
        monotonic_clock::now() as f64 / 1e6
    }
    fn sleep(milliseconds: f64) {
        timer(duration(milliseconds)).block();
    }
    fn encode(ctx: Ctx<'_>, text: String) -> Result<Bytes<'_>> {
        Bytes::new(ctx, text)
    }
    fn decode<'js>(ctx: Ctx<'js>, data: Bytes<'js>, fatal: bool) -> Result<String> {
        let data = bytes(&ctx, &data)?;
        match std::str::from_utf8(&data) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) if fatal => Err(Exception::throw_type(&ctx, "the encoded data is not UTF-8")),
            Err(_) => Ok(String::from_utf8_lossy(&data).into_owned()),
        }
    }
    fn read_file(ctx: Ctx<'_>, path: String) -> Result<Bytes<'_>> {
        let data = std::fs::read(&path).map_err(|error| file_error(&ctx, &path, &error))?;
        Bytes::new(ctx, data)
    }
    fn read_input(ctx: Ctx<'_>) -> Result<Bytes<'_>> {
        let mut data = Vec::new();
        let read = std::io::stdin().read_to_end(&mut data);
        read.map_err(|error| file_error(&ctx, "standard input", &error))?;
        Bytes::new(ctx, data)
    }
    /// At least a byte of standard input, or none at its end.
    fn read_part<'js>(ctx: Ctx<'js>, buffer: Bytes<'js>) -> Result<usize> {
        fill(&ctx, &buffer, |buffer| {
            let read = std::io::stdin().read(buffer);
            let read = read.map_err(|error| file_error(&ctx, "standard input", &error))?;
            Ok((read, read))
        })
    }
    fn write_file<'js>(ctx: Ctx<'js>, path: String, data: Bytes<'js>) -> Result<()> {
        let data = bytes(&ctx, &data)?;
        std::fs::write(&path, data).map_err(|error| file_error(&ctx, &path, &error))
    }
    let functions = Functions::new(ctx)?
        .with("errors", errors)?
        .with("arguments", || std::env::args().collect::<Vec<_>>())?
        .with("environment", environment)?
        .with("folder", folder)?
        .with("exit", exit)?
        .with("write", write)?
        .with("now", now)?
        .with("sleep", sleep)?
        .with("encode", encode)?
        .with("decode", decode)?
        .with("readFile", read_file)?
        .with("readInput", read_input)?
        .with("readPart", read_part)?
        .with("writeFile", write_file)?;
    Ok(functions.0)
}

fn output(mut file: impl Write, text: &[u8]) -> std::io::Result<()> {
    file.write_all(text)?;
    file.flush()
}

/// Throws an error of the file system as Node does: with the system's name for it.
fn file_error(ctx: &Ctx<'_>, path: &str, error: &std::io::Error) -> rquickjs::Error {
    use std::io::ErrorKind;
    let code = match error.kind() {
        ErrorKind::NotFound => "ENOENT",
        ErrorKind::PermissionDenied => "EACCES",
        ErrorKind::IsADirectory => "EISDIR",
        ErrorKind::NotADirectory => "ENOTDIR",
        ErrorKind::ReadOnlyFilesystem => "EROFS",
        _ => "EIO",
    };
    let made = Exception::from_message(ctx.clone(), &format!("{code}: {path}: {error}"));
    match made.and_then(|exception| exception.set("code", code).map(|()| exception)) {
        Ok(exception) => exception.throw(),
        Err(error) => error,
    }
}

/// Ends the process.
pub(crate) fn exit(code: u8) {
    exit_with_code(code);
}
