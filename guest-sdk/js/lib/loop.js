// What a script waits for while no code of it runs: timers and pollables.

import host from "internal:host";

const timers = new Map();
const waits = new Set();
let lastTimer = 0;

export function addTimer(callback, delay, args, repeats) {
    if (typeof callback !== "function") throw new TypeError("a timer needs a function");
    const number = Number(delay);
    // As elsewhere: what is no number of milliseconds is the shortest.
    const time = number >= 1 && number < 2 ** 31 ? number : 1;
    const id = ++lastTimer;
    const due = host.system.now() + time;
    timers.set(id, { due, callback, args, every: repeats ? time : undefined });
    return id;
}

export function removeTimer(id) {
    timers.delete(id);
}

// A promise for a pollable to be ready.
export function whenReady(handle) {
    const { promise, resolve, reject } = Promise.withResolvers();
    waits.add({ handle, resolve, reject });
    return promise;
}

// Ends the waits for a pollable that is closed.
export function forget(handle, makeError) {
    for (const wait of waits) {
        if (wait.handle === handle) {
            waits.delete(wait);
            wait.reject(makeError());
        }
    }
}

// Waits for the next of them and does what it is for. Returns whether there was any.
export function turn() {
    const next = nextTimer();
    if (next === undefined && waits.size === 0) return false;
    const timeout = next && Math.max(0, next[1].due - host.system.now());
    const waiting = [...waits];
    for (const index of host.pollable.poll(waiting.map(({ handle }) => handle), timeout)) {
        waits.delete(waiting[index]);
        waiting[index].resolve();
    }
    if (next !== undefined && next[1].due <= host.system.now()) expire(...next);
    return true;
}

// Of those that are due at the same time, the one that was set first.
function nextTimer() {
    let next;
    for (const timer of timers) {
        if (next === undefined || timer[1].due < next[1].due) next = timer;
    }
    return next;
}

function expire(id, timer) {
    if (timer.every === undefined) timers.delete(id);
    else timer.due = host.system.now() + timer.every;
    timer.callback(...timer.args);
}
