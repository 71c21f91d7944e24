//! Mirrored packets and flow records in, rows out.

use std::sync::Arc;

use model::latency::End;
use model::link::Directory;
use model::segment::{Segment, flags};
use model::tables::LatencyRow;
use model::tag::{Tag, TagNames};
use model::{
    Address, Attribution, Batch, Direction, ExporterId, Link, MatchedBy, Placement, Placements, Record, Role, Rows, Sampling,
    SamplingOrigin, Side, TagId, TimeSource, View,
};

use super::{LatencyDelta, Mirrored, PacketLatency, RecordLatency};
use crate::{Deltas, MeasureSettings, Owner};

const START_US: i64 = 1_700_000_040_000_000;
const SYN: u8 = flags::SYN;
const ACK: u8 = flags::ACK;
const CUSTOMER: Address = Address::from_v4_bits(0xc633_6401);
const MICROSOFT: Address = Address::from_v4_bits(0x3412_0001);

fn names() -> TagNames {
    let tag = |service: &str, region: Option<&str>| Tag {
        service: Some(service.into()),
        region: region.map(Into::into),
        ..Tag::default()
    };
    let tags = vec![Tag::default(), tag("Storage", Some("westeurope")), tag("AzureFrontDoor.Frontend", Some("northeurope"))];
    TagNames { tags, places: vec![Default::default()] }
}

fn directory() -> Directory {
    let link = |name: &str| {
        let (peering, kind, location, port) = (None, None, None, None);
        Arc::new(Link {
            name: name.into(),
            peering,
            kind,
            role: Role::Direct,
            location,
            exchange: None,
            port,
            exporters: vec![],
            is_active: true,
        })
    };
    Directory { links: vec![link("fra-1"), link("ams-1")], ports: Vec::new() }
}

/// The rows of what a worker measured.
fn rows(delta: LatencyDelta) -> Vec<LatencyRow> {
    let settings = MeasureSettings::default();
    let delta = Deltas::new(&settings).take(&directory(), &Arc::new(names()), Vec::new(), 0).with_latency(delta);
    let mut owner = Owner::new(settings);
    owner.merge(0, delta, START_US + 120_000_000);
    let published = owner.finish(START_US + 120_000_000).into_iter();
    published
        .filter_map(|publication| if let Rows::Latency(rows) = publication.rows { Some(rows) } else { None })
        .flatten()
        .collect()
}

/// A row as a person reads it: links, region, method, span, initiator, median or why there is none.
fn shown(row: &LatencyRow) -> String {
    let mut links = row.connection.to_string();
    if let Some(back) = &row.return_connection {
        links += &format!("/{back}");
    }
    let told = match (&row.absent_reason, row.p50_us.or(row.mean_us.map(|us| us as i64))) {
        (Some(reason), _) => reason.to_string(),
        (None, us) => format!("{}x{}", row.samples, us.unwrap_or(-1)),
    };
    let (region, initiator) = (row.region.as_deref().unwrap_or("-"), row.initiator.as_deref().unwrap_or("-"));
    format!("{links} {region} {} {} {initiator} {told}", row.method, row.span)
}

/// A segment: µs, link, sender, flags, sequence, acknowledgement, timestamps.
type Sent = (i64, u32, End, u8, u32, u32, Option<(u32, u32)>);

fn mirrored(packets: &[Sent], tag: TagId) -> PacketLatency {
    let mut latency = PacketLatency::new(&MeasureSettings::default());
    for (at_us, link, sender, flags, sequence, acknowledgement, timestamps) in packets {
        let (is_ours, addresses) = (*sender == End::Customer, [CUSTOMER, MICROSOFT]);
        let segment = Segment {
            source_port: if is_ours { 50_000 } else { 443 },
            destination_port: if is_ours { 443 } else { 50_000 },
            flags: *flags,
            sequence: *sequence,
            acknowledgement: *acknowledgement,
            timestamps: *timestamps,
            has_data: flags & (SYN | flags::FIN) == 0 && timestamps.is_some(),
        };
        let addresses = if is_ours { addresses } else { [addresses[1], addresses[0]] };
        let packet = Mirrored { at_us: START_US + at_us, link: *link, sender: *sender, addresses, tag, segment: Some(&segment) };
        latency.packet(&packet, &names());
    }
    latency
}

