//! Planned work of the configuration: intervals, and iCalendar files.

use std::path::{Path, PathBuf};

use measure::{Planned, Plans, parse_calendar};
use model::Name;
use serde::Deserialize;

/// Largest calendar that is read, bytes.
const CALENDAR_BYTES_MOST: u64 = 16 << 20;

/// `[[planned]]`: an interval with `from` and `to`, or a `calendar`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PlannedConfig {
    /// Start, such as `2026-11-25T02:00:00Z`.
    from: Option<String>,
    /// End, not in it.
    to: Option<String>,
    /// The connections that it is of; none stands for all.
    connections: Vec<String>,
    /// What it is.
    summary: Option<String>,
    /// An iCalendar file; a connection that an event's summary or description names is what it is of.
    calendar: Option<PathBuf>,
}

/// All planned work; what is wrong with it is added to `errors`.
pub(crate) fn check(planned: &[PlannedConfig], folder: &Path, connections: &[Name], errors: &mut Vec<String>) -> Plans {
    let mut plans = Vec::new();
    for (index, one) in planned.iter().enumerate() {
        match one.read(folder, connections) {
            Ok(read) => plans.extend(read),
            Err(error) => errors.push(format!("[[planned]] {}: {error}", index + 1)),
        }
    }
    Plans(plans)
}

impl PlannedConfig {
    fn read(&self, folder: &Path, connections: &[Name]) -> Result<Vec<Planned>, String> {
        for name in &self.connections {
            if !connections.iter().any(|known| **known == **name) {
                return Err(format!("there is no connection \"{name}\"; give the name of a [[connection]]"));
            }
        }
        let named: Vec<Name> = self.connections.iter().map(|name| Name::from(name.as_str())).collect();
        match (&self.calendar, &self.from, &self.to) {
            (Some(calendar), None, None) => {
                let path = folder.join(calendar);
                let plans =
                    parse_calendar(&text_of(&path)?, connections).map_err(|error| format!("{}: {error}", path.display()))?;
                let of = |plan: Planned| if named.is_empty() { plan } else { Planned { connections: named.clone(), ..plan } };
                Ok(plans.into_iter().map(of).collect())
            }
            (None, Some(from), Some(to)) => {
                let (from_us, to_us) = (instant(from)?, instant(to)?);
                if to_us <= from_us {
                    return Err(format!("from = \"{from}\" is not before to = \"{to}\"; exchange them"));
                }
                Ok(vec![Planned { from_us, to_us, connections: named, summary: self.summary.as_deref().map(Name::from) }])
            }
            _ => Err("give from and to, or a calendar, and not both".to_owned()),
        }
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("{}: cannot be read: {error}; correct calendar", path.display());
    if std::fs::metadata(path).map_err(wrong)?.len() > CALENDAR_BYTES_MOST {
        return Err(format!(
            "{}: is larger than {} MiB; give a calendar with fewer events",
            path.display(),
            CALENDAR_BYTES_MOST >> 20
        ));
    }
    std::fs::read_to_string(path).map_err(wrong)
}

fn instant(text: &str) -> Result<i64, String> {
    let at = text.parse::<jiff::Timestamp>();
    at.map(jiff::Timestamp::as_microsecond)
        .map_err(|_| format!("\"{text}\" is no time; write it as 2026-11-25T02:00:00Z or 2026-11-25T03:00:00+01:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> (Plans, Vec<String>) {
        #[derive(Deserialize)]
        struct File {
            planned: Vec<PlannedConfig>,
        }
        let file: File = toml::from_str(text).unwrap();
        let mut errors = Vec::new();
        let plans = check(&file.planned, Path::new("/nowhere"), &["fra-pni-1".into()], &mut errors);
        (plans, errors)
    }

    #[test]
    fn intervals_are_read_and_wrong_ones_told() {
        let (plans, errors) = checked(
            "[[planned]]\nfrom = \"2026-11-25T03:00:00+01:00\"\nto = \"2026-11-25T04:00:00Z\"\nconnections = [\"fra-pni-1\"]\n",
        );
        assert_eq!((plans.0.len(), errors.len()), (1, 0));
        assert_eq!(plans.0[0].to_us - plans.0[0].from_us, 2 * 3_600_000_000);
        for (text, part) in [
            ("from = \"2026-11-25T03:00:00Z\"", "give from and to, or a calendar"),
            ("from = \"today\"\nto = \"2026-11-25T03:00:00Z\"", "\"today\" is no time"),
            ("from = \"2026-11-25T03:00:00Z\"\nto = \"2026-11-25T03:00:00Z\"", "is not before"),
            ("from = \"2026-11-25T03:00:00Z\"\nto = \"2026-11-25T04:00:00Z\"\nconnections = [\"x\"]", "no connection \"x\""),
            ("calendar = \"work.ics\"", "/nowhere/work.ics: cannot be read"),
        ] {
            let (_, errors) = checked(&format!("[[planned]]\n{text}\n"));
            assert!(errors.len() == 1 && errors[0].contains(part), "{errors:?}");
        }
    }
}
