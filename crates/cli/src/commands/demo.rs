//! `peerscope demo`: a simulated network sends real datagrams to a real collector on this machine.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use model::tables::LinkRow;
use model::time::{DETAIL_WINDOW_US, slot_start_us};
use serde_json::{Value, json};
use simulate::{Scenario, Truth};

use super::simulate::LiveOutput;
use crate::clock::Clock;
use crate::collector::{Collector, Ending, Sources};
use crate::commands::collect::print_outcome;
use crate::configuration::{ConfigurationArguments, Configured};
use crate::failure::Failure;
use crate::links_report;
use crate::output::{Format, Heading, number, print_rows, text};

/// The network of the demo.
const SCENARIO: &str = include_str!("../../../../samples/scenarios/demo.toml");

/// Send a simulated network's telemetry to a real collector on this machine, and report its links
///
/// Time runs faster than on the wall, which is said on screen. Nothing leaves the loopback.
#[derive(Args)]
pub(crate) struct Demo {
    /// Folder for the Parquet files; without it they are removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many times faster than the wall's the demo's time runs
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=600))]
    speed: u32,
}

impl Demo {
    /// Runs the network and the collector, then reports.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut scenario = Scenario::parse(SCENARIO).map_err(Failure::failed)?;
        // From a full window on, so that the first one is whole.
        let clock = Clock::time_lapse(slot_start_us(Clock::wall().now_us(), DETAIL_WINDOW_US), self.speed);
        scenario.start_at(clock.now_us());
        let temporary = tempfile::tempdir().map_err(|error| Failure::failed(format!("no temporary folder: {error}")))?;
        let data = self.data.clone().unwrap_or_else(|| temporary.path().join("data"));
        let configuration = temporary.path().join("demo.toml");
        let customers = temporary.path().join("customers.txt");
        let cannot = |error| Failure::failed(format!("{}: cannot be written: {error}", temporary.path().display()));
        std::fs::write(&customers, scenario.customer_list()).map_err(cannot)?;
        let sections = format!("{}\n[lists]\nown_prefixes = [\"customers.txt\"]\n", scenario.collector_configuration());
        std::fs::write(&configuration, sections).map_err(cannot)?;
        let configured =
            Configured::load(&ConfigurationArguments { config: Some(configuration), ..ConfigurationArguments::default() })?;
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sources = Sources { listen: vec![loopback], workers: 2, ..Sources::default() };
        #[cfg_attr(not(feature = "web"), expect(unused_mut))]
        let mut collector = Collector::start(&configured, &sources, &data, clock)?;
        let target = collector.listening().first().and_then(|(address, _)| address.parse().ok()).unwrap_or(loopback);
        writeln!(
            std::io::stdout(),
            "{} routers send to a collector on {target}; {} minutes pass {} times as fast as on the wall",
            scenario.routers.len(),
            scenario.duration_seconds / 60,
            self.speed
        )?;
        #[cfg(feature = "web")]
        show_page(&mut collector, &configured, &data, clock)?;
        let started_us = clock.now_us();
        let (truth, outcome) = run_both(&scenario, collector, target, clock)?;
        let ended_us = clock.now_us();
        writeln!(std::io::stdout(), "\nWhat each link carried, by the collector's Parquet files:\n")?;
        links_report::print(&data, started_us - 60_000_000, ended_us, Format::Table)?;
        writeln!(std::io::stdout(), "\nThe same beside the simulation's truth, bytes on the link layer over the whole run:\n")?;
        compare(&data, &truth)?;
        writeln!(std::io::stdout())?;
        print_outcome(&outcome)?;
        if self.data.is_some() {
            writeln!(std::io::stdout(), "the Parquet files are in {}", data.display())?;
        }
        Ok(())
    }
}

/// Shows the page at its usual place, or where there is room.
#[cfg(feature = "web")]
fn show_page(collector: &mut Collector, configured: &Configured, data: &std::path::Path, clock: Clock) -> Result<(), Failure> {
    let usual = configured.page.listen.map(|(address, _)| address);
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = usual.into_iter().chain([anywhere]).find_map(|address| std::net::TcpListener::bind(address).ok());
    match listener {
        Some(listener) => super::show(collector, listener, configured, data, clock),
        None => Ok(()),
    }
}

fn run_both(
    scenario: &Scenario,
    collector: Collector,
    target: SocketAddr,
    clock: Clock,
) -> Result<(Truth, crate::collector::Outcome), Failure> {
    let stop_network = super::collect::stop_on_signal()?;
    let stop_collector = Arc::new(AtomicBool::new(false));
    let network = {
        let (scenario, stop_network, stop_collector) = (scenario.clone(), stop_network.clone(), stop_collector.clone());
        std::thread::spawn(move || {
            let mut output = LiveOutput::new(target, clock, stop_network);
            let truth = simulate::run(&scenario, &mut output);
            let sent = output.finish();
            stop_collector.store(true, Ordering::Relaxed);
            sent.map(|_| truth)
        })
    };
    if std::io::stderr().is_terminal() {
        show_progress(scenario, clock, stop_collector.clone());
    }
    let outcome = collector.run(&stop_collector, Ending::Final)?;
    let truth = network.join().map_err(|_| Failure::failed("the simulation panicked; please report this"))??;
    Ok((truth, outcome))
}

fn show_progress(scenario: &Scenario, clock: Clock, stop: Arc<AtomicBool>) {
    let (start_us, seconds) = (scenario.start_us(), i64::from(scenario.duration_seconds));
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let passed = ((clock.now_us() - start_us) / 1_000_000).clamp(0, seconds);
            let _ = write!(std::io::stderr(), "\r{:>2} of {} minutes", passed / 60, seconds / 60);
            std::thread::sleep(Duration::from_millis(250));
        }
        let _ = write!(std::io::stderr(), "\r                    \r");
    });
}

const COMPARISON: &[Heading] = &[
    text("link"),
    text("direction"),
    number("true_megabytes"),
    number("estimated_megabytes"),
    number("standard_error_megabytes"),
    number("difference_in_standard_errors"),
];

fn compare(data: &std::path::Path, truth: &Truth) -> Result<(), Failure> {
    let rows = store::read::<LinkRow>(data, i64::MIN, i64::MAX).map_err(Failure::failed)?.rows;
    let mut sums: BTreeMap<(&str, &str), (f64, f64)> = BTreeMap::new();
    for row in &rows {
        let sum = sums.entry((&row.connection, &row.direction)).or_default();
        let bytes = |bps: Option<f64>| bps.unwrap_or(0.0) * row.window_seconds as f64 / 8.0;
        sum.0 += bytes(row.mean_bps);
        sum.1 += bytes(row.standard_error_bps).powi(2);
    }
    let megabytes = |bytes: f64| json!((bytes / 1e5).round() / 10.0);
    let cells: Vec<Vec<Value>> = truth
        .links
        .iter()
        .map(|link| {
            let (bytes, variance) = sums.get(&(link.link.as_str(), link.direction.as_str())).copied().unwrap_or_default();
            let (expected, error) = (link.total.l2_bytes as f64, variance.sqrt());
            let score = if error > 0.0 { json!(((bytes - expected) / error * 100.0).round() / 100.0) } else { Value::Null };
            vec![json!(link.link), json!(link.direction), megabytes(expected), megabytes(bytes), megabytes(error), score]
        })
        .collect();
    print_rows(COMPARISON, &cells, Format::Table)
}
