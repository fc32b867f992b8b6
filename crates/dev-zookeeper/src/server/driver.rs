//! The task that owns the core: steps it, has transactions written, sends what they led to.
//!
//! Group commit: what the clients have sent meanwhile is one batch. Its transactions go into the
//! journal as one record and one sync; only then is anything of the batch sent, reads included, since
//! they may have seen the new state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::ServerError;
use super::clock::Clock;
use super::connection::Outbox;
use crate::core::{ConnectionId, Core, Effect, Event};
use crate::journal::{DataError, Journal};
use crate::state::Txn;

/// How many messages are taken into a batch.
const BATCH_MAX: usize = 256;
/// With how many bytes a batch is full.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// What a connection tells the driver.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) event: Event,
    /// Of a request: to be given back with its reply.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    /// Of a new connection: where its packets go.
    pub(super) outbox: Option<Outbox>,
}

/// Stops the server with the task that holds it.
struct StopOnDrop(Arc<watch::Sender<bool>>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// The core and what surrounds it.
#[derive(Debug)]
pub(super) struct Driver {
    core: Core,
    clock: Clock,
    tick: Duration,
    outboxes: BTreeMap<ConnectionId, Outbox>,
    /// What is to be done once the batch is safe.
    outward: Vec<(Effect, Option<OwnedSemaphorePermit>)>,
    txns: Vec<Txn>,
    journal: Option<Journal>,
}

impl Driver {
    pub(super) fn new(core: Core, clock: Clock, tick: Duration, journal: Option<Journal>) -> Driver {
        let (outward, txns) = (Vec::new(), Vec::new());
        Driver { core, clock, tick, outboxes: BTreeMap::new(), outward, txns, journal }
    }

    /// Runs to the stop, or to the first failure, which stops the server.
    pub(super) async fn run(
        mut self,
        messages: mpsc::Receiver<Message>,
        stop: Arc<watch::Sender<bool>>,
    ) -> Result<(), ServerError> {
        // Told even if this task ends by a panic.
        let stop = StopOnDrop(stop);
        let outcome = self.drive(messages, stop.0.subscribe()).await;
        if let Err(error) = &outcome {
            tracing::error!(%error, "the zookeeper server has failed");
        }
        outcome
    }

    async fn drive(
        &mut self,
        mut messages: mpsc::Receiver<Message>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ServerError> {
        let mut ticks = interval(self.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticked = Instant::now();
        loop {
            tokio::select! {
                _ = stop.wait_for(|is_stopped| *is_stopped) => return Ok(()),
                Some(message) = messages.recv() => {
                    let mut bytes = self.take(message);
                    for _ in 1..BATCH_MAX {
                        if bytes > BATCH_BYTES_MAX {
                            break;
                        }
                        let Ok(message) = messages.try_recv() else { break };
                        bytes += self.take(message);
                    }
                }
                _ = ticks.tick() => {}
            }
            // After the messages: who has just shown life does not expire.
            if ticked.elapsed() >= self.tick {
                ticked = Instant::now();
                let now = self.clock.now();
                let effects = self.core.step(now, Event::Ticked);
                self.sort(effects, None);
            }
            self.save().await?;
            self.send();
            self.compact().await?;
        }
    }

    /// Makes the transactions of the batch safe.
    async fn save(&mut self) -> Result<(), ServerError> {
        let txns = std::mem::take(&mut self.txns);
        if txns.is_empty() {
            return Ok(());
        }
        self.with_journal(move |journal| journal.append(&txns)).await
    }

    /// Has a large log replaced.
    async fn compact(&mut self) -> Result<(), ServerError> {
        if self.journal.as_ref().is_some_and(Journal::is_large) {
            let snapshot = self.core.state().to_snapshot();
            self.with_journal(move |journal| journal.compact(&snapshot)).await?;
        }
        Ok(())
    }

    /// Does something that blocks, if there is a journal.
    async fn with_journal(
        &mut self,
        work: impl FnOnce(&mut Journal) -> Result<(), DataError> + Send + 'static,
    ) -> Result<(), ServerError> {
        let Some(mut journal) = self.journal.take() else { return Ok(()) };
        let worked = tokio::task::spawn_blocking(move || {
            let outcome = work(&mut journal);
            (journal, outcome)
        });
        let (journal, outcome) = worked.await.map_err(|_| ServerError::Dropped)?;
        self.journal = Some(journal);
        Ok(outcome?)
    }

    /// Steps the core; the answer is how long the packet was, in bytes.
    fn take(&mut self, Message { event, permit, outbox }: Message) -> usize {
        let bytes = if let Event::Received { frame, .. } = &event { frame.len() } else { 0 };
        let from = match &event {
            Event::Connected { connection, .. } => {
                if let Some(outbox) = outbox {
                    self.outboxes.insert(*connection, outbox);
                }
                None
            }
            Event::Disconnected { connection } => {
                // Not at once: answers of this batch may have to go there.
                let closed = Effect::Close { connection: *connection };
                self.outward.push((closed, None));
                None
            }
            Event::Received { connection, .. } | Event::Asked { connection, .. } => Some(*connection),
            Event::Ticked => None,
        };
        let now = self.clock.now();
        let effects = self.core.step(now, event);
        self.sort(effects, from.zip(permit));
        bytes
    }

    /// Keeps effects for the end of the batch. The permit goes with the last packet to its connection.
    fn sort(&mut self, effects: Vec<Effect>, permit: Option<(ConnectionId, OwnedSemaphorePermit)>) {
        let first = self.outward.len();
        for effect in effects {
            match effect {
                Effect::Append(txn) => self.txns.push(txn),
                effect => self.outward.push((effect, None)),
            }
        }
        if let Some((from, permit)) = permit {
            let is_to =
                |effect: &Effect| matches!(effect, Effect::Send { connection, .. } if *connection == from);
            let last = self.outward.iter_mut().skip(first).rev().find(|(effect, _)| is_to(effect));
            if let Some((_, slot)) = last {
                *slot = Some(permit);
            }
        }
    }

    fn send(&mut self) {
        for (effect, permit) in std::mem::take(&mut self.outward) {
            match effect {
                Effect::Append(_) => {}
                Effect::Send { connection, bytes } => {
                    let has_room =
                        self.outboxes.get(&connection).is_none_or(|outbox| outbox.send(bytes, permit));
                    if !has_room {
                        tracing::warn!(connection = connection.0, "closing a connection: it does not read");
                        let now = self.clock.now();
                        let effects = self.core.step(now, Event::Disconnected { connection });
                        debug_assert!(effects.is_empty(), "nothing follows from a lost connection");
                        self.outboxes.remove(&connection);
                    }
                }
                Effect::Close { connection } => drop(self.outboxes.remove(&connection)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::core::Limits;
    use crate::jute::Jute as _;
    use crate::packet::{ConnectRequest, ConnectRequestBegin};
    use crate::state::State;

    #[tokio::test]
    async fn nothing_is_answered_that_is_not_safe() {
        let dir = TempDir::new().unwrap();
        for journal in [None, Some(Journal::broken(dir.path()))] {
            let is_broken = journal.is_some();
            let tick = Duration::from_secs(1);
            let mut clock = Clock::start(tick);
            let core = Core::new(State::default(), Limits::default(), clock.now());
            let (inbox, messages) = mpsc::channel(8);
            let stop = Arc::new(watch::Sender::new(false));
            let (outbox, mut outgoing, _) = Outbox::new();
            let driver =
                tokio::spawn(Driver::new(core, clock, tick, journal).run(messages, Arc::clone(&stop)));

            let connection = ConnectionId(1);
            let event = Event::Connected { connection, address: [127, 0, 0, 1].into(), password: [1; 16] };
            inbox.send(Message { event, permit: None, outbox: Some(outbox) }).await.unwrap();
            let begin = ConnectRequestBegin {
                protocol: 0,
                last_zxid_seen: 0,
                timeout_ms: 4_000,
                session: 0,
                password: None,
            };
            let frame = ConnectRequest { begin, read_only: None }.to_bytes().into();
            let event = Event::Received { connection, frame };
            inbox.send(Message { event, permit: None, outbox: None }).await.unwrap();

            assert_eq!(outgoing.recv().await.is_none(), is_broken);
            stop.send_replace(true);
            let outcome = driver.await.unwrap();
            assert_eq!(matches!(outcome, Err(ServerError::Data(DataError::Io { .. }))), is_broken);
        }
    }
}
