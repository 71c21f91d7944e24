//! Sampling rates: by every route, of each record its own.

use model::SamplingOrigin::{self, Configured, Options, Record as OfRecord, Sampler, Unknown};

use super::*;
use crate::tests::wire::{ipfix, ipfix_of, options, options_9, version_9, version_9_of};

/// The rate of a record: packets of which so many were taken, and who said so.
type Rate = (u32, u32, SamplingOrigin);

fn rate(record: &Record) -> Rate {
    (record.sampling.population, record.sampling.sample, record.sampling.origin)
}

/// An options template and its records.
type Told<'a> = (&'a [(u16, u16)], Vec<u8>);

/// The rates of flows with further elements after these options were told.
fn rates(told: &[Told<'_>], further: &[(u16, u16)], values: &[Vec<u8>]) -> Vec<Rate> {
    let mut collector = Collector::new();
    let mut sets = vec![set(2, &template(256, &[FLOW, further].concat()))];
    for (id, (fields, data)) in (300..).zip(told) {
        sets.extend([set(3, &options(id, 1, fields)), set(id, data)]);
    }
    collector.take(&ipfix(0, &sets));
    let data: Vec<u8> = values.iter().flat_map(|values| [flow(1_000, 2), values.clone()].concat()).collect();
    collector.take(&ipfix(told.len() as u32, &[set(256, &data)])).iter().map(rate).collect()
}

#[test]
fn a_record_that_tells_its_rate_is_believed() {
    for (fields, values, expected) in [
        (&[(34, 4)][..], words(&[1_000]), (1_000, 1, OfRecord)),
        (&[(50, 4)], words(&[64]), (64, 1, OfRecord)),
        (&[(305, 4), (306, 4)], words(&[1, 9_999]), (10_000, 1, OfRecord)),
        (&[(305, 4), (306, 4)], words(&[3, 7]), (10, 3, OfRecord)),
        (&[(309, 4), (310, 4)], words(&[2, 5]), (5, 2, OfRecord)),
        (&[(311, 8)], 0.25_f64.to_be_bytes().to_vec(), (4, 1, OfRecord)),
        (&[(311, 8)], 0.4_f64.to_be_bytes().to_vec(), (5, 2, OfRecord)),
        // Zero says nothing.
        (&[(34, 4)], words(&[0]), (0, 0, Unknown)),
        (&[(34, 4), (50, 4)], words(&[0, 64]), (64, 1, OfRecord)),
    ] {
        assert_eq!(rate(&flow_with(fields, &values)[0]), expected, "{fields:?}");
    }
}

#[test]
fn each_record_has_the_rate_of_the_sampler_that_it_names() {
    for (element, length) in [(48, 1), (302, 1), (302, 8), (302, 3)] {
        let id = |id: u64| id.to_be_bytes()[8 - usize::from(length)..].to_vec();
        let told: &[(u16, u16)] = &[(element, length), (34, 4)];
        let data = [id(1), words(&[2_000]), id(2), words(&[4_000])].concat();
        let found = rates(&[(told, data)], &[(element, length)], &[id(1), id(2), id(1), id(3)]);
        assert_eq!(found, [(2_000, 1, Sampler), (4_000, 1, Sampler), (2_000, 1, Sampler), (0, 0, Unknown)], "{element}/{length}");
    }
}

#[test]
fn a_sampler_that_was_not_told_of_leaves_the_rate_of_the_whole_system() {
    let told = [(&[(48, 1), (34, 4)][..], [vec![1], words(&[2_000])].concat()), (&[(149, 4), (34, 4)][..], words(&[1, 100]))];
    assert_eq!(rates(&told, &[(48, 1)], &[vec![1], vec![9]]), [(2_000, 1, Sampler), (100, 1, Options)]);
}

#[test]
fn a_sampler_is_looked_for_in_its_domain_then_in_domain_0_then_anywhere() {
    let definition = set(1, &options_9(300, &[(1, 4)], &[(48, 1), (34, 4)]));
    let sampler = |rate: u32| set(300, &[words(&[1]), vec![7], words(&[rate])].concat());
    let told = |collector: &mut Collector, domain: u32, rate: u32| {
        collector.take(&version_9_of(domain, EXPORT_S, rate, &[definition.clone(), sampler(rate)]));
    };
    let asked = |collector: &mut Collector| {
        let fields = [FLOW, &[(48, 1)]].concat();
        let data = set(256, &[flow(7, 2), vec![7]].concat());
        rate(&collector.take(&version_9_of(5, EXPORT_S, 0, &[set(0, &template(256, &fields)), data]))[0])
    };
    for (domains, expected) in [(&[9, 0, 5][..], 3), (&[9, 0], 2), (&[9], 1), (&[9, 8], 1)] {
        let mut collector = Collector::new();
        domains.iter().zip(1..).for_each(|(domain, rate)| told(&mut collector, *domain, rate));
        assert_eq!(asked(&mut collector), (expected, 1, Sampler), "{domains:?}");
    }
}

#[test]
fn rates_of_templates_interfaces_and_of_the_whole_system() {
    let input: &[(u16, u16)] = &[(10, 4)];
    let interface = (&[(10, 4), (34, 4)][..], words(&[7, 700]));
    let system = (&[(149, 4), (34, 4)][..], words(&[1, 100]));
    let of_template = (&[(145, 2), (34, 4)][..], [halves(&[256]), words(&[300])].concat());
    let values = [words(&[7]), words(&[8])];
    assert_eq!(rates(std::slice::from_ref(&interface), input, &values), [(700, 1, Options), (0, 0, Unknown)]);
    assert_eq!(rates(&[system.clone(), interface.clone()], input, &values), [(700, 1, Options), (100, 1, Options)]);
    assert_eq!(rates(&[system, interface, of_template], input, &values), [(300, 1, Options); 2]);
    // By the output interface where the input has none.
    let output = (&[(14, 4), (305, 4), (306, 4)][..], words(&[9, 1, 499]));
    assert_eq!(rates(&[output], &[(10, 4), (14, 4)], &[words(&[7, 9])]), [(500, 1, Options)]);
}

#[test]
fn the_configuration_fills_in_or_goes_first() {
    let rule = |interface: Option<u32>, population: u32, is_override: bool| SamplingRule {
        exporter: "192.0.2.0/24".parse().unwrap(),
        interface,
        population,
        is_override,
    };
    for (rules, stated, expected) in [
        (vec![rule(None, 50, false)], 0, (50, 1, Configured)),
        (vec![rule(None, 50, false)], 9, (9, 1, OfRecord)),
        (vec![rule(None, 50, true)], 9, (50, 1, Configured)),
        (vec![rule(None, 50, true), rule(Some(7), 70, true)], 9, (70, 1, Configured)),
        (vec![rule(Some(8), 80, true)], 0, (0, 0, Unknown)),
    ] {
        let fields = [FLOW, &[(10, 4), (34, 4)]].concat();
        let data = set(256, &[flow(7, 2), words(&[7, stated])].concat());
        let mut collector = Collector::with(DecodeSettings::default(), rules);
        let records = collector.take(&ipfix(0, &[set(2, &template(256, &fields)), data]));
        assert_eq!(rate(&records[0]), expected);
        assert_eq!(collector.health[0].sampling_origins[expected.2 as usize], 1);
    }
}

#[test]
fn what_says_nothing_is_unknown_and_never_one() {
    // A sampler that is named and never told of, on a device that tells of no other.
    assert_eq!(rates(&[], &[(48, 1)], &[vec![1]]), [(0, 0, Unknown)]);
    // One whose rate is told as 0.
    assert_eq!(rates(&[(&[(48, 1), (34, 4)], [vec![1], words(&[0])].concat())], &[(48, 1)], &[vec![1]]), [(0, 0, Unknown)]);
    // One to one is said, and is a rate.
    assert_eq!(rates(&[(&[(48, 1), (34, 4)], [vec![1], words(&[1])].concat())], &[(48, 1)], &[vec![1]]), [(1, 1, Sampler)]);
}

#[test]
fn a_record_of_a_device_that_samples_elsewhere_is_not_scaled() {
    // The sampler of one template; the records of another name none.
    let mut collector = Collector::new();
    let sampled = [FLOW, &[(48, 1)]].concat();
    let told = [set(3, &options(300, 1, &[(48, 1), (34, 4)])), set(300, &[vec![1], words(&[1_000])].concat())];
    let templates = set(2, &[template(256, &sampled), template(257, FLOW)].concat());
    let data = [set(256, &[flow(7, 2), vec![1]].concat()), flows(257, &[8])];
    let records = collector.take(&ipfix(0, &[&told[..], &[templates], &data].concat()));
    assert_eq!(records.iter().map(rate).collect::<Vec<_>>(), [(1_000, 1, Sampler), (0, 0, Unknown)]);
}

#[test]
fn sampled_flows_are_told_from_sampled_packets() {
    for (fields, values) in
        [(&[(34, 4), (390, 2)][..], [words(&[10]), halves(&[1])].concat()), (&[(396, 4), (397, 4)], words(&[1, 9]))]
    {
        let sampling = flow_with(fields, &values)[0].sampling;
        assert_eq!((sampling.population, sampling.sample, sampling.is_of_flows), (10, 1, true));
    }
    assert!(!flow_with(&[(34, 4)], &words(&[10]))[0].sampling.is_of_flows);
}

#[test]
fn a_rate_that_changes_is_in_force_from_then_on() {
    let mut collector = Collector::new();
    let definitions = [set(3, &options(300, 1, &[(149, 4), (34, 4)])), flow_template(256)];
    collector.take(&ipfix(0, &definitions));
    let told = |rate: u32| set(300, &words(&[1, rate]));
    let records = collector.take(&ipfix(0, &[told(100), flows(256, &[7]), told(200), flows(256, &[8])]));
    assert_eq!(records.iter().map(rate).collect::<Vec<_>>(), [(100, 1, Options), (200, 1, Options)]);
}

#[test]
fn options_may_come_from_another_port_and_of_another_exporter_they_mean_nothing() {
    let told = ipfix_of(1, EXPORT_S, 0, &[set(3, &options(300, 1, &[(149, 4), (34, 4)])), set(300, &words(&[1, 100]))]);
    for (source, expected) in [("192.0.2.1:999", (100, 1, Options)), ("192.0.2.7:50000", (0, 0, Unknown))] {
        let mut collector = Collector::new();
        collector.take_from(source, &told);
        assert_eq!(rate(&collector.take(&ipfix(1, &[flow_template(256), flows(256, &[7])]))[0]), expected);
    }
}

#[test]
fn samplers_are_bounded() {
    let settings = DecodeSettings { samplers_per_exporter: 2, ..DecodeSettings::default() };
    let mut collector = Collector::with(settings, Vec::new());
    let definition = set(1, &options_9(300, &[(1, 4)], &[(48, 1), (34, 4)]));
    let told: Vec<u8> = (1..=3).flat_map(|id| [words(&[1]), vec![id], words(&[100 * u32::from(id)])].concat()).collect();
    let fields = [FLOW, &[(48, 1)]].concat();
    collector.take(&version_9(0, &[definition, set(300, &told), set(0, &template(256, &fields))]));
    let data: Vec<u8> = (1..=3).flat_map(|id| [flow(7, 2), vec![id]].concat()).collect();
    let found: Vec<Rate> = collector.take(&version_9(1, &[set(256, &data)])).iter().map(rate).collect();
    assert_eq!(found, [(100, 1, Sampler), (200, 1, Sampler), (0, 0, Unknown)]);
    assert_eq!(collector.counted("options_over_limit"), 1);
}
