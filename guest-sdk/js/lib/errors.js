// The errors of the module "posix-ipc": a class for each cause.

import host from "internal:host";

export class IpcError extends Error {
    constructor(message, code) {
        super(message);
        this.code = code;
    }
    get name() {
        return this.constructor.name;
    }
}

export class NotPermittedError extends IpcError {}
export class AccessError extends IpcError {}
export class ExistsError extends IpcError {}
export class NotFoundError extends IpcError {}
export class BusyError extends IpcError {}
export class TimeoutError extends IpcError {}
export class CancelledError extends IpcError {}
export class InvalidError extends IpcError {}
export class NameTooLongError extends IpcError {}
export class MessageTooLongError extends IpcError {}
export class OverflowError extends IpcError {}
export class NoSpaceError extends IpcError {}
export class QuotaError extends IpcError {}
export class ClosedError extends IpcError {}
export class TruncatedError extends IpcError {}
export class UnsupportedError extends IpcError {}

const ERRORS = {
    EPERM: NotPermittedError,
    EACCES: AccessError,
    EEXIST: ExistsError,
    ENOENT: NotFoundError,
    EAGAIN: BusyError,
    ETIMEDOUT: TimeoutError,
    ECANCELED: CancelledError,
    EINVAL: InvalidError,
    ENAMETOOLONG: NameTooLongError,
    EMSGSIZE: MessageTooLongError,
    EOVERFLOW: OverflowError,
    ENOSPC: NoSpaceError,
    EDQUOT: QuotaError,
    EBADF: ClosedError,
    EFAULT: TruncatedError,
    ENOTSUP: UnsupportedError,
};

host.system.errors((code, message) => new (ERRORS[code] ?? IpcError)(message, code));
