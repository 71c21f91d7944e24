//! Finds what several collectors have rows of, and has queries see the rows of one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::logical_expr::{Expr, not};
use datafusion::prelude::{col, ident, lit};
use model::Name;
use store::Listing;

use crate::frames::instant;
use crate::range::STEP_US;
use crate::shared::{Had, LeftOut, Shared, share};
use crate::tables::{Table, by_name};
use crate::{Data, ReportError};

/// What a collector's rows are called in the queries of this file.
const ONE: &str = "rows_of_one_collector";
/// Spans that are left out at most: each is a comparison for every row.
const SPANS_MOST: usize = 512;
/// Names that a note tells.
const NAMES_TOLD: usize = 5;
/// How often it is asked, files going under it.
const ATTEMPTS: usize = 3;

/// By what things are told apart, and where it is seen who has how much of them.
struct SharedBy {
    column: &'static str,
    table: &'static str,
    /// How much a row is of; more than nothing where something was heard.
    much: &'static str,
}

const SHARED_BY: [SharedBy; 3] = [
    SharedBy { column: "connection", table: "links_5m", much: "samples" },
    SharedBy { column: "port", table: "ports_5m", much: "coalesce(packets_per_second, 0) + coalesce(counter_bps, 0)" },
    SharedBy { column: "exporter", table: "exporters", much: "datagrams" },
];

fn shared_by(table: &Table) -> Option<&'static SharedBy> {
    // What stood when, several may say of the same: who asks takes the latest.
    let of = |shared: &&SharedBy| table.name != "connections" && table.columns.iter().any(|column| column.name == shared.column);
    SHARED_BY.iter().find(of)
}

/// What is left out of each collector's rows.
type LeftOuts = Arc<Vec<Vec<LeftOut>>>;

/// What was found of the names that several collectors have, by column.
#[derive(Default)]
pub(crate) struct SharedNames {
    known: Mutex<BTreeMap<&'static str, (LeftOuts, Option<String>)>>,
}

impl SharedNames {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, (LeftOuts, Option<String>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be said of it.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.lock().values().filter_map(|(_, note)| note.clone()).collect()
    }
}

/// Whether a row of a table is not among those that are left out.
pub(crate) fn stays(table: &Table, left: &LeftOut) -> Expr {
    let Some(shared) = shared_by(table) else { return lit(true) };
    let names = left.names.iter().map(|name| lit(&**name)).collect();
    let is_then = col(table.time).gt_eq(instant(left.from_us)).and(col(table.time).lt(instant(left.to_us)));
    // A row without a name is nobody else's.
    ident(shared.column).is_null().or(not(ident(shared.column).in_list(names, false).and(is_then)))
}

impl Data {
    /// What of each collector's rows of a table is another's.
    pub(crate) fn left_out(&self, table: &Table) -> Result<LeftOuts, ReportError> {
        let Some(shared_by) = shared_by(table) else { return Ok(Arc::default()) };
        let mut known = self.shared.lock();
        if let Some((left_out, _)) = known.get(shared_by.column) {
            return Ok(left_out.clone());
        }
        let Some(of) = by_name(shared_by.table) else { return Ok(Arc::default()) };
        let mut attempts = ATTEMPTS;
        let shared = loop {
            attempts -= 1;
            let mut listings = self.list(of)?;
            if attempts + 1 < ATTEMPTS {
                listings.iter_mut().for_each(|listing| _ = (of.pass_over_damaged)(listing));
            }
            match self.find_shared(of, &listings, shared_by) {
                Err(_) if attempts > 0 => {}
                shared => break shared?,
            }
        };
        if shared.left_out.iter().map(Vec::len).sum::<usize>() > SPANS_MOST {
            let (name, column) = (self.tables().name(), shared_by.column);
            let what = format!("{name}: collectors tell of the same {column}s by turns; name one of them with --collector");
            return Err(ReportError::Usage(what));
        }
        let note = told(shared_by, &shared);
        let left_out = Arc::new(shared.left_out);
        known.insert(shared_by.column, (left_out.clone(), note));
        Ok(left_out)
    }

    fn find_shared(&self, of: &Table, listings: &[Listing], shared_by: &SharedBy) -> Result<Shared, ReportError> {
        let mut names: Vec<BTreeSet<Name>> = Vec::new();
        for listing in listings {
            names.push(self.names(of, listing, shared_by)?);
        }
        let is_shared = |name: &&Name| names.iter().filter(|names| names.contains(*name)).count() > 1;
        let shared: BTreeSet<Name> = names.iter().flatten().filter(is_shared).cloned().collect();
        let mut had: Vec<Had> = Vec::new();
        for listing in listings {
            had.push(if shared.is_empty() { Had::new() } else { self.had(of, listing, shared_by, &shared)? });
        }
        Ok(share(&had))
    }

    /// The names that a collector has rows of.
    fn names(&self, table: &Table, listing: &Listing, shared_by: &SharedBy) -> Result<BTreeSet<Name>, ReportError> {
        self.context.register_table(ONE, self.frame(table, listing)?.into_view())?;
        let sql = format!("select distinct {} as name from {ONE}", shared_by.column);
        let names = self.fold_once(&sql, BTreeSet::new(), |names, batch| {
            let texts = batch.texts("name")?;
            names.extend((0..batch.rows()).filter_map(|row| texts.get(row).map(Name::from)));
            Ok(())
        });
        self.context.deregister_table(ONE)?;
        names
    }

    /// Steps in which a collector has rows of these names.
    fn had(&self, table: &Table, listing: &Listing, shared_by: &SharedBy, names: &BTreeSet<Name>) -> Result<Had, ReportError> {
        let names = names.iter().map(|name| lit(&**name)).collect();
        let frame = self.frame(table, listing)?.filter(ident(shared_by.column).in_list(names, false))?;
        self.context.register_table(ONE, frame.into_view())?;
        let (SharedBy { column, much, .. }, time) = (shared_by, table.time);
        let sql = format!(
            "select {column} as name, {time} as at, sum({much}) as much from {ONE} group by {column}, {time} order by {column}, {time}"
        );
        let had = self.fold_once(&sql, Had::new(), |had, batch| {
            let (names, starts, much) = (batch.texts("name")?, batch.times("at")?, batch.floats("much")?);
            for row in 0..batch.rows() {
                let Some(at_us) = starts.get(row) else { continue };
                let steps = had.entry(Name::from(names.known(row))).or_default();
                let (step_us, more) = (at_us.div_euclid(STEP_US) * STEP_US, much.get(row).unwrap_or(0.0));
                match steps.last_mut() {
                    Some((last_us, much)) if *last_us == step_us => *much += more,
                    _ => steps.push((step_us, more)),
                }
            }
            Ok(())
        });
        self.context.deregister_table(ONE)?;
        had
    }
}

fn told(shared_by: &SharedBy, shared: &Shared) -> Option<String> {
    if shared.steps == 0 {
        return None;
    }
    let mut names: Vec<&str> = shared.names.iter().take(NAMES_TOLD).map(|name| &**name).collect();
    if shared.names.len() > NAMES_TOLD {
        names.push("others");
    }
    Some(format!(
        "more than one collector tells of the same {}s ({}): the rows of one stand, what others heard in {} of its steps of five \
         minutes is left out, so that nothing counts twice",
        shared_by.column,
        names.join(", "),
        shared.steps
    ))
}
