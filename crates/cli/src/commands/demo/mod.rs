//! `peerscope demo`: a simulated network sends real datagrams to a real collector on this machine.

mod failed;
mod figures;
mod handshakes;
mod network;
#[cfg(feature = "report")]
mod page;
mod story;
mod table;
mod truth;
mod verdict;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use model::tables::PrefixRow;
use model::time::DAY_US;
use simulate::{Handshakes, Scenario, Truth};

use crate::clock::Clock;
use crate::collector::{Collector, Ending, Outcome, Sources};
use crate::commands::collect::print_outcome;
use crate::commands::simulate::read_scenario;
use crate::configuration::{ConfigurationArguments, Configured};
use crate::failure::Failure;
use failed::{Failed, Sources as Told};
use figures::Measured;
use network::{Network, Places};

/// The network of the demo, and its day.
const SCENARIO: &str = include_str!("../../../../../samples/scenarios/day.toml");

/// Run a day of a simulated network in two minutes before a real collector, and say what happened
///
/// Three metros, six Direct connections, exchanges, transit; four routers send over the loopback, nothing leaves this machine.
/// One connection fails at the evening peak. Time runs faster than on the wall, which is said on screen.
#[derive(Args)]
pub(crate) struct Demo {
    /// Folder for the Parquet files and the page; without it the files are removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many times faster than the wall's the demo's time runs, where the machine keeps up
    #[arg(long, value_name = "N", default_value_t = 720, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    speed: u32,
    /// Another network (TOML); samples/scenarios has some
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// File for the page of it all (HTML); without it, one in --data or among the temporary files
    #[cfg(feature = "report")]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Demo {
    /// Runs the network and the collector, then reports.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut scenario = match &self.scenario {
            Some(path) => read_scenario(path)?,
            None => Scenario::parse(SCENARIO).map_err(Failure::failed)?,
        };
        self.check(&scenario)?;
        // Yesterday, at the scenario's own time of day: nothing of it lies in the future.
        let midnight_us = (Clock::wall().now_us() - DAY_US).div_euclid(DAY_US) * DAY_US;
        let start_us = midnight_us + scenario.start_us().rem_euclid(DAY_US);
        scenario.start_at(start_us);
        let stage = Stage::set(&scenario, self.data.clone())?;
        let clock = Clock::time_lapse(start_us, self.speed);
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // One worker takes datagrams in the order in which they are sent: how many it has taken says how far it is.
        let sources = Sources { listen: vec![loopback], workers: 1, ..Sources::default() };
        let mut collector = Collector::start(&stage.configured, &sources, &stage.data, clock)?;
        let telemetry = collector.listening().first().and_then(|(address, _)| address.parse().ok()).unwrap_or(loopback);
        let mirrors = mirror_socket(&mut collector, &stage.configured, &scenario)?;
        self.introduce(&scenario, telemetry)?;
        #[cfg(feature = "web")]
        show_page(&mut collector, &stage.configured, &stage.data, clock)?;
        let places = Places { telemetry, mirrors, taken: collector.taken() };
        let ran = run_both(&scenario, collector, &places, &stage, clock)?;
        self.conclude(&scenario, &stage, &ran)?;
        if self.data.is_some() {
            writeln!(std::io::stdout(), "the Parquet files are in {}", stage.data.display())?;
        }
        Ok(())
    }

    /// Refuses before the run what would be lost after it.
    fn check(&self, scenario: &Scenario) -> Result<(), Failure> {
        for router in &scenario.routers {
            if let Err(error) = std::net::UdpSocket::bind((router.address, 0)) {
                return Err(Failure::usage(format!(
                    "router {} of the scenario: cannot send from {}: {error}; give routers addresses of this machine, such as \
                     127.0.0.2, or write a capture of it (peerscope simulate capture) and replay that",
                    router.name, router.address
                )));
            }
        }
        if let Some(data) = self.data.as_deref().filter(|data| store::has_tables(data)) {
            let folder = data.display();
            return Err(Failure::usage(format!("{folder} holds rows already; give a --data that is empty, or not there yet")));
        }
        #[cfg(feature = "report")]
        if let Some(path) = &self.output
            && path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        {
            return Err(Failure::usage(format!(
                "--output {}: there is no such folder; make it, or give another",
                path.display()
            )));
        }
        Ok(())
    }

    /// What happened, in the terminal and on the page.
    fn conclude(&self, scenario: &Scenario, stage: &Stage, ran: &Ran) -> Result<(), Failure> {
        let told = verdict::told(&stage.data)?;
        let measured = Measured::read(&stage.data)?;
        #[cfg_attr(not(feature = "report"), expect(unused_mut))]
        let mut failed = Failed::all(scenario, &ran.truth, &told);
        #[cfg(feature = "report")]
        page::predict(&stage.data, scenario.start_us(), &mut failed)?;
        let sources = Told { scenario, truth: &ran.truth, measured: &measured };
        let prefixes = store::read::<PrefixRow>(&stage.data, i64::MIN, i64::MAX).map_err(Failure::failed)?.rows;
        let (loads, moves) = (failed::loads(&failed, &sources), failed::moves(&failed, &sources));
        let customers = failed::customers(&failed, &ran.truth, &prefixes);
        let handshakes = handshakes::table(&stage.data, &ran.mirrors, scenario)?;
        let whole = truth::table(&stage.data, &ran.truth)?;
        let mut sentences = verdict::sentences(&failed, &sources, &told);
        sentences.extend(verdict::misconfigured(scenario, &whole));
        let mut out = std::io::stdout();
        writeln!(out, "\nWhat happened, as the collector told it:\n")?;
        sentences.iter().try_for_each(|sentence| writeln!(out, "* {sentence}"))?;
        for table in [&moves, &loads, &customers, &handshakes, &whole] {
            table.print()?;
        }
        writeln!(out)?;
        #[cfg(feature = "report")]
        self.write_page(scenario, stage, ran, (&failed, &sentences), &[&moves, &loads, &customers, &handshakes, &whole])?;
        print_outcome(&ran.outcome)
    }

    /// The page, and what the reports say in it.
    #[cfg(feature = "report")]
    fn write_page(
        &self,
        scenario: &Scenario,
        stage: &Stage,
        ran: &Ran,
        (failed, sentences): (&[Failed], &[String]),
        tables: &[&table::Table],
    ) -> Result<(), Failure> {
        let range = (scenario.start_us(), ran.truth.end_us);
        let Some(ending) = page::ending(&stage.data, range, failed, sentences, tables)? else { return Ok(()) };
        let mut out = std::io::stdout();
        writeln!(out, "What the reports overview, transit and links say of the day:\n")?;
        ending.sentences.iter().try_for_each(|sentence| writeln!(out, "* {sentence}"))?;
        let path = match (&self.output, &self.data) {
            (Some(path), _) => path.clone(),
            (None, Some(data)) => data.join("demo.html"),
            (None, None) => kept_file()?,
        };
        ending.write(&path)?;
        writeln!(out, "\nthe page of it all is {}\n", path.display())?;
        Ok(())
    }

    fn introduce(&self, scenario: &Scenario, telemetry: SocketAddr) -> Result<(), Failure> {
        let (minutes, speed) = (scenario.duration_seconds / 60, self.speed);
        let wall_s = scenario.duration_seconds.div_ceil(speed);
        let mut out = std::io::stdout();
        writeln!(
            out,
            "{} routers with {} connections to Microsoft and {} transit links send to a collector on {telemetry}.",
            scenario.routers.len(),
            scenario.connections.len(),
            scenario.transits.len()
        )?;
        writeln!(
            out,
            "{minutes} minutes pass {speed} times as fast as on the wall, in {wall_s} s; where this machine is too slow for that, \
             time waits."
        )?;
        if !scenario.mirrors.is_empty() {
            writeln!(
                out,
                "Packets of mirror ports come over a socket of the loopback too, each with its simulated time: the kernel's would \
                 be of the wall.\n"
            )?;
        }
        Ok(())
    }
}

