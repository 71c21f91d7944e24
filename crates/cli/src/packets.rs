//! Mirrored packets to latency: one worker for all mirrors, as both ways of a connection must meet in it.

use std::sync::Arc;

use decode::header::{HeaderKind, mirrored};
use measure::{Delta, Deltas, Mirrored, PacketCounts, PacketLatency};
use model::latency::End;
use peering::mirror::{Mirrors, sender};
use receive::Frame;

use crate::pipeline::Shared;

/// The worker of mirrored packets.
pub(crate) struct PacketWorker {
    /// Interfaces, or captures by their names.
    sources: Vec<String>,
    table: Arc<attribute::Table>,
    mirrors: Mirrors,
    deltas: Deltas,
    latency: PacketLatency,
    frames: u64,
}

impl PacketWorker {
    /// A worker that has seen nothing yet.
    pub(crate) fn new(shared: &Shared, sources: Vec<String>) -> PacketWorker {
        PacketWorker {
            table: shared.table.clone(),
            mirrors: Mirrors::new(&shared.inventory, &sources),
            deltas: Deltas::new(&shared.measure),
            latency: PacketLatency::new(&shared.measure),
            frames: 0,
            sources,
        }
    }

    /// Goes on under another configuration; to be called right after [`PacketWorker::take`]. Connections under way
    /// are forgotten: they may be on other links now.
    pub(crate) fn reconfigure(&mut self, shared: &Shared) {
        self.table = shared.table.clone();
        self.mirrors = Mirrors::new(&shared.inventory, &self.sources);
        self.latency.restart();
        self.deltas.restart();
    }

    /// Takes a packet of a source in.
    #[inline]
    pub(crate) fn frame(&mut self, source: usize, frame: &Frame<'_>) {
        self.frames += 1;
        let kind = if frame.is_ethernet { HeaderKind::Ethernet } else { HeaderKind::Ip };
        let Some(packet) = mirrored(kind, frame.bytes, frame.vlan) else { return };
        let sides = [self.table.side(packet.source), self.table.side(packet.destination)];
        let names = self.table.names();
        let Some(sender) = sender(sides[0], sides[1], names) else { return };
        let Some(link) = self.mirrors.link(source, &packet) else { return };
        let tag = if sender == End::Microsoft { sides[0].tag } else { sides[1].tag };
        let addresses = [packet.source, packet.destination];
        let segment = packet.segment.as_ref();
        self.latency.packet(&Mirrored { at_us: frame.at_us, link, sender, addresses, tag, segment }, names);
    }

    /// Hands over what was measured since the last time.
    pub(crate) fn take(&mut self, kernel_drops: u64) -> Delta {
        let delta = self.deltas.take(self.mirrors.directory(), self.table.names(), Vec::new(), kernel_drops);
        delta.with_latency(self.latency.take())
    }

    /// What came, in one sentence.
    pub(crate) fn sentence(&self) -> String {
        sentence(self.frames, self.latency.counts())
    }
}

fn sentence(frames: u64, counts: PacketCounts) -> String {
    let PacketCounts { packets, segments, handshakes, echoes, repeated, copies, fell_off } = counts;
    format!(
        "packets {frames}, Microsoft's {packets}, of them TCP {segments}: handshakes measured {handshakes}, timestamps {echoes}; \
         handshakes with repeated segments {repeated}, copies of the mirror {copies}, connections that fell off {fell_off}"
    )
}
