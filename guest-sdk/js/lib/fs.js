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

export default { readFileSync, writeFileSync };
