//! `peerscope simulate`: a scenario as a capture or sent live, or load without end.

use std::fs::File;
use std::io::BufWriter;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use model::time::SECOND_US;
use receive::{CaptureWriter, Sender};
use simulate::scenario::WireProtocol;
use simulate::{LoadGenerator, LoadSettings, Output, Scenario};

use super::collect::stop_on_signal;
use crate::clock::Clock;
use crate::failure::{Failure, read_text};

/// Make the telemetry of a simulated network, and the truth about its traffic
#[derive(Args)]
pub(crate) struct Simulate {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Write a scenario's datagrams as a capture
    Capture(Capture),
    /// Send a scenario's datagrams to a collector as time goes by
    Send(Send),
    /// Send datagrams at a rate, for tests of speed
    Load(Load),
}

#[derive(Args)]
struct Companions {
    /// Truth to write: packets and bytes by link, window, tag and customer (JSON)
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Configuration to write with which a collector knows the network
    #[arg(long, value_name = "FILE")]
    config_output: Option<PathBuf>,
}

#[derive(Args)]
struct Capture {
    /// The scenario (TOML); samples/scenarios has some
    scenario: PathBuf,
    /// Capture to write (pcap)
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    companions: Companions,
}

#[derive(Args)]
struct Send {
    /// The scenario (TOML); its routers' addresses must be this machine's, such as 127.0.0.2 on the loopback
    scenario: PathBuf,
    /// Where the collector listens
    #[arg(long, value_name = "ADDRESS")]
    to: SocketAddr,
    #[command(flatten)]
    companions: Companions,
}

#[derive(Args)]
struct Load {
    /// Where the collector listens
    #[arg(long, value_name = "ADDRESS")]
    to: SocketAddr,
    /// Protocol of the datagrams
    #[arg(long, value_enum, default_value_t = LoadProtocol::Ipfix)]
    protocol: LoadProtocol,
    /// Records a second; 0 as fast as it goes
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rate: u64,
    /// How long, seconds
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Exporters, from 127.0.0.2 upwards on the loopback
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=250))]
    exporters: u32,
    /// Address of the first exporter
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)))]
    first_exporter: IpAddr,
    /// Connections of each exporter: interfaces from 10 upwards
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    connections: u32,
    /// Distinct flows
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    flows: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LoadProtocol {
    V5,
    V9,
    Ipfix,
    Sflow,
}

impl Simulate {
    /// Does what was asked for.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Capture(capture) => capture.run(),
            What::Send(send) => send.run(),
            What::Load(load) => load.run(),
        }
    }
}

/// Reads a scenario.
pub(crate) fn read_scenario(path: &Path) -> Result<Scenario, Failure> {
    Scenario::parse(&read_text(path)?).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::failed(format!("{}: cannot be written: {error}", path.display())))
}

impl Companions {
    fn write(&self, scenario: &Scenario, truth: &simulate::Truth) -> Result<(), Failure> {
        if let Some(path) = &self.truth {
            write(path, &truth.to_json())?;
        }
        let Some(path) = &self.config_output else { return Ok(()) };
        let customers = path.with_extension("customers.txt");
        write(&customers, &scenario.customer_list())?;
        let name = customers.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        write(path, &format!("{}\n[lists]\nown_prefixes = [{name:?}]\n", scenario.collector_configuration()))
    }
}

/// A capture that is written datagram by datagram; the first error ends it.
struct CaptureOutput {
    writer: CaptureWriter<BufWriter<File>>,
    failed: Option<std::io::Error>,
    datagrams: u64,
}

impl Output for CaptureOutput {
    fn datagram(&mut self, at_us: i64, source: SocketAddr, payload: &[u8]) {
        let port = if payload.starts_with(&[0, 0, 0, 5]) { 6343 } else { 2055 };
        let collector: IpAddr =
            if source.is_ipv4() { Ipv4Addr::new(192, 0, 2, 250).into() } else { "2001:db8::250".parse().unwrap_or(source.ip()) };
        self.datagrams += 1;
        self.failed = self.writer.write(at_us, source, SocketAddr::new(collector, port), payload).err();
    }

    fn is_stopped(&self) -> bool {
        self.failed.is_some()
    }
}

impl Capture {
    fn run(self) -> Result<(), Failure> {
        let scenario = read_scenario(&self.scenario)?;
        let cannot = |error| Failure::failed(format!("{}: cannot be written: {error}", self.output.display()));
        let file = BufWriter::new(File::create(&self.output).map_err(cannot)?);
        let mut output = CaptureOutput { writer: CaptureWriter::new(file).map_err(cannot)?, failed: None, datagrams: 0 };
        let truth = simulate::run(&scenario, &mut output);
        if let Some(error) = output.failed {
            return Err(cannot(error));
        }
        output.writer.finish().map_err(cannot)?;
        self.companions.write(&scenario, &truth)?;
        writeln!(std::io::stdout(), "{} datagrams written to {}", output.datagrams, self.output.display())?;
        Ok(())
    }
}

