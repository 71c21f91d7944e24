//! The rows of `connections`: a link as it stands, a row per change.

use std::path::Path;
use std::sync::Arc;

use model::table::Timestamp;
use model::tables::ConnectionRow;
use model::time::{DETAIL_WINDOW_US, SECOND_US, slot_start_us};
use model::{Link, Publication, Rows};
use peering::{Inventory, connection_changes, is_same_connection};
use store::StoreError;

/// What the table says, and what was told last.
pub(crate) struct Connections {
    inventory: Arc<Inventory>,
    known: Vec<ConnectionRow>,
    told: Vec<Arc<Link>>,
    told_us: i64,
}

impl Connections {
    /// What the data folder's table says now.
    pub(crate) fn open(inventory: Arc<Inventory>, data: &Path) -> Result<Connections, StoreError> {
        let known = store::read::<ConnectionRow>(data, i64::MIN, i64::MAX)?.rows;
        Ok(Connections { inventory, known, told: Vec::new(), told_us: i64::MIN })
    }

    /// Links as they stand, each once.
    #[cfg(feature = "web")]
    pub(crate) fn current(&self) -> impl Iterator<Item = &ConnectionRow> {
        let mut names = std::collections::BTreeSet::new();
        // What was read from the table has former states too: the last row of a name is the one that may hold.
        let last = self.known.iter().rev().filter(move |row| names.insert(&row.connection));
        last.filter(|row| row.valid_to.is_none())
    }

    /// The rows of links that are new, have changed, or are gone; mostly none.
    pub(crate) fn changes(&mut self, links: &[Arc<Link>], now_us: i64) -> Option<Publication> {
        let is_told = self.told_us != i64::MIN
            && self.told.len() == links.len()
            && self.told.iter().zip(links).all(|(a, b)| Arc::ptr_eq(a, b));
        // A file holds the changes of a second: the next ones are the next second's.
        if is_told || now_us < self.told_us.saturating_add(SECOND_US) {
            return None;
        }
        self.told = links.to_vec();
        self.told_us = now_us;
        // Its first records were counted in windows that began before.
        let from_us = slot_start_us(now_us, DETAIL_WINDOW_US);
        let mut current = self.inventory.connection_rows(from_us);
        let configured = current.len();
        for link in links {
            if !current[..configured].iter().any(|row| row.connection == link.name) {
                current.push(self.inventory.connection_row(link, from_us));
            }
        }
        // What telemetry brought up in an earlier run need not have come again yet.
        let of_telemetry =
            |row: &&ConnectionRow| row.valid_to.is_none() && row.azure_connection_id.is_none() && row.connection.contains('/');
        for row in self.known.iter().filter(of_telemetry) {
            if !current.iter().any(|one| one.connection == row.connection) {
                current.push(row.clone());
            }
        }
        for row in &mut current {
            let known = self.known.iter().rev().find(|known| known.connection == row.connection && known.valid_to.is_none());
            if let Some(known) = known {
                row.valid_from = if is_same_connection(known, row) { known.valid_from } else { Timestamp(now_us) };
            }
        }
        let changes = connection_changes(&self.known, &current, now_us);
        self.known = current;
        (!changes.is_empty()).then_some(Publication { window_start_us: now_us, rows: Rows::Connections(changes) })
    }
}
