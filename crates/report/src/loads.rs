//! Loads of connections and ports over a range, in steps of five minutes.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use measure::judge::percentile;
use model::link::wire_bps;
use model::{Direction, Name};

use crate::batch::Batch;
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
    let known = values.iter().filter(|value| !value.is_nan());
    let (sum, count) = known.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
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

/// Where a row belongs.
struct Spot {
    row: usize,
    /// Place of its load.
    place: usize,
    step: usize,
}

/// Loads while rows come, millions of them, each with a number for each of the series. Each window has the same loads in the
/// same order, mostly: they are where those of the window before are. In the first of a batch what comes next is where it was
/// expected, and else a row costs a look-up.
struct Gathering<const N: usize> {
    range: Range,
    places: HashMap<Name, [Option<usize>; 2]>,
    ways: Vec<Way>,
    loads: Vec<Load>,
    /// The series, each of all loads.
    series: [Vec<Vec<f64>>; N],
    /// Place of the load that is expected next.
    next: usize,
}

impl<const N: usize> Gathering<N> {
    fn new(range: Range) -> Gathering<N> {
        Gathering {
            range,
            places: HashMap::new(),
            ways: Vec::new(),
            loads: Vec::new(),
            series: std::array::from_fn(|_| Vec::new()),
            next: 0,
        }
    }

    /// Where the rows of a batch belong; those of no direction or step are not among them.
    fn spots(&mut self, batch: &Batch<'_>, name: &str) -> Result<Vec<Spot>, ReportError> {
        let (starts, names, directions) = (batch.times("window_start")?, batch.texts(name)?, batch.texts("direction")?);
        let mut spots = Vec::with_capacity(batch.rows());
        let (mut places, mut before): (Vec<Option<usize>>, _) = (Vec::new(), 0..0);
        while before.end < batch.rows() {
            let (first, at_us) = (before.end, starts.get(before.end));
            let last = (first..batch.rows()).find(|row| starts.get(*row) != at_us).unwrap_or(batch.rows());
            let Some(step) = at_us.and_then(|at_us| self.range.step_of(at_us)) else {
                before = last..last;
                continue;
            };
            let window = first..last;
            if !names.are_same(before.clone(), window.clone()) || !directions.are_same(before, window.clone()) {
                places.clear();
                places.extend(window.clone().map(|row| self.place(names.known(row), directions.get(row))));
            }
            let known = window.clone().zip(&places).filter_map(|(row, place)| Some((row, (*place)?)));
            spots.extend(known.map(|(row, place)| Spot { row, place, step }));
            before = window;
        }
        Ok(spots)
    }

    fn place(&mut self, name: &str, direction: Option<&str>) -> Option<usize> {
        let direction = Direction::named(direction?)?;
        let is_next = |(known, way): &Way| direction == *way && name == &**known;
        let place = match self.ways.get(self.next).is_some_and(is_next) {
            true => self.next,
            false => {
                let known = self.places.get(name).and_then(|places| places[direction as usize]);
                known.unwrap_or_else(|| self.add(name, direction))
            }
        };
        self.next = if place + 1 < self.loads.len() { place + 1 } else { 0 };
        Some(place)
    }

    fn add(&mut self, name: &str, direction: Direction) -> usize {
        let (name, place) = (Name::from(name), self.loads.len());
        self.ways.push((name.clone(), direction));
        self.loads.push(Load::default());
        self.series.iter_mut().for_each(|series| series.push(vec![f64::NAN; self.range.steps()]));
        self.places.entry(name).or_default()[direction as usize] = Some(place);
        place
    }

    /// Keeps a number a row in one of the series. One after the other: all together touch more memory than a processor
    /// remembers the places of.
    fn keep(&mut self, series: usize, spots: &[Spot], value: impl Fn(usize) -> f64) {
        let series = &mut self.series[series];
        for spot in spots {
            series[spot.place][spot.step] = value(spot.row);
        }
    }

