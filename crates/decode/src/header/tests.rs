//! Packets built by hand, each with the fields that must come out; then laws over any bytes.

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::*;

const V4_BYTES: u16 = 40;

fn mac(last: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, last]
}

/// A frame's addresses and type.
fn ethernet(ethertype: u16) -> Vec<u8> {
    [&mac(2)[..], &mac(1), &ethertype.to_be_bytes()].concat()
}

fn tag(identifier: u16, next: u16) -> Vec<u8> {
    [identifier.to_be_bytes(), next.to_be_bytes()].concat()
}

fn label(label: u32, is_bottom: bool) -> Vec<u8> {
    (label << 12 | u32::from(is_bottom) << 8 | 64).to_be_bytes().to_vec()
}

/// IPv4 from 192.0.2.1 to 198.51.100.2, its checksum right.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_part(protocol, 0, payload)
}

fn ipv4_part(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let total = 20 + payload.len() as u16;
    let mut header = vec![0x45, 0xb8];
    header.extend(total.to_be_bytes());
    header.extend([0, 1]);
    header.extend(fragment.to_be_bytes());
    header.extend([64, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2]);
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    [&header, payload].concat()
}

/// IPv6 from 2001:db8::1 to 2001:db8::2.
fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend((payload.len() as u16).to_be_bytes());
    header.extend([next, 64]);
    for last in [1u8, 2] {
        header.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    [&header, payload].concat()
}

/// Ports 443 and 50000, SYN and ACK.
fn tcp() -> Vec<u8> {
    let mut bytes = [443u16.to_be_bytes(), 50_000u16.to_be_bytes()].concat();
    bytes.extend([0; 8]);
    bytes.extend([0x50, 0x12, 0, 0, 0, 0, 0, 0]);
    bytes
}

fn udp(destination_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [4_000u16.to_be_bytes(), destination_port.to_be_bytes()].concat();
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    [&bytes, payload].concat()
}

fn read(kind: HeaderKind, parts: &[Vec<u8>]) -> PacketHeader {
    let bytes = parts.concat();
    parse(kind, &bytes, bytes.len() as u64).unwrap()
}

/// The addresses, ports and length of the plain packet that every wrapping below holds.
#[track_caller]
fn check_plain(header: &PacketHeader, version: u8) {
    let (source, destination, bytes) = match version {
        4 => ("192.0.2.1", "198.51.100.2", u64::from(V4_BYTES)),
        _ => ("2001:db8::1", "2001:db8::2", 60),
    };
    assert_eq!(header.ip_version, version);
    assert_eq!(header.ip.source, source.parse().unwrap());
    assert_eq!(header.ip.destination, destination.parse().unwrap());
    assert_eq!(header.ip_bytes, bytes);
    assert_eq!((header.ip.protocol, header.ip.source_port, header.ip.destination_port), (6, 443, 50_000));
    assert_eq!(header.ip.tcp_flags, 0x12);
}

#[test]
fn link_layers_are_taken_off() {
    let v4 = || ipv4(6, &tcp());
    let v6 = || ipv6(6, &tcp());
    let frame = || [ethernet(0x0800), v4()].concat();
    for (name, kind, version, parts) in [
        ("plain", HeaderKind::Ethernet, 4, vec![ethernet(0x0800), v4()]),
        ("plain v6", HeaderKind::Ethernet, 6, vec![ethernet(0x86dd), v6()]),
        ("VLAN", HeaderKind::Ethernet, 4, vec![ethernet(0x8100), tag(5, 0x0800), v4()]),
        ("QinQ", HeaderKind::Ethernet, 6, vec![ethernet(0x88a8), tag(5, 0x8100), tag(100, 0x86dd), v6()]),
        ("MPLS", HeaderKind::Ethernet, 4, vec![ethernet(0x8847), label(16, false), label(17, true), v4()]),
        ("MPLS v6", HeaderKind::Mpls, 6, vec![label(16, true), v6()]),
        ("pseudo-wire", HeaderKind::Ethernet, 4, vec![ethernet(0x8847), label(9, true), vec![0; 4], frame()]),
        ("pseudo-wire, no control word", HeaderKind::Ethernet, 4, vec![ethernet(0x8847), label(9, true), frame()]),
        ("PPPoE", HeaderKind::Ethernet, 4, vec![ethernet(0x8864), vec![0x11, 0, 0, 7, 0, 42], vec![0, 0x21], v4()]),
        ("SNAP", HeaderKind::Ethernet, 4, vec![ethernet(0x0030), vec![0xaa, 0xaa, 3, 0, 0, 0, 8, 0], v4()]),
        ("PPP", HeaderKind::Ppp, 6, vec![vec![0xff, 3, 0, 0x57], v6()]),
        ("raw v4", HeaderKind::Ipv4, 4, vec![v4()]),
        ("raw v6", HeaderKind::Ipv6, 6, vec![v6()]),
        ("raw, either", HeaderKind::Ip, 6, vec![v6()]),
        ("padded frame", HeaderKind::Ethernet, 4, vec![ethernet(0x0800), v4(), vec![0xff; 6]]),
    ] {
        println!("{name}");
        check_plain(&read(kind, &parts), version);
    }
}

