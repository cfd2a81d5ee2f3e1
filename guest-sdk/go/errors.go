package posixipc

import (
	"io/fs"
	"os"
	"strings"

	types "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/bindings/imports/posix_ipc_types"
	"github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/wit/runtime"
	wit "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/wit/types"
)

// Errno is the cause of an error. Compare with [errors.Is]; those that the standard library
// has a name for are that error too, as in errors.Is(err, fs.ErrNotExist) and
// errors.Is(err, os.ErrDeadlineExceeded).
type Errno uint8

const (
	// ErrNotPermitted says that the host has not granted this name, or not this use of
	// it, whether or not the object exists. The host's log has the grant that would
	// allow it. Similar to EPERM.
	ErrNotPermitted = Errno(types.ErrorCode_NotPermitted)
	// ErrAccess says that the system refused access because of the object's owner and
	// mode, or that the handle was opened without this direction. Similar to EACCES.
	ErrAccess = Errno(types.ErrorCode_Access)
	// ErrExists says that the object, which was to be a new one, exists. EEXIST.
	ErrExists = Errno(types.ErrorCode_Exists)
	// ErrNotExist says that no object has this name. ENOENT.
	ErrNotExist = Errno(types.ErrorCode_NoEntry)
	// ErrBusy says that the call would have had to wait and was asked not to, or that
	// the queue's notification is taken. EAGAIN and EBUSY.
	ErrBusy = Errno(types.ErrorCode_Busy)
	// ErrTimedOut says that the timeout elapsed. ETIMEDOUT.
	ErrTimedOut = Errno(types.ErrorCode_TimedOut)
	// ErrCancelled says that the host ended the wait. Nothing was consumed. ECANCELED.
	ErrCancelled = Errno(types.ErrorCode_Cancelled)
	// ErrInvalid says that an argument is out of its range, that a name is malformed, or
	// that the object is not what its name says. EINVAL.
	ErrInvalid = Errno(types.ErrorCode_Invalid)
	// ErrNameTooLong is ENAMETOOLONG.
	ErrNameTooLong = Errno(types.ErrorCode_NameTooLong)
	// ErrMessageTooLong says that the queue does not take so long a message. EMSGSIZE.
	ErrMessageTooLong = Errno(types.ErrorCode_MessageTooLong)
	// ErrOverflow says that the semaphore is at its maximum. EOVERFLOW.
	ErrOverflow = Errno(types.ErrorCode_Overflow)
	// ErrNoSpace says that the system has no room. ENOSPC, ENOMEM and EMFILE.
	ErrNoSpace = Errno(types.ErrorCode_NoSpace)
	// ErrQuota says that the guest has reached a limit that the host set for it.
	ErrQuota = Errno(types.ErrorCode_Quota)
	// ErrClosed says that the object behind the handle is gone. EBADF.
	ErrClosed = Errno(types.ErrorCode_Closed)
	// ErrTruncated says that the segment is shorter than the call needs. A native
	// program would have met SIGBUS.
	ErrTruncated = Errno(types.ErrorCode_Truncated)
	// ErrUnsupported says that the host does not offer this.
	ErrUnsupported = Errno(types.ErrorCode_Unsupported)
	// ErrOther is any other cause. The error's text has the system's words, if any.
	ErrOther = Errno(types.ErrorCode_Other)
)

var texts = [...]string{
	ErrNotPermitted:   "not permitted by the host",
	ErrAccess:         "access denied",
	ErrExists:         "object exists",
	ErrNotExist:       "no such object",
	ErrBusy:           "would have to wait",
	ErrTimedOut:       "timed out",
	ErrCancelled:      "cancelled by the host",
	ErrInvalid:        "invalid argument",
	ErrNameTooLong:    "name too long",
	ErrMessageTooLong: "message too long",
	ErrOverflow:       "semaphore is at its maximum",
	ErrNoSpace:        "no space left",
	ErrQuota:          "limit of the host reached",
	ErrClosed:         "object is closed",
	ErrTruncated:      "object is too short",
	ErrUnsupported:    "not supported",
	ErrOther:          "unknown error",
}

