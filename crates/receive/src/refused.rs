//! Where datagrams end whose senders are not allowed: a socket of their own, beside those of the workers.
//!
//! The kernel tells them apart before any worker sees them, so a flood of them fills this socket's small
//! buffer and no other. They are counted all the same: those that were read, and those that found no room.

use std::io;
use std::net::IpAddr;

use nix::sys::socket::{setsockopt, sockopt};

use crate::receiver::{Received, Receiver};
use crate::steering::Steering;

/// The socket of those who are not allowed.
pub struct Refused {
    receiver: Receiver,
    workers: u32,
    exporters: Vec<IpAddr>,
    /// Datagrams that found no room, of which was told.
    told: u64,
}

impl Refused {
    pub(crate) fn new(receiver: Receiver, workers: u32, exporters: &[IpAddr]) -> Refused {
        Refused { receiver, workers, exporters: exporters.to_vec(), told: 0 }
    }

    /// Lets in whom another list allows from now on. Where the kernel cannot take the list, everything comes to the
    /// workers, who ask anew.
    ///
    /// # Errors
    ///
    /// If the kernel does not take the program.
    pub fn allow(&self, allowed: &[(IpAddr, u8)]) -> io::Result<()> {
        let steering = Steering::new(self.workers, &self.exporters, allowed);
        // A list that is too long is left to the workers.
        let Some(mut steering) = steering.or_else(|| Steering::new(self.workers, &self.exporters, &[])) else { return Ok(()) };
        setsockopt(&self.receiver.as_fd(), sockopt::AttachReusePortCbpf, &steering.as_filter())?;
        Ok(())
    }

    /// Gives a batch of what came, without waiting; and how many found no room since the last time.
    ///
    /// # Errors
    ///
    /// If the socket fails.
    pub fn receive(&mut self, each: impl FnMut(Received<'_>)) -> io::Result<u64> {
        self.receiver.receive(each)?;
        let dropped = self.receiver.kernel_drops();
        Ok(dropped - std::mem::replace(&mut self.told, dropped).min(dropped))
    }
}
