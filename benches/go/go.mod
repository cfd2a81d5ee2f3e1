module posix-ipc-bench

go 1.26

require github.com/posix-ipc/posix-ipc/guest-sdk/go v0.0.0

replace github.com/posix-ipc/posix-ipc/guest-sdk/go => ../../guest-sdk/go
