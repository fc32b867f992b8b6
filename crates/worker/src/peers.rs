//! The lines to the other workers of the topology, as the assignment wants them.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use storm_engine::gateway::{Gateway, Line};
use storm_messaging::{Endpoint, Error, Identity, Key, Peer, PeerEvent, PeerSpec, Settings};
use storm_model::{Assignment, ExecutorId, Incarnation, WorkerAssignment, WorkerSlot};

use crate::barrier::Barrier;
use crate::carrier::{self, Note, Standing};
use crate::gate::{Doorkeeper, slot_text};
use crate::mailbox::{Mailbox, News};
use crate::quiet::Rows;
use crate::renewal::Renewals;

/// Waits between attempts to dial, the first and the longest: a worker that is started again waits for those
/// who dial it, and is to run within a second.
const REDIAL: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// All lines of this worker.
pub(crate) struct Peers {
    me: WorkerSlot,
    endpoint: Endpoint,
    gateway: Gateway,
    gate: Arc<Doorkeeper>,
    mailbox: Arc<Mailbox>,
    links: BTreeMap<WorkerSlot, Link>,
    barrier: Barrier,
    next_line: u64,
    version: u64,
    /// What the peers were told last.
    told: Standing,
}

/// The line to one peer.
struct Link {
    number: u64,
    host: String,
    executors: Vec<ExecutorId>,
    /// The oldest life that is accepted.
    restarts: u64,
    renewals: Renewals,
    way: Way,
}

/// How a link is.
enum Way {
    /// It has a line, up or down.
    Open(Open),
    /// There is to be another one at this moment. The threads of the former have ended.
    Closed { until: Instant },
}

struct Open {
    /// The peer dies before its line.
    _peer: Peer,
    line: Arc<Line>,
    line_number: u64,
    note: Arc<Note>,
}

