// What users give to functions, checked: a wrong type is a TypeError, a value out of its
// range a RangeError. Each says what would be right.

import host from "internal:host";

const U32 = 2 ** 32 - 1;

// A value in an error. It may be anything.
function shown(value) {
    if (typeof value === "string") return JSON.stringify(value);
    if (typeof value === "function") return "a function";
    if (typeof value === "object" && value !== null) {
        return Array.isArray(value) ? "an array" : "an object";
    }
    return typeof value === "bigint" ? `${value}n` : String(value);
}

export function text(value, what) {
    if (typeof value !== "string") throw new TypeError(`${what} must be a string, not ${shown(value)}`);
    return value.toWellFormed();
}

export function integer(value, what, max = Number.MAX_SAFE_INTEGER) {
    const number = typeof value === "bigint" ? Number(value) : value;
    if (!Number.isInteger(number)) throw new TypeError(`${what} must be an integer, not ${shown(value)}`);
    if (number < 0 || number > max) {
        throw new RangeError(`${what} must be from 0 to ${max}, not ${value}`);
    }
    return number;
}

export function word64(value, what) {
    if (typeof value !== "bigint") {
        throw new TypeError(`${what} must be a BigInt, as 1n, not ${shown(value)}`);
    }
    if (BigInt.asUintN(64, value) !== value) {
        throw new RangeError(`${what} must be from 0 to 2n ** 64n - 1n, not ${value}`);
    }
    return value;
}

export const word32 = (value, what) => integer(value, what, U32);

export function countOf(count, what) {
    return count === Infinity ? U32 : word32(count, what);
}

export function milliseconds(value, what) {
    if (typeof value !== "number") {
        throw new TypeError(`${what} must be a number of milliseconds, not ${shown(value)}`);
    }
    if (!(value >= 0)) throw new RangeError(`${what} must be 0 or more milliseconds, not ${value}`);
    return value;
}

export function bytes(value, what) {
    // Of an array that follows a resizable buffer the engine does not know the length.
    if (value instanceof Uint8Array && !value.buffer.resizable) return value;
    if (typeof value === "string") return host.system.encode(value.toWellFormed());
    if (ArrayBuffer.isView(value)) {
        return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    }
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    throw new TypeError(`${what} must be a string, an ArrayBuffer or a view of one, not ${shown(value)}`);
}

// A buffer of the user's own, to be filled.
export function room(value, what) {
    if (!ArrayBuffer.isView(value) && !(value instanceof ArrayBuffer)) {
        throw new TypeError(`${what} must be an ArrayBuffer or a view of one, not ${shown(value)}`);
    }
    return bytes(value, what);
}

const TypedArray = Object.getPrototypeOf(Uint8Array);

// A class of views of buffers.
export function viewOf(type) {
    if (type === DataView || (typeof type === "function" && type.prototype instanceof TypedArray)) {
        return type;
    }
    throw new TypeError(`type must be DataView or a class of typed arrays, as Int32Array, not ${shown(type)}`);
}

// ---- options ---------------------------------------------------------------------------

const NONE = Object.freeze({});

const EXAMPLES = {
    timeout: "{ timeout: 100 }",
    priority: "{ priority: 9 }",
    access: '{ access: "read" }',
    create: "{ create: true }",
    value: "{ value: 1 }",
    size: "{ size: 4096 }",
    mode: "{ mode: 0o640 }",
};

// The options that a user gave, all of which must be known: one that is misspelt would be as
// if it were not there.
export function optionsOf(options, known) {
    if (options === undefined) return NONE;
    if (typeof options !== "object" || options === null || Array.isArray(options)) {
        const example = EXAMPLES[known.find((name) => name in EXAMPLES)];
        throw new TypeError(`options must be an object, as in ${example}, not ${shown(options)}`);
    }
    for (const name in options) {
        if (!known.includes(name)) {
            const all = known.length > 1 ? `${known.slice(0, -1).join(", ")} and ${known.at(-1)}` : known[0];
            throw new TypeError(`there is no option ${JSON.stringify(name)}: there is ${all}`);
        }
    }
    return options;
}

export function flag(value, what) {
    if (value === undefined) return false;
    if (typeof value !== "boolean") throw new TypeError(`${what} must be true or false, not ${shown(value)}`);
    return value;
}

// The options of new objects of all kinds, and of opening.
export const CREATE = ["mode"];
export const OPEN = ["create", "exclusive", ...CREATE];

export const creation = ({ create, exclusive, mode = 0o600 }) => ({
    create: flag(create, "create"),
    exclusive: flag(exclusive, "exclusive"),
    mode: integer(mode, "mode", 0o777),
});

// Milliseconds, or undefined for a wait without an end.
export function timeoutOf({ timeout }) {
    if (timeout === undefined || timeout === Infinity) return undefined;
    return milliseconds(timeout, "timeout");
}

export const priorityOf = ({ priority = 0 }) => word32(priority, "priority");

export function accessOf({ access = "read-write" }, allowed) {
    if (!allowed.includes(access)) {
        const all = allowed.map((name) => JSON.stringify(name)).join(" or ");
        throw new TypeError(`access must be ${all}, not ${shown(access)}`);
    }
    return access;
}

export function limitsOf({ maxMessages, maxMessageSize }) {
    if (maxMessages === undefined && maxMessageSize === undefined) return {};
    const defaults = host.limits.queueDefaults();
    return {
        maxMessages: word32(maxMessages ?? defaults.maxMessages, "maxMessages"),
        maxMessageSize: word32(maxMessageSize ?? defaults.maxMessageSize, "maxMessageSize"),
    };
}

export function signalOf({ signal }) {
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
        throw new TypeError(`signal must be an AbortSignal, not ${shown(signal)}`);
    }
    return signal;
}
