//! What becomes of a topology: `(status, event) -> (status, effect)`. Pure.
//!
//! | from \ event | activated | deactivated | killed | rebalanced | wait ended |
//! |---|---|---|---|---|---|
//! | ACTIVE | as it is | INACTIVE | KILLED, wait | REBALANCING, wait | |
//! | INACTIVE | ACTIVE | as it is | KILLED, wait | REBALANCING, wait | |
//! | KILLED | refused | refused | KILLED, the shorter wait | refused | removed |
//! | REBALANCING | refused | refused | KILLED, wait | refused | what it was before, placed anew |
//!
//! It is Storm's table (`Nimbus.TOPO_STATE_TRANSITIONS`), but for a wait that ends early when
//! nothing is on its way any more, and that does not begin anew with a new leader: see [`Wait`].

use std::time::Duration;

use storm_cluster::{PendingAction, PendingKind};
use storm_model::{Status, Time};
use storm_rpc::CallError;

/// What happened to a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants its spouts to emit.
    Activated,
    /// Somebody wants them not to.
    Deactivated,
    /// Somebody wants it to end after so many seconds at the latest.
    Killed {
        /// The wait that was asked for.
        wait_secs: u64,
    },
    /// Somebody wants it to be placed anew after so many seconds at the latest.
    Rebalanced {
        /// The wait that was asked for.
        wait_secs: u64,
    },
    /// Nothing is on its way any more, or the time is over.
    WaitEnded,
}

/// What is to be done beside noting the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// Begin to wait.
    Wait {
        /// So many seconds at most.
        wait_secs: u64,
    },
    /// Remove it and all that is known of it.
    Remove,
    /// Place it anew, with what the rebalance asks for.
    PlaceAnew,
}

/// The topology afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its status.
    pub status: Status,
    /// What it goes back to after a rebalance.
    pub previous: Option<Status>,
    /// What is to be done.
    pub effect: Effect,
}

/// Takes a step. `remaining` is what is left of the wait that goes on, if one does.
///
/// # Errors
/// When people ask for what cannot be, in words for them. `WaitEnded` is never refused: it does
/// nothing where nothing waits.
pub fn step(
    name: &str,
    status: Status,
    previous: Option<Status>,
    remaining: Option<Duration>,
    event: Event,
) -> Result<Step, CallError> {
    let stay = Step { status, previous, effect: Effect::Nothing };
    let running = |status| Step { status, previous: None, effect: Effect::Nothing };
    let step = match (status, event) {
        (Status::Active | Status::Inactive, Event::Activated) => running(Status::Active),
        (Status::Active | Status::Inactive, Event::Deactivated) => running(Status::Inactive),
        (Status::Active | Status::Inactive | Status::Rebalancing, Event::Killed { wait_secs }) => {
            Step { status: Status::Killed, previous: None, effect: Effect::Wait { wait_secs } }
        }
        (Status::Killed, Event::Killed { wait_secs }) => {
            let is_shorter = remaining.is_none_or(|left| Duration::from_secs(wait_secs) < left);
            let effect = if is_shorter { Effect::Wait { wait_secs } } else { Effect::Nothing };
            Step { effect, ..stay }
        }
        (Status::Active | Status::Inactive, Event::Rebalanced { wait_secs }) => {
            let effect = Effect::Wait { wait_secs };
            Step { status: Status::Rebalancing, previous: Some(status), effect }
        }
        (Status::Killed, Event::Activated | Event::Deactivated | Event::Rebalanced { .. }) => {
            return Err(CallError::invalid(format!("topology '{name}' is being killed"))
                .advise("wait until it is gone and submit it again"));
        }
        (Status::Rebalancing, Event::Activated | Event::Deactivated | Event::Rebalanced { .. }) => {
            return Err(CallError::invalid(format!("topology '{name}' is being rebalanced"))
                .advise(format!("wait until it is done: `storm-rs status {name}` shows it")));
        }
        (Status::Killed, Event::WaitEnded) => Step { effect: Effect::Remove, ..stay },
        (Status::Rebalancing, Event::WaitEnded) => {
            Step { status: previous.unwrap_or(Status::Active), previous: None, effect: Effect::PlaceAnew }
        }
        (Status::Active | Status::Inactive, Event::WaitEnded) => stay,
    };
    Ok(step)
}

/// A wait that goes on, on the clock of this process.
///
/// Stored are its start, its length and how much of it has passed ([`PendingAction`]). A new leader
/// goes on where the old one was: what passed in between counts, by the clocks of the machines, but
/// neither makes a clock that was set the wait longer than it was nor undoes what has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    begun: Time,
    length: Duration,
    passed_before: Duration,
}

impl Wait {
    /// Begins a wait.
    pub fn begin(now: Time, wait_secs: u64) -> Wait {
        Wait { begun: now, length: Duration::from_secs(wait_secs), passed_before: Duration::ZERO }
    }

    /// Goes on with a wait that another leader began; `wall_ms` is the time of day.
    pub fn resume(now: Time, wall_ms: u64, pending: &PendingAction) -> Wait {
        let length = Duration::from_secs(pending.wait_secs);
        let counted = Duration::from_millis(pending.elapsed_ms);
        let by_day = Duration::from_millis(wall_ms.saturating_sub(pending.started_ms));
        Wait { begun: now, length, passed_before: counted.max(by_day).min(length) }
    }

