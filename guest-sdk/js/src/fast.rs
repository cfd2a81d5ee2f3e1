//! The methods that scripts call most often, as functions of the engine's own kind: what
//! `host.rs` has goes through conversions that take several times as long as the call of the
//! host. Each does what is usual, and leaves all else to the function that it stands for:
//! other arguments, options, waits and errors.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_int, c_void};
use std::{ptr, slice};

use posix_ipc_guest::{Queue, Segment, Semaphore};
use rquickjs::{Ctx, Exception, Function, Object, Result, Value, qjs};

use crate::handle::{Handle, Held, Resource};
use crate::view::is_mapped;

/// What objects of scripts are whose methods are here: the class is the kind, and the opaque
/// pointer leads to the handle.
trait Kind: Resource {
    const CLASS: &'static CStr;

    /// The number of the engine's class, which a process has one of.
    fn class() -> &'static ClassId;
}

struct ClassId(Cell<qjs::JSClassID>);

// SAFETY: there is one thread.
unsafe impl Sync for ClassId {}

macro_rules! kind {
    ($resource:ty, $name:literal) => {
        impl Kind for $resource {
            const CLASS: &'static CStr = $name;

            fn class() -> &'static ClassId {
                static CLASS: ClassId = ClassId(Cell::new(0));
                &CLASS
            }
        }
    };
}

kind!(Semaphore, c"Semaphore");
kind!(Segment, c"SharedMemory");
kind!(Queue, c"MessageQueue");

/// Registers the classes with the engine.
pub(crate) fn register(ctx: &Ctx<'_>) {
    fn one<K: Kind>(ctx: &Ctx<'_>) {
        let definition = qjs::JSClassDef {
            class_name: K::CLASS.as_ptr(),
            finalizer: None,
            gc_mark: None,
            call: None,
            exotic: ptr::null_mut(),
        };
        // SAFETY: the context is alive, and the engine copies the definition.
        unsafe {
            let runtime = qjs::JS_GetRuntime(ctx.as_raw().as_ptr());
            let class = qjs::JS_NewClassID(runtime, K::class().0.as_ptr());
            qjs::JS_NewClass(runtime, class, &definition);
        }
    }
    one::<Semaphore>(ctx);
    one::<Segment>(ctx);
    one::<Queue>(ctx);
}

/// An object with this prototype, of which the methods here know the handle. Whoever makes
/// one keeps the handle beside it for as long as it lives.
fn object<'js, K: Kind>(
    ctx: &Ctx<'js>,
    held: &Held<'js, K>,
    prototype: &Value<'js>,
) -> Result<Value<'js>> {
    let handle: *const Handle<K> = &*held.borrow();
    // SAFETY: context and prototype are alive. The engine gives a new reference to us.
    unsafe {
        let context = ctx.as_raw();
        let class = K::class().0.get();
        let object = qjs::JS_NewObjectProtoClass(context.as_ptr(), prototype.as_raw(), class);
        if qjs::JS_IsException(object) {
            return Err(rquickjs::Error::Exception);
        }
        qjs::JS_SetOpaque(object, handle.cast_mut().cast::<c_void>());
        Ok(Value::from_raw(ctx.clone(), object))
    }
}

pub(crate) fn semaphore<'js>(
    ctx: Ctx<'js>,
    held: Held<'js, Semaphore>,
    prototype: Value<'js>,
) -> Result<Value<'js>> {
    object(&ctx, &held, &prototype)
}

pub(crate) fn segment<'js>(
    ctx: Ctx<'js>,
    held: Held<'js, Segment>,
    prototype: Value<'js>,
) -> Result<Value<'js>> {
    object(&ctx, &held, &prototype)
}

pub(crate) fn queue<'js>(
    ctx: Ctx<'js>,
    held: Held<'js, Queue>,
    prototype: Value<'js>,
) -> Result<Value<'js>> {
    object(&ctx, &held, &prototype)
}

/// The fast form of a method, `Class.method`, which is given in its slow form.
pub(crate) fn method<'js>(ctx: Ctx<'js>, name: String, slow: Function<'js>) -> Result<Value<'js>> {
    let call = METHODS.iter().find(|(known, ..)| *known == name);
    let Some((_, call, length)) = call else {
        return Err(Exception::throw_reference(&ctx, &name));
    };
    let short = name.rsplit('.').next().unwrap_or(&name);
    let short = std::ffi::CString::new(short)?;
    let mut data = [slow.as_value().as_raw()];
    // SAFETY: context and function are alive; the engine takes references of its own to the
    // data, and copies the name.
    unsafe {
        let function = qjs::JS_NewCFunctionData2(
            ctx.as_raw().as_ptr(),
            Some(*call),
            short.as_ptr(),
            *length,
            0,
            1,
            data.as_mut_ptr(),
        );
        if qjs::JS_IsException(function) {
            return Err(rquickjs::Error::Exception);
        }
        Ok(Value::from_raw(ctx, function))
    }
}

