//! Mirrored packets to links: whose connection a frame was on.
//!
//! In this order: the first `[[tap]]` of the configuration that fits the frame (interface, VLAN, Ethernet
//! address of Microsoft's router); the one connection of the inventory that has this Ethernet address, else this VLAN;
//! else `NAME/packets`, NAME being the interface or capture that it came from.

use std::sync::Arc;

use hashbrown::HashMap;
use model::latency::End;
use model::link::Directory;
use model::segment::Packet;
use model::tag::TagNames;
use model::{Link, Mac, Role, Side};

use crate::inventory::{Inventory, name};
use crate::resolver::ends::Ends;

/// A `[[tap]]`, checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct TapRule {
    pub(crate) link: u32,
    pub(crate) interface: Option<String>,
    pub(crate) vlan: Option<u16>,
    pub(crate) macs: Vec<Mac>,
}

impl TapRule {
    fn fits(&self, packet: &Packet) -> bool {
        self.vlan.is_none_or(|vlan| vlan == packet.vlan)
            && (self.macs.is_empty() || self.macs.contains(&packet.source_mac) || self.macs.contains(&packet.destination_mac))
    }
}

/// Finds the links of mirrored packets.
pub struct Mirrors {
    directory: Directory,
    /// By source: its rules, and the link of what nothing names.
    sources: Vec<(Vec<TapRule>, u32)>,
    /// What is one connection's alone.
    macs: HashMap<Mac, u32>,
    vlans: HashMap<u16, u32>,
}

impl Mirrors {
    /// For packets of these sources: interfaces, or captures by their names.
    pub fn new(inventory: &Inventory, sources: &[String]) -> Mirrors {
        let mut directory = inventory.directory.clone();
        let mut places = Vec::new();
        for source in sources {
            let concerns = |rule: &&TapRule| rule.interface.as_ref().is_none_or(|interface| interface == source);
            let rules: Vec<TapRule> = inventory.taps.iter().filter(concerns).cloned().collect();
            places.push((rules, directory.links.len() as u32));
            directory.links.push(Arc::new(rest(source)));
        }
        let named = || (0_u32..).zip(&inventory.details).filter(|(_, detail)| detail.is_named);
        let macs = named().flat_map(|(link, detail)| detail.macs.iter().map(move |mac| (*mac, link)));
        let vlans = named().filter_map(|(link, detail)| Some((detail.vlan?, link)));
        Mirrors { macs: only(macs), vlans: only(vlans), directory, sources: places }
    }

    /// Links by their index.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The link of a packet of a source, by its number.
    #[inline]
    pub fn link(&self, source: usize, packet: &Packet) -> Option<u32> {
        let (rules, rest) = self.sources.get(source)?;
        if let Some(rule) = rules.iter().find(|rule| rule.fits(packet)) {
            return Some(rule.link);
        }
        if !self.macs.is_empty()
            && let Some(link) = self.macs.get(&packet.source_mac).or_else(|| self.macs.get(&packet.destination_mac))
        {
            return Some(*link);
        }
        let by_vlan = if self.vlans.is_empty() { None } else { self.vlans.get(&packet.vlan) };
        Some(by_vlan.copied().unwrap_or(*rest))
    }
}

/// Who sent a packet, Microsoft or a customer; `None` where neither end is Microsoft's, or both are.
#[inline]
pub fn sender(source: Side, destination: Side, names: &TagNames) -> Option<End> {
    let ends = Ends::of(&model::Attribution { source, destination }, names);
    match (ends.source, ends.destination) {
        (true, false) => Some(End::Microsoft),
        (false, true) => Some(End::Customer),
        _ => None,
    }
}

/// What several links share tells none of them.
fn only<K: Copy + Eq + std::hash::Hash>(pairs: impl Iterator<Item = (K, u32)>) -> HashMap<K, u32> {
    let mut found: HashMap<K, Option<u32>> = HashMap::new();
    for (key, link) in pairs {
        found.entry(key).and_modify(|known| *known = known.filter(|known| *known == link)).or_insert(Some(link));
    }
    found.into_iter().filter_map(|(key, link)| Some((key, link?))).collect()
}

/// The link of packets of a source that nothing names.
fn rest(source: &str) -> Link {
    let (peering, kind, location, port) = (None, None, None, None);
    let exporters = Vec::new();
    Link {
        name: name(&format!("{source}/packets")),
        peering,
        kind,
        role: Role::Other,
        location,
        exchange: None,
        port,
        exporters,
        is_active: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PeeringConfig;

    const CONFIG: &str = r#"
        exporter = [{ name = "r1", address = "192.0.2.1" }]
        port = [{ name = "p", exporter = "r1", interfaces = [1] }]
        connection = [
            { name = "fra-1", port = "p", role = "direct", vlan = 101 },
            { name = "fra-2", port = "p", role = "direct", vlan = 102, microsoft_macs = ["02:00:00:00:00:02"] },
            { name = "fra-3", port = "p", role = "direct" },
        ]
        tap = [
            { connection = "fra-3", interface = "mirror0", vlan = 103 },
            { connection = "fra-1", interface = "mirror1" },
        ]
    "#;

    #[test]
    fn a_frame_is_its_taps_its_connections_or_nobodys() {
        let config: PeeringConfig = toml::from_str(CONFIG).unwrap();
        let inventory = Inventory::build(&config, &[], &[]).unwrap();
        let mirrors = Mirrors::new(&inventory, &["mirror0".to_owned(), "mirror1".to_owned()]);
        let microsofts = Mac([2, 0, 0, 0, 0, 2]);
        for (source, vlan, mac, expected) in [
            (0, 103, Mac::default(), "fra-3"),
            (1, 103, Mac::default(), "fra-1"),
            (0, 101, Mac::default(), "fra-1"),
            (0, 101, microsofts, "fra-2"),
            (0, 7, microsofts, "fra-2"),
            (0, 7, Mac::default(), "mirror0/packets"),
        ] {
            let packet = Packet { vlan, destination_mac: mac, ..Packet::default() };
            let link = mirrors.link(source, &packet).unwrap();
            assert_eq!(&*mirrors.directory().links[link as usize].name, expected, "{source} {vlan} {mac:?}");
        }
    }

    #[test]
    fn a_tap_of_a_connection_that_is_not_there_is_an_error() {
        let config: PeeringConfig = toml::from_str("tap = [{ connection = \"fra-9\" }]").unwrap();
        let errors = Inventory::build(&config, &[], &[]).unwrap_err();
        assert!(errors[0].contains("[[tap]]") && errors[0].contains("fra-9"), "{errors:?}");
    }
}
