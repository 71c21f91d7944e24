//! Samplers: the rates that options data tell, and which of them is a record's.

use std::hash::Hash;

use hashbrown::HashMap;
use model::{Sampling, SamplingOrigin};
use serde::{Deserialize, Serialize};

/// The rates that one exporter told, over all its domains.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Samplers {
    /// By domain and sampler id (elements 48, 302).
    by_id: HashMap<(u32, u64), Rate>,
    /// By sampler id alone, of the domain that told of it first.
    by_id_anywhere: HashMap<u64, (u32, Rate)>,
    by_interface: HashMap<(u32, u32), Rate>,
    by_template: HashMap<(u32, u16), Rate>,
    by_domain: HashMap<u32, Rate>,
}

/// Packets (or flows) of which some were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rate {
    pub(crate) population: u32,
    pub(crate) sample: u32,
    pub(crate) is_of_flows: bool,
}

impl Rate {
    pub(crate) fn sampling(self, origin: SamplingOrigin) -> Sampling {
        if self.population == 0 || self.sample == 0 {
            return Sampling::default();
        }
        Sampling { population: self.population, sample: self.sample, origin, is_of_flows: self.is_of_flows }
    }
}

/// To what a rate in options data belongs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) sampler: Option<u64>,
    pub(crate) interface: Option<u32>,
    pub(crate) template: Option<u16>,
}

impl Samplers {
    /// Learns a rate; when there are too many, only those already known still change. Gives whether it is known now.
    pub(crate) fn learn(&mut self, domain: u32, scope: Scope, rate: Rate, most: usize) -> bool {
        let has_room = self.len() < most;
        match scope {
            Scope { sampler: Some(id), .. } => {
                let is_put = put(&mut self.by_id, (domain, id), rate, has_room);
                if is_put {
                    let first = self.by_id_anywhere.entry(id).or_insert((domain, rate));
                    first.1 = if first.0 == domain { rate } else { first.1 };
                }
                is_put
            }
            // Interface 0 is none: what is told of it is told of all (softflowd).
            Scope { interface: Some(interface @ 1..), .. } => put(&mut self.by_interface, (domain, interface), rate, has_room),
            Scope { template: Some(template), .. } => put(&mut self.by_template, (domain, template), rate, has_room),
            Scope { .. } => put(&mut self.by_domain, domain, rate, has_room),
        }
    }

    /// The rate of a record that names its sampler: its own domain's, else domain 0's, else the one
    /// that any domain has told (devices send options from another domain than data).
    pub(crate) fn by_id(&self, domain: u32, id: u64) -> Sampling {
        let found = self.by_id.get(&(domain, id)).or_else(|| self.by_id.get(&(0, id)));
        known(found.or_else(|| self.by_id_anywhere.get(&id).map(|(_, rate)| rate)), SamplingOrigin::Sampler)
    }

    /// The rate of a record that names no sampler.
    pub(crate) fn by_scope(&self, domain: u32, template: u16, input: u32, output: u32) -> Sampling {
        let interface = |index: u32| if index == 0 { None } else { self.by_interface.get(&(domain, index)) };
        let found = self.by_template.get(&(domain, template));
        let found = found.or_else(|| interface(input)).or_else(|| interface(output));
        let found = found.or_else(|| self.by_domain.get(&domain)).or_else(|| self.by_domain.get(&0));
        known(found, SamplingOrigin::Options)
    }

    /// Rates that are known.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len() + self.by_interface.len() + self.by_template.len() + self.by_domain.len()
    }

    /// Whether nothing was told, so that no record need be looked up.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Sets the rate of a key that is known or finds room; gives whether it did.
fn put<K: Hash + Eq>(rates: &mut HashMap<K, Rate>, key: K, rate: Rate, has_room: bool) -> bool {
    let is_put = has_room || rates.contains_key(&key);
    if is_put {
        rates.insert(key, rate);
    }
    is_put
}

fn known(rate: Option<&Rate>, origin: SamplingOrigin) -> Sampling {
    rate.map_or_else(Sampling::default, |rate| rate.sampling(origin))
}
