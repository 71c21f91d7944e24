//! `peerscope replay`: the main job over captures.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use decode::DecoderState;
use model::ledger::DatagramRefusal;
use model::time::{SECOND_US, slot_start_us};
use receive::{CaptureReader, Frame};
use serde_json::{Value, json};

use super::peerings::write_seen;
use crate::configuration::{ConfigurationArguments, Configured};
use crate::failure::Failure;
use crate::owner::{Publisher, losses, settle};
use crate::packets::PacketWorker;
use crate::pipeline::{Shared, Worker};

/// Decode, attribute and measure captures (pcap, pcapng) or IPFIX files into Parquet files
///
/// Prints the three balances at the end. Replaying the same captures again gives the same rows.
#[derive(Args)]
pub(crate) struct Replay {
    /// Captures; they are read in the order of their time
    #[arg(required_unless_present = "packets", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Capture of packets themselves, not of exports: latency is measured in it; may be repeated
    #[arg(long, value_name = "FILE")]
    packets: Vec<PathBuf>,
    /// Folder of the Parquet files
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Remove what an earlier replay of other input left in the folder
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    configuration: ConfigurationArguments,
}

impl Replay {
    /// Replays the captures.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let configured = Configured::load(&self.configuration)?;
        let files = in_order_of_time(&self.files)?;
        // Before anything of an earlier replay is taken away.
        let packets = Packets::open(&self.packets, &configured.shared)?;
        let captures: Vec<PathBuf> = self.files.iter().chain(&self.packets).cloned().collect();
        guard(&self.data, &captures, &self.configuration, self.replace)?;
        // Windows take each other's place, files of flows do not.
        store::remove_flows(&self.data).map_err(Failure::failed)?;
        let store = configured.open_store(&self.data)?;
        let mut publisher = Publisher::open(&configured, store, &self.data)?;
        let worker = Worker::new(&configured.shared);
        let mut replaying = Replaying { worker, packets, now_us: i64::MIN };
        for file in &files {
            if !replaying.file(file, &mut publisher)? {
                // The writer says why.
                break;
            }
        }
        replaying.reach(i64::MAX, &mut publisher)?;
        replaying.merge(&mut publisher);
        let (owner, written) = publisher.finish(replaying.now_us)?;
        let seen = replaying.worker.seen();
        write_seen(&self.data, &seen)
            .map_err(|error| Failure::failed(format!("{}: cannot be written: {error}", self.data.display())))?;
        let ledger = settle(&owner, replaying.worker.ledger());
        let mut out = std::io::stdout();
        for line in ledger.lines() {
            writeln!(out, "{line}")?;
        }
        if let Some(packets) = &replaying.packets {
            writeln!(out, "{}", packets.worker.sentence())?;
        }
        writeln!(out, "windows published {}", written.published)?;
        if let Some(losses) = losses(&owner) {
            writeln!(out, "{losses}")?;
        }
        let has_telemetry = ledger.datagrams_received > ledger.datagrams_refused(DatagramRefusal::BadVersion);
        if !has_telemetry && replaying.packets.is_none() {
            return Err(Failure::failed(
                "there is no NetFlow, IPFIX or sFlow in what was given; captures must be of routers' exports",
            ));
        }
        if ledger.records_attributed == 0 && !self.files.is_empty() {
            writeln!(out, "none of it was Microsoft's: there are no links, traffic and prefixes")?;
        }
        match ledger.imbalance() {
            Some(imbalance) => Err(Failure::failed(format!("the balance is out: {imbalance}; please report this"))),
            None => Ok(()),
        }
    }
}

/// Flows that are handed over together.
const FLOWS_AT_ONCE: usize = 8_192;

/// Worker of telemetry and of packets, to the owner.
const TELEMETRY: usize = 0;
const PACKETS: usize = 1;

/// A replay under way: time is that of the packets, and never goes back.
struct Replaying {
    worker: Worker,
    packets: Option<Packets>,
    now_us: i64,
}

