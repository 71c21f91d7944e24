//! Totals over everything decoded, as exported: what `inspect --summary` prints.

/// Totals; bytes and packets are the first elements 1 and 2 of data records, or those of samples.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Datagrams that came.
    pub datagrams: u64,
    /// Data records and flow samples.
    pub data_records: u64,
    /// Options data records.
    pub option_records: u64,
    /// Template definitions, repeated ones too.
    pub templates: u64,
    /// Options template definitions, repeated ones too.
    pub option_templates: u64,
    /// Data sets whose template was not known when they came.
    pub without_template: u64,
    /// Bytes of the data records; of sFlow the frames' lengths.
    pub bytes: u64,
    /// Packets of the data records; of sFlow the samples.
    pub packets: u64,
    /// Records about IPv4.
    pub ipv4: u64,
    /// Records about IPv6.
    pub ipv6: u64,
    /// sFlow counter samples.
    pub counter_samples: u64,
    /// Datagrams and sets that contradict their lengths.
    pub malformed: u64,
}
