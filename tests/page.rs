//! The live page: driven in a real browser, its API by schemathesis, its metrics by Prometheus, its doors tried.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{checkout, has_program, peerscope, refuse, succeed};

/// A program with a page; it ends with the test.
struct Running {
    child: Child,
    /// Address of the page.
    page: String,
    _data: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a command that serves a page, and waits until it says where.
fn start(mut command: Command, data: tempfile::TempDir) -> Running {
    let mut child = command.arg("--data").arg(data.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let page = lines.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix("page on http://").map(str::to_owned));
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("page: {line}")));
    let page = page.expect("it says where the page is").trim_end_matches('/').to_owned();
    Running { child, page, _data: data }
}

/// A network and its collector, for two minutes and a half.
fn demo() -> Running {
    let mut command = peerscope(&["demo", "--speed", "4", "--scenario"]);
    command.arg(checkout("samples/scenarios/mixed.toml"));
    start(command, tempfile::tempdir().unwrap())
}

fn collector(arguments: &[&str]) -> Running {
    let mut command = peerscope(&["collect", "--listen", "127.0.0.1:0", "--web", "127.0.0.1:0"]);
    command.args(arguments);
    start(command, tempfile::tempdir().unwrap())
}

/// Status and body of an answer.
fn ask(page: &str, request: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(page).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let length = body.len();
    write!(stream, "{request} HTTP/1.1\r\nhost: {page}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Asks again until an answer is as it should be.
#[track_caller]
fn until(page: &str, path: &str, is_right: impl Fn(&str) -> bool) -> String {
    for _ in 0..600 {
        let (_, body) = ask(page, &format!("GET {path}"), "", "");
        if is_right(&body) {
            return body;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("{path} does not become what it should be: {}", ask(page, &format!("GET {path}"), "", "").1);
}

#[test]
fn the_page_is_driven_in_a_browser() {
    let modules =
        Command::new("npm").args(["root", "-g"]).output().map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned());
    let modules = std::env::var("NODE_PATH").or(modules).unwrap_or_default();
    let has_driver = Path::new(&modules).join("playwright-core").exists();
    if !has_program("chromium") || !has_program("node") || !has_driver {
        eprintln!("passed over: playwright-core (npm) or Chromium is not installed");
        return;
    }
    let running = demo();
    // Screenshots stay for whoever wants to look at them.
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut drive = Command::new("node");
    drive.arg(checkout("tests/page/drive.cjs")).arg(format!("http://{}", running.page)).arg(kept).env("NODE_PATH", modules);
    let said = succeed(&mut drive);
    assert!(said.contains("nothing went wrong on a phone"), "{said}");
}

#[test]
fn the_api_is_as_it_is_described() {
    if !has_program("schemathesis") {
        return;
    }
    let running = demo();
    until(&running.page, "/api/v1/connections", |body| body.contains("fra-direct-1"));
    // It keeps what it found beside where it runs.
    let folder = tempfile::tempdir().unwrap();
    let mut schemathesis = Command::new("schemathesis");
    schemathesis.current_dir(&folder);
    schemathesis.args(["run", "--exclude-path", "/api/v1/live", "--max-examples", "20", "--seed", "8075", "--no-color"]);
    schemathesis.args(["--phases", "examples,coverage,fuzzing", "--request-timeout", "60"]);
    succeed(schemathesis.arg(format!("http://{}/api/v1/openapi.json", running.page)));
}

#[test]
fn prometheus_reads_the_metrics_and_the_rules() {
    if !has_program("prometheus") || !has_program("promtool") {
        return;
    }
    let rules = checkout("samples/prometheus-rules.yml");
    succeed(Command::new("promtool").args(["check", "rules"]).arg(&rules));
    succeed(Command::new("promtool").args(["test", "rules"]).arg(checkout("tests/page/rules.yml")));
    let running = demo();
    until(&running.page, "/metrics", |body| body.contains("peerscope_connection_load_bytes_per_second{"));
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let configuration = folder.path().join("prometheus.yml");
    let text = format!(
        "global:\n  scrape_interval: 1s\nrule_files: [\"{}\"]\nscrape_configs:\n- job_name: peerscope\n  static_configs:\n  - targets: [\"{}\"]\n",
        std::fs::canonicalize(&rules).unwrap().display(),
        running.page
    );
    std::fs::write(&configuration, text).unwrap();
    let mut prometheus = Command::new("prometheus");
    prometheus.arg(format!("--config.file={}", configuration.display()));
    prometheus.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    prometheus.arg(format!("--web.listen-address={port}")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = prometheus.spawn().unwrap();
    let port = port.to_string();
    let came = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(200));
        TcpStream::connect(&port).is_ok()
            && ask(&port, "GET /api/v1/query?query=peerscope_connection_load_bytes_per_second", "", "").1.contains("fra-direct-1")
    });
    let (_, asked) = ask(&port, "GET /api/v1/rules", "", "");
    let _ = child.kill();
    let _ = child.wait();
    assert!(came, "Prometheus has no load of fra-direct-1");
    assert!(!asked.contains("\"health\":\"err\""), "{asked}");
}

/// Names that a text refers to of what we export.
fn metrics_of(text: &str) -> std::collections::BTreeSet<String> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    text.split(|character| !is_part(character)).filter(|word| word.starts_with("peerscope_")).map(str::to_owned).collect()
}

