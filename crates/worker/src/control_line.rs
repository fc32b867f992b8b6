//! The line to the supervisor: reports up, orders down. When the supervisor does not answer, reports go
//! to Nimbus, which answers with the newest assignment.
//!
//! A thread of its own with a small runtime: the worker's loop may be busy making tasks, and is alive
//! all the same.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use storm_model::{Assignment, TopologyId};
use storm_rpc::client::{self, Token};
use storm_rpc::convert;
use storm_rpc::v1::{self, ErrorReport, WorkerOrder, WorkerReport, worker_order};
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::mailbox::{Mailbox, News};

/// A report is sent at least so often.
const EVERY: Duration = Duration::from_secs(1);
/// How long a call may take to be answered.
const DEADLINE: Duration = Duration::from_secs(3);
/// Time between two attempts to reach the supervisor.
const RETRY: Duration = Duration::from_millis(200);
/// Without the supervisor for so long: Nimbus is asked, and so often.
const AWAY: Duration = Duration::from_secs(1);
/// Errors that wait for a line; the oldest go first.
const ERRORS: usize = 200;

/// Where the line leads.
pub(crate) struct Ends {
    pub(crate) supervisor: String,
    pub(crate) nimbuses: Vec<String>,
    pub(crate) token: String,
}

/// What is to be reported.
pub(crate) struct Outgoing {
    state: Mutex<State>,
    has_news: Notify,
    is_asked: Notify,
}

struct State {
    report: WorkerReport,
    errors: VecDeque<ErrorReport>,
    started: Instant,
    is_ended: bool,
}

impl Outgoing {
    pub(crate) fn new(report: WorkerReport) -> Outgoing {
        let state = State { report, errors: VecDeque::new(), started: Instant::now(), is_ended: false };
        Outgoing { state: Mutex::new(state), has_news: Notify::new(), is_asked: Notify::new() }
    }

    /// How the worker is now. At once: it is sent now, else with the next one.
    pub(crate) fn update(&self, at_once: bool, change: impl FnOnce(&mut WorkerReport)) {
        change(&mut self.lock().report);
        if at_once {
            self.has_news.notify_one();
        }
    }

    pub(crate) fn error(&self, error: ErrorReport) {
        let mut state = self.lock();
        if state.errors.len() >= ERRORS {
            state.errors.pop_front();
        }
        state.errors.push_back(error);
        drop(state);
        self.has_news.notify_one();
    }

    /// The newest assignment is wanted, from whoever has it.
    pub(crate) fn ask(&self) {
        self.is_asked.notify_one();
    }

    /// The last report has been made: the line ends when it is out, or cannot be.
    fn end(&self) {
        self.lock().is_ended = true;
        self.has_news.notify_one();
    }

