//! A whole topology on one thread, on a virtual clock, in an order drawn from a seed: the same seed
//! gives the same run, and an hour takes no time.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use storm_figures::Snapshot;
use storm_model::{ComponentId, TaskId, Time};
use storm_row::Anchor;
use storm_topology::{Clock, Topology};

use crate::asked::{Asker, Patience};
use crate::clock::VirtualClock;
use crate::executor::{Executor, Step, earlier};
use crate::ids::EdgeIds;
use crate::lanes::Control;
use crate::panics;
use crate::report::ErrorReport;
use crate::run::{Event, RunError};
use crate::settings::Settings;
use crate::traffic;
use crate::wiring::{Beginning, Wiring};

/// What a step takes on the virtual clock.
const STEP: Duration = Duration::from_micros(1);

/// A tree that is neither acked nor failed.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingTree {
    /// The spout.
    pub component: ComponentId,
    /// Its task.
    pub task: TaskId,
    /// The root, as the anchors of the tree's tuples have it; [`slot_of`](crate::ledger::slot_of)
    /// tells which slot of the task it is.
    pub root: u64,
    /// When the spout emitted it.
    pub since: Time,
}

/// A tuple that a bolt has retained and neither acked nor failed.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldTuple {
    /// The bolt.
    pub component: ComponentId,
    /// Its task.
    pub task: TaskId,
    /// Its trees, and its edge in each, as it came to the bolt; none if it is not tracked.
    pub anchors: Vec<Anchor>,
    /// When it was retained.
    pub since: Time,
}

/// A topology that moves when it is told to.
pub struct Stepped {
    wiring: Wiring,
    executors: Vec<Executor>,
    clock: Arc<VirtualClock>,
    random: EdgeIds,
    events: mpsc::Receiver<Event>,
    errors: Vec<ErrorReport>,
}

impl Stepped {
    /// Makes all tasks; spouts emit with the first step.
    ///
    /// # Errors
    /// As [`Run::start`](crate::Run::start).
    pub fn start(
        topology: Topology,
        settings: Settings,
        clock: Arc<VirtualClock>,
        seed: u64,
    ) -> Result<Stepped, RunError> {
        panics::install_hook();
        let (sender, events) = mpsc::channel();
        let beginning = Beginning {
            name: "stepped".to_owned(),
            clock: clock.clone(),
            seed,
            is_active: true,
            cores: usize::MAX,
            events: sender,
            here: None,
        };
        let (wiring, lanes) = Wiring::new(topology, settings, beginning).map_err(RunError::Hook)?;
        let mut executors = Vec::new();
        for (index, lanes) in lanes.into_iter().enumerate() {
            match wiring.build(index, lanes) {
                Ok(executor) => executors.push(executor),
                Err(error) => {
                    drop(executors);
                    wiring.shut_down();
                    return Err(error.into());
                }
            }
        }
        let random = EdgeIds::seeded(seed);
        let stepped = Stepped { wiring, executors, clock, random, events, errors: Vec::new() };
        stepped.tell_all(|| Control::Start);
        Ok(stepped)
    }

    /// Steps until every spout is done and everything is processed; false if that is not so at
    /// virtual time `until`.
    pub fn run_to_end(&mut self, until: Time) -> bool {
        self.run_while(until, |s| !s.is_complete())
    }

    /// Steps until virtual time `until`.
    pub fn run_until(&mut self, until: Time) {
        self.run_while(until, |_| true);
    }

    /// Steps while `condition` holds; false if it still holds at virtual time `until`.
    pub fn run_while(&mut self, until: Time, condition: impl Fn(&Stepped) -> bool) -> bool {
        let mut idle_rounds = 0;
        while condition(self) {
            if self.clock.now() >= until {
                return false;
            }
            let before = self.traffic();
            let (is_waiting, next) = self.round();
            // An executor that waits may have worked before, and may have flushed to another that
            // had its turn.
            let is_idle = is_waiting && self.traffic() == before;
            idle_rounds = if is_idle { idle_rounds + 1 } else { 0 };
            if idle_rounds >= 2 {
                idle_rounds = 0;
                match next {
                    Some(next) => self.clock.advance_to(next.min(until)),
                    None => self.clock.advance_to(until),
                }
            }
        }
        true
    }

