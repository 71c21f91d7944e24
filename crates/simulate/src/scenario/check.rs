//! Faults of a scenario that TOML itself cannot see: each is one sentence with its key.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{Failure, MirrorPort, Router, Scenario, ScenarioError, ToldBy, TrafficShape, WireProtocol};

/// One day is more than a simulation needs, and bounds the memory of the truth.
const DURATION_SECONDS_MAX: u32 = 86_400;

type Checked = Result<(), ScenarioError>;

fn fault(sentence: String) -> Checked {
    Err(ScenarioError(sentence))
}

fn ensure(is_right: bool, sentence: impl FnOnce() -> String) -> Checked {
    if is_right { Ok(()) } else { fault(sentence()) }
}

impl Scenario {
    /// The first fault.
    pub(super) fn check(&self) -> Checked {
        ensure((1..=DURATION_SECONDS_MAX).contains(&self.duration_seconds), || {
            format!("duration_seconds: {} is not between 1 and {DURATION_SECONDS_MAX}", self.duration_seconds)
        })?;
        self.check_names_once()?;
        self.traffic.check()?;
        for router in &self.routers {
            self.check_router(router)?;
        }
        self.check_ports()?;
        self.check_links()?;
        self.check_ends()?;
        self.failures.iter().try_for_each(|failure| self.check_failure(failure))?;
        self.mirrors.iter().try_for_each(|mirror| self.check_mirror(mirror))
    }

    fn check_names_once(&self) -> Checked {
        once("metros.name", self.metros.iter().map(|metro| metro.name.clone()))?;
        once("routers.name", self.routers.iter().map(|router| router.name.clone()))?;
        once("routers.address", self.routers.iter().map(|router| router.address.to_string()))?;
        once("ports.name", self.ports.iter().map(|port| port.name.clone()))?;
        once("connections.name or transits.name", self.link_names().map(str::to_owned))?;
        once("customers.name", self.customers.iter().map(|customer| customer.name.clone()))?;
        let interfaces = self.ports.iter().flat_map(|port| {
            let members = port.members.iter().map(|member| member.interface);
            members.chain([port.interface]).map(|interface| format!("{} of {}", interface, port.router))
        });
        once("ports.interface", interfaces)
    }

    /// Names of connections and transit links.
    pub(crate) fn link_names(&self) -> impl Iterator<Item = &str> {
        let connections = self.connections.iter().map(|connection| connection.name.as_str());
        connections.chain(self.transits.iter().map(|transit| transit.name.as_str()))
    }

    fn check_router(&self, router: &Router) -> Checked {
        let key = |name: &str| format!("routers.{name} of {}", router.name);
        ensure(self.metros.iter().any(|metro| metro.name == router.metro), || {
            format!("{}: there is no metro \"{}\"", key("metro"), router.metro)
        })?;
        ensure((1..=256).contains(&router.domains.len()), || format!("{}: give 1 to 256 domains", key("domains")))?;
        once(&key("domains"), router.domains.iter().map(u32::to_string))?;
        let engines_fit = router.protocol != WireProtocol::V5 || router.domains.iter().all(|domain| *domain <= 255);
        ensure(engines_fit, || format!("{}: a v5 engine id is at most 255", key("domains")))?;
        ensure(router.sampling.one_in >= 1, || format!("{}: 1 is every packet, 0 is none", key("sampling.one_in")))?;
        let rate_fits = router.protocol != WireProtocol::V5 || router.sampling.one_in <= 0x3FFF;
        ensure(rate_fits, || format!("{}: a v5 header holds at most 16383", key("sampling.one_in")))?;
        ensure(router.protocol != WireProtocol::Sflow || router.sampling.told_by != ToldBy::None, || {
            format!("{}: sFlow samples always carry their rate", key("sampling.told_by"))
        })?;
        let header_fits = router.sampling.told_by != ToldBy::Header || router.protocol == WireProtocol::V5;
        ensure(header_fits, || format!("{}: only v5 headers carry a rate", key("sampling.told_by")))?;
        ensure(router.inactive_timeout_seconds >= 1 && router.active_timeout_seconds >= 1, || {
            format!("{}: timeouts are at least 1 second", key("active_timeout_seconds"))
        })?;
        ensure(router.cache_entries >= 1, || format!("{}: at least 1", key("cache_entries")))?;
        let refresh = router.template_refresh_seconds;
        ensure(refresh >= 1, || format!("{}: at least 1", key("template_refresh_seconds")))?;
        let delivery = &router.delivery;
        for (name, ratio) in [
            ("delivery.loss_ratio", delivery.loss_ratio),
            ("delivery.reorder_ratio", delivery.reorder_ratio),
            ("delivery.duplicate_ratio", delivery.duplicate_ratio),
        ] {
            ensure((0.0..=1.0).contains(&ratio), || format!("{}: {ratio} is not between 0 and 1", key(name)))?;
        }
        match &router.core_port {
            Some(port) => self.check_port_of(&key("core_port"), port, Some(&router.name)),
            None => Ok(()),
        }
    }

