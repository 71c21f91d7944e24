//! Mirrored packets a second on one core: from the frame to round trips in histograms.
//!
//! Three mixes: SYN and SYN-ACK alone, as a mirror that selects them sends; whole connections with data and TCP
//! timestamps, IPv4 and IPv6; the same in ERSPAN. Processor time, not time that has passed: other programs may run.

use std::fmt::Write;

use attribute::sources::{self, Sources};
use decode::header::{HeaderKind, mirrored};
use measure::{MeasureSettings, Mirrored, PacketLatency};
use model::latency::End;
use nix::time::{ClockId, clock_gettime};
use peering::Inventory;
use peering::mirror::{Mirrors, sender};

/// Connections under way at once, and in all.
const AT_ONCE: u32 = 20_000;
const CONNECTIONS: u32 = 60_000;
/// Segments with data, of each direction.
const DATA_SEGMENTS: u32 = 8;
const PASSES: usize = 5;

fn main() {
    let mut all = Sources { lists: Vec::new(), ..Sources::default() };
    let list = "20.0.0.0/8 Storage westeurope\n2603:1000::/24 Storage westeurope\n";
    all.lists.push(sources::own_microsoft("bench", list, None).expect("a list"));
    let table = attribute::Table::build(&all);
    let mirrors = Mirrors::new(&Inventory::default(), &["mirror0".to_owned()]);
    let mut text = String::new();
    for (name, frames) in [
        ("SYN and SYN-ACK", frames(0, false)),
        ("whole connections", frames(DATA_SEGMENTS, false)),
        ("in ERSPAN", frames(DATA_SEGMENTS, true)),
    ] {
        let mut rates: Vec<f64> = (0..PASSES).map(|_| pass(&frames, &table, &mirrors)).collect();
        rates.sort_by(f64::total_cmp);
        let (least, middle, most) = (rates[0], rates[PASSES / 2], rates[PASSES - 1]);
        _ = writeln!(text, "| {name} | {} | {middle:.2} ({least:.2} to {most:.2}) |", frames.len());
    }
    println!("| packets | in a pass | million a second of processor time (range) |\n|---|--:|---|\n{text}");
}

/// Million frames a second.
fn pass(frames: &[(i64, Vec<u8>)], table: &attribute::Table, mirrors: &Mirrors) -> f64 {
    let mut latency = PacketLatency::new(&MeasureSettings::default());
    let names = table.names();
    let (started, mut taken_us) = (seconds(), 0);
    for (at_us, bytes) in frames {
        let Some(packet) = mirrored(HeaderKind::Ethernet, bytes, 0) else { continue };
        let (source, destination) = (table.side(packet.source), table.side(packet.destination));
        let Some(sender) = sender(source, destination, names) else { continue };
        let Some(link) = mirrors.link(0, &packet) else { continue };
        let tag = if sender == End::Microsoft { source.tag } else { destination.tag };
        let (addresses, segment) = ([packet.source, packet.destination], packet.segment.as_ref());
        latency.packet(&Mirrored { at_us: *at_us, link, sender, addresses, tag, segment }, names);
        if at_us - taken_us > 1_000_000 {
            taken_us = *at_us;
            std::hint::black_box(latency.take());
        }
    }
    let rate = frames.len() as f64 / (seconds() - started) / 1e6;
    // Those that are over stay in the table for two minutes, so that a few make room for others.
    assert!(latency.counts().handshakes > u64::from(CONNECTIONS) * 999 / 1_000, "{:?}", latency.counts());
    rate
}

fn seconds() -> f64 {
    let now = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("a clock of processor time");
    now.tv_sec() as f64 + now.tv_nsec() as f64 / 1e9
}

/// Frames in the order of their times: connections begin one after the other, and many are under way at once.
fn frames(data_segments: u32, is_in_erspan: bool) -> Vec<(i64, Vec<u8>)> {
    let mut frames = Vec::new();
    let steps = 3 + 2 * data_segments;
    for connection in 0..CONNECTIONS {
        for step in 0..steps {
            let is_mirrored_without_ack = data_segments == 0 && step == 2;
            if is_mirrored_without_ack {
                continue;
            }
            let at_us = i64::from(connection) * 50 + i64::from(step) * i64::from(AT_ONCE) * 50 / i64::from(steps);
            let frame = frame(connection, step);
            frames.push((at_us, if is_in_erspan { in_erspan(&frame) } else { frame }));
        }
    }
    frames.sort_by_key(|(at_us, _)| *at_us);
    frames
}

/// A segment of a connection: SYN, SYN-ACK, ACK, then data one way and the other.
fn frame(connection: u32, step: u32) -> Vec<u8> {
    let is_answer = step % 2 == 1;
    let (flags, data) = match step {
        0 => (0x02, 0),
        1 => (0x12, 0),
        2 => (0x10, 0),
        _ => (0x18, 100_u16),
    };
    let acknowledgement = if step <= 2 { 1_u32 } else { step };
    let mut tcp = Vec::new();
    let ports = [1_024 + (connection % 60_000) as u16, 443];
    let ports = if is_answer { [ports[1], ports[0]] } else { ports };
    ports.iter().for_each(|port| tcp.extend(port.to_be_bytes()));
    tcp.extend(if step <= 1 { 0 } else { step }.to_be_bytes());
    tcp.extend(acknowledgement.to_be_bytes());
    tcp.extend([0x80, flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 8, 10]);
    tcp.extend((1_000 + step).to_be_bytes());
    tcp.extend((999 + step).to_be_bytes());
    let (ours, theirs) = (0xc633_6400 + connection % 251, 0x1400_0000 + connection / 7);
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    if connection.is_multiple_of(4) {
        let address = |prefix: [u8; 4], host: u32| [&prefix[..], &[0; 8], &host.to_be_bytes()].concat();
        let (ours, theirs) = (address([0x20, 1, 0xd, 0xb8], ours), address([0x26, 3, 0x10, 0], theirs));
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend((tcp.len() as u16 + data).to_be_bytes());
        frame.extend([6, 64]);
        frame.extend(if is_answer { [theirs, ours] } else { [ours, theirs] }.concat());
    } else {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + tcp.len() as u16 + data).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 6, 0, 0]);
        let addresses = if is_answer { [theirs, ours] } else { [ours, theirs] };
        addresses.iter().for_each(|address| frame.extend(address.to_be_bytes()));
    }
    frame.extend(tcp);
    frame
}

/// A frame as a switch mirrors it to a distance: Ethernet, IPv4, GRE with a sequence number, ERSPAN type II.
fn in_erspan(frame: &[u8]) -> Vec<u8> {
    let mut around = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 4, 8, 0, 0x45, 0];
    around.extend((20 + 8 + 8 + frame.len() as u16).to_be_bytes());
    around.extend([0, 0, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    around.extend([0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 0, 0, 0, 0, 0]);
    around.extend(frame);
    around
}
