//! UDP sockets read a batch at a time.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, setsockopt, socket, sockopt};

use crate::batch::{empty_header, receive_waiting};
use crate::refused::Refused;
use crate::steering::Steering;

/// Bytes of the largest UDP payload over IPv4, and a little more.
const DATAGRAM_BYTES: usize = 65_536;
/// Room for the control message with the length of joined datagrams.
const CONTROL_BYTES: usize = 64;
/// `SO_MEMINFO` of asm-generic/socket.h, since Linux 4.12, and how many counts it gives.
const MEMORY_OF_SOCKET: libc::c_int = 55;
const MEMORY_COUNTS: usize = 9;

model::settings! {
    /// How sockets are read.
    pub struct ReceiverSettings in "receive" {
        /// Receive buffer asked of the kernel for each socket.
        buffer_bytes: usize = 67_108_864, "bytes", 65_536..=1_073_741_824;
        /// Datagrams read by one system call.
        batch_datagrams: usize = 64, "datagrams", 1..=1_024;
    }
}

/// A datagram as received.
#[derive(Debug)]
pub struct Received<'a> {
    /// Time of reception by the wall clock, microseconds since 1970; one reading a batch.
    pub received_us: i64,
    /// Who sent it; IPv4 as IPv4, also on a socket of both families.
    pub source: SocketAddr,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// Who sends, as far as it is known beforehand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Senders<'a> {
    /// They are dealt out to the workers in turn.
    pub exporters: &'a [IpAddr],
    /// Prefixes whose addresses may send; none stands for all.
    pub allowed: &'a [(IpAddr, u8)],
}

/// The sockets of one address.
pub struct Bound {
    /// A worker's each.
    pub workers: Vec<Receiver>,
    /// What comes from those who are not allowed; `None` where all are, or the kernel cannot tell them apart.
    pub refused: Option<Refused>,
}

/// Buffer of the socket of those who are not allowed, bytes.
const REFUSED_BUFFER_BYTES: usize = 262_144;

/// Opens `workers` sockets on one address, so that the datagrams of a source address always come to
/// the same one, and another for those who are not allowed.
///
/// Port 0 takes a free port, the same for all.
///
/// # Errors
///
/// If the address is in use, not of this machine, or its port not allowed.
pub fn bind(address: SocketAddr, workers: usize, senders: &Senders<'_>, settings: &ReceiverSettings) -> io::Result<Bound> {
    // Sockets that share a port would take datagrams from whoever else shares it: of that nobody may know.
    if let Err(error) = UdpSocket::bind(address)
        && error.kind() == io::ErrorKind::AddrInUse
    {
        return Err(error);
    }
    let mut receivers = Vec::with_capacity(workers);
    let mut address = address;
    for _ in 0..workers {
        let receiver = match Receiver::open(address, settings) {
            Err(error)
                if error.raw_os_error() == Some(libc::EAFNOSUPPORT) && address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) =>
            {
                address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
                Receiver::open(address, settings)?
            }
            opened => opened?,
        };
        address = receiver.local_address();
        receivers.push(receiver);
    }
    let mut refused = None;
    let Some(mut steering) = Steering::new(workers as u32, senders.exporters, senders.allowed) else {
        // A list too long for the kernel is left to the workers; exporters go by the hash.
        steer(&receivers, Steering::new(workers as u32, &[], &[]).as_mut())?;
        return Ok(Bound { workers: receivers, refused });
    };
    if !senders.allowed.is_empty() {
        let settings = ReceiverSettings { buffer_bytes: REFUSED_BUFFER_BYTES, ..settings.clone() };
        refused = Some(Refused::new(Receiver::open(address, &settings)?, workers as u32, senders.exporters));
    }
    if workers > 1 || refused.is_some() {
        steer(&receivers, Some(&mut steering))?;
    }
    Ok(Bound { workers: receivers, refused })
}

fn steer(receivers: &[Receiver], steering: Option<&mut Steering>) -> io::Result<()> {
    if let (Some(first), Some(steering)) = (receivers.first(), steering) {
        setsockopt(&first.socket, sockopt::AttachReusePortCbpf, &steering.as_filter())?;
    }
    Ok(())
}

