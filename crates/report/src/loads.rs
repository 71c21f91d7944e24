//! Loads of connections and ports over a range, in steps of five minutes.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use measure::judge::percentile;
use model::link::wire_bps;
use model::{Direction, Name};

use crate::{Data, Range, ReportError};

/// What one thing carried in one direction. Steps without a row, or of unknown load, are not numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    /// Mean load by flows, link layer, bit/s.
    pub(crate) mean_bps: Vec<f64>,
    /// The same on the wire; of connections.
    pub(crate) wire_bps: Vec<f64>,
    /// Load of its whole port on the wire, bit/s; of connections.
    pub(crate) port_wire_bps: Vec<f64>,
    /// Load of the whole port on the wire over capacity.
    pub(crate) utilisation: Vec<f64>,
    /// Mean load by the interface counters; of ports.
    pub(crate) counter_bps: Vec<f64>,
    /// Largest load of a bin, and its step.
    pub(crate) peak: Option<(f64, usize)>,
    /// Squares of the standard errors, added up over the known steps.
    pub(crate) variance: f64,
    pub(crate) samples: i64,
    pub(crate) bytes_unknown_rate: i64,
    /// Capacity in the last step in which it is known.
    pub(crate) capacity_bps: Option<i64>,
    capacity_step: usize,
    /// Coverage by step; of links.
    pub(crate) coverage: Vec<f64>,
}

impl Load {
    /// Steps whose load is known.
    pub(crate) fn known(&self) -> usize {
        self.mean_bps.iter().filter(|bps| !bps.is_nan()).count()
    }

    /// Mean over the known steps, bit/s.
    pub(crate) fn mean(&self) -> Option<f64> {
        mean(&self.mean_bps)
    }

    /// Standard error of [`Load::mean`], bit/s.
    pub(crate) fn standard_error(&self) -> Option<f64> {
        let known = self.known();
        (known > 0).then(|| self.variance.sqrt() / known as f64)
    }

    /// 95th percentile of the five-minute means, bit/s.
    pub(crate) fn p95(&self) -> Option<f64> {
        percentile(&mut self.mean_bps.clone(), 0.95)
    }

    /// 95th percentile of the utilisation.
    pub(crate) fn utilisation_p95(&self) -> Option<f64> {
        percentile(&mut self.utilisation.clone(), 0.95)
    }

    /// Largest utilisation, and its step.
    pub(crate) fn utilisation_peak(&self) -> Option<(f64, usize)> {
        largest(&self.utilisation)
    }

    /// Mean coverage, without the first and the last step that there are, which need not be whole; `None` where there are no others.
    pub(crate) fn coverage(&self) -> Option<f64> {
        let is_known = |ratio: &f64| !ratio.is_nan();
        let (first, last) = (self.coverage.iter().position(is_known)?, self.coverage.iter().rposition(is_known)?);
        mean(self.coverage.get(first + 1..last)?)
    }
}

/// Mean of the values that are numbers.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    let known: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

/// The largest value that is a number, and its place.
pub(crate) fn largest(values: &[f64]) -> Option<(f64, usize)> {
    let known = values.iter().copied().enumerate().filter(|(_, value)| !value.is_nan());
    known.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(step, value)| (value, step))
}

/// A thing and a direction.
pub(crate) type Way = (Name, Direction);

/// Loads by name and direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loads {
    pub(crate) by_way: BTreeMap<Way, Load>,
}

impl Loads {
    pub(crate) fn get(&self, name: &str, direction: Direction) -> Option<&Load> {
        self.by_way.get(&(Name::from(name), direction))
    }
}

/// The series of a load that rows fill.
type Columns<const N: usize> = fn(&mut Load) -> [&mut Vec<f64>; N];

/// Loads while rows come, millions of them. Each window has the same ones in the same order, mostly: what comes next is
/// where it was expected, and else a row costs a look-up.
struct Gathering<const N: usize> {
    places: HashMap<Name, [Option<usize>; 2]>,
    loads: Vec<(Way, Load)>,
    /// Place of the load that is expected next.
    next: usize,
    steps: usize,
    columns: Columns<N>,
}