/// A network that sends as time goes by; the first error ends it.
pub(crate) struct LiveOutput {
    sender: Sender,
    clock: Clock,
    stop: Arc<AtomicBool>,
    failed: Option<String>,
}

impl LiveOutput {
    /// Sends to `target` by `clock`, until `stop` is set.
    pub(crate) fn new(target: SocketAddr, clock: Clock, stop: Arc<AtomicBool>) -> LiveOutput {
        LiveOutput { sender: Sender::new(target), clock, stop, failed: None }
    }

    /// Sends what waits; gives the datagrams sent.
    pub(crate) fn finish(mut self) -> Result<u64, Failure> {
        if let Some(error) = self.failed {
            return Err(Failure::failed(error));
        }
        self.sender.flush().map_err(|error| Failure::failed(format!("cannot send: {error}")))?;
        Ok(self.sender.sent())
    }
}

impl Output for LiveOutput {
    fn datagram(&mut self, at_us: i64, source: SocketAddr, payload: &[u8]) {
        loop {
            let wait = self.clock.until(at_us);
            if wait.is_zero() || self.stop.load(Ordering::Relaxed) {
                break;
            }
            let _ = self.sender.flush();
            // In steps, so that a stop is soon seen.
            std::thread::sleep(wait.min(Duration::from_millis(100)));
        }
        if let Err(error) = self.sender.send(source.ip(), payload) {
            let address = source.ip();
            self.failed = Some(format!(
                "cannot send from {address}: {error}; give the scenario's routers addresses of this machine, such as 127.0.0.2"
            ));
        }
    }

    fn is_stopped(&self) -> bool {
        self.failed.is_some() || self.stop.load(Ordering::Relaxed)
    }
}

impl Send {
    fn run(self) -> Result<(), Failure> {
        let mut scenario = read_scenario(&self.scenario)?;
        let clock = Clock::wall();
        scenario.start_at(clock.now_us());
        let mut output = LiveOutput::new(self.to, clock, stop_on_signal()?);
        let truth = simulate::run(&scenario, &mut output);
        let sent = output.finish()?;
        self.companions.write(&scenario, &truth)?;
        writeln!(std::io::stdout(), "{sent} datagrams sent to {}", self.to)?;
        Ok(())
    }
}

impl Load {
    fn run(self) -> Result<(), Failure> {
        let clock = Clock::wall();
        let start_us = clock.now_us();
        let settings = LoadSettings {
            protocol: match self.protocol {
                LoadProtocol::V5 => WireProtocol::V5,
                LoadProtocol::V9 => WireProtocol::V9,
                LoadProtocol::Ipfix => WireProtocol::Ipfix,
                LoadProtocol::Sflow => WireProtocol::Sflow,
            },
            exporters: self.exporters,
            first_exporter: self.first_exporter,
            connections: self.connections,
            flows: self.flows,
            ipv6_share: 0.25,
            one_in: 1_000,
            seed: 1,
            start_us,
        };
        let mut load = LoadGenerator::new(&settings).map_err(Failure::usage)?;
        let mut sender = Sender::new(self.to);
        let stop = stop_on_signal()?;
        let cannot = |error| Failure::failed(format!("cannot send to {}: {error}", self.to));
        let (mut records, end_us) = (0_u64, start_us + i64::from(self.seconds) * SECOND_US);
        let mut now_us = start_us;
        while now_us < end_us && !stop.load(Ordering::Relaxed) {
            load.set_time(now_us);
            let (source, payload) = load.next();
            sender.send(source, payload).map_err(cannot)?;
            records += u64::from(load.records());
            if self.rate > 0 {
                let due_us = start_us + (records as u128 * SECOND_US as u128 / u128::from(self.rate)) as i64;
                let wait = clock.until(due_us);
                if wait > Duration::from_millis(1) {
                    sender.flush().map_err(cannot)?;
                    std::thread::sleep(wait);
                }
            }
            now_us = clock.now_us();
        }
        sender.flush().map_err(cannot)?;
        let seconds = (now_us - start_us) as f64 / SECOND_US as f64;
        writeln!(
            std::io::stdout(),
            "{} datagrams, {records} records sent in {seconds:.2} s: {:.0} records/s",
            sender.sent(),
            records as f64 / seconds
        )?;
        Ok(())
    }
}
