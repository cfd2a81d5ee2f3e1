//! What the interfaces promise, in memory: names, objects, and what each guest may do.

use super::super::native::{Queued, Size};
use std::collections::{BTreeMap, HashMap, HashSet};
use wasmtime_posix_ipc::grant::{Access, Kind, Lifecycle};
use wasmtime_posix_ipc::internals::bindings::posix::ipc::types::{Access as Direction, OpenFlags};

/// A name of the host's: a kind and which letter of the alphabet.
pub type HostName = (Kind, usize);

/// How many objects each guest may have open, and have created.
pub const HANDLES: usize = 5;
pub const CREATED: usize = 3;

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Semaphore(u32),
    Segment(Vec<u8>),
    /// In the order of their arrival at a receiver: priority and bytes.
    Queue(Size, Vec<Queued>),
}

/// What an operation gives.
#[derive(Debug, PartialEq)]
pub enum Value {
    Done,
    Number(u64),
    Bytes(Vec<u8>),
    Message(u32, Vec<u8>),
    Messages(Vec<Queued>),
    Attributes(Size, u32),
}

/// The other way to end is an error code, by its name in the bindings.
pub type Outcome = Result<Value, String>;

fn fail<T>(code: &str) -> Result<T, String> {
    Err(format!("ErrorCode::{code}"))
}

/// What one guest may do with one name.
#[derive(Clone, Debug)]
pub struct Granted {
    pub host: usize,
    pub access: Access,
    pub lifecycle: Lifecycle,
    pub undo: bool,
    pub keep: bool,
}

/// What a guest asks for that opens an object.
#[derive(Clone, Debug)]
pub struct Opening {
    pub flags: OpenFlags,
    pub direction: Direction,
    /// The initial value of a semaphore.
    pub value: u32,
    /// The size of a segment.
    pub size: Option<u64>,
    /// The size of a queue.
    pub queue: Size,
}

#[derive(Debug)]
pub struct Handle {
    pub kind: Kind,
    object: usize,
    granted: Granted,
    reads: bool,
    writes: bool,
    /// The object that the guest created, of its quota.
    charge: Option<usize>,
}

#[derive(Default)]
pub struct Guest {
    /// By the guest's name.
    pub granted: HashMap<(Kind, String), Granted>,
    /// By a number that stays.
    pub handles: BTreeMap<usize, Handle>,
    created: HashMap<HostName, (usize, bool)>,
    /// All that it has created. Without a name it counts as long as any guest has it open.
    own: HashSet<usize>,
    /// Segments of others that it has made longer.
    grown: HashSet<usize>,
    /// How often each semaphore is held that is given back.
    pub held: HashMap<usize, u32>,
}

impl Guest {
    /// What counts as an open object: a semaphore that is given back does besides its
    /// handles, for as long as there are any or it is held.
    fn open(&self) -> usize {
        let undone = self.handles.values().filter(|handle| handle.granted.undo);
        let undone = undone.map(|handle| handle.object).chain(self.holds());
        self.handles.len() + undone.collect::<HashSet<_>>().len()
    }

    fn holds(&self) -> impl Iterator<Item = usize> {
        let held = self.held.iter().filter(|(_, count)| **count > 0);
        held.map(|(object, _)| *object)
    }
}

#[derive(Default)]
pub struct Machine {
    pub names: HashMap<HostName, usize>,
    pub objects: Vec<Content>,
    /// By how many handles each object is open, and by how many guests it is held.
    users: HashMap<usize, usize>,
}

impl Machine {
    /// A native program creates an object, if there is none.
    pub fn create(&mut self, name: HostName, content: Content) -> bool {
        if self.names.contains_key(&name) {
            return false;
        }
        self.names.insert(name, self.objects.len());
        self.objects.push(content);
        true
    }

    /// What counts as an object that the guest has created.
    fn charged(&self, guest: &Guest) -> usize {
        let named = guest.created.iter();
        let named = named.filter(|(name, (object, _))| self.names.get(name) == Some(object));
        let named = named.map(|(_, (object, _))| *object);
        let own = guest.own.iter().copied();
        let used = own.filter(|object| self.users.get(object).is_some_and(|users| *users > 0));
        let all = named.chain(used).chain(guest.grown.iter().copied());
        all.collect::<HashSet<_>>().len()
    }

    fn use_more(&mut self, object: usize) {
        *self.users.entry(object).or_default() += 1;
    }

    fn use_less(&mut self, object: usize) {
        *self.users.get_mut(&object).expect("it is in use") -= 1;
    }

    /// A handle is closed.
    pub fn close(&mut self, handle: &Handle) {
        self.use_less(handle.object);
    }

