//! Any bytes may come over the wire: nothing panics, the balances hold, the work stays in proportion
//! to the bytes, and so does the memory.

use std::net::SocketAddr;

use model::Batch;
use proptest::prelude::*;

use super::wire::{halves, ipfix, set, template, version_9, words};
use crate::{DecodeSettings, Decoder, steps};

/// Steps that a byte may cost.
const STEPS_PER_BYTE: usize = 8;
/// Steps that a datagram may cost whatever its length.
const STEPS_PER_DATAGRAM: usize = 16;
/// Bytes that a datagram may occupy, beside the batch, which is used again and again.
const BYTES_PER_DATAGRAM: u64 = 1 << 20;

const VARIABLE: u16 = u16::MAX;

/// Feeds datagrams to a new decoder; checks the balances after each, and the steps at the end.
#[track_caller]
fn feed(datagrams: &[Vec<u8>]) -> Decoder {
    let mut decoder = Decoder::new(DecodeSettings::default(), Vec::new());
    let mut batch = Batch::default();
    // A biflow counts double, and the last record of a datagram may be one.
    batch.records.reserve(DecodeSettings::default().records_per_datagram + 1);
    let source: SocketAddr = "192.0.2.1:50000".parse().unwrap();
    let (mut bytes, mut records) = (0, 0);
    steps::start();
    for (second, datagram) in (1_772_445_600..).zip(datagrams) {
        batch.clear();
        let memory = allocation_counter::measure(|| decoder.datagram(second * 1_000_000, source, datagram, &mut batch));
        assert!(memory.bytes_max <= BYTES_PER_DATAGRAM, "{} bytes for {}", memory.bytes_max, datagram.len());
        bytes += datagram.len();
        records += batch.records.iter().filter(|record| !record.is_reverse).count() as u64;
        let ledger = decoder.ledger();
        assert_eq!(ledger.datagrams_received, ledger.datagrams_accepted + ledger.datagrams_refused_total());
        assert_eq!(ledger.sets_seen, ledger.sets_decoded + ledger.sets_skipped_total() + ledger.sets_held);
        assert_eq!(ledger.records, records + ledger.records_refused_total());
    }
    let most = STEPS_PER_BYTE * bytes + STEPS_PER_DATAGRAM * datagrams.len();
    assert!(steps::taken() <= most, "{} steps for {bytes} bytes in {} datagrams", steps::taken(), datagrams.len());
    decoder
}

