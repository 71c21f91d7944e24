//! Reports beside DuckDB: the same queries over the same files on the same cores, in turn, in one run.
//!
//! `cargo bench --bench reports` makes 30 days of 400 connections as a collector with the default configuration leaves
//! them (once: they are kept in the target folder), and prints the table that benches/results holds; `-- 3` makes and asks
//! three days. Of DuckDB only the queries count, without the start of its process. Needs python3 with duckdb and pyarrow.

mod network;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Rounds in which both have their turn; the first warms the files up and does not count.
const ROUNDS: usize = 4;
/// The reports, and the queries that each asks.
const REPORTS: [(&str, &[&str]); 3] =
    [("links", &["links", "ports"]), ("traffic", &["traffic"]), ("overview", &["links", "ports", "exporters"])];

fn main() {
    let days = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(30);
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("reports-{days}"));
    if !data.join("complete").exists() {
        let started = Instant::now();
        network::generate(&data, days);
        std::fs::write(data.join("complete"), "").expect("the target folder can be written");
        eprintln!("{days} days made in {:.0} s", started.elapsed().as_secs_f64());
    }
    println!("| report | peerscope, s (range) | DuckDB, s (range) | times DuckDB's | memory of peerscope, MiB |");
    println!("|---|---|---|---|---|");
    for (report, queries) in REPORTS {
        let (mut ours, mut theirs, mut memory) = (Vec::new(), Vec::new(), 0);
        for round in 0..ROUNDS {
            let (seconds, most) = peerscope(report, &data, days);
            let duckdb = duckdb(queries, &data);
            if round > 0 {
                ours.push(seconds);
                theirs.push(duckdb);
                memory = memory.max(most / 1_024);
            }
        }
        let times = median(&mut ours) / median(&mut theirs);
        println!("| {report} | {} | {} | {times:.2} | {memory} |", told(&mut ours), told(&mut theirs));
    }
}

fn median(seconds: &mut [f64]) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn told(seconds: &mut [f64]) -> String {
    let middle = median(seconds);
    format!("{middle:.2} ({:.2} to {:.2})", seconds[0], seconds[seconds.len() - 1])
}

/// Seconds that a report takes from start to end of the process, and the most memory that was resident, KiB.
fn peerscope(report: &str, data: &Path, days: i64) -> (f64, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerscope"));
    command.args(["report", report, "--format", "json", "--output", "/dev/null", "--last", &format!("{days}d"), "--data"]);
    let started = Instant::now();
    let mut child = command.arg(data).spawn().expect("the program runs");
    let mut most = 0;
    loop {
        if let Some(status) = child.try_wait().expect("it is ours") {
            assert!(status.success(), "{report} fails");
            return (started.elapsed().as_secs_f64(), most);
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0).max(most);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Seconds that DuckDB takes for queries of the reports.
fn duckdb(names: &[&str], data: &Path) -> f64 {
    let text = |name: &&str| {
        report::QUERIES.iter().find(|(known, _)| known == name).map(|(_, sql)| sql.replace("{by}", "direction, service"))
    };
    let input = serde_json::json!({ "data": data, "queries": names.iter().filter_map(text).collect::<Vec<_>>() });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/reports/duckdb_side.py");
    let output = Command::new("python3").args([script, &input.to_string()]).stderr(Stdio::inherit()).output();
    let printed = output.expect("python3 is installed").stdout;
    String::from_utf8_lossy(&printed).trim().parse().expect("python3 has duckdb and pyarrow")
}