impl<const N: usize> Gathering<N> {
    fn new(steps: usize, columns: Columns<N>) -> Gathering<N> {
        Gathering { places: HashMap::new(), loads: Vec::new(), next: 0, steps, columns }
    }

    /// Keeps the values of a step, in the order of the columns, and gives the load for the rest.
    fn of(&mut self, name: &str, direction: Option<&str>, step: usize, values: [f64; N]) -> Option<&mut Load> {
        let place = self.place(name, direction?)?;
        self.next = if place + 1 < self.loads.len() { place + 1 } else { 0 };
        let (_, load) = self.loads.get_mut(place)?;
        for (column, value) in (self.columns)(load).into_iter().zip(values) {
            column[step] = value;
        }
        Some(load)
    }

    fn place(&mut self, name: &str, direction: &str) -> Option<usize> {
        let is_it = |(known, way): &Way| direction == way.name() && name == &**known;
        if self.loads.get(self.next).is_some_and(|(way, _)| is_it(way)) {
            return Some(self.next);
        }
        let direction = Direction::named(direction)?;
        let known = self.places.get(name).and_then(|places| places[direction as usize]);
        Some(known.unwrap_or_else(|| self.add(name, direction)))
    }

    fn add(&mut self, name: &str, direction: Direction) -> usize {
        let (name, mut load) = (Name::from(name), Load::default());
        (self.columns)(&mut load).into_iter().for_each(|column| *column = vec![f64::NAN; self.steps]);
        self.loads.push(((name.clone(), direction), load));
        self.places.entry(name).or_default()[direction as usize] = Some(self.loads.len() - 1);
        self.loads.len() - 1
    }

    fn finish(self) -> Loads {
        Loads { by_way: self.loads.into_iter().collect() }
    }
}

/// Loads of connections and other links, and of ports, read at the same time.
pub(crate) fn of_links_and_ports(data: &mut Data) -> Result<(Loads, Loads), ReportError> {
    data.register(&["links_5m", "ports_5m"])?;
    if !data.has_rows("links_5m") {
        return Err(data.nothing("links_5m"));
    }
    let data = &*data;
    std::thread::scope(|scope| {
        let ports = scope.spawn(|| of_ports(data));
        let links = of_links(data);
        let ports = ports.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((links?, ports?))
    })
}

const LINK_COLUMNS: Columns<5> =
    |load| [&mut load.mean_bps, &mut load.wire_bps, &mut load.port_wire_bps, &mut load.utilisation, &mut load.coverage];
const PORT_COLUMNS: Columns<2> = |load| [&mut load.mean_bps, &mut load.counter_bps];

/// Loads of connections and other links.
fn of_links(data: &Data) -> Result<Loads, ReportError> {
    let range = data.range();
    let gathered = data.fold(
        include_str!("sql/links.sql"),
        || Gathering::new(range.steps(), LINK_COLUMNS),
        |loads, batch| {
            let (starts, names, directions) =
                (batch.times("window_start")?, batch.texts("connection")?, batch.texts("direction")?);
            let (means, peaks, packets) =
                (batch.floats("mean_bps")?, batch.floats("peak_bps")?, batch.floats("packets_per_second")?);
            let (errors, samples) = (batch.floats("standard_error_bps")?, batch.integers("samples")?);
            let (unknown, capacities) = (batch.integers("bytes_unknown_rate")?, batch.integers("capacity_bps")?);
            let (utilisations, coverages) = (batch.floats("utilisation_ratio")?, batch.floats("coverage_ratio")?);
            for row in 0..batch.rows() {
                let Some(step) = starts.get(row).and_then(|at| range.step_of(at)) else { continue };
                let mean = means.get(row);
                let wire = mean.zip(packets.get(row)).map(|(bps, packets)| wire_bps(bps, packets));
                let utilisation = utilisations.get(row);
                let port_wire = utilisation.zip(capacities.get(row)).map(|(ratio, bps)| ratio * bps as f64);
                let values = [mean, wire, port_wire, utilisation, coverages.get(row)].map(|value| value.unwrap_or(f64::NAN));
                let Some(load) = loads.of(names.known(row), directions.get(row), step, values) else { continue };
                load.variance += mean.and(errors.get(row)).map_or(0.0, |error| error * error);
                load.samples += samples.get(row).unwrap_or(0);
                load.bytes_unknown_rate += unknown.get(row).unwrap_or(0);
                take_capacity(load, capacities.get(row), step);
                take_peak(load, peaks.get(row), step);
            }
            Ok(())
        },
    )?;
    Ok(gathered.finish())
}

