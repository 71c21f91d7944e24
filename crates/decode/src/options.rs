//! Options data: samplers, interface names, timeouts, the device's start.

use model::{Batch, Fact};

use crate::Decoder;
use crate::domain::Exporter;
use crate::fields::{Slot, SlotSet, Values};
use crate::plan::Texts;
use crate::sampling::Scope;

/// Longest interface name that is kept, in characters.
const NAME_CHARACTERS_MOST: usize = 256;

impl Decoder {
    /// One record of options data.
    pub(crate) fn options_record(&mut self, index: usize, slots: SlotSet, values: &Values, texts: Texts<'_>, batch: &mut Batch) {
        self.summary.option_records += 1;
        let domain = &mut self.domains[index];
        let exporter = &mut self.exporters[domain.exporter];
        exporter.is_changed = true;
        let known = exporter.options_known();
        // At the bound of all exporters together, only what is known already still changes.
        let is_full = self.options_known >= self.settings.options_known && !exporter.is_reserved;
        let most = |most: usize| if is_full { 0 } else { most };
        let interface = [Slot::ScopeInterface, Slot::Input, Slot::Output]
            .into_iter()
            .find(|slot| slots.has(*slot))
            .map(|slot| values.get(slot) as u32);
        if let Some(rate) = values.rate(slots) {
            let names_sampler = slots.has(Slot::SamplerId) || slots.has(Slot::SelectorId);
            let scope = Scope {
                sampler: names_sampler.then(|| values.either(Slot::SamplerId, Slot::SelectorId)),
                interface,
                template: slots.has(Slot::ScopeTemplate).then(|| values.get(Slot::ScopeTemplate) as u16),
            };
            let is_learned = exporter.samplers.learn(domain.number, scope, rate, most(self.settings.samplers_per_exporter));
            domain.counts.refuse("options_over_limit", u64::from(!is_learned));
        }
        if slots.has(Slot::InitMs) && values.get(Slot::InitMs) != 0 {
            domain.clock.set_init((values.get(Slot::InitMs) as i64).saturating_mul(1_000));
        }
        if slots.has(Slot::ActiveTimeout) && values.get(Slot::ActiveTimeout) != 0 {
            domain.timeout.told_s = Some(values.get(Slot::ActiveTimeout).min(7_200) as u32);
        }
        if let (Some(interface), Some(bytes)) = (interface, texts.name) {
            match exporter.rename(interface, bytes, most(self.settings.interfaces_per_exporter)) {
                Renamed::Anew(name) => batch.facts.push(Fact::InterfaceName { exporter: exporter.id, interface, name }),
                Renamed::NoRoom => domain.counts.refuse("options_over_limit", 1),
                Renamed::AsBefore => {}
            }
        }
        self.options_known = self.options_known + exporter.options_known() - known;
    }
}

impl Exporter {
    /// Samplers and interface names that are known.
    pub(crate) fn options_known(&self) -> usize {
        self.samplers.len() + self.interface_names.len()
    }

    /// Takes in the name of an interface, if there is room.
    fn rename(&mut self, interface: u32, bytes: &[u8], names_most: usize) -> Renamed {
        let name = clean(bytes);
        let before = self.interface_names.get(&interface);
        if name.is_empty() || before == Some(&name) {
            return Renamed::AsBefore;
        }
        if before.is_none() && self.interface_names.len() >= names_most {
            return Renamed::NoRoom;
        }
        self.interface_names.insert(interface, name.clone());
        Renamed::Anew(name)
    }
}

/// What became of the name of an interface.
enum Renamed {
    Anew(String),
    AsBefore,
    NoRoom,
}

/// A text without what has no place in a name: padding, control characters, ill-formed UTF-8.
fn clean(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..end]);
    text.chars().filter(|character| !character.is_control()).take(NAME_CHARACTERS_MOST).collect::<String>().trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned() {
        for (bytes, name) in [
            (&b"ae10.0\0\0\0"[..], "ae10.0"),
            (b" xe-0/0/1 ", "xe-0/0/1"),
            (b"a\x1b[31mb", "a[31mb"),
            (b"\xffx", "\u{fffd}x"),
            (b"", ""),
        ] {
            assert_eq!(clean(bytes), name);
        }
    }
}