    /// The loads, with their series where they belong.
    fn finish(self, series: fn(&mut Load) -> [&mut Vec<f64>; N]) -> Loads {
        let mut values = self.series.map(Vec::into_iter);
        let with_series = |mut load: Load| {
            for (of, values) in series(&mut load).into_iter().zip(&mut values) {
                *of = values.next().unwrap_or_default();
            }
            load
        };
        Loads { by_way: self.ways.into_iter().zip(self.loads.into_iter().map(with_series)).collect() }
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

/// Loads of connections and other links.
fn of_links(data: &Data) -> Result<Loads, ReportError> {
    let start = || Gathering::<5>::new(data.range());
    let gathered = data.fold(include_str!("sql/links.sql"), start, |links, batch| {
        let spots = links.spots(batch, "connection")?;
        let (means, packets) = (batch.floats("mean_bps")?, batch.floats("packets_per_second")?);
        let (utilisations, coverages) = (batch.floats("utilisation_ratio")?, batch.floats("coverage_ratio")?);
        let (samples, unknown) = (batch.integers("samples")?, batch.integers("bytes_unknown_rate")?);
        let (peaks, errors) = (batch.floats("peak_bps")?, batch.floats("standard_error_bps")?);
        let capacities = batch.integers("capacity_bps")?;
        let (mean, packets, utilisation) = (means.numbers(), packets.numbers(), utilisations.numbers());
        let capacity = |row: usize| capacities.get(row).map_or(f64::NAN, |bps| bps as f64);
        links.keep(0, &spots, |row| mean[row]);
        links.keep(1, &spots, |row| wire_bps(mean[row], packets[row]));
        links.keep(2, &spots, |row| utilisation[row] * capacity(row));
        links.keep(3, &spots, |row| utilisation[row]);
        let coverage = coverages.numbers();
        links.keep(4, &spots, |row| coverage[row]);
        for &Spot { row, place, step } in &spots {
            let load = &mut links.loads[place];
            load.variance += means.get(row).and(errors.get(row)).map_or(0.0, |error| error * error);
            load.samples += samples.get(row).unwrap_or(0);
            load.bytes_unknown_rate += unknown.get(row).unwrap_or(0);
            take_capacity(load, capacities.get(row), step);
            take_peak(load, peaks.get(row), step);
        }
        Ok(())
    })?;
    Ok(gathered.finish(|load| {
        [&mut load.mean_bps, &mut load.wire_bps, &mut load.port_wire_bps, &mut load.utilisation, &mut load.coverage]
    }))
}

/// Loads of ports: Microsoft's traffic and all other.
fn of_ports(data: &Data) -> Result<Loads, ReportError> {
    let start = || Gathering::<2>::new(data.range());
    let gathered = data.fold(include_str!("sql/ports.sql"), start, |ports, batch| {
        let spots = ports.spots(batch, "port")?;
        let (means, counters) = (batch.floats("mean_bps")?, batch.floats("counter_bps")?);
        let (mean, counter) = (means.numbers(), counters.numbers());
        ports.keep(0, &spots, |row| mean[row]);
        ports.keep(1, &spots, |row| counter[row]);
        Ok(())
    })?;
    Ok(gathered.finish(|load| [&mut load.mean_bps, &mut load.counter_bps]))
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
    let mut days = Vec::new();
    let mut start = 0;
    while start < values.len() {
        let (day, until_us) = day_of(range.start_of(start), zone);
        let length = (start..values.len()).take_while(|step| range.start_of(*step) < until_us).count().max(1);
        let mut known: Vec<f64> = values[start..start + length].iter().copied().filter(|value| !value.is_nan()).collect();
        start += length;
        if known.len() >= STEPS_LEAST {
            days.extend(percentile(&mut known, 0.95).map(|value| measure::judge::Day { day, value }));
        }
    }
    days
}

/// Days since Monday, 5 January 1970, of an instant in a zone, and the instant at which its day ends.
fn day_of(at_us: i64, zone: &jiff::tz::TimeZone) -> (i64, i64) {
    let Ok(at) = jiff::Timestamp::from_microsecond(at_us) else { return (0, i64::MAX) };
    let date = at.to_zoned(zone.clone()).date();
    let number = |date: jiff::civil::Date| i64::from(date.since(jiff::civil::date(1970, 1, 5)).map_or(0, |span| span.get_days()));
    let end = date.tomorrow().ok().and_then(|next| next.to_zoned(zone.clone()).ok());
    (number(date), end.map_or(i64::MAX, |end| end.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};

    use super::*;
    use crate::range::STEP_US;

    const A: &str = "a-connection-of-a-long-name";
    const B: &str = "b";

    fn batch(rows: &[(i64, &str, &str, f64)]) -> RecordBatch {
        let starts = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.0 * STEP_US)).with_timezone("UTC");
        let names: ArrayRef = Arc::new(StringViewArray::from_iter_values(rows.iter().map(|row| row.1)));
        let directions: ArrayRef = Arc::new(StringViewArray::from_iter_values(rows.iter().map(|row| row.2)));
        let means: ArrayRef = Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.3)));
        let starts: ArrayRef = Arc::new(starts);
        let columns = [("window_start", starts), ("connection", names), ("direction", directions), ("mean_bps", means)];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn rows_find_their_load_in_whatever_order_they_come() {
        let (to, from) = ("to_microsoft", "from_microsoft");
        let mut gathering = Gathering::<1>::new(Range::new(0, 6 * STEP_US).unwrap());
        for rows in [
            // The same twice, the other way round, one alone.
            &[
                (0, A, to, 1.0),
                (0, B, to, 2.0),
                (1, A, to, 3.0),
                (1, B, to, 4.0),
                (2, B, to, 5.0),
                (2, A, to, 6.0),
                (3, B, to, 7.0),
            ][..],
            // After a window of another range, and one of no direction; another direction is another load.
            &[(9, A, to, 8.0), (4, A, to, 9.0), (5, B, "sideways", 10.0), (5, B, from, 11.0), (5, B, to, 12.0)],
        ] {
            let batch = batch(rows);
            let batch = Batch::new(&batch);
            let spots = gathering.spots(&batch, "connection").unwrap();
            let means = batch.floats("mean_bps").unwrap();
            let means = means.numbers();
            gathering.keep(0, &spots, |row| means[row]);
        }
        let loads = gathering.finish(|load| [&mut load.mean_bps]);
        let of = |name: &str, direction: Direction| {
            let known = |bps: &f64| if bps.is_nan() { 0.0 } else { *bps };
            loads.get(name, direction).map(|load| load.mean_bps.iter().map(known).collect::<Vec<_>>())
        };
        assert_eq!(of(A, Direction::ToMicrosoft), Some(vec![1.0, 3.0, 6.0, 0.0, 9.0, 0.0]));
        assert_eq!(of(B, Direction::ToMicrosoft), Some(vec![2.0, 4.0, 5.0, 7.0, 0.0, 12.0]));
        assert_eq!(of(B, Direction::FromMicrosoft), Some(vec![0.0, 0.0, 0.0, 0.0, 0.0, 11.0]));
        assert_eq!(of(A, Direction::FromMicrosoft), None);
    }
}