/// Files that a demo needs, and what the collector is configured by.
struct Stage {
    temporary: tempfile::TempDir,
    data: PathBuf,
    configured: Configured,
}

/// Holding times that suit a time lapse: what the threads of a slow machine wait for each other is minutes in it.
const MEASURE: &str = "[measure]\ngrace_seconds = 120\n";

impl Stage {
    fn set(scenario: &Scenario, data: Option<PathBuf>) -> Result<Stage, Failure> {
        let temporary = tempfile::tempdir().map_err(|error| Failure::failed(format!("no temporary folder: {error}")))?;
        let data = data.unwrap_or_else(|| temporary.path().join("data"));
        let write = |name: &str, text: &str| {
            let path = temporary.path().join(name);
            let cannot = |error| Failure::failed(format!("{}: cannot be written: {error}", path.display()));
            std::fs::write(&path, text).map_err(cannot).map(|()| path)
        };
        write("customers.txt", &scenario.customer_list())?;
        write("microsoft.txt", &scenario.service_list())?;
        write(COUNTERS, "")?;
        let sections = format!(
            "{MEASURE}{}\n[lists]\nown_prefixes = [\"customers.txt\"]\nown_microsoft = [\"microsoft.txt\"]\n\
             [[counters]]\nfile = \"{COUNTERS}\"\n",
            scenario.collector_configuration()
        );
        let config = Some(write("demo.toml", &sections)?);
        let configured = Configured::load(&ConfigurationArguments { config, ..ConfigurationArguments::default() })?;
        Ok(Stage { temporary, data, configured })
    }
}