    /// How much of it has passed.
    pub fn elapsed(&self, now: Time) -> Duration {
        (self.passed_before + now.since(self.begun)).min(self.length)
    }

    /// How much of it is left.
    pub fn remaining(&self, now: Time) -> Duration {
        self.length - self.elapsed(now)
    }

    /// When it ends.
    pub fn deadline(&self) -> Time {
        self.begun + (self.length - self.passed_before.min(self.length))
    }
}

/// What to tell people of what waits.
pub fn kind_name(kind: &PendingKind) -> &'static str {
    match kind {
        PendingKind::Kill => "kill",
        PendingKind::Rebalance { .. } => "rebalance",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    const EVENTS: [Event; 5] = [
        Event::Activated,
        Event::Deactivated,
        Event::Killed { wait_secs: 7 },
        Event::Rebalanced { wait_secs: 7 },
        Event::WaitEnded,
    ];

    fn table() -> String {
        let mut lines = Vec::new();
        let before = [Status::Active, Status::Inactive, Status::Killed, Status::Rebalancing];
        for status in before {
            for event in EVENTS {
                let previous = (status == Status::Rebalancing).then_some(Status::Inactive);
                let remaining = (status == Status::Killed).then_some(Duration::from_secs(5));
                let after = match step("x", status, previous, remaining, event) {
                    Ok(step) => format!("{} {:?}", step.status, step.effect),
                    Err(error) => error.message,
                };
                lines.push(format!("{status} {event:?}: {after}\n"));
            }
        }
        lines.concat()
    }

    #[test]
    fn the_table_is_storms() {
        let expected = "\
ACTIVE Activated: ACTIVE Nothing
ACTIVE Deactivated: INACTIVE Nothing
ACTIVE Killed { wait_secs: 7 }: KILLED Wait { wait_secs: 7 }
ACTIVE Rebalanced { wait_secs: 7 }: REBALANCING Wait { wait_secs: 7 }
ACTIVE WaitEnded: ACTIVE Nothing
INACTIVE Activated: ACTIVE Nothing
INACTIVE Deactivated: INACTIVE Nothing
INACTIVE Killed { wait_secs: 7 }: KILLED Wait { wait_secs: 7 }
INACTIVE Rebalanced { wait_secs: 7 }: REBALANCING Wait { wait_secs: 7 }
INACTIVE WaitEnded: INACTIVE Nothing
KILLED Activated: topology 'x' is being killed
KILLED Deactivated: topology 'x' is being killed
KILLED Killed { wait_secs: 7 }: KILLED Nothing
KILLED Rebalanced { wait_secs: 7 }: topology 'x' is being killed
KILLED WaitEnded: KILLED Remove
REBALANCING Activated: topology 'x' is being rebalanced
REBALANCING Deactivated: topology 'x' is being rebalanced
REBALANCING Killed { wait_secs: 7 }: KILLED Wait { wait_secs: 7 }
REBALANCING Rebalanced { wait_secs: 7 }: topology 'x' is being rebalanced
REBALANCING WaitEnded: INACTIVE PlaceAnew
";
        assert_eq!(table(), expected);
    }

    #[test]
    fn a_second_kill_takes_the_shorter_wait() {
        let left = Some(Duration::from_secs(20));
        let kill = |wait_secs| step("x", Status::Killed, None, left, Event::Killed { wait_secs }).unwrap();
        assert_eq!(kill(0).effect, Effect::Wait { wait_secs: 0 });
        assert_eq!(kill(60).effect, Effect::Nothing);
    }

    proptest! {
        #[test]
        fn a_wait_never_grows_whatever_the_clocks_say(
            wait_secs in 0u64..600,
            steps in proptest::collection::vec((0u64..60_000, 0u64..2_000_000), 1..8),
        ) {
            let mut pending = PendingAction {
                kind: PendingKind::Kill, started_ms: 1_000_000, wait_secs, elapsed_ms: 0, command: String::new(),
            };
            let mut last = Duration::from_secs(wait_secs);
            for (runs_ms, wall_ms) in steps {
                // A new leader each time, whose clock says what it likes.
                let wait = Wait::resume(Time::from_secs(5), wall_ms, &pending);
                let end = Time::from_secs(5) + Duration::from_millis(runs_ms);
                let remaining = wait.remaining(end);
                prop_assert!(remaining <= last);
                prop_assert_eq!(remaining.is_zero(), wait.deadline() <= end);
                last = remaining;
                pending.elapsed_ms = wait.elapsed(end).as_millis() as u64;
            }
        }

        #[test]
        fn a_killed_topology_stays_killed(events in proptest::collection::vec(0usize..5, 0..20)) {
            let (mut status, mut previous) = (Status::Killed, None);
            for event in events {
                if let Ok(step) = step("x", status, previous, None, EVENTS[event]) {
                    (status, previous) = (step.status, step.previous);
                }
                prop_assert_eq!(status, Status::Killed);
            }
        }
    }
}
