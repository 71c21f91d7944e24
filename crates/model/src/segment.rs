//! A TCP segment, as a mirror port or a capture of packets shows it.

use crate::address::{Address, Mac};

/// The flags of a TCP header that matter here (RFC 9293, section 3.1).
pub mod flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// A connection is opened.
    pub const SYN: u8 = 0x02;
    /// A connection is reset.
    pub const RST: u8 = 0x04;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
}

/// A packet between two addresses, and what TCP says in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Source Ethernet address of the frame that was mirrored; all zero where there is none.
    pub source_mac: Mac,
    /// Its destination Ethernet address, likewise.
    pub destination_mac: Mac,
    /// Its outermost VLAN; 0 untagged.
    pub vlan: u16,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// The TCP segment; `None` of other protocols, of later fragments, and where the header is cut off.
    pub segment: Option<Segment>,
}

/// What the header of a TCP segment says (RFC 9293, section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// The lower eight flags.
    pub flags: u8,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// TSval and TSecr (RFC 7323, section 3.2).
    pub timestamps: Option<(u32, u32)>,
    /// It carries data.
    pub has_data: bool,
}