    fn take(&self) -> WorkerReport {
        let mut state = self.lock();
        state.report.uptime_ms = u64::try_from(state.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let figures = std::mem::take(&mut state.report.figures);
        let errors = state.errors.drain(..).collect();
        WorkerReport { figures, errors, ..state.report.clone() }
    }

    /// What could not be sent comes first next time.
    fn put_back(&self, report: WorkerReport) {
        let mut state = self.lock();
        for error in report.errors.into_iter().rev() {
            state.errors.push_front(error);
        }
        state.errors.truncate(ERRORS);
        if state.report.figures.is_empty() {
            state.report.figures = report.figures;
        }
    }

    fn is_ended(&self) -> bool {
        self.lock().is_ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running line.
pub(crate) struct ControlLine {
    outgoing: Arc<Outgoing>,
    thread: Option<JoinHandle<()>>,
}

impl ControlLine {
    pub(crate) fn start(
        ends: Ends,
        outgoing: Arc<Outgoing>,
        mailbox: Arc<Mailbox>,
    ) -> std::io::Result<ControlLine> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let reports = outgoing.clone();
        let thread = std::thread::Builder::new().name("control-line".to_owned()).spawn(move || {
            runtime.block_on(keep(&ends, &reports, &mailbox));
        })?;
        Ok(ControlLine { outgoing, thread: Some(thread) })
    }

    /// Sends the last report, if there is anybody to take it, and ends.
    pub(crate) fn end(mut self) {
        self.outgoing.end();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn keep(ends: &Ends, outgoing: &Outgoing, mailbox: &Mailbox) {
    let token = Token::new(&ends.token);
    let mut away_since = Instant::now();
    loop {
        match attached(ends, &token, outgoing, mailbox).await {
            Ok(()) => return,
            Err(Lost { why, was_attached }) => {
                if was_attached {
                    away_since = Instant::now();
                    tracing::warn!(why, "the supervisor is away; running on");
                }
            }
        }
        if outgoing.is_ended() {
            return;
        }
        if away_since.elapsed() >= AWAY {
            away_since = Instant::now();
            ask_nimbus(ends, &token, outgoing, mailbox).await;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Why the line is down.
struct Lost {
    why: String,
    was_attached: bool,
}

/// Reports to the supervisor until the line breaks (an error) or the worker ends.
async fn attached(ends: &Ends, token: &Token, outgoing: &Outgoing, mailbox: &Mailbox) -> Result<(), Lost> {
    let not_yet = |why: String| Lost { why, was_attached: false };
    let client = client::supervisor(&ends.supervisor, token.clone());
    let mut client = client.map_err(|e| not_yet(e.to_string()))?;
    let (sender, receiver) = mpsc::channel(4);
    let first = outgoing.take();
    sender.send(first.clone()).await.ok();
    let answer = tokio::time::timeout(DEADLINE, client.attach(ReceiverStream::new(receiver))).await;
    let mut orders = match answer {
        Ok(Ok(answer)) => answer.into_inner(),
        Ok(Err(status)) => {
            outgoing.put_back(first);
            return Err(not_yet(status.message().to_owned()));
        }
        Err(_) => {
            outgoing.put_back(first);
            return Err(not_yet("no answer".to_owned()));
        }
    };
    let lost = |why: String| Lost { why, was_attached: true };
    let mut beat = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            order = orders.message() => match order {
                Ok(Some(order)) => obey(order, mailbox),
                Ok(None) => return Err(lost("it has closed the line".to_owned())),
                Err(status) => return Err(lost(status.message().to_owned())),
            },
            () = outgoing.has_news.notified() => {}
            () = outgoing.is_asked.notified() => ask_nimbus(ends, token, outgoing, mailbox).await,
            _ = beat.tick() => {}
        }
        let is_ended = outgoing.is_ended();
        let report = outgoing.take();
        match tokio::time::timeout(DEADLINE, sender.send(report)).await {
            Ok(Ok(())) => {}
            Ok(Err(mpsc::error::SendError(report))) => {
                outgoing.put_back(report);
                return Err(lost("it has closed the line".to_owned()));
            }
            Err(_) => return Err(lost("it takes no reports".to_owned())),
        }
        if is_ended {
            // Until the last report is out: the other side closes after it.
            drop(sender);
            while let Ok(Ok(Some(_))) = tokio::time::timeout(DEADLINE, orders.message()).await {}
            return Ok(());
        }
    }
}

/// Tells the first Nimbus that answers, and takes what it says.
async fn ask_nimbus(ends: &Ends, token: &Token, outgoing: &Outgoing, mailbox: &Mailbox) {
    for address in &ends.nimbuses {
        let Ok(mut client) = client::nimbus(address, token.clone()) else { continue };
        let report = outgoing.take();
        match tokio::time::timeout(DEADLINE, client.report_worker(report.clone())).await {
            Ok(Ok(reply)) => {
                let v1::WorkerReportReply { assignment, state } = reply.into_inner();
                if let Some(assignment) = assignment {
                    post_assignment(assignment, mailbox);
                }
                post_state(state, mailbox);
                return;
            }
            Ok(Err(_)) | Err(_) => outgoing.put_back(report),
        }
    }
}

fn obey(order: WorkerOrder, mailbox: &Mailbox) {
    match order.order {
        Some(worker_order::Order::Assignment(assignment)) => post_assignment(assignment, mailbox),
        Some(worker_order::Order::State(state)) => post_state(state, mailbox),
        Some(worker_order::Order::Stop(stop)) => {
            let within = Duration::from_secs(stop.within_secs.into());
            mailbox.post(News::Stop { within, reason: stop.reason });
        }
        None => tracing::warn!("an order of a kind that this worker does not know"),
    }
}

fn post_assignment(assignment: v1::Assignment, mailbox: &Mailbox) {
    match <(TopologyId, Assignment)>::try_from(assignment) {
        Ok((_, assignment)) => mailbox.post(News::Assignment(assignment)),
        Err(error) => tracing::error!(%error, "an assignment that cannot be read; keeping the former one"),
    }
}

fn post_state(state: i32, mailbox: &Mailbox) {
    match convert::status_of(state) {
        Ok(state) => mailbox.post(News::State(state)),
        Err(error) => tracing::debug!(%error, "the state of the topology is not known"),
    }
}
