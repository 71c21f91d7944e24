//! The live collector beside nfcapd and sfcapd: the same load over the loopback, in turn, in one run.
//! Beside them a loop that receives and looks at nothing: what the kernel takes of any collector.
//!
//! `cargo bench --bench live` prints the tables that benches/results holds; `-- 20` has each run take twenty
//! seconds. The collector is alone on core 0, the sender on core 1. What counts is processor time a record,
//! user and system, from the first datagram to the last. Needs `taskset`; collectors that are not installed
//! are left out with a word.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Rounds in which every collector has its turn.
const ROUNDS: usize = 3;
/// Records a second, far from what any of them loses.
const EASY: [(&str, u64); 4] = [("v5", 1_000_000), ("v9", 1_000_000), ("ipfix", 1_000_000), ("sflow", 400_000)];
/// Records a second where every record is kept.
const FLOWS_RATE: u64 = 500_000;
/// Rates at which loss is looked for, records a second.
const HARD: [u64; 7] = [1_500_000, 2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000, 5_000_000];
/// Clock ticks of `/proc` in a second.
const TICKS: f64 = 100.0;
const PORT: &str = "29955";

/// The argument with which this program is the loop that only receives.
const DRAIN: &str = "--drain";

/// A collector and how it is started.
#[derive(Clone, Copy)]
enum Subject {
    Drain,
    /// nfcapd or sfcapd, and what else they are told.
    Capd(&'static str, &'static [&'static str]),
    Peerscope {
        workers: u32,
        configuration: &'static str,
    },
}

/// What one run came to.
struct Outcome {
    microseconds_a_record: f64,
    sent: u64,
    counted: u64,
    rate: f64,
    memory_mib: u64,
    /// What it wrote, bytes.
    written: u64,
}

const PEERSCOPE: Subject = Subject::Peerscope { workers: 1, configuration: "" };
const TWO_WORKERS: Subject = Subject::Peerscope { workers: 2, configuration: "" };
const PEERSCOPE_FLOWS: Subject = Subject::Peerscope { workers: 1, configuration: "[store]\nflows = true\n" };
const NFCAPD_LZ4: Subject = Subject::Capd("nfcapd", &["-y"]);

fn main() {
    if std::env::args().any(|argument| argument == DRAIN) {
        drain();
    }
    let seconds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(6);
    println!(
        "| datagrams | collector | µs of processor time a record (range) | times the peer's | memory, MiB | bytes written a record |"
    );
    println!("|---|---|---|---|---|---|");
    for (protocol, rate) in EASY {
        easy(&[peer(protocol), PEERSCOPE, TWO_WORKERS, Subject::Drain], protocol, rate, seconds);
    }
    easy(&[NFCAPD_LZ4, PEERSCOPE_FLOWS], "v9", FLOWS_RATE, seconds);
    println!("\n| datagrams | collector | loss by rate sent, records a second |\n|---|---|---|");
    for (protocol, _) in EASY {
        for subject in [peer(protocol), PEERSCOPE].into_iter().filter(Subject::is_installed) {
            println!("| {protocol} | {} | {} |", subject.name(), hard(subject, protocol, seconds.min(4)));
        }
    }
}

fn peer(protocol: &str) -> Subject {
    Subject::Capd(if protocol == "sflow" { "sfcapd" } else { "nfcapd" }, &[])
}

/// Receives and looks at nothing until it is killed.
fn drain() -> ! {
    let address = format!("127.0.0.1:{PORT}").parse().expect("an address");
    let mut receivers = receive::bind(address, 1, &receive::Senders::default(), &receive::ReceiverSettings::default())
        .expect("the port is free")
        .workers;
    loop {
        receive::wait_any(&receivers, Duration::from_secs(1)).expect("the socket works");
        receivers[0].receive(|datagram| _ = std::hint::black_box(datagram)).expect("the socket works");
    }
}

/// Rounds in which every collector has its turn; the first is the peer.
fn easy(subjects: &[Subject], protocol: &str, rate: u64, seconds: u64) {
    let subjects: Vec<Subject> = subjects.iter().copied().filter(Subject::is_installed).collect();
    let mut outcomes: Vec<Vec<Outcome>> = subjects.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (subject, outcomes) in subjects.iter().zip(&mut outcomes) {
            outcomes.push(subject.run(protocol, rate, seconds));
        }
    }
    let median = |outcomes: &[Outcome]| {
        let mut costs: Vec<f64> = outcomes.iter().map(|outcome| outcome.microseconds_a_record).collect();
        costs.sort_by(f64::total_cmp);
        (costs[costs.len() / 2], costs[0], costs[costs.len() - 1])
    };
    let (first, ..) = median(&outcomes[0]);
    for (subject, outcomes) in subjects.iter().zip(&outcomes) {
        let (cost, least, most) = median(outcomes);
        let memory = outcomes.iter().map(|outcome| outcome.memory_mib).max().unwrap_or(0);
        let written = outcomes.last().map_or(0.0, |outcome| outcome.written as f64 / outcome.sent as f64);
        let (name, times) = (subject.name(), cost / first);
        println!("| {protocol} | {name} | {cost:.3} ({least:.3} to {most:.3}) | {times:.2} | {memory} | {written:.1} |");
    }
}

/// The share that was lost at each rate, up to the sender's limit.
fn hard(subject: Subject, protocol: &str, seconds: u64) -> String {
    let mut told = Vec::new();
    for rate in HARD {
        let outcome = subject.run(protocol, rate, seconds);
        let lost = 1.0 - outcome.counted as f64 / outcome.sent as f64;
        told.push(format!("{:.1} M: {:.2} %", outcome.rate / 1e6, lost.max(0.0) * 100.0));
        if outcome.rate < rate as f64 * 0.95 {
            told.push("the sender's limit".to_owned());
            break;
        }
    }
    told.join(", ")
}

impl Subject {
    fn name(&self) -> String {
        match self {
            Subject::Drain => "a loop that only receives".to_owned(),
            Subject::Capd(name, arguments) => [&[*name], *arguments].concat().join(" "),
            Subject::Peerscope { workers: 1, configuration: "" } => "peerscope".to_owned(),
            Subject::Peerscope { workers: 1, .. } => "peerscope, flows kept".to_owned(),
            Subject::Peerscope { workers, .. } => format!("peerscope, {workers} workers"),
        }
    }

