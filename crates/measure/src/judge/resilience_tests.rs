//! Proof on simulated networks: hidden rules decide where traffic goes; what is foretold is held against what then happens.
//!
//! From Microsoft, Microsoft decides by our prefix: each has weights over the connections of its metro, and a second metro.
//! To Microsoft, we decide: each prefix enters at a router of ours and leaves at the nearest exits that are up, in equal parts.

use model::Direction;

use super::{Connection, Network, Observed, ObservedShare, Origin, Place, Port, PrefixLoad};

const METROS: usize = 3;
/// Routers of ours in a metro; those without an exit send to another's.
const ROUTERS: usize = 4;
const STEPS: usize = 576;
const STEPS_A_DAY: f64 = 288.0;
const PREFIXES: usize = 60;
const CAPACITY_BPS: f64 = 100e9;
const NETWORKS: u64 = 40;
/// Standard error of a share that a failover shows.
const SHARE_ERROR: f64 = 0.01;

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, count: usize) -> usize {
        ((self.share() * count as f64) as usize).min(count - 1)
    }

    /// About normal, of standard deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }
}

/// A prefix of ours, and the hidden rules that it goes by.
struct Prefix {
    size: f64,
    /// When its day is at its highest, and how much it swings.
    phase: f64,
    swing: f64,
    metro: usize,
    second_metro: usize,
    /// Microsoft's weights over all connections.
    weights: Vec<f64>,
    /// Where it enters our network, of the routers of its metro.
    entry: usize,
}

/// A network with its truth.
struct Truth {
    direction: Direction,
    /// Metro of each connection.
    metros: Vec<usize>,
    /// Our router of each connection: some hold two, some none.
    routers: Vec<usize>,
    /// How far routers are apart.
    distances: Vec<Vec<f64>>,
    prefixes: Vec<Prefix>,
}

impl Truth {
    fn draw(direction: Direction, numbers: &mut Numbers) -> Truth {
        let metros: Vec<usize> = (0..METROS).flat_map(|metro| vec![metro; 2 + numbers.below(4)]).collect();
        let in_metro = |place: usize| metros[..place].iter().filter(|metro| **metro == metros[place]).count();
        let routers: Vec<usize> = (0..metros.len()).map(|place| metros[place] * ROUTERS + in_metro(place) % 3).collect();
        let mut distance = |from: usize, to: usize| if from == to { 0.0 } else { 1.0 + numbers.share() };
        let all = METROS * ROUTERS;
        let distances = (0..all).map(|from| (0..all).map(|to| distance(from, to)).collect()).collect();
        let prefix = |_| {
            let metro = numbers.below(METROS);
            // Most prefixes have a connection that Microsoft likes best.
            let weights = metros.iter().map(|_| numbers.share().powi(3)).collect();
            Prefix {
                size: 0.2e9 * (1.0 + 9.0 * numbers.share().powi(3)),
                phase: 0.15 * numbers.share(),
                swing: 0.3 + 0.3 * numbers.share(),
                metro,
                second_metro: (metro + 1) % METROS,
                weights,
                entry: metro * ROUTERS + numbers.below(ROUTERS),
            }
        };
        let prefixes = (0..PREFIXES).map(prefix).collect();
        Truth { direction, metros, routers, distances, prefixes }
    }

    fn demand(prefix: &Prefix, step: usize) -> f64 {
        let day = step as f64 / STEPS_A_DAY + prefix.phase;
        prefix.size * (1.0 + prefix.swing * (std::f64::consts::TAU * day).sin())
    }

    /// Where a prefix goes if connections are down: shares by connection.
    fn shares(&self, prefix: &Prefix, down: &[usize]) -> Vec<f64> {
        let is_up = |place: &usize| !down.contains(place);
        let in_metro = |metro: usize| (0..self.metros.len()).filter(|place| self.metros[*place] == metro).filter(is_up).collect();
        let near: Vec<usize> = in_metro(prefix.metro);
        let takers: Vec<usize> = if near.is_empty() { in_metro(prefix.second_metro) } else { near };
        let mut shares = vec![0.0; self.metros.len()];
        if self.direction == Direction::ToMicrosoft {
            let distance = |taker: &usize| self.distances[prefix.entry][self.routers[*taker]];
            let least = takers.iter().map(distance).fold(f64::INFINITY, f64::min);
            let nearest: Vec<usize> = takers.into_iter().filter(|taker| distance(taker) == least).collect();
            nearest.iter().for_each(|exit| shares[*exit] = 1.0 / nearest.len() as f64);
            return shares;
        }
        let all: f64 = takers.iter().map(|taker| prefix.weights[*taker]).sum();
        takers.into_iter().for_each(|taker| shares[taker] = prefix.weights[taker] / all);
        shares
    }

