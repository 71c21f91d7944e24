//! What a router knows about a flow or a sampled packet, before any encoding.

use std::net::IpAddr;

/// A flow as a router keeps and exports it; for sFlow one packet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FlowRecord {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) protocol: u8,
    pub(crate) tcp_flags: u8,
    /// ifIndex, 0 where the router does not know.
    pub(crate) input: u32,
    pub(crate) output: u32,
    pub(crate) next_hop: Option<IpAddr>,
    pub(crate) bgp_next_hop: Option<IpAddr>,
    pub(crate) source_asn: u32,
    pub(crate) destination_asn: u32,
    pub(crate) source_mask: u8,
    pub(crate) destination_mask: u8,
    pub(crate) source_mac: [u8; 6],
    pub(crate) destination_mac: [u8; 6],
    pub(crate) vlan: u16,
    /// Metered as it went out.
    pub(crate) is_egress: bool,
    /// Place of the observation domain in the router's list.
    pub(crate) domain: usize,
    /// IP bytes.
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    /// Time of the first packet, microseconds since 1970, true time.
    pub(crate) start_us: i64,
    /// Time of the last packet.
    pub(crate) end_us: i64,
}

impl FlowRecord {
    /// Nothing that went from one address to another.
    pub(crate) fn between(source: IpAddr, destination: IpAddr) -> FlowRecord {
        FlowRecord {
            source,
            destination,
            source_port: 0,
            destination_port: 0,
            protocol: 0,
            tcp_flags: 0,
            input: 0,
            output: 0,
            next_hop: None,
            bgp_next_hop: None,
            source_asn: 0,
            destination_asn: 0,
            source_mask: 0,
            destination_mask: 0,
            source_mac: [0; 6],
            destination_mac: [0; 6],
            vlan: 0,
            is_egress: false,
            domain: 0,
            bytes: 0,
            packets: 0,
            start_us: 0,
            end_us: 0,
        }
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.source.is_ipv6()
    }

    /// Bytes of the Ethernet frame of an IP packet of `ip_bytes`, with its check sequence.
    pub(crate) fn frame_bytes(&self, ip_bytes: u64) -> u64 {
        ip_bytes + frame_overhead(self.vlan)
    }
}

/// Ethernet header, check sequence and VLAN tag, bytes.
pub(crate) const fn frame_overhead(vlan: u16) -> u64 {
    if vlan == 0 { 18 } else { 22 }
}

/// A UDP payload on its way out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Datagram {
    pub(crate) payload: Vec<u8>,
    /// Place of the observation domain in the router's list.
    pub(crate) domain: usize,
    /// Data records, or flow samples.
    pub(crate) records: u64,
    /// Option records, or counter samples.
    pub(crate) option_records: u64,
    /// Packets of the data records, as exported.
    pub(crate) packets: u64,
    /// IP bytes of the data records, as exported.
    pub(crate) bytes: u64,
    /// It carries templates, options or counters.
    pub(crate) is_state: bool,
}

/// A router's clock: true time in, what it writes out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeviceClock {
    /// True time at which the device started.
    pub(crate) boot_us: i64,
    /// What its clock shows minus the true time.
    pub(crate) offset_us: i64,
}

impl DeviceClock {
    /// Microseconds since 1970 as the device believes.
    pub(crate) fn device_us(self, true_us: i64) -> i64 {
        true_us + self.offset_us
    }

    /// Whole seconds since 1970 as the device believes.
    pub(crate) fn seconds(self, true_us: i64) -> u32 {
        self.device_us(true_us).div_euclid(1_000_000) as u32
    }

    /// Milliseconds since the device started, 32 bits that wrap after 49.7 days.
    pub(crate) fn uptime_ms(self, true_us: i64) -> u32 {
        (true_us - self.boot_us).div_euclid(1_000) as u32
    }
}
