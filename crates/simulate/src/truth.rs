//! What really happened: sums over the packets themselves, at the times of the packets.
//!
//! Nothing here knows records, timeouts or sampling: a collector's answers are judged by it, so it
//! must not share the collector's rules. Windows are slots of 60 s and 300 s since 1970.

use serde::{Deserialize, Serialize};

/// The width of the fine windows, microseconds.
const WINDOW_US: i64 = 60_000_000;
/// Fine windows in a coarse one.
const WINDOWS_PER_DETAIL: i64 = 5;

/// The truth about a run; JSON by serde.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// The scenario's seed.
    pub seed: u64,
    /// Time of the first packet at the earliest, microseconds since 1970.
    pub start_us: i64,
    /// All packets came before it.
    pub end_us: i64,
    /// Per connection or transit link and direction.
    pub links: Vec<LinkTruth>,
    /// Per link, direction, IP version, service and region.
    pub tags: Vec<TagTruth>,
    /// Per link, direction and customer prefix.
    pub customers: Vec<CustomerTruth>,
    /// What links carried in place of others that were down, by pair and direction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<MovedTruth>,
    /// Per port (and member of a bundle) and direction, background included.
    pub ports: Vec<PortTruth>,
    /// Per router and observation domain.
    pub exporters: Vec<ExporterTruth>,
}

impl Truth {
    /// The truth file: indented JSON.
    pub fn to_json(&self) -> String {
        // Strings and whole numbers only: there is nothing that JSON cannot say.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// A truth file read back.
    ///
    /// # Errors
    /// The text is not a truth file; the sentence says where.
    pub fn from_json(text: &str) -> Result<Truth, crate::ScenarioError> {
        serde_json::from_str(text).map_err(|error| crate::ScenarioError(format!("not a truth file: {error}")))
    }
}

/// Packets and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Packets.
    pub packets: u64,
    /// IP bytes (layer 3).
    pub l3_bytes: u64,
    /// Ethernet bytes with header, check sequence and VLAN tag, as interface counters count.
    pub l2_bytes: u64,
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.packets += other.packets;
        self.l3_bytes += other.l3_bytes;
        self.l2_bytes += other.l2_bytes;
    }
}

/// The packets of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowTruth {
    /// Start of the window, microseconds since 1970.
    pub start_us: i64,
    /// What came in it.
    #[serde(flatten)]
    pub sum: Sum,
}

/// One link in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkTruth {
    /// Connection or transit link.
    pub link: String,
    /// `direct`, `exchange` or `transit`.
    pub role: String,
    /// The port it rides.
    pub port: String,
    /// `to_microsoft` or `from_microsoft`.
    pub direction: String,
    /// Over the whole run.
    pub total: Sum,
    /// Windows of 60 s.
    pub windows_60_s: Vec<WindowTruth>,
    /// Windows of 300 s.
    pub windows_300_s: Vec<WindowTruth>,
}

/// One service and region on one link in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagTruth {
    /// Connection or transit link.
    pub link: String,
    /// `to_microsoft` or `from_microsoft`.
    pub direction: String,
    /// 4 or 6.
    pub ip_version: u8,
    /// The service; empty where only a region is known.
    pub service: String,
    /// The region; empty where it is everywhere.
    pub region: String,
    /// The service's AS number.
    pub asn: u32,
    /// Over the whole run.
    pub total: Sum,
    /// Windows of 300 s.
    pub windows_300_s: Vec<WindowTruth>,
}

/// One customer prefix on one link in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerTruth {
    /// Connection or transit link.
    pub link: String,
    /// `to_microsoft` or `from_microsoft`.
    pub direction: String,
    /// The customer.
    pub customer: String,
    /// Its AS number.
    pub asn: u32,
    /// Its prefix.
    pub prefix: String,
    /// Over the whole run.
    pub total: Sum,
    /// Windows of 300 s.
    pub windows_300_s: Vec<WindowTruth>,
}

/// What one link carried in place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedTruth {
    /// Connection or transit link whose traffic it is.
    pub from: String,
    /// The one that carried it.
    pub to: String,
    /// `to_microsoft` or `from_microsoft`.
    pub direction: String,
    /// Over the whole run.
    pub total: Sum,
    /// Windows of 60 s.
    pub windows_60_s: Vec<WindowTruth>,
}

