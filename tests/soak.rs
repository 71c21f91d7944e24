//! The collector for a while under load: what was sent is what was counted, and memory has a bound.
//!
//! Ten seconds; longer by `PEERSCOPE_SOAK_SECONDS`. With `--nocapture` it prints memory once a minute.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::softflowd::address_of;
use crate::{peerscope, shared};

/// Records a second: what a slow machine with a busy neighbour still takes without loss.
const RATE: &str = "100000";
/// The bound that is promised for the resident memory, KiB.
const MEMORY_MOST: u64 = 256 << 10;

fn seconds() -> u64 {
    std::env::var("PEERSCOPE_SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(10)
}

/// A line of what the kernel says of a process, KiB.
fn memory(child: &Child, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let value = status.lines().find_map(|all| all.strip_prefix(line)).and_then(|rest| rest.split_whitespace().next());
    value.and_then(|value| value.parse().ok()).unwrap()
}

/// The number that stands behind a word.
#[track_caller]
fn number(text: &str, word: &str) -> u64 {
    let rest = text.split_once(word).unwrap_or_else(|| panic!("no `{word}` in:\n{text}")).1;
    rest.split_whitespace().next().and_then(|number| number.trim_end_matches(',').parse().ok()).unwrap()
}

/// Exporters and connections of each that the bound of memory is promised for.
const EXPORTERS: u32 = 50;
const CONNECTIONS: u32 = 8;

/// A configuration with all of them, and the whole service tags where they are at hand.
fn configuration() -> String {
    let mut text = String::new();
    if let Some(tags) = shared("azure/ServiceTags_Public_20251110.json") {
        text.push_str(&format!("[lists]\nservice_tags = [{:?}]\n", std::fs::canonicalize(tags).unwrap()));
    }
    for exporter in 0..EXPORTERS {
        text.push_str(&format!("[[exporter]]\nname = \"r{exporter}\"\naddress = \"127.0.0.{}\"\n", 2 + exporter));
        for link in 0..CONNECTIONS {
            let (name, interface) = (format!("r{exporter}-{link}"), 10 + link);
            text.push_str(&format!("[[port]]\nname = \"{name}\"\nexporter = \"r{exporter}\"\ninterfaces = [{interface}]\n"));
            text.push_str(&format!("[[connection]]\nname = \"{name}\"\nrole = \"direct\"\nport = \"{name}\"\n"));
        }
    }
    text
}

#[test]
fn under_load_memory_has_a_bound_and_the_balances_hold() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("peerscope.toml");
    std::fs::write(&config, configuration()).unwrap();
    let mut collector = peerscope(&["collect", "--listen", "127.0.0.1:0", "--workers", "1", "--config"])
        .args([&config, Path::new("--data"), &folder.path().join("data")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(collector.stderr.take().unwrap()).lines();
    let address = address_of(&mut lines).expect("the collector says where it listens");
    let said = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<String>>().join("\n"));
    let mut load = peerscope(&["simulate", "load", "--to", &address, "--rate", RATE, "--flows", "100000"])
        .args(["--exporters".into(), EXPORTERS.to_string(), "--connections".into(), CONNECTIONS.to_string()])
        .args(["--seconds".into(), seconds().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let mut minute = 0;
    while load.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(200));
        if started.elapsed().as_secs() >= minute * 60 {
            eprintln!("minute {minute}: {} KiB resident", memory(&collector, "VmRSS:"));
            minute += 1;
        }
    }
    let most = memory(&collector, "VmHWM:");
    let mut sent = String::new();
    load.stdout.take().unwrap().read_to_string(&mut sent).unwrap();
    load.stderr.take().unwrap().read_to_string(&mut sent).unwrap();
    assert!(std::process::Command::new("kill").arg(collector.id().to_string()).status().unwrap().success());
    let mut counted = String::new();
    collector.stdout.take().unwrap().read_to_string(&mut counted).unwrap();
    assert!(collector.wait().unwrap().success());
    counted.push_str(&said.join().unwrap());
    eprintln!("most: {most} KiB; {}\n{counted}", sent.trim());
    assert!(most <= MEMORY_MOST, "{most} KiB");
    let (received, dropped) = (number(&counted, "datagrams "), number(&counted, "kernel drops "));
    let datagrams: u64 = sent.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap();
    assert_eq!(received + dropped, datagrams);
    assert_eq!(received, number(&counted, "= accepted "));
    let (sets, records) = (number(&counted, "sets "), number(&counted, "records "));
    assert_eq!(
        (sets, records),
        (number(&counted, "= decoded "), number(&counted, "= attributed ") + number(&counted, "not Microsoft's "))
    );
    assert!(records > 0);
}