/// Loads of ports: Microsoft's traffic and all other.
fn of_ports(data: &Data) -> Result<Loads, ReportError> {
    let range = data.range();
    let gathered = data.fold(
        include_str!("sql/ports.sql"),
        || Gathering::new(range.steps(), PORT_COLUMNS),
        |loads, batch| {
            let (starts, names, directions) = (batch.times("window_start")?, batch.texts("port")?, batch.texts("direction")?);
            let (means, counters) = (batch.floats("mean_bps")?, batch.floats("counter_bps")?);
            for row in 0..batch.rows() {
                let Some(step) = starts.get(row).and_then(|at| range.step_of(at)) else { continue };
                let values = [means.get(row), counters.get(row)].map(|value| value.unwrap_or(f64::NAN));
                _ = loads.of(names.known(row), directions.get(row), step, values);
            }
            Ok(())
        },
    )?;
    Ok(gathered.finish())
}

/// Rows come in any order of time.
fn take_capacity(load: &mut Load, capacity: Option<i64>, step: usize) {
    if capacity.is_some() && step >= load.capacity_step {
        (load.capacity_bps, load.capacity_step) = (capacity, step);
    }
}

fn take_peak(load: &mut Load, peak: Option<f64>, step: usize) {
    if let Some(peak) = peak.filter(|peak| load.peak.is_none_or(|(most, _)| *peak > most)) {
        load.peak = Some((peak, step));
    }
}

/// Starts of the days of a range in a zone, as steps, and their 95th percentiles; days of which under half is known are left out.
pub(crate) fn daily_p95(values: &[f64], range: Range, zone: &jiff::tz::TimeZone) -> Vec<measure::judge::Day> {
    const STEPS_LEAST: usize = 144;
    let mut days: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    let mut until_us = i64::MIN;
    let mut day = 0;
    for (step, value) in values.iter().enumerate() {
        let at_us = range.start_of(step);
        if at_us >= until_us {
            (day, until_us) = day_of(at_us, zone);
        }
        if !value.is_nan() {
            days.entry(day).or_default().push(*value);
        }
    }
    days.retain(|_, values| values.len() >= STEPS_LEAST);
    let p95 = |(day, mut values): (i64, Vec<f64>)| Some(measure::judge::Day { day, value: percentile(&mut values, 0.95)? });
    days.into_iter().filter_map(p95).collect()
}

/// Days since Monday, 5 January 1970, of an instant in a zone, and the instant at which its day ends.
fn day_of(at_us: i64, zone: &jiff::tz::TimeZone) -> (i64, i64) {
    let Ok(at) = jiff::Timestamp::from_microsecond(at_us) else { return (0, i64::MAX) };
    let date = at.to_zoned(zone.clone()).date();
    let number = |date: jiff::civil::Date| i64::from(date.since(jiff::civil::date(1970, 1, 5)).map_or(0, |span| span.get_days()));
    let end = date.tomorrow().ok().and_then(|next| next.to_zoned(zone.clone()).ok());
    (number(date), end.map_or(i64::MAX, |end| end.timestamp().as_microsecond()))
}
