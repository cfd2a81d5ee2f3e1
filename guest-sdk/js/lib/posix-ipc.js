// The module "posix-ipc", as posix-ipc.d.ts declares it: checks arguments, and calls the
// native functions.

import host from "internal:host";
import { forget, whenReady } from "internal:loop";

// ---- errors ----------------------------------------------------------------------------

export class IpcError extends Error {
    constructor(message, code) {
        super(message);
        this.code = code;
    }
    get name() {
        return this.constructor.name;
    }
}

export class NotPermittedError extends IpcError {}
export class AccessError extends IpcError {}
export class ExistsError extends IpcError {}
export class NotFoundError extends IpcError {}
export class BusyError extends IpcError {}
export class TimeoutError extends IpcError {}
export class CancelledError extends IpcError {}
export class InvalidError extends IpcError {}
export class NameTooLongError extends IpcError {}
export class MessageTooLongError extends IpcError {}
export class OverflowError extends IpcError {}
export class NoSpaceError extends IpcError {}
export class QuotaError extends IpcError {}
export class ClosedError extends IpcError {}
export class TruncatedError extends IpcError {}
export class UnsupportedError extends IpcError {}

const ERRORS = {
    EPERM: NotPermittedError,
    EACCES: AccessError,
    EEXIST: ExistsError,
    ENOENT: NotFoundError,
    EAGAIN: BusyError,
    ETIMEDOUT: TimeoutError,
    ECANCELED: CancelledError,
    EINVAL: InvalidError,
    ENAMETOOLONG: NameTooLongError,
    EMSGSIZE: MessageTooLongError,
    EOVERFLOW: OverflowError,
    ENOSPC: NoSpaceError,
    EDQUOT: QuotaError,
    EBADF: ClosedError,
    EFAULT: TruncatedError,
    ENOTSUP: UnsupportedError,
};

host.system.errors((code, message) => new (ERRORS[code] ?? IpcError)(message, code));

// ---- arguments -------------------------------------------------------------------------

const U32 = 2 ** 32 - 1;

function text(value, what) {
    if (typeof value !== "string") throw new TypeError(`${what} must be a string`);
    return value.toWellFormed();
}

function integer(value, what, max = Number.MAX_SAFE_INTEGER) {
    const number = typeof value === "bigint" ? Number(value) : value;
    if (!Number.isInteger(number)) throw new TypeError(`${what} must be an integer`);
    if (number < 0 || number > max) {
        throw new RangeError(`${what} must be from 0 to ${max}, not ${value}`);
    }
    return number;
}

function word64(value, what) {
    if (typeof value !== "bigint") throw new TypeError(`${what} must be a BigInt`);
    if (BigInt.asUintN(64, value) !== value) {
        throw new RangeError(`${what} must be from 0 to 2n ** 64n - 1n, not ${value}`);
    }
    return value;
}

const word32 = (value, what) => integer(value, what, U32);

// Milliseconds, or undefined for a wait without an end.
function timeoutOf({ timeout } = {}) {
    if (timeout === undefined || timeout === Infinity) return undefined;
    return milliseconds(timeout, "timeout");
}

function milliseconds(value, what) {
    if (typeof value !== "number") throw new TypeError(`${what} must be a number of milliseconds`);
    if (!(value >= 0)) throw new RangeError(`${what} must not be ${value}`);
    return value;
}

function bytes(value, what) {
    if (value instanceof Uint8Array) return value;
    if (typeof value === "string") return host.system.encode(value.toWellFormed());
    if (ArrayBuffer.isView(value)) {
        return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    }
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    throw new TypeError(`${what} must be bytes or a string`);
}

function accessOf({ access = "read-write" }, allowed) {
    if (!allowed.includes(access)) {
        throw new TypeError(`access must be one of ${allowed.join(", ")}, not ${access}`);
    }
    return access;
}

const creation = ({ create = false, exclusive = false, mode = 0o600 }) => ({
    create: Boolean(create),
    exclusive: Boolean(exclusive),
    mode: integer(mode, "mode", 0o777),
});

function limitsOf({ maxMessages, maxMessageSize }) {
    if (maxMessages === undefined && maxMessageSize === undefined) return {};
    const defaults = host.limits.queueDefaults();
    return {
        maxMessages: word32(maxMessages ?? defaults.maxMessages, "maxMessages"),
        maxMessageSize: word32(maxMessageSize ?? defaults.maxMessageSize, "maxMessageSize"),
    };
}

