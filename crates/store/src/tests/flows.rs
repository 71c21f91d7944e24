//! Flows: read back as they were given, kept while the disk fails, counted where that lasts too long.

use std::sync::Arc;

use model::link::{Direction, View};
use model::tables::FlowRow;
use model::tag::{Side, TagNames};
use model::{Flow, FlowBatch, Sampling, SamplingOrigin};

use super::WINDOW_US;
use crate::{Store, StoreSettings, read, remove_flows};
use model::time::HOUR_US;

/// Flows of a file that fill a part of what may wait.
const FLOWS: u64 = 60_000;

fn batch(bytes: impl IntoIterator<Item = u64>) -> FlowBatch {
    let flow = |bytes| Flow {
        source: "192.0.2.1".parse().unwrap(),
        destination: "2001:db8::1".parse().unwrap(),
        start_us: 1_000_000,
        end_us: 2_000_000,
        bytes,
        packets: 3,
        sampling: Sampling::one_in(100, SamplingOrigin::Record),
        exporter: 0,
        link: 0,
        input: 7,
        output: 0,
        ours: Side::default(),
        microsoft: Side::default(),
        source_port: 443,
        destination_port: 50_000,
        protocol: 6,
        tcp_flags: 0x1b,
        direction: Direction::FromMicrosoft,
        view: View::OwnPort,
        is_in_ledger: bytes % 2 == 0,
    };
    let exporters = vec![Some("10.0.0.1".parse().unwrap())];
    FlowBatch { flows: bytes.into_iter().map(flow).collect(), exporters, links: Vec::new(), names: Arc::new(TagNames::default()) }
}

fn stored(data: &std::path::Path) -> Vec<FlowRow> {
    let found = read::<FlowRow>(data, i64::MIN, i64::MAX).unwrap();
    assert_eq!(found.damaged, []);
    found.rows
}

#[test]
fn a_flow_is_read_back_as_it_was_given() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
    store.add_flows(&batch([1_000]), HOUR_US).unwrap();
    store.end_flows(HOUR_US).unwrap();
    let [row] = &stored(data.path())[..] else { panic!("one row") };
    let text = format!(
        "{} {} {} {} {} {} {} {} {} {} {} {} {:?} {:?} {} {} {} {:?} {:?} {:?}",
        row.exporter,
        row.connection,
        row.direction,
        row.view,
        row.source,
        row.destination,
        row.protocol,
        row.source_port,
        row.destination_port,
        row.tcp_flags,
        row.first_packet.0,
        row.last_packet.0,
        row.input_interface,
        row.output_interface,
        row.bytes,
        row.packets,
        row.records,
        row.sampling_ratio,
        row.service,
        row.customer_asn,
    );
    let expected = "10.0.0.1 other from_microsoft own_port 192.0.2.1 2001:db8::1 6 443 50000 27 1000000 2000000 Some(7) None \
                    1000 3 1 Some(100.0) None None";
    assert_eq!(text, expected);
    assert_eq!((row.window_start.0, row.window_seconds), (HOUR_US, 60));
}

#[test]
fn files_end_with_their_time_and_none_takes_anothers_place() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
    for (bytes, now_us) in [(1, 0), (2, WINDOW_US - 1), (3, WINDOW_US), (4, WINDOW_US)] {
        store.publish_flows(now_us).unwrap();
        store.add_flows(&batch([bytes]), now_us).unwrap();
        if bytes == 3 {
            store.end_flows(now_us).unwrap();
        }
    }
    store.end_flows(WINDOW_US).unwrap();
    let mut found: Vec<_> = stored(data.path()).iter().map(|row| (row.window_start.0, row.bytes)).collect();
    found.sort_unstable();
    assert_eq!(found, [(0, 1), (0, 2), (WINDOW_US, 3), (WINDOW_US, 4)]);
    drop(store);
    remove_flows(data.path()).unwrap();
    assert_eq!(stored(data.path()), []);
}

#[test]
fn flows_wait_while_the_disk_fails_and_the_oldest_fall_off_counted() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
    let obstacle = data.path().join("flows");
    std::fs::write(&obstacle, "not a folder").unwrap();
    // Numbers without pattern, so that a file is large.
    let random = |seed: u64| (0..FLOWS).map(move |i| (i + seed).wrapping_pow(7).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1);
    let files = 16;
    for file in 0..files {
        let _ = store.add_flows(&batch(random(file)), 0);
        assert!(store.end_flows(0).is_err());
    }
    let lost = store.take_flows_lost();
    assert!(lost > 0 && lost.is_multiple_of(FLOWS), "{lost}");
    std::fs::remove_file(&obstacle).unwrap();
    store.publish_flows(0).unwrap();
    assert_eq!(stored(data.path()).len() as u64, files * FLOWS - lost);
    assert_eq!(store.take_flows_lost(), 0);
}
