//! What the program tells on standard error: a line each, text or JSON, at most one a second and reason.
//!
//! A reason is the place in the program that tells. A few lines may come at once, such as one an address at the
//! start; what is held back is counted, and the next line of the same reason says how many there were.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Time between two lines of one reason, in the long run.
const EVERY: Duration = Duration::from_secs(1);
/// Lines of one reason that may come at once.
const AT_ONCE: u32 = 4;

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Time, level, sentence.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// How often a reason told, and what was held back.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// When it will have told no more than one a second; in the future where it told several at once.
    even_at: Option<Instant>,
    held_back: u64,
    held_back_in_all: u64,
}

/// Reasons by file and line.
#[derive(Default)]
struct Reasons {
    told: HashMap<(&'static str, u32), Told>,
}

impl Reasons {
    /// Whether a reason may tell at `now`; gives how many lines were held back before.
    fn may_tell(&mut self, reason: (&'static str, u32), now: Instant) -> Option<u64> {
        let told = self.told.entry(reason).or_default();
        let even_at = told.even_at.map_or(now, |at| at.max(now));
        if even_at.duration_since(now) > EVERY * (AT_ONCE - 1) {
            told.held_back += 1;
            told.held_back_in_all += 1;
            return None;
        }
        told.even_at = Some(even_at + EVERY);
        Some(std::mem::take(&mut told.held_back))
    }
}

static REASONS: OnceLock<Mutex<Reasons>> = OnceLock::new();

fn reasons() -> std::sync::MutexGuard<'static, Reasons> {
    REASONS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines held back since the start, by reason.
#[cfg(feature = "web")]
pub(crate) fn suppressed() -> Vec<(String, u64)> {
    let reasons = reasons();
    let held = reasons.told.iter().filter(|(_, told)| told.held_back_in_all > 0);
    let mut held: Vec<(String, u64)> =
        held.map(|((file, line), told)| (format!("{}:{line}", short(file)), told.held_back_in_all)).collect();
    held.sort();
    held
}

/// The file without the folders of this machine.
#[cfg(feature = "web")]
fn short(file: &str) -> &str {
    file.rsplit_once("crates/").map_or(file, |(_, rest)| rest)
}

/// Tells from now on.
pub(crate) fn start(format: LogFormat) {
    tracing_subscriber::registry().with(Lines { format }).init();
}

struct Lines {
    format: LogFormat,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let reason = (metadata.file().unwrap_or(metadata.target()), metadata.line().unwrap_or(0));
        let Some(held_back) = reasons().may_tell(reason, Instant::now()) else { return };
        let mut told = Fields::default();
        event.record(&mut told);
        let at = jiff::Timestamp::now().to_string();
        let line = match self.format {
            LogFormat::Text => text(&at, *metadata.level(), &told, held_back),
            LogFormat::Json => json(&at, *metadata.level(), metadata.target(), told, held_back),
        };
        // Nobody reads it: there is nobody to tell that either.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            _ = write!(self.message, "{value:?}");
        } else {
            self.others.insert(field.name().to_owned(), format!("{value:?}").into());
        }
    }
}

/// Names that came over the wire may be in it: control characters are shown as what they are.
fn text(at: &str, level: Level, told: &Fields, held_back: u64) -> String {
    let mut line = format!("{at} {level:>5} ");
    for character in told.message.chars() {
        match character {
            '\n' => line.push_str("; "),
            character if character.is_control() => _ = write!(line, "{}", character.escape_default()),
            character => line.push(character),
        }
    }
    for (name, value) in &told.others {
        _ = write!(line, " {name}={value}");
    }
    if held_back > 0 {
        _ = write!(line, " ({held_back} more of these were held back)");
    }
    line
}

fn json(at: &str, level: Level, target: &str, told: Fields, held_back: u64) -> String {
    let mut object = Map::new();
    object.insert("time".into(), at.into());
    object.insert("level".into(), level.as_str().to_ascii_lowercase().into());
    object.insert("target".into(), target.into());
    object.insert("message".into(), told.message.into());
    object.extend(told.others);
    if held_back > 0 {
        object.insert("held_back".into(), held_back.into());
    }
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_tells_once_a_second_and_then_how_often_it_would_have() {
        let (mut reasons, start) = (Reasons::default(), Instant::now());
        let mut tell = |line: u32, ms: u64| reasons.may_tell(("a.rs", line), start + Duration::from_millis(ms));
        assert_eq!([tell(1, 0), tell(1, 0), tell(1, 0), tell(1, 0)], [Some(0); 4], "a few at once");
        assert_eq!([tell(1, 10), tell(1, 999), tell(2, 999)], [None, None, Some(0)]);
        assert_eq!([tell(1, 1_000), tell(1, 1_001), tell(1, 2_000)], [Some(2), None, Some(1)]);
        let told = (0..1_000).filter(|ms| tell(1, 3_000 + 10 * ms).is_some()).count();
        assert_eq!(told, 10, "of a hundred a second");
    }

    #[test]
    fn a_line_is_one_line() {
        let told = |message: &str| Fields { message: message.into(), ..Fields::default() };
        assert_eq!(text("T", Level::WARN, &told("a\nb\u{1b}[31m\rc"), 0), "T  WARN a; b\\u{1b}[31m\\rc");
        let line = json("T", Level::ERROR, "cli", told("a\nb"), 3);
        let expected = serde_json::json!({"time": "T", "level": "error", "target": "cli", "message": "a\nb", "held_back": 3});
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
    }
}
