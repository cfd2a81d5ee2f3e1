// Every function of the module, within one script.

import { IpcError, MessageQueue, Semaphore, SharedMemory, limits, poll, sleep } from "posix-ipc";
import { equal, throws } from "./check.js";

/** @param {number[]} values */
const bytes = (...values) => Uint8Array.of(...values);

function semaphores() {
    const semaphore = Semaphore.open("/gate", { exclusive: true, value: 2, mode: 0o640 });
    equal([semaphore.name, semaphore.mode, semaphore.value], ["/gate", 0o640, 2]);
    throws(() => Semaphore.open("/gate", { exclusive: true }), "ExistsError", "EEXIST");
    throws(() => Semaphore.open("/none"), "NotFoundError", "ENOENT");
    semaphore.acquire();
    {
        using guard = semaphore.lock({ timeout: 0 });
        equal([semaphore.value, semaphore.tryAcquire()], [0, false]);
        throws(() => semaphore.acquire({ timeout: 0 }), "TimeoutError", "ETIMEDOUT");
        throws(() => semaphore.acquire({ timeout: 1.5 }), "TimeoutError", "ETIMEDOUT");
        guard.release();
        guard.release();
    }
    equal(semaphore.value, 1);
    using pollable = semaphore.subscribe();
    equal([pollable.ready, pollable.block()], [true, true]);
    semaphore.acquire({ timeout: Infinity });
    equal([pollable.ready, pollable.block({ timeout: 1 })], [false, false]);
    semaphore.release();
    const most = Semaphore.createUnique("/most.", { value: limits.semaphoreValueMax });
    equal(most.name.startsWith("/most."), true);
    throws(() => most.release(), "OverflowError", "EOVERFLOW");
    Semaphore.unlink("/gate");
    throws(() => Semaphore.unlink("/gate"), "NotFoundError", "ENOENT");
    equal(semaphore.value, 1);
    semaphore.close();
    semaphore.close();
    throws(() => semaphore.value, "ClosedError", "EBADF");
    // What nothing refers to is closed: a script may have 256 of them.
    for (let i = 0; i < 1000; i++) Semaphore.open(most.name);
}

function segments() {
    const memory = SharedMemory.open("/frame", { create: true, size: 100n, mode: 0o600 });
    equal([memory.name, memory.mode, memory.size], ["/frame", 0o600, 100]);
    memory.write(98, "ü");
    memory.write(0n, new Uint16Array([0x0201, 0x0403]));
    memory.write(4, bytes(5, 6).buffer);
    equal(memory.read(0, 7), bytes(1, 2, 3, 4, 5, 6, 0));
    equal([memory.read().length, memory.read(98), memory.read(200)], [100, bytes(195, 188), bytes()]);
    const buffer = new Uint8Array(4);
    equal([memory.readInto(98, buffer.subarray(1)), buffer], [2, bytes(0, 195, 188, 0)]);
    throws(() => memory.write(99, "ü"), "TruncatedError", "EFAULT");
    memory.resize(3 << 20);
    equal(memory.read().length, 3 << 20);
    const reader = SharedMemory.open("/frame", { access: "read" });
    throws(() => reader.write(0, "x"), "AccessError", "EACCES");
    equal(SharedMemory.open("/frame", { truncate: true }).size, 0);
    equal(SharedMemory.createUnique("/frame-", { size: 5 }).size, 5);
    SharedMemory.unlink("/frame");
    memory.close();
    throws(() => memory.read(), "ClosedError", "EBADF");
}

function words() {
    using memory = SharedMemory.createUnique("/words-", { size: 64 });
    const word = memory.u32(4);
    word.store(2 ** 32 - 1);
    equal([word.load(), word.add(3), word.sub(4), word.load()], [2 ** 32 - 1, 2 ** 32 - 1, 2, 2 ** 32 - 2]);
    equal([word.exchange(12), word.and(6), word.or(1), word.xor(7), word.load()], [2 ** 32 - 2, 12, 4, 5, 2]);
    equal([word.compareExchange(1, 9), word.compareExchange(2, 9), word.load()], [2, 2, 9]);
    equal([word.wait(8), word.wait(9, { timeout: 1 }), word.notify(), word.notify(1)], ["not-equal", "timed-out", 0, 0]);
    const wide = memory.u64(8n);
    const most = 2n ** 64n - 1n;
    wide.store(most - 1n);
    equal([wide.load(), wide.add(3n), wide.sub(2n), wide.load()], [most - 1n, most - 1n, 1n, most]);
    equal([wide.exchange(12n), wide.and(6n), wide.or(1n), wide.xor(7n)], [most, 12n, 4n, 5n]);
    equal([wide.compareExchange(1n, most), wide.compareExchange(2n, most), wide.load()], [2n, 2n, most]);
    equal([word.offset, wide.offset, memory.read(8, 8)], [4, 8, new Uint8Array(8).fill(255)]);
    throws(() => memory.u64(4).load(), "InvalidError", "EINVAL");
    throws(() => memory.u64(64).load(), "TruncatedError", "EFAULT");
}

