//! What the page asks of the data folder: minutes, five minutes, or days, as the range is long.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::Sender as Outbox;
use decode::readings::{self, Reading};
use measure::judge::percentile;
use model::tables::{LinkRow, PortRow, PrefixRow, TrafficRow};
use model::time::{DAY_US, DETAIL_WINDOW_US, HOUR_US, SECOND_US, WINDOW_US, slot_start_us};
use model::{Direction, Name};
use store::{Found, Selection, StoreError};
use web::{Archive, Budget, By, LoadColumns, LoadQuery, Loads, PushError, Share, ShareQuery, Shares};

/// Up to here a range is shown by the minute.
const MINUTES_UNTIL_US: i64 = 6 * HOUR_US;
/// Up to here by five minutes, and up to [`DAYS_FROM_US`] by half an hour.
const FIVE_UNTIL_US: i64 = 7 * DAY_US;
/// From here on a range is shown by the day.
const DAYS_FROM_US: i64 = 35 * DAY_US;
/// Days that are remembered, over all connections; some 100 bytes each.
const DAYS_MOST: usize = 200_000;
/// A day that ended so long ago does not change any more.
const SETTLED_US: i64 = 3 * HOUR_US;
/// Shares with a row of their own.
const SHARES_MOST: usize = 200;
/// What the rest is called, in the tables too.
const OTHER: &str = "other";

/// The data folder, and where pushed counters go.
pub(crate) struct Files {
    data: PathBuf,
    pushed: Outbox<Vec<Reading>>,
    /// Days that do not change any more.
    days: Mutex<HashMap<(Name, i64), [Day; 2]>>,
}

/// A day of a connection in one direction.
#[derive(Clone, Copy, Debug)]
struct Day {
    mean_bps: f64,
    standard_error_bps: f64,
    peak_bps: f64,
    utilisation: f64,
}

impl Files {
    /// Answers from a data folder.
    pub(crate) fn new(data: &Path, pushed: Outbox<Vec<Reading>>) -> Files {
        Files { data: data.to_path_buf(), pushed, days: Mutex::default() }
    }

    fn fine(&self, query: &LoadQuery, step_us: i64) -> Result<Loads, StoreError> {
        let (from_us, to_us) = (slot_start_us(query.from_us, step_us), slot_start_us(query.to_us + step_us - 1, step_us));
        let read_step_us = if step_us < DETAIL_WINDOW_US { WINDOW_US } else { DETAIL_WINDOW_US };
        let goes_on = |rows: usize| !query.budget.is_spent(rows);
        let links = select::<LinkRow>(&self.data, (from_us, to_us), ("connection", &query.connection), read_step_us, &goes_on)?;
        let mut loads = Loads { from_us, step_us: read_step_us, files_damaged: links.damaged.len(), ..Loads::default() };
        let steps = ((to_us - from_us) / read_step_us) as usize;
        loads.ways = [columns(steps), columns(steps)];
        for row in &links.rows {
            let Some((way, step)) = place(&row.direction, row.window_start.0, &loads) else { continue };
            let columns = &mut loads.ways[way];
            columns.mean_bps[step] = known(row.mean_bps);
            columns.standard_error_bps[step] = known(row.standard_error_bps);
            columns.peak_bps[step] = known(row.peak_bps);
            columns.utilisation[step] = known(row.utilisation_ratio);
        }
        if let Some(port) = &query.port {
            let ports = select::<PortRow>(&self.data, (from_us, to_us), ("port", port), read_step_us, &goes_on)?;
            loads.files_damaged += ports.damaged.len();
            for row in &ports.rows {
                let Some((way, step)) = place(&row.direction, row.window_start.0, &loads) else { continue };
                let columns = &mut loads.ways[way];
                columns.port_bps[step] = known(row.mean_bps);
                columns.counter_bps[step] = known(row.counter_bps);
                columns.discards[step] = row.counter_discards.map_or(f64::NAN, |count| count as f64);
            }
        }
        loads.is_cut = query.budget.is_spent(links.rows.len());
        for columns in &mut loads.ways {
            if read_step_us == DETAIL_WINDOW_US {
                columns.p95_steps_known = columns.mean_bps.iter().filter(|bps| !bps.is_nan()).count();
                columns.p95_bps = percentile(&mut columns.mean_bps.clone(), 0.95);
            }
            coarsen(columns, (step_us / read_step_us) as usize);
        }
        loads.step_us = step_us;
        Ok(loads)
    }