    fn is_installed(&self) -> bool {
        let Subject::Capd(name, _) = self else { return true };
        let look = Command::new("sh").args(["-c", &format!("command -v {name}")]).output();
        let is_there = look.is_ok_and(|out| out.status.success());
        if !is_there {
            eprintln!("{name} is not installed: left out");
        }
        is_there
    }

    fn start(&self, folder: &Path) -> Child {
        let mut command = Command::new("taskset");
        // Two workers have both cores, as they would on a router's collector.
        let cores = if matches!(self, Subject::Peerscope { workers: 2, .. }) { "0,1" } else { "0" };
        command.args(["-c", cores]);
        match self {
            Subject::Drain => command.arg(std::env::current_exe().expect("this program")).arg(DRAIN),
            Subject::Capd(name, arguments) => {
                command.arg(name).args(*arguments).args(["-p", PORT, "-B", "67108864", "-w"]).arg(folder)
            }
            Subject::Peerscope { workers, configuration } => {
                let path = folder.join("peerscope.toml");
                fs::write(&path, configuration).expect("the folder can be written");
                command.args([env!("CARGO_BIN_EXE_peerscope"), "collect", "--listen", &format!("127.0.0.1:{PORT}"), "--config"]);
                command.arg(path).args(["--workers", &workers.to_string(), "--data"]).arg(folder.join("data"))
            }
        };
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("taskset is installed")
    }

    fn run(&self, protocol: &str, rate: u64, seconds: u64) -> Outcome {
        let folder = tempfile::tempdir().expect("a folder for what they write");
        let mut collector = self.start(folder.path());
        let said = std::thread::spawn({
            let (out, err) = (collector.stdout.take(), collector.stderr.take());
            move || {
                let err = std::thread::spawn(move || text(err));
                text(out) + &err.join().unwrap_or_default()
            }
        });
        sleep(Duration::from_secs(2));
        let before = ticks(&collector);
        let (sent, rate) = send(protocol, rate, seconds);
        sleep(Duration::from_secs(1));
        let cost = (ticks(&collector) - before) / TICKS;
        let memory_mib = memory(&collector) / 1_024;
        let _ = Command::new("kill").arg(collector.id().to_string()).status();
        let _ = collector.wait();
        let said = said.join().unwrap_or_default();
        let counted = number_after(&said, "records ").or_else(|| number_after(&said, "Flows: ")).unwrap_or(0);
        let written = bytes_below(folder.path());
        Outcome { microseconds_a_record: cost * 1e6 / sent as f64, sent, counted, rate, memory_mib, written }
    }
}

/// Bytes of all files below a folder.
fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let one = |entry: fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => bytes_below(&entry.path()),
        data => data.map_or(0, |data| data.len()),
    };
    entries.map(one).sum()
}

/// Records sent, and how many a second.
fn send(protocol: &str, rate: u64, seconds: u64) -> (u64, f64) {
    let to = format!("127.0.0.1:{PORT}");
    let output = Command::new("taskset")
        .args(["-c", "1", env!("CARGO_BIN_EXE_peerscope"), "simulate", "load", "--to", &to, "--protocol", protocol])
        .args(["--rate", &rate.to_string(), "--seconds", &seconds.to_string(), "--exporters", "8", "--flows", "50000"])
        .output()
        .expect("the sender runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let sent = number_after(&said, "datagrams, ").expect("the sender says what it sent");
    (sent, number_after(&said, "s: ").unwrap_or(0) as f64)
}

fn text(pipe: Option<impl Read>) -> String {
    let lines = pipe.map(|pipe| BufReader::new(pipe).lines().map_while(Result::ok).collect::<Vec<_>>());
    lines.unwrap_or_default().join("\n")
}

/// The number behind the last place of some words: what is said last is the whole.
fn number_after(said: &str, words: &str) -> Option<u64> {
    let (_, rest) = said.rsplit_once(words)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn ticks(child: &Child) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let field = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    // User and system time are the 14th and 15th, and two stand before the bracket.
    field(11) + field(12)
}

/// The most memory that was resident, KiB.
fn memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}
