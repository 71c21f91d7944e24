//! Rules as configured: whom they are for, and what levels they have.

use model::time::SECOND_US;
use model::{Direction, Role};
use serde::Deserialize;

use crate::alert::{Severity, Subject};
use crate::kind::{Kind, Passes};

/// What the load is of that a rule of saturation judges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// A port, all that it carries.
    #[default]
    Port,
    /// A connection's own traffic, over the capacity of its port.
    Connection,
    /// All ports with connections in a metro, together.
    Location,
    /// All ports with connections of a role, together.
    Role,
}

/// `[[alert_rule]]`: other levels for some of what a rule is about; the first that fits holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// Which rule.
    rule: Kind,
    /// Whether it judges at all.
    #[serde(default = "yes")]
    enabled: bool,
    /// Of saturation: of what the load is.
    #[serde(default)]
    of: Scope,
    /// Only these connections; all, if left out, as with the following.
    #[serde(default)]
    connections: Vec<String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    exporters: Vec<String>,
    #[serde(default)]
    locations: Vec<String>,
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(default)]
    direction: Option<Direction>,
    /// Levels; where one is given, those that are not given are off.
    #[serde(default)]
    info: Option<f64>,
    #[serde(default)]
    warning: Option<f64>,
    #[serde(default)]
    critical: Option<f64>,
    /// How far back on the good side of a level the value must be to clear it.
    #[serde(default)]
    margin: Option<f64>,
    /// How long a level must stay passed before the alert begins.
    #[serde(default)]
    hold_seconds: Option<i64>,
    /// How long it must stay cleared before the alert ends.
    #[serde(default)]
    clear_seconds: Option<i64>,
}

const fn yes() -> bool {
    true
}

/// Longest time that a rule may hold back an alert or its end, s.
const SECONDS_MAX: i64 = 7 * 86_400;

/// A rule that was checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// Levels that judge, by [`Severity`].
    pub(crate) levels: [Option<f64>; 3],
    pub(crate) passes: Passes,
    pub(crate) margin: f64,
    pub(crate) hold_us: i64,
    pub(crate) clear_us: i64,
}

impl Rule {
    /// A rule as it is without configuration.
    pub(crate) fn of(kind: Kind) -> Rule {
        let declared = kind.declared();
        let level = |severity| declared.levels.iter().find(|(of, _)| *of == severity).map(|(_, level)| *level);
        Rule {
            levels: Severity::ALL.map(level),
            passes: declared.passes,
            margin: declared.margin,
            hold_us: kind.hold_us(),
            clear_us: declared.clear_seconds * SECOND_US,
        }
    }

    /// Whether a value passes a level surely: two standard errors beyond it.
    pub(crate) fn is_passed(&self, level: f64, value: f64, standard_error: f64) -> bool {
        match self.passes {
            Passes::Above => value - 2.0 * standard_error >= level,
            Passes::Below => value + 2.0 * standard_error <= level,
        }
    }

    /// Whether a value is back on the good side of a level, by the margin.
    pub(crate) fn is_cleared(&self, level: f64, value: f64) -> bool {
        match self.passes {
            Passes::Above => value < level - self.margin,
            Passes::Below => value > level + self.margin,
        }
    }
}

/// All rules: those configured, and for the rest the defaults.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    configured: Vec<(RuleConfig, Rule)>,
}

impl Rules {
    /// Checks what was configured; what is wrong is added to `errors`.
    pub fn check(configs: Vec<RuleConfig>, errors: &mut Vec<String>) -> Rules {
        let mut rules = Rules::default();
        for (index, config) in configs.into_iter().enumerate() {
            match check_one(&config) {
                Ok(rule) => rules.configured.push((config, rule)),
                Err(error) => errors.push(format!("alert_rule {} ({}): {error}", index + 1, config.rule.name())),
            }
        }
        rules
    }

    /// The rule for something; `None` where it is switched off.
    pub(crate) fn rule(&self, kind: Kind, scope: Scope, subject: &Subject) -> Option<Rule> {
        let fits = |(config, _): &&(RuleConfig, Rule)| config.rule == kind && config.of == scope && config.fits(subject);
        match self.configured.iter().find(fits) {
            Some((config, rule)) => config.enabled.then(|| rule.clone()),
            // By default only ports are judged: of what rides them one alert is enough.
            None => (scope == Scope::Port).then(|| Rule::of(kind)),
        }
    }

    /// Whether anybody asks for loads of that kind.
    pub(crate) fn has_scope(&self, scope: Scope) -> bool {
        self.configured.iter().any(|(config, _)| config.rule == Kind::Saturation && config.of == scope)
    }
}