    /// One step of each executor, in random order: whether all wait, and until when.
    fn round(&mut self) -> (bool, Option<Time>) {
        let mut order: Vec<usize> = (0..self.executors.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, self.random.below(i + 1));
        }
        let (mut is_idle, mut next) = (true, None);
        for index in order {
            self.clock.advance(STEP);
            match self.executors[index].step(self.clock.now()) {
                Step::Busy => is_idle = false,
                Step::Wait(until) => next = earlier(next, until),
                Step::Ended => {}
            }
        }
        while let Ok(event) = self.events.try_recv() {
            if let Event::Error(report) = event {
                self.errors.push(report);
            }
        }
        (is_idle, next)
    }

    fn traffic(&self) -> u64 {
        traffic::fingerprint(self.wiring.directory.iter().map(|a| &a.traffic))
    }

    /// Whether all spouts are done or inactive.
    pub fn is_done(&self) -> bool {
        traffic::is_done(self.wiring.directory.iter().map(|a| &a.traffic))
    }

    /// Whether all spouts are done or inactive and everything is processed.
    pub fn is_complete(&self) -> bool {
        traffic::is_complete(self.wiring.directory.iter().map(|a| &a.traffic))
    }

    /// Whether nothing is on its way, pending or retained.
    pub fn is_quiet(&self) -> bool {
        traffic::is_quiet(self.wiring.directory.iter().map(|a| &a.traffic))
    }

    /// Spouts emit again.
    pub fn activate(&self) {
        self.tell_all(|| Control::Activate);
    }

    /// Spouts emit no more.
    pub fn deactivate(&self) {
        self.tell_all(|| Control::Deactivate);
    }

    /// As [`Run::sample`](crate::Run::sample).
    pub fn sample(&self, percent_of: impl Fn(&ComponentId) -> f64) {
        for ((component, _), address) in self.wiring.executors.iter().zip(self.wiring.directory.iter()) {
            address.control(Control::Sample(percent_of(component)));
        }
    }

    /// The spouts that have more to come: they are active and have not said `Done`.
    pub fn undone_spouts(&self) -> Vec<ComponentId> {
        let all = self.wiring.executors.iter().zip(self.wiring.directory.iter());
        let mut undone: Vec<_> =
            all.filter(|(_, address)| !address.traffic.is_done()).map(|((id, _), _)| id.clone()).collect();
        undone.dedup();
        undone
    }

    /// The trees that are pending, task by task.
    pub fn pending_trees(&self) -> Vec<PendingTree> {
        let of = |executor: &Executor| match executor {
            Executor::Spout(spout) => spout.pending_trees().collect(),
            Executor::Bolt(_) => Vec::new(),
        };
        self.executors.iter().flat_map(of).collect()
    }

    /// The tuples that bolts retain, executor by executor.
    pub fn held_tuples(&self) -> Vec<HeldTuple> {
        let of = |executor: &Executor| match executor {
            Executor::Spout(_) => Vec::new(),
            Executor::Bolt(bolt) => bolt.held_tuples().collect(),
        };
        self.executors.iter().flat_map(of).collect()
    }

    /// The errors that were reported so far and not taken.
    pub fn errors(&self) -> &[ErrorReport] {
        &self.errors
    }

    /// Takes all errors that were reported so far.
    pub fn take_errors(&mut self) -> Vec<ErrorReport> {
        std::mem::take(&mut self.errors)
    }

    /// The virtual clock.
    pub fn clock(&self) -> &Arc<VirtualClock> {
        &self.clock
    }

    /// The figures now. Steps each executor once.
    pub fn snapshot(&mut self) -> Snapshot {
        let (reply, answers) = mpsc::channel();
        let patience = Patience::default();
        for address in self.wiring.directory.iter() {
            address.ask(Asker::new(reply.clone(), &patience));
        }
        self.round();
        let mut executors: Vec<_> = answers.try_iter().collect();
        executors.sort_by_key(|e| e.executor.first);
        Snapshot { executors }
    }

    /// Ends all tasks in good order.
    pub fn stop(mut self) {
        self.tell_all(|| Control::Stop);
        self.round();
        self.wiring.shut_down();
    }

    fn tell_all(&self, mut control: impl FnMut() -> Control) {
        for address in self.wiring.directory.iter() {
            address.control(control());
        }
    }
}
