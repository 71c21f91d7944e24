//! Rows of `alerts`, by minute: a minute's rows are one file, written anew when one is added or delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use alert::{Alert, Delivered};
use model::table::Timestamp;
use model::tables::AlertRow;
use model::time::{SECOND_US, WINDOW_US, slot_start_us};
use model::{Direction, Name, Role};
use store::StoreError;

/// How long rows are held: what is delivered later than that is not noted in them.
const HELD_US: i64 = 3_600 * SECOND_US;

/// The rows of the last hour.
#[derive(Default)]
pub(super) struct AlertRows {
    minutes: BTreeMap<i64, Vec<AlertRow>>,
    changed: BTreeSet<i64>,
}

impl AlertRows {
    /// What an earlier run wrote of late.
    pub(super) fn read(data: &Path, now_us: i64) -> Result<AlertRows, StoreError> {
        let mut rows = AlertRows::default();
        let from_us = slot_start_us(now_us.saturating_sub(HELD_US), WINDOW_US);
        for row in store::read::<AlertRow>(data, from_us, i64::MAX)?.rows {
            rows.minutes.entry(slot_start_us(row.at.0, WINDOW_US)).or_default().push(row);
        }
        Ok(rows)
    }

    pub(super) fn add(&mut self, alert: &Alert) {
        let minute_us = slot_start_us(alert.at_us, WINDOW_US);
        self.minutes.entry(minute_us).or_default().push(row(alert));
        self.changed.insert(minute_us);
    }

    /// Notes that a target has taken one.
    pub(super) fn deliver(&mut self, delivered: &Delivered) {
        let minute_us = slot_start_us(delivered.at_us, WINDOW_US);
        let is_of = |row: &&mut AlertRow| row.at.0 == delivered.at_us && *row.fingerprint == *delivered.fingerprint;
        let target = Name::from(delivered.target.as_str());
        if let Some(row) = self.minutes.get_mut(&minute_us).into_iter().flatten().find(is_of)
            && !row.delivered.contains(&target)
        {
            row.delivered.push(target);
            row.delivered.sort_unstable();
            self.changed.insert(minute_us);
        }
    }

    /// The minutes that have changed, whole; forgets what is older than an hour.
    pub(super) fn take_changed(&mut self, now_us: i64) -> Vec<(i64, Vec<AlertRow>)> {
        let changed = std::mem::take(&mut self.changed);
        let rows = changed.into_iter().filter_map(|minute_us| Some((minute_us, self.minutes.get(&minute_us)?.clone()))).collect();
        self.minutes = self.minutes.split_off(&now_us.saturating_sub(HELD_US));
        rows
    }
}

fn row(alert: &Alert) -> AlertRow {
    let subject = &alert.subject;
    AlertRow {
        at: Timestamp(alert.at_us),
        rule: alert.kind.name().into(),
        fingerprint: alert.fingerprint().into(),
        state: alert.state.name().into(),
        severity: alert.severity.name().into(),
        connection: subject.connection.clone(),
        direction: subject.direction.map(Direction::name).map(Name::from),
        port: subject.port.clone(),
        exporter: subject.exporter.clone(),
        location: subject.location.clone(),
        role: subject.role.map(Role::name).map(Name::from),
        detail: subject.detail.clone(),
        value: alert.value,
        threshold: alert.threshold,
        unit: alert.kind.declared().unit.into(),
        standard_error: alert.standard_error,
        summary: alert.summary.as_str().into(),
        started_at: Timestamp(alert.started_us),
        is_silenced: alert.is_silenced,
        is_flapping: alert.is_flapping,
        delivered: Vec::new(),
    }
}
