//! What a mirror port shows of TCP handshakes: SYN and SYN-ACK, each in the ERSPAN frame that a switch sends.

use std::net::{IpAddr, Ipv4Addr};

use crate::encode::packet::{checksum, put_frame};
use crate::encode::{put_u16, put_u32};
use crate::plan::{EndPlan, Plan};
use crate::random::Random;
use crate::record::FlowRecord;
use crate::scenario::{MirrorPort, Scenario};

/// Streams of random numbers of mirrors begin here.
const STREAM_MIRRORS: u64 = 2_000_000;
/// Bytes of a TCP segment without options over IPv4.
const SEGMENT_BYTES: u64 = 40;
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
/// Ethernet with its type, and IPv4.
const TCP_AT: usize = 14 + 20;
const GRE: u8 = 47;
const ERSPAN: u16 = 0x88BE;
/// A sequence number follows, as in ERSPAN of type II.
const GRE_SEQUENCE: u16 = 0x1000;

/// A frame of a mirror port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredFrame {
    /// When the switch saw the packet in it, microseconds since 1970.
    pub at_us: i64,
    /// Ethernet, IPv4, GRE, ERSPAN, and the packet's own frame.
    pub bytes: Vec<u8>,
}

/// The handshakes of one mirror port, in the order of their time.
pub struct Handshakes {
    mirror: MirrorPort,
    random: Random,
    customers: Vec<EndPlan>,
    services: Vec<EndPlan>,
    start_us: i64,
    end_us: i64,
    next_us: i64,
    sequence: u32,
    /// When its connection is down.
    down: Vec<std::ops::Range<i64>>,
    /// Answers that are on their way.
    waiting: Vec<MirroredFrame>,
    round_trips_us: Vec<(i64, i64)>,
}

impl Handshakes {
    /// Those of each mirror port of a scenario.
    pub fn of(scenario: &Scenario) -> Vec<Handshakes> {
        let one = |(mirror, stream): (&MirrorPort, u64)| {
            let plan = Plan::new(scenario);
            let services = scenario.services.len();
            Handshakes {
                mirror: mirror.clone(),
                random: Random::new(scenario.seed, stream),
                customers: plan.customers,
                services: plan.far_ends.into_iter().take(services).collect(),
                start_us: plan.start_us,
                end_us: plan.end_us,
                next_us: plan.start_us,
                sequence: 0,
                down: down(scenario, &mirror.connection),
                waiting: Vec::new(),
                round_trips_us: Vec::new(),
            }
        };
        scenario.mirrors.iter().zip(STREAM_MIRRORS..).map(one).collect()
    }

    /// The mirror port.
    pub fn mirror(&self) -> &MirrorPort {
        &self.mirror
    }

    /// The truth so far: when each handshake began, and the time from SYN to SYN-ACK, microseconds.
    pub fn round_trips_us(&self) -> &[(i64, i64)] {
        &self.round_trips_us
    }

    /// The frames before a time that were not had yet, in order.
    pub fn until(&mut self, until_us: i64) -> Vec<MirroredFrame> {
        let until_us = until_us.min(self.end_us);
        while self.next_us < until_us {
            if !self.down.iter().any(|down| down.contains(&self.next_us)) {
                self.handshake();
            }
            let wait_us = self.random.exponential(1e6 / self.mirror.handshakes_per_second) as i64;
            self.next_us += wait_us.max(1);
        }
        let all = std::mem::take(&mut self.waiting).into_iter();
        let (mut due, waiting): (Vec<MirroredFrame>, _) = all.partition(|frame| frame.at_us < until_us);
        self.waiting = waiting;
        due.sort_by_key(|frame| frame.at_us);
        due
    }

    /// A customer's SYN and Microsoft's answer.
    fn handshake(&mut self) {
        let customer = self.random.weighted(self.customers.iter().map(weight));
        let service = self.random.weighted(self.services.iter().map(weight));
        let (_, near) = self.customers[customer].draw(false, &mut self.random);
        let (_, far) = self.services[service].draw(false, &mut self.random);
        let port = 32_768 + self.random.below(28_000) as u16;
        let [first, second] = [self.random.bits() as u32, self.random.bits() as u32];
        let round_trip_us = self.round_trip_us();
        self.round_trips_us.push((self.next_us, round_trip_us));
        let syn = Segment { source: (near, port), destination: (far, 443), flags: SYN, sequence: first, acknowledged: 0 };
        let answer = Segment {
            source: (far, 443),
            destination: (near, port),
            flags: SYN_ACK,
            sequence: second,
            acknowledged: first.wrapping_add(1),
        };
        for (segment, at_us) in [(syn, self.next_us), (answer, self.next_us + round_trip_us)] {
            self.sequence = self.sequence.wrapping_add(1);
            let bytes = segment.mirrored(self.sequence);
            self.waiting.push(MirroredFrame { at_us, bytes });
        }
    }

    fn round_trip_us(&mut self) -> i64 {
        let since = (self.next_us - self.start_us) as f64 / 1e6;
        let is_on =
            |slower: &&crate::scenario::Slower| since >= slower.at_seconds && since < slower.at_seconds + slower.duration_seconds;
        let extra_ms: f64 = self.mirror.slower.iter().filter(is_on).map(|slower| slower.extra_ms).sum();
        let jitter_ms = self.random.exponential(self.mirror.jitter_ms);
        ((self.mirror.round_trip_ms + jitter_ms + extra_ms) * 1e3) as i64
    }
}

