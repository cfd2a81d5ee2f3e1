// Meets the native objects of a test, under the prefix that is its argument.

import { MessageQueue, Semaphore, SharedMemory } from "posix-ipc";

const prefix = process.argv[2];
const gate = Semaphore.open(`${prefix}.gate`);
const frame = SharedMemory.open(`${prefix}.frame`);
const jobs = MessageQueue.open(`${prefix}.jobs`, { access: "read" });
const answers = MessageQueue.open(`${prefix}.answers`, { access: "write" });
const text = new TextDecoder();

gate.acquire();
console.log(gate.value, text.decode(frame.read(0, 5)), frame.u64(8).add(1n));
frame.write(0, "world");
for (;;) {
    // The first one is there; the others are sent while this waits.
    const { payload, priority } = jobs.receive();
    if (payload.length === 0) break;
    answers.send(text.decode(payload).toUpperCase(), { priority: priority + 1 });
}
console.log(frame.u32(16).wait(0));
gate.release();
gate.release();
