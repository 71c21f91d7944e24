//! The tables of one exporter: interface to rule, port and what was seen there.

use hashbrown::HashMap;
use model::record::Metering;
use model::{Address, Mac};

use crate::config::InterfaceRef;
use crate::inventory::{CounterPlan, ExporterPlan, FlowPlan, NONE, Rule};

/// Interfaces below this index are found by index alone; above it by hash.
const LOW_INTERFACES: u32 = 4_096;

/// The slot of interface 0.
pub(crate) const ABSENT: usize = 0;

/// The slot of interfaces past the limit.
pub(crate) const OVERFLOW: usize = 1;

/// One interface: where it counts, and what was seen of it.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) rule: Rule,
    /// Its port, or [`NONE`].
    pub(crate) port: u32,
    /// The port of its counters, or [`NONE`].
    pub(crate) counter_port: u32,
    /// The link that was made for it, or [`NONE`].
    pub(crate) own_link: u32,
    pub(crate) index: u32,
    /// Metering where the record does not say.
    pub(crate) metering: Metering,
    pub(crate) is_member: bool,
    pub(crate) input_records: u64,
    pub(crate) output_records: u64,
    pub(crate) from_microsoft_bytes: u64,
    pub(crate) to_microsoft_bytes: u64,
    pub(crate) counter_readings: u64,
    pub(crate) speed_bps: u64,
}

impl Slot {
    fn new(index: u32, rule: Rule, metering: Metering) -> Slot {
        Slot {
            rule,
            port: NONE,
            counter_port: NONE,
            own_link: NONE,
            index,
            metering,
            is_member: false,
            input_records: 0,
            output_records: 0,
            from_microsoft_bytes: 0,
            to_microsoft_bytes: 0,
            counter_readings: 0,
            speed_bps: 0,
        }
    }
}

/// A session address seen as next hop of this exporter's records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HopSeen {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) mac: Mac,
}

/// One exporter, as this resolver knows it.
#[derive(Debug)]
pub(crate) struct ExporterState {
    pub(crate) address: Address,
    /// Its plan in the inventory, or `None`: nobody configured it.
    pub(crate) plan: Option<usize>,
    pub(crate) metering: Metering,
    /// Slot + 1 by interface index, 0 for none.
    low: Vec<u32>,
    high: HashMap<u32, u32>,
    pub(crate) slots: Vec<Slot>,
    slots_max: usize,
    /// Index by name, as the exporter tells it.
    pub(crate) names: HashMap<String, u32>,
    /// Name by index, the other way round.
    pub(crate) name_by_index: HashMap<u32, String>,
    /// Links `ADDRESS/unresolved` and `ADDRESS/other`, or [`NONE`].
    pub(crate) unresolved_link: u32,
    pub(crate) other_link: u32,
    /// By link, output interface, and whether it was the BGP next hop.
    pub(crate) hops: HashMap<(u32, u32, bool), HopSeen>,
    pub(crate) records: u64,
    pub(crate) metered: [u64; 3],
    pub(crate) twins: u64,
    pub(crate) to_microsoft_records: u64,
    pub(crate) output_unknown_records: u64,
    pub(crate) ambiguous_records: u64,
    pub(crate) as12076_records: u64,
}

impl ExporterState {
    /// The tables of an exporter, with what its plan binds.
    pub(crate) fn new(address: Address, plan: Option<(usize, &ExporterPlan)>, slots_max: usize) -> ExporterState {
        let metering = plan.map_or(Metering::Unstated, |(_, plan)| plan.metering);
        let mut state = ExporterState {
            address,
            plan: plan.map(|(index, _)| index),
            metering,
            low: Vec::new(),
            high: HashMap::new(),
            slots: vec![Slot::new(0, Rule::Absent, metering), Slot::new(0, Rule::Overflow, metering)],
            slots_max: slots_max + 2,
            names: HashMap::new(),
            name_by_index: HashMap::new(),
            unresolved_link: NONE,
            other_link: NONE,
            hops: HashMap::new(),
            records: 0,
            metered: [0; 3],
            twins: 0,
            to_microsoft_records: 0,
            output_unknown_records: 0,
            ambiguous_records: 0,
            as12076_records: 0,
        };
        if let Some((_, plan)) = plan {
            state.bind_plan(plan);
        }
        state
    }

    /// The slot of an interface; made if it is new and there is room.
    #[inline]
    pub(crate) fn slot(&mut self, interface: u32) -> usize {
        if let Some(slot) = self.low.get(interface as usize)
            && *slot != 0
        {
            return *slot as usize - 1;
        }
        self.slot_slowly(interface)
    }

