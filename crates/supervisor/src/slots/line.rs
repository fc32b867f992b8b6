//! A worker's line: what it is told, in order, and what it was told already.

use std::time::Duration;

use storm_model::Status;
use storm_rpc::v1::worker_order::{Order, Stop};
use storm_rpc::v1::{TopologyState, WorkerOrder};
use tokio::sync::{mpsc, oneshot};

use crate::assignments::Topology;
use crate::slot::Life;

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
    told_version: Option<u64>,
    told_status: Option<Status>,
}

impl Line {
    pub(crate) fn new(
        id: u64,
        life: Life,
        port: u16,
        orders: mpsc::Sender<Result<WorkerOrder, tonic::Status>>,
        open: oneshot::Sender<()>,
    ) -> Line {
        Line { id, life, port, orders, _open: open, is_ours: false, told_version: None, told_status: None }
    }

    /// Whether it could be told.
    fn order(&self, order: Order) -> bool {
        self.orders.try_send(Ok(WorkerOrder { order: Some(order) })).is_ok()
    }

    pub(super) fn order_stop(&self, within: Duration, reason: &str) -> bool {
        let within_secs = within.as_secs().try_into().unwrap_or(u32::MAX);
        self.order(Order::Stop(Stop { within_secs, reason: reason.to_owned() }))
    }

    /// Tells what it was not told: the assignment first, then the state that goes with it. Whether that
    /// was possible.
    pub(super) fn tell(&mut self, topology: &Topology) -> bool {
        let Some(assignment) = &topology.assignment else { return true };
        if self.told_version.is_none_or(|told| told < assignment.version) {
            if !self.order(Order::Assignment((&topology.id, assignment).into())) {
                return false;
            }
            self.told_version = Some(assignment.version);
        }
        if let Some(state) = topology.state()
            && self.told_status != Some(state)
        {
            if !self.order(Order::State(TopologyState::from(state).into())) {
                return false;
            }
            self.told_status = Some(state);
        }
        true
    }
}
