use super::*;
use crate::Owner;

/// Publishes what one worker counted of these records, received at `received_s`.
fn finished(records: &[(u32, View, Record)], received_s: i64) -> Published {
    let (mut worker, mut owner, mut published) = (Worker::new(), Owner::new(MeasureSettings::default()), Published::default());
    for (link, view, record) in records {
        worker.record(*link, *view, record.clone());
    }
    owner.merge(0, worker.take(), at(received_s));
    published.take(owner.finish(at(received_s)));
    published
}

/// Mean of a link in the window that starts at `from_s`, bit/s.
fn mean(published: &Published, link: &str, from_s: i64) -> Option<Option<f64>> {
    let rows = published.links();
    let row = rows
        .into_iter()
        .find(|row| *row.connection == *link && &*row.direction == "to_microsoft" && row.window_start.0 == at(from_s));
    row.map(|row| row.mean_bps)
}

#[test]
fn bytes_are_spread_over_windows_and_counted_on_the_link_layer() {
    // 6,000 IP bytes in 10 packets: 6,180 on the link layer over 120 s.
    let published = finished(&[(0, View::OwnPort, flow(30, 150, 6_000, 10, 1))], 150);
    let windows: Vec<Option<Option<f64>>> = [0, 60, 120].map(|from| mean(&published, "one", from)).to_vec();
    let bps = |bytes: f64| Some(Some(bytes * 8.0 / 60.0));
    assert_eq!(windows, [bps(1_545.0), bps(3_090.0), bps(1_545.0)]);
    let peaks: Vec<_> =
        published.ports().iter().filter(|row| &*row.port == "port-one").map(|row| row.peak_bps.unwrap()).collect();
    assert_eq!(peaks[1], 515.0 * 8.0 / 10.0);
    // The IP layer of the detailed tables: all of it in one window, one record.
    let traffic = published.traffic();
    assert_eq!(traffic.len(), 1);
    assert_eq!((traffic[0].bytes_exported, traffic[0].records, traffic[0].samples), (6_000, 1, 10));
    assert_eq!((traffic[0].service.as_deref(), traffic[0].tag_version.as_deref()), (Some("AzureStorage"), Some("7")));
    let prefixes: Vec<_> = published
        .prefixes()
        .iter()
        .map(|row| (row.side.to_string(), row.prefix.to_string(), row.customer.clone(), row.bytes_exported))
        .collect();
    let expected = [
        ("customer".to_string(), "198.51.100.0/24".to_string(), Some(Name::from("shop")), 6_000),
        ("microsoft".to_string(), "20.38.0.0/16".to_string(), None, 6_000),
    ];
    assert_eq!(prefixes, expected);
}

#[test]
fn a_sampled_packet_stands_for_others_and_has_an_error() {
    let published = finished(&[(0, View::OwnPort, flow(10, 10, 982, 1, 1_000))], 10);
    let rows = published.links();
    let row = rows.iter().find(|row| *row.connection == *"one" && row.samples > 0).unwrap();
    assert_eq!((row.mean_bps, row.samples), (Some(1_000_000.0 * 8.0 / 60.0), 1));
    let error = (1_000.0_f64 * 999.0 * 1_000.0 * 1_000.0).sqrt() * 8.0 / 60.0;
    assert!((row.standard_error_bps.unwrap() - error).abs() < 1e-6);
    assert_eq!(row.exported_bps, 1_000.0 * 8.0 / 60.0);
    // On the wire a packet has 20 bytes more.
    assert_eq!(row.utilisation_ratio, Some(1_020_000.0 * 8.0 / 60.0 / 1e10));
}

