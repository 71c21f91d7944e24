//! The live collector: workers that own sockets, one owner of all windows, a clean stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver as Inbox, RecvTimeoutError, bounded};
use model::Ledger;
use model::tables::LinkRow;
use model::time::SECOND_US;
use peering::Seen;
use receive::Receiver;

use crate::clock::Clock;
use crate::commands::write_seen;
use crate::configuration::Configured;
use crate::counter_sources::Counters;
use crate::failure::Failure;
use crate::handing::Reload;
use crate::inputs::{Inputs, sockets, taps};
use crate::mirrors::Mirrors;
use crate::owner::{Publisher, losses, settle};
use crate::pipeline::Worker;
use crate::probe_sources::Probes;
use crate::running::{Report, Running, Source, Totals, read_source};

/// Reports of workers that wait for the owner; a worker that finds no room goes on counting.
pub(crate) const REPORTS_MOST: usize = 64;

/// How far back windows are looked for that an earlier run published: they are revised no longer.
const LOOK_BACK_US: i64 = 7_200 * SECOND_US;

/// What happens with open windows when the collector stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// They are saved, and the next start goes on with them.
    Resumable,
    /// They are published as they are: nothing will come after.
    Final,
}

/// How a run ended.
pub(crate) struct Outcome {
    /// The balances of the run.
    pub(crate) ledger: Ledger,
    /// Datagrams that the kernel dropped for want of buffer.
    pub(crate) kernel_drops: u64,
    /// Windows published, revisions included.
    pub(crate) published: u64,
    /// Windows that could not be written.
    pub(crate) unwritten: u64,
    /// Flows that were not written.
    pub(crate) flows_lost: u64,
    /// What found no room, in one sentence.
    pub(crate) losses: Option<String>,
    /// What came of mirrored packets, in one sentence.
    pub(crate) packets: Option<String>,
}

/// Sockets bound and state restored; [`Collector::run`] does the rest.
pub(crate) struct Collector {
    workers: Vec<(Worker, Inputs)>,
    counters: Vec<Counters>,
    probes: Vec<Probes>,
    mirrors: Option<Mirrors>,
    publisher: Publisher,
    /// When an earlier run ended without a word.
    killed_us: Option<i64>,
    reload: Reload,
    data: PathBuf,
    clock: Clock,
    /// Datagrams that the owner knows of: those that were taken in, and those that the kernel dropped.
    taken: Arc<AtomicU64>,
    #[cfg(feature = "web")]
    page: Option<crate::page::Page>,
}

/// Where a collector's datagrams come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// Addresses to listen on.
    pub(crate) listen: Vec<SocketAddr>,
    /// Workers that share them.
    pub(crate) workers: usize,
    /// Interfaces on which the telemetry of others is seen.
    pub(crate) interfaces: Vec<String>,
    /// Ports that telemetry goes to there.
    pub(crate) ports: Vec<u16>,
    /// Interfaces whose packets are measured themselves.
    pub(crate) mirrors: Vec<String>,
}

impl Collector {
    /// Binds the sockets first, so that the kernel queues what comes while the state is read.
    pub(crate) fn start(configured: &Configured, sources: &Sources, data: &Path, clock: Clock) -> Result<Collector, Failure> {
        let mut workers: Vec<(Worker, Inputs)> = Vec::new();
        let inputs = sockets(configured, sources)?.into_iter().map(Inputs::Sockets);
        let inputs: Vec<Inputs> = if sources.listen.is_empty() { Vec::new() } else { inputs.collect() };
        for input in inputs.into_iter().chain(taps(configured, sources)?) {
            workers.push((Worker::new(&configured.shared), input));
        }
        let mirrors = Mirrors::open(configured, &sources.mirrors)?;
        // The folder is locked first: of two collectors only one may go on from the journal.
        let store = configured.open_store(data)?;
        let (publisher, killed_us) = Publisher::resume(configured, store, data, clock.now_us())?;
        for (worker, _) in &mut workers {
            worker.decoder().restore(publisher.decoder().clone());
        }
        let counters: Vec<Counters> =
            configured.counters.iter().map(|source| Counters::new(source.clone(), &configured.shared)).collect();
        let probes: Vec<Probes> =
            configured.probes.iter().map(|source| Probes::new(source.clone(), &configured.shared)).collect();
        let others = counters.len() + probes.len() + usize::from(mirrors.is_some());
        let reload = Reload::of((workers.len() + others) as u64);
        Ok(Collector {
            workers,
            counters,
            probes,
            mirrors,
            publisher,
            killed_us,
            reload,
            data: data.to_path_buf(),
            clock,
            taken: Arc::default(),
            #[cfg(feature = "web")]
            page: None,
        })
    }

