//! Plans of operations: several guests and a native program at the same few names, on
//! the host's own objects and in a model of them. Every answer is the model's, and
//! what is there in the end too, under the names that a guest had no grant for as well.

mod model;

use super::native;
use arbitrary::{Result, Unstructured};
use model::{Content, Granted, HANDLES, Handle, HostName, Machine, Opening, Outcome, Value};
use native::Size;
use std::collections::HashMap;
use std::future::Future;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_posix_ipc::grant::{Access, Grant, GrantBuilder, Grants, Kind, Lifecycle};
use wasmtime_posix_ipc::internals::Error;
use wasmtime_posix_ipc::internals::bindings::posix::ipc::message_queue::{
    HostQueue, Message, QueueLimits,
};
use wasmtime_posix_ipc::internals::bindings::posix::ipc::semaphore::HostSemaphore;
use wasmtime_posix_ipc::internals::bindings::posix::ipc::shared_memory::{
    AtomicOperation, HostSegment,
};
use wasmtime_posix_ipc::internals::bindings::posix::ipc::types::{Access as Direction, OpenFlags};
use wasmtime_posix_ipc::internals::bindings::posix::ipc::{
    direct, message_queue, semaphore, shared_memory,
};
use wasmtime_posix_ipc::quota::Quota;
use wasmtime_posix_ipc::{IpcCtx, IpcCtxView, IpcHost};

const GUESTS: usize = 3;
const STEPS: usize = 80;
/// What the host's names end in. Each is one of every kind.
const LETTERS: [char; 3] = ['a', 'b', 'c'];
/// A page holds a few of the smaller segments, and the largest takes several.
const SIZES: [u64; 6] = [0, 1, 8, 4096, 5000, 12288];
const PAGE: usize = 4096;
const QUEUES: [Size; 2] = [
    Size {
        messages: 1,
        bytes: 8,
    },
    Size {
        messages: 3,
        bytes: 4,
    },
];

pub fn check(input: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime starts").block_on(async {
        let u = &mut Unstructured::new(input);
        let mut world = World::new();
        // Input that ends is a plan that ends.
        let _ = world.run(u).await;
        world.end();
    });
}

struct World {
    prefix: String,
    host: IpcHost,
    guests: Vec<Guest>,
    machine: Machine,
    next_handle: usize,
}

/// A guest, and what the model knows of it.
struct Guest {
    ctx: IpcCtx,
    table: ResourceTable,
    /// Where the table has the handle that the model has under that number.
    places: HashMap<usize, u32>,
    model: model::Guest,
}

impl World {
    fn new() -> Self {
        Self {
            prefix: native::prefix(),
            host: IpcHost::new(),
            guests: Vec::new(),
            machine: Machine::default(),
            next_handle: 0,
        }
    }

    fn host_name(&self, letter: usize) -> String {
        format!("{}{}", self.prefix, LETTERS[letter])
    }

    async fn run(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        for _ in 0..GUESTS {
            let guest = self.guest(u)?;
            self.guests.push(guest);
        }
        for _ in 0..STEPS {
            if u.is_empty() {
                break;
            }
            match u.int_in_range(0..=15)? {
                0 => self.peer_creates(u)?,
                1 => self.peer_unlinks(u)?,
                2 => self.guest_ends(u)?,
                3..=6 => self.open(u)?,
                7 => self.unlink(u)?,
                8 => self.close(u)?,
                _ => self.operate(u).await?,
            }
        }
        Ok(())
    }

