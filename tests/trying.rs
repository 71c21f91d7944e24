//! What a newcomer tries: a simulated router that sends to a collector.

use model::tables::ExporterRow;
use simulate::Truth;

use crate::simulated::rows;
use crate::softflowd::{collector, stop};
use crate::{peerscope, succeed};

/// A router on the loopback with one connection, for three seconds.
const SCENARIO: &str = r#"
seed = 3
start = "2026-03-02T10:00:00Z"
duration_seconds = 3
[[metros]]
name = "Frankfurt"
[[routers]]
name = "edge"
metro = "Frankfurt"
address = "127.0.0.2"
protocol = "ipfix"
active_timeout_seconds = 2
inactive_timeout_seconds = 1
[[ports]]
name = "access"
router = "edge"
interface = 900
interface_name = "ae90"
speed_bps = 100_000_000_000
[[ports]]
name = "pni"
router = "edge"
interface = 1
interface_name = "et-1"
speed_bps = 10_000_000_000
[[connections]]
name = "direct"
kind = "direct"
port = "pni"
our_v4 = "198.51.100.2"
microsoft_v4 = "198.51.100.3"
to_microsoft_bps = 500_000.0
from_microsoft_bps = 600_000.0
[[customers]]
name = "Customer"
asn = 64500
prefixes = ["203.0.113.0/24"]
port = "access"
weight = 1.0
[[services]]
name = "Exchange"
prefixes = ["40.96.0.0/13"]
weight = 1.0
"#;

#[test]
fn a_simulated_router_sends_to_a_collector_as_time_goes_by() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("scenario.toml"), SCENARIO).unwrap();
    let (child, address) = collector(&path("data"));
    let mut send = peerscope(&["simulate", "send", "--to", &address]);
    succeed(send.arg(path("scenario.toml")).arg("--truth").arg(path("truth.json")));
    stop(child);
    let truth = Truth::from_json(&std::fs::read_to_string(path("truth.json")).unwrap()).unwrap();
    // Every packet goes over the connection, one way or the other, and is metered where it enters.
    let expected = truth.links.iter().fold((0, 0), |sum, link| (sum.0 + link.total.l3_bytes, sum.1 + link.total.packets));
    let exported = rows::<ExporterRow>(&path("data"))
        .iter()
        .inspect(|row| assert_eq!((&*row.address, &*row.exporter), ("127.0.0.2", "127.0.0.2")))
        .fold((0, 0), |sum, row| (sum.0 + row.bytes_exported as u64, sum.1 + row.packets_exported as u64));
    assert_eq!(exported, expected);
}
