//! What a decoder must know to go on where another one stopped.

use std::collections::BTreeMap;

use model::{Address, Batch, Protocol};
use serde::{Deserialize, Serialize};

use crate::Decoder;
use crate::clock::Clock;
use crate::domain::{ActiveTimeout, Domain};
use crate::sampling::Samplers;
use crate::sequence::Sequence;
use crate::sflow;
use crate::templates::Definition;

/// The saved state of a decoder: templates, samplers, interface names, sequences, clocks.
///
/// It may be whole, or hold what changed since an earlier one ([`Decoder::changes`]).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DecoderState {
    exporters: BTreeMap<(Address, u16), SavedExporter>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct SavedExporter {
    /// Samplers and interface names; `None` where they have not changed.
    told: Option<Told>,
    domains: BTreeMap<(Protocol, u32), SavedDomain>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Told {
    samplers: Samplers,
    interface_names: Vec<(u32, String)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedDomain {
    port: u16,
    /// Id, definition, time of the last one; `None` where they have not changed.
    templates: Option<Vec<(u16, Definition, i64)>>,
    sequence: Sequence,
    sflow: sflow::Sequences,
    clock: Clock,
    timeout: ActiveTimeout,
    has_updates: bool,
}

impl SavedDomain {
    fn of(domain: &mut Domain) -> SavedDomain {
        let are_told = std::mem::take(&mut domain.are_templates_changed);
        SavedDomain {
            port: domain.port,
            templates: are_told.then(|| domain.templates.definitions()),
            sequence: domain.sequence.clone(),
            sflow: domain.sflow.take_changes(),
            clock: domain.clock.clone(),
            timeout: domain.timeout.clone(),
            has_updates: domain.has_updates,
        }
    }

    fn merge(&mut self, changes: SavedDomain) {
        let SavedDomain { port, templates, sequence, sflow, clock, timeout, has_updates } = changes;
        self.templates = templates.or(self.templates.take());
        self.sflow.merge(sflow);
        (self.port, self.sequence, self.clock) = (port, sequence, clock);
        (self.timeout, self.has_updates) = (timeout, has_updates);
    }
}

impl DecoderState {
    /// Takes in what changed since.
    pub fn merge(&mut self, changes: DecoderState) {
        for (key, exporter) in changes.exporters {
            let held = self.exporters.entry(key).or_default();
            held.told = exporter.told.or(held.told.take());
            for (key, domain) in exporter.domains {
                match held.domains.get_mut(&key) {
                    Some(held) => held.merge(domain),
                    None => {
                        held.domains.insert(key, domain);
                    }
                }
            }
        }
    }
}

impl Decoder {
    /// What the next run needs to decode its first datagram, as far as it changed since the last time; costs what came since then.
    pub fn changes(&mut self) -> DecoderState {
        let mut state = DecoderState::default();
        for domain in &mut self.domains {
            if !std::mem::take(&mut domain.is_changed) {
                continue;
            }
            let exporter = &self.exporters[domain.exporter];
            let saved = state.exporters.entry((exporter.address, exporter.port)).or_default();
            saved.domains.insert((domain.protocol, domain.number), SavedDomain::of(domain));
        }
        for exporter in &mut self.exporters {
            if !std::mem::take(&mut exporter.is_changed) {
                continue;
            }
            let mut interface_names: Vec<(u32, String)> =
                exporter.interface_names.iter().map(|(index, name)| (*index, name.clone())).collect();
            interface_names.sort();
            let saved = state.exporters.entry((exporter.address, exporter.port)).or_default();
            saved.told = Some(Told { samplers: exporter.samplers.clone(), interface_names });
        }
        state
    }

    /// Takes a saved state in; what does not fit the limits in force is left out.
    pub fn restore(&mut self, state: DecoderState) {
        for ((address, port), saved) in state.exporters {
            let Ok(index) = self.exporter(address, port) else { continue };
            let exporter = &mut self.exporters[index];
            let told = saved.told.unwrap_or_default();
            exporter.samplers = told.samplers;
            exporter.interface_names = told.interface_names.into_iter().take(self.settings.interfaces_per_exporter).collect();
            self.options_known += exporter.options_known();
            for ((protocol, number), domain) in saved.domains {
                self.restore_domain(address, protocol, number, domain);
            }
            // Its facts are told with its first datagram, in this run's batch.
            (self.exporters[index].is_announced, self.exporters[index].is_changed) = (false, false);
        }
    }

    fn restore_domain(&mut self, address: Address, protocol: Protocol, number: u32, saved: SavedDomain) {
        let Ok(index) = self.domain(address, saved.port, protocol, number, &mut Batch::default()) else { return };
        for (id, definition, refreshed_us) in saved.templates.unwrap_or_default() {
            self.define_template(index, id, definition, refreshed_us);
        }
        let domain = &mut self.domains[index];
        domain.sequence = saved.sequence;
        domain.sflow = saved.sflow;
        domain.clock = saved.clock;
        domain.timeout = saved.timeout;
        domain.has_updates = saved.has_updates;
        // Another worker may be the one that it changes on.
        (domain.is_changed, domain.are_templates_changed) = (false, false);
    }
}
