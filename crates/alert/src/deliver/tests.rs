//! Targets that refuse, hang, redirect or come late; a disk that hangs.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Answers every request with this head and keeps the requests; gives where it listens.
fn server(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let of_thread = requests.clone();
    thread::spawn(move || {
        let mut hung = Vec::new();
        for mut connection in listener.incoming().map_while(Result::ok) {
            let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
            while !String::from_utf8_lossy(&request).ends_with('}') {
                match connection.read(&mut buffer) {
                    Ok(count @ 1..) => request.extend_from_slice(&buffer[..count]),
                    _ => break,
                }
            }
            of_thread.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
            match answer {
                "" => hung.push(connection),
                answer => {
                    _ = connection
                        .write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
                }
            }
        }
    });
    (address, requests)
}

fn targets(entries: &[(&str, &str)]) -> Vec<Target> {
    #[derive(Deserialize)]
    struct File {
        alert_target: Vec<TargetConfig>,
    }
    let entry =
        |(name, url): &(&str, &str)| format!("[[alert_target]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"{url}\"\n");
    let text: String = entries.iter().map(entry).collect();
    let mut errors = Vec::new();
    let targets = check_targets(&toml::from_str::<File>(&text).unwrap().alert_target, Path::new("."), &mut errors);
    assert_eq!(errors, Vec::<String>::new());
    targets
}

fn settings() -> AlertSettings {
    AlertSettings { retry_seconds_most: 1, timeout_seconds: 1, ..AlertSettings::default() }
}

fn notice(connection: &str) -> Notice {
    let subject = Subject { connection: Some(connection.into()), ..Subject::default() };
    Notice { alert: Alert { kind: Kind::Saturation, subject, severity: Severity::Critical, ..test_alert(0) }, before: None }
}

/// A disk in memory; one that hangs keeps whoever writes to it.
#[derive(Clone, Default)]
struct Disk {
    state: Arc<Mutex<Vec<u8>>>,
    hangs: bool,
}

impl Keep for Disk {
    fn save(&mut self, state: &[u8]) -> Result<(), String> {
        if self.hangs {
            loop {
                thread::park();
            }
        }
        *self.state.lock().unwrap() = state.to_vec();
        Ok(())
    }

    fn silences(&mut self) -> Option<Vec<Silence>> {
        None
    }
}

fn start(targets: Vec<Target>, settings: &AlertSettings, disk: &Disk) -> Delivery {
    let saved = Saved::read(&disk.state.lock().unwrap()).unwrap_or_default();
    Delivery::start(targets, settings, saved, Box::new(disk.clone()))
}

#[test]
fn a_target_says_why_it_takes_nothing_and_none_leads_elsewhere() {
    let (elsewhere, asked) = server("200 OK");
    let redirect = format!("302 Found\r\nLocation: {elsewhere}/").leak();
    for (answer, expected) in [
        ("200 OK", Ok(())),
        (&*redirect, Err("redirects are not followed")),
        ("500 Oops", Err("it answered 500")),
        ("400 Bad Request", Err("it answered 400")),
        ("", Err("it did not answer in time")),
    ] {
        let (address, _) = server(answer);
        let tested = test_target(&targets(&[("t", &address)])[0], &settings());
        match expected {
            Ok(()) => assert_eq!(tested, Ok(())),
            Err(part) => {
                assert!(tested.as_ref().is_err_and(|reason| reason.contains(part) && !reason.contains("http")), "{tested:?}")
            }
        }
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn one_that_hangs_delays_no_other() {
    let ((hanging, _), (working, requests)) = (server(""), server("200 OK"));
    let mut delivery =
        start(targets(&[("hanging", &hanging), ("working", &working)]), &AlertSettings::default(), &Disk::default());
    for connection in ["one", "two", "three"] {
        delivery.tell([notice(connection)], Vec::new(), Vec::new());
        wait_until("told", || requests.lock().unwrap().iter().any(|request| request.contains(connection)));
    }
}

#[test]
fn what_a_target_has_not_taken_the_next_run_tells() {
    let disk = Disk::default();
    let absent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut delivery = start(targets(&[("t", &format!("http://{absent}"))]), &settings(), &disk);
    delivery.tell([notice("one"), notice("two")], Vec::new(), b"engine".to_vec());
    assert_eq!(delivery.stop(PATIENCE), Vec::new());
    let saved = Saved::read(&disk.state.lock().unwrap()).unwrap();
    assert_eq!((saved.engine.as_slice(), saved.waiting[0].1.len()), (&b"engine"[..], 2));
    let (address, requests) = server("200 OK");
    let delivery = start(targets(&[("t", &address)]), &settings(), &disk);
    wait_until("told by the next run", || !requests.lock().unwrap().is_empty());
    let request = requests.lock().unwrap()[0].clone();
    assert!(request.contains("\"one\"") && request.contains("\"two\""), "{request}");
    let mut delivered = delivery.stop(PATIENCE);
    delivered.retain(|delivered| delivered.target == "t");
    assert_eq!(delivered.len(), 2);
    assert!(Saved::read(&disk.state.lock().unwrap()).unwrap().waiting[0].1.is_empty());
}

#[test]
fn a_disk_that_hangs_costs_a_second_and_no_alert() {
    let (address, requests) = server("200 OK");
    let mut delivery = start(targets(&[("t", &address)]), &settings(), &Disk { hangs: true, ..Disk::default() });
    delivery.tell([notice("one")], Vec::new(), Vec::new());
    wait_until("told", || requests.lock().unwrap().iter().any(|request| request.contains("one")));
}

#[test]
fn what_is_refused_for_good_is_given_up_and_what_waits_is_bounded() {
    let (refusing, _) = server("404 Not Found");
    let mut delivery = start(targets(&[("t", &refusing)]), &settings(), &Disk::default());
    delivery.tell([notice("one")], Vec::new(), Vec::new());
    let troubles = |delivery: &Delivery| delivery.troubles().iter().map(|(what, _)| what.to_string()).collect::<Vec<_>>();
    wait_until("given up", || troubles(&delivery).contains(&"alert_losses t".to_owned()));
    let (hanging, _) = server("");
    let settings = AlertSettings { waiting_max: 10, ..AlertSettings::default() };
    let mut delivery = start(targets(&[("u", &hanging)]), &settings, &Disk::default());
    delivery.tell((0..15).map(|index| notice(&format!("c{index}"))), Vec::new(), Vec::new());
    wait_until("fallen off", || troubles(&delivery).contains(&"alert_losses u".to_owned()));
}

#[test]
fn a_target_hears_of_what_is_bad_enough_and_that_it_is_no_longer() {
    let notice = |state, severity, before| Notice { alert: Alert { state, severity, ..test_alert(0) }, before };
    let heard = |notice: Notice, least| notice.from(least).map(|alert| (alert.state, alert.severity));
    let (firing, resolved) = (State::Firing, State::Resolved);
    let (info, warning, critical) = (Severity::Info, Severity::Warning, Severity::Critical);
    for (notice, least, expected) in [
        (notice(firing, warning, None), warning, Some((firing, warning))),
        (notice(firing, info, None), warning, None),
        (notice(firing, warning, Some(critical)), critical, Some((resolved, critical))),
        (notice(firing, warning, Some(critical)), warning, Some((firing, warning))),
        (notice(resolved, info, Some(info)), warning, None),
        (notice(resolved, warning, Some(warning)), warning, Some((resolved, warning))),
    ] {
        assert_eq!(heard(notice.clone(), least), expected, "{notice:?}");
    }
}