    /// A guest with grants of all sorts. Those of one kind are for single names, some of
    /// them renamed, or one for all.
    fn guest(&self, u: &mut Unstructured<'_>) -> Result<Guest> {
        let mut quota = Quota::default();
        quota.handles = HANDLES as u64;
        quota.created = model::CREATED as u64;
        let mut grants = Grants::new();
        let mut model = model::Guest::default();
        for &kind in Kind::ALL {
            if u.ratio(1, 4)? {
                let (grant, granted) = granted(kind, &format!("{}*", self.prefix), u)?;
                for host in 0..LETTERS.len() {
                    let granted = Granted {
                        host,
                        ..granted.clone()
                    };
                    model.granted.insert((kind, self.host_name(host)), granted);
                }
                let grant = grant.build().expect("it makes sense");
                grants.add(grant).expect("it is the first of its kind");
                continue;
            }
            for (letter, own) in LETTERS.iter().enumerate() {
                let renamed = u.ratio(1, 3)?;
                // A name of the guest's own may lead to a name that it has already.
                let host = match renamed {
                    true => u.choose_index(LETTERS.len())?,
                    false => letter,
                };
                let (mut grant, granted) = granted(kind, &self.host_name(host), u)?;
                if u.ratio(1, 4)? {
                    continue;
                }
                let mut name = self.host_name(host);
                if renamed {
                    name = format!("/{own}");
                    grant = grant.guest_name(&name);
                }
                let grant = grant.build().expect("it makes sense");
                grants.add(grant).expect("each name is granted once");
                model
                    .granted
                    .insert((kind, name), Granted { host, ..granted });
            }
        }
        Ok(Guest {
            ctx: IpcCtx::builder()
                .quota(quota)
                .grants(grants)
                .build(&self.host)
                .expect("grants are no problem"),
            table: ResourceTable::new(),
            places: HashMap::new(),
            model,
        })
    }

    fn peer_creates(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let (name, content) = match u.int_in_range(0..=2)? {
            0 => (Kind::Semaphore, Content::Semaphore(u.int_in_range(0..=3)?)),
            1 => {
                let size = *u.choose(&SIZES)? as usize;
                (Kind::SharedMemory, Content::Segment(vec![7; size]))
            }
            _ => (
                Kind::MessageQueue,
                Content::Queue(*u.choose(&QUEUES)?, Vec::new()),
            ),
        };
        let name = (name, u.choose_index(LETTERS.len())?);
        if self.machine.create(name, content.clone()) {
            let name = self.host_name(name.1);
            match content {
                Content::Semaphore(value) => native::create_semaphore(&name, value),
                Content::Segment(bytes) => native::create_segment(&name, &bytes),
                Content::Queue(size, _) => native::create_queue(&name, size, false),
            }
        }
        Ok(())
    }

    fn peer_unlinks(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let (kind, letter) = name(u)?;
        let expected = self.machine.names.remove(&(kind, letter)).is_some();
        assert_eq!(native::unlink(kind, &self.host_name(letter)), expected);
        Ok(())
    }

    fn guest_ends(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.guests.len() > 1 {
            let guest = self.guests.swap_remove(u.choose_index(self.guests.len())?);
            self.drop_guest(guest);
        }
        Ok(())
    }

    fn drop_guest(&mut self, guest: Guest) {
        let Guest {
            ctx, table, model, ..
        } = guest;
        drop((ctx, table));
        self.machine.end(model);
    }

    /// What a guest asks for: the host's name, or one that only a guest knows.
    fn asked(&self, u: &mut Unstructured<'_>) -> Result<(Kind, String)> {
        let (kind, letter) = name(u)?;
        Ok((
            kind,
            match u.ratio(1, 3)? {
                true => format!("/{}", LETTERS[letter]),
                false => self.host_name(letter),
            },
        ))
    }

    fn open(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let (kind, name) = self.asked(u)?;
        let opening = opening(u)?;
        let guest = u.choose_index(self.guests.len())?;
        let guest = &mut self.guests[guest];
        let expected = self.machine.open(&mut guest.model, (kind, &name), &opening);
        let opened = guest.open(kind, &name, &opening);
        match (expected, opened) {
            (Ok(handle), Ok(place)) => {
                guest.model.handles.insert(self.next_handle, handle);
                guest.places.insert(self.next_handle, place);
                self.next_handle += 1;
            }
            (expected, opened) => {
                assert_eq!(opened.err(), expected.err(), "{kind}:{name} {opening:?}");
            }
        }
        Ok(())
    }

    fn unlink(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let (kind, name) = self.asked(u)?;
        let guest = u.choose_index(self.guests.len())?;
        let guest = &mut self.guests[guest];
        let expected = self.machine.unlink(&mut guest.model, (kind, &name));
        let view = &mut guest.view();
        let unlinked = done(match kind {
            Kind::Semaphore => semaphore::Host::unlink(view, name.clone()),
            Kind::SharedMemory => shared_memory::Host::unlink(view, name.clone()),
            Kind::MessageQueue => message_queue::Host::unlink(view, name.clone()),
            other => unreachable!("{other} is new"),
        });
        assert_eq!(unlinked, expected, "{kind}:{name}");
        Ok(())
    }

