//! Tables in an object store: real Azurite and an S3 server, collectors that copy into it, reports that are read from it.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use report::Report;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::resuming::datagram;
use crate::simulated::Replayed;
use crate::softflowd::{collector_at, stop};
use crate::{checkout, has_program, peerscope, refuse, succeed};

/// How long something is waited for that takes some seconds: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// The key of the account that every Azurite has; it is in its manual.
const AZURITE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Makes a container in Azurite: signed as its service asks for, without a library.
const MAKE_CONTAINER: &str = r#"
const [port, key] = process.argv.slice(1), date = new Date().toUTCString(), version = "2021-08-06";
const path = "/devstoreaccount1/tables", headers = { "x-ms-date": date, "x-ms-version": version, "content-length": 0 };
const text = `PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:${date}\nx-ms-version:${version}\n/devstoreaccount1${path}\nrestype:container`;
const sign = require("crypto").createHmac("sha256", Buffer.from(key, "base64")).update(text, "utf8").digest("base64");
headers.authorization = `SharedKey devstoreaccount1:${sign}`;
const request = { host: "127.0.0.1", port, method: "PUT", path: path + "?restype=container", headers };
require("http").request(request, answer => process.exit(answer.statusCode < 300 ? 0 : 1)).on("error", () => process.exit(1)).end();
"#;

/// A server of objects on this machine.
struct Server {
    child: Option<Child>,
    is_azurite: bool,
    port: u16,
    folder: TempDir,
}

impl Server {
    /// Azurite, or `None` where it is not installed.
    fn azurite() -> Option<Server> {
        (has_program("azurite-blob") && has_program("node")).then(|| Server::begin(true))
    }

    /// Moto's S3, or `None` where it is not installed.
    fn s3() -> Option<Server> {
        (has_program("moto_server") && has_program("node")).then(|| Server::begin(false))
    }

    fn begin(is_azurite: bool) -> Server {
        let mut server = Server::down(is_azurite);
        server.start();
        let port = server.port.to_string();
        let mut make = Command::new("node");
        match is_azurite {
            true => make.args(["-e", MAKE_CONTAINER, &port, AZURITE_KEY]),
            false => make.args([
                "-e",
                &format!("fetch('http://127.0.0.1:{port}/tables', {{ method: 'PUT' }}).then(a => process.exit(a.ok ? 0 : 1))"),
            ]),
        };
        assert!(make.status().unwrap().success(), "the container cannot be made");
        server
    }

    /// One that is not started yet, on a port that nothing listens on.
    fn down(is_azurite: bool) -> Server {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Server { child: None, is_azurite, port, folder: tempfile::tempdir().unwrap() }
    }

    /// Starts it, with what it held before.
    fn start(&mut self) {
        let port = self.port.to_string();
        let mut command = match self.is_azurite {
            true => {
                let mut command = Command::new("azurite-blob");
                command.args([
                    "--blobHost",
                    "127.0.0.1",
                    "--blobPort",
                    &port,
                    "--silent",
                    "--disableTelemetry",
                    "--skipApiVersionCheck",
                ]);
                command.arg("--location").arg(self.folder.path());
                command
            }
            false => {
                let mut command = Command::new("moto_server");
                command.args(["-H", "127.0.0.1", "-p", &port]);
                command
            }
        };
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "the server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Gently: Azurite writes down what it holds when it is told to end.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }

    fn url(&self) -> &'static str {
        if self.is_azurite { "az://devstoreaccount1/tables/some/where" } else { "s3://tables/some/where" }
    }

    /// A command that finds it by its environment, as Azure's and Amazon's own tools do.
    fn told(&self, arguments: &[&str]) -> Command {
        let port = self.port;
        let mut command = peerscope(arguments);
        command.env("XDG_CACHE_HOME", self.folder.path().join("cache"));
        match self.is_azurite {
            true => command.env("AZURE_ALLOW_HTTP", "true").env(
                "AZURE_STORAGE_CONNECTION_STRING",
                format!(
                    "AccountName=devstoreaccount1;AccountKey={AZURITE_KEY};BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
                ),
            ),
            false => command
                .env("AWS_ALLOW_HTTP", "true")
                .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
                .env("AWS_REGION", "eu-central-1")
                .env("AWS_ACCESS_KEY_ID", "a")
                .env("AWS_SECRET_ACCESS_KEY", "b"),
        };
        command
    }

