//! The one system call of the test that Rust has no safe wrapper for: `FS_IOC_SHUTDOWN`.
//!
//! Always: nothing but this call is here, so that `unsafe` stays in one place that can be read at a glance.
#![allow(
    unsafe_code,
    reason = "rustix wraps ioctls of known shape, but leaves naming the shape to the caller"
)]

use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// `EXT4_IOC_SHUTDOWN`, the same number as XFS's: `_IOR('X', 125, __u32)`. The kernel reads the word although the name says otherwise.
const FS_IOC_SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);
/// Do not write the journal out first: what was not synced is gone.
const NO_LOG_FLUSH: u32 = 2;

/// Cuts the power of the file system that `place` lies on: what it has not written yet is never written, and every later operation
/// fails. Needs root.
pub(crate) fn cut_power(place: impl AsFd) -> io::Result<()> {
    // SAFETY: the opcode is the kernel's, its argument is a pointer to one u32 that the kernel only reads (ext4_ioctl_shutdown, get_user),
    // `Setter` passes exactly that and keeps the u32 alive during the call. A file system that does not know the opcode answers ENOTTY.
    let answer = unsafe { ioctl(place, Setter::<FS_IOC_SHUTDOWN, u32>::new(NO_LOG_FLUSH)) };
    answer.map_err(io::Error::from)
}