    /// Load of every connection by step if connections are down.
    fn loads(&self, down: &[usize]) -> Vec<Vec<f64>> {
        let mut loads = vec![vec![0.0; STEPS]; self.metros.len()];
        for prefix in &self.prefixes {
            for (place, share) in self.shares(prefix, down).into_iter().enumerate().filter(|(_, share)| *share > 0.0) {
                let load = loads[place].iter_mut().enumerate();
                load.for_each(|(step, bps)| *bps += share * Truth::demand(prefix, step));
            }
        }
        loads
    }

    fn network(&self) -> Network {
        let loads = self.loads(&[]);
        let port = |bps: &Vec<f64>| Port { capacity_bps: Some(CAPACITY_BPS), wire_bps: bps.clone() };
        let connection = |(port, bps): (usize, &Vec<f64>)| {
            let metro = Some(format!("metro-{}", self.metros[port]).into());
            let place = Place { metro, routers: vec![format!("router-{}", self.routers[port]).into()], ..Place::default() };
            Connection { place, port, wire_bps: bps.clone(), ..Connection::default() }
        };
        let connections = loads.iter().enumerate().map(connection).collect();
        Network::new(self.direction, 0.95, loads.iter().map(port).collect(), connections)
    }

    /// The last day by prefix, as the table has it.
    fn prefix_loads(&self) -> Vec<PrefixLoad> {
        let mut found = Vec::new();
        for (number, prefix) in self.prefixes.iter().enumerate() {
            let bytes: f64 = (STEPS / 2..STEPS).map(|step| Truth::demand(prefix, step) / 8.0 * 300.0).sum();
            let shares = self.shares(prefix, &[]).into_iter().enumerate().filter(|(_, share)| *share > 0.0);
            found.extend(shares.map(|(connection, share)| PrefixLoad { prefix: number, connection, bytes: bytes * share }));
        }
        found
    }

    /// What a failover of an hour shows, with the error of its measurement.
    fn observed(&self, failed: usize, at: usize, numbers: &mut Numbers) -> Observed {
        let (before, during) = (self.loads(&[]), self.loads(&[failed]));
        let sum = |loads: &Vec<f64>| loads[at..at + 12].iter().sum::<f64>();
        let lost = sum(&before[failed]);
        let share = |to: usize| {
            let share = (sum(&during[to]) - sum(&before[to])) / lost;
            (share.abs() > 1e-9).then(|| ObservedShare { to, share: share + SHARE_ERROR * numbers.normal(), error: SHARE_ERROR })
        };
        let shares = (0..self.metros.len()).filter(|to| *to != failed).filter_map(share).collect();
        Observed { failed, at_us: at as i64, shares, ..Observed::default() }
    }
}

/// How far predictions of survivors' loads were off, as shares of their true loads.
#[derive(Default)]
struct Off {
    /// The two figures that are told of a survivor: the worst moment and the 95th percentile.
    told: Vec<f64>,
    /// The same less three standard errors, the most.
    beyond_errors: f64,
    /// Every step.
    steps: Vec<f64>,
}

impl Off {
    /// Holds what is foretold of a failure against what then happens.
    fn add(&mut self, truth: &Truth, network: &Network, failed: usize) {
        let is_failed: Vec<bool> = (0..truth.metros.len()).map(|place| place == failed).collect();
        let shares = network.shares(failed, &is_failed).unwrap();
        let (before, after) = (truth.loads(&[]), truth.loads(&[failed]));
        let lost = &before[failed];
        for survivor in (0..truth.metros.len()).filter(|place| *place != failed) {
            let error = shares.shares.iter().find(|share| share.to == survivor).and_then(|share| share.error).unwrap_or(0.0);
            let foretold: Vec<f64> =
                network.utilisation_without(&[failed], survivor).iter().map(|ratio| ratio * CAPACITY_BPS).collect();
            let happened = &after[survivor];
            // What neither takes nor is told to is no merit.
            if before[survivor] == *happened && !shares.shares.iter().any(|share| share.to == survivor) {
                continue;
            }
            self.steps.extend(foretold.iter().zip(happened).map(|(foretold, happened)| (foretold - happened).abs() / happened));
            for share in [1.0, 0.95] {
                let of = |loads: &[f64]| super::percentile(&mut loads.to_vec(), share).unwrap();
                let off = (of(&foretold) - of(happened)).abs();
                self.told.push(off / of(happened));
                self.beyond_errors = self.beyond_errors.max((off - 3.0 * error * of(lost)) / of(happened));
            }
        }
    }

