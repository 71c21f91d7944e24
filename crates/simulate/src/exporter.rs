//! A router at work: what its meters pick goes into its cache, out by its timeouts, into datagrams.

use crate::cache::{Cache, Handle};
use crate::delivery::Path;
use crate::encode::netflow5::Netflow5;
use crate::encode::sflow::{Counters, DataSource, Sflow};
use crate::encode::templated::Templated;
use crate::output::Output;
use crate::random::Random;
use crate::record::{Datagram, DeviceClock, FlowRecord};
use crate::scenario::{Router, Scenario, ToldBy, WireProtocol};
use crate::truth::ExporterTruth;

/// One router.
pub(crate) struct Exporter {
    encoder: Encoder,
    cache: Cache,
    path: Path,
    refresh_us: i64,
    next_refresh_us: i64,
    counter_interval_us: i64,
    next_counters_us: i64,
    records: Vec<FlowRecord>,
    outbox: Vec<Datagram>,
}

enum Encoder {
    Netflow5(Netflow5),
    Templated(Box<Templated>),
    Sflow(Sflow),
}

impl Exporter {
    pub(crate) fn new(scenario: &Scenario, router: &Router, start_us: i64, random: Random) -> Exporter {
        let clock = DeviceClock {
            boot_us: start_us - i64::from(router.uptime_seconds) * 1_000_000,
            offset_us: router.clock_offset_ms * 1_000,
        };
        let sampling = &router.sampling;
        let encoder = match router.protocol {
            WireProtocol::V5 => {
                let told = (sampling.told_by != ToldBy::None).then_some(sampling.one_in);
                Encoder::Netflow5(Netflow5::new(clock, &router.domains, told, sampling.method))
            }
            WireProtocol::V9 | WireProtocol::Ipfix => {
                Encoder::Templated(Box::new(Templated::new(router, clock, interface_names(scenario, router))))
            }
            WireProtocol::Sflow => {
                Encoder::Sflow(Sflow::new(router.address, clock, &router.domains, sampling.one_in, router.expanded_samples))
            }
        };
        Exporter {
            encoder,
            cache: Cache::new(router.active_timeout_seconds, router.inactive_timeout_seconds, router.cache_entries),
            path: Path::new(router, random),
            refresh_us: i64::from(router.template_refresh_seconds) * 1_000_000,
            next_refresh_us: start_us,
            counter_interval_us: i64::from(router.counter_interval_seconds) * 1_000_000,
            next_counters_us: if router.counter_interval_seconds > 0 { start_us } else { i64::MAX },
            records: Vec::new(),
            outbox: Vec::new(),
        }
    }

    /// A metered packet of `ip_bytes`.
    pub(crate) fn packet(&mut self, handle: &mut Option<Handle>, keys: &FlowRecord, from: DataSource, at_us: i64, ip_bytes: u64) {
        match &mut self.encoder {
            Encoder::Sflow(sflow) => sflow.add_flow(keys, ip_bytes, from, at_us, &mut self.outbox),
            Encoder::Netflow5(_) | Encoder::Templated(_) => {
                self.cache.add(handle, keys, at_us, ip_bytes, &mut self.records);
            }
        }
    }

    /// True when interface counters are due.
    pub(crate) fn wants_counters(&mut self, now_us: i64) -> bool {
        let is_due = now_us >= self.next_counters_us;
        if is_due {
            self.next_counters_us += self.counter_interval_us;
        }
        is_due
    }

    /// True where counters are polled, as it sends none.
    pub(crate) fn is_polled(&self) -> bool {
        !matches!(self.encoder, Encoder::Sflow(_))
    }

    /// Counters of one interface.
    pub(crate) fn counters(&mut self, domain: usize, from: DataSource, counters: &Counters, now_us: i64) {
        if let Encoder::Sflow(sflow) = &mut self.encoder {
            sflow.add_counters(domain, from, counters, now_us, &mut self.outbox);
        }
    }

    /// The work of a moment: templates, timeouts, datagrams that waited.
    pub(crate) fn tick(&mut self, now_us: i64, is_last: bool, output: &mut impl Output) {
        if now_us >= self.next_refresh_us && !is_last {
            self.next_refresh_us += self.refresh_us;
            if let Encoder::Templated(templated) = &mut self.encoder {
                templated.describe(now_us, &mut self.outbox);
            }
        }
        self.cache.expire(now_us, &mut self.records);
        for record in self.records.drain(..) {
            match &mut self.encoder {
                Encoder::Netflow5(netflow) => {
                    if !netflow.add(&record, now_us, &mut self.outbox) {
                        self.path.count_unsayable(record.domain);
                    }
                }
                Encoder::Templated(templated) => templated.add(&record, now_us, &mut self.outbox),
                Encoder::Sflow(_) => {}
            }
        }
        match &mut self.encoder {
            Encoder::Netflow5(netflow) => netflow.flush(now_us, is_last, &mut self.outbox),
            Encoder::Templated(templated) => templated.flush(now_us, is_last, &mut self.outbox),
            Encoder::Sflow(sflow) => sflow.flush(now_us, &mut self.outbox),
        }
        self.path.send(&mut self.outbox, now_us, output);
    }

    /// True when no entry waits in the cache.
    pub(crate) fn is_idle(&self) -> bool {
        self.cache.is_empty()
    }

    pub(crate) fn finish(self, now_us: i64, output: &mut impl Output) -> Vec<ExporterTruth> {
        self.path.finish(now_us, output)
    }
}

fn interface_names(scenario: &Scenario, router: &Router) -> Vec<(u32, String)> {
    let own = scenario.ports.iter().filter(|port| port.router == router.name);
    let names = own.flat_map(|port| {
        let members = port.members.iter().map(|member| (member.interface, member.interface_name.clone()));
        std::iter::once((port.interface, port.interface_name.clone())).chain(members)
    });
    names.collect()
}