    fn close(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let guest = u.choose_index(self.guests.len())?;
        let guest = &mut self.guests[guest];
        let Some(number) = any_handle(&guest.model, u)? else {
            return Ok(());
        };
        let handle = guest.model.handles.remove(&number).expect("it was chosen");
        let place = guest.places.remove(&number).expect("it is open");
        self.machine.close(&handle);
        guest.close(handle.kind, place);
        Ok(())
    }

    async fn operate(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let guest = u.choose_index(self.guests.len())?;
        let guest = &mut self.guests[guest];
        let Some(number) = any_handle(&guest.model, u)? else {
            return Ok(());
        };
        let place = guest.places[&number];
        // In the model the handle is apart while it is used.
        let handle = guest.model.handles.remove(&number).expect("it was chosen");
        let machine = &mut self.machine;
        let done = match handle.kind {
            Kind::Semaphore => guest.use_semaphore(machine, &handle, place, u).await,
            Kind::SharedMemory => guest.use_segment(machine, &handle, place, u),
            Kind::MessageQueue => guest.use_queue(machine, &handle, place, u).await,
            other => unreachable!("{other} is new"),
        };
        guest.model.handles.insert(number, handle);
        done
    }

    /// Every guest ends, and the machine is as the model says.
    fn end(mut self) {
        for guest in std::mem::take(&mut self.guests) {
            self.drop_guest(guest);
        }
        for (kind, letter) in names() {
            let name = self.host_name(letter);
            let left = match kind {
                Kind::Semaphore => native::semaphore(&name).map(Content::Semaphore),
                Kind::SharedMemory => native::segment(&name).map(Content::Segment),
                Kind::MessageQueue => native::drain_queue(&name)
                    .map(|(size, messages)| Content::Queue(size, messages)),
                other => unreachable!("{other} is new"),
            };
            let expected = self.machine.names.get(&(kind, letter));
            let expected = expected.map(|object| &self.machine.objects[*object]);
            assert_eq!(left.as_ref(), expected, "{kind}:{name}");
            // A name that only guests know is nothing to the machine.
            let guests_name = format!("/{}", LETTERS[letter]);
            assert_eq!(
                native::identity(kind, &guests_name),
                None,
                "{kind}:{guests_name}"
            );
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.guests.clear();
        for (kind, letter) in names() {
            native::unlink(kind, &self.host_name(letter));
        }
    }
}

impl Guest {
    fn view(&mut self) -> IpcCtxView<'_> {
        IpcCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }

    fn open(
        &mut self,
        kind: Kind,
        name: &str,
        opening: &Opening,
    ) -> std::result::Result<u32, String> {
        const MODE: u32 = 0o600;
        let view = &mut self.view();
        let (name, flags, direction) = (name.into(), opening.flags, opening.direction);
        match kind {
            Kind::Semaphore => {
                let opened = HostSemaphore::open(view, name, flags, MODE, opening.value);
                opened.map(|handle| handle.rep())
            }
            Kind::SharedMemory => {
                let opened = HostSegment::open(view, name, flags, MODE, opening.size, direction);
                opened.map(|handle| handle.rep())
            }
            Kind::MessageQueue => {
                let limits = Some(QueueLimits {
                    max_messages: opening.queue.messages,
                    max_message_size: opening.queue.bytes,
                });
                let opened = HostQueue::open(view, name, flags, MODE, direction, limits);
                opened.map(|handle| handle.rep())
            }
            other => unreachable!("{other} is new"),
        }
        .map_err(code)
    }

    fn close(&mut self, kind: Kind, place: u32) {
        let view = &mut self.view();
        match kind {
            Kind::Semaphore => HostSemaphore::drop(view, Resource::new_own(place)),
            Kind::SharedMemory => HostSegment::drop(view, Resource::new_own(place)),
            Kind::MessageQueue => HostQueue::drop(view, Resource::new_own(place)),
            other => unreachable!("{other} is new"),
        }
        .expect("the handle is open");
    }

