/**
 * POSIX named semaphores, shared memory and message queues for JavaScript in the sandbox:
 * the module `"posix-ipc"` of `posix-ipc run script.js`.
 *
 * - A name starts with a slash and has no other. Which names there are, and what may be
 *   done with them, the host's flags decide; every other use is a {@link NotPermittedError}.
 * - A time is a number of milliseconds on the monotonic clock, fractions included. A
 *   `timeout` of 0 does not wait; without one, or with `Infinity`, a wait has no end.
 * - Offsets and sizes are numbers or BigInts, and are given as numbers. Words of 64 bits are
 *   BigInts.
 * - Closing an object never removes it. Objects are closed at the end of a `using`
 *   declaration, and when nothing refers to them any more. The names that a script created
 *   are removed by the host when it ends, unless the grant says `keep`.
 * - An argument of a wrong type is a `TypeError`, as is an option of an unknown name; one out of
 *   its range is a `RangeError`. What the host answers is an {@link IpcError}, and all functions can throw one.
 */
declare module "posix-ipc" {
    // ---- errors ------------------------------------------------------------------------

    /** POSIX's names for the causes of errors. */
    export type ErrorCode =
        | "EPERM"
        | "EACCES"
        | "EEXIST"
        | "ENOENT"
        | "EAGAIN"
        | "ETIMEDOUT"
        | "ECANCELED"
        | "EINVAL"
        | "ENAMETOOLONG"
        | "EMSGSIZE"
        | "EOVERFLOW"
        | "ENOSPC"
        | "EDQUOT"
        | "EBADF"
        | "EFAULT"
        | "ENOTSUP"
        | "EIO";

    /** Why a call failed. The message begins with the object's name, where it has one. */
    export class IpcError extends Error {
        constructor(message: string, code: ErrorCode);
        /** The cause. Each but `"EIO"`, which is any other, has a class of its own. */
        readonly code: ErrorCode;
    }

    /**
     * `EPERM`: the host has not granted this name, or not this use of it. It is the same
     * whether or not there is such an object.
     */
    export class NotPermittedError extends IpcError {}
    /**
     * `EACCES`: the system refused access because of the object's owner and mode, or the
     * object was opened without this direction.
     */
    export class AccessError extends IpcError {}
    /** `EEXIST`: the object exists already, and was to be a new one. */
    export class ExistsError extends IpcError {}
    /** `ENOENT`: no object has this name. */
    export class NotFoundError extends IpcError {}
    /** `EAGAIN`: the queue's notification is taken. */
    export class BusyError extends IpcError {}
    /** `ETIMEDOUT`: the timeout elapsed. */
    export class TimeoutError extends IpcError {}
    /** `ECANCELED`: the host ended the wait. Nothing was consumed. */
    export class CancelledError extends IpcError {}
    /**
     * `EINVAL`: an argument is out of the system's range, a name is malformed, or the object
     * is not what its name says.
     */
    export class InvalidError extends IpcError {}
    /** `ENAMETOOLONG`: the name is longer than the kind of object allows. */
    export class NameTooLongError extends IpcError {}
    /** `EMSGSIZE`: the message is longer than the queue allows. */
    export class MessageTooLongError extends IpcError {}
    /** `EOVERFLOW`: the semaphore is at its maximum. */
    export class OverflowError extends IpcError {}
    /** `ENOSPC`: the system has no room for the object, or no descriptor. */
    export class NoSpaceError extends IpcError {}
    /** `EDQUOT`: the script has reached a limit that the host set for it. */
    export class QuotaError extends IpcError {}
    /** `EBADF`: the object was closed. */
    export class ClosedError extends IpcError {}
    /**
     * `EFAULT`: the object is shorter than the call needs, for instance because a peer shrank
     * it. A native program would have died of `SIGBUS`.
     */
    export class TruncatedError extends IpcError {}
    /** `ENOTSUP`: the host does not offer this for this object. */
    export class UnsupportedError extends IpcError {}

    // ---- options -----------------------------------------------------------------------

    /** How long a call may wait. */
    export interface WaitOptions {
        /** Milliseconds. */
        timeout?: number | undefined;
    }

    /** How long a promise may wait, while other code of the script runs. */
    export interface AsyncWaitOptions extends WaitOptions {
        /** Ends the wait: the promise fails with the signal's reason. Nothing was consumed. */
        signal?: AbortSignal | undefined;
    }

    /** What the options of new objects of all kinds have. */
    export interface CreateOptions {
        /** Permission bits of a new object, less the host's umask. 0o600 by default. */
        mode?: number | undefined;
    }

