//! The tables, each column declared once.

use std::collections::BTreeMap;

use crate::Name;
use crate::table::Timestamp;
use crate::time::{DETAIL_WINDOW_US, SECOND_US, WINDOW_US};

crate::structs! {
    /// What a link took of what fell elsewhere.
    Moved {
        /// The connection or link that took it.
        connection: Name,
        /// `to_microsoft` or `from_microsoft`.
        direction: Name,
        /// 4 or 6 where one IP version alone fell.
        ip_version: Option<i64>,
        /// `tag:SERVICE/REGION` or `customer:NAME`, by IP bytes of five minutes; null for all of it.
        group: Option<Name>,
        /// How much more it carries, bit/s.
        bps: f64,
        /// Share of what fell (of the group).
        share: Option<f64>,
        /// Standard error of `share`.
        share_error: Option<f64>,
    }
}

crate::tables! {
    /// A connection, transit link or other link as it stood: a row per change.
    "connections": ConnectionRow {
        /// Name of the link, unique.
        connection: Name,
        /// Peering that it belongs to.
        peering: Option<Name>,
        /// `Direct` or `Exchange`, as Azure has it.
        kind: Option<Name>,
        /// `direct`, `exchange`, `transit` or `other`.
        role: Name,
        /// Metro.
        location: Option<Name>,
        /// Facility.
        facility: Option<Name>,
        /// Internet exchange.
        exchange: Option<Name>,
        /// Ports that it rides.
        ports: Vec<Name>,
        /// Azure's connectionIdentifier.
        azure_connection_id: Option<Name>,
        /// Microsoft's IPv4 address of the session.
        session_v4: Option<Name>,
        /// Microsoft's IPv6 address of the session.
        session_v6: Option<Name>,
        /// State of the connection, as Azure has it.
        connection_state: Option<Name>,
        /// State of the IPv4 session, as Azure has it.
        session_state_v4: Option<Name>,
        /// State of the IPv6 session, as Azure has it.
        session_state_v6: Option<Name>,
        /// Capacity, bit/s.
        capacity_bps: Option<i64>,
        /// `configured`, `provisioned`, `members` or `speed`.
        capacity_source: Option<Name>,
        /// Addresses of the exporters that cover it.
        exporters: Vec<Name>,
        /// Price of a Mbit/s and month, transit only, in the currency of the configuration.
        price: Option<f64>,
        /// From when this row holds.
        valid_from: Timestamp,
        /// Until when it held; null while it holds.
        valid_to: Option<Timestamp>,
        /// Azure's microsoftTrackingId: it names Microsoft's router.
        azure_tracking_id: Option<Name>,
        /// Microsoft uses it for Peering Service, as Azure has it.
        is_peering_service: Option<bool>,
        /// Prefixes that Microsoft accepts from us at most, IPv4.
        max_prefixes_v4: Option<i64>,
        /// The same of IPv6.
        max_prefixes_v6: Option<i64>,
        /// Mbit/s that are paid for anyway, transit only.
        commit_mbps: Option<f64>,
        /// Which direction is billed, transit only: `larger`, `sent`, `received` or `sum`.
        charged: Option<Name>,
        /// Time zone of the months of the bill, transit only.
        billing_time_zone: Option<Name>,
        /// Risk groups of the configuration that it is in: what may fail together.
        risk_groups: Option<Vec<Name>>,
    }

    /// What a port carried in 60 s, by direction, Microsoft's traffic or not: link-layer bits as
    /// interface counters count them.
    "ports": PortRow {
        /// Start of the window.
        window_start: Timestamp,
        /// Length of the window, s.
        window_seconds: i64,
        /// Name of the port.
        port: Name,
        /// Address of its exporter.
        exporter: Name,
        /// Role of what rides it.
        role: Name,
        /// `from_microsoft` for what enters the port, `to_microsoft` for what leaves it.
        direction: Name,
        /// Capacity, bit/s.
        capacity_bps: Option<i64>,
        /// `configured`, `provisioned`, `members` or `speed`.
        capacity_source: Option<Name>,
        /// Members of the bundle that are up.
        members_up: Option<i64>,
        /// Members of the bundle.
        members_total: Option<i64>,
        /// Mean load by flows after sampling correction, bit/s on the link layer; null where over 1 % has no known rate.
        mean_bps: Option<f64>,
        /// Largest load of a bin in the window, bit/s.
        peak_bps: Option<f64>,
        /// Length of that bin, s.
        peak_seconds: i64,
        /// Packets a second after sampling correction.
        packets_per_second: Option<f64>,
        /// Standard error of `mean_bps` by sampling, bit/s.
        standard_error_bps: Option<f64>,
        /// Mean load by the interface counters, bit/s.
        counter_bps: Option<f64>,
        /// Packets discarded, by the interface counters.
        counter_discards: Option<i64>,
        /// Packets with errors, by the interface counters.
        counter_errors: Option<i64>,
        /// Load of the busiest member over the members' mean.
        member_peak_ratio: Option<f64>,
        /// Load on the wire (preamble and gap included) over capacity: 1.0 is full.
        utilisation_ratio: Option<f64>,
        /// Share of what the exporter sent that was received and decoded.
        coverage_ratio: Option<f64>,
        /// `open` while records of running flows are still due, `mature` once they must have come, `final` when nothing can change it any more.
        status: Name,
    }

    /// Microsoft traffic of a connection or other link in 60 s, by direction: link-layer bits as
    /// interface counters count them.
    "links": LinkRow {
        /// Start of the window.
        window_start: Timestamp,
        /// Length of the window, s.
        window_seconds: i64,
        /// Name of the connection or link.
        connection: Name,
        /// Peering that it belongs to.
        peering: Option<Name>,
        /// `Direct` or `Exchange`, as Azure has it.
        kind: Option<Name>,
        /// `direct`, `exchange`, `transit` or `other`.
        role: Name,
        /// Metro.
        location: Option<Name>,
        /// `to_microsoft` or `from_microsoft`.
        direction: Name,
        /// Mean load after sampling correction, bit/s on the link layer; null where over 1 % has no known rate.
        mean_bps: Option<f64>,
        /// Largest load of a bin in the window, bit/s.
        peak_bps: Option<f64>,
        /// Length of that bin, s.
        peak_seconds: i64,
        /// Packets a second after sampling correction.
        packets_per_second: Option<f64>,
        /// Sampled packets behind the estimate.
        samples: i64,
        /// Standard error of `mean_bps` by sampling, bit/s.
        standard_error_bps: Option<f64>,
        /// Mean load as exported, before sampling correction, bit/s.
        exported_bps: f64,
        /// Exported bytes whose sampling rate is unknown; not in the estimate.
        bytes_unknown_rate: i64,
        /// By what most of the bytes were matched to the link; null where there are none.
        matched_by: Option<Name>,
        /// Capacity of its port, bit/s.
        capacity_bps: Option<i64>,
        /// Load of its whole port on the wire over capacity.
        utilisation_ratio: Option<f64>,
        /// Share of what its exporters sent that was received and decoded.
        coverage_ratio: Option<f64>,
        /// Exported bytes that came in this window for windows that were closed.
        late_bytes: i64,
        /// Exported bytes with both ends at Microsoft.
        through_bytes: i64,
        /// `open` while records of running flows are still due, `mature` once they must have come, `final` when nothing can change it any more.
        status: Name,
    }

    /// Microsoft traffic of a connection in 300 s by direction, IP version and tag: IP bytes.
    "traffic": TrafficRow {
        /// Start of the window.
        window_start: Timestamp,
        /// Length of the window, s.
        window_seconds: i64,
        /// Name of the connection or link.
        connection: Name,
        /// `to_microsoft` or `from_microsoft`.
        direction: Name,
        /// 4 or 6; null in the row `other`.
        ip_version: Option<i64>,
        /// Microsoft service; `unattributed` what no list knows on a Direct connection; `other` the rest of the window.
        service: Option<Name>,
        /// Azure region.
        region: Option<Name>,
        /// Origin AS of the Microsoft side.
        origin_asn: Option<i64>,
        /// List that decided.
        tag_source: Option<Name>,
        /// Version of that list.
        tag_version: Option<Name>,
        /// Flow records or packet samples whose last packet is in the window.
        records: i64,
        /// Sampled packets behind the estimate.
        samples: i64,
        /// IP bytes as exported.
        bytes_exported: i64,
        /// Packets as exported.
        packets_exported: i64,
        /// IP bytes after sampling correction; null where over 1 % has no known rate.
        bytes_estimated: Option<f64>,
        /// Packets after sampling correction; null where over 1 % has no known rate.
        packets_estimated: Option<f64>,
        /// Standard error of `bytes_estimated` by sampling.
        bytes_standard_error: Option<f64>,
        /// Exported bytes whose sampling rate is unknown; not in the estimate.
        bytes_unknown_rate: i64,
        /// Share of what its exporters sent that was received and decoded.
        coverage_ratio: Option<f64>,
    }

    /// Microsoft traffic of a connection in 300 s by prefix, of our side or Microsoft's: IP bytes.
    "prefixes": PrefixRow {
        /// Start of the window.
        window_start: Timestamp,
        /// Length of the window, s.
        window_seconds: i64,
        /// Name of the connection or link.
        connection: Name,
        /// `to_microsoft` or `from_microsoft`.
        direction: Name,
        /// `customer` or `microsoft`.
        side: Name,
        /// The prefix; `unknown` where neither lists nor exporter tell one, `other` the rest of the window.
        prefix: Name,
        /// Name of the customer, from the own prefix list.
        customer: Option<Name>,
        /// AS of the prefix.
        asn: Option<i64>,
        /// IP bytes as exported.
        bytes_exported: i64,
        /// IP bytes after sampling correction; null where over 1 % has no known rate.
        bytes_estimated: Option<f64>,
        /// Packets after sampling correction; null where over 1 % has no known rate.
        packets_estimated: Option<f64>,
        /// Standard error of `bytes_estimated` by sampling.
        bytes_standard_error: Option<f64>,
    }

    /// How long packets took on a connection in 60 s, by region, method, span, and who opened the TCP connection:
    /// percentiles of merged histograms. Values of different methods, spans or elements are never mixed; where
    /// the telemetry cannot tell, the row says why.
    "latency": LatencyRow {
        /// Start of the window.
        window_start: Timestamp,
        /// Length of the window, s.
        window_seconds: i64,
        /// Name of the connection or link that carried what went to Microsoft; where that was not seen, what came from it.
        connection: Name,
        /// The link that carried what came back from Microsoft, where it is another one.
        return_connection: Option<Name>,
        /// Azure region of Microsoft's end; null where global or unknown.
        region: Option<Name>,
        /// `exporter` (a vendor's element), `handshake` and `timestamps` (of TCP packets), `flow_pairs` (starts of two flow
        /// records), or `imported` (an active probe's).
        method: Name,
        /// `edge_to_microsoft` and `edge_to_client`: there and back between the point of measurement and that end; `round_trip`:
        /// there and back between both ends; `one_way`: one way from the encapsulating node to the exporter.
        span: Name,
        /// Who opened the connection: `customer` or `microsoft`; null where it is not known.
        initiator: Option<Name>,
        /// What told it: the element of `exporter` as enterprise and number (`35632.123`), the probe of `imported`.
        element: Option<Name>,
        /// `as_measured`; `half_doubled`: the element is half a round trip, and was doubled; `mean_of_sum`: only a sum and
        /// a count were told, so there are no percentiles. Null where there are no samples.
        derivation: Option<Name>,
        /// Measurements.
        samples: i64,
        /// Their mean, µs.
        mean_us: Option<f64>,
        /// The least, µs.
        min_us: Option<i64>,
        /// Median, µs; as all percentiles to three significant digits, null where only sums are known.
        p50_us: Option<i64>,
        /// 90th percentile, µs.
        p90_us: Option<i64>,
        /// 95th percentile, µs.
        p95_us: Option<i64>,
        /// 99th percentile, µs.
        p99_us: Option<i64>,
        /// The largest, µs.
        max_us: Option<i64>,
        /// Histogram: the largest value of each bucket that has samples, µs, ascending.
        bucket_us: Option<Vec<i64>>,
        /// Histogram: the samples of these buckets.
        bucket_count: Option<Vec<i64>>,
        /// The same histogram in HdrHistogram's format V2, three significant digits, µs.
        hdr: Option<Vec<u8>>,
        /// Why there are no samples: `sampled`, `unknown_rate`, `coarse_clock`, `shared_start`, `unidirectional`, `no_tcp`,
        /// `no_handshake`, `no_timestamps` or `unmatched`.
        absent_reason: Option<Name>,
    }

    /// How an exporter's domain fared in 60 s of reception.
    "exporters": ExporterRow {
        /// Start of the window, time of reception.
        window_start: Timestamp,
        /// Length of the window, s.
        window_seconds: i64,
        /// The exporter, as other tables name it: its address; of sFlow the agent's.
        exporter: Name,
        /// Address of the exporter.
        address: Name,
        /// Observation domain, source id or sub-agent.
        domain: i64,
        /// Telemetry protocol.
        protocol: Name,
        /// Datagrams accepted.
        datagrams: i64,
        /// Data records and flow samples decoded.
        records: i64,
        /// Bytes of the records as exported.
        bytes_exported: i64,
        /// Packets of the records as exported.
        packets_exported: i64,
        /// Datagrams lost by the sequence numbers; null where they do not tell.
        lost_datagrams: Option<i64>,
        /// Records lost by the sequence numbers; null where they do not tell.
        lost_records: Option<i64>,
        /// Datagrams that came out of order.
        reordered: i64,
        /// Datagrams that came twice.
        duplicates: i64,
        /// Times the exporter started over.
        restarts: i64,
        /// Sets that could not be decoded.
        undecodable: i64,
        /// What was refused or skipped, by reason.
        refused: BTreeMap<Name, i64>,
        /// Templates known.
        templates: i64,
        /// Active timeout, measured or told, s.
        active_timeout_s: Option<i64>,
        /// Time of reception less the device's time, ms.
        clock_offset_ms: Option<f64>,
        /// The device's clock is not used: absurd or unstable.
        is_clock_refused: bool,
        /// Share of the records whose output interface is unknown.
        out_interface_unknown_ratio: Option<f64>,
        /// Records whose sampling rate is unknown.
        rate_unknown_records: i64,
        /// Datagrams that the kernel dropped on the sockets of its worker; not the exporter's alone.
        kernel_drops: i64,
        /// Share of what it sent that was received and decoded.
        coverage_ratio: Option<f64>,
        /// Who told the sampling rate of most of its records: `record`, `sampler`, `options`, `header`, `configured`,
        /// `unsampled`, or `unknown`.
        sampling_origin: Option<Name>,
    }

    /// A record of Microsoft's traffic itself, as exported, on the link that it was placed on; written only where
    /// `[store] flows` is true. Not scaled, bytes of the IP layer. A record that was seen from several views has a
    /// row in each: sum over the best `view` of a connection, as `links` does.
    "flows": FlowRow {
        /// Start of the time of reception that its file is of.
        window_start: Timestamp,
        /// Length of that time, s.
        window_seconds: i64,
        /// First packet.
        first_packet: Timestamp,
        /// Last packet.
        last_packet: Timestamp,
        /// Address of the exporter; of sFlow the agent's.
        exporter: Name,
        /// Name of the link.
        connection: Name,
        /// `from_microsoft` or `to_microsoft`.
        direction: Name,
        /// From where it was seen, best first: `own_port`, `unstated`, `other_port`, `other_router`.
        view: Name,
        /// Source address.
        source: Name,
        /// Destination address.
        destination: Name,
        /// IP protocol number.
        protocol: i64,
        /// Source port; 0 where the protocol has none.
        source_port: i64,
        /// Destination port; 0 where the protocol has none.
        destination_port: i64,
        /// TCP flags, the OR over the flow.
        tcp_flags: i64,
        /// Input interface; null where unknown.
        input_interface: Option<i64>,
        /// Output interface; null where unknown.
        output_interface: Option<i64>,
        /// Bytes as exported.
        bytes: i64,
        /// Packets as exported.
        packets: i64,
        /// 1; 0 where the record counts on another link already, or is the other half of a biflow.
        records: i64,
        /// Packets (of sampled flows: flows) that each sampled one stands for; null where unknown.
        sampling_ratio: Option<f64>,
        /// Service of Microsoft's end; null where no list names one.
        service: Option<Name>,
        /// Azure region of Microsoft's end.
        region: Option<Name>,
        /// List that decided; null where none knows Microsoft's end.
        tag_source: Option<Name>,
        /// Version of that list.
        tag_version: Option<Name>,
        /// Origin AS of Microsoft's end.
        origin_asn: Option<i64>,
        /// Our prefix that holds our end.
        customer_prefix: Option<Name>,
        /// Its customer.
        customer: Option<Name>,
        /// Origin AS of our end.
        customer_asn: Option<i64>,
    }

    /// What alerts did: a row each time that one began, changed its severity, was silenced or ended.
    "alerts": AlertRow {
        /// When it was judged so.
        at: Timestamp,
        /// Its rule, as `[[alert_rule]]` names it.
        rule: Name,
        /// The same in all rows of one alert, and of no other one.
        fingerprint: Name,
        /// `firing`, or `resolved` when it ended.
        state: Name,
        /// `critical`, `warning` or `info`; of a resolved one the last.
        severity: Name,
        /// Connection or other link that it is about.
        connection: Option<Name>,
        /// `to_microsoft` or `from_microsoft`, where it is about one direction.
        direction: Option<Name>,
        /// Port that it is about.
        port: Option<Name>,
        /// Address of the exporter that it is about.
        exporter: Option<Name>,
        /// Metro that it is about.
        location: Option<Name>,
        /// `direct`, `exchange`, `transit` or `other`, of what it is about.
        role: Option<Name>,
        /// What else tells it from others of its rule: a survivor, a kind of failover, what is in trouble.
        detail: Option<Name>,
        /// What was judged; null where an event speaks for itself, or nothing is known any more.
        value: Option<f64>,
        /// What it was compared with.
        threshold: Option<f64>,
        /// Unit of `value`, `threshold` and `standard_error`.
        unit: Name,
        /// Standard error of `value` by sampling.
        standard_error: Option<f64>,
        /// One sentence for whoever is on call.
        summary: Name,
        /// When it began: the time of the traffic that showed it first.
        started_at: Timestamp,
        /// A silence kept it from being told.
        is_silenced: bool,
        /// It came and went too often: it is held until it stays away.
        is_flapping: bool,
        /// Targets that have taken it so far.
        delivered: Vec<Name>,
    }

    /// What happened to connections: a row an event and revision; the last revision of an `event_id` holds.
    "failovers": FailoverRow {
        /// The event: time and place of its beginning; the same in every replay.
        event_id: Name,
        /// 0 when it was found, then one more each time.
        revision: i64,
        /// The connection that fell; null where several did.
        connection: Option<Name>,
        /// `to_microsoft` or `from_microsoft`; null where the port alone tells.
        direction: Option<Name>,
        /// 4 or 6 where one IP version alone fell.
        ip_version: Option<i64>,
        /// `failed` (cut), `drained` (in minutes, or with a residue), `shifted` (a part moved), `member_lost`, `exchange_lost`, `microsoft_wide` or `own_demand`.
        kind: Name,
        /// What the judgement rests on.
        evidence: Name,
        /// Metro; null where there are several.
        location: Option<Name>,
        /// Start of the bin of 10 s in which it began.
        started_at: Timestamp,
        /// When it was found.
        detected_at: Timestamp,
        /// Start of the bin in which half of the fall had returned; null while it has not.
        ended_at: Option<Timestamp>,
        /// What would be carried had nothing happened, bit/s on the link layer; null where the port alone tells.
        before_bps: Option<f64>,
        /// Where it went.
        moved: Vec<Moved>,
        /// Share of the fall that no link took: with Microsoft nobody can say that it is lost.
        unaccounted_share: Option<f64>,
        /// Standard error of `unaccounted_share`.
        unaccounted_error: Option<f64>,
        /// Share of the fall that other connections of the same metro took.
        stayed_local_share: Option<f64>,
        /// Share of the fall that transit took.
        to_transit_share: Option<f64>,
        /// Share of the fall that was back five minutes after `ended_at`.
        returned_share: Option<f64>,
        /// Busiest 10 s of the links that took some: load of the port on the wire over capacity.
        survivor_peak_utilisation: Option<f64>,
        /// Median latency on what fell in the ten minutes before, µs, of the method and span in `latency` with most measurements; null without any.
        p50_before_us: Option<i64>,
        /// The same of the links that took some, in up to ten minutes after loads were steady: what they carried before is in it.
        p50_after_us: Option<i64>,
        /// How often it came back and fell again.
        flaps: i64,
        /// It was within planned work.
        planned: bool,
        /// `open`, `ended`, or `closed`: not followed any more.
        status: Name,
        /// All connections that fell.
        connections: Vec<Name>,
        /// Internet exchange, of `exchange_lost`.
        exchange: Option<Name>,
        /// Share of `before_bps` that fell.
        fallen_share: Option<f64>,
        /// How far beyond chance the fall was when it was found, standard errors of sampling and scatter.
        standard_errors: Option<f64>,
        /// From the beginning until nine tenths of the fall were done, s.
        moved_seconds: Option<i64>,
        /// Capacity of the port before, bit/s, where it changed.
        capacity_before_bps: Option<i64>,
        /// The same after.
        capacity_after_bps: Option<i64>,
        /// What the planned work was.
        planned_summary: Option<Name>,
    }
}

