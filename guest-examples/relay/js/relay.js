// A stage of a relay, see ../README.md.
//
//   relay.js produce PREFIX COUNT
//   relay.js consume PREFIX

import { MessageQueue, NotFoundError, Semaphore, SharedMemory, sleep } from "posix-ipc";

const SLOTS = 4;
const HEADER = 64;
const SLOT_SIZE = 4096;
const SIZE = HEADER + SLOTS * SLOT_SIZE;
const [FREE, FILLED, TRANSFORMED] = [0, 1, 2];

function payload(seed) {
    let x = Math.imul(seed, 2654435761);
    const content = new Uint8Array(1 + (x >>> 16) % SLOT_SIZE);
    for (let i = 0; i < content.length; i++) {
        x ^= x << 13;
        x ^= x >>> 17;
        x ^= x << 5;
        content[i] = x;
    }
    return content;
}

const transformed = (content) => content.map((byte) => byte ^ 0x5a);

const equal = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

function fnv(content) {
    let hash = 2166136261;
    for (const byte of content) hash = Math.imul(hash ^ byte, 16777619);
    return hash >>> 0;
}

const priority = (seed) => 1 + (seed % 3);

function want(condition, what, seed) {
    if (!condition) throw new Error(`job ${seed}: wrong ${what}`);
}

function pack(words) {
    const view = new DataView(new ArrayBuffer(4 * words.length));
    words.forEach((word, i) => view.setUint32(4 * i, word, true));
    return new Uint8Array(view.buffer);
}

function unpack(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getUint32(4 * i, true));
}

// A byte of state for each slot, and their payloads.
class Slots {
    constructor(memory, lock) {
        this.memory = memory;
        this.lock = lock; // of the states: others change their neighbours
    }
    state(slot) {
        using guard = this.lock.lock();
        return this.memory.read(slot, 1)[0];
    }
    setState(slot, state) {
        using guard = this.lock.lock();
        this.memory.write(slot, Uint8Array.of(state));
    }
    get(slot, length) {
        return this.memory.read(HEADER + slot * SLOT_SIZE, length);
    }
    put(slot, content) {
        this.memory.write(HEADER + slot * SLOT_SIZE, content);
    }
}

function produce(prefix, count) {
    const exclusive = true;
    const room = Semaphore.open(`${prefix}.room`, { exclusive, value: SLOTS });
    const lock = Semaphore.open(`${prefix}.lock`, { exclusive, value: 1 });
    const slots = new Slots(SharedMemory.open(`${prefix}.slots`, { exclusive, size: SIZE }), lock);
    // The queue comes last: where it is, the others are.
    const jobs = MessageQueue.open(`${prefix}.jobs`, {
        exclusive,
        access: "write",
        maxMessages: 8,
        maxMessageSize: 16,
    });
    const inSlot = new Array(SLOTS).fill(0); // what was put there last

    function release(slot) {
        const expected = transformed(payload(inSlot[slot]));
        want(equal(slots.get(slot, expected.length), expected), "transformed byte", inSlot[slot]);
        slots.setState(slot, FREE);
    }

    let total = 0;
    for (let seed = 1; seed <= count; seed++) {
        room.acquire();
        let slot = 0;
        while (slot < SLOTS && slots.state(slot) === FILLED) slot++;
        want(slot < SLOTS, "count of free slots", seed);
        if (slots.state(slot) === TRANSFORMED) release(slot);
        const content = payload(seed);
        slots.put(slot, content);
        slots.setState(slot, FILLED);
        inSlot[slot] = seed;
        total += content.length;
        const message = pack([slot, content.length, seed, fnv(content)]);
        jobs.send(message, { priority: priority(seed) });
    }
    for (let i = 0; i < SLOTS; i++) room.acquire();
    for (let slot = 0; slot < SLOTS; slot++) {
        want(slots.state(slot) !== FILLED, "count of free slots", inSlot[slot]);
        if (slots.state(slot) === TRANSFORMED) release(slot);
    }
    jobs.send(new Uint8Array(0), { priority: 0 });
    Semaphore.unlink(`${prefix}.room`);
    Semaphore.unlink(`${prefix}.lock`);
    SharedMemory.unlink(`${prefix}.slots`);
    MessageQueue.unlink(`${prefix}.jobs`);
    console.log(`produced ${count} jobs, ${total} bytes`);
}

function openJobs(name) {
    for (;;) {
        try {
            return MessageQueue.open(name, { access: "read" });
        } catch (error) {
            if (!(error instanceof NotFoundError)) throw error;
            sleep(1);
        }
    }
}

function consume(prefix) {
    const jobs = openJobs(`${prefix}.jobs`);
    const room = Semaphore.open(`${prefix}.room`);
    const lock = Semaphore.open(`${prefix}.lock`);
    const slots = new Slots(SharedMemory.open(`${prefix}.slots`), lock);

    let [count, total, checksum] = [0, 0, 0];
    for (;;) {
        const message = jobs.receive();
        if (message.payload.length === 0) break;
        const [slot, length, seed, jobChecksum] = unpack(message.payload);
        want(slot < SLOTS && slots.state(slot) === FILLED, "slot", seed);
        want(message.priority === priority(seed), "priority", seed);
        const expected = payload(seed);
        want(length === expected.length, "length", seed);
        const found = slots.get(slot, length);
        want(equal(found, expected), "byte", seed);
        want(fnv(found) === jobChecksum, "checksum", seed);
        slots.put(slot, transformed(found));
        slots.setState(slot, TRANSFORMED);
        room.release();
        count++;
        total += length;
        checksum = (checksum + jobChecksum) >>> 0;
    }
    const hex = checksum.toString(16).padStart(8, "0");
    console.log(`consumed ${count} jobs, ${total} bytes, checksum ${hex}`);
}

const [role, prefix, count] = process.argv.slice(2);
if (role === "produce" && count !== undefined) produce(prefix, Number(count));
else if (role === "consume" && prefix !== undefined) consume(prefix);
else throw new Error("usage: relay.js produce PREFIX COUNT | consume PREFIX");
