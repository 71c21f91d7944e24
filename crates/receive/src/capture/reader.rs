//! The UDP datagrams of a capture file.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

use super::fragments::Fragments;
use super::messages::{self, Message};
use super::packet::{self, Datagram, Parsed};

/// How an IPFIX file begins: with the version of its first message. No capture does.
const IPFIX_START: [u8; 2] = [0, 10];
/// Bytes read to find out what the file is: as many as the header of any capture has.
const START_BYTES: u64 = 4_096;
/// Bytes read at once; a block must fit.
const BUFFER_BYTES: usize = 1 << 20;
/// The link type of an interface that the file does not describe: what came over it is counted and not read.
const UNKNOWN_LINK_TYPE: i32 = -1;
/// Interfaces of one section of a pcapng file.
const INTERFACES_MOST: usize = 4096;

/// Why a capture cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened or read.
    #[error("{}", worded(.0))]
    Unreadable(#[from] std::io::Error),
    /// It is not a capture.
    #[error("this is no capture (pcap or pcapng) and no IPFIX file; give a file written by tcpdump, tshark or the like")]
    NotACapture,
    /// It is empty.
    #[error("this file is empty; a capture has at least a header")]
    Empty,
}

fn worded(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file; check the path".to_string(),
        ErrorKind::IsADirectory => "this is a folder; name the captures in it".to_string(),
        ErrorKind::PermissionDenied => "you may not read this file; give its reader the right to, or copy it".to_string(),
        _ => format!("cannot be read: {error}"),
    }
}

/// A UDP datagram of a capture.
#[derive(Debug)]
pub struct CapturedDatagram<'a> {
    /// Time of the packet (of its last fragment), microseconds since 1970.
    pub received_us: i64,
    /// Who sent it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// Its bytes.
    pub payload: &'a [u8],
    /// The capture holds less of it than was sent.
    pub is_cut_off: bool,
}

/// A packet as it was captured: a frame, or from its IP header on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it passed, microseconds since 1970.
    pub at_us: i64,
    /// It begins with an Ethernet header, else with an IP header.
    pub is_ethernet: bool,
    /// A VLAN that was taken off the frame; 0 where there is none, or it is still in it.
    pub vlan: u16,
    /// Its bytes, or as many as were captured.
    pub bytes: &'a [u8],
}

/// What else was in a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureNotes {
    /// Packets read.
    pub packets: u64,
    /// UDP datagrams given, joined ones counted once.
    pub datagrams: u64,
    /// Packets that are not UDP over IP.
    pub not_udp: u64,
    /// Datagrams of which the capture holds less than was sent.
    pub cut_off: u64,
    /// Packets of a link type that is not known.
    pub unknown_link_type: u64,
    /// Fragmented packets that never became whole.
    pub fragments_incomplete: u64,
    /// The file ends within a packet, or is damaged there.
    pub is_file_cut_off: bool,
}

impl CaptureNotes {
    /// What a user must know of it, a sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        let mut say = |count: u64, text: &str| {
            if count > 0 {
                sentences.push(format!("{count} {text}"));
            }
        };
        if self.datagrams == 0 {
            say(self.not_udp, "packets are in it and none of them is of UDP; routers export over UDP");
        }
        say(self.unknown_link_type, "packets of a link type that is not read (Ethernet, Linux cooked, raw IP and loopback are)");
        say(self.cut_off, "datagrams are cut off; capture whole packets (tcpdump -s 0)");
        say(self.fragments_incomplete, "fragmented packets are incomplete");
        if self.is_file_cut_off {
            sentences.push(format!("the file is cut off or damaged after packet {}; what came before it was read", self.packets));
        }
        sentences
    }
}

#[derive(Clone, Copy)]
struct Interface {
    link_type: i32,
    /// Units a second of its timestamps.
    resolution: u64,
    offset_s: i64,
}

/// What a section of a pcapng file, or a pcap file, says of its packets.
#[derive(Default)]
struct Section {
    interfaces: Vec<Interface>,
    is_big_endian: bool,
}

/// Where datagrams come from.
enum Input {
    /// Packets of a pcap or pcapng file.
    Packets(Box<dyn PcapReaderIterator + Send>),
    /// Messages of an IPFIX file.
    Messages(Box<dyn Read + Send>),
}

/// Reads the UDP datagrams of a pcap or pcapng file in order, or the messages of an IPFIX file.
///
/// An IPFIX file (RFC 5655) does not say who exported it nor when it came: its messages come from
/// 0.0.0.0, at their export times.
pub struct CaptureReader {
    input: Input,
    section: Section,
    packet: Vec<u8>,
    fragments: Fragments,
    notes: CaptureNotes,
    /// Time of the packet before: simple packets of pcapng have none of their own.
    last_us: i64,
    is_done: bool,
}

