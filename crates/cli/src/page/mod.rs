//! The page of a running collector: what the owner knows, handed over about once a second.
//!
//! The owner copies bins and goes on; all else happens on threads of the page's own.

mod archive;
mod configuration;
mod heard;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver as Inbox, Sender as Outbox, bounded};
use measure::Series;
use measure::judge::Basis;
use model::link::wire_bps;
use model::tables::{ConnectionRow, ExporterRow, LinkRow};
use model::time::{DAY_US, DETAIL_WINDOW_US, HOUR_US, SECOND_US, slot_start_us};
use model::{Direction, Ledger};
use peering::Inventory;
use web::{Alert, Exporter, Painter, Process, Recent, Screen, Snapshot, Step};

use crate::clock::Clock;
use crate::collector::REPORTS_MOST;
use crate::failure::Failure;
use crate::owner::Publisher;
use crate::running::Totals;
use crate::writer::Written;

pub(crate) use archive::Files;
pub(crate) use configuration::{PageSettings, WebConfig, parse};
pub(crate) use heard::Heard;

/// Time between two looks on the wall.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A look costs the owner at most this part of its time: where it takes long, looks are rarer.
const LOOK_SHARE: u32 = 20;
/// How far back the first look goes.
const HISTORY_US: i64 = HOUR_US;
/// How far back later ones go at least: bins that may still grow.
const GROWING_US: i64 = 300 * SECOND_US;
/// Windows longer back than this are closed in any case.
const GROWING_US_MOST: i64 = 1_800 * SECOND_US;

/// What the owner knows at one moment.
pub(crate) struct Sight {
    pub(crate) at_us: i64,
    pub(crate) series: Series,
    pub(crate) edge: Vec<ConnectionRow>,
    pub(crate) exporters: Vec<ExporterRow>,
    pub(crate) latencies: Vec<web::Latency>,
    pub(crate) events: Vec<web::Event>,
    /// What failures are judged by.
    pub(crate) basis: Basis,
    /// Those that go on, silenced or not, and those that have ended of late.
    pub(crate) alerts: Vec<alert::Alert>,
    pub(crate) late_records: u64,
    pub(crate) written: Written,
    /// Tasks and rows that wait for the disk, and whether it fails.
    pub(crate) waiting: (usize, usize, bool),
    /// How far the copy in an object store is.
    #[cfg(feature = "objects")]
    pub(crate) copied: Option<crate::copying::Copied>,
}

/// A sight, and what the collector itself adds.
struct Look {
    sight: Sight,
    ledger: Ledger,
    kernel_drops: u64,
    flows_lost: u64,
    workers: usize,
    reports_waiting: usize,
    took: Duration,
}

/// Where the page is shown from.
pub(crate) struct Page {
    outbox: Outbox<Look>,
    looked: Instant,
    every: Duration,
    /// End of the last look; `None` before the first.
    until_us: Option<i64>,
    growing_us: i64,
}

impl Page {
    /// Serves on a socket that listens already.
    pub(crate) fn start(
        listener: TcpListener,
        settings: &PageSettings,
        inventory: Arc<Inventory>,
        data: &Path,
        clock: Clock,
    ) -> Result<Page, Failure> {
        let files = Arc::new(Files::new(data, settings.pushed.clone()));
        let cannot = |error| Failure::failed(format!("the page cannot be served: {error}"));
        let screen = web::serve(listener, settings.options(), files).map_err(cannot)?;
        let (outbox, inbox) = bounded(1);
        let mut painter = Painting {
            recent: Recent::default(),
            painter: Painter::new(settings.judged_by),
            inventory,
            screen,
            started_us: Clock::wall().now_us(),
            speed: clock.speed(),
        };
        let (data, now_us) = (data.to_path_buf(), clock.now_us());
        thread::spawn(move || {
            painter.remember(&data, now_us);
            painter.paint_until_closed(&inbox);
        });
        Ok(Page { outbox, looked: Instant::now(), every: Duration::ZERO, until_us: None, growing_us: GROWING_US })
    }

    /// Looks at what the owner knows, if it is time; nobody is waited for.
    pub(crate) fn look(&mut self, publisher: &Publisher, totals: &[Totals], reports_waiting: usize, now_us: i64) {
        if self.looked.elapsed() < self.every || self.outbox.is_full() {
            return;
        }
        let started = Instant::now();
        let from_us = match self.until_us {
            Some(until_us) => until_us.min(now_us) - self.growing_us,
            None => now_us - HISTORY_US,
        };
        let sight = publisher.look(from_us.max(now_us - HISTORY_US), now_us);
        let held = sight.series.links.iter().map(|link| link.timeout_us).max().unwrap_or(0);
        self.growing_us = (held + GROWING_US).min(GROWING_US_MOST);
        let mut ledger = Ledger::default();
        totals.iter().for_each(|worker| ledger.merge(&worker.ledger));
        let look = Look {
            ledger,
            kernel_drops: totals.iter().map(|worker| worker.kernel_drops).sum(),
            flows_lost: totals.iter().map(|worker| worker.flows_lost).sum(),
            workers: totals.len(),
            reports_waiting,
            took: started.elapsed(),
            sight,
        };
        self.until_us = Some(now_us);
        self.every = LOOK_EVERY.max(started.elapsed() * LOOK_SHARE);
        self.looked = started;
        // There was room; were the painter gone, there would be nobody to show it to.
        let _ = self.outbox.try_send(look);
    }
}

