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

interface ImportMeta {
    readonly url: string;
    readonly filename: string;
    readonly dirname: string;
}
