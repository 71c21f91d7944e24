//! What the API gives: the snapshot's values under the names of the API. Times are milliseconds since 1970.

use model::{Direction, Name};
use serde::Serialize;

use crate::judge::WhatIf;
use crate::snapshot::{Alert, Connection, Event, Exporter, History, Latency, Port, Snapshot, Utilisation, Way};

/// Bins of a minute.
const MINUTE_BINS: usize = 6;

pub(crate) const fn ms(us: i64) -> i64 {
    us.div_euclid(1_000)
}

/// A number rounded to what is worth sending, six digits of large ones; unknown is null.
pub(crate) fn whole(value: f64) -> Option<f64> {
    const DIGITS: i32 = 6;
    let unit = 10_f64.powi((value.abs().max(1.0).log10().floor() as i32 + 1 - DIGITS).max(0));
    (!value.is_nan()).then(|| (value / unit).round() * unit)
}

fn ratio(value: f64) -> Option<f64> {
    (!value.is_nan()).then(|| (value * 1e6).round() / 1e6)
}

/// The answer of `/api/v1/connections`.
#[derive(Serialize)]
pub(crate) struct ListView<'a> {
    at_ms: i64,
    speed: u32,
    verdict: Vec<String>,
    connections: Vec<ConnectionView<'a>>,
}

/// A connection in full.
#[derive(Serialize)]
pub(crate) struct ConnectionView<'a> {
    peering: Option<&'a str>,
    kind: Option<&'a str>,
    role: &'static str,
    location: Option<&'a str>,
    facility: Option<&'a str>,
    port: Option<&'a str>,
    azure_state: Option<&'a str>,
    is_peering: bool,
    #[serde(flatten)]
    live: LiveView<'a>,
    /// Mean loads of the last sixty minutes, bit/s.
    minutes_from_ms: Option<i64>,
    to_microsoft_minutes_bps: Vec<Option<f64>>,
    from_microsoft_minutes_bps: Vec<Option<f64>>,
}

/// What changes of a connection.
#[derive(Serialize)]
pub(crate) struct LiveView<'a> {
    name: &'a str,
    status: &'static str,
    reasons: &'a [String],
    doubts: &'a [String],
    capacity_bps: Option<f64>,
    to_microsoft: WayView,
    from_microsoft: WayView,
    failure: Option<FailureView<'a>>,
}

#[derive(Serialize)]
struct WayView {
    bps: Option<f64>,
    standard_error_bps: Option<f64>,
    until_ms: Option<i64>,
    utilisation_ratio: Option<f64>,
    utilisation_standard_error: Option<f64>,
    utilisation_by: Option<&'static str>,
    p95_bps: Option<f64>,
    p95_utilisation_ratio: Option<f64>,
    p95_steps_known: usize,
    coverage_ratio: Option<f64>,
    flows_to_counters_ratio: Option<f64>,
}

#[derive(Serialize)]
struct FailureView<'a> {
    survivor: &'a str,
    utilisation_ratio: Option<f64>,
    at_ms: i64,
    utilisation_now_ratio: Option<f64>,
    leaves_location: bool,
}

impl<'a> ListView<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot) -> ListView<'a> {
        ListView {
            at_ms: ms(snapshot.at_us),
            speed: snapshot.speed.max(1),
            verdict: crate::verdict::verdict(snapshot),
            connections: snapshot.connections.iter().map(ConnectionView::of).collect(),
        }
    }
}

