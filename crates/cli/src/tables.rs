//! `--data`: folders on this machine, or an object store that is fetched from.

use std::path::PathBuf;

use clap::Args;
use report::Tables;

use crate::failure::Failure;

/// What addresses of object stores begin with.
const SCHEMES: [&str; 2] = ["az://", "s3://"];

/// Where tables are.
#[derive(Args)]
pub(crate) struct TablesArguments {
    /// Folder of the Parquet files; several folders are of several collectors. Or where they copy to: az://ACCOUNT/CONTAINER/PREFIX or
    /// s3://BUCKET/PREFIX
    #[arg(long, value_name = "DIR|URL", required = true)]
    data: Vec<String>,
    /// Only of this collector in an object store, may be repeated
    #[arg(long, value_name = "NAME")]
    collector: Vec<String>,
    /// Folder for what is fetched from an object store [default: peerscope in $XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// How much may be fetched, and is kept for the next time
    #[arg(long, value_name = "MIB", default_value_t = 10_240)]
    cache_mib: u64,
}

impl TablesArguments {
    /// Opens them.
    pub(crate) fn open(&self) -> Result<Tables, Failure> {
        let is_url = |place: &&String| SCHEMES.iter().any(|scheme| place.starts_with(scheme));
        match self.data.iter().find(is_url) {
            Some(url) if self.data.len() == 1 => self.fetched(url),
            Some(url) => Err(Failure::usage(format!("--data {url}: give one address alone, or folders"))),
            None if !self.collector.is_empty() => {
                Err(Failure::usage("--collector is for the --data of an object store; of folders give those that you want"))
            }
            None if let Some(address) = self.data.iter().find(|place| place.contains("://")) => Err(Failure::usage(format!(
                "--data {address}: no store of this kind is read; give az://ACCOUNT/CONTAINER/PREFIX or s3://BUCKET/PREFIX, or a folder"
            ))),
            None => Ok(Tables::in_folders(&self.data.iter().map(PathBuf::from).collect::<Vec<_>>())),
        }
    }

    #[cfg(not(feature = "objects"))]
    fn fetched(&self, url: &str) -> Result<Tables, Failure> {
        let _ = (&self.cache, self.cache_mib);
        Err(Failure::usage(format!("--data {url}: this program was built without object stores (the feature objects)")))
    }

    #[cfg(feature = "objects")]
    fn fetched(&self, url: &str) -> Result<Tables, Failure> {
        let cache = match (&self.cache, std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
            (Some(cache), _, _) => cache.clone(),
            (None, Some(caches), _) => PathBuf::from(caches).join("peerscope"),
            (None, None, Some(home)) => PathBuf::from(home).join(".cache/peerscope"),
            (None, None, None) => return Err(Failure::usage("there is no home folder; give --cache DIR")),
        };
        let timeout_seconds = objects::ObjectsLimits::default().timeout_seconds;
        let place = objects::Place::open(url, timeout_seconds).map_err(Failure::usage)?;
        let reader = objects::Reader::open(place, &self.collector, &cache, self.cache_mib).map_err(Failure::failed)?;
        Ok(Tables::of(Fetched(reader)))
    }
}

/// Tables of an object store.
#[cfg(feature = "objects")]
struct Fetched(objects::Reader);

#[cfg(feature = "objects")]
impl report::Source for Fetched {
    fn name(&self) -> String {
        self.0.url().to_owned()
    }

    fn has_tables(&self) -> bool {
        // A reader of none does not open.
        true
    }

    fn extent(&self, table: &'static str) -> Result<Option<(i64, i64)>, report::ReportError> {
        self.0.extent(table).map_err(|error| report::ReportError::NoData(error.to_string()))
    }

    fn folders(&self, table: &'static str, from_us: i64, to_us: i64) -> Result<Vec<(String, PathBuf)>, report::ReportError> {
        self.0.folders(table, from_us, to_us).map_err(|error| report::ReportError::NoData(error.to_string()))
    }

    fn notes(&self) -> Vec<String> {
        self.0.notes()
    }
}