    fn words(&self) -> String {
        let percent = |values: &[f64], share: f64| super::percentile(&mut values.to_vec(), share).unwrap() * 100.0;
        format!(
            "peak and 95th percentile off by {:.2} % (median), {:.2} % (95 %), {:.2} % at most; every step {:.2} % (95 %), {:.2} % at most",
            percent(&self.told, 0.5),
            percent(&self.told, 0.95),
            percent(&self.told, 1.0),
            percent(&self.steps, 0.95),
            percent(&self.steps, 1.0),
        )
    }
}

#[test]
fn after_one_failover_the_next_is_foretold_and_without_one_the_rule_and_its_error_are_told() {
    for direction in Direction::ALL {
        let mut numbers = Numbers(8_075);
        let (mut seen, mut split, mut capacity) = (Off::default(), Off::default(), Off::default());
        let (mut told_errors, mut split_count) = (Vec::<f64>::new(), 0);
        for _ in 0..NETWORKS {
            let truth = Truth::draw(direction, &mut numbers);
            let failed = numbers.below(truth.metros.len());
            let plain = truth.network();
            // It fails in the first day's night or day, whenever, and again: the second time is foretold at every step.
            let at = numbers.below(STEPS / 2 - 12);
            let observed = plain.clone().with_observed(vec![truth.observed(failed, at, &mut numbers)]);
            seen.add(&truth, &observed, failed);
            let outcome = observed.without(&[failed]).unwrap();
            assert!(outcome.survivors.iter().all(|survivor| survivor.taken_bps[1..] == [0.0; 3] && survivor.error_bps.is_some()));

            // Nothing was ever seen: the present split where it tells anything, and no error is known.
            let present = plain.clone().with_prefixes(&truth.prefix_loads());
            let outcome = present.without(&[failed]).unwrap();
            let is_split = outcome.survivors[0].taken_bps[2] > 0.0;
            for survivor in &outcome.survivors {
                assert_eq!((survivor.taken_bps[0], survivor.taken_bps[1], survivor.error_bps), (0.0, 0.0, None));
                assert!(survivor.taken_bps[2] == 0.0 || survivor.taken_bps[3] == 0.0, "one origin a failed connection");
            }
            split_count += usize::from(is_split);
            if is_split {
                split.add(&truth, &present, failed)
            } else {
                capacity.add(&truth, &present, failed)
            }

            // Another one's failover tells how good the rules are here.
            let other = (failed + 1) % truth.metros.len();
            let present = present.with_observed(vec![truth.observed(other, at, &mut numbers)]);
            let is_failed: Vec<bool> = (0..truth.metros.len()).map(|place| place == failed).collect();
            let shares = present.shares(failed, &is_failed).unwrap();
            assert!(matches!(shares.origin, Origin::Split | Origin::Capacity));
            told_errors.extend(shares.shares.first().and_then(|share| share.error));
        }
        let told_error = [0.5, 0.95].map(|share| super::percentile(&mut told_errors.clone(), share).unwrap());
        let name = direction.name();
        println!(
            "{name}: {NETWORKS} networks; after one failover {}; beyond 3 standard errors {:.2} % at most",
            seen.words(),
            seen.beyond_errors * 100.0
        );
        for (rule, off) in
            [("present split", &split), ("capacity", &capacity)].into_iter().filter(|(_, off)| !off.told.is_empty())
        {
            println!("{name}: by {rule}, nothing ever seen: {}", off.words());
        }
        println!(
            "{name}: {split_count} of them by the present split; as another's failover tells it, a share is off by {:.3} (median), {:.3} (95 %)",
            told_error[0], told_error[1]
        );
        assert!(seen.beyond_errors <= 0.05, "{}", seen.beyond_errors);
    }
}
