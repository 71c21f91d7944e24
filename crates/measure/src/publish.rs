//! When rows are due: maturity by each exporter's active timeout, revision, closing.
//!
//! A window is published each time another active timeout has passed since its end: the links of quick
//! exporters do not wait for slow ones. What comes later makes a revision, at most one a minute, until
//! the window is closed; then its last rows are published, and what still comes is counted as late.

use model::time::{DETAIL_WINDOW_US, SECOND_US, WINDOW_US};
use model::{Publication, Rows};

use crate::covers::Covers;
use crate::link_rows::Learned;
use crate::owner::Owner;
use crate::port_rows::port_loads;
use crate::window::{Schedule, Way};

/// How far a window has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Records of flows that run on are still due.
    Open,
    /// Nearly all records must have come.
    Mature,
    /// Closed: nothing can change it any more.
    Final,
}

impl Stage {
    /// The name in the column `status`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Stage::Open => "open",
            Stage::Mature => "mature",
            Stage::Final => "final",
        }
    }
}

impl Owner {
    /// Everything that is due at `now_us`; to be called about once a second, after the deltas of that second.
    pub fn advance(&mut self, now_us: i64) -> Vec<Publication> {
        self.settle(now_us);
        self.close_before(now_us.saturating_sub(self.horizon_us()));
        let mut due = self.watch(now_us);
        self.publish_exporters(now_us, &mut due);
        self.publish_details(now_us, &mut due);
        self.publish_windows(now_us, &mut due);
        self.forget(now_us);
        due
    }

    /// Everything that there is, as final: the input is at its end.
    pub fn finish(&mut self, now_us: i64) -> Vec<Publication> {
        let mut due = self.advance(now_us);
        self.close_before(i64::MAX);
        self.publish_exporters(i64::MAX, &mut due);
        self.publish_details(now_us, &mut due);
        self.publish_windows(now_us, &mut due);
        due
    }

    /// What windows hold that are not published yet or have changed since, with the status `open` where
    /// records are still due; for a collector that stops. Nothing of it changes what is published later.
    pub fn preview(&self, now_us: i64) -> Vec<Publication> {
        let mut copy = self.copy();
        copy.settle(now_us);
        let mut due = Vec::new();
        copy.publish_exporters(i64::MAX, &mut due);
        let details: Vec<i64> = copy.state.details.keys().copied().collect();
        for window_us in details {
            if copy.state.details[&window_us].schedule.is_dirty {
                copy.publish_detail(window_us, now_us, Stage::Open, &mut due);
            }
        }
        let windows: Vec<i64> = copy.state.windows.keys().copied().collect();
        for window_us in windows {
            let schedule = &copy.state.windows[&window_us].schedule;
            if schedule.is_dirty || schedule.passed_us.is_none() {
                copy.publish_window(window_us, now_us, Stage::Open, &mut due);
            }
        }
        due
    }

    /// How long after its end a window may be revised: the longest active timeout and five minutes, within bounds.
    fn horizon_us(&self) -> i64 {
        let settings = &self.settings;
        let (least, most) = (settings.revision_seconds_least, settings.revision_seconds_most);
        let longest_us = self.timeouts_us().last().copied().unwrap_or(0);
        (longest_us + settings.revision_seconds * SECOND_US).clamp(least * SECOND_US, most.max(least) * SECOND_US)
    }

    /// The active timeouts of the exporters heard of late, ascending; never empty.
    pub(crate) fn timeouts_us(&self) -> Vec<i64> {
        let mut timeouts = self.state.exporters.timeouts_us();
        if timeouts.is_empty() {
            timeouts.push(self.settings.active_timeout_seconds * SECOND_US);
        }
        timeouts
    }

    /// The stage at which a window has to be published now, if it has to.
    fn due(&self, schedule: &Schedule, end_us: i64, now_us: i64) -> Option<Stage> {
        if self.is_closed(end_us) {
            return Some(Stage::Final);
        }
        let passed_us = self.passed_us(end_us, now_us)?;
        let is_further = schedule.passed_us.is_none_or(|before_us| passed_us > before_us);
        let every_us = self.settings.revision_every_seconds * SECOND_US;
        // Also where the clock was set back since.
        let is_revision = schedule.is_dirty && !(schedule.at_us..schedule.at_us.saturating_add(every_us)).contains(&now_us);
        (is_further || is_revision).then_some(Stage::Mature)
    }

    /// The longest active timeout that has passed since the end of a window.
    fn passed_us(&self, end_us: i64, now_us: i64) -> Option<i64> {
        let since_us = now_us - end_us - self.settings.grace_seconds * SECOND_US;
        self.timeouts_us().into_iter().rfind(|timeout_us| *timeout_us <= since_us)
    }

    /// Whether the active timeouts of all that count a link or port have passed since the end of a window.
    pub(crate) fn is_mature(&self, covers: &Covers, way: Way, window_us: i64, end_us: i64, now_us: i64) -> bool {
        let exporters = covers.exporters(way, None, end_us - WINDOW_US, self.idle_us().max(end_us - window_us));
        let longest_us = exporters.iter().map(|exporter| self.timeout_us(*exporter)).max();
        let longest_us = longest_us.unwrap_or(self.settings.active_timeout_seconds * SECOND_US);
        longest_us <= now_us - end_us - self.settings.grace_seconds * SECOND_US
    }