    /// Day by day, the latest first, until the budget is spent; what was read is remembered.
    fn by_day(&self, query: &LoadQuery) -> Result<Loads, StoreError> {
        let (from_us, to_us) = (slot_start_us(query.from_us, DAY_US), slot_start_us(query.to_us + DAY_US - 1, DAY_US));
        let steps = ((to_us - from_us) / DAY_US) as usize;
        let mut loads = Loads { from_us, step_us: DAY_US, ways: [columns(steps), columns(steps)], ..Loads::default() };
        let mut rows = 0;
        for step in (0..steps).rev() {
            let day_us = from_us + step as i64 * DAY_US;
            let remembered = self.days().get(&(query.connection.clone(), day_us)).copied();
            if let Some(ways) = remembered {
                put(&mut loads, step, &ways);
                continue;
            }
            let before = rows;
            let goes_on = |rows: usize| !query.budget.is_spent(before + rows);
            if !goes_on(0) {
                loads.is_cut = true;
                continue;
            }
            let range = (day_us, day_us + DAY_US);
            let found = select::<LinkRow>(&self.data, range, ("connection", &query.connection), DETAIL_WINDOW_US, &goes_on)?;
            let ways = Direction::ALL.map(|direction| day(&found.rows, direction));
            loads.files_damaged += found.damaged.len();
            put(&mut loads, step, &ways);
            rows += found.rows.len();
            let is_whole = !query.budget.is_spent(rows);
            loads.is_cut |= !is_whole;
            if is_whole && day_us + DAY_US + SETTLED_US < query.to_us {
                let mut days = self.days();
                if days.len() >= DAYS_MOST {
                    days.clear();
                }
                days.insert((query.connection.clone(), day_us), ways);
            }
        }
        Ok(loads)
    }

    fn days(&self) -> std::sync::MutexGuard<'_, HashMap<(Name, i64), [Day; 2]>> {
        // A panic in between leaves whole entries.
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn traffic(&self, query: &ShareQuery) -> Result<Shares, StoreError> {
        let goes_on = |rows: usize| !query.budget.is_spent(rows);
        let selection = Selection { column: "connection", value: &query.connection, goes_on: &goes_on };
        let found = store::read_selected::<TrafficRow>(&self.data, query.from_us, query.to_us, &selection)?;
        let mut sums = Sums::new(query.budget, &found);
        for row in found.rows {
            let name = if query.by == By::Region { row.region } else { row.service };
            sums.add(name, &row.direction, row.window_start.0, row.bytes_estimated, row.bytes_standard_error);
        }
        Ok(sums.finish())
    }

    fn prefixes(&self, query: &ShareQuery) -> Result<Shares, StoreError> {
        let goes_on = |rows: usize| !query.budget.is_spent(rows);
        let selection = Selection { column: "connection", value: &query.connection, goes_on: &goes_on };
        let found = store::read_selected::<PrefixRow>(&self.data, query.from_us, query.to_us, &selection)?;
        let mut sums = Sums::new(query.budget, &found);
        for row in found.rows.into_iter().filter(|row| &*row.side == "customer") {
            let asn = row.asn.map(|asn| Name::from(format!("AS{asn}")));
            let is_other = &*row.prefix == OTHER;
            let name = match query.by {
                By::Customer if is_other => Some(row.prefix),
                By::Customer => row.customer.or(asn),
                _ => Some(row.prefix),
            };
            sums.add(name, &row.direction, row.window_start.0, row.bytes_estimated, row.bytes_standard_error);
        }
        Ok(sums.finish())
    }
}

impl Archive for Files {
    fn loads(&self, query: &LoadQuery) -> Result<Loads, String> {
        let length_us = query.to_us - query.from_us;
        let loads = match length_us {
            length if length <= MINUTES_UNTIL_US => self.fine(query, WINDOW_US),
            length if length <= FIVE_UNTIL_US => self.fine(query, DETAIL_WINDOW_US),
            length if length <= DAYS_FROM_US => self.fine(query, 6 * DETAIL_WINDOW_US),
            _ => self.by_day(query),
        };
        loads.map_err(|error| error.to_string())
    }

    fn shares(&self, query: &ShareQuery) -> Result<Shares, String> {
        let shares = if matches!(query.by, By::Service | By::Region) { self.traffic(query) } else { self.prefixes(query) };
        shares.map_err(|error| error.to_string())
    }

    fn push_counters(&self, lines: &str) -> Result<usize, PushError> {
        let (mut came, mut count) = (Vec::new(), 0);
        for (number, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            came.extend(readings::parse_line(line).map_err(|error| PushError::Line(number + 1, error))?);
            count += 1;
        }
        if !came.is_empty() {
            self.pushed.try_send(came).map_err(|_| PushError::Busy)?;
        }
        Ok(count)
    }
}

fn select<R: model::table::Row>(
    data: &Path,
    (from_us, to_us): (i64, i64),
    (column, value): (&str, &str),
    step_us: i64,
    goes_on: &dyn Fn(usize) -> bool,
) -> Result<Found<R>, StoreError> {
    let selection = Selection { column, value, goes_on };
    if step_us < DETAIL_WINDOW_US {
        store::read_selected(data, from_us, to_us, &selection)
    } else {
        store::read_five_minutes_selected(data, from_us, to_us, &selection)
    }
}

