//! The program `peerscope`: settings, wiring, one file a command.
//!
//! The only crate that knows all stages. [`pipeline`] carries datagrams through decode, attribute,
//! resolve and measure; [`owner`] merges what the workers counted and hands rows to the [`writer`];
//! [`alerts`] judges its loads every ten seconds; [`journal`] keeps what a killed collector goes on from;
//! [`commands`] has one file a command.

mod alerts;
pub mod allowed;
mod clock;
mod collector;
mod commands;
mod configuration;
mod connections;
#[cfg(feature = "objects")]
mod copying;
mod counter_sources;
mod events;
mod failure;
mod handing;
mod inputs;
mod journal;
mod latency_elements;
mod lists;
mod log;
mod mirrors;
mod output;
mod owner;
mod packets;
#[cfg(feature = "web")]
mod page;
pub mod pipeline;
mod places;
mod planned;
mod probe_sources;
mod running;
mod service;
#[cfg(feature = "report")]
mod tables;
mod writer;

use std::process::ExitCode;

use clap::Parser;

/// Flow telemetry of networks that peer with Microsoft (AS8075): bandwidth of every connection, from
/// NetFlow, IPFIX and sFlow, in Parquet files.
#[derive(Parser)]
#[command(name = "peerscope", version, max_term_width = 100)]
struct Arguments {
    /// How lines on standard error are written
    #[arg(long, value_enum, default_value_t, global = true, value_name = "FORMAT")]
    log_format: log::LogFormat,
    #[command(subcommand)]
    command: commands::Command,
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log::start(arguments.log_format);
    match arguments.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("peerscope: {failure}");
            failure.exit_code()
        }
    }
}
