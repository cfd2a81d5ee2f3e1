// Views of shared memory itself, in a script that may map it.

import { MessageQueue, SharedMemory } from "posix-ipc";
import { equal, throws } from "./check.js";

const segment = SharedMemory.open("/frame", { exclusive: true, size: 8192 });

function stores() {
    const words = segment.view(Int32Array);
    const bytes = segment.view();
    equal([words.length, bytes.length, segment.view(DataView, 8, 4).byteLength], [2048, 8192, 4]);
    words[3] = 5;
    equal([segment.u32(12).load(), bytes[12]], [5, 5]);
    segment.u32(12).add(2);
    equal([words[3], Atomics.add(words, 3, 1), segment.u32(12).load()], [7, 7, 8]);
    equal([Atomics.compareExchange(words, 3, 8, 9), Atomics.load(words, 3)], [8, 9]);
    const longs = segment.view(BigUint64Array, 16, 1);
    Atomics.store(longs, 0, 2n ** 64n - 1n);
    equal(segment.u64(16).load(), 2n ** 64n - 1n);
    const small = segment.view(Uint8Array, 33, 1);
    equal([Atomics.add(small, 0, 255), Atomics.add(small, 0, 2), small[0]], [0, 255, 1]);
}

// The engine's own copies, of lengths that take each of their ways.
function copies() {
    const bytes = segment.view();
    for (const length of [1, 15, 16, 33, 64, 500, 513, 3000]) {
        const pattern = Uint8Array.from({ length }, (_, index) => index * 7 + length);
        bytes.fill(0);
        bytes.set(pattern, 101);
        equal([bytes[100], bytes[101 + length]], [0, 0]);
        equal(segment.read(101, length).join(), pattern.join());
        bytes.copyWithin(102, 101, 101 + length);
        equal(bytes.slice(102, 102 + length).join(), pattern.join());
        bytes.copyWithin(100, 102, 102 + length);
        equal(bytes.subarray(100, 100 + length).join(), pattern.join());
        bytes.fill(3, 4000, 4000 + length);
        equal(segment.read(4000, length).join(), pattern.fill(3).join());
        equal(new Uint8Array(bytes.buffer.slice(4000, 4000 + length)).join(), pattern.join());
        equal(Uint8Array.from(bytes.subarray(4000, 4000 + length).toSorted()).join(), pattern.join());
    }
}

// What goes to the host and comes from it is a copy.
function calls() {
    const bytes = segment.view();
    const queue = MessageQueue.open("/jobs", { exclusive: true, maxMessages: 4, maxMessageSize: 64 });
    bytes.set([104, 101, 195, 164], 200);
    equal(new TextDecoder().decode(bytes.subarray(200, 204)), "heä");
    queue.send(bytes.subarray(200, 204));
    queue.send(bytes.subarray(200, 204), { priority: 2 });
    queue.sendBatch([{ payload: bytes.subarray(200, 202) }]);
    bytes.fill(9, 300, 364);
    equal(queue.receiveInto(bytes.subarray(300, 364)), { length: 4, priority: 2 });
    equal([...bytes.subarray(300, 306)], [104, 101, 195, 164, 9, 9]);
    equal([...queue.receive().payload, ...queue.receive().payload], [104, 101, 195, 164, 104, 101]);
    segment.write(400, bytes.subarray(200, 204));
    equal(segment.readInto(400, bytes.subarray(500, 504)), 4);
    equal([...bytes.subarray(500, 504)], [104, 101, 195, 164]);
    equal(new TextDecoder().decode(segment.view(DataView, 400, 2)), "he");
    queue.close();
    MessageQueue.unlink("/jobs");
}

function wrong() {
    // @ts-expect-error
    throws(() => segment.view("Int32Array"), "TypeError");
    // @ts-expect-error
    throws(() => segment.view(Array), "TypeError");
    throws(() => segment.view(Int32Array, 2), "RangeError");
    throws(() => segment.view(Int32Array, 0, 2049), "RangeError");
    throws(() => segment.view(Int32Array, -4), "RangeError");
    using empty = SharedMemory.open("/empty", { create: true });
    throws(() => empty.view(), "InvalidError", "EINVAL");
}

function reading() {
    using reader = SharedMemory.open("/frame", { access: "read" });
    const bytes = reader.view();
    segment.write(0, "abc");
    equal([...bytes.subarray(0, 3)], [97, 98, 99]);
    bytes[0] = 1;
    throws(() => bytes.fill(1), "TypeError");
    throws(() => new Uint8Array(bytes.buffer).set([1]), "TypeError");
    equal([Atomics.load(bytes, 0), segment.view()[0]], [97, 97]);
}

// It may get longer, and its buffer can be given away.
function changes() {
    const before = segment.view();
    segment.resize(16384);
    const after = segment.view();
    equal([before.length, after.length], [8192, 16384]);
    after[9000] = 4;
    equal(segment.read(9000, 1)[0], 4);
    throws(() => after.buffer.transfer(100), "InternalError");
    const moved = after.buffer.transfer();
    equal([after.length, moved.byteLength, new Uint8Array(moved)[9000]], [0, 16384, 4]);
    equal(segment.view()[9000], 4);
    const words = segment.view(Int32Array);
    segment.close();
    equal([before.length, words.length, words[0], words.buffer.detached], [0, 0, undefined, true]);
    throws(() => Atomics.add(words, 0, 1), "TypeError");
    throws(() => segment.view(), "ClosedError", "EBADF");
    // This one is somebody else's now.
    equal(new Uint8Array(moved)[9000], 4);
}

stores();
copies();
calls();
wrong();
reading();
changes();
console.log("done");