    fn check_port_of(&self, key: &str, name: &str, router: Option<&str>) -> Checked {
        match self.ports.iter().find(|port| port.name == name) {
            None => fault(format!("{key}: there is no port \"{name}\"")),
            Some(port) if router.is_some_and(|router| router != port.router) => {
                fault(format!("{key}: port \"{name}\" is on {}", port.router))
            }
            Some(_) => Ok(()),
        }
    }

    fn check_ports(&self) -> Checked {
        for port in &self.ports {
            let Some(router) = self.routers.iter().find(|router| router.name == port.router) else {
                return fault(format!("ports.router of {}: there is no router \"{}\"", port.name, port.router));
            };
            ensure(port.interface != 0, || format!("ports.interface of {}: 0 means unknown", port.name))?;
            let indexes_fit = router.protocol != WireProtocol::V5 || port.interface <= 0xFFFF;
            ensure(indexes_fit, || format!("ports.interface of {}: v5 holds at most 65535", port.name))?;
            ensure(port.domain.is_none_or(|domain| router.domains.contains(&domain)), || {
                format!("ports.domain of {}: {} has no such domain", port.name, router.name)
            })?;
            check_mac(&format!("ports.mac of {}", port.name), port.mac.as_deref())?;
        }
        Ok(())
    }

    fn check_links(&self) -> Checked {
        for connection in &self.connections {
            let key = format!("connections of {}", connection.name);
            self.check_port_of(&format!("{key}: port"), &connection.port, None)?;
            check_mac(&format!("{key}: microsoft_mac"), connection.microsoft_mac.as_deref())?;
            check_load(&key, connection.to_microsoft_bps, connection.from_microsoft_bps, connection.ipv6_share)?;
        }
        for transit in &self.transits {
            let key = format!("transits of {}", transit.name);
            self.check_port_of(&format!("{key}: port"), &transit.port, None)?;
            check_mac(&format!("{key}: provider_mac"), transit.provider_mac.as_deref())?;
            check_load(&key, transit.to_microsoft_bps, transit.from_microsoft_bps, transit.ipv6_share)?;
        }
        for background in &self.background {
            let key = format!("background of {}", background.port);
            self.check_port_of(&format!("{key}: port"), &background.port, None)?;
            check_mac(&format!("{key}: mac"), background.mac.as_deref())?;
            check_load(&key, background.in_bps, background.out_bps, None)?;
            check_prefixes(&key, &background.prefixes)?;
        }
        Ok(())
    }

