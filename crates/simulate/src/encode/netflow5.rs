//! NetFlow version 5: 24 bytes of header, up to 30 records of 48 bytes, IPv4 only (Cisco's published format).

use std::net::{IpAddr, Ipv4Addr};

use super::{WAIT_US_MAX, put_u16, put_u32};
use crate::record::{Datagram, DeviceClock, FlowRecord};
use crate::scenario::SamplingMethod;

const RECORDS_MAX: usize = 30;
/// AS_TRANS (RFC 6793): stands for AS numbers that 16 bits do not hold.
const AS_TRANS: u16 = 23_456;

/// The version 5 side of a router.
pub(crate) struct Netflow5 {
    clock: DeviceClock,
    /// Two bits of mode, fourteen of interval; 0 says nothing.
    sampling: u16,
    engines: Vec<Engine>,
}

struct Engine {
    id: u8,
    sequence: u32,
    pending: Vec<FlowRecord>,
    oldest_us: i64,
}

impl Netflow5 {
    /// `one_in` is `None` where the header must not say.
    pub(crate) fn new(clock: DeviceClock, domains: &[u32], one_in: Option<u32>, method: SamplingMethod) -> Netflow5 {
        let mode: u16 = if method == SamplingMethod::Random { 2 } else { 1 };
        let engine = |id: &u32| Engine { id: *id as u8, sequence: 0, pending: Vec::new(), oldest_us: 0 };
        Netflow5 {
            clock,
            sampling: one_in.map_or(0, |one_in| mode << 14 | (one_in as u16 & 0x3FFF)),
            engines: domains.iter().map(engine).collect(),
        }
    }

    /// Takes a record; false where the format cannot say it (IPv6).
    pub(crate) fn add(&mut self, record: &FlowRecord, now_us: i64, out: &mut Vec<Datagram>) -> bool {
        if record.is_v6() {
            return false;
        }
        let engine = &mut self.engines[record.domain];
        if engine.pending.is_empty() {
            engine.oldest_us = now_us;
        }
        engine.pending.push(record.clone());
        if engine.pending.len() == RECORDS_MAX {
            self.send(record.domain, now_us, out);
        }
        true
    }

    /// Sends what has waited long enough, or everything.
    pub(crate) fn flush(&mut self, now_us: i64, is_all: bool, out: &mut Vec<Datagram>) {
        for domain in 0..self.engines.len() {
            let engine = &self.engines[domain];
            if !engine.pending.is_empty() && (is_all || now_us - engine.oldest_us >= WAIT_US_MAX) {
                self.send(domain, now_us, out);
            }
        }
    }

    fn send(&mut self, domain: usize, now_us: i64, out: &mut Vec<Datagram>) {
        let engine = &mut self.engines[domain];
        let count = engine.pending.len();
        let mut payload = Vec::with_capacity(24 + 48 * count);
        let device_us = self.clock.device_us(now_us);
        put_u16(&mut payload, 5);
        put_u16(&mut payload, count as u16);
        put_u32(&mut payload, self.clock.uptime_ms(now_us));
        put_u32(&mut payload, self.clock.seconds(now_us));
        put_u32(&mut payload, device_us.rem_euclid(1_000_000) as u32 * 1_000);
        put_u32(&mut payload, engine.sequence);
        payload.extend_from_slice(&[0, engine.id]);
        put_u16(&mut payload, self.sampling);
        for record in &engine.pending {
            put_record(&mut payload, self.clock, record);
        }
        out.push(Datagram {
            payload,
            domain,
            records: count as u64,
            option_records: 0,
            packets: engine.pending.iter().map(|record| record.packets).sum(),
            bytes: engine.pending.iter().map(|record| record.bytes).sum(),
            is_state: false,
        });
        engine.sequence = engine.sequence.wrapping_add(count as u32);
        engine.pending.clear();
    }
}

pub(crate) fn put_record(payload: &mut Vec<u8>, clock: DeviceClock, record: &FlowRecord) {
    let v4 = |address: IpAddr| match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    payload.extend_from_slice(&v4(record.source).octets());
    payload.extend_from_slice(&v4(record.destination).octets());
    payload.extend_from_slice(&record.next_hop.map_or(Ipv4Addr::UNSPECIFIED, v4).octets());
    put_u16(payload, record.input as u16);
    put_u16(payload, record.output as u16);
    put_u32(payload, record.packets as u32);
    put_u32(payload, record.bytes as u32);
    put_u32(payload, clock.uptime_ms(record.start_us));
    put_u32(payload, clock.uptime_ms(record.end_us));
    put_u16(payload, record.source_port);
    put_u16(payload, record.destination_port);
    payload.extend_from_slice(&[0, record.tcp_flags, record.protocol, 0]);
    put_u16(payload, u16::try_from(record.source_asn).unwrap_or(AS_TRANS));
    put_u16(payload, u16::try_from(record.destination_asn).unwrap_or(AS_TRANS));
    payload.extend_from_slice(&[record.source_mask, record.destination_mask, 0, 0]);
}
