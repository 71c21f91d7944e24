//! A collector that is stopped and started again: no window twice, none lost.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use model::tables::{ExporterRow, LinkRow};

use crate::softflowd::{collector, collector_with, stop};

/// A NetFlow version 5 datagram of flows to Microsoft that end now; `sequence` is the number of the first.
pub(crate) fn datagram(sequence: u32, flows: u16, bytes: u32) -> Vec<u8> {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as u32;
    let mut payload = vec![0, 5];
    payload.extend(flows.to_be_bytes());
    payload.extend(100_000_u32.to_be_bytes());
    payload.extend(seconds.to_be_bytes());
    payload.extend([0; 4]);
    payload.extend(sequence.to_be_bytes());
    // Engine, and an interval of 1: not sampled.
    payload.extend([0, 0, 0, 1]);
    for flow in (sequence..).take(flows.into()) {
        // Ends of its own: a flow that comes twice would be one that was metered twice.
        let [_, high, middle, low] = flow.to_be_bytes();
        payload.extend(Ipv4Addr::new(203, 0, 113, high).octets());
        payload.extend(Ipv4Addr::new(40, 96, 1, 1).octets());
        payload.extend([0; 4]);
        payload.extend([0, 3, 0, 4]);
        payload.extend(10_u32.to_be_bytes());
        payload.extend(bytes.to_be_bytes());
        payload.extend(100_000_u32.to_be_bytes());
        payload.extend(100_000_u32.to_be_bytes());
        payload.extend([middle, low, 1, 187, 0, 0, 6, 0]);
        payload.extend([0; 8]);
    }
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
            socket.send_to(&datagram(run * 5 + flow, 1, 1_000), &address).unwrap();
        }
        stop(child);
        let flows = i64::from(run + 1) * 5;
        // 10 packets of 18 bytes more on the link layer.
        let (bytes, link_bytes) = exported(data.path());
        assert_eq!(bytes, flows * 1_000, "run {run}");
        assert!((link_bytes - (flows * 1_180) as f64).abs() < 1e-3, "run {run}: {link_bytes}");
    }
}

/// Flows in a datagram of the load, and time between two datagrams.
const FLOWS: u16 = 30;
const PAUSE: Duration = Duration::from_micros(500);

/// Sends without a pause to whichever collector runs, until it is stopped; gives how many flows were sent.
struct Load {
    address: Arc<Mutex<Option<String>>>,
    is_stopped: Arc<AtomicBool>,
    thread: JoinHandle<u32>,
}

impl Load {
    /// From a sequence number on.
    fn start(mut sequence: u32) -> Load {
        let (address, is_stopped) = (Arc::new(Mutex::new(None::<String>)), Arc::new(AtomicBool::new(false)));
        let (to, stop) = (address.clone(), is_stopped.clone());
        let thread = std::thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut send = || {
                if let Some(to) = to.lock().unwrap().as_deref() {
                    // Where nobody listens it is lost, and the next collector must say so.
                    let _ = socket.send_to(&datagram(sequence, FLOWS, 1_000), to);
                    sequence += u32::from(FLOWS);
                }
            };
            while !stop.load(Ordering::Relaxed) {
                send();
                std::thread::sleep(PAUSE);
            }
            send();
            sequence
        });
        Load { address, is_stopped, thread }
    }

    fn send_to(&self, address: String) {
        *self.address.lock().unwrap() = Some(address);
    }

    fn stop(self) -> u32 {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn a_killed_collector_goes_on_from_its_journal() {
    let data = tempfile::tempdir().unwrap();
    // Lost is what is missing behind something that came: the first datagram comes to a collector that nobody kills.
    let (child, address) = collector(data.path());
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&datagram(0, FLOWS, 1_000), address).unwrap();
    stop(child);
    let load = Load::start(FLOWS.into());
    let mut random = 7_u64;
    for _ in 0..kills() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (mut child, address) = collector(data.path());
        load.send_to(address);
        std::thread::sleep(Duration::from_millis(random >> 33 & 0xff));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (child, address) = collector(data.path());
    load.send_to(address);
    let flows = i64::from(load.stop());
    stop(child);
    // What was not written down is known: it is missing in the sequence numbers.
    let exporters = store::read::<ExporterRow>(data.path(), i64::MIN, i64::MAX).unwrap().rows;
    let lost: i64 = exporters.iter().filter_map(|row| row.lost_records).sum();
    let (bytes, link_bytes) = exported(data.path());
    eprintln!("{} kills: {flows} records sent, {} counted, {lost} reported lost", kills(), bytes / 1_000);
    assert_eq!(bytes / 1_000 + lost, flows, "{lost} lost");
    assert!((link_bytes / (bytes as f64 * 1.18) - 1.0).abs() < 1e-9, "{link_bytes} on the link of {bytes}");
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
    let send =
        |from: u32| (from..from + 50).for_each(|flow| assert!(socket.send_to(&datagram(flow, 1, 1_000), &address).is_ok()));
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
    (0..5).for_each(|flow| assert!(socket.send_to(&datagram(flow, 1, 1_000), &address).is_ok()));
    stop(child);
    assert_eq!(exported(&data).0, 0);
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_peerscope"))
        .args(["peerings", "check", "--config", config.to_str().unwrap(), "--data", data.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&program.stdout).into_owned();
    assert!(said.contains("source_refused") && said.contains("127.0.0.1") && said.contains("5 datagrams"), "{said}");
}