    fn check_ends(&self) -> Checked {
        ensure(!self.customers.is_empty(), || "customers: give at least one".to_owned())?;
        ensure(!self.services.is_empty(), || "services: give at least one".to_owned())?;
        for customer in &self.customers {
            let key = format!("customers of {}", customer.name);
            self.check_port_of(&format!("{key}: port"), &customer.port, None)?;
            check_prefixes(&key, &customer.prefixes)?;
            check_weight(&key, customer.weight)?;
        }
        for service in &self.services {
            let key = format!("services of \"{} {}\"", service.name, service.region);
            check_prefixes(&key, &service.prefixes)?;
            check_weight(&key, service.weight)?;
        }
        let has_v4 = |prefixes: &[IpNet]| prefixes.iter().any(|prefix| prefix.addr().is_ipv4());
        ensure(self.customers.iter().any(|customer| customer.weight > 0.0 && has_v4(&customer.prefixes)), || {
            "customers: one needs an IPv4 prefix and a weight".to_owned()
        })?;
        ensure(self.services.iter().any(|service| service.weight > 0.0 && has_v4(&service.prefixes)), || {
            "services: one needs an IPv4 prefix and a weight".to_owned()
        })?;
        let routers = self.ports.iter().filter(|port| self.customers.iter().any(|customer| customer.port == port.name));
        let carries: BTreeSet<&str> = routers.map(|port| port.router.as_str()).collect();
        let is_one = self.ports.iter().all(|port| carries.len() == 1 && carries.contains(port.router.as_str()));
        let unjoined = self.routers.iter().find(|router| router.core_port.is_none());
        match unjoined {
            Some(router) if !is_one => {
                fault(format!("routers.core_port of {}: traffic between routers needs a core port", router.name))
            }
            _ => Ok(()),
        }
    }

    fn check_mirror(&self, mirror: &MirrorPort) -> Checked {
        let name = &mirror.connection;
        ensure(self.connections.iter().any(|connection| connection.name == *name), || {
            format!("mirrors.connection: there is no connection \"{name}\"")
        })?;
        let rate = mirror.handshakes_per_second;
        ensure((0.001..=10_000.0).contains(&rate), || {
            format!("mirrors.handshakes_per_second of {name}: {rate} is not between 0.001 and 10000")
        })?;
        let is_time = |ms: f64| (0.0..=60_000.0).contains(&ms);
        let are_times = is_time(mirror.round_trip_ms) && is_time(mirror.jitter_ms);
        ensure(are_times && mirror.slower.iter().all(|slower| is_time(slower.extra_ms)), || {
            format!("mirrors.round_trip_ms of {name}: times must be between 0 and 60000 milliseconds")
        })
    }

    fn check_failure(&self, failure: &Failure) -> Checked {
        match (&failure.connection, &failure.port, failure.member) {
            (Some(name), None, None) => ensure(self.link_names().any(|link| link == name), || {
                format!("failures.connection: there is no connection or transit link \"{name}\"")
            })?,
            (None, Some(port), Some(member)) => {
                let is_there = self
                    .ports
                    .iter()
                    .any(|known| known.name == *port && known.members.iter().any(|candidate| candidate.interface == member));
                ensure(is_there, || format!("failures.member: port \"{port}\" has no member {member}"))?;
            }
            _ => return fault("failures: name either a connection, or a port and its member".to_owned()),
        }
        let is_drain = failure.drain_seconds > 0.0 || failure.residue_share > 0.0;
        ensure(!is_drain || failure.connection.is_some(), || {
            "failures.drain_seconds: only a connection is drained, a member is up or down".to_owned()
        })?;
        ensure((0.0..=DURATION_SECONDS_MAX.into()).contains(&failure.drain_seconds), || {
            format!("failures.drain_seconds: {} is not between 0 and {DURATION_SECONDS_MAX}", failure.drain_seconds)
        })?;
        ensure((0.0..=1.0).contains(&failure.residue_share), || "failures.residue_share: it must be between 0 and 1".to_owned())?;
        for name in &failure.moves_to {
            ensure(self.link_names().any(|link| link == name), || {
                format!("failures.moves_to: there is no connection or transit link \"{name}\"")
            })?;
        }
        let down = failure.down_at_seconds + failure.drain_seconds;
        let is_ordered = failure.down_at_seconds >= 0.0 && failure.up_at_seconds.is_none_or(|up| up > down);
        ensure(is_ordered, || "failures.up_at_seconds: it must come after down_at_seconds and drain_seconds".to_owned())
    }
}

