use model::record::TimeSource;
use model::tag::{OwnPrefix, Place as TagPlace};
use model::{ExporterId, Fact, InterfaceCounters, Mac, Sampling, SamplingOrigin, Side, TagId};
use proptest::prelude::*;

use super::*;
use crate::config::PeeringConfig;
use crate::findings::FindingKind;
use crate::interface_table::TableInterface;

/// Two routers: r1 with two Direct ports, an exchange port and transit, r2 in the core.
const NETWORK: &str = r#"
    [[exporter]]
    name = "r1"
    address = "10.0.0.1"
    addresses = ["10.9.9.1"]
    [[exporter]]
    name = "r2"
    address = "10.0.0.2"
    internal_interfaces = [9]
    [[exporter]]
    name = "r3"
    address = "10.0.0.3"
    addresses = ["10.9.9.3"]
    metering = "ingress"
    [[port]]
    name = "p1"
    exporter = "r1"
    interfaces = [1, "ae1.0"]
    [[port]]
    name = "p2"
    exporter = "r1"
    interfaces = [2]
    [[port]]
    name = "ix"
    exporter = "r1"
    interfaces = [3]
    [[port]]
    name = "up"
    exporter = "r1"
    interfaces = [4]
    [[port]]
    name = "core"
    exporter = "r1"
    interfaces = [5]
    [[port]]
    name = "two"
    exporter = "r1"
    interfaces = [6, 61]
    [[port]]
    name = "far"
    exporter = "r3"
    interfaces = [1]
    [[connection]]
    name = "d1"
    role = "direct"
    port = "p1"
    peering = "metro"
    microsoft_addresses = ["192.0.2.1", "2001:db8::1"]
    [[connection]]
    name = "d2"
    role = "direct"
    port = "p2"
    peering = "metro"
    microsoft_addresses = ["192.0.2.3"]
    [[connection]]
    name = "x1"
    role = "exchange"
    port = "ix"
    microsoft_addresses = ["198.51.100.8"]
    microsoft_macs = ["02:00:00:00:00:01"]
    [[connection]]
    name = "x2"
    role = "exchange"
    port = "ix"
    microsoft_addresses = ["198.51.100.9"]
    vlan = 600
    [[connection]]
    name = "t1"
    role = "direct"
    port = "two"
    vlan = 10
    [[connection]]
    name = "t2"
    role = "direct"
    port = "two"
    vlan = 20
    [[connection]]
    name = "t3"
    role = "direct"
    port = "two"
    interfaces = [61]
    [[connection]]
    name = "far-1"
    role = "direct"
    port = "far"
    microsoft_addresses = ["192.0.2.5"]
    [[transit]]
    name = "transit"
    port = "up"
"#;

const MICROSOFT: &str = "20.0.0.1";
const CUSTOMER: &str = "100.64.0.1";
const STRANGER: &str = "8.8.8.8";

/// A resolver with its exporters introduced in the order of their last octet, from 1.
struct Bench {
    resolver: Resolver,
    ledger: Ledger,
    placements: Placements,
}

impl Bench {
    fn new(config: &str, table: &[TableInterface]) -> Bench {
        let config: PeeringConfig = toml::from_str(config).unwrap();
        let inventory = Inventory::build(&config, &[], table).unwrap();
        let mut resolver = Resolver::new(Arc::new(inventory));
        let facts: Vec<Fact> = (1..=4)
            .map(|last: u32| Fact::Exporter { exporter: ExporterId(last), address: format!("10.0.0.{last}").parse().unwrap() })
            .collect();
        resolver.learn(&facts);
        Bench { resolver, ledger: Ledger::default(), placements: Placements::default() }
    }

    fn resolve(&mut self, records: &[Record]) {
        let batch = Batch { records: records.to_vec(), ..Batch::default() };
        let attributions: Vec<Attribution> = records.iter().map(attribute).collect();
        let names = TagNames { tags: Vec::new(), places: vec![TagPlace::default(), TagPlace::default(), own_place()] };
        self.resolver.resolve(&batch, &names, &attributions, &mut self.placements, &mut self.ledger);
    }

