use std::io::Cursor;
use std::net::SocketAddr;
use std::path::PathBuf;

use proptest::prelude::*;

use super::{CaptureReader, CaptureWriter};

fn read(file: &[u8]) -> (Vec<(i64, SocketAddr, Vec<u8>)>, super::CaptureNotes) {
    let Ok(mut reader) = CaptureReader::new(Cursor::new(file.to_vec())) else {
        return (Vec::new(), super::CaptureNotes::default());
    };
    let mut datagrams = Vec::new();
    while let Ok(Some(datagram)) = reader.next() {
        datagrams.push((datagram.received_us, datagram.source, datagram.payload.to_vec()));
    }
    (datagrams, reader.notes().clone())
}

fn written() -> Vec<u8> {
    let mut writer = CaptureWriter::new(Vec::new()).unwrap();
    for (at, source, target) in
        [(1_000_001, "192.0.2.1:5", "192.0.2.9:2055"), (2_000_002, "[2001:db8::1]:6", "[2001:db8::9]:4739")]
    {
        writer.write(at, source.parse().unwrap(), target.parse().unwrap(), b"payload").unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn what_is_written_is_read() {
    let (datagrams, notes) = read(&written());
    assert_eq!(datagrams.len(), 2);
    assert_eq!(datagrams[0], (1_000_001, "192.0.2.1:5".parse().unwrap(), b"payload".to_vec()));
    assert_eq!(datagrams[1], (2_000_002, "[2001:db8::1]:6".parse().unwrap(), b"payload".to_vec()));
    assert_eq!((notes.packets, notes.datagrams, notes.is_file_cut_off), (2, 2, false));
}

#[test]
fn a_cut_off_file_gives_what_it_has() {
    let file = written();
    for length in 0..file.len() {
        let (datagrams, notes) = read(&file[..length]);
        // The header is 24 bytes; the first packet ends at 24 + 16 + 35.
        assert_eq!(datagrams.len(), usize::from(length >= 75), "{length}");
        assert_eq!(notes.is_file_cut_off, length > 24 && length != 75, "{length}");
    }
}

/// A legacy capture of one packet.
fn one_packet(link_type: u32, magic: u32, is_big_endian: bool, fraction: u32, packet: &[u8]) -> Vec<u8> {
    let word = |value: u32| if is_big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if is_big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut file = Vec::new();
    file.extend(word(magic));
    file.extend(half(2));
    file.extend(half(4));
    for value in [0, 0, 65_535, link_type, 3, fraction, packet.len() as u32, packet.len() as u32] {
        file.extend(word(value));
    }
    file.extend(packet);
    file
}

/// The first IP packet of the written capture.
fn ip_packet() -> Vec<u8> {
    written()[40..75].to_vec()
}

fn with_prefix(prefix: &[u8]) -> Vec<u8> {
    [prefix, &ip_packet()].concat()
}

#[test]
fn link_layers() {
    let ethernet = [&[0; 12][..], &[8, 0]].concat();
    let tagged = [&[0; 12][..], &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0]].concat();
    let cooked = [&[0; 14][..], &[8, 0]].concat();
    let cooked_2 = [&[8, 0][..], &[0; 18]].concat();
    let tagged_cooked = [&[0; 14][..], &[0x81, 0, 0, 5, 8, 0]].concat();
    let tagged_cooked_2 = [&[0x88, 0xa8][..], &[0; 18], &[0, 5, 0x81, 0, 0, 6, 8, 0]].concat();
    for (link_type, prefix) in [
        (0, &[2, 0, 0, 0][..]),
        (1, &ethernet),
        (1, &tagged),
        (12, &[]),
        (101, &[]),
        (108, &[0, 0, 0, 2]),
        (113, &cooked),
        (113, &tagged_cooked),
        (228, &[]),
        (276, &cooked_2),
        (276, &tagged_cooked_2),
    ] {
        // A short Ethernet frame is padded; the padding is not the datagram's.
        let mut packet = with_prefix(prefix);
        packet.extend([0; 11]);
        let (datagrams, _) = read(&one_packet(link_type, 0xa1b2_c3d4, false, 7, &packet));
        assert_eq!(datagrams, [(3_000_007, "192.0.2.1:5".parse().unwrap(), b"payload".to_vec())], "link type {link_type}");
        // As a whole it begins with its Ethernet header, or else with IP.
        let file = one_packet(link_type, 0xa1b2_c3d4, false, 7, &packet);
        let mut reader = CaptureReader::new(Cursor::new(file)).unwrap();
        let frame = reader.next_frame().unwrap().unwrap();
        let start = if link_type == 1 { 0 } else { prefix.len() };
        assert_eq!((frame.is_ethernet, frame.bytes), (link_type == 1, &packet[start..]), "link type {link_type}");
    }
    assert_eq!(read(&one_packet(147, 0xa1b2_c3d4, false, 7, &ip_packet())).1.unknown_link_type, 1);
}

#[test]
fn tunnels_of_mirrors() {
    let ethernet = [&[0; 12][..], &[8, 0]].concat();
    let gre = |flags: u16, protocol: u16, options: usize, inner: &[u8]| {
        let mut payload = [flags.to_be_bytes(), protocol.to_be_bytes()].concat();
        payload.extend(vec![0; options]);
        payload.extend(inner);
        let mut outer = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        outer.extend(payload);
        let length = outer.len() as u16;
        outer[2..4].copy_from_slice(&length.to_be_bytes());
        outer
    };
    let check = |packet: Vec<u8>, expected: usize| {
        let (datagrams, _) = read(&one_packet(101, 0xa1b2_c3d4, false, 7, &packet));
        assert_eq!(datagrams.len(), expected, "{packet:02x?}");
        assert!(datagrams.iter().all(|(_, source, payload)| *source == "192.0.2.1:5".parse().unwrap() && payload == b"payload"));
    };
    let frame = with_prefix(&ethernet);
    check(gre(0, 0x0800, 0, &ip_packet()), 1);
    check(gre(0xb000, 0x0800, 12, &ip_packet()), 1);
    check(gre(0, 0x6558, 0, &frame), 1);
    // ERSPAN I, II and III, the last with its optional header too.
    check(gre(0, 0x88be, 0, &frame), 1);
    check(gre(0x1000, 0x88be, 4 + 8, &frame), 1);
    check(gre(0x1000, 0x22eb, 4 + 12, &frame), 1);
    check(gre(0x1000, 0x22eb, 4, &[&[0; 11][..], &[1], &[0; 8], &frame].concat()), 1);
    check(gre(0, 0x0800, 0, &gre(0, 0x0800, 0, &ip_packet())), 1);
    // Source routes, another version, too deep, nothing within.
    check(gre(0x4000, 0x0800, 0, &ip_packet()), 0);
    check(gre(0x0001, 0x0800, 0, &ip_packet()), 0);
    check(gre(0, 0x0800, 0, &gre(0, 0x0800, 0, &gre(0, 0x0800, 0, &ip_packet()))), 0);
    check(gre(0, 0x22eb, 0, &[]), 0);
}

#[test]
fn byte_orders_and_resolutions() {
    for is_big_endian in [false, true] {
        for (magic, fraction) in [(0xa1b2_c3d4, 250), (0xa1b2_3c4d, 250_999)] {
            let (datagrams, _) = read(&one_packet(101, magic, is_big_endian, fraction, &ip_packet()));
            assert_eq!(datagrams[0].0, 3_000_250);
        }
    }
}

/// A block of a pcapng file, in this byte order.
fn block(kind: u32, is_big_endian: bool, body: &[u8]) -> Vec<u8> {
    let word = |value: u32| if is_big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let padded = [body, &vec![0; body.len().wrapping_neg() % 4]].concat();
    let length = word(padded.len() as u32 + 12);
    [&word(kind)[..], &length, &padded, &length].concat()
}

/// A section: its header, interfaces of raw IP with these options, and a packet on the last of them at a time in its units.
fn section(is_big_endian: bool, interfaces: &[&[u8]], units: u64) -> Vec<u8> {
    let word = |value: u32| if is_big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if is_big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let header = [&word(0x1a2b_3c4d)[..], &half(1), &half(0), &[0xff; 8]].concat();
    let mut file = block(0x0a0d_0d0a, is_big_endian, &header);
    for options in interfaces {
        let end: &[u8] = if options.is_empty() { &[] } else { &[0; 4] };
        file.extend(block(1, is_big_endian, &[&half(101)[..], &half(0), &word(0), options, end].concat()));
    }
    let packet = ip_packet();
    let length = word(packet.len() as u32);
    let place = [word(interfaces.len() as u32 - 1), word((units >> 32) as u32), word(units as u32)].concat();
    // What is known of names stands between the packets and is no packet.
    file.extend(block(4, is_big_endian, &[0; 4]));
    file.extend(block(6, is_big_endian, &[&place[..], &length, &length, &packet].concat()));
    file
}

#[test]
fn pcapng_in_both_byte_orders_with_the_times_of_each_interface() {
    // Options: units of 10⁻⁹ s, of 2⁻¹⁰ s, and (big-endian) seconds to add.
    let (nano, binary): (&[u8], &[u8]) = (&[9, 0, 1, 0, 9, 0, 0, 0], &[9, 0, 1, 0, 0x8a, 0, 0, 0]);
    let (nano_big, offset_big): (&[u8], &[u8]) = (&[0, 9, 0, 1, 9, 0, 0, 0], &[0, 14, 0, 8, 0, 0, 0, 0, 0, 0, 0, 100]);
    for (is_big_endian, interfaces, units, expected_us) in [
        (false, &[&[][..]][..], 5_000_007, 5_000_007),
        (true, &[&[][..]], 5_000_007, 5_000_007),
        (false, &[nano], 5_000_007_999, 5_000_007),
        (true, &[nano_big], 5_000_007_999, 5_000_007),
        (false, &[binary], 5 << 10 | 512, 5_500_000),
        (true, &[offset_big], 5_000_007, 105_000_007),
        (false, &[nano, &[]], 5_000_007, 5_000_007),
    ] {
        let file = section(is_big_endian, interfaces, units);
        let (datagrams, notes) = read(&file);
        assert_eq!(datagrams, [(expected_us, "192.0.2.1:5".parse().unwrap(), b"payload".to_vec())], "{interfaces:?}");
        assert!(!notes.is_file_cut_off);
        let (datagrams, notes) = read(&file[..file.len() - 1]);
        assert_eq!((datagrams.len(), notes.is_file_cut_off), (0, true));
    }
}

#[test]
fn sections_follow_one_another_and_a_packet_without_a_time_has_that_before_it() {
    let packet = ip_packet();
    let simple = block(3, false, &[&(packet.len() as u32).to_le_bytes()[..], &packet].concat());
    let two = [section(false, &[&[], &[]], 7_000_000), section(true, &[&[]], 8_000_000)].concat();
    assert_eq!(read(&two).0.iter().map(|(at, ..)| *at).collect::<Vec<_>>(), [7_000_000, 8_000_000]);
    // An interface that is not described.
    let mut stray = section(false, &[&[]], 7_000_000);
    let packet_at = stray.len() - (packet.len().next_multiple_of(4) + 4 + 20);
    stray[packet_at] = 9;
    assert_eq!((read(&stray).0.len(), read(&stray).1.unknown_link_type), (0, 1));
    let file = [section(false, &[&[]], 7_000_000), simple].concat();
    assert_eq!(read(&file).0.iter().map(|(at, ..)| *at).collect::<Vec<_>>(), [7_000_000, 7_000_000]);
}

#[test]
fn a_packet_of_which_too_little_was_captured_is_said_to_be_cut_off() {
    let mut packet = ip_packet();
    packet.truncate(30);
    let mut reader = CaptureReader::new(Cursor::new(one_packet(101, 0xa1b2_c3d4, false, 0, &packet))).unwrap();
    assert!(reader.next().unwrap().unwrap().is_cut_off);
    assert!(reader.next().unwrap().is_none());
    assert_eq!(reader.notes().cut_off, 1);
}

/// IPv6 (RFC 8200, section 4.5): the datagram in fragments, behind destination options.
#[test]
fn fragments_of_ipv6_are_joined_too_and_copies_of_them_do_no_harm() {
    let addresses = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0x20, 1, 0xd, 0xb8], &[0; 11], &[9]].concat();
    let udp = [&[0, 6, 0x12, 0x83, 0, 28, 0, 0][..], b"twenty bytes of data"].concat();
    let fragment = |from: usize, to: usize| {
        let field = from as u16 | u16::from(to < udp.len());
        let rest = [&[44, 0, 1, 4, 0, 0, 0, 0][..], &[17, 0], &field.to_be_bytes(), &[0, 0, 0, 7], &udp[from..to]].concat();
        [&[0x60, 0, 0, 0][..], &(rest.len() as u16).to_be_bytes(), &[60, 64], &addresses, &rest].concat()
    };
    let pieces = [fragment(0, 8), fragment(8, 24), fragment(24, 28)];
    for order in [&[0, 1, 2][..], &[2, 0, 1], &[1, 1, 0, 2], &[0, 1, 0, 1, 2]] {
        let mut file = one_packet(101, 0xa1b2_c3d4, false, 0, &pieces[order[0]]);
        for index in &order[1..] {
            file.extend_from_slice(&one_packet(101, 0xa1b2_c3d4, false, 0, &pieces[*index])[24..]);
        }
        let (datagrams, notes) = read(&file);
        assert_eq!(datagrams.len(), 1, "{order:?}");
        assert_eq!(datagrams[0].1, "[2001:db8::1]:6".parse().unwrap());
        assert_eq!(datagrams[0].2, b"twenty bytes of data");
        assert_eq!(notes.fragments_incomplete, 0);
    }
}

