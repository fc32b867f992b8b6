//! Waiting for the effect of a command.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use storm_model::Status;
use storm_rpc::{CallError, ErrorCode, Nimbuses, convert, v1};
use tokio::time::Instant;

use crate::args::Wait;
use crate::output;

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a look found.
pub(super) enum Seen<T> {
    /// It is done.
    Done(T),
    /// Not yet. Why, in words, and when it has to happen at the latest, where that is known.
    NotYet(String, Option<Duration>),
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Looks until it is done; `what` completes "waiting until ..".
///
/// # Errors
/// `WaitRanOut` when the time is over, or what a look gives. That nobody answers is no reason to stop
/// before.
pub(super) async fn until<T>(
    wait: Wait,
    is_json: bool,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Seen<T>, CallError>,
) -> Result<T, CallError> {
    let bar = spinner(is_json, format!("waiting until {what}"));
    let bound = Duration::from_secs(wait.timeout);
    let started = Instant::now();
    let mut deadline = started + bound;
    loop {
        let why = match look().await {
            Ok(Seen::Done(value)) => {
                bar.finish_and_clear();
                return Ok(value);
            }
            Ok(Seen::NotYet(why, due)) => {
                if let Some(due) = due {
                    deadline = deadline.max(Instant::now() + due + bound);
                }
                why
            }
            Err(error) if error.code == ErrorCode::Unreachable => error.message,
            Err(error) => return Err(error),
        };
        bar.tick();
        if Instant::now() + LOOK_EVERY > deadline {
            bar.finish_and_clear();
            let waited = output::time(started.elapsed());
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            return Err(CallError::new(
                ErrorCode::WaitRanOut,
                format!("waited {waited} until {what}, in vain{why}"),
            )
            .advise(
                "the command was accepted and goes on; `storm-rs status` shows how; --timeout waits longer",
            ));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until a topology has this status and its workers have done what that asks of them.
pub(super) async fn settled(
    nimbuses: &Nimbuses,
    wait: Wait,
    is_json: bool,
    id: &str,
    status: Status,
) -> Result<v1::TopologyStatus, CallError> {
    let what = format!("{id} is {status} and settled");
    until(wait, is_json, &what, async || {
        let topology = nimbuses.get_topology(id).await?;
        if topology.is_settled && status_of(&topology)? == status {
            return Ok(Seen::Done(topology));
        }
        Ok(not_yet(&topology))
    })
    .await
}

/// The status of a topology.
pub(super) fn status_of(topology: &v1::TopologyStatus) -> Result<Status, CallError> {
    let summary = convert::present(topology.summary.as_ref(), "the summary of a topology")?;
    Ok(convert::status_of(summary.status)?)
}

/// Why a topology is not yet as it is wished.
pub(super) fn not_yet<T>(topology: &v1::TopologyStatus) -> Seen<T> {
    let due = topology.pending_action.as_ref().map(|action| action.deadline_ms.saturating_sub(now_ms()));
    let due = due.filter(|due| *due > 0).map(Duration::from_millis);
    let not_running = topology.workers.iter().filter(|worker| worker.state() != v1::WorkerState::Running);
    let mut why: Vec<String> = not_running
        .map(|worker| {
            let state = convert::worker_state_name(worker.state);
            format!("worker {}:{} is {state}", worker.host, worker.port)
        })
        .collect();
    // What a worker ended of that is to be started again.
    let is_failing = topology.workers.iter().any(|worker| worker.state() == v1::WorkerState::BackingOff);
    let ends = topology.errors.iter().filter(|error| matches!(&*error.kind, "exit" | "start"));
    why.extend(ends.take(1).filter(|_| is_failing).map(|error| error.message.clone()));
    why.extend(Some(topology.explanation.clone()).filter(|text| !text.is_empty()));
    Seen::NotYet(why.join("; "), due)
}

/// Something that moves while one waits; nothing where nobody looks.
fn spinner(is_json: bool, message: String) -> ProgressBar {
    if is_json || !output::is_watched() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("a template that is tested"),
    );
    bar.set_message(message);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_TIME: Wait = Wait { wait: true, timeout: 0 };

    #[tokio::test]
    async fn a_wait_that_runs_out_says_why() {
        let look = async || Ok(Seen::<()>::NotYet("a worker is STARTING".to_owned(), None));
        let error = until(NO_TIME, true, "x is settled", look).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::WaitRanOut);
        assert_eq!(error.message, "waited 0s until x is settled, in vain: a worker is STARTING");
    }

    #[test]
    fn a_worker_that_does_not_start_says_why() {
        let error = |kind: &str, message: &str| v1::ErrorReport {
            kind: kind.into(),
            message: message.into(),
            ..Default::default()
        };
        let worker = v1::WorkerStatus {
            host: "h".into(),
            port: 1,
            state: v1::WorkerState::BackingOff.into(),
            ..Default::default()
        };
        let mut topology = v1::TopologyStatus {
            workers: vec![worker],
            errors: vec![error("error", "of a bolt"), error("exit", "no file x"), error("exit", "old")],
            ..Default::default()
        };
        let why = |topology: &v1::TopologyStatus| match not_yet::<()>(topology) {
            Seen::NotYet(why, _) => why,
            Seen::Done(()) => String::new(),
        };
        assert_eq!(why(&topology), "worker h:1 is BACKING_OFF; no file x");
        topology.workers[0].state = v1::WorkerState::Starting.into();
        assert_eq!(why(&topology), "worker h:1 is STARTING");
    }

    #[tokio::test]
    async fn an_action_that_is_due_later_makes_the_wait_longer() {
        let mut looks = 0;
        let look = async || {
            looks += 1;
            Ok(if looks == 3 { Seen::Done(()) } else { Seen::NotYet(String::new(), Some(LOOK_EVERY * 4)) })
        };
        until(NO_TIME, true, "x is gone", look).await.unwrap();
    }
}
