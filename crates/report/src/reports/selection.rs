//! What `--where` leaves of connections: everything is read and judged, and a part of it is told.

use std::collections::BTreeSet;

use model::Direction;

use crate::connections::Edge;
use crate::loads::Loads;
use crate::{Filter, ReportError};

/// Columns that connections can be chosen by.
const COLUMNS: [&str; 5] = ["connection", "peering", "role", "location", "direction"];

/// Filters on connections and directions, each of which fits something.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    filters: Vec<Filter>,
}

impl Selection {
    /// What filters leave of the links that are known.
    ///
    /// # Errors
    ///
    /// If a filter is on something else, or leaves nothing.
    pub(super) fn of(filters: &[Filter], edge: &Edge, loads: &Loads) -> Result<Selection, ReportError> {
        for filter in filters {
            if !COLUMNS.contains(&&*filter.column) {
                let column = &filter.column;
                let known = COLUMNS.join(", ");
                return Err(ReportError::Usage(format!("--where {column}: this report can be limited by {known} alone")));
            }
            let names = edge.iter().map(|row| &row.connection).chain(loads.by_way.keys().map(|(name, _)| name));
            let known: BTreeSet<String> = names.filter_map(|name| value(edge, name, &filter.column)).collect();
            let is_known = match &*filter.column {
                "direction" => Direction::named(&filter.value).is_some(),
                _ => filter.value.is_empty() || known.contains(&filter.value),
            };
            if !is_known {
                return Err(no_such(filter, &known));
            }
        }
        Ok(Selection { filters: filters.to_vec() })
    }

    /// Whether it has a link of this name.
    pub(super) fn has(&self, edge: &Edge, name: &str) -> bool {
        let fits = |filter: &Filter| value(edge, name, &filter.column).unwrap_or_default() == filter.value;
        self.filters.iter().filter(|filter| filter.column != "direction").all(fits)
    }

    /// Whether it has a direction.
    pub(super) fn has_direction(&self, direction: Direction) -> bool {
        self.filters.iter().filter(|filter| filter.column == "direction").all(|filter| filter.value == direction.name())
    }
}

/// The error for a filter that nothing fits, with what there is.
pub(super) fn no_such(filter: &Filter, known: &BTreeSet<String>) -> ReportError {
    const TOLD_MOST: usize = 12;
    let told = known.iter().take(TOLD_MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if known.len() > TOLD_MOST { format!(" and {} more", known.len() - TOLD_MOST) } else { String::new() };
    let there_is = if known.is_empty() { "none is known".to_owned() } else { format!("there are {told}{more}") };
    ReportError::NoData(format!("nothing has {} \"{}\": {there_is}", filter.column, filter.value))
}

/// What a link has in a column; `None` where it is unknown.
fn value(edge: &Edge, name: &str, column: &str) -> Option<String> {
    match column {
        "connection" => Some(name.to_owned()),
        "role" => Some(edge.role(name).to_owned()),
        "location" => edge.location(name).map(ToString::to_string),
        "peering" => edge.get(name).and_then(|row| row.peering.as_ref()).map(ToString::to_string),
        _ => None,
    }
}
