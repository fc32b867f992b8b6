//! What Nimbus is told, and what waits while it cannot be.
//!
//! Of each worker's life the newest report waits, with the newest figures that it brought, and of all
//! workers the last errors. Beyond [`LIVES`] the oldest life is dropped, beyond [`ERRORS`] the oldest
//! error.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use storm_rpc::v1::{ErrorReport, SlotReport, SupervisorReply, SupervisorReport, WorkerReport};
use storm_rpc::{CallError, Nimbuses};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::figures::Figures;
use crate::peers::Peers;
use crate::slots::Message;

/// Lives whose reports wait.
const LIVES: usize = 256;
/// Errors that wait.
const ERRORS: usize = 200;
/// A Nimbus that takes longer is passed over: others have to hear of us within their 4 s.
const ANSWER_WITHIN: Duration = Duration::from_millis(1500);
/// Changes that come so close together are told together.
const TOGETHER: Duration = Duration::from_millis(5);

/// Topology, port, number and restarts.
type Key = (String, u32, u64, u64);

#[derive(Debug, Default)]
struct Waiting {
    /// By life, and in the order in which they were heard first.
    workers: BTreeMap<Key, WorkerReport>,
    order: VecDeque<Key>,
    errors: VecDeque<(Key, ErrorReport)>,
    slots: Vec<SlotReport>,
    unhealthy: String,
}

/// What waits to be told.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    due: Notify,
}

fn key(report: &WorkerReport) -> Key {
    let incarnation = report.incarnation.unwrap_or_default();
    let port = report.slot.as_ref().map_or(0, |slot| slot.port);
    (report.topology_id.clone(), port, incarnation.number, incarnation.restarts)
}

impl Waiting {
    fn put(&mut self, mut report: WorkerReport) {
        let key = key(&report);
        self.put_errors(&key, report.errors.drain(..));
        if let Some(old) = self.workers.get_mut(&key) {
            if report.figures.is_empty() {
                report.figures = std::mem::take(&mut old.figures);
            }
            *old = report;
            return;
        }
        self.order.push_back(key.clone());
        self.workers.insert(key, report);
        while self.order.len() > LIVES {
            if let Some(oldest) = self.order.pop_front() {
                self.workers.remove(&oldest);
            }
        }
    }

    fn put_errors(&mut self, key: &Key, errors: impl IntoIterator<Item = ErrorReport>) {
        self.errors.extend(errors.into_iter().map(|error| (key.clone(), error)));
        while self.errors.len() > ERRORS {
            self.errors.pop_front();
        }
    }

    /// All of it, in the order in which it came, the errors with their workers.
    fn take(&mut self) -> Vec<WorkerReport> {
        let mut workers = std::mem::take(&mut self.workers);
        for (key, error) in self.errors.drain(..) {
            if let Some(report) = workers.get_mut(&key) {
                report.errors.push(error);
            }
        }
        self.order.drain(..).filter_map(|key| workers.remove(&key)).collect()
    }
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("never panics while it holds the lock")
    }

    /// Takes in a worker's report.
    pub(crate) fn put(&self, report: WorkerReport) {
        self.lock().put(report);
    }

    /// Takes in an error of a worker that cannot tell it itself, for it has ended.
    pub(crate) fn put_error(&self, last: WorkerReport, error: ErrorReport) {
        let mut waiting = self.lock();
        if waiting.workers.contains_key(&key(&last)) {
            waiting.put_errors(&key(&last), [error]);
        } else {
            waiting.put(WorkerReport { errors: vec![error], ..last });
        }
    }

    /// Says how the slots stand.
    pub(crate) fn set_slots(&self, slots: Vec<SlotReport>) {
        self.lock().slots = slots;
    }

    /// Says why this machine may not get work; empty when it may.
    pub(crate) fn set_unhealthy(&self, unhealthy: String) {
        let is_new = std::mem::replace(&mut self.lock().unhealthy, unhealthy.clone()) != unhealthy;
        if is_new {
            self.hurry();
        }
    }

    /// Why this machine may not get work.
    pub(crate) fn unhealthy(&self) -> String {
        self.lock().unhealthy.clone()
    }

    /// Has it told at once.
    pub(crate) fn hurry(&self) {
        self.due.notify_one();
    }

    fn take(&self, supervisor_id: &str, uptime: Duration) -> SupervisorReport {
        let mut waiting = self.lock();
        SupervisorReport {
            supervisor_id: supervisor_id.to_owned(),
            workers: waiting.take(),
            slots: waiting.slots.clone(),
            uptime_ms: uptime.as_millis() as u64,
            unhealthy: waiting.unhealthy.clone(),
        }
    }

    /// What could not be told waits again, below what has come since.
    fn give_back(&self, report: SupervisorReport) {
        let mut waiting = self.lock();
        let newer = waiting.take();
        for report in report.workers.into_iter().chain(newer) {
            waiting.put(report);
        }
    }
}

