//! Alerts: what the owner holds, translated into what rules judge; what they find, into rows and notices.
//!
//! The owner's thread judges, every ten seconds, which takes milliseconds, and never waits: whatever has to do
//! with a disk or a network is [`alert::Delivery`]'s.

mod history;
mod keep;
mod observe;
mod plan;
mod rows;
mod usual;

use std::path::Path;
use std::time::Duration;

use alert::{Delivery, Engine, Notice, Saved, Silence};
use measure::Owner;
use measure::judge::Basis;
use model::time::{BIN_US, SECOND_US, slot_start_us};
use model::{Name, Publication, Rows};
use store::StoreError;

use crate::writer::Written;

use self::observe::Observer;
use self::rows::AlertRows;

pub(crate) use self::keep::{read_silences, saved, write_silences};
pub(crate) use self::plan::AlertPlan;

/// How long targets are waited for at the end; what they do not take then, they are told by the next run.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// How long something that was lost is called trouble.
const TROUBLE_US: i64 = 600 * SECOND_US;

/// How the collector itself fares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    /// What its writer has done.
    pub(crate) written: Written,
    /// Its disk fails now.
    pub(crate) is_disk_failing: bool,
    /// How far the copy in an object store is.
    #[cfg(feature = "objects")]
    pub(crate) copied: Option<crate::copying::Copied>,
}

/// Rules, rows and targets of a collector, or rules and rows of a replay.
pub(crate) struct Alerts {
    plan: AlertPlan,
    engine: Engine,
    observer: Observer,
    rows: AlertRows,
    /// A live collector's; a replay tells nobody.
    delivery: Option<Delivery>,
    /// The slot of the last judgement.
    judged_us: Option<i64>,
    fell_off: Rising,
    flows_lost: Rising,
    journal_failures: Rising,
    folded: Rising,
    #[cfg(feature = "objects")]
    lost_hours: Rising,
}

/// A count that should not rise, and when it did last.
#[derive(Default)]
struct Rising {
    count: u64,
    risen_us: Option<i64>,
}

impl Rising {
    /// Gives whether it has risen of late.
    fn has_risen(&mut self, count: u64, now_us: i64) -> bool {
        if count > self.count {
            self.risen_us = Some(now_us);
        }
        self.count = count;
        self.risen_us.is_some_and(|risen_us| now_us - risen_us < TROUBLE_US)
    }
}

impl Alerts {
    /// Alerts that are written down and told to nobody.
    pub(crate) fn new(plan: AlertPlan) -> Alerts {
        let engine = Engine::new(plan.settings.clone(), plan.rules.clone());
        Alerts {
            plan,
            engine,
            observer: Observer::default(),
            rows: AlertRows::default(),
            delivery: None,
            judged_us: None,
            fell_off: Rising::default(),
            flows_lost: Rising::default(),
            journal_failures: Rising::default(),
            folded: Rising::default(),
            #[cfg(feature = "objects")]
            lost_hours: Rising::default(),
        }
    }

    /// Goes on with what an earlier run left in the data folder, and tells targets.
    ///
    /// # Errors
    ///
    /// If the data folder cannot be read or written.
    pub(crate) fn resume(&mut self, data: &Path, now_us: i64) -> Result<(), StoreError> {
        let (keep, saved) = keep::open(data)?;
        let saved = saved.unwrap_or_default();
        if !saved.engine.is_empty() && !self.engine.restore(&saved.engine) {
            tracing::warn!("{}: the state of alerts is of another version; what goes on alerts anew", data.display());
        }
        self.rows = AlertRows::read(data, now_us)?;
        self.observer.usual.read(data, now_us);
        self.delivery = Some(Delivery::start(self.plan.targets.clone(), &self.plan.settings, saved, Box::new(keep)));
        Ok(())
    }

    /// Goes on by another configuration.
    pub(crate) fn reconfigure(&mut self, plan: AlertPlan) {
        self.engine.reconfigure(plan.settings.clone(), plan.rules.clone());
        if let Some(delivery) = &mut self.delivery {
            delivery.reconfigure(plan.targets.clone(), &plan.settings);
        }
        self.plan = plan;
    }

    /// Looks at rows that are about to be published: some of it rules judge.
    pub(crate) fn look(&mut self, publications: &[Publication]) {
        publications.iter().for_each(|publication| self.observer.look(publication));
    }

