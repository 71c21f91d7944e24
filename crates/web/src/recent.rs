//! Loads of late, kept from one look at the owner to the next: an hour of bins, a day of five-minute steps.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use measure::judge::percentile;
use measure::{BinLoad, LinkSeries, PortSeries, Series};
use model::time::{BIN_US, SECOND_US, WINDOW_US, slot_start_us};
use model::{Direction, Name};

use crate::judge::STEP_US;
use crate::snapshot::{History, Load, Utilisation};

/// Bins that are kept of each link and port: an hour.
const BINS_KEPT: usize = 360;
/// Bins of the minute that stands for now.
const BINS_NOW: usize = (WINDOW_US / BIN_US) as usize;
/// Counters older than this are not now, microseconds: two polls of a slow poller.
const COUNTERS_OLD_US: i64 = 180 * SECOND_US;
/// Five-minute steps of a day.
pub(crate) const STEPS_KEPT: usize = 288;
/// Links and ports with a direction that are kept; what is above is not shown.
const WAYS_MOST: usize = 65_536;

/// What a step of five minutes is known by; not a number where unknown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// By flows, bit/s on the link layer.
    pub bps: f32,
    /// The same on the wire.
    pub wire_bps: f32,
    /// Load of the whole port on the wire over capacity.
    pub utilisation: f32,
}

impl Step {
    /// Nothing is known.
    pub const UNKNOWN: Step = Step { bps: f32::NAN, wire_bps: f32::NAN, utilisation: f32::NAN };
}

/// A bin as it is kept.
#[derive(Clone, Copy, Debug)]
struct Bin {
    bps: f32,
    error_bps: f32,
    wire_bps: f32,
    counter_bps: f32,
    counter_wire_bps: f32,
    is_mature: bool,
}

impl Bin {
    const UNKNOWN: Bin = Bin {
        bps: f32::NAN,
        error_bps: f32::NAN,
        wire_bps: f32::NAN,
        counter_bps: f32::NAN,
        counter_wire_bps: f32::NAN,
        is_mature: false,
    };

    fn of(load: &BinLoad) -> Bin {
        let known = |value: Option<f64>| value.map_or(f32::NAN, |value| value as f32);
        Bin {
            bps: known(load.bps),
            error_bps: known(load.standard_error_bps),
            wire_bps: known(load.wire_bps),
            counter_bps: known(load.counter_bps),
            counter_wire_bps: known(load.counter_wire_bps),
            is_mature: load.is_mature,
        }
    }
}

/// The last hour of one link or port in one direction.
#[derive(Clone, Debug, Default)]
struct Bins {
    from_us: i64,
    bins: VecDeque<Bin>,
}

impl Bins {
    fn take(&mut self, loads: &[BinLoad]) {
        let Some(first) = loads.first() else { return };
        let end_us = self.from_us + self.bins.len() as i64 * BIN_US;
        if self.bins.is_empty() || first.start_us < self.from_us || first.start_us > end_us + BINS_KEPT as i64 * BIN_US {
            // A clock that was set, or a long pause: what was before is of no use.
            self.bins.clear();
            self.from_us = first.start_us;
        }
        let keep = ((first.start_us - self.from_us) / BIN_US) as usize;
        self.bins.resize(keep, Bin::UNKNOWN);
        self.bins.extend(loads.iter().map(Bin::of));
        let over = self.bins.len().saturating_sub(BINS_KEPT);
        self.bins.drain(..over);
        self.from_us += over as i64 * BIN_US;
    }

    /// Bins at the front of which nothing more is to come.
    fn mature(&self) -> usize {
        self.bins.iter().rposition(|bin| bin.is_mature).map_or(0, |last| last + 1)
    }

    fn us(&self, index: usize) -> i64 {
        self.from_us + index as i64 * BIN_US
    }