// What only this module can make: users have the static methods.
const OWN = Symbol("own");

function made(key, name) {
    if (key !== OWN) throw new TypeError(`${name} has no constructor that is public`);
}

// ---- semaphores ------------------------------------------------------------------------

export class Semaphore {
    #handle;

    constructor(key, handle) {
        made(key, "Semaphore");
        this.#handle = handle;
    }

    static open(name, options = {}) {
        const value = word32(options.value ?? 0, "value");
        const wanted = { ...creation(options), value };
        return new Semaphore(OWN, host.semaphore.open(text(name, "name"), wanted));
    }

    static createUnique(prefix, options = {}) {
        const value = word32(options.value ?? 0, "value");
        const wanted = { ...creation(options), value };
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
        host.semaphore.acquire(this.#handle, timeoutOf(options));
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
        made(key, "SemaphoreGuard");
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

export class SharedMemory {
    #handle;

    constructor(key, handle) {
        made(key, "SharedMemory");
        this.#handle = handle;
    }

    static open(name, options = {}) {
        const wanted = {
            ...creation(options),
            truncate: Boolean(options.truncate),
            access: accessOf(options, ["read", "read-write"]),
            size: options.size === undefined ? undefined : integer(options.size, "size"),
        };
        return new SharedMemory(OWN, host.segment.open(text(name, "name"), wanted));
    }

    static createUnique(prefix, options = {}) {
        const size = integer(options.size ?? 0, "size");
        const wanted = { ...creation(options), size };
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
        if (!ArrayBuffer.isView(buffer) && !(buffer instanceof ArrayBuffer)) {
            throw new TypeError("buffer must be an ArrayBuffer or a view of one");
        }
        const view = bytes(buffer, "buffer");
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

    close() {
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
        made(key, new.target.name);
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
        return host.segment.wait(this.#handle, this.offset, value, timeoutOf(options));
    }

    notify(count = Infinity) {
        const most = count === Infinity ? U32 : word32(count, "count");
        return host.segment.notify(this.#handle, this.offset, most);
    }
}

export class SharedU64 extends SharedWord {
    constructor(key, handle, offset) {
        super(key, handle, offset, host.segment.word64, word64);
    }
}

// ---- message queues --------------------------------------------------------------------

const DIRECTIONS = ["read", "write", "read-write"];

const priorityOf = ({ priority = 0 } = {}) => word32(priority, "priority");

export class MessageQueue {
    #handle;

    constructor(key, handle) {
        made(key, "MessageQueue");
        this.#handle = handle;
    }

    static open(name, options = {}) {
        const wanted = {
            ...creation(options),
            ...limitsOf(options),
            access: accessOf(options, DIRECTIONS),
        };
        return new MessageQueue(OWN, host.queue.open(text(name, "name"), wanted));
    }

    static createUnique(prefix, options = {}) {
        const wanted = { ...creation(options), ...limitsOf(options) };
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
        const [data, priority] = [bytes(payload, "payload"), priorityOf(options)];
        host.queue.send(this.#handle, data, priority, timeoutOf(options));
    }

    trySend(payload, options) {
        return host.queue.trySend(this.#handle, bytes(payload, "payload"), priorityOf(options));
    }

    receive(options) {
        return host.queue.receive(this.#handle, timeoutOf(options));
    }

    tryReceive() {
        return host.queue.tryReceive(this.#handle);
    }

    sendBatch(messages, options) {
        const all = [...messages];
        const payloads = all.map(({ payload }) => bytes(payload, "payload"));
        const priorities = all.map(priorityOf);
        return host.queue.sendBatch(this.#handle, payloads, priorities, timeoutOf(options));
    }

    receiveBatch(max, options) {
        return host.queue.receiveBatch(this.#handle, word32(max, "max"), timeoutOf(options));
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
        made(key, "Notification");
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
        made(key, "Pollable");
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

    wait() {
        return whenReady(this.#handle);
    }

    close() {
        forget(this.#handle, () => new ClosedError("object is closed", "EBADF"));
        host.pollable.close(this.#handle);
    }

    [Symbol.dispose]() {
        this.close();
    }
}

export function poll(pollables, options) {
    const [all, timeout] = [[...pollables], timeoutOf(options)];
    if (all.length === 0 && timeout === undefined) {
        throw new RangeError("poll would wait for nothing, for ever");
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
