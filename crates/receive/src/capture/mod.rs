//! Capture files: pcap and pcapng, read and written; IPFIX files, read.

pub(crate) mod fragments;
mod messages;
pub(crate) mod packet;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::{CaptureError, CaptureNotes, CaptureReader, CapturedDatagram, Frame};
pub use writer::CaptureWriter;
