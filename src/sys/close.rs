//! Closing a descriptor on behalf of another process.
//!
//! To close any descriptor of a message queue ends the notification that the process
//! has asked for, see [`super::notification`]. The kernel goes by the process that makes
//! the call. So a child that shares the table of descriptors makes it.
//!
//! References: Linux `clone(2)`, `mq_notify(2)`.

use super::{Result, check};
use std::ffi::{c_int, c_void};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

/// Bytes of the child's stack, which holds a frame or two.
const STACK: usize = 16 << 10;

#[repr(align(16))]
struct Stack([MaybeUninit<u8>; STACK]);

/// Closes a descriptor as a process that has not asked for a notification.
///
/// # Errors
///
/// If there can be no child. Then it is closed as usual.
pub(super) fn by_another(descriptor: OwnedFd) -> Result<()> {
    let mut stack = Box::new(Stack([MaybeUninit::uninit(); STACK]));
    let flags = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_VFORK;
    let argument = descriptor.as_raw_fd() as usize as *mut c_void;
    // SAFETY: the stack grows down from its aligned end and lives until this thread goes
    // on, which is when the child has ended (`CLONE_VFORK`). The child makes one system
    // call, and no handler of this process runs in it as signals are blocked meanwhile.
    let child = unsafe {
        let mut every: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut every);
        libc::pthread_sigmask(libc::SIG_SETMASK, &every, &mut before);
        let end = stack.0.as_mut_ptr().add(STACK).cast();
        let child = check(libc::clone(close, end, flags, argument));
        if let Ok(child) = child {
            // Only this call waits for it: its end is told by no signal (`__WALL`).
            libc::waitpid(child, ptr::null_mut(), libc::__WALL);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
        child
    };
    // Another descriptor may have its number by now.
    child.map(|_| {
        let _closed = ManuallyDrop::new(descriptor);
    })
}

/// The whole program of the child.
extern "C" fn close(descriptor: *mut c_void) -> c_int {
    // SAFETY: a plain system call on the descriptor, which its owner gives up.
    unsafe { libc::syscall(libc::SYS_close, descriptor as usize as c_int) as c_int }
}
