//! A semaphore of the machine, for a program that takes part beside the guests.

use crate::name::Name;
use crate::sys::{Errno, semaphore};
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// An open named semaphore, closed on drop. The name stays.
///
/// A peer cannot hurt the process that uses it: one that shrinks the semaphore or writes
/// garbage into it causes an error, where the functions of the C library may end the
/// process.
///
/// ```no_run
/// use std::time::Duration;
/// use wasmtime_posix_ipc::grant::{Kind, Name};
/// use wasmtime_posix_ipc::objects::Semaphore;
///
/// let gate = Semaphore::open(&Name::new(Kind::Semaphore, "/gate")?)?;
/// if gate.wait(Some(Duration::from_secs(5)))? {
///     gate.post()?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Semaphore(semaphore::Semaphore);

impl Semaphore {
    /// Opens a semaphore that exists. Similar to `sem_open` in POSIX.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none, `PermissionDenied` if this user may not both read and
    /// write it, `InvalidInput` if what has the name is no semaphore, and `WouldBlock` if
    /// another program has leased it.
    pub fn open(name: &Name) -> io::Result<Self> {
        Ok(Self(semaphore::Semaphore::open(&of_kind(name)?)?))
    }

    /// Creates a semaphore that must not exist, with these permission bits, less those of
    /// the umask, and this value. Similar to `sem_open` with `O_CREAT | O_EXCL` in POSIX.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if the name is taken, `InvalidInput` if the value is greater than
    /// `SEM_VALUE_MAX`, or what the system answers.
    pub fn create(name: &Name, mode: u32, value: u32) -> io::Result<Self> {
        let name = of_kind(name)?;
        Ok(Self(semaphore::Semaphore::create(
            &name,
            mode & 0o777,
            value,
            |_| {},
        )?))
    }

    /// The value now. Similar to `sem_getvalue` in POSIX.
    ///
    /// # Errors
    ///
    /// If a peer has shrunk the semaphore.
    pub fn value(&self) -> io::Result<u32> {
        Ok(self.0.value()?)
    }

    /// Adds 1 to the value, which wakes one of those that wait. Similar to `sem_post` in
    /// POSIX.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW` at the greatest value, or if a peer has shrunk the semaphore.
    pub fn post(&self) -> io::Result<()> {
        Ok(self.0.release()?)
    }

    /// Takes 1 from the value, for which it blocks this thread for up to `limit`, or for
    /// ever. Says whether it has taken it. Similar to `sem_timedwait` in POSIX.
    ///
    /// # Errors
    ///
    /// If a peer has shrunk the semaphore.
    pub fn wait(&self, limit: Option<Duration>) -> io::Result<bool> {
        /// How soon a semaphore is found to have been shrunk, of which nobody is told.
        const LOOK: Duration = Duration::from_secs(1);
        /// Where nobody can be woken.
        const POLL: Duration = Duration::from_millis(10);
        let start = Instant::now();
        loop {
            match self.0.try_acquire() {
                Err(Errno::EAGAIN) => {}
                taken => return Ok(taken.map(|()| true)?),
            }
            let left = limit.map_or(LOOK, |limit| limit.saturating_sub(start.elapsed()));
            if left.is_zero() {
                return Ok(false);
            }
            if !semaphore::layout_is_known() {
                sleep(left.min(POLL));
                continue;
            }
            match self.0.acquire_within(left.min(LOOK)) {
                Err(Errno::ETIMEDOUT) => {}
                taken => return Ok(taken.map(|()| true)?),
            }
        }
    }
}

fn of_kind(name: &Name) -> io::Result<Name> {
    match name.kind() {
        crate::name::Kind::Semaphore => Ok(name.clone()),
        kind => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name} is the name of a {kind} object, not of a semaphore"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Kind;
    use crate::objects;

    #[test]
    fn a_wait_takes_what_a_post_gives_and_ends_in_time() {
        let name = Name::unique(Kind::Semaphore);
        let semaphore = Semaphore::create(&name, 0o600, 1).unwrap();
        let other = Semaphore::open(&name).unwrap();
        assert!(semaphore.wait(Some(Duration::ZERO)).unwrap());
        assert!(!semaphore.wait(Some(Duration::ZERO)).unwrap());
        assert!(!semaphore.wait(Some(Duration::from_millis(20))).unwrap());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| semaphore.wait(None).unwrap());
            other.post().unwrap();
            assert!(waiting.join().unwrap());
        });
        assert_eq!(other.value().unwrap(), 0);
        objects::unlink(&name).unwrap();
    }

    #[test]
    fn a_name_of_another_kind_is_none_of_a_semaphore() {
        let name = Name::unique(Kind::MessageQueue);
        let opened = Semaphore::open(&name);
        assert_eq!(opened.err().unwrap().kind(), io::ErrorKind::InvalidInput);
    }
}
