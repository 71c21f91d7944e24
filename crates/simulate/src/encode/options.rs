//! What a v9 or IPFIX exporter says of itself: samplers, interface names, boot time.

use super::fields::{SAMPLER_ID, times_of};
use super::{put_number, put_text, put_u16, put_u32, put_u64};
use crate::record::DeviceClock;
use crate::scenario::{FlowTimes, Router, SamplingMethod, ToldBy, WireProtocol};

/// Template ids of the options.
const SAMPLING: u16 = 270;
const INTERFACES: u16 = 271;
const SYSTEM: u16 = 272;
/// Bytes of an interface name in v9, which has no variable lengths.
const NAME_BYTES: usize = 32;
/// Interface names in one set.
const NAMES_PER_SET: usize = 25;

/// A set without its header.
pub(crate) struct Set {
    pub(crate) id: u16,
    pub(crate) body: Vec<u8>,
    /// Records in it, templates among them.
    pub(crate) records: u16,
    /// Option data records in it.
    pub(crate) option_records: u16,
}

/// What the options of a domain tell.
pub(crate) struct About<'a> {
    pub(crate) router: &'a Router,
    pub(crate) clock: DeviceClock,
    pub(crate) domain_id: u32,
    /// (ifIndex, ifName)
    pub(crate) interfaces: &'a [(u32, String)],
}

/// The option sets of a domain, templates first.
pub(crate) fn sets(about: &About<'_>) -> Vec<Set> {
    let mut sets = Vec::new();
    match about.router.sampling.told_by {
        ToldBy::Options => sets.extend(sampler(about)),
        ToldBy::Domain => sets.extend(domain_sampling(about)),
        ToldBy::Record | ToldBy::Header | ToldBy::None => {}
    }
    if is_ipfix(about) && times_of(about.router) == FlowTimes::Uptime {
        let mut body = Vec::new();
        put_u32(&mut body, about.domain_id);
        put_u64(&mut body, about.clock.device_us(about.clock.boot_us).div_euclid(1_000) as u64);
        sets.extend([template(about, SYSTEM, (149, 4), &[(160, 8)]), data(SYSTEM, body, 1)]);
    }
    interface_names(about, &mut sets);
    sets
}

fn is_ipfix(about: &About<'_>) -> bool {
    about.router.protocol == WireProtocol::Ipfix
}

/// An options template: RFC 7011 section 3.4.2.2, RFC 3954 section 6.1 (scope type 1 is the system, 2 an interface).
fn template(about: &About<'_>, id: u16, scope: (u16, u16), options: &[(u16, u16)]) -> Set {
    let mut body = Vec::new();
    put_u16(&mut body, id);
    if is_ipfix(about) {
        put_u16(&mut body, options.len() as u16 + 1);
        put_u16(&mut body, 1);
    } else {
        put_u16(&mut body, 4);
        put_u16(&mut body, options.len() as u16 * 4);
    }
    for (element, length) in std::iter::once(&scope).chain(options) {
        put_u16(&mut body, *element);
        put_u16(&mut body, *length);
    }
    Set { id: if is_ipfix(about) { 3 } else { 1 }, body, records: 1, option_records: 0 }
}

fn data(id: u16, body: Vec<u8>, records: u16) -> Set {
    Set { id, body, records, option_records: records }
}

/// The sampler that the records' sampler id names.
fn sampler(about: &About<'_>) -> [Set; 2] {
    let sampling = &about.router.sampling;
    let is_random = sampling.method == SamplingMethod::Random;
    let mut body = Vec::new();
    if !is_ipfix(about) {
        put_u32(&mut body, 0);
        put_number(&mut body, SAMPLER_ID.into(), 1);
        put_number(&mut body, if is_random { 2 } else { 1 }, 1);
        put_u32(&mut body, sampling.one_in);
        return [template(about, SAMPLING, (1, 4), &[(48, 1), (49, 1), (50, 4)]), data(SAMPLING, body, 1)];
    }
    // RFC 5477: algorithm 3 is random n-out-of-N (309, 310), 1 systematic count-based (305, 306).
    put_number(&mut body, SAMPLER_ID.into(), 8);
    put_number(&mut body, if is_random { 3 } else { 1 }, 2);
    put_u32(&mut body, 1);
    let (first, second) = if is_random { (309, 310) } else { (305, 306) };
    put_u32(&mut body, if is_random { sampling.one_in } else { sampling.one_in - 1 });
    [template(about, SAMPLING, (302, 8), &[(304, 2), (first, 4), (second, 4)]), data(SAMPLING, body, 1)]
}

