//! Failovers against simulated networks whose truth is known: a thousand events and more, drawn bin by bin by code that
//! shares nothing with the detector. Seeds that it was developed with are others than those that it is proved with.

mod random;
mod scenario;
mod score;
mod world;

use measure::{FailoverSettings, Failovers, Plans};
use model::tables::FailoverRow;
use model::{Direction, Rows};
use std::collections::BTreeMap;

use scenario::Scenario;
use score::{Score, lower_bound};

/// A bin, µs.
const BIN_US: i64 = 10_000_000;

/// What a run told: rows as published, and the loads as they were seen, by bin, link and direction.
pub(crate) struct Run {
    pub(crate) rows: Vec<FailoverRow>,
    /// By bin: of each link and direction IPv4 and IPv6, `None` where the router was silent.
    pub(crate) seen: Vec<Vec<Option<[f64; 2]>>>,
}

/// Runs a scenario; a kill saves and restores the state in between.
fn run(scenario: &mut Scenario, has_kills: bool) -> Run {
    let settings = FailoverSettings::default();
    let links = scenario.world.links();
    let mut failovers = Failovers::default();
    let mut published: BTreeMap<i64, Vec<FailoverRow>> = BTreeMap::new();
    let mut seen = Vec::new();
    let mut waiting: BTreeMap<i64, Vec<(i64, Vec<measure::Observed>)>> = BTreeMap::new();
    for bin in scenario.first..scenario.first + scenario.bins {
        let force = scenario.force(bin);
        let (observed, ports) = scenario.world.observe(bin, &force);
        seen.push(
            observed
                .iter()
                .map(|one| (!one.is_silent).then(|| [one.bps.unwrap() - one.v6_bps.unwrap(), one.v6_bps.unwrap()]))
                .collect(),
        );
        for one in observed {
            let router = scenario.world.places[one.link as usize].router;
            let due = waiting.entry(bin + scenario.world.routers[router].lag).or_default();
            match due.iter_mut().find(|(of, _)| *of == bin) {
                Some((_, list)) => list.push(one),
                None => due.push((bin, vec![one])),
            }
        }
        let now_us = (bin + 2) * BIN_US;
        let mut due = waiting.remove(&bin).unwrap_or_default();
        due.sort_by_key(|(of, _)| *of);
        for (of, observed) in &due {
            failovers.take(&settings, &links, (of * BIN_US, now_us), (observed, &[]));
        }
        failovers.take(&settings, &links, (bin * BIN_US, now_us), (&[], &ports));
        for publication in failovers.publish(&links, &Plans::default()) {
            let Rows::Failovers(rows) = publication.rows else { panic!("failovers alone") };
            published.insert(publication.window_start_us, rows);
        }
        if has_kills && bin % 100 == 0 {
            failovers = postcard::from_bytes(&postcard::to_allocvec(&failovers).unwrap()).unwrap();
        }
    }
    Run { rows: published.into_values().flatten().collect(), seen }
}

fn score(seeds: std::ops::Range<u64>, events: usize) -> Score {
    let mut score = Score::default();
    for seed in seeds {
        let mut scenario = Scenario::draw(seed, events);
        let run = run(&mut scenario, false);
        score.add(seed, &scenario, &run);
    }
    score
}

#[test]
fn a_thousand_events_are_found_with_what_moved_where() {
    let score = score(10_000..10_200, 4);
    println!("{score}");
    assert!(score.events >= 1_000, "{} events", score.events);
    assert!(lower_bound(score.found, score.events) >= 0.97, "recall");
    assert!(lower_bound(score.true_reports, score.reports) >= 0.97, "precision");
    assert!(lower_bound(score.starts_right, score.found) >= 0.97, "starts");
    assert!(lower_bound(score.shares_right, score.shares) >= 0.97, "shares");
}

#[test]
fn quiet_days_raise_nothing() {
    let mut raised = Vec::new();
    for seed in 20_000..20_002 {
        raised.extend(run(&mut Scenario::quiet(seed, 7), false).rows);
    }
    assert!(raised.is_empty(), "{raised:#?}");
}

/// Two links, of which the first carries nothing for hours; it comes back in one direction a little later than in the other.
#[test]
fn rows_of_what_began_together_stay_though_one_is_over_before_the_other() {
    let (down, up, settings) = (400, [1_100, 1_115], FailoverSettings::default());
    let links = Scenario::draw(30_000, 0).world.links()[..2].to_vec();
    let (mut failovers, mut published) = (Failovers::default(), BTreeMap::<i64, Vec<FailoverRow>>::new());
    for bin in 0..1_800_i64 {
        let of = |link: u32, direction: Direction| {
            let is_down = (down..up[direction as usize]).contains(&bin);
            let share = [if is_down { 0.0 } else { 1.0 }, if is_down { 2.0 } else { 1.0 }][link as usize];
            let wavers = 1.0 + 0.004 * ((bin * 7 + i64::from(link) * 3) % 5 - 2) as f64;
            measure::Observed {
                link,
                direction: Some(direction),
                bps: Some(1e9 * share * wavers),
                v6_bps: Some(0.0),
                standard_error_bps: Some(1e6),
                coverage_ratio: Some(1.0),
                ..measure::Observed::default()
            }
        };
        let observed: Vec<_> = [0, 1].into_iter().flat_map(|link| Direction::ALL.map(|direction| of(link, direction))).collect();
        failovers.take(&settings, &links, (bin * BIN_US, (bin + 2) * BIN_US), (&observed, &[]));
        for publication in failovers.publish(&links, &Plans::default()) {
            let Rows::Failovers(rows) = publication.rows else { panic!("failovers alone") };
            published.insert(publication.window_start_us, rows);
        }
    }
    let rows: Vec<&FailoverRow> = published.values().flatten().collect();
    for direction in Direction::ALL {
        let last = rows.iter().rfind(|row| row.direction.as_deref() == Some(direction.name()));
        assert!(last.is_some_and(|row| &*row.status == "closed"), "{direction:?}: {rows:#?}");
    }
}

#[test]
fn a_kill_neither_doubles_nor_changes_an_event() {
    let rows = |has_kills| run(&mut Scenario::draw(30_000, 4), has_kills).rows;
    assert!(!rows(false).is_empty());
    assert_eq!(rows(false), rows(true));
}