/// What the engine calls a function with.
type Native = unsafe extern "C" fn(
    *mut qjs::JSContext,
    qjs::JSValue,
    c_int,
    *mut qjs::JSValue,
    c_int,
    *mut qjs::JSValue,
) -> qjs::JSValue;

/// A call of a method, for the time that it takes.
struct Call<'a> {
    context: *mut qjs::JSContext,
    this: qjs::JSValue,
    arguments: &'a [qjs::JSValue],
}

macro_rules! methods {
    ($($name:literal, $length:literal, $function:path;)*) => {
        const METHODS: &[(&str, Native, c_int)] = &[$(($name, {
            unsafe extern "C" fn native(
                context: *mut qjs::JSContext,
                this: qjs::JSValue,
                count: c_int,
                arguments: *mut qjs::JSValue,
                _magic: c_int,
                data: *mut qjs::JSValue,
            ) -> qjs::JSValue {
                // SAFETY: the engine gives as many arguments as it says, and the data that
                // the function was made with. All of it stays until this returns.
                unsafe {
                    let given = match count {
                        0 => &[][..],
                        count => slice::from_raw_parts(arguments, count as usize),
                    };
                    let call = Call { context, this, arguments: given };
                    match $function(&call) {
                        Some(value) => value,
                        None => qjs::JS_Call(context, *data, this, count, arguments),
                    }
                }
            }
            native
        }, $length)),*];
    };
}

methods! {
    "Semaphore.acquire", 1, acquire;
    "Semaphore.tryAcquire", 0, try_acquire;
    "Semaphore.release", 0, release;
    "SharedMemory.read", 2, read;
    "SharedMemory.readInto", 2, read_into;
    "SharedMemory.write", 2, write;
    "MessageQueue.send", 2, send;
    "MessageQueue.trySend", 2, try_send;
    "MessageQueue.receive", 1, receive;
    "MessageQueue.tryReceive", 0, receive;
    "MessageQueue.receiveInto", 2, receive_into;
}

impl Call<'_> {
    /// Uses what the method is called of, if that is of this kind and open.
    #[inline]
    fn with<K: Kind, R>(&self, action: impl FnOnce(&K) -> Option<R>) -> Option<R> {
        // SAFETY: an object of the class has a pointer to a handle, which lives as long as
        // the object.
        let handle = unsafe {
            qjs::JS_GetOpaque(self.this, K::class().0.get())
                .cast::<Handle<K>>()
                .as_ref()
        }?;
        handle.with(action)
    }

    /// Whether there are no more arguments than these. What is undefined is not there.
    fn no_more_than(&self, count: usize) -> bool {
        // SAFETY: it is a value.
        self.arguments[count.min(self.arguments.len())..]
            .iter()
            .all(|argument| unsafe { qjs::JS_IsUndefined(*argument) })
    }

    /// An argument that is a number from 0 to 2^53.
    fn number(&self, index: usize) -> Option<u64> {
        let value = *self.arguments.get(index)?;
        // SAFETY: the tag says what the value is.
        unsafe {
            if qjs::JS_IsInt(value) {
                return u64::try_from(qjs::JS_VALUE_GET_INT(value)).ok();
            }
            if !qjs::JS_IsNumber(value) {
                return None;
            }
            let number = qjs::JS_VALUE_GET_FLOAT64(value);
            let whole = number as u64;
            (whole as f64 == number
                && number < 9_007_199_254_740_992.0
                && number.is_sign_positive())
            .then_some(whole)
        }
    }

    /// Uses an argument that is a string, as UTF-8.
    fn with_string<R>(&self, index: usize, action: impl FnOnce(&[u8]) -> Option<R>) -> Option<R> {
        let value = *self.arguments.get(index)?;
        // SAFETY: the engine gives the address and length of bytes that stay until they are
        // given back.
        unsafe {
            if !qjs::JS_IsString(value) {
                return None;
            }
            let mut length = 0;
            let start = qjs::JS_ToCStringLen2(self.context, &mut length, value, false);
            if start.is_null() {
                return self.forget_exception();
            }
            let bytes = slice::from_raw_parts(start.cast::<u8>(), length as usize);
            // A half of a surrogate pair is not.
            let result = std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| action(text.as_bytes()));
            qjs::JS_FreeCString(self.context, start);
            result
        }
    }

    /// An argument that is an array of bytes of the guest's own. Nothing but JavaScript moves or
    /// frees them.
    fn bytes(&self, index: usize) -> Option<*mut [u8]> {
        let value = *self.arguments.get(index)?;
        // SAFETY: of a value whose type that is, the engine gives the address and length.
        unsafe {
            if qjs::JS_GetTypedArrayType(value)
                != qjs::JSTypedArrayEnum_JS_TYPED_ARRAY_UINT8 as c_int
            {
                return None;
            }
            let (mut offset, mut length, mut all) = (0, 0, 0);
            let none = ptr::null_mut();
            let buffer =
                qjs::JS_GetTypedArrayBuffer(self.context, value, &mut offset, &mut length, none);
            if qjs::JS_IsException(buffer) {
                return self.forget_exception();
            }
            let start = qjs::JS_GetArrayBuffer(self.context, &mut all, buffer);
            // The array has a reference of its own.
            qjs::JS_FreeValue(self.context, buffer);
            if start.is_null() {
                // It is detached, or empty.
                return self.forget_exception();
            }
            // The engine forgets to shorten an array with its buffer.
            if offset.checked_add(length).is_none_or(|end| end > all) {
                return None;
            }
            let start = start.add(offset as usize);
            let bytes = ptr::slice_from_raw_parts_mut(start, length as usize);
            // The slow form makes a copy.
            (!is_mapped(bytes)).then_some(bytes)
        }
    }
}

