//! A worker's line: what it is told, in order, and what it was told already.

use std::sync::Arc;
use std::time::Duration;

use storm_model::{AssignedExecutor, Status};
use storm_rpc::v1::worker_order::{Order, Stop};
use storm_rpc::v1::{TopologyState, WorkerOrder};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::assignments::Topology;
use crate::slot::Life;

/// A look that was asked for and not answered is asked for again after so long: the worker may have heard another
/// question since, by another way.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A worker's line, for orders.
pub(crate) struct Line {
    pub(super) id: u64,
    pub(super) life: Life,
    pub(super) port: u16,
    orders: mpsc::Sender<Result<WorkerOrder, tonic::Status>>,
    /// Ends the line when it is dropped.
    _open: oneshot::Sender<()>,
    /// It was the worker of the slot when it attached: what it says last counts, also after its end.
    pub(super) is_ours: bool,
    /// What it was given then.
    pub(super) executors: Arc<[AssignedExecutor]>,
    told_version: Option<u64>,
    told_state: Option<(Status, u64)>,
    /// The version of what was changed that it was told last; 0: nothing.
    told_tuning: u64,
    /// The look that it was asked for last, and when.
    asked: Option<(u64, Instant)>,
    /// The one that it told of last.
    answered_round: Option<u64>,
}

impl Line {
    pub(crate) fn new(
        id: u64,
        life: Life,
        port: u16,
        orders: mpsc::Sender<Result<WorkerOrder, tonic::Status>>,
        open: oneshot::Sender<()>,
    ) -> Line {
        Line {
            id,
            life,
            port,
            orders,
            _open: open,
            is_ours: false,
            executors: [].into(),
            told_version: None,
            told_state: None,
            told_tuning: 0,
            asked: None,
            answered_round: None,
        }
    }

    /// Whether it could be told.
    fn order(&self, order: Order) -> bool {
        self.order_as_of(order, 0)
    }

    fn order_as_of(&self, order: Order, state_version: u64) -> bool {
        self.orders.try_send(Ok(WorkerOrder { order: Some(order), state_version })).is_ok()
    }

    pub(super) fn order_stop(&self, within: Duration, reason: &str) -> bool {
        let within_secs = within.as_secs().try_into().unwrap_or(u32::MAX);
        self.order(Order::Stop(Stop { within_secs, reason: reason.to_owned() }))
    }

    /// Asks for a look, unless it was asked for this one and has answered or still has time. Whether that was
    /// possible.
    pub(super) fn ask(&mut self, now: Instant, round: u64) -> bool {
        if let Some((asked, at)) = self.asked
            && asked == round
            && (self.answered_round == Some(round) || now.saturating_duration_since(at) < ASK_AGAIN)
        {
            return true;
        }
        self.asked = Some((round, now));
        self.order(Order::Look(round))
    }

    /// Takes note of the look that it told of last.
    pub(super) fn answered(&mut self, round: Option<u64>) {
        self.answered_round = round;
    }

    /// Tells what it was not told: the assignment first, then what was changed, so that a worker that starts
    /// heeds it from its first tuple on, then the state that goes with the assignment. Whether that was possible.
    pub(super) fn tell(&mut self, topology: &Topology) -> bool {
        let Some(assignment) = &topology.assignment else { return true };
        if self.told_version.is_none_or(|told| told < assignment.version) {
            if !self.order(Order::Assignment((&topology.id, assignment).into())) {
                return false;
            }
            self.told_version = Some(assignment.version);
        }
        if self.told_tuning != topology.tuning.version {
            if !self.order(Order::Tuning((&topology.tuning).into())) {
                return false;
            }
            self.told_tuning = topology.tuning.version;
        }
        if let Some(state) = topology.state()
            && self.told_state != Some(state)
        {
            let (status, version) = state;
            // The worker may have heard of a newer one from Nimbus, and does not follow an older one.
            if !self.order_as_of(Order::State(TopologyState::from(status).into()), version) {
                return false;
            }
            self.told_state = Some(state);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use storm_cluster::BinaryRecord;
    use storm_model::{Assignment, Incarnation};

    use super::*;

    type Told = mpsc::Receiver<Result<WorkerOrder, tonic::Status>>;

    fn line() -> (Line, Told, oneshot::Receiver<()>) {
        let (orders, told) = mpsc::channel(8);
        let (open, closed) = oneshot::channel();
        let life = Life { topology: "words".into(), incarnation: Incarnation { number: 1, restarts: 0 } };
        (Line::new(1, life, 6700, orders, open), told, closed)
    }

    #[test]
    fn a_look_that_is_not_answered_is_asked_for_again() {
        let (mut line, mut told, _closed) = line();
        let start = Instant::now();
        let mut asked = |line: &mut Line, millis, round| {
            assert!(line.ask(start + Duration::from_millis(millis), round));
            told.try_recv().ok().map(|order| order.unwrap().order.unwrap())
        };
        assert_eq!(asked(&mut line, 0, 7), Some(Order::Look(7)));
        assert_eq!(asked(&mut line, 900, 7), None);
        line.answered(Some(7));
        assert_eq!(asked(&mut line, 5000, 7), None);
        assert_eq!(asked(&mut line, 5100, 8), Some(Order::Look(8)));
        // It has heard of the former one again meanwhile.
        assert_eq!(asked(&mut line, 6000, 8), None);
        assert_eq!(asked(&mut line, 6100, 8), Some(Order::Look(8)));
        assert_eq!(asked(&mut line, 6200, 8), None);
        line.answered(Some(8));
        // Under another assignment it has to look again.
        line.answered(None);
        assert_eq!(asked(&mut line, 7100, 8), Some(Order::Look(8)));
    }

    #[test]
    fn a_state_is_told_with_its_version() {
        let (mut line, mut told, _closed) = line();
        let mut topology = Topology {
            id: "words".into(),
            name: "words".to_owned(),
            status: Status::Active,
            status_since: 1,
            status_version: 3,
            former_status: None,
            former_version: 0,
            binary: BinaryRecord::default(),
            arguments: Vec::new(),
            config: Default::default(),
            spec_digest: String::new(),
            executors: Default::default(),
            tuning: Default::default(),
            assignment: Some(Assignment { version: 1, workers: Vec::new() }),
        };
        let mut take = || told.try_recv().ok().map(Result::unwrap);
        assert!(line.tell(&topology));
        assert!(matches!(take(), Some(WorkerOrder { order: Some(Order::Assignment(_)), .. })));
        let active = Order::State(TopologyState::Active.into());
        assert_eq!(take(), Some(WorkerOrder { order: Some(active.clone()), state_version: 3 }));
        assert!(line.tell(&topology));
        assert_eq!(take(), None);
        // It was deactivated and activated while this supervisor did not look.
        topology.status_version = 5;
        assert!(line.tell(&topology));
        assert_eq!(take(), Some(WorkerOrder { order: Some(active), state_version: 5 }));
        // It is tuned.
        topology.tuning.version = 2;
        assert!(line.tell(&topology));
        let tuning = Order::Tuning((&topology.tuning).into());
        assert_eq!(take(), Some(WorkerOrder { order: Some(tuning), state_version: 0 }));
        assert!(line.tell(&topology));
        assert_eq!(take(), None);
    }
}
