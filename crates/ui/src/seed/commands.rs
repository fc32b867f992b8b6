//! What commands change of a made-up cluster.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use storm_rpc::{CallError, v1};

use super::State;
use crate::source::Command;
use crate::view::TopologyView;

/// The wait where none is given: `topology.message.timeout.secs`.
const WAIT_SECS: u32 = 30;

impl State {
    pub(super) fn command(&mut self, command: Command) -> Result<v1::RebalanceReply, CallError> {
        use v1::TopologyState::{Active, Inactive, Killed, Rebalancing};
        match command {
            Command::Activate(v1::TopologyCommand { name, .. }) => self.become_state(&name, Active, None),
            Command::Deactivate(v1::TopologyCommand { name, .. }) => self.become_state(&name, Inactive, None),
            Command::Kill(v1::KillRequest { name, wait_secs, .. }) => {
                self.become_state(&name, Killed, Some(("kill", wait_secs)))
            }
            Command::Rebalance(request) => {
                let moves = self.moves(&request)?;
                let reply = if request.dry_run {
                    self.reply(&request.name)?
                } else {
                    self.become_state(&request.name, Rebalancing, Some(("rebalance", request.wait_secs)))?
                };
                Ok(v1::RebalanceReply { moves, ..reply })
            }
            Command::RestartWorker(request) => self.restart(&request),
            Command::LogLevels(request) => {
                self.change(&request.name, |view| {
                    for level in request.levels {
                        view.status.log_levels.retain(|known| known.logger != level.logger);
                        if !level.level.is_empty() {
                            let now = view.asked.duration_since(UNIX_EPOCH).unwrap_or_default();
                            let timeout = Duration::from_secs(level.timeout_secs.into());
                            let until_ms =
                                if timeout.is_zero() { 0 } else { (now + timeout).as_millis() as u64 };
                            view.status.log_levels.push(v1::LogLevel { until_ms, ..level });
                        }
                    }
                })?;
                self.reply(&request.name)
            }
            Command::Debug(v1::DebugRequest { name, component, enable, sampling_percent, .. }) => {
                if !component.is_empty() && !self.topology(&name)?.spec.components.contains_key(&*component) {
                    let message = format!("topology '{name}' has no component '{component}'");
                    return Err(CallError::invalid(message));
                }
                self.change(&name, |view| {
                    view.status.debug.retain(|known| known.component != component);
                    view.status.debug.push(v1::DebugOption { component, enable, sampling_percent });
                })?;
                self.reply(&name)
            }
        }
    }

    fn reply(&self, name: &str) -> Result<v1::RebalanceReply, CallError> {
        let v1::TopologySummary { id, name, .. } = self.topology(name)?.summary();
        Ok(v1::RebalanceReply { topology_id: id, name, ..Default::default() })
    }

    fn become_state(
        &mut self,
        name: &str,
        state: v1::TopologyState,
        action: Option<(&str, Option<u32>)>,
    ) -> Result<v1::RebalanceReply, CallError> {
        let summary = self.topology(name)?.summary();
        if summary.status() == v1::TopologyState::Killed && state != v1::TopologyState::Killed {
            return Err(CallError::invalid(format!("topology '{}' is being killed", summary.name)));
        }
        self.change(name, |view| {
            if let Some(summary) = &mut view.status.summary {
                summary.set_status(state);
            }
            let now = view.asked.duration_since(UNIX_EPOCH).unwrap_or_default();
            let deadline = |secs: u32| (now + Duration::from_secs(secs.into())).as_millis() as u64;
            view.status.pending_action = action.map(|(kind, secs)| v1::PendingAction {
                kind: kind.to_owned(),
                deadline_ms: deadline(secs.unwrap_or(WAIT_SECS)),
            });
        })?;
        self.reply(name)
    }

    /// Every third executor goes to the next worker.
    fn moves(&self, request: &v1::RebalanceRequest) -> Result<Vec<v1::rebalance_reply::Move>, CallError> {
        let view: &Arc<TopologyView> = self.topology(&request.name)?;
        if let Some(unknown) =
            request.executors.keys().find(|id| !view.spec.components.contains_key(id.as_str()))
        {
            let message = format!("topology '{}' has no component '{unknown}'", request.name);
            return Err(CallError::invalid(message));
        }
        let workers = &view.status.workers;
        let address = |worker: &v1::WorkerStatus| format!("{}:{}", worker.host, worker.port);
        let moved = workers.iter().enumerate().flat_map(|(place, worker)| {
            let to = &workers[(place + 1) % workers.len()];
            worker.executors.iter().step_by(3).map(move |executor| v1::rebalance_reply::Move {
                executor: Some(executor.clone()),
                from: address(worker),
                to: address(to),
            })
        });
        Ok(moved.collect())
    }

    fn restart(&mut self, request: &v1::RestartWorkerRequest) -> Result<v1::RebalanceReply, CallError> {
        let is_it = |worker: &v1::WorkerStatus| worker.host == request.host && worker.port == request.port;
        let found = self.topologies.iter().find(|view| view.status.workers.iter().any(is_it));
        let Some(name) = found.map(|view| view.summary().id) else {
            let message = format!("there is no worker at {}:{}", request.host, request.port);
            return Err(CallError::invalid(message));
        };
        self.change(&name, |view| {
            for worker in view.status.workers.iter_mut().filter(|worker| is_it(worker)) {
                worker.restarts += 1;
                worker.uptime_secs = 0;
            }
        })?;
        self.reply(&name)
    }
}
