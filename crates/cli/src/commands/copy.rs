//! `peerscope copy`: what a data folder has published, to an object store.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::Args;
use objects::{Copier, Look, ObjectsConfig, Place};

use crate::clock::Clock;
use crate::copying::runtime;
use crate::failure::Failure;

/// Copy what a data folder has published to Azure Blob Storage or S3, once
///
/// A collector does it by itself where its configuration has [objects]. What is there already is not copied again, and a copy
/// that was stopped goes on. Credentials are those of Azure's and Amazon's own tools, from the environment (AZURE_STORAGE_ACCOUNT_KEY,
/// AZURE_STORAGE_CONNECTION_STRING, AWS_ACCESS_KEY_ID and so on), or the machine's identity.
#[derive(Args)]
pub(crate) struct Copy {
    /// Folder of the Parquet files
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where to: az://ACCOUNT/CONTAINER/PREFIX or s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL")]
    to: String,
    /// Name of the collector there; each data folder has its own
    #[arg(long, value_name = "NAME")]
    collector: String,
}

impl Copy {
    /// Copies, and says how much.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut errors = Vec::new();
        let Some(settings) = ObjectsConfig::of(&self.to, &self.collector).check(&mut errors) else {
            return Err(Failure::usage(
                errors.join("\n").replace("[objects] url =", "--to").replace("[objects] collector =", "--collector"),
            ));
        };
        if !store::has_tables(&self.data) {
            let folder = self.data.display();
            return Err(Failure::failed(format!(
                "{folder}: there are no tables in this folder; give the --data of collect or replay"
            )));
        }
        let place = Place::open(&settings.url, settings.limits.timeout_seconds).map_err(Failure::usage)?;
        let url = place.url().to_owned();
        let mut copier = Copier::new(place, &settings.collector, &self.data, settings.limits.grace_seconds);
        let counts = copier.counts();
        let ended = runtime()?.block_on(copier.round(Look::All, Clock::wall().now_us()));
        copier.take_notices().iter().for_each(|notice| eprintln!("{notice}"));
        let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let (files, bytes, hours) = (of(&counts.objects), of(&counts.bytes), of(&counts.manifests));
        writeln!(std::io::stdout(), "{url}: copied {files} files of {hours} hours of tables, {bytes} bytes")?;
        ended.map_err(Failure::failed)?;
        if copier.is_behind() {
            return Err(Failure::failed("some hours changed while they were copied; copy again"));
        }
        Ok(())
    }
}
