//! Lists of prefixes, named on the command line or in the configuration, read into one set.

use std::path::{Path, PathBuf};

use attribute::sources::{self, Sources};
use clap::Args;
use serde::Deserialize;

use crate::failure::{Failure, read_text};

/// Which lists attribution is made of; the same names on the command line and in `[lists]`.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Lists of prefixes")]
pub(crate) struct ListArguments {
    /// Azure's ServiceTags_Public_*.json; may be repeated, as all of these
    #[arg(long, value_name = "FILE")]
    service_tags: Vec<PathBuf>,
    /// Microsoft 365 endpoints: their JSON, or a text of prefixes with the service in its name
    #[arg(long, value_name = "FILE")]
    microsoft_365: Vec<PathBuf>,
    /// Prefixes that an AS originates, one a line: 8075=FILE
    #[arg(long, value_name = "ASN=FILE")]
    as_prefixes: Vec<String>,
    /// Your own list of Microsoft's prefixes: PREFIX SERVICE [REGION] a line
    #[arg(long, value_name = "FILE")]
    own_microsoft: Vec<PathBuf>,
    /// Your and your customers' prefixes: PREFIX [ASN] [NAME] a line
    #[arg(long, value_name = "FILE")]
    own_prefixes: Vec<PathBuf>,
    /// A file that `peerscope prefixes import` wrote
    #[arg(long, value_name = "FILE")]
    imported: Vec<PathBuf>,
    /// Microsoft's ASes, in place of the built-in ones
    #[arg(long, value_name = "ASN", value_delimiter = ',')]
    microsoft_asns: Vec<u32>,
    /// Leave out the built-in list of Microsoft's large aggregates
    #[arg(long)]
    no_builtin: bool,
}

impl ListArguments {
    /// Paths of the configuration are relative to its folder.
    pub(crate) fn relative_to(mut self, folder: &Path) -> ListArguments {
        for files in
            [&mut self.service_tags, &mut self.microsoft_365, &mut self.own_microsoft, &mut self.own_prefixes, &mut self.imported]
        {
            files.iter_mut().for_each(|file| *file = folder.join(&*file));
        }
        for pair in &mut self.as_prefixes {
            if let Some((asn, file)) = pair.split_once('=') {
                *pair = format!("{asn}={}", folder.join(file).display());
            }
        }
        self
    }

    /// The files that are named.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let by_as = self.as_prefixes.iter().filter_map(|pair| pair.split_once('=')).map(|(_, file)| PathBuf::from(file));
        let files = [&self.service_tags, &self.microsoft_365, &self.own_microsoft, &self.own_prefixes, &self.imported];
        files.into_iter().flatten().cloned().chain(by_as).collect()
    }

    /// Both the configuration's lists and the command line's.
    pub(crate) fn join(mut self, other: &ListArguments) -> ListArguments {
        self.service_tags.extend_from_slice(&other.service_tags);
        self.microsoft_365.extend_from_slice(&other.microsoft_365);
        self.as_prefixes.extend_from_slice(&other.as_prefixes);
        self.own_microsoft.extend_from_slice(&other.own_microsoft);
        self.own_prefixes.extend_from_slice(&other.own_prefixes);
        self.imported.extend_from_slice(&other.imported);
        self.microsoft_asns.extend_from_slice(&other.microsoft_asns);
        self.no_builtin |= other.no_builtin;
        self
    }

    /// Reads all of them.
    pub(crate) fn read(&self) -> Result<Sources, Failure> {
        let mut all = if self.no_builtin { Sources { lists: Vec::new(), ..Sources::default() } } else { Sources::default() };
        if !self.microsoft_asns.is_empty() {
            all.microsoft_asns = self.microsoft_asns.iter().copied().collect();
        }
        each(&self.service_tags, |file, text| {
            all.lists.extend(sources::service_tags(file, text)?);
            Ok(())
        })?;
        each(&self.microsoft_365, |file, text| {
            all.lists.push(sources::microsoft_365(file, text, Some(&version_of(text)))?);
            Ok(())
        })?;
        for pair in &self.as_prefixes {
            let (asn, file) = as_and_file(pair)?;
            each(&[file], |file, text| {
                all.lists.push(sources::as_prefixes(file, text, asn, Some(&version_of(text)))?);
                Ok(())
            })?;
        }
        each(&self.own_microsoft, |file, text| {
            all.lists.push(sources::own_microsoft(file, text, Some(&version_of(text)))?);
            Ok(())
        })?;
        each(&self.own_prefixes, |file, text| {
            all.own.extend(sources::own_prefixes(file, text)?);
            Ok(())
        })?;
        each(&self.imported, |file, text| {
            all.join(Sources::from_json(file, text)?);
            Ok(())
        })?;
        Ok(all)
    }
}

fn each(files: &[PathBuf], mut read: impl FnMut(&str, &str) -> Result<(), sources::SourceError>) -> Result<(), Failure> {
    for file in files {
        read(&file.display().to_string(), &read_text(file)?).map_err(Failure::usage)?;
    }
    Ok(())
}

fn as_and_file(pair: &str) -> Result<(u32, PathBuf), Failure> {
    let parsed =
        pair.split_once('=').and_then(|(asn, file)| Some((asn.trim_start_matches("AS").parse().ok()?, PathBuf::from(file))));
    parsed.ok_or_else(|| Failure::usage(format!("as-prefixes \"{pair}\": write the AS and the file, such as 8075=as8075.txt")))
}

/// A text list has no version of its own: its content stands for one (FNV-1a, 32 bits).
fn version_of(text: &str) -> String {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("content-{hash:08x}")
}