#[track_caller]
fn check(packets: &[Sent], expected: &[&str]) {
    let found = rows(mirrored(packets, TagId(1)).take());
    let found: Vec<String> = found
        .iter()
        .map(shown)
        .filter(|row| !row.contains("no_timestamps") && !row.contains("timestamps edge_to_microsoft customer un"))
        .collect();
    assert_eq!(found, expected);
}

use End::{Customer as C, Microsoft as M};

#[test]
fn a_handshake_splits_the_way_in_two() {
    check(
        &[(0, 0, C, SYN, 9, 0, None), (12_000, 0, M, SYN | ACK, 70, 10, None), (12_500, 0, C, ACK, 10, 71, None)],
        &[
            "fra-1 westeurope handshake edge_to_client customer 1x500",
            "fra-1 westeurope handshake edge_to_microsoft customer 1x12000",
            "fra-1 westeurope handshake round_trip customer 1x12500",
        ],
    );
    // Opened by Microsoft: the same ends, the other way round.
    check(
        &[(0, 0, M, SYN, 9, 0, None), (500, 0, C, SYN | ACK, 70, 10, None), (12_500, 0, M, ACK, 10, 71, None)],
        &[
            "fra-1 westeurope handshake edge_to_client microsoft 1x500",
            "fra-1 westeurope handshake edge_to_microsoft microsoft 1x12000",
            "fra-1 westeurope handshake round_trip microsoft 1x12500",
        ],
    );
}

#[test]
fn a_mirror_of_syns_suffices_for_one_side_and_both_links_are_named() {
    check(
        &[(0, 0, C, SYN, u32::MAX, 0, None), (12_000, 1, M, SYN | ACK, 70, 0, None)],
        &["fra-1/ams-1 westeurope handshake edge_to_microsoft customer 1x12000"],
    );
    // The SYN went another way that is not mirrored: the rest still tells of our side.
    check(
        &[(0, 1, M, SYN | ACK, 70, 10, None), (700, 1, C, ACK, 10, 71, None)],
        &["ams-1 westeurope handshake edge_to_client customer 1x700"],
    );
}

#[test]
fn what_was_sent_again_is_left_out_and_copies_of_the_mirror_are_not() {
    let syn_ack = |at_us| (at_us, 0, M, SYN | ACK, 70, 10, None);
    let none = "fra-1 - handshake edge_to_microsoft customer unmatched";
    check(&[(0, 0, C, SYN, 9, 0, None), (1_000_000, 0, C, SYN, 9, 0, None), syn_ack(1_012_000)], &[none]);
    // The SYN-ACK of another SYN.
    check(&[(0, 0, C, SYN, 9, 0, None), (5, 0, M, SYN | ACK, 70, 99, None)], &[none]);
    // A reset, and no answer.
    check(&[(0, 0, C, SYN, 9, 0, None), (5, 0, M, flags::RST | ACK, 0, 10, None), syn_ack(12_000)], &[none]);
    // Sent again, the SYN-ACK does not say which one was answered; the first one was in time.
    check(
        &[(0, 0, C, SYN, 9, 0, None), syn_ack(12_000), syn_ack(1_012_000), (1_013_000, 0, C, ACK, 10, 71, None)],
        &["fra-1 westeurope handshake edge_to_microsoft customer 1x12000"],
    );
    let copied = [(0, 0, C, SYN, 9, 0, None), (3, 0, C, SYN, 9, 0, None), syn_ack(12_000), syn_ack(12_003)];
    check(&copied, &["fra-1 westeurope handshake edge_to_microsoft customer 1x12000"]);
    assert_eq!(mirrored(&copied, TagId(1)).counts().copies, 2);
}