#[test]
fn an_unknown_rate_leaves_the_mean_unknown_and_is_counted() {
    let known = |bytes| (0, View::OwnPort, flow(10, 10, bytes, 0, 10));
    let unknown = |bytes| (0, View::OwnPort, flow(10, 10, bytes, 0, 0));
    let check = |records: &[(u32, View, Record)], mean_bps: Option<f64>, bytes_unknown: i64| {
        let published = finished(records, 10);
        let rows = published.links();
        let row = rows.iter().find(|row| *row.connection == *"one" && row.exported_bps > 0.0).unwrap();
        assert_eq!((row.mean_bps, row.bytes_unknown_rate), (mean_bps, bytes_unknown));
    };
    check(&[known(600), unknown(600)], None, 600);
    check(&[unknown(600)], None, 600);
    check(&[known(60_000), unknown(600)], Some(600_000.0 * 8.0 / 60.0), 600);
}

#[test]
fn what_several_views_saw_counts_once() {
    let check = |records: &[(u32, View, Record)], bytes: f64| {
        assert_eq!(mean(&finished(records, 10), "one", 0), Some(Some(bytes * 8.0 / 60.0)), "{records:?}");
    };
    let seen = |view, bytes| (0, view, flow(10, 10, bytes, 0, 1));
    check(&[seen(View::OtherRouter, 1_000), seen(View::OwnPort, 1_001), seen(View::OtherPort, 1_002)], 1_001.0);
    check(&[seen(View::OtherRouter, 1_000), seen(View::OtherPort, 1_002)], 1_002.0);
    check(&[seen(View::OtherRouter, 1_000), seen(View::OtherRouter, 500)], 1_500.0);
    // A stray record at the port does not hide what is metered elsewhere.
    check(&[seen(View::OwnPort, 60), seen(View::OtherPort, 100_000)], 100_000.0);
}

#[test]
fn a_link_without_traffic_is_at_0_only_where_its_exporter_would_have_shown_it() {
    let mut records = vec![(0, View::OwnPort, flow(10, 10, 1_000, 1, 1)), (1, View::OwnPort, flow(70, 70, 1_000, 1, 1))];
    let published = finished(&records, 70);
    assert_eq!(mean(&published, "two", 60).flatten().map(|bps| bps > 0.0), Some(true));
    assert_eq!(mean(&published, "one", 60), Some(Some(0.0)));
    // An hour later nobody has reported: no row.
    assert_eq!(mean(&published, "one", 3_600), None);
    // An exporter that another link has says nothing of this one.
    records[1].2.exporter = ExporterId(1);
    records.remove(0);
    let published = finished(&records, 70);
    assert_eq!(mean(&published, "one", 60), None);
}

#[test]
fn windows_come_when_mature_again_when_revised_and_late_bytes_are_counted() {
    let (mut worker, mut owner) = (Worker::new(), Owner::new(MeasureSettings::default()));
    let mut log = Vec::new();
    let mut late = 0;
    for second in 0..1_500 {
        match second {
            10 | 200 | 1_400 => worker.record(0, View::OwnPort, flow(5, 5, 6_000, 0, 1)),
            _ => worker.record(1, View::OwnPort, flow(second, second, 100, 0, 1)),
        }
        owner.merge(0, worker.take(), at(second));
        for publication in owner.advance(at(second)) {
            let Rows::Links(rows) = &publication.rows else { continue };
            let rows = rows.iter().filter(|row| &*row.connection == "one" && &*row.direction == "to_microsoft");
            late += rows.clone().map(|row| row.late_bytes).sum::<i64>();
            if publication.window_start_us == at(0) {
                log.extend(rows.map(|row| (second, row.mean_bps.unwrap() * 60.0 / 8.0, row.status.to_string())));
            }
        }
    }
    // 60 s window, 60 s active timeout, 10 s grace; revised once a minute; closed after 15 minutes.
    let expected = [(130, 6_000.0, "mature"), (200, 12_000.0, "mature"), (1_200, 12_000.0, "final")]
        .map(|(s, bytes, status)| (s, bytes, status.to_string()));
    assert_eq!(log, expected);
    assert_eq!(owner.late_records(), 1);
    assert_eq!(late, 0, "the window of the late record is not mature yet");
    let rows = owner.finish(at(1_500));
    let late: i64 = rows
        .iter()
        .filter_map(|publication| if let Rows::Links(rows) = &publication.rows { Some(rows) } else { None })
        .flatten()
        .map(|row| row.late_bytes)
        .sum();
    assert_eq!(late, 6_000);
}

