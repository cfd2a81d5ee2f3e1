//! Closing a descriptor on behalf of another process.
//!
//! To close any descriptor of a message queue ends the notification that the process
//! has asked for, see [`super::queue_fd`]. The kernel goes by the process that makes
//! the call. So a child that shares the table of descriptors makes it.
//!
//! References: Linux `clone(2)`, `mq_notify(2)`.

use super::Result;
use nix::sched::{CloneFlags, clone};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::wait::{WaitPidFlag, waitpid};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

/// Bytes of the child's stack, which holds a frame or two.
const STACK: usize = 16 << 10;

/// Closes a descriptor as a process that has not asked for a notification.
///
/// # Errors
///
/// If there can be no child. Then it is closed as usual.
pub(super) fn by_another(descriptor: OwnedFd) -> Result<()> {
    let mut stack = vec![0; STACK];
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_FILES | CloneFlags::CLONE_VFORK;
    let number = descriptor.as_raw_fd();
    // SAFETY: a plain system call, on the descriptor that is given up below.
    let close = Box::new(move || unsafe { libc::syscall(libc::SYS_close, number) } as isize);
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: the stack lives until this thread goes on, which is when the child has ended
    // (`CLONE_VFORK`). The child makes one system call, and no handler of this process runs
    // in it as signals are blocked meanwhile.
    let child = unsafe { clone(close, &mut stack, flags, None) };
    if let Ok(child) = child {
        // Only this call waits for it: its end is told by no signal (`__WALL`).
        let _ = waitpid(child, Some(WaitPidFlag::__WALL));
    }
    let _ = before.thread_set_mask();
    // Another descriptor may have its number by now.
    child.map(|_| _ = descriptor.into_raw_fd())
}
