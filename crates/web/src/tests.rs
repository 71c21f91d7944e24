//! The server over a small network, asked as browsers and programs ask.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use measure::judge::{Basis, Fall, Portion};
use measure::{BinLoad, LinkSeries, PortSeries, Series};
use model::time::{BIN_US, SECOND_US};
use model::{Direction, Link, Name, Port, Role};
use serde_json::Value;

use crate::{
    Access, Alert, Archive, Limits, LoadQuery, Loads, Options, Painter, PushError, Recent, Screen, ShareQuery, Shares, Snapshot,
    Status, Step, WebLimits, serve,
};

const GIGABIT: f64 = 1e9;
/// Bins of the hour that the tests look at.
const BINS: usize = 360;
/// 2026-11-25, a whole five minutes.
const START_US: i64 = 1_795_564_800 * SECOND_US;

/// Gbit/s by bin.
type Load<'a> = &'a dyn Fn(usize) -> Option<f64>;

/// A link with its port of 10 Gbit/s, in one direction, by its load in each bin.
fn way(name: &str, direction: Direction, gigabits: impl Fn(usize) -> Option<f64>) -> (LinkSeries, PortSeries) {
    let port: Name = format!("{name}-port").into();
    let link = Link {
        name: name.into(),
        peering: None,
        kind: None,
        role: Role::Direct,
        location: Some("Frankfurt".into()),
        exchange: None,
        port: Some(port.clone()),
        exporters: Vec::new(),
        is_active: true,
    };
    let port = Port {
        name: port,
        exporter: "192.0.2.1".parse().unwrap(),
        role: Role::Direct,
        configured_bps: None,
        provisioned_bps: None,
        speed_bps: Some(10_000_000_000),
        members: Vec::new(),
    };
    let bin = |index: usize| BinLoad {
        start_us: START_US + index as i64 * BIN_US,
        bps: gigabits(index).map(|load| load * GIGABIT),
        wire_bps: gigabits(index).map(|load| load * GIGABIT),
        standard_error_bps: gigabits(index).map(|_| 1e6),
        is_mature: index + 7 <= BINS,
        ..BinLoad::default()
    };
    let bins: Vec<BinLoad> = (0..BINS).map(bin).collect();
    let capacity_bps = Some(10_000_000_000);
    let link = LinkSeries {
        link: Arc::new(link),
        direction,
        capacity_bps,
        timeout_us: 60 * SECOND_US,
        coverage_ratio: Some(1.0),
        bins: bins.clone(),
    };
    let port = PortSeries {
        port: Arc::new(port),
        direction,
        capacity_bps,
        capacity_source: Some("speed"),
        members_up: None,
        members_total: None,
        timeout_us: 60 * SECOND_US,
        bins,
    };
    (link, port)
}