impl Replaying {
    /// Replays a capture; gives whether the disk works.
    fn file(&mut self, path: &Path, publisher: &mut Publisher) -> Result<bool, Failure> {
        let worded = |error| Failure::failed(format!("{}: {error}", path.display()));
        let mut reader = CaptureReader::open(path).map_err(worded)?;
        self.worker.decoder().start_file();
        while let Some(datagram) = reader.next().map_err(worded)? {
            let second_us = slot_start_us(datagram.received_us, SECOND_US);
            if second_us > self.now_us && !self.reach(second_us, publisher)? {
                return Ok(false);
            }
            if datagram.is_cut_off {
                self.worker.refuse(DatagramRefusal::CutOff);
            } else {
                self.worker.datagram(datagram.received_us, datagram.source, datagram.payload);
            }
            if self.worker.flows_waiting() >= FLOWS_AT_ONCE && !self.hand_flows_over(publisher) {
                return Ok(false);
            }
        }
        for note in reader.notes().sentences() {
            eprintln!("{}: {note}", path.display());
        }
        Ok(true)
    }

    /// Hands over the records themselves, where they are kept; gives whether the disk works.
    fn hand_flows_over(&mut self, publisher: &mut Publisher) -> bool {
        self.worker.take_flows().is_none_or(|(batch, _)| publisher.flows_and_wait(batch, self.now_us))
    }

    /// Goes on to a second of packet time, through those in which mirrored packets come; gives whether the disk works.
    fn reach(&mut self, second_us: i64, publisher: &mut Publisher) -> Result<bool, Failure> {
        while let Some(packets) = &mut self.packets
            && let Some(next_us) = packets.next_us().filter(|next_us| *next_us < second_us)
        {
            let of_packet_us = slot_start_us(next_us, SECOND_US);
            packets.until(of_packet_us + SECOND_US)?;
            if of_packet_us > self.now_us && !self.hand_over(of_packet_us, publisher) {
                return Ok(false);
            }
        }
        Ok(second_us == i64::MAX || self.hand_over(second_us, publisher))
    }

    /// Hands over at every full second of packet time, so that the windows of reception do not
    /// depend on how fast the replay runs.
    fn hand_over(&mut self, second_us: i64, publisher: &mut Publisher) -> bool {
        let before_us = std::mem::replace(&mut self.now_us, second_us);
        if before_us == i64::MIN {
            return true;
        }
        self.merge(publisher);
        publisher.advance_and_wait(second_us)
    }

    /// Hands over what was counted.
    fn merge(&mut self, publisher: &mut Publisher) {
        let delta = self.worker.take(self.now_us, 0);
        self.hand_flows_over(publisher);
        publisher.merge(TELEMETRY, delta, DecoderState::default(), self.now_us);
        if let Some(packets) = &mut self.packets {
            publisher.merge(PACKETS, packets.worker.take(0), DecoderState::default(), self.now_us);
        }
    }
}

/// Captures of packets, read in the order of their time.
struct Packets {
    worker: PacketWorker,
    captures: Vec<PacketCapture>,
}

/// A capture, and the packet that comes next.
struct PacketCapture {
    path: PathBuf,
    reader: CaptureReader,
    next: Option<Next>,
}

struct Next {
    at_us: i64,
    is_ethernet: bool,
    bytes: Vec<u8>,
}

