//! Which object it is, whatever its name says by now.

use nix::sys::stat::{FileStat, makedev};
use std::fmt;

/// Device and inode of an object. Names are re-used by anybody; an identity is
/// not, as long as the object exists.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl Identity {
    pub(crate) fn of(stat: &FileStat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }

    /// The object that is mapped at an address of this process.
    ///
    /// For an object that only a mapping leads to: looking its name up again
    /// could find another object that a peer has put there meanwhile.
    pub(super) fn mapped_at(address: usize) -> Option<Self> {
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        maps.lines().find_map(|line| parse_mapping(line, address))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.device, self.inode)
    }
}

/// Reads a line of `/proc/self/maps`:
/// `7f1c00000000-7f1c00001000 rw-s 00000000 00:1a 42   /dev/shm/sem.x`.
fn parse_mapping(line: &str, address: usize) -> Option<Identity> {
    let mut fields = line.split_ascii_whitespace();
    let (low, high) = fields.next()?.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    if !(hex(low)?..hex(high)?).contains(&(address as u64)) {
        return None;
    }
    let (major, minor) = fields.nth(2)?.split_once(':')?;
    let device = makedev(hex(major)?, hex(minor)?);
    let inode = fields.next()?.parse().ok()?;
    Some(Identity { device, inode })
}
