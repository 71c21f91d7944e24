//! Packets of a mirror port, many by one system call, each with the kernel's time and its VLAN.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc;
use pnet::datalink::{Config, DataLinkReceiver};

use crate::batch::{empty_header, receive_waiting};
use crate::capture::Frame;
use crate::packet_socket::{PacketSocket, Told};

/// Packets taken by one system call.
const BATCH_FRAMES: usize = 256;
/// Bytes taken of each: headers with a mirror's tunnel around them.
const FRAME_BYTES: usize = 512;
/// Room for the control messages with time and VLAN.
const CONTROL_BYTES: usize = 128;

/// An interface whose packets are measured: what comes in, not what this machine sends.
pub struct Mirror {
    socket: PacketSocket,
    /// Bound to the same interface; it keeps it promiscuous.
    _bound: Box<dyn DataLinkReceiver>,
    frames: Vec<u8>,
    slots: Vec<Slot>,
    headers: Vec<libc::mmsghdr>,
}

/// Where the kernel puts what belongs to one packet, besides its bytes.
#[repr(C, align(16))]
struct Slot {
    control: [u8; CONTROL_BYTES],
    bytes: libc::iovec,
}

// SAFETY: the raw pointers in `slots` and `headers` point into the vectors of the same mirror, are set anew before
// each system call, and are used by no one else.
#[expect(unsafe_code, reason = "raw pointers of recvmmsg")]
unsafe impl Send for Mirror {}

impl Mirror {
    /// Opens an interface.
    ///
    /// # Errors
    ///
    /// If there is no such interface, or the program may not listen on it (CAP_NET_RAW).
    pub fn open(name: &str, buffer_bytes: usize) -> io::Result<Mirror> {
        let (socket, bound) = PacketSocket::open(name, buffer_bytes, Told::TimeAndVlan, Config::default())?;
        Ok(Mirror {
            socket,
            _bound: bound,
            frames: vec![0; BATCH_FRAMES * FRAME_BYTES],
            slots: (0..BATCH_FRAMES).map(|_| empty_slot()).collect(),
            headers: (0..BATCH_FRAMES).map(|_| empty_header()).collect(),
        })
    }

    /// The interface.
    pub fn name(&self) -> &str {
        self.socket.name()
    }

    /// The receive buffer that the kernel granted, bytes.
    pub fn buffer_granted(&self) -> usize {
        self.socket.buffer_granted()
    }

    /// Packets that the kernel dropped for want of buffer.
    pub fn kernel_drops(&self) -> u64 {
        self.socket.kernel_drops()
    }

    /// Waits until a packet has come, or `wait` has passed.
    ///
    /// # Errors
    ///
    /// If the kernel cannot poll; an interruption by a signal is none.
    pub fn wait(&self, wait: Duration) -> io::Result<()> {
        self.socket.wait(wait).map(|_| ())
    }

    /// Gives the packets that wait, at most a batch, without waiting; how many there were.
    ///
    /// # Errors
    ///
    /// If the interface is gone.
    pub fn receive(&mut self, mut each: impl FnMut(Frame<'_>)) -> io::Result<usize> {
        let count = self.receive_batch()?;
        let now_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
        for (index, header) in self.headers[..count].iter().enumerate() {
            let start = index * FRAME_BYTES;
            let bytes = &self.frames[start..start + (header.msg_len as usize).min(FRAME_BYTES)];
            let Control { at_us, vlan } = Control::of(&header.msg_hdr);
            each(Frame { at_us: at_us.unwrap_or(now_us), is_ethernet: true, vlan, bytes });
        }
        self.socket.count_drops();
        Ok(count)
    }

    #[expect(unsafe_code, reason = "recvmmsg")]
    fn receive_batch(&mut self) -> io::Result<usize> {
        for (index, (slot, header)) in self.slots.iter_mut().zip(&mut self.headers).enumerate() {
            slot.bytes.iov_base = self.frames[index * FRAME_BYTES..].as_mut_ptr().cast();
            slot.bytes.iov_len = FRAME_BYTES;
            let message = &mut header.msg_hdr;
            message.msg_iov = &raw mut slot.bytes;
            message.msg_iovlen = 1;
            message.msg_control = slot.control.as_mut_ptr().cast();
            message.msg_controllen = CONTROL_BYTES as _;
        }
        // SAFETY: every header points to memory of this mirror that is as long as it says, and the vectors are not
        // touched during the call.
        unsafe { receive_waiting(self.socket.as_fd(), &mut self.headers) }
    }
}

#[expect(unsafe_code, reason = "plain C structures start as zeros")]
fn empty_slot() -> Slot {
    // SAFETY: all fields are integers, arrays of them or raw pointers, for which zero is valid.
    unsafe { zeroed() }
}

/// What the kernel says beside a packet.
#[derive(Default)]
struct Control {
    at_us: Option<i64>,
    /// The outermost VLAN, which the kernel takes off the frame; 0 where there was none.
    vlan: u16,
}

impl Control {
    #[expect(unsafe_code, reason = "control messages are a C list")]
    fn of(message: &libc::msghdr) -> Control {
        let mut found = Control::default();
        // SAFETY: the kernel filled the control buffer and its length; the macros stay within them.
        let mut control = unsafe { libc::CMSG_FIRSTHDR(message) };
        while !control.is_null() {
            // SAFETY: not null, so within the control buffer.
            let header = unsafe { &*control };
            let has_room = |bytes: usize| header.cmsg_len as usize >= bytes;
            match (header.cmsg_level, header.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) if has_room(size_of::<libc::timespec>()) => {
                    // SAFETY: this type carries a timespec after its header.
                    let at = unsafe { libc::CMSG_DATA(control).cast::<libc::timespec>().read_unaligned() };
                    found.at_us = Some(at.tv_sec * 1_000_000 + at.tv_nsec / 1_000);
                }
                (libc::SOL_PACKET, libc::PACKET_AUXDATA) if has_room(size_of::<libc::tpacket_auxdata>()) => {
                    // SAFETY: this type carries a tpacket_auxdata after its header.
                    let beside = unsafe { libc::CMSG_DATA(control).cast::<libc::tpacket_auxdata>().read_unaligned() };
                    if beside.tp_status & libc::TP_STATUS_VLAN_VALID != 0 {
                        found.vlan = beside.tp_vlan_tci & 0x0fff;
                    }
                }
                _ => {}
            }
            // SAFETY: as for the first.
            control = unsafe { libc::CMSG_NXTHDR(message, control) };
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn packets_come_once_with_the_time_at_which_they_passed() {
        let mut mirror = match Mirror::open("lo", 1 << 20) {
            Ok(mirror) => mirror,
            Err(error) => {
                eprintln!("passed over: may not listen on lo: {error}");
                return;
            }
        };
        let (sender, receiver) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let port = sender.local_addr().unwrap().port().to_be_bytes();
        let before_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
        for number in 0..3 {
            sender.send_to(&[number; 40], receiver.local_addr().unwrap()).unwrap();
        }
        let (mut seen, mut times) = (Vec::new(), Vec::new());
        while seen.len() < 3 {
            mirror.wait(Duration::from_secs(10)).unwrap();
            mirror
                .receive(|frame| {
                    // Ethernet, IPv4 and UDP without options.
                    if frame.bytes.get(34..36) == Some(&port) {
                        seen.push(frame.bytes[42]);
                        times.push(frame.at_us);
                    }
                })
                .unwrap();
        }
        assert_eq!(seen, [0, 1, 2]);
        assert!(times.is_sorted() && times[0] >= before_us, "{before_us} {times:?}");
    }
}