#[test]
fn addresses_and_tags_of_the_outer_frame_are_kept() {
    let inner_frame = [vec![6; 12], vec![0x08, 0], ipv4(6, &tcp())].concat();
    let header =
        read(HeaderKind::Ethernet, &[ethernet(0x88a8), tag(0xe005, 0x8100), tag(100, 0x8847), label(301, true), inner_frame]);
    check_plain(&header, 4);
    assert_eq!((header.vlan, header.inner_vlan, header.mpls_label), (5, 100, 301));
    assert_eq!((header.source_mac, header.destination_mac), (Mac(mac(1)), Mac(mac(2))));
}

#[test]
fn under_labels_a_source_address_that_looks_like_a_type_is_no_frame() {
    for source in [[129, 0, 64, 1], [8, 0, 69, 1], [136, 168, 0, 1]] {
        let mut packet = ipv4(6, &tcp());
        packet[12..16].copy_from_slice(&source);
        packet[10..12].fill(0);
        let sum: u32 = packet[..20].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
        packet[10..12].copy_from_slice(&(!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
        let header = read(HeaderKind::Mpls, &[label(3, true), packet]);
        assert_eq!(header.ip.source, Address::from_v4_bits(u32::from_be_bytes(source)));
    }
}

#[test]
fn extension_headers_lead_to_the_ports() {
    let hop_by_hop = |next: u8| vec![next, 0, 0, 0, 0, 0, 0, 0];
    let routing = |next: u8| [vec![next, 2, 4, 0, 0, 0, 0, 0], vec![0; 16]].concat();
    let fragment = |next: u8, offset: u16| [vec![next, 0], (offset << 3 | 1).to_be_bytes().to_vec(), vec![0; 4]].concat();
    let authentication = |next: u8| [vec![next, 4, 0, 0], vec![0; 20]].concat();
    let chain = [hop_by_hop(43), routing(44), fragment(51, 0), authentication(60), hop_by_hop(6), tcp()].concat();
    let header = read(HeaderKind::Ipv6, &[ipv6(0, &chain)]);
    assert_eq!((header.ip.protocol, header.ip.source_port, header.ip.tcp_flags), (6, 443, 0x12));
    assert_eq!(header.ip_bytes, 40 + chain.len() as u64);

    let later = read(HeaderKind::Ipv6, &[ipv6(44, &[fragment(17, 8), tcp()].concat())]);
    assert!(later.ip.is_later_fragment);
    assert_eq!((later.ip.protocol, later.ip.source_port), (17, 0));

    let later = read(HeaderKind::Ipv4, &[ipv4_part(6, 185, &tcp())]);
    assert_eq!((later.ip.is_later_fragment, later.ip.source_port), (true, 0));
    let first = read(HeaderKind::Ipv4, &[ipv4_part(6, 0x2000, &tcp())]);
    assert_eq!((first.ip.is_later_fragment, first.ip.source_port), (false, 443));
}

#[test]
fn the_outer_header_counts_and_the_inner_one_is_beside_it() {
    let inner = || ipv6(6, &tcp());
    let frame = || [ethernet(0x86dd), inner()].concat();
    let vxlan = [vec![8, 0, 0, 0, 0, 0, 7, 0], frame()].concat();
    let geneve = [vec![1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 4], frame()].concat();
    for (name, protocol, payload) in [
        ("IPv6 in IPv4", 41, inner()),
        ("GRE", 47, [vec![0, 0, 0x86, 0xdd], inner()].concat()),
        ("GRE with key", 47, [vec![0x20, 0, 0x86, 0xdd, 0, 0, 0, 1], inner()].concat()),
        ("GRE, bridging", 47, [vec![0, 0, 0x65, 0x58], frame()].concat()),
        ("VXLAN", 17, udp(4789, &vxlan)),
        ("Geneve", 17, udp(6081, &geneve)),
        ("MPLS in IP", 137, [label(5, true), inner()].concat()),
    ] {
        println!("{name}");
        let packet = ipv4(protocol, &payload);
        let header = read(HeaderKind::Ethernet, &[ethernet(0x0800), packet.clone()]);
        assert_eq!(header.ip.source, "192.0.2.1".parse().unwrap());
        assert_eq!((header.ip.protocol, header.ip_bytes), (protocol, packet.len() as u64));
        let inner = header.inner.unwrap();
        assert_eq!(inner.destination, "2001:db8::2".parse().unwrap());
        assert_eq!((inner.protocol, inner.source_port), (6, 443));
    }
}

#[test]
fn a_length_that_is_missing_is_what_the_link_layer_leaves() {
    let mut packet = ipv4(6, &tcp());
    packet[2..4].fill(0);
    let bytes = [ethernet(0x8100), tag(5, 0x0800), packet].concat();
    assert_eq!(parse(HeaderKind::Ethernet, &bytes, 1_518).unwrap().ip_bytes, 1_500);
    // By the header alone, cut off after it: the length of the whole packet.
    let mut packet = ipv4(6, &tcp());
    packet[2..4].copy_from_slice(&1_400u16.to_be_bytes());
    assert_eq!(parse(HeaderKind::Ipv4, &packet[..24], 0).unwrap().ip_bytes, 1_400);
    // ARP has no IP; layer 3 is what follows the frame's header.
    let arp = [ethernet(0x0806), vec![0; 46]].concat();
    let header = parse(HeaderKind::Ethernet, &arp, 60).unwrap();
    assert_eq!((header.ip_version, header.ip_bytes, header.has_addresses()), (0, 46, false));
}

#[test]
fn icmp_type_and_code_stand_in_the_destination_port() {
    let header = read(HeaderKind::Ipv4, &[ipv4(1, &[3, 4, 0, 0])]);
    assert_eq!((header.ip.source_port, header.ip.destination_port), (0, 3 << 8 | 4));
}

#[test]
fn addresses_are_there_even_if_they_are_the_same() {
    let mut packet = ipv4(6, &tcp());
    packet.copy_within(12..16, 16);
    assert!(read(HeaderKind::Ipv4, &[packet.clone()]).has_addresses());
    assert!(!parse(HeaderKind::Ipv4, &packet[..19], 0).unwrap().has_addresses());
}

#[test]
fn layers_without_end_are_bounded() {
    let tags = [ethernet(0x8100), tag(7, 0x8100).repeat(40)].concat();
    assert_eq!(parse(HeaderKind::Ethernet, &tags, 0).unwrap().ip_version, 0);
    let options = [0u8, 0, 0, 0, 0, 0, 0, 0].repeat(60);
    assert_eq!(read(HeaderKind::Ipv6, &[ipv6(0, &options)]).ip.protocol, 0);
    // Up to the limit all is read; one more, and the header says that there was more.
    for (count, is_too_deep) in [(0, false), (3, false), (4, true)] {
        let inner = [tag(7, 0x8100).repeat(count), tag(7, 0x0800), ipv4(6, &tcp())].concat();
        let tagged = parse_within(HeaderKind::Ethernet, &[ethernet(0x8100), inner].concat(), 0, 6).unwrap();
        assert_eq!((tagged.is_too_deep, tagged.ip_version == 0), (is_too_deep, is_too_deep), "{count} tags");
    }
    for (count, is_too_deep) in [(0, false), (6, false), (7, true)] {
        let mut chain = [60u8, 0, 0, 0, 0, 0, 0, 0].repeat(count);
        if let Some(last) = count.checked_sub(1) {
            chain[8 * last] = 6;
        }
        let packet = ipv6(if count == 0 { 6 } else { 60 }, &[chain, tcp()].concat());
        let found = parse_within(HeaderKind::Ipv6, &packet, 0, 6).unwrap();
        assert_eq!((found.is_too_deep, found.ip.protocol == 6), (is_too_deep, !is_too_deep), "{count} options");
    }
}

fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        Just((6, tcp())),
        Just((17, udp(53, &[1, 2, 3]))),
        Just((58, vec![128, 0, 0, 0])),
        Just((60, [vec![6, 0, 0, 0, 0, 0, 0, 0], tcp()].concat())),
        Just((44, [vec![17, 0, 0, 0, 0, 0, 0, 0], udp(53, &[])].concat())),
    ];
    let packet = (payload, any::<bool>()).prop_map(|((protocol, payload), is_v4)| {
        if is_v4 { (0x0800, ipv4(protocol, &payload)) } else { (0x86dd, ipv6(protocol, &payload)) }
    });
    let tags = prop::collection::vec(0u16..0x1000, 0..3);
    (packet, tags, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3), any::<prop::sample::Index>())
        .prop_map(|((ethertype, packet), tags, changes, cut)| {
            let mut bytes = ethernet(if tags.is_empty() { ethertype } else { 0x8100 });
            for (index, identifier) in tags.iter().enumerate() {
                let next = if index + 1 == tags.len() { ethertype } else { 0x8100 };
                bytes.extend(tag(*identifier, next));
            }
            bytes.extend(packet);
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            // Half of them whole, half cut off.
            bytes.truncate(14 + cut.index(2 * (bytes.len() - 13)));
            bytes
        })
}

