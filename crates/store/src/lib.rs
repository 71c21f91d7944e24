//! Rows to Parquet and back: schema, publishing, compaction.
//!
//! A window of a table is one file, `DATA/TABLE/date=YYYY-MM-DD/hour=HH/HHMMSS-SECONDS.parquet`,
//! published whole (temporary name, sync, rename, sync of the folder) or not at all; a revision
//! renames over its own file. A finished hour becomes one file: it is built aside and its folder
//! exchanged for the old one in one step.
//!
//! Each hour's folder holds a manifest of its valid files; the files are the truth, and a manifest
//! that is missing or damaged is made anew from them.
//!
//! * [`Store`]: publishes and compacts; one process a data folder, by a lock file;
//! * [`read`], [`read_five_minutes`]: read rows back without SQL, all or a [`Selection`]; damaged files are named and passed over;
//! * [`list`], [`list_five_minutes`]: what a query engine is to read;
//! * [`hour_folders`], [`hour_files`]: what a copy of a data folder is made of;
//! * [`Journal`]: what a stopped or killed program goes on from;
//! * [`StateFile`]: the same of a part of it, a small file.
//!
//! [`model::table`] declares the columns; every file operation is in `files`.

mod columns;
mod compaction;
mod error;
mod files;
mod flow_columns;
mod flows;
mod journal;
mod layout;
mod listing;
mod manifest;
mod reading;
mod state;
mod store;
mod tiers;

#[cfg(test)]
mod tests;

pub use error::StoreError;
pub use flows::remove_flows;
pub use journal::{Journal, JournalSync, Recovered};
pub use layout::{hour_folder, hour_folders, hour_start_us};
pub use listing::{ListedFile, Listing, extent, last_window_us, list, list_five_minutes};
pub use manifest::{Entry, MANIFEST_FILE, Manifest, hour_files};
pub use reading::{Damaged, Found, Selection, last_us, read, read_five_minutes, read_five_minutes_selected, read_selected};
pub use state::StateFile;
pub use store::{Store, StoreSettings, all_tables, has_tables, remove_tables, writer_of};
pub use tiers::fine_of;
