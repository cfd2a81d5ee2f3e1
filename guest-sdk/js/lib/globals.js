// The global names that scripts have beside those of the language, as globals.d.ts
// declares them; and what the runtime needs to run a script.

import host from "internal:host";
import { AbortController, AbortSignal, Event, EventTarget } from "internal:events";
import { format, inspect } from "internal:inspect";
import { addTimer, removeTimer, turn } from "internal:loop";

const [STDOUT, STDERR] = [1, 2];

const write = (file, string) => host.system.write(file, String(string).toWellFormed());
const line = (file) => (...args) => write(file, `${format(...args)}\n`);

const console = {
    log: line(STDOUT),
    info: line(STDOUT),
    debug: line(STDOUT),
    error: line(STDERR),
    warn: line(STDERR),
    trace: (...args) => console.error(inspect(new Error(format(...args))).replace(/^Error/, "Trace")),
    assert: (condition, ...args) => {
        if (!condition) console.error("Assertion failed%s", args.length ? ":" : "", ...args);
    },
};

// ---- process ---------------------------------------------------------------------------

const [script, ...rest] = host.system.arguments();

function code(value) {
    const number = value === undefined ? 0 : Number(value);
    if (!Number.isInteger(number)) throw new TypeError(`an exit code must be an integer, not ${value}`);
    return number & 0xff;
}

const process = {
    argv: ["posix-ipc", script, ...rest],
    env: host.system.environment(),
    exitCode: undefined,
    cwd: () => host.system.folder(),
    exit: (value = process.exitCode) => host.system.exit(code(value)),
    hrtime: { bigint: () => BigInt(Math.round(host.system.now() * 1e6)) },
    stdout: { write: (text) => (write(STDOUT, text), true) },
    stderr: { write: (text) => (write(STDERR, text), true) },
};

export const exitCode = () => code(process.exitCode);

export function report(thrown) {
    write(STDERR, `Uncaught ${inspect(thrown)}\n`);
}

export { turn };

// ---- text ------------------------------------------------------------------------------

class TextEncoder {
    get encoding() {
        return "utf-8";
    }
    encode(string = "") {
        return host.system.encode(String(string).toWellFormed());
    }
}

class TextDecoder {
    #fatal;
    #ignoreBOM;
    constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
        if (!/^\s*utf-?8\s*$/i.test(label)) throw new RangeError(`the encoding ${label} is not known`);
        this.#fatal = Boolean(fatal);
        this.#ignoreBOM = Boolean(ignoreBOM);
    }
    get encoding() {
        return "utf-8";
    }
    get fatal() {
        return this.#fatal;
    }
    get ignoreBOM() {
        return this.#ignoreBOM;
    }
    decode(data = new Uint8Array(0)) {
        const view = ArrayBuffer.isView(data)
            ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
            : new Uint8Array(data);
        const text = host.system.decode(view, this.#fatal);
        return this.#ignoreBOM || !text.startsWith("\ufeff") ? text : text.slice(1);
    }
}

// ---- all of them -----------------------------------------------------------------------

const globals = {
    console,
    process,
    TextEncoder,
    TextDecoder,
    AbortController,
    AbortSignal,
    Event,
    EventTarget,
    performance: { now: () => host.system.now() },
    setTimeout: (callback, delay, ...args) => addTimer(callback, delay, args, false),
    setInterval: (callback, delay, ...args) => addTimer(callback, delay, args, true),
    clearTimeout: removeTimer,
    clearInterval: removeTimer,
};
for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
}