impl CaptureReader {
    /// Opens a capture file.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is not a capture.
    pub fn open(path: &Path) -> Result<CaptureReader, CaptureError> {
        CaptureReader::new(File::open(path)?)
    }

    /// Reads a capture from `source`.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is not a capture.
    pub fn new(mut source: impl Read + Send + 'static) -> Result<CaptureReader, CaptureError> {
        let mut start = Vec::new();
        source.by_ref().take(START_BYTES).read_to_end(&mut start)?;
        let is_ipfix = start.starts_with(&IPFIX_START);
        let source = std::io::Cursor::new(start).chain(source);
        let input = if is_ipfix {
            Input::Messages(Box::new(BufReader::with_capacity(BUFFER_BYTES, source)))
        } else {
            let reader = create_reader(BUFFER_BYTES, source).map_err(|error| match error {
                PcapError::Eof => CaptureError::Empty,
                PcapError::ReadError => CaptureError::Unreadable(std::io::Error::other("reading failed")),
                _ => CaptureError::NotACapture,
            })?;
            Input::Packets(reader)
        };
        Ok(CaptureReader {
            input,
            section: Section::default(),
            packet: Vec::new(),
            fragments: Fragments::default(),
            notes: CaptureNotes::default(),
            last_us: 0,
            is_done: false,
        })
    }

    /// The next datagram, `None` at the end; a cut-off file gives what it has, and a note.
    ///
    /// # Errors
    ///
    /// If the file cannot be read any further.
    #[allow(clippy::should_implement_trait, reason = "the datagram borrows the reader")]
    pub fn next(&mut self) -> Result<Option<CapturedDatagram<'_>>, CaptureError> {
        if matches!(self.input, Input::Messages(_)) {
            return self.next_message();
        }
        while let Some((received_us, link_type)) = self.next_packet()? {
            let parsed = packet::parse(link_type, &self.packet);
            if let Some(datagram) = self.take(received_us, parsed) {
                self.notes.datagrams += 1;
                self.notes.cut_off += u64::from(datagram.is_cut_off);
                return Ok(Some(CapturedDatagram {
                    received_us,
                    source: datagram.source,
                    destination: datagram.destination,
                    payload: &self.packet[datagram.payload],
                    is_cut_off: datagram.is_cut_off,
                }));
            }
        }
        self.notes.fragments_incomplete = self.fragments.given_up + self.fragments.waiting();
        Ok(None)
    }

    /// The next packet whole, whatever it carries; `None` at the end, and of an IPFIX file.
    ///
    /// # Errors
    ///
    /// As [`CaptureReader::next`].
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        while let Some((at_us, link_type)) = self.next_packet()? {
            if let Some((is_ethernet, start)) = packet::frame_start(link_type, &self.packet) {
                let bytes = self.packet.get(start..).unwrap_or(&[]);
                return Ok(Some(Frame { at_us, is_ethernet, vlan: 0, bytes }));
            }
            self.notes.unknown_link_type += 1;
        }
        Ok(None)
    }

    /// What else was in the capture so far.
    pub fn notes(&self) -> &CaptureNotes {
        &self.notes
    }

    /// The next message of an IPFIX file.
    fn next_message(&mut self) -> Result<Option<CapturedDatagram<'_>>, CaptureError> {
        let Input::Messages(file) = &mut self.input else { return Ok(None) };
        let export_s = match messages::read(file, &mut self.packet)? {
            Message::Whole(export_s) if !self.is_done => export_s,
            Message::Whole(_) | Message::End => return Ok(None),
            Message::Damaged => {
                self.notes.is_file_cut_off |= !self.is_done;
                self.is_done = true;
                return Ok(None);
            }
        };
        self.notes.packets += 1;
        self.notes.datagrams += 1;
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Ok(Some(CapturedDatagram {
            received_us: i64::from(export_s) * 1_000_000,
            source: nobody,
            destination: nobody,
            payload: &self.packet,
            is_cut_off: false,
        }))
    }

    /// The datagram of a packet; of a last fragment the joined one, which then is `self.packet`.
    fn take(&mut self, received_us: i64, parsed: Parsed) -> Option<Datagram> {
        match parsed {
            Parsed::Datagram(datagram) => return Some(datagram),
            Parsed::Fragment(fragment) if fragment.is_cut_off => self.fragments.given_up += 1,
            Parsed::Fragment(fragment) => {
                let bytes = &self.packet[fragment.bytes.clone()];
                if let Some(whole) = self.fragments.add(received_us, &fragment, bytes) {
                    let datagram = packet::joined(fragment.source, fragment.destination, &whole);
                    self.packet = whole;
                    return datagram;
                }
            }
            Parsed::Other => self.notes.not_udp += 1,
            Parsed::UnknownLinkType => self.notes.unknown_link_type += 1,
        }
        None
    }

    /// Reads the next packet into `self.packet`; gives its time and link type.
    fn next_packet(&mut self) -> Result<Option<(i64, i32)>, CaptureError> {
        let Input::Packets(reader) = &mut self.input else { return Ok(None) };
        while !self.is_done {
            let (length, found) = match reader.next() {
                Ok((length, block)) => (length, read_block(block, &mut self.section, &mut self.packet)),
                Err(PcapError::Eof) => {
                    self.is_done = true;
                    break;
                }
                Err(PcapError::Incomplete(_)) => {
                    if reader.refill().is_err() {
                        self.notes.is_file_cut_off = true;
                        self.is_done = true;
                    }
                    continue;
                }
                Err(PcapError::ReadError) => return Err(CaptureError::Unreadable(std::io::Error::other("reading failed"))),
                Err(_) => {
                    self.notes.is_file_cut_off = true;
                    self.is_done = true;
                    break;
                }
            };
            reader.consume(length);
            if let Some((at_us, link_type)) = found {
                self.notes.packets += 1;
                self.last_us = at_us.unwrap_or(self.last_us);
                return Ok(Some((self.last_us, link_type)));
            }
        }
        Ok(None)
    }
}

