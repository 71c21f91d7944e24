//! Capture files: pcap and pcapng, read and written.

mod fragments;
mod packet;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::{CaptureError, CaptureNotes, CaptureReader, CapturedDatagram};
pub use writer::CaptureWriter;