    fn on_links(&self) -> impl Iterator<Item = &Placement> {
        self.placements.records.iter().filter(|placement| placement.is_on_link())
    }

    fn on_ports(&self) -> impl Iterator<Item = &Placement> {
        self.placements.records.iter().filter(|placement| placement.is_on_port())
    }

    /// The placements as a person reads them: `LINK DIRECTION View MatchedBy [through]`.
    fn links(&self) -> Vec<String> {
        let directory = self.resolver.directory();
        let shown = |placement: &Placement| {
            let through = if placement.is_through { " through" } else { "" };
            let name = &directory.links[placement.link as usize].name;
            format!("{name} {} {:?} {}{through}", placement.direction.name(), placement.view, placement.matched_by.name())
        };
        self.on_links().map(shown).collect()
    }

    fn ports(&self) -> Vec<String> {
        let directory = self.resolver.directory();
        let shown = |placement: &Placement| {
            format!("{} {} {:?}", directory.ports[placement.port as usize].name, placement.direction.name(), placement.view)
        };
        self.on_ports().map(shown).collect()
    }
}

fn own_place() -> TagPlace {
    TagPlace { own: Some(OwnPrefix { prefix: "20.9.0.0/16".parse().unwrap(), name: None, asn: None }), ..TagPlace::default() }
}

/// 20.0.0.0/8 is Microsoft's; of that, 20.9.0.0/16 is a customer's too.
fn attribute(record: &Record) -> Attribution {
    let side = |address: Address| {
        let octets = address.v4_bits().unwrap_or(0).to_be_bytes();
        let place = u32::from(octets[0] == 20) + u32::from(octets[..2] == [20, 9]);
        Side { tag: TagId(u32::from(octets[0] == 20)), place, asn: 0 }
    };
    Attribution { source: side(record.source), destination: side(record.destination) }
}

fn record(exporter: u32, source: &str, destination: &str, input: u32, output: u32) -> Record {
    Record {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        bytes: 1_000,
        packets: 2,
        exporter: ExporterId(exporter),
        input,
        output,
        ..Record::default()
    }
}

fn from_microsoft(exporter: u32, input: u32, output: u32) -> Record {
    record(exporter, MICROSOFT, CUSTOMER, input, output)
}

