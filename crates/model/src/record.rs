//! What exporters say: flow records, interface counters, and facts about themselves.

use serde::{Deserialize, Serialize};

use crate::address::{Address, Mac};
use crate::latency::RecordLatency;

/// The dense number that a decoder gave to an exporter; of that decoder only.
///
/// [`Fact::Exporter`] says which address it stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExporterId(pub u32);

/// The telemetry protocol of a datagram, from its version field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// Cisco NetFlow version 5.
    NetflowV5,
    /// Cisco NetFlow version 7.
    NetflowV7,
    /// NetFlow version 9 (RFC 3954).
    NetflowV9,
    /// IPFIX (RFC 7011).
    Ipfix,
    /// sFlow version 5.
    Sflow,
}

impl Protocol {
    /// The name in tables and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::NetflowV5 => "netflow5",
            Protocol::NetflowV7 => "netflow7",
            Protocol::NetflowV9 => "netflow9",
            Protocol::Ipfix => "ipfix",
            Protocol::Sflow => "sflow",
        }
    }
}

/// Where the sampling rate of a record came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SamplingOrigin {
    /// Nobody said: the record cannot be scaled.
    #[default]
    Unknown,
    /// The record or sample itself (elements 34, 50, 305/306; an sFlow sample).
    Record,
    /// The sampler that the record names (elements 48, 302), from options data.
    Sampler,
    /// Options data of the interface, template, line card or system scope.
    Options,
    /// The version 5 header.
    Header,
    /// The configuration.
    Configured,
    /// The exporter says that it does not sample.
    Unsampled,
}

impl SamplingOrigin {
    /// All of them, in order.
    pub const ALL: [SamplingOrigin; 7] = [
        SamplingOrigin::Unknown,
        SamplingOrigin::Record,
        SamplingOrigin::Sampler,
        SamplingOrigin::Options,
        SamplingOrigin::Header,
        SamplingOrigin::Configured,
        SamplingOrigin::Unsampled,
    ];

    /// The name in tables and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            SamplingOrigin::Unknown => "unknown",
            SamplingOrigin::Record => "record",
            SamplingOrigin::Sampler => "sampler",
            SamplingOrigin::Options => "options",
            SamplingOrigin::Header => "header",
            SamplingOrigin::Configured => "configured",
            SamplingOrigin::Unsampled => "unsampled",
        }
    }
}

/// How a record was sampled: of every `population` packets, `sample` were taken.
///
/// An exact rational: nothing is ever scaled by a truncated quotient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sampling {
    /// Packets from which the sample was taken; 0 where the rate is unknown.
    pub population: u32,
    /// Packets taken; 0 where the rate is unknown.
    pub sample: u32,
    /// Who said so.
    pub origin: SamplingOrigin,
    /// Whole flows were sampled, not packets (RFC 7014; ipt_NETFLOW): a flow's own size is known.
    pub is_of_flows: bool,
}

impl Sampling {
    /// One packet of every `population`.
    pub const fn one_in(population: u32, origin: SamplingOrigin) -> Sampling {
        Sampling { population, sample: 1, origin, is_of_flows: false }
    }

    /// Whether a rate is known.
    pub const fn is_known(self) -> bool {
        self.population > 0 && self.sample > 0
    }

    /// Who said so; nobody where no rate is known.
    #[inline]
    pub const fn known_origin(self) -> SamplingOrigin {
        if self.is_known() { self.origin } else { SamplingOrigin::Unknown }
    }

    /// The rate as a quotient: packets that each sampled packet stands for.
    pub fn ratio(self) -> Option<f64> {
        self.is_known().then(|| f64::from(self.population) / f64::from(self.sample))
    }
}

/// At which side of the exporter a record was metered (element 61, flowDirection).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metering {
    /// The record does not say.
    #[default]
    Unstated,
    /// Metered where it entered, at the input interface.
    Ingress,
    /// Metered where it left, at the output interface.
    Egress,
}

/// Which of its times a record's event time comes from, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeSource {
    /// Elements 152 and 153, milliseconds.
    Milliseconds,
    /// Elements 154 to 157, NTP fractions.
    Ntp,
    /// Elements 150 and 151, seconds.
    Seconds,
    /// Elements 158 and 159, microseconds before the export time.
    DeltaMicroseconds,
    /// Elements 21 and 22 with the device's start time known.
    Uptime,
    /// Elements 21 and 22 with a learned start time.
    LearnedUptime,
    /// The export time of the datagram.
    Export,
    /// The time of reception: the device gives none, or its clock is absurd or unstable.
    #[default]
    Received,
}

