//! Telling whoever watches a guest what it does with objects: operation after operation,
//! with results. It may also make an operation fail, or end the guest at it.

use super::IpcCtx;
use crate::error::{Error, ErrorCode};
use crate::name::Kind;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// Watches the operations of a guest.
#[cfg_attr(not(feature = "explore"), allow(dead_code))]
pub(crate) trait Watch: Send + Sync {
    /// Before the operation is done. An error is the guest's answer instead.
    fn begins(&self, operation: &Operation<'_>) -> Result<(), Error>;

    /// The guest has to wait.
    fn waits(&self, operation: &Operation<'_>);

    /// The operation is done.
    fn ends(&self, operation: &Operation<'_>, result: Result<Option<u64>, &Error>);

    /// Whether the guest is in a call that it repeats in another way if it fails.
    fn is_tried(&self, tried: bool);
}

/// What a guest does, and on which object.
#[cfg_attr(not(feature = "explore"), allow(dead_code))]
pub(crate) struct Operation<'a> {
    pub(crate) call: Call,
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
}

/// A call, with those of its arguments that are numbers.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "explore"), allow(dead_code))]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) arguments: [Option<(&'static str, u64)>; 3],
    /// None if it is no call that waits. How long, if there is an end to it.
    pub(crate) wait: Option<Option<u64>>,
}

impl Call {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            arguments: [None; 3],
            wait: None,
        }
    }

    /// With one more argument, of three at most.
    pub(crate) fn with(mut self, name: &'static str, value: u64) -> Self {
        if let Some(free) = self.arguments.iter_mut().find(|place| place.is_none()) {
            *free = Some((name, value));
        }
        self
    }

    /// As one that waits for so long, or without end.
    pub(crate) fn waiting(mut self, timeout: Option<u64>) -> Self {
        self.wait = Some(timeout);
        self
    }

    fn may_wait(&self) -> bool {
        self.wait.is_some_and(|timeout| timeout != Some(0))
    }
}

/// What a result is as a number, if it is one.
pub(crate) trait Number {
    fn number(&self) -> Option<u64>;
}

impl Number for () {
    fn number(&self) -> Option<u64> {
        None
    }
}

impl Number for u32 {
    fn number(&self) -> Option<u64> {
        Some((*self).into())
    }
}

impl Number for u64 {
    fn number(&self) -> Option<u64> {
        Some(*self)
    }
}

/// An operation that has begun. Does nothing if nobody watches.
#[must_use]
pub(crate) struct Watched(Option<Box<Begun>>);

struct Begun {
    watch: Arc<dyn Watch>,
    call: Call,
    kind: Kind,
    name: String,
}

impl Begun {
    fn operation(&self) -> Operation<'_> {
        Operation {
            call: self.call,
            kind: self.kind,
            name: &self.name,
        }
    }
}

impl Watched {
    /// Passes the result on, which the watcher is told.
    #[inline]
    pub(crate) fn ends<T: Number>(self, result: Result<T, Error>) -> Result<T, Error> {
        self.ends_as(result, |value| value.number())
    }

    /// As [`Self::ends`], of a result that is no number.
    #[inline]
    pub(crate) fn ends_as<T>(
        self,
        result: Result<T, Error>,
        number: impl FnOnce(&T) -> Option<u64>,
    ) -> Result<T, Error> {
        if let Some(begun) = self.0 {
            let busy = matches!(result, Err(Error::Code(ErrorCode::Busy)));
            // Else it is told when it has waited.
            if !(busy && begun.call.may_wait()) {
                begun
                    .watch
                    .ends(&begun.operation(), result.as_ref().map(number));
            }
        }
        result
    }

    /// The operation goes on as this wait.
    pub(crate) async fn waits<T>(
        self,
        wait: impl Future<Output = Result<T, Error>>,
        number: impl FnOnce(&T) -> Option<u64>,
    ) -> Result<T, Error> {
        let Some(begun) = self.0 else {
            return wait.await;
        };
        let mut wait = pin!(wait);
        let mut told = false;
        let result = poll_fn(|context| {
            let polled = wait.as_mut().poll(context);
            if polled.is_pending() && !std::mem::replace(&mut told, true) {
                begun.watch.waits(&begun.operation());
            }
            match polled {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        begun
            .watch
            .ends(&begun.operation(), result.as_ref().map(number));
        result
    }
}

impl IpcCtx {
    /// To be called before an operation is done.
    #[inline]
    pub(crate) fn begins(&self, call: Call, kind: Kind, name: &str) -> Result<Watched, Error> {
        let watched = self.goes_on(call, kind, name);
        if let Some(begun) = &watched.0 {
            begun.watch.begins(&begun.operation())?;
        }
        Ok(watched)
    }

    /// As [`Self::begins`], of an operation that has begun before.
    #[inline]
    pub(crate) fn goes_on(&self, call: Call, kind: Kind, name: &str) -> Watched {
        Watched(self.watch.as_ref().map(|watch| {
            Box::new(Begun {
                watch: watch.clone(),
                call,
                kind,
                name: name.to_owned(),
            })
        }))
    }

    /// Says whether the guest is in a call that it repeats in another way if it fails.
    #[inline]
    pub(crate) fn is_tried(&self, tried: bool) {
        if let Some(watch) = &self.watch {
            watch.is_tried(tried);
        }
    }
}