/// Tells Nimbus, for ever: every `every`, and at once when the outbox hurries. What Nimbus asks in return goes
/// to the slots, and to the figures that are kept.
pub(crate) async fn report_for_ever(
    outbox: &Outbox,
    id: &str,
    peers: &Peers,
    (slots, figures): (&mpsc::Sender<Message>, &Figures),
    mut every: Duration,
) {
    let started = Instant::now();
    let (mut listener, mut was_heard) = (String::new(), true);
    loop {
        let report = outbox.take(id, started.elapsed());
        match tell(&report, &peers.nimbuses(), &mut listener).await {
            Ok(SupervisorReply { report_every_ms, rounds, wants_figures }) => {
                figures.set_wanted(wants_figures);
                if !std::mem::replace(&mut was_heard, true) {
                    tracing::info!("a Nimbus takes reports again");
                }
                if report_every_ms > 0 {
                    every = Duration::from_millis(report_every_ms.into());
                }
                if !rounds.is_empty() {
                    // When the slots are too busy, the next reply says it again.
                    slots.try_send(Message::Asked { rounds }).ok();
                }
            }
            Err(error) => {
                outbox.give_back(report);
                if std::mem::replace(&mut was_heard, false) {
                    tracing::warn!(%error, "no Nimbus takes reports; everything here runs on");
                }
                // The hurry may be what nobody could be told just now: do not run in a circle.
                tokio::time::sleep(every.min(Duration::from_millis(200))).await;
            }
        }
        tokio::select! {
            () = outbox.due.notified() => tokio::time::sleep(TOGETHER).await,
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// Tells the one that listened last, else the next.
async fn tell(
    report: &SupervisorReport,
    nimbuses: &[Nimbuses],
    listener: &mut String,
) -> Result<SupervisorReply, CallError> {
    let mut last = CallError::other("no Nimbus is configured");
    let first = nimbuses.iter().position(|nimbus| nimbus.addresses() == [listener.as_str()]).unwrap_or(0);
    for at in (first..nimbuses.len()).chain(0..first) {
        let nimbus = &nimbuses[at];
        let addresses = nimbus.addresses().join(", ");
        match tokio::time::timeout(ANSWER_WITHIN, nimbus.report_supervisor(report)).await {
            Ok(Ok(reply)) => {
                *listener = addresses;
                return Ok(reply);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = CallError::other(format!("no answer from {addresses}")),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use storm_rpc::v1::{Incarnation, Slot};

    use super::*;

    fn report(restarts: u64, pending: u64, figures: &'static [u8], errors: &[&str]) -> WorkerReport {
        WorkerReport {
            topology_id: "t".to_owned(),
            slot: Some(Slot { supervisor_id: "s".to_owned(), port: 1 }),
            incarnation: Some(Incarnation { number: 1, restarts }),
            pending,
            figures: figures.into(),
            errors: errors
                .iter()
                .map(|message| ErrorReport { message: (*message).to_owned(), ..ErrorReport::default() })
                .collect(),
            ..WorkerReport::default()
        }
    }

    fn outline(report: &SupervisorReport) -> Vec<(u64, Vec<u8>, Vec<String>)> {
        let errors = |w: &WorkerReport| w.errors.iter().map(|error| error.message.clone()).collect();
        report.workers.iter().map(|w| (w.pending, w.figures.to_vec(), errors(w))).collect()
    }

    #[test]
    fn nothing_is_lost_while_nobody_listens() {
        let outbox = Outbox::default();
        outbox.put(report(0, 1, b"old", &["a"]));
        let first = outbox.take("s", Duration::ZERO);
        outbox.put(report(0, 2, b"", &["b"]));
        outbox.put(report(1, 3, b"", &[]));
        outbox.give_back(first);
        let told = outbox.take("s", Duration::ZERO);
        let text = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        assert_eq!(outline(&told), [(2, b"old".to_vec(), text(&["a", "b"])), (3, Vec::new(), text(&[]))]);
        assert!(outbox.take("s", Duration::ZERO).workers.is_empty());
    }

    #[test]
    fn an_error_after_the_end_changes_nothing_else() {
        let outbox = Outbox::default();
        let error = |text: &str| ErrorReport { message: text.to_owned(), ..ErrorReport::default() };
        outbox.put(report(0, 5, b"f", &[]));
        outbox.put_error(report(0, 0, b"", &[]), error("exit"));
        outbox.put_error(report(1, 0, b"", &[]), error("start"));
        let told = outline(&outbox.take("s", Duration::ZERO));
        let texts = |text: &str| vec![text.to_owned()];
        assert_eq!(told, [(5, b"f".to_vec(), texts("exit")), (0, Vec::new(), texts("start"))]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let outbox = Outbox::default();
        for restarts in 0..2 * LIVES as u64 {
            outbox.put(report(restarts, restarts, b"f", &["e"]));
        }
        let told = outbox.take("s", Duration::ZERO);
        assert_eq!(told.workers.len(), LIVES);
        assert_eq!(told.workers.iter().map(|worker| worker.errors.len()).sum::<usize>(), ERRORS);
        assert_eq!(told.workers.last().map(|worker| worker.pending), Some(2 * LIVES as u64 - 1));
    }
}
