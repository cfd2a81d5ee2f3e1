//! What scripts hold of the host: objects whose resource goes when they are closed, or
//! when nothing refers to them any more.

use std::cell::RefCell;

use posix_ipc_guest::{
    Error, ErrorKind, Notification, Pollable, Queue, Result, Segment, Semaphore,
};
use rquickjs::class::{JsClass, Readable, Trace, Tracer};
use rquickjs::function::Constructor;
use rquickjs::{Class, Ctx, Function, JsLifetime};

/// A resource, as a JavaScript object without any methods.
pub(crate) struct Handle<T>(RefCell<Option<T>>);

impl<T> Handle<T> {
    /// Uses the resource, if it is not closed.
    #[inline]
    pub(crate) fn with<R>(&self, action: impl FnOnce(&T) -> Option<R>) -> Option<R> {
        self.0.borrow().as_ref().and_then(action)
    }
}

/// An object of JavaScript that is a [`Handle`].
pub(crate) type Held<'js, T> = Class<'js, Handle<T>>;

/// What can be held.
pub(crate) trait Resource: Sized + 'static {
    const NAME: &'static str;

    /// The name of the object behind it, to be told in errors.
    fn name(&self) -> Option<String> {
        None
    }
}

impl Resource for Semaphore {
    const NAME: &'static str = "SemaphoreHandle";

    fn name(&self) -> Option<String> {
        Some(self.name())
    }
}

impl Resource for Segment {
    const NAME: &'static str = "SegmentHandle";

    fn name(&self) -> Option<String> {
        Some(self.name())
    }
}

impl Resource for Queue {
    const NAME: &'static str = "QueueHandle";

    fn name(&self) -> Option<String> {
        Some(self.name())
    }
}

impl Resource for Notification {
    const NAME: &'static str = "NotificationHandle";
}

impl Resource for Pollable {
    const NAME: &'static str = "PollableHandle";
}

impl<'js, T: Resource> Trace<'js> for Handle<T> {
    /// A resource of the host refers to nothing of JavaScript.
    fn trace<'a>(&self, _tracer: Tracer<'a, 'js>) {}
}

// SAFETY: a resource has no lifetime of the engine's, as `Resource` is `'static`.
unsafe impl<'js, T: Resource> JsLifetime<'js> for Handle<T> {
    type Changed<'to> = Self;
}

impl<'js, T: Resource> JsClass<'js> for Handle<T> {
    const NAME: &'static str = T::NAME;
    type Mutable = Readable;

    fn constructor(_ctx: &Ctx<'js>) -> rquickjs::Result<Option<Constructor<'js>>> {
        Ok(None)
    }
}

/// Gives a new resource to JavaScript.
pub(crate) fn hold<'js, T: Resource>(
    ctx: &Ctx<'js>,
    resource: T,
) -> rquickjs::Result<Held<'js, T>> {
    Class::instance(ctx.clone(), Handle(RefCell::new(Some(resource))))
}

/// Uses a resource, if it is not closed.
pub(crate) fn using<'js, T: Resource, R>(
    ctx: &Ctx<'js>,
    held: &Held<'js, T>,
    action: impl FnOnce(&T) -> Result<R>,
) -> rquickjs::Result<R> {
    let outcome = match &*held.borrow().0.borrow() {
        Some(resource) => action(resource).map_err(|error| (resource.name(), error)),
        None => Err((None, ErrorKind::Closed.into())),
    };
    // To make the exception calls JavaScript, which may close the resource.
    outcome.map_err(|(name, error)| fail(ctx, name.as_deref(), &error))
}

/// Uses several resources of a kind.
pub(crate) fn using_all<'js, T: Resource, R>(
    ctx: &Ctx<'js>,
    held: &[Held<'js, T>],
    action: impl FnOnce(&[&T]) -> R,
) -> rquickjs::Result<R> {
    let handles: Vec<_> = held.iter().map(|held| held.borrow()).collect();
    let resources: Vec<_> = handles.iter().map(|handle| handle.0.borrow()).collect();
    let open: Option<Vec<&T>> = resources.iter().map(|resource| resource.as_ref()).collect();
    let outcome = open.map(|open| action(&open));
    drop(resources);
    outcome.ok_or_else(|| fail(ctx, None, &ErrorKind::Closed.into()))
}

/// Closes a resource. To do so again does nothing.
pub(crate) fn close<T: Resource>(held: Held<'_, T>) {
    held.borrow().0.take();
}

/// The function of JavaScript that makes an exception of a code and a message.
pub(crate) struct MakeError<'js>(pub(crate) Function<'js>);

// SAFETY: the lifetime is that of the function, and nothing else changes with it.
unsafe impl<'js> JsLifetime<'js> for MakeError<'js> {
    type Changed<'to> = MakeError<'to>;
}

/// Throws an error of the host as an exception. Its message begins with the object's name.
pub(crate) fn fail(ctx: &Ctx<'_>, name: Option<&str>, error: &Error) -> rquickjs::Error {
    let message = match name {
        Some(name) => format!("{name}: {}", error.cause()),
        None => error.cause().to_owned(),
    };
    let Some(make) = ctx.userdata::<MakeError<'_>>() else {
        return rquickjs::Exception::throw_message(ctx, &message);
    };
    let made: rquickjs::Result<rquickjs::Value<'_>> = make.0.call((code(error.kind()), message));
    match made {
        Ok(exception) => ctx.throw(exception),
        Err(error) => error,
    }
}

/// The name that POSIX has for a cause.
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotPermitted => "EPERM",
        ErrorKind::Access => "EACCES",
        ErrorKind::Exists => "EEXIST",
        ErrorKind::NoEntry => "ENOENT",
        ErrorKind::Busy => "EAGAIN",
        ErrorKind::TimedOut => "ETIMEDOUT",
        ErrorKind::Cancelled => "ECANCELED",
        ErrorKind::Invalid => "EINVAL",
        ErrorKind::NameTooLong => "ENAMETOOLONG",
        ErrorKind::MessageTooLong => "EMSGSIZE",
        ErrorKind::Overflow => "EOVERFLOW",
        ErrorKind::NoSpace => "ENOSPC",
        ErrorKind::Quota => "EDQUOT",
        ErrorKind::Closed => "EBADF",
        // Native code would have died of SIGBUS.
        ErrorKind::Truncated => "EFAULT",
        ErrorKind::Unsupported => "ENOTSUP",
        _ => "EIO",
    }
}
