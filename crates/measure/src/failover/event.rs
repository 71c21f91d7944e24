//! An event: what is known of it from its beginning to its close.

use std::collections::BTreeMap;

use model::tables::FailoverRow;
use model::{Direction, Name};
use serde::{Deserialize, Serialize};

use super::FailoverSettings;
use super::account::Account;
use super::field::Contrast;
use super::groups::{Earlier, Grouped};
use super::kinds::Kind;
use super::track::Part;
use crate::window::Way;

/// What fell must be so many standard errors when more bins are there.
const FALL_ERRORS: f64 = 4.0;
/// A link that carries less than this share of what is expected is gone.
const GONE_SHARE: f64 = 0.1;
/// Rows of an event that are kept; of more revisions the oldest go.
const ROWS_MOST: usize = 64;

/// A failover.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    /// The bin in which it began.
    pub(crate) start: i64,
    pub(crate) detected_us: i64,
    /// The bin in which it was over.
    pub(crate) ended: Option<i64>,
    pub(crate) kind: Kind,
    /// `None` where it is of the port.
    pub(crate) direction: Option<Direction>,
    pub(crate) part: Part,
    /// The links that fell, and what they carried before, bit/s.
    pub(crate) fallen: BTreeMap<u32, f64>,
    pub(crate) exchange: Option<Name>,
    /// How far it was beyond chance when it was found, standard errors.
    pub(crate) errors: f64,
    /// The change by which it was found, relative.
    pub(crate) change: f64,
    /// The bin in which loads were steady again.
    pub(crate) settled: Option<i64>,
    /// What of the expected load the fallen still carry.
    pub(crate) residue: f64,
    /// What all links of the direction carried before, by link, bit/s.
    pub(crate) carried: BTreeMap<u32, f64>,
    /// Load of all links of the direction when it had settled, by link.
    pub(super) after: BTreeMap<u32, f64>,
    pub(crate) account: Option<Account>,
    /// What is to be compared by tag and customer, and what came of it.
    pub(crate) earlier: Option<Earlier>,
    pub(crate) grouped: Option<Grouped>,
    /// Looks at what moved where that are done.
    pub(super) looks: usize,
    /// Busiest bin of each other link since the beginning, load on the wire over capacity.
    pub(crate) utilisation: BTreeMap<u32, f32>,
    pub(crate) returned_share: Option<f64>,
    pub(crate) flaps: i64,
    /// The bin in which it was found to have fallen again.
    pub(crate) fell_again: i64,
    /// The last bin that was followed.
    pub(super) followed: i64,
    /// Members that are up and capacity: before, and after.
    pub(crate) port: Option<super::ports::PortChange>,
    /// The port was down in the event, its errors in the bin before.
    pub(crate) was_port_down: bool,
    pub(crate) port_errors: i64,
    pub(crate) was_silent: bool,
    pub(crate) is_withdrawn: bool,
    pub(crate) is_closed: bool,
    pub(crate) is_dirty: bool,
    pub(crate) rows: Vec<FailoverRow>,
    pub(crate) revision: i64,
}

impl Event {
    fn empty(start: i64, detected_us: i64, kind: Kind, direction: Option<Direction>) -> Event {
        Event {
            start,
            detected_us,
            ended: None,
            kind,
            direction,
            part: Part::Whole,
            fallen: BTreeMap::new(),
            exchange: None,
            errors: 0.0,
            change: 0.0,
            settled: None,
            residue: 1.0,
            carried: BTreeMap::new(),
            after: BTreeMap::new(),
            account: None,
            earlier: None,
            grouped: None,
            looks: 0,
            utilisation: BTreeMap::new(),
            returned_share: None,
            flaps: 0,
            fell_again: start,
            followed: start,
            port: None,
            was_port_down: false,
            port_errors: 0,
            was_silent: false,
            is_withdrawn: false,
            is_closed: false,
            is_dirty: true,
            rows: Vec::new(),
            revision: 0,
        }
    }

    /// A link's fall.
    pub(crate) fn new(start: i64, detected_us: i64, way: Way, contrast: &Contrast) -> Event {
        Event {
            fallen: BTreeMap::from([(way.0, contrast.expected)]),
            part: contrast.part,
            errors: -contrast.errors(),
            change: contrast.change,
            residue: contrast.now / contrast.expected,
            ..Event::empty(start, detected_us, Kind::Shifted, Some(way.1))
        }
    }

    /// A fall of all links of a direction: by how much, relative and in standard errors.
    pub(crate) fn wide(
        start: i64,
        detected_us: i64,
        direction: Direction,
        of: &[(u32, f64)],
        (change, errors): (f64, f64),
    ) -> Event {
        Event {
            fallen: of.iter().copied().collect(),
            errors: -errors,
            change,
            residue: 1.0 + change,
            ..Event::empty(start, detected_us, Kind::MicrosoftWide, Some(direction))
        }
    }

    /// A change of a port alone.
    pub(crate) fn of_port(start: i64, detected_us: i64, link: u32, kind: Kind, port: super::ports::PortChange) -> Event {
        Event {
            fallen: BTreeMap::from([(link, 0.0)]),
            port: Some(port),
            settled: Some(start),
            ..Event::empty(start, detected_us, kind, None)
        }
    }

    pub(crate) fn is_of(&self, way: Way) -> bool {
        !self.is_withdrawn && self.is_in(way.1) && self.fallen.contains_key(&way.0)
    }

    pub(crate) fn is_in(&self, direction: Direction) -> bool {
        !self.is_withdrawn && self.direction == Some(direction)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some() || self.is_closed || self.is_withdrawn
    }

    /// Loads have not settled yet.
    pub(crate) fn is_moving(&self) -> bool {
        self.settled.is_none() && !self.has_ended()
    }

    /// The fallen carry next to nothing.
    pub(crate) fn is_down(&self) -> bool {
        !self.has_ended() && self.residue < GONE_SHARE
    }

    pub(crate) fn is_wide(&self) -> bool {
        matches!(self.kind, Kind::MicrosoftWide | Kind::OwnDemand)
    }

    /// It falls further.
    pub(crate) fn unsettle(&mut self) {
        (self.settled, self.looks) = (None, 0);
    }

    /// What a closer look finds too small to be an event, or not beyond doubt.
    pub(super) fn is_nothing(&self, settings: &FailoverSettings) -> bool {
        let Some(account) = &self.account else { return false };
        let is_large = account.fallen_share >= settings.least_percent as f64 / 100.0;
        !is_large || account.fallen_share < FALL_ERRORS * account.fallen_error
    }

    /// Takes it back: it is part of another event, or none.
    pub(crate) fn withdraw(&mut self) {
        (self.is_withdrawn, self.is_closed, self.is_dirty) = (true, true, true);
    }

    /// Adds a revision.
    pub(crate) fn revise(&mut self, row: FailoverRow) {
        self.rows.push(row);
        self.revision += 1;
        if self.rows.len() > ROWS_MOST {
            self.rows.remove(1);
        }
    }

    /// A copy without its rows and groups, which are long and not looked at.
    pub(super) fn clone_light(&mut self) -> Event {
        let (rows, earlier, grouped) = (std::mem::take(&mut self.rows), self.earlier.take(), self.grouped.take());
        let copy = self.clone();
        (self.rows, self.earlier, self.grouped) = (rows, earlier, grouped);
        copy
    }

    /// Takes back what the copy was made without.
    pub(super) fn restore(&mut self, held: &mut Event) {
        (self.rows, self.earlier, self.grouped) = (std::mem::take(&mut held.rows), held.earlier.take(), held.grouped.take());
    }
}