async function queues() {
    const size = { maxMessages: 3, maxMessageSize: 8 };
    const queue = MessageQueue.open("/jobs", { exclusive: true, ...size });
    equal([queue.name, queue.mode, queue.attributes], ["/jobs", 0o600, { ...size, currentMessages: 0 }]);
    queue.send("low");
    queue.send(bytes(1, 2), { priority: limits.queuePriorityMax, timeout: 1 });
    equal([queue.trySend("mid", { priority: 5 }), queue.trySend("more")], [true, false]);
    throws(() => queue.send("more", { timeout: 1 }), "TimeoutError", "ETIMEDOUT");
    equal(queue.receive(), { payload: bytes(1, 2), priority: limits.queuePriorityMax });
    equal(queue.tryReceive()?.priority, 5);
    equal(new TextDecoder().decode(queue.receive({ timeout: 0 }).payload), "low");
    equal(queue.tryReceive(), undefined);
    throws(() => queue.receive({ timeout: 0 }), "TimeoutError", "ETIMEDOUT");
    throws(() => queue.send("123456789"), "MessageTooLongError", "EMSGSIZE");
    throws(() => queue.send("", { priority: limits.queuePriorityMax + 1 }), "InvalidError", "EINVAL");

    const four = Array.from("abcd", (payload, priority) => ({ payload, priority }));
    equal(queue.sendBatch(four, { timeout: 0 }), 3);
    equal(queue.receiveBatch(2).map(({ priority }) => priority), [2, 1]);
    equal(queue.receiveBatch(9, { timeout: 0 }).map(({ payload }) => payload), [bytes(97)]);
    throws(() => queue.receiveBatch(1, { timeout: 1 }), "TimeoutError", "ETIMEDOUT");

    const [readable, writable] = [queue.subscribeReadable(), queue.subscribeWritable()];
    equal(poll([readable, writable]).map((ready) => ready === writable), [true]);
    equal(poll([readable], { timeout: 1 }), []);
    equal(poll([], { timeout: 1 }), []);

    const notification = queue.requestNotification();
    throws(() => MessageQueue.open("/jobs").requestNotification(), "BusyError", "EAGAIN");
    const told = notification.subscribe().wait();
    equal(notification.delivered, false);
    setTimeout(() => queue.send("news"), 1);
    await told;
    equal([notification.delivered, readable.ready], [true, true]);
    notification.close();

    const reader = MessageQueue.open("/jobs", { access: "read" });
    throws(() => reader.send(""), "AccessError", "EACCES");
    equal(MessageQueue.createUnique("/jobs-", size).attributes.maxMessages, 3);
    MessageQueue.unlink("/jobs");
    queue.close();
    throws(() => queue.receive(), "ClosedError", "EBADF");

    const closed = MessageQueue.createUnique("/jobs-", size).subscribeReadable();
    const waiting = closed.wait();
    closed.close();
    throws(() => closed.ready, "ClosedError", "EBADF");
    equal(await waiting.catch((error) => error instanceof IpcError && error.code), "EBADF");
}

// Calls that types forbid, and that are refused before the host is asked.
function wrongArguments() {
    /** @type {any} */
    const semaphore = Semaphore.createUnique("/wrong-");
    /** @type {any} */
    const memory = SharedMemory.createUnique("/wrong-", { size: 8 });
    /** @type {any} */
    const [Open, Queue] = [Semaphore, MessageQueue];
    for (const timeout of [-1, NaN]) throws(() => semaphore.acquire({ timeout }), "RangeError");
    for (const timeout of ["1", null, 1n]) throws(() => semaphore.acquire({ timeout }), "TypeError");
    for (const name of [undefined, null, 1]) throws(() => Open.open(name), "TypeError");
    for (const value of [-1, 2 ** 32]) throws(() => Open.open("/a", { create: true, value }), "RangeError");
    for (const offset of [-1, 2 ** 53, 2n ** 64n, -1n]) throws(() => memory.read(offset, 1), "RangeError");
    for (const offset of [1.5, NaN, "0", null]) throws(() => memory.read(offset, 1), "TypeError");
    for (const data of [undefined, 1, {}, [1]]) throws(() => memory.write(0, data), "TypeError");
    for (const value of [-1n, 2n ** 64n]) throws(() => memory.u64(0).store(value), "RangeError");
    throws(() => memory.u64(0).store(1), "TypeError");
    throws(() => memory.readInto(0, "text"), "TypeError");
    throws(() => Queue.open("/a", { access: "both" }), "TypeError");
    throws(() => new Open("/a"), "TypeError");
    throws(() => Open.prototype.release.call({}), "TypeError");
    throws(() => poll([/** @type {any} */ (memory)]), "TypeError");
    throws(() => poll([]), "RangeError");
    for (const name of ["a", "/", "/a/b", "", "/\0"]) throws(() => Semaphore.open(name), "InvalidError", "EINVAL");
    throws(() => Semaphore.open(`/${"a".repeat(300)}`), "NameTooLongError", "ENAMETOOLONG");
    const detached = new ArrayBuffer(4);
    detached.transfer();
    throws(() => memory.write(0, detached), "TypeError");
    throws(() => memory.write(0, new Uint8Array(detached)), "TypeError");
}

