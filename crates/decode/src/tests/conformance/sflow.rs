//! sFlow version 5: who an agent is, and what is no traffic; samples and records are tested beside their code.

use model::ledger::{DatagramRefusal, SetSkip};
use model::{Metering, SamplingOrigin};

use super::*;

/// The headers of a flow sample: source id, rate, pool, drops, input, output.
type Head = [u32; 6];

/// A flow sample of an IPv4 packet of 1,000 bytes.
fn sample(sequence: u32, head: Head) -> Vec<u8> {
    let ip = words(&[1_000, 6, 0xc000_020a, 0x1421_0001, 443, 50_000, 0x12, 0]);
    let record = [words(&[3, ip.len() as u32]), ip].concat();
    let header = [words(&[sequence]), words(&head), words(&[1])].concat();
    [words(&[1, (header.len() + record.len()) as u32]), header, record].concat()
}

/// A datagram of an agent and sub-agent.
fn datagram(agent: u32, sub_agent: u32, sequence: u32, samples: &[Vec<u8>]) -> Vec<u8> {
    let header = words(&[5, 1, agent, sub_agent, sequence, 60_000 + sequence, samples.len() as u32]);
    [header, samples.concat()].concat()
}

const HEAD: Head = [7, 1_000, 50_000, 0, 7, 9];
const AGENT: u32 = 0xc633_6409;

#[test]
fn the_agent_is_the_exporter_whatever_address_its_datagrams_come_from() {
    let mut collector = Collector::new();
    for (sequence, source) in ["192.0.2.1:6343", "192.0.2.2:6343", "203.0.113.5:40000"].into_iter().enumerate() {
        let records = collector.take_from(source, &datagram(AGENT, 0, sequence as u32, &[sample(sequence as u32, HEAD)]));
        assert_eq!(records[0].exporter, model::ExporterId(0), "{source}");
    }
    let address = "198.51.100.9".parse().unwrap();
    assert_eq!(collector.facts, [Fact::Exporter { exporter: model::ExporterId(0), address }]);
    assert_eq!(collector.lost(), (Some(0), Some(0)));
    // Sub-agents number by themselves; another agent behind the same address is another exporter.
    collector.take(&datagram(AGENT, 1, 900, &[sample(70, HEAD)]));
    let records = collector.take(&datagram(AGENT + 1, 0, 5_000, &[sample(9, HEAD)]));
    assert_eq!(records[0].exporter, model::ExporterId(1));
    assert_eq!(collector.lost(), (Some(0), Some(0)));
}

#[test]
fn samples_have_their_own_rate_interfaces_and_side() {
    for (head, input, output, metering) in [
        (HEAD, 7, 9, Metering::Ingress),
        ([9, 1_000, 1, 0, 7, 9], 7, 9, Metering::Egress),
        // A host that knows one side only.
        ([7, 1_000, 1, 0, 7, 0x3fff_ffff], 7, 0, Metering::Ingress),
        ([7, 1_000, 1, 0, 0, 7], 0, 7, Metering::Egress),
        ([7, 1_000, 1, 0, 0, 0], 0, 0, Metering::Unstated),
    ] {
        let records = Collector::new().take(&datagram(AGENT, 0, 1, &[sample(1, head)]));
        let found = &records[0];
        assert_eq!((found.input, found.output, found.metering), (input, output, metering), "{head:?}");
        assert_eq!((found.sampling.population, found.sampling.origin), (1_000, SamplingOrigin::Record));
        assert_eq!((found.bytes, found.packets, found.start_us, found.end_us), (1_000, 1, NOW_US, NOW_US));
    }
    let unknown = Collector::new().take(&datagram(AGENT, 0, 1, &[sample(1, [7, 0, 1, 0, 7, 9])]));
    assert!(!unknown[0].sampling.is_known());
}

