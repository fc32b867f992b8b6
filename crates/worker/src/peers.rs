//! The lines to the other workers of the topology, as the assignment wants them.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;

use storm_engine::gateway::{Gateway, Line};
use storm_messaging::{Endpoint, Error, Identity, Key, Peer, PeerEvent, PeerSpec};
use storm_model::{Assignment, ExecutorId, Incarnation, WorkerAssignment, WorkerSlot};

use crate::carrier::{self, Notes};
use crate::gate::{Doorkeeper, slot_text};
use crate::mailbox::{Mailbox, News};

/// All lines of this worker.
pub(crate) struct Peers {
    me: WorkerSlot,
    endpoint: Endpoint,
    gateway: Gateway,
    gate: Arc<Doorkeeper>,
    mailbox: Arc<Mailbox>,
    links: BTreeMap<WorkerSlot, Link>,
    next_line: u64,
    version: u64,
}

/// The line to one peer.
struct Link {
    number: u64,
    host: String,
    executors: Vec<ExecutorId>,
    /// The peer dies before its line.
    peer: Peer,
    line: Arc<Line>,
    line_number: u64,
    notes: Arc<Notes>,
    is_connected: bool,
    /// All its tasks are prepared; it stays so when the worker is only started again.
    is_prepared: bool,
}

/// What a new assignment changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// A peer is gone, or lives elsewhere: what was under way to it is lost.
    pub(crate) has_lost: bool,
    /// There is a new one.
    pub(crate) has_new: bool,
}

impl Peers {
    pub(crate) fn listen(
        listener: TcpListener,
        identity: Identity,
        me: WorkerSlot,
        key: Key,
        gateway: Gateway,
        gate: Arc<Doorkeeper>,
        mailbox: Arc<Mailbox>,
    ) -> Result<Peers, Error> {
        let endpoint = Endpoint::listen(listener, identity, key, gate.clone())?;
        let links = BTreeMap::new();
        Ok(Peers { me, endpoint, gateway, gate, mailbox, links, next_line: 0, version: 0 })
    }

    /// Has lines to the workers of this assignment, and to no others.
    pub(crate) fn follow(&mut self, assignment: &Assignment) -> Result<Changes, Error> {
        self.version = assignment.version;
        self.gate.follow(assignment);
        let mut changes = Changes::default();
        let is_wanted = |slot: &WorkerSlot, link: &Link| {
            // The same number means the same executors.
            assignment.worker(slot).is_some_and(|w| w.number == link.number && w.host == link.host)
        };
        let gone: Vec<WorkerSlot> = self
            .links
            .iter()
            .filter(|(slot, link)| !is_wanted(slot, link))
            .map(|(slot, _)| slot.clone())
            .collect();
        for slot in gone {
            self.links.remove(&slot);
            changes.has_lost = true;
        }
        for worker in &assignment.workers {
            if worker.slot != self.me && !self.links.contains_key(&worker.slot) {
                changes.has_new = true;
                self.open(worker, 0, false)?;
            }
        }
        self.gateway.set_lines(self.links.values().map(|link| &link.line));
        Ok(changes)
    }

    fn open(&mut self, worker: &WorkerAssignment, restarts: u64, is_prepared: bool) -> Result<(), Error> {
        let WorkerAssignment { slot, host, number, executors } = worker;
        let executors: Vec<ExecutorId> = executors.iter().map(|e| e.executor).collect();
        let line = self.gateway.line(&executors);
        let notes = Arc::new(Notes::default());
        let line_number = self.next_line;
        self.next_line += 1;
        let spec = PeerSpec {
            address: format!("{host}:{}", slot.port),
            slot: slot_text(slot),
            incarnation: Incarnation { number: *number, restarts },
            // One of the two has to.
            dials: self.me < *slot,
        };
        let (mailbox, of) = (self.mailbox.clone(), slot.clone());
        let events = move |event: PeerEvent| {
            mailbox.post(News::Peer { slot: of.clone(), line: line_number, event });
        };
        let control = carrier::control(&line, &notes, &self.mailbox, slot, line_number);
        let peer = self.endpoint.peer(spec, carrier::data(&line), control, Arc::new(events))?;
        let (number, host) = (*number, host.clone());
        let link = Link {
            number,
            host,
            executors,
            peer,
            line,
            line_number,
            notes,
            is_connected: false,
            is_prepared,
        };
        self.links.insert(slot.clone(), link);
        Ok(())
    }