/// The thread that turns sights into snapshots.
struct Painting {
    recent: Recent,
    painter: Painter,
    inventory: Arc<Inventory>,
    screen: Screen,
    started_us: i64,
    speed: u32,
}

impl Painting {
    /// Takes the last day in from the files: what 95th percentiles and failures are judged by.
    fn remember(&mut self, data: &Path, now_us: i64) {
        let until_us = slot_start_us(now_us, DETAIL_WINDOW_US);
        let rows = match store::read_five_minutes::<LinkRow>(data, until_us - DAY_US, until_us) {
            Ok(found) => found.rows,
            Err(error) => return tracing::warn!("the page begins without the last day: {error}"),
        };
        for row in rows.iter().filter(|row| &*row.status != "open") {
            let Some(direction) = Direction::named(&row.direction) else { continue };
            let known = |value: Option<f64>| value.map_or(f32::NAN, |value| value as f32);
            let wire_bps = row.mean_bps.zip(row.packets_per_second).map(|(bps, packets)| wire_bps(bps, packets));
            let step = Step { bps: known(row.mean_bps), wire_bps: known(wire_bps), utilisation: known(row.utilisation_ratio) };
            self.recent.remember(&row.connection, direction, row.window_start.0, step);
        }
    }

    fn paint_until_closed(&mut self, inbox: &Inbox<Look>) {
        while let Ok(look) = inbox.recv() {
            let snapshot = self.paint(look);
            self.screen.show(snapshot);
        }
    }

    fn paint(&mut self, look: Look) -> Snapshot {
        let Look { sight, mut ledger, .. } = look;
        self.recent.take(sight.series, sight.at_us);
        let picture = self.painter.paint(&self.recent, &sight.edge, &sight.basis);
        let late = sight.late_records.min(ledger.records_attributed);
        ledger.records_attributed -= late;
        ledger.records_late += late;
        let name = |row: &ExporterRow| {
            let address = row.address.parse().ok()?;
            self.inventory.exporter_name(address).map(Into::into)
        };
        let exporters = sight.exporters.into_iter().map(|row| Exporter { name: name(&row), row }).collect();
        let (tasks_waiting, rows_waiting, is_disk_failing) = sight.waiting;
        let process = Process {
            started_us: self.started_us,
            kernel_drops: look.kernel_drops,
            workers: look.workers,
            reports_waiting: (look.reports_waiting, REPORTS_MOST),
            tasks_waiting,
            rows_waiting,
            is_disk_failing,
            windows_published: sight.written.published,
            windows_lost: sight.written.fell_off,
            flows_lost: sight.written.flows_lost + look.flows_lost,
            writes: sight.written.tasks,
            write_seconds: sight.written.took.as_secs_f64(),
            journal_failures: sight.written.journal_failures,
            log_lines_suppressed: crate::log::suppressed(),
            look_seconds: look.took.as_secs_f64(),
            #[cfg(feature = "objects")]
            copied: sight.copied.map(copied),
            #[cfg(not(feature = "objects"))]
            copied: None,
        };
        Snapshot {
            at_us: sight.at_us,
            speed: self.speed,
            connections: picture.connections,
            ports: picture.ports,
            networks: picture.networks,
            exporters,
            events: sight.events,
            latencies: sight.latencies,
            alerts: sight.alerts.into_iter().map(shown).collect(),
            ledger,
            process,
        }
    }
}

#[cfg(feature = "objects")]
fn copied(copied: crate::copying::Copied) -> web::Copied {
    web::Copied {
        until_us: copied.until_us,
        objects: copied.objects,
        bytes: copied.bytes,
        removed: copied.removed,
        failures: copied.failures,
        lost_hours: copied.lost_hours,
    }
}

fn shown(alert: alert::Alert) -> Alert {
    let is_held_back = alert.is_silenced && alert.state == alert::State::Firing;
    Alert {
        at_us: alert.ended_us.unwrap_or(alert.started_us),
        rule: alert.kind.name().into(),
        state: if is_held_back { "silenced".into() } else { alert.state.name().into() },
        severity: alert.severity.name().into(),
        connection: alert.subject.connection,
        direction: alert.subject.direction,
        summary: alert.summary,
    }
}

/// Binds the page's socket; in use is fatal only where this address was asked for.
pub(crate) fn bind(address: SocketAddr, is_asked_for: bool) -> Result<Option<TcpListener>, Failure> {
    match TcpListener::bind(address) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if is_asked_for => {
            Err(Failure::failed(format!("the page cannot be served on {address}: {error}; give another --web or --web off")))
        }
        Err(error) => {
            tracing::warn!("there is no page: {address}: {error}; give --web ADDRESS for another place, or --web off");
            Ok(None)
        }
    }
}
