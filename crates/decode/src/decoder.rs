//! The decoder: a datagram in, records, counters and facts out; everything counted.

use hashbrown::{HashMap, HashSet};
use model::ledger::{DatagramRefusal, SetSkip};
use model::time::SECOND_US;
use model::{Address, Batch, ExporterHealth, ExporterId, Fact, Ledger, Protocol};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::domain::{Domain, Exporter};
use crate::fields::Values;
use crate::held::Held;
use crate::latency::LatencyElements;
use crate::recent::mark;
use crate::sampling::Samplers;
use crate::sequence::Sequence;
use crate::settings::{DecodeSettings, ExporterRules, SamplingRule};
use crate::sflow;
use crate::summary::Summary;

/// Decodes the datagrams of many exporters; holds their templates, samplers, clocks and sequences.
pub struct Decoder {
    pub(crate) settings: DecodeSettings,
    rules: Vec<SamplingRule>,
    pub(crate) latency_elements: Arc<LatencyElements>,
    /// Exporters that have room whatever others send.
    reserved: HashSet<Address>,
    pub(crate) exporters: Vec<Exporter>,
    by_address: HashMap<(Address, u16), usize>,
    pub(crate) domains: Vec<Domain>,
    by_domain: HashMap<(usize, Protocol, u32), usize>,
    /// Samplers and interface names of all exporters.
    pub(crate) options_known: usize,
    /// Fields of all templates.
    pub(crate) template_fields: usize,
    pub(crate) held: Held,
    /// Records that the datagram under way may still hold.
    pub(crate) records_left: usize,
    /// Where plans load values: all 0 between two sets.
    pub(crate) values: Option<Box<Values>>,
    /// Where the last records of a set are read, with room behind them.
    pub(crate) last_records: Vec<u8>,
    pub(crate) ledger: Ledger,
    pub(crate) summary: Summary,
    /// In a summary nothing is held back, what has no template yet counts as such, and copies count too.
    pub(crate) is_summary: bool,
}

impl Decoder {
    /// A decoder that knows nothing yet.
    pub fn new(settings: DecodeSettings, rules: Vec<SamplingRule>) -> Decoder {
        Decoder {
            settings,
            rules,
            latency_elements: Arc::default(),
            reserved: HashSet::new(),
            exporters: Vec::new(),
            by_address: HashMap::new(),
            domains: Vec::new(),
            by_domain: HashMap::new(),
            options_known: 0,
            template_fields: 0,
            held: Held::default(),
            records_left: 0,
            values: None,
            last_records: Vec::new(),
            ledger: Ledger::default(),
            summary: Summary::default(),
            is_summary: false,
        }
    }

    /// A decoder for [`Decoder::summary`]: nothing is held back.
    pub fn with_summary(settings: DecodeSettings) -> Decoder {
        Decoder { is_summary: true, ..Decoder::new(settings, Vec::new()) }
    }

    /// Decodes a datagram and appends what it holds to `batch`; whatever the bytes, they are counted.
    pub fn datagram(&mut self, received_us: i64, source: SocketAddr, payload: &[u8], batch: &mut Batch) {
        self.ledger.datagrams_received += 1;
        self.summary.datagrams += 1;
        self.records_left = self.settings.records_per_datagram;
        let decoded = match payload {
            [0, 5, ..] | [0, 7, ..] => self.netflow_5(received_us, source, payload, batch),
            [0, 9, ..] => self.netflow_9(received_us, source, payload, batch),
            [0, 10, ..] => self.ipfix(received_us, source, payload, batch),
            [0, 0, 0, 5, ..] => self.sflow(received_us, source, payload, batch),
            _ => Err(DatagramRefusal::BadVersion),
        };
        match decoded {
            Ok(()) => self.ledger.datagrams_accepted += 1,
            Err(reason) => {
                self.ledger.refuse_datagram(reason);
                self.summary.malformed += u64::from(matches!(reason, DatagramRefusal::Truncated | DatagramRefusal::Malformed));
            }
        }
    }

    /// Goes on with other settings and configured rates; what exporters told stays, and is told again.
    pub fn reconfigure(&mut self, settings: DecodeSettings, rules: Vec<SamplingRule>) {
        (self.settings, self.rules) = (settings, rules);
        for exporter in &mut self.exporters {
            exporter.rules = ExporterRules::of(&self.rules, exporter.address);
            exporter.is_announced = false;
        }
    }

    /// Keeps room for these exporters, the configured ones: what is bounded for all together, however much of it
    /// others use, never keeps them out. What is bounded for each exporter bounds them too.
    pub fn reserve(&mut self, exporters: impl IntoIterator<Item = Address>) {
        self.reserved = exporters.into_iter().collect();
        for exporter in &mut self.exporters {
            exporter.is_reserved = self.reserved.contains(&exporter.address);
        }
    }