    /// Takes note of what happened on a line. True when what was under way to the peer is lost.
    pub(crate) fn happened(&mut self, slot: &WorkerSlot, line: u64, event: PeerEvent) -> Result<bool, Error> {
        let Some(link) = self.links.get_mut(slot).filter(|link| link.line_number == line) else {
            return Ok(false);
        };
        let peer = slot_text(slot);
        match event {
            PeerEvent::Connected { incarnation } => {
                tracing::info!(peer, %incarnation, "connected");
                link.is_connected = true;
                link.notes.prepared(self.version, &link.line);
                Ok(false)
            }
            PeerEvent::Disconnected { why } => {
                link.is_connected = false;
                tracing::warn!(peer, %why, "disconnected; trying again");
                Ok(false)
            }
            PeerEvent::Refused(refusal) => {
                tracing::debug!(peer, %refusal, "refused");
                Ok(false)
            }
            PeerEvent::Rejected(refusal) => {
                tracing::debug!(peer, %refusal, "rejected");
                Ok(false)
            }
            PeerEvent::SessionOver { incarnation } => {
                tracing::warn!(peer, %incarnation, "the peer lives anew");
                self.renew(slot, incarnation.restarts)?;
                Ok(true)
            }
            PeerEvent::Failed(failure) => {
                tracing::error!(peer, %failure, "the line has failed; starting another");
                self.renew(slot, 0)?;
                Ok(true)
            }
        }
    }

    fn renew(&mut self, slot: &WorkerSlot, restarts: u64) -> Result<(), Error> {
        let Some(former) = self.links.remove(slot) else { return Ok(()) };
        let Link { number, host, executors, is_prepared, peer, line, .. } = former;
        // Its threads end before the next line of the same executors begins.
        drop((peer, line));
        let executors = executors
            .into_iter()
            .map(|executor| storm_model::AssignedExecutor { component: "".into(), executor })
            .collect();
        let worker = WorkerAssignment { slot: slot.clone(), host, number, executors };
        // The others go on while a worker is started again: the line waits for its credit.
        self.open(&worker, restarts, is_prepared)?;
        self.gateway.set_lines(self.links.values().map(|link| &link.line));
        Ok(())
    }

    /// A peer has said that all its tasks are prepared.
    pub(crate) fn prepared(&mut self, slot: &WorkerSlot, line: u64) {
        if let Some(link) = self.links.get_mut(slot).filter(|link| link.line_number == line) {
            link.is_prepared = true;
        }
    }

    /// Whether every peer of the assignment has all its tasks prepared.
    pub(crate) fn are_prepared(&self) -> bool {
        self.links.values().all(|link| link.is_prepared)
    }

    /// Whether every line stands.
    pub(crate) fn are_connected(&self) -> bool {
        self.links.values().all(|link| link.is_connected)
    }

    /// Peers that are not connected, or not prepared, as `host:port`.
    pub(crate) fn missing(&self) -> Vec<String> {
        let is_missing = |link: &&Link| !(link.is_connected && link.is_prepared);
        let links = self.links.iter().map(|(slot, link)| (slot.port, link));
        links
            .filter(|(_, link)| is_missing(link))
            .map(|(port, link)| format!("{}:{port}", link.host))
            .collect()
    }

    /// Rows handed to the peers that there are, and taken from them.
    pub(crate) fn rows(&self) -> (u64, u64) {
        let lines = || self.links.values().map(|link| &link.line);
        (lines().map(|line| line.rows_sent()).sum(), lines().map(|line| line.rows_received()).sum())
    }
}
