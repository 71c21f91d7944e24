//! Alerts from end to end: a real Alertmanager, targets that fail in every way, a collector that is killed between.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use model::tables::AlertRow;
use serde_json::Value;

use crate::resuming::datagram;
use crate::softflowd::{collector_with, stop};
use crate::{checkout, has_program, peerscope, refuse, succeed};

/// How long something is waited for that takes some ten seconds: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(240);

#[track_caller]
fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// A port of the loopback that nothing listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Alertmanager with nobody to notify.
struct Alertmanager(Child);

impl Alertmanager {
    fn start(folder: &Path, port: u16) -> Alertmanager {
        let config = folder.join("alertmanager.yml");
        std::fs::write(&config, "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n").unwrap();
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.join("alertmanager").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Alertmanager(child)
    }

    /// What it says goes on.
    fn alerts(port: u16) -> Option<Vec<Value>> {
        let page = receive::get(&format!("http://127.0.0.1:{port}/api/v2/alerts"), Duration::from_secs(5)).ok()?;
        serde_json::from_str(&page).ok()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A receiver of webhooks that answers as it is told to, and keeps what it was sent.
#[derive(Clone, Default)]
struct Hook {
    bodies: Arc<Mutex<Vec<Value>>>,
    requests: Arc<AtomicU32>,
}

impl Hook {
    /// Answers `500` so many times first; `u32::MAX` never answers at all.
    fn listen(port: u16, refused: u32) -> Hook {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let hook = Hook::default();
        let of_thread = hook.clone();
        thread::spawn(move || {
            let mut hung = Vec::new();
            for connection in listener.incoming().map_while(Result::ok) {
                let request = of_thread.requests.fetch_add(1, Ordering::SeqCst);
                if refused == u32::MAX {
                    hung.push(connection);
                } else {
                    of_thread.answer(connection, request < refused);
                }
            }
        });
        hook
    }

    fn answer(&self, mut connection: TcpStream, is_refused: bool) {
        let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
        let body = loop {
            let Ok(count @ 1..) = connection.read(&mut buffer) else { return };
            request.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&request).to_lowercase();
            let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
            let end = head.len() + 4 + length.unwrap_or(0);
            if request.len() >= end {
                break request[head.len() + 4..end].to_vec();
            }
        };
        let status = if is_refused { "500 Internal Server Error" } else { "200 OK" };
        if !is_refused {
            self.bodies.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        }
        let _ = connection.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes());
    }

