module github.com/posix-ipc/posix-ipc/guest-sdk/go

go 1.26