    /** What the options of opening objects of all kinds have. */
    export interface OpenOptions extends CreateOptions {
        /** Make the object if it does not exist, as `O_CREAT`. */
        create?: boolean | undefined;
        /** Make the object, and fail if it exists, as `O_CREAT | O_EXCL`. */
        exclusive?: boolean | undefined;
    }

    /** Bytes, or a text, which is encoded as UTF-8. */
    export type Data = string | ArrayBuffer | ArrayBufferView;

    // ---- semaphores --------------------------------------------------------------------

    export interface SemaphoreCreateOptions extends CreateOptions {
        /** The value of a new semaphore, 0 by default. */
        value?: number | undefined;
    }

    /** A counting semaphore with a name. */
    export class Semaphore implements Disposable {
        private constructor();
        /** Opens a semaphore, as `sem_open`. */
        static open(name: string, options?: OpenOptions & SemaphoreCreateOptions): Semaphore;
        /** Creates one under a name that nobody has: `prefix` and random letters. */
        static createUnique(prefix: string, options?: SemaphoreCreateOptions): Semaphore;
        /** Removes a name, as `sem_unlink`. Those who have it open keep it. */
        static unlink(name: string): void;
        /** The name by which this script knows it. */
        readonly name: string;
        /** Its permission bits, when it was opened. */
        readonly mode: number;
        /** Its value, which others may change at any time, as `sem_getvalue`. */
        readonly value: number;
        /** Takes it, waiting until the value is above 0, as `sem_wait`, `sem_timedwait`. */
        acquire(options?: WaitOptions): void;
        /** As `acquire`, while other code of the script runs. */
        acquireAsync(options?: AsyncWaitOptions): Promise<void>;
        /** Takes it if the value is above 0, and says whether it did, as `sem_trywait`. */
        tryAcquire(): boolean;
        /** Adds one to the value and wakes one waiter, as `sem_post`. */
        release(): void;
        /**
         * Takes it as `acquire` does, to be given back at the end of a scope:
         * `using guard = gate.lock();`
         */
        lock(options?: WaitOptions): SemaphoreGuard;
        /** Ready while the value is above 0. To take it, follow with `tryAcquire`. */
        subscribe(): Pollable;
        /** Closes it. To do so again does nothing. */
        close(): void;
        [Symbol.dispose](): void;
    }

    /** Gives a semaphore back, once. */
    export class SemaphoreGuard implements Disposable {
        private constructor();
        /** Gives the semaphore back now. */
        release(): void;
        [Symbol.dispose](): void;
    }

    // ---- shared memory -----------------------------------------------------------------

    export interface SharedMemoryOpenOptions extends OpenOptions {
        /** Cut an existing object to size 0 first, as `O_TRUNC`. */
        truncate?: boolean | undefined;
        /** The size to set, of a new and of an existing object alike. */
        size?: number | bigint | undefined;
        /** What to open it for, `"read-write"` by default. */
        access?: "read" | "read-write" | undefined;
    }

    export interface SharedMemoryCreateOptions extends CreateOptions {
        /** The size in bytes, 0 by default. */
        size?: number | bigint | undefined;
    }

    /**
     * Memory that is shared with other processes. Reads and writes copy. Others may change
     * the bytes, and the size, at any time: what must not be torn are words.
     */
    export class SharedMemory implements Disposable {
        private constructor();
        /** Opens an object, as `shm_open`, and sets its size if one is given. */
        static open(name: string, options?: SharedMemoryOpenOptions): SharedMemory;
        /** Creates one under a name that nobody has: `prefix` and random letters. */
        static createUnique(prefix: string, options?: SharedMemoryCreateOptions): SharedMemory;
        /** Removes a name, as `shm_unlink`. Those who have it open keep it. */
        static unlink(name: string): void;
        /** The name by which this script knows it. */
        readonly name: string;
        /** Its permission bits. */
        readonly mode: number;
        /** Its size in bytes. */
        readonly size: number;
        /** Sets the size, as `ftruncate`. New bytes are zero. */
        resize(size: number | bigint): void;
        /**
         * Copies bytes out of it: from its beginning, to its end, unless told otherwise.
         * Fewer than `length` only where it ends.
         */
        read(offset?: number | bigint, length?: number | bigint): Uint8Array<ArrayBuffer>;
        /** Copies bytes into `buffer`, and returns how many: fewer only where it ends. */
        readInto(offset: number | bigint, buffer: ArrayBuffer | ArrayBufferView): number;
        /** Copies bytes into it. All of them must fit, or the error is `TruncatedError`. */
        write(offset: number | bigint, data: Data): void;
        /** The word of 32 bits at an offset that is a multiple of 4. */
        u32(offset: number | bigint): SharedU32;
        /** The word of 64 bits at an offset that is a multiple of 8. */
        u64(offset: number | bigint): SharedU64;
        /**
         * A view of the memory itself, not of a copy, of the object as long as it is now. What
         * the script stores there, others see at once, and the reverse; `Atomics` work against
         * native programs. The grant has to have `map`, or the error is `NotPermittedError`.
         *
         * `offset` is in bytes and a multiple of the size of an element, `length` in elements;
         * all to the end without it. What was opened to be read is not written by its views.
         * `close` takes the memory away: views have the length 0 then. Where somebody makes
         * the object shorter, an access past its end ends the script.
         */
        view(): Uint8Array<ArrayBuffer>;
        view<T extends View>(type: ViewConstructor<T>, offset?: number | bigint, length?: number | bigint): T;
        /** Closes it, and takes the memory of all its views away. To do so again does nothing. */
        close(): void;
        [Symbol.dispose](): void;
    }