// What is no option is an error, not ignored.
function wrongOptions() {
    /** @type {any} */
    const [semaphore, queue] = [Semaphore.createUnique("/wrong-"), MessageQueue.createUnique("/wrong-")];
    /** @type {any} */
    const [Gate, Memory, Queue] = [Semaphore, SharedMemory, MessageQueue];
    /** @type {any[]} */
    const wrongs = [100, null, "read", true, [], () => 1];
    for (const wrong of wrongs) {
        throws(() => semaphore.acquire(wrong), "TypeError");
        throws(() => semaphore.lock(wrong), "TypeError");
        throws(() => queue.send("x", wrong), "TypeError");
        throws(() => queue.trySend(bytes(1), wrong), "TypeError");
        throws(() => queue.receive(wrong), "TypeError");
        throws(() => queue.receiveInto(new Uint8Array(8192), wrong), "TypeError");
        throws(() => queue.receiveBatch(1, wrong), "TypeError");
        throws(() => poll([queue.subscribeWritable()], wrong), "TypeError");
        for (const kind of [Gate, Memory, Queue]) throws(() => kind.open("/q", wrong), "TypeError");
    }
    for (const kind of [Gate, Memory, Queue]) {
        throws(() => kind.open("/q", { creat: true }), "TypeError");
        throws(() => kind.open("/q", { create: "yes" }), "TypeError");
        throws(() => kind.open("/q", { create: 1 }), "TypeError");
        throws(() => kind.createUnique("/q", { create: true }), "TypeError");
        throws(() => kind.open("/q", { mode: 0o1000 }), "RangeError");
    }
    throws(() => Gate.open("/q", { access: "read" }), "TypeError");
    throws(() => Memory.open("/q", { access: "write" }), "TypeError");
    throws(() => queue.send("x", { prioriy: 1 }), "TypeError");
    throws(() => queue.sendBatch([{ payload: "x", prio: 1 }]), "TypeError");
    equal(queue.attributes.currentMessages, 0);
    try {
        semaphore.acquire(100);
    } catch (error) {
        equal(/** @type {Error} */ (error).message, "options must be an object, as in { timeout: 100 }, not 100");
    }
    try {
        Queue.open("/q", { creat: true });
    } catch (error) {
        equal(
            /** @type {Error} */ (error).message,
            'there is no option "creat": there is create, exclusive, mode, maxMessages, maxMessageSize and access',
        );
    }
}