fn check_one(config: &RuleConfig) -> Result<Rule, String> {
    let mut rule = Rule::of(config.rule);
    if config.of != Scope::Port && config.rule != Kind::Saturation {
        return Err("of is for saturation alone".to_owned());
    }
    let levels = [config.info, config.warning, config.critical];
    if levels.iter().any(Option::is_some) {
        rule.levels = levels;
    }
    rule.margin = config.margin.unwrap_or(rule.margin);
    let numbers = rule.levels.iter().flatten().chain([&rule.margin]);
    if numbers.into_iter().any(|number| !number.is_finite() || *number < 0.0) {
        return Err("levels and margin must be numbers, 0 or more".to_owned());
    }
    let given: Vec<f64> = rule.levels.iter().flatten().copied().collect();
    let is_ordered = given.windows(2).all(|pair| match rule.passes {
        Passes::Above => pair[0] < pair[1],
        Passes::Below => pair[0] > pair[1],
    });
    if !is_ordered {
        return Err(format!("the levels must get worse from info to critical: {given:?}"));
    }
    for (name, seconds, of_rule) in
        [("hold_seconds", config.hold_seconds, &mut rule.hold_us), ("clear_seconds", config.clear_seconds, &mut rule.clear_us)]
    {
        let Some(seconds) = seconds else { continue };
        if !(0..=SECONDS_MAX).contains(&seconds) {
            return Err(format!("{name} = {seconds}: give 0 to {SECONDS_MAX}"));
        }
        *of_rule = seconds * SECOND_US;
    }
    Ok(rule)
}

impl RuleConfig {
    fn fits(&self, subject: &Subject) -> bool {
        let is_among = |names: &[String], name: Option<&str>| {
            names.is_empty() || name.is_some_and(|name| names.iter().any(|one| one == name))
        };
        is_among(&self.connections, subject.connection.as_deref())
            && is_among(&self.ports, subject.port.as_deref())
            && is_among(&self.exporters, subject.exporter.as_deref())
            && is_among(&self.locations, subject.location.as_deref())
            && (self.roles.is_empty() || subject.role.is_some_and(|role| self.roles.contains(&role)))
            && (self.direction.is_none() || self.direction == subject.direction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        alert_rule: Vec<RuleConfig>,
    }

    fn rules(text: &str) -> (Rules, Vec<String>) {
        let mut errors = Vec::new();
        let rules = Rules::check(toml::from_str::<File>(text).unwrap().alert_rule, &mut errors);
        (rules, errors)
    }

    #[test]
    fn the_first_rule_that_fits_holds_and_the_default_for_the_rest() {
        let (rules, errors) = rules(
            "[[alert_rule]]\nrule = \"saturation\"\nconnections = [\"a\"]\nwarning = 70\nhold_seconds = 60\n\
             [[alert_rule]]\nrule = \"saturation\"\nroles = [\"transit\"]\nenabled = false\n\
             [[alert_rule]]\nrule = \"saturation\"\nof = \"location\"\ncritical = 90\n",
        );
        assert_eq!(errors, Vec::<String>::new());
        let subject =
            |connection: &str, role| Subject { connection: Some(connection.into()), role: Some(role), ..Subject::default() };
        let levels = |scope, subject: &Subject| rules.rule(Kind::Saturation, scope, subject).map(|rule| rule.levels);
        assert_eq!(levels(Scope::Port, &subject("a", Role::Transit)), Some([None, Some(70.0), None]));
        assert_eq!(levels(Scope::Port, &subject("b", Role::Transit)), None);
        assert_eq!(levels(Scope::Port, &subject("b", Role::Direct)), Some([None, Some(80.0), Some(95.0)]));
        assert_eq!(levels(Scope::Location, &Subject::default()), Some([None, None, Some(90.0)]));
        assert_eq!(levels(Scope::Connection, &subject("b", Role::Direct)), None);
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (text, part) in [
            ("rule = \"saturation\"\nwarning = 90\ncritical = 80", "get worse"),
            ("rule = \"coverage\"\nwarning = 80\ncritical = 90", "get worse"),
            ("rule = \"coverage\"\nof = \"location\"", "saturation alone"),
            ("rule = \"coverage\"\nhold_seconds = -1", "hold_seconds = -1"),
            ("rule = \"saturation\"\nwarning = nan", "numbers"),
        ] {
            let (_, errors) = rules(&format!("[[alert_rule]]\n{text}\n"));
            assert!(
                errors.len() == 1 && errors[0].contains(part) && errors[0].starts_with("alert_rule 1 ("),
                "{text}: {errors:?}"
            );
        }
        let unknown = toml::from_str::<File>("[[alert_rule]]\nrule = \"saturaton\"\n").err().unwrap().to_string();
        assert!(unknown.contains("saturaton") && unknown.contains("saturation"), "{unknown}");
    }
}