fn known(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

fn columns(steps: usize) -> LoadColumns {
    let unknown = || vec![f64::NAN; steps];
    LoadColumns {
        mean_bps: unknown(),
        standard_error_bps: unknown(),
        peak_bps: unknown(),
        utilisation: unknown(),
        port_bps: unknown(),
        counter_bps: unknown(),
        discards: unknown(),
        p95_bps: None,
        p95_steps_known: 0,
    }
}

/// The direction's place and the step of a row.
fn place(direction: &str, start_us: i64, loads: &Loads) -> Option<(usize, usize)> {
    let way = Direction::named(direction).map(|direction| direction as usize)?;
    let step = usize::try_from((start_us - loads.from_us).div_euclid(loads.step_us)).ok()?;
    (step < loads.ways[way].mean_bps.len()).then_some((way, step))
}

/// Joins steps: means of what is known, largest peaks, sums of discards; errors of independent means.
fn coarsen(columns: &mut LoadColumns, of: usize) {
    if of <= 1 {
        return;
    }
    let join = |values: &mut Vec<f64>, joined: fn(&[f64]) -> f64| {
        let one = |part: &[f64]| {
            let known: Vec<f64> = part.iter().copied().filter(|value| !value.is_nan()).collect();
            if known.is_empty() { f64::NAN } else { joined(&known) }
        };
        *values = values.chunks(of).map(one).collect();
    };
    join(&mut columns.mean_bps, mean);
    join(&mut columns.standard_error_bps, error_of_mean);
    join(&mut columns.peak_bps, most);
    join(&mut columns.utilisation, mean);
    join(&mut columns.port_bps, mean);
    join(&mut columns.counter_bps, mean);
    join(&mut columns.discards, |values| values.iter().sum());
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn error_of_mean(values: &[f64]) -> f64 {
    values.iter().map(|error| error * error).sum::<f64>().sqrt() / values.len() as f64
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

fn day(rows: &[LinkRow], direction: Direction) -> Day {
    let mine: Vec<&LinkRow> = rows.iter().filter(|row| &*row.direction == direction.name()).collect();
    let column = |of: fn(&LinkRow) -> Option<f64>, joined: fn(&[f64]) -> f64| {
        let known: Vec<f64> = mine.iter().filter_map(|row| of(row)).collect();
        if known.is_empty() { f64::NAN } else { joined(&known) }
    };
    Day {
        mean_bps: column(|row| row.mean_bps, mean),
        standard_error_bps: column(|row| row.standard_error_bps, error_of_mean),
        peak_bps: column(|row| row.peak_bps, most),
        utilisation: column(|row| row.utilisation_ratio, mean),
    }
}

fn put(loads: &mut Loads, step: usize, days: &[Day; 2]) {
    for (columns, day) in loads.ways.iter_mut().zip(days) {
        columns.mean_bps[step] = day.mean_bps;
        columns.standard_error_bps[step] = day.standard_error_bps;
        columns.peak_bps[step] = day.peak_bps;
        columns.utilisation[step] = day.utilisation;
    }
}

/// Bytes and variances by name.
struct Sums {
    by_name: BTreeMap<Option<Name>, ([f64; 2], [f64; 2])>,
    windows: std::collections::BTreeSet<i64>,
    shares: Shares,
}

impl Sums {
    fn new<R>(budget: Budget, found: &Found<R>) -> Sums {
        let is_cut = budget.is_spent(found.rows.len());
        let shares = Shares { is_cut, files_damaged: found.damaged.len(), ..Shares::default() };
        Sums { by_name: BTreeMap::new(), windows: Default::default(), shares }
    }

    fn add(&mut self, name: Option<Name>, direction: &str, start_us: i64, bytes: Option<f64>, error: Option<f64>) {
        let Some(way) = Direction::named(direction).map(|direction| direction as usize) else { return };
        let (sum, variance) = self.by_name.entry(name).or_default();
        sum[way] += bytes.unwrap_or(0.0);
        variance[way] += error.unwrap_or(0.0).powi(2);
        self.shares.total_bytes[way] += bytes.unwrap_or(0.0);
        self.windows.insert(start_us);
    }

    fn finish(mut self) -> Shares {
        let share = |(name, (bytes, variance)): (Option<Name>, ([f64; 2], [f64; 2]))| Share {
            name,
            bytes,
            standard_error_bytes: variance.map(f64::sqrt),
        };
        let mut rows: Vec<Share> = self.by_name.into_iter().map(share).collect();
        rows.sort_by(|a, b| b.bytes.iter().sum::<f64>().total_cmp(&a.bytes.iter().sum()));
        let rest = rows.split_off(rows.len().min(SHARES_MOST));
        for share in rest {
            let place = rows.iter().position(|row| row.name.as_deref() == Some(OTHER));
            let place = place.unwrap_or_else(|| {
                rows.push(Share { name: Some(OTHER.into()), ..Share::default() });
                rows.len() - 1
            });
            let other = &mut rows[place];
            for way in 0..2 {
                other.bytes[way] += share.bytes[way];
                other.standard_error_bytes[way] = other.standard_error_bytes[way].hypot(share.standard_error_bytes[way]);
            }
        }
        let seconds_known = self.windows.len() as i64 * (DETAIL_WINDOW_US / SECOND_US);
        self.shares.rows = rows;
        Shares { seconds_known, ..self.shares }
    }
}