fn to_microsoft(exporter: u32, input: u32, output: u32) -> Record {
    record(exporter, CUSTOMER, MICROSOFT, input, output)
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

#[track_caller]
fn check(record: Record, expected: &[&str]) {
    let mut bench = Bench::new(NETWORK, &[]);
    bench.resolve(&[record]);
    assert_eq!(bench.links(), expected);
}

#[test]
fn what_a_port_cannot_have_carried_is_no_traffic() {
    // In a second at most twice the port's speed, 100 Gbit/s.
    let check = |bytes: u64, seconds: i64, is_counted: bool| {
        let fast = "interfaces = [1, \"ae1.0\"]\ncapacity_bps = 100_000_000_000";
        let mut bench = Bench::new(&NETWORK.replace("interfaces = [1, \"ae1.0\"]", fast), &[]);
        bench.resolve(&[Record { bytes, end_us: seconds * 1_000_000, ..from_microsoft(1, 1, 50) }]);
        assert_eq!(!bench.links().is_empty(), is_counted, "{bytes} bytes in {seconds} s");
        assert_eq!(bench.ledger.records_refused(RecordRefusal::Implausible), u64::from(!is_counted));
    };
    check(25_000_000_000, 0, true);
    check(25_000_000_001, 0, false);
    check(1 << 37, 10, true);
    check(u64::MAX, 3_600, false);
}

#[test]
fn direct_by_port_whatever_the_tag() {
    check(from_microsoft(1, 1, 50), &["d1 from_microsoft Unstated interface"]);
    check(to_microsoft(1, 50, 1), &["d1 to_microsoft Unstated interface"]);
    check(record(1, STRANGER, CUSTOMER, 1, 50), &["d1 from_microsoft Unstated interface"]);
    check(record(1, CUSTOMER, STRANGER, 50, 2), &["d2 to_microsoft Unstated interface"]);
    // Unit 61 is one connection's alone on a port of several.
    check(from_microsoft(1, 61, 50), &["t3 from_microsoft Unstated interface"]);
    // From one connection to the other: both count.
    check(record(1, STRANGER, CUSTOMER, 1, 2), &["d1 from_microsoft Unstated interface", "d2 to_microsoft Unstated interface"]);
}

#[test]
fn the_view_is_where_it_was_metered() {
    let metered = |metering, record: Record| Record { metering, ..record };
    check(metered(Metering::Ingress, from_microsoft(1, 1, 50)), &["d1 from_microsoft OwnPort interface"]);
    check(metered(Metering::Egress, from_microsoft(1, 1, 50)), &["d1 from_microsoft OtherPort interface"]);
    check(metered(Metering::Egress, to_microsoft(1, 50, 1)), &["d1 to_microsoft OwnPort interface"]);
    check(metered(Metering::Ingress, to_microsoft(1, 50, 1)), &["d1 to_microsoft OtherPort interface"]);
    // r3 is configured to meter where packets enter; what a record says itself goes before.
    check(from_microsoft(3, 1, 50), &["far-1 from_microsoft OwnPort interface"]);
    check(to_microsoft(3, 50, 1), &["far-1 to_microsoft OtherPort interface"]);
    check(metered(Metering::Egress, to_microsoft(3, 50, 1)), &["far-1 to_microsoft OwnPort interface"]);
}

#[test]
fn exchange_by_mac_vlan_next_hop_session_address_else_by_tag() {
    let entering = |source_mac, vlan| Record { source_mac, vlan, ..from_microsoft(1, 3, 50) };
    check(entering(mac(1), 0), &["x1 from_microsoft Unstated mac"]);
    check(entering(mac(1), 600), &["x1 from_microsoft Unstated mac"]);
    check(entering(mac(7), 600), &["x2 from_microsoft Unstated vlan"]);
    check(entering(Mac::default(), 600), &["x2 from_microsoft Unstated vlan"]);
    check(entering(mac(7), 1), &["ix/unidentified from_microsoft Unstated tag"]);
    check(entering(Mac::default(), 0), &["ix/unidentified from_microsoft Unstated tag"]);
    let matched = Record { source_mac: mac(1), ..record(1, STRANGER, CUSTOMER, 3, 50) };
    check(matched, &["x1 from_microsoft Unstated mac"]);
    // Another network's traffic on the exchange.
    check(record(1, STRANGER, CUSTOMER, 3, 50), &[]);
    check(record(1, "198.51.100.9", CUSTOMER, 3, 50), &["x2 from_microsoft Unstated session_address"]);

    let leaving = to_microsoft(1, 50, 3);
    check(Record { destination_mac: mac(1), ..leaving.clone() }, &["x1 to_microsoft Unstated mac"]);
    check(Record { source_mac: mac(1), ..leaving.clone() }, &["ix/unidentified to_microsoft Unstated tag"]);
    check(Record { next_hop: address("198.51.100.9"), ..leaving.clone() }, &["x2 to_microsoft Unstated next_hop"]);
    check(Record { bgp_next_hop: address("198.51.100.8"), ..leaving.clone() }, &["x1 to_microsoft Unstated bgp_next_hop"]);
}

#[test]
fn several_direct_connections_on_one_port() {
    check(Record { vlan: 20, ..from_microsoft(1, 6, 50) }, &["t2 from_microsoft Unstated vlan"]);
    check(record(1, STRANGER, CUSTOMER, 6, 50), &["two/unresolved from_microsoft Unstated unresolved"]);
}

#[test]
fn transit_and_other_links_by_tag() {
    check(from_microsoft(1, 4, 50), &["transit from_microsoft Unstated tag"]);
    check(to_microsoft(1, 50, 4), &["transit to_microsoft Unstated tag"]);
    check(record(1, STRANGER, CUSTOMER, 4, 50), &[]);
    check(from_microsoft(1, 5, 50), &["core from_microsoft Unstated tag"]);
    check(from_microsoft(1, 70_000, 50), &["10.0.0.1/70000 from_microsoft Unstated tag"]);
    check(to_microsoft(4, 1, 2), &["10.0.0.4/2 to_microsoft Unstated tag"]);
}

#[test]
fn both_ends_microsoft_is_through_unless_one_is_our_customer() {
    check(
        record(1, MICROSOFT, "20.1.0.1", 1, 4),
        &["d1 from_microsoft Unstated interface through", "transit to_microsoft Unstated tag through"],
    );
    check(record(1, MICROSOFT, "20.9.0.1", 1, 4), &["d1 from_microsoft Unstated interface"]);
    check(record(1, "20.9.0.1", MICROSOFT, 4, 1), &["d1 to_microsoft Unstated interface"]);
}

#[test]
fn records_of_other_routers_by_next_hop() {
    let at_r2 = |next_hop: &str, bgp_next_hop: &str, input| Record {
        next_hop: next_hop.parse().unwrap(),
        bgp_next_hop: bgp_next_hop.parse().unwrap(),
        ..to_microsoft(2, input, 8)
    };
    check(at_r2("10.1.1.1", "192.0.2.1", 7), &["d1 to_microsoft OtherRouter bgp_next_hop"]);
    check(at_r2("192.0.2.3", "::", 7), &["d2 to_microsoft OtherRouter next_hop"]);
    // It entered over an internal interface: the router before has counted it.
    check(at_r2("10.1.1.1", "192.0.2.1", 9), &[]);
    // Next-hop-self of a router with one connection names it, of one with several does not.
    check(at_r2("10.1.1.1", "10.9.9.3", 7), &["far-1 to_microsoft OtherRouter bgp_next_hop"]);
    check(at_r2("10.1.1.1", "10.9.9.1", 7), &["10.0.0.2/unresolved to_microsoft Unstated unresolved"]);
    check(at_r2("10.1.1.1", "10.9.9.1", 9), &[]);
    // A next hop that says nothing.
    check(at_r2("10.1.1.1", "::", 7), &["10.0.0.2/8 to_microsoft Unstated tag"]);
    // Not Microsoft's by tag, but it goes to a Direct connection.
    let unattributed = Record { destination: address(STRANGER), ..at_r2("::", "192.0.2.1", 7) };
    check(unattributed, &["d1 to_microsoft OtherRouter bgp_next_hop"]);
    // Its own router names it by next hop where the output interface is unknown.
    check(Record { next_hop: address("192.0.2.1"), ..to_microsoft(1, 50, 0) }, &["d1 to_microsoft Unstated next_hop"]);
    // The output interface goes before the next hop.
    check(Record { next_hop: address("192.0.2.1"), ..to_microsoft(1, 50, 2) }, &["d2 to_microsoft Unstated interface"]);
}

#[test]
fn another_router_that_meters_both_sides_counts_once() {
    let mut bench = Bench::new(NETWORK, &[]);
    let one = Record { bgp_next_hop: address("192.0.2.1"), ..to_microsoft(2, 7, 8) };
    bench.resolve(&[Record { metering: Metering::Ingress, ..one.clone() }, Record { metering: Metering::Egress, ..one }]);
    assert_eq!(bench.links(), ["d1 to_microsoft OtherRouter bgp_next_hop"]);
}

#[test]
fn an_unknown_interface_is_unresolved() {
    check(from_microsoft(1, 0, 50), &["10.0.0.1/unresolved from_microsoft Unstated unresolved"]);
    check(to_microsoft(1, 50, 0), &["10.0.0.1/unresolved to_microsoft Unstated unresolved"]);
    check(record(1, STRANGER, CUSTOMER, 0, 0), &[]);
    // What enters from a core interface of a router that lists it was counted where it entered.
    check(from_microsoft(2, 9, 7), &[]);
}

#[test]
fn the_ledger_has_each_record_once() {
    let mut bench = Bench::new(NETWORK, &[]);
    bench.resolve(&[
        from_microsoft(1, 1, 50),
        record(1, STRANGER, CUSTOMER, 1, 50),
        record(1, STRANGER, CUSTOMER, 50, 51),
        Record { is_dropped: true, ..from_microsoft(1, 1, 50) },
        Record { is_reverse: true, ..to_microsoft(1, 50, 1) },
        Record { is_reverse: true, is_dropped: true, ..to_microsoft(1, 50, 1) },
        // Microsoft's, but on no link of this router's.
        from_microsoft(2, 9, 7),
    ]);
    let ledger = &bench.ledger;
    assert_eq!((ledger.records_attributed, ledger.records_not_microsoft), (3, 1));
    assert_eq!(ledger.records_refused(RecordRefusal::Dropped), 1);
    assert_eq!(bench.on_links().count(), 3, "the reverse half has a placement of its own, dropped packets none");
}

#[test]
fn ports_count_everything() {
    let mut bench = Bench::new(NETWORK, &[]);
    bench.resolve(&[record(1, STRANGER, CUSTOMER, 3, 4)]);
    assert_eq!(bench.ports(), ["ix from_microsoft Unstated", "up to_microsoft Unstated"]);
    assert_eq!(bench.links(), Vec::<String>::new());
    // A port that nobody configured counts once Microsoft's traffic was seen on it.
    let other = record(4, STRANGER, CUSTOMER, 1, 2);
    bench.resolve(&[other.clone(), from_microsoft(4, 1, 2), other]);
    assert_eq!(bench.ports(), ["10.0.0.4/1 from_microsoft Unstated", "10.0.0.4/1 from_microsoft Unstated"]);
}

#[test]
fn counters_go_to_their_port() {
    let config = r#"
        [[port]]
        name = "bundle"
        exporter = "10.0.0.1"
        interfaces = ["ae1.0"]
        counter_interfaces = [10]
        members = [11, 12]
    "#;
    let mut bench = Bench::new(config, &[]);
    bench.resolve(&[from_microsoft(4, 1, 2)]);
    let counters = |exporter, interface| InterfaceCounters {
        exporter: ExporterId(exporter),
        interface,
        speed_bps: Some(100),
        ..InterfaceCounters::default()
    };
    let batch = Batch {
        counters: vec![counters(1, 10), counters(1, 11), counters(1, 12), counters(1, 13), counters(4, 1), counters(4, 2)],
        ..Batch::default()
    };
    bench.resolver.resolve(&batch, &TagNames::default(), &[], &mut bench.placements, &mut bench.ledger);
    let shown: Vec<_> =
        bench.placements.counters.iter().map(|placement| (placement.counters, placement.port, placement.is_member)).collect();
    assert_eq!(shown, [(0, 0, false), (1, 0, true), (2, 0, true), (4, 1, false)]);
    let speeds: Vec<_> = bench.resolver.directory().ports.iter().map(|port| port.speed_bps).collect();
    assert_eq!(speeds, [Some(200), Some(100)]);
}

#[test]
fn names_survive_renumbering() {
    let table = [TableInterface { exporter: address("10.0.0.1"), index: 71, name: "ae1.0".into(), speed_bps: None }];
    let mut bench = Bench::new(NETWORK, &table);
    bench.resolve(&[from_microsoft(1, 71, 50)]);
    assert_eq!(bench.links(), ["d1 from_microsoft Unstated interface"]);
    let named = |interface, name: &str| Fact::InterfaceName { exporter: ExporterId(1), interface, name: name.into() };
    bench.resolver.learn(&[named(72, "ae1.0")]);
    bench.resolve(&[from_microsoft(1, 71, 50), from_microsoft(1, 72, 50)]);
    assert_eq!(bench.links(), ["10.0.0.1/71 from_microsoft Unstated tag", "d1 from_microsoft Unstated interface"]);
    bench.resolver.learn(&[named(72, "lo0")]);
    bench.resolve(&[from_microsoft(1, 72, 50)]);
    assert_eq!(bench.links(), ["10.0.0.1/72 from_microsoft Unstated tag"]);
}

#[test]
fn exact_twins_of_unsampled_flows_count_once() {
    let flow = Record {
        sampling: Sampling::one_in(1, SamplingOrigin::Unsampled),
        time_source: TimeSource::Milliseconds,
        start_us: 5,
        end_us: 9,
        ..from_microsoft(1, 1, 50)
    };
    let mut bench = Bench::new(NETWORK, &[]);
    bench.resolve(&[flow.clone(), Record { start_us: 6, ..flow.clone() }, flow.clone()]);
    let views: Vec<View> = bench.on_links().map(|placement| placement.view).collect();
    assert_eq!(views, [View::Unstated, View::Unstated, View::OtherPort]);
    let views: Vec<View> = bench.on_ports().map(|placement| placement.view).collect();
    assert_eq!(views, [View::Unstated, View::Unstated, View::OtherPort]);
    // Sampled flows, packet samples and records without times of their own have no exact twins.
    for other in [
        Record { sampling: Sampling::one_in(100, SamplingOrigin::Record), ..flow.clone() },
        Record { is_packet_sample: true, ..flow.clone() },
        Record { time_source: TimeSource::Received, ..flow.clone() },
    ] {
        bench.resolve(&[other.clone(), other]);
        assert!(bench.on_links().all(|placement| placement.view == View::Unstated));
    }
}

#[test]
fn what_is_past_the_limits_goes_to_other() {
    let mut bench = Bench::new("[peering]\ninterfaces_per_exporter_max = 16\ninterface_links_max = 17\n", &[]);
    let records: Vec<Record> = (1..=40).map(|input| from_microsoft(1, input * 1_000_003, 0)).collect();
    bench.resolve(&records);
    let other = bench.links().iter().filter(|link| link.starts_with("10.0.0.1/other")).count();
    assert_eq!(other, 40 - 16);
    let records: Vec<Record> = (1..=10).map(|input| from_microsoft(2, input, 0)).collect();
    bench.resolve(&records);
    assert_eq!(bench.links().iter().filter(|link| link.starts_with("10.0.0.2/other")).count(), 9);
    assert_eq!(bench.ledger.records_attributed, 50);
    assert_eq!(bench.resolver.directory().ports.len(), 17);
}

#[test]
fn findings_of_what_does_not_fit() {
    let mut bench = Bench::new(NETWORK, &[]);
    let express_route = Record { source_asn: 12_076, ..from_microsoft(1, 1, 50) };
    let named = Record { bgp_next_hop: address("10.9.9.1"), ..to_microsoft(2, 7, 8) };
    bench.resolve(&[express_route, to_microsoft(1, 50, 1), to_microsoft(1, 50, 0), from_microsoft(4, 1, 2), named]);
    bench.resolver.learn(&[Fact::InterfaceSpeed { exporter: ExporterId(1), interface: 3, speed_bps: 10 }]);
    let seen = bench.resolver.seen();
    let findings = bench.resolver.inventory.check(&seen);
    let shown: Vec<(FindingKind, &str)> = findings.iter().map(|finding| (finding.kind, finding.subject.as_str())).collect();
    for expected in [
        (FindingKind::InterfaceNeverSeen, "p1"),
        (FindingKind::InterfaceNeverSeen, "p2"),
        (FindingKind::UnnamedTraffic, "10.0.0.4/1"),
        (FindingKind::OutputUnknown, "10.0.0.1"),
        (FindingKind::NextHopAmbiguous, "10.0.0.2"),
        (FindingKind::PathNeverUsed, "d2"),
        (FindingKind::ExpressRouteAs, "10.0.0.1"),
        (FindingKind::MeteringUndecided, "10.0.0.1"),
    ] {
        assert!(shown.contains(&expected), "{expected:?}\n{shown:?}");
    }
    let silent = bench.resolver.inventory.check(&crate::Seen::default());
    let subjects =
        silent.iter().filter(|finding| finding.kind == FindingKind::ExporterNeverSeen).map(|finding| finding.subject.as_str());
    assert_eq!(subjects.collect::<Vec<_>>(), ["r1", "r3"]);
    assert!(!shown.contains(&(FindingKind::PathNeverUsed, "d1")));
}

#[test]
fn speeds_that_differ_are_told_of_each_source() {
    let list = r#"[{"name": "fra", "kind": "Direct", "direct": {"connections": [{"connectionIdentifier": "c1", "connectionState": "Active",
            "provisionedBandwidthInMbps": 200000}]}}]"#;
    let peerings = crate::azure::parse(list).unwrap().peerings;
    let bound =
        "[[port]]\nname = \"p\"\nexporter = \"10.0.0.1\"\ninterfaces = [1]\n[[connection]]\nazure = \"c1\"\nport = \"p\"\n";
    for (capacity, told_bps, expected) in [
        ("", 200_000_000_000, &[][..]),
        ("", 100_000_000_000, &["the list of Azure 200000000000"]),
        ("capacity_bps = 100_000_000_000\n", 100_000_000_000, &["the list of Azure 200000000000"]),
        ("capacity_bps = 10_000_000_000\n", 200_000_000_000, &["the configuration 10000000000"]),
    ] {
        let config = bound.replace("interfaces = [1]\n", &format!("interfaces = [1]\n{capacity}"));
        let inventory = Inventory::build(&toml::from_str(&config).unwrap(), &peerings, &[]).unwrap();
        let mut resolver = Resolver::new(Arc::new(inventory));
        let exporter = ExporterId(1);
        resolver.learn(&[
            Fact::Exporter { exporter, address: address("10.0.0.1") },
            Fact::InterfaceSpeed { exporter, interface: 1, speed_bps: told_bps },
        ]);
        let seen = resolver.seen();
        let findings = resolver.inventory.check(&seen);
        let told: Vec<_> = findings.iter().filter(|finding| finding.kind == FindingKind::SpeedDiffers).collect();
        assert_eq!(told.len(), expected.len(), "{findings:?}");
        assert!(told.iter().zip(expected).all(|(finding, part)| finding.text.contains(part)), "{told:?}");
    }
}

