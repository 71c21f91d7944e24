use std::path::PathBuf;
use std::sync::Arc;

use model::{Address, Name, Prefix, Record};
use proptest::prelude::*;

use crate::sources::{self, Entry, Layer, List, Sources};
use crate::{Attributor, Found, Table, compare};

fn shared(path: &str) -> Option<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some((path.file_name().unwrap().to_string_lossy().into_owned(), text)),
        Err(_) => {
            eprintln!("passed over: {} is absent", path.display());
            None
        }
    }
}

fn only(lists: Vec<List>) -> Sources {
    Sources { lists, ..Sources::default() }
}

fn list(layer: Layer, entries: &[(&str, &str, &str)]) -> List {
    let entry = |(prefix, tag, region): &(&str, &str, &str)| Entry {
        prefix: prefix.parse().unwrap(),
        tag: (*tag).into(),
        service: Some(Name::from(*tag)),
        region: Some(Name::from(*region)).filter(|region| !region.is_empty()),
        origin_asn: None,
    };
    List { layer, version: None, entries: entries.iter().map(entry).collect() }
}

#[track_caller]
fn check(lists: Vec<List>, address: &str, expected: Option<(&str, Option<&str>)>) {
    let found = Table::build(&only(lists)).find(address.parse().unwrap());
    assert_eq!(found.service.as_deref().map(|service| (service, found.region.as_deref())), expected, "{address}");
}

#[test]
fn the_first_layer_that_has_the_address_decides() {
    let layers = || {
        vec![
            list(Layer::ServiceTags, &[("40.96.0.0/24", "AzureX", "")]),
            list(Layer::Microsoft365, &[("40.96.0.0/13", "Exchange", "")]),
            list(Layer::Own, &[("40.97.0.0/16", "Ours", "here")]),
        ]
    };
    check(layers(), "40.96.0.1", Some(("Exchange", None)));
    check(layers(), "40.97.1.1", Some(("Ours", Some("here"))));
    check(layers(), "40.104.0.0", None);
}

#[test]
fn ties_are_broken_in_order() {
    let tie = |entries: &[(&str, &str, &str)]| vec![list(Layer::ServiceTags, entries)];
    // The longest prefix, a regional before a global one, the smaller tag, the name.
    check(tie(&[("20.0.0.0/8", "Big", "r"), ("20.1.0.0/16", "Long", "")]), "20.1.0.1", Some(("Long", None)));
    check(
        tie(&[("20.1.0.0/16", "A", ""), ("20.1.0.0/16", "B", "r"), ("9.0.0.0/8", "B", "r")]),
        "20.1.0.1",
        Some(("B", Some("r"))),
    );
    check(tie(&[("20.1.0.0/16", "A", ""), ("9.0.0.0/8", "A", ""), ("20.1.0.0/16", "B", "")]), "20.1.0.1", Some(("B", None)));
    check(tie(&[("20.1.0.0/16", "B", ""), ("20.1.0.0/16", "A", "")]), "20.1.0.1", Some(("A", None)));
}

#[test]
fn ipv6_to_the_last_bit() {
    let lists = || {
        vec![list(
            Layer::ServiceTags,
            &[("2603:1000::/25", "Wide", ""), ("2603:1000::7/128", "Host", ""), ("2603:1000::8/125", "Few", "")],
        )]
    };
    for (address, service) in [
        ("2603:1000::7", "Host"),
        ("2603:1000::6", "Wide"),
        ("2603:1000::8", "Few"),
        ("2603:1000::f", "Few"),
        ("2603:1000::10", "Wide"),
    ] {
        check(lists(), address, Some((service, None)));
    }
    check(lists(), "2603:1080::", None);
    check(lists(), "2603:fff::ffff", None);
}

