//! `peerscope reference`: columns, settings, commands, as their declarations have them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use alert::{Declared, Kind as Rule, Passes};
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;
use model::settings::Setting;
use model::table::{Column, Kind, Row};
use model::tables::{
    AlertRow, ConnectionRow, ExporterRow, FailoverRow, FlowRow, LatencyRow, LinkRow, PortRow, PrefixRow, TrafficRow,
};

use crate::failure::Failure;

/// Print every column of every table, or every setting, as Markdown; write man pages or completions
#[derive(Args)]
pub(crate) struct Reference {
    /// What to print
    #[arg(value_enum)]
    what: What,
    /// Folder to write the man pages or completions to; needed for them, made if it is not there
    #[arg(long, value_name = "DIR", required_if_eq_any([("what", "man"), ("what", "completions")]))]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// The columns of the tables: TABLES.md
    Tables,
    /// The settings of the configuration: SETTINGS.md
    Settings,
    /// A man page a command
    Man,
    /// Completions for bash, zsh and fish
    Completions,
}

impl Reference {
    /// Prints it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let folder = self.output.unwrap_or_default();
        match self.what {
            What::Tables => write!(std::io::stdout(), "{}", tables())?,
            What::Settings => write!(std::io::stdout(), "{}", settings())?,
            What::Man => made(&folder, |folder| clap_mangen::generate_to(crate::Arguments::command(), folder))?,
            What::Completions => made(&folder, completions)?,
        }
        Ok(())
    }
}

/// Has files written into a folder that is there then.
fn made(folder: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .and_then(|()| write(folder))
        .map_err(|error| Failure::failed(format!("{}: cannot be written: {error}", folder.display())))
}

fn completions(folder: &Path) -> std::io::Result<()> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut crate::Arguments::command(), "peerscope", folder)?;
    }
    Ok(())
}

const TABLES_HEAD: &str = "# Tables

Made by `peerscope reference tables` from the declarations that the writer uses. Files lie in
`DATA/TABLE/date=YYYY-MM-DD/hour=HH/`; times are UTC; null means unknown.

`links_5m` and `ports_5m` have the columns of `links` and `ports` and a row in five minutes, made when an hour is compacted and
kept far longer ([store] in SETTINGS.md): loads are means over the minutes that there are, null if one of them is unknown; peaks
are the largest; counts are sums; coverage is over all five minutes; capacity is the least.
";

/// Every column of every table.
fn tables() -> String {
    let mut text = TABLES_HEAD.to_string();
    table::<LinkRow>(&mut text);
    table::<PortRow>(&mut text);
    table::<TrafficRow>(&mut text);
    table::<PrefixRow>(&mut text);
    table::<LatencyRow>(&mut text);
    table::<ExporterRow>(&mut text);
    table::<FailoverRow>(&mut text);
    table::<ConnectionRow>(&mut text);
    table::<AlertRow>(&mut text);
    table::<FlowRow>(&mut text);
    text
}

fn table<R: Row>(text: &mut String) {
    _ = writeln!(text, "\n## `{}`\n\n{}\n\n| column | type | what it is |\n|---|---|---|", R::TABLE, R::DOC.trim());
    for Column { name, doc, kind, is_nullable } in R::COLUMNS {
        let null = if *is_nullable { " or null" } else { "" };
        _ = writeln!(text, "| `{name}` | {}{null} | {} |", kind_name(*kind), doc.trim());
        if let Kind::Structs(columns) = kind {
            for Column { name: inner, doc, kind, is_nullable } in *columns {
                let null = if *is_nullable { " or null" } else { "" };
                _ = writeln!(text, "| `{name}.{inner}` | {}{null} | {} |", kind_name(*kind), doc.trim());
            }
        }
    }
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "integer",
        Kind::Float => "float",
        Kind::Text => "text",
        Kind::Timestamp => "timestamp",
        Kind::Boolean => "boolean",
        Kind::Texts => "list of texts",
        Kind::Counts => "map of text to integer",
        Kind::Integers => "list of integers",
        Kind::Bytes => "bytes",
        Kind::Structs(_) => "list of structs",
    }
}

const SETTINGS_HEAD: &str = "# Settings

Made by `peerscope reference settings` from the declarations that the program reads them by. Sections of numbers and switches; each may
be left out, and each key in it. `samples/peerscope.toml` shows the sections that describe the network.
";

/// Every setting that is a number or a switch, with default and range.
fn settings() -> String {
    let mut text = SETTINGS_HEAD.to_string();
    for (section, settings) in crate::configuration::sections() {
        _ = writeln!(
            text,
            "\n## `[{section}]`\n\n| key | default | least to most | unit | what it is for |\n|---|--:|--:|---|---|"
        );
        for Setting { name, doc, unit, default, least, most, is_switch } in settings {
            let (default, range) = match is_switch {
                true => ((*default != 0).to_string(), "true or false".to_string()),
                false => (default.to_string(), format!("{least} to {most}")),
            };
            _ = writeln!(text, "| `{name}` | {default} | {range} | {unit} | {} |", doc.trim());
        }
    }
    rules(&mut text);
    text
}

const RULES_HEAD: &str = "
## `[[alert_rule]]`

The rules of alerts, as they are without configuration. An entry `[[alert_rule]]` names one as `rule` and sets some of `info`, `warning`,
`critical` (of these levels those that are not given are off then), `margin`, `hold_seconds`, `clear_seconds`, `enabled`; it may be for some
`connections`, `ports`, `exporters`, `locations`, `roles` or one `direction` only. The first entry that fits holds.

| rule | unit | levels | margin | held for, s | cleared for, s | what its value is |
|---|---|---|--:|--:|--:|---|
";

/// Every rule of alerts, with its levels.
fn rules(text: &mut String) {
    text.push_str(RULES_HEAD);
    for rule in Rule::ALL {
        let Declared { name, doc, unit, levels, passes, margin, hold_seconds, clear_seconds, .. } = rule.declared();
        let sign = if *passes == Passes::Above { "≥" } else { "≤" };
        let levels: Vec<String> = levels.iter().map(|(severity, level)| format!("{} {sign} {level}", severity.name())).collect();
        let (levels, doc) = (levels.join(", "), doc.trim());
        _ = writeln!(text, "| `{name}` | {unit} | {levels} | {margin} | {hold_seconds} | {clear_seconds} | {doc} |");
    }
}
