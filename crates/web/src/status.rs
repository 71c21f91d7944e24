//! How a connection fares, judged for whoever is on call: what burns comes first.

use std::cmp::Reverse;

use model::Direction;

use crate::snapshot::{Connection, Utilisation, Way};

/// From here on a port is full, on the wire: alerts call it critical.
const FULL: f64 = 0.95;
/// From here on it is hot: alerts warn.
const HOT: f64 = 0.8;
/// Microsoft's line for an upgrade.
const HALF: f64 = 0.5;
/// A load above this is worth a word when it is gone, bit/s.
const CARRIED_BPS: f64 = 1e6;
/// Load of the last minute over that of the hour, below which nothing is carried any more.
const NOTHING: f64 = 0.001;
/// A standard error of more than this share of a load is too rough to be trusted.
const ROUGH: f64 = 0.1;

/// How a connection fares; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It carried traffic, and does not any more.
    Down,
    /// Its port is full.
    Full,
    /// Its port is above 80 %.
    Hot,
    /// If it fails, the others do not hold.
    Unsafe,
    /// Nobody knows what it carries.
    Unknown,
    /// Its port is past Microsoft's 50 % line.
    Half,
    /// Nothing is to be done.
    Fine,
    /// It takes no part: Azure does not call it active.
    Inactive,
}

impl Status {
    /// All of them, the worst first.
    pub const ALL: [Status; 8] =
        [Status::Down, Status::Full, Status::Hot, Status::Unsafe, Status::Unknown, Status::Half, Status::Fine, Status::Inactive];

    /// The name in the API and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Down => "down",
            Status::Full => "full",
            Status::Hot => "hot",
            Status::Unsafe => "unsafe",
            Status::Unknown => "unknown",
            Status::Half => "half",
            Status::Fine => "fine",
            Status::Inactive => "inactive",
        }
    }
}

/// By what is judged.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Load of a survivor over capacity, from which it does not hold.
    pub full: f64,
    /// Coverage below which loads are not trusted.
    pub coverage: f64,
    /// Difference of flows and counters from which one of them is not trusted.
    pub tolerance: f64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { full: 0.95, coverage: 0.95, tolerance: 0.1 }
    }
}

/// Judges a connection: status, reasons, doubts.
pub(crate) fn judge(connection: &mut Connection, limits: &Limits) {
    let mut found: Vec<(Status, String)> = Vec::new();
    if !connection.is_active && connection.is_peering {
        let state = connection.state.as_deref().unwrap_or("not active");
        found.push((Status::Inactive, format!("Azure says {state}: it takes no part in capacity.")));
    } else {
        burning(connection, limits, &mut found);
    }
    // Of one kind the first found stands first.
    found.sort_by_key(|(status, _)| *status);
    connection.status = found.first().map_or(Status::Fine, |(status, _)| *status);
    connection.reasons = found.into_iter().map(|(_, reason)| reason).collect();
    connection.doubts = doubts(connection, limits);
}

fn burning(connection: &Connection, limits: &Limits, found: &mut Vec<(Status, String)>) {
    if let Some((before_bps, when)) = lost(connection) {
        found.push((Status::Down, format!("Carries nothing; it carried {} {when}.", rate(before_bps))));
    }
    for (way, towards) in connection.ways.iter().zip(Direction::ALL.map(Direction::words)) {
        let ratio = way.utilisation.map(sure);
        let percent = way.utilisation.map_or(0.0, |utilisation| utilisation.ratio * 100.0);
        match ratio {
            Some(ratio) if ratio >= FULL => found.push((Status::Full, format!("{percent:.0} % full {towards}."))),
            Some(ratio) if ratio >= HOT => found.push((Status::Hot, format!("{percent:.0} % full {towards}."))),
            Some(ratio) if ratio > HALF => {
                found.push((Status::Half, format!("{percent:.0} % {towards}: past Microsoft's 50 % line.")));
            }
            _ => {
                if let Some(p95) = way.p95_utilisation.filter(|p95| *p95 > HALF) {
                    let sentence = format!("p95 of 24 h is {:.0} % {towards}: past Microsoft's 50 % line.", p95 * 100.0);
                    found.push((Status::Half, sentence));
                }
            }
        }
        if way.load.is_none() && way.utilisation.is_none() && connection.is_peering {
            found.push((Status::Unknown, format!("No telemetry tells what it carries {towards}.")));
        }
    }
    if let Some(failure) = &connection.failure
        && failure.utilisation > limits.full
    {
        let percent = failure.utilisation * 100.0;
        let sentence = format!("If it fails, {} is asked for {percent:.0} % of its capacity.", failure.survivor);
        found.push((Status::Unsafe, sentence));
    }
}

