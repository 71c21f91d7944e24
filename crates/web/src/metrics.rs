//! `/metrics`: the snapshot in OpenMetrics. Units are Prometheus' base units; what is not known has no sample.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::Direction;
use model::ledger::{DatagramRefusal, RecordRefusal, SetSkip};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::answer::{refusal, with_type};
use crate::service::{Service, Shown};
use crate::snapshot::{Connection, Copied, Snapshot};

/// Connections, and exporters' domains, with samples of their own; those that burn come first.
const LABELLED_MOST: usize = 2_000;

/// Names and values of labels.
type Labels = Vec<(&'static str, String)>;
/// A sample and what it is of.
type Sample = (Labels, f64);

/// `GET /metrics`.
pub(crate) async fn scrape(State(service): State<Arc<Service>>) -> Response {
    let listening = service.limits.listeners - service.listeners.available_permits();
    let mut registry = Registry::with_prefix("peerscope");
    registry.register_collector(Box::new(Shot { shown: service.now(), listening }));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => with_type(text, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written").into_response(),
    }
}

/// A snapshot to be written.
struct Shot {
    shown: Arc<Shown>,
    listening: usize,
}

impl fmt::Debug for Shot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shot").field("listening", &self.listening).finish_non_exhaustive()
    }
}

impl Collector for Shot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page { encoder };
        let snapshot = &self.shown.snapshot;
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        page.gauges("build_info", "The version that runs", vec![(version, 1.0)])?;
        page.gauge("pages_listening", "Pages that are told of changes", self.listening as f64)?;
        if self.shown.at.is_none() {
            return Ok(());
        }
        ledger(&mut page, snapshot)?;
        process(&mut page, snapshot)?;
        exporters(&mut page, snapshot)?;
        connections(&mut page, snapshot)?;
        alerts(&mut page, snapshot)
    }
}

struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.gauges(name, help, vec![(Vec::new(), value)])
    }

    fn gauges(&mut self, name: &str, help: &str, samples: Vec<Sample>) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, samples)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, vec![(Vec::new(), value as f64)])
    }

    fn counters(&mut self, name: &str, help: &str, samples: Vec<Sample>) -> fmt::Result {
        self.family(name, help, MetricType::Counter, samples)
    }

    fn family(&mut self, name: &str, help: &str, kind: MetricType, samples: Vec<Sample>) -> fmt::Result {
        if samples.is_empty() {
            return Ok(());
        }
        let mut family = self.encoder.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in samples {
            match (kind, labels.is_empty()) {
                (MetricType::Counter, true) => family.encode_counter::<NoLabelSet, f64, f64>(&value, None)?,
                (MetricType::Counter, false) => {
                    family.encode_family(&labels)?.encode_counter::<NoLabelSet, f64, f64>(&value, None)?;
                }
                (_, true) => family.encode_gauge(&value)?,
                (_, false) => family.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }
}

fn label(name: &'static str, value: impl ToString) -> (&'static str, String) {
    (name, value.to_string())
}

fn ledger(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let ledger = &snapshot.ledger;
    let by_reason = |reason: &str, count: u64| (vec![label("reason", reason)], count as f64);
    page.counter("datagrams_received", "Datagrams that came", ledger.datagrams_received)?;
    page.counter("datagrams_accepted", "Datagrams whose sets were read", ledger.datagrams_accepted)?;
    let refused = DatagramRefusal::ALL.iter().map(|why| by_reason(why.name(), ledger.datagrams_refused(*why)));
    page.counters("datagrams_refused", "Datagrams refused whole, by reason", refused.collect())?;
    page.counter("sets_seen", "Sets and samples in accepted datagrams", ledger.sets_seen)?;
    page.counter("sets_decoded", "Sets and samples that were decoded", ledger.sets_decoded)?;
    let skipped = SetSkip::ALL.iter().map(|why| by_reason(why.name(), ledger.sets_skipped(*why)));
    page.counters("sets_skipped", "Sets and samples skipped, by reason", skipped.collect())?;
    page.gauge("sets_held", "Sets that wait for their template", ledger.sets_held as f64)?;
    page.counter("records", "Data records and flow samples decoded", ledger.records)?;
    page.counter("records_attributed", "Records counted as Microsoft's", ledger.records_attributed)?;
    page.counter("records_not_microsoft", "Records with no end at Microsoft", ledger.records_not_microsoft)?;
    page.counter("records_late", "Records of windows that were closed when they came", ledger.records_late)?;
    let refused = RecordRefusal::ALL.iter().map(|why| by_reason(why.name(), ledger.records_refused(*why)));
    page.counters("records_refused", "Records refused, by reason", refused.collect())
}

fn process(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let process = &snapshot.process;
    page.gauge("start_time_seconds", "When the program started, since 1970", process.started_us as f64 / 1e6)?;
    page.gauge("snapshot_time_seconds", "When these figures were taken, since 1970", snapshot.at_us as f64 / 1e6)?;
    page.gauge("workers", "Receive workers", process.workers as f64)?;
    page.counter("kernel_drops", "Datagrams that the kernel dropped for want of buffer", process.kernel_drops)?;
    let (waiting, most) = process.reports_waiting;
    page.gauge("reports_waiting", "Reports of workers that wait for the owner", waiting as f64)?;
    page.gauge("reports_waiting_limit", "Reports that can wait", most as f64)?;
    page.gauge("write_tasks_waiting", "Tasks that wait for the disk", process.tasks_waiting as f64)?;
    page.gauge("write_rows_waiting", "Rows that wait for the disk", process.rows_waiting as f64)?;
    page.gauge("disk_failing", "1 while the data folder cannot be written", f64::from(u8::from(process.is_disk_failing)))?;
    page.counter("writes", "Tasks of writing done", process.writes)?;
    page.counters("write_seconds", "Time that writing took", vec![(Vec::new(), process.write_seconds)])?;
    page.counter("windows_published", "Windows of tables published, revisions included", process.windows_published)?;
    page.counter("windows_lost", "Windows that could not be written", process.windows_lost)?;
    page.counter("flows_lost", "Flow records that could not be written, where they are kept", process.flows_lost)?;
    page.counter("journal_failures", "Syncs and checkpoints of the journal that failed", process.journal_failures)?;
    page.gauge("look_seconds", "Time that the last snapshot took from the owner", process.look_seconds)?;
    if let Some(copied) = &process.copied {
        objects(page, copied)?;
    }
    let suppressed = process.log_lines_suppressed.iter();
    let suppressed = suppressed.take(LABELLED_MOST).map(|(reason, count)| (vec![label("reason", reason)], *count as f64));
    page.counters("log_lines_suppressed", "Log lines held back, by reason", suppressed.collect())
}

fn objects(page: &mut Page<'_>, copied: &Copied) -> fmt::Result {
    let until = copied.until_us as f64 / 1e6;
    page.gauge("objects_copied_until_seconds", "Everything published before is in the object store, since 1970", until)?;
    page.counter("objects_copied", "Files copied to the object store", copied.objects)?;
    page.counter("objects_copied_bytes", "Bytes of these files", copied.bytes)?;
    page.counter("objects_removed", "Objects removed that were replaced", copied.removed)?;
    page.counter("objects_failures", "Rounds of copying that did not come to their end", copied.failures)?;
    page.counter("objects_lost_hours", "Hours of tables removed from the disk before they were copied", copied.lost_hours)
}

fn exporters(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let shown: Vec<_> = snapshot.exporters.iter().take(LABELLED_MOST).collect();
    let column = |of: fn(&model::tables::ExporterRow) -> Option<f64>| -> Vec<Sample> {
        let labels = |row: &model::tables::ExporterRow| {
            vec![label("exporter", &row.exporter), label("domain", row.domain), label("protocol", &row.protocol)]
        };
        shown.iter().filter_map(|exporter| Some((labels(&exporter.row), of(&exporter.row)?))).collect()
    };
    page.gauge("exporters", "Exporters' domains heard of late", snapshot.exporters.len() as f64)?;
    let until = column(|row| Some(row.window_start.0 as f64 / 1e6 + row.window_seconds as f64));
    page.gauges("exporter_minute_end_seconds", "End of the last whole minute that something came, since 1970", until)?;
    page.gauges("exporter_minute_datagrams", "Datagrams in that minute", column(|row| Some(row.datagrams as f64)))?;
    page.gauges("exporter_minute_records", "Records in that minute", column(|row| Some(row.records as f64)))?;
    page.gauges("exporter_templates", "Templates known", column(|row| Some(row.templates as f64)))?;
    page.gauges("exporter_undecodable_sets", "Sets of that minute not decoded", column(|row| Some(row.undecodable as f64)))?;
    let offsets = column(|row| row.clock_offset_ms.map(|ms| ms / 1e3));
    page.gauges("exporter_clock_offset_seconds", "Time of reception less the device's", offsets)?;
    let refused = column(|row| Some(f64::from(u8::from(row.is_clock_refused))));
    page.gauges("exporter_clock_refused", "1 where the device's clock is not used", refused)?;
    let timeouts = column(|row| row.active_timeout_s.map(|seconds| seconds as f64));
    page.gauges("exporter_active_timeout_seconds", "Active timeout, measured or told", timeouts)?;
    page.gauges("exporter_coverage_ratio", "Share of what it sent that came and was decoded", column(|row| row.coverage_ratio))
}

fn connections(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let mut by_status: BTreeMap<&str, f64> = crate::Status::ALL.iter().map(|status| (status.name(), 0.0)).collect();
    for connection in snapshot.connections.iter().filter(|connection| connection.is_peering) {
        *by_status.entry(connection.status.name()).or_default() += 1.0;
    }
    let counted = by_status.into_iter().map(|(status, count)| (vec![label("status", status)], count));
    page.gauges("connections", "Peering connections by status", counted.collect())?;
    let shown = &snapshot.connections[..snapshot.connections.len().min(LABELLED_MOST)];
    let left_out = snapshot.connections.len() - shown.len() + snapshot.exporters.len().saturating_sub(LABELLED_MOST);
    page.gauge("metrics_left_out", "Connections and exporters beyond the limit of labels", left_out as f64)?;
    let of_one = |of: &dyn Fn(&Connection) -> Option<f64>| -> Vec<Sample> {
        shown.iter().filter_map(|one| Some((vec![label("connection", &one.name)], of(one)?))).collect()
    };
    let of_ways = |of: &dyn Fn(&crate::Way) -> Option<f64>| -> Vec<Sample> {
        let ways = shown.iter().flat_map(|one| Direction::ALL.map(|direction| (one, direction)));
        let labels = |one: &Connection, way: Direction| vec![label("connection", &one.name), label("direction", way.name())];
        ways.filter_map(|(one, way)| Some((labels(one, way), of(one.way(way))?))).collect()
    };
    let info = shown.iter().map(|one| {
        let text = |value: &Option<model::Name>| value.as_deref().unwrap_or_default().to_owned();
        let labels = vec![
            label("connection", &one.name),
            ("peering", text(&one.peering)),
            label("role", one.role.name()),
            ("location", text(&one.location)),
            label("status", one.status.name()),
        ];
        (labels, 1.0)
    });
    page.gauges("connection_info", "What a connection is, and its status", info.collect())?;
    let bytes = |bps: f64| bps / 8.0;
    let capacity = of_one(&|one| one.capacity_bps.map(bytes));
    page.gauges("connection_capacity_bytes_per_second", "Capacity of its port", capacity)?;
    let load = of_ways(&|way| way.load.map(|load| bytes(load.bps)));
    page.gauges("connection_load_bytes_per_second", "Load of its last mature minute by flows, on the link layer", load)?;
    let error = of_ways(&|way| way.load.map(|load| bytes(load.standard_error_bps)));
    page.gauges("connection_load_standard_error_bytes_per_second", "Standard error of the load by sampling", error)?;
    let until = of_ways(&|way| way.load.map(|load| load.until_us as f64 / 1e6));
    page.gauges("connection_load_time_seconds", "End of the minute that the load is of, since 1970", until)?;
    let utilisation = of_ways(&|way| way.utilisation.map(|utilisation| utilisation.ratio));
    page.gauges("connection_utilisation_ratio", "Load of its port on the wire over capacity", utilisation)?;
    let p95 = of_ways(&|way| way.p95_utilisation);
    page.gauges("connection_p95_utilisation_ratio", "95th percentile of 24 hours' five-minute means", p95)?;
    let coverage = of_ways(&|way| way.coverage_ratio);
    page.gauges("connection_coverage_ratio", "Share of what its exporters sent that came", coverage)?;
    let failure = of_one(&|one| one.failure.as_ref().map(|failure| failure.utilisation));
    page.gauges("connection_failure_utilisation_ratio", "Fullest survivor if it failed at the worst of 24 hours", failure)?;
    let doubted = of_one(&|one| Some(one.doubts.len() as f64));
    page.gauges("connection_doubts", "Reasons not to trust its figures", doubted)
}

fn alerts(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let mut firing: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for alert in snapshot.alerts.iter().filter(|alert| &*alert.state == "firing") {
        *firing.entry((&*alert.rule, &*alert.severity)).or_default() += 1.0;
    }
    let samples = firing.into_iter().take(LABELLED_MOST);
    let samples = samples.map(|((rule, severity), count)| (vec![label("rule", rule), label("severity", severity)], count));
    page.gauges("alerts_firing", "Alerts that fire, by rule", samples.collect())?;
    let open = snapshot.events.iter().filter(|event| event.ended_us.is_none()).count();
    page.gauge("failovers_open", "Failovers that last", open as f64)
}
