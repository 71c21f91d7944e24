//! The bounds of the decoder, and the configured sampling rates.

use model::{Prefix, Record, Sampling, SamplingOrigin};

model::settings! {
    /// Bounds of the decoder; whatever arrives, memory and time stay within them.
    pub struct DecodeSettings in "decode" {
        /// Exporters known at once.
        exporters: usize = 10_000, "exporters", 1..=1_000_000;
        /// Observation domains, source ids or sub-agents of one exporter.
        domains_per_exporter: usize = 256, "domains", 1..=65_536;
        /// Observation domains, source ids and sub-agents of all exporters.
        domains: usize = 65_536, "domains", 1..=16_777_216;
        /// Templates of one domain; the one longest unused falls off.
        templates_per_domain: usize = 1_024, "templates", 1..=65_280;
        /// Templates of one exporter.
        templates_per_exporter: usize = 4_096, "templates", 1..=16_777_216;
        /// Fields of all templates of all exporters.
        template_fields: usize = 1_048_576, "fields", 1..=268_435_456;
        /// Fields of one template.
        fields_per_template: usize = 256, "fields", 1..=1_024;
        /// Definitions of one template that differ, in a minute; beyond it the template is quarantined.
        redefinitions_per_minute: u32 = 6, "definitions", 1..=10_000;
        /// How long a template lasts without being sent again; three refresh intervals of half an hour.
        template_lifetime_seconds: i64 = 5_400, "s", 60..=604_800;
        /// How long data waits for its template.
        hold_seconds: i64 = 10, "s", 0..=3_600;
        /// Data sets that wait at once, over all exporters.
        held_sets: usize = 1_024, "sets", 0..=1_048_576;
        /// Bytes that wait at once, over all exporters.
        held_bytes: usize = 4_194_304, "bytes", 0..=1_073_741_824;
        /// Records decoded from one datagram.
        records_per_datagram: usize = 8_192, "records", 1..=65_536;
        /// Layers of a sampled packet's header that are walked: tags, label stacks and frames around IP, extension headers in it.
        header_layers: usize = 8, "layers", 1..=64;
        /// Samplers and interface names known of all exporters.
        options_known: usize = 262_144, "options", 1..=16_777_216;
        /// Samplers known of one exporter.
        samplers_per_exporter: usize = 4_096, "samplers", 1..=65_536;
        /// Interfaces of one exporter whose name, rate or sequence is remembered.
        interfaces_per_exporter: usize = 65_536, "interfaces", 1..=1_048_576;
        /// Difference of an exporter's clock beyond which its clock is not used.
        clock_offset_seconds: i64 = 86_400, "s", 10..=31_536_000;
        /// How old a record may be by the exporter's clock; beyond it the time of reception is used.
        record_age_seconds: i64 = 7_200, "s", 60..=604_800;
        /// Bytes of one packet beyond which a record cannot be true.
        packet_bytes: u64 = 65_575, "bytes", 1_500..=16_777_216;
        /// Whether an exporter's source port is part of its identity: 1 for devices that share an address, else 0.
        scope_by_port: u8 = 0, "", 0..=1;
    }
}

/// A configured sampling rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamplingRule {
    /// Exporters that it is for.
    pub exporter: Prefix,
    /// Interface that it is for, input or output; `None` all.
    pub interface: Option<u32>,
    /// One packet of so many; 1 unsampled.
    pub population: u32,
    /// Whether it goes before what the exporter says, or fills in where the exporter says nothing.
    pub is_override: bool,
}

/// The rules that concern one exporter.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExporterRules(Vec<SamplingRule>);

impl ExporterRules {
    pub(crate) fn of(rules: &[SamplingRule], exporter: model::Address) -> ExporterRules {
        let mut own: Vec<SamplingRule> = rules.iter().filter(|rule| rule.exporter.contains(exporter)).cloned().collect();
        // An interface's rule goes before the exporter's, an exporter's before its network's.
        own.sort_by_key(|rule| (rule.interface.is_none(), std::cmp::Reverse(rule.exporter.length())));
        ExporterRules(own)
    }

    /// The rate in force for a record whose exporter says `stated`.
    #[inline]
    pub(crate) fn apply(&self, record: &Record, stated: Sampling) -> Sampling {
        if self.0.is_empty() {
            return stated;
        }
        let concerns =
            |rule: &&SamplingRule| rule.interface.is_none_or(|interface| interface == record.input || interface == record.output);
        let rule = self.0.iter().filter(concerns).find(|rule| rule.is_override || !stated.is_known());
        rule.map_or(stated, |rule| Sampling::one_in(rule.population, SamplingOrigin::Configured))
    }
}
