//! The life of a worker, and of whatever else reports to the owner.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender as Outbox;
use decode::DecoderState;
use measure::Delta;
use model::time::SECOND_US;
use model::{FlowBatch, Ledger};
use peering::Seen;

use crate::clock::Clock;
use crate::counter_sources::Counters;
use crate::handing::Reload;
use crate::inputs::Inputs;
use crate::pipeline::{Shared, Worker};
use crate::probe_sources::Probes;

/// How long a worker waits for datagrams before it looks at the clock.
pub(crate) const WAIT: Duration = Duration::from_millis(50);

/// The same where a report is due that finds no room.
pub(crate) const WAIT_LEAST: Duration = Duration::from_millis(1);

/// Batches of datagrams that are not allowed which are read at the end: more than their socket holds.
const LAST_REFUSED_BATCHES: usize = 64;

/// Datagrams at once from which on more are likely to wait.
const FULL_BATCH: usize = 64;

/// Time between two reports: what a kill can cost, with the time that the owner takes to write it down.
const REPORT_EVERY_US: i64 = 80_000;

/// Time between two reports of which nothing is told.
pub(crate) const IDLE_REPORT_US: i64 = SECOND_US;

/// Time after which a worker tells again what it has seen of interfaces and next hops.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// What a worker counted since its last report.
pub(crate) struct Report {
    pub(crate) worker: usize,
    /// Configurations taken in before.
    pub(crate) reloads: u64,
    pub(crate) delta: Delta,
    /// The records themselves, where they are kept.
    pub(crate) flows: Option<FlowBatch>,
    /// What its decoder learned.
    pub(crate) changes: DecoderState,
    pub(crate) totals: Totals,
    pub(crate) seen: Option<Seen>,
}

impl Report {
    /// Of a worker that has no decoder, under the configuration of so many reloads.
    pub(crate) fn plain(worker: usize, reloads: u64, delta: Delta, kernel_drops: u64) -> Report {
        let totals = Totals { kernel_drops, ..Totals::default() };
        Report { worker, reloads, delta, flows: None, changes: DecoderState::default(), totals, seen: None }
    }
}

/// A worker's balances and kernel drops since its start.
#[derive(Clone, Default)]
pub(crate) struct Totals {
    pub(crate) ledger: Ledger,
    pub(crate) kernel_drops: u64,
    /// Flows that found no room.
    pub(crate) flows_lost: u64,
}

/// A worker and what it needs to run.
pub(crate) struct Running {
    pub(crate) index: usize,
    pub(crate) worker: Worker,
    pub(crate) inputs: Inputs,
    pub(crate) clock: Clock,
    pub(crate) outbox: Outbox<Report>,
    pub(crate) reload: Reload,
    /// Configurations taken in.
    pub(crate) reloads: u64,
    /// Flows that found no room.
    pub(crate) flows_lost: u64,
}

impl Running {
    /// A worker's life: batches of datagrams in, reports out, at the end a drained socket.
    pub(crate) fn receive_until(mut self, stop: &AtomicBool) {
        let clock = self.clock;
        let (every, idle) = (clock.every(REPORT_EVERY_US), clock.every(IDLE_REPORT_US));
        let (pause, mut last_came) = (self.inputs.pause(), Instant::now());
        let (mut reported, mut told_seen, mut has_news) = (Instant::now(), Instant::now(), false);
        loop {
            let is_stopping = stop.load(Ordering::Relaxed);
            let came = self.inputs.receive_once(&mut self.worker, clock);
            has_news |= came > 0;
            let is_last = came == 0 && is_stopping;
            let now = Instant::now();
            let wait = if has_news { every } else { idle }.saturating_sub(now - reported);
            let mut reloads = self.reloads;
            let reloaded = self.reload.since(&mut reloads);
            if is_last || reloaded.is_some() || wait.is_zero() && !self.outbox.is_full() {
                (reported, has_news) = (now, false);
                let is_seen_due = is_last || reloaded.is_some() || told_seen.elapsed() >= SEEN_EVERY;
                told_seen = if is_seen_due { reported } else { told_seen };
                self.report(is_seen_due, is_last);
            }
            if let Some(shared) = reloaded {
                self.inputs.allow(&shared);
                self.worker.reconfigure(&shared);
                self.reloads = reloads;
                self.reload.note_taken();
            }
            if is_last {
                return;
            }
            if came == 0 {
                self.inputs.wait(WAIT.min(wait.max(WAIT_LEAST)));
            } else if came < FULL_BATCH && now - std::mem::replace(&mut last_came, now) < 2 * pause {
                thread::sleep(pause);
            }
        }
    }

    fn report(&mut self, is_seen_due: bool, is_last: bool) {
        let worker = &mut self.worker;
        self.inputs.count_refused(worker, self.clock, if is_last { LAST_REFUSED_BATCHES } else { 1 });
        let kernel_drops = self.inputs.kernel_drops();
        let delta = worker.take(self.clock.now_us(), kernel_drops);
        let (flows, lost) = worker.take_flows().unzip();
        self.flows_lost += lost.unwrap_or(0);
        let totals = Totals { ledger: worker.ledger(), kernel_drops, flows_lost: self.flows_lost };
        let seen = is_seen_due.then(|| worker.seen());
        // The owner outlives the workers; were it gone there would be nobody to tell.
        let changes = worker.decoder().changes();
        let _ = self.outbox.send(Report { worker: self.index, reloads: self.reloads, delta, flows, changes, totals, seen });
    }
}

/// What is read now and then.
pub(crate) enum Source {
    Counters(Counters),
    Probes(Probes),
}

impl Source {
    fn every(&self) -> Duration {
        match self {
            Source::Counters(counters) => counters.every(),
            Source::Probes(probes) => probes.every(),
        }
    }

    fn reconfigure(&mut self, shared: &Shared) {
        match self {
            Source::Counters(counters) => counters.reconfigure(shared),
            Source::Probes(probes) => probes.reconfigure(shared),
        }
    }

    fn read(&mut self, now_us: i64, is_last: bool, stop: &AtomicBool) -> Delta {
        match self {
            Source::Counters(counters) => counters.read(now_us, is_last),
            Source::Probes(probes) => probes.read(now_us, is_last, stop),
        }
    }
}

/// The life of a source: as a worker's, of which it is one to the owner.
pub(crate) fn read_source(
    mut source: Source,
    index: usize,
    clock: Clock,
    outbox: &Outbox<Report>,
    reload: &Reload,
    stop: &AtomicBool,
) {
    let every = clock.every(source.every().as_micros() as i64);
    let (mut due, mut reloads) = (Instant::now(), 0);
    loop {
        let is_stopping = stop.load(Ordering::Relaxed);
        let reloaded = reload.since(&mut reloads);
        if let Some(shared) = &reloaded {
            source.reconfigure(shared);
            reload.note_taken();
        }
        if Instant::now() >= due || is_stopping {
            due = Instant::now() + every;
            let delta = source.read(clock.now_us(), is_stopping, stop);
            if outbox.send(Report::plain(index, reloads, delta, 0)).is_err() || is_stopping {
                return;
            }
        }
        thread::sleep(WAIT.min(every));
    }
}
