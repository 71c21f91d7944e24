//! sFlow version 5 (sflow_version_5.txt): flow and counter samples, compact or expanded.

use std::net::IpAddr;

use super::packet::put_frame;
use super::{PAYLOAD_BYTES_MAX, put_u32, put_u64};
use crate::record::{Datagram, DeviceClock, FlowRecord};

/// Bytes of a packet that a sample holds.
pub(crate) const HEADER_BYTES_MAX: usize = 128;
/// A flow sample with every extension is no longer than this.
const FLOW_SAMPLE_BYTES_MAX: usize = 340;
const COUNTER_SAMPLE_BYTES: usize = 128;

/// The sFlow side of a router.
pub(crate) struct Sflow {
    agent: IpAddr,
    clock: DeviceClock,
    one_in: u32,
    is_expanded: bool,
    our_asn: u32,
    sub_agents: Vec<SubAgent>,
}

struct SubAgent {
    id: u32,
    sequence: u32,
    samples: Vec<u8>,
    flow_samples: u32,
    counter_samples: u32,
    packets: u64,
    bytes: u64,
}

/// Where a sample was taken, and how many came before it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DataSource {
    /// ifIndex
    pub(crate) interface: u32,
    /// Samples of this source so far; the first has 1.
    pub(crate) sequence: u32,
    /// Packets that could have been sampled, this one among them.
    pub(crate) pool: u32,
}

/// The generic interface counters (if_counters).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) speed_bps: u64,
    pub(crate) is_up: bool,
    pub(crate) in_octets: u64,
    pub(crate) in_packets: u64,
    pub(crate) out_octets: u64,
    pub(crate) out_packets: u64,
}

impl Counters {
    /// What a poller makes of them: one line of JSON, its time in milliseconds since 1970.
    pub(crate) fn line(&self, exporter: &str, interface: u32, now_us: i64) -> String {
        let Counters { speed_bps: _, is_up, in_octets, in_packets, out_octets, out_packets } = self;
        let (milliseconds, state) = (now_us.div_euclid(1_000), if *is_up { "up" } else { "down" });
        format!(
            "{{\"exporter\":\"{exporter}\",\"ifIndex\":{interface},\"time\":{milliseconds},\"in_octets\":{in_octets},\
             \"in_pkts\":{in_packets},\"out_octets\":{out_octets},\"out_pkts\":{out_packets},\"oper_status\":\"{state}\"}}\n"
        )
    }
}

impl Sflow {
    pub(crate) fn new(agent: IpAddr, clock: DeviceClock, domains: &[u32], one_in: u32, is_expanded: bool) -> Sflow {
        let sub_agent = |id: &u32| SubAgent {
            id: *id,
            sequence: 0,
            samples: Vec::new(),
            flow_samples: 0,
            counter_samples: 0,
            packets: 0,
            bytes: 0,
        };
        Sflow { agent, clock, one_in, is_expanded, our_asn: 64_496, sub_agents: domains.iter().map(sub_agent).collect() }
    }

    /// A sampled packet; `record` says where it went, `ip_bytes` how long it was.
    pub(crate) fn add_flow(
        &mut self,
        record: &FlowRecord,
        ip_bytes: u64,
        from: DataSource,
        now_us: i64,
        out: &mut Vec<Datagram>,
    ) {
        self.make_room(record.domain, FLOW_SAMPLE_BYTES_MAX, now_us, out);
        let mut body = Vec::with_capacity(FLOW_SAMPLE_BYTES_MAX);
        put_u32(&mut body, from.sequence);
        self.put_source(&mut body, from.interface);
        put_u32(&mut body, self.one_in);
        put_u32(&mut body, from.pool);
        put_u32(&mut body, 0);
        for interface in [record.input, record.output] {
            if self.is_expanded {
                put_u32(&mut body, 0);
            }
            put_u32(&mut body, interface);
        }
        let has_gateway = record.source_asn != 0 || record.destination_asn != 0;
        put_u32(&mut body, 3 + u32::from(has_gateway));
        put_opaque(&mut body, 1, |out| put_sampled_header(out, record, ip_bytes));
        put_opaque(&mut body, 1_001, |out| {
            [u32::from(record.vlan), 0, u32::from(record.vlan), 0].iter().for_each(|word| put_u32(out, *word));
        });
        put_opaque(&mut body, 1_002, |out| {
            put_address(out, record.next_hop);
            put_u32(out, record.source_mask.into());
            put_u32(out, record.destination_mask.into());
        });
        if has_gateway {
            put_opaque(&mut body, 1_003, |out| put_gateway(out, record, self.our_asn));
        }
        let format = if self.is_expanded { 3 } else { 1 };
        let agent = &mut self.sub_agents[record.domain];
        put_opaque(&mut agent.samples, format, |out| out.extend_from_slice(&body));
        agent.flow_samples += 1;
        agent.packets += 1;
        agent.bytes += ip_bytes;
    }

    /// The counters of an interface.
    pub(crate) fn add_counters(
        &mut self,
        domain: usize,
        from: DataSource,
        counters: &Counters,
        now_us: i64,
        out: &mut Vec<Datagram>,
    ) {
        self.make_room(domain, COUNTER_SAMPLE_BYTES, now_us, out);
        let mut body = Vec::with_capacity(COUNTER_SAMPLE_BYTES);
        put_u32(&mut body, from.sequence);
        self.put_source(&mut body, from.interface);
        put_u32(&mut body, 1);
        put_opaque(&mut body, 1, |out| put_counters(out, from.interface, counters));
        let format = if self.is_expanded { 4 } else { 2 };
        let agent = &mut self.sub_agents[domain];
        put_opaque(&mut agent.samples, format, |out| out.extend_from_slice(&body));
        agent.counter_samples += 1;
    }

