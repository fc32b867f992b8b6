//! The line to the supervisor: reports up, orders down. While the supervisor does not answer, reports go
//! to Nimbus, which answers with the newest assignment.
//!
//! A thread of its own with a small runtime: the worker's loop may be busy making tasks, and is alive
//! all the same. The two ways share nothing but the reports, so neither waits for the other.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use storm_model::{Assignment, TopologyId, Tuning};
use storm_rpc::client::{self, Line, MAX_MESSAGE_BYTES, Token};
use storm_rpc::convert;
use storm_rpc::v1::supervisor_client::SupervisorClient;
use storm_rpc::v1::{self, ErrorReport, WorkerOrder, WorkerReport, worker_order};
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use crate::mailbox::{Mailbox, News};

/// A report is sent at least so often.
const EVERY: Duration = Duration::from_secs(1);
/// How long a call may take to be answered.
const DEADLINE: Duration = Duration::from_millis(1500);
/// Time between two attempts to reach the supervisor.
const RETRY: Duration = Duration::from_millis(200);
/// After so much silence the supervisor is asked for a sign of life. A frozen one has to be noticed, and
/// Nimbus told that this worker lives, before Nimbus takes both for lost: that is after 4 s.
const PING_EVERY: Duration = Duration::from_secs(1);
/// Wait for that sign.
const PONG_WITHIN: Duration = Duration::from_millis(1500);
/// Without the supervisor for so long: Nimbus is told instead.
const AWAY: Duration = Duration::from_millis(300);
/// Nimbus is asked at most so often.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long the end of the line may take.
const END_WAIT: Duration = Duration::from_secs(3);
/// Errors that wait for a line; the oldest go first.
const ERRORS: usize = 200;
/// What was sent so shortly before a line broke may not have arrived: it is sent again. Who has it knows it.
const UNSURE: Duration = Duration::from_secs(5);

/// A leader numbers its rounds one after the other, from a random beginning: one that is at most so far below
/// another one is older than it.
const ROUNDS: u64 = 1 << 32;
/// Rounds of former leaders that are remembered.
const FORMER_ROUNDS: usize = 16;

/// Where the line leads.
pub(crate) struct Ends {
    pub(crate) topology: TopologyId,
    pub(crate) supervisor: String,
    pub(crate) nimbuses: Vec<String>,
    pub(crate) token: String,
}

/// Wakes the worker's loop.
type Wake = Box<dyn Fn() + Send>;

/// What is to be reported, and what is asked for.
pub(crate) struct Outgoing {
    state: Mutex<State>,
    has_news: Notify,
    is_asked: Notify,
    is_ending: Notify,
}

struct State {
    report: WorkerReport,
    /// The round of a drain that was asked last, and who is to hear of it.
    round: Option<u64>,
    /// Rounds that were answered before it, the last of them.
    former_rounds: VecDeque<u64>,
    wake: Option<Wake>,
    errors: VecDeque<ErrorReport>,
    /// Errors that were sent on the line, and when.
    sent: VecDeque<(Instant, ErrorReport)>,
    started: Instant,
    /// The newest state that anybody has told.
    state_version: u64,
    is_ended: bool,
}

impl State {
    /// Errors that come before those that wait.
    fn put_before(&mut self, errors: impl DoubleEndedIterator<Item = ErrorReport>) {
        for error in errors.rev() {
            if self.errors.len() >= ERRORS {
                return;
            }
            self.errors.push_front(error);
        }
    }

    /// The report without figures and errors, as it is now.
    fn bare(&self, now: Instant) -> WorkerReport {
        let uptime = now.saturating_duration_since(self.started).as_millis();
        WorkerReport {
            uptime_ms: u64::try_from(uptime).unwrap_or(u64::MAX),
            figures: Default::default(),
            ..self.report.clone()
        }
    }
}

impl Outgoing {
    pub(crate) fn new(report: WorkerReport) -> Outgoing {
        let now = Instant::now();
        let state = State {
            report,
            round: None,
            former_rounds: VecDeque::new(),
            wake: None,
            errors: VecDeque::new(),
            sent: VecDeque::new(),
            started: now,
            state_version: 0,
            is_ended: false,
        };
        Outgoing {
            state: Mutex::new(state),
            has_news: Notify::new(),
            is_asked: Notify::new(),
            is_ending: Notify::new(),
        }
    }