#[test]
fn suggestions_are_configuration_that_works() {
    let list = r#"[{"name": "fra", "kind": "Direct", "direct": {"connections": [{"connectionIdentifier": "c1", "connectionState": "Active",
            "bgpSession": {"sessionPrefixV4": "192.0.2.0/31"}}]}},
        {"name": "ams", "kind": "Exchange", "exchange": {"connections": [{"connectionIdentifier": "c2", "connectionState": "Active",
            "bgpSession": {"microsoftSessionIPv4Address": "198.51.100.8"}}]}}]"#;
    let peerings = crate::azure::parse(list).unwrap().peerings;
    let build = |config: &str| Inventory::build(&toml::from_str(config).unwrap(), &peerings, &[]).unwrap();
    let mut bench = Bench::new("", &[]);
    bench.resolver.inventory = Arc::new(build(""));
    bench.resolver = Resolver::new(bench.resolver.inventory.clone());
    bench.resolver.learn(&[Fact::Exporter { exporter: ExporterId(1), address: address("10.0.0.1") }]);
    let seen = bench.resolver.seen();
    assert!(bench.resolver.inventory.suggest(&seen).starts_with("# Nothing"));
    bench.resolve(&[
        Record { next_hop: address("192.0.2.1"), ..to_microsoft(1, 50, 7) },
        Record { next_hop: address("198.51.100.8"), destination_mac: mac(1), ..to_microsoft(1, 50, 8) },
    ]);
    assert_eq!(bench.links(), ["fra/c1 to_microsoft Unstated next_hop", "ams/c2 to_microsoft Unstated next_hop"]);
    let seen = bench.resolver.seen();
    let suggested = bench.resolver.inventory.suggest(&seen);
    let inventory = build(&suggested);
    let bound: Vec<_> = inventory.directory().links.iter().map(|link| (&*link.name, link.port.as_deref())).collect();
    assert_eq!(bound[..2], [("fra/c1", Some("10.0.0.1-7")), ("ams/c2", Some("10.0.0.1-8"))], "{suggested}");
    assert!(suggested.contains("microsoft_macs = [\"02:00:00:00:00:01\"]"), "{suggested}");
}