#[test]
fn origin_and_customers_are_found_beside_the_tag() {
    let mut sources = only(vec![
        sources::as_prefixes("as8075", "20.0.0.0/8", 8075, None).unwrap(),
        sources::as_prefixes("as64500", "198.51.100.0/24", 64500, None).unwrap(),
        list(Layer::ServiceTags, &[("20.1.0.0/16", "AzureStorage", "westeurope")]),
    ]);
    sources.own = sources::own_prefixes("own", "198.51.100.0/25 AS64501 Some Customer # since 2020\n203.0.113.0/24").unwrap();
    let table = Arc::new(Table::build(&sources));
    let found = table.find("20.1.2.3".parse().unwrap());
    assert_eq!((found.origin_asn, found.source.as_deref()), (Some(8075), Some("service_tags")));
    let customer = table.place("198.51.100.1".parse().unwrap());
    assert!(!customer.tag.is_microsoft());
    assert_eq!(customer.origin_asn, Some(64500));
    let own = customer.own.as_ref().unwrap();
    assert_eq!((own.name.as_deref(), own.asn), (Some("Some Customer"), Some(64501)));

    // Beyond the lists the exporter's AS decides.
    let address = |text: &str| text.parse::<Address>().unwrap();
    let record = |source: &str, source_asn| Record {
        source: address(source),
        destination: address("203.0.113.9"),
        source_asn,
        ..Record::default()
    };
    let records = [record("192.0.2.1", 8075), record("192.0.2.1", 64999), record("198.51.100.1", 8075), record("20.1.0.0", 1)];
    let mut out = Vec::new();
    Attributor::new(table.clone()).attribute(&records, &mut out);
    let is_microsoft: Vec<bool> = out.iter().map(|attribution| attribution.source.tag.is_microsoft()).collect();
    assert_eq!(is_microsoft, [true, false, false, true]);
    assert_eq!(&*table.names().tags[out[0].source.tag.0 as usize].source, "exporter_as");
    assert_eq!((out[2].source.asn, out[3].source.asn), (64500, 8075));
}

#[test]
fn wrong_lists_are_told_by_file_and_line() {
    let sentence = |error: Result<List, sources::SourceError>| error.unwrap_err().to_string();
    let wrong = sources::as_prefixes("as.txt", "# list\n20.0.0.0/8\n20.0.0.0/99\n", 8075, None);
    assert_eq!(sentence(wrong), "as.txt:3: \"20.0.0.0/99\" is not an IP prefix such as 192.0.2.0/24 or 2001:db8::/32");
    assert_eq!(
        sentence(sources::own_microsoft("m.txt", "20.0.0.0/8", None)),
        "m.txt:1: a service is missing; write PREFIX SERVICE [REGION]"
    );
    assert_eq!(sentence(sources::as_prefixes("e.txt", "# nothing\n", 1, None)), "e.txt: it holds no prefix");
    for text in ["", "{}", "[1]", "{\"changeNumber\": 1, \"values\": [{\"name\": \"x\"}]}"] {
        assert!(sources::service_tags("tags.json", text).unwrap_err().to_string().contains("this is not a service tags file"));
    }
}

#[test]
fn endpoints_as_json_and_as_text() {
    let json = r#"[{"id":1,"serviceArea":"Exchange","ips":["13.107.6.152/31"]},{"id":2,"serviceArea":"Common","urls":["x"]}]"#;
    let from_json = sources::microsoft_365("endpoints.json", json, Some("2026070100")).unwrap();
    let from_text = sources::microsoft_365("m365/Worldwide_Exchange_ipv4.txt", "13.107.6.152/31\n", Some("2026070100")).unwrap();
    assert_eq!(from_json, from_text);
}

#[test]
fn two_versions_compared() {
    let table = |entries: &[(&str, &str, &str)]| Table::build(&only(vec![list(Layer::ServiceTags, entries)]));
    let before = table(&[("20.1.0.0/16", "A", ""), ("20.2.0.0/16", "B", "")]);
    let after = table(&[("20.2.0.0/16", "B", "r"), ("20.3.0.0/16", "C", "")]);
    let changes: Vec<(String, &str)> =
        compare(&before, &after).into_iter().map(|change| (change.prefix.to_string(), change.change)).collect();
    assert_eq!(changes, [("20.1.0.0/16".into(), "removed"), ("20.2.0.0/16".into(), "moved"), ("20.3.0.0/16".into(), "added")]);
}

/// The rule once more, written differently: of all candidates for an address the best by one key.
fn slow(
    lists: &[List],
    candidates: &[(usize, usize)],
    sizes: &std::collections::BTreeMap<(Layer, Name), u128>,
) -> Option<(Name, Option<Name>, Prefix)> {
    let best = candidates.iter().min_by_key(|(list, entry)| {
        let (layer, entry) = (lists[*list].layer, &lists[*list].entries[*entry]);
        (
            layer,
            std::cmp::Reverse(entry.prefix.length()),
            entry.region.is_none(),
            sizes[&(layer, entry.tag.clone())],
            entry.tag.clone(),
        )
    });
    best.map(|(list, entry)| &lists[*list].entries[*entry])
        .map(|entry| (entry.service.clone().unwrap(), entry.region.clone(), entry.prefix))
}

