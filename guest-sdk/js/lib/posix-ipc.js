// The module "posix-ipc", as posix-ipc.d.ts declares it: checks arguments, and calls the
// native functions.

import {
    CREATE, OPEN, accessOf, bytes, countOf, creation, flag, integer, limitsOf, milliseconds,
    optionsOf, priorityOf, room, signalOf, text, timeoutOf, viewOf, word32, word64,
} from "internal:arguments";
import { ClosedError, TimeoutError } from "internal:errors";
import host from "internal:host";
import { forget, whenReady } from "internal:loop";

export * from "internal:errors";

// What only this module can make: users have the static methods.
const OWN = Symbol("own");

function made(key, name, instead) {
    if (key !== OWN) throw new TypeError(`new ${name} is not for scripts: use ${instead}`);
}

// An object of the host's kind, of which the functions of host.fast know the handle.
class Fast {
    constructor(object) {
        return object;
    }
}

const WAIT = ["timeout"];
const WAIT_ASYNC = ["timeout", "signal"];

// ---- semaphores ------------------------------------------------------------------------

export class Semaphore extends Fast {
    #handle;

    constructor(key, handle) {
        made(key, "Semaphore", "Semaphore.open or Semaphore.createUnique");
        super(host.fast.semaphore(handle, new.target.prototype));
        this.#handle = handle;
    }

    static open(name, options) {
        const given = optionsOf(options, [...OPEN, "value"]);
        const wanted = { ...creation(given), value: word32(given.value ?? 0, "value") };
        return new Semaphore(OWN, host.semaphore.open(text(name, "name"), wanted));
    }

    static createUnique(prefix, options) {
        const given = optionsOf(options, [...CREATE, "value"]);
        const wanted = { ...creation(given), value: word32(given.value ?? 0, "value") };
        return new Semaphore(OWN, host.semaphore.unique(text(prefix, "prefix"), wanted));
    }

    static unlink(name) {
        host.semaphore.unlink(text(name, "name"));
    }

