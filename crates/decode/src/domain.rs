//! What is known of an exporter and of each of its domains.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use model::time::SECOND_US;
use model::{Address, ExporterHealth, ExporterId, Protocol};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::sampling::Samplers;
use crate::sequence::{Order, Sequence};
use crate::settings::ExporterRules;
use crate::sflow;
use crate::templates::Templates;

/// How long the longest flow seen is remembered as the active timeout.
const TIMEOUT_MEMORY_US: i64 = 1_800 * SECOND_US;

/// An exporter: an address, or with the setting an address and port.
pub(crate) struct Exporter {
    pub(crate) id: ExporterId,
    pub(crate) address: Address,
    pub(crate) port: u16,
    pub(crate) domains: usize,
    /// Templates of all its domains.
    pub(crate) templates: usize,
    pub(crate) samplers: Samplers,
    pub(crate) rules: ExporterRules,
    pub(crate) interface_names: HashMap<u32, String>,
    /// Whether the batch of this run has been told of it.
    pub(crate) is_announced: bool,
    /// Samplers or names have changed since they were saved.
    pub(crate) is_changed: bool,
    /// It is configured: others do not take its room.
    pub(crate) is_reserved: bool,
}

/// One protocol and domain of an exporter.
pub(crate) struct Domain {
    pub(crate) exporter: usize,
    pub(crate) protocol: Protocol,
    pub(crate) number: u32,
    pub(crate) templates: Templates,
    pub(crate) sequence: Sequence,
    pub(crate) sflow: sflow::Sequences,
    pub(crate) clock: Clock,
    pub(crate) timeout: ActiveTimeout,
    pub(crate) counts: Counts,
    pub(crate) is_clock_refused: bool,
    /// The source port last seen; its changes are counted.
    pub(crate) port: u16,
    /// A firewall has sent updates, so the totals at the end of its flows repeat them.
    pub(crate) has_updates: bool,
    /// A datagram came since it was saved.
    pub(crate) is_changed: bool,
    /// A template came since it was saved.
    pub(crate) are_templates_changed: bool,
}

impl Domain {
    pub(crate) fn new(exporter: usize, protocol: Protocol, number: u32, port: u16) -> Domain {
        Domain {
            exporter,
            protocol,
            number,
            templates: Templates::default(),
            sequence: Sequence::default(),
            sflow: sflow::Sequences::default(),
            clock: Clock::default(),
            timeout: ActiveTimeout::default(),
            counts: Counts::default(),
            is_clock_refused: false,
            port,
            has_updates: false,
            is_changed: true,
            are_templates_changed: true,
        }
    }

    /// What came since the last report; `None` if nothing did.
    pub(crate) fn health(&mut self, exporter: &Exporter) -> Option<ExporterHealth> {
        if self.counts == Counts::default() {
            return None;
        }
        let counts = std::mem::take(&mut self.counts);
        let tells_loss = !self.sequence.is_broken() && !counts.is_loss_unknown;
        let counts_datagrams = matches!(self.protocol, Protocol::NetflowV9 | Protocol::Sflow);
        let lost_records = if self.protocol == Protocol::Sflow { Some(counts.lost_samples) } else { Some(counts.lost) };
        Some(ExporterHealth {
            exporter: exporter.id,
            address: exporter.address,
            protocol: self.protocol,
            domain: self.number,
            datagrams: counts.datagrams,
            records: counts.records,
            bytes_exported: counts.bytes,
            packets_exported: counts.packets,
            lost_datagrams: (tells_loss && counts_datagrams).then_some(counts.lost),
            lost_records: lost_records.filter(|_| tells_loss && self.protocol != Protocol::NetflowV9),
            reordered: counts.reordered,
            duplicates: counts.duplicates,
            restarts: counts.restarts,
            undecodable: counts.undecodable,
            refused: counts.refused.into_iter().map(|(reason, count)| (reason.into(), count)).collect(),
            templates: self.templates.len() as u64,
            active_timeout_s: self.timeout.seconds(),
            clock_offset_us: self.clock.offset_us(),
            is_clock_refused: self.is_clock_refused,
            output_unknown_records: counts.output_unknown,
            sampling_origins: counts.sampling_origins,
        })
    }
}

/// Counts since the last report.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) datagrams: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    pub(crate) lost: i64,
    pub(crate) lost_samples: i64,
    pub(crate) is_loss_unknown: bool,
    pub(crate) reordered: u64,
    pub(crate) duplicates: u64,
    pub(crate) restarts: u64,
    pub(crate) undecodable: u64,
    pub(crate) output_unknown: u64,
    pub(crate) sampling_origins: [u64; 7],
    pub(crate) refused: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(crate) fn order(&mut self, order: Order) {
        self.lost += order.lost;
        self.reordered += u64::from(order.is_late);
        self.restarts += u64::from(order.is_restart);
    }

    pub(crate) fn refuse(&mut self, reason: &'static str, count: u64) {
        if count > 0 {
            *self.refused.entry(reason).or_default() += count;
        }
    }
}

/// The active timeout: told by element 36, else the longest flow of the last half hour or so.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ActiveTimeout {
    pub(crate) told_s: Option<u32>,
    longest_us: [i64; 2],
    since_us: i64,
}

impl ActiveTimeout {
    /// Takes the longest flow of a set in; says whether it is more than twice as long as the device told.
    pub(crate) fn observe(&mut self, duration_us: i64, now_us: i64) -> bool {
        if now_us - self.since_us > TIMEOUT_MEMORY_US {
            self.longest_us = [0, self.longest_us[0]];
            self.since_us = now_us;
        }
        self.longest_us[0] = self.longest_us[0].max(duration_us);
        self.told_s.is_some_and(|told_s| duration_us > 2 * i64::from(told_s) * SECOND_US)
    }

    pub(crate) fn seconds(&self) -> Option<u32> {
        let longest_us = self.longest_us[0].max(self.longest_us[1]);
        let measured = (longest_us > 0).then(|| ((longest_us + SECOND_US - 1) / SECOND_US).min(7_200) as u32);
        self.told_s.or(measured)
    }
}