impl Call<'_> {
    /// Takes back an exception: the slow form says it better.
    fn forget_exception<R>(&self) -> Option<R> {
        // SAFETY: the engine gives the exception to us.
        unsafe { qjs::JS_FreeValue(self.context, qjs::JS_GetException(self.context)) };
        None
    }
}

const UNDEFINED: qjs::JSValue = qjs::JS_UNDEFINED;

fn boolean(value: bool) -> qjs::JSValue {
    if value { qjs::JS_TRUE } else { qjs::JS_FALSE }
}

// ---- semaphores ------------------------------------------------------------------------

fn acquire(call: &Call<'_>) -> Option<qjs::JSValue> {
    if !call.no_more_than(0) {
        return None;
    }
    call.with(|semaphore: &Semaphore| {
        matches!(semaphore.try_acquire(), Ok(true)).then_some(UNDEFINED)
    })
}

fn try_acquire(call: &Call<'_>) -> Option<qjs::JSValue> {
    call.with(|semaphore: &Semaphore| semaphore.try_acquire().ok().map(boolean))
}

fn release(call: &Call<'_>) -> Option<qjs::JSValue> {
    call.with(|semaphore: &Semaphore| semaphore.release().ok().map(|()| UNDEFINED))
}

// ---- shared memory ---------------------------------------------------------------------

/// What is read by way of memory of our own. What is longer is copied once, not twice.
const SHORT: usize = 16 << 10;

fn read(call: &Call<'_>) -> Option<qjs::JSValue> {
    let (offset, length) = (call.number(0)?, usize::try_from(call.number(1)?).ok()?);
    if length > SHORT {
        return None;
    }
    call.with(|segment: &Segment| {
        with_room(length, |room| {
            let read = segment.read_into(offset, room).ok()?;
            Some(array(call.context, &room[..read]))
        })
    })
}

fn read_into(call: &Call<'_>) -> Option<qjs::JSValue> {
    let (offset, buffer) = (call.number(0)?, call.bytes(1)?);
    call.with(|segment: &Segment| {
        // SAFETY: no JavaScript runs meanwhile, and nothing else borrows the bytes.
        let buffer = unsafe { &mut *buffer };
        // The host limits what one call reads.
        let read = segment.read_into(offset, buffer).ok()?;
        (read == buffer.len()).then_some(integer(read))
    })
}

fn write(call: &Call<'_>) -> Option<qjs::JSValue> {
    let (offset, data) = (call.number(0)?, call.bytes(1)?);
    // SAFETY: no JavaScript runs meanwhile.
    let data = unsafe { &*data };
    call.with(|segment: &Segment| segment.write(offset, data).ok().map(|()| UNDEFINED))
}

// ---- message queues --------------------------------------------------------------------

fn send(call: &Call<'_>) -> Option<qjs::JSValue> {
    sent(call)?.then_some(UNDEFINED)
}

fn try_send(call: &Call<'_>) -> Option<qjs::JSValue> {
    sent(call).map(boolean)
}

