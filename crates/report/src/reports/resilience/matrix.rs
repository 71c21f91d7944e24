//! The failures of single connections and who takes what, as a page shows them.

use std::collections::BTreeSet;

use measure::judge::{FailureKind, Origin, Survivor};
use model::Direction;

use super::{Judged, cells};
use crate::networks::Networks;
use crate::reports::Options;
use crate::{Cell, Data, Matrix, MatrixCell, Unit};

/// Rows and columns of a matrix at most: a page is to be read.
const ROWS_MOST: usize = 40;
const COLUMNS_MOST: usize = 40;

/// A matrix a direction.
pub(super) fn matrices(judged: &[Judged], networks: &Networks, data: &Data, options: &Options) -> Vec<Matrix> {
    let of = |direction: Direction| matrix(judged, direction, networks, data, options);
    Direction::ALL.into_iter().map(of).filter(|matrix| !matrix.rows.is_empty()).collect()
}

fn matrix(judged: &[Judged], direction: Direction, networks: &Networks, data: &Data, options: &Options) -> Matrix {
    let network = networks.get(direction);
    let is_row = |judged: &&Judged| matches!(judged.failure.kind, FailureKind::Connection | FailureKind::Set);
    let mut all: Vec<(&Judged, &[Survivor])> = judged
        .iter()
        .filter(is_row)
        .filter_map(|judged| Some((judged, &judged.outcomes[direction as usize].as_ref()?.survivors[..])))
        .collect();
    let ratio = |survivors: &[Survivor]| survivors.first().and_then(|worst| worst.utilisation).unwrap_or(f64::NEG_INFINITY);
    all.sort_by(|(_, a), (_, b)| ratio(b).total_cmp(&ratio(a)));
    let (rows, rest) = all.split_at(all.len().min(ROWS_MOST));
    let metro = |place: usize| network.connections()[place].place.metro.clone();
    let takers: BTreeSet<(Option<model::Name>, usize)> = rows
        .iter()
        .flat_map(|(_, survivors)| survivors.iter().map(|survivor| (metro(survivor.connection), survivor.connection)))
        .collect();
    let hidden = takers.len().saturating_sub(COLUMNS_MOST);
    let columns: Vec<usize> = takers.into_iter().take(COLUMNS_MOST).map(|(_, place)| place).collect();
    let name = |place: usize| network.name(place).map(ToString::to_string).unwrap_or_default();
    let row = |(judged, survivors): &(&Judged, &[Survivor])| {
        let of = |place: &usize| survivors.iter().find(|survivor| survivor.connection == *place);
        let cells = columns.iter().map(|place| of(place).map(|survivor| cell(survivor, network.full(), data, options)));
        (judged.failure.name.to_string(), cells.collect())
    };
    let left_out = (!rest.is_empty() || hidden > 0)
        .then(|| format!("{} failures and {hidden} survivors more: --by survivor --format csv has all.", rest.len()));
    Matrix {
        title: format!("Load of each survivor's port {}, at its worst moment", direction.words()),
        legend: Origin::ALL.iter().map(|origin| (letter(*origin).to_owned(), meaning(*origin).to_owned())).collect(),
        rows: rows.iter().map(row).collect(),
        columns: columns.iter().map(|place| name(*place)).collect(),
        left_out,
    }
}

fn cell(survivor: &Survivor, full: f64, data: &Data, options: &Options) -> MatrixCell {
    let at = survivor.load.and_then(|load| Cell::Time(data.range().start_of(load.step)).text(Unit::Time, &options.zone));
    let error = survivor.error_bps.map_or_else(|| "error not known".to_owned(), |bps| format!("± {:.0}", bps / 1e6));
    MatrixCell {
        utilisation: survivor.utilisation,
        is_over: survivor.utilisation.is_some_and(|ratio| ratio > full),
        origins: cells::parts(survivor).iter().map(|(origin, _)| letter(*origin)).collect(),
        words: format!(
            "takes {:.0} Mbit/s ({error}) by {}; {}; 95th percentile {}",
            survivor.taken() / 1e6,
            cells::origins(survivor).replace('_', " "),
            at.unwrap_or_else(|| "load not known".to_owned()),
            survivor.utilisation_p95.map_or_else(|| "not known".to_owned(), |ratio| format!("{:.0} %", ratio * 100.0)),
        ),
    }
}

const fn letter(origin: Origin) -> &'static str {
    match origin {
        Origin::Observed => "O",
        Origin::Rescaled => "R",
        Origin::Split => "S",
        Origin::Capacity => "C",
    }
}

const fn meaning(origin: Origin) -> &'static str {
    match origin {
        Origin::Observed => "observed in this network's own earlier failover",
        Origin::Rescaled => "observed, rescaled to those that are left",
        Origin::Split => "present split over the survivors",
        Origin::Capacity => "by capacity",
    }
}
