//! The configuration that the session addresses seen as next hops imply.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use model::{Address, Mac, Role};

use crate::inventory::{Inventory, NONE};
use crate::seen::{Seen, SeenExporter, SeenNextHop};

/// A binding that the telemetry implies.
struct Binding<'a> {
    exporter: &'a SeenExporter,
    hop: &'a SeenNextHop,
    link: usize,
}

impl Inventory {
    /// Prints, in the form of the configuration, the ports and connections that the next hops seen
    /// imply: for each connection that is bound to no port, the interface over which most records
    /// with its session address left; for exchange sessions without one, the Ethernet address.
    ///
    /// What is uncertain is said in comments; with nothing to suggest there is a comment only.
    pub fn suggest(&self, seen: &Seen) -> String {
        let bindings = self.bindings(seen);
        let mut text = String::new();
        let mut ports: BTreeMap<(Address, u32), Vec<&Binding<'_>>> = BTreeMap::new();
        for binding in &bindings {
            ports.entry((binding.exporter.address, binding.hop.output)).or_default().push(binding);
        }
        let unknown: BTreeSet<Address> =
            ports.keys().map(|(address, _)| *address).filter(|address| self.exporter_name(*address).is_none()).collect();
        for address in unknown {
            _ = writeln!(text, "[[exporter]]\nname = \"{address}\"\naddress = \"{address}\"\n");
        }
        for ((address, output), bindings) in &ports {
            self.suggest_port(*address, *output, bindings, &mut text);
        }
        self.suggest_macs(seen, &mut text);
        if text.is_empty() {
            text.push_str("# Nothing to suggest: no session address of an unbound connection was seen as next hop.\n");
        }
        text
    }

    /// The best binding of each connection without a port. An IP next hop is a neighbour's, so it
    /// counts over a BGP next hop, which other routers show as well.
    fn bindings<'a>(&self, seen: &'a Seen) -> Vec<Binding<'a>> {
        let mut bindings = Vec::new();
        for (link, _) in self.details.iter().enumerate().filter(|(_, detail)| detail.is_named && detail.port == NONE) {
            let name = &self.directory.links[link].name;
            let hops = seen.exporters.iter().flat_map(|exporter| exporter.next_hops.iter().map(move |hop| (exporter, hop)));
            let hops = hops.filter(|(_, hop)| *hop.connection == **name && hop.output != 0);
            let rank = |(exporter, hop): &(&SeenExporter, &SeenNextHop)| {
                (!hop.is_bgp, hop.bytes, std::cmp::Reverse(exporter.address), std::cmp::Reverse(hop.output))
            };
            if let Some((exporter, hop)) = hops.max_by_key(rank) {
                bindings.push(Binding { exporter, hop, link });
            }
        }
        bindings
    }

    fn suggest_port(&self, address: Address, output: u32, bindings: &[&Binding<'_>], text: &mut String) {
        let Some(first) = bindings.first() else { return };
        let seen = first.exporter.interfaces.iter().find(|interface| interface.index == output);
        let exporter = self.exporter_name(address).map_or_else(|| address.to_string(), str::to_owned);
        let label = seen.and_then(|interface| interface.name.clone());
        let bound = self.port_of_interface(address, output);
        let port = bound.clone().unwrap_or_else(|| format!("{exporter}-{}", label.clone().unwrap_or_else(|| output.to_string())));
        if bound.is_none() {
            _ = writeln!(text, "[[port]]\nname = {}\nexporter = {}", quoted(&port), quoted(&exporter));
            match &label {
                Some(label) => _ = writeln!(text, "interfaces = [{}]  # index {output}", quoted(label)),
                None => _ = writeln!(text, "interfaces = [{output}]"),
            }
            if let Some(speed_bps) = seen.and_then(|interface| interface.speed_bps) {
                _ = writeln!(text, "# the exporter says {speed_bps} bit/s");
            }
            text.push('\n');
        }
        for Binding { hop, link, .. } in bindings {
            let (link, detail) = (&self.directory.links[*link], &self.details[*link]);
            let how = if hop.is_bgp { "BGP next hop: may be another router's; check it" } else { "IP next hop" };
            _ = writeln!(text, "[[connection]]  # {} records, {} bytes by {how}", hop.records, hop.bytes);
            _ = writeln!(text, "name = {}", quoted(&link.name));
            if let Some(id) = &detail.azure_id {
                _ = writeln!(text, "azure = {}", quoted(id));
            } else {
                _ = writeln!(text, "role = {}", quoted(link.role.name()));
            }
            _ = writeln!(text, "port = {}", quoted(&port));
            if link.role == Role::Exchange {
                suggest_mac(hop.mac, text);
            }
            text.push('\n');
        }
    }

    /// Ethernet addresses for exchange sessions that have a port but none of their own.
    fn suggest_macs(&self, seen: &Seen, text: &mut String) {
        for (link, detail) in self.directory.links.iter().zip(&self.details) {
            if link.role != Role::Exchange || detail.port == NONE || !detail.macs.is_empty() {
                continue;
            }
            let hops = seen.exporters.iter().flat_map(|exporter| &exporter.next_hops);
            if let Some(hop) = hops
                .filter(|hop| *hop.connection == *link.name && !hop.is_bgp && !hop.mac.is_unknown())
                .max_by_key(|hop| hop.bytes)
            {
                _ = writeln!(
                    text,
                    "# add to [[connection]] {}, so that traffic from Microsoft is told apart too:",
                    quoted(&link.name)
                );
                suggest_mac(hop.mac, text);
                text.push('\n');
            }
        }
    }

    /// The configured port of an interface, by its index.
    fn port_of_interface(&self, address: Address, interface: u32) -> Option<String> {
        let plan = &self.exporters[*self.exporter_by_address.get(&address)?];
        let flow = plan.flows.iter().find(|(other, flow)| flow.port != NONE && plan.index_of(other) == Some(interface))?.1;
        Some(self.directory.ports[flow.port as usize].name.to_string())
    }
}

fn suggest_mac(mac: Mac, text: &mut String) {
    if !mac.is_unknown() {
        _ = writeln!(text, "microsoft_macs = [\"{mac}\"]");
    }
}

/// A text as TOML writes it. Control characters were removed where texts came in.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
