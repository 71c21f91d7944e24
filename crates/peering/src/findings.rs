//! What does not fit between what is configured and what was seen.

use model::{Address, Role};

use crate::config::InterfaceRef;
use crate::inventory::{Inventory, NONE, PortDetail};
use crate::seen::{Seen, SeenExporter, SeenInterface};

/// Share of an exporter's records above which an unknown output interface is told of.
const OUTPUT_UNKNOWN_RATIO: f64 = 0.05;

/// Share of an exporter's records above which exact twins mean that it meters twice.
const TWINS_RATIO: f64 = 0.1;

/// Share of an exporter's Microsoft traffic from which an interface that nobody named is told of.
const UNNAMED_RATIO: f64 = 0.01;

/// Relative difference above which two speeds differ.
const SPEED_TOLERANCE: f64 = 0.01;

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// A configured interface that no telemetry named.
    InterfaceNeverSeen,
    /// A configured exporter that sent nothing.
    ExporterNeverSeen,
    /// A connection of Azure's list that is bound to no port.
    ConnectionUnbound,
    /// Microsoft traffic over an interface that nobody configured.
    UnnamedTraffic,
    /// The device says another speed than configuration, table or Azure.
    SpeedDiffers,
    /// Records towards Microsoft without an output interface.
    OutputUnknown,
    /// Records whose next hop several connections share.
    NextHopAmbiguous,
    /// Of two connections of one peering, one is never used towards Microsoft.
    PathNeverUsed,
    /// AS12076 on a connection with Microsoft.
    ExpressRouteAs,
    /// Records do not say at which side they were metered.
    MeteringUndecided,
    /// Flows are exported twice.
    Twins,
    /// Several routers name a connection by its next hop.
    SeveralRouters,
    /// More interfaces than the limit.
    TooManyInterfaces,
    /// A source that the allow-list does not name.
    SourceRefused,
    /// Flows and interface counters of a port differ.
    FlowsDiffer,
    /// Microsoft traffic on an exchange port that is no session's, as far as records tell.
    SessionUnidentified,
}

impl FindingKind {
    /// The name in tables and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            FindingKind::InterfaceNeverSeen => "interface_never_seen",
            FindingKind::ExporterNeverSeen => "exporter_never_seen",
            FindingKind::ConnectionUnbound => "connection_unbound",
            FindingKind::UnnamedTraffic => "unnamed_traffic",
            FindingKind::SpeedDiffers => "speed_differs",
            FindingKind::OutputUnknown => "output_unknown",
            FindingKind::NextHopAmbiguous => "next_hop_ambiguous",
            FindingKind::PathNeverUsed => "path_never_used",
            FindingKind::ExpressRouteAs => "express_route_as",
            FindingKind::MeteringUndecided => "metering_undecided",
            FindingKind::Twins => "twins",
            FindingKind::SeveralRouters => "several_routers",
            FindingKind::TooManyInterfaces => "too_many_interfaces",
            FindingKind::SourceRefused => "source_refused",
            FindingKind::FlowsDiffer => "flows_differ",
            FindingKind::SessionUnidentified => "session_unidentified",
        }
    }
}

/// One thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// The exporter, port or connection.
    pub subject: String,
    /// What is the matter, and how to mend it.
    pub text: String,
}

impl Inventory {
    /// Compares what is configured with what was seen; sorted by kind and subject.
    pub fn check(&self, seen: &Seen) -> Vec<Finding> {
        let mut findings = Findings(Vec::new());
        self.check_exporters(seen, &mut findings);
        self.check_ports(seen, &mut findings);
        self.check_connections(seen, &mut findings);
        for refused in &seen.refused {
            let text = format!("{} datagrams were refused; name it in sources of [allow] if it is yours", refused.datagrams);
            findings.add(FindingKind::SourceRefused, &refused.address.to_string(), text);
        }
        for link in &seen.links {
            let records = link.to_microsoft_records + link.from_microsoft_records;
            if let Some(port) = link.name.strip_suffix("/unidentified").filter(|_| records > 0) {
                let text = format!(
                    "{records} records of Microsoft's are told of no session: give microsoft_macs of its [[connection]]s and have the \
                     router export Ethernet addresses, or next hops"
                );
                findings.add(FindingKind::SessionUnidentified, port, text);
            }
        }
        for exporter in &seen.exporters {
            self.check_interfaces(exporter, &mut findings);
            self.check_records(exporter, seen, &mut findings);
        }
        findings.0.sort();
        findings.0.dedup();
        findings.0
    }

