//! `peerscope alerts`: try the targets, list what goes on, silence.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use alert::{Alert, Kind, SILENCES_MAX, Silence};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::alerts::{firing, read_silences, saved, write_silences};
use crate::clock::Clock;
use crate::configuration::{ConfigurationArguments, Configured};
use crate::failure::Failure;
use crate::output::{Format, Heading, print_rows, text};

/// Try the targets of alerts, list what goes on, silence some of it
#[derive(Args)]
pub(crate) struct Alerts {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Send a test alert to each target of a configuration, and say how it went
    Test(Test),
    /// List alerts that go on, what waits for targets, and silences
    List(List),
    /// Have alerts not told for a time; they are judged and written down all the same
    Silence(Silencing),
    /// End a silence that was asked for with `alerts silence`
    Unsilence(Unsilence),
}

#[derive(Args)]
struct Test {
    #[command(flatten)]
    configuration: ConfigurationArguments,
}

#[derive(Args)]
struct List {
    /// Data folder of the collector
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// How to print; JSON is an object a line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Which alerts: all that is given must be true of them.
#[derive(Args)]
struct Silencing {
    /// Data folder of the collector
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// For how long: 90m, 2h, 1d
    #[arg(long = "for", value_name = "TIME", value_parser = duration, conflicts_with = "until", required_unless_present = "until")]
    time: Option<i64>,
    /// Until when: 2026-12-01T06:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only of this rule: saturation, failover and so on, as in the column `rule`
    #[arg(long, value_name = "RULE", value_parser = kind)]
    rule: Option<Kind>,
    /// Only of this connection
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Only of this port
    #[arg(long, value_name = "NAME")]
    port: Option<String>,
    /// Only of this exporter's address
    #[arg(long, value_name = "ADDRESS")]
    exporter: Option<String>,
    /// Only of this metro
    #[arg(long, value_name = "NAME")]
    location: Option<String>,
    /// Why, for whoever lists silences
    #[arg(long, value_name = "TEXT", default_value = "")]
    comment: String,
}

#[derive(Args)]
struct Unsilence {
    /// Data folder of the collector
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Its number in `peerscope alerts list`
    #[arg(value_name = "NUMBER")]
    number: usize,
}

impl Alerts {
    /// Does what was asked for.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Test(test) => test.run(),
            What::List(list) => list.run(),
            What::Silence(silencing) => silencing.run(),
            What::Unsilence(unsilence) => unsilence.run(),
        }
    }
}