/// What an event means for the rest of the worker.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What was under way to a peer is lost.
    pub(crate) has_lost: bool,
    /// What people should know.
    pub(crate) trouble: Option<String>,
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
        let settings = Settings { backoff: REDIAL, ..Settings::default() };
        let endpoint = Endpoint::with_settings(listener, identity, key, gate.clone(), settings)?;
        Ok(Peers {
            me,
            endpoint,
            gateway,
            gate,
            mailbox,
            links: BTreeMap::new(),
            barrier: Barrier::default(),
            next_line: 0,
            version: 0,
            told: Standing { version: 0, ready: 0 },
        })
    }

    /// Has lines to the workers of this assignment, and to no others. True when a peer is gone, or lives
    /// elsewhere: what was under way to it is lost.
    pub(crate) fn follow(&mut self, assignment: &Assignment, now: Instant) -> bool {
        self.version = assignment.version;
        self.gate.follow(assignment);
        let known = self.links.iter().map(|(slot, link)| (slot, (link.number, &*link.host)));
        let gone = no_longer_wanted(known, assignment);
        // All threads of former lines end before there is another line to the same executors.
        for slot in &gone {
            self.links.remove(slot);
            // It may be the same life at another address.
            self.barrier.connected(slot, false);
        }
        let others = || assignment.workers.iter().filter(|worker| worker.slot != self.me);
        self.barrier.follow(assignment.version, others().map(|worker| (worker.slot.clone(), worker.number)));
        let new: Vec<&WorkerAssignment> =
            others().filter(|worker| !self.links.contains_key(&worker.slot)).collect();
        for worker in new {
            let WorkerAssignment { slot, host, number, executors } = worker;
            let link = Link {
                number: *number,
                host: host.clone(),
                executors: executors.iter().map(|e| e.executor).collect(),
                restarts: 0,
                renewals: Renewals::new(now),
                way: Way::Closed { until: now },
            };
            self.links.insert(slot.clone(), link);
        }
        self.reopen(now);
        self.set_lines();
        self.tell_all();
        !gone.is_empty()
    }

    /// Makes the lines that are due.
    pub(crate) fn reopen(&mut self, now: Instant) {
        let is_due = |link: &Link| matches!(link.way, Way::Closed { until } if until <= now);
        let due: Vec<WorkerSlot> =
            self.links.iter().filter(|(_, link)| is_due(link)).map(|(slot, _)| slot.clone()).collect();
        for slot in &due {
            if let Err(error) = self.open(slot, now) {
                tracing::error!(peer = slot_text(slot), %error, "no line to a peer; trying again");
                self.close(slot, now, true);
            }
        }
        if !due.is_empty() {
            self.set_lines();
        }
    }

    /// When [`reopen`](Peers::reopen) has something to do.
    pub(crate) fn next_reopening(&self) -> Option<Instant> {
        let until = |link: &Link| match link.way {
            Way::Closed { until } => Some(until),
            Way::Open(_) => None,
        };
        self.links.values().filter_map(until).min()
    }

    fn set_lines(&self) {
        self.gateway.set_lines(self.open_links().map(|open| &open.line));
    }

    fn open_links(&self) -> impl Iterator<Item = &Open> {
        self.links.values().filter_map(|link| match &link.way {
            Way::Open(open) => Some(open),
            Way::Closed { .. } => None,
        })
    }

    fn open(&mut self, slot: &WorkerSlot, now: Instant) -> Result<(), Error> {
        let Some(link) = self.links.get_mut(slot) else { return Ok(()) };
        let line = self.gateway.line(&link.executors);
        let note = Arc::new(Note::default());
        let line_number = self.next_line;
        self.next_line += 1;
        let spec = PeerSpec {
            address: address(&link.host, slot.port),
            slot: slot_text(slot),
            incarnation: Incarnation { number: link.number, restarts: link.restarts },
            // One of the two has to.
            dials: self.me < *slot,
        };
        let (mailbox, of) = (self.mailbox.clone(), slot.clone());
        let events = move |event: PeerEvent| {
            mailbox.post(News::Peer { slot: of.clone(), line: line_number, event });
        };
        let control = carrier::control(&line, &note, &self.mailbox, slot, line_number);
        let peer = self.endpoint.peer(spec, carrier::data(&line), control, Arc::new(events))?;
        link.renewals.made(now);
        link.way = Way::Open(Open { _peer: peer, line, line_number, note });
        Ok(())
    }

    /// Ends a line, and has another one made, now or later. Its threads have ended when this returns.
    fn close(&mut self, slot: &WorkerSlot, now: Instant, has_failed: bool) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let until = now + link.renewals.wait(now, has_failed);
        link.way = Way::Closed { until };
        self.barrier.connected(slot, false);
        self.set_lines();
    }

    fn find(&mut self, slot: &WorkerSlot, line: u64) -> Option<&mut Link> {
        let is_it = |link: &&mut Link| matches!(&link.way, Way::Open(open) if open.line_number == line);
        self.links.get_mut(slot).filter(is_it)
    }

    /// Takes note of what happened on a line; what a former line says is past.
    pub(crate) fn happened(
        &mut self,
        slot: &WorkerSlot,
        line: u64,
        event: PeerEvent,
        now: Instant,
    ) -> Outcome {
        let Some(link) = self.find(slot, line) else { return Outcome::default() };
        let peer = slot_text(slot);
        match event {
            PeerEvent::Connected { incarnation } => {
                tracing::info!(peer, %incarnation, "connected");
                link.restarts = link.restarts.max(incarnation.restarts);
                self.barrier.connected(slot, true);
                self.tell_all();
                if let Some(Way::Open(open)) = self.links.get(slot).map(|link| &link.way) {
                    open.note.tell(self.told, &open.line);
                }
                Outcome::default()
            }
            PeerEvent::Disconnected { why } => {
                self.barrier.connected(slot, false);
                tracing::warn!(peer, %why, "disconnected; trying again");
                Outcome::default()
            }
            PeerEvent::Refused(refusal) => {
                tracing::debug!(peer, %refusal, "refused");
                Outcome::default()
            }
            PeerEvent::Rejected(refusal) => {
                tracing::debug!(peer, %refusal, "rejected");
                Outcome::default()
            }
            PeerEvent::SessionOver { incarnation } => {
                tracing::warn!(peer, %incarnation, "the peer lives anew");
                if incarnation.number == link.number {
                    link.restarts = link.restarts.max(incarnation.restarts);
                }
                self.close(slot, now, false);
                self.reopen(now);
                Outcome { has_lost: true, trouble: None }
            }
            PeerEvent::Failed(failure) => {
                tracing::error!(peer, %failure, "the line has failed; starting another");
                let text = format!(
                    "the line to the worker at {} has failed: {failure}",
                    address(&link.host, slot.port)
                );
                self.close(slot, now, true);
                Outcome { has_lost: true, trouble: Some(text) }
            }
        }
    }

    /// A peer has said how far it is.
    pub(crate) fn told(&mut self, slot: &WorkerSlot, line: u64, standing: Standing) {
        if self.find(slot, line).is_some() {
            self.barrier.told(slot, standing.ready);
        }
    }

    /// Tells all peers how far this worker is, if that is news.
    fn tell_all(&mut self) {
        let standing = Standing { version: self.version, ready: self.barrier.ready() };
        if self.told == standing {
            return;
        }
        self.told = standing;
        self.open_links().for_each(|open| open.note.tell(standing, &open.line));
    }

    /// Whether spouts may emit.
    pub(crate) fn are_ready(&self) -> bool {
        self.barrier.is_open()
    }

    /// Peers that are not connected, or that others wait for, as `host:port`.
    pub(crate) fn missing(&self) -> Vec<String> {
        let of = |slot: &WorkerSlot| self.links.get(slot).map(|link| address(&link.host, slot.port));
        self.barrier.missing().filter_map(of).collect()
    }

    /// Rows handed to the peers that there are, and taken from them.
    pub(crate) fn rows(&self) -> Rows {
        let lines = || self.open_links().map(|open| &open.line);
        (lines().map(|line| line.rows_sent()).sum(), lines().map(|line| line.rows_received()).sum())
    }
}