/// A name and datagrams.
type Killer = (&'static str, Vec<Vec<u8>>);

/// Datagrams that make much of little: more records than a datagram may have, zeros looked through again and again.
fn amplifiers() -> Vec<Killer> {
    vec![
        (
            "messages with thousands of records each",
            vec![
                ipfix(0, &[set(2, &template(256, &[(8, 1), (4, 1)])), set(2, &template(257, &[(8, 4)]))]),
                ipfix(0, &[set(257, &[1; 8_000])]).repeat(8),
            ],
        ),
        (
            "thousands of records that waited for a template",
            (0..60)
                .map(|sequence| ipfix(sequence, &[set(256, &vec![1; 60_000])]))
                .chain([ipfix(60, &[set(2, &template(256, &[(8, 4)]))])])
                .chain((61..70).map(|sequence| ipfix(sequence, &[set(256, &[1; 8])])))
                .collect(),
        ),
        (
            "biflows of a few bytes",
            vec![ipfix(0, &[set(2, &template(256, &[(8, 4), (231, 1), (232, 1)])), set(256, &[1; 60_000])])],
        ),
        (
            "zeros before a last byte",
            vec![ipfix(0, &[set(2, &template(256, &[(4, 1)])), set(256, &[vec![0; 60_000], vec![1]].concat())])],
        ),
        ("withdrawals of 0 before a last byte", vec![ipfix(0, &[set(2, &[vec![0; 60_000], vec![1; 4]].concat())])]),
    ]
}

/// Small datagrams that have brought collectors down: records without bytes, lists without end.
fn killers() -> Vec<Killer> {
    let data = |length: usize| set(256, &vec![1; length]);
    let zeros = |count: usize| template(256, &vec![(1, 0); count]);
    let sflow = |tail: &[u32]| [words(&[5, 1, 0xc000_0201, 0, 1, 1]), words(tail)].concat();
    vec![
        ("a template without fields, and data", vec![ipfix(0, &[set(2, &template(256, &[])), data(8)])]),
        ("a field without length", vec![ipfix(0, &[set(2, &zeros(1)), data(4)])]),
        ("hundreds of fields without length", vec![version_9(0, &[set(0, &zeros(250)), data(1_000)])]),
        (
            "fields without length beside one of a byte",
            vec![ipfix(0, &[set(2, &template(256, &[(1, 1), (2, 0), (4, 0)])), data(60_000)])],
        ),
        ("records of a byte", vec![ipfix(0, &[set(2, &template(256, &[(4, 1)])), data(60_000)])]),
        (
            "values that take a length and nothing more",
            vec![ipfix(0, &[set(2, &template(256, &[(82, VARIABLE)])), set(256, &vec![0; 60_000])])],
        ),
        (
            "many of them in a record",
            vec![ipfix(0, &[set(2, &template(256, &[(82, VARIABLE); 250])), set(256, &vec![0; 60_000])])],
        ),
        ("a value longer than its set", vec![ipfix(0, &[set(2, &template(256, &[(82, VARIABLE)])), set(256, &[255, 255, 255])])]),
        ("65,535 fields said, none there", vec![ipfix(0, &[set(2, &halves(&[256, 65_535]))])]),
        ("options of no scope and no field", vec![version_9(0, &[set(1, &halves(&[256, 0, 0])), data(16)])]),
        ("options with more scopes than fields", vec![ipfix(0, &[set(3, &halves(&[256, 1, 9, 1, 4])), data(8)])]),
        ("sets of no content", vec![version_9(0, &[set(256, &[]), set(0, &[]), set(1, &[]), set(300, &[])])]),
        ("a set of length 0", vec![version_9(0, &[halves(&[256, 0, 1, 1])]), ipfix(1, &[halves(&[256, 0, 1, 1])])]),
        ("a set of length 3", vec![version_9(0, &[halves(&[256, 3])]), ipfix(1, &[halves(&[256, 3])])]),
        ("thousands of empty sets", vec![version_9(0, &vec![set(400, &[]); 16_000])]),
        ("thousands of empty messages", vec![ipfix(0, &[]).repeat(4_000)]),
        (
            "thousands of templates",
            vec![ipfix(0, &[set(2, &(256..8_000).flat_map(|id| template(id, &[(1, 4)])).collect::<Vec<_>>())])],
        ),
        (
            "a template defined anew each time",
            (0..500).map(|round| ipfix(round, &[set(2, &template(256, &[(1 + round as u16 % 2, 4)])), data(400)])).collect(),
        ),
        ("an sFlow datagram that says it has four thousand million samples", vec![sflow(&[u32::MAX, 1, 8, 0, 0])]),
        ("a sample with four thousand million records", vec![sflow(&[1, 1, 32, 1, 1, 1, 1, 1, 1, 1, u32::MAX])]),
        ("a sample longer than its datagram", vec![sflow(&[1, 1, u32::MAX, 1])]),
        ("empty samples", vec![sflow(&[&[8_000][..], &[1, 0].repeat(8_000)].concat())]),
        (
            "empty records",
            vec![sflow(&[&[1, 1, 32 + 8 * 4_000, 1, 1, 1, 1, 1, 1, 1, 4_000][..], &[1, 0].repeat(4_000)].concat())],
        ),
        (
            "an AS path of four thousand million",
            vec![sflow(&[1, 1, 76, 1, 1, 1, 1, 1, 1, 1, 1, 1_003, 36, 1, 1, 1, 1, 1, 1, 2, u32::MAX, 7])],
        ),
        ("version 5 with 65,535 records said", vec![[halves(&[5, 65_535]), vec![0; 20], vec![1; 96]].concat()]),
        ("nothing", vec![vec![]]),
        ("versions alone", vec![vec![0], vec![0, 5], vec![0, 7], vec![0, 9], vec![0, 10], vec![0, 0, 0, 5]]),
    ]
}

#[test]
fn killers_are_counted_and_nothing_more() {
    for (name, datagrams) in killers().into_iter().chain(amplifiers()) {
        let decoder = feed(&datagrams);
        assert!(decoder.ledger().datagrams_received > 0, "{name}");
    }
}

#[test]
fn frames_with_layers_without_end_are_walked_a_few_steps() {
    let tags = [0x81, 0, 0, 1].repeat(30);
    let labels = [0, 0, 0, 0].repeat(30);
    let frame = |kind: [u8; 2], content: &[u8]| [&[2; 12][..], &kind, content].concat();
    for frame in [frame([0x81, 0], &tags), frame([0x88, 0x47], &labels), frame([0x86, 0xdd], &[0x60; 120])] {
        let length = frame.len().next_multiple_of(4);
        let mut header = [words(&[1, 1_000, 4, frame.len() as u32]), frame].concat();
        header.resize(16 + length, 0);
        let record = [words(&[1, header.len() as u32]), header].concat();
        let sample = [words(&[7, 1, 100, 100, 0, 1, 2, 1]), record].concat();
        feed(&[[words(&[5, 1, 0xc000_0201, 0, 1, 1, 1, 1, sample.len() as u32]), sample].concat()]);
    }
}

/// Datagrams in which something is right: a version, sets with true lengths, templates with known elements.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let element = prop_oneof![0_u16..400, 0x8000_u16..0x8010, Just(8), Just(12), Just(27), Just(315), Just(313), Just(82)];
    let length = prop_oneof![0_u16..20, Just(VARIABLE), Just(4), Just(16), any::<u16>()];
    let fields = prop::collection::vec((element, length), 0..12);
    let definition = (prop_oneof![250_u16..260, any::<u16>()], fields).prop_map(|(id, fields)| template(id, &fields));
    let definitions = prop::collection::vec(definition, 0..4).prop_map(|definitions| definitions.concat());
    let content =
        prop_oneof![definitions, prop::collection::vec(any::<u8>(), 0..120), (0_usize..200).prop_map(|zeros| vec![0; zeros])];
    let one = (prop_oneof![0_u16..4, 254_u16..260, any::<u16>()], content).prop_map(|(id, content)| set(id, &content));
    let sets = prop::collection::vec(one, 0..6);
    let random = (
        prop::sample::select(vec![vec![0, 5], vec![0, 7], vec![0, 9], vec![0, 10], vec![0, 0, 0, 5]]),
        prop::collection::vec(any::<u8>(), 0..400),
    );
    prop_oneof![
        (any::<u32>(), sets.clone()).prop_map(|(sequence, sets)| ipfix(sequence, &sets)),
        (any::<u32>(), sets).prop_map(|(sequence, sets)| version_9(sequence, &sets)),
        random.prop_map(|(version, rest)| [version, rest].concat()),
        prop::sample::select(killers())
            .prop_map(|(_, datagrams)| datagrams[0].clone())
            .prop_filter("large", |datagram| datagram.len() < 2_000),
    ]
}