    /// Sends what waits.
    pub(crate) fn flush(&mut self, now_us: i64, out: &mut Vec<Datagram>) {
        for domain in 0..self.sub_agents.len() {
            self.send(domain, now_us, out);
        }
    }

    fn make_room(&mut self, domain: usize, bytes: usize, now_us: i64, out: &mut Vec<Datagram>) {
        if self.sub_agents[domain].samples.len() + bytes + 44 > PAYLOAD_BYTES_MAX {
            self.send(domain, now_us, out);
        }
    }

    /// Type (0 is ifIndex) in the top byte, or in a word of its own.
    fn put_source(&self, out: &mut Vec<u8>, interface: u32) {
        if self.is_expanded {
            put_u32(out, 0);
            put_u32(out, interface);
        } else {
            put_u32(out, interface & 0x00FF_FFFF);
        }
    }

    fn send(&mut self, domain: usize, now_us: i64, out: &mut Vec<Datagram>) {
        let agent = &mut self.sub_agents[domain];
        if agent.samples.is_empty() {
            return;
        }
        agent.sequence = agent.sequence.wrapping_add(1);
        let mut payload = Vec::with_capacity(agent.samples.len() + 44);
        put_u32(&mut payload, 5);
        put_address(&mut payload, Some(self.agent));
        put_u32(&mut payload, agent.id);
        put_u32(&mut payload, agent.sequence);
        put_u32(&mut payload, self.clock.uptime_ms(now_us));
        put_u32(&mut payload, agent.flow_samples + agent.counter_samples);
        payload.append(&mut agent.samples);
        out.push(Datagram {
            payload,
            domain,
            records: agent.flow_samples.into(),
            option_records: agent.counter_samples.into(),
            packets: agent.packets,
            bytes: agent.bytes,
            is_state: agent.counter_samples > 0,
        });
        (agent.flow_samples, agent.counter_samples, agent.packets, agent.bytes) = (0, 0, 0, 0);
    }
}

/// A format of enterprise 0, its length, its body.
fn put_opaque(out: &mut Vec<u8>, format: u32, body: impl FnOnce(&mut Vec<u8>)) {
    put_u32(out, format);
    let at = out.len();
    put_u32(out, 0);
    body(out);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Type 1 or 2 and the address; 0 is unknown.
fn put_address(out: &mut Vec<u8>, address: Option<IpAddr>) {
    match address {
        Some(IpAddr::V4(address)) => {
            put_u32(out, 1);
            out.extend_from_slice(&address.octets());
        }
        Some(IpAddr::V6(address)) => {
            put_u32(out, 2);
            out.extend_from_slice(&address.octets());
        }
        None => put_u32(out, 0),
    }
}

/// sampled_header: Ethernet, frame length with check sequence, 4 bytes (the check sequence) stripped.
fn put_sampled_header(out: &mut Vec<u8>, record: &FlowRecord, ip_bytes: u64) {
    put_u32(out, 1);
    put_u32(out, record.frame_bytes(ip_bytes) as u32);
    put_u32(out, 4);
    let at = out.len();
    put_u32(out, 0);
    put_frame(out, record, ip_bytes, HEADER_BYTES_MAX);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    super::pad(out, at);
}

/// extended_gateway: next hop, our AS, source AS, peer AS, a path of one sequence, no communities, local preference.
fn put_gateway(out: &mut Vec<u8>, record: &FlowRecord, our_asn: u32) {
    put_address(out, record.bgp_next_hop.or(record.next_hop));
    put_u32(out, our_asn);
    put_u32(out, record.source_asn);
    put_u32(out, record.source_asn);
    put_u32(out, 1);
    put_u32(out, 2);
    put_u32(out, 1);
    put_u32(out, record.destination_asn);
    put_u32(out, 0);
    put_u32(out, 100);
}

fn put_counters(out: &mut Vec<u8>, interface: u32, counters: &Counters) {
    put_u32(out, interface);
    put_u32(out, 6);
    put_u64(out, counters.speed_bps);
    put_u32(out, 1);
    put_u32(out, if counters.is_up { 3 } else { 1 });
    put_u64(out, counters.in_octets);
    put_u32(out, counters.in_packets as u32);
    (0..5).for_each(|_| put_u32(out, 0));
    put_u64(out, counters.out_octets);
    put_u32(out, counters.out_packets as u32);
    (0..4).for_each(|_| put_u32(out, 0));
    put_u32(out, 0);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A packet to Microsoft.
    pub(crate) fn packet(is_v6: bool, protocol: u8, vlan: u16) -> FlowRecord {
        let (source, destination) = if is_v6 { ("2001:db8:1::9", "2603:1006::1") } else { ("203.0.113.9", "40.96.1.2") };
        let address = |text: &str| text.parse::<IpAddr>().expect(text);
        FlowRecord {
            source_port: 50_123,
            destination_port: 443,
            protocol,
            tcp_flags: 0x18,
            input: 20,
            output: 10,
            next_hop: Some(address(if is_v6 { "2001:db8:ff::1" } else { "198.51.100.1" })),
            source_asn: 64_500,
            destination_asn: 8_075,
            source_mask: 24,
            destination_mask: 13,
            source_mac: [2, 0, 0, 0, 0, 1],
            destination_mac: [2, 0, 0, 0, 0, 2],
            vlan,
            bytes: 1_500,
            packets: 1,
            start_us: 1_772_445_600_000_000,
            end_us: 1_772_445_600_000_000,
            ..FlowRecord::between(address(source), address(destination))
        }
    }
}
