//! The interface `limits`.

use crate::ctx::IpcCtxView;
use crate::host::bindings::posix::ipc::limits::Host;
use crate::host::bindings::posix::ipc::message_queue::QueueLimits;
use crate::sys::limits;

impl Host for IpcCtxView<'_> {
    fn semaphore_value_max(&mut self) -> wasmtime::Result<u32> {
        Ok(limits::semaphore_value_max())
    }

    fn queue_priority_max(&mut self) -> wasmtime::Result<u32> {
        Ok(limits::queue_priority_max())
    }

    fn queue_defaults(&mut self) -> wasmtime::Result<QueueLimits> {
        Ok(limits::queue_defaults().into())
    }

    fn queue_maximums(&mut self) -> wasmtime::Result<QueueLimits> {
        Ok(limits::queue_maximums().into())
    }

    fn page_size(&mut self) -> wasmtime::Result<u32> {
        Ok(limits::page_size() as u32)
    }
}
