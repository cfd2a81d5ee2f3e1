//! Keeps the other thread, which reads and writes files of the guests, from deciding what
//! happens: it works only between two turns.
//!
//! The runtime has one such thread, which takes one task after the other. A gate is a task
//! that holds it.

use std::future::Future;
use std::sync::mpsc::{self, Sender};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

/// Holds the thread until it is dropped.
pub(super) struct Gate(#[expect(dead_code, reason = "dropping it opens the gate")] Sender<()>);

impl Gate {
    /// Waits until the thread has done what it was given, and holds it.
    pub(super) async fn close() -> Self {
        Self::queue().await
    }

    /// Lets the thread do what it was given since the gate was closed.
    pub(super) async fn pass(self) -> Self {
        let next = Self::queue();
        drop(self);
        next.await
    }

    /// A gate behind everything that the thread was given until now.
    fn queue() -> impl Future<Output = Self> {
        let (open, opened) = mpsc::channel();
        let (hold, held) = oneshot::channel();
        spawn_blocking(move || {
            let _ = hold.send(());
            // Fails when the gate is dropped.
            let _ = opened.recv();
        });
        async {
            // Fails only if the runtime ends, and this with it.
            let _ = held.await;
            Self(open)
        }
    }
}