    /// The last mature minute.
    fn now(&self) -> (i64, Vec<Bin>) {
        let end = self.mature();
        (self.us(end), self.bins.range(end.saturating_sub(BINS_NOW)..end).copied().collect())
    }

    fn column(&self, of: fn(&Bin) -> f32) -> Vec<f32> {
        self.bins.iter().map(of).collect()
    }

    /// The mean over the five minutes that start then, where all of it is mature and known.
    fn step(&self, start_us: i64, of: fn(&Bin) -> f32) -> f32 {
        let first = (start_us - self.from_us) / BIN_US;
        let bins = (STEP_US / BIN_US) as usize;
        let Ok(first) = usize::try_from(first) else { return f32::NAN };
        if first + bins > self.bins.len() {
            return f32::NAN;
        }
        let sum: f64 = self.bins.range(first..first + bins).map(|bin| f64::from(of(bin))).sum();
        (sum / bins as f64) as f32
    }
}

/// A day of one link in one direction.
#[derive(Clone, Debug, Default)]
struct Steps {
    by_start: BTreeMap<i64, Step>,
}

/// What is known of a link or port besides its bins.
struct Known<S> {
    series: S,
    bins: Bins,
    steps: Steps,
}

type Way = (Name, Direction);

/// Loads of late.
#[derive(Default)]
pub struct Recent {
    links: BTreeMap<Way, Known<LinkSeries>>,
    ports: BTreeMap<Way, Known<PortSeries>>,
    /// Steps that files told of links that were not heard of since.
    remembered: BTreeMap<Way, Steps>,
    at_us: i64,
}

impl Recent {
    /// Takes in what files tell of a link's last day.
    pub fn remember(&mut self, link: &Name, direction: Direction, start_us: i64, step: Step) {
        let way = (link.clone(), direction);
        match self.links.get_mut(&way) {
            Some(known) => drop(known.steps.by_start.entry(start_us).or_insert(step)),
            None if self.remembered.len() < WAYS_MOST => {
                self.remembered.entry(way).or_default().by_start.insert(start_us, step);
            }
            None => {}
        }
    }

    /// Takes in the latest bins as they stood at `at_us`.
    pub fn take(&mut self, series: Series, at_us: i64) {
        self.at_us = at_us;
        for one in series.ports {
            let way = (one.port.name.clone(), one.direction);
            if self.ports.len() >= WAYS_MOST && !self.ports.contains_key(&way) {
                continue;
            }
            let bare = |one: &PortSeries| PortSeries { bins: Vec::new(), ..one.clone() };
            let known = self.ports.entry(way).or_insert_with(|| Known {
                series: bare(&one),
                bins: Bins::default(),
                steps: Steps::default(),
            });
            known.bins.take(&one.bins);
            known.series = bare(&one);
        }
        for one in series.links {
            let way = (one.link.name.clone(), one.direction);
            if self.links.len() >= WAYS_MOST && !self.links.contains_key(&way) {
                continue;
            }
            let bare = |one: &LinkSeries| LinkSeries { bins: Vec::new(), ..one.clone() };
            let remembered = self.remembered.remove(&way);
            let known = self.links.entry(way).or_insert_with(|| Known {
                series: bare(&one),
                bins: Bins::default(),
                steps: remembered.unwrap_or_default(),
            });
            known.bins.take(&one.bins);
            known.series = bare(&one);
        }
        self.step();
        let old_us = at_us - BINS_KEPT as i64 * BIN_US;
        self.links.retain(|_, known| known.bins.us(known.bins.bins.len()) > old_us);
        self.ports.retain(|_, known| known.bins.us(known.bins.bins.len()) > old_us);
    }