    pub fn open(
        &mut self,
        guest: &mut Guest,
        (kind, name): (Kind, &str),
        opening: &Opening,
    ) -> Result<Handle, String> {
        let (reads, writes) = match opening.direction {
            Direction::Read => (true, false),
            Direction::Write => (false, true),
            Direction::ReadWrite => (true, true),
        };
        let truncates = opening.flags.contains(OpenFlags::TRUNCATE);
        if kind != Kind::SharedMemory && truncates || kind == Kind::SharedMemory && !reads {
            return fail("Invalid");
        }
        let Some(granted) = guest.granted.get(&(kind, name.to_owned())).cloned() else {
            return fail("NotPermitted");
        };
        let allowed = match granted.access {
            Access::ReadOnly => !writes,
            Access::Receive => !writes,
            Access::Send => !reads,
            // A semaphore is opened for whatever is granted.
            _ => true,
        };
        if !allowed {
            return fail("NotPermitted");
        }
        if guest.open() + 1 + usize::from(granted.undo) > HANDLES {
            return fail("Quota");
        }
        let (object, is_new) = self.open_or_create(guest, kind, &granted, opening)?;
        let own = guest
            .created
            .values()
            .any(|(created, _)| *created == object);
        let handle = Handle {
            kind,
            object,
            granted,
            reads,
            writes,
            charge: own.then_some(object),
        };
        if kind == Kind::SharedMemory && !is_new {
            let sizes = truncates.then_some(0).into_iter().chain(opening.size);
            for size in sizes {
                self.resize(guest, &handle, size)?;
            }
        }
        self.use_more(object);
        Ok(handle)
    }

    fn open_or_create(
        &mut self,
        guest: &mut Guest,
        kind: Kind,
        granted: &Granted,
        opening: &Opening,
    ) -> Result<(usize, bool), String> {
        let creates = opening.flags.contains(OpenFlags::CREATE);
        let exclusive = opening.flags.contains(OpenFlags::EXCLUSIVE);
        let name = (kind, granted.host);
        let present = self.names.get(&name).copied();
        if exclusive && !creates {
            return fail("Invalid");
        }
        match present {
            Some(object) if !exclusive => return Ok((object, false)),
            None if !creates => return fail("NoEntry"),
            _ => {}
        }
        if granted.lifecycle == Lifecycle::Open {
            return fail("NotPermitted");
        }
        if self.charged(guest) >= CREATED {
            return fail("Quota");
        }
        if present.is_some() {
            return fail("Exists");
        }
        let object = self.objects.len();
        self.create(
            name,
            match kind {
                Kind::Semaphore => Content::Semaphore(opening.value),
                Kind::SharedMemory => Content::Segment(vec![0; opening.size.unwrap_or(0) as usize]),
                Kind::MessageQueue => Content::Queue(opening.queue, Vec::new()),
                other => unreachable!("{other} is new"),
            },
        );
        guest.created.insert(name, (object, granted.keep));
        guest.own.insert(object);
        Ok((object, true))
    }

    pub fn unlink(&mut self, guest: &mut Guest, (kind, name): (Kind, &str)) -> Outcome {
        let Some(granted) = guest.granted.get(&(kind, name.to_owned())) else {
            return fail("NotPermitted");
        };
        let name = (kind, granted.host);
        let present = self.names.get(&name);
        let created = guest.created.get(&name).map(|(object, _)| object);
        match (granted.lifecycle, present) {
            (Lifecycle::Open, _) => fail("NotPermitted"),
            (_, None) => fail("NoEntry"),
            (Lifecycle::Create, present) if created != present => fail("NotPermitted"),
            _ => {
                self.names.remove(&name);
                guest.created.remove(&name);
                Ok(Value::Done)
            }
        }
    }

    /// The guest ends.
    pub fn end(&mut self, guest: Guest) {
        for handle in guest.handles.values() {
            self.close(handle);
        }
        for (object, held) in guest.held {
            if held > 0 {
                self.use_less(object);
            }
            if let Content::Semaphore(value) = &mut self.objects[object] {
                *value += held;
            }
        }
        for (name, (object, keep)) in guest.created {
            if !keep && self.names.get(&name) == Some(&object) {
                self.names.remove(&name);
            }
        }
    }

    fn semaphore(&mut self, handle: &Handle) -> &mut u32 {
        match &mut self.objects[handle.object] {
            Content::Semaphore(value) => value,
            other => panic!("{other:?} is no semaphore"),
        }
    }

    pub fn value(&mut self, handle: &Handle) -> Outcome {
        Ok(Value::Number((*self.semaphore(handle)).into()))
    }

    pub fn acquire(&mut self, handle: &Handle, held: &mut HashMap<usize, u32>) -> Outcome {
        if handle.granted.access == Access::Post {
            return fail("NotPermitted");
        }
        let value = self.semaphore(handle);
        let Some(less) = value.checked_sub(1) else {
            return fail("Busy");
        };
        *value = less;
        if handle.granted.undo {
            let held = held.entry(handle.object).or_default();
            *held += 1;
            if *held == 1 {
                self.use_more(handle.object);
            }
        }
        Ok(Value::Done)
    }