    fn slot_slowly(&mut self, interface: u32) -> usize {
        if interface == 0 {
            return ABSENT;
        }
        if let Some(slot) = self.high.get(&interface) {
            return *slot as usize;
        }
        if self.slots.len() >= self.slots_max {
            return OVERFLOW;
        }
        self.add_slot(interface)
    }

    /// Adds a slot without regard for the limit: what is configured always has one.
    fn add_slot(&mut self, interface: u32) -> usize {
        let slot = self.slots.len();
        self.slots.push(Slot::new(interface, Rule::Unknown, self.metering));
        if interface < LOW_INTERFACES {
            if self.low.len() <= interface as usize {
                self.low.resize(interface as usize + 1, 0);
            }
            self.low[interface as usize] = slot as u32 + 1;
        } else {
            self.high.insert(interface, slot as u32);
        }
        slot
    }

    fn slot_of_plan(&mut self, interface: u32) -> usize {
        match self.slot(interface) {
            OVERFLOW => self.add_slot(interface),
            slot => slot,
        }
    }

    fn bind_plan(&mut self, plan: &ExporterPlan) {
        for (interface, flow) in &plan.flows {
            if let Some(index) = plan.index_of(interface) {
                self.bind_flow(index, *flow);
            }
        }
        for (interface, counter) in &plan.counters {
            if let Some(index) = plan.index_of(interface) {
                self.bind_counter(index, *counter);
            }
        }
        for (index, (name, _)) in &plan.table {
            // Of a name that is there twice the smallest index counts, whatever the order.
            let known = self.names.entry(name.clone()).or_insert(*index);
            *known = (*known).min(*index);
            self.name_by_index.insert(*index, name.clone());
        }
    }

    fn bind_flow(&mut self, index: u32, flow: FlowPlan) {
        let slot = self.slot_of_plan(index);
        let metering = if flow.metering == Metering::Unstated { self.metering } else { flow.metering };
        let slot = &mut self.slots[slot];
        slot.rule = flow.rule;
        slot.port = flow.port;
        slot.metering = metering;
    }

    /// The exporter says that `index` is called `name` now: what is configured by that name moves
    /// here, and what was here by another name goes.
    pub(crate) fn name_interface(&mut self, index: u32, name: &str, plan: Option<&ExporterPlan>) {
        let former = self.names.get(name).copied();
        if former == Some(index) || index == 0 {
            return;
        }
        let (flow, counter) = planned(plan, name);
        if flow.is_none() && counter.is_none() && self.names.len() >= self.slots_max {
            return;
        }
        if let Some(other_name) = self.name_by_index.insert(index, name.to_owned()) {
            self.unbind(index, planned(plan, &other_name));
            if self.names.get(&other_name) == Some(&index) {
                self.names.remove(&other_name);
            }
        }
        self.names.insert(name.to_owned(), index);
        if let Some(former) = former {
            self.name_by_index.remove(&former);
            self.unbind(former, (flow, counter));
        }
        if let Some(flow) = flow {
            self.bind_flow(index, flow);
        }
        if let Some(counter) = counter {
            self.bind_counter(index, counter);
        }
    }

    fn bind_counter(&mut self, index: u32, counter: CounterPlan) {
        let slot = self.slot_of_plan(index);
        self.slots[slot].counter_port = counter.port;
        self.slots[slot].is_member = counter.is_member;
    }

    /// Takes from an interface what a name had bound to it.
    fn unbind(&mut self, index: u32, (flow, counter): (Option<FlowPlan>, Option<CounterPlan>)) {
        let slot = self.slot(index);
        let slot = &mut self.slots[slot];
        if flow.is_some_and(|flow| slot.rule == flow.rule && slot.port == flow.port) {
            slot.rule = Rule::Unknown;
            slot.port = NONE;
            slot.metering = self.metering;
        }
        if counter.is_some_and(|counter| slot.counter_port == counter.port) {
            slot.counter_port = NONE;
        }
    }
}

/// What is configured for an interface by its name.
fn planned(plan: Option<&ExporterPlan>, name: &str) -> (Option<FlowPlan>, Option<CounterPlan>) {
    let by_name = InterfaceRef::Name(name.to_owned());
    let flow = plan.and_then(|plan| plan.flows.get(&by_name).copied());
    let counter = plan.and_then(|plan| plan.counters.get(&by_name).copied());
    (flow, counter)
}
