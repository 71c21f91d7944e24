//! What several tests share.

/// One router, one connection, one customer.
pub(crate) const SMALLEST: &str = r#"
seed = 1
start = "2026-03-02T10:00:00Z"
duration_seconds = 60

[[metros]]
name = "Frankfurt"

[[routers]]
name = "r1"
metro = "Frankfurt"
address = "192.0.2.1"
protocol = "ipfix"
metering = "ingress"

[[ports]]
name = "pni"
router = "r1"
interface = 10
interface_name = "et-0/0/0"
speed_bps = 100_000_000_000

[[ports]]
name = "access"
router = "r1"
interface = 20
interface_name = "ae20"
speed_bps = 100_000_000_000

[[connections]]
name = "fra-1"
kind = "direct"
port = "pni"
our_v4 = "198.51.100.0"
microsoft_v4 = "198.51.100.1"
to_microsoft_bps = 400_000.0
from_microsoft_bps = 2_000_000.0

[[customers]]
name = "alpha"
asn = 64500
prefixes = ["203.0.113.0/24", "2001:db8:1::/48"]
weight = 1.0
port = "access"

[[services]]
name = "Exchange"
prefixes = ["40.96.0.0/13", "2603:1006::/40"]
weight = 1.0
"#;
