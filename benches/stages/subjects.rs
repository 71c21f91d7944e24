//! What is measured: our stages, and parsers by others.

use std::hint::black_box;

use attribute::Attributor;
use cli::pipeline::{Shared, Worker};
use decode::{DecodeSettings, Decoder};
use measure::{MeasureSettings, Owner};
use model::{Attribution, Batch};
use netflow_parser::scoped_parser::AutoScopedParser;
use simulate::scenario::WireProtocol;

use crate::input::Round;

/// Something that takes in the datagrams of a round.
pub(crate) trait Subject {
    fn name(&self) -> &'static str;
    fn run(&mut self, round: &Round);
}

/// The subjects of a protocol, the peer last.
pub(crate) fn all(protocol: WireProtocol, shared: &Shared) -> Vec<Box<dyn Subject>> {
    let peer: Box<dyn Subject> = match protocol {
        WireProtocol::Sflow => Box::new(SflowParser),
        _ => Box::new(NetflowParser { parser: AutoScopedParser::new() }),
    };
    vec![
        Box::new(Decoding { decoder: Decoder::new(DecodeSettings::default(), Vec::new()), batch: Batch::default() }),
        Box::new(Attributing {
            decoder: Decoder::new(DecodeSettings::default(), Vec::new()),
            batch: Batch::default(),
            attributor: Attributor::new(shared.table.clone()),
            attributions: Vec::new(),
        }),
        Box::new(ToRows { worker: Worker::new(shared), owner: Owner::new(MeasureSettings::default()) }),
        peer,
    ]
}

/// Datagrams to records.
struct Decoding {
    decoder: Decoder,
    batch: Batch,
}

impl Subject for Decoding {
    fn name(&self) -> &'static str {
        "peerscope: decode"
    }

    fn run(&mut self, round: &Round) {
        for (source, payload) in &round.datagrams {
            self.decoder.datagram(round.now_us, *source, payload, &mut self.batch);
            if self.batch.records.len() >= 256 {
                black_box(&self.batch);
                self.batch.clear();
            }
        }
    }
}

/// The same, and both ends of each record looked up.
struct Attributing {
    decoder: Decoder,
    batch: Batch,
    attributor: Attributor,
    attributions: Vec<Attribution>,
}

impl Subject for Attributing {
    fn name(&self) -> &'static str {
        "peerscope: decode, look both ends up"
    }

    fn run(&mut self, round: &Round) {
        for (source, payload) in &round.datagrams {
            self.decoder.datagram(round.now_us, *source, payload, &mut self.batch);
            if self.batch.records.len() >= 256 {
                self.attributor.attribute(&self.batch.records, &mut self.attributions);
                black_box(&self.attributions);
                self.batch.clear();
            }
        }
    }
}

/// The whole way: a worker's deltas, the owner's windows, and rows where they are due.
struct ToRows {
    worker: Worker,
    owner: Owner,
}

impl Subject for ToRows {
    fn name(&self) -> &'static str {
        "peerscope: memory to rows"
    }

    fn run(&mut self, round: &Round) {
        for (source, payload) in &round.datagrams {
            self.worker.datagram(round.now_us, *source, payload);
        }
        self.owner.merge(0, self.worker.take(round.now_us, 0), round.now_us);
        black_box(self.owner.advance(round.now_us));
    }
}

struct NetflowParser {
    parser: AutoScopedParser,
}

impl Subject for NetflowParser {
    fn name(&self) -> &'static str {
        "netflow_parser: decode"
    }

    fn run(&mut self, round: &Round) {
        for (source, payload) in &round.datagrams {
            let _ = black_box(self.parser.parse_from_source(*source, payload));
        }
    }
}

struct SflowParser;

impl Subject for SflowParser {
    fn name(&self) -> &'static str {
        "sflow-parser: decode"
    }

    fn run(&mut self, round: &Round) {
        for (_, payload) in &round.datagrams {
            let _ = black_box(sflow_parser::parse_datagram(payload));
        }
    }
}