/// The time of a packet, where it has one, and its link type; `None` for what is no packet.
type Found = Option<(Option<i64>, i32)>;

fn read_block(block: PcapBlockOwned<'_>, section: &mut Section, packet: &mut Vec<u8>) -> Found {
    let interfaces = &mut section.interfaces;
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            let resolution = if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
            // The upper bits of the field hold the length of the frame check sequence.
            interfaces.push(Interface { link_type: header.network.0 & 0x0fff_ffff, resolution, offset_s: 0 });
            None
        }
        PcapBlockOwned::Legacy(block) => {
            let interface = *interfaces.first()?;
            copy(packet, block.data, block.caplen);
            let fraction = u64::from(block.ts_usec);
            let at_us = i64::from(block.ts_sec) * 1_000_000 + microseconds(fraction, interface.resolution);
            Some((Some(at_us), interface.link_type))
        }
        PcapBlockOwned::NG(Block::SectionHeader(block)) => {
            *section = Section { is_big_endian: block.big_endian(), interfaces: Vec::new() };
            None
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(block)) => {
            if interfaces.len() < INTERFACES_MOST {
                let resolution = resolution(block.if_tsresol);
                // The parser takes it for little-endian whatever the section.
                let offset_s = if section.is_big_endian { block.if_tsoffset.swap_bytes() } else { block.if_tsoffset };
                interfaces.push(Interface { link_type: block.linktype.0, resolution, offset_s });
            }
            None
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
            let unknown = Interface { link_type: UNKNOWN_LINK_TYPE, resolution: 1_000_000, offset_s: 0 };
            let interface = interfaces.get(block.if_id as usize).copied().unwrap_or(unknown);
            copy(packet, block.data, block.caplen);
            let units = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
            let offset_us = interface.offset_s.saturating_mul(1_000_000);
            Some((Some(microseconds(units, interface.resolution).saturating_add(offset_us)), interface.link_type))
        }
        PcapBlockOwned::NG(Block::SimplePacket(block)) => {
            let interface = *interfaces.first()?;
            copy(packet, block.data, block.origlen);
            Some((None, interface.link_type))
        }
        PcapBlockOwned::NG(_) => None,
    }
}

/// Units a second: a power of ten, or with the upper bit of two (`if_tsresol`); one that cannot be is the default.
fn resolution(exponent: u8) -> u64 {
    let units =
        if exponent & 0x80 == 0 { 10_u64.checked_pow(exponent.into()) } else { 1_u64.checked_shl((exponent & 0x7f).into()) };
    units.unwrap_or(1_000_000)
}

/// Copies the captured bytes without the padding of their block.
fn copy(packet: &mut Vec<u8>, data: &[u8], length: u32) {
    packet.clear();
    packet.extend_from_slice(&data[..data.len().min(length as usize)]);
}

fn microseconds(units: u64, resolution: u64) -> i64 {
    i64::try_from(u128::from(units) * 1_000_000 / u128::from(resolution)).unwrap_or(i64::MAX)
}
