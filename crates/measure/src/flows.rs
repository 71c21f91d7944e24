//! Records as they are, for the table of records: what a worker gathers between two reports.

use std::sync::Arc;

use model::link::Directory;
use model::tag::TagNames;
use model::{Address, Attribution, Batch, Direction, Fact, Flow, FlowBatch, Placements};

/// Flows that wait for the next report at most; what comes beyond is counted and not kept.
const FLOWS_MOST: usize = 262_144;

/// The flows of one worker.
#[derive(Default)]
pub struct Flows {
    flows: Vec<Flow>,
    exporters: Vec<Option<Address>>,
    lost: u64,
}

impl Flows {
    /// Takes in the records of a batch that were placed on links; a record on two links is two flows.
    pub fn add(&mut self, batch: &Batch, attributions: &[Attribution], placements: &Placements) {
        for fact in &batch.facts {
            if let Fact::Exporter { exporter, address } = fact {
                let place = exporter.0 as usize;
                if place >= self.exporters.len() {
                    self.exporters.resize(place + 1, None);
                }
                self.exporters[place] = Some(*address);
            }
        }
        let mut counted = None;
        for placement in placements.records.iter().filter(|placement| placement.is_on_link()) {
            let index = placement.record as usize;
            let (Some(record), Some(attribution)) = (batch.records.get(index), attributions.get(index)) else { continue };
            let is_first = counted.replace(placement.record) != Some(placement.record);
            if self.flows.len() >= FLOWS_MOST {
                self.lost += 1;
                continue;
            }
            let Attribution { source, destination } = *attribution;
            let (ours, microsoft) = match placement.direction {
                Direction::ToMicrosoft => (source, destination),
                Direction::FromMicrosoft => (destination, source),
            };
            self.flows.push(Flow {
                source: record.source,
                destination: record.destination,
                start_us: record.start_us,
                end_us: record.end_us,
                bytes: record.bytes,
                packets: record.packets,
                sampling: record.sampling,
                exporter: record.exporter.0,
                link: placement.link,
                input: record.input,
                output: record.output,
                ours,
                microsoft,
                source_port: record.source_port,
                destination_port: record.destination_port,
                protocol: record.protocol,
                tcp_flags: record.tcp_flags,
                direction: placement.direction,
                view: placement.view,
                is_in_ledger: is_first && !record.is_reverse,
            });
        }
    }

    /// Flows that wait.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Takes out what came since the last time, and how many found no room.
    ///
    /// `directory` and `names` are those of the resolver and the attribution tables that the batches
    /// went through.
    pub fn take(&mut self, directory: &Directory, names: &Arc<TagNames>) -> (FlowBatch, u64) {
        let room = Vec::with_capacity(self.flows.len());
        let flows = std::mem::replace(&mut self.flows, room);
        let (links, exporters) = (directory.links.clone(), self.exporters.clone());
        (FlowBatch { flows, exporters, links, names: names.clone() }, std::mem::take(&mut self.lost))
    }
}
