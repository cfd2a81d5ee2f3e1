/**
 * The global names of `posix-ipc run script.js` beside those of the language. Leave this out
 * where the types of Node or of a browser are there: it has them too.
 */

declare const console: {
    /** To standard output. */
    log(...values: unknown[]): void;
    info(...values: unknown[]): void;
    debug(...values: unknown[]): void;
    /** To standard error. */
    error(...values: unknown[]): void;
    warn(...values: unknown[]): void;
    trace(...values: unknown[]): void;
    assert(condition?: unknown, ...values: unknown[]): void;
};

declare const process: {
    /** `"posix-ipc"`, the script's path, and its arguments. */
    argv: string[];
    /** What `--env` has granted. */
    env: Record<string, string | undefined>;
    /** The exit code of a script that ends by itself. */
    exitCode: number | undefined;
    /** The folder of the script. */
    cwd(): string;
    /** Ends the script at once, with the lower eight bits of a code. */
    exit(code?: number): never;
    hrtime: { bigint(): bigint };
    stdout: { write(text: string): true };
    stderr: { write(text: string): true };
};

declare const performance: {
    /** Milliseconds of the monotonic clock. */
    now(): number;
};

declare function setTimeout<A extends unknown[]>(callback: (...args: A) => void, delay?: number, ...args: A): number;
declare function setInterval<A extends unknown[]>(callback: (...args: A) => void, delay?: number, ...args: A): number;
declare function clearTimeout(id: number | undefined): void;
declare function clearInterval(id: number | undefined): void;

declare function queueMicrotask(callback: () => void): void;
/** Base64 of a string whose characters are bytes. */
declare function btoa(data: string): string;
declare function atob(data: string): string;

declare class TextEncoder {
    readonly encoding: "utf-8";
    encode(text?: string): Uint8Array<ArrayBuffer>;
}

declare class TextDecoder {
    constructor(label?: "utf-8" | "utf8", options?: { fatal?: boolean; ignoreBOM?: boolean });
    readonly encoding: "utf-8";
    readonly fatal: boolean;
    readonly ignoreBOM: boolean;
    decode(data?: ArrayBuffer | ArrayBufferView): string;
}

/** What goes wrong in the engine itself, as when memory runs out. */
declare class InternalError extends Error {}

declare class DOMException extends Error {
    constructor(message?: string, name?: string);
    readonly code: number;
}

declare class Event {
    constructor(type: string);
    readonly type: string;
    readonly target: EventTarget | null;
}

type EventListener = ((event: Event) => void) | { handleEvent(event: Event): void };

declare class EventTarget {
    addEventListener(type: string, listener: EventListener | null, options?: { once?: boolean }): void;
    removeEventListener(type: string, listener: EventListener | null): void;
    dispatchEvent(event: Event): boolean;
}

/** Tells waits that nobody is interested in them any more. */
declare class AbortSignal extends EventTarget {
    private constructor();
    /** One that is aborted already. */
    static abort(reason?: unknown): AbortSignal;
    /** One that is aborted after so many milliseconds. */
    static timeout(time: number): AbortSignal;
    /** One that is aborted as soon as one of others is. */
    static any(signals: Iterable<AbortSignal>): AbortSignal;
    readonly aborted: boolean;
    /** An `AbortError`, unless `abort` was given something else. */
    readonly reason: any;
    onabort: ((event: Event) => void) | null;
    throwIfAborted(): void;
}

declare class AbortController {
    readonly signal: AbortSignal;
    abort(reason?: unknown): void;
}

interface ImportMeta {
    readonly url: string;
    readonly filename: string;
    readonly dirname: string;
}
