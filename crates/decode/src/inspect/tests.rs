//! Datagrams by hand, and the lines that they become.

use proptest::prelude::*;

use super::*;

const SOURCE: &str = "192.0.2.1:2055";

fn inspect(inspector: &mut Inspector, payload: &[u8]) -> Node {
    inspector.datagram(1_700_000_000_000_000, SOURCE.parse().unwrap(), payload)
}

/// The value of the first field of that name.
#[track_caller]
fn value_of(node: &Node, name: &str) -> String {
    match node.find(name) {
        Some(Node::Field(_, value)) => value.to_string(),
        other => panic!("{name} is {other:?} in\n{node}"),
    }
}

fn ipfix(sequence: u32, sets: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (id, set) in sets {
        content.extend(id.to_be_bytes());
        content.extend((set.len() as u16 + 4).to_be_bytes());
        content.extend(set);
    }
    let mut message = vec![0, 10];
    message.extend((content.len() as u16 + 16).to_be_bytes());
    message.extend(1_700_000_000u32.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(7u32.to_be_bytes());
    message.extend(content);
    message
}

/// Template 256: source, an enterprise element, octets, a name of variable length.
fn template() -> Vec<u8> {
    [[1, 0, 0, 4], [0, 8, 0, 4], [0x80, 137, 0, 4], [0, 0, 10, 76], [0, 1, 0, 8], [0, 82, 0xff, 0xff]].concat()
}

#[test]
fn a_template_names_the_fields_of_later_records() {
    let mut inspector = Inspector::new();
    let record = [vec![192, 0, 2, 9], vec![0, 0, 0, 3], vec![0, 0, 0, 0, 0, 0, 5, 220], vec![4], b"xe-0".to_vec()].concat();
    let before = inspect(&mut inspector, &ipfix(1, &[(256, record.clone())]));
    assert_eq!(value_of(&before, "error"), "no template 256 of domain 7 has come");

    let both = inspect(&mut inspector, &ipfix(1, &[(2, template()), (256, [record, vec![0; 3]].concat())]));
    assert_eq!(value_of(&both, "exportTime"), "2023-11-14T22:13:20.000000Z");
    let record = both.find("record").unwrap();
    for (name, expected) in
        [("sourceIPv4Address", "192.0.2.9"), ("commonPropertiesId", "3"), ("octetDeltaCount", "1500"), ("interfaceName", "xe-0")]
    {
        assert_eq!(value_of(record, name), expected);
    }
    assert_eq!(value_of(&both, "padding"), "3");
    // Another exporter's templates are its own.
    let other = inspector.datagram(0, "192.0.2.2:2055".parse().unwrap(), &ipfix(1, &[(256, vec![0; 24])]));
    assert!(other.find("error").is_some());
}

#[test]
fn version_5_is_read_by_its_form() {
    let mut payload = vec![0, 5, 0, 2];
    payload.extend([0; 18]);
    payload.extend([0x40, 0x64]);
    payload.extend([10, 0, 0, 1]);
    payload.extend([0; 44]);
    let node = inspect(&mut Inspector::new(), &payload);
    assert_eq!(value_of(&node, "samplingModeAndInterval"), "0x4064");
    assert_eq!(value_of(&node, "sourceIPv4Address"), "10.0.0.1");
    assert_eq!(value_of(&node, "error"), "the header says 2 records, 1 fit");
}

#[test]
fn version_9_options_have_scopes() {
    let mut payload = vec![0, 9, 0, 2];
    payload.extend([0; 12]);
    payload.extend([0, 0, 0, 4]);
    // Options template 257: scope interface, then samplingInterval; padded.
    payload.extend([0, 1, 0, 20, 1, 1, 0, 4, 0, 4, 0, 2, 0, 4, 0, 34, 0, 4, 0, 0]);
    payload.extend([1, 1, 0, 12, 0, 0, 0, 5, 0, 0, 3, 0xe8]);
    let node = inspect(&mut Inspector::new(), &payload);
    let record = node.find("options record").unwrap();
    assert_eq!(value_of(record, "scope interface"), "0x00000005 (5)");
    assert_eq!(value_of(record, "samplingInterval"), "1000");
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    for (payload, expected) in [
        (vec![0, 3, 1, 2], "no known version: 0x00030102"),
        (vec![], "no known version: 0x"),
        (vec![0, 5, 0, 1], "cut off before sysUptime"),
        (vec![0, 10, 0, 99, 0], "the message says 99 bytes, 5 are there"),
        (ipfix(1, &[(2, vec![1, 0, 0, 9, 0, 1, 0, 4])]), "template 256 is cut off"),
        (ipfix(1, &[(9, vec![])]), "reserved set id"),
        (ipfix(1, &[(2, vec![1, 0, 0, 0])]), "no record can be read by it: no field, no length, or too many fields"),
        (vec![0, 0, 0, 5, 0, 0, 0, 1], "the header is cut off, or the agent has no IPv4 or IPv6 address"),
    ] {
        assert_eq!(value_of(&inspect(&mut Inspector::new(), &payload), "error"), expected);
    }
}

#[test]
fn samples_are_read_to_the_packet() {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let mut header = vec![2; 12];
    header.extend([0x81, 0, 0, 42, 8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2]);
    header.extend([1, 187, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
    header.resize(60, 0);
    let gateway = words(&[1, 0xc000_0201, 64_500, 0, 0, 2, 2, 2, 64_501, 8_075, 1, 2, 1, 2, 0, 100]);
    let mut sample = words(&[1, 7, 1_000, 5_000, 0, 7, 0x4000_0101, 2, 1, 76, 1, 64, 4, 60]);
    sample.extend(&header);
    sample.extend(words(&[1_003, gateway.len() as u32]));
    sample.extend(gateway);
    let mut payload = words(&[5, 1, 0xc000_0209, 0, 1, 1, 1, 1, sample.len() as u32]);
    payload.extend(sample);
    let node = inspect(&mut Inspector::new(), &payload);
    for (name, expected) in [
        ("agent", "192.0.2.9"),
        ("sampling_rate", "1000"),
        ("output", "dropped, reason 257"),
        ("vlan", "42"),
        ("tcp_flags", "0x2"),
        ("ip_bytes", "40"),
        ("as_path", "64501 8075 {1 2}"),
        ("local_preference", "100"),
    ] {
        assert_eq!(value_of(&node, name), expected);
    }
    assert!(node.find("error").is_none(), "{node}");
}

proptest! {
    /// Any datagrams are walked without a panic, and no more comes out than a few nodes a byte.
    #[test]
    fn any_bytes_are_walked(
        version in prop::sample::select(vec![vec![0u8, 5], vec![0, 7], vec![0, 9], vec![0, 10], vec![0, 0, 0, 5]]),
        payloads in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(4), any::<u8>()], 0..120), 1..4),
    ) {
        let mut inspector = Inspector::new();
        for payload in payloads {
            let payload = [version.clone(), payload].concat();
            let node = inspect(&mut inspector, &payload);
            prop_assert!(count(&node) <= 40 + 8 * payload.len());
        }
    }
}

fn count(node: &Node) -> usize {
    match node {
        Node::Group(_, items) => 1 + items.iter().map(count).sum::<usize>(),
        Node::Field(..) => 1,
    }
}