    type View = ArrayBufferView<ArrayBuffer>;
    type ViewConstructor<T extends View> = new (buffer: ArrayBuffer, offset?: number, length?: number) => T;

    /**
     * A word in shared memory. Its operations are atomic, sequentially consistent, also
     * against native programs, and in the host's byte order. They are those of `Atomics`:
     * each that changes the word returns its previous value, and sums wrap around.
     */
    interface SharedWord<T> {
        /** Where it is. */
        readonly offset: number;
        load(): T;
        store(value: T): void;
        exchange(value: T): T;
        add(value: T): T;
        sub(value: T): T;
        and(value: T): T;
        or(value: T): T;
        xor(value: T): T;
        /** Writes `replacement` if the word equals `expected`. */
        compareExchange(expected: T, replacement: T): T;
    }

    export interface SharedU32 extends SharedWord<number> {}
    /** A word of 32 bits. */
    export class SharedU32 {
        private constructor();
        /**
         * Waits while the word equals `expected`, as `FUTEX_WAIT`. It may be `"ok"` without
         * a cause: look at the word again.
         */
        wait(expected: number, options?: WaitOptions): "ok" | "not-equal" | "timed-out";
        /**
         * Wakes up to `count` who wait for the word, all by default; returns how many.
         * Change the word first: who is not asleep at this very moment is not woken, and
         * goes by what the word holds.
         */
        notify(count?: number): number;
    }

    export interface SharedU64 extends SharedWord<bigint> {}
    /** A word of 64 bits. */
    export class SharedU64 {
        private constructor();
    }

    // ---- message queues ----------------------------------------------------------------

    /** The size of a queue, fixed when it is created. */
    export interface QueueLimits {
        /** How many messages it holds, `mq_maxmsg`. */
        maxMessages: number;
        /** How many bytes a message has at most, `mq_msgsize`. */
        maxMessageSize: number;
    }

    export interface QueueAttributes extends QueueLimits {
        /** How many messages are in it now. */
        currentMessages: number;
    }

    export interface QueueCreateOptions extends CreateOptions {
        /** Of a new queue; the system's default without it. */
        maxMessages?: number | undefined;
        /** Of a new queue; the system's default without it. */
        maxMessageSize?: number | undefined;
    }

    export interface QueueOpenOptions extends OpenOptions, QueueCreateOptions {
        /** What to open it for, `"read-write"` by default. */
        access?: "read" | "write" | "read-write" | undefined;
    }

    export interface Message {
        /** The bytes, which may be none. */
        payload: Uint8Array<ArrayBuffer>;
        /** A higher one is received earlier. */
        priority: number;
    }

    export interface PriorityOptions {
        /** From 0, which it is by default, to `limits.queuePriorityMax`. */
        priority?: number | undefined;
    }

    /** A message to be sent. */
    export interface Outgoing extends PriorityOptions {
        payload: Data;
    }

