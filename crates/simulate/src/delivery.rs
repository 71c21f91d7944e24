//! The way from a router to the collector: datagrams get lost, overtake each other, come twice.

use std::net::SocketAddr;

use crate::output::Output;
use crate::random::Random;
use crate::record::Datagram;
use crate::scenario::{Delivery, Router};
use crate::truth::ExporterTruth;

/// What one router sends.
pub(crate) struct Path {
    source: SocketAddr,
    delivery: Delivery,
    random: Random,
    /// A datagram that its successor overtakes.
    held: Option<Datagram>,
    domains: Vec<DomainPath>,
}

struct DomainPath {
    truth: ExporterTruth,
    has_sent: bool,
    /// Lost since the last datagram that came.
    lost_since: Vec<[u64; 4]>,
}

impl Path {
    pub(crate) fn new(router: &Router, random: Random) -> Path {
        let domain = |id: &u32| DomainPath {
            truth: ExporterTruth {
                exporter: router.address.to_string(),
                protocol: router.protocol.name().to_owned(),
                domain: *id,
                ..ExporterTruth::default()
            },
            has_sent: false,
            lost_since: Vec::new(),
        };
        Path {
            source: SocketAddr::new(router.address, router.source_port),
            delivery: router.delivery.clone(),
            random,
            held: None,
            domains: router.domains.iter().map(domain).collect(),
        }
    }

    /// A record that the protocol cannot say.
    pub(crate) fn count_unsayable(&mut self, domain: usize) {
        self.domains[domain].truth.records_unsayable += 1;
    }

    /// Sends, loses, holds back or doubles each datagram.
    pub(crate) fn send(&mut self, datagrams: &mut Vec<Datagram>, at_us: i64, output: &mut impl Output) {
        for datagram in datagrams.drain(..) {
            let domain = &mut self.domains[datagram.domain];
            let truth = &mut domain.truth;
            truth.datagrams += 1;
            truth.records += datagram.records;
            truth.option_records += datagram.option_records;
            truth.packets += datagram.packets;
            truth.bytes += datagram.bytes;
            let can_be_lost = domain.has_sent && (self.delivery.loses_templates || !datagram.is_state);
            if can_be_lost && self.random.chance(self.delivery.loss_ratio) {
                domain.lost_since.push([datagram.records, datagram.option_records, datagram.packets, datagram.bytes]);
                continue;
            }
            domain.count_losses();
            let is_duplicate = self.random.chance(self.delivery.duplicate_ratio);
            truth_of(&mut self.domains, &datagram).datagrams_duplicated += u64::from(is_duplicate);
            let is_overtaken = self.held.is_none() && !datagram.is_state && self.random.chance(self.delivery.reorder_ratio);
            if is_overtaken && !is_duplicate {
                self.held = Some(datagram);
                continue;
            }
            for _ in 0..=usize::from(is_duplicate) {
                output.datagram(at_us, self.source, &datagram.payload);
            }
            if let Some(held) = self.held.take_if(|held| held.domain == datagram.domain) {
                truth_of(&mut self.domains, &held).datagrams_reordered += 1;
                output.datagram(at_us, self.source, &held.payload);
            }
        }
    }

    /// What was held back comes at last; then the truth.
    pub(crate) fn finish(mut self, at_us: i64, output: &mut impl Output) -> Vec<ExporterTruth> {
        if let Some(held) = self.held.take() {
            output.datagram(at_us, self.source, &held.payload);
        }
        let close = |domain: DomainPath| {
            let mut truth = domain.truth;
            truth.datagrams_lost_at_end = domain.lost_since.len() as u64;
            truth.records_lost_at_end = domain.lost_since.iter().map(|lost| lost[0]).sum();
            truth
        };
        self.domains.into_iter().map(close).collect()
    }
}

fn truth_of<'a>(domains: &'a mut [DomainPath], datagram: &Datagram) -> &'a mut ExporterTruth {
    &mut domains[datagram.domain].truth
}

impl DomainPath {
    /// A datagram comes: the collector can now see what was lost before it.
    fn count_losses(&mut self) {
        self.has_sent = true;
        for [records, option_records, packets, bytes] in self.lost_since.drain(..) {
            self.truth.datagrams_lost += 1;
            self.truth.records_lost += records;
            self.truth.option_records_lost += option_records;
            self.truth.packets_lost += packets;
            self.truth.bytes_lost += bytes;
        }
    }
}