fn sizes_of(lists: &[List]) -> std::collections::BTreeMap<(Layer, Name), u128> {
    let mut sizes = std::collections::BTreeMap::new();
    for list in lists {
        for entry in &list.entries {
            let host_bits = if entry.prefix.is_v4() { 32 } else { 128 } - u32::from(entry.prefix.length());
            *sizes.entry((list.layer, entry.tag.clone())).or_insert(0) += 1u128 << host_bits;
        }
    }
    sizes
}

#[test]
fn all_prefixes_of_both_service_tag_files_answer_by_the_rule() {
    for file in ["azure/ServiceTags_Public_20251008.json", "azure/ServiceTags_Public_20251110.json"] {
        let Some((name, text)) = shared(file) else { return };
        let lists = sources::service_tags(&name, &text).unwrap().to_vec();
        let sizes = sizes_of(&lists);
        let mut by_prefix: std::collections::HashMap<Prefix, Vec<(usize, usize)>> = std::collections::HashMap::new();
        for (l, list) in lists.iter().enumerate() {
            for (e, entry) in list.entries.iter().enumerate() {
                by_prefix.entry(entry.prefix).or_default().push((l, e));
            }
        }
        let table = Table::build(&only(lists.clone()));
        let mut checked = 0;
        for prefix in by_prefix.keys() {
            for address in [prefix.first(), prefix.last()] {
                // Every list entry that holds the address is at one of its own prefixes of each length.
                let lengths = 0..=if address.is_v4() { 32 } else { 128 };
                let candidates: Vec<(usize, usize)> = lengths
                    .filter_map(|length| by_prefix.get(&Prefix::new(address, length).unwrap()))
                    .flatten()
                    .copied()
                    .collect();
                let Found { service, region, prefix, .. } = table.find(address);
                let expected = slow(&lists, &candidates, &sizes).unwrap();
                assert_eq!(
                    (service.as_deref(), region.as_deref(), prefix),
                    (Some(&*expected.0), expected.1.as_deref(), Some(expected.2)),
                    "{address}"
                );
                checked += 1;
            }
        }
        assert!(checked > 100_000, "{checked}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn flattened_tables_equal_the_rule(
        entries in proptest::collection::vec((any::<bool>(), 0u32..64, 20u8..=32, 0usize..3, 0usize..4, any::<bool>()), 1..40),
        probes in proptest::collection::vec((any::<bool>(), 0u32..(64 << 6)), 1..60),
    ) {
        let layers = [Layer::Own, Layer::ServiceTags, Layer::AzureCloud];
        let names = ["a", "b", "c", "d"];
        let place = |is_v4: bool, bits: u32| {
            if is_v4 { Address::from_v4_bits(0x1400_0000 | bits) } else { Address::from_bits(0x2603_1000_u128 << 96 | u128::from(bits)) }
        };
        let mut lists: Vec<List> = layers.iter().map(|layer| List { layer: *layer, version: None, entries: Vec::new() }).collect();
        for (is_v4, block, length, layer, name, is_regional) in entries {
            let length = if is_v4 { length } else { 96 + length };
            let prefix = Prefix::new(place(is_v4, block << 6), length).unwrap();
            let name = Name::from(names[name]);
            let region = is_regional.then(|| Name::from("r"));
            lists[layer].entries.push(Entry { prefix, tag: name.clone(), service: Some(name), region, origin_asn: None });
        }
        let sizes = sizes_of(&lists);
        let table = Table::build(&only(lists.clone()));
        for (is_v4, bits) in probes {
            let address = place(is_v4, bits);
            let holds = |(l, list): (usize, &List)| {
                let within: Vec<(usize, usize)> = list.entries.iter().enumerate().filter(|(_, e)| e.prefix.contains(address)).map(|(e, _)| (l, e)).collect();
                within
            };
            let candidates: Vec<(usize, usize)> = lists.iter().enumerate().flat_map(holds).collect();
            let found = table.find(address);
            let expected = slow(&lists, &candidates, &sizes);
            prop_assert_eq!(found.service.as_deref(), expected.as_ref().map(|(service, ..)| &**service));
            prop_assert_eq!(found.region.as_deref(), expected.as_ref().and_then(|(_, region, _)| region.as_deref()));
        }
    }
}
