//! UDP datagrams sent a batch at a time, from several source addresses.

use std::collections::HashMap;
use std::io;
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};

/// Datagrams handed to the kernel by one system call.
const BATCH: usize = 64;

/// Sends to one address; each source address has a socket of its own, as an exporter has.
pub struct Sender {
    target: SocketAddr,
    sockets: HashMap<IpAddr, Outgoing>,
    sent: u64,
}

struct Outgoing {
    socket: UdpSocket,
    headers: MultiHeaders<SockaddrStorage>,
    waiting: Vec<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

impl Sender {
    /// A sender to `target`.
    pub fn new(target: SocketAddr) -> Sender {
        Sender { target, sockets: HashMap::new(), sent: 0 }
    }

    /// Datagrams handed to the kernel so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends a datagram from `source`, an address of this machine, when its batch is full.
    ///
    /// # Errors
    ///
    /// If `source` cannot be bound or the kernel refuses.
    pub fn send(&mut self, source: IpAddr, payload: &[u8]) -> io::Result<()> {
        if !self.sockets.contains_key(&source) {
            let socket = UdpSocket::bind(SocketAddr::new(source, 0))?;
            socket.connect(self.target)?;
            let headers = MultiHeaders::preallocate(BATCH, None);
            self.sockets.insert(source, Outgoing { socket, headers, waiting: Vec::new(), spare: Vec::new() });
        }
        let Some(outgoing) = self.sockets.get_mut(&source) else { return Ok(()) };
        let mut buffer = outgoing.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(payload);
        outgoing.waiting.push(buffer);
        if outgoing.waiting.len() == BATCH {
            self.sent += outgoing.flush()?;
        }
        Ok(())
    }

    /// Sends what waits.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn flush(&mut self) -> io::Result<()> {
        for outgoing in self.sockets.values_mut() {
            self.sent += outgoing.flush()?;
        }
        Ok(())
    }
}

impl Outgoing {
    fn flush(&mut self) -> io::Result<u64> {
        let mut sent = 0;
        while sent < self.waiting.len() {
            let slices: Vec<[IoSlice<'_>; 1]> = self.waiting[sent..].iter().map(|payload| [IoSlice::new(payload)]).collect();
            let targets: Vec<Option<SockaddrStorage>> = vec![None; slices.len()];
            let results = sendmmsg(self.socket.as_raw_fd(), &mut self.headers, &slices, &targets, [], MsgFlags::empty());
            match results {
                Ok(results) => sent += results.count().max(1),
                // A refusal of an earlier datagram (nobody listens) is reported once and does not stop us.
                Err(nix::errno::Errno::ECONNREFUSED | nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.spare.append(&mut self.waiting);
        Ok(sent as u64)
    }
}
