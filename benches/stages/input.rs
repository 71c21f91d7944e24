//! The datagrams of a network with some 50,000 flows, and the lists and connections that they meet.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use attribute::sources::{self, Sources};
use cli::pipeline::Shared;
use decode::DecodeSettings;
use measure::MeasureSettings;
use peering::{Inventory, PeeringConfig};
use simulate::scenario::WireProtocol;
use simulate::{LoadGenerator, LoadSettings};

const EXPORTERS: u8 = 8;
const FLOWS: u32 = 50_000;
/// Records of one round: a second of a busy edge.
const RECORDS: u64 = 500_000;
/// In the middle of a detail window: few flows cross its edge, as few as most of the time.
const START_US: i64 = 1_772_445_600_000_000 + 120_000_000;

/// The datagrams of a round.
pub(crate) struct Round {
    /// When they came.
    pub(crate) now_us: i64,
    pub(crate) datagrams: Vec<(SocketAddr, Vec<u8>)>,
    pub(crate) records: u64,
}

/// One protocol's datagrams, a second of them after the other.
pub(crate) struct Load {
    generator: LoadGenerator,
    now_us: i64,
}

impl Load {
    pub(crate) fn new(protocol: WireProtocol) -> Load {
        let settings = LoadSettings {
            protocol,
            exporters: EXPORTERS.into(),
            first_exporter: Ipv4Addr::new(192, 0, 2, 1).into(),
            flows: FLOWS,
            connections: 1,
            ipv6_share: 0.25,
            one_in: 1_000,
            seed: 1,
            start_us: START_US,
        };
        Load { generator: LoadGenerator::new(&settings).expect("exporters and flows"), now_us: START_US }
    }

    /// The next second.
    pub(crate) fn round(&mut self) -> Round {
        self.now_us += 1_000_000;
        self.generator.set_time(self.now_us);
        let mut round = Round { now_us: self.now_us, datagrams: Vec::new(), records: 0 };
        while round.records < RECORDS {
            let (exporter, payload) = self.generator.next();
            round.datagrams.push((SocketAddr::new(exporter, 50_000), payload.to_vec()));
            round.records += u64::from(self.generator.records());
        }
        round
    }
}

/// Azure's service tags (in the folder that PEERSCOPE_LISTS names, else the built-in list alone), a few
/// thousand prefixes of customers, and a connection and a customer port on each exporter.
pub(crate) fn shared() -> Shared {
    let mut sources = Sources::default();
    let folder = std::env::var("PEERSCOPE_LISTS").unwrap_or_else(|_| "../../../shared/azure".to_string());
    let tags = Path::new(&folder).join("ServiceTags_Public_20251110.json");
    match std::fs::read_to_string(&tags) {
        Ok(text) => sources.lists.extend(sources::service_tags("service tags", &text).expect("Azure's list")),
        Err(_) => eprintln!("no {}: the built-in list alone", tags.display()),
    }
    sources.own.extend(sources::own_prefixes("customers", &customers()).expect("prefixes"));
    let config: PeeringConfig = toml::from_str(&edge()).expect("a configuration");
    let inventory = Inventory::build(&config, &[], &[]).expect("an inventory");
    eprintln!("{} lists, {} prefixes of customers", sources.lists.len(), sources.own.len());
    Shared {
        allowed: Arc::default(),
        decode: DecodeSettings::default(),
        sampling_rules: Vec::new(),
        latency_elements: Default::default(),
        table: Arc::new(attribute::Table::build(&sources)),
        inventory: Arc::new(inventory),
        measure: MeasureSettings::default(),
        judging: Default::default(),
        keeps_flows: false,
    }
}

/// Customers with a /24 each, or a /44.
fn customers() -> String {
    let v4 = (0..512_u32).map(|place| IpAddr::from(Ipv4Addr::from(0xc612_0000 + (place << 8))).to_string() + "/24");
    let v6 = (0..512_u32).map(|place| format!("2001:db8:{:x}::/44", place << 4));
    v4.chain(v6).enumerate().map(|(place, prefix)| format!("{prefix} {} customer-{place}\n", 64_512 + place)).collect()
}

fn edge() -> String {
    (1..=EXPORTERS)
        .map(|router| {
            format!(
                "[[exporter]]\nname = \"r{router}\"\naddress = \"192.0.2.{router}\"\n\
                 [[port]]\nname = \"r{router}-pni\"\nexporter = \"r{router}\"\ninterfaces = [10]\n\
                 [[connection]]\nname = \"pni-{router}\"\nrole = \"direct\"\nport = \"r{router}-pni\"\n"
            )
        })
        .collect()
}