#[test]
fn fragments_are_joined_in_any_order() {
    let mut whole = CaptureWriter::new(Vec::new()).unwrap();
    let payload: Vec<u8> = (0..100).collect();
    whole.write(5, "192.0.2.1:5".parse().unwrap(), "192.0.2.9:6".parse().unwrap(), &payload).unwrap();
    let packet = whole.finish().unwrap()[40..].to_vec();
    let (header, body) = packet.split_at(20);
    let fragment = |from: usize, to: usize| {
        let mut piece = header.to_vec();
        piece[2..4].copy_from_slice(&((20 + to - from) as u16).to_be_bytes());
        let more = if to < body.len() { 0x2000 } else { 0 };
        piece[6..8].copy_from_slice(&((from / 8) as u16 | more).to_be_bytes());
        piece.extend_from_slice(&body[from..to]);
        piece
    };
    let pieces = [fragment(0, 40), fragment(40, 64), fragment(64, body.len())];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut file = one_packet(101, 0xa1b2_c3d4, false, 0, &pieces[order[0]]);
        for index in &order[1..] {
            file.extend_from_slice(&one_packet(101, 0xa1b2_c3d4, false, 0, &pieces[*index])[24..]);
        }
        let (datagrams, notes) = read(&file);
        assert_eq!(datagrams.len(), 1, "{order:?}");
        assert_eq!(datagrams[0].2, payload);
        assert_eq!(notes.fragments_incomplete, 0);
    }
    assert_eq!(read(&one_packet(101, 0xa1b2_c3d4, false, 0, &pieces[0])).1.fragments_incomplete, 1);
}

#[test]
fn real_captures_have_their_datagrams() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures/pcap");
    let Ok(entries) = std::fs::read_dir(&folder) else { return eprintln!("passed over: {} is absent", folder.display()) };
    for entry in entries {
        let path = entry.unwrap().path();
        let mut reader = CaptureReader::open(&path).unwrap();
        let mut count = 0;
        while reader.next().unwrap().is_some() {
            count += 1;
        }
        assert!(count > 0 && !reader.notes().is_file_cut_off, "{}", path.display());
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(link_type in 0u32..300, packet in proptest::collection::vec(any::<u8>(), 0..200), file in proptest::collection::vec(any::<u8>(), 0..200)) {
        read(&one_packet(link_type, 0xa1b2_c3d4, false, 0, &packet));
        read(&file);
        let mut damaged = written();
        for (at, byte) in file.iter().enumerate() {
            let index = at * 7 % damaged.len();
            damaged[index] ^= byte;
        }
        read(&damaged);
    }
}