/// What is sure of a utilisation: the estimate less two standard errors.
fn sure(utilisation: Utilisation) -> f64 {
    utilisation.ratio - 2.0 * utilisation.standard_error
}

/// What a connection carried before, and when that was, where it carries nothing any more in either direction.
fn lost(connection: &Connection) -> Option<(f64, &'static str)> {
    let (mut hour_bps, mut day_bps) = (0.0, 0.0);
    for way in &connection.ways {
        let now_bps = way.load?.bps;
        let history = &way.history;
        let known = history.bps[..history.mature.min(history.bps.len())].iter().filter(|bps| !bps.is_nan());
        let (count, sum) = known.fold((0, 0.0), |(count, sum), bps| (count + 1, sum + f64::from(*bps)));
        let mean_bps = if count > 0 { sum / f64::from(count) } else { 0.0 };
        let most_bps = mean_bps.max(way.p95_bps.unwrap_or(0.0));
        if now_bps > most_bps * NOTHING && now_bps > 0.0 {
            return None;
        }
        hour_bps += mean_bps;
        day_bps += way.p95_bps.unwrap_or(0.0);
    }
    // An hour after it fell the hour knows nothing of it any more; the day does.
    let before =
        if hour_bps > CARRIED_BPS { (hour_bps, "in the mean of the hour") } else { (day_bps, "in the busy part of the day") };
    (before.0 > CARRIED_BPS && connection.is_peering).then_some(before)
}

fn doubts(connection: &Connection, limits: &Limits) -> Vec<String> {
    let mut doubts = Vec::new();
    let least = |of: fn(&Way) -> Option<f64>| connection.ways.iter().filter_map(of).reduce(f64::min);
    if let Some(coverage) = least(|way| way.coverage_ratio).filter(|coverage| *coverage < limits.coverage) {
        doubts.push(format!("Only {:.1} % of the telemetry came.", coverage * 100.0));
    }
    let ratios = connection.ways.iter().filter_map(|way| way.flows_to_counters);
    let off = |ratio: &f64| Reverse((ratio.ln().abs() * 1e6) as i64);
    if let Some(ratio) = ratios.min_by_key(off).filter(|ratio| (ratio - 1.0).abs() > limits.tolerance) {
        doubts.push(format!("Flows are {:.0} % of the interface counters.", ratio * 100.0));
    }
    for (way, towards) in connection.ways.iter().zip(Direction::ALL.map(Direction::words)) {
        let is_rough = |load: &crate::Load| load.bps > CARRIED_BPS && load.standard_error_bps > ROUGH * load.bps;
        if let Some(load) = way.load.filter(is_rough) {
            let percent = load.standard_error_bps / load.bps * 100.0;
            doubts.push(format!("Sampling leaves an error of {percent:.0} % {towards}."));
        }
        if way.load.is_none() && way.utilisation.is_some() {
            doubts.push(format!("Counters alone: flows do not tell the load {towards}."));
        }
    }
    doubts
}

/// A rate as a person reads it.
pub(crate) fn rate(bps: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "Tbit/s"), (1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")];
    let (scale, unit) = UNITS.into_iter().find(|(scale, _)| bps >= *scale).unwrap_or((1.0, "bit/s"));
    let value = bps / scale;
    if value < 10.0 { format!("{value:.2} {unit}") } else { format!("{value:.1} {unit}") }
}