    /// Shows on a page what goes on.
    #[cfg(feature = "web")]
    pub(crate) fn show_on(&mut self, page: crate::page::Page) {
        self.page = Some(page);
    }

    /// Measures mirrored packets that are simulated: they come as datagrams, each with its time before it.
    pub(crate) fn measure_simulated(&mut self, configured: &Configured, interfaces: Vec<String>, socket: std::net::UdpSocket) {
        self.mirrors = Some(Mirrors::simulated(configured, interfaces, socket));
    }

    /// How many datagrams the owner knows of so far.
    pub(crate) fn taken(&self) -> Arc<AtomicU64> {
        self.taken.clone()
    }

    /// When an earlier run ended without a word; what it had written down is taken in.
    pub(crate) fn killed_us(&self) -> Option<i64> {
        self.killed_us
    }

    /// Where it listens, and the receive buffer that the kernel granted, in bytes.
    pub(crate) fn listening(&self) -> Vec<(String, usize)> {
        let mut listening = Vec::new();
        for (index, (_, inputs)) in self.workers.iter().enumerate() {
            match inputs {
                Inputs::Sockets(sockets) if index == 0 => {
                    let one = |receiver: &Receiver| (receiver.local_address().to_string(), receiver.buffer_granted());
                    listening.extend(sockets.receivers.iter().map(one));
                }
                Inputs::Sockets(_) => {}
                Inputs::Tap(tap) => listening.push((tap.name().to_owned(), tap.buffer_granted())),
            }
        }
        listening.extend(self.mirrors.iter().flat_map(Mirrors::listening));
        listening
    }

    /// Where a new configuration is handed in: it is in force within a report's time, without losing a datagram.
    pub(crate) fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Receives until `stop` is set, then drains, writes everything and saves the open windows.
    pub(crate) fn run(mut self, stop: &Arc<AtomicBool>, ending: Ending) -> Result<Outcome, Failure> {
        let (outbox, inbox) = bounded(REPORTS_MOST);
        let clock = self.clock;
        let mut threads: Vec<_> = self
            .workers
            .drain(..)
            .enumerate()
            .map(|(index, (worker, inputs))| {
                let (outbox, stop, reload) = (outbox.clone(), stop.clone(), self.reload.clone());
                let running = Running { index, worker, inputs, clock, outbox, reload, reloads: 0, flows_lost: 0 };
                thread::spawn(move || running.receive_until(&stop))
            })
            .collect();
        for counters in self.counters.drain(..) {
            let (outbox, stop, reload, index) = (outbox.clone(), stop.clone(), self.reload.clone(), threads.len());
            let source = Source::Counters(counters);
            threads.push(thread::spawn(move || read_source(source, index, clock, &outbox, &reload, &stop)));
        }
        for probes in self.probes.drain(..) {
            let (outbox, stop, reload, index) = (outbox.clone(), stop.clone(), self.reload.clone(), threads.len());
            threads.push(thread::spawn(move || read_source(Source::Probes(probes), index, clock, &outbox, &reload, &stop)));
        }
        let said = Arc::new(Mutex::new(None));
        if let Some(mirrors) = self.mirrors.take() {
            let (outbox, stop, reload, said) = (outbox.clone(), stop.clone(), self.reload.clone(), said.clone());
            let index = threads.len();
            threads.push(thread::spawn(move || mirrors.measure_until(index, clock, &outbox, &reload, &stop, &said)));
        }
        drop(outbox);
        let totals = self.own(&inbox, threads.len());
        crate::service::stopping();
        for thread in threads {
            thread.join().map_err(|_| Failure::failed("a receive worker panicked; please report this"))?;
        }
        let now_us = clock.now_us();
        let (owner, written) = match ending {
            Ending::Final => self.publisher.finish(now_us)?,
            Ending::Resumable => self.publisher.stop(now_us)?,
        };
        let mut ledger = Ledger::default();
        totals.iter().for_each(|worker| ledger.merge(&worker.ledger));
        Ok(Outcome {
            ledger: settle(&owner, ledger),
            kernel_drops: totals.iter().map(|worker| worker.kernel_drops).sum(),
            published: written.published,
            unwritten: written.fell_off,
            flows_lost: written.flows_lost + totals.iter().map(|worker| worker.flows_lost).sum::<u64>(),
            losses: losses(&owner),
            packets: said.lock().unwrap_or_else(PoisonError::into_inner).take(),
        })
    }

