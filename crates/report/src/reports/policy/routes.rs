//! What Azure says it receives from us: `az peering received-route list`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use model::tables::ConnectionRow;
use serde::Deserialize;

use super::Finding;
use crate::ReportError;

/// Largest list that is read.
const BYTES_MOST: u64 = 256 << 20;

/// A route as Azure lists it: texts all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Route {
    prefix: String,
    next_hop: String,
    rpki_validation_state: Option<String>,
    origin_as_validation_state: Option<String>,
}

/// A bare list, or the answer of the REST API.
#[derive(Deserialize)]
#[serde(untagged)]
enum List {
    Bare(Vec<Route>),
    Rest { value: Vec<Route> },
}

/// Checks the routes: their number against the sessions' limits, their RPKI states, the same ones everywhere.
///
/// Azure lists the routes of one peering at a time: several lists are taken together.
pub(super) fn check(files: &[PathBuf], connections: &[&ConnectionRow]) -> Result<Vec<Finding>, ReportError> {
    let lists = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let routes = lists.concat();
    let mut by_session: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for route in &routes {
        by_session.entry(&route.next_hop).or_default().insert(&route.prefix);
    }
    let mut findings = Vec::new();
    for (session, prefixes) in &by_session {
        findings.push(count(session, prefixes.len(), connections));
    }
    findings.push(states(&routes, "RPKI", |route| route.rpki_validation_state.as_deref()));
    findings.push(states(&routes, "origin AS", |route| route.origin_as_validation_state.as_deref()));
    for version in ["IPv4", "IPv6"] {
        findings.extend(same_everywhere(&by_session, version));
    }
    Ok(findings)
}

fn read(file: &Path) -> Result<Vec<Route>, ReportError> {
    let refused = |what: String| {
        ReportError::Usage(format!("{}: {what}; give the output of az peering received-route list", file.display()))
    };
    let bytes = std::fs::metadata(file).map_err(|error| refused(format!("it cannot be read: {error}")))?.len();
    if bytes > BYTES_MOST {
        return Err(refused("it is larger than any list of routes".to_owned()));
    }
    let text = std::fs::read_to_string(file).map_err(|error| refused(format!("it cannot be read: {error}")))?;
    match serde_json::from_str(&text) {
        Ok(List::Bare(routes) | List::Rest { value: routes }) => Ok(routes),
        Err(error) => Err(refused(format!("it is no list of routes: {error}"))),
    }
}

/// The session of ours that a next hop is of: Azure shows our own address, /31 neighbour of Microsoft's.
fn connection_of<'a>(session: &str, connections: &[&'a ConnectionRow]) -> Option<&'a ConnectionRow> {
    let ours: std::net::IpAddr = session.parse().ok()?;
    let is_neighbour = |theirs: &Option<model::Name>| {
        let Some(theirs) = theirs.as_ref().and_then(|theirs| theirs.parse::<std::net::IpAddr>().ok()) else { return false };
        match (ours, theirs) {
            (std::net::IpAddr::V4(a), std::net::IpAddr::V4(b)) => a.to_bits() & !3 == b.to_bits() & !3,
            (std::net::IpAddr::V6(a), std::net::IpAddr::V6(b)) => a.to_bits() & !3 == b.to_bits() & !3,
            _ => false,
        }
    };
    let is_direct =
        |row: &&&ConnectionRow| &*row.role == "direct" && (is_neighbour(&row.session_v4) || is_neighbour(&row.session_v6));
    connections.iter().find(is_direct).copied()
}

fn count(session: &str, prefixes: usize, connections: &[&ConnectionRow]) -> Finding {
    let connection = connection_of(session, connections);
    let is_v6 = session.contains(':');
    let limit = connection.and_then(|row| if is_v6 { row.max_prefixes_v6 } else { row.max_prefixes_v4 });
    let of = connection.map_or_else(|| session.to_owned(), |row| format!("{} ({session})", row.connection));
    match limit {
        Some(limit) => {
            let asked = format!("at most {limit} prefixes");
            Finding::of("prefixes received", &of, asked, Some(prefixes as i64), |count| (count <= limit, count.to_string()))
        }
        None => {
            Finding::cannot_know("prefixes received", &of, "the session's limit", &format!("{prefixes}; the limit is not known"))
        }
    }
}

fn states(routes: &[Route], what: &'static str, state: fn(&Route) -> Option<&str>) -> Finding {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    routes.iter().for_each(|route| *counts.entry(state(route).unwrap_or("not told")).or_default() += 1);
    let figure = counts.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ");
    let is_invalid = counts.keys().any(|state| state.eq_ignore_ascii_case("invalid"));
    let is_told = counts.keys().any(|state| *state != "not told");
    Finding::of(what, "received routes", "none invalid".to_owned(), is_told.then_some(figure), |figure| (!is_invalid, figure))
}

fn same_everywhere(by_session: &BTreeMap<&str, BTreeSet<&str>>, version: &str) -> Option<Finding> {
    let sessions: Vec<(&&str, &BTreeSet<&str>)> =
        by_session.iter().filter(|(session, _)| session.contains(':') == (version == "IPv6")).collect();
    if sessions.len() < 2 {
        return None;
    }
    let all: BTreeSet<&str> = sessions.iter().flat_map(|(_, prefixes)| prefixes.iter().copied()).collect();
    let missing =
        sessions.iter().map(|(session, prefixes)| (session, all.len() - prefixes.len())).filter(|(_, missing)| *missing > 0);
    let missing: Vec<String> = missing.map(|(session, missing)| format!("{session} lacks {missing} of {}", all.len())).collect();
    let figure =
        if missing.is_empty() { format!("the same {} at {} sessions", all.len(), sessions.len()) } else { missing.join(", ") };
    let is_met = missing.is_empty();
    Some(Finding::of("same routes everywhere", version, "the same routes at every location".to_owned(), Some(()), |()| {
        (is_met, figure)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::policy::Verdict;

    #[test]
    fn routes_are_counted_judged_and_compared() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("routes.json");
        let route = |prefix: &str, hop: &str, rpki: &str| {
            format!(
                r#"{{"prefix":"{prefix}","nextHop":"{hop}","rpkiValidationState":"{rpki}","receivedTimestamp":"2026-01-01 00:00:00"}}"#
            )
        };
        let list = [
            route("203.0.113.0/24", "192.0.2.0", "Valid"),
            route("203.0.113.0/24", "192.0.2.2", "Invalid"),
            route("198.51.100.0/24", "192.0.2.0", "Valid"),
        ];
        for text in [format!("[{}]", list.join(",")), format!("{{\"value\":[{}]}}", list.join(","))] {
            std::fs::write(&file, text).unwrap();
            let found: Vec<(String, Verdict)> = check(std::slice::from_ref(&file), &[])
                .unwrap()
                .into_iter()
                .map(|finding| (finding.rule.to_owned() + " " + &finding.of, finding.verdict))
                .collect();
            assert_eq!(
                found,
                [
                    ("prefixes received 192.0.2.0".to_owned(), Verdict::CannotKnow),
                    ("prefixes received 192.0.2.2".to_owned(), Verdict::CannotKnow),
                    ("RPKI received routes".to_owned(), Verdict::NotMet),
                    ("origin AS received routes".to_owned(), Verdict::CannotKnow),
                    ("same routes everywhere IPv4".to_owned(), Verdict::NotMet),
                ]
            );
        }
        std::fs::write(&file, "{}").unwrap();
        assert!(check(&[file], &[]).is_err_and(|error| error.to_string().contains("received-route list")));
    }
}
