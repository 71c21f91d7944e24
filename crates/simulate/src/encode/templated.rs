//! NetFlow v9 (RFC 3954) and IPFIX (RFC 7011) messages.

use super::fields::{self, Field, TimeBase};
use super::options::{self, About, Set};
use super::{PAYLOAD_BYTES_MAX, WAIT_US_MAX, pad, put_u16, put_u32};
use crate::record::{Datagram, DeviceClock, FlowRecord};
use crate::scenario::{FlowTimes, Router, WireProtocol};

/// Template ids of the data records: IPv4, IPv6.
pub(crate) const TEMPLATES: [u16; 2] = [260, 261];
/// A set's header and padding at most.
const SET_BYTES: usize = 4 + 3;

/// The templated side of a router.
pub(crate) struct Templated {
    router: Router,
    clock: DeviceClock,
    interfaces: Vec<(u32, String)>,
    columns: [Vec<Field>; 2],
    domains: Vec<Domain>,
}

struct Domain {
    id: u32,
    sequence: u32,
    /// IPv4 and IPv6 records that wait.
    pending: [Vec<FlowRecord>; 2],
    oldest_us: i64,
}

impl Templated {
    pub(crate) fn new(router: &Router, clock: DeviceClock, interfaces: Vec<(u32, String)>) -> Templated {
        let domain = |id: &u32| Domain { id: *id, sequence: 0, pending: [Vec::new(), Vec::new()], oldest_us: 0 };
        Templated {
            clock,
            interfaces,
            columns: [fields::columns(router, false), fields::columns(router, true)],
            domains: router.domains.iter().map(domain).collect(),
            router: router.clone(),
        }
    }

    /// Templates and options of every domain.
    pub(crate) fn describe(&mut self, now_us: i64, out: &mut Vec<Datagram>) {
        for index in 0..self.domains.len() {
            let mut body = Vec::new();
            for (id, columns) in TEMPLATES.iter().zip(&self.columns) {
                fields::put_template(&mut body, *id, columns);
            }
            let id = if self.is_ipfix() { 2 } else { 0 };
            let about = About {
                router: &self.router,
                clock: self.clock,
                domain_id: self.domains[index].id,
                interfaces: &self.interfaces,
            };
            let mut sets = vec![Set { id, body, records: 2, option_records: 0 }];
            sets.extend(options::sets(&about));
            let mut first = 0;
            for next in 1..=sets.len() {
                let bytes = |sets: &[Set]| sets.iter().map(|set| set.body.len() + SET_BYTES).sum::<usize>() + self.header_bytes();
                if next == sets.len() || bytes(&sets[first..=next]) > PAYLOAD_BYTES_MAX {
                    let datagram = self.message(index, &sets[first..next], now_us);
                    out.push(Datagram { is_state: true, ..datagram });
                    first = next;
                }
            }
        }
    }

    /// Takes a record.
    pub(crate) fn add(&mut self, record: &FlowRecord, now_us: i64, out: &mut Vec<Datagram>) {
        let sizes = [fields::record_bytes(&self.columns[0]), fields::record_bytes(&self.columns[1])];
        let family = usize::from(record.is_v6());
        let domain = &self.domains[record.domain];
        let waiting = |family: usize| domain.pending[family].len() * sizes[family];
        if self.header_bytes() + 2 * SET_BYTES + waiting(0) + waiting(1) + sizes[family] > PAYLOAD_BYTES_MAX {
            self.send(record.domain, now_us, out);
        }
        let domain = &mut self.domains[record.domain];
        if domain.pending.iter().all(Vec::is_empty) {
            domain.oldest_us = now_us;
        }
        domain.pending[family].push(record.clone());
    }

    /// Sends what has waited long enough, or everything.
    pub(crate) fn flush(&mut self, now_us: i64, is_all: bool, out: &mut Vec<Datagram>) {
        for index in 0..self.domains.len() {
            let domain = &self.domains[index];
            let is_empty = domain.pending.iter().all(Vec::is_empty);
            if !is_empty && (is_all || now_us - domain.oldest_us >= WAIT_US_MAX) {
                self.send(index, now_us, out);
            }
        }
    }

    fn send(&mut self, index: usize, now_us: i64, out: &mut Vec<Datagram>) {
        let pending = std::mem::take(&mut self.domains[index].pending);
        let times = fields::times_of(&self.router);
        let base = TimeBase { clock: self.clock, times, export_seconds: self.export_seconds(now_us) };
        let mut sets = Vec::with_capacity(2);
        for (family, records) in pending.iter().enumerate().filter(|(_, records)| !records.is_empty()) {
            let mut body = Vec::with_capacity(PAYLOAD_BYTES_MAX);
            for record in records {
                fields::put_record(&mut body, &self.columns[family], record, base);
            }
            sets.push(Set { id: TEMPLATES[family], body, records: records.len() as u16, option_records: 0 });
        }
        let datagram = self.message(index, &sets, now_us);
        let records = || pending.iter().flatten();
        out.push(Datagram {
            records: records().count() as u64,
            packets: records().map(|record| record.packets).sum(),
            bytes: records().map(|record| record.bytes).sum(),
            ..datagram
        });
        let [mut v4, mut v6] = pending;
        v4.clear();
        v6.clear();
        self.domains[index].pending = [v4, v6];
    }

    /// A whole message; the sequence number goes on.
    fn message(&mut self, index: usize, sets: &[Set], now_us: i64) -> Datagram {
        let export_seconds = self.export_seconds(now_us);
        let is_ipfix = self.is_ipfix();
        let domain = &mut self.domains[index];
        let mut payload = Vec::with_capacity(PAYLOAD_BYTES_MAX);
        if is_ipfix {
            put_u16(&mut payload, 10);
            put_u16(&mut payload, 0);
        } else {
            put_u16(&mut payload, 9);
            put_u16(&mut payload, sets.iter().map(|set| set.records).sum());
            put_u32(&mut payload, self.clock.uptime_ms(now_us));
        }
        put_u32(&mut payload, export_seconds);
        put_u32(&mut payload, domain.sequence);
        put_u32(&mut payload, domain.id);
        for set in sets {
            let start = payload.len();
            put_u16(&mut payload, set.id);
            put_u16(&mut payload, 0);
            payload.extend_from_slice(&set.body);
            pad(&mut payload, start);
            let length = (payload.len() - start) as u16;
            payload[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
        }
        if is_ipfix {
            let length = payload.len() as u16;
            payload[2..4].copy_from_slice(&length.to_be_bytes());
        }
        // IPFIX counts data records, those of options among them, never templates; v9 counts messages.
        let is_data = |set: &&Set| set.id >= 256;
        let data_records: u32 = sets.iter().filter(is_data).map(|set| u32::from(set.records)).sum();
        domain.sequence = domain.sequence.wrapping_add(if is_ipfix { data_records } else { 1 });
        let option_records = sets.iter().map(|set| u64::from(set.option_records)).sum();
        Datagram { payload, domain: index, records: 0, option_records, packets: 0, bytes: 0, is_state: false }
    }

    /// The header's time; rounded up where records count back from it.
    fn export_seconds(&self, now_us: i64) -> u32 {
        match fields::times_of(&self.router) {
            FlowTimes::Delta => self.clock.seconds(now_us + 999_999),
            _ => self.clock.seconds(now_us),
        }
    }

    fn is_ipfix(&self) -> bool {
        self.router.protocol == WireProtocol::Ipfix
    }

    fn header_bytes(&self) -> usize {
        if self.is_ipfix() { 16 } else { 20 }
    }
}