#[test]
fn the_rest_of_many_tags_is_one_row_and_totals_stay_exact() {
    let settings = MeasureSettings { tags_kept: 1, prefixes_kept: 1, ..MeasureSettings::default() };
    let (mut worker, mut owner, mut published) = (Worker::new(), Owner::new(settings), Published::default());
    for (port, bytes) in [(443, 5_000), (80, 3_000), (443, 100)] {
        worker.record(0, View::OwnPort, Record { destination_port: port, ..flow(10, 10, bytes, 0, 1) });
    }
    owner.merge(0, worker.take(), at(10));
    published.take(owner.finish(at(10)));
    let traffic: Vec<_> =
        published.traffic().iter().map(|row| (row.service.clone().unwrap().to_string(), row.bytes_exported)).collect();
    assert_eq!(traffic, [("other".to_string(), 3_000), ("Exchange".to_string(), 5_100)]);
    let sides: Vec<_> = published.prefixes().iter().map(|row| (row.prefix.to_string(), row.bytes_exported)).collect();
    let expected = [("198.51.100.0/24", 8_100), ("40.96.0.0/13", 5_100), ("other", 3_000)]
        .map(|(prefix, bytes)| (prefix.to_string(), bytes));
    assert_eq!(sides, expected);
}

#[test]
fn a_minute_of_reception_is_a_row_of_its_exporter() {
    let published = finished(&[(0, View::OwnPort, flow(10, 10, 1_000, 1, 1))], 10);
    let rows = published.exporters();
    assert_eq!(rows.len(), 2);
    assert_eq!((&*rows[0].exporter, rows[0].datagrams, rows[0].records, rows[0].active_timeout_s), (EXPORTER, 1, 1, Some(60)));
    assert_eq!(rows[0].coverage_ratio, Some(1.0));
}

#[test]
fn windows_that_an_earlier_run_has_published_are_left_alone() {
    let (mut worker, mut owner, mut published) = (Worker::new(), Owner::new(MeasureSettings::default()), Published::default());
    // The run before stopped without a word after it had published the minutes up to 180 s.
    owner.start_after(at(180));
    for seconds in [100, 170, 190, 250] {
        worker.record(0, View::OwnPort, flow(seconds, seconds, 982, 1, 1));
    }
    owner.merge(0, worker.take(), at(250));
    published.take(owner.finish(at(250)));
    assert_eq!(owner.late_records(), 2);
    let mut rows: Vec<_> = published.links().iter().filter(|row| row.samples > 0).map(|row| row.window_start.0).collect();
    rows.sort_unstable();
    assert_eq!(rows, [at(180), at(240)]);
    // The window of five minutes was not published yet: it has all that came since.
    assert_eq!(published.traffic().iter().map(|row| row.records).sum::<i64>(), 4);
}

#[test]
fn a_record_whose_bytes_lie_before_its_window_keeps_its_row() {
    // Its last packet stands at the very start of a detail window; the one with its bytes is closed and gone when rows are due.
    let settings = MeasureSettings { revision_seconds_least: 300, ..MeasureSettings::default() };
    let (mut worker, mut owner, mut published) = (Worker::new(), Owner::new(settings), Published::default());
    worker.record(0, View::OwnPort, flow(299, 300, 1, 1, 1));
    for second in 300..1_000 {
        owner.merge(0, worker.take(), at(second));
        published.take(owner.advance(at(second)));
    }
    assert_eq!(published.traffic().iter().map(|row| (row.records, row.bytes_exported)).collect::<Vec<_>>(), [(0, 1), (1, 0)]);
}
