//! Every survivor of every failure, each with where its share comes from.

use measure::judge::{Origin, Survivor};
use model::Direction;

use super::Judged;
use crate::Data;
use crate::answer::{Cell, Column, Section, Unit};
use crate::networks::Networks;

const COLUMNS: &[Column] = &[
    Column::new("kind", Unit::Text),
    Column::new("failed", Unit::Text),
    Column::new("direction", Unit::Text),
    Column::new("survivor", Unit::Text),
    Column::detail("survivor_location", Unit::Text),
    Column::new("share", Unit::Ratio),
    Column::new("origin", Unit::Text),
    Column::new("takes", Unit::Mbps),
    Column::new("takes_error", Unit::Mbps),
    Column::detail("takes_observed", Unit::Mbps),
    Column::detail("takes_observed_rescaled", Unit::Mbps),
    Column::detail("takes_present_split", Unit::Mbps),
    Column::detail("takes_capacity", Unit::Mbps),
    Column::new("port_before", Unit::Ratio),
    Column::new("port_after", Unit::Ratio),
    Column::detail("port_after_at", Unit::Time),
    Column::new("port_after_p95", Unit::Ratio),
    Column::detail("port_load_after", Unit::Mbps),
    Column::detail("port_load_after_p95", Unit::Mbps),
    Column::detail("port_capacity", Unit::Mbps),
    Column::new("holds", Unit::Flag),
];

/// The survivors of failures, a row a survivor and direction.
pub(super) fn section(judged: &[Judged], networks: &Networks, data: &Data) -> Section {
    let mut section = Section::new("Survivors, at their worst moment", COLUMNS);
    for judged in judged {
        for direction in Direction::ALL {
            let outcome = judged.outcomes[direction as usize].as_ref();
            let survivors = outcome.into_iter().flat_map(|outcome| &outcome.survivors);
            section.rows.extend(survivors.map(|survivor| row(judged, direction, survivor, networks, data)));
        }
    }
    section
}

fn row(judged: &Judged, direction: Direction, survivor: &Survivor, networks: &Networks, data: &Data) -> Vec<Cell> {
    let network = networks.get(direction);
    let place = network.connections().get(survivor.connection).map(|connection| &connection.place);
    let [observed, rescaled, split, capacity] = survivor.taken_bps.map(Cell::mbps);
    let port = network.port_of(survivor.connection);
    vec![
        judged.failure.kind.name().into(),
        (&judged.failure.name).into(),
        direction.name().into(),
        network.name(survivor.connection).into(),
        place.and_then(|place| place.metro.as_ref()).into(),
        (survivor.taken() / survivor.lost_bps).into(),
        origins(survivor).into(),
        Cell::mbps(survivor.taken()),
        Cell::mbps(survivor.error_bps),
        observed,
        rescaled,
        split,
        capacity,
        survivor.utilisation_before.into(),
        survivor.utilisation.into(),
        Cell::time(survivor.load.map(|load| data.range().start_of(load.step))),
        survivor.utilisation_p95.into(),
        Cell::mbps(survivor.load.map(|load| load.most_bps)),
        Cell::mbps(survivor.load.map(|load| load.p95_bps)),
        Cell::mbps(port.and_then(|port| port.capacity_bps)),
        survivor.utilisation.map(|ratio| ratio <= network.full()).into(),
    ]
}

/// The parts of what a survivor takes by where their shares come from, the largest first.
pub(super) fn parts(survivor: &Survivor) -> Vec<(Origin, f64)> {
    let all = survivor.taken();
    let parts = Origin::ALL.into_iter().zip(survivor.taken_bps).filter(|(_, bps)| *bps > 0.0);
    let mut parts: Vec<(Origin, f64)> = parts.map(|(origin, bps)| (origin, bps / all)).collect();
    parts.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    parts
}

/// Where a survivor's share comes from, in words; of a mixture every part.
pub(super) fn origins(survivor: &Survivor) -> String {
    match &parts(survivor)[..] {
        [] => "takes nothing then".to_owned(),
        [(origin, _)] => origin.name().to_owned(),
        parts => {
            let words = parts.iter().map(|(origin, share)| format!("{} {:.0} %", origin.name(), share * 100.0));
            words.collect::<Vec<_>>().join(", ")
        }
    }
}

/// A sentence that says what the shares of the cells rest on.
pub(super) fn basis(judged: &[Judged]) -> Option<String> {
    let outcomes = judged.iter().flat_map(|judged| judged.outcomes.iter().flatten());
    let (mut counts, mut mixed, mut all) = ([0_usize; 4], 0_usize, 0_usize);
    for survivor in outcomes.flat_map(|outcome| &outcome.survivors) {
        all += 1;
        match &parts(survivor)[..] {
            [(origin, _)] => counts[*origin as usize] += 1,
            [] => all -= 1,
            _ => mixed += 1,
        }
    }
    let words = [
        (counts[Origin::Observed as usize], "by this network's own earlier failovers"),
        (counts[Origin::Rescaled as usize], "by such failovers, rescaled"),
        (counts[Origin::Split as usize], "by the present split"),
        (counts[Origin::Capacity as usize], "by capacity alone"),
        (mixed, "by several of these"),
    ];
    let told: Vec<String> =
        words.into_iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}")).collect();
    (all > 0).then(|| format!("Of {all} shares, {}.", told.join(", ")))
}
