//! The live collector: workers that own sockets, one owner of all windows, a clean stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver as Inbox, RecvTimeoutError, Sender as Outbox, bounded};
use measure::Delta;
use model::Ledger;
use model::tables::LinkRow;
use model::time::SECOND_US;
use peering::Seen;
use receive::{Receiver, wait_any};

use crate::clock::Clock;
use crate::commands::write_seen;
use crate::configuration::Configured;
use crate::failure::Failure;
use crate::owner::Publisher;
use crate::pipeline::Worker;
use crate::saved::{Saved, take_saved, write_saved};

/// Reports of workers that wait for the owner; a worker that finds no room goes on counting.
const REPORTS_MOST: usize = 64;

/// How long a worker waits for datagrams before it looks at the clock.
const WAIT: Duration = Duration::from_millis(50);

/// How far back windows are looked for that an earlier run published: they are revised no longer.
const LOOK_BACK_US: i64 = 7_200 * SECOND_US;

/// Reports of a worker after which it tells what it has seen of interfaces and next hops.
const SEEN_EVERY: u64 = 60;

/// What a worker counted since its last report.
struct Report {
    worker: usize,
    delta: Delta,
    totals: Totals,
    seen: Option<Seen>,
}

/// A worker's balances and kernel drops since its start.
#[derive(Clone, Default)]
struct Totals {
    ledger: Ledger,
    kernel_drops: u64,
}

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
    /// What found no room, in one sentence.
    pub(crate) losses: Option<String>,
}

/// Sockets bound and state restored; [`Collector::run`] does the rest.
pub(crate) struct Collector {
    workers: Vec<(Worker, Vec<Receiver>)>,
    publisher: Publisher,
    data: PathBuf,
    clock: Clock,
}

impl Collector {
    /// Binds the sockets first, so that the kernel queues what comes while the state is read.
    pub(crate) fn start(
        configured: &Configured,
        listen: &[SocketAddr],
        workers: usize,
        data: &Path,
        clock: Clock,
    ) -> Result<Collector, Failure> {
        let mut sockets: Vec<Vec<Receiver>> = (0..workers).map(|_| Vec::new()).collect();
        for address in listen {
            let bound = receive::bind(*address, workers, &configured.receive).map_err(|error| {
                Failure::failed(format!("cannot listen on {address}: {error}; give another --listen or stop what uses it"))
            })?;
            for (worker, receiver) in sockets.iter_mut().zip(bound) {
                worker.push(receiver);
            }
        }
        let mut workers: Vec<(Worker, Vec<Receiver>)> =
            sockets.into_iter().map(|receivers| (Worker::new(&configured.shared), receivers)).collect();
        // The folder is locked first: of two collectors only one may take the state.
        let store = configured.open_store(data)?;
        let saved = take_saved(data)?;
        let (owner, decoders) = saved.map_or((None, Vec::new()), |saved| (Some(saved.owner), saved.decoders));
        for (worker, _) in &mut workers {
            decoders.iter().for_each(|state| worker.decoder().restore(state.clone()));
        }
        let is_resumed = owner.is_some();
        let mut publisher = Publisher::open(configured, store, data, owner)?;
        if !is_resumed && let Some(end_us) = last_published_us(data, clock.now_us())? {
            publisher.start_after(end_us);
        }
        Ok(Collector { workers, publisher, data: data.to_path_buf(), clock })
    }

    /// Where it listens, and the receive buffer that the kernel granted, in bytes.
    pub(crate) fn listening(&self) -> Vec<(SocketAddr, usize)> {
        let first = self.workers.first().map(|(_, receivers)| receivers.as_slice()).unwrap_or_default();
        first.iter().map(|receiver| (receiver.local_address(), receiver.buffer_granted())).collect()
    }

