//! The templates of a domain: defined, redefined, expired, forgotten; always bounded.

use std::sync::Arc;

use hashbrown::HashMap;
use model::time::SECOND_US;
use serde::{Deserialize, Serialize};

use crate::plan::{Field, Plan};
use crate::settings::DecodeSettings;

/// A template in force.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) definition: Definition,
    pub(crate) plan: Arc<Plan>,
    /// Time of reception of the last definition.
    refreshed_us: i64,
    used_us: i64,
    /// Start of the minute in which redefinitions are counted, and their number.
    minute_us: i64,
    redefinitions: u32,
}

/// A template as sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) fields: Vec<Field>,
    /// Leading fields that are scopes; 0 for a data template.
    pub(crate) scopes: u16,
    pub(crate) is_options: bool,
    /// Its protocol allows what it says.
    pub(crate) is_usable: bool,
    /// Export time of the message that defined it.
    pub(crate) export_us: i64,
}

/// What became of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defined {
    /// New, or another than before: data that waits for it can be decoded.
    Changed,
    /// The same as before.
    Refreshed,
    /// Older than the one in force (reordered on its way): ignored.
    Outdated,
    /// Its records would have no bytes, or it has too many fields.
    Invalid,
}

/// How a data set's template stands.
pub(crate) enum Lookup<'a> {
    Found(&'a Template),
    Missing,
    Expired,
    Quarantined,
    /// Defined, but so that it cannot be used: that is no reason to wait for it.
    Invalid,
}

/// The templates of one domain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Templates {
    by_id: HashMap<u16, Template>,
    /// Templates that fell off the limit.
    pub(crate) fell_off: u64,
}

impl Templates {
    /// Takes a definition in; data and options templates share their ids.
    ///
    /// One that cannot be used replaces the one before it too: its data must not be read by the old one.
    pub(crate) fn define(&mut self, id: u16, mut definition: Definition, now_us: i64, settings: &DecodeSettings) -> Defined {
        if !definition.is_usable || definition.fields.len() > settings.fields_per_template {
            definition.fields = Vec::new();
        }
        if let Some(template) = self.by_id.get_mut(&id) {
            let same = template.definition.fields == definition.fields && template.definition.scopes == definition.scopes;
            if same && template.definition.is_options == definition.is_options {
                template.refreshed_us = now_us;
                template.definition.export_us = template.definition.export_us.max(definition.export_us);
                return if template.plan.is_empty() { Defined::Invalid } else { Defined::Refreshed };
            }
            if definition.export_us < template.definition.export_us {
                return Defined::Outdated;
            }
        }
        let plan = Arc::new(Plan::compile(&definition.fields).unwrap_or_default());
        let is_usable = !plan.is_empty();
        let (minute_us, redefinitions) = match self.by_id.get(&id) {
            Some(before) if now_us - before.minute_us < 60 * SECOND_US => (before.minute_us, before.redefinitions + 1),
            Some(_) => (now_us, 1),
            None => (now_us, 0),
        };
        if !self.by_id.contains_key(&id) && self.by_id.len() >= settings.templates_per_domain {
            self.forget_one();
        }
        self.by_id.insert(id, Template { definition, plan, refreshed_us: now_us, used_us: now_us, minute_us, redefinitions });
        if is_usable { Defined::Changed } else { Defined::Invalid }
    }

    /// The template of a data set.
    pub(crate) fn find(&mut self, id: u16, now_us: i64, settings: &DecodeSettings) -> Lookup<'_> {
        let Some(template) = self.by_id.get_mut(&id) else { return Lookup::Missing };
        if now_us.saturating_sub(template.refreshed_us) > settings.template_lifetime_seconds * SECOND_US {
            return Lookup::Expired;
        }
        let is_current = now_us.saturating_sub(template.minute_us) < 60 * SECOND_US;
        if is_current && template.redefinitions > settings.redefinitions_per_minute {
            return Lookup::Quarantined;
        }
        template.used_us = now_us;
        if template.plan.is_empty() {
            return Lookup::Invalid;
        }
        Lookup::Found(template)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All definitions with the time of their last refresh, in the order of their ids.
    pub(crate) fn definitions(&self) -> Vec<(u16, Definition, i64)> {
        let mut all: Vec<_> =
            self.by_id.iter().map(|(id, template)| (*id, template.definition.clone(), template.refreshed_us)).collect();
        all.sort_by_key(|(id, ..)| *id);
        all
    }

    /// Forgets the template that was unused and unrefreshed for the longest time.
    fn forget_one(&mut self) {
        let oldest =
            self.by_id.iter().min_by_key(|(id, template)| (template.used_us.max(template.refreshed_us), **id)).map(|(id, _)| *id);
        if let Some(id) = oldest {
            self.by_id.remove(&id);
            self.fell_off += 1;
        }
    }
}
