//! Floods: spoofed sources, templates, domains, interfaces, redefinitions. They stay within bounds, are
//! counted, and take nothing from an exporter that is configured.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use cli::pipeline::{Shared, Worker};
use measure::{MeasureSettings, Owner};
use model::ledger::DatagramRefusal;
use model::{Publication, Rows};
use peering::{Inventory, PeeringConfig};

/// Rounds, and datagrams of the flood in each; one of the known exporter comes after them.
const ROUNDS: u32 = 200;
const FLOOD: u32 = 200;
/// Records and bytes of each of the known exporter's datagrams.
const RECORDS: u32 = 10;
pub(crate) const BYTES: u32 = 1_000;
/// What all of it may occupy, bytes: as much as the limits allow by default, ten thousand exporters among them.
const MEMORY_MOST: u64 = 320 << 20;

const FIELDS: [(u16, u16); 8] = [(8, 4), (12, 4), (1, 4), (2, 4), (10, 4), (14, 4), (22, 4), (21, 4)];
pub(crate) const EXPORTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

pub(crate) fn shared() -> Shared {
    let config: PeeringConfig = toml::from_str(
        "[[exporter]]\nname = \"r1\"\naddress = \"192.0.2.1\"\nsampling = 1\n\
         [[port]]\nname = \"port\"\nexporter = \"r1\"\ninterfaces = [4]\n\
         [[connection]]\nname = \"known\"\nrole = \"direct\"\nport = \"port\"\n",
    )
    .unwrap();
    Shared {
        allowed: Arc::default(),
        decode: decode::DecodeSettings::default(),
        sampling_rules: Vec::new(),
        latency_elements: Default::default(),
        table: Arc::new(attribute::Table::build(&attribute::sources::Sources::default())),
        inventory: Arc::new(Inventory::build(&config, &[], &[]).unwrap()),
        measure: MeasureSettings::default(),
        judging: Default::default(),
        keeps_flows: false,
    }
}

/// A NetFlow version 9 datagram: a template, if it is given, with so many fields that nothing is read from, and records.
///
/// The exporter's clock shows `seconds`, and the flows end then.
pub(crate) fn datagram(
    seconds: u32,
    (sequence, domain): (u32, u32),
    template: Option<(u16, usize)>,
    records: u32,
    input: u32,
) -> Vec<u8> {
    let mut sets = Vec::new();
    if let Some((id, filler)) = template {
        let fields = FIELDS.into_iter().chain((0..filler as u16).map(|place| (30_000 + place, 1)));
        let fields: Vec<u8> =
            fields.flat_map(|(element, length)| [element.to_be_bytes(), length.to_be_bytes()].concat()).collect();
        let count = (fields.len() / 4) as u16;
        sets.extend([0_u16, 8 + fields.len() as u16, id, count].iter().flat_map(|half| half.to_be_bytes()));
        sets.extend(fields);
    }
    let id = template.map_or(256, |(id, _)| id);
    let filler = template.map_or(0, |(_, filler)| filler);
    sets.extend([id, 4 + (32 + filler as u16) * records as u16].iter().flat_map(|half| half.to_be_bytes()));
    for record in 0..records {
        let source = Ipv4Addr::new(203, 0, 113, record as u8).to_bits() ^ sequence << 8;
        let microsoft = Ipv4Addr::new(40, 96, 1, 1).to_bits();
        let words = [source, microsoft, BYTES, 10, input, if input == 0 { 4 } else { input + record }, 60_000, 60_000];
        sets.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        sets.extend(vec![1; filler]);
    }
    let mut payload: Vec<u8> = [9_u16, 1].iter().flat_map(|half| half.to_be_bytes()).collect();
    payload.extend([60_000, seconds, sequence, domain].iter().flat_map(|word| word.to_be_bytes()));
    payload.extend(sets);
    payload
}

pub(crate) const SECONDS: u32 = 1_793_577_600;

/// Bytes counted on the link `known` in what was published.
pub(crate) fn known_bytes(published: &[Publication]) -> f64 {
    let mut windows = std::collections::BTreeMap::new();
    for publication in published {
        if let Rows::Links(rows) = &publication.rows {
            let known = rows.iter().filter(|row| &*row.connection == "known" && &*row.direction == "to_microsoft");
            windows.insert(publication.window_start_us, known.map(|row| row.exported_bps * 60.0 / 8.0).sum::<f64>());
        }
    }
    windows.values().sum()
}

#[test]
fn a_flood_takes_nothing_from_a_known_exporter() {
    let shared = shared();
    let mut worker = Worker::new(&shared);
    let mut owner = Owner::new(shared.measure.clone());
    let mut published = Vec::new();
    let memory = allocation_counter::measure(|| {
        for round in 0..ROUNDS {
            let now_us = i64::from(SECONDS) * 1_000_000 + i64::from(round) * 100_000;
            for place in 0..FLOOD {
                let number = round * FLOOD + place;
                let source = SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)), 9_995);
                // Its own domain, a template as large as may be, data over interfaces that nobody has; then another.
                worker.datagram(now_us, source, &datagram(SECONDS, (0, number), Some((256, 200)), 5, 1_000 + number * 8));
                worker.datagram(now_us, source, &datagram(SECONDS, (1, number), Some((256, 199)), 5, 1_000 + number * 8));
                worker.datagram(now_us, source, &datagram(SECONDS, (2, number + 1), None, 5, 0));
            }
            let template = (round % 20 == 0).then_some((256, 0));
            worker.datagram(now_us, SocketAddr::from((EXPORTER, 2_055)), &datagram(SECONDS, (round, 7), template, RECORDS, 0));
            owner.merge(0, worker.take(now_us, 0), now_us);
            published.extend(owner.advance(now_us));
        }
        published.extend(owner.finish(i64::from(SECONDS) * 1_000_000 + 3_600_000_000));
    });
    let ledger = worker.ledger();
    assert_eq!(ledger.datagrams_received, u64::from(ROUNDS * (FLOOD * 3 + 1)));
    assert_eq!(ledger.datagrams_received, ledger.datagrams_accepted + ledger.datagrams_refused_total());
    assert_eq!(ledger.sets_seen, ledger.sets_decoded + ledger.sets_skipped_total() + ledger.sets_held);
    let refused = |reason| ledger.datagrams_refused(reason);
    assert!(refused(DatagramRefusal::TooManyExporters) > 0, "{ledger:?}");
    // 10 packets of 18 bytes more on the link layer.
    let expected = f64::from(ROUNDS * RECORDS * (BYTES + 180));
    assert!((known_bytes(&published) - expected).abs() < 1e-3, "{} of {expected}", known_bytes(&published));
    assert!(memory.bytes_max < MEMORY_MOST, "{} bytes", memory.bytes_max);
}
