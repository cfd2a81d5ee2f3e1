// Values as text for people, for `console`: near to what Node shows, without its options.

const DEPTH = 3;
const ITEMS = 100;

export function inspect(value, depth = 0, outer = []) {
    switch (typeof value) {
        case "string":
            return JSON.stringify(value);
        case "bigint":
            return `${value}n`;
        case "symbol":
            return value.toString();
        case "number":
            return Object.is(value, -0) ? "-0" : String(value);
        case "function":
            return `[${kindOf(value)} ${named(value) ? value.name : "(anonymous)"}]`;
        case "object":
            if (value === null) return "null";
            if (outer.includes(value)) return "[Circular]";
            return inspectObject(value, depth, [...outer, value]);
        default:
            return String(value);
    }
}

const named = (value) => typeof value.name === "string" && value.name !== "";

const kindOf = (value) =>
    /^class\b/.test(Function.prototype.toString.call(value)) ? "class" : "Function";

const custom = Symbol.for("nodejs.util.inspect.custom");

function inspectObject(value, depth, outer) {
    if (typeof value[custom] === "function") {
        const shown = value[custom](DEPTH - depth, {}, (item) => inspect(item, depth + 1, outer));
        return typeof shown === "string" ? shown : inspect(shown, depth, outer);
    }
    if (value instanceof Error) return inspectError(value, depth, outer);
    if (value instanceof Date) return isNaN(value) ? "Invalid Date" : value.toISOString();
    if (value instanceof RegExp) return String(value);
    const name = className(value);
    if (depth > DEPTH) return Array.isArray(value) ? "[Array]" : `[${name || "Object"}]`;
    const inner = (item) => inspect(item, depth + 1, outer);
    if (value instanceof Promise) return "Promise {}";
    if (BOXED.some((kind) => value instanceof kind)) return `[${name}: ${inspect(value.valueOf())}]`;
    if (HIDDEN.some((kind) => value instanceof kind)) return `${name} {}`;
    if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) {
        return brackets(name === "Array" ? "" : `${name}(${value.length}) `, value, inner);
    }
    if (value instanceof ArrayBuffer) return `ArrayBuffer { byteLength: ${value.byteLength} }`;
    if (value instanceof Map) {
        const pairs = Array.from(value, ([key, item]) => `${inner(key)} => ${inner(item)}`);
        return braces(`Map(${value.size}) `, pairs, depth);
    }
    if (value instanceof Set) return braces(`Set(${value.size}) `, Array.from(value, inner), depth);
    const tag = value[Symbol.toStringTag];
    const tagged = typeof tag === "string" && tag !== "" && tag !== name ? ` [${tag}]` : "";
    const prefix = name === "Object" && tagged === "" ? "" : `${name || "[Object: null prototype]"}${tagged} `;
    return braces(prefix, properties(value, inner), depth);
}

const BOXED = [String, Number, Boolean, BigInt, Symbol];
const HIDDEN = [WeakMap, WeakSet, WeakRef];

function className(value) {
    const prototype = Object.getPrototypeOf(value);
    return prototype?.constructor?.name ?? "";
}

function properties(value, inner, hidden = []) {
    const keys = Reflect.ownKeys(value).filter((key) => !hidden.includes(key));
    return keys.flatMap((key) => {
        const { enumerable, get, set, value: item } = Object.getOwnPropertyDescriptor(value, key);
        if (!enumerable) return [];
        const shown = get ? (set ? "[Getter/Setter]" : "[Getter]") : set ? "[Setter]" : inner(item);
        return [`${label(key)}: ${shown}`];
    });
}

function label(key) {
    if (typeof key === "symbol") return `[${key.toString()}]`;
    return /^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key);
}

function brackets(prefix, items, inner) {
    const shown = Array.from(items.slice(0, ITEMS), inner);
    if (items.length > ITEMS) shown.push(`... ${items.length - ITEMS} more`);
    return shown.length === 0 ? `${prefix}[]` : `${prefix}[ ${shown.join(", ")} ]`;
}

function braces(prefix, items, depth) {
    if (items.length === 0) return `${prefix}{}`;
    const line = `${prefix}{ ${items.join(", ")} }`;
    if (line.length <= 76 && !line.includes("\n")) return line;
    const margin = "  ".repeat(depth + 1);
    return `${prefix}{\n${items.map((item) => margin + item).join(",\n")}\n${"  ".repeat(depth)}}`;
}

// An error with its stack, without the frames of this runtime's own modules.
function inspectError(error, depth, outer) {
    const stack = typeof error.stack === "string" ? error.stack : "";
    const lines = stack.split("\n").filter((line) => line !== "" && !OWN.test(line));
    const shown = [headline(error), ...lines].join("\n");
    const inner = (item) => inspect(item, depth + 1, outer);
    const more = properties(error, inner, ["stack", "message", "name", "code"]);
    for (const part of ["cause", "errors", "error", "suppressed"]) {
        if (Object.hasOwn(error, part) && !Object.keys(error).includes(part)) {
            more.push(`[${part}]: ${inner(error[part])}`);
        }
    }
    if (more.length > 0) return braces(`${shown} `, more, depth);
    return depth > 0 && lines.length === 0 ? `[${shown}]` : shown;
}

const OWN = /\((posix-ipc|node:|internal:|native)|at (posix-ipc|node:|internal:)/;

function headline(error) {
    const code = typeof error.code === "string" ? ` [${error.code}]` : "";
    return error.message ? `${error.name}${code}: ${error.message}` : `${error.name}${code}`;
}

// What `console.log` makes of its arguments.
export function format(...args) {
    const parts = [];
    if (typeof args[0] === "string" && args.length > 1) {
        const template = args.shift();
        parts.push(template.replace(/%[sdifjoOc%]/g, (directive) => {
            if (directive === "%%") return "%";
            if (args.length === 0) return directive;
            return directives[directive](args.shift());
        }));
    }
    parts.push(...args.map((value) => (typeof value === "string" ? value : inspect(value))));
    return parts.join(" ");
}

function number(value, convert) {
    if (typeof value === "bigint") return `${value}n`;
    return typeof value === "symbol" ? "NaN" : String(convert(value));
}

const directives = {
    "%s": (value) =>
        ["object", "function", "bigint"].includes(typeof value) ? inspect(value) : String(value),
    "%d": (value) => number(value, Number),
    "%i": (value) => number(value, parseInt),
    "%f": (value) => number(value, parseFloat),
    "%j": (value) => JSON.stringify(value),
    "%o": (value) => inspect(value),
    "%O": (value) => inspect(value),
    "%c": () => "",
};
