//! Many messages by one system call.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

/// Takes what waits on a socket into `headers`, without waiting; gives how many there were.
///
/// # Errors
///
/// If the socket fails; nothing waiting is no error.
///
/// # Safety
///
/// Each header must point to memory that is as long as it says and that nobody else uses during the call.
#[expect(unsafe_code, reason = "recvmmsg")]
pub(crate) unsafe fn receive_waiting(socket: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
    // SAFETY: the headers are as long as told, and what they point to is as the caller promises.
    let count = unsafe {
        libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), headers.len() as u32, libc::MSG_DONTWAIT, std::ptr::null_mut())
    };
    if count >= 0 {
        return Ok(count as usize);
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        // Refused was something that this socket sent before.
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => Ok(0),
        _ => Err(error),
    }
}

/// A header that points nowhere yet.
#[expect(unsafe_code, reason = "plain C structures start as zeros")]
pub(crate) fn empty_header() -> libc::mmsghdr {
    // SAFETY: all fields are integers or raw pointers, for which zero is valid.
    unsafe { zeroed() }
}
