//! `peerscope inspect`: every datagram and field of captures, or their totals.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use decode::inspect::{Inspector, resolved};
use decode::{DecodeSettings, Decoder};
use model::Batch;
use model::ledger::DatagramRefusal;
use receive::CaptureReader;
use serde_json::{Value, json};

use crate::failure::Failure;

/// Print captures datagram by datagram and field by field, and what the collector makes of them
#[derive(Args)]
pub(crate) struct Inspect {
    /// Captures (pcap, pcapng) or IPFIX files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print totals only, of each file by itself; nothing is held back for templates to come
    #[arg(long)]
    summary: bool,
    /// How to print; JSON is an object a line: a datagram, or with --summary a file
    #[arg(long, value_enum, default_value_t)]
    format: TextFormat,
}

/// How an inspection is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum TextFormat {
    /// Indented lines for a person.
    #[default]
    Text,
    /// JSON, one object a line.
    Json,
}

impl Inspect {
    /// Inspects file by file; one that cannot be read does not keep the others from being shown.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut out = BufWriter::new(std::io::stdout().lock());
        let mut failed = Vec::new();
        for file in &self.files {
            let inspected = if self.summary { self.summarise(file, &mut out) } else { self.walk(file, &mut out) };
            match inspected {
                Ok(()) => {}
                Err(Failure::Failed(sentence)) => failed.push(sentence),
                Err(other) => return Err(other),
            }
        }
        out.flush()?;
        if failed.is_empty() { Ok(()) } else { Err(Failure::failed(failed.join("\n"))) }
    }

    fn summarise(&self, file: &Path, out: &mut impl Write) -> Result<(), Failure> {
        let mut decoder = Decoder::with_summary(DecodeSettings::default());
        let mut batch = Batch::default();
        read(file, |received_us, source, payload| {
            batch.clear();
            match payload {
                Some(payload) => decoder.datagram(received_us, source, payload, &mut batch),
                None => decoder.refuse(DatagramRefusal::CutOff),
            }
            Ok(())
        })?;
        note_versions(file, &decoder);
        let mut object = serde_json::Map::from_iter([("file".to_string(), json!(file.display().to_string()))]);
        let summary = serde_json::to_value(decoder.summary()).unwrap_or_default();
        object.extend(summary.as_object().cloned().unwrap_or_default());
        if self.format == TextFormat::Json {
            writeln!(out, "{}", Value::Object(object))?;
            return Ok(());
        }
        writeln!(out, "{}", file.display())?;
        for (name, count) in object.iter().filter(|(name, _)| *name != "file") {
            writeln!(out, "  {name:<18}{count:>14}")?;
        }
        // What became of records is not asked here.
        for line in &decoder.ledger().lines()[..2] {
            writeln!(out, "  {line}")?;
        }
        Ok(())
    }

    fn walk(&self, file: &Path, out: &mut impl Write) -> Result<(), Failure> {
        let mut inspector = Inspector::new();
        let mut decoder = Decoder::new(DecodeSettings::default(), Vec::new());
        let mut batch = Batch::default();
        read(file, |received_us, source, payload| {
            let Some(payload) = payload else {
                writeln!(
                    out,
                    "{}",
                    if self.format == TextFormat::Json {
                        r#"{"error":"the packet was cut off"}"#
                    } else {
                        "the packet was cut off"
                    }
                )?;
                decoder.refuse(DatagramRefusal::CutOff);
                return Ok(());
            };
            let node = inspector.datagram(received_us, source, payload);
            batch.clear();
            decoder.datagram(received_us, source, payload, &mut batch);
            let made = resolved(&batch);
            if self.format == TextFormat::Json {
                writeln!(out, "{}", json!({ "file": file.display().to_string(), "wire": node, "resolved": made }))?;
            } else {
                write!(out, "{node}{made}")?;
            }
            Ok(())
        })?;
        note_versions(file, &decoder);
        Ok(())
    }
}

/// Says how many datagrams are of nothing that is read: nobody should take that for an empty capture.
fn note_versions(file: &Path, decoder: &Decoder) {
    let others = decoder.ledger().datagrams_refused(DatagramRefusal::BadVersion);
    if others > 0 {
        let read = "NetFlow 5, 7 and 9, IPFIX and sFlow 5 are read";
        eprintln!("{}: {others} datagrams are of another protocol or version; {read}", file.display());
    }
}

/// Calls `each` with every datagram of a capture; its payload is `None` where the packet was cut off.
fn read(
    file: &Path,
    mut each: impl FnMut(i64, std::net::SocketAddr, Option<&[u8]>) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let worded = |error| Failure::failed(format!("{}: {error}", file.display()));
    let mut reader = CaptureReader::open(file).map_err(worded)?;
    while let Some(datagram) = reader.next().map_err(worded)? {
        each(datagram.received_us, datagram.source, (!datagram.is_cut_off).then_some(datagram.payload))?;
    }
    for note in reader.notes().sentences() {
        eprintln!("{}: {note}", file.display());
    }
    Ok(())
}
