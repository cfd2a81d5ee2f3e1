// Events and signals of abortion, as far as waits need them: those of browsers and of Node.

import { addTimer } from "internal:loop";

export class Event {
    #type;
    constructor(type) {
        this.#type = String(type);
        this.target = null;
    }
    get type() {
        return this.#type;
    }
}

export class EventTarget {
    #listeners = [];

    addEventListener(type, listener, options) {
        const once = typeof options === "object" && options !== null && Boolean(options.once);
        if (listener == null || this.#listeners.some((it) => it.type === type && it.listener === listener)) return;
        this.#listeners.push({ type, listener, once });
    }

    removeEventListener(type, listener) {
        this.#listeners = this.#listeners.filter((it) => it.type !== type || it.listener !== listener);
    }

    dispatchEvent(event) {
        event.target = this;
        const handler = this[`on${event.type}`];
        if (typeof handler === "function") handler.call(this, event);
        for (const { type, listener, once } of [...this.#listeners]) {
            if (type !== event.type) continue;
            if (once) this.removeEventListener(type, listener);
            if (typeof listener === "function") listener.call(this, event);
            else listener.handleEvent(event);
        }
        return true;
    }
}

const OWN = Symbol("own");
let abortOf;

export class AbortSignal extends EventTarget {
    #aborted = false;
    #reason;
    onabort = null;

    constructor(key) {
        if (key !== OWN) throw new TypeError("new AbortSignal is not for scripts: use an AbortController");
        super();
    }

    static {
        abortOf = (signal, reason) => {
            if (signal.#aborted) return;
            signal.#aborted = true;
            signal.#reason = reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
            signal.dispatchEvent(new Event("abort"));
        };
    }

    static abort(reason) {
        const signal = new AbortSignal(OWN);
        abortOf(signal, reason);
        return signal;
    }

    static timeout(time) {
        const signal = new AbortSignal(OWN);
        const reason = new DOMException("The operation was aborted due to timeout", "TimeoutError");
        addTimer(() => abortOf(signal, reason), time, [], false, false);
        return signal;
    }

    static any(signals) {
        const all = [...signals];
        const signal = new AbortSignal(OWN);
        const first = all.find((it) => it.aborted);
        if (first !== undefined) abortOf(signal, first.reason);
        else for (const it of all) it.addEventListener("abort", () => abortOf(signal, it.reason), { once: true });
        return signal;
    }

    get aborted() {
        return this.#aborted;
    }

    get reason() {
        return this.#reason;
    }

    throwIfAborted() {
        if (this.#aborted) throw this.#reason;
    }
}

export class AbortController {
    #signal = new AbortSignal(OWN);

    get signal() {
        return this.#signal;
    }

    abort(reason) {
        abortOf(this.#signal, reason);
    }
}
