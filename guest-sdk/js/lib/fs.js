// As much of Node's module of that name as the files of a script need.

import host from "internal:host";

function encodingOf(options) {
    const encoding = typeof options === "string" ? options : options?.encoding;
    if (encoding != null && !/^utf-?8$/i.test(encoding)) {
        throw new TypeError(`the encoding ${encoding} is not known`);
    }
    return encoding;
}

export function readFileSync(path, options) {
    const encoding = encodingOf(options);
    const data = path === 0 ? host.system.readInput() : host.system.readFile(String(path));
    return encoding == null ? data : host.system.decode(data, false);
}

export function writeFileSync(path, data, options) {
    encodingOf(options);
    const bytes = ArrayBuffer.isView(data)
        ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
        : host.system.encode(String(data).toWellFormed());
    host.system.writeFile(String(path), bytes);
}

// Of standard input, what is there: at least a byte, or none at its end.
export function readSync(file, buffer, offset = 0, length = buffer.byteLength - offset) {
    if (file !== 0) throw new TypeError(`only standard input, 0, can be read in parts, not ${file}`);
    if (!ArrayBuffer.isView(buffer)) throw new TypeError("buffer must be a view of an ArrayBuffer");
    if (offset < 0 || length < 0 || offset + length > buffer.byteLength) {
        throw new RangeError(`${length} bytes at ${offset} are not within the buffer`);
    }
    return host.system.readPart(new Uint8Array(buffer.buffer, buffer.byteOffset + offset, length));
}

export default { readFileSync, readSync, writeFileSync };