    /// Merges reports until all workers are gone; gives each worker's balances and kernel drops.
    fn own(&mut self, inbox: &Inbox<Report>, workers: usize) -> Vec<Totals> {
        let mut totals = vec![Totals::default(); workers];
        let mut seen: Vec<Seen> = vec![Seen::default(); workers];
        let every = self.clock.every(SECOND_US);
        let (mut advanced, mut reloads) = (Instant::now(), 0);
        loop {
            match inbox.recv_timeout(every.saturating_sub(advanced.elapsed())) {
                Ok(report) => {
                    if report.reloads > reloads {
                        reloads = report.reloads;
                        self.reconfigure();
                    }
                    self.publisher.merge(report.worker, report.delta, report.changes, self.clock.now_us());
                    if let Some(batch) = report.flows {
                        self.publisher.flows(batch, self.clock.now_us());
                    }
                    totals[report.worker] = report.totals;
                    let known = totals.iter().map(|worker| worker.ledger.datagrams_received + worker.kernel_drops).sum();
                    self.taken.store(known, Ordering::Release);
                    if let Some(told) = report.seen {
                        seen[report.worker] = told;
                        tell_seen(&seen, &self.data);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return totals,
            }
            if advanced.elapsed() >= every {
                advanced = Instant::now();
                self.publisher.advance(self.clock.now_us());
                crate::service::alive();
            }
            #[cfg(feature = "web")]
            if let Some(page) = &mut self.page {
                page.look(&self.publisher, &totals, inbox.len(), self.clock.now_us());
            }
        }
    }

    /// Takes the latest configuration in, as the worker has whose report comes next.
    fn reconfigure(&mut self) {
        let alerts = self.reload.alerts();
        if let Some(shared) = self.reload.latest()
            && let Err(failure) = self.publisher.reconfigure(&shared, &alerts)
        {
            tracing::error!("{failure}");
        }
    }
}

/// The end of the last window that an earlier run published of late, where it left no state.
pub(crate) fn last_published_us(data: &Path, now_us: i64) -> Result<Option<i64>, Failure> {
    let found = store::read::<LinkRow>(data, now_us - LOOK_BACK_US, i64::MAX).map_err(Failure::failed)?;
    // What was open was to be published again.
    let judged = found.rows.iter().filter(|row| &*row.status != "open");
    Ok(judged.map(|row| row.window_start.0 + row.window_seconds * SECOND_US).max())
}

fn tell_seen(seen: &[Seen], data: &Path) {
    let mut all = Seen::default();
    seen.iter().for_each(|one| all.join(one.clone()));
    if let Err(error) = write_seen(data, &all) {
        tracing::warn!("what was seen of interfaces cannot be written for peerings check: {error}");
    }
}
