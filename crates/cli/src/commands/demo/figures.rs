//! Loads over minutes: what the collector wrote, and what the simulation knows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use model::link::WIRE_BYTES;
use model::tables::{LinkRow, PortRow};
use model::time::{SECOND_US, WINDOW_US};
use simulate::Truth;
use simulate::truth::{Sum, WindowTruth};

use crate::failure::Failure;

/// A mean load and its standard error, bit/s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Load {
    pub(super) bps: f64,
    pub(super) error: Option<f64>,
}

impl Load {
    /// In Gbit/s, with its error where that is known.
    pub(super) fn text(self) -> String {
        let gigabits = gigabits(self.bps);
        self.error.map_or_else(|| format!("{gigabits} ± ?"), |error| format!("{gigabits} ± {:.2}", error / 1e9))
    }
}

/// bit/s in Gbit/s.
pub(super) fn gigabits(bps: f64) -> String {
    format!("{:.2}", bps / 1e9)
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// What is not known, as a person reads it.
pub(super) fn or_unknown(text: Option<String>) -> String {
    text.unwrap_or_else(|| "not known".to_owned())
}

/// A link or port, and a direction.
type Way = (String, String);

/// The rows of the collector's tables that are asked of again and again.
pub(super) struct Measured {
    links: BTreeMap<Way, BTreeMap<i64, (f64, f64)>>,
    ports: BTreeMap<Way, BTreeMap<i64, f64>>,
}

impl Measured {
    pub(super) fn read(data: &Path) -> Result<Measured, Failure> {
        let mut measured = Measured { links: BTreeMap::new(), ports: BTreeMap::new() };
        for row in store::read::<LinkRow>(data, i64::MIN, i64::MAX).map_err(Failure::failed)?.rows {
            let (Some(mean), Some(error)) = (row.mean_bps, row.standard_error_bps) else { continue };
            let way = (row.connection.to_string(), row.direction.to_string());
            measured.links.entry(way).or_default().insert(row.window_start.0, (mean, error));
        }
        for row in store::read::<PortRow>(data, i64::MIN, i64::MAX).map_err(Failure::failed)?.rows {
            let Some(ratio) = row.utilisation_ratio else { continue };
            let way = (row.port.to_string(), row.direction.to_string());
            measured.ports.entry(way).or_default().insert(row.window_start.0, ratio);
        }
        Ok(measured)
    }

    /// Mean load of a link; `None` unless each minute is known.
    pub(super) fn load(&self, link: &str, direction: &str, minutes: &Range<i64>) -> Option<Load> {
        let windows = self.links.get(&(link.to_owned(), direction.to_owned()))?;
        let found: Vec<(f64, f64)> = windows.range(minutes.clone()).map(|(_, found)| *found).collect();
        let count = (minutes.end - minutes.start) / WINDOW_US;
        if count <= 0 || found.len() != count as usize {
            return None;
        }
        let sum = found.iter().fold((0.0, 0.0), |sum, (mean, error)| (sum.0 + mean, sum.1 + error * error));
        Some(Load { bps: sum.0 / count as f64, error: Some(sum.1.sqrt() / count as f64) })
    }

    /// The busiest minute of a port, load on the wire over capacity.
    pub(super) fn busiest(&self, port: &str, direction: &str, minutes: &Range<i64>) -> Option<f64> {
        let windows = self.ports.get(&(port.to_owned(), direction.to_owned()))?;
        windows.range(minutes.clone()).map(|(_, ratio)| *ratio).reduce(f64::max)
    }
}

fn mean_bps(windows: &[WindowTruth], minutes: &Range<i64>) -> f64 {
    let bytes: u64 = windows.iter().filter(|window| minutes.contains(&window.start_us)).map(|window| window.sum.l2_bytes).sum();
    bytes as f64 * 8.0 / ((minutes.end - minutes.start).max(1) as f64 / SECOND_US as f64)
}

/// What a link really carried, bit/s on the link layer.
pub(super) fn true_load(truth: &Truth, link: &str, direction: &str, minutes: &Range<i64>) -> f64 {
    let found = truth.links.iter().find(|one| one.link == link && one.direction == direction);
    found.map_or(0.0, |link| mean_bps(&link.windows_60_s, minutes))
}

/// What a link really carried in place of another, bit/s on the link layer.
pub(super) fn true_move(truth: &Truth, from: &str, to: &str, direction: &str, minutes: &Range<i64>) -> f64 {
    let found = truth.moved.iter().find(|one| one.from == from && one.to == to && one.direction == direction);
    found.map_or(0.0, |moved| mean_bps(&moved.windows_60_s, minutes))
}

/// How full a port really was in its busiest minute.
pub(super) fn true_busiest(truth: &Truth, port: &str, speed_bps: u64, direction: &str, minutes: &Range<i64>) -> Option<f64> {
    let side = if direction == "from_microsoft" { "in" } else { "out" };
    let found = truth.ports.iter().find(|one| one.port == port && one.direction == side && !one.is_member)?;
    let ratio = |sum: &Sum| (sum.l2_bytes + WIRE_BYTES * sum.packets) as f64 * 8.0 / 60.0 / speed_bps as f64;
    let windows = found.windows_60_s.iter().filter(|window| minutes.contains(&window.start_us));
    windows.map(|window| ratio(&window.sum)).reduce(f64::max)
}
