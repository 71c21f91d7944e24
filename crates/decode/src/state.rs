//! What a decoder must know to go on where another one stopped.

use model::Address;
use serde::{Deserialize, Serialize};

use crate::Decoder;
use crate::clock::Clock;
use crate::sampling::Samplers;
use crate::sequence::Sequence;
use crate::templates::Definition;

/// The saved state of a decoder: templates, samplers, interface names, sequences, clocks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DecoderState {
    exporters: Vec<SavedExporter>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedExporter {
    address: Address,
    port: u16,
    samplers: Samplers,
    interface_names: Vec<(u32, String)>,
    domains: Vec<SavedDomain>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedDomain {
    protocol: String,
    number: u32,
    port: u16,
    templates: Vec<(u16, Definition, i64)>,
    sequence: Sequence,
    clock: Clock,
    active_timeout_s: Option<u32>,
    has_updates: bool,
}

impl Decoder {
    /// What the next run needs to decode its first datagram.
    pub fn save(&self) -> DecoderState {
        let mut domains: Vec<Vec<SavedDomain>> = self.exporters.iter().map(|_| Vec::new()).collect();
        for domain in &self.domains {
            domains[domain.exporter].push(SavedDomain {
                protocol: domain.protocol.name().to_string(),
                number: domain.number,
                port: domain.port,
                templates: domain.templates.definitions(),
                sequence: domain.sequence.clone(),
                clock: domain.clock.clone(),
                active_timeout_s: domain.timeout.seconds(),
                has_updates: domain.has_updates,
            });
        }
        let saved = self.exporters.iter().zip(domains).map(|(exporter, domains)| {
            let mut interface_names: Vec<(u32, String)> = exporter.interface_names.iter().map(|(k, v)| (*k, v.clone())).collect();
            interface_names.sort();
            SavedExporter {
                address: exporter.address,
                port: exporter.port,
                samplers: exporter.samplers.clone(),
                interface_names,
                domains,
            }
        });
        DecoderState { exporters: saved.collect() }
    }

    /// Takes a saved state in; what does not fit the limits in force is left out.
    pub fn restore(&mut self, state: DecoderState) {
        for saved in state.exporters {
            let Ok(index) = self.exporter(saved.address, saved.port) else { continue };
            let exporter = &mut self.exporters[index];
            exporter.samplers = saved.samplers;
            exporter.interface_names = saved.interface_names.into_iter().take(self.settings.interfaces_per_exporter).collect();
            self.options_known += exporter.options_known();
            for domain in saved.domains {
                self.restore_domain(saved.address, domain);
            }
            // Its facts are told with its first datagram, in this run's batch.
            self.exporters[index].is_announced = false;
        }
    }

    fn restore_domain(&mut self, address: Address, saved: SavedDomain) {
        use model::Protocol::{Ipfix, NetflowV5, NetflowV7, NetflowV9, Sflow};
        let Some(protocol) =
            [NetflowV5, NetflowV7, NetflowV9, Ipfix, Sflow].into_iter().find(|protocol| protocol.name() == saved.protocol)
        else {
            return;
        };
        let mut nobody = model::Batch::default();
        let Ok(index) = self.domain(address, saved.port, protocol, saved.number, &mut nobody) else { return };
        for (id, definition, refreshed_us) in saved.templates {
            self.define_template(index, id, definition, refreshed_us);
        }
        let domain = &mut self.domains[index];
        domain.sequence = saved.sequence;
        domain.clock = saved.clock;
        domain.timeout.told_s = saved.active_timeout_s;
        domain.has_updates = saved.has_updates;
    }
}
