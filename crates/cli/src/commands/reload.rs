//! `peerscope reload`: a running collector takes its configuration, lists and inventory in anew.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::configuration::{ConfigurationArguments, Configured};
use crate::failure::Failure;
use crate::handing::Reload as HandIn;

/// Name of the file in the data folder by which a collector answers.
const ANSWER_FILE: &str = "reload.json";
/// How long an answer is waited for: large lists take a second or two.
const PATIENCE: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Have a running collector read its configuration, prefix lists and inventory again
///
/// All is taken in, without losing a datagram, or nothing: then every error is told, and the collector
/// goes on as before. SIGHUP does the same. What it listens on, its workers and its buffers stay.
#[derive(Args)]
pub(crate) struct Reload {
    /// Data folder of the collector
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// How a reload went.
#[derive(Serialize, Deserialize)]
struct Answer {
    /// How many there were since the collector began.
    count: u64,
    /// Why it was refused; `None` if it was taken in.
    refusal: Option<String>,
}

impl Reload {
    /// Asks the collector, and waits for its answer.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Some(process) = store::writer_of(&self.data).map_err(Failure::failed)? else {
            return Err(Failure::usage(format!(
                "{}: no collector writes into this folder; give --data of one that runs",
                self.data.display()
            )));
        };
        let before = answer(&self.data).map_or(0, |answer| answer.count);
        let asked = i32::try_from(process).ok().map(|process| kill(Pid::from_raw(process), Signal::SIGHUP));
        if !matches!(asked, Some(Ok(()))) {
            return Err(Failure::failed(format!("process {process} cannot be told; run this as its user")));
        }
        let started = Instant::now();
        loop {
            match answer(&self.data) {
                Some(Answer { count, refusal: None }) if count > before => {
                    writeln!(std::io::stdout(), "the collector (process {process}) has taken its configuration in")?;
                    return Ok(());
                }
                Some(Answer { count, refusal: Some(refusal) }) if count > before => return Err(Failure::usage(refusal)),
                _ if started.elapsed() > PATIENCE => {
                    return Err(Failure::failed(format!("the collector (process {process}) does not answer; see its log")));
                }
                _ => std::thread::sleep(ASK_AGAIN),
            }
        }
    }
}

fn answer(data: &Path) -> Option<Answer> {
    serde_json::from_slice(&fs::read(data.join(ANSWER_FILE)).ok()?).ok()
}

/// In the collector: reads the configuration and hands it in, or tells why not.
pub(super) fn take_in(reload: &HandIn, arguments: &ConfigurationArguments, data: &Path) {
    let refusal = match Configured::load(arguments) {
        Ok(configured) => {
            reload.hand_in(configured.shared, configured.alerts);
            tracing::info!("the configuration was read again and is in force");
            None
        }
        Err(failure) => {
            tracing::error!("the configuration was refused, the one before stays in force: {failure}");
            Some(failure.to_string())
        }
    };
    let count = answer(data).map_or(0, |answer| answer.count) + 1;
    let temporary = data.join(format!(".{ANSWER_FILE}.tmp"));
    let written = serde_json::to_vec(&Answer { count, refusal }).map_err(std::io::Error::from);
    let written =
        written.and_then(|bytes| fs::write(&temporary, bytes)).and_then(|()| fs::rename(&temporary, data.join(ANSWER_FILE)));
    if let Err(error) = written {
        tracing::warn!("how the reload went cannot be written for peerscope reload: {error}");
    }
}