#[test]
fn the_first_segment_of_a_timestamp_is_timed_and_only_its_own_echo_counts() {
    let packets = [
        (0, 0, C, ACK, 1, 1, Some((100, 7))),
        // The same millisecond again, the echo, and the echo again.
        (300, 0, C, ACK, 2, 1, Some((100, 7))),
        (20_000, 0, M, ACK, 1, 2, Some((500, 100))),
        (20_500, 0, M, ACK, 2, 2, Some((500, 100))),
        // Our end answers the other way.
        (21_000, 0, C, ACK, 2, 2, Some((121, 500))),
        // An echo of something later says that the one before will not be echoed.
        (60_000, 0, M, ACK, 3, 3, Some((540, 150))),
    ];
    let found: Vec<String> = rows(mirrored(&packets, TagId(1)).take()).iter().map(shown).collect();
    assert_eq!(
        found,
        [
            "fra-1 - handshake edge_to_microsoft customer no_handshake",
            "fra-1 westeurope timestamps edge_to_client - 1x1000",
            "fra-1 westeurope timestamps edge_to_microsoft - 1x20000",
        ]
    );
}

#[test]
fn where_nothing_can_be_measured_the_row_says_why() {
    let reasons = |packets: &[Sent]| -> Vec<String> {
        rows(mirrored(packets, TagId(1)).take()).iter().map(|row| row.absent_reason.as_deref().unwrap_or("").to_owned()).collect()
    };
    assert_eq!(reasons(&[(0, 0, C, SYN, 9, 0, None)]), ["unidirectional", "unidirectional"]);
    let both = [(0, 0, C, ACK, 9, 0, None), (5, 0, M, ACK, 9, 0, None)];
    assert_eq!(reasons(&both), ["no_handshake", "no_timestamps"]);
    let mut latency = PacketLatency::new(&MeasureSettings::default());
    let (addresses, tag) = ([CUSTOMER, MICROSOFT], TagId(1));
    latency.packet(&Mirrored { at_us: START_US, link: 0, sender: C, addresses, tag, segment: None }, &names());
    assert_eq!(rows(latency.take()).iter().map(shown).next().unwrap(), "fra-1 - handshake edge_to_microsoft customer no_tcp");
}

#[test]
fn what_ends_at_microsofts_edge_is_not_of_a_region() {
    let packets = [(0, 0, C, SYN, 9, 0, None), (900, 0, M, SYN | ACK, 70, 10, None)];
    let found = rows(mirrored(&packets, TagId(2)).take());
    assert_eq!(shown(&found[0]), "fra-1 - handshake edge_to_microsoft customer 1x900");
}

#[test]
fn percentiles_of_a_simulated_path_are_its_own_within_a_percent() {
    let mut latency = PacketLatency::new(&MeasureSettings::default());
    let (mut truth, mut state) = (Vec::new(), 42_u64);
    for number in 0..20_000_u32 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = (state >> 11) as f64 / (1_u64 << 53) as f64;
        // A path of 8 ms whose queue adds some, at times much.
        let round_trip_us = 8_000 - (3_000.0 * (1.0 - share).ln()) as i64;
        truth.push(round_trip_us);
        let at_us = START_US + i64::from(number) * 2_000;
        let port = (number % 60_000) as u16;
        let syn = Segment { source_port: port, destination_port: 443, flags: SYN, sequence: number, ..Segment::default() };
        let syn_ack = Segment {
            source_port: 443,
            destination_port: port,
            flags: SYN | ACK,
            acknowledgement: number + 1,
            ..Segment::default()
        };
        for (at_us, sender, segment) in [(at_us, C, syn), (at_us + round_trip_us, M, syn_ack)] {
            let addresses = if sender == C { [CUSTOMER, MICROSOFT] } else { [MICROSOFT, CUSTOMER] };
            let packet = Mirrored { at_us, link: 0, sender, addresses, tag: TagId(1), segment: Some(&segment) };
            latency.packet(&packet, &names());
        }
    }
    truth.sort_unstable();
    let row = rows(latency.take()).into_iter().find(|row| &*row.method == "handshake").unwrap();
    assert_eq!(row.samples, 20_000);
    for (found, share) in [(row.p50_us, 0.5), (row.p99_us, 0.99)] {
        let expected = truth[(share * truth.len() as f64) as usize - 1] as f64;
        assert!((found.unwrap() as f64 - expected).abs() <= 0.01 * expected, "{found:?}, {expected} at {share}");
    }
}

