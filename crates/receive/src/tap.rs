//! Telemetry of another collector, seen on an interface: a mirror port, or the far end of an ERSPAN.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};
use pnet::datalink::{self, Channel, Config, DataLinkReceiver, NetworkInterface};

use crate::capture::fragments::Fragments;
use crate::capture::packet::{self, Parsed};
use crate::receiver::Received;

/// Link type of Ethernet (tcpdump.org).
const ETHERNET: i32 = 1;
/// Largest frame: with offloads it is more than the wire carries.
const FRAME_BYTES: usize = 1 << 17;
/// Frames taken in one go, so that a busy mirror leaves time for reports.
const BATCH_FRAMES: usize = 64;

/// An interface on which telemetry datagrams are picked out of all frames that come in.
pub struct Tap {
    name: String,
    frames: Box<dyn DataLinkReceiver>,
    /// The same socket, to ask the kernel about.
    socket: OwnedFd,
    ports: Vec<u16>,
    fragments: Fragments,
    kernel_drops: u64,
}

impl Tap {
    /// Listens on an interface to datagrams for these ports.
    ///
    /// # Errors
    ///
    /// If there is no such interface, or the program may not listen on it (CAP_NET_RAW).
    pub fn open(name: &str, ports: &[u16], buffer_bytes: usize) -> io::Result<Tap> {
        let interface = find(name)?;
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
        set_packet_option(&socket, PACKET_IGNORE_OUTGOING)?;
        if setsockopt(&socket, sockopt::RcvBufForce, &buffer_bytes).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &buffer_bytes)?;
        }
        let config = Config {
            read_buffer_size: FRAME_BYTES,
            // Only what waits: waiting is done for all sources together.
            read_timeout: Some(Duration::ZERO),
            promiscuous: true,
            socket_fd: Some(socket.try_clone()?.into_raw_fd()),
            ..Config::default()
        };
        let Channel::Ethernet(_, frames) = datalink::channel(&interface, config)? else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the interface has no Ethernet frames"));
        };
        let (ports, fragments) = (ports.to_vec(), Fragments::default());
        Ok(Tap { name: name.to_owned(), frames, socket, ports, fragments, kernel_drops: 0 })
    }

    /// The interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The receive buffer that the kernel granted, bytes.
    pub fn buffer_granted(&self) -> usize {
        nix::sys::socket::getsockopt(&self.socket, sockopt::RcvBuf).unwrap_or(0)
    }

    /// Frames that the kernel dropped for want of buffer; telemetry or not, it cannot tell.
    pub fn kernel_drops(&self) -> u64 {
        self.kernel_drops
    }

    /// Waits until a frame has come, or `wait` has passed.
    ///
    /// # Errors
    ///
    /// If the kernel cannot poll; an interruption by a signal is none.
    pub fn wait(&self, wait: Duration) -> io::Result<()> {
        wait_for(self.socket.as_fd(), wait).map(|_| ())
    }

    /// Gives the datagrams among the frames that wait, without waiting; how many there were.
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    pub fn receive(&mut self, mut each: impl FnMut(Received<'_>)) -> io::Result<usize> {
        let mut came = 0;
        for _ in 0..BATCH_FRAMES {
            if !wait_for(self.socket.as_fd(), Duration::ZERO)? {
                break;
            }
            let frame = match self.frames.next() {
                Ok(frame) => frame,
                Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => break,
                Err(error) => return Err(error),
            };
            let received_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
            let is_ours = |destination: SocketAddr| self.ports.contains(&destination.port());
            match packet::parse(ETHERNET, frame) {
                Parsed::Datagram(datagram) if is_ours(datagram.destination) && !datagram.is_cut_off => {
                    each(Received { received_us, source: datagram.source, payload: &frame[datagram.payload] });
                    came += 1;
                }
                Parsed::Fragment(fragment) if !fragment.is_cut_off => {
                    let Some(whole) = self.fragments.add(received_us, &fragment, &frame[fragment.bytes.clone()]) else {
                        continue;
                    };
                    let joined = packet::joined(fragment.source, fragment.destination, &whole);
                    if let Some(datagram) = joined.filter(|datagram| is_ours(datagram.destination)) {
                        each(Received { received_us, source: datagram.source, payload: &whole[datagram.payload] });
                        came += 1;
                    }
                }
                _ => {}
            }
        }
        self.kernel_drops += dropped(&self.socket);
        Ok(came)
    }
}

pub(crate) fn find(name: &str) -> io::Result<NetworkInterface> {
    let interfaces = datalink::interfaces();
    let names = || interfaces.iter().map(|interface| interface.name.as_str()).collect::<Vec<_>>().join(", ");
    interfaces.iter().find(|interface| interface.name == name).cloned().ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("there is no such interface; this machine has {}", names()))
    })
}

pub(crate) fn wait_for(socket: BorrowedFd<'_>, wait: Duration) -> io::Result<bool> {
    let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(socket, PollFlags::POLLIN)], timeout) {
        Ok(ready) => Ok(ready > 0),
        Err(nix::errno::Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What this machine sends itself is no mirror's: on the loopback it would come twice.
pub(crate) const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Switches an option of packet sockets on.
#[expect(unsafe_code, reason = "setsockopt of options that nix does not have")]
pub(crate) fn set_packet_option(socket: &OwnedFd, option: libc::c_int) -> io::Result<()> {
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
pub(crate) fn dropped(socket: &OwnedFd) -> u64 {
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

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn datagrams_for_the_ports_are_seen_once() {
        let mut tap = match Tap::open("lo", &[20_551], 1 << 20) {
            Ok(tap) => tap,
            Err(error) => {
                eprintln!("passed over: may not listen on lo: {error}");
                return;
            }
        };
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let large = vec![7; 40_000];
        for (payload, port) in [(&b"one"[..], 20_551), (b"other", 20_552), (&large, 20_551)] {
            sender.send_to(payload, ("127.0.0.1", port)).unwrap();
        }
        let mut seen: Vec<Vec<u8>> = Vec::new();
        while seen.len() < 2 {
            tap.wait(Duration::from_secs(10)).unwrap();
            tap.receive(|datagram| {
                assert_eq!(datagram.source, sender.local_addr().unwrap());
                seen.push(datagram.payload.to_vec());
            })
            .unwrap();
        }
        assert_eq!(seen, [b"one".to_vec(), large]);
        assert!(Tap::open("nothing0", &[1], 1 << 20).err().unwrap().to_string().contains("this machine has lo"));
    }
}
