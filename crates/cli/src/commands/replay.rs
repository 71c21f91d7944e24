//! `peerscope replay`: the main job over captures.

use std::path::{Path, PathBuf};

use clap::Args;
use model::ledger::DatagramRefusal;
use model::time::{SECOND_US, slot_start_us};
use receive::CaptureReader;

use super::peerings::write_seen;
use crate::configuration::{ConfigurationArguments, Configured};
use crate::failure::Failure;
use crate::owner::Publisher;
use crate::pipeline::Worker;

/// Decode, attribute and measure captures (pcap, pcapng) or IPFIX files into Parquet files
///
/// Prints the three balances at the end. Replaying the same captures again gives the same rows.
#[derive(Args)]
pub(crate) struct Replay {
    /// Captures, in the order of their time
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder of the Parquet files
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Replace what an earlier replay of other captures left in the folder
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    configuration: ConfigurationArguments,
}

impl Replay {
    /// Replays the captures.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let configured = Configured::load(&self.configuration)?;
        guard(&self.data, &self.files, self.replace)?;
        let store = configured.open_store(&self.data)?;
        let mut publisher = Publisher::open(&configured, store, &self.data, None)?;
        let mut replaying = Replaying { worker: Worker::new(&configured.shared), now_us: i64::MIN };
        for file in &self.files {
            replaying.file(file, &mut publisher)?;
        }
        let delta = replaying.worker.take(replaying.now_us, 0);
        publisher.merge(delta, replaying.now_us);
        publisher.finish(replaying.now_us).map_err(Failure::failed)?;
        let seen = replaying.worker.resolver().seen();
        write_seen(&self.data, &seen)
            .map_err(|error| Failure::failed(format!("{}: cannot be written: {error}", self.data.display())))?;
        let ledger = publisher.settle(replaying.worker.ledger());
        for line in ledger.lines() {
            println!("{line}");
        }
        println!("windows published {}", publisher.published());
        if let Some(losses) = publisher.losses() {
            println!("{losses}");
        }
        match ledger.imbalance() {
            Some(imbalance) => Err(Failure::failed(format!("the balance is out: {imbalance}; please report this"))),
            None => Ok(()),
        }
    }
}

/// A replay under way: time is that of the packets, and never goes back.
struct Replaying {
    worker: Worker,
    now_us: i64,
}

impl Replaying {
    fn file(&mut self, path: &Path, publisher: &mut Publisher) -> Result<(), Failure> {
        let worded = |error| Failure::failed(format!("{}: {error}", path.display()));
        let mut reader = CaptureReader::open(path).map_err(worded)?;
        while let Some(datagram) = reader.next().map_err(worded)? {
            let second_us = slot_start_us(datagram.received_us, SECOND_US);
            if second_us > self.now_us {
                self.hand_over(second_us, publisher)?;
            }
            if datagram.is_cut_off {
                self.worker.refuse(DatagramRefusal::CutOff);
            } else {
                self.worker.datagram(datagram.received_us, datagram.source, datagram.payload);
            }
        }
        for note in reader.notes().sentences() {
            eprintln!("{}: {note}", path.display());
        }
        Ok(())
    }

    /// Hands over at every full second of packet time, so that the windows of reception do not
    /// depend on how fast the replay runs.
    fn hand_over(&mut self, second_us: i64, publisher: &mut Publisher) -> Result<(), Failure> {
        if self.now_us != i64::MIN {
            let delta = self.worker.take(second_us, 0);
            publisher.merge(delta, second_us);
            publisher.advance(second_us).map_err(Failure::failed)?;
        }
        self.now_us = second_us;
        Ok(())
    }
}

/// What a data folder was replayed from: by name and size.
const SOURCE_FILE: &str = "replayed.json";

/// Sees to it that the rows of other captures are not overwritten unasked.
fn guard(data: &Path, files: &[PathBuf], replace: bool) -> Result<(), Failure> {
    let mut source = Vec::new();
    for file in files {
        let cannot = |error| Failure::failed(format!("{}: {}", file.display(), receive::CaptureError::Unreadable(error)));
        let size = std::fs::metadata(file).map_err(cannot)?.len();
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
        source.push(serde_json::json!({ "file": name, "bytes": size }));
    }
    let source = serde_json::Value::Array(source).to_string();
    let marker = data.join(SOURCE_FILE);
    let is_used = data.join("links").exists() || data.join("exporters").exists();
    let is_same = std::fs::read_to_string(&marker).is_ok_and(|earlier| earlier == source);
    if is_used && !is_same && !replace {
        return Err(Failure::usage(format!(
            "{} holds rows of another input, and a replay would overwrite windows of the same time: give another --data, or --replace",
            data.display()
        )));
    }
    std::fs::create_dir_all(data).and_then(|()| std::fs::write(&marker, source)).map_err(|error| {
        Failure::failed(format!("{}: cannot be written: {error}; give --data a folder that you may write", data.display()))
    })
}