    /// Notices of a saturation in that state, by their ids; of one that goes on those that call it critical: the first bin
    /// may be filled in part.
    fn notices(&self, state: &str) -> Vec<String> {
        let bodies = self.bodies.lock().unwrap();
        let alerts = bodies.iter().flat_map(|body| body["alerts"].as_array().cloned().unwrap_or_default());
        let is_told = |alert: &Value| {
            let labels = &alert["labels"];
            let is_critical = state != "firing" || labels["severity"] == "critical";
            alert["status"] == state && labels["alertname"] == "PeerscopeSaturation" && is_critical
        };
        let of_state = alerts.filter(is_told);
        of_state.map(|alert| alert["id"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// A load far above the port's capacity, to whichever collector runs.
struct Load {
    address: Arc<Mutex<String>>,
    record_bytes: Arc<AtomicU32>,
    is_stopped: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Load {
    fn start(address: &str) -> Load {
        let (address, is_stopped) = (Arc::new(Mutex::new(address.to_owned())), Arc::new(AtomicBool::new(false)));
        let record_bytes = Arc::new(AtomicU32::new(10_000));
        let (to, stop, bytes) = (address.clone(), is_stopped.clone(), record_bytes.clone());
        let thread = thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut sequence = 0;
            while !stop.load(Ordering::Relaxed) {
                let _ = socket.send_to(&datagram(sequence, 30, bytes.load(Ordering::Relaxed)), &*to.lock().unwrap());
                sequence += 30;
                thread::sleep(Duration::from_millis(100));
            }
        });
        Load { address, record_bytes, is_stopped, thread: Some(thread) }
    }

    /// From now on next to nothing: of an exporter that is silent nobody knows that its load is over.
    fn ease(&self) {
        self.record_bytes.store(100, Ordering::Relaxed);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A port that 24 Mbit/s fill; bins are mature at their end, levels hold and clear at once.
fn configuration(alertmanager: u16, hooks: [u16; 3]) -> String {
    let [refusing, hanging, absent] = hooks;
    format!(
        "[[exporter]]\nname = \"r1\"\naddress = \"127.0.0.1\"\n\
         [[port]]\nname = \"pni\"\nexporter = \"r1\"\ninterfaces = [4]\ncapacity_bps = 10_000_000\n\
         [[connection]]\nname = \"fra-1\"\nrole = \"direct\"\nport = \"pni\"\nlocation = \"Frankfurt\"\n\
         [measure]\nactive_timeout_seconds = 0\ngrace_seconds = 0\n\
         [alerts]\nretry_seconds_most = 2\nresend_seconds = 2\ntimeout_seconds = 2\n\
         [[alert_rule]]\nrule = \"saturation\"\nwarning = 80\ncritical = 95\nhold_seconds = 0\nclear_seconds = 0\n\
         [[alert_target]]\nname = \"alertmanager\"\nkind = \"alertmanager\"\nurl = \"http://127.0.0.1:{alertmanager}\"\n\
         labels = {{ site = \"lab\" }}\n\
         [[alert_target]]\nname = \"refusing\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{refusing}/\"\n\
         [[alert_target]]\nname = \"hanging\"\nkind = \"slack\"\nurl = \"http://127.0.0.1:{hanging}/SECRET\"\n\
         [[alert_target]]\nname = \"absent\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{absent}/\"\n"
    )
}

/// What Alertmanager has of a critical saturation.
fn saturation(alertmanager: u16) -> Option<Value> {
    let is_it =
        |alert: &Value| alert["labels"]["alertname"] == "PeerscopeSaturation" && alert["labels"]["severity"] == "critical";
    Alertmanager::alerts(alertmanager)?.into_iter().find(is_it)
}

#[test]
fn a_saturation_is_told_whatever_targets_do_and_though_the_collector_is_killed() {
    if !has_program("prometheus-alertmanager") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("peerscope.toml"));
    let (alertmanager, ports) = (free_port(), [free_port(), free_port(), free_port()]);
    std::fs::write(&config, configuration(alertmanager, ports)).unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let refusing = Hook::listen(ports[0], 3);
    let hanging = Hook::listen(ports[1], u32::MAX);
    let (mut child, address) = collector_with(&data, &arguments);
    let load = Load::start(&address);
    // Alertmanager and one target are down, one hangs, one answers 500 three times: it is told the fourth time.
    wait_for("told though it answered 500", || (!refusing.notices("firing").is_empty()).then_some(()));
    assert!(refusing.requests.load(Ordering::SeqCst) >= 4);
    wait_for("the hanging one was tried", || (hanging.requests.load(Ordering::SeqCst) > 0).then_some(()));
    let server = Alertmanager::start(folder.path(), alertmanager);
    let told = wait_for("Alertmanager is told once it is there", || saturation(alertmanager));
    let labels = &told["labels"];
    for (label, value) in [
        ("severity", "critical"),
        ("connection", "fra-1"),
        ("port", "pni"),
        ("direction", "to_microsoft"),
        ("location", "Frankfurt"),
        ("role", "direct"),
        ("rule", "saturation"),
        ("site", "lab"),
    ] {
        assert_eq!(labels[label], value, "{told}");
    }
    assert_eq!(told["status"]["state"], "active");
    assert!(told["annotations"]["summary"].as_str().unwrap().contains("fra-1 to Microsoft"), "{told}");
    // Killed in the middle of it: what was not taken yet is told by the next run, what was taken is not told anew.
    child.kill().unwrap();
    child.wait().unwrap();
    let absent = Hook::listen(ports[2], 0);
    let (child, address) = collector_with(&data, &arguments);
    *load.address.lock().unwrap() = address;
    let waiting = wait_for("told after a kill", || absent.notices("firing").first().cloned());
    let listed = succeed(peerscope(&["alerts", "list", "--format", "csv", "--data"]).arg(&data));
    assert!(listed.lines().any(|line| line.starts_with("firing,critical,saturation,fra-1")), "{listed}");
    let taken = refusing.notices("firing");
    let times = taken.iter().filter(|id| **id == waiting).count();
    assert!((1..=2).contains(&times), "one duplicate at most of {waiting}: {taken:?}");
    load.ease();
    wait_for("both hear that it ended", || {
        (!refusing.notices("resolved").is_empty() && !absent.notices("resolved").is_empty()).then_some(())
    });
    wait_for("Alertmanager has it as ended", || {
        (Alertmanager::alerts(alertmanager).is_some() && saturation(alertmanager).is_none()).then_some(())
    });
    drop(load);
    stop(child);
    drop(server);
    check_rows(&data);
}

/// The table says what happened, and who has heard of it.
#[track_caller]
fn check_rows(data: &Path) {
    let rows = store::read::<AlertRow>(data, i64::MIN, i64::MAX).unwrap().rows;
    let rows: Vec<&AlertRow> = rows.iter().filter(|row| &*row.rule == "saturation").collect();
    let states: Vec<(&str, &str)> = rows.iter().map(|row| (&*row.state, &*row.severity)).collect();
    let (first, last) = (states.first(), states.last());
    assert!(
        first.is_some_and(|(state, _)| *state == "firing") && last.is_some_and(|(state, _)| *state == "resolved"),
        "{states:?}"
    );
    let has_heard = |row: &AlertRow, target: &str| row.delivered.iter().any(|name| &**name == target);
    let fired = rows.iter().find(|row| &*row.state == "firing" && &*row.severity == "critical").unwrap();
    for target in ["alertmanager", "refusing", "absent"] {
        assert!(has_heard(fired, target), "{target}: {fired:?}");
    }
    assert!(!has_heard(fired, "hanging") && fired.value > Some(95.0) && fired.threshold == Some(95.0), "{fired:?}");
}

#[test]
fn a_replay_judges_as_the_collector_would_have_and_tells_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // Ports that the load of one connection fills by half, and that of two altogether.
    let scenario = std::fs::read_to_string(checkout("samples/scenarios/failover.toml")).unwrap();
    std::fs::write(path("scenario.toml"), scenario.replace("speed_bps = 100_000_000_000", "speed_bps = 2_500_000")).unwrap();
    let mut simulate = peerscope(&["simulate", "capture"]);
    simulate.arg(path("scenario.toml")).arg("--output").arg(path("capture.pcap"));
    succeed(simulate.arg("--config-output").arg(path("edge.toml")));
    let port = free_port();
    let hook = Hook::listen(port, 0);
    let target = format!("\n[[alert_target]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/\"\n");
    std::fs::write(path("edge.toml"), std::fs::read_to_string(path("edge.toml")).unwrap() + &target).unwrap();
    let replay = |data: &str| {
        let mut replay = peerscope(&["replay"]);
        succeed(replay.arg(path("capture.pcap")).arg("--config").arg(path("edge.toml")).arg("--data").arg(path(data)));
        store::read::<AlertRow>(&path(data), i64::MIN, i64::MAX).unwrap().rows
    };
    let rows = replay("one");
    assert_eq!(rows, replay("two"));
    assert_eq!(rows, replay("two"), "over its own rows");
    let told: Vec<(&str, &str, &str)> = rows
        .iter()
        .filter(|row| &*row.rule == "saturation" && row.connection.as_deref() == Some("fra-2"))
        .map(|row| (&**row.direction.as_ref().unwrap(), &*row.state, &*row.severity))
        .collect();
    assert!(told.contains(&("from_microsoft", "firing", "critical")), "{rows:#?}");
    assert!(rows.iter().all(|row| row.delivered.is_empty()) && hook.requests.load(Ordering::SeqCst) == 0);
}

#[test]
fn targets_can_be_tried_and_say_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("peerscope.toml");
    let (right, wrong, closed) = (free_port(), free_port(), free_port());
    let hook = Hook::listen(right, 0);
    let _refusing = Hook::listen(wrong, u32::MAX - 1);
    let target = |name: &str, port: u16| {
        format!("[[alert_target]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/SECRET\"\n")
    };
    std::fs::write(&config, target("right", right)).unwrap();
    assert_eq!(succeed(peerscope(&["alerts", "test", "--config"]).arg(&config)), "right: taken\n");
    assert_eq!(hook.bodies.lock().unwrap()[0]["alerts"][0]["labels"]["detail"], "test");
    std::fs::write(&config, target("wrong", wrong) + &target("closed", closed)).unwrap();
    let output = peerscope(&["alerts", "test", "--config"]).arg(&config).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.code() == Some(1) && said.contains("wrong: not taken: it answered 500"), "{said}");
    assert!(said.contains("closed: not taken: it cannot be reached") && !said.contains("SECRET"), "{said}");
    assert!(refuse(&mut peerscope(&["alerts", "test"]), 2).contains("alert_target"));
}

#[test]
fn silences_are_asked_for_listed_and_ended() {
    let data = tempfile::tempdir().unwrap();
    let alerts = |arguments: &[&str]| {
        let mut command = peerscope(&["alerts"]);
        command.args(arguments).arg("--data").arg(data.path());
        command
    };
    let said = succeed(&mut alerts(&["silence", "--for", "2h", "--connection", "fra-1", "--comment", "maintenance"]));
    assert!(said.starts_with("silence 1 holds until 20"), "{said}");
    succeed(&mut alerts(&["silence", "--until", "2999-01-01T00:00:00Z", "--rule", "flat_top"]));
    let listed = succeed(&mut alerts(&["list", "--format", "csv"]));
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines.len() == 3 && lines[1].starts_with("silence 1,,,fra-1,,20") && lines[1].ends_with("maintenance"), "{listed}");
    assert!(lines[2].starts_with("silence 2,,flat_top,"), "{listed}");
    succeed(&mut alerts(&["unsilence", "1"]));
    assert_eq!(succeed(&mut alerts(&["list", "--format", "csv"])).lines().count(), 2);
    assert!(refuse(&mut alerts(&["unsilence", "9"]), 2).contains("silence 9"));
    assert!(refuse(&mut alerts(&["silence", "--for", "soon"]), 2).contains("soon"));
    assert!(refuse(&mut alerts(&["silence", "--until", "tomorrow"]), 2).contains("tomorrow"));
    assert!(refuse(&mut alerts(&["silence", "--for", "1h", "--rule", "saturaton"]), 2).contains("saturation"));
    for time in [["--until", "2020-01-01T00:00:00Z"], ["--for", "4000000d"]] {
        assert!(refuse(&mut alerts(&["silence", time[0], time[1]]), 2).contains("a time that is to come"), "{time:?}");
    }
}