/// One port, or one member of it, in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortTruth {
    /// The port.
    pub port: String,
    /// The router's address.
    pub exporter: String,
    /// ifIndex, of the member if it is one.
    pub interface: u32,
    /// A member of the bundle, whose packets the bundle has too.
    pub is_member: bool,
    /// `in` or `out`.
    pub direction: String,
    /// Over the whole run.
    pub total: Sum,
    /// Windows of 60 s.
    pub windows_60_s: Vec<WindowTruth>,
    /// Windows of 300 s.
    pub windows_300_s: Vec<WindowTruth>,
}

/// One observation domain of one router.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExporterTruth {
    /// The router's address.
    pub exporter: String,
    /// `v5`, `v9`, `ipfix` or `sflow`.
    pub protocol: String,
    /// Engine, source id, observation domain or sub-agent.
    pub domain: u32,
    /// Datagrams made, lost ones among them, duplicates not.
    pub datagrams: u64,
    /// Data records (flow samples) in them.
    pub records: u64,
    /// Option records (counter samples) in them.
    pub option_records: u64,
    /// Packets of the data records, as exported (not scaled).
    pub packets: u64,
    /// IP bytes of the data records, as exported (not scaled).
    pub bytes: u64,
    /// Datagrams lost on purpose, a later one having come: what sequence numbers can show.
    pub datagrams_lost: u64,
    /// Data records in them.
    pub records_lost: u64,
    /// Option records (counter samples) in them.
    pub option_records_lost: u64,
    /// Packets of the lost data records, as exported.
    pub packets_lost: u64,
    /// IP bytes of the lost data records, as exported.
    pub bytes_lost: u64,
    /// Datagrams lost after the last that came: nobody can see them.
    pub datagrams_lost_at_end: u64,
    /// Data records in them.
    pub records_lost_at_end: u64,
    /// Datagrams that came after a later one.
    pub datagrams_reordered: u64,
    /// Datagrams that came twice, counted once more than above.
    pub datagrams_duplicated: u64,
    /// Records that the protocol cannot say (IPv6 in version 5).
    pub records_unsayable: u64,
}

/// A sum that grows, whole and by windows of 60 s.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    first_window: i64,
    pub(crate) total: Sum,
    windows: Vec<Sum>,
}

impl Series {
    pub(crate) fn new(start_us: i64) -> Series {
        Series { first_window: start_us.div_euclid(WINDOW_US), total: Sum::default(), windows: Vec::new() }
    }

    /// Packets at one instant.
    pub(crate) fn add(&mut self, at_us: i64, sum: Sum) {
        self.total.add(sum);
        let place = (at_us.div_euclid(WINDOW_US) - self.first_window).max(0) as usize;
        if place >= self.windows.len() {
            self.windows.resize(place + 1, Sum::default());
        }
        self.windows[place].add(sum);
    }

    /// Windows of 60 s in which something came.
    pub(crate) fn windows(&self) -> Vec<WindowTruth> {
        let each = self.windows.iter().zip(self.first_window..);
        let there = each.filter(|(sum, _)| sum.packets > 0);
        there.map(|(sum, window)| WindowTruth { start_us: window * WINDOW_US, sum: *sum }).collect()
    }

    /// Windows of 300 s in which something came.
    pub(crate) fn detail_windows(&self) -> Vec<WindowTruth> {
        let width_us = WINDOW_US * WINDOWS_PER_DETAIL;
        let mut details: Vec<WindowTruth> = Vec::new();
        for window in self.windows() {
            let start_us = window.start_us.div_euclid(width_us) * width_us;
            match details.last_mut() {
                Some(last) if last.start_us == start_us => last.sum.add(window.sum),
                _ => details.push(WindowTruth { start_us, sum: window.sum }),
            }
        }
        details
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_slots_since_1970_and_conserve_the_sum() {
        let one = Sum { packets: 1, l3_bytes: 100, l2_bytes: 118 };
        let mut series = Series::new(299_000_000);
        for at_us in [299_000_000, 299_999_999, 300_000_000, 359_999_999, 360_000_000, 600_000_000] {
            series.add(at_us, one);
        }
        let starts = |windows: Vec<WindowTruth>| {
            windows.iter().map(|window| (window.start_us / 1_000_000, window.sum.packets)).collect::<Vec<_>>()
        };
        assert_eq!(starts(series.windows()), [(240, 2), (300, 2), (360, 1), (600, 1)]);
        assert_eq!(starts(series.detail_windows()), [(0, 2), (300, 3), (600, 1)]);
        assert_eq!(series.total, Sum { packets: 6, l3_bytes: 600, l2_bytes: 708 });
    }
}
