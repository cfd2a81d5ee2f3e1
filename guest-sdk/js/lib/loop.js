// What a script waits for while no code of it runs: timers and pollables.

import host from "internal:host";

const timers = new Map();
const waits = new Set();
let lastTimer = 0;

// One that is not held keeps no script from its end.
export function addTimer(callback, delay, args, repeats, held = true) {
    if (typeof callback !== "function") throw new TypeError("a timer needs a function");
    const number = Number(delay);
    // As elsewhere: what is no number of milliseconds is the shortest.
    const time = number >= 1 && number < 2 ** 31 ? number : 1;
    const id = ++lastTimer;
    const due = host.system.now() + time;
    timers.set(id, { due, held, callback, args, every: repeats ? time : undefined });
    return id;
}

export function removeTimer(id) {
    timers.delete(id);
}

// A promise for a pollable to be ready: false if the time is up first, and the signal's reason
// as an exception if that comes first.
export function whenReady(handle, timeout, signal) {
    const { promise, resolve, reject } = Promise.withResolvers();
    if (signal?.aborted) {
        reject(signal.reason);
        return promise;
    }
    const wait = { handle, resolve: () => ended(resolve, true), reject: (error) => ended(reject, error) };
    const timer = timeout === undefined ? undefined : addTimer(() => ended(resolve, false), timeout, [], false);
    const aborted = () => ended(reject, signal.reason);
    signal?.addEventListener("abort", aborted);
    function ended(settle, value) {
        waits.delete(wait);
        removeTimer(timer);
        signal?.removeEventListener("abort", aborted);
        settle(value);
    }
    waits.add(wait);
    return promise;
}

// Ends the waits for a pollable that is closed.
export function forget(handle, makeError) {
    for (const wait of waits) {
        if (wait.handle === handle) wait.reject(makeError());
    }
}

let jobsFirst = false;

// Waits for the next of them and does what it is for. Returns whether there was any.
export function turn() {
    const next = nextTimer();
    if (waits.size === 0 && !timers.values().some(({ held }) => held)) return false;
    const timeout = next && Math.max(0, next[1].due - host.system.now());
    const waiting = [...waits];
    const ready = host.pollable.poll(waiting.map(({ handle }) => handle), timeout);
    for (const index of ready) waiting[index].resolve();
    // What awaits goes on before a timer that became due meanwhile, but not again and again.
    jobsFirst = ready.length > 0 && !jobsFirst;
    if (!jobsFirst && next !== undefined && next[1].due <= host.system.now()) expire(...next);
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
    // A wait that is over may have removed it.
    if (!timers.has(id)) return;
    if (timer.every === undefined) timers.delete(id);
    else timer.due = host.system.now() + timer.every;
    timer.callback(...timer.args);
}
