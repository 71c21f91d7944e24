//! What the configuration says of alerts.

use std::path::Path;

use alert::{AlertSettings, RuleConfig, Rules, SILENCES_MAX, Silence, Target, TargetConfig};

/// Rules, targets and silences that were checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlertPlan {
    pub(crate) settings: AlertSettings,
    pub(crate) rules: Rules,
    pub(crate) targets: Vec<Target>,
    pub(crate) silences: Vec<Silence>,
}

impl AlertPlan {
    /// Checks what was configured; what is wrong is added to `errors`. Files of targets are relative to the folder.
    pub(crate) fn check(
        settings: AlertSettings,
        rules: Vec<RuleConfig>,
        (targets, folder): (&[TargetConfig], &Path),
        silences: Vec<Silence>,
        errors: &mut Vec<String>,
    ) -> AlertPlan {
        for (index, silence) in silences.iter().enumerate() {
            if let Err(error) = silence.check() {
                errors.push(format!("silence {}: {error}", index + 1));
            }
        }
        if silences.len() > SILENCES_MAX {
            errors.push(format!("there are {} silences: {SILENCES_MAX} at most", silences.len()));
        }
        let rules = Rules::check(rules, errors);
        AlertPlan { settings, rules, targets: alert::check_targets(targets, folder, errors), silences }
    }
}