#[test]
fn what_several_workers_saw_adds_up() {
    let mut bench = Bench::new(NETWORK, &[]);
    bench.resolve(&[from_microsoft(1, 1, 50), to_microsoft(1, 50, 1)]);
    let mut seen = bench.resolver.seen();
    seen.join(bench.resolver.seen());
    let exporter = seen.exporter(address("10.0.0.1")).unwrap();
    assert_eq!(
        (exporter.records, exporter.interfaces.iter().find(|one| one.index == 1).unwrap().from_microsoft_bytes),
        (4, 2_000)
    );
    assert_eq!(seen.link("d1").unwrap().to_microsoft_records, 2);
    let text = serde_json::to_string(&seen).unwrap();
    assert_eq!(serde_json::from_str::<crate::Seen>(&text).unwrap(), seen);
}

proptest! {
    /// Any records: the ledger balances, and no record counts twice on a link and direction.
    #[test]
    fn any_records_are_counted_once(rows in proptest::collection::vec((0u32..6, 0u32..12, 0u32..12, 0u8..3, 0u8..3, 0usize..5, 0u8..3, any::<bool>()), 0..60)) {
        let addresses = [MICROSOFT, CUSTOMER, STRANGER];
        let hops = ["::", "192.0.2.1", "198.51.100.8", "10.9.9.1", "10.9.9.3"];
        let records: Vec<Record> = rows
            .iter()
            .map(|(exporter, input, output, source, destination, hop, metering, is_dropped)| Record {
                bgp_next_hop: address(hops[*hop]),
                metering: [Metering::Unstated, Metering::Ingress, Metering::Egress][*metering as usize],
                is_dropped: *is_dropped,
                ..record(*exporter, addresses[*source as usize], addresses[*destination as usize], *input, *output)
            })
            .collect();
        let mut bench = Bench::new(NETWORK, &[]);
        bench.resolve(&records);
        let ledger = &bench.ledger;
        let counted = ledger.records_attributed + ledger.records_not_microsoft + ledger.records_refused_total();
        prop_assert_eq!(counted, records.len() as u64);
        let mut legs: Vec<_> = bench.on_links().map(|placement| (placement.record, placement.direction)).collect();
        let all = legs.len();
        legs.sort();
        legs.dedup();
        prop_assert_eq!(legs.len(), all);
    }
}

