//! Rows of `exporters`: a minute of reception.

use model::tables::ExporterRow;
use model::time::{SECOND_US, WINDOW_US};
use model::{Address, Name};

use crate::exporters::{Domain, Heard, Minute};
use crate::link_rows::signed;

impl Minute {
    /// The rows of the minute that starts at `minute_us`, by exporter, domain and protocol.
    pub(crate) fn rows(&self, minute_us: i64) -> Vec<ExporterRow> {
        let domains = self
            .exporters
            .iter()
            .flat_map(|(exporter, held)| held.domains.iter().map(move |(domain, heard)| (exporter, domain, heard)));
        domains.map(|(exporter, domain, heard)| row(minute_us, *exporter, *domain, heard)).collect()
    }
}

fn row(minute_us: i64, exporter: Address, (domain, protocol): Domain, heard: &Heard) -> ExporterRow {
    let share = |count: u64| (heard.records > 0).then(|| count as f64 / heard.records as f64);
    let address = Name::from(exporter.to_string());
    ExporterRow {
        window_start: minute_us.into(),
        window_seconds: WINDOW_US / SECOND_US,
        exporter: address.clone(),
        address,
        domain: i64::from(domain),
        protocol: Name::from(protocol.name()),
        datagrams: signed(heard.datagrams),
        records: signed(heard.records),
        bytes_exported: signed(heard.bytes_exported),
        packets_exported: signed(heard.packets_exported),
        lost_datagrams: heard.lost_datagrams,
        lost_records: heard.lost_records,
        reordered: signed(heard.reordered),
        duplicates: signed(heard.duplicates),
        restarts: signed(heard.restarts),
        undecodable: signed(heard.undecodable),
        refused: heard.refused.clone(),
        templates: signed(heard.templates),
        active_timeout_s: heard.active_timeout_s.map(i64::from),
        clock_offset_ms: heard.clock_offset_us.map(|offset_us| offset_us as f64 / 1e3),
        is_clock_refused: heard.is_clock_refused,
        out_interface_unknown_ratio: share(heard.output_unknown_records),
        rate_unknown_records: signed(heard.rate_unknown_records()),
        kernel_drops: signed(heard.kernel_drops),
        coverage_ratio: heard.coverage().map(|(came, sent)| came / sent),
        sampling_origin: heard.sampling_origin().map(|origin| origin.name().into()),
    }
}
