//! Runs of small networks: the truth against what was really sent.

use std::collections::BTreeMap;

use super::{Read, play, readers};
use crate::testing::SMALLEST;
use crate::truth::{ExporterTruth, PortTruth, Sum, Truth};

fn total<'a>(sums: impl Iterator<Item = &'a Sum>) -> Sum {
    sums.fold(Sum::default(), |sum, next| Sum {
        packets: sum.packets + next.packets,
        l3_bytes: sum.l3_bytes + next.l3_bytes,
        l2_bytes: sum.l2_bytes + next.l2_bytes,
    })
}

fn of_links(truth: &Truth) -> Sum {
    total(truth.links.iter().map(|link| &link.total))
}

/// The scenario with the router's protocol and further keys of it.
fn with(protocol: &str, keys: &str) -> String {
    SMALLEST.replace("protocol = \"ipfix\"", &format!("protocol = \"{protocol}\"\n{keys}"))
}

fn check_unsampled(protocol: &str, keys: &str) -> Read {
    let text = with(protocol, keys);
    let text = if protocol == "v5" { text.replacen("seed", "traffic.ipv6_share = 0.0\nseed", 1) } else { text };
    let (truth, sent) = play(&text);
    let (read, options) = if protocol == "sflow" { readers::sflow(&sent) } else { readers::netflow(&sent) };
    let links = of_links(&truth);
    assert!(links.packets > 5_000, "{protocol}: {links:?}");
    assert_eq!((read.packets, read.bytes), (links.packets, links.l3_bytes), "{protocol} {keys}");
    let sum = |of: fn(&ExporterTruth) -> u64| truth.exporters.iter().map(of).sum::<u64>();
    let exported = (sum(|exporter| exporter.records), sum(|exporter| exporter.packets), sum(|exporter| exporter.bytes));
    assert_eq!(exported, (read.records, read.packets, read.bytes));
    assert_eq!(sum(|exporter| exporter.option_records), options);
    assert_eq!(sum(|exporter| exporter.datagrams), sent.len() as u64);
    for link in &truth.links {
        let interfaces = if link.direction == "to_microsoft" { (20, 10) } else { (10, 20) };
        let expected = (link.total.packets, link.total.l3_bytes);
        assert_eq!(read.by_interfaces.get(&interfaces), Some(&expected), "{protocol} {}", link.direction);
    }
    assert!(sent.windows(2).all(|pair| pair[0].at_us <= pair[1].at_us), "in the order of time");
    assert!(sent.iter().all(|datagram| datagram.payload.len() <= 1_472), "they fit a frame");
    read
}

#[test]
fn unsampled_and_lossless_the_metered_sums_are_the_truth() {
    check_unsampled("v5", "");
    check_unsampled("v9", "");
    check_unsampled("v9", "times = \"milliseconds\"\nmac_elements = true\nsampling = { told_by = \"record\" }");
    check_unsampled("v9", "sampling = { told_by = \"domain\" }");
    check_unsampled("ipfix", "");
    check_unsampled("ipfix", "reduced_sizes = true\nvariable_lengths = true\nmac_elements = true");
    check_unsampled("ipfix", "times = \"uptime\"\nsampling = { method = \"systematic\" }");
    check_unsampled("ipfix", "times = \"delta\"\nsampling = { told_by = \"domain\" }");
    check_unsampled("ipfix", "domains = [7, 8]\ntimes = \"microseconds\"");
    check_unsampled("sflow", "");
    check_unsampled("sflow", "expanded_samples = true\ndomains = [0, 1]");
}

#[test]
fn the_parts_of_the_truth_fit_together() {
    let (truth, _) = play(SMALLEST);
    let links = of_links(&truth);
    assert_eq!(total(truth.tags.iter().map(|tag| &tag.total)), links);
    assert_eq!(total(truth.customers.iter().map(|customer| &customer.total)), links);
    for link in &truth.links {
        assert_eq!(total(link.windows_60_s.iter().map(|window| &window.sum)), link.total);
        assert_eq!(total(link.windows_300_s.iter().map(|window| &window.sum)), link.total);
        assert_eq!(link.total.l2_bytes, link.total.l3_bytes + 18 * link.total.packets);
    }
    let of_port = |wanted: &str, direction: &str| {
        let is_it = |port: &&PortTruth| port.port == wanted && port.direction == direction;
        truth.ports.iter().find(is_it).map(|port| port.total)
    };
    assert_eq!(of_port("pni", "in"), of_port("access", "out"));
    assert_eq!(of_port("pni", "in"), truth.links.iter().find(|link| link.direction == "from_microsoft").map(|link| link.total));
}

