//! How an exporter fares: what came, what was lost, what could not be read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::record::{ExporterId, Protocol};

/// What happened with one exporter's domain since the last report on it.
///
/// Counts are of that interval; states (`templates`, `active_timeout_s`, `clock_offset_us`) are as
/// they stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExporterHealth {
    /// The exporter, as the records of the same decoder name it.
    pub exporter: ExporterId,
    /// Its address.
    pub address: Address,
    /// Its protocol.
    pub protocol: Protocol,
    /// Observation domain, source id or sub-agent.
    pub domain: u32,
    /// Datagrams accepted.
    pub datagrams: u64,
    /// Data records and flow samples decoded.
    pub records: u64,
    /// Bytes of those records, as exported (layer 3).
    pub bytes_exported: u64,
    /// Packets of those records, as exported.
    pub packets_exported: u64,
    /// Datagrams lost by the sequence numbers; negative where late ones came after all. `None`
    /// where the protocol counts records or the exporter breaks the rule.
    pub lost_datagrams: Option<i64>,
    /// Records or samples lost by the sequence numbers, likewise.
    pub lost_records: Option<i64>,
    /// Datagrams that came out of order.
    pub reordered: u64,
    /// Datagrams that came twice.
    pub duplicates: u64,
    /// Times the exporter started over.
    pub restarts: u64,
    /// Sets that could not be decoded: no template, expired, quarantined, malformed.
    pub undecodable: u64,
    /// Refused and skipped things by the name of the reason.
    pub refused: BTreeMap<Cow<'static, str>, u64>,
    /// Templates known now.
    pub templates: u64,
    /// Active timeout, measured from the longest flows or told by options, in seconds.
    pub active_timeout_s: Option<u32>,
    /// Time of reception less the device's time, microseconds; `None` where it gives none.
    pub clock_offset_us: Option<i64>,
    /// The device's clock is absurd or unstable: the time of reception is used.
    pub is_clock_refused: bool,
    /// Records whose output interface is unknown.
    pub output_unknown_records: u64,
    /// Records by the origin of their sampling rate, in the order of [`SamplingOrigin::ALL`](crate::SamplingOrigin::ALL).
    pub sampling_origins: [u64; 7],
}