proptest! {
    /// Whether a way is remembered or not, records count in the same places.
    #[test]
    fn remembered_ways_lead_where_the_rules_do(rows in proptest::collection::vec((1u32..4, 0u32..9, 0u32..9, 0usize..3, 0usize..3, 0usize..5, 0usize..3), 0..40)) {
        let addresses = [MICROSOFT, CUSTOMER, STRANGER];
        let hops = ["::", "192.0.2.1", "198.51.100.8", "10.9.9.1", "8.8.8.8"];
        let of = |(exporter, input, output, source, destination, hop, metering): &(u32, u32, u32, usize, usize, usize, usize)| Record {
            next_hop: address(hops[*hop]),
            vlan: [0, 10, 600][*metering],
            metering: [Metering::Unstated, Metering::Ingress, Metering::Egress][*metering],
            ..record(*exporter, addresses[*source], addresses[*destination], *input, *output)
        };
        let records: Vec<Record> = rows.iter().chain(&rows).map(of).collect();
        let (mut bench, mut forgetful, mut one_by_one) = (Bench::new(NETWORK, &[]), Bench::new(NETWORK, &[]), Vec::new());
        bench.resolve(&records);
        for (index, record) in records.iter().enumerate() {
            forgetful.resolver.forget_paths();
            forgetful.resolve(std::slice::from_ref(record));
            one_by_one.extend(forgetful.placements.records.iter().map(|placement| Placement { record: index as u32, ..*placement }));
        }
        prop_assert_eq!(&bench.placements.records, &one_by_one);
        let sorted = |mut seen: crate::Seen| {
            seen.exporters.iter_mut().for_each(|exporter| exporter.interfaces.sort_by_key(|interface| interface.index));
            seen
        };
        prop_assert_eq!(sorted(bench.resolver.seen()), sorted(forgetful.resolver.seen()));
    }
}