/// Sends bytes or a string with priority 0, if there is room.
fn sent(call: &Call<'_>) -> Option<bool> {
    if !call.no_more_than(1) {
        return None;
    }
    let send = |payload: &[u8]| call.with(|queue: &Queue| queue.try_send(payload, 0).ok());
    // SAFETY: no JavaScript runs meanwhile.
    match call.bytes(0) {
        Some(payload) => send(unsafe { &*payload }),
        None => call.with_string(0, send),
    }
}

fn receive(call: &Call<'_>) -> Option<qjs::JSValue> {
    if !call.no_more_than(0) {
        return None;
    }
    call.with(|queue: &Queue| {
        let (payload, priority) = with_room(queue.longest().ok()?, |room| {
            let (length, priority) = queue.try_receive_into(room).ok()??;
            Some((array(call.context, &room[..length]), priority))
        })?;
        Some(pair(call.context, &PAYLOAD, payload, priority))
    })
}

fn receive_into(call: &Call<'_>) -> Option<qjs::JSValue> {
    let buffer = call.bytes(0).filter(|_| call.no_more_than(1))?;
    call.with(|queue: &Queue| {
        // SAFETY: no JavaScript runs meanwhile, and nothing else borrows the bytes.
        let buffer = unsafe { &mut *buffer };
        let (length, priority) = queue.try_receive_into(buffer).ok()??;
        Some(pair(call.context, &LENGTH, integer(length), priority))
    })
}

// ---- values ----------------------------------------------------------------------------

thread_local! {
    /// Memory for what the host writes, which is kept.
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn with_room<R>(length: usize, action: impl FnOnce(&mut [u8]) -> R) -> R {
    ROOM.with_borrow_mut(|room| {
        if room.len() < length {
            room.resize(length, 0);
        }
        action(&mut room[..length])
    })
}

fn integer(value: usize) -> qjs::JSValue {
    match i32::try_from(value) {
        Ok(value) => qjs::JS_MKVAL(qjs::JS_TAG_INT, value),
        Err(_) => qjs::__JS_NewFloat64(value as f64),
    }
}

/// A new array of bytes, or the exception.
fn array(context: *mut qjs::JSContext, bytes: &[u8]) -> qjs::JSValue {
    // SAFETY: the engine copies them.
    unsafe { qjs::JS_NewUint8ArrayCopy(context, bytes.as_ptr(), bytes.len() as _) }
}

/// The name of a property, which the engine has made a number of.
struct Name(&'static CStr, Cell<qjs::JSAtom>);

// SAFETY: there is one thread.
unsafe impl Sync for Name {}

static PAYLOAD: Name = Name(c"payload", Cell::new(0));
static LENGTH: Name = Name(c"length", Cell::new(0));
static PRIORITY: Name = Name(c"priority", Cell::new(0));

impl Name {
    fn atom(&self, context: *mut qjs::JSContext) -> qjs::JSAtom {
        if self.1.get() == 0 {
            // SAFETY: the context is alive. There is one engine, which keeps the atom.
            self.1
                .set(unsafe { qjs::JS_NewAtom(context, self.0.as_ptr()) });
        }
        self.1.get()
    }
}

/// A new object of a value and a priority, or the exception.
fn pair(
    context: *mut qjs::JSContext,
    name: &Name,
    value: qjs::JSValue,
    priority: u32,
) -> qjs::JSValue {
    // SAFETY: the context is alive, and the object takes the values.
    unsafe {
        if qjs::JS_IsException(value) {
            return value;
        }
        let object = qjs::JS_NewObject(context);
        if qjs::JS_IsException(object) {
            qjs::JS_FreeValue(context, value);
            return object;
        }
        let flags = qjs::JS_PROP_C_W_E as c_int;
        for (name, value) in [(name, value), (&PRIORITY, integer(priority as usize))] {
            if qjs::JS_DefinePropertyValue(context, object, name.atom(context), value, flags) < 0 {
                qjs::JS_FreeValue(context, object);
                return qjs::JS_EXCEPTION;
            }
        }
        object
    }
}

/// The functions of this file, for the modules of the runtime.
pub(crate) fn functions<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    register(ctx);
    let object = Object::new(ctx.clone())?;
    object.set("semaphore", Function::new(ctx.clone(), semaphore)?)?;
    object.set("segment", Function::new(ctx.clone(), segment)?)?;
    object.set("queue", Function::new(ctx.clone(), queue)?)?;
    object.set("method", Function::new(ctx.clone(), method)?)?;
    Ok(object)
}
