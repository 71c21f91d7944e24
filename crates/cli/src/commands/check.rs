//! `peerscope check`: the configuration, with every error and where it stands.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::configuration::{ConfigurationArguments, Configured};
use crate::failure::Failure;

/// Read a configuration and everything that it names, and say what is wrong
#[derive(Args)]
pub(crate) struct Check {
    /// The configuration
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Check {
    /// Checks it; errors are of usage, so the exit code is 2.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let arguments = ConfigurationArguments { config: Some(self.file.clone()), ..ConfigurationArguments::default() };
        let configured = Configured::load(&arguments)?;
        let inventory = &configured.shared.inventory;
        let mut out = std::io::stdout();
        for note in inventory.notes() {
            writeln!(out, "note: {note}")?;
        }
        let directory = inventory.directory();
        let places = configured.shared.table.names().places.len();
        writeln!(
            out,
            "{}: no errors; {} ports, {} links, {places} prefixes told apart",
            self.file.display(),
            directory.ports.len(),
            directory.links.len()
        )?;
        Ok(())
    }
}
