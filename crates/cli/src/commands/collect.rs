//! `peerscope collect`: listen, measure, write; the main job.

use std::io::Write;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use tokio::signal::unix::SignalKind;

use crate::clock::Clock;
use crate::collector::{Collector, Ending, Outcome, Sources};
use crate::configuration::{ConfigurationArguments, Configured};
use crate::failure::Failure;

/// Where NetFlow, IPFIX and sFlow are sent to.
const DEFAULT_PORTS: [u16; 3] = [2_055, 4_739, 6_343];
/// The same with the ports that many use besides.
const PORTS: [u16; 5] = [2_055, 4_739, 6_343, 9_995, 9_996];

/// Listen for NetFlow, IPFIX and sFlow, and write what the connections carry as Parquet files
///
/// The version in a datagram decides how it is read, not the port it came to. Ctrl-C or SIGTERM stops:
/// sockets are drained, rows written, and open windows kept for the next start.
#[derive(Args)]
pub(crate) struct Collect {
    /// Folder of the Parquet files and of what the next start resumes with
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Address and port to listen on, may be repeated [default: [::]:2055, [::]:4739 and [::]:6343]
    #[arg(long, value_name = "ADDRESS", value_parser = listening_address)]
    listen: Vec<SocketAddr>,
    /// Interface of a mirror port to see another collector's telemetry on, may be repeated; plain, in GRE or ERSPAN.
    /// Then nothing is listened on but what --listen says
    #[arg(long, value_name = "NAME")]
    interface: Vec<String>,
    /// Measure latency in the packets of these interfaces themselves (a mirror of both directions, or of SYN packets), in
    /// place of looking for telemetry there; plain, in GRE or ERSPAN
    #[arg(long, requires = "interface")]
    packets: bool,
    /// Ports that telemetry goes to on these interfaces
    #[arg(long, value_name = "PORT", value_delimiter = ',', default_values_t = PORTS, requires = "interface")]
    interface_ports: Vec<u16>,
    /// Receive workers; an exporter is always on the same one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Where the page is served, or "off" [default: 127.0.0.1:8075, where it is free]
    #[cfg(feature = "web")]
    #[arg(long, value_name = "ADDRESS", value_parser = WebPlace::parse)]
    web: Option<WebPlace>,
    #[command(flatten)]
    configuration: ConfigurationArguments,
}

/// An address and port as they are written on the command line.
fn listening_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write ADDRESS:PORT, such as 0.0.0.0:2055 or [::]:2055".to_string())
}

/// Where the page is served; `None` for nowhere.
#[cfg(feature = "web")]
#[derive(Clone, Copy, Debug)]
struct WebPlace(Option<SocketAddr>);

#[cfg(feature = "web")]
impl WebPlace {
    fn parse(text: &str) -> Result<WebPlace, String> {
        crate::page::parse(text).map(WebPlace)
    }
}