/// As it is dialled and shown.
fn address(host: &str, port: u16) -> String {
    match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// Pure: the slots with which the assignment does not want the line that there is. The same number means the
/// same executors.
fn no_longer_wanted<'a>(
    known: impl Iterator<Item = (&'a WorkerSlot, (u64, &'a str))>,
    assignment: &Assignment,
) -> Vec<WorkerSlot> {
    let is_wanted = |slot: &WorkerSlot, (number, host): (u64, &str)| {
        assignment.worker(slot).is_some_and(|worker| worker.number == number && worker.host == host)
    };
    known.filter(|(slot, link)| !is_wanted(slot, *link)).map(|(slot, _)| slot.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept_for_the_same_life_at_the_same_place() {
        let slot = |port| WorkerSlot { supervisor: "s".into(), port };
        let worker = |port, number, host: &str| WorkerAssignment {
            slot: slot(port),
            host: host.to_owned(),
            number,
            executors: Vec::new(),
        };
        let workers = vec![worker(1, 1, "h"), worker(2, 5, "h"), worker(3, 3, "other"), worker(5, 6, "h")];
        let assignment = Assignment { version: 2, workers };
        let known = [(slot(1), 1), (slot(2), 2), (slot(3), 3), (slot(4), 4)];
        let known = known.iter().map(|(slot, number)| (slot, (*number, "h")));
        assert_eq!(no_longer_wanted(known, &assignment), [slot(2), slot(3), slot(4)]);
    }

    #[test]
    fn an_address_of_the_longer_kind_has_brackets() {
        assert_eq!(address("127.0.0.1", 6700), "127.0.0.1:6700");
        assert_eq!(address("::1", 6700), "[::1]:6700");
        assert_eq!(address("[::1]", 6700), "[::1]:6700");
    }
}