#[test]
fn the_mean_load_is_the_scenario_s() {
    let flat = "[traffic]\nflow_lengths = [{ packets = 20.0, seconds = 0.5, weight = 1.0 }]\n";
    let text = SMALLEST.replace("duration_seconds = 60", "duration_seconds = 300") + flat;
    let (truth, _) = play(&text);
    for (direction, bps) in [("to_microsoft", 400_000.0), ("from_microsoft", 2_000_000.0)] {
        let link = truth.links.iter().find(|link| link.direction == direction).expect(direction);
        let mean_bps = link.total.l3_bytes as f64 * 8.0 / 300.0;
        assert!((mean_bps / bps - 1.0).abs() < 0.1, "{direction}: {mean_bps} of {bps}");
    }
}

#[test]
fn a_seed_gives_the_same_datagrams_and_truth() {
    let text =
        with("v9", "delivery = { loss_ratio = 0.1, reorder_ratio = 0.1, duplicate_ratio = 0.1 }\nsampling = { one_in = 10 }");
    assert_eq!(play(&text), play(&text));
    let other = text.replacen("seed = 1", "seed = 2", 1);
    assert_ne!(play(&text).0.links, play(&other).0.links);
}

#[test]
fn one_packet_in_n_is_metered() {
    for (protocol, method) in [("sflow", "random"), ("ipfix", "random"), ("v9", "systematic"), ("v5", "systematic")] {
        let text = with(protocol, &format!("sampling = {{ one_in = 10, method = \"{method}\" }}"));
        let (truth, _) = play(&text.replacen("seed", "traffic.ipv6_share = 0.0\nseed", 1));
        let (seen, sampled) = (of_links(&truth).packets as f64, truth.exporters[0].packets as f64);
        // Binomial: four standard deviations.
        let allowed = 4.0 * (seen * 0.1 * 0.9).sqrt();
        assert!((sampled - seen / 10.0).abs() < allowed, "{protocol}: {sampled} of {seen}");
        if method == "systematic" {
            assert!((sampled - seen / 10.0).abs() <= 2.0, "{protocol}: {sampled} of {seen}");
        }
    }
}

#[test]
fn losses_are_what_is_missing() {
    for protocol in ["v9", "sflow"] {
        let text = with(protocol, "delivery = { loss_ratio = 0.2, duplicate_ratio = 0.05 }");
        let (truth, sent) = play(&text);
        let exporter = &truth.exporters[0];
        assert!(exporter.datagrams_lost > 3, "{exporter:?}");
        let came = sent.len() as u64 - exporter.datagrams_duplicated;
        assert_eq!(exporter.datagrams, came + exporter.datagrams_lost + exporter.datagrams_lost_at_end, "{protocol}");
        // The sequence number at the end tells the losses before it; in both protocols it counts datagrams.
        let place = if protocol == "v9" { 12 } else { 16 };
        let sequence = |payload: &[u8]| payload[place..place + 4].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let span = sequence(&sent[sent.len() - 1].payload) - sequence(&sent[0].payload) + 1;
        assert_eq!(span - came, exporter.datagrams_lost, "{protocol}");
    }
}

#[test]
fn v5_says_which_records_it_could_not_say() {
    let (truth, _) = play(&with("v5", ""));
    assert!(truth.exporters[0].records_unsayable > 0);
    assert!(truth.exporters[0].packets < of_links(&truth).packets);
}

/// A second connection on the port of the first.
const SECOND: &str = r#"
[[connections]]
name = "fra-2"
kind = "direct"
port = "pni"
to_microsoft_bps = 100_000.0
from_microsoft_bps = 500_000.0
"#;

