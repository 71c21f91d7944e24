//! A collector that is stopped and started again: no window twice, none lost.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;

use model::tables::{ExporterRow, LinkRow};

use crate::softflowd::{collector, stop};

/// A NetFlow version 5 datagram of one flow to Microsoft that ends now.
fn datagram(sequence: u32, bytes: u32) -> Vec<u8> {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as u32;
    let mut payload = Vec::new();
    payload.extend([0, 5, 0, 1]);
    payload.extend(100_000_u32.to_be_bytes());
    payload.extend(seconds.to_be_bytes());
    payload.extend([0; 4]);
    payload.extend(sequence.to_be_bytes());
    // Engine, and an interval of 1: not sampled.
    payload.extend([0, 0, 0, 1]);
    payload.extend(Ipv4Addr::new(203, 0, 113, 7).octets());
    payload.extend(Ipv4Addr::new(40, 96, 1, 1).octets());
    payload.extend([0; 4]);
    payload.extend([0, 3, 0, 4]);
    payload.extend(10_u32.to_be_bytes());
    payload.extend(bytes.to_be_bytes());
    payload.extend(100_000_u32.to_be_bytes());
    payload.extend(100_000_u32.to_be_bytes());
    // A port of its own: a flow that comes twice would be one that was metered twice.
    payload.extend([4, sequence as u8, 1, 187, 0, 0, 6, 0]);
    payload.extend([0; 8]);
    payload
}

fn exported(data: &Path) -> (i64, f64) {
    let exporters = store::read::<ExporterRow>(data, i64::MIN, i64::MAX).unwrap().rows;
    let links = store::read::<LinkRow>(data, i64::MIN, i64::MAX).unwrap().rows;
    let to_microsoft = links.iter().filter(|row| &*row.direction == "to_microsoft");
    (exporters.iter().map(|row| row.bytes_exported).sum(), to_microsoft.map(|row| row.exported_bps * 60.0 / 8.0).sum())
}

#[test]
fn open_windows_go_on_after_a_stop() {
    let data = tempfile::tempdir().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for run in 0..3 {
        let (child, address) = collector(data.path());
        for flow in 0..5 {
            socket.send_to(&datagram(run * 5 + flow, 1_000), &address).unwrap();
        }
        stop(child);
        let flows = i64::from(run + 1) * 5;
        // 10 packets of 18 bytes more on the link layer.
        let (bytes, link_bytes) = exported(data.path());
        assert_eq!(bytes, flows * 1_000, "run {run}");
        assert!((link_bytes - (flows * 1_180) as f64).abs() < 1e-3, "run {run}: {link_bytes}");
    }
}

#[test]
fn a_damaged_state_is_set_aside_with_a_word() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("collector.state"), "nonsense").unwrap();
    let (child, _) = collector(data.path());
    stop(child);
    assert!(data.path().join("collector.state.damaged").exists());
}
