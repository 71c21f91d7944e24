//! The tables that queries see, and how each is listed and checked.

use std::path::Path;

use model::table::{Column, Row};
use model::tables::{
    AlertRow, ConnectionRow, ExporterRow, FailoverRow, FlowRow, LatencyRow, LinkRow, PortRow, PrefixRow, TrafficRow,
};
use store::{Listing, StoreError};

/// A table that queries see.
pub(crate) struct Table {
    /// Its name in queries.
    pub(crate) name: &'static str,
    /// Its columns.
    pub(crate) columns: &'static [Column],
    /// The column that says when a row is of.
    pub(crate) time: &'static str,
    /// Rows of before a range count in it: what they tell of lasts.
    pub(crate) is_lasting: bool,
    /// Its files and rows of a range.
    pub(crate) list: fn(&Path, i64, i64) -> Result<Listing, StoreError>,
    /// Takes damaged files out.
    pub(crate) pass_over_damaged: fn(&mut Listing) -> bool,
}

const fn table<R: Row>(name: &'static str, list: fn(&Path, i64, i64) -> Result<Listing, StoreError>) -> Table {
    Table {
        name,
        columns: R::COLUMNS,
        time: "window_start",
        is_lasting: false,
        list,
        pass_over_damaged: Listing::pass_over_damaged::<R>,
    }
}

/// All of them.
pub(crate) const TABLES: &[Table] = &[
    table::<LinkRow>("links", store::list::<LinkRow>),
    table::<LinkRow>("links_5m", store::list_five_minutes::<LinkRow>),
    table::<PortRow>("ports", store::list::<PortRow>),
    table::<PortRow>("ports_5m", store::list_five_minutes::<PortRow>),
    table::<TrafficRow>("traffic", store::list::<TrafficRow>),
    table::<PrefixRow>("prefixes", store::list::<PrefixRow>),
    table::<LatencyRow>("latency", store::list::<LatencyRow>),
    table::<ExporterRow>("exporters", store::list::<ExporterRow>),
    Table { time: "valid_from", is_lasting: true, ..table::<ConnectionRow>("connections", store::list::<ConnectionRow>) },
    Table { time: "at", ..table::<AlertRow>("alerts", store::list::<AlertRow>) },
    Table { time: "started_at", is_lasting: true, ..table::<FailoverRow>("failovers", store::list::<FailoverRow>) },
    table::<FlowRow>("flows", store::list::<FlowRow>),
];

/// The table of a name.
pub(crate) fn by_name(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}
