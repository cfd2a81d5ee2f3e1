//! What `wasmtime` generates from the WIT package: one `Host` trait for each
//! interface and resource, implemented in the module `host`.

wasmtime::component::bindgen!({
    path: "wit",
    world: "posix:ipc/imports",
    imports: {
        "posix:ipc/semaphore.[method]semaphore.acquire": async | trappable,
        "posix:ipc/shared-memory.[method]segment.wait": async | trappable,
        "posix:ipc/message-queue.[method]queue.send": async | trappable,
        "posix:ipc/message-queue.[method]queue.receive": async | trappable,
        "posix:ipc/message-queue.[method]queue.send-batch": async | trappable,
        "posix:ipc/message-queue.[method]queue.receive-batch": async | trappable,
        default: trappable,
    },
    trappable_error_type: { "posix:ipc/types.error-code" => crate::error::Error },
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "posix:ipc/semaphore.semaphore": crate::host::semaphore::Semaphore,
        "posix:ipc/shared-memory.segment": crate::host::shared_memory::Segment,
        "posix:ipc/mappings.mapping": crate::host::mappings::Mapping,
        "posix:ipc/message-queue.queue": crate::host::message_queue::Queue,
        "posix:ipc/message-queue.notification": crate::host::message_queue::Notification,
    },
    require_store_data_send: true,
});