    /// Makes steps of five minutes of bins that are mature since.
    fn step(&mut self) {
        let Recent { links, ports, at_us, .. } = self;
        let oldest_us = slot_start_us(*at_us, STEP_US) - STEPS_KEPT as i64 * STEP_US;
        for ((_, direction), known) in links {
            let port = known.series.link.port.as_ref().and_then(|port| ports.get(&(port.clone(), *direction)));
            let capacity = known.series.capacity_bps.map_or(f32::NAN, |bps| bps as f32);
            let (mature, steps) = (known.bins.us(known.bins.mature()), &mut known.steps.by_start);
            let mut start_us = slot_start_us(known.bins.from_us + STEP_US - 1, STEP_US);
            if let Some((last_us, _)) = steps.last_key_value() {
                start_us = start_us.max(last_us + STEP_US);
            }
            while start_us + STEP_US <= mature {
                let wire_bps = known.bins.step(start_us, |bin| bin.wire_bps);
                let of_port = port.map_or(wire_bps, |port| port.bins.step(start_us, |bin| bin.wire_bps));
                let bps = known.bins.step(start_us, |bin| bin.bps);
                steps.insert(start_us, Step { bps, wire_bps, utilisation: of_port / capacity });
                start_us += STEP_US;
            }
            *steps = steps.split_off(&oldest_us);
        }
    }

    /// When it was looked last.
    pub(crate) fn at_us(&self) -> i64 {
        self.at_us
    }

    /// Start of the last step that is known of any link; 0 if none is.
    pub fn last_step_us(&self) -> i64 {
        self.links.values().filter_map(|known| known.steps.by_start.keys().next_back()).max().copied().unwrap_or(0)
    }

    /// What was told last of a link.
    pub(crate) fn link(&self, name: &Name, direction: Direction) -> Option<&LinkSeries> {
        self.links.get(&(name.clone(), direction)).map(|known| &known.series)
    }