impl<'a> ConnectionView<'a> {
    pub(crate) fn of(connection: &'a Connection) -> ConnectionView<'a> {
        let [to, from] = connection.ways.each_ref().map(|way| minutes(&way.history));
        let from_us = connection.ways.iter().map(|way| &way.history).find(|history| !history.bps.is_empty());
        ConnectionView {
            peering: connection.peering.as_deref(),
            kind: connection.kind.as_deref(),
            role: connection.role.name(),
            location: connection.location.as_deref(),
            facility: connection.facility.as_deref(),
            port: connection.port.as_deref(),
            azure_state: connection.state.as_deref(),
            is_peering: connection.is_peering,
            live: LiveView::of(connection),
            minutes_from_ms: from_us.map(|history| ms(history.from_us)),
            to_microsoft_minutes_bps: to,
            from_microsoft_minutes_bps: from,
        }
    }
}

impl<'a> LiveView<'a> {
    pub(crate) fn of(connection: &'a Connection) -> LiveView<'a> {
        let [to_microsoft, from_microsoft] = connection.ways.each_ref().map(WayView::of);
        LiveView {
            name: &connection.name,
            status: connection.status.name(),
            reasons: &connection.reasons,
            doubts: &connection.doubts,
            capacity_bps: connection.capacity_bps,
            to_microsoft,
            from_microsoft,
            failure: connection.failure.as_ref().map(|failure| FailureView {
                survivor: &failure.survivor,
                utilisation_ratio: ratio(failure.utilisation),
                at_ms: ms(failure.at_us),
                utilisation_now_ratio: failure.utilisation_now.and_then(ratio),
                leaves_location: failure.leaves_location,
            }),
        }
    }
}

impl WayView {
    fn of(way: &Way) -> WayView {
        WayView {
            bps: way.load.and_then(|load| whole(load.bps)),
            standard_error_bps: way.load.and_then(|load| whole(load.standard_error_bps)),
            until_ms: way.load.map(|load| ms(load.until_us)),
            utilisation_ratio: way.utilisation.and_then(|utilisation| ratio(utilisation.ratio)),
            utilisation_standard_error: way.utilisation.and_then(|utilisation| ratio(utilisation.standard_error)),
            utilisation_by: way.utilisation.map(by),
            p95_bps: way.p95_bps.and_then(whole),
            p95_utilisation_ratio: way.p95_utilisation.and_then(ratio),
            p95_steps_known: way.steps_known,
            coverage_ratio: way.coverage_ratio.and_then(ratio),
            flows_to_counters_ratio: way.flows_to_counters.and_then(ratio),
        }
    }
}

const fn by(utilisation: Utilisation) -> &'static str {
    if utilisation.is_by_counters { "counters" } else { "flows" }
}

/// Means of whole minutes of which nothing more is to come; unknown where a bin is.
fn minutes(history: &History) -> Vec<Option<f64>> {
    let mature = &history.bps[..history.mature.min(history.bps.len())];
    let mean = |bins: &[f32]| whole(bins.iter().map(|bps| f64::from(*bps)).sum::<f64>() / bins.len() as f64);
    mature.chunks_exact(MINUTE_BINS).map(mean).collect()
}

/// The last hour of a connection, bin by bin.
#[derive(Serialize)]
pub(crate) struct RecentView<'a> {
    at_ms: i64,
    connection: ConnectionView<'a>,
    port: Option<PortView<'a>>,
    step_seconds: i64,
    to_microsoft: BinsView,
    from_microsoft: BinsView,
    latencies: Vec<LatencyView<'a>>,
}

#[derive(Serialize)]
struct LatencyView<'a> {
    region: Option<&'a str>,
    method: &'a str,
    span: &'a str,
    samples: i64,
    p50_us: Option<f64>,
    p95_us: Option<f64>,
    absent_reason: Option<&'a str>,
}

impl<'a> LatencyView<'a> {
    fn of(latency: &'a Latency) -> LatencyView<'a> {
        LatencyView {
            region: latency.region.as_deref(),
            method: &latency.method,
            span: &latency.span,
            samples: latency.samples,
            p50_us: latency.p50_us,
            p95_us: latency.p95_us,
            absent_reason: latency.absent_reason.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct BinsView {
    from_ms: i64,
    mature: usize,
    bps: Vec<Option<f64>>,
    standard_error_bps: Vec<Option<f64>>,
    port_bps: Vec<Option<f64>>,
    port_counter_bps: Vec<Option<f64>>,
}

impl<'a> RecentView<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot, connection: &'a Connection) -> RecentView<'a> {
        let [to_microsoft, from_microsoft] = connection.ways.each_ref().map(|way| BinsView::of(&way.history));
        let port = connection.port.as_ref().and_then(|name| snapshot.ports.iter().find(|port| port.name == *name));
        RecentView {
            at_ms: ms(snapshot.at_us),
            connection: ConnectionView::of(connection),
            port: port.map(PortView::of),
            step_seconds: model::time::BIN_US / model::time::SECOND_US,
            to_microsoft,
            from_microsoft,
            latencies: snapshot
                .latencies
                .iter()
                .filter(|latency| latency.connection == connection.name)
                .map(LatencyView::of)
                .collect(),
        }
    }
}

impl BinsView {
    fn of(history: &History) -> BinsView {
        let column = |values: &[f32]| values.iter().map(|value| whole(f64::from(*value))).collect();
        BinsView {
            from_ms: ms(history.from_us),
            mature: history.mature,
            bps: column(&history.bps),
            standard_error_bps: column(&history.standard_error_bps),
            port_bps: column(&history.port_bps),
            port_counter_bps: column(&history.counter_bps),
        }
    }
}

/// A port.
#[derive(Serialize)]
pub(crate) struct PortView<'a> {
    name: &'a str,
    exporter: &'a str,
    role: &'static str,
    capacity_bps: Option<f64>,
    capacity_source: Option<&'static str>,
    members_up: Option<i64>,
    members_total: Option<i64>,
    to_microsoft_utilisation_ratio: Option<f64>,
    from_microsoft_utilisation_ratio: Option<f64>,
    utilisation_by: Option<&'static str>,
}