/// Waits until one of the sockets has a datagram, or `wait` has passed.
///
/// # Errors
///
/// If the kernel cannot poll; an interruption by a signal is none.
pub fn wait_any(receivers: &[Receiver], wait: Duration) -> io::Result<()> {
    let mut polled: Vec<PollFd<'_>> =
        receivers.iter().map(|receiver| PollFd::new(receiver.socket.as_fd(), PollFlags::POLLIN)).collect();
    let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
    match poll(&mut polled, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A socket, and the memory for a batch of datagrams.
pub struct Receiver {
    socket: UdpSocket,
    local_address: SocketAddr,
    payloads: Vec<u8>,
    batch: Vec<Slot>,
    headers: Vec<libc::mmsghdr>,
}

/// Where the kernel puts what belongs to one datagram, besides its payload.
#[repr(C, align(16))]
struct Slot {
    control: [u8; CONTROL_BYTES],
    source: libc::sockaddr_storage,
    payload: libc::iovec,
}

// SAFETY: the raw pointers in `batch` and `headers` point into the vectors of the same receiver,
// are set anew before each system call, and are used by no one else.
#[expect(unsafe_code, reason = "raw pointers of recvmmsg")]
unsafe impl Send for Receiver {}

impl Receiver {
    fn open(address: SocketAddr, settings: &ReceiverSettings) -> io::Result<Receiver> {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let fd: OwnedFd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&fd, sockopt::ReusePort, &true)?;
        // Datagrams of one sender and length may come joined: one pass through the kernel for many. A kernel
        // that cannot (before 5.0) gives them one by one.
        let _ = setsockopt(&fd, sockopt::UdpGroSegment, &true);
        if address.is_ipv6() {
            setsockopt(&fd, sockopt::Ipv6V6Only, &false)?;
        }
        // The first may exceed the system's limit but needs a privilege; the second never fails for size.
        if setsockopt(&fd, sockopt::RcvBufForce, &settings.buffer_bytes).is_err() {
            setsockopt(&fd, sockopt::RcvBuf, &settings.buffer_bytes)?;
        }
        nix::sys::socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
        let socket = UdpSocket::from(fd);
        let local_address = socket.local_addr()?;
        let batch = settings.batch_datagrams;
        Ok(Receiver {
            socket,
            local_address,
            payloads: vec![0; batch * DATAGRAM_BYTES],
            batch: (0..batch).map(|_| empty_slot()).collect(),
            headers: (0..batch).map(|_| empty_header()).collect(),
        })
    }

    /// The address it is bound to.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// The receive buffer that the kernel granted, bytes; Linux counts its own overhead in.
    pub fn buffer_granted(&self) -> usize {
        nix::sys::socket::getsockopt(&self.socket, sockopt::RcvBuf).unwrap_or(0)
    }

    /// Datagrams that the kernel dropped on this socket for want of buffer since it was opened: the count that
    /// `SO_RXQ_OVFL` tells with datagrams, asked for so that it is true when none comes any more.
    #[expect(unsafe_code, reason = "SO_MEMINFO has no safe form")]
    pub fn kernel_drops(&self) -> u64 {
        let mut counts = [0_u32; MEMORY_COUNTS];
        let mut length = size_of_val(&counts) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes into `counts`, which is as long.
        let answer = unsafe {
            let counts = counts.as_mut_ptr().cast();
            libc::getsockopt(self.socket.as_raw_fd(), libc::SOL_SOCKET, MEMORY_OF_SOCKET, counts, &raw mut length)
        };
        if answer == 0 { u64::from(counts[libc::SK_MEMINFO_DROPS as usize]) } else { 0 }
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Gives what waits on the socket, a batch at most, without waiting; how many there were.
    ///
    /// # Errors
    ///
    /// If the socket fails; nothing waiting is no error.
    pub fn receive(&mut self, mut each: impl FnMut(Received<'_>)) -> io::Result<usize> {
        let count = self.receive_batch()?;
        if count == 0 {
            return Ok(0);
        }
        let received_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
        let mut came = 0;
        for index in 0..count {
            let length = (self.headers[index].msg_len as usize).min(DATAGRAM_BYTES);
            let start = index * DATAGRAM_BYTES;
            let segment = joined_length(&self.headers[index].msg_hdr);
            let Some(source) = source_address(&self.batch[index].source) else { continue };
            let joined = &self.payloads[start..start + length];
            if joined.is_empty() {
                each(Received { received_us, source, payload: joined });
                came += 1;
            }
            for payload in joined.chunks(segment.unwrap_or(DATAGRAM_BYTES)) {
                each(Received { received_us, source, payload });
                came += 1;
            }
        }
        Ok(came)
    }

    #[expect(unsafe_code, reason = "recvmmsg")]
    fn receive_batch(&mut self) -> io::Result<usize> {
        for (index, (slot, header)) in self.batch.iter_mut().zip(&mut self.headers).enumerate() {
            slot.payload.iov_base = self.payloads[index * DATAGRAM_BYTES..].as_mut_ptr().cast();
            slot.payload.iov_len = DATAGRAM_BYTES;
            let message = &mut header.msg_hdr;
            message.msg_iov = &raw mut slot.payload;
            message.msg_iovlen = 1;
            message.msg_name = (&raw mut slot.source).cast();
            message.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            message.msg_control = slot.control.as_mut_ptr().cast();
            message.msg_controllen = CONTROL_BYTES as _;
        }
        // SAFETY: every header points to memory of this receiver that is as long as it says, and the vectors are not
        // touched during the call.
        unsafe { receive_waiting(self.socket.as_fd(), &mut self.headers) }
    }
}

#[expect(unsafe_code, reason = "plain C structures start as zeros")]
fn empty_slot() -> Slot {
    // SAFETY: all fields are integers, arrays of them or raw pointers, for which zero is valid.
    unsafe { zeroed() }
}

#[expect(unsafe_code, reason = "sockaddr_storage is read by its family")]
fn source_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let pointer: *const libc::sockaddr_storage = storage;
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel wrote a sockaddr_in, as the family says; storage is larger and aligned.
            let address = unsafe { &*pointer.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from_bits(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(address.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: the kernel wrote a sockaddr_in6, as the family says; storage is larger and aligned.
            let address = unsafe { &*pointer.cast::<libc::sockaddr_in6>() };
            let ip = IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)).to_canonical();
            Some(SocketAddr::new(ip, u16::from_be(address.sin6_port)))
        }
        _ => None,
    }
}

/// Length of the datagrams that were joined, but the last, as the kernel says beside them.
#[expect(unsafe_code, reason = "control messages are a C list")]
fn joined_length(message: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel filled the control buffer and its length; the macros stay within them.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !control.is_null() {
        // SAFETY: not null, so within the control buffer.
        let header = unsafe { &*control };
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_UDP, libc::UDP_GRO) {
            // SAFETY: this type carries an int after its header.
            let segment = unsafe { libc::CMSG_DATA(control).cast::<libc::c_int>().read_unaligned() };
            return usize::try_from(segment).ok().filter(|segment| *segment > 0);
        }
        // SAFETY: as for the first.
        control = unsafe { libc::CMSG_NXTHDR(message, control) };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sender;

    fn any_port() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn receive_all(receivers: &mut [Receiver]) -> Vec<Vec<(SocketAddr, Vec<u8>)>> {
        let mut got = vec![Vec::new(); receivers.len()];
        loop {
            wait_any(receivers, Duration::from_millis(20)).unwrap();
            let mut came = 0;
            for (receiver, got) in receivers.iter_mut().zip(&mut got) {
                came += receiver.receive(|datagram| got.push((datagram.source, datagram.payload.to_vec()))).unwrap();
            }
            if came == 0 {
                return got;
            }
        }
    }

    #[test]
    fn an_exporter_is_always_on_the_same_worker() {
        let mut receivers = bind(any_port(), 4, &Senders::default(), &ReceiverSettings::default()).unwrap().workers;
        let target = receivers[0].local_address();
        let mut sender = Sender::new(target);
        for round in 0..20u8 {
            for exporter in 1..=16u8 {
                sender.send(IpAddr::V4(Ipv4Addr::new(127, 0, 3, exporter)), &[exporter, round]).unwrap();
            }
        }
        sender.flush().unwrap();
        let got = receive_all(&mut receivers);
        assert_eq!(got.iter().map(Vec::len).sum::<usize>(), 320);
        for exporter in 1..=16u8 {
            let workers =
                got.iter().filter(|got| got.iter().any(|(source, _)| source.ip() == Ipv4Addr::new(127, 0, 3, exporter))).count();
            assert_eq!(workers, 1, "exporter {exporter}");
        }
        assert!(got.iter().filter(|got| !got.is_empty()).count() > 1, "all exporters on one worker");
    }

    #[test]
    fn configured_exporters_are_spread_evenly() {
        for families in [["127.0.3.", "127.0.0.1:0"], ["::ffff:127.0.3.", "[::]:0"]] {
            let exporters: Vec<IpAddr> = (1..=8).map(|exporter| format!("{}{exporter}", families[0]).parse().unwrap()).collect();
            let listen = families[1].parse().unwrap();
            let senders = Senders { exporters: &exporters, allowed: &[] };
            let Ok(bound) = bind(listen, 4, &senders, &ReceiverSettings::default()) else { continue };
            let mut receivers = bound.workers;
            let target = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), receivers[0].local_address().port());
            let mut sender = Sender::new(target);
            for exporter in &exporters {
                sender.send(exporter.to_canonical(), b"x").unwrap();
            }
            sender.flush().unwrap();
            assert_eq!(receive_all(&mut receivers).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 2]);
        }
    }

    #[test]
    fn joined_datagrams_are_taken_apart() {
        let mut receivers = bind(any_port(), 1, &Senders::default(), &ReceiverSettings::default()).unwrap().workers;
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        if setsockopt(&sender, sockopt::UdpGsoSegment, &1_000).is_err() {
            return;
        }
        let payload: Vec<u8> = (0..2_500).map(|index| (index / 1_000) as u8).collect();
        sender.send_to(&payload, receivers[0].local_address()).unwrap();
        sender.send_to(b"", receivers[0].local_address()).unwrap();
        let got: Vec<Vec<u8>> = receive_all(&mut receivers).remove(0).into_iter().map(|(_, payload)| payload).collect();
        assert_eq!(got, [vec![0; 1_000], vec![1; 1_000], vec![2; 500], vec![]]);
    }

    #[test]
    fn what_the_kernel_drops_is_counted() {
        let settings = ReceiverSettings { buffer_bytes: 65_536, batch_datagrams: 8 };
        let mut receivers = bind(any_port(), 1, &Senders::default(), &settings).unwrap().workers;
        let mut sender = Sender::new(receivers[0].local_address());
        let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for _ in 0..1_000 {
            sender.send(source, &[7; 1_000]).unwrap();
        }
        sender.flush().unwrap();
        let came = receive_all(&mut receivers)[0].len();
        assert!(came < 1_000);
        assert_eq!(came as u64 + receivers[0].kernel_drops(), 1_000);
    }

    #[test]
    fn those_who_are_not_allowed_fill_no_worker_s_buffer_and_are_counted() {
        let address = |last| IpAddr::V4(Ipv4Addr::new(127, 0, 3, last));
        let allowed = [(address(0), 30)];
        let settings = ReceiverSettings { buffer_bytes: 65_536, batch_datagrams: 8 };
        let bound = bind(any_port(), 2, &Senders { exporters: &[address(1)], allowed: &allowed }, &settings).unwrap();
        let (mut workers, mut refused) = (bound.workers, bound.refused.unwrap());
        let mut sender = Sender::new(workers[0].local_address());
        let mut send = |source, count| {
            (0..count).for_each(|_| sender.send(source, &[7; 1_000]).unwrap());
            sender.flush().unwrap();
        };
        send(address(9), 2_000);
        send(address(1), 1);
        send(address(3), 1);
        assert_eq!(receive_all(&mut workers).iter().map(Vec::len).sum::<usize>(), 2);
        let (mut read, mut dropped) = (0, 0);
        loop {
            let before = read;
            dropped += refused.receive(|datagram| read += u64::from(datagram.source.ip() == address(9))).unwrap();
            if read == before {
                break;
            }
        }
        assert!(read > 0 && dropped > 0);
        assert_eq!(read + dropped, 2_000);
        refused.allow(&[(address(8), 29)]).unwrap();
        send(address(1), 5);
        send(address(9), 3);
        assert_eq!(receive_all(&mut workers).iter().map(Vec::len).sum::<usize>(), 3);
    }

    #[test]
    fn a_socket_of_both_families_names_ipv4_as_ipv4() {
        let any = "[::]:0".parse().unwrap();
        let Ok(bound) = bind(any, 1, &Senders::default(), &ReceiverSettings::default()) else { return };
        let mut receivers = bound.workers;
        let port = receivers[0].local_address().port();
        let mut sender = Sender::new(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        sender.send(IpAddr::V4(Ipv4Addr::LOCALHOST), b"x").unwrap();
        sender.flush().unwrap();
        assert_eq!(receive_all(&mut receivers)[0][0].0.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
}
