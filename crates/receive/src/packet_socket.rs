//! A socket that sees the packets of an interface: what a tap and a mirror have in common.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};
use pnet::datalink::{self, Channel, Config, DataLinkReceiver, NetworkInterface};

/// What the kernel tells beside a packet, from the first one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    TimeAndVlan,
}

/// A packet socket bound to an interface, which it keeps promiscuous.
pub(crate) struct PacketSocket {
    name: String,
    socket: OwnedFd,
    kernel_drops: u64,
}

impl PacketSocket {
    /// Opens an interface; pnet reads from the same socket as `config` says.
    ///
    /// # Errors
    ///
    /// If there is no such interface, or the program may not listen on it (CAP_NET_RAW).
    pub(crate) fn open(
        name: &str,
        buffer_bytes: usize,
        told: Told,
        config: Config,
    ) -> io::Result<(PacketSocket, Box<dyn DataLinkReceiver>)> {
        let interface = find(name)?;
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
        set_packet_option(&socket, PACKET_IGNORE_OUTGOING)?;
        if told == Told::TimeAndVlan {
            set_packet_option(&socket, libc::PACKET_AUXDATA)?;
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        }
        if setsockopt(&socket, sockopt::RcvBufForce, &buffer_bytes).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &buffer_bytes)?;
        }
        let config = Config { promiscuous: true, socket_fd: Some(socket.try_clone()?.into_raw_fd()), ..config };
        let Channel::Ethernet(_, frames) = datalink::channel(&interface, config)? else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the interface has no Ethernet frames"));
        };
        Ok((PacketSocket { name: name.to_owned(), socket, kernel_drops: 0 }, frames))
    }

    /// The interface.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The receive buffer that the kernel granted, bytes.
    pub(crate) fn buffer_granted(&self) -> usize {
        nix::sys::socket::getsockopt(&self.socket, sockopt::RcvBuf).unwrap_or(0)
    }

    /// Packets that the kernel dropped for want of buffer, up to the last [`PacketSocket::count_drops`].
    pub(crate) fn kernel_drops(&self) -> u64 {
        self.kernel_drops
    }

    /// Asks the kernel what it has dropped.
    pub(crate) fn count_drops(&mut self) {
        self.kernel_drops += dropped(&self.socket);
    }

    /// Waits until a packet has come, or `wait` has passed; gives which.
    ///
    /// # Errors
    ///
    /// If the kernel cannot poll; an interruption by a signal is none.
    pub(crate) fn wait(&self, wait: Duration) -> io::Result<bool> {
        wait_for(self.socket.as_fd(), wait)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn find(name: &str) -> io::Result<NetworkInterface> {
    let interfaces = datalink::interfaces();
    let names = || interfaces.iter().map(|interface| interface.name.as_str()).collect::<Vec<_>>().join(", ");
    interfaces.iter().find(|interface| interface.name == name).cloned().ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("there is no such interface; this machine has {}", names()))
    })
}

fn wait_for(socket: BorrowedFd<'_>, wait: Duration) -> io::Result<bool> {
    let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(socket, PollFlags::POLLIN)], timeout) {
        Ok(ready) => Ok(ready > 0),
        Err(nix::errno::Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What this machine sends itself is no mirror's: on the loopback it would come twice.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Switches an option of packet sockets on.
#[expect(unsafe_code, reason = "setsockopt of options that nix does not have")]
fn set_packet_option(socket: &OwnedFd, option: libc::c_int) -> io::Result<()> {
    let yes: libc::c_int = 1;
    // SAFETY: the option takes an int, which lives during the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            (&raw const yes).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Frames dropped since the last question.
#[expect(unsafe_code, reason = "getsockopt of an option that nix does not have")]
fn dropped(socket: &OwnedFd) -> u64 {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the option fills such a structure, whose length is told.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    };
    if done == 0 { u64::from(statistics.tp_drops) } else { 0 }
}