    get name() {
        return host.semaphore.name(this.#handle);
    }

    get mode() {
        return host.semaphore.mode(this.#handle);
    }

    get value() {
        return host.semaphore.value(this.#handle);
    }

    acquire(options) {
        host.semaphore.acquire(this.#handle, timeoutOf(optionsOf(options, WAIT)));
    }

    acquireAsync(options) {
        const taken = () => (this.tryAcquire() ? true : undefined);
        return whenDone(() => this.subscribe(), taken, options).then(() => undefined);
    }

    tryAcquire() {
        return host.semaphore.tryAcquire(this.#handle);
    }

    release() {
        host.semaphore.release(this.#handle);
    }

    lock(options) {
        this.acquire(options);
        return new SemaphoreGuard(OWN, this);
    }

    subscribe() {
        return new Pollable(OWN, host.semaphore.subscribe(this.#handle));
    }

    close() {
        host.semaphore.close(this.#handle);
    }

    [Symbol.dispose]() {
        this.close();
    }
}

export class SemaphoreGuard {
    #semaphore;

    constructor(key, semaphore) {
        made(key, "SemaphoreGuard", "the method lock of a Semaphore");
        this.#semaphore = semaphore;
    }

    release() {
        const semaphore = this.#semaphore;
        this.#semaphore = undefined;
        semaphore?.release();
    }

    [Symbol.dispose]() {
        this.release();
    }
}

// ---- shared memory ---------------------------------------------------------------------

export class SharedMemory extends Fast {
    #handle;
    #writable;
    // What views are of, the largest one last: more than one once the object has grown.
    #buffers = [];

    constructor(key, handle, access) {
        made(key, "SharedMemory", "SharedMemory.open or SharedMemory.createUnique");
        super(host.fast.segment(handle, new.target.prototype));
        this.#handle = handle;
        this.#writable = access !== "read";
    }

    static open(name, options) {
        const given = optionsOf(options, [...OPEN, "truncate", "size", "access"]);
        const wanted = {
            ...creation(given),
            truncate: flag(given.truncate, "truncate"),
            access: accessOf(given, ["read", "read-write"]),
            size: given.size === undefined ? undefined : integer(given.size, "size"),
        };
        const handle = host.segment.open(text(name, "name"), wanted);
        return new SharedMemory(OWN, handle, wanted.access);
    }

    static createUnique(prefix, options) {
        const given = optionsOf(options, [...CREATE, "size"]);
        const wanted = { ...creation(given), size: integer(given.size ?? 0, "size") };
        return new SharedMemory(OWN, host.segment.unique(text(prefix, "prefix"), wanted));
    }

    static unlink(name) {
        host.segment.unlink(text(name, "name"));
    }

    get name() {
        return host.segment.name(this.#handle);
    }

    get mode() {
        return host.segment.mode(this.#handle);
    }

    get size() {
        return host.segment.size(this.#handle);
    }

    resize(size) {
        host.segment.resize(this.#handle, integer(size, "size"));
    }

    read(offset = 0, length = undefined) {
        const start = integer(offset, "offset");
        const rest = () => Math.max(0, this.size - start);
        const count = length === undefined ? rest() : integer(length, "length");
        return host.segment.read(this.#handle, start, count);
    }

    readInto(offset, buffer) {
        const view = room(buffer, "buffer");
        return host.segment.readInto(this.#handle, integer(offset, "offset"), view);
    }

    write(offset, data) {
        host.segment.write(this.#handle, integer(offset, "offset"), bytes(data, "data"));
    }

    u32(offset) {
        return new SharedU32(OWN, this.#handle, integer(offset, "offset"));
    }

    u64(offset) {
        return new SharedU64(OWN, this.#handle, integer(offset, "offset"));
    }

    view(type = Uint8Array, offset = 0, length = undefined) {
        const View = viewOf(type);
        const start = integer(offset, "offset");
        const count = length === undefined ? undefined : integer(length, "length");
        // A buffer that somebody took the memory of is as if it were not there.
        this.#buffers = this.#buffers.filter((buffer) => !buffer.detached);
        if (!(this.#buffers.at(-1)?.byteLength >= this.size)) {
            this.#buffers.push(host.segment.map(this.#handle, this.#writable));
        }
        return new View(this.#buffers.at(-1), start, count);
    }

    close() {
        this.#buffers.forEach(host.segment.detach);
        this.#buffers = [];
        host.segment.close(this.#handle);
    }

    [Symbol.dispose]() {
        this.close();
    }
}

// What words of both widths can do: `check` is for their values.
class SharedWord {
    #act;
    #check;
    #offset;

    constructor(key, handle, offset, act, check) {
        made(key, new.target.name, "the methods u32 and u64 of SharedMemory");
        this.#act = (operation, first, second) => act(handle, operation, offset, first, second);
        this.#check = check;
        this.#offset = offset;
    }

    get offset() {
        return this.#offset;
    }

    load() {
        return this.#act("load");
    }

    store(value) {
        this.#act("store", this.#check(value, "value"));
    }

    exchange(value) {
        return this.#act("exchange", this.#check(value, "value"));
    }

    add(value) {
        return this.#act("add", this.#check(value, "value"));
    }

    sub(value) {
        return this.#act("sub", this.#check(value, "value"));
    }

    and(value) {
        return this.#act("and", this.#check(value, "value"));
    }

    or(value) {
        return this.#act("or", this.#check(value, "value"));
    }

    xor(value) {
        return this.#act("xor", this.#check(value, "value"));
    }

    compareExchange(expected, replacement) {
        const first = this.#check(expected, "expected");
        return this.#act("compareExchange", first, this.#check(replacement, "replacement"));
    }
}

export class SharedU32 extends SharedWord {
    #handle;

    constructor(key, handle, offset) {
        super(key, handle, offset, host.segment.word32, word32);
        this.#handle = handle;
    }

    wait(expected, options) {
        const value = word32(expected, "expected");
        return host.segment.wait(this.#handle, this.offset, value, timeoutOf(optionsOf(options, WAIT)));
    }

    notify(count = Infinity) {
        return host.segment.notify(this.#handle, this.offset, countOf(count, "count"));
    }
}

export class SharedU64 extends SharedWord {
    constructor(key, handle, offset) {
        super(key, handle, offset, host.segment.word64, word64);
    }
}

// ---- message queues --------------------------------------------------------------------

const DIRECTIONS = ["read", "write", "read-write"];

const LIMITS = ["maxMessages", "maxMessageSize"];
const SEND = ["priority", "timeout"];
const SEND_ASYNC = [...SEND, "signal"];

export class MessageQueue extends Fast {
    #handle;

    constructor(key, handle) {
        made(key, "MessageQueue", "MessageQueue.open or MessageQueue.createUnique");
        super(host.fast.queue(handle, new.target.prototype));
        this.#handle = handle;
    }

    static open(name, options) {
        const given = optionsOf(options, [...OPEN, ...LIMITS, "access"]);
        const wanted = {
            ...creation(given),
            ...limitsOf(given),
            access: accessOf(given, DIRECTIONS),
        };
        return new MessageQueue(OWN, host.queue.open(text(name, "name"), wanted));
    }

    static createUnique(prefix, options) {
        const given = optionsOf(options, [...CREATE, ...LIMITS]);
        const wanted = { ...creation(given), ...limitsOf(given) };
        return new MessageQueue(OWN, host.queue.unique(text(prefix, "prefix"), wanted));
    }

    static unlink(name) {
        host.queue.unlink(text(name, "name"));
    }

    get name() {
        return host.queue.name(this.#handle);
    }

    get mode() {
        return host.queue.mode(this.#handle);
    }

    get attributes() {
        return host.queue.attributes(this.#handle);
    }

    send(payload, options) {
        const given = optionsOf(options, SEND);
        const [data, priority] = [bytes(payload, "payload"), priorityOf(given)];
        host.queue.send(this.#handle, data, priority, timeoutOf(given));
    }

    trySend(payload, options) {
        const priority = priorityOf(optionsOf(options, ["priority"]));
        return host.queue.trySend(this.#handle, bytes(payload, "payload"), priority);
    }

    sendAsync(payload, options) {
        const given = optionsOf(options, SEND_ASYNC);
        // What is sent is what the bytes are now.
        const [data, priority] = [bytes(payload, "payload").slice(), priorityOf(given)];
        const sent = () => (host.queue.trySend(this.#handle, data, priority) ? true : undefined);
        return whenDone(() => this.subscribeWritable(), sent, wait(given)).then(() => undefined);
    }

    receive(options) {
        return host.queue.receive(this.#handle, timeoutOf(optionsOf(options, WAIT)));
    }

    tryReceive() {
        return host.queue.tryReceive(this.#handle);
    }

    receiveInto(buffer, options) {
        const timeout = timeoutOf(optionsOf(options, WAIT));
        return host.queue.receiveInto(this.#handle, room(buffer, "buffer"), timeout);
    }

    receiveAsync(options) {
        return whenDone(() => this.subscribeReadable(), () => this.tryReceive(), options);
    }

    async *[Symbol.asyncIterator]() {
        for (;;) yield await this.receiveAsync();
    }

    async *messages(options) {
        const given = optionsOf(options, ["signal"]);
        for (;;) yield await this.receiveAsync(given);
    }

    sendBatch(messages, options) {
        const all = Array.from(messages, (message) => optionsOf(message, ["payload", "priority"]));
        const payloads = all.map(({ payload }) => bytes(payload, "payload"));
        const timeout = timeoutOf(optionsOf(options, WAIT));
        return host.queue.sendBatch(this.#handle, payloads, all.map(priorityOf), timeout);
    }

    receiveBatch(max, options) {
        const timeout = timeoutOf(optionsOf(options, WAIT));
        return host.queue.receiveBatch(this.#handle, word32(max, "max"), timeout);
    }

    subscribeReadable() {
        return new Pollable(OWN, host.queue.subscribeReadable(this.#handle));
    }

    subscribeWritable() {
        return new Pollable(OWN, host.queue.subscribeWritable(this.#handle));
    }

    requestNotification() {
        return new Notification(OWN, host.queue.requestNotification(this.#handle));
    }

    close() {
        host.queue.close(this.#handle);
    }

    [Symbol.dispose]() {
        this.close();
    }
}

export class Notification {
    #handle;

    constructor(key, handle) {
        made(key, "Notification", "the method requestNotification of a MessageQueue");
        this.#handle = handle;
    }

    get delivered() {
        return host.notification.delivered(this.#handle);
    }

    subscribe() {
        return new Pollable(OWN, host.notification.subscribe(this.#handle));
    }

    close() {
        host.notification.close(this.#handle);
    }

    [Symbol.dispose]() {
        this.close();
    }
}

// ---- waiting ---------------------------------------------------------------------------

let handleOf;

export class Pollable {
    #handle;

    constructor(key, handle) {
        made(key, "Pollable", "the methods that subscribe");
        this.#handle = handle;
    }

    static {
        handleOf = (pollable) => {
            if (#handle in pollable) return pollable.#handle;
            throw new TypeError("what is polled must be a Pollable");
        };
    }

    get ready() {
        return host.pollable.ready(this.#handle);
    }

    block(options) {
        return poll([this], options).length > 0;
    }

    async wait(options) {
        const given = optionsOf(options, WAIT_ASYNC);
        if (!(await whenReady(this.#handle, timeoutOf(given), signalOf(given)))) {
            throw new TimeoutError("timed out", "ETIMEDOUT");
        }
    }

    close() {
        forget(this.#handle, () => new ClosedError("object is closed", "EBADF"));
        host.pollable.close(this.#handle);
    }

    [Symbol.dispose]() {
        this.close();
    }
}

const wait = ({ timeout, signal }) => ({ timeout, signal });

// A promise for what an attempt gives once that is not undefined, tried when a pollable is
// ready. While it waits other code of the script runs.
async function whenDone(subscribe, attempt, options) {
    const given = optionsOf(options, WAIT_ASYNC);
    const [timeout, signal] = [timeoutOf(given), signalOf(given)];
    signal?.throwIfAborted();
    let done = attempt();
    if (done !== undefined) return done;
    const end = timeout === undefined ? Infinity : performance.now() + timeout;
    using ready = subscribe();
    for (;;) {
        const left = end === Infinity ? undefined : Math.max(0, end - performance.now());
        const inTime = await whenReady(handleOf(ready), left, signal);
        done = attempt();
        if (done !== undefined) return done;
        if (!inTime) throw new TimeoutError("timed out", "ETIMEDOUT");
    }
}

export function poll(pollables, options) {
    const [all, timeout] = [[...pollables], timeoutOf(optionsOf(options, WAIT))];
    if (all.length === 0 && timeout === undefined) {
        throw new RangeError("poll without pollables would never end: give it some, or a timeout");
    }
    return host.pollable.poll(all.map(handleOf), timeout).map((index) => all[index]);
}

export function sleep(time) {
    host.system.sleep(milliseconds(time, "time"));
}

export const limits = Object.freeze({
    get semaphoreValueMax() {
        return host.limits.semaphoreValueMax();
    },
    get queuePriorityMax() {
        return host.limits.queuePriorityMax();
    },
    get queueDefaults() {
        return host.limits.queueDefaults();
    },
    get queueMaximums() {
        return host.limits.queueMaximums();
    },
    get pageSize() {
        return host.limits.pageSize();
    },
});

// ---- the functions that are called most often ------------------------------------------

// Each does at once what is usual, and calls the one that it replaces for all else: options,
// waits, errors.
for (const [{ prototype }, names] of [
    [Semaphore, ["acquire", "tryAcquire", "release"]],
    [SharedMemory, ["read", "readInto", "write"]],
    [MessageQueue, ["send", "trySend", "receive", "tryReceive", "receiveInto"]],
]) {
    for (const name of names) {
        const value = host.fast.method(`${prototype.constructor.name}.${name}`, prototype[name]);
        Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
    }
}

// ---- as text ---------------------------------------------------------------------------

const custom = Symbol.for("nodejs.util.inspect.custom");

for (const [{ prototype }, names] of [
    [Semaphore, ["name", "value"]],
    [SharedMemory, ["name", "size"]],
    [MessageQueue, ["name", "attributes"]],
    [SharedU32, ["offset"]],
    [SharedU64, ["offset"]],
    [Notification, ["delivered"]],
    [Pollable, ["ready"]],
]) {
    const value = function (depth, options, inspect) {
        const shown = names.map((name) => {
            try {
                return `${name}: ${inspect(this[name])}`;
            } catch {
                return "closed";
            }
        });
        return `${prototype.constructor.name} { ${[...new Set(shown)].join(", ")} }`;
    };
    Object.defineProperty(prototype, custom, { value, writable: true, configurable: true });
}
