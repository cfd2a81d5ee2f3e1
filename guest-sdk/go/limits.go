package posixipc

import (
	raw "github.com/posix-ipc/posix-ipc/guest-sdk/go/internal/bindings/imports/posix_ipc_limits"
)

// The running system's limits, which can change while the guest runs.

// SemaphoreValueMax is the highest value of a semaphore. SEM_VALUE_MAX.
func SemaphoreValueMax() uint32 { return raw.SemaphoreValueMax() }

// QueuePriorityMax is the highest priority of a message. MQ_PRIO_MAX - 1.
func QueuePriorityMax() uint32 { return raw.QueuePriorityMax() }

// QueueDefaults is the size of a queue that is made without limits.
func QueueDefaults() QueueLimits { return QueueLimits(raw.QueueDefaults()) }

// QueueMaximums is the largest size that an unprivileged program may make a queue of.
func QueueMaximums() QueueLimits { return QueueLimits(raw.QueueMaximums()) }

// PageSize is the size of a memory page in bytes.
func PageSize() int { return int(raw.PageSize()) }
