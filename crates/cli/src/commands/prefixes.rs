//! `peerscope prefixes`: look addresses up, import lists, compare two of them.

use std::io::Write;
use std::path::{Path, PathBuf};

use attribute::{Found, Sources, Table, compare, sources};
use clap::{Args, Subcommand};
use model::Address;
use serde_json::{Value, json};

use crate::configuration::{ConfigurationArguments, Configured};
use crate::failure::{Failure, read_text};
use crate::lists::ListArguments;
use crate::output::{Format, Heading, number, print_rows, text};

/// Look addresses up in the lists of prefixes, import lists, compare two of them
#[derive(Args)]
pub(crate) struct Prefixes {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Say of each address which prefix, service, region and AS it has, and which list says so
    Lookup(Lookup),
    /// Read lists and write them as one file, for `[lists] imported`
    Import(Import),
    /// Say what a newer list adds, removes and moves to another service or region
    Compare(Compare),
}

#[derive(Args)]
struct Lookup {
    /// Addresses
    #[arg(required = true, value_name = "ADDRESS")]
    addresses: Vec<Address>,
    /// How to print; JSON is an object a line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    configuration: ConfigurationArguments,
}

#[derive(Args)]
struct Import {
    /// File to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    lists: ListArguments,
}

#[derive(Args)]
struct Compare {
    /// The older list: Azure's ServiceTags_Public_*.json, or what `prefixes import` wrote
    before: PathBuf,
    /// The newer list
    after: PathBuf,
    /// How to print; JSON is an object a line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Prefixes {
    /// Does what was asked for.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Lookup(lookup) => lookup.run(),
            What::Import(import) => import.run(),
            What::Compare(compare) => compare.run(),
        }
    }
}

const LOOKUP: &[Heading] = &[
    text("address"),
    text("prefix"),
    text("service"),
    text("region"),
    number("origin_asn"),
    text("source"),
    text("version"),
    text("customer"),
];

impl Lookup {
    fn run(self) -> Result<(), Failure> {
        let configured = Configured::load(&self.configuration)?;
        let found: Vec<Vec<Value>> =
            self.addresses.iter().map(|address| cells(&configured.shared.table.find(*address))).collect();
        print_rows(LOOKUP, &found, self.format)
    }
}

fn cells(found: &Found) -> Vec<Value> {
    vec![
        json!(found.address),
        json!(found.prefix),
        json!(found.service),
        json!(found.region),
        json!(found.origin_asn),
        json!(found.source),
        json!(found.version),
        json!(found.customer),
    ]
}

impl Import {
    fn run(self) -> Result<(), Failure> {
        let sources = self.lists.read()?;
        let text = sources.to_json();
        let cannot = |error| Failure::failed(format!("{}: cannot be written: {error}", self.output.display()));
        std::fs::write(&self.output, text).map_err(cannot)?;
        let mut out = std::io::stdout().lock();
        for list in &sources.lists {
            let version = list.version.as_deref().unwrap_or("none");
            writeln!(out, "{}: {} prefixes, version {version}", list.layer.name(), list.entries.len())?;
        }
        writeln!(out, "own prefixes: {}", sources.own.len())?;
        writeln!(
            out,
            "written to {}; name it in the configuration: [lists] imported = [\"{}\"]",
            self.output.display(),
            self.output.display()
        )?;
        Ok(())
    }
}

const CHANGES: &[Heading] =
    &[text("prefix"), text("change"), text("service_before"), text("region_before"), text("service_after"), text("region_after")];

impl Compare {
    fn run(self) -> Result<(), Failure> {
        let (before, after) = (Table::build(&any_list(&self.before)?), Table::build(&any_list(&self.after)?));
        let rows: Vec<Vec<Value>> = compare(&before, &after)
            .iter()
            .map(|change| {
                vec![
                    json!(change.prefix),
                    json!(change.change),
                    json!(change.before.service),
                    json!(change.before.region),
                    json!(change.after.service),
                    json!(change.after.region),
                ]
            })
            .collect();
        print_rows(CHANGES, &rows, self.format)
    }
}

/// A list in either form that names itself.
fn any_list(path: &Path) -> Result<Sources, Failure> {
    let (name, text) = (path.display().to_string(), read_text(path)?);
    if let Ok(imported) = Sources::from_json(&name, &text) {
        return Ok(imported);
    }
    let lists = sources::service_tags(&name, &text).map_err(Failure::usage)?;
    Ok(Sources { lists: lists.into(), ..Sources::empty() })
}