impl<'a> PortView<'a> {
    pub(crate) fn of(port: &'a Port) -> PortView<'a> {
        let [to, from] = port.utilisation.map(|utilisation| utilisation.and_then(|utilisation| ratio(utilisation.ratio)));
        PortView {
            name: &port.name,
            exporter: &port.exporter,
            role: port.role.name(),
            capacity_bps: port.capacity_bps,
            capacity_source: port.capacity_source,
            members_up: port.members.map(|(up, _)| up),
            members_total: port.members.map(|(_, total)| total),
            to_microsoft_utilisation_ratio: to,
            from_microsoft_utilisation_ratio: from,
            utilisation_by: port.utilisation.iter().flatten().next().copied().map(by),
        }
    }
}

/// An exporter's domain in its last whole minute.
#[derive(Serialize)]
pub(crate) struct ExporterView<'a> {
    name: Option<&'a str>,
    exporter: &'a str,
    address: &'a str,
    domain: i64,
    protocol: &'a str,
    minute_ms: i64,
    datagrams: i64,
    records: i64,
    lost_datagrams: Option<i64>,
    lost_records: Option<i64>,
    reordered: i64,
    duplicates: i64,
    restarts: i64,
    undecodable: i64,
    refused: &'a std::collections::BTreeMap<Name, i64>,
    templates: i64,
    active_timeout_seconds: Option<i64>,
    clock_offset_ms: Option<f64>,
    is_clock_refused: bool,
    out_interface_unknown_ratio: Option<f64>,
    rate_unknown_records: i64,
    kernel_drops: i64,
    coverage_ratio: Option<f64>,
    sampling_origin: Option<&'a str>,
    faults: Vec<String>,
}

impl<'a> ExporterView<'a> {
    pub(crate) fn of(exporter: &'a Exporter, at_us: i64) -> ExporterView<'a> {
        let row = &exporter.row;
        ExporterView {
            name: exporter.name.as_deref(),
            exporter: &row.exporter,
            address: &row.address,
            domain: row.domain,
            protocol: &row.protocol,
            minute_ms: ms(row.window_start.0),
            datagrams: row.datagrams,
            records: row.records,
            lost_datagrams: row.lost_datagrams,
            lost_records: row.lost_records,
            reordered: row.reordered,
            duplicates: row.duplicates,
            restarts: row.restarts,
            undecodable: row.undecodable,
            refused: &row.refused,
            templates: row.templates,
            active_timeout_seconds: row.active_timeout_s,
            clock_offset_ms: row.clock_offset_ms,
            is_clock_refused: row.is_clock_refused,
            out_interface_unknown_ratio: row.out_interface_unknown_ratio.and_then(ratio),
            rate_unknown_records: row.rate_unknown_records,
            kernel_drops: row.kernel_drops,
            coverage_ratio: row.coverage_ratio.and_then(ratio),
            sampling_origin: row.sampling_origin.as_deref(),
            faults: crate::verdict::faults(row, at_us),
        }
    }
}

/// A failover.
#[derive(Serialize)]
pub(crate) struct EventView<'a> {
    id: &'a str,
    connection: &'a str,
    direction: Option<&'static str>,
    kind: &'a str,
    evidence: &'a str,
    location: Option<&'a str>,
    started_ms: i64,
    detected_ms: Option<i64>,
    ended_ms: Option<i64>,
    before_bps: Option<f64>,
    moved: Vec<MovedView<'a>>,
    unaccounted_share: Option<f64>,
    stayed_local_share: Option<f64>,
    to_transit_share: Option<f64>,
    returned_share: Option<f64>,
    survivor_peak_utilisation_ratio: Option<f64>,
    latency_before_us: Option<f64>,
    latency_after_us: Option<f64>,
    is_planned: bool,
}