impl Packets {
    /// Opens the captures; `None` if there are none.
    fn open(paths: &[PathBuf], shared: &Shared) -> Result<Option<Packets>, Failure> {
        if paths.is_empty() {
            return Ok(None);
        }
        let names = paths.iter().map(|path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned()).collect();
        let mut captures = Vec::new();
        for path in paths {
            let reader = CaptureReader::open(path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
            let mut capture = PacketCapture { path: path.clone(), reader, next: None };
            let buffer = Vec::new();
            capture.advance(buffer)?;
            if capture.next.is_none() {
                return Err(Failure::failed(format!("{}: there are no packets in it", path.display())));
            }
            captures.push(capture);
        }
        Ok(Some(Packets { worker: PacketWorker::new(shared, names), captures }))
    }

    /// Time of the packet that comes next.
    fn next_us(&self) -> Option<i64> {
        self.captures.iter().filter_map(|capture| Some(capture.next.as_ref()?.at_us)).min()
    }

    /// Measures the packets before `end_us`.
    fn until(&mut self, end_us: i64) -> Result<(), Failure> {
        loop {
            let first = (0..self.captures.len())
                .filter_map(|source| Some((self.captures[source].next.as_ref()?.at_us, source)))
                .min()
                .filter(|(at_us, _)| *at_us < end_us);
            let Some((_, source)) = first else { return Ok(()) };
            let capture = &mut self.captures[source];
            let Some(Next { at_us, is_ethernet, bytes }) = capture.next.take() else { return Ok(()) };
            self.worker.frame(source, &Frame { at_us, is_ethernet, vlan: 0, bytes: &bytes });
            capture.advance(bytes)?;
        }
    }
}

impl PacketCapture {
    /// Reads the packet that comes next, into a buffer that was used before.
    fn advance(&mut self, mut buffer: Vec<u8>) -> Result<(), Failure> {
        let worded = |error| Failure::failed(format!("{}: {error}", self.path.display()));
        self.next = self.reader.next_frame().map_err(worded)?.map(|frame| {
            buffer.clear();
            buffer.extend_from_slice(frame.bytes);
            Next { at_us: frame.at_us, is_ethernet: frame.is_ethernet, bytes: buffer }
        });
        Ok(())
    }
}

/// The captures by the time of their first datagram, each read so far that it is known to be one.
fn in_order_of_time(files: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut timed = Vec::new();
    for file in files {
        let worded = |error| Failure::failed(format!("{}: {error}", file.display()));
        let first_us = CaptureReader::open(file).map_err(worded)?.next().map_err(worded)?.map(|datagram| datagram.received_us);
        timed.push((first_us.unwrap_or(i64::MAX), file.clone()));
    }
    // Stable: what begins together stays as it was given.
    timed.sort_by_key(|(first_us, _)| *first_us);
    Ok(timed.into_iter().map(|(_, file)| file).collect())
}

/// What a data folder was replayed from: captures and lists by name and size, and the configuration.
const SOURCE_FILE: &str = "replayed.json";

/// Sees to it that the rows of other input are not overwritten unasked, and that none of them stay.
fn guard(data: &Path, files: &[PathBuf], configuration: &ConfigurationArguments, replace: bool) -> Result<(), Failure> {
    let captures: Vec<_> = files.iter().map(|file| source(file)).collect();
    let config = configuration.config.as_deref().map(std::fs::read_to_string).and_then(Result::ok);
    let lists: Vec<_> = configuration.lists.files().iter().map(|file| source(file)).collect();
    let arguments = format!("{:?}", configuration.lists);
    let source = json!({ "captures": captures, "config": config, "lists": lists, "arguments": arguments }).to_string();
    let marker = data.join(SOURCE_FILE);
    let is_used = store::has_tables(data);
    let before = std::fs::read_to_string(&marker).ok();
    let is_same = before.as_deref() == Some(source.as_str());
    if is_used && before.is_none() {
        let folder = data.display();
        return Err(Failure::usage(format!("{folder} holds the rows of a collector; give another --data")));
    }
    if is_used && !is_same && !replace {
        return Err(Failure::usage(format!(
            "{} holds rows of other captures, or of these with another configuration: give another --data, or --replace",
            data.display()
        )));
    }
    let cannot = |error| {
        Failure::failed(format!("{}: cannot be written: {error}; give --data a folder that you may write", data.display()))
    };
    std::fs::create_dir_all(data).map_err(cannot)?;
    if is_used && !is_same {
        store::remove_tables(data).map_err(Failure::failed)?;
    }
    std::fs::write(&marker, source).map_err(cannot)
}

fn source(file: &Path) -> Value {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
    json!({ "file": name, "bytes": std::fs::metadata(file).map(|metadata| metadata.len()).ok() })
}

/// A collector must not add to what a replay has left, nor take its place.
pub(crate) fn refuse_replayed(data: &Path) -> Result<(), Failure> {
    if !data.join(SOURCE_FILE).exists() {
        return Ok(());
    }
    Err(Failure::usage(format!("{} holds the rows of a replay; give the collector a --data of its own", data.display())))
}