/// Elements 34 and 35 for the whole domain.
fn domain_sampling(about: &About<'_>) -> [Set; 2] {
    let sampling = &about.router.sampling;
    let mut body = Vec::new();
    put_u32(&mut body, if is_ipfix(about) { about.domain_id } else { 0 });
    put_u32(&mut body, sampling.one_in);
    put_number(&mut body, if sampling.method == SamplingMethod::Random { 2 } else { 1 }, 1);
    let scope = if is_ipfix(about) { (149, 4) } else { (1, 4) };
    [template(about, SAMPLING, scope, &[(34, 4), (35, 1)]), data(SAMPLING, body, 1)]
}

fn interface_names(about: &About<'_>, sets: &mut Vec<Set>) {
    let (scope, name_length) = if is_ipfix(about) { ((10, 4), 65_535) } else { ((2, 4), NAME_BYTES as u16) };
    sets.push(template(about, INTERFACES, scope, &[(82, name_length)]));
    for interfaces in about.interfaces.chunks(NAMES_PER_SET) {
        let mut body = Vec::new();
        for (index, name) in interfaces {
            put_u32(&mut body, *index);
            if is_ipfix(about) {
                // The long form of the length is allowed for short strings too (RFC 7011 section 7).
                let length = name.len().min(200);
                if about.router.variable_lengths {
                    body.push(255);
                    put_u16(&mut body, length as u16);
                } else {
                    body.push(length as u8);
                }
                put_text(&mut body, name, length);
            } else {
                put_text(&mut body, name, NAME_BYTES);
            }
        }
        sets.push(data(INTERFACES, body, interfaces.len() as u16));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scenario;

    #[test]
    fn a_sampler_says_its_rate_as_the_specifications_write_it() {
        let check = |protocol: &str, sampling: &str, template: &[u16], data: &[u8]| {
            let text = format!(
                "name = \"r\"\nmetro = \"m\"\naddress = \"192.0.2.1\"\nprotocol = \"{protocol}\"\nsampling = {sampling}\n"
            );
            let router = Scenario::router(&text).expect("a router");
            let about = About { router: &router, clock: DeviceClock { boot_us: 0, offset_us: 0 }, domain_id: 9, interfaces: &[] };
            let sets = sets(&about);
            let words: Vec<u8> = template.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert_eq!((sets[0].id, &sets[0].body), (if protocol == "ipfix" { 3 } else { 1 }, &words), "{protocol} {sampling}");
            assert_eq!((sets[1].id, sets[1].body.as_slice()), (SAMPLING, data), "{protocol} {sampling}");
        };
        // Template id; v9: bytes of scope and options; IPFIX: fields, of them scopes; then element and length.
        let v9_sampler = [270, 4, 12, 1, 4, 48, 1, 49, 1, 50, 4];
        check("v9", "{ one_in = 1000 }", &v9_sampler, &[0, 0, 0, 0, 1, 2, 0, 0, 3, 0xE8]);
        check("v9", "{ one_in = 100, method = \"systematic\" }", &v9_sampler, &[0, 0, 0, 0, 1, 1, 0, 0, 0, 100]);
        let random = [270, 4, 1, 302, 8, 304, 2, 309, 4, 310, 4];
        check("ipfix", "{ one_in = 1000 }", &random, &[0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 1, 0, 0, 3, 0xE8]);
        let systematic = [270, 4, 1, 302, 8, 304, 2, 305, 4, 306, 4];
        let every_hundredth = [0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 99];
        check("ipfix", "{ one_in = 100, method = \"systematic\" }", &systematic, &every_hundredth);
        let domain = [270, 3, 1, 149, 4, 34, 4, 35, 1];
        check("ipfix", "{ one_in = 100, told_by = \"domain\" }", &domain, &[0, 0, 0, 9, 0, 0, 0, 100, 2]);
        let system = [270, 4, 8, 1, 4, 34, 4, 35, 1];
        check("v9", "{ one_in = 100, told_by = \"domain\" }", &system, &[0, 0, 0, 0, 0, 0, 0, 100, 2]);
    }
}
