//! The commands, one file each: a type with its arguments, and `run`.

mod alerts;
mod check;
mod collect;
#[cfg(feature = "objects")]
mod copy;
mod counters;
mod demo;
mod inspect;
mod peerings;
mod prefixes;
mod reference;
mod reload;
mod replay;
#[cfg(feature = "report")]
mod report;
mod simulate;
#[cfg(feature = "report")]
mod sql;

use clap::Subcommand;

pub(crate) use peerings::write_seen;

use crate::failure::Failure;

/// Serves a collector's page on a socket that listens, and says where.
#[cfg(feature = "web")]
fn show(
    collector: &mut crate::collector::Collector,
    listener: std::net::TcpListener,
    configured: &crate::configuration::Configured,
    data: &std::path::Path,
    clock: crate::clock::Clock,
) -> Result<(), Failure> {
    let address = listener.local_addr().map_err(Failure::failed)?;
    let inventory = configured.shared.inventory.clone();
    collector.show_on(crate::page::Page::start(listener, &configured.page, inventory, data, clock)?);
    eprintln!("page on http://{address}/");
    Ok(())
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    Collect(collect::Collect),
    Reload(reload::Reload),
    Replay(replay::Replay),
    Demo(demo::Demo),
    #[cfg(feature = "report")]
    Report(report::Report),
    #[cfg(feature = "report")]
    Sql(sql::Sql),
    #[cfg(feature = "objects")]
    Copy(copy::Copy),
    Inspect(inspect::Inspect),
    Peerings(peerings::Peerings),
    Prefixes(prefixes::Prefixes),
    Alerts(alerts::Alerts),
    Simulate(simulate::Simulate),
    Check(check::Check),
    Reference(reference::Reference),
}

impl Command {
    /// Runs the command that was asked for.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Command::Collect(command) => command.run(),
            Command::Reload(command) => command.run(),
            Command::Replay(command) => command.run(),
            Command::Demo(command) => command.run(),
            #[cfg(feature = "report")]
            Command::Report(command) => command.run(),
            #[cfg(feature = "report")]
            Command::Sql(command) => command.run(),
            #[cfg(feature = "objects")]
            Command::Copy(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::Peerings(command) => command.run(),
            Command::Prefixes(command) => command.run(),
            Command::Alerts(command) => command.run(),
            Command::Simulate(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Reference(command) => command.run(),
        }
    }
}