#[test]
fn dashboard_and_rules_speak_of_metrics_that_there_are() {
    let running = demo();
    let told = until(&running.page, "/metrics", |body| {
        ["connection_load_bytes_per_second", "exporter_coverage_ratio", "connection_failure_utilisation_ratio"]
            .iter()
            .all(|name| body.contains(&format!("peerscope_{name}{{")))
    });
    let known: std::collections::BTreeSet<String> = told
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next().map(str::to_owned))
        .collect();
    // Those that have no sample while all is well.
    let rare = ["peerscope_alerts_firing", "peerscope_connection_p95_utilisation_ratio", "peerscope_log_lines_suppressed_total"];
    for file in ["samples/prometheus-rules.yml", "samples/grafana-dashboard.json"] {
        let text = std::fs::read_to_string(checkout(file)).unwrap();
        let spoken = metrics_of(&text);
        assert!(spoken.len() > 5, "{file}");
        let unknown: Vec<&String> =
            spoken.iter().filter(|name| !known.contains(*name) && !rare.contains(&name.as_str())).collect();
        assert!(unknown.is_empty(), "{file} speaks of {unknown:?}");
    }
    let dashboard = std::fs::read_to_string(checkout("samples/grafana-dashboard.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&dashboard).unwrap();
}

#[test]
fn pushed_counters_reach_their_port() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    write("token", "0123456789abcdef\n");
    let configuration = write(
        "peerscope.toml",
        "[web]\ntoken_file = \"token\"\n[[exporter]]\nname = \"r1\"\naddress = \"192.0.2.101\"\n[[port]]\nname = \"r1-ae1\"\n\
         exporter = \"r1\"\ninterfaces = [7]\ncapacity_bps = 10_000_000_000\n[[connection]]\nname = \"one\"\nrole = \"direct\"\nport = \"r1-ae1\"\n",
    );
    let running = collector(&["--config", configuration.to_str().unwrap()]);
    let token = "authorization: Bearer 0123456789abcdef\r\n";
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let line = |ago_ms: u64, octets: u64| {
        let at = now_ms - ago_ms;
        format!(
            "{{\"exporter\":\"r1\",\"ifIndex\":7,\"time\":{at},\"in_octets\":{octets},\"out_octets\":{octets},\"in_pkts\":{0},\"out_pkts\":{0}}}\n",
            octets / 1_000
        )
    };
    // 1 Gbit/s: 125 MB a second.
    let lines = format!("{}{}", line(120_000, 1_000_000_000), line(20_000, 1_000_000_000 + 12_500_000_000));
    assert_eq!(ask(&running.page, "POST /api/v1/counters", "", &lines).0, 401);
    assert_eq!(ask(&running.page, "POST /api/v1/counters", token, &lines), (202, "{\"lines\":2}".to_owned()));
    let is_there = |_: &()| {
        let (_, body) = ask(&running.page, "GET /api/v1/connection?name=one", token, "");
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        let ratio = answer["connection"]["from_microsoft"]["utilisation_ratio"].as_f64().unwrap_or(0.0);
        (0.1..0.11).contains(&ratio) && answer["connection"]["from_microsoft"]["utilisation_by"] == "counters"
    };
    let came = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(200));
        is_there(&())
    });
    assert!(came, "{}", ask(&running.page, "GET /api/v1/connection?name=one", token, "").1);
}

#[test]
fn the_page_is_not_opened_to_everybody_unasked() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let collect = |web: &str| peerscope(&["collect", "--data", folder, "--listen", "127.0.0.1:0", "--web", web]);
    let told = refuse(&mut collect("0.0.0.0:0"), 2);
    assert!(told.contains("token_file") && told.contains("proxies") && told.lines().count() == 1, "{told}");
    assert!(refuse(&mut collect("everywhere"), 2).contains("ADDRESS:PORT"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = refuse(&mut collect(&address), 1);
    assert!(told.contains(&address) && told.contains("--web off"), "{told}");
    let configuration = data.path().join("peerscope.toml");
    std::fs::write(&configuration, "[web]\nlisten = \"[::]:8075\"\n[web.limits]\nqueries = 0\n").unwrap();
    let told = refuse(peerscope(&["check"]).arg(&configuration), 2);
    assert!(told.contains("[web] the page would be open") && told.contains("[web.limits] queries = 0"), "{told}");
}

#[test]
fn the_log_is_json_where_it_is_asked_for() {
    let data = tempfile::tempdir().unwrap();
    // In use is no reason not to collect, where nobody asked for this address.
    let taken = std::net::TcpListener::bind("127.0.0.1:8075");
    let mut command = peerscope(&["collect", "--listen", "127.0.0.1:0", "--log-format", "json", "--data"]);
    let mut child = command.arg(data.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let told = lines.take(4).find(|line| line.starts_with('{'));
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    child.wait().unwrap();
    drop(taken);
    let told: serde_json::Value = serde_json::from_str(&told.expect("a line of JSON")).unwrap();
    assert_eq!(told["level"], "warn");
    assert!(told["message"].as_str().unwrap().contains("there is no page"), "{told}");
}
