//! A collector that is stopped and started again: no window twice, none lost.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;

use model::tables::{ExporterRow, LinkRow};

use crate::softflowd::{collector, collector_with, stop};

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

/// Sends flows, a few at a time, and kills the collector at some moment; gives how many were sent in all.
fn send_and_kill(data: &Path, socket: &UdpSocket, sequence: &mut u32, flows: u32, wait_ms: u64) {
    let (mut child, address) = collector(data);
    for _ in 0..flows {
        socket.send_to(&datagram(*sequence, 1_000), &address).unwrap();
        *sequence += 1;
    }
    std::thread::sleep(std::time::Duration::from_millis(wait_ms));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_collector_goes_on_from_its_journal() {
    let data = tempfile::tempdir().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sequence = 0;
    let mut random = 7_u64;
    for _ in 0..kills() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        send_and_kill(data.path(), &socket, &mut sequence, 1 + (random >> 60) as u32, random >> 33 & 0xff);
    }
    let (child, address) = collector(data.path());
    socket.send_to(&datagram(sequence, 1_000), &address).unwrap();
    stop(child);
    // What was not written down is known: it is missing in the sequence numbers.
    let exporters = store::read::<ExporterRow>(data.path(), i64::MIN, i64::MAX).unwrap().rows;
    let lost: i64 = exporters.iter().filter_map(|row| row.lost_records).sum();
    let (bytes, link_bytes) = exported(data.path());
    let flows = i64::from(sequence) + 1;
    assert_eq!(bytes / 1_000 + lost, flows, "{lost} lost");
    assert!((link_bytes - (bytes as f64 * 1.18)).abs() < 1e-3, "{link_bytes} on the link of {bytes}");
    assert!(lost < flows, "everything was lost");
}

/// How often the collector is killed; more by `PEERSCOPE_KILLS`.
fn kills() -> u32 {
    std::env::var("PEERSCOPE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(100)
}

#[test]
fn a_damaged_checkpoint_is_set_aside_with_a_word() {
    let data = tempfile::tempdir().unwrap();
    let journal = data.path().join(".journal");
    std::fs::create_dir_all(&journal).unwrap();
    std::fs::write(journal.join("checkpoint-0000000001"), "nonsense").unwrap();
    let (child, _) = collector(data.path());
    stop(child);
    assert!(journal.join("checkpoint-0000000001.damaged").exists());
}

/// Runs `peerscope reload`; gives whether it was taken in, and what it said.
fn reload(data: &Path) -> (bool, String) {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_peerscope")).arg("reload").arg("--data").arg(data).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_configuration_is_taken_in_whole_or_not_at_all_and_no_datagram_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("peerscope.toml"));
    let write = |name: &str, broken: &str| {
        let text = format!(
            "[[exporter]]\nname = \"r1\"\naddress = \"127.0.0.1\"\n[[port]]\nname = \"port\"\nexporter = \"r1\"\ninterfaces = [4]\n\
             [[connection]]\nname = \"{name}\"\nrole = \"direct\"\nport = \"port\"\n{broken}"
        );
        std::fs::write(&config, text).unwrap();
    };
    write("before", "");
    let (child, address) = collector_with(&data, &["--config", config.to_str().unwrap()]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |from: u32| (from..from + 50).for_each(|flow| assert!(socket.send_to(&datagram(flow, 1_000), &address).is_ok()));
    send(0);
    write("broken", "[[port]]\nname = \"other\"\nexporter = \"nobody\"\ninterfaces = [5]\n");
    let (is_taken, said) = reload(&data);
    assert!(!is_taken && said.contains("nobody"), "{said}");
    send(50);
    write("after", "");
    assert!(reload(&data).0);
    send(100);
    stop(child);
    let links = store::read::<LinkRow>(&data, i64::MIN, i64::MAX).unwrap().rows;
    let bytes = |name: &str| -> f64 {
        let of_link = links.iter().filter(|row| &*row.connection == name && &*row.direction == "to_microsoft");
        of_link.map(|row| row.exported_bps * 60.0 / 8.0).sum()
    };
    assert!((bytes("before") + bytes("after") - 150.0 * 1_180.0).abs() < 1e-3, "{} and {}", bytes("before"), bytes("after"));
    assert!(bytes("after") >= 50.0 * 1_180.0 - 1e-3 && bytes("before") >= 50.0 * 1_180.0 - 1e-3 && bytes("broken") == 0.0);
    let (is_taken, said) = reload(&data);
    assert!(!is_taken && said.contains("no collector"), "{said}");
}

#[test]
fn sources_that_are_not_allowed_are_refused_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("peerscope.toml"));
    std::fs::write(&config, "[allow]\nsources = [\"192.0.2.0/24\"]\n").unwrap();
    let (child, address) = collector_with(&data, &["--config", config.to_str().unwrap()]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    (0..5).for_each(|flow| assert!(socket.send_to(&datagram(flow, 1_000), &address).is_ok()));
    stop(child);
    assert_eq!(exported(&data).0, 0);
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_peerscope"))
        .args(["peerings", "check", "--config", config.to_str().unwrap(), "--data", data.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&program.stdout).into_owned();
    assert!(said.contains("source_refused") && said.contains("127.0.0.1") && said.contains("5 datagrams"), "{said}");
}