/// Whether the type of a frame and the version of the header in it agree.
fn is_of_type(ethertype: u16, packet: &[u8]) -> bool {
    matches!((ethertype, packet.first().map(|first| first >> 4)), (0x0800, Some(4)) | (0x86dd, Some(6)))
}

proptest! {
    /// Where etherparse reads an IP header, we read the same; where it reads ports, the same ports.
    #[test]
    fn headers_agree_with_etherparse(bytes in any_packet()) {
        let ours = parse(HeaderKind::Ethernet, &bytes, bytes.len() as u64).unwrap();
        let theirs = LaxSlicedPacket::from_ethernet(&bytes).unwrap();
        let tags: Vec<u16> = theirs.vlan_ids().iter().map(|id| id.value()).filter(|id| *id != 0).collect();
        // It knows no tags of the old type 0x9200.
        if theirs.stop_err.is_none() && !bytes.windows(2).any(|pair| pair == [0x92, 0]) {
            prop_assert_eq!(ours.vlan, tags.first().copied().unwrap_or(0));
            prop_assert_eq!(ours.inner_vlan, tags.get(1).copied().unwrap_or(0));
        }
        if ours.ip_version == 0 && !theirs.ether_payload().is_some_and(|payload| is_of_type(payload.ether_type.0, payload.payload)) {
            // It goes by the version in the header; we want the type to say the same.
            return Ok(());
        }
        let (source, destination, protocol) = match &theirs.net {
            Some(LaxNetSlice::Ipv4(v4)) => (
                Address::from_v4_bits(v4.header().source_addr().to_bits()),
                Address::from_v4_bits(v4.header().destination_addr().to_bits()),
                v4.payload_ip_number().0,
            ),
            Some(LaxNetSlice::Ipv6(v6)) => (
                Address::from_bits(v6.header().source_addr().to_bits()),
                Address::from_bits(v6.header().destination_addr().to_bits()),
                v6.payload().ip_number.0,
            ),
            _ => return Ok(()),
        };
        prop_assert_eq!((ours.ip.source, ours.ip.destination), (source, destination));
        if theirs.stop_err.is_none() {
            prop_assert_eq!(ours.ip.protocol, protocol);
        }
        let ports = match &theirs.transport {
            Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port())),
            Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port())),
            _ => None,
        };
        if let Some(ports) = ports {
            prop_assert_eq!((ours.ip.source_port, ours.ip.destination_port), ports);
        }
    }

    /// Any bytes of any kind are read without a panic, and no more is read than there is.
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200), length in any::<u64>()) {
        for kind in [
            HeaderKind::Ethernet, HeaderKind::Ppp, HeaderKind::Ipv4, HeaderKind::Ipv6, HeaderKind::Ip, HeaderKind::Mpls,
        ] {
            parse(kind, &bytes, length);
        }
    }

    /// Cut off anywhere, a packet gives what a longer piece of it gives, or less.
    #[test]
    fn a_shorter_piece_gives_no_other_addresses(bytes in any_packet()) {
        let whole = parse(HeaderKind::Ethernet, &bytes, 0).unwrap();
        for cut in 14..bytes.len() {
            let part = parse(HeaderKind::Ethernet, &bytes[..cut], 0).unwrap();
            prop_assert!(!part.has_addresses() || (part.ip.source, part.ip.destination) == (whole.ip.source, whole.ip.destination));
            prop_assert!(part.ip.source_port == 0 || part.ip.source_port == whole.ip.source_port);
        }
    }
}