impl Collect {
    /// Collects until it is told to stop.
    pub(crate) fn run(self) -> Result<(), Failure> {
        #[cfg_attr(not(feature = "web"), expect(unused_mut))]
        let mut configured = Configured::load(&self.configuration)?;
        // Where records are kept, large blocks come and go all the time.
        if !configured.shared.keeps_flows {
            receive::keep_less_memory();
        }
        #[cfg(feature = "web")]
        let page = self.page(&mut configured)?;
        super::replay::refuse_replayed(&self.data)?;
        let stop = stop_on_signal()?;
        let (mirrors, interfaces) = if self.packets { (self.interface, Vec::new()) } else { (Vec::new(), self.interface) };
        let is_default = self.listen.is_empty() && interfaces.is_empty();
        let unspecified = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let sources = Sources {
            listen: if is_default { DEFAULT_PORTS.map(unspecified).to_vec() } else { self.listen },
            workers: usize::from(self.workers),
            interfaces,
            ports: self.interface_ports,
            mirrors,
        };
        #[cfg_attr(not(feature = "web"), expect(unused_mut))]
        let mut collector = Collector::start(&configured, &sources, &self.data, Clock::wall())?;
        #[cfg(feature = "web")]
        let data_of_page = self.data.clone();
        // Before anyone knows of it: without it the signal would end the process.
        let (reload, arguments, data) = (collector.reload(), self.configuration, self.data);
        on_signals(&[SignalKind::hangup()], move || super::reload::take_in(&reload, &arguments, &data))?;
        for (address, buffer_bytes) in collector.listening() {
            eprintln!("listening on {address} (receive buffer {buffer_bytes} bytes)");
            let asked = configured.receive.buffer_bytes;
            if buffer_bytes < asked {
                tracing::warn!(
                    "the kernel grants {buffer_bytes} of {asked} bytes of receive buffer for {address}; give CAP_NET_ADMIN, or set \
                     sysctl -w net.core.rmem_max={asked}: with less, bursts are dropped"
                );
            }
        }
        #[cfg(feature = "web")]
        if let Some(listener) = page {
            super::show(&mut collector, listener, &configured, &data_of_page, Clock::wall())?;
        }
        if let Some(killed_us) = collector.killed_us() {
            tracing::warn!(
                "the last run ended without a word; its journal is taken in up to {}. Up to 100 ms after that are missing, \
                 and count as lost with the exporters whose sequence numbers tell",
                jiff::Timestamp::from_microsecond(killed_us).map_or_else(|_| killed_us.to_string(), |at| at.to_string())
            );
        }
        crate::service::ready();
        let outcome = collector.run(&stop, Ending::Resumable)?;
        print_outcome(&outcome)
    }
}

#[cfg(feature = "web")]
impl Collect {
    /// The socket of the page, and with it the source of counters that are pushed.
    fn page(&self, configured: &mut Configured) -> Result<Option<std::net::TcpListener>, Failure> {
        let listen = match self.web {
            Some(WebPlace(place)) => place.map(|address| (address, true)),
            None => configured.page.listen,
        };
        let Some((address, is_asked_for)) = listen else { return Ok(None) };
        configured.page.access.check(address).map_err(Failure::usage)?;
        let listener = crate::page::bind(address, is_asked_for)?;
        if listener.is_some() {
            configured.counters.extend(configured.page.pushed_counters());
        }
        Ok(listener)
    }
}

/// A flag that Ctrl-C and SIGTERM set; a second one ends the program at once.
pub(crate) fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    on_signals(&[SignalKind::interrupt(), SignalKind::terminate()], move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(1);
        }
    })?;
    Ok(stop)
}

/// Calls `act` on a thread of its own each time that one of the signals comes.
fn on_signals(kinds: &[SignalKind], mut act: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    let cannot = |error| Failure::failed(format!("cannot watch for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(cannot)?;
    let mut signals = Vec::new();
    {
        let _guard = runtime.enter();
        for kind in kinds {
            signals.push(tokio::signal::unix::signal(*kind).map_err(cannot)?);
        }
    }
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                std::future::poll_fn(|context| {
                    let came = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
                    if came { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
                })
                .await;
                act();
            }
        });
    });
    Ok(())
}

/// Prints the balances; an imbalance is a failure.
pub(crate) fn print_outcome(outcome: &Outcome) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    for line in outcome.ledger.lines() {
        writeln!(out, "{line}")?;
    }
    let Outcome { kernel_drops, published, unwritten, flows_lost, .. } = outcome;
    writeln!(out, "kernel drops {kernel_drops}, windows published {published}, not written {unwritten}")?;
    if *flows_lost > 0 {
        writeln!(out, "flows not written {flows_lost}: the disk was too slow or failed")?;
    }
    if let Some(packets) = &outcome.packets {
        writeln!(out, "{packets}")?;
    }
    if let Some(losses) = &outcome.losses {
        writeln!(out, "{losses}")?;
    }
    match outcome.ledger.imbalance() {
        Some(imbalance) => Err(Failure::failed(format!("the balance is out: {imbalance}; please report this"))),
        None => Ok(()),
    }
}
