// What benches/ipc does natively, in JavaScript.
//
// Reads lines of: what, how often, and a size; answers each with nanoseconds, or with - if it
// does no such thing. The arguments say the names.

import { readSync } from "node:fs";
import { MessageQueue, Semaphore, SharedMemory } from "posix-ipc";

const names = Object.fromEntries(process.argv.slice(2).map((word) => word.split("=")));
const gate = Semaphore.open(names.gate);
const jobs = MessageQueue.open(names.jobs);
const segment = SharedMemory.open(names.object);
const word = segment.u32(0);
const buffer = new Uint8Array(segment.size).fill(1);
// All of the segment itself, if it may be mapped.
const view = names.mapping === "yes" ? segment.view() : undefined;
const words = view && new Int32Array(view.buffer);
const message = new Uint8Array(jobs.attributes.maxMessageSize);

// Each has a loop of its own: to call a function takes as long as some of these calls.
const operations = {
    "sem-pair": (count) => {
        for (let i = 0; i < count; i++) {
            gate.release();
            gate.tryAcquire();
        }
    },
    "sem-release": (count) => {
        for (let i = 0; i < count; i++) gate.release();
    },
    mq: (count, data) => {
        for (let i = 0; i < count; i++) {
            jobs.send(data);
            jobs.receiveInto(message);
        }
    },
    "shm-read": (count, data) => {
        const part = view?.subarray(0, data.length);
        if (part) for (let i = 0; i < count; i++) data.set(part);
        else for (let i = 0; i < count; i++) segment.readInto(0, data);
    },
    "shm-write": (count, data) => {
        if (view) for (let i = 0; i < count; i++) view.set(data);
        else for (let i = 0; i < count; i++) segment.write(0, data);
    },
    atomic: (count) => {
        if (view) for (let i = 0; i < count; i++) Atomics.add(words, 0, 1);
        else for (let i = 0; i < count; i++) word.add(1);
    },
    "sem-open": (count) => {
        for (let i = 0; i < count; i++) Semaphore.open(names.gate).close();
    },
    "shm-open": (count) => {
        for (let i = 0; i < count; i++) SharedMemory.open(names.object).close();
    },
    "mq-open": (count) => {
        for (let i = 0; i < count; i++) MessageQueue.open(names.jobs).close();
    },
};

function* lines() {
    const [part, decoder] = [new Uint8Array(256), new TextDecoder()];
    let text = "";
    for (let length; (length = readSync(0, part)) > 0; ) {
        text += decoder.decode(part.subarray(0, length));
        for (let end; (end = text.indexOf("\n")) >= 0; text = text.slice(end + 1)) {
            yield text.slice(0, end);
        }
    }
}

console.log("ready");
for (const line of lines()) {
    const [what, count, size] = line.split(" ");
    const operation = operations[what];
    if (operation === undefined) {
        console.log("-");
        continue;
    }
    const data = buffer.subarray(0, Number(size));
    const start = process.hrtime.bigint();
    operation(Number(count), data);
    console.log(String(process.hrtime.bigint() - start));
}
