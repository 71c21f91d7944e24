//! What was seen in the telemetry, for `peerscope peerings check`.

use model::{Address, Mac};
use serde::{Deserialize, Serialize};

/// What resolvers have seen; of several workers joined with [`Seen::join`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// By exporter.
    pub exporters: Vec<SeenExporter>,
    /// By link that carried something.
    pub links: Vec<SeenLink>,
    /// Sources that are not on the allow-list, those that sent last.
    pub refused: Vec<SeenRefused>,
}

/// A source that is not on the allow-list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeenRefused {
    /// Its address.
    pub address: Address,
    /// Datagrams that came.
    pub datagrams: u64,
    /// When the last one came, microseconds since 1970.
    pub last_us: i64,
}

/// What one exporter showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeenExporter {
    /// Its address.
    pub address: Address,
    /// Records of traffic.
    pub records: u64,
    /// Records that do not say where they were metered, nor the configuration.
    pub unstated_records: u64,
    /// Records metered where they entered.
    pub ingress_records: u64,
    /// Records metered where they left.
    pub egress_records: u64,
    /// Exact twins of unsampled records, left out of the best view.
    pub twins: u64,
    /// Records towards Microsoft.
    pub to_microsoft_records: u64,
    /// Of these, with an unknown output interface.
    pub output_unknown_records: u64,
    /// Records whose next hop is that of several connections.
    pub ambiguous_records: u64,
    /// Records with AS12076 at an end, on a connection with Microsoft.
    pub as12076_records: u64,
    /// Records over interfaces past the limit.
    pub overflow_records: u64,
    /// Its interfaces.
    pub interfaces: Vec<SeenInterface>,
    /// Next hops that are session addresses of Microsoft's.
    pub next_hops: Vec<SeenNextHop>,
}

/// What one interface carried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeenInterface {
    /// ifIndex.
    pub index: u32,
    /// Its name, where the exporter tells it or the table has it.
    pub name: Option<String>,
    /// Its speed, where the exporter tells it, bit/s.
    pub speed_bps: Option<u64>,
    /// Records that name it as input.
    pub input_records: u64,
    /// Records that name it as output.
    pub output_records: u64,
    /// Bytes from Microsoft by tag that entered here, as exported.
    pub from_microsoft_bytes: u64,
    /// Bytes to Microsoft by tag that left here, as exported.
    pub to_microsoft_bytes: u64,
    /// Readings of its counters.
    pub counter_readings: u64,
    /// Somebody configured it.
    pub is_configured: bool,
}

/// A session address of Microsoft's seen as next hop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeenNextHop {
    /// Name of the connection.
    pub connection: String,
    /// Output interface of the records; 0 unknown.
    pub output: u32,
    /// It was the BGP next hop, which other routers show as well.
    pub is_bgp: bool,
    /// Destination Ethernet address of such records, where they have one.
    pub mac: Mac,
    /// Records.
    pub records: u64,
    /// Bytes, as exported.
    pub bytes: u64,
}

/// Records counted on one link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeenLink {
    /// Its name.
    pub name: String,
    /// Records towards Microsoft, in any view.
    pub to_microsoft_records: u64,
    /// Records from Microsoft, in any view.
    pub from_microsoft_records: u64,
}

impl Seen {
    /// Adds what another worker, or an earlier run, has seen.
    pub fn join(&mut self, other: Seen) {
        self.refused.extend(other.refused);
        for exporter in other.exporters {
            match self.exporters.iter_mut().find(|one| one.address == exporter.address) {
                Some(one) => one.join(exporter),
                None => self.exporters.push(exporter),
            }
        }
        for link in other.links {
            match self.links.iter_mut().find(|one| one.name == link.name) {
                Some(one) => {
                    one.to_microsoft_records += link.to_microsoft_records;
                    one.from_microsoft_records += link.from_microsoft_records;
                }
                None => self.links.push(link),
            }
        }
    }

    pub(crate) fn exporter(&self, address: Address) -> Option<&SeenExporter> {
        self.exporters.iter().find(|exporter| exporter.address == address)
    }

    pub(crate) fn link(&self, name: &str) -> Option<&SeenLink> {
        self.links.iter().find(|link| link.name == name)
    }
}

impl SeenExporter {
    fn join(&mut self, other: SeenExporter) {
        self.records += other.records;
        self.unstated_records += other.unstated_records;
        self.ingress_records += other.ingress_records;
        self.egress_records += other.egress_records;
        self.twins += other.twins;
        self.to_microsoft_records += other.to_microsoft_records;
        self.output_unknown_records += other.output_unknown_records;
        self.ambiguous_records += other.ambiguous_records;
        self.as12076_records += other.as12076_records;
        self.overflow_records += other.overflow_records;
        for interface in other.interfaces {
            match self.interfaces.iter_mut().find(|one| one.index == interface.index) {
                Some(one) => one.join(interface),
                None => self.interfaces.push(interface),
            }
        }
        for hop in other.next_hops {
            let same = |one: &SeenNextHop| (&one.connection, one.output, one.is_bgp) == (&hop.connection, hop.output, hop.is_bgp);
            match self.next_hops.iter_mut().find(|one| same(one)) {
                Some(one) => {
                    one.records += hop.records;
                    one.bytes += hop.bytes;
                    if one.mac.is_unknown() {
                        one.mac = hop.mac;
                    }
                }
                None => self.next_hops.push(hop),
            }
        }
    }
}

impl SeenInterface {
    fn join(&mut self, other: SeenInterface) {
        self.name = other.name.or(self.name.take());
        self.speed_bps = other.speed_bps.or(self.speed_bps);
        self.input_records += other.input_records;
        self.output_records += other.output_records;
        self.from_microsoft_bytes += other.from_microsoft_bytes;
        self.to_microsoft_bytes += other.to_microsoft_bytes;
        self.counter_readings += other.counter_readings;
        self.is_configured |= other.is_configured;
    }
}