impl TrafficShape {
    fn check(&self) -> Checked {
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        ensure(is_share(self.ipv6_share), || "traffic.ipv6_share: it must be between 0 and 1".to_owned())?;
        ensure(is_share(self.night_ratio), || "traffic.night_ratio: it must be between 0 and 1".to_owned())?;
        ensure((1..=65_536).contains(&self.packets_per_train), || {
            "traffic.packets_per_train: it must be between 1 and 65536".to_owned()
        })?;
        let sizes = &self.packet_sizes;
        let sizes_fit = sizes.iter().all(|size| (60..=9_000).contains(&size.bytes) && size.weight >= 0.0);
        ensure(sizes_fit && sizes.iter().map(|size| size.weight).sum::<f64>() > 0.0, || {
            "traffic.packet_sizes: give sizes of 60 to 9000 bytes with weights".to_owned()
        })?;
        let lengths = &self.flow_lengths;
        let lengths_fit = lengths.iter().all(|length| length.packets >= 1.0 && length.seconds >= 0.0 && length.weight >= 0.0);
        ensure(lengths_fit && lengths.iter().map(|length| length.weight).sum::<f64>() > 0.0, || {
            "traffic.flow_lengths: give at least 1 packet, seconds, and a weight".to_owned()
        })?;
        let surges_fit = self.surges.iter().all(|surge| surge.factor >= 0.0 && surge.factor.is_finite());
        ensure(surges_fit, || "traffic.surges.factor: it must not be negative".to_owned())
    }
}

fn once(key: &str, names: impl Iterator<Item = String>) -> Checked {
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return fault(format!("{key}: \"{name}\" is there twice"));
        }
        seen.insert(name);
    }
    Ok(())
}

fn check_mac(key: &str, mac: Option<&str>) -> Checked {
    match mac {
        Some(text) => ensure(text.parse::<super::network::MacText>().is_ok(), || {
            format!("{key}: \"{text}\" is not a MAC address; write it as 02:00:00:00:00:01")
        }),
        None => Ok(()),
    }
}

fn check_load(key: &str, there: f64, back: f64, ipv6_share: Option<f64>) -> Checked {
    let is_load = |bps: f64| bps.is_finite() && bps >= 0.0;
    ensure(is_load(there) && is_load(back), || format!("{key}: a load must not be negative"))?;
    ensure(ipv6_share.is_none_or(|share| (0.0..=1.0).contains(&share)), || format!("{key}: ipv6_share must be between 0 and 1"))
}

fn check_prefixes(key: &str, prefixes: &[IpNet]) -> Checked {
    ensure(!prefixes.is_empty(), || format!("{key}: give at least one prefix"))
}

fn check_weight(key: &str, weight: f64) -> Checked {
    ensure(weight.is_finite() && weight >= 0.0, || format!("{key}: weight must not be negative"))
}

#[cfg(test)]
mod tests {
    use super::Scenario;
    use crate::testing;

    #[test]
    fn a_fault_is_one_sentence_with_its_key() {
        let check = |from: &str, to: &str, expected: &str| {
            let text = testing::SMALLEST.replace(from, to);
            let error = Scenario::parse(&text).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
        };
        check("seed = 1", "seeds = 1", "unknown field `seeds`");
        check("2026-03-02T10:00:00Z", "today", "start: \"today\" is not a time");
        check("metro = \"Frankfurt\"", "metro = \"Paris\"", "routers.metro of r1: there is no metro \"Paris\"");
        check("router = \"r1\"", "router = \"r9\"", "ports.router of pni: there is no router \"r9\"");
        check("interface = 10\n", "interface = 0\n", "ports.interface of pni: 0 means unknown");
        check("duration_seconds = 60", "duration_seconds = 0", "duration_seconds: 0 is not between");
        check("protocol = \"ipfix\"", "protocol = \"ipfiks\"", "unknown variant `ipfiks`");
    }

    #[test]
    fn the_smallest_scenario_is_one() {
        assert_eq!(Scenario::parse(testing::SMALLEST).map(|scenario| scenario.seed), Ok(1));
    }
}
