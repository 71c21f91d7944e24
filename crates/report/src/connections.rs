//! The network's edge as the table `connections` has it.

use std::collections::BTreeMap;

use model::Name;
use model::tables::ConnectionRow;

use crate::{Data, ReportError};

/// Connections and other links as they stood at the end of a range, by name.
pub(crate) struct Edge {
    links: BTreeMap<Name, ConnectionRow>,
    /// When each was there first, microseconds since 1970.
    first_us: BTreeMap<Name, i64>,
}

impl Edge {
    /// Reads the table.
    pub(crate) fn read(data: &Data) -> Result<Edge, ReportError> {
        let rows = data.tables().read::<ConnectionRow>(i64::MIN, data.range().to_us)?;
        let mut links: BTreeMap<Name, ConnectionRow> = BTreeMap::new();
        let mut first_us: BTreeMap<Name, i64> = BTreeMap::new();
        for row in rows {
            let first = first_us.entry(row.connection.clone()).or_insert(row.valid_from.0);
            *first = row.valid_from.0.min(*first);
            let is_over = row.valid_to.is_some_and(|to| to.0 <= data.range().from_us);
            let known = links.get(&row.connection);
            // Of the same time the row that was closed is the later one.
            let is_newer = known.is_none_or(|known| (known.valid_from, known.valid_to) <= (row.valid_from, row.valid_to));
            if is_newer && !is_over {
                links.insert(row.connection.clone(), row);
            }
        }
        Ok(Edge { links, first_us })
    }

    /// A link by its name.
    pub(crate) fn get(&self, name: &str) -> Option<&ConnectionRow> {
        self.links.get(name)
    }

    /// Since when a link is there, microseconds since 1970.
    pub(crate) fn first_us(&self, name: &str) -> Option<i64> {
        self.first_us.get(name).copied()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ConnectionRow> {
        self.links.values()
    }

    /// The role of a link; `other` where it is not known.
    pub(crate) fn role(&self, name: &str) -> &str {
        self.get(name).map_or("other", |row| &row.role)
    }

    /// The metro of a link.
    pub(crate) fn location(&self, name: &str) -> Option<&Name> {
        self.get(name).and_then(|row| row.location.as_ref())
    }
}

/// Whether a link is a connection with Microsoft: not transit, and not the rest of a port.
pub(crate) fn is_peering(row: &ConnectionRow) -> bool {
    matches!(&*row.role, "direct" | "exchange") && !is_rest(row)
}

/// Whether a link is what the connections of its port cannot be told apart by.
pub(crate) fn is_rest(row: &ConnectionRow) -> bool {
    row.connection.ends_with("/unidentified") || is_unresolved(&row.connection)
}

/// Whether a link has what a router does not tell the connection of.
pub(crate) fn is_unresolved(link: &str) -> bool {
    link.ends_with("/unresolved")
}

/// Whether a connection takes part in capacity: one that Azure does not call active does not.
pub(crate) fn is_active(row: &ConnectionRow) -> bool {
    row.connection_state.as_deref().is_none_or(|state| state.eq_ignore_ascii_case("active"))
}