    async fn use_semaphore(
        &mut self,
        machine: &mut Machine,
        handle: &Handle,
        place: u32,
        u: &mut Unstructured<'_>,
    ) -> Result<()> {
        let this = Resource::new_borrow(place);
        let view = &mut IpcCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        };
        let held = &mut self.model.held;
        let (found, expected) = match u.int_in_range(0..=5)? {
            0 => (
                number(HostSemaphore::value(view, this)),
                machine.value(handle),
            ),
            1 => (
                done(HostSemaphore::release(view, this)),
                machine.release(handle, held),
            ),
            2 => (
                number(Ok(direct::Host::release(view, place).expect("no trap"))),
                Ok(Value::Number(machine.release(handle, held).is_ok().into())),
            ),
            3 => (
                done(at_once(HostSemaphore::acquire(view, this, Some(0))).await),
                machine.acquire(handle, held),
            ),
            4 => (
                number(Ok(direct::Host::try_acquire(view, place).expect("no trap"))),
                Ok(Value::Number(machine.acquire(handle, held).is_ok().into())),
            ),
            _ => (
                done(HostSemaphore::try_acquire(view, this)),
                machine.acquire(handle, held),
            ),
        };
        assert_eq!(found, expected, "{handle:?}");
        Ok(())
    }

    fn use_segment(
        &mut self,
        machine: &mut Machine,
        handle: &Handle,
        place: u32,
        u: &mut Unstructured<'_>,
    ) -> Result<()> {
        let this = Resource::new_borrow(place);
        let offset = *u.choose(&[0, 1, 4, 8, 4092, 4094, 4096, 8192, 12288, 20000])?;
        let length = *u.choose(&[0, 1, 4, 16, 5000])?;
        let operation = u.int_in_range(0..=5)?;
        let size = *u.choose(&SIZES)?;
        let byte = u.arbitrary::<u8>()?;
        let view = &mut IpcCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        };
        let at = offset as u64;
        let (found, expected) = match operation {
            0 => {
                let size = machine.segment(handle).len() as u64;
                (
                    number(HostSegment::size(view, this)),
                    Ok(Value::Number(size)),
                )
            }
            1 => (
                done(HostSegment::resize(view, this, size)),
                machine.resize(&mut self.model, handle, size),
            ),
            2 => (
                bytes(HostSegment::read(view, this, at, length as u64)),
                machine.read(handle, offset, length),
            ),
            3 | 4 => {
                let data = vec![byte; length];
                let expected = machine.write(handle, offset, &data);
                (done(HostSegment::write(view, this, at, data)), expected)
            }
            _ => {
                let end = machine.segment(handle).len();
                // The last page is there as a whole, for as long as it stays mapped.
                if (end..end.next_multiple_of(PAGE)).contains(&(offset + 3)) {
                    return Ok(());
                }
                let add = AtomicOperation::Add;
                let operand = byte.into();
                let found = HostSegment::atomic_rmw_u32(view, this, at, add, operand);
                (number(found), machine.add(handle, offset, operand))
            }
        };
        assert_eq!(found, expected, "{handle:?}");
        Ok(())
    }

    async fn use_queue(
        &mut self,
        machine: &mut Machine,
        handle: &Handle,
        place: u32,
        u: &mut Unstructured<'_>,
    ) -> Result<()> {
        let this = Resource::new_borrow(place);
        let view = &mut IpcCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        };
        let (found, expected) = match u.int_in_range(0..=5)? {
            0 => (
                HostQueue::attributes(view, this).map_err(code).map(|now| {
                    let size = Size {
                        messages: now.limits.max_messages,
                        bytes: now.limits.max_message_size,
                    };
                    Value::Attributes(size, now.current_messages)
                }),
                machine.attributes(handle),
            ),
            1 | 2 => {
                let (priority, payload) = message(u)?;
                let expected = machine.send(handle, priority, &payload);
                let sent = HostQueue::send(view, this, payload, priority, Some(0));
                (done(at_once(sent).await), expected)
            }
            3 | 4 => {
                let received = at_once(HostQueue::receive(view, this, Some(0))).await;
                let received = received
                    .map(|message| Value::Message(message.priority, message.payload))
                    .map_err(code);
                (received, machine.receive(handle))
            }
            _ => {
                let max = u.int_in_range(0..=4)?;
                let received = HostQueue::receive_batch(view, this, max, Some(0));
                let received = at_once(received).await.map_err(code).map(|messages| {
                    let parts = |message: Message| (message.priority, message.payload);
                    Value::Messages(messages.into_iter().map(parts).collect())
                });
                (received, machine.receive_batch(handle, max as usize))
            }
        };
        assert_eq!(found, expected, "{handle:?}");
        Ok(())
    }
}