#[test]
fn a_failed_connection_moves_its_traffic_and_gets_it_back() {
    let failure = r#"
[[failures]]
connection = "fra-1"
down_at_seconds = 60.0
up_at_seconds = 120.0
"#;
    let (truth, _) = play(&(SMALLEST.replace("duration_seconds = 60", "duration_seconds = 180") + SECOND + failure));
    let packets = |name: &str| {
        let link = truth.links.iter().find(|link| link.link == name && link.direction == "from_microsoft").expect(name);
        let at = |minute: i64| link.windows_60_s.iter().find(|window| window.start_us == truth.start_us + minute * 60_000_000);
        [0, 1, 2].map(|minute| at(minute).map_or(0, |window| window.sum.packets))
    };
    let (first, second) = (packets("fra-1"), packets("fra-2"));
    assert!(first[0] > 0 && first[1] == 0 && first[2] > 0, "{first:?}");
    assert!(second[1] > 2 * second[0] && second[1] > 2 * second[2], "{second:?}");
}

#[test]
fn a_drained_connection_empties_step_by_step_and_keeps_a_residue() {
    let failure = r#"
[[failures]]
connection = "fra-1"
down_at_seconds = 60.0
drain_seconds = 60.0
residue_share = 0.1
up_at_seconds = 180.0
"#;
    let (truth, _) = play(&(SMALLEST.replace("duration_seconds = 60", "duration_seconds = 240") + SECOND + failure));
    let by_minute = |windows: &[crate::truth::WindowTruth]| {
        let at = |minute: i64| windows.iter().find(|window| window.start_us == truth.start_us + minute * 60_000_000);
        [0, 1, 2, 3].map(|minute| at(minute).map_or(0, |window| window.sum.packets))
    };
    let is_from = |direction: &str| direction == "from_microsoft";
    let link = truth.links.iter().find(|link| link.link == "fra-1" && is_from(&link.direction)).expect("the link");
    let moved = truth.moved.iter().find(|moved| is_from(&moved.direction)).expect("what moved");
    assert_eq!((moved.from.as_str(), moved.to.as_str()), ("fra-1", "fra-2"));
    let (link, moved) = (by_minute(&link.windows_60_s), by_minute(&moved.windows_60_s));
    assert!(link[0] > link[1] && link[1] > link[2] && link[2] > 0 && link[3] > link[1], "{link:?}");
    assert!(moved[0] == 0 && moved[1] > 0 && moved[2] > moved[1] && moved[3] == 0, "{moved:?}");
}

#[test]
fn a_router_that_exports_the_first_path_hides_the_second_link() {
    let second = r#"
[[ports]]
name = "pni-2"
router = "r1"
interface = 11
interface_name = "et-0/0/1"
speed_bps = 100_000_000_000

[[connections]]
name = "fra-2"
kind = "direct"
port = "pni-2"
to_microsoft_bps = 400_000.0
from_microsoft_bps = 2_000_000.0
"#;
    let outputs = |keys: &str| -> Vec<(u64, u64)> {
        let (truth, sent) = play(&(with("ipfix", keys) + second));
        assert!(truth.links.iter().all(|link| link.total.packets > 0));
        let (read, _) = readers::netflow(&sent);
        read.by_interfaces.keys().copied().filter(|(input, _)| *input == 20).collect()
    };
    assert_eq!(outputs(""), [(20, 10), (20, 11)]);
    assert_eq!(outputs("output_interface = \"first_path\""), [(20, 10)]);
}

#[test]
fn ipfix_counts_data_and_option_records_and_v5_its_records() {
    // (protocol, keys, where the domain stands, where the number stands)
    for (protocol, keys, domain, number) in
        [("ipfix", "domains = [7, 8]\ntemplate_refresh_seconds = 10", 12..16, 8), ("v5", "domains = [3, 4]", 21..22, 16)]
    {
        let (_, sent) = play(&with(protocol, keys));
        let (mut parsers, mut expected) = (readers::Parsers::default(), BTreeMap::new());
        for datagram in &sent {
            let payload = &datagram.payload;
            let found = payload[number..number + 4].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            let (rows, options) = parsers.rows(datagram);
            let next: &mut usize = expected.entry(payload[domain.clone()].to_vec()).or_default();
            assert_eq!(found, *next, "{protocol}");
            *next += rows.len() + options;
        }
        assert_eq!(expected.len(), 2, "{protocol}");
    }
}

