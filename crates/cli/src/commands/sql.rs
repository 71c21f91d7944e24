//! `peerscope sql`: any query on the tables.

use clap::Args;
use report::{Data, Range, ReportSettings, Rows};

use super::report::{Progress, Scope};
use crate::failure::Failure;
use crate::output::{Format, Heading, print_rows};

/// Run a query on the tables: links, links_5m, ports, ports_5m, traffic, prefixes, latency, failovers, alerts,
/// exporters, connections, flows
///
/// All of the data, unless --from, --to or --last say otherwise, which are widened to whole five minutes. Nothing can be
/// written.
#[derive(Args)]
pub(crate) struct Sql {
    /// The query, such as "select connection, max(mean_bps) from links group by connection"
    query: String,
    #[command(flatten)]
    scope: Scope,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Sql {
    /// Runs and prints it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let zone = self.scope.zone()?;
        let tables = self.scope.tables.open()?;
        let range = self.scope.range_if_given(&tables, &zone)?.unwrap_or(Range::EVER);
        let mut data = Data::open(&tables, range, &self.scope.filters()?, &ReportSettings::default())?;
        let progress = Progress::start();
        let result = data.register_named_in(&self.query).and_then(|()| data.table(&self.query));
        progress.end();
        let Rows { columns, rows } = result?;
        let headings: Vec<Heading> =
            columns.into_iter().map(|(name, is_number)| Heading { name: name.into(), is_number }).collect();
        data.notes().iter().for_each(|note| eprintln!("{note}"));
        print_rows(&headings, &rows, self.format)
    }
}