    pub fn release(&mut self, handle: &Handle, held: &mut HashMap<usize, u32>) -> Outcome {
        if handle.granted.access == Access::Wait {
            return fail("NotPermitted");
        }
        *self.semaphore(handle) += 1;
        if handle.granted.undo {
            let held = held.entry(handle.object).or_default();
            if *held == 1 {
                self.use_less(handle.object);
            }
            *held = held.saturating_sub(1);
        }
        Ok(Value::Done)
    }

    pub fn segment(&mut self, handle: &Handle) -> &mut Vec<u8> {
        match &mut self.objects[handle.object] {
            Content::Segment(bytes) => bytes,
            other => panic!("{other:?} is no segment"),
        }
    }

    pub fn resize(&mut self, guest: &mut Guest, handle: &Handle, size: u64) -> Outcome {
        if !handle.writes {
            return fail("Access");
        }
        let created = guest.created.values();
        let created = created
            .map(|(object, _)| *object)
            .any(|object| object == handle.object);
        let allowed = match handle.granted.lifecycle {
            Lifecycle::Open => false,
            Lifecycle::Create => created,
            Lifecycle::Own => true,
            other => unreachable!("{other} is new"),
        };
        let before = self.segment(handle).len() as u64;
        if before == size {
            return Ok(Value::Done);
        }
        if !allowed {
            return fail("NotPermitted");
        }
        if before < size && handle.charge.is_none() && !guest.grown.contains(&handle.object) {
            if self.charged(guest) >= CREATED {
                return fail("Quota");
            }
            guest.grown.insert(handle.object);
        }
        self.segment(handle).resize(size as usize, 0);
        Ok(Value::Done)
    }

    pub fn read(&mut self, handle: &Handle, offset: usize, length: usize) -> Outcome {
        let bytes = self.segment(handle);
        let from = bytes.get(offset..).unwrap_or_default();
        Ok(Value::Bytes(from[..length.min(from.len())].to_vec()))
    }

    pub fn write(&mut self, handle: &Handle, offset: usize, data: &[u8]) -> Outcome {
        if !handle.writes {
            return fail("Access");
        }
        match self.segment(handle).get_mut(offset..offset + data.len()) {
            Some(bytes) => bytes.copy_from_slice(data),
            None => return fail("Truncated"),
        }
        Ok(Value::Done)
    }

    pub fn add(&mut self, handle: &Handle, offset: usize, operand: u32) -> Outcome {
        if !handle.writes {
            return fail("Access");
        }
        if !offset.is_multiple_of(4) {
            return fail("Invalid");
        }
        let Some(bytes) = self.segment(handle).get_mut(offset..offset + 4) else {
            return fail("Truncated");
        };
        let before = u32::from_ne_bytes(bytes.try_into().expect("four bytes"));
        bytes.copy_from_slice(&before.wrapping_add(operand).to_ne_bytes());
        Ok(Value::Number(before.into()))
    }

    fn queue(&mut self, handle: &Handle) -> (Size, &mut Vec<Queued>) {
        match &mut self.objects[handle.object] {
            Content::Queue(size, messages) => (*size, messages),
            other => panic!("{other:?} is no queue"),
        }
    }

    pub fn attributes(&mut self, handle: &Handle) -> Outcome {
        let (size, messages) = self.queue(handle);
        Ok(Value::Attributes(size, messages.len() as u32))
    }

    pub fn send(&mut self, handle: &Handle, priority: u32, payload: &[u8]) -> Outcome {
        const PRIORITIES: u32 = 32768;
        if !handle.writes {
            return fail("Access");
        }
        let (size, messages) = self.queue(handle);
        if priority >= PRIORITIES {
            return fail("Invalid");
        }
        if payload.len() > size.bytes as usize {
            return fail("MessageTooLong");
        }
        if messages.len() == size.messages as usize {
            return fail("Busy");
        }
        let place = messages.partition_point(|(other, _)| *other >= priority);
        messages.insert(place, (priority, payload.to_vec()));
        Ok(Value::Done)
    }

    pub fn receive(&mut self, handle: &Handle) -> Outcome {
        if !handle.reads {
            return fail("Access");
        }
        let (_, messages) = self.queue(handle);
        if messages.is_empty() {
            return fail("Busy");
        }
        let (priority, payload) = messages.remove(0);
        Ok(Value::Message(priority, payload))
    }

    pub fn receive_batch(&mut self, handle: &Handle, max: usize) -> Outcome {
        if !handle.reads {
            return fail("Access");
        }
        let (_, messages) = self.queue(handle);
        if messages.is_empty() && max > 0 {
            return fail("Busy");
        }
        let taken = messages.drain(..max.min(messages.len())).collect();
        Ok(Value::Messages(taken))
    }
}
