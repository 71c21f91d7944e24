//! Telemetry of another collector, seen on an interface: a mirror port, or the far end of an ERSPAN.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pnet::datalink::{Config, DataLinkReceiver};

use crate::capture::fragments::Fragments;
use crate::capture::packet::{self, Parsed};
use crate::packet_socket::{PacketSocket, Told};
use crate::receiver::Received;

/// Link type of Ethernet (tcpdump.org).
const ETHERNET: i32 = 1;
/// Largest frame: with offloads it is more than the wire carries.
const FRAME_BYTES: usize = 1 << 17;
/// Frames taken in one go, so that a busy mirror leaves time for reports.
const BATCH_FRAMES: usize = 64;

/// An interface on which telemetry datagrams are picked out of all frames that come in.
pub struct Tap {
    frames: Box<dyn DataLinkReceiver>,
    /// The same socket, to ask the kernel about.
    socket: PacketSocket,
    ports: Vec<u16>,
    fragments: Fragments,
}

impl Tap {
    /// Listens on an interface to datagrams for these ports.
    ///
    /// # Errors
    ///
    /// If there is no such interface, or the program may not listen on it (CAP_NET_RAW).
    pub fn open(name: &str, ports: &[u16], buffer_bytes: usize) -> io::Result<Tap> {
        // Only what waits: waiting is done for all sources together.
        let config = Config { read_buffer_size: FRAME_BYTES, read_timeout: Some(Duration::ZERO), ..Config::default() };
        let (socket, frames) = PacketSocket::open(name, buffer_bytes, Told::Nothing, config)?;
        let (ports, fragments) = (ports.to_vec(), Fragments::default());
        Ok(Tap { frames, socket, ports, fragments })
    }

    /// The interface.
    pub fn name(&self) -> &str {
        self.socket.name()
    }

    /// The receive buffer that the kernel granted, bytes.
    pub fn buffer_granted(&self) -> usize {
        self.socket.buffer_granted()
    }

    /// Frames that the kernel dropped for want of buffer; telemetry or not, it cannot tell.
    pub fn kernel_drops(&self) -> u64 {
        self.socket.kernel_drops()
    }

    /// Waits until a frame has come, or `wait` has passed.
    ///
    /// # Errors
    ///
    /// If the kernel cannot poll; an interruption by a signal is none.
    pub fn wait(&self, wait: Duration) -> io::Result<()> {
        self.socket.wait(wait).map(|_| ())
    }

    /// Gives the datagrams among the frames that wait, without waiting; how many there were.
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    pub fn receive(&mut self, mut each: impl FnMut(Received<'_>)) -> io::Result<usize> {
        let mut came = 0;
        for _ in 0..BATCH_FRAMES {
            if !self.socket.wait(Duration::ZERO)? {
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
        self.socket.count_drops();
        Ok(came)
    }
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