/// The same with some bytes changed, or cut off.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    (plausible(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), any::<prop::sample::Index>(), 0..4)
        .prop_map(|(mut datagram, changes, cut, chance)| {
            for (at, byte) in changes {
                if !datagram.is_empty() {
                    let at = at.index(datagram.len());
                    datagram[at] = byte;
                }
            }
            if chance == 0 && !datagram.is_empty() {
                datagram.truncate(cut.index(datagram.len()));
            }
            datagram
        })
}

proptest! {
    #[test]
    fn any_bytes_are_counted(datagram in prop::collection::vec(any::<u8>(), 0..600)) {
        feed(&[datagram]);
    }

    #[test]
    fn any_sequence_of_datagrams_is_counted(datagrams in prop::collection::vec(damaged(), 1..20)) {
        feed(&datagrams);
    }
}

/// Real exports, damaged: what follows a damaged datagram is read by whatever it left behind.
#[test]
fn damaged_captures_are_counted() {
    let Some(folder) = super::captures::shared("captures/pcap") else { return };
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    for path in paths {
        let mut reader = receive::CaptureReader::open(&path).unwrap();
        let mut datagrams = Vec::new();
        while let Some(datagram) = reader.next().unwrap() {
            let mut payload = datagram.payload.to_vec();
            for _ in 0..next(4) {
                let at = next(payload.len().max(1));
                if let Some(byte) = payload.get_mut(at) {
                    *byte ^= 1 << next(8);
                }
            }
            if next(8) == 0 {
                payload.truncate(next(payload.len() + 1));
            }
            datagrams.push(payload);
        }
        feed(&datagrams);
    }
}
