//! A real exporter, Debian's softflowd, sends to the running collector.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use model::tables::ExporterRow;

use crate::{has_program, peerscope, shared};

/// What a capture of Ethernet frames holds, counted here by the IP headers alone.
#[derive(Default)]
struct Totals {
    packets: i64,
    ip_bytes: i64,
    /// What fills short frames up to 60 bytes; softflowd counts it in.
    padding: i64,
}

fn totals(path: &Path) -> Totals {
    let file = std::fs::read(path).unwrap();
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, mut totals) = (24, Totals::default());
    while at + 16 <= file.len() {
        let frame = &file[at + 16..at + 16 + word(at + 8)];
        let half = |offset: usize| i64::from(u16::from_be_bytes([frame[offset], frame[offset + 1]]));
        let ip_bytes = match half(12) {
            0x0800 => Some(half(16)),
            0x86dd => Some(half(18) + 40),
            _ => None,
        };
        if let Some(ip_bytes) = ip_bytes {
            totals.packets += 1;
            totals.ip_bytes += ip_bytes;
            totals.padding += frame.len() as i64 - 14 - ip_bytes;
        }
        at += 16 + frame.len();
    }
    totals
}

/// A collector on a free port of the loopback, and its address.
pub(crate) fn collector(data: &Path) -> (Child, String) {
    collector_with(data, &[])
}

/// The same with further arguments.
pub(crate) fn collector_with(data: &Path, arguments: &[&str]) -> (Child, String) {
    let child = peerscope(&["collect", "--listen", "127.0.0.1:0", "--workers", "2", "--data"])
        .arg(data)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    collector_at(child).expect("the collector says where it listens")
}

/// A collector that was started with its words piped, and where it listens; `None` if it ended before it did.
pub(crate) fn collector_at(mut child: Child) -> Option<(Child, String)> {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = address_of(&mut lines)?;
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("collector: {line}")));
    Some((child, address))
}

/// Where a collector says that it listens.
pub(crate) fn address_of(lines: &mut Lines<BufReader<ChildStderr>>) -> Option<String> {
    let listening = |line: String| {
        line.split_once("listening on ").map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default().to_string())
    };
    lines.map_while(Result::ok).find_map(listening)
}

/// SIGTERM drains the socket first, so nothing has to be waited for.
#[track_caller]
pub(crate) fn stop(mut child: Child) {
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn exported_bytes_and_packets_equal_those_of_the_capture() {
    if !has_program("softflowd") {
        return;
    }
    for (name, versions) in [("traffic/teams.pcap", &["5", "9", "10"][..]), ("traffic/http_ipv6.pcap", &["9", "10"][..])] {
        let Some(capture) = shared(name) else { return };
        let expected = totals(&capture);
        for version in versions {
            let data = tempfile::tempdir().unwrap();
            let (child, address) = collector(data.path());
            // Short names, from a directory of its own: softflowd does not come back from long ones.
            let place = tempfile::tempdir().unwrap();
            std::os::unix::fs::symlink(std::fs::canonicalize(&capture).unwrap(), place.path().join("c.pcap")).unwrap();
            let mut softflowd = Command::new("softflowd");
            softflowd.current_dir(&place).args(["-r", "c.pcap", "-p", "p", "-c", "c"]);
            softflowd.args(["-a", "-n", &address, "-v", version, "-t", "maxlife=60"]);
            assert!(softflowd.status().unwrap().success());
            stop(child);
            let rows = store::read::<ExporterRow>(data.path(), i64::MIN, i64::MAX).unwrap().rows;
            let exported = rows.iter().fold((0, 0), |sum, row| (sum.0 + row.bytes_exported, sum.1 + row.packets_exported));
            assert_eq!(exported, (expected.ip_bytes + expected.padding, expected.packets), "{name} by version {version}");
        }
    }
}