    /// How long an exporter holds flows, as far as is known.
    pub(crate) fn timeout_us(&self, exporter: model::Address) -> i64 {
        self.state.exporters.timeout_us(exporter).unwrap_or(self.settings.active_timeout_seconds * SECOND_US)
    }

    pub(crate) fn idle_us(&self) -> i64 {
        self.settings.idle_seconds * SECOND_US
    }

    fn publish_windows(&mut self, now_us: i64, due: &mut Vec<Publication>) {
        let windows: Vec<i64> = self.state.windows.keys().copied().collect();
        for window_us in &windows {
            let schedule = &self.state.windows[window_us].schedule;
            if let Some(stage) = self.due(schedule, *window_us + WINDOW_US, now_us) {
                self.publish_window(*window_us, now_us, stage, due);
            }
        }
        // Only now: windows of one detail window look at each other.
        for window_us in windows {
            if self.is_closed(window_us + WINDOW_US) {
                let room = self.state.windows.remove(&window_us).map_or(0, |window| window.latency.room());
                self.state.latency_room -= room;
                self.note_final(window_us);
            }
        }
    }

    fn publish_window(&mut self, window_us: i64, now_us: i64, stage: Stage, due: &mut Vec<Publication>) {
        let learned = Learned::of(self, window_us, window_us + WINDOW_US);
        let loads = port_loads(&self.state.windows, window_us);
        let links = self.link_rows(window_us, now_us, stage, &learned, &loads);
        let ports = self.port_rows(window_us, now_us, stage, &loads);
        for rows in [Rows::Links(links), Rows::Ports(ports)] {
            push(due, window_us, stage, rows);
        }
        // No column of it changes with the stage.
        let latency = if self.state.windows[&window_us].schedule.is_dirty { self.latency_rows(window_us) } else { Vec::new() };
        if !latency.is_empty() {
            due.push(Publication { window_start_us: window_us, rows: Rows::Latency(latency) });
        }
        let passed_us = self.passed_us(window_us + WINDOW_US, now_us);
        if let Some(window) = self.state.windows.get_mut(&window_us) {
            window.schedule.publish(passed_us, now_us);
        }
    }

    fn publish_details(&mut self, now_us: i64, due: &mut Vec<Publication>) {
        let windows: Vec<i64> = self.state.details.keys().copied().collect();
        for window_us in windows {
            let window = &self.state.details[&window_us];
            let Some(stage) = self.due(&window.schedule, window_us + DETAIL_WINDOW_US, now_us) else { continue };
            // There is no column that changes at closing, so what is published already stands.
            if stage != Stage::Final || window.schedule.is_dirty {
                self.publish_detail(window_us, now_us, stage, due);
            }
            if stage == Stage::Final
                && let Some(window) = self.state.details.remove(&window_us)
            {
                self.note_final(window_us);
                self.state.cells -= window.links.values().map(|link| link.cells()).sum::<usize>();
            }
        }
    }

    fn publish_detail(&mut self, window_us: i64, now_us: i64, stage: Stage, due: &mut Vec<Publication>) {
        let (traffic, prefixes) = self.detail_rows(window_us, now_us, stage);
        for rows in [Rows::Traffic(traffic), Rows::Prefixes(prefixes)] {
            push(due, window_us, stage, rows);
        }
        let passed_us = self.passed_us(window_us + DETAIL_WINDOW_US, now_us);
        if let Some(window) = self.state.details.get_mut(&window_us) {
            window.schedule.publish(passed_us, now_us);
        }
    }

    /// Minutes of reception are whole once they are over.
    fn publish_exporters(&mut self, now_us: i64, due: &mut Vec<Publication>) {
        for (minute_us, minute) in &mut self.state.exporters.minutes {
            if !minute.is_published && now_us >= minute_us.saturating_add(WINDOW_US) {
                minute.is_published = true;
                due.push(Publication { window_start_us: *minute_us, rows: Rows::Exporters(minute.rows(*minute_us)) });
            }
        }
    }

    fn forget(&mut self, now_us: i64) {
        let closed_us = self.state.closed_before_us.unwrap_or(now_us);
        self.state.readings.forget_before(closed_us);
        self.state.exporters.forget(closed_us, now_us);
        let idle_us = closed_us.saturating_sub(self.idle_us());
        let links = &self.state.names.links;
        self.state.link_covers.forget_before(idle_us, |way| links[way.0 as usize].is_active);
        self.state.port_covers.forget_before(idle_us, |_| false);
    }
}

/// Adds a publication; one without rows takes back what an earlier one may have said.
fn push(due: &mut Vec<Publication>, window_start_us: i64, stage: Stage, rows: Rows) {
    if stage != Stage::Open || !rows.is_empty() {
        due.push(Publication { window_start_us, rows });
    }
}