/// A record: sender, start, sampled one in so many (0 unknown), source of its times.
fn record(sender: End, start_us: i64, one_in: u32, time_source: TimeSource) -> (Record, Attribution, Direction) {
    let ours = (CUSTOMER, 50_000, Side::default());
    let theirs = (MICROSOFT, 443, Side { tag: TagId(1), ..Side::default() });
    let (source, destination, direction) = match sender {
        C => (ours, theirs, Direction::ToMicrosoft),
        M => (theirs, ours, Direction::FromMicrosoft),
    };
    let record = Record {
        source: source.0,
        destination: destination.0,
        source_port: source.1,
        destination_port: destination.1,
        protocol: 6,
        tcp_flags: SYN | ACK,
        start_us: START_US + start_us,
        end_us: START_US + start_us + 1_000,
        sampling: Sampling { population: one_in, sample: one_in.min(1), origin: SamplingOrigin::Record, is_of_flows: false },
        exporter: ExporterId(3),
        time_source,
        ..Record::default()
    };
    (record, Attribution { source: source.2, destination: destination.2 }, direction)
}

fn recorded(records: &[(Record, Attribution, Direction)]) -> Vec<String> {
    let mut latency = RecordLatency::new(&MeasureSettings::default());
    let (mut batch, mut attributions, mut placements) = (Batch::default(), Vec::new(), Placements::default());
    for (index, (record, attribution, direction)) in records.iter().enumerate() {
        batch.records.push(record.clone());
        attributions.push(*attribution);
        placements.records.push(Placement {
            record: index as u32,
            link: 0,
            port: Placement::NOWHERE,
            direction: *direction,
            view: View::OwnPort,
            matched_by: MatchedBy::Interface,
            is_through: false,
        });
    }
    latency.add(&batch, &attributions, &placements, &names());
    rows(latency.take()).iter().map(shown).collect()
}

#[test]
fn starts_of_two_records_tell_only_where_they_can() {
    use TimeSource::{Milliseconds, Received, Seconds, Uptime};
    let absent = |reason: &str| vec![format!("fra-1 - flow_pairs edge_to_microsoft customer {reason}")];
    let pair = |one_in, times| vec![record(C, 0, one_in, times), record(M, 12_000, one_in, times)];
    let customers = "fra-1 westeurope flow_pairs edge_to_microsoft customer 1x12000";
    assert_eq!(recorded(&pair(1, Milliseconds)), [customers]);
    // Records come in any order; who began asked.
    assert_eq!(recorded(&[record(M, 12_000, 1, Uptime), record(C, 0, 1, Uptime)]), [customers]);
    let microsofts = "fra-1 westeurope flow_pairs edge_to_client microsoft 1x700";
    assert_eq!(recorded(&[record(M, 0, 1, Uptime), record(C, 700, 1, Uptime)]), [microsofts]);
    assert_eq!(recorded(&pair(1_000, Milliseconds)), absent("sampled"));
    assert_eq!(recorded(&pair(0, Milliseconds)), absent("unknown_rate"));
    assert_eq!(recorded(&pair(1, Seconds)), absent("coarse_clock"));
    assert_eq!(recorded(&[record(C, 5, 1, Uptime), record(M, 5, 1, Uptime)]), absent("shared_start"));
    // A clock that is refused still shows that starts are shared, and nothing else.
    assert_eq!(recorded(&[record(C, 5, 1, Received), record(M, 5, 1, Received)]), absent("shared_start"));
    assert_eq!(recorded(&pair(1, Received)), absent("coarse_clock"));
    assert_eq!(recorded(&[record(C, 0, 1, Uptime)]), absent("unidirectional"));
    // A SYN that was sent again after a second.
    assert_eq!(recorded(&[record(C, 0, 1, Uptime), record(M, 1_012_000, 1, Uptime)]), absent("unidirectional"));
    let mut without_syn = record(C, 0, 1, Uptime);
    without_syn.0.tcp_flags = ACK;
    assert_eq!(recorded(&[without_syn.clone()]), absent("no_handshake"));
    without_syn.0.protocol = 17;
    assert_eq!(recorded(&[without_syn]), absent("no_tcp"));
}

