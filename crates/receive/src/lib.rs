//! UDP sockets in batches and capture files; the only unsafe code and system calls.
//!
//! * [`CaptureReader`]: the UDP datagrams of a pcap or pcapng file, fragments joined; or its packets whole;
//! * [`CaptureWriter`]: datagrams into a pcap file;
//! * [`bind`], [`Receiver`]: sockets read a batch at a time, an exporter always on the same one;
//! * [`GrowingFile`]: lines of a file or pipe as they come; [`get`]: a page over HTTP;
//! * [`Tap`]: telemetry seen on an interface, of another collector;
//! * [`Mirror`]: the packets of a mirror port themselves;
//! * [`Sender`]: datagrams sent a batch at a time, from several source addresses;
//! * [`keep_less_memory`]: free memory given back.

mod allocator;
mod batch;
mod capture;
mod growing;
mod mirror;
mod packet_socket;
mod page;
mod receiver;
mod refused;
mod sender;
mod steering;
mod tap;

pub use allocator::keep_less_memory;
pub use capture::{CaptureError, CaptureNotes, CaptureReader, CaptureWriter, CapturedDatagram, Frame};
pub use growing::GrowingFile;
pub use mirror::Mirror;
pub use page::get;
pub use receiver::{Bound, Received, Receiver, ReceiverSettings, Senders, bind, wait_any};
pub use refused::Refused;
pub use sender::Sender;
pub use tap::Tap;
