//! TCP segments of a mirror port to round trips: handshakes, and timestamps with their echoes.
//!
//! The point of measurement sees both ways of a connection, so it splits the way in two: what it sees from
//! one end is answered by the other, and the time between is there and back to that other end.

use model::latency::{Derivation, End, Method, Span};
use model::segment::{Segment, flags};
use model::tag::TagNames;
use model::time::SECOND_US;
use model::{Name, TagId};

use super::cells::{LatencyCells, LatencyDelta, LatencyKey, Sight, Values, ways};
use super::table::{ConnectionKey, ConnectionTable};
use crate::settings::MeasureSettings;

/// A connection that was silent so long is over.
const IDLE_US: i64 = 120 * SECOND_US;
/// An answer that took longer is none.
const ANSWER_US_MAX: i64 = 60 * SECOND_US;
/// The same segment again within this time is the mirror's copy: senders repeat after 200 ms at the soonest (RFC 6298).
const COPY_US: i64 = 100_000;

/// A packet of a mirror, with one end at Microsoft.
#[derive(Clone, Copy, Debug)]
pub struct Mirrored<'a> {
    /// When it passed.
    pub at_us: i64,
    /// Index of its link in the worker's directory.
    pub link: u32,
    /// Who sent it.
    pub sender: End,
    /// Source and destination address.
    pub addresses: [model::Address; 2],
    /// What Microsoft's end is.
    pub tag: TagId,
    /// Its TCP segment, if it has one.
    pub segment: Option<&'a Segment>,
}

/// What was read of mirrored packets, and what could not be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounts {
    /// Packets with one end at Microsoft.
    pub packets: u64,
    /// TCP segments of them.
    pub segments: u64,
    /// Round trips of handshakes.
    pub handshakes: u64,
    /// Round trips of timestamps.
    pub echoes: u64,
    /// Handshakes whose SYN or SYN-ACK was sent again: left out.
    pub repeated: u64,
    /// Segments that the mirror showed twice.
    pub copies: u64,
    /// Connections that had to make room for others.
    pub fell_off: u64,
}

/// How far a handshake has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Unknown,
    Syn,
    SynAck,
}

/// A segment that waits for its answer.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    at_us: i64,
    number: u32,
    link: u32,
}

/// Timestamps of one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Stamps {
    /// The largest TSval so far: only its first segment is timed.
    last: Option<u32>,
    /// The one whose echo is waited for.
    waiting: Option<Sent>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Connection {
    stage: Stage,
    /// The SYN was seen, once.
    has_syn: bool,
    /// Its SYN or SYN-ACK came again.
    is_repeated: bool,
    initiator: Option<End>,
    syn: Sent,
    syn_ack: Sent,
    /// By the sender.
    stamps: [Stamps; 2],
}

/// Round trips of one or more mirrors, bounded.
///
/// Both ways of a connection must come to the same one, whichever links and interfaces they take.
pub struct PacketLatency {
    connections: ConnectionTable<Connection>,
    cells: LatencyCells,
    counts: PacketCounts,
}

/// A packet that can become the end of a measurement.
struct Arrived<'a> {
    at_us: i64,
    link: u32,
    sender: End,
    region: Option<&'a Name>,
}

impl PacketLatency {
    /// Nothing measured yet.
    pub fn new(settings: &MeasureSettings) -> PacketLatency {
        PacketLatency {
            connections: ConnectionTable::new(settings.latency_connections_max, IDLE_US),
            cells: LatencyCells::new(settings.worker_latency_buckets_max),
            counts: PacketCounts::default(),
        }
    }

    /// What came of packets so far.
    pub fn counts(&self) -> PacketCounts {
        PacketCounts { fell_off: self.connections.fell_off, ..self.counts }
    }

    /// Takes out what was measured since the last time.
    pub fn take(&mut self) -> LatencyDelta {
        self.cells.take()
    }