/// Links by name and load in both directions.
fn series(links: &[(&str, Load<'_>)]) -> Series {
    let mut series = Series::default();
    for (name, load) in links {
        for direction in Direction::ALL {
            let (link, port) = way(name, direction, load);
            series.links.push(link);
            series.ports.push(port);
        }
    }
    series
}

fn snapshot(links: &[(&str, Load<'_>)]) -> Snapshot {
    let at_us = START_US + BINS as i64 * BIN_US;
    let (mut recent, mut painter) = (Recent::default(), Painter::new(Limits::default()));
    recent.take(series(links), at_us);
    let picture = painter.paint(&recent, &[], &Basis::default());
    Snapshot {
        at_us,
        speed: 1,
        connections: picture.connections,
        ports: picture.ports,
        networks: picture.networks,
        ..Snapshot::default()
    }
}

/// Two that hold each other, and a third that does not.
fn three() -> Snapshot {
    snapshot(&[("a", &|_| Some(1.0)), ("b", &|_| Some(3.0)), ("c", &|_| Some(8.5))])
}

struct Nothing;

impl Archive for Nothing {
    fn loads(&self, _: &LoadQuery) -> Result<Loads, String> {
        Ok(Loads { step_us: 60 * SECOND_US, ..Loads::default() })
    }

    fn shares(&self, _: &ShareQuery) -> Result<Shares, String> {
        Err("the disk is gone".into())
    }

    fn push_counters(&self, lines: &str) -> Result<usize, PushError> {
        match lines {
            "busy" => Err(PushError::Busy),
            lines => lines.lines().enumerate().try_fold(0, |count, (number, line)| {
                if line.starts_with('{') { Ok(count + 1) } else { Err(PushError::Line(number + 1, "no JSON".into())) }
            }),
        }
    }
}

/// A server at work, and where.
fn server(access: Access, limits: WebLimits) -> (Screen, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options { access, limits, judged_by: Limits::default() };
    (serve(listener, options, Arc::new(Nothing)).unwrap(), address)
}

fn shown(snapshot: Snapshot) -> SocketAddr {
    let (screen, address) = server(Access::default(), WebLimits::default());
    screen.show(snapshot);
    address
}

/// Status, head and body of an answer.
fn send(address: SocketAddr, head: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    write!(stream, "{head}\r\nconnection: close\r\n{length}\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_ascii_lowercase(), body.to_string())
}

fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
    send(address, &format!("GET {path} HTTP/1.1\r\nhost: {address}"), "")
}

fn document(address: SocketAddr, path: &str) -> Value {
    let (status, _, body) = get(address, path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn connections_are_told_with_load_and_what_their_failure_does() {
    let answer = document(shown(three()), "/api/v1/connections");
    let connections = answer["connections"].as_array().unwrap();
    let told: Vec<(&str, &str)> =
        connections.iter().map(|one| (one["name"].as_str().unwrap(), one["status"].as_str().unwrap())).collect();
    // c is above 80 %; if it fails, b takes three quarters of what went to Microsoft, as the two share now. If b fails, c is full.
    assert_eq!(told, [("c", "hot"), ("b", "unsafe"), ("a", "fine")]);
    let [c, b, _] = &connections[..] else { panic!("{answer}") };
    assert_eq!(c["to_microsoft"]["bps"], 8.5e9);
    assert_eq!((c["failure"]["survivor"].as_str(), c["failure"]["utilisation_ratio"].as_f64()), (Some("b"), Some(0.9375)));
    let full = 0.85 + 0.3 * 8.5 / 9.5;
    assert_eq!(b["failure"]["survivor"], "c");
    assert!((b["failure"]["utilisation_ratio"].as_f64().unwrap() - full).abs() < 1e-3, "{b}");
    assert_eq!(b["from_microsoft_minutes_bps"].as_array().unwrap().len(), 59, "the last minute may still grow");
}

#[test]
fn what_is_not_known_is_no_zero_and_what_is_gone_burns() {
    let silent = snapshot(&[("a", &|bin| (bin < 100).then_some(1.0)), ("b", &|bin| Some(if bin < 200 { 2.0 } else { 0.0 }))]);
    let one = |name: &str| silent.connection(name).unwrap();
    assert_eq!((one("a").status, one("b").status), (Status::Unknown, Status::Down));
    assert_eq!((one("a").ways[0].load, one("b").ways[0].load.map(|load| load.bps)), (None, Some(0.0)));
    let answer = document(shown(silent), "/api/v1/connection?name=a");
    assert_eq!(answer["connection"]["to_microsoft"]["bps"], Value::Null);
    assert_eq!((&answer["to_microsoft"]["bps"][99], &answer["to_microsoft"]["bps"][100]), (&Value::from(1e9), &Value::Null));
    assert_eq!(answer["to_microsoft"]["mature"], 354);
}

#[test]
fn what_fell_hours_ago_is_not_fine() {
    let mut recent = Recent::default();
    for step in 13..200 {
        let at_us = START_US - step * 300 * SECOND_US;
        let before = Step { bps: 4e9, wire_bps: 4e9, utilisation: 0.4 };
        Direction::ALL.into_iter().for_each(|direction| recent.remember(&"a".into(), direction, at_us, before));
    }
    recent.take(series(&[("a", &|_| Some(0.0)), ("b", &|_| Some(0.0))]), START_US + BINS as i64 * BIN_US);
    let picture = Painter::default().paint(&recent, &[], &Basis::default());
    let told: Vec<(&str, Status)> = picture.connections.iter().map(|one| (&*one.name, one.status)).collect();
    assert_eq!(told, [("a", Status::Down), ("b", Status::Fine)], "of b nobody knows that it ever carried anything");
}

#[test]
fn later_looks_take_the_place_of_what_was_still_growing() {
    let mut recent = Recent::default();
    let look = |recent: &mut Recent, load: f64, from: usize, to: usize| {
        let mut series = series(&[("a", &move |_| Some(load))]);
        let cut = |bins: &mut Vec<BinLoad>| *bins = bins[from..to].to_vec();
        series.links.iter_mut().for_each(|link| cut(&mut link.bins));
        series.ports.iter_mut().for_each(|port| cut(&mut port.bins));
        recent.take(series, START_US + to as i64 * BIN_US);
    };
    look(&mut recent, 1.0, 0, 90);
    look(&mut recent, 2.0, 60, 120);
    let picture = Painter::default().paint(&recent, &[], &Basis::default());
    let way = picture.connections[0].way(Direction::ToMicrosoft);
    let gigabits: Vec<f32> = [0, 59, 60, 119].map(|bin| way.history.bps[bin] / 1e9).to_vec();
    assert_eq!((way.history.bps.len(), gigabits), (120, vec![1.0, 1.0, 2.0, 2.0]));
    // Five minutes of 1 Gbit/s three times, though the third was seen to have been 2 later.
    assert_eq!((way.p95_bps, way.steps_known), (Some(2e9), 4));
}

#[test]
fn what_if_answers_for_several_at_once() {
    let address = shown(three());
    let answer = document(address, "/api/v1/what-if?down=a&down=b");
    let to = &answer["directions"][0];
    assert_eq!((to["holds"].as_bool(), to["survivors"][0]["connection"].as_str()), (Some(false), Some("c")));
    assert_eq!(to["survivors"][0]["worst_ratio"].as_f64(), Some(1.25));
    assert_eq!(get(address, "/api/v1/what-if?down=nobody").0, 404);
    assert_eq!(document(address, "/api/v1/what-if?down=a&down=b&down=c")["directions"][0]["holds"], Value::Null);
    assert_eq!(document(address, "/api/v1/what-if")["down"], Value::Array(vec![]));
}

#[test]
fn what_a_failure_did_before_it_is_taken_to_do_again() {
    let fall = |direction| Fall {
        connections: vec!["a".into()],
        direction,
        started_us: START_US - 86_400 * SECOND_US,
        ended_us: Some(START_US - 86_000 * SECOND_US),
        shares: vec![("b".into(), 1.0, 0.01)],
    };
    let links: [(&str, Load<'_>); 3] = [("a", &|_| Some(4.0)), ("b", &|_| Some(3.0)), ("c", &|_| Some(3.0))];
    // What a carries from Microsoft, b and c carry too, c most of it.
    let portion = |connection: &str, bytes: f64| Portion { connection: connection.into(), prefixes: vec![(0, bytes)] };
    let split = [portion("a", 4.0), portion("b", 1.0), portion("c", 3.0)];
    let check = |falls: &[Fall], split: &[Portion], expected: (&str, f64)| {
        let mut recent = Recent::default();
        recent.take(series(&links), START_US + BINS as i64 * BIN_US);
        let picture = Painter::default().paint(&recent, &[], &Basis { falls: falls.into(), split: split.into() });
        let failure = picture.connections.iter().find(|one| &*one.name == "a").unwrap().failure.clone().unwrap();
        assert_eq!((&*failure.survivor, (failure.utilisation * 100.0).round()), expected);
    };
    check(&[], &[], ("b", 50.0));
    check(&[], &split, ("c", 60.0));
    check(&Direction::ALL.map(fall), &split, ("b", 70.0));
}

#[test]
fn changes_are_told_as_they_come_and_nothing_twice() {
    let (screen, address) = server(Access::default(), WebLimits::default());
    screen.show(three());
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET /api/v1/live HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut next = || -> Value {
        let data = lines.find_map(|line| line.strip_prefix("data: ").map(str::to_owned)).unwrap();
        serde_json::from_str(&data).unwrap()
    };
    let first = next();
    assert_eq!((first["connections"].as_array().unwrap().len(), &first["order"][0]), (3, &Value::from("c")));
    screen.show(snapshot(&[("a", &|_| Some(1.0)), ("b", &|_| Some(3.0)), ("c", &|_| Some(8.6))]));
    let second = next();
    // Of b and of a it is other what they would come to: c is fuller.
    let told: Vec<&str> = second["connections"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!((told, &second["order"]), (vec!["c", "b", "a"], &Value::Null));
    let mut same = three();
    same.connections = snapshot(&[("a", &|_| Some(1.0)), ("b", &|_| Some(3.0)), ("c", &|_| Some(8.6))]).connections;
    screen.show(same);
    assert_eq!(next()["connections"], Value::Array(vec![]));
}

#[test]
fn wrong_questions_get_a_sentence() {
    let address = shown(three());
    for (path, status, words) in [
        ("/api/v1/nothing", 404, "openapi.json"),
        ("/assets/../src/lib.rs", 404, "nothing here"),
        ("/assets/..%2fsrc%2flib.rs", 404, "no such file"),
        ("/api/v1/connection", 400, "name is missing"),
        ("/api/v1/connection?name=x%00", 400, "zero byte"),
        ("/api/v1/connection?name=%3Cscript%3E", 404, "<script>"),
        ("/api/v1/connections?color=red", 400, "it takes none"),
        ("/api/v1/loads?connection=a&from_ms=5&to_ms=5", 400, "not before"),
        ("/api/v1/loads?connection=a&from_ms=0", 400, "range_days"),
        ("/api/v1/loads?connection=a&from_ms=now", 400, "milliseconds"),
        ("/api/v1/shares?connection=a&by=colour", 400, "service, region"),
        ("/api/v1/shares?connection=a&by=service", 500, "the disk is gone"),
    ] {
        let (got, head, body) = get(address, path);
        assert_eq!(got, status, "{path}: {body}");
        assert!(body.contains(words) && head.contains("application/json"), "{path}: {head} {body}");
    }
    let (status, head, _) = send(address, &format!("DELETE /api/v1/connections HTTP/1.1\r\nhost: {address}"), "");
    assert!(status == 405 && head.contains("allow: get,head"), "{head}");
    assert_eq!(send(address, "GET / HTTP/1.1\r\nhost: rebound.example.org", "").0, 421);
}

#[test]
fn every_answer_is_kept_to_this_place() {
    let address = shown(three());
    for path in ["/", "/assets/page.js", "/assets/uPlot.LICENSE.txt", "/api/v1/connections", "/metrics", "/nowhere"] {
        let (_, head, _) = get(address, path);
        for expected in ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff", "cache-control: no-"] {
            assert!(head.contains(expected), "{path}: {expected}: {head}");
        }
    }
    let (_, _, page) = get(address, "/");
    let elsewhere = page.match_indices("src=\"").chain(page.match_indices("href=\"")).filter(|(at, what)| {
        let rest = &page[at + what.len()..];
        !(rest.starts_with('/') || rest.starts_with('#'))
    });
    assert_eq!(elsewhere.count(), 0, "nothing is asked of others");
}

#[test]
fn counters_are_taken_with_a_token_alone_all_lines_or_none() {
    let push = |address: SocketAddr, authorization: &str, body: &str| {
        let head = format!("POST /api/v1/counters HTTP/1.1\r\nhost: {address}\r\nauthorization: {authorization}");
        let (status, _, body) = send(address, &head, body);
        (status, body)
    };
    let open = shown(three());
    assert_eq!(push(open, "Bearer x", "{}").0, 403);
    let access = Access { token: Some("0123456789abcdef".into()), ..Access::default() };
    let (screen, address) = server(access, WebLimits { push_bytes: 1_024, ..WebLimits::default() });
    screen.show(three());
    let token = "Bearer 0123456789abcdef";
    assert_eq!(push(address, token, "{}\n{}\n"), (202, "{\"lines\":2}".to_string()));
    let (status, body) = push(address, token, "{}\nnonsense");
    assert!(status == 400 && body.contains("line 2: no JSON"), "{body}");
    assert_eq!(push(address, token, "busy").0, 503);
    assert_eq!(push(address, token, &"{".repeat(2_000)).0, 413);
    // The password of a browser is let in to look, and no further.
    let basic = "Basic eDowMTIzNDU2Nzg5YWJjZGVm";
    assert_eq!(push(address, basic, "{}").0, 401);
    let (status, _, _) = send(address, &format!("GET / HTTP/1.1\r\nhost: {address}\r\nauthorization: {basic}"), "");
    assert_eq!(status, 200);
    let (status, head, _) = get(address, "/");
    assert!(status == 401 && head.contains("www-authenticate: basic"), "{head}");
}

#[test]
fn more_pages_than_may_are_refused() {
    let (screen, address) = server(Access::default(), WebLimits { listeners: 1, ..WebLimits::default() });
    screen.show(three());
    let mut first = TcpStream::connect(address).unwrap();
    write!(first, "GET /api/v1/live HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    let mut head = [0; 15];
    first.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    assert_eq!(get(address, "/api/v1/live").0, 503);
}

#[test]
fn health_says_no_before_figures_come() {
    let (screen, address) = server(Access::default(), WebLimits::default());
    assert_eq!((get(address, "/healthz").0, get(address, "/readyz").0), (200, 503));
    screen.show(three());
    assert_eq!((get(address, "/healthz").0, get(address, "/readyz").0), (200, 200));
    let mut failing = three();
    failing.process.is_disk_failing = true;
    screen.show(failing);
    assert_eq!((get(address, "/healthz").0, get(address, "/readyz").0), (200, 503));
}

#[test]
fn metrics_are_open_metrics_whatever_names_hold() {
    let mut snapshot = snapshot(&[("quote\" back\\ line\n", &|_| Some(1.0)), ("b", &|_| None)]);
    snapshot.alerts.push(Alert {
        at_us: START_US,
        rule: "saturation".into(),
        state: "firing".into(),
        severity: "critical".into(),
        connection: None,
        direction: None,
        summary: String::new(),
    });
    let (_, head, text) = get(shown(snapshot), "/metrics");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    let labels = r#"{connection="quote\" back\\ line\n",direction="to_microsoft"}"#;
    assert!(text.contains(&format!("peerscope_connection_load_bytes_per_second{labels} 125000000.0\n")), "{text}");
    assert!(!text.contains("connection_load_bytes_per_second{connection=\"b\""), "unknown has no sample");
    assert!(text.contains("peerscope_alerts_firing{rule=\"saturation\",severity=\"critical\"} 1.0\n"), "{text}");
    assert!(text.contains("peerscope_datagrams_received_total 0.0\n"), "{text}");
    let mut families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let all = families.len();
    families.sort_unstable();
    families.dedup();
    assert!(families.len() == all && all > 40, "{all}");
}

#[test]
fn the_description_names_every_place_that_answers() {
    let address = shown(three());
    let described = document(address, "/api/v1/openapi.json");
    let paths = described["paths"].as_object().unwrap();
    for path in paths.keys().filter(|path| *path != "/api/v1/live") {
        assert_ne!(get(address, path).0, 404, "{path}");
    }
    let routes: Vec<&str> = include_str!("routes.rs")
        .lines()
        .filter_map(|line| line.trim().strip_prefix(".route(\"")?.split('"').next())
        .filter(|path| *path != "/" && !path.starts_with("/assets"))
        .collect();
    assert!(routes.len() > 10 && routes.iter().all(|route| paths.contains_key(*route)), "{routes:?}");
}
