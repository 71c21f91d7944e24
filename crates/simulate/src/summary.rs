//! The sums of a run under the names of the scenario.

use crate::plan::Plan;
use crate::routing::{Routing, SeriesKey};
use crate::scenario::Scenario;
use crate::truth::{CustomerTruth, LinkTruth, MovedTruth, PortTruth, TagTruth};

const DIRECTIONS: [&str; 2] = ["to_microsoft", "from_microsoft"];

/// Links, tags, customers and pairs of links that had any traffic.
pub(crate) fn of_links(
    scenario: &Scenario,
    plan: &Plan,
    routing: &Routing,
) -> (Vec<LinkTruth>, Vec<TagTruth>, Vec<CustomerTruth>, Vec<MovedTruth>) {
    let (mut links, mut tags, mut customers, mut moved) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (key, place) in &routing.keyed {
        let series = &routing.series[*place];
        let name = |link: usize| plan.links[link].name.clone();
        match *key {
            SeriesKey::Link { link, direction } => links.push(LinkTruth {
                link: name(link),
                role: plan.links[link].role.to_owned(),
                port: scenario.ports[plan.links[link].port].name.clone(),
                direction: DIRECTIONS[direction].to_owned(),
                total: series.total,
                windows_60_s: series.windows(),
                windows_300_s: series.detail_windows(),
            }),
            SeriesKey::Tag { link, direction, is_v6, far_end } => tags.push(TagTruth {
                link: name(link),
                direction: DIRECTIONS[direction].to_owned(),
                ip_version: if is_v6 { 6 } else { 4 },
                service: plan.far_ends[far_end].name.clone(),
                region: plan.far_ends[far_end].region.clone(),
                asn: plan.far_ends[far_end].asn,
                total: series.total,
                windows_300_s: series.detail_windows(),
            }),
            SeriesKey::Customer { link, direction, customer, prefix } => customers.push(CustomerTruth {
                link: name(link),
                direction: DIRECTIONS[direction].to_owned(),
                customer: plan.customers[customer].name.clone(),
                asn: plan.customers[customer].asn,
                prefix: plan.customers[customer].prefixes[prefix].trunc().to_string(),
                total: series.total,
                windows_300_s: series.detail_windows(),
            }),
            SeriesKey::Moved { from, to, direction } => moved.push(MovedTruth {
                from: name(from),
                to: name(to),
                direction: DIRECTIONS[direction].to_owned(),
                total: series.total,
                windows_60_s: series.windows(),
            }),
        }
    }
    (links, tags, customers, moved)
}

/// Every port and member in both directions.
pub(crate) fn of_ports(scenario: &Scenario, plan: &Plan, routing: &Routing) -> Vec<PortTruth> {
    let mut ports = Vec::new();
    for (place, port) in plan.ports.iter().enumerate() {
        let members = port.members.iter().enumerate().map(|(member, known)| (Some(member), known.0));
        for (member, interface) in std::iter::once((None, port.interface)).chain(members) {
            for (side, direction) in ["in", "out"].into_iter().enumerate() {
                let series = &routing.series[2 * routing.lane(place, member) + side];
                ports.push(PortTruth {
                    port: scenario.ports[place].name.clone(),
                    exporter: plan.routers[port.router].address.to_string(),
                    interface,
                    is_member: member.is_some(),
                    direction: direction.to_owned(),
                    total: series.total,
                    windows_60_s: series.windows(),
                    windows_300_s: series.detail_windows(),
                });
            }
        }
    }
    ports
}
