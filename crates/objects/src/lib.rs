//! Tables in Azure Blob Storage or S3: copies what a data folder publishes there, and fetches it for readers.
//!
//! The data folder stays the collector's own truth; the object store has a copy of what it published. Several
//! collectors write into one store, each below a name of its own and never beside it:
//!
//! ```text
//! PREFIX/collector=NAME/_collector.json                        which data folder the name belongs to
//! PREFIX/collector=NAME/TABLE/date=YYYY-MM-DD/hour=HH/         an hour of a table:
//!     100000-60.18d3f0c2a1b2c3d4-1f40.parquet                  data, by the local file's name, time and size
//!     _manifest-0000000007-9e3779b97f4a7c15.json               what the hour consists of, by its number
//! ```
//!
//! No object is ever written over. The manifest of the highest number is the hour's truth: data objects are there
//! before it names them, and it is put only where no other has its number. What no manifest names any more is
//! removed after a time of grace, so that a reader that took the manifest up finds what it names.
//!
//! * [`Place`]: where; credentials come from the environment;
//! * [`Copier`]: one round after the other, takes what is not there yet; nothing is remembered that a kill could lose;
//! * [`Reader`]: fetches what a range needs into a bounded cache, a folder a collector that readers take for a data folder.

mod cache;
mod copier;
mod counts;
mod error;
mod folder;
mod hour;
mod names;
mod place;
mod reader;
mod settings;

#[cfg(test)]
mod tests;

pub use copier::{Copier, Look};
pub use counts::Counts;
pub use error::ObjectsError;
pub use place::{Place, check_url};
pub use reader::Reader;
pub use settings::{ObjectsConfig, ObjectsLimits, ObjectsSettings};