    /// An IPFIX file begins: what another one told of templates, samplers and names is not of this one (RFC 5655,
    /// section 5), and its messages are numbered anew.
    pub fn start_file(&mut self) {
        for exporter in self.exporters.iter_mut().filter(|exporter| exporter.address.is_unknown()) {
            self.options_known -= exporter.options_known();
            exporter.samplers = Samplers::default();
            exporter.interface_names.clear();
        }
        for domain in &mut self.domains {
            let exporter = &mut self.exporters[domain.exporter];
            if exporter.address.is_unknown() {
                let templates = std::mem::take(&mut domain.templates);
                exporter.templates -= templates.len();
                self.template_fields -= templates.fields();
                domain.sequence = Sequence::default();
            }
        }
        let (domains, exporters) = (&self.domains, &self.exporters);
        let given_up = self.held.give_up(|domain, _| exporters[domains[domain].exporter].address.is_unknown());
        self.skip_held(given_up);
    }

    /// Reads these elements in templates that come from now on, in place of the built-in ones alone.
    pub fn measure_latency(&mut self, elements: Arc<LatencyElements>) {
        self.latency_elements = elements;
    }

    /// Counts a datagram that the caller refuses: cut off, or not allowed.
    pub fn refuse(&mut self, reason: DatagramRefusal) {
        self.ledger.datagrams_received += 1;
        self.ledger.refuse_datagram(reason);
    }

    /// Gives up on data that has waited for its template too long.
    pub fn advance(&mut self, now_us: i64) {
        let limit_us = now_us.saturating_sub(self.settings.hold_seconds * SECOND_US);
        let given_up = self.held.give_up(|_, set| set.message.received_us < limit_us);
        self.skip_held(given_up);
    }

    /// Counts sets that have waited for nothing, by their domains.
    fn skip_held(&mut self, domains: Vec<usize>) {
        for domain in domains {
            self.ledger.sets_held -= 1;
            self.skip_set(domain, SetSkip::NoTemplate);
        }
    }

    /// What came since the last call, for each exporter, protocol and domain from which something did.
    pub fn health(&mut self, out: &mut Vec<ExporterHealth>) {
        let exporters = &self.exporters;
        out.extend(self.domains.iter_mut().filter_map(|domain| domain.health(&exporters[domain.exporter])));
    }

    /// The balances of datagrams and sets, and the records decoded and refused here.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Totals over everything decoded.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The domain of a datagram, made if it is new and there is room.
    pub(crate) fn domain(
        &mut self,
        address: Address,
        port: u16,
        protocol: Protocol,
        number: u32,
        batch: &mut Batch,
    ) -> Result<usize, DatagramRefusal> {
        let exporter = self.exporter(address, port)?;
        self.announce(exporter, batch);
        if let Some(domain) = self.by_domain.get(&(exporter, protocol, number)) {
            let state = &mut self.domains[*domain];
            state.is_changed = true;
            if state.port != port {
                state.port = port;
                state.counts.refuse("source_port_changes", 1);
            }
            return Ok(*domain);
        }
        let is_full = self.domains.len() >= self.settings.domains && !self.exporters[exporter].is_reserved;
        if is_full || self.exporters[exporter].domains >= self.settings.domains_per_exporter {
            return Err(DatagramRefusal::TooManyDomains);
        }
        self.exporters[exporter].domains += 1;
        self.domains.push(Domain::new(exporter, protocol, number, port));
        self.by_domain.insert((exporter, protocol, number), self.domains.len() - 1);
        Ok(self.domains.len() - 1)
    }

    /// The exporter of an address, made if it is new and there is room.
    pub(crate) fn exporter(&mut self, address: Address, port: u16) -> Result<usize, DatagramRefusal> {
        let key = (address, if self.settings.scope_by_port == 1 { port } else { 0 });
        if let Some(exporter) = self.by_address.get(&key) {
            return Ok(*exporter);
        }
        let is_reserved = self.reserved.contains(&address);
        if self.exporters.len() >= self.settings.exporters && !is_reserved {
            return Err(DatagramRefusal::TooManyExporters);
        }
        let index = self.exporters.len();
        self.exporters.push(Exporter {
            id: ExporterId(index as u32),
            address,
            port: key.1,
            domains: 0,
            templates: 0,
            samplers: Samplers::default(),
            rules: ExporterRules::of(&self.rules, address),
            interface_names: HashMap::new(),
            is_announced: false,
            is_changed: true,
            is_reserved,
        });
        self.by_address.insert(key, index);
        Ok(index)
    }