#[test]
fn an_agent_that_starts_over_is_no_loss_and_its_pool_none_either() {
    let mut collector = Collector::new();
    for (sequence, pool, drops) in [(500, 4_000_000_000, 90), (501, 4_000_001_000, 92)] {
        collector.take(&datagram(AGENT, 0, sequence, &[sample(sequence, [7, 1_000, pool, drops, 7, 9])]));
    }
    assert_eq!(collector.counted("agent_drops"), 2);
    let mut anew = datagram(AGENT, 0, 1, &[sample(1, [7, 1_000, 10, 0, 7, 9])]);
    // It has been up for a second.
    anew[20..24].copy_from_slice(&words(&[1_000]));
    collector.now_us += 90 * SECOND_US;
    let mut before = datagram(AGENT, 0, 502, &[]);
    before[20..24].copy_from_slice(&words(&[900_000]));
    collector.take(&before);
    assert_eq!(collector.take(&anew).len(), 1);
    assert_eq!(collector.lost(), (Some(0), Some(0)));
    assert_eq!(collector.counted("agent_drops"), 2);
    assert_eq!(collector.health.iter().map(|health| health.restarts).sum::<u64>(), 1);
}

#[test]
fn all_kinds_of_samples_share_a_datagram() {
    let compact = sample(1, HEAD);
    let body = &compact[40..];
    let expanded =
        [words(&[3, 44 + body.len() as u32]), words(&[2, 0, 7, 1_000, 60_000, 0, 0, 7, 0, 9, 1]), body.to_vec()].concat();
    let counters = [words(&[2, 12]), words(&[1, 7, 0])].concat();
    let expanded_counters = [words(&[4, 16]), words(&[1, 0, 7, 0])].concat();
    let discarded = [words(&[5, 32]), words(&[1, 0, 7, 0, 7, 9, 256, 0])].concat();
    let unknown = [words(&[9 << 12 | 1, 8]), words(&[1, 2])].concat();
    let mut collector = Collector::new();
    let samples = [compact.clone(), expanded, counters, expanded_counters, discarded, unknown, sample(3, HEAD)];
    assert_eq!(collector.take(&datagram(AGENT, 0, 1, &samples)).len(), 3);
    let ledger = collector.decoder.ledger();
    assert_eq!((ledger.sets_decoded, ledger.sets_skipped(SetSkip::UnknownFormat), ledger.records), (6, 1, 3));
    assert_eq!(collector.lost(), (Some(0), Some(0)));
}

#[test]
fn layers_of_a_sampled_frame_are_walked_as_far_as_it_is_set() {
    let ip = [&[0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0][..], &words(&[0xc000_020a, 0x1421_0001]), &[0; 20]].concat();
    let frame = [&[2; 12][..], &[0x81, 0, 0, 1].repeat(4), &[8, 0], &ip].concat();
    let header =
        [words(&[1, 4 + frame.len() as u32, 4, frame.len() as u32]), frame.clone(), vec![0; frame.len().wrapping_neg() % 4]]
            .concat();
    let record = [words(&[1, header.len() as u32]), header].concat();
    let sample = [words(&[1, 7, 1_000, 1, 0, 7, 9, 1]), record].concat();
    let sample = [words(&[1, sample.len() as u32]), sample].concat();
    for (header_layers, records, too_deep) in [(8, 1, 0), (3, 0, 1)] {
        let mut collector = Collector::with(DecodeSettings { header_layers, ..DecodeSettings::default() }, Vec::new());
        assert_eq!(collector.take(&datagram(AGENT, 0, 1, std::slice::from_ref(&sample))).len(), records);
        assert_eq!(collector.counted("header_too_deep"), too_deep);
    }
}

#[test]
fn an_agent_without_an_address_and_other_versions_are_refused() {
    let mut collector = Collector::new();
    let mut nameless = datagram(AGENT, 0, 1, &[]);
    nameless[4..8].copy_from_slice(&words(&[3]));
    collector.take(&nameless);
    let mut version_4 = datagram(AGENT, 0, 1, &[]);
    version_4[3] = 4;
    collector.take(&version_4);
    assert_eq!(collector.decoder.ledger().datagrams_refused(DatagramRefusal::Truncated), 1);
    assert_eq!(collector.decoder.ledger().datagrams_refused(DatagramRefusal::BadVersion), 1);
}