/// The rows of one window of one table: what is published as one file.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// Rows of `connections`; the window is the time of the change.
    Connections(Vec<ConnectionRow>),
    /// Rows of `ports`.
    Ports(Vec<PortRow>),
    /// Rows of `links`.
    Links(Vec<LinkRow>),
    /// Rows of `traffic`.
    Traffic(Vec<TrafficRow>),
    /// Rows of `prefixes`.
    Prefixes(Vec<PrefixRow>),
    /// Rows of `exporters`.
    Exporters(Vec<ExporterRow>),
    /// Rows of `alerts`.
    Alerts(Vec<AlertRow>),
    /// Rows of `latency`.
    Latency(Vec<LatencyRow>),
    /// Rows of `failovers`: all revisions of the events that began in the bin.
    Failovers(Vec<FailoverRow>),
}

impl Rows {
    /// A number that tells tables apart.
    pub const fn number(&self) -> u8 {
        match self {
            Rows::Connections(_) => 0,
            Rows::Ports(_) => 1,
            Rows::Links(_) => 2,
            Rows::Traffic(_) => 3,
            Rows::Prefixes(_) => 4,
            Rows::Exporters(_) => 5,
            Rows::Alerts(_) => 9,
            Rows::Latency(_) => 6,
            Rows::Failovers(_) => 8,
        }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        match self {
            Rows::Connections(rows) => rows.len(),
            Rows::Ports(rows) => rows.len(),
            Rows::Links(rows) => rows.len(),
            Rows::Traffic(rows) => rows.len(),
            Rows::Prefixes(rows) => rows.len(),
            Rows::Exporters(rows) => rows.len(),
            Rows::Alerts(rows) => rows.len(),
            Rows::Latency(rows) => rows.len(),
            Rows::Failovers(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length of their window, seconds; 0 where each row is of an instant.
    pub const fn window_seconds(&self) -> i64 {
        match self {
            Rows::Connections(_) | Rows::Failovers(_) => 0,
            Rows::Ports(_) | Rows::Links(_) | Rows::Exporters(_) | Rows::Alerts(_) | Rows::Latency(_) => WINDOW_US / SECOND_US,
            Rows::Traffic(_) | Rows::Prefixes(_) => DETAIL_WINDOW_US / SECOND_US,
        }
    }
}

/// A window's rows, ready to be published; a revision replaces the rows published before, one without
/// rows takes them back.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// Start of the window.
    pub window_start_us: i64,
    /// The rows.
    pub rows: Rows,
}