/// A call that was told not to wait.
async fn at_once<T>(call: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        done = call => done,
        () = std::future::ready(()) => panic!("it waits"),
    }
}

fn names() -> impl Iterator<Item = HostName> {
    let letters = |kind| (0..LETTERS.len()).map(move |letter| (kind, letter));
    Kind::ALL.iter().copied().flat_map(letters)
}

fn name(u: &mut Unstructured<'_>) -> Result<HostName> {
    Ok((*u.choose(Kind::ALL)?, u.choose_index(LETTERS.len())?))
}

fn any_handle(model: &model::Guest, u: &mut Unstructured<'_>) -> Result<Option<usize>> {
    let numbers: Vec<usize> = model.handles.keys().copied().collect();
    match numbers.is_empty() {
        true => Ok(None),
        false => u.choose(&numbers).copied().map(Some),
    }
}

/// A grant for a name or a prefix, and what the model makes of it.
fn granted(kind: Kind, pattern: &str, u: &mut Unstructured<'_>) -> Result<(GrantBuilder, Granted)> {
    let access: Vec<Access> = Access::ALL
        .iter()
        .copied()
        .filter(|access| access.kind() == kind)
        .collect();
    let access = *u.choose(&access)?;
    let lifecycle = *u.choose(Lifecycle::ALL)?;
    let undo = kind == Kind::Semaphore && u.ratio(1, 3)?;
    let keep = lifecycle != Lifecycle::Open && u.ratio(1, 4)?;
    let grant = Grant::builder(kind, pattern)
        .access(access)
        .lifecycle(lifecycle)
        .undo(undo)
        .keep(keep);
    let granted = Granted {
        host: 0,
        access,
        lifecycle,
        undo,
        keep,
    };
    Ok((grant, granted))
}

fn opening(u: &mut Unstructured<'_>) -> Result<Opening> {
    let mut flags = OpenFlags::empty();
    for (flag, of_8) in [
        (OpenFlags::CREATE, 6),
        (OpenFlags::EXCLUSIVE, 2),
        (OpenFlags::TRUNCATE, 1),
    ] {
        if u.ratio(of_8, 8_u8)? {
            flags |= flag;
        }
    }
    Ok(Opening {
        flags,
        direction: *u.choose(&[
            Direction::ReadWrite,
            Direction::ReadWrite,
            Direction::Read,
            Direction::Write,
        ])?,
        value: u.int_in_range(0..=3)?,
        size: match u.arbitrary()? {
            true => Some(*u.choose(&SIZES)?),
            false => None,
        },
        queue: *u.choose(&QUEUES)?,
    })
}

fn message(u: &mut Unstructured<'_>) -> Result<(u32, Vec<u8>)> {
    let priority = *u.choose(&[0, 1, 1, 7, 32767, 32768])?;
    let length = u.int_in_range(0..=9)?;
    Ok((priority, vec![u.arbitrary()?; length]))
}

/// A guest's mistake is an answer, and none of these plans has what is worse.
fn code(error: Error) -> String {
    match error {
        Error::Code(code) => format!("ErrorCode::{code:?}"),
        Error::Trap(trap) => panic!("{trap:?}"),
    }
}

fn done(result: std::result::Result<(), Error>) -> Outcome {
    result.map(|()| Value::Done).map_err(code)
}

fn number(result: std::result::Result<impl Into<u64>, Error>) -> Outcome {
    result
        .map(|number| Value::Number(number.into()))
        .map_err(code)
}

fn bytes(result: std::result::Result<Vec<u8>, Error>) -> Outcome {
    result.map(Value::Bytes).map_err(code)
}
