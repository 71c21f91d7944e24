//! What goes on, on the screen: what is simulated when it happens, and what the collector tells of it when it does.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::Direction;
use model::tables::{AlertRow, FailoverRow, Moved};
use simulate::Scenario;

use crate::clock::Clock;

/// Where traffic went is told when the error of the largest share is no larger.
const ERROR_MOST: f64 = 0.12;

/// How often it is looked what there is to tell.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The time of day (UTC).
pub(super) fn time(at_us: i64) -> String {
    let at = Timestamp::from_microsecond(at_us).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string()
}

/// What links took of an event, all groups together.
pub(super) fn whole(row: &FailoverRow) -> impl Iterator<Item = &Moved> {
    row.moved.iter().filter(|moved| moved.group.is_none())
}

/// The links that took something of an event, and how much of it.
pub(super) fn shares(row: &FailoverRow) -> Vec<String> {
    let share = |moved: &Moved| {
        let (share, error) = (moved.share? * 100.0, moved.share_error? * 100.0);
        (share >= 2.0).then(|| format!("{} {share:.0} ± {error:.0} %", moved.connection))
    };
    whole(row).filter_map(share).collect()
}

/// What is going to happen, in the order of time.
fn script(scenario: &Scenario) -> Vec<(i64, String)> {
    let at = |seconds| scenario.at_us(seconds);
    let mut script = Vec::new();
    for failure in &scenario.failures {
        let (what, back) = match (&failure.connection, &failure.port, failure.member) {
            (Some(name), ..) if failure.drain_seconds > 0.0 => {
                let minutes = failure.drain_seconds / 60.0;
                (format!("Microsoft drains {name} within {minutes:.0} min"), format!("Microsoft gives {name} back"))
            }
            (Some(name), ..) => (format!("{name} fails"), format!("{name} comes back")),
            (None, Some(port), Some(member)) => {
                let members = scenario.ports.iter().filter(|known| known.name == *port).flat_map(|port| &port.members);
                let name = members.into_iter().find(|known| known.interface == member).map_or("?", |known| &known.interface_name);
                (format!("the bundle {port} loses its member {name}"), format!("the member {name} of {port} is back"))
            }
            _ => continue,
        };
        script.push((at(failure.down_at_seconds), what));
        script.extend(failure.up_at_seconds.map(|up| (at(up), back)));
    }
    for surge in &scenario.traffic.surges {
        let times = surge.factor;
        script.push((at(surge.at_seconds), format!("a surge: {times} times the traffic of all links, and nothing has failed")));
        script.push((at(surge.at_seconds + surge.duration_seconds), "the surge is over".to_owned()));
    }
    script.sort_by_key(|(at_us, _)| *at_us);
    script
}

/// Tells the story until `stop` is set, and what there is left then.
pub(super) fn tell(scenario: &Scenario, data: &Path, clock: Clock, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    let mut story = Story {
        script: script(scenario),
        data: data.to_path_buf(),
        start_us: scenario.start_us(),
        clock,
        shows_time: std::io::stderr().is_terminal(),
        told_alerts: BTreeSet::new(),
        told_moves: BTreeSet::new(),
    };
    std::thread::spawn(move || {
        let mut looked = Instant::now();
        loop {
            let is_last = stop.load(Ordering::Relaxed);
            story.play();
            if is_last || looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                story.listen();
            }
            if is_last {
                return story.clear();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    })
}

struct Story {
    script: Vec<(i64, String)>,
    data: PathBuf,
    start_us: i64,
    clock: Clock,
    shows_time: bool,
    told_alerts: BTreeSet<(String, i64, String)>,
    told_moves: BTreeSet<String>,
}

impl Story {
    fn say(&self, line: &str) {
        self.clear();
        // Nobody reads on: the run goes on all the same.
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    fn clear(&self) {
        if self.shows_time {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    /// What is simulated.
    fn play(&mut self) {
        let now_us = self.clock.now_us();
        let due = self.script.iter().take_while(|(at_us, _)| *at_us <= now_us).count();
        for (at_us, what) in self.script.drain(..due).collect::<Vec<_>>() {
            self.say(&format!("{}  simulated  {what}", time(at_us)));
        }
        if self.shows_time {
            let _ = write!(std::io::stderr(), "\r{} ", time(now_us));
        }
    }

    /// What the collector has written of alerts and failovers.
    fn listen(&mut self) {
        // A table that cannot be read now is read the next time.
        let alerts = store::read::<AlertRow>(&self.data, self.start_us, i64::MAX).map(|found| found.rows).unwrap_or_default();
        let failovers = store::read::<FailoverRow>(&self.data, self.start_us, i64::MAX);
        let mut lines: Vec<(i64, String)> = alerts.iter().filter_map(|row| self.alert(row)).collect();
        lines.extend(failovers.map(|found| found.rows).unwrap_or_default().iter().filter_map(|row| self.moved(row)));
        lines.sort();
        lines.iter().for_each(|(at_us, line)| self.say(&format!("{}  peerscope  {line}", time(*at_us))));
    }

    fn alert(&mut self, row: &AlertRow) -> Option<(i64, String)> {
        let is_worth_it = &*row.severity != "info" || &*row.rule == "failover";
        let is_new = is_worth_it && self.told_alerts.insert((row.fingerprint.to_string(), row.at.0, row.state.to_string()));
        let what = if &*row.state == "resolved" { "over" } else { &row.severity };
        // The name of an event is for machines.
        let summary = row.summary.split_once(" (event ").map_or(&*row.summary, |(summary, _)| summary);
        is_new.then(|| (row.at.0, format!("alert {} ({what}): {summary}", row.rule)))
    }

    /// Where traffic went, as soon as that is known.
    fn moved(&mut self, row: &FailoverRow) -> Option<(i64, String)> {
        // The first look is over half a minute: too little to tell much.
        let error = whole(row).next().and_then(|moved| moved.share_error).unwrap_or(1.0);
        let is_sure = error <= ERROR_MOST || row.ended_at.is_some();
        if row.moved.is_empty() || !is_sure || !self.told_moves.insert(row.event_id.to_string()) {
            return None;
        }
        let shares = shares(row);
        if shares.is_empty() {
            return None;
        }
        let name = row.connection.as_deref().unwrap_or("several");
        let direction = row.direction.as_deref().and_then(Direction::named).map_or("", Direction::words);
        let load = row.before_bps.map_or_else(|| "an unknown load".to_owned(), |bps| format!("{:.1} Gbit/s", bps / 1e9));
        let moved = shares.join(", ");
        Some((self.clock.now_us(), format!("{name} {direction}: {load} {} to {moved}", row.kind.replace('_', " "))))
    }
}
