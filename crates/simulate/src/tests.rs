//! The whole run, judged by other people's decoders.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::truth::Truth;
use crate::{Scenario, run};

mod load;
mod readers;
mod runs;
mod samples;

/// A datagram as it was sent.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    at_us: i64,
    source: SocketAddr,
    payload: Vec<u8>,
}

fn play(text: &str) -> (Truth, Vec<Sent>) {
    let scenario = Scenario::parse(text).expect("a scenario");
    let mut sent: Vec<Sent> = Vec::new();
    let truth = run(&scenario, &mut |at_us: i64, source: SocketAddr, payload: &[u8]| {
        sent.push(Sent { at_us, source, payload: payload.to_vec() });
    });
    (truth, sent)
}

/// What another decoder read in all datagrams.
#[derive(Debug, Default, PartialEq)]
struct Read {
    records: u64,
    packets: u64,
    bytes: u64,
    /// Per input and output interface: packets, bytes.
    by_interfaces: BTreeMap<(u64, u64), (u64, u64)>,
}

impl Read {
    fn add(&mut self, input: u64, output: u64, packets: u64, bytes: u64) {
        self.records += 1;
        self.packets += packets;
        self.bytes += bytes;
        let sum = self.by_interfaces.entry((input, output)).or_default();
        *sum = (sum.0 + packets, sum.1 + bytes);
    }
}