/// What a poller writes of the counters of routers that send none.
const COUNTERS: &str = "counters.jsonl";

/// The socket of mirrored packets; it is the collector's where the scenario has mirror ports.
fn mirror_socket(collector: &mut Collector, configured: &Configured, scenario: &Scenario) -> Result<SocketAddr, Failure> {
    let cannot = |error| Failure::failed(format!("cannot listen on the loopback: {error}"));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(cannot)?;
    socket.set_nonblocking(true).map_err(cannot)?;
    let address = socket.local_addr().map_err(cannot)?;
    if !scenario.mirrors.is_empty() {
        let interfaces = scenario.mirrors.iter().map(|mirror| mirror.interface.clone()).collect();
        collector.measure_simulated(configured, interfaces, socket);
    }
    Ok(address)
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

/// What came of a run.
struct Ran {
    truth: Truth,
    mirrors: Vec<Handshakes>,
    outcome: Outcome,
}

fn run_both(scenario: &Scenario, collector: Collector, places: &Places, stage: &Stage, clock: Clock) -> Result<Ran, Failure> {
    let stop_network = super::collect::stop_on_signal()?;
    let stop_collector = Arc::new(AtomicBool::new(false));
    let counters = stage.temporary.path().join(COUNTERS);
    let network = {
        let (scenario, places, stop_collector) = (scenario.clone(), places.clone(), stop_collector.clone());
        std::thread::spawn(move || {
            let ran = Network::open(&scenario, &places, &counters, clock, stop_network).and_then(|mut network| {
                let truth = simulate::run(&scenario, &mut network);
                Ok((truth, network.finish()?))
            });
            stop_collector.store(true, Ordering::Relaxed);
            ran
        })
    };
    let story = story::tell(scenario, &stage.data, clock, stop_collector.clone());
    let outcome = collector.run(&stop_collector, Ending::Final)?;
    story.join().map_err(|_| Failure::failed("the narrator panicked; please report this"))?;
    let (truth, mirrors) = network.join().map_err(|_| Failure::failed("the simulation panicked; please report this"))??;
    Ok(Ran { truth, mirrors, outcome })
}

/// A file that stays.
#[cfg(feature = "report")]
fn kept_file() -> Result<PathBuf, Failure> {
    let file = tempfile::Builder::new().prefix("peerscope-demo-").suffix(".html").tempfile();
    let cannot = |error: String| Failure::failed(format!("no temporary file for the page: {error}; give --output"));
    file.map_err(|error| cannot(error.to_string()))?.into_temp_path().keep().map_err(|error| cannot(error.to_string()))
}
