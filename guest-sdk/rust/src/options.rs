use crate::bindings::posix::ipc::types;

/// Permission bits of a new object where the caller names none: its owner's processes,
/// and no others.
pub(crate) const DEFAULT_MODE: u32 = 0o600;

/// The directions that an object is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// To read a segment, or to receive from a queue. Similar to `O_RDONLY` in POSIX.
    Read,
    /// To send to a queue. A segment cannot be opened so. Similar to `O_WRONLY` in POSIX.
    Write,
    /// Both. Similar to `O_RDWR` in POSIX.
    ReadWrite,
}

impl From<Access> for types::Access {
    fn from(access: Access) -> Self {
        match access {
            Access::Read => Self::Read,
            Access::Write => Self::Write,
            Access::ReadWrite => Self::ReadWrite,
        }
    }
}

/// What the options of all kinds of objects share: whether an open creates.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Create {
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    pub(crate) truncate: bool,
}

impl Create {
    pub(crate) fn flags(self) -> types::OpenFlags {
        let mut flags = types::OpenFlags::empty();
        flags.set(types::OpenFlags::CREATE, self.create || self.create_new);
        flags.set(types::OpenFlags::EXCLUSIVE, self.create_new);
        flags.set(types::OpenFlags::TRUNCATE, self.truncate);
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::OpenFlags;

    #[test]
    fn a_new_object_is_created_exclusively() {
        let mut options = Create::default();
        assert_eq!(options.flags(), OpenFlags::empty());
        options.create_new = true;
        assert_eq!(options.flags(), OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
        options = Create {
            create: true,
            truncate: true,
            ..Create::default()
        };
        assert_eq!(options.flags(), OpenFlags::CREATE | OpenFlags::TRUNCATE);
    }
}