    /// Tells the batch of an exporter before anything else names it, and what an earlier run knew of it.
    fn announce(&mut self, exporter: usize, batch: &mut Batch) {
        let exporter = &mut self.exporters[exporter];
        if exporter.is_announced {
            return;
        }
        exporter.is_announced = true;
        batch.facts.push(Fact::Exporter { exporter: exporter.id, address: exporter.address });
        for (interface, name) in &exporter.interface_names {
            batch.facts.push(Fact::InterfaceName { exporter: exporter.id, interface: *interface, name: name.clone() });
        }
    }

    /// Counts a set that was skipped.
    pub(crate) fn skip_set(&mut self, domain: usize, reason: SetSkip) {
        self.ledger.skip_sets(reason, 1);
        let counts = &mut self.domains[domain].counts;
        counts.refuse(reason.name(), 1);
        counts.undecodable += u64::from(!matches!(reason, SetSkip::Reserved | SetSkip::UnknownFormat));
        self.summary.malformed += u64::from(matches!(reason, SetSkip::Malformed | SetSkip::InvalidTemplate));
    }

    fn sflow(&mut self, received_us: i64, source: SocketAddr, payload: &[u8], batch: &mut Batch) -> Result<(), DatagramRefusal> {
        let datagram = sflow::Datagram::read(payload).ok_or(DatagramRefusal::Truncated)?;
        let index = self.domain(datagram.agent, source.port(), Protocol::Sflow, datagram.sub_agent, batch)?;
        let domain = &mut self.domains[index];
        let exporter = &self.exporters[domain.exporter];
        let order = domain.sflow.datagram(datagram.sequence, datagram.uptime_ms, mark(payload));
        if order.is_duplicate {
            domain.counts.duplicates += 1;
            if !self.is_summary {
                return Err(DatagramRefusal::Duplicate);
            }
        }
        let counts = &mut domain.counts;
        counts.lost += order.lost;
        counts.is_loss_unknown |= order.is_loss_unknown;
        counts.reordered += u64::from(order.is_late);
        counts.restarts += u64::from(order.is_restart);
        let context = sflow::Context {
            exporter: exporter.id,
            received_us,
            sources_max: self.settings.interfaces_per_exporter,
            layers_most: self.settings.header_layers,
            order,
            sampling: &|record, stated| exporter.rules.apply(record, stated),
        };
        let outcome = sflow::decode(&datagram, &context, &mut domain.sflow, batch);
        self.settle_sflow(index, &outcome);
        Ok(())
    }

    fn settle_sflow(&mut self, domain: usize, outcome: &sflow::Outcome) {
        use model::ledger::RecordRefusal;
        let ledger = &mut self.ledger;
        ledger.sets_seen += outcome.sets_seen;
        ledger.sets_decoded += outcome.sets_decoded;
        ledger.skip_sets(SetSkip::UnknownFormat, outcome.sets_unknown);
        ledger.skip_sets(SetSkip::Malformed, outcome.sets_malformed);
        ledger.records += outcome.records;
        (0..outcome.no_address).for_each(|_| ledger.refuse_record(RecordRefusal::NoAddress));
        (0..outcome.unreadable).for_each(|_| ledger.refuse_record(RecordRefusal::UnreadableHeader));
        let summary = &mut self.summary;
        summary.data_records += outcome.records;
        summary.packets += outcome.records;
        summary.bytes += outcome.stated_bytes;
        summary.ipv4 += outcome.ipv4;
        summary.ipv6 += outcome.ipv6;
        summary.counter_samples += outcome.counter_samples;
        summary.malformed += outcome.sets_malformed;
        let counts = &mut self.domains[domain].counts;
        counts.datagrams += 1;
        counts.records += outcome.records;
        counts.bytes += outcome.bytes;
        counts.packets += outcome.records - outcome.no_address - outcome.unreadable;
        counts.lost_samples += outcome.lost_samples;
        counts.undecodable += outcome.sets_malformed;
        counts.output_unknown += outcome.output_unknown;
        counts.sampling_origins.iter_mut().zip(outcome.sampling_origins).for_each(|(sum, count)| *sum += count);
        for (reason, count) in [
            ("agent_drops", outcome.agent_drops),
            ("sampling_rate_off", outcome.rate_off),
            ("trailing_bytes", outcome.trailing_bytes),
            ("no_address", outcome.no_address),
            ("unreadable_header", outcome.unreadable),
            ("unknown_format", outcome.sets_unknown),
            ("malformed", outcome.sets_malformed),
            ("header_too_deep", outcome.too_deep),
        ] {
            counts.refuse(reason, count);
        }
    }
}