    fn check_exporters(&self, seen: &Seen, findings: &mut Findings) {
        for (index, plan) in self.exporters.iter().enumerate() {
            let is_used = self.ports.iter().any(|port| port.holder == index);
            if is_used && self.seen_of(index, seen).next().is_none() {
                findings.add(
                    FindingKind::ExporterNeverSeen,
                    &plan.name,
                    format!("nothing came from {}; check its export and the address that it sends from", plan.address),
                );
            }
        }
    }

    fn check_ports(&self, seen: &Seen, findings: &mut Findings) {
        for (port, detail) in self.directory.ports.iter().zip(&self.ports) {
            if self.seen_of(detail.holder, seen).next().is_none() {
                continue;
            }
            for interface in &detail.interfaces {
                let is_carried = |one: &SeenInterface| one.input_records + one.output_records > 0;
                if !self.interfaces_of(detail, interface, seen).any(is_carried) {
                    findings.add(
                        FindingKind::InterfaceNeverSeen,
                        &port.name,
                        format!(
                            "no record names interface {interface} of {}; flows may carry another number or name than counters do",
                            self.exporters[detail.holder].name
                        ),
                    );
                }
            }
            let stated = [
                (port.configured_bps, "configuration"),
                (port.speed_bps, "interface table"),
                (port.provisioned_bps, "list of Azure"),
            ];
            let told_bps = self.told_speed_bps(detail, seen);
            for (stated_bps, source) in stated {
                if let (Some(stated_bps), Some(told_bps)) = (stated_bps, told_bps)
                    && (stated_bps as f64 - told_bps as f64).abs() > SPEED_TOLERANCE * told_bps as f64
                {
                    findings.add(
                        FindingKind::SpeedDiffers,
                        &port.name,
                        format!("the device says {told_bps} bit/s, the {source} {stated_bps}; correct the one that is wrong, or look for a member that is down"),
                    );
                }
            }
        }
    }

    /// Speed of a port as its device tells it: its own interface's, else its members' together.
    fn told_speed_bps(&self, detail: &PortDetail, seen: &Seen) -> Option<u64> {
        let speed = |interface: &InterfaceRef| self.interfaces_of(detail, interface, seen).find_map(|one| one.speed_bps);
        let own = detail.counters.iter().chain(&detail.interfaces).find_map(speed);
        own.or_else(|| detail.members.iter().map(speed).sum::<Option<u64>>().filter(|sum| *sum > 0))
    }

    fn check_connections(&self, seen: &Seen, findings: &mut Findings) {
        let named = || self.directory.links.iter().zip(&self.details).filter(|(_, detail)| detail.is_named);
        for (link, detail) in named() {
            if detail.port == NONE {
                findings.add(
                    FindingKind::ConnectionUnbound,
                    &link.name,
                    "it is bound to no port; add a [[connection]] that names one (`peerscope peerings check --suggest` may know it)".to_owned(),
                );
            }
            let used = |name: &str| seen.link(name).map_or(0, |link| link.to_microsoft_records);
            let is_path = link.is_active && link.role == Role::Direct && detail.port != NONE;
            let other = named().find(|(other, _)| {
                link.peering.is_some()
                    && other.peering == link.peering
                    && other.name != link.name
                    && other.is_active
                    && used(&other.name) > 0
            });
            if let Some((other, _)) = other
                && is_path
                && used(&link.name) == 0
            {
                findings.add(
                    FindingKind::PathNeverUsed,
                    &link.name,
                    format!(
                        "no record leaves over it, while \"{}\" of the same peering is used; the path may be idle, or the router may export only the first of several equal paths",
                        other.name
                    ),
                );
            }
            let routers = seen.exporters.iter().filter(|exporter| {
                let plan = self.exporter_by_address.get(&exporter.address);
                exporter.next_hops.iter().any(|hop| hop.is_bgp && *hop.connection == *link.name)
                    && plan.is_none_or(|plan| *plan as u32 != detail.holder && !self.exporters[*plan].has_internal_interfaces())
            });
            let addresses: Vec<String> = routers.map(|exporter| exporter.address.to_string()).collect();
            if addresses.len() > 1 {
                findings.add(
                    FindingKind::SeveralRouters,
                    &link.name,
                    format!(
                        "the routers {} all name it by BGP next hop; list the interfaces between them as internal_interfaces, so that no packet counts twice",
                        addresses.join(", ")
                    ),
                );
            }
        }
    }