    /// Goes on with other links and tags: connections under way are forgotten, counts stay.
    pub fn restart(&mut self) {
        self.connections.clear();
    }

    /// Takes a packet in; packets come in the order in which they passed. `names` are those of its tag.
    pub fn packet(&mut self, packet: &Mirrored<'_>, names: &TagNames) {
        let &Mirrored { at_us, link, sender, segment, .. } = packet;
        self.counts.packets += 1;
        let way = Sight::WAYS[usize::from(sender == End::Microsoft)];
        let Some(segment) = segment else {
            self.cells.see(at_us, link, Method::Handshake, way);
            self.cells.see(at_us, link, Method::Timestamps, way);
            return;
        };
        self.counts.segments += 1;
        let is_syn = segment.flags & flags::SYN != 0;
        let sight = way.and(Sight::TCP);
        self.cells.see(at_us, link, Method::Handshake, if is_syn { sight.and(Sight::SYN) } else { sight });
        let is_stamped = segment.timestamps.is_some();
        self.cells.see(at_us, link, Method::Timestamps, if is_stamped { sight.and(Sight::STAMPED) } else { sight });
        let [source, destination] = packet.addresses;
        let (from, to) = ((source, segment.source_port), (destination, segment.destination_port));
        let key = ConnectionKey::of(from, to, packet.sender, 0);
        let arrived = Arrived { at_us, link, sender, region: super::region(names, packet.tag) };
        if let Some(connection) = self.connections.get(&key, at_us) {
            connection.take(segment, &arrived, &mut self.cells, &mut self.counts);
        } else if is_syn || is_stamped {
            let connection = self.connections.insert(key, at_us);
            connection.take(segment, &arrived, &mut self.cells, &mut self.counts);
        }
    }
}

impl Connection {
    fn take(&mut self, segment: &Segment, arrived: &Arrived<'_>, cells: &mut LatencyCells, counts: &mut PacketCounts) {
        let is_ack = segment.flags & flags::ACK != 0;
        if segment.flags & flags::RST != 0 {
            *self = Connection::default();
            return;
        }
        match (segment.flags & flags::SYN != 0, is_ack) {
            (true, false) => self.syn(segment, arrived, counts),
            (true, true) => self.syn_ack(segment, arrived, cells, counts),
            (false, true) if self.stage == Stage::SynAck => self.ack(segment, arrived, cells),
            _ => {}
        }
        if let Some((value, echo)) = segment.timestamps {
            if is_ack {
                self.echo(echo, arrived, cells, counts);
            }
            self.stamp(value, segment, arrived);
        }
    }

    fn syn(&mut self, segment: &Segment, arrived: &Arrived<'_>, counts: &mut PacketCounts) {
        let is_same = self.stage == Stage::Syn && self.initiator == Some(arrived.sender) && self.syn.number == segment.sequence;
        if is_same && arrived.at_us - self.syn.at_us < COPY_US {
            counts.copies += 1;
        } else if is_same {
            counts.repeated += u64::from(!self.is_repeated);
            self.is_repeated = true;
        } else {
            *self = Connection {
                stage: Stage::Syn,
                has_syn: true,
                initiator: Some(arrived.sender),
                syn: arrived.sent(segment.sequence),
                ..Connection::default()
            };
        }
    }

    fn syn_ack(&mut self, segment: &Segment, arrived: &Arrived<'_>, cells: &mut LatencyCells, counts: &mut PacketCounts) {
        let is_of_syn = self.stage == Stage::Syn
            && self.initiator == Some(arrived.sender.other())
            && segment.acknowledgement == self.syn.number.wrapping_add(1);
        if self.stage == Stage::SynAck && self.syn_ack.number == segment.sequence {
            if arrived.at_us - self.syn_ack.at_us < COPY_US {
                counts.copies += 1;
            } else {
                counts.repeated += u64::from(!self.is_repeated);
                self.is_repeated = true;
            }
            return;
        }
        if !is_of_syn {
            // Its SYN was not seen, or is another one's: the rest of the handshake still tells of the other end.
            *self = Connection { initiator: Some(arrived.sender.other()), ..Connection::default() };
        } else if !self.is_repeated {
            counts.handshakes += u64::from(self.measured(Method::Handshake, None, &self.syn, arrived, cells));
        }
        (self.stage, self.syn_ack) = (Stage::SynAck, arrived.sent(segment.sequence));
    }