#[derive(Serialize)]
struct MovedView<'a> {
    connection: &'a str,
    direction: &'static str,
    bps: Option<f64>,
    share: Option<f64>,
    share_error: Option<f64>,
}

impl<'a> EventView<'a> {
    pub(crate) fn of(event: &'a Event) -> EventView<'a> {
        let moved = |moved: &'a crate::Moved| MovedView {
            connection: &moved.connection,
            direction: moved.direction.name(),
            bps: whole(moved.bps),
            share: ratio(moved.share),
            share_error: moved.share_error.and_then(ratio),
        };
        EventView {
            id: &event.id,
            connection: &event.connection,
            direction: event.direction.map(Direction::name),
            kind: &event.kind,
            evidence: &event.evidence,
            location: event.location.as_deref(),
            started_ms: ms(event.started_us),
            detected_ms: event.detected_us.map(ms),
            ended_ms: event.ended_us.map(ms),
            before_bps: event.before_bps.and_then(whole),
            moved: event.moved.iter().map(moved).collect(),
            unaccounted_share: event.unaccounted_share.and_then(ratio),
            stayed_local_share: event.stayed_local_share.and_then(ratio),
            to_transit_share: event.to_transit_share.and_then(ratio),
            returned_share: event.returned_share.and_then(ratio),
            survivor_peak_utilisation_ratio: event.survivor_peak_utilisation.and_then(ratio),
            latency_before_us: event.latency_us.map(|(before, _)| before),
            latency_after_us: event.latency_us.map(|(_, after)| after),
            is_planned: event.is_planned,
        }
    }
}

/// An alert.
#[derive(Serialize)]
pub(crate) struct AlertView<'a> {
    at_ms: i64,
    rule: &'a str,
    state: &'a str,
    severity: &'a str,
    connection: Option<&'a str>,
    direction: Option<&'static str>,
    summary: &'a str,
}

impl<'a> AlertView<'a> {
    pub(crate) fn of(alert: &'a Alert) -> AlertView<'a> {
        AlertView {
            at_ms: ms(alert.at_us),
            rule: &alert.rule,
            state: &alert.state,
            severity: &alert.severity,
            connection: alert.connection.as_deref(),
            direction: alert.direction.map(Direction::name),
            summary: &alert.summary,
        }
    }
}

/// What a failure would come to in one direction.
#[derive(Serialize)]
pub(crate) struct WhatIfView<'a> {
    direction: &'static str,
    moved_now_bps: Option<f64>,
    moved_worst_bps: Option<f64>,
    leaves_location_bps: Option<f64>,
    unplaced_bps: Option<f64>,
    holds: Option<bool>,
    survivors: Vec<SurvivorView<'a>>,
}

#[derive(Serialize)]
struct SurvivorView<'a> {
    connection: &'a str,
    before_ratio: Option<f64>,
    now_ratio: Option<f64>,
    worst_ratio: Option<f64>,
    worst_at_ms: Option<i64>,
}

impl<'a> WhatIfView<'a> {
    pub(crate) fn of(answer: &'a WhatIf, full: f64) -> WhatIfView<'a> {
        let survivor = |survivor: &'a crate::Survivor| SurvivorView {
            connection: &survivor.name,
            before_ratio: survivor.before.and_then(ratio),
            now_ratio: survivor.now.and_then(ratio),
            worst_ratio: survivor.worst.and_then(|(worst, _)| ratio(worst)),
            worst_at_ms: survivor.worst.map(|(_, at_us)| ms(at_us)),
        };
        let all = answer.survivors.iter().flat_map(|one| one.now.into_iter().chain(one.worst.map(|worst| worst.0)));
        WhatIfView {
            direction: answer.direction.name(),
            moved_now_bps: answer.moved_now_bps.and_then(whole),
            moved_worst_bps: answer.moved_worst_bps.and_then(whole),
            leaves_location_bps: answer.leaves_location_bps.and_then(whole),
            unplaced_bps: answer.unplaced_bps.and_then(whole),
            holds: all.reduce(f64::max).map(|most| most <= full),
            survivors: answer.survivors.iter().map(survivor).collect(),
        }
    }
}