    fn check_interfaces(&self, exporter: &SeenExporter, findings: &mut Findings) {
        let microsoft = |one: &SeenInterface| one.from_microsoft_bytes + one.to_microsoft_bytes;
        let total: u64 = exporter.interfaces.iter().map(microsoft).sum();
        for interface in exporter.interfaces.iter().filter(|interface| !interface.is_configured) {
            let bytes = microsoft(interface);
            if bytes > 0 && bytes as f64 >= UNNAMED_RATIO * total as f64 {
                let called = interface.name.as_ref().map_or(String::new(), |name| format!(" \"{name}\""));
                findings.add(
                    FindingKind::UnnamedTraffic,
                    &format!("{}/{}", exporter.address, interface.index),
                    format!(
                        "interface {}{called} carried {bytes} exported bytes of Microsoft's and nobody configured it; give it a [[port]], or list it in internal_interfaces",
                        interface.index
                    ),
                );
            }
        }
    }

    fn check_records(&self, exporter: &SeenExporter, seen: &Seen, findings: &mut Findings) {
        let address = exporter.address.to_string();
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let output_unknown = share(exporter.output_unknown_records, exporter.to_microsoft_records);
        if output_unknown > OUTPUT_UNKNOWN_RATIO {
            let text = format!(
                "{:.1} % of the records towards Microsoft have no output interface and are in \"{address}/unresolved\"; have it export the output interface or the BGP next hop",
                100.0 * output_unknown
            );
            findings.add(FindingKind::OutputUnknown, &address, text);
        }
        if exporter.ambiguous_records > 0 {
            let text = format!(
                "{} records have a next hop that several connections share and are in \"{address}/unresolved\"; where these are \
                 metered at their own ports they are counted there, and reports leave \"{address}/unresolved\" out of sums; else \
                 meter there",
                exporter.ambiguous_records
            );
            findings.add(FindingKind::NextHopAmbiguous, &address, text);
        }
        if exporter.as12076_records > 0 {
            let text = format!(
                "{} records on connections with Microsoft have AS12076 (ExpressRoute) at an end; filter that AS on all peers",
                exporter.as12076_records
            );
            findings.add(FindingKind::ExpressRouteAs, &address, text);
        }
        if share(exporter.twins, exporter.records) > TWINS_RATIO {
            let text = format!(
                "it exports flows twice, once where they enter and once where they leave ({} exact twins were left out); meter at one side, or export element 61",
                exporter.twins
            );
            findings.add(FindingKind::Twins, &address, text);
        }
        if self.is_metering_undecided(exporter, seen) {
            let text = "its records do not say at which side they were metered (element 61) and both directions of its connections come from it: if it meters both sides, loads read double; compare with counters and set metering under [[exporter]]";
            findings.add(FindingKind::MeteringUndecided, &address, text.to_owned());
        }
        if exporter.overflow_records > 0 {
            let text = format!(
                "{} records name interfaces past the limit and are in \"{address}/other\"; raise [peering] interfaces_per_exporter_max",
                exporter.overflow_records
            );
            findings.add(FindingKind::TooManyInterfaces, &address, text);
        }
    }

    fn is_metering_undecided(&self, exporter: &SeenExporter, seen: &Seen) -> bool {
        let Some(plan) = self.exporter_by_address.get(&exporter.address) else { return false };
        let is_both_ways = |link: &model::Link| {
            seen.link(&link.name).is_some_and(|link| link.to_microsoft_records > 0 && link.from_microsoft_records > 0)
        };
        let mut held = self.directory.links.iter().zip(&self.details).filter(|(_, detail)| detail.holder == *plan as u32);
        !self.exporters[*plan].is_metering_configured && exporter.unstated_records > 0 && held.any(|(link, _)| is_both_ways(link))
    }

    /// What was seen of an exporter, by any of its addresses.
    fn seen_of<'a>(&'a self, plan: usize, seen: &'a Seen) -> impl Iterator<Item = &'a SeenExporter> {
        let addresses = self.exporter_by_address.iter().filter(move |(_, other)| **other == plan);
        let mut addresses: Vec<Address> = addresses.map(|(address, _)| *address).collect();
        addresses.sort();
        addresses.into_iter().filter_map(|address| seen.exporter(address))
    }

    /// What was seen of an interface of a port's exporter.
    fn interfaces_of<'a>(
        &'a self,
        detail: &PortDetail,
        interface: &'a InterfaceRef,
        seen: &'a Seen,
    ) -> impl Iterator<Item = &'a SeenInterface> {
        let index = self.exporters[detail.holder].index_of(interface);
        self.seen_of(detail.holder, seen).flat_map(|exporter| &exporter.interfaces).filter(move |one| match interface {
            InterfaceRef::Name(name) => one.name.as_ref() == Some(name) || (one.name.is_none() && Some(one.index) == index),
            InterfaceRef::Index(index) => one.index == *index,
        })
    }
}

/// Findings being gathered.
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, kind: FindingKind, subject: &str, text: String) {
        self.0.push(Finding { kind, subject: subject.to_owned(), text });
    }
}