#[test]
fn times_of_records_are_times_of_packets() {
    const OFFSET_US: i64 = -90_000_000;
    const UPTIME_US: i64 = 30 * 86_400 * 1_000_000;
    let export_us = |payload: &[u8]| i64::from(u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]])) * 1_000_000;
    // (protocol, form, elements, a value to true time by the datagram and the start of the run)
    type Reading<'a> = &'a dyn Fn(&[u8], i64, i64) -> i64;
    let absolute: Reading<'_> = &|_, _, value| value - OFFSET_US;
    let uptime: Reading<'_> = &|_, start_us, value| start_us - UPTIME_US + value;
    let delta: Reading<'_> = &|payload, _, value| export_us(payload) - value - OFFSET_US;
    let check = |protocol: &str, form: &str, elements: (u16, u16), unit_us: i64, reading: Reading<'_>| {
        let (truth, sent) = play(&with(protocol, &format!("clock_offset_ms = -90_000\ntimes = \"{form}\"")));
        let mut parsers = readers::Parsers::default();
        let mut times = Vec::new();
        for datagram in &sent {
            for row in parsers.rows(datagram).0 {
                let of = |element: u16| reading(&datagram.payload, truth.start_us, row[&element] as i64 * unit_us);
                times.push((of(elements.0), of(elements.1)));
            }
        }
        let first_us = times.iter().map(|time| time.0).min().unwrap_or_default() - truth.start_us;
        let last_us = truth.end_us - times.iter().map(|time| time.1).max().unwrap_or_default();
        assert!((0..1_000_000).contains(&first_us) && (1..=1_000_000).contains(&last_us), "{form}: {first_us} {last_us}");
        assert!(times.iter().all(|time| time.0 <= time.1 && time.1 - time.0 < 61_000_000), "{form}: the active timeout");
    };
    check("ipfix", "milliseconds", (152, 153), 1, absolute);
    check("ipfix", "seconds", (150, 151), 1, absolute);
    // NTP time begins in 1900 (RFC 7011 section 6.1.9); the parser leaves it so.
    let ntp: Reading<'_> = &|_, _, value| value - 2_208_988_800 * 1_000_000 - OFFSET_US;
    check("ipfix", "microseconds", (154, 155), 1, ntp);
    check("ipfix", "uptime", (22, 21), 1_000, uptime);
    check("ipfix", "delta", (158, 159), 1, delta);
    check("v9", "uptime", (22, 21), 1, uptime);
    check("v5", "uptime", (22, 21), 1_000, uptime);
}

#[test]
fn sflow_numbers_samples_and_pools_per_source() {
    let (truth, sent) = play(&with("sflow", "sampling = { one_in = 4, method = \"systematic\" }"));
    let mut last = BTreeMap::new();
    for datagram in &sent {
        for sample in sflow_parser::parse_datagram(&datagram.payload).expect("sFlow").samples {
            let sflow_parser::SampleData::FlowSample(sample) = sample.sample_data else {
                continue;
            };
            assert_eq!((sample.sampling_rate, sample.drops), (4, 0));
            let (sequence, pool) =
                last.insert(sample.source_id.index(), (sample.sequence_number, sample.sample_pool)).unwrap_or_default();
            assert_eq!(sample.sequence_number, sequence + 1);
            assert!(pool == 0 || sample.sample_pool == pool + 4, "every fourth packet");
        }
    }
    for (interface, (_, pool)) in last {
        let port = truth.ports.iter().find(|port| port.interface == interface && port.direction == "in").expect("a port");
        assert!(port.total.packets - u64::from(pool) < 4);
    }
}

#[test]
fn the_last_counters_are_the_truth_of_the_ports() {
    let (truth, sent) = play(&with("sflow", "counter_interval_seconds = 20"));
    let mut last = BTreeMap::new();
    for datagram in &sent {
        for sample in sflow_parser::parse_datagram(&datagram.payload).expect("sFlow").samples {
            if let sflow_parser::SampleData::CountersSample(sample) = sample.sample_data {
                for counter in sample.counters {
                    let sflow_parser::models::core::CounterData::GenericInterface(counter) = counter.counter_data else {
                        panic!("generic counters");
                    };
                    last.insert((counter.if_index, "in"), counter.if_in_octets);
                    last.insert((counter.if_index, "out"), counter.if_out_octets);
                }
            }
        }
    }
    assert_eq!(last.len(), 4);
    for ((interface, direction), octets) in last {
        let port = truth.ports.iter().find(|port| port.interface == interface && port.direction == direction);
        assert_eq!(port.map(|port| port.total.l2_bytes), Some(octets), "{interface} {direction}");
    }
}