    /// Receives until `stop` is set, then drains, writes everything and saves the open windows.
    pub(crate) fn run(mut self, stop: &Arc<AtomicBool>, ending: Ending) -> Result<Outcome, Failure> {
        let (outbox, inbox) = bounded(REPORTS_MOST);
        let clock = self.clock;
        let threads: Vec<_> = self
            .workers
            .drain(..)
            .enumerate()
            .map(|(index, (worker, receivers))| {
                let (outbox, stop) = (outbox.clone(), stop.clone());
                thread::spawn(move || receive_until(&stop, index, worker, receivers, clock, &outbox))
            })
            .collect();
        drop(outbox);
        let totals = own(&mut self.publisher, &inbox, threads.len(), clock, &self.data);
        let mut decoders = Vec::new();
        for thread in threads {
            let mut worker = thread.join().map_err(|_| Failure::failed("a receive worker panicked; please report this"))?;
            decoders.push(worker.decoder().save());
        }
        let now_us = clock.now_us();
        match ending {
            Ending::Final => self.publisher.finish(now_us).map_err(Failure::failed)?,
            Ending::Resumable => {
                let written = self.publisher.advance(now_us).and_then(|()| self.publisher.preview(now_us));
                // Even if rows cannot be written, what they are made of is kept.
                write_saved(&self.data, &Saved { owner: self.publisher.state().clone(), decoders })?;
                written.map_err(Failure::failed)?;
            }
        }
        let mut ledger = Ledger::default();
        totals.iter().for_each(|worker| ledger.merge(&worker.ledger));
        Ok(Outcome {
            ledger: self.publisher.settle(ledger),
            kernel_drops: totals.iter().map(|worker| worker.kernel_drops).sum(),
            published: self.publisher.published(),
            unwritten: self.publisher.fell_off(),
            losses: self.publisher.losses(),
        })
    }
}

/// The end of the last window that an earlier run published of late, where it left no state.
fn last_published_us(data: &Path, now_us: i64) -> Result<Option<i64>, Failure> {
    let found = store::read::<LinkRow>(data, now_us - LOOK_BACK_US, i64::MAX).map_err(Failure::failed)?;
    Ok(found.rows.iter().map(|row| row.window_start.0 + row.window_seconds * SECOND_US).max())
}

/// A worker's life: batches of datagrams in, a report each second out, at the end a drained socket.
fn receive_until(
    stop: &AtomicBool,
    index: usize,
    mut worker: Worker,
    mut receivers: Vec<Receiver>,
    clock: Clock,
    outbox: &Outbox<Report>,
) -> Worker {
    let (mut due_us, mut reports) = (clock.now_us() + SECOND_US, 0);
    loop {
        let is_stopping = stop.load(Ordering::Relaxed);
        let came = receive_once(&mut worker, &mut receivers, clock);
        let now_us = clock.now_us();
        let is_last = came == 0 && is_stopping;
        if is_last || now_us >= due_us && !outbox.is_full() {
            due_us = now_us + SECOND_US;
            reports += 1;
            let kernel_drops = receivers.iter().map(Receiver::kernel_drops).sum();
            let delta = worker.take(now_us, kernel_drops);
            let totals = Totals { ledger: worker.ledger(), kernel_drops };
            let seen = (is_last || reports % SEEN_EVERY == 0).then(|| worker.resolver().seen());
            // The owner outlives the workers; were it gone there would be nobody to tell.
            let _ = outbox.send(Report { worker: index, delta, totals, seen });
        }
        if is_last {
            return worker;
        }
        if came == 0 {
            let _ = wait_any(&receivers, WAIT.min(clock.until(due_us)));
        }
    }
}

/// Takes in what waits on each socket, a batch of each in turn, so that a busy one starves nobody.
fn receive_once(worker: &mut Worker, receivers: &mut [Receiver], clock: Clock) -> usize {
    let mut came = 0;
    for receiver in receivers {
        let received = receiver.receive(|datagram| {
            worker.datagram(clock.received_us(datagram.received_us), datagram.source, datagram.payload);
        });
        came += received.unwrap_or(0);
    }
    came
}

/// Merges reports until all workers are gone; gives each worker's balances and kernel drops.
fn own(publisher: &mut Publisher, inbox: &Inbox<Report>, workers: usize, clock: Clock, data: &Path) -> Vec<Totals> {
    let mut totals = vec![Totals::default(); workers];
    let mut seen: Vec<Seen> = vec![Seen::default(); workers];
    let mut due_us = clock.now_us() + SECOND_US;
    loop {
        match inbox.recv_timeout(clock.until(due_us).max(Duration::from_millis(1))) {
            Ok(report) => {
                publisher.merge(report.worker, report.delta, clock.now_us());
                totals[report.worker] = report.totals;
                if let Some(told) = report.seen {
                    seen[report.worker] = told;
                    tell_seen(&seen, data);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return totals,
        }
        let now_us = clock.now_us();
        if now_us >= due_us {
            due_us = now_us + SECOND_US;
            publisher.advance_or_tell(now_us);
        }
    }
}

fn tell_seen(seen: &[Seen], data: &Path) {
    let mut all = Seen::default();
    seen.iter().for_each(|one| all.join(one.clone()));
    if let Err(error) = write_seen(data, &all) {
        tracing::warn!("what was seen of interfaces cannot be written for peerings check: {error}");
    }
}