    fn copy(&self, data: &Path, collector: &str) -> Command {
        let mut copy = self.told(&["copy", "--to", self.url(), "--collector", collector, "--data"]);
        copy.arg(data);
        copy
    }

    /// A report's JSON, from the store.
    fn report(&self, name: &str, arguments: &[&str]) -> Value {
        let mut report = self.told(&["report", name, "--format", "json", "--data", self.url()]);
        serde_json::from_str(&succeed(report.args(arguments))).unwrap()
    }

    /// A query's only number, from the store.
    fn number(&self, query: &str) -> f64 {
        let mut sql = self.told(&["sql", query, "--format", "json", "--data", self.url()]);
        let printed = succeed(&mut sql);
        let row: Value = serde_json::from_str(printed.lines().next().unwrap_or("null")).unwrap();
        row.as_object().and_then(|row| row.values().next()?.as_f64()).unwrap_or_else(|| panic!("no number: {printed}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The same network elsewhere, whose routers and connections nobody else has.
fn elsewhere() -> Replayed {
    let text = std::fs::read_to_string(checkout("samples/scenarios/failover.toml")).unwrap();
    let other = [("\"fra", "\"par"), ("\"ams", "\"mad"), ("\"192.0.2.", "\"192.0.3."), ("\"Frankfurt\"", "\"Paris\"")];
    Replayed::scenario(&other.iter().fold(text, |text, (from, to)| text.replace(from, to)))
}

/// A report's JSON, from folders.
fn report_of(name: &str, folders: &[&Path], arguments: &[&str]) -> Value {
    let mut report = peerscope(&["report", name, "--format", "json"]);
    folders.iter().for_each(|folder| _ = report.arg("--data").arg(folder));
    serde_json::from_str(&succeed(report.args(arguments))).unwrap()
}

#[test]
fn reports_from_a_store_of_two_collectors_are_those_of_their_folders() {
    let (here, there) = (Replayed::sample("failover"), elsewhere());
    for server in [Server::azurite(), Server::s3()].into_iter().flatten() {
        let printed = succeed(&mut server.copy(&here.data(), "fra-1"));
        assert!(printed.contains(": copied ") && !printed.contains("copied 0 files"), "{printed}");
        succeed(&mut server.copy(&there.data(), "par-1"));
        assert!(succeed(&mut server.copy(&here.data(), "fra-1")).contains("copied 0 files of 0 hours"), "it is there already");
        let said = refuse(&mut server.copy(&there.data(), "fra-1"), 1);
        assert!(said.contains("the collector \"fra-1\" is another data folder's"), "{said}");
        for name in Report::ALL.iter().map(|report| report.name).filter(|name| *name != "failovers") {
            let both = report_of(name, &[&here.data(), &there.data()], &[]);
            assert_eq!(server.report(name, &[]), both, "{name}");
            assert_eq!(server.report(name, &["--collector", "par-1"]), report_of(name, &[&there.data()], &[]), "{name} of one");
        }
        let sent = |replayed: &Replayed| replayed.truth.links.iter().map(|truth| truth.total.l3_bytes as f64).sum::<f64>();
        let found = server.number("select sum(bytes_estimated) as bytes from traffic");
        assert!((found - sent(&here) - sent(&there)).abs() < 1.0, "{found}");
    }
}

#[test]
fn what_two_collectors_hear_of_the_same_counts_once() {
    let (one, other) = (Replayed::sample("failover"), Replayed::sample("failover"));
    let folders = [one.data(), other.data()];
    for name in ["links", "traffic", "overview", "exporters", "latency"] {
        let alone = report_of(name, &[&folders[0]], &[]);
        let mut both = report_of(name, &[&folders[0], &folders[1]], &[]);
        let notes = both["notes"].as_array_mut().unwrap();
        let told = notes.iter().filter(|note| note.as_str().unwrap().starts_with("more than one collector tells")).count();
        assert!((1..=3).contains(&told), "{name}: {notes:?}");
        notes.retain(|note| !note.as_str().unwrap().starts_with("more than one collector tells"));
        assert_eq!(both, alone, "{name}");
    }
}

#[test]
fn a_store_that_is_away_or_refuses_is_named_with_what_to_do() {
    let data = Replayed::sample("small");
    let server = Server::down(true);
    let said = refuse(&mut server.copy(&data.data(), "fra-1"), 1);
    assert!(said.contains("az://devstoreaccount1/tables/some/where: cannot get") && !said.contains(AZURITE_KEY), "{said}");
    let said = refuse(server.copy(&data.data(), "fra-1").env_remove("AZURE_ALLOW_HTTP"), 2);
    assert!(said.contains("is without TLS; set AZURE_ALLOW_HTTP=true"), "{said}");
    let said = refuse(&mut server.copy(&data.data(), "fra 1"), 2);
    assert!(said.contains("--collector \"fra 1\": give 1 to 64 letters"), "{said}");
    let said = refuse(&mut peerscope(&["report", "links", "--data", "az://account"]), 2);
    assert!(said.contains("\"az://account\": give az://ACCOUNT/CONTAINER/PREFIX"), "{said}");
    let said = refuse(&mut peerscope(&["report", "links", "--data", "gs://bucket/prefix"]), 2);
    assert!(said.contains("gs://bucket/prefix: no store of this kind is read"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("peerscope.toml");
    std::fs::write(&config, "[store]\n\n[objects]\nurl = \"https://account\"\ncollector = \"fra-1\"\n").unwrap();
    let said = refuse(peerscope(&["check"]).arg(&config), 2);
    assert!(said.contains("peerscope.toml:4:1: [objects] url = \"https://account\": give az://"), "{said}");
    let Some(server) = Server::azurite() else { return };
    let said = refuse(server.told(&["report", "links", "--data"]).arg(server.url()), 1);
    assert!(said.contains("there are no tables here; check the address"), "{said}");
}

/// A collector that copies every second, and how it finds the store.
fn collect(server: &Server, data: &Path) -> (Child, String) {
    let config = data.with_extension("toml");
    let text = format!(
        "[objects]\nurl = \"{}\"\ncollector = \"live\"\n[objects.limits]\nevery_seconds = 1\ntimeout_seconds = 5\n[alerts]\n",
        server.url()
    );
    std::fs::write(&config, text).unwrap();
    let mut collect = server.told(&["collect", "--web", "off", "--listen", "127.0.0.1:0", "--config"]);
    collect.arg(&config).arg("--data").arg(data).stdout(Stdio::null()).stderr(Stdio::piped());
    collector_at(collect.spawn().unwrap()).expect("the collector says where it listens")
}

#[test]
fn a_collector_copies_whatever_the_target_and_it_itself_go_through() {
    let Some(mut server) = Server::azurite() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |address: &str, run: u32| {
        (0..5).for_each(|flow| _ = socket.send_to(&datagram(run * 5 + flow, 1, 1_000), address).unwrap());
    };
    let exported = || server_sum(&data);
    // The target takes requests and never answers: the collector receives and stops as ever.
    server.stop();
    let hanging = std::net::TcpListener::bind(("127.0.0.1", server.port)).unwrap();
    let (child, address) = collect(&server, &data);
    send(&address, 0);
    let started = Instant::now();
    stop(child);
    assert!(started.elapsed() < Duration::from_secs(30), "a target that hangs holds nobody up: {:?}", started.elapsed());
    drop(hanging);
    assert_eq!(exported(), 5_000);
    // It is there again, and the collector is killed while it copies.
    server.start();
    let (mut child, address) = collect(&server, &data);
    send(&address, 1);
    let started = Instant::now();
    let query = "select coalesce(sum(bytes_exported), 0) as bytes from exporters";
    let copied = || {
        let mut sql = server.told(&["sql", query, "--format", "json", "--data", server.url()]);
        sql.output().unwrap().status.success().then(|| server.number(query))
    };
    while copied().is_none_or(|bytes| bytes < 5_000.0) {
        assert!(started.elapsed() < PATIENCE, "what was left over is not copied");
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The next start copies the rest, at the latest when it stops.
    let (child, address) = collect(&server, &data);
    send(&address, 2);
    stop(child);
    assert_eq!(server.number(query), exported() as f64);
    assert!(exported() >= 10_000, "{}", exported());
    for table in ["links", "traffic", "exporters"] {
        let count = format!("select count(*) as rows from {table}");
        let local = succeed(peerscope(&["sql", &count, "--format", "json", "--data"]).arg(&data));
        let local: BTreeMap<String, Value> = serde_json::from_str(local.lines().next().unwrap()).unwrap();
        assert_eq!(json!(server.number(&count)), json!(local["rows"].as_f64()), "{table}");
    }
}

fn server_sum(data: &Path) -> i64 {
    let rows = store::read::<model::tables::ExporterRow>(data, i64::MIN, i64::MAX).unwrap().rows;
    rows.iter().map(|row| row.bytes_exported).sum()
}