impl Test {
    fn run(self) -> Result<(), Failure> {
        let plan = Configured::load(&self.configuration)?.alerts;
        if plan.targets.is_empty() {
            return Err(Failure::usage("there is no [[alert_target]] in the configuration; give one with --config"));
        }
        // All at once: one that hangs does not keep the others waiting.
        let threads: Vec<_> = plan
            .targets
            .into_iter()
            .map(|target| {
                let (name, settings) = (target.name().to_owned(), plan.settings.clone());
                (name, thread::spawn(move || alert::test_target(&target, &settings)))
            })
            .collect();
        let mut failed = Vec::new();
        for (name, thread) in threads {
            let outcome = thread.join().unwrap_or_else(|_| Err("the test panicked; please report this".to_owned()));
            match outcome {
                Ok(()) => writeln!(std::io::stdout(), "{name}: taken")?,
                Err(reason) => {
                    writeln!(std::io::stdout(), "{name}: not taken: {reason}")?;
                    failed.push(name);
                }
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(Failure::failed(format!("not taken by {}", failed.join(", ")))) }
    }
}

const HEADINGS: &[Heading] =
    &[text("what"), text("severity"), text("rule"), text("about"), text("since"), text("until"), text("text")];

impl List {
    fn run(self) -> Result<(), Failure> {
        let now_us = Clock::wall().now_us();
        let mut rows = Vec::new();
        let saved = saved(&known(&self.data)?)?.unwrap_or_default();
        let going_on = firing(&saved, now_us)
            .ok_or_else(|| Failure::failed(format!("{}: its alerts are of another version of peerscope", self.data.display())))?;
        rows.extend(going_on.iter().map(|alert| row(if alert.is_silenced { "silenced" } else { "firing" }, alert)));
        for (target, waiting) in &saved.waiting {
            rows.extend(waiting.iter().map(|alert| row(&format!("waits for {target}"), alert)));
        }
        for (index, silence) in read_silences(&self.data)?.iter().enumerate().filter(|(_, one)| one.is_in_force(now_us)) {
            let rule = silence.rule.map(Kind::name);
            let of = [&silence.connection, &silence.port, &silence.exporter, &silence.location];
            let of: Vec<&str> = of.into_iter().flatten().map(String::as_str).collect();
            let what = format!("silence {}", index + 1);
            rows.push(vec![
                json!(what),
                Value::Null,
                json!(rule),
                json!(of.join(" ")),
                Value::Null,
                json!(silence.until),
                json!(silence.comment),
            ]);
        }
        print_rows(HEADINGS, &rows, self.format)
    }
}

fn row(what: &str, alert: &Alert) -> Vec<Value> {
    let about: Vec<&str> = alert.subject.labels().filter(|(name, _)| *name != "role").map(|(_, value)| value).collect();
    let time = |at_us| jiff::Timestamp::from_microsecond(at_us).map(|at| at.to_string()).ok();
    vec![
        json!(what),
        json!(alert.severity.name()),
        json!(alert.kind.name()),
        json!(about.join(" ")),
        json!(time(alert.started_us)),
        json!(alert.ended_us.and_then(time)),
        json!(alert.summary),
    ]
}

/// Reads a folder that a collector must have written.
fn known(data: &Path) -> Result<PathBuf, Failure> {
    if data.is_dir() {
        return Ok(data.to_path_buf());
    }
    Err(Failure::usage(format!("{}: there is no such folder; give the collector's --data", data.display())))
}

impl Silencing {
    fn run(self) -> Result<(), Failure> {
        let now_us = Clock::wall().now_us();
        let data = known(&self.data)?;
        let mut silence = Silence {
            rule: self.rule,
            connection: self.connection,
            port: self.port,
            exporter: self.exporter,
            location: self.location,
            until: self.until.unwrap_or_default(),
            comment: self.comment,
        };
        if let Some(seconds) = self.time {
            silence.hold_for(seconds, now_us);
        }
        silence.check().map_err(Failure::usage)?;
        if !silence.is_in_force(now_us) {
            return Err(Failure::usage("the silence would be over already; give a time that is to come, before the year 9999"));
        }
        let mut silences = read_silences(&data)?;
        silences.retain(|silence| silence.is_in_force(now_us));
        if silences.len() >= SILENCES_MAX {
            return Err(Failure::failed(format!("there are {SILENCES_MAX} silences already; end some with alerts unsilence")));
        }
        let until = silence.until.clone();
        silences.push(silence);
        write_silences(&data, &silences)?;
        writeln!(std::io::stdout(), "silence {} holds until {until}", silences.len())?;
        Ok(())
    }
}

impl Unsilence {
    fn run(self) -> Result<(), Failure> {
        let data = known(&self.data)?;
        let mut silences = read_silences(&data)?;
        if !(1..=silences.len()).contains(&self.number) {
            return Err(Failure::usage(format!("there is no silence {}; peerscope alerts list has their numbers", self.number)));
        }
        silences.remove(self.number - 1);
        write_silences(&data, &silences)?;
        writeln!(std::io::stdout(), "silence {} has ended", self.number)?;
        Ok(())
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    let names = || Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
    Kind::ALL.iter().copied().find(|kind| kind.name() == text).ok_or_else(|| format!("there are {}", names()))
}

/// Seconds of a time such as `2h` or `1d`.
fn duration(text: &str) -> Result<i64, String> {
    let wrong = |_| format!("\"{text}\" is no time: give 90m, 2h or 1d");
    let span: jiff::Span = text.parse().map_err(wrong)?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(wrong)?;
    if duration.as_secs() > 0 { Ok(duration.as_secs()) } else { Err("give a time that is to come".to_owned()) }
}