/// When a connection carries nothing.
fn down(scenario: &Scenario, connection: &str) -> Vec<std::ops::Range<i64>> {
    let of = scenario.failures.iter().filter(|failure| failure.connection.as_deref() == Some(connection));
    let at = |seconds| scenario.at_us(seconds);
    of.map(|failure| at(failure.down_at_seconds)..failure.up_at_seconds.map_or(i64::MAX, at)).collect()
}

fn weight(end: &EndPlan) -> f64 {
    if end.has(false) { end.weight } else { 0.0 }
}

struct Segment {
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    flags: u8,
    sequence: u32,
    acknowledged: u32,
}

impl Segment {
    /// The frame in which a switch mirrors it to a distance (draft-foschiano-erspan-03, type II).
    fn mirrored(&self, number: u32) -> Vec<u8> {
        let frame = self.frame();
        let mut out = Vec::with_capacity(50 + frame.len());
        out.extend_from_slice(&[2, 0, 0, 0, 0, 0xFE, 2, 0, 0, 0, 0, 0xFD, 0x08, 0x00]);
        let header = out.len();
        out.extend_from_slice(&[0x45, 0]);
        put_u16(&mut out, (20 + 16 + frame.len()) as u16);
        put_u32(&mut out, 0x0000_4000);
        out.extend_from_slice(&[64, GRE, 0, 0]);
        let (switch, collector) = (Ipv4Addr::new(192, 0, 2, 253), Ipv4Addr::new(192, 0, 2, 250));
        out.extend_from_slice(&switch.octets());
        out.extend_from_slice(&collector.octets());
        let sum = checksum(&out[header..]);
        out[header + 10..header + 12].copy_from_slice(&sum.to_be_bytes());
        put_u16(&mut out, GRE_SEQUENCE);
        put_u16(&mut out, ERSPAN);
        put_u32(&mut out, number);
        // Version 1 (type II), session 1; index 0.
        put_u32(&mut out, 0x1000_0001);
        put_u32(&mut out, 0);
        out.extend_from_slice(&frame);
        out
    }

    fn frame(&self) -> Vec<u8> {
        let record = FlowRecord {
            source_port: self.source.1,
            destination_port: self.destination.1,
            protocol: 6,
            tcp_flags: self.flags,
            source_mac: [2, 0, 0, 0, 0, 1],
            destination_mac: [2, 0, 0, 0, 0, 2],
            ..FlowRecord::between(self.source.0, self.destination.0)
        };
        let mut frame = Vec::new();
        put_frame(&mut frame, &record, SEGMENT_BYTES, 128);
        frame[TCP_AT + 4..TCP_AT + 8].copy_from_slice(&self.sequence.to_be_bytes());
        frame[TCP_AT + 8..TCP_AT + 12].copy_from_slice(&self.acknowledged.to_be_bytes());
        frame
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;
    use crate::testing;

    fn handshakes() -> Handshakes {
        let mirror = "[[mirrors]]\nconnection = \"fra-1\"\ninterface = \"m\"\nhandshakes_per_second = 5.0\nround_trip_ms = 8.0\n\
                      jitter_ms = 1.0\nslower = [{ at_seconds = 30.0, duration_seconds = 30.0, extra_ms = 6.0 }]\n";
        let scenario = Scenario::parse(&format!("{}{mirror}", testing::SMALLEST)).expect("a scenario");
        Handshakes::of(&scenario).remove(0)
    }

    #[test]
    fn frames_come_in_order_however_often_they_are_asked_for() {
        let (mut once, mut often) = (handshakes(), handshakes());
        let start_us = once.start_us;
        let all = once.until(i64::MAX);
        let parts: Vec<MirroredFrame> = (1..=600).flat_map(|part| often.until(start_us + part * 100_000)).collect();
        assert!(all.is_sorted_by_key(|frame| frame.at_us) && all.len() > 400, "{}", all.len());
        let times = |frames: &[MirroredFrame]| frames.iter().map(|frame| frame.at_us).collect::<Vec<_>>();
        assert_eq!(times(&all), times(&parts));
        assert!(once.round_trips_us().iter().all(|(_, us)| *us >= 8_000));
    }

    #[test]
    fn another_parser_reads_the_segment_in_the_tunnel() {
        let frame = handshakes().until(i64::MAX).remove(0);
        let outer = SlicedPacket::from_ethernet(&frame.bytes).expect("a frame");
        let Some(NetSlice::Ipv4(ip)) = outer.net else { panic!("no IPv4") };
        assert_eq!(ip.header().to_header().calc_header_checksum(), ip.header().header_checksum());
        assert_eq!(ip.payload().payload[..4], [0x10, 0, 0x88, 0xBE]);
        let inner = SlicedPacket::from_ethernet(&ip.payload().payload[16..]).expect("the mirrored frame");
        let Some(TransportSlice::Tcp(tcp)) = inner.transport else { panic!("no TCP") };
        assert!(tcp.syn() && !tcp.ack() && tcp.destination_port() == 443);
    }
}