    /// Names of all links, each once.
    pub(crate) fn link_names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.links.keys().map(|(name, _)| name.clone()).collect();
        names.dedup();
        names
    }

    /// What was told last of all ports.
    pub(crate) fn ports(&self) -> impl Iterator<Item = &PortSeries> {
        self.ports.values().map(|known| &known.series)
    }

    /// The load of a link in its last mature minute.
    pub(crate) fn load(&self, name: &Name, direction: Direction) -> Option<Load> {
        let (until_us, bins) = self.links.get(&(name.clone(), direction))?.bins.now();
        let count = bins.len() as f64;
        let bps = bins.iter().map(|bin| f64::from(bin.bps)).sum::<f64>() / count;
        let variance = bins.iter().map(|bin| f64::from(bin.error_bps).powi(2)).sum::<f64>();
        (!bps.is_nan()).then(|| Load { bps, standard_error_bps: variance.sqrt() / count, until_us })
    }

    /// The wire load of a link in its last mature minute, bit/s; not a number where unknown.
    pub(crate) fn wire_bps(&self, name: &Name, direction: Direction) -> f64 {
        let Some(known) = self.links.get(&(name.clone(), direction)) else { return f64::NAN };
        let (_, bins) = known.bins.now();
        bins.iter().map(|bin| f64::from(bin.wire_bps)).sum::<f64>() / bins.len() as f64
    }

    /// How full a port is now: by its counters where they tell, else by flows.
    pub(crate) fn utilisation(&self, port: &Name, direction: Direction) -> Option<Utilisation> {
        let known = self.ports.get(&(port.clone(), direction))?;
        let capacity = known.series.capacity_bps? as f64;
        let bins = &known.bins;
        let by_counters = || {
            let last = bins.bins.iter().rposition(|bin| !bin.counter_wire_bps.is_nan())?;
            let until_us = bins.us(last + 1);
            if until_us < self.at_us - COUNTERS_OLD_US {
                return None;
            }
            let minute = bins.bins.range((last + 1).saturating_sub(BINS_NOW)..=last).map(|bin| f64::from(bin.counter_wire_bps));
            let told: Vec<f64> = minute.filter(|bps| !bps.is_nan()).collect();
            let ratio = told.iter().sum::<f64>() / told.len() as f64 / capacity;
            Some(Utilisation { ratio, standard_error: 0.0, is_by_counters: true, until_us })
        };
        let by_flows = || {
            let (until_us, minute) = bins.now();
            let count = minute.len() as f64;
            let ratio = minute.iter().map(|bin| f64::from(bin.wire_bps)).sum::<f64>() / count / capacity;
            let variance = minute.iter().map(|bin| f64::from(bin.error_bps).powi(2)).sum::<f64>();
            let standard_error = variance.sqrt() / count / capacity;
            (!ratio.is_nan()).then_some(Utilisation { ratio, standard_error, is_by_counters: false, until_us })
        };
        by_counters().or_else(by_flows)
    }

    /// Load of a port by flows over load by counters, of the last hour; `None` where under five minutes tell both.
    pub(crate) fn flows_to_counters(&self, port: &Name, direction: Direction) -> Option<f64> {
        const BINS_LEAST: usize = 30;
        let bins = &self.ports.get(&(port.clone(), direction))?.bins;
        let mature = bins.bins.range(..bins.mature());
        let both = mature.filter(|bin| !bin.bps.is_nan() && !bin.counter_bps.is_nan());
        let add =
            |(count, flows, counters), bin: &Bin| (count + 1, flows + f64::from(bin.bps), counters + f64::from(bin.counter_bps));
        let (count, flows, counters) = both.fold((0, 0.0, 0.0), add);
        (count >= BINS_LEAST && counters > 0.0).then(|| flows / counters)
    }

    /// The last hour of a link and its port.
    pub(crate) fn history(&self, name: &Name, port: Option<&Name>, direction: Direction) -> Arc<History> {
        let Some(known) = self.links.get(&(name.clone(), direction)) else { return Arc::default() };
        let bins = &known.bins;
        let of_port = port.and_then(|port| self.ports.get(&(port.clone(), direction)));
        // Bins of a port may begin elsewhere: by their times.
        let aligned = |of: fn(&Bin) -> f32| -> Vec<f32> {
            let one = |index: usize| {
                let place = of_port.map(|port| (bins.us(index) - port.bins.from_us) / BIN_US);
                let bin = place.and_then(|place| of_port?.bins.bins.get(usize::try_from(place).ok()?));
                bin.map_or(f32::NAN, of)
            };
            (0..bins.bins.len()).map(one).collect()
        };
        Arc::new(History {
            from_us: bins.from_us,
            bps: bins.column(|bin| bin.bps),
            standard_error_bps: bins.column(|bin| bin.error_bps),
            counter_bps: aligned(|bin| bin.counter_bps),
            port_bps: aligned(|bin| bin.bps),
            mature: bins.mature(),
        })
    }

    /// The last day of a link by steps, of which the first starts at `from_us`.
    pub(crate) fn day(&self, name: &Name, direction: Direction, from_us: i64, steps: usize) -> Vec<Step> {
        let known = self.links.get(&(name.clone(), direction));
        let at = |step: usize| known?.steps.by_start.get(&(from_us + step as i64 * STEP_US)).copied();
        (0..steps).map(|step| at(step).unwrap_or(Step::UNKNOWN)).collect()
    }

    /// 95th percentiles of a day: of the load, of the utilisation, and how many steps are known.
    pub(crate) fn p95(&self, name: &Name, direction: Direction) -> (Option<f64>, Option<f64>, usize) {
        let Some(known) = self.links.get(&(name.clone(), direction)) else { return (None, None, 0) };
        let values =
            |of: fn(&Step) -> f32| -> Vec<f64> { known.steps.by_start.values().map(|step| f64::from(of(step))).collect() };
        let (mut bps, mut utilisation) = (values(|step| step.bps), values(|step| step.utilisation));
        let known = bps.iter().filter(|bps| !bps.is_nan()).count();
        (percentile(&mut bps, 0.95), percentile(&mut utilisation, 0.95), known)
    }
}
