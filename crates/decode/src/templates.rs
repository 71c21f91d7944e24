//! The templates of a domain: defined, redefined, expired, forgotten; always bounded.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use model::time::SECOND_US;
use serde::{Deserialize, Serialize};

use crate::latency::LatencyElements;
use crate::plan::{Field, Plan};
use crate::settings::DecodeSettings;
use crate::steps;

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
    /// There are too many templates, and none of this domain that could make room.
    Refused,
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

/// Templates and fields that a domain may have more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) templates: usize,
    pub(crate) fields: usize,
}

/// The sets that define templates and options templates.
const TEMPLATE_SET: u16 = 2;
const OPTIONS_TEMPLATE_SET: u16 = 3;

/// Templates that were used of late are passed over so often when one must fall off.
const PASSED_OVER_MOST: usize = 8;

/// The templates of one domain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Templates {
    by_id: HashMap<u16, Template>,
    /// Ids in the order in which they may fall off, each with the time since when.
    order: VecDeque<(u16, i64)>,
    /// Fields of all templates.
    fields: usize,
    /// Templates that fell off the limit.
    fell_off: u64,
}

impl Templates {
    /// Takes a definition in; data and options templates share their ids.
    ///
    /// One that cannot be used replaces the one before it too: its data must not be read by the old one.
    pub(crate) fn define(
        &mut self,
        id: u16,
        mut definition: Definition,
        now_us: i64,
        room: Room,
        settings: &DecodeSettings,
        elements: &LatencyElements,
    ) -> Defined {
        if !definition.is_usable || definition.fields.len() > settings.fields_per_template {
            definition.fields = Vec::new();
        }
        let (mut minute_us, mut redefinitions) = (now_us, 0);
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
            redefinitions = 1;
            if now_us - template.minute_us < 60 * SECOND_US {
                (minute_us, redefinitions) = (template.minute_us, template.redefinitions + 1);
            }
        }
        let before = self.by_id.remove(&id);
        let freed = before.as_ref().map_or(0, |template| template.definition.fields.len());
        self.fields -= freed;
        if !self.make_room(definition.fields.len(), Room { fields: room.fields + freed, ..room }, before.is_some(), settings) {
            return Defined::Refused;
        }
        let plan = Arc::new(Plan::compile(&definition.fields, elements).unwrap_or_default());
        let is_usable = !plan.is_empty();
        self.fields += definition.fields.len();
        if before.is_none() {
            self.order.push_back((id, now_us));
        }
        self.by_id.insert(id, Template { definition, plan, refreshed_us: now_us, used_us: now_us, minute_us, redefinitions });
        if is_usable { Defined::Changed } else { Defined::Invalid }
    }

    /// Lets templates of this domain fall off until there is room for another one; gives whether there is.
    fn make_room(&mut self, fields: usize, mut room: Room, is_replacement: bool, settings: &DecodeSettings) -> bool {
        room.templates = room.templates.min(settings.templates_per_domain.saturating_sub(self.by_id.len()));
        room.templates += usize::from(is_replacement);
        while room.templates == 0 || room.fields < fields {
            let Some(freed) = self.forget_one() else { return false };
            room.templates += 1;
            room.fields += freed;
        }
        true
    }

    /// Takes a template back: this one, or with the id of a set of definitions all of that kind (RFC 7011, section
    /// 8.1); gives how many there were.
    pub(crate) fn withdraw(&mut self, id: u16) -> usize {
        let before = self.by_id.len();
        self.by_id.retain(|of, template| match id {
            TEMPLATE_SET => template.definition.is_options,
            OPTIONS_TEMPLATE_SET => !template.definition.is_options,
            _ => *of != id,
        });
        self.fields = self.by_id.values().map(|template| template.definition.fields.len()).sum();
        self.order.retain(|(id, _)| self.by_id.contains_key(id));
        before - self.by_id.len()
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

    /// Whether there is a template of this id, whatever its state.
    pub(crate) fn knows(&self, id: u16) -> bool {
        self.by_id.contains_key(&id)
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

    /// Fields of all templates.
    pub(crate) fn fields(&self) -> usize {
        self.fields
    }

    /// Templates that fell off since the last time.
    pub(crate) fn take_fell_off(&mut self) -> u64 {
        std::mem::take(&mut self.fell_off)
    }

    /// Forgets a template that was neither used nor refreshed for long; gives its number of fields.
    ///
    /// In turn: what was used since its turn came last is passed over, though not for ever.
    fn forget_one(&mut self) -> Option<usize> {
        for passed_over in 0..=PASSED_OVER_MOST {
            steps::count(1);
            let (id, since_us) = self.order.pop_front()?;
            let Some(template) = self.by_id.get(&id) else { continue };
            let used_us = template.used_us.max(template.refreshed_us);
            if used_us > since_us && passed_over < PASSED_OVER_MOST {
                self.order.push_back((id, used_us));
                continue;
            }
            let fields = template.definition.fields.len();
            self.by_id.remove(&id);
            self.fields -= fields;
            self.fell_off += 1;
            return Some(fields);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(fields: usize) -> Definition {
        let field = Field { enterprise: 0, element: 1, length: 4, scope_type: 0 };
        Definition { fields: vec![field; fields], scopes: 0, is_options: false, is_usable: true, export_us: 0 }
    }

    const ROOM: Room = Room { templates: 1_000, fields: 1_000 };

    #[test]
    fn the_template_longest_unused_falls_off() {
        let elements = LatencyElements::default();
        let settings = DecodeSettings { templates_per_domain: 3, ..DecodeSettings::default() };
        let mut templates = Templates::default();
        for id in [256, 257, 258] {
            assert_eq!(templates.define(id, definition(2), i64::from(id), ROOM, &settings, &elements), Defined::Changed);
        }
        assert!(matches!(templates.find(256, 300, &settings), Lookup::Found(_)));
        templates.define(259, definition(2), 301, ROOM, &settings, &elements);
        assert!(matches!(templates.find(257, 302, &settings), Lookup::Missing));
        assert!(matches!(templates.find(256, 302, &settings), Lookup::Found(_)));
        assert_eq!((templates.len(), templates.fields(), templates.take_fell_off()), (3, 6, 1));
    }

    #[test]
    fn without_room_elsewhere_a_domain_makes_it_itself_or_goes_without() {
        let (settings, elements) = (DecodeSettings::default(), LatencyElements::default());
        let full = Room { templates: 0, fields: 0 };
        let mut templates = Templates::default();
        assert_eq!(templates.define(256, definition(2), 1, full, &settings, &elements), Defined::Refused);
        templates.define(256, definition(2), 1, ROOM, &settings, &elements);
        templates.define(257, definition(2), 2, ROOM, &settings, &elements);
        assert_eq!(templates.define(258, definition(3), 3, full, &settings, &elements), Defined::Changed);
        assert_eq!((templates.len(), templates.fields()), (1, 3));
        // Another definition of the same size takes the place of the old one.
        let other = Definition { scopes: 1, ..definition(3) };
        assert_eq!(templates.define(258, other, 4, full, &settings, &elements), Defined::Changed);
    }
}