    /** A bounded queue of messages with priorities. */
    export class MessageQueue implements Disposable {
        private constructor();
        /** Opens a queue, as `mq_open`. */
        static open(name: string, options?: QueueOpenOptions): MessageQueue;
        /** Creates one under a name that nobody has: `prefix` and random letters. */
        static createUnique(prefix: string, options?: QueueCreateOptions): MessageQueue;
        /** Removes a name, as `mq_unlink`. Those who have it open keep it. */
        static unlink(name: string): void;
        /** The name by which this script knows it. */
        readonly name: string;
        /** Its permission bits. */
        readonly mode: number;
        /** Its size and fill, as `mq_getattr`. */
        readonly attributes: QueueAttributes;
        /** Adds a message, waiting while the queue is full, as `mq_send`, `mq_timedsend`. */
        send(payload: Data, options?: PriorityOptions & WaitOptions): void;
        /** Adds a message if there is room, and says whether there was. */
        trySend(payload: Data, options?: PriorityOptions): boolean;
        /** As `send`, while other code of the script runs. The bytes are copied at once. */
        sendAsync(payload: Data, options?: PriorityOptions & AsyncWaitOptions): Promise<void>;
        /**
         * Takes the oldest message of the highest priority, waiting while the queue is
         * empty, as `mq_receive`, `mq_timedreceive`.
         */
        receive(options?: WaitOptions): Message;
        /** Takes a message if there is one. */
        tryReceive(): Message | undefined;
        /**
         * As `receive`, with the bytes in a buffer of the script's, which has room for the
         * longest message of the queue, or the error is `MessageTooLongError`.
         */
        receiveInto(buffer: ArrayBuffer | ArrayBufferView, options?: WaitOptions): { length: number; priority: number };
        /** As `receive`, while other code of the script runs. */
        receiveAsync(options?: AsyncWaitOptions): Promise<Message>;
        /** All messages as they come, without an end: `for await (const message of queue)`. */
        [Symbol.asyncIterator](): AsyncGenerator<Message, never, void>;
        /** The same, until the signal ends it with its reason as an exception. */
        messages(options?: { signal?: AbortSignal | undefined }): AsyncGenerator<Message, never, void>;
        /**
         * Sends messages in order, with one call, and returns how many were sent: fewer if
         * the next one could not be. Fails only if the first one could not.
         */
        sendBatch(messages: Iterable<Outgoing>, options?: WaitOptions): number;
        /** Waits for a message, then takes what else is there, up to `max` in all. */
        receiveBatch(max: number, options?: WaitOptions): Message[];
        /** Ready while there is a message. */
        subscribeReadable(): Pollable;
        /** Ready while there is room for a message. */
        subscribeWritable(): Pollable;
        /**
         * Asks to be told, once, when a message arrives in the empty queue and nobody waits
         * for it, as `mq_notify`. A queue has one such request in the whole system,
         * and it takes a queue that is open for receiving.
         */
        requestNotification(): Notification;
        /** Closes it. To do so again does nothing. */
        close(): void;
        [Symbol.dispose](): void;
    }

    /** A request to be told of a message. Closing it takes it back. */
    export class Notification implements Disposable {
        private constructor();
        /** Whether the message has arrived: then the request is used up. */
        readonly delivered: boolean;
        /** Ready once the message has arrived, or the notification is closed. */
        subscribe(): Pollable;
        close(): void;
        [Symbol.dispose](): void;
    }

    // ---- waiting -----------------------------------------------------------------------

    /** Something to wait for, any number of times. It may outlive what it comes from. */
    export class Pollable implements Disposable {
        private constructor();
        /** Whether it is ready now. */
        readonly ready: boolean;
        /** Waits until it is ready: false if the time is up first. */
        block(options?: WaitOptions): boolean;
        /** A promise for it to be ready, while other code of the script runs. */
        wait(options?: AsyncWaitOptions): Promise<void>;
        close(): void;
        [Symbol.dispose](): void;
    }

    /** Waits until at least one is ready. Returns those that are: none if the time is up. */
    export function poll<P extends Pollable>(pollables: Iterable<P>, options?: WaitOptions): P[];

    /** Does nothing for so many milliseconds; timers and promises wait as well. */
    export function sleep(time: number): void;

    /** What the running system allows; it can change while a script runs. */
    export const limits: {
        /** The highest value of a semaphore. */
        readonly semaphoreValueMax: number;
        /** The highest priority of a message. */
        readonly queuePriorityMax: number;
        /** The size of a queue that is created without one. */
        readonly queueDefaults: QueueLimits;
        /** The largest size of a queue that an unprivileged process may create. */
        readonly queueMaximums: QueueLimits;
        /** The size of a memory page in bytes. */
        readonly pageSize: number;
    };
}

declare module "node:fs" {
    /** The bytes of a file; of standard input, to its end, for 0. */
    export function readFileSync(path: string | 0, options?: { encoding?: null }): Uint8Array<ArrayBuffer>;
    export function readFileSync(path: string | 0, options: "utf8" | "utf-8" | { encoding: "utf8" | "utf-8" }): string;
    /** Reads from standard input what is there: at least a byte, or none at its end. */
    export function readSync(file: 0, buffer: ArrayBufferView, offset?: number, length?: number): number;
    /** Replaces a file, in a folder that `--dir` has granted. */
    export function writeFileSync(path: string, data: string | ArrayBufferView): void;
}
