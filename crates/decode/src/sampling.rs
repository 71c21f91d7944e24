//! Samplers: the rates that options data tell, and which of them is a record's.

use hashbrown::HashMap;
use model::{Sampling, SamplingOrigin};
use serde::{Deserialize, Serialize};

/// The rates that one exporter told, over all its domains.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Samplers {
    /// By domain and sampler id (elements 48, 302).
    by_id: Vec<((u32, u64), Rate)>,
    by_interface: Vec<((u32, u32), Rate)>,
    by_template: Vec<((u32, u16), Rate)>,
    by_domain: Vec<(u32, Rate)>,
    #[serde(skip)]
    index: HashMap<(u32, u64), Rate>,
    /// Samplers that did not fit.
    pub(crate) overflow: u64,
}

/// Packets of which some were taken; (0, 0) for a sampler whose rate is not told.
pub(crate) type Rate = (u32, u32);

/// To what a rate in options data belongs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) sampler: Option<u64>,
    pub(crate) interface: Option<u32>,
    pub(crate) template: Option<u16>,
}

impl Samplers {
    /// Learns a rate.
    pub(crate) fn learn(&mut self, domain: u32, scope: Scope, rate: Rate, most: usize) {
        if self.by_id.len() + self.by_interface.len() + self.by_template.len() >= most {
            self.overflow += 1;
            return;
        }
        if let Some(id) = scope.sampler {
            put(&mut self.by_id, (domain, id), rate);
            self.index.insert((domain, id), rate);
        } else if let Some(interface) = scope.interface {
            put(&mut self.by_interface, (domain, interface), rate);
        } else if let Some(template) = scope.template {
            put(&mut self.by_template, (domain, template), rate);
        } else {
            put(&mut self.by_domain, domain, rate);
        }
    }

    /// Brings the index up to date after a restore.
    pub(crate) fn reindex(&mut self) {
        self.index = self.by_id.iter().copied().collect();
    }

    /// The rate of a record that names its sampler: its own domain's, else domain 0's, else the one
    /// that any domain has told (devices send options from another domain than data).
    pub(crate) fn by_id(&self, domain: u32, id: u64) -> Sampling {
        let found = self.index.get(&(domain, id)).or_else(|| self.index.get(&(0, id)));
        let elsewhere = || self.by_id.iter().find(|((_, other), _)| *other == id).map(|(_, rate)| rate);
        known(found.or_else(elsewhere), SamplingOrigin::Sampler)
    }

    /// The rate of a record that names no sampler.
    pub(crate) fn by_scope(&self, domain: u32, template: u16, input: u32, output: u32) -> Sampling {
        let interface = || {
            let of = |interface| self.by_interface.iter().find(|((d, i), _)| *d == domain && *i == interface && interface != 0);
            of(input).or_else(|| of(output)).map(|(_, rate)| rate)
        };
        let template = self.by_template.iter().find(|(key, _)| *key == (domain, template)).map(|(_, rate)| rate);
        let system =
            || self.by_domain.iter().find(|(d, _)| *d == domain).or_else(|| self.by_domain.iter().find(|(d, _)| *d == 0));
        let found = template.or_else(interface).or_else(|| system().map(|(_, rate)| rate));
        known(found, SamplingOrigin::Options)
    }

    /// Whether nothing was told, so that no record need be looked up.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty() && self.by_interface.is_empty() && self.by_template.is_empty() && self.by_domain.is_empty()
    }
}

fn put<K: PartialEq>(entries: &mut Vec<(K, Rate)>, key: K, rate: Rate) {
    match entries.iter_mut().find(|(other, _)| *other == key) {
        Some((_, before)) => *before = rate,
        None => entries.push((key, rate)),
    }
}

fn known(rate: Option<&Rate>, origin: SamplingOrigin) -> Sampling {
    match rate {
        Some((population, sample)) if *population > 0 && *sample > 0 => {
            Sampling { population: *population, sample: *sample, origin }
        }
        _ => Sampling::default(),
    }
}
