//! Registrations for the arrival of a message.

use super::Queue;
use crate::ctx::{IpcCtxView, OpenCharge, Permit};
use crate::error::{Error, ErrorCode};
use crate::host::bindings::posix::ipc::message_queue::HostNotification;
use crate::quota::{Reservation, Resource};
use crate::sys::notification::Registration;
use crate::wait;
use std::sync::Arc;
use wasmtime::component::Resource as Handle;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

/// A guest's registration for the arrival of a message.
pub struct Notification {
    raw: Arc<Registration>,
    /// The queue's.
    permit: Permit,
    open_charge: Arc<OpenCharge>,
    /// The registration lasts as long as the queue is open.
    queue: Arc<OpenCharge>,
}

impl HostNotification for IpcCtxView<'_> {
    fn delivered(&mut self, this: Handle<Notification>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&this)?.raw.is_delivered())
    }

    fn subscribe(&mut self, this: Handle<Notification>) -> Result<Handle<DynPollable>, Error> {
        let notification = self.table.get(&this)?;
        let pollable = self.ctx.reserve_pollable(&notification.permit)?;
        let notified = self.table.push(Notified {
            raw: notification.raw.clone(),
            _open_charges: [notification.open_charge.clone(), notification.queue.clone()],
            _pollable: pollable,
        })?;
        subscribe(self.table, notified).map_err(Error::Trap)
    }

    fn drop(&mut self, this: Handle<Notification>) -> wasmtime::Result<()> {
        // Not left to the last share: a pollable may have one.
        self.table.delete(this)?.raw.cancel();
        Ok(())
    }
}

impl IpcCtxView<'_> {
    pub(super) fn notification(
        &mut self,
        this: &Handle<Queue>,
    ) -> Result<Handle<Notification>, Error> {
        let queue = self.table.get(this)?;
        // There is one registration in the whole system: it is the receiver's.
        if !queue.may_receive {
            return Err(ErrorCode::Access.into());
        }
        let handle = self.ctx.reserve(Resource::Handles, 1)?;
        let permit = queue.permit.clone();
        let queue_open_charge = queue.open_charge.clone();
        let raw = Registration::new(queue.raw.get().clone())?.into();
        Ok(self.table.push(Notification {
            raw,
            permit,
            open_charge: OpenCharge::new(handle, None),
            queue: queue_open_charge,
        })?)
    }
}

/// Ready once the message has arrived or the registration is given up.
struct Notified {
    raw: Arc<Registration>,
    _open_charges: [Arc<OpenCharge>; 2],
    _pollable: Reservation,
}

#[async_trait]
impl Pollable for Notified {
    async fn ready(&mut self) {
        wait::notified(&self.raw).await;
    }
}
