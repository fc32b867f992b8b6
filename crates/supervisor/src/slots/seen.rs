//! What others see of the slots: the service, and Nimbus by its reports.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use storm_model::{ComponentId, SupervisorId, Time, TopologyId};
use storm_rpc::v1::{SlotReport, WorkerState};

use super::Slots;
use crate::slot::{Slot, State};

/// What the service sees of the slots.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) id: SupervisorId,
    pub(crate) host: String,
    pub(crate) slots: BTreeMap<u16, SeenSlot>,
    /// What is wrong, in words.
    pub(crate) problems: Vec<String>,
}

/// A slot that is not empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenSlot {
    pub(crate) topology: TopologyId,
    pub(crate) components: BTreeSet<ComponentId>,
}

impl Slots {
    pub(super) fn publish(&self) {
        let now = self.now();
        let reports: Vec<SlotReport> =
            self.slots.iter().filter_map(|(port, slot)| self.slot_report(now, *port, slot)).collect();
        let seen = |slot: &Slot| {
            let work = slot.tenant().map(|tenant| &tenant.work).or(slot.wanted())?;
            let components = work.executors.iter().map(|executor| executor.component.clone()).collect();
            Some(SeenSlot { topology: work.topology.clone(), components })
        };
        let slots = self.slots.iter().filter_map(|(port, slot)| Some((*port, seen(slot)?))).collect();
        let own = [self.problem.clone(), self.parts.outbox.unhealthy()];
        let of_slots = reports.iter().filter(|report| !report.problem.is_empty());
        let of_slots = of_slots.map(|report| format!("port {}: {}", report.port, report.problem));
        let own = own.into_iter().chain(self.broken.iter().cloned()).chain(self.strays.problems());
        let problems: Vec<String> = own.filter(|text| !text.is_empty()).chain(of_slots).collect();
        self.parts.shown.set_slots(&reports);
        self.parts.outbox.set_slots(reports);
        self.seen.send_if_modified(|old| {
            if old.slots == slots && old.problems == problems {
                return false;
            }
            *old = Arc::new(Seen { slots, problems, id: old.id.clone(), host: old.host.clone() });
            true
        });
    }

    fn slot_report(&self, now: Time, port: u16, slot: &Slot) -> Option<SlotReport> {
        let life = slot.incarnation()?;
        let state = match slot.state() {
            _ if slot.is_silent(now) => WorkerState::Silent,
            State::Empty => WorkerState::Unspecified,
            State::Localizing { .. } => WorkerState::Localizing,
            State::BackingOff { .. } => WorkerState::BackingOff,
            State::Stopping { .. } => WorkerState::Stopping,
            State::Starting { .. } => WorkerState::Starting,
            State::Running { .. } => match self.reported.get(&port) {
                Some((who, standing)) if *who == life => standing.state(),
                // Adopted, and not heard yet.
                _ => WorkerState::Running,
            },
        };
        let process = slot.tenant().and_then(|tenant| tenant.process.as_ref());
        Some(SlotReport {
            port: port.into(),
            topology_id: life.topology.to_string(),
            incarnation: Some(life.incarnation.into()),
            pid: process.map_or(0, |process| process.pid),
            state: state.into(),
            recent_failures: slot.recent_failures(now),
            problem: slot.problem().to_owned(),
        })
    }
}
