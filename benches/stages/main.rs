//! What a record costs, from the bytes of a datagram to the rows of the tables, beside parsers that
//! only decode: on the same datagrams, in the same run, in turn.
//!
//! `cargo bench --bench stages` prints the table that benches/results holds; `-- v9 rows` only those
//! subjects of a protocol whose names have a word. Times are processor
//! time of the thread that works, so that a busy neighbour disturbs them less.

mod input;
mod measured;
mod subjects;

use input::{Load, shared};
use measured::Case;
use simulate::scenario::WireProtocol;

/// Rounds in which every subject of a case has its turn; the first warms up and does not count.
const ROUNDS: usize = 11;

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let shared = shared();
    measured::print_heading();
    for protocol in [WireProtocol::V5, WireProtocol::V9, WireProtocol::Ipfix, WireProtocol::Sflow] {
        if only.first().is_some_and(|only| only != protocol.name()) {
            continue;
        }
        let mut load = Load::new(protocol);
        let mut subjects = subjects::all(protocol, &shared);
        if let Some(only) = only.get(1) {
            subjects.retain(|subject| subject.name().contains(only.as_str()));
        }
        let mut case = Case::new(protocol.name(), &subjects);
        for round in 0..ROUNDS {
            let datagrams = load.round();
            for (place, subject) in subjects.iter_mut().enumerate() {
                let nanoseconds = measured::nanoseconds(|| subject.run(&datagrams));
                if round > 0 {
                    case.add(place, nanoseconds / datagrams.records as f64);
                }
            }
        }
        case.print();
    }
}