/// One decoded flow record or packet sample.
///
/// Counts are as exported: never scaled by the sampling rate, which stands beside them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// IP next hop (elements 15, 62; sFlow extended router), or unknown.
    pub next_hop: Address,
    /// BGP next hop (elements 18, 63; sFlow extended gateway), or unknown.
    pub bgp_next_hop: Address,
    /// IP bytes, headers included (layer 3), as exported.
    pub bytes: u64,
    /// Packets, as exported; 1 for a packet sample.
    pub packets: u64,
    /// Bytes on the link layer with the frame check sequence, as exported; 0 where not given.
    pub frame_bytes: u64,
    /// First packet, event time; equal to `end_us` for a packet sample.
    pub start_us: i64,
    /// Last packet, event time.
    pub end_us: i64,
    /// How it was sampled.
    pub sampling: Sampling,
    /// The exporter.
    pub exporter: ExporterId,
    /// Observation domain, source id or sub-agent.
    pub domain: u32,
    /// Input interface (elements 10, 252); 0 unknown.
    pub input: u32,
    /// Output interface (elements 14, 253); 0 unknown.
    pub output: u32,
    /// Origin AS of the source by the exporter; 0 unknown.
    pub source_asn: u32,
    /// Origin AS of the destination by the exporter; 0 unknown.
    pub destination_asn: u32,
    /// Source port, 0 where there is none.
    pub source_port: u16,
    /// Destination port, 0 where there is none.
    pub destination_port: u16,
    /// VLAN of the frame (elements 58, 243; sFlow); 0 untagged or unknown.
    pub vlan: u16,
    /// Source Ethernet address (elements 56, 81), all zero where unknown.
    pub source_mac: Mac,
    /// Destination Ethernet address (elements 80, 57), all zero where unknown.
    pub destination_mac: Mac,
    /// Length of the source prefix by the exporter; 0 unknown.
    pub source_mask: u8,
    /// Length of the destination prefix by the exporter; 0 unknown.
    pub destination_mask: u8,
    /// IP protocol number.
    pub protocol: u8,
    /// TCP flags, the OR over the flow.
    pub tcp_flags: u8,
    /// At which side of the exporter it was metered.
    pub metering: Metering,
    /// Where the event time comes from.
    pub time_source: TimeSource,
    /// It is one sampled packet, not a flow.
    pub is_packet_sample: bool,
    /// It was dropped by the device (forwarding status, output discard): not traffic.
    pub is_dropped: bool,
    /// It is the reverse half of a biflow (RFC 5103): the ledger has counted its record already.
    pub is_reverse: bool,
}

/// Counters of one interface at one moment; `None` where the device gives none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InterfaceCounters {
    /// The exporter.
    pub exporter: ExporterId,
    /// Interface index.
    pub interface: u32,
    /// When the counters were read; the time of reception for sFlow.
    pub at_us: i64,
    /// Speed in bit/s (sFlow ifSpeed).
    pub speed_bps: Option<u64>,
    /// Administratively up.
    pub admin_up: Option<bool>,
    /// Operationally up.
    pub oper_up: Option<bool>,
    /// Octets received, since the device started counting.
    pub in_octets: Option<u64>,
    /// Octets sent.
    pub out_octets: Option<u64>,
    /// Packets received (unicast, multicast and broadcast).
    pub in_packets: Option<u64>,
    /// Packets sent.
    pub out_packets: Option<u64>,
    /// Received packets discarded.
    pub in_discards: Option<u64>,
    /// Packets to send discarded.
    pub out_discards: Option<u64>,
    /// Received packets with errors.
    pub in_errors: Option<u64>,
    /// Packets to send with errors.
    pub out_errors: Option<u64>,
    /// The device began counting anew since the last reading (its sequence started over).
    pub is_reset: bool,
}

/// What a datagram says about its exporter, or lets the decoder find out.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A new exporter; comes before anything else that names it.
    Exporter {
        /// Its number from here on.
        exporter: ExporterId,
        /// Its address: the source of the datagram; of sFlow the agent's.
        address: Address,
    },
    /// The name of an interface, from options data.
    InterfaceName {
        /// The exporter.
        exporter: ExporterId,
        /// Interface index.
        interface: u32,
        /// Its name (element 82), cleaned of control characters.
        name: String,
    },
    /// The speed of an interface.
    InterfaceSpeed {
        /// The exporter.
        exporter: ExporterId,
        /// Interface index.
        interface: u32,
        /// bit/s.
        speed_bps: u64,
    },
}

/// What decoding appends to: the records, counters and facts of some datagrams.
///
/// The caller owns it, clears it and uses it again; nothing is allocated in the long run.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Flow records and packet samples, in wire order.
    pub records: Vec<Record>,
    /// Interface counters.
    pub counters: Vec<InterfaceCounters>,
    /// Facts about exporters; read before the records.
    pub facts: Vec<Fact>,
    /// What exporters told of the time that the packets of records took, in the order of the records.
    pub latencies: Vec<RecordLatency>,
}

impl Batch {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.counters.clear();
        self.facts.clear();
        self.latencies.clear();
    }
}