// The methods have a fast form for what is usual, and the same is to come of both.
function fastForms() {
    const queue = MessageQueue.createUnique("/fast-", { maxMessages: 2, maxMessageSize: 16 });
    const room = new Uint8Array(16);
    equal([queue.send(bytes(1, 2)), queue.send("ü", { priority: 3 })], [undefined, undefined]);
    equal([queue.trySend(bytes(9)), queue.receiveInto(room), room.subarray(0, 2)], [false, { length: 2, priority: 3 }, bytes(195, 188)]);
    equal([queue.receiveInto(room, { timeout: 0 }), room.subarray(0, 2)], [{ length: 2, priority: 0 }, bytes(1, 2)]);
    throws(() => queue.receiveInto(room, { timeout: 1 }), "TimeoutError", "ETIMEDOUT");
    throws(() => queue.receiveInto(room.subarray(1)), "MessageTooLongError", "EMSGSIZE");
    equal([queue.trySend(bytes()), queue.receive(), queue.tryReceive()], [true, { payload: bytes(), priority: 0 }, undefined]);
    throws(() => queue.send(new Uint8Array(17)), "MessageTooLongError", "EMSGSIZE");

    // Half of a surrogate pair is no character.
    equal([queue.send("a\u{1f600}"), queue.send("\ud800")], [undefined, undefined]);
    equal(queue.receiveBatch(2).map(({ payload }) => payload), [bytes(97, 240, 159, 152, 128), bytes(239, 191, 189)]);

    const memory = SharedMemory.createUnique("/fast-", { size: 64 });
    // The array is as long as its buffer, which becomes shorter.
    const resizable = new ArrayBuffer(1 << 20, { maxByteLength: 1 << 20 });
    const follows = new Uint8Array(resizable);
    resizable.resize(4);
    memory.write(2 ** 5, follows.fill(7));
    equal([memory.read(30, 8), memory.readInto(62, follows), memory.readInto(0, follows)], [bytes(0, 0, 7, 7, 7, 7, 0, 0), 2, 4]);
    equal([memory.read(60, 100).length, memory.read(64, 1), memory.read(2 ** 52, 1)], [4, bytes(), bytes()]);
    throws(() => memory.write(61, bytes(1, 2, 3, 4)), "TruncatedError", "EFAULT");
    throws(() => memory.read(-1, 1), "RangeError");
    memory.close();
    throws(() => memory.read(0, 1), "ClosedError", "EBADF");

    const semaphore = Semaphore.createUnique("/fast-");
    equal([semaphore.release(), semaphore.acquire(), semaphore.tryAcquire()], [undefined, undefined, false]);
    for (const name of /** @type {const} */ (["release", "acquire", "tryAcquire"])) {
        throws(() => semaphore[name].call(/** @type {any} */ (queue)), "TypeError");
    }
    semaphore.close();
    throws(() => semaphore.release(), "ClosedError", "EBADF");
}

// Promises wait while other code runs.
async function promises() {
    const [gate, queue] = [Semaphore.createUnique("/async-"), MessageQueue.createUnique("/async-", { maxMessages: 1, maxMessageSize: 8 })];
    /** @param {Promise<unknown>} promise */
    const outcome = (promise) => promise.then(String, (error) => error.name);
    setTimeout(() => gate.release(), 1);
    equal([await gate.acquireAsync(), gate.value], [undefined, 0]);
    setTimeout(() => queue.send("late", { priority: 2 }), 1);
    equal((await queue.receiveAsync()).priority, 2);
    equal(await outcome(gate.acquireAsync({ timeout: 1 })), "TimeoutError");
    equal(await outcome(queue.receiveAsync({ timeout: 0 })), "TimeoutError");
    const controller = new AbortController();
    const waits = [
        gate.acquireAsync({ signal: controller.signal }),
        queue.receiveAsync({ signal: controller.signal, timeout: 1e6 }),
        queue.subscribeReadable().wait({ signal: controller.signal }),
    ].map(outcome);
    setTimeout(() => controller.abort(), 1);
    equal(await Promise.all(waits), ["AbortError", "AbortError", "AbortError"]);
    equal(await outcome(gate.acquireAsync({ signal: controller.signal })), "AbortError");
    equal(await outcome(gate.acquireAsync({ signal: AbortSignal.timeout(1) })), "TimeoutError");
    const any = AbortSignal.any([new AbortController().signal, AbortSignal.abort(new RangeError("mine"))]);
    equal(await outcome(queue.receiveAsync({ signal: any })), "RangeError");
    // Nothing was consumed by what was aborted.
    gate.release();
    equal(gate.value, 1);

    queue.send("full");
    const sent = queue.sendAsync("next");
    equal(await outcome(queue.sendAsync("never", { timeout: 1 })), "TimeoutError");
    const seen = [];
    for await (const { payload } of queue) {
        if (seen.push(new TextDecoder().decode(payload)) === 2) break;
    }
    equal([seen, await sent], [["full", "next"], undefined]);
    const ends = queue.messages({ signal: AbortSignal.timeout(1) });
    equal(await outcome(ends.next()), "TimeoutError");
    for (const wrong of [1, "x", {}]) {
        equal(await outcome(gate.acquireAsync(/** @type {any} */ ({ signal: wrong }))), "TypeError");
    }
}


semaphores();
segments();
words();
await queues();
wrongArguments();
wrongOptions();
fastForms();
await promises();
const { pageSize, queueDefaults, queueMaximums } = limits;
equal([pageSize % 4096, queueDefaults.maxMessages > 0, queueMaximums.maxMessageSize > 0], [0, true, true]);
const start = performance.now();
sleep(2);
equal(performance.now() - start >= 2, true);
console.log("done");
