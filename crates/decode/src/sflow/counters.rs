//! The records of a counter sample to the counters of one interface.

use model::InterfaceCounters;

use super::datagram::Structure;
use super::xdr::Xdr;

/// Counters of any interface (sFlow version 5, section 5, `if_counters`).
pub(crate) const INTERFACE: u32 = 1;
/// Counters of an Ethernet interface (`ethernet_counters`).
pub(crate) const ETHERNET: u32 = 2;

/// Takes in one record; `None` where it is cut off or of another kind.
///
/// Unavailable counters have the greatest value of their type.
pub(crate) fn take(counters: &mut InterfaceCounters, has_interface: &mut bool, record: Structure<'_>) -> Option<()> {
    let mut xdr = record.data;
    match record.format {
        INTERFACE => {
            interface(counters, &mut xdr)?;
            *has_interface = true;
            Some(())
        }
        ETHERNET => ethernet(counters, &mut xdr),
        _ => None,
    }
}

/// The 88 bytes of `if_counters`.
fn interface(counters: &mut InterfaceCounters, xdr: &mut Xdr<'_>) -> Option<()> {
    let [index, _kind] = xdr.words()?;
    let speed_bps = xdr.u64()?;
    let [_duplex, status] = xdr.words()?;
    let in_octets = xdr.u64()?;
    let [in_unicast, in_multicast, in_broadcast, in_discards, in_errors, _unknown_protocols] = xdr.words()?;
    let out_octets = xdr.u64()?;
    let [out_unicast, out_multicast, out_broadcast, out_discards, out_errors, _promiscuous] = xdr.words()?;
    counters.interface = index;
    counters.speed_bps = Some(speed_bps).filter(|speed| *speed != 0 && *speed != u64::MAX);
    // Bit 0 is ifAdminStatus, bit 1 ifOperStatus.
    let is_status_known = status != u32::MAX;
    counters.admin_up = is_status_known.then_some(status & 1 != 0);
    counters.oper_up = is_status_known.then_some(status & 2 != 0);
    counters.in_octets = Some(in_octets).filter(|octets| *octets != u64::MAX);
    counters.out_octets = Some(out_octets).filter(|octets| *octets != u64::MAX);
    counters.in_packets = sum(&[in_unicast, in_multicast, in_broadcast]);
    counters.out_packets = sum(&[out_unicast, out_multicast, out_broadcast]);
    counters.in_discards = available(in_discards);
    counters.out_discards = available(out_discards);
    // The errors of `ethernet_counters` stand in only where there are none here.
    counters.in_errors = available(in_errors).or(counters.in_errors);
    counters.out_errors = available(out_errors).or(counters.out_errors);
    Some(())
}

/// The errors of `ethernet_counters`, for devices that do not count them in `if_counters`.
fn ethernet(counters: &mut InterfaceCounters, xdr: &mut Xdr<'_>) -> Option<()> {
    let [alignment, check_sequence, _single, _multiple, _quality, _deferred, late_collisions] = xdr.words()?;
    let [excessive_collisions, transmit, carrier, too_long, receive, _symbol] = xdr.words()?;
    if counters.in_errors.is_none() {
        counters.in_errors = sum(&[alignment, check_sequence, too_long, receive]);
    }
    if counters.out_errors.is_none() {
        counters.out_errors = sum(&[late_collisions, excessive_collisions, transmit, carrier]);
    }
    Some(())
}

fn available(counter: u32) -> Option<u64> {
    (counter != u32::MAX).then_some(u64::from(counter))
}

/// The sum of those that are available; `None` where none is.
fn sum(counters: &[u32]) -> Option<u64> {
    counters.iter().copied().filter_map(available).reduce(|sum, counter| sum + counter)
}
