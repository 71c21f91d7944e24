//! Capture files: pcap and pcapng, read and written; IPFIX files, read.

mod fragments;
mod messages;
mod packet;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::{CaptureError, CaptureNotes, CaptureReader, CapturedDatagram};
pub use writer::CaptureWriter;
