//! The interface `direct`.
//!
//! The number of an object is its place in the guest's table of handles, which checks
//! that there is something, and that it is of the kind that is asked for.

use super::message_queue::Queue;
use super::semaphore::Semaphore;
use super::shared_memory::Segment;
use crate::ctx::IpcCtxView;
use crate::host::bindings::posix::ipc::direct::Host;
use crate::host::bindings::posix::ipc::semaphore::HostSemaphore;
use wasmtime::Result;
use wasmtime::component::Resource as Handle;

impl Host for IpcCtxView<'_> {
    fn semaphore_number(&mut self, this: Handle<Semaphore>) -> Result<u32> {
        Ok(this.rep())
    }

    fn segment_number(&mut self, this: Handle<Segment>) -> Result<u32> {
        Ok(this.rep())
    }

    fn queue_number(&mut self, this: Handle<Queue>) -> Result<u32> {
        Ok(this.rep())
    }

    fn release(&mut self, number: u32) -> Result<bool> {
        let this = Handle::new_borrow(number);
        let released = self.tried(|view| HostSemaphore::release(view, this));
        Ok(released.is_ok())
    }

    fn try_acquire(&mut self, number: u32) -> Result<bool> {
        let this = Handle::new_borrow(number);
        let acquired = self.tried(|view| HostSemaphore::try_acquire(view, this));
        Ok(acquired.is_ok())
    }

    // Not these, which get copies of lists, are called: see [`super::overrides`].

    fn read_into(&mut self, _: u32, _: u64, _: Vec<u8>) -> Result<i64> {
        Ok(NOTHING)
    }

    fn write(&mut self, _: u32, _: u64, _: Vec<u8>) -> Result<bool> {
        Ok(false)
    }

    fn send(&mut self, _: u32, _: Vec<u8>, _: u32) -> Result<bool> {
        Ok(false)
    }

    fn receive_into(&mut self, _: u32, _: Vec<u8>) -> Result<i64> {
        Ok(NOTHING)
    }

    fn send_batch(&mut self, _: u32, _: Vec<u8>) -> Result<u32> {
        Ok(0)
    }

    fn receive_batch(&mut self, _: u32, _: Vec<u8>, _: u32) -> Result<u32> {
        Ok(0)
    }
}

impl IpcCtxView<'_> {
    /// Does what the guest does in another way if it fails, and has that told.
    #[inline]
    pub(super) fn tried<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        self.ctx.is_tried(true);
        let done = act(self);
        self.ctx.is_tried(false);
        done
    }
}

/// The answer where a number is expected and there is none.
pub(super) const NOTHING: i64 = -1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctx::{IpcCtx, IpcHost};
    use crate::grant::Grants;
    use crate::host::bindings::posix::ipc::message_queue::HostQueue;
    use crate::host::bindings::posix::ipc::shared_memory::HostSegment;
    use crate::host::bindings::posix::ipc::types::{Access, OpenFlags};
    use crate::name::{Kind, Name};
    use wasmtime::component::ResourceTable;

    fn guest(ctx: crate::IpcCtxBuilder) -> (IpcCtx, ResourceTable) {
        (ctx.build(&IpcHost::new()).unwrap(), ResourceTable::new())
    }

    fn open(view: &mut IpcCtxView<'_>, name: &str, flags: OpenFlags) -> u32 {
        HostSemaphore::open(view, name.into(), flags, 0o600, 0)
            .unwrap()
            .rep()
    }

    #[test]
    fn a_number_does_what_the_handle_does() {
        let (mut ctx, mut table) = guest(IpcCtx::builder().private());
        let (ctx, table) = (&mut ctx, &mut table);
        let view = &mut IpcCtxView { ctx, table };
        let gate = open(view, "/gate", OpenFlags::CREATE);
        assert!(!Host::try_acquire(view, gate).unwrap());
        assert!(Host::release(view, gate).unwrap());
        assert_eq!(
            HostSemaphore::value(view, Handle::new_borrow(gate)).unwrap(),
            1
        );
        assert!(Host::try_acquire(view, gate).unwrap());
        assert!(!Host::try_acquire(view, gate).unwrap());
    }

    #[test]
    fn a_number_of_nothing_or_of_another_kind_does_nothing() {
        let (mut ctx, mut table) = guest(IpcCtx::builder().private());
        let (ctx, table) = (&mut ctx, &mut table);
        let view = &mut IpcCtxView { ctx, table };
        let create = OpenFlags::CREATE;
        let gate = open(view, "/gate", create);
        let access = Access::ReadWrite;
        let queue = HostQueue::open(view, "/jobs".into(), create, 0o600, access, None);
        let queue = queue.unwrap().rep();
        let segment = HostSegment::open(view, "/object".into(), create, 0o600, Some(8), access);
        let segment = segment.unwrap().rep();
        for number in [queue, segment, 1000, u32::MAX] {
            assert!(!Host::release(view, number).unwrap());
            assert!(!Host::try_acquire(view, number).unwrap());
        }
        for number in [gate, segment, 1000] {
            let number = Handle::new_borrow(number);
            assert!(view.try_send(&number, b"text", 0, Some(0)).is_err());
            assert!(view.try_receive_into(&number, &mut [0; 10_000]).is_err());
            assert!(view.try_send_packed(&number, &[0; 8]).is_err());
            assert!(
                view.try_receive_packed(&number, &mut [0; 10_000], 1)
                    .is_err()
            );
        }
        for number in [gate, queue, 1000] {
            let number = Handle::new_borrow(number);
            assert!(view.write_segment(&number, 0, b"text").is_err());
            assert!(view.read_segment(&number, 0, &mut [0; 4]).is_err());
        }
        assert_eq!(
            HostSemaphore::value(view, Handle::new_borrow(gate)).unwrap(),
            0
        );
        HostSemaphore::drop(view, Handle::new_own(gate)).unwrap();
        assert!(!Host::release(view, gate).unwrap());
    }

    #[test]
    fn a_number_grants_nothing() {
        let name = Name::unique(Kind::Semaphore);
        let object = crate::sys::semaphore::Semaphore::create(&name, 0o600, 1, |_| {}).unwrap();
        let grant = |access| Grants::parse([format!("sem:{name}::/gate,{access}")]).unwrap();
        for (access, waits) in [("wait", true), ("post", false)] {
            let (mut ctx, mut table) = guest(IpcCtx::builder().grants(grant(access)));
            let (ctx, table) = (&mut ctx, &mut table);
            let view = &mut IpcCtxView { ctx, table };
            let gate = open(view, "/gate", OpenFlags::empty());
            assert_eq!(Host::release(view, gate).unwrap(), !waits);
            assert_eq!(Host::try_acquire(view, gate).unwrap(), waits);
        }
        assert_eq!(object.value(), Ok(1));
        crate::sys::semaphore::unlink(&name).unwrap();
    }
}
