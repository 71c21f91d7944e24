//! Which ends of a record are Microsoft's.

use model::tag::TagNames;
use model::{Attribution, Side};

/// Which ends of a record are Microsoft's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ends {
    pub(crate) source: bool,
    pub(crate) destination: bool,
    /// Both are.
    pub(crate) is_through: bool,
}

impl Ends {
    #[inline]
    pub(crate) fn of(attribution: &Attribution, names: &TagNames) -> Ends {
        let (source, destination) = (attribution.source.tag.is_microsoft(), attribution.destination.tag.is_microsoft());
        if !(source && destination) {
            return Ends { source, destination, is_through: false };
        }
        // A customer of ours may announce addresses of Microsoft's lists: then that end is ours.
        let is_ours = |side: Side| names.places.get(side.place as usize).is_some_and(|place| place.own.is_some());
        match (is_ours(attribution.source), is_ours(attribution.destination)) {
            (true, false) => Ends { source: false, destination: true, is_through: false },
            (false, true) => Ends { source: true, destination: false, is_through: false },
            _ => Ends { source: true, destination: true, is_through: true },
        }
    }
}
