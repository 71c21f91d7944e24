//! `peerscope peerings`: import Azure's list, show it, check it against the telemetry seen.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use peering::Seen;
use serde_json::{Value, json};

use super::counters::{HOURS, compared, flows_differ, hours};
use crate::configuration::{ConfigurationArguments, Configured};
use crate::failure::{Failure, read_text};
use crate::output::{Format, Heading, number, print_rows, text};

/// Name of the file in the data folder that says what resolvers have seen.
pub(crate) const SEEN_FILE: &str = "seen.json";

/// Import Azure's list of peerings, show it, check it against the telemetry seen
#[derive(Args)]
pub(crate) struct Peerings {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Read what `az peering list` or the REST API prints, and write it as an inventory
    Import(Import),
    /// Show connections and transit links as they are configured
    List(List),
    /// Say what does not fit between configuration and telemetry
    Check(Check),
}

#[derive(Args)]
struct Import {
    /// Azure's JSON; several lists become one inventory
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Args)]
struct List {
    #[command(flatten)]
    configuration: ConfigurationArguments,
    /// How to print; JSON is an object a line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Args)]
struct Check {
    #[command(flatten)]
    configuration: ConfigurationArguments,
    /// Data folder of the collector or replay whose telemetry is compared
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Print the configuration that the session addresses seen as next hops imply
    #[arg(long, conflicts_with = "format")]
    suggest: bool,
    /// Print flows against interface counters by port and hour, of the last day that there is
    #[arg(long, conflicts_with = "suggest")]
    counters: bool,
    /// How to print; JSON is an object a line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Peerings {
    /// Does what was asked for.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Import(import) => import.run(),
            What::List(list) => list.run(),
            What::Check(check) => check.run(),
        }
    }
}

impl Import {
    fn run(self) -> Result<(), Failure> {
        let mut imports = Vec::new();
        for file in &self.files {
            let import = peering::azure::parse(&read_text(file)?);
            imports.push(import.map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?);
        }
        let joined = peering::azure::join(imports);
        for warning in &joined.warnings {
            eprintln!("note: {warning}");
        }
        let cannot = |error| Failure::failed(format!("{}: cannot be written: {error}", self.output.display()));
        std::fs::write(&self.output, peering::peerings::write(&joined.peerings)).map_err(cannot)?;
        let connections: usize = joined.peerings.iter().map(|peering| peering.connections.len()).sum();
        let path = self.output.display();
        writeln!(
            std::io::stdout(),
            "{} peerings with {connections} connections written to {path}; name it in the configuration: [inventory] peerings = [\"{path}\"]",
            joined.peerings.len()
        )?;
        Ok(())
    }
}

const LINKS: &[Heading] = &[
    text("connection"),
    text("role"),
    text("peering"),
    text("location"),
    text("ports"),
    number("capacity_gbps"),
    text("capacity_source"),
    text("connection_state"),
    text("session_v4"),
    text("session_state_v4"),
    text("session_v6"),
    text("session_state_v6"),
    text("azure_connection_id"),
];

impl List {
    fn run(self) -> Result<(), Failure> {
        let configured = Configured::load(&self.configuration)?;
        let rows = configured.shared.inventory.connection_rows(0);
        if rows.is_empty() {
            return Err(Failure::usage("no peerings: give --config with [inventory] peerings, or [[connection]] sections"));
        }
        let cells: Vec<Vec<Value>> = rows
            .iter()
            .map(|row| {
                let ports: Vec<&str> = row.ports.iter().map(|port| &**port).collect();
                vec![
                    json!(&*row.connection),
                    json!(&*row.role),
                    json!(row.peering.as_deref()),
                    json!(row.location.as_deref()),
                    if ports.is_empty() { Value::Null } else { json!(ports.join(" ")) },
                    row.capacity_bps.map_or(Value::Null, |bps| json!(bps as f64 / 1e9)),
                    json!(row.capacity_source.as_deref()),
                    json!(row.connection_state.as_deref()),
                    json!(row.session_v4.as_deref()),
                    json!(row.session_state_v4.as_deref()),
                    json!(row.session_v6.as_deref()),
                    json!(row.session_state_v6.as_deref()),
                    json!(row.azure_connection_id.as_deref()),
                ]
            })
            .collect();
        print_rows(LINKS, &cells, self.format)
    }
}

const FINDINGS: &[Heading] = &[text("finding"), text("subject"), text("what")];

impl Check {
    fn run(self) -> Result<(), Failure> {
        let configured = Configured::load(&self.configuration)?;
        let inventory = &configured.shared.inventory;
        let seen = read_seen(&self.data)?;
        if self.suggest {
            write!(std::io::stdout(), "{}", inventory.suggest(&seen))?;
            return Ok(());
        }
        let mut findings = inventory.check(&seen);
        let compared = compared(&self.data)?;
        if self.counters {
            return print_rows(HOURS, &hours(&compared), self.format);
        }
        findings.extend(compared.iter().filter_map(flows_differ));
        if findings.is_empty() && self.format == Format::Table {
            let sentence = match seen.exporters.is_empty() {
                true => "nothing has come yet that the configuration could be compared with",
                false => "configuration and telemetry fit",
            };
            writeln!(std::io::stdout(), "{sentence}")?;
            return Ok(());
        }
        let rows: Vec<Vec<Value>> = findings
            .iter()
            .map(|finding| vec![json!(finding.kind.name()), json!(finding.subject), json!(finding.text)])
            .collect();
        print_rows(FINDINGS, &rows, self.format)
    }
}

fn read_seen(data: &Path) -> Result<Seen, Failure> {
    let path = data.join(SEEN_FILE);
    if !path.exists() {
        let sentence = "nothing was seen yet; give the --data of a collector that has run for a minute, or of a replay";
        return Err(Failure::failed(format!("{}: {sentence}", path.display())));
    }
    serde_json::from_str(&read_text(&path)?)
        .map_err(|error| Failure::failed(format!("{}: is damaged: {error}; collect or replay again", path.display())))
}

/// Writes what was seen, for `peerings check`.
pub(crate) fn write_seen(data: &Path, seen: &Seen) -> std::io::Result<()> {
    let temporary = data.join(format!("{SEEN_FILE}.new"));
    std::fs::write(&temporary, serde_json::to_vec(seen)?)?;
    std::fs::rename(temporary, data.join(SEEN_FILE))
}
