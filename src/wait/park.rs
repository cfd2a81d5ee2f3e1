//! Waits that a scheduler ends instead of the kernel.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A scheduler of guests, which looks when a wait can go on.
pub(crate) trait Park: Send + Sync {
    /// Notes a wait of the guest whose turn it is. Gives its place.
    fn park(&self, parked: Parked) -> u64;

    /// Forgets the wait in a place.
    fn leave(&self, place: u64);
}

/// A wait that is parked. Only the laboratory has a scheduler that looks at it.
#[cfg_attr(not(feature = "explore"), allow(dead_code))]
pub(crate) struct Parked(Box<dyn Fn() -> bool + Send>);

#[cfg_attr(not(feature = "explore"), allow(dead_code))]
impl Parked {
    /// Whether the wait could go on now.
    pub(crate) fn is_ready(&self) -> bool {
        (self.0)()
    }
}

/// Waits until `ready`. Nobody wakes the task: the scheduler sees that it can go on.
pub(super) fn until<F>(parking: &Arc<dyn Park>, ready: F) -> impl Future<Output = ()> + use<F>
where
    F: Fn() -> bool + Clone + Send + Unpin + 'static,
{
    Until {
        parking: parking.clone(),
        ready,
        place: None,
    }
}

struct Until<F> {
    parking: Arc<dyn Park>,
    ready: F,
    place: Option<u64>,
}

impl<F: Fn() -> bool + Clone + Send + Unpin + 'static> Future for Until<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if (self.ready)() {
            return Poll::Ready(());
        }
        if self.place.is_none() {
            let parked = Parked(Box::new(self.ready.clone()));
            self.place = Some(self.parking.park(parked));
        }
        Poll::Pending
    }
}

impl<F> Drop for Until<F> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.parking.leave(place);
        }
    }
}