    /// Takes note of a state's version. Whether it is as new as any before: a supervisor that cannot reach
    /// ZooKeeper tells what it knew when it could, and Nimbus may have told more since. One without a
    /// version counts.
    fn is_newest_state(&self, version: u64) -> bool {
        let mut state = self.lock();
        let is_newest = version == 0 || version >= state.state_version;
        state.state_version = state.state_version.max(version);
        is_newest
    }

    /// How the worker is now. At once: it is sent now, else with the next one.
    pub(crate) fn update(&self, at_once: bool, change: impl FnOnce(&mut WorkerReport)) {
        let mut state = self.lock();
        change(&mut state.report);
        drop(state);
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

    /// From now on this is called when another round is asked.
    pub(crate) fn wake_by(&self, wake: impl Fn() + Send + 'static) {
        let mut state = self.lock();
        wake();
        state.wake = Some(Box::new(wake));
    }

    /// Nimbus asks whether nothing is on its way. It may ask by two ways, of which one is slower: an older round
    /// does not take the place of a newer one, for that would not be asked again.
    fn ask_look(&self, round: u64) {
        let mut state = self.lock();
        let is_late = |current: u64| current.checked_sub(round).is_some_and(|below| below < ROUNDS);
        if state.round.is_some_and(is_late) || state.former_rounds.contains(&round) {
            return;
        }
        let answered = state.report.quiet_look.map(|look| look.round);
        if let Some(former) = state.round.replace(round).filter(|former| answered == Some(*former)) {
            state.former_rounds.push_back(former);
            if state.former_rounds.len() > FORMER_ROUNDS {
                state.former_rounds.pop_front();
            }
        }
        if let Some(wake) = &state.wake {
            wake();
        }
    }

    /// The round that was asked last.
    pub(crate) fn round(&self) -> Option<u64> {
        self.lock().round
    }

    /// The newest assignment is wanted, from whoever has it.
    pub(crate) fn ask(&self) {
        self.is_asked.notify_one();
    }

    /// The last report has been made: the line ends when it is out, or cannot be.
    fn end(&self) {
        self.lock().is_ended = true;
        self.has_news.notify_one();
        self.is_ending.notify_one();
    }

    /// All that is to be told.
    fn take(&self) -> WorkerReport {
        let mut state = self.lock();
        let bare = state.bare(Instant::now());
        let figures = std::mem::take(&mut state.report.figures);
        let errors = state.errors.drain(..).collect();
        WorkerReport { figures, errors, ..bare }
    }

    /// How the worker is, for one who gets the rest from somebody else.
    fn bare(&self) -> WorkerReport {
        self.lock().bare(Instant::now())
    }

    /// What could not be sent comes first next time.
    fn put_back(&self, report: WorkerReport) {
        let mut state = self.lock();
        state.put_before(report.errors.into_iter());
        if state.report.figures.is_empty() {
            state.report.figures = report.figures;
        }
    }

    /// A report goes out; whether it arrives is not known.
    fn note_sent(&self, now: Instant, report: &WorkerReport) {
        let mut state = self.lock();
        state.sent.retain(|(sent, _)| now.saturating_duration_since(*sent) < UNSURE);
        state.sent.extend(report.errors.iter().map(|error| (now, error.clone())));
        let more = state.sent.len().saturating_sub(ERRORS);
        state.sent.drain(..more);
    }

    /// The line has broken.
    fn has_broken(&self, now: Instant) {
        let mut state = self.lock();
        let sent = std::mem::take(&mut state.sent);
        let is_unsure = |sent: Instant| now.saturating_duration_since(sent) < UNSURE;
        state.put_before(sent.into_iter().filter(|(sent, _)| is_unsure(*sent)).map(|(_, error)| error));
    }

    fn has_errors(&self) -> bool {
        !self.lock().errors.is_empty()
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

/// Until the worker has ended and said so, or cannot.
async fn keep(ends: &Ends, outgoing: &Outgoing, mailbox: &Mailbox) {
    let token = Token::new(&ends.token);
    let away = Away::default();
    let late = async {
        outgoing.is_ending.notified().await;
        tokio::time::sleep(END_WAIT).await;
    };
    tokio::select! {
        () = keep_supervisor(ends, &token, &away, outgoing, mailbox) => {}
        () = keep_nimbus(ends, &token, &away, outgoing, mailbox) => {}
        () = late => tracing::warn!("the last report was not taken"),
    }
}

/// Since when the supervisor has been away; `None` while the line to it stands.
struct Away(Cell<Option<Instant>>);

impl Default for Away {
    fn default() -> Self {
        Away(Cell::new(Some(Instant::now())))
    }
}

impl Away {
    fn is_away(&self) -> bool {
        self.0.get().is_some()
    }

    fn is_long_away(&self) -> bool {
        self.0.get().is_some_and(|since| since.elapsed() >= AWAY)
    }
}

/// Why the line is down.
struct Lost(String);

async fn keep_supervisor(ends: &Ends, token: &Token, away: &Away, outgoing: &Outgoing, mailbox: &Mailbox) {
    loop {
        let Err(Lost(why)) = attached(ends, token, away, outgoing, mailbox).await else { return };
        if !away.is_away() {
            away.0.set(Some(Instant::now()));
            outgoing.has_broken(Instant::now());
            tracing::warn!(why, "the supervisor is away; running on");
        }
        if outgoing.is_ended() {
            if outgoing.has_errors() {
                ask_nimbus(ends, token, away, outgoing, mailbox, &mut 0).await;
            }
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn supervisor(address: &str, token: Token) -> Result<SupervisorClient<Line>, Lost> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|e| Lost(e.to_string()))?;
    let channel = endpoint
        .connect_timeout(DEADLINE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .keep_alive_while_idle(true)
        .connect_lazy();
    let client = SupervisorClient::with_interceptor(channel, token);
    Ok(client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
}

/// Reports to the supervisor until the line breaks (an error) or the worker ends.
async fn attached(
    ends: &Ends,
    token: &Token,
    away: &Away,
    outgoing: &Outgoing,
    mailbox: &Mailbox,
) -> Result<(), Lost> {
    let mut client = supervisor(&ends.supervisor, token.clone())?;
    // One, so that what waits there is not older than the one that is being sent.
    let (sender, receiver) = mpsc::channel(1);
    // Bare: who takes it may yet turn the line down.
    sender.try_send(outgoing.bare()).ok();
    let answer = tokio::time::timeout(DEADLINE, client.attach(ReceiverStream::new(receiver))).await;
    let mut orders = match answer {
        Ok(Ok(answer)) => answer.into_inner(),
        Ok(Err(status)) => return Err(Lost(status.message().to_owned())),
        Err(_) => return Err(Lost("no answer".to_owned())),
    };
    away.0.set(None);
    // What waits has waited long enough.
    outgoing.has_news.notify_one();
    let lost = |why: &str| Lost(why.to_owned());
    let mut beat = tokio::time::interval(EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            order = orders.message() => {
                match order {
                    Ok(Some(order)) => obey(order, ends, outgoing, mailbox),
                    Ok(None) => return Err(lost("it has closed the line")),
                    Err(status) => return Err(lost(status.message())),
                }
                continue;
            }
            () = outgoing.has_news.notified() => {}
            _ = beat.tick() => {}
        }
        let is_ended = outgoing.is_ended();
        let room = tokio::select! {
            room = tokio::time::timeout(DEADLINE, sender.clone().reserve_owned()) => room,
            // Nobody takes reports from a line that has broken.
            order = until_broken(&mut orders, ends, outgoing, mailbox) => return Err(order),
        };
        match room {
            // Only now, so that it is new when it goes.
            Ok(Ok(room)) => {
                let report = outgoing.take();
                outgoing.note_sent(Instant::now(), &report);
                drop(room.send(report));
            }
            Ok(Err(mpsc::error::SendError(()))) => return Err(lost("it has closed the line")),
            Err(_) => return Err(lost("it takes no reports")),
        }
        if is_ended {
            // Until the last report is out: the other side closes after it.
            drop(sender);
            while let Ok(Some(_)) = orders.message().await {}
            return Ok(());
        }
    }
}

/// Obeys until the line breaks.
async fn until_broken(
    orders: &mut tonic::Streaming<WorkerOrder>,
    ends: &Ends,
    outgoing: &Outgoing,
    mailbox: &Mailbox,
) -> Lost {
    loop {
        match orders.message().await {
            Ok(Some(order)) => obey(order, ends, outgoing, mailbox),
            Ok(None) => return Lost("it has closed the line".to_owned()),
            Err(status) => return Lost(status.message().to_owned()),
        }
    }
}

/// Asks Nimbus when that is wanted, and tells it that this worker lives while the supervisor is away.
async fn keep_nimbus(ends: &Ends, token: &Token, away: &Away, outgoing: &Outgoing, mailbox: &Mailbox) {
    let mut at = 0;
    loop {
        let is_asked = tokio::select! {
            () = outgoing.is_asked.notified() => true,
            () = tokio::time::sleep(AWAY / 3) => false,
        };
        if is_asked || away.is_long_away() {
            ask_nimbus(ends, token, away, outgoing, mailbox, &mut at).await;
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

/// Tells the Nimbus that answered last, else the next, and takes what it says.
async fn ask_nimbus(
    ends: &Ends,
    token: &Token,
    away: &Away,
    outgoing: &Outgoing,
    mailbox: &Mailbox,
    at: &mut usize,
) {
    for _ in 0..ends.nimbuses.len() {
        let address = &ends.nimbuses[*at % ends.nimbuses.len()];
        // What the supervisor is there for goes to the supervisor.
        let report = if away.is_away() { outgoing.take() } else { outgoing.bare() };
        let call = async {
            let mut client = client::nimbus(address, token.clone()).map_err(|e| e.to_string())?;
            client.report_worker(report.clone()).await.map_err(|status| status.message().to_owned())
        };
        let why = match tokio::time::timeout(DEADLINE, call).await {
            Ok(Ok(reply)) => {
                let v1::WorkerReportReply { assignment, state, round, state_version, tuning } =
                    reply.into_inner();
                if round != 0 {
                    outgoing.ask_look(round);
                }
                if let Some(assignment) = assignment {
                    post_assignment(assignment, ends, mailbox);
                }
                if let Some(tuning) = tuning.filter(|tuning| counts(tuning, state_version)) {
                    post_tuning(tuning, mailbox);
                }
                // Of two who tell the state the one who tells every change has the last word.
                if away.is_away() {
                    post_state(state, state_version, outgoing, mailbox);
                }
                return;
            }
            Ok(Err(why)) => why,
            Err(_) => "no answer".to_owned(),
        };
        tracing::debug!(address, why, "a Nimbus does not answer");
        outgoing.put_back(report);
        *at = (*at + 1) % ends.nimbuses.len();
    }
}

fn obey(order: WorkerOrder, ends: &Ends, outgoing: &Outgoing, mailbox: &Mailbox) {
    let version = order.state_version;
    match order.order {
        Some(worker_order::Order::Assignment(assignment)) => post_assignment(assignment, ends, mailbox),
        Some(worker_order::Order::State(state)) => post_state(state, version, outgoing, mailbox),
        Some(worker_order::Order::Stop(stop)) => {
            let within = Duration::from_secs(stop.within_secs.into());
            mailbox.post(News::Stop { within, reason: stop.reason });
        }
        Some(worker_order::Order::Look(round)) => outgoing.ask_look(round),
        Some(worker_order::Order::Tuning(tuning)) => post_tuning(tuning, mailbox),
        None => tracing::warn!("an order of a kind that this worker does not know"),
    }
}

fn post_assignment(assignment: v1::Assignment, ends: &Ends, mailbox: &Mailbox) {
    match <(TopologyId, Assignment)>::try_from(assignment) {
        Ok((topology, assignment)) if topology == ends.topology => {
            mailbox.post(News::Assignment(assignment));
        }
        Ok((topology, _)) => tracing::error!(%topology, "an assignment of another topology"),
        Err(error) => tracing::error!(%error, "an assignment that cannot be read; keeping the former one"),
    }
}

/// Whether what Nimbus tells of a topology is to be followed. Of one that was never tuned it tells nothing, unless
/// it does not count what it changes; else what it tells is late, and would take back what was tuned since.
fn counts(tuning: &v1::Tuning, state_version: u64) -> bool {
    tuning.version != 0 || state_version == 0
}

/// Its version tells which is the newest, whoever brings it.
fn post_tuning(tuning: v1::Tuning, mailbox: &Mailbox) {
    match Tuning::try_from(tuning) {
        Ok(tuning) => mailbox.post(News::Tuning(tuning)),
        Err(error) => tracing::warn!(%error, "levels that cannot be read; keeping the former ones"),
    }
}

fn post_state(state: i32, version: u64, outgoing: &Outgoing, mailbox: &Mailbox) {
    match convert::status_of(state) {
        Ok(state) if !outgoing.is_newest_state(version) => {
            tracing::info!(%state, version, "an older state than the one that was told already");
        }
        Ok(state) => mailbox.post(News::State(state, version)),
        Err(error) => tracing::debug!(%error, "the state of the topology is not known"),
    }
}

#[cfg(test)]
mod tests;