    /// Judges if it is time to, failures by earlier ones and the present split; gives rows to be published. A failover
    /// that the owner does not follow any more is over.
    pub(crate) fn judge(&mut self, owner: &Owner, basis: &Basis, health: &Health, now_us: i64) -> Vec<Publication> {
        self.take_delivered();
        let slot_us = slot_start_us(now_us, BIN_US);
        if self.judged_us != Some(slot_us) {
            self.judged_us = Some(slot_us);
            let mut observed = self.observer.observe(owner, basis, now_us);
            observed.troubles = self.troubles(owner, health, now_us);
            observed.events = crate::events::of_alerts(owner);
            let changes = self.engine.judge(&observed, &self.silences());
            self.observer.take_back(observed);
            let notices: Vec<Notice> = changes.iter().filter_map(|change| change.notice.clone()).collect();
            changes.iter().for_each(|change| self.rows.add(&change.alert));
            // Once a minute what it knows is saved though nothing changed.
            let is_due = slot_us % (6 * BIN_US) == 0;
            if let Some(delivery) = self.delivery.as_mut().filter(|_| is_due || !changes.is_empty()) {
                delivery.tell(notices, self.engine.standing(now_us), self.engine.state());
            }
        }
        self.publications(now_us)
    }

    /// Alerts that go on, and those that have ended of late.
    #[cfg(feature = "web")]
    pub(crate) fn seen(&self, now_us: i64) -> Vec<alert::Alert> {
        self.engine.seen(now_us)
    }

    fn silences(&self) -> Vec<Silence> {
        let asked = self.delivery.as_ref().map(Delivery::silences).unwrap_or_default();
        self.plan.silences.iter().cloned().chain(asked).collect()
    }

    fn take_delivered(&mut self) {
        if let Some(delivery) = &self.delivery {
            delivery.take_delivered().iter().for_each(|delivered| self.rows.deliver(delivered));
        }
    }

    fn publications(&mut self, now_us: i64) -> Vec<Publication> {
        let windows = self.rows.take_changed(now_us);
        windows.into_iter().map(|(window_start_us, rows)| Publication { window_start_us, rows: Rows::Alerts(rows) }).collect()
    }

    /// What of the collector itself is in trouble.
    fn troubles(&mut self, owner: &Owner, health: &Health, now_us: i64) -> Vec<(Name, String)> {
        let Written { fell_off, flows_lost, journal_failures, .. } = health.written;
        let losses = owner.losses();
        let folded = losses.folded_lanes + losses.folded_cells + losses.moved_bins;
        let mut troubles = Vec::new();
        let mut add = |is_so: bool, what: &str, sentence: &str| {
            if is_so {
                troubles.push((Name::from(what), sentence.to_owned()));
            }
        };
        add(health.is_disk_failing, "disk", "the data folder cannot be written: rows wait in memory");
        add(
            self.fell_off.has_risen(fell_off, now_us),
            "rows",
            "rows fell off before they could be written: the disk is too slow or failed",
        );
        add(self.flows_lost.has_risen(flows_lost, now_us), "flows", "flows were not written: the disk is too slow or failed");
        add(
            self.journal_failures.has_risen(journal_failures, now_us),
            "journal",
            "the journal could not be written: a kill may lose open windows",
        );
        add(
            self.folded.has_risen(folded, now_us),
            "limits",
            "records found no room and count as \"other\": raise the limits of [measure]",
        );
        add(
            self.observer.kernel_drops(now_us),
            "kernel_drops",
            "the kernel drops datagrams: raise [receive] buffer_bytes, or --workers",
        );
        #[cfg(feature = "objects")]
        if let Some(copied) = &health.copied {
            add(
                self.lost_hours.has_risen(copied.lost_hours, now_us),
                "objects_lost",
                "hours of tables were removed from the disk before they were copied to the object store",
            );
            troubles.extend(copied.trouble(now_us).map(|sentence| (Name::from("objects"), sentence)));
        }
        let quarantined = |exporter: &Name| {
            let sentence = format!(
                "{exporter} redefines its templates too often: their data is not read; a second sender may use its address"
            );
            (Name::from(format!("templates {exporter}")), sentence)
        };
        troubles.extend(self.observer.quarantined(now_us).map(quarantined));
        troubles.extend(self.delivery.iter().flat_map(Delivery::troubles));
        troubles
    }

    /// Tells what can be told within a moment, saves the rest for the next run; gives rows to be published.
    pub(crate) fn stop(&mut self, now_us: i64) -> Vec<Publication> {
        if let Some(mut delivery) = self.delivery.take() {
            delivery.tell([], self.engine.standing(now_us), self.engine.state());
            let delivered = delivery.stop(STOP_PATIENCE);
            delivered.iter().for_each(|delivered| self.rows.deliver(delivered));
        }
        self.publications(now_us)
    }
}

/// Alerts that go on by what was saved, silenced ones among them.
pub(crate) fn firing(saved: &Saved, now_us: i64) -> Option<Vec<alert::Alert>> {
    let mut engine = Engine::new(alert::AlertSettings::default(), alert::Rules::default());
    (saved.engine.is_empty() || engine.restore(&saved.engine)).then(|| engine.firing(now_us))
}