    /// The first acknowledgement of the SYN-ACK.
    fn ack(&mut self, segment: &Segment, arrived: &Arrived<'_>, cells: &mut LatencyCells) {
        if self.initiator != Some(arrived.sender) || segment.acknowledgement != self.syn_ack.number.wrapping_add(1) {
            return;
        }
        if !self.is_repeated {
            self.measured(Method::Handshake, None, &self.syn_ack, arrived, cells);
            if self.has_syn {
                // Both halves: the link of the way back is the SYN-ACK's.
                let whole = Sent { link: self.syn_ack.link, ..self.syn };
                self.measured(Method::Handshake, Some(Span::RoundTrip), &whole, arrived, cells);
            }
        }
        self.stage = Stage::Unknown;
    }

    /// An echo of the other end's timestamp.
    fn echo(&mut self, echo: u32, arrived: &Arrived<'_>, cells: &mut LatencyCells, counts: &mut PacketCounts) {
        let stamps = &mut self.stamps[arrived.sender.other() as usize];
        let Some(waiting) = stamps.waiting else { return };
        if is_after(waiting.number, echo) {
            return;
        }
        // A later one is echoed: that of this one will not come any more.
        stamps.waiting = None;
        if waiting.number == echo {
            counts.echoes += u64::from(self.measured(Method::Timestamps, None, &waiting, arrived, cells));
        }
    }

    /// A timestamp of the sender's own: the first segment that has it is timed, if it calls for an answer.
    fn stamp(&mut self, value: u32, segment: &Segment, arrived: &Arrived<'_>) {
        let stamps = &mut self.stamps[arrived.sender as usize];
        if stamps.last.is_some_and(|last| !is_after(value, last)) {
            return;
        }
        stamps.last = Some(value);
        let is_lost = |sent: Sent| arrived.at_us - sent.at_us > ANSWER_US_MAX;
        let calls_for_answer = segment.has_data || segment.flags & (flags::SYN | flags::FIN) != 0;
        if calls_for_answer && stamps.waiting.is_none_or(is_lost) {
            stamps.waiting = Some(arrived.sent(value));
        }
    }

    /// Counts the time since a segment was sent; gives whether it is one that can be.
    fn measured(&self, method: Method, span: Option<Span>, sent: &Sent, arrived: &Arrived<'_>, cells: &mut LatencyCells) -> bool {
        let took_us = arrived.at_us - sent.at_us;
        if !(0..=ANSWER_US_MAX).contains(&took_us) {
            return false;
        }
        let (link, return_link) = match arrived.sender {
            End::Customer => ways(arrived.link, sent.link),
            End::Microsoft => ways(sent.link, arrived.link),
        };
        let key = LatencyKey {
            link,
            return_link,
            region: arrived.region.cloned(),
            method,
            span: span.unwrap_or(arrived.sender.span()),
            initiator: self.initiator,
            element: None,
            derivation: Derivation::AsMeasured,
        };
        cells.add(arrived.at_us, key, &Values::one(took_us as u64));
        true
    }
}

impl Arrived<'_> {
    fn sent(&self, number: u32) -> Sent {
        Sent { at_us: self.at_us, number, link: self.link }
    }
}

/// Whether a number of a circle of 2^32 comes after another (RFC 7323, section 5.2).
fn is_after(number: u32, other: u32) -> bool {
    number.wrapping_sub(other) as i32 > 0
}
