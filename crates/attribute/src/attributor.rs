//! Records attributed a batch at a time.

use std::sync::Arc;

use model::{Address, Attribution, Record, Side};

use crate::Table;

/// Attributes records by one set of tables.
pub struct Attributor {
    table: Arc<Table>,
    places: Vec<(u32, u32)>,
}

impl Attributor {
    /// An attributor by these tables.
    pub fn new(table: Arc<Table>) -> Attributor {
        Attributor { table, places: Vec::new() }
    }

    /// Attributes both ends of each record; `out` is cleared first.
    ///
    /// The lookups of a batch stand in one tight loop, so that the processor overlaps their waits
    /// for memory; what depends on their answers comes after.
    pub fn attribute(&mut self, records: &[Record], out: &mut Vec<Attribution>) {
        out.clear();
        self.places.clear();
        let table = &*self.table;
        self.places.extend(records.iter().map(|record| (table.lookup(record.source), table.lookup(record.destination))));
        out.extend(records.iter().zip(&self.places).map(|(record, (source, destination))| Attribution {
            source: side(table, record.source, *source, record.source_asn),
            destination: side(table, record.destination, *destination, record.destination_asn),
        }));
    }
}

#[inline]
fn side(table: &Table, address: Address, place: u32, exporter_asn: u32) -> Side {
    let (tag, origin_asn) = table.answers[place as usize];
    let asn = if origin_asn != 0 { origin_asn } else { exporter_asn };
    // A list that gives the origin knows better than the exporter. Not a branch each: which end is whose is
    // hard to foresee.
    let may_be_said = !tag.is_microsoft() & (origin_asn == 0) & table.microsoft_asns.may_have(exporter_asn);
    let is_said = may_be_said && !address.is_unknown() && table.microsoft_asns.has(exporter_asn);
    Side { tag: if is_said { table.exporter_tag } else { tag }, place, asn }
}