// Error returns the cause in words.
func (e Errno) Error() string {
	if int(e) < len(texts) {
		return texts[e]
	}
	return texts[ErrOther]
}

// Is makes the causes that the standard library knows equal to its own errors.
func (e Errno) Is(target error) bool {
	switch target {
	case fs.ErrPermission:
		return e == ErrNotPermitted || e == ErrAccess
	case fs.ErrExist:
		return e == ErrExists
	case fs.ErrNotExist:
		return e == ErrNotExist
	case fs.ErrInvalid:
		return e == ErrInvalid
	case fs.ErrClosed:
		return e == ErrClosed
	case os.ErrDeadlineExceeded:
		return e == ErrTimedOut
	}
	return false
}

// Timeout reports whether time ran out, as os.IsTimeout and net.Error ask.
func (e Errno) Timeout() bool { return e == ErrTimedOut || e == ErrBusy }

// Error is what the functions of this package fail with. It unwraps to its [Errno].
type Error struct {
	// Op is the call, such as "open" or "send".
	Op string
	// Name is the object's.
	Name string
	// Err is the cause.
	Err Errno
	// Detail says more than the cause does, where there is more to say.
	Detail string
}

// Error returns the call, the name and the cause.
func (e *Error) Error() string {
	cause := e.Detail
	if cause == "" {
		cause = e.Err.Error()
	}
	return e.Op + " " + e.Name + ": " + cause
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether time ran out.
func (e *Error) Timeout() bool { return e.Err.Timeout() }

// invalid is an argument that the host need not be asked about.
func invalid(op, name, detail string) error {
	return &Error{Op: op, Name: name, Err: ErrInvalid, Detail: detail}
}

// explained says what is wrong with a name, where that is why a call failed.
func explained(err error) error {
	failed, ok := err.(*Error)
	if !ok || failed.Err != ErrInvalid || failed.Detail != "" {
		return err
	}
	switch name := failed.Name; {
	case !strings.HasPrefix(name, "/"):
		failed.Detail = "a name starts with a slash: \"/" + name + "\""
	case strings.Contains(name[1:], "/"):
		failed.Detail = "a name has no slash but the first"
	case len(name) == 1:
		failed.Detail = "a name has something behind its slash"
	}
	return err
}

func failure(op, name string, code types.ErrorCode) error {
	err := &Error{Op: op, Name: name, Err: Errno(code.Tag())}
	if code.Tag() == types.ErrorCode_Other {
		err.Detail = strings.Clone(code.Other().SomeOr(""))
	}
	return err
}

// enter begins a call of the host, whose name it returns: value(enter("open"), ...). What
// the call returns lies in memory that the next one uses again.
func enter(op string) string {
	runtime.Enter()
	return op
}

// value turns the result of a call into Go's two, and ends the call. What is made of bytes
// in the host's memory has to be copied before that: see [copied].
func value[T any](op, name string, result wit.Result[T, types.ErrorCode]) (T, error) {
	return copied(op, name, result, func(made T) T { return made })
}

// copied is value with a function that copies what was made.
func copied[T, U any](op, name string, result wit.Result[T, types.ErrorCode], copy func(T) U) (U, error) {
	defer runtime.Leave()
	if result.IsErr() {
		var none U
		return none, failure(op, name, result.Err())
	}
	return copy(result.Ok()), nil
}

// done is value for calls that return nothing.
func done(op, name string, result wit.Result[wit.Unit, types.ErrorCode]) error {
	_, err := value(op, name, result)
	return err
}

// text calls what returns a string.
func text(call func() string) string {
	runtime.Enter()
	defer runtime.Leave()
	return strings.Clone(call())
}
