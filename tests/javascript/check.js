// What the scripts here check with.

/** @param {unknown} value @param {unknown} expected */
export function equal(value, expected) {
    const [one, other] = [value, expected].map(shown);
    if (one !== other) throw new Error(`${one} is not ${other}`);
}

/** @param {unknown} value */
function shown(value) {
    return JSON.stringify(value, (_, item) => {
        if (typeof item === "bigint") return `${item}n`;
        return item instanceof Uint8Array ? `bytes ${item}` : item;
    }) ?? String(value);
}

/** @param {() => unknown} action @param {string} name @param {string} [code] */
export function throws(action, name, code) {
    try {
        action();
    } catch (error) {
        const { name: found, code: its } = /** @type {Error & { code?: string }} */ (error);
        equal([found, its], [name, code]);
        return;
    }
    throw new Error(`no ${name}: ${action}`);
}
