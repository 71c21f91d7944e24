//! A real exporter, Debian's softflowd, sends to the running collector.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use model::tables::ExporterRow;

use crate::{has_program, peerscope, shared};

/// IP bytes and packets of a capture of Ethernet frames, counted here by the IP headers alone.
fn ip_totals(path: &Path) -> (i64, i64) {
    let file = std::fs::read(path).unwrap();
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, mut bytes, mut packets) = (24, 0, 0);
    while at + 16 <= file.len() {
        let frame = &file[at + 16..at + 16 + word(at + 8)];
        let half = |offset: usize| i64::from(u16::from_be_bytes([frame[offset], frame[offset + 1]]));
        match half(12) {
            0x0800 => (bytes, packets) = (bytes + half(16), packets + 1),
            0x86dd => (bytes, packets) = (bytes + half(18) + 40, packets + 1),
            _ => {}
        }
        at += 16 + word(at + 8);
    }
    (bytes, packets)
}

/// A collector on a free port of the loopback, and that port.
fn collector(data: &Path) -> (Child, String) {
    let mut child = peerscope(&["collect", "--listen", "127.0.0.1:0", "--workers", "2", "--data"])
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("listening on ").map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default().to_string()))
        .expect("the collector says where it listens");
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("collector: {line}")));
    (child, address)
}

#[test]
fn exported_bytes_and_packets_equal_those_of_the_capture() {
    if !has_program("softflowd") {
        return;
    }
    for (name, versions) in [("traffic/teams.pcap", &["5", "9", "10"][..]), ("traffic/http_ipv6.pcap", &["9", "10"][..])] {
        let Some(capture) = shared(name) else { return };
        let expected = ip_totals(&capture);
        for version in versions {
            let data = tempfile::tempdir().unwrap();
            let (mut child, address) = collector(data.path());
            let mut softflowd = Command::new("softflowd");
            softflowd.arg("-r").arg(&capture).args(["-a", "-n", &address, "-v", version, "-t", "maxlife=60"]);
            softflowd.arg("-p").arg(data.path().join("softflowd.pid")).arg("-c").arg(data.path().join("softflowd.ctl"));
            assert!(softflowd.status().unwrap().success());
            // SIGTERM drains the socket first, so nothing has to be waited for.
            assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
            assert!(child.wait().unwrap().success());
            let rows = store::read::<ExporterRow>(data.path(), i64::MIN, i64::MAX).unwrap();
            let exported = rows.iter().fold((0, 0), |sum, row| (sum.0 + row.bytes_exported, sum.1 + row.packets_exported));
            assert_eq!(exported, expected, "{name} by version {version}");
        }
    }
}