#[test]
fn what_exporters_tell_is_of_the_ends_that_their_record_has() {
    use model::latency::{Derivation, Path, RecordLatency as Told};
    let told = |record, path, derivation, samples, sum_us| Told {
        record,
        enterprise: 35_632,
        element: 123,
        path,
        derivation,
        samples,
        sum_us,
        min_us: None,
        max_us: None,
    };
    let check = |sender, path, derivation, samples, sum_us, expected: &str| {
        let mut latency = RecordLatency::new(&MeasureSettings::default());
        let (record, attribution, direction) = record(sender, 0, 1_000, TimeSource::Uptime);
        let batch =
            Batch { records: vec![record], latencies: vec![told(0, path, derivation, samples, sum_us)], ..Batch::default() };
        let placement = Placement {
            record: 0,
            link: 1,
            port: Placement::NOWHERE,
            direction,
            view: View::OwnPort,
            matched_by: MatchedBy::Interface,
            is_through: false,
        };
        latency.add(&batch, &[attribution], &Placements { records: vec![placement], ..Placements::default() }, &names());
        let rows = rows(latency.take());
        let row = rows.iter().find(|row| &*row.method == "exporter").unwrap();
        assert_eq!(shown(row), format!("ams-1 westeurope exporter {expected}"));
        assert_eq!((row.element.as_deref(), row.derivation.as_deref()), (Some("35632.123"), Some(derivation.name())));
        assert_eq!(row.hdr.is_some() && row.p99_us.is_some(), derivation != Derivation::MeanOfSum);
    };
    check(C, Path::Client, Derivation::HalfDoubled, 1, 4_000, "edge_to_client customer 1x4000");
    check(C, Path::Server, Derivation::AsMeasured, 1, 9_000, "edge_to_microsoft customer 1x9000");
    check(M, Path::Client, Derivation::AsMeasured, 1, 9_000, "edge_to_microsoft microsoft 1x9000");
    check(C, Path::Whole, Derivation::MeanOfSum, 3, 30_000, "round_trip customer 3x10000");
    check(M, Path::OneWay, Derivation::MeanOfSum, 10, 500, "one_way - 10x50");
}

#[test]
fn histograms_that_find_no_room_are_counted_and_wrong_in_no_percentile() {
    let settings = MeasureSettings { worker_latency_buckets_max: 16, ..MeasureSettings::default() };
    let mut latency = PacketLatency::new(&settings);
    for number in 0..40_u16 {
        for (at_us, sender, flags) in [(0, C, SYN), (i64::from(number) * 10, M, SYN | ACK)] {
            let ours = sender == C;
            let segment = Segment {
                source_port: if ours { number } else { 443 },
                destination_port: if ours { 443 } else { number },
                flags,
                acknowledgement: 1,
                ..Segment::default()
            };
            let addresses = if ours { [CUSTOMER, MICROSOFT] } else { [MICROSOFT, CUSTOMER] };
            let at_us = START_US + at_us;
            latency.packet(&Mirrored { at_us, link: 0, sender, addresses, tag: TagId(1), segment: Some(&segment) }, &names());
        }
    }
    let delta = latency.take();
    assert_eq!(delta.refused, 24);
    let row = rows(delta).into_iter().find(|row| row.samples > 0).unwrap();
    assert_eq!((row.samples, row.max_us, row.bucket_count.unwrap().len()), (16, Some(150), 16));
}
