//! What people can do to a topology: each action has a page that asks again, and a form that does it.
//!
//! All of it works without scripts; with them the same forms open within the page.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use askama::Template;
use axum::http::StatusCode;
use storm_rpc::nimbus_client::command_id;
use storm_rpc::{CallError, v1};

use crate::app::App;
use crate::pages::topology::{self, Head};
use crate::pages::{Ask, Page, Trouble, text};
use crate::source::Command;
use crate::view::TopologyView;

/// Answers that are kept for whoever sees the next page; older ones are forgotten.
const NOTICES: usize = 200;
/// For how long a logger has another level where nobody says so: who forgets it does not fill a disk.
const LEVEL_SECS: u32 = 600;
/// Levels of loggers; the empty one is that which it had in the beginning.
const LEVELS: [&str; 7] = ["", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "OFF"];
/// Moves that are told one by one.
const MOVES: usize = 100;

/// What commands answered, to be shown on the page that is seen next.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<VecDeque<(String, String)>>);

impl Notices {
    fn keep(&self, notice: String) -> String {
        let id = command_id();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= NOTICES {
            kept.pop_front();
        }
        kept.push_back((id.clone(), notice));
        id
    }

    /// What was answered. Only what was said here can be shown: a link cannot bring words of its own.
    pub(super) fn find(&self, id: &str) -> Option<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(kept, _)| kept == id).map(|(_, notice)| notice.clone())
    }
}

/// What was filled in.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// From the fields of a form, in their order.
    pub(super) fn new(fields: Vec<(String, String)>) -> Form {
        Form(fields)
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    /// A number; none where the field is empty.
    fn number(&self, name: &str) -> Result<Option<u32>, CallError> {
        match self.get(name) {
            "" => Ok(None),
            value => value
                .parse()
                .map(Some)
                .map_err(|_| CallError::usage(format!("'{value}' is not a number: {name}"))),
        }
    }
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Activate,
    Deactivate,
    Rebalance,
    Kill,
    LogLevels,
    Debug,
    Restart,
}

impl Action {
    fn parse(name: &str) -> Option<Action> {
        Some(match name {
            "activate" => Action::Activate,
            "deactivate" => Action::Deactivate,
            "rebalance" => Action::Rebalance,
            "kill" => Action::Kill,
            "log-levels" => Action::LogLevels,
            "debug" => Action::Debug,
            "restart" => Action::Restart,
            _ => return None,
        })
    }

    /// Heading, what happens, and the word on the button.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Action::Activate => ("Activate", "Its spouts emit again.", "Activate"),
            Action::Deactivate => (
                "Deactivate",
                "Its spouts stop emitting. What is on its way is still processed, and its workers stay.",
                "Deactivate",
            ),
            Action::Rebalance => (
                "Rebalance",
                "Spreads its executors anew. Executors that stay where they are go on without a break.",
                "Rebalance",
            ),
            Action::Kill => (
                "Kill",
                "Its spouts stop, what is on its way is processed for as long as the wait, then its workers end. It has to be submitted again to come back.",
                "Kill",
            ),
            Action::LogLevels => (
                "Log levels",
                "What its workers write to their logs, at once and without a restart.",
                "Set level",
            ),
            Action::Debug => (
                "Sample tuples",
                "Writes a share of the tuples that a component emits to events.log of its workers.",
                "Set sampling",
            ),
            Action::Restart => (
                "Restart worker",
                "Ends this worker; its supervisor starts it again. Its pending trees fail and are replayed.",
                "Restart",
            ),
        }
    }
}

#[derive(Template)]
#[template(path = "action.html")]
struct Confirm<'a> {
    root: &'a str,
    head: Head,
    action: &'a str,
    heading: &'static str,
    about: &'static str,
    button: &'static str,
    is_danger: bool,
    error: Option<&'a CallError>,
    command_id: String,
    /// Of the worker that restarts.
    host: &'a str,
    port: &'a str,
    wait: String,
    workers: String,
    executors: Vec<Executors>,
    levels: Vec<topology::Level>,
    /// What is filled in about a logger: its name, and for how long it has another level.
    logger: String,
    timeout: String,
    /// Each level, whether it is to be set, and whether it is to come after it.
    choices: Vec<(&'static str, bool, bool)>,
    components: Vec<String>,
    component: &'a str,
    sampled: Vec<String>,
    moves: Option<Moves>,
}

/// How many executors a component shall have.
#[derive(Debug)]
struct Executors {
    component: String,
    now: u32,
    wanted: u32,
    tasks: u32,
}

/// What a rebalance would do.
#[derive(Debug)]
struct Moves {
    count: usize,
    total: u32,
    shown: Vec<(String, String, String)>,
    more: usize,
    notes: Vec<String>,
}

/// The page that asks again.
pub(super) async fn page(app: &App, ask: &Ask, id: &str, action: &str) -> Result<Page, Trouble> {
    let known = allowed(app, action)?;
    let view = app.source.topology(id).await?;
    let form = Form(ask.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect());
    Ok(confirm(app, ask, &view, action, known, &form, Outcome::Asked))
}

fn allowed(app: &App, action: &str) -> Result<Action, Trouble> {
    let known =
        Action::parse(action).ok_or_else(|| Trouble::NotFound("There is no such page.".to_owned()))?;
    if !app.options.actions {
        return Err(Trouble::Forbidden("This UI only shows: 'ui.actions.enabled' is false.".to_owned()));
    }
    Ok(known)
}

/// What became of a form so far.
enum Outcome<'a> {
    Asked,
    Refused(&'a CallError),
    Tried(v1::RebalanceReply),
}

fn confirm(
    app: &App,
    ask: &Ask,
    view: &TopologyView,
    action: &str,
    known: Action,
    form: &Form,
    outcome: Outcome<'_>,
) -> Page {
    let (heading, about, button) = known.words();
    let summary = view.summary();
    let executors = view.spec.components.iter().map(|(id, spec)| {
        let status = view.status.components.iter().find(|status| status.id == *id.as_str());
        let now = status.map_or(spec.executors, |status| status.executors);
        let asked = form.get(&format!("executors.{id}")).parse();
        Executors {
            component: id.to_string(),
            now,
            wanted: asked.unwrap_or(now),
            tasks: status.map_or(spec.tasks, |s| s.tasks),
        }
    });
    let (error, moves) = match outcome {
        Outcome::Asked => (None, None),
        Outcome::Refused(error) => (Some(error), None),
        Outcome::Tried(reply) => (None, Some(moves(&reply, summary.executors_total))),
    };
    let or =
        |name: &str, other: String| if form.get(name).is_empty() { other } else { form.get(name).to_owned() };
    let head = topology::head(app, view);
    let title = format!("{heading}: {}", head.name);
    let page = Confirm {
        root: &ask.root,
        head,
        action,
        heading,
        about,
        button,
        is_danger: matches!(known, Action::Kill | Action::Restart),
        error,
        command_id: command_id(),
        host: form.get("host"),
        port: form.get("port"),
        wait: or("wait_secs", message_timeout(view).to_string()),
        workers: or("workers", summary.workers_requested.to_string()),
        executors: executors.collect(),
        levels: topology::levels(view),
        logger: or("logger", "ROOT".to_owned()),
        timeout: or("timeout_secs", LEVEL_SECS.to_string()),
        choices: LEVELS
            .map(|known| {
                (known, known == form.find("level").unwrap_or("INFO"), known == form.get("reset_level"))
            })
            .into(),
        components: view.spec.components.keys().map(ToString::to_string).collect(),
        component: form.get("component"),
        sampled: view
            .status
            .debug
            .iter()
            .filter(|debug| debug.enable)
            .map(|debug| debug.component.clone())
            .collect(),
        moves,
    };
    let status = if page.error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Page { status, ..Page::still(title, &page) }
}

fn message_timeout(view: &TopologyView) -> u64 {
    const DEFAULT_SECS: u64 = 30;
    let configured = view.config.get("topology.message.timeout.secs");
    configured.and_then(serde_json::Value::as_u64).unwrap_or(DEFAULT_SECS)
}

fn moves(reply: &v1::RebalanceReply, total: u32) -> Moves {
    let place = |address: &str| if address.is_empty() { "nowhere".to_owned() } else { address.to_owned() };
    let shown = reply.moves.iter().take(MOVES).map(|moved| {
        let executor = moved.executor.clone().unwrap_or_default();
        let tasks = match (executor.first_task, executor.last_task) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}–{last}"),
        };
        (format!("{} [{tasks}]", executor.component), place(&moved.from), place(&moved.to))
    });
    Moves {
        count: reply.moves.len(),
        total,
        shown: shown.collect(),
        more: reply.moves.len().saturating_sub(MOVES),
        notes: reply.notes.clone(),
    }
}

/// Does it, and leads back to the topology, where the answer is shown.
pub(super) async fn act(
    app: &App,
    notices: &Notices,
    ask: &Ask,
    id: &str,
    action: &str,
    form: &Form,
) -> Result<Page, Trouble> {
    let known = allowed(app, action)?;
    let view = app.source.topology(id).await?;
    let command = match command(&view, known, form) {
        Ok(command) => command,
        Err(error) => return Ok(confirm(app, ask, &view, action, known, form, Outcome::Refused(&error))),
    };
    let is_dry = matches!(&command, Command::Rebalance(request) if request.dry_run);
    match app.source.command(command).await {
        Err(error) => Ok(confirm(app, ask, &view, action, known, form, Outcome::Refused(&error))),
        Ok(reply) if is_dry => Ok(confirm(app, ask, &view, action, known, form, Outcome::Tried(reply))),
        Ok(reply) => {
            tracing::info!(topology = %view.summary().name, action, "a command was given on a page");
            let notice = notices.keep(told(known, &view, form, &reply));
            Err(Trouble::Moved(format!(
                "{}topology/{}?notice={notice}",
                ask.root,
                text::encoded(&view.summary().id)
            )))
        }
    }
}

/// What happened, in words: ours, and those of Nimbus.
fn told(action: Action, view: &TopologyView, form: &Form, reply: &v1::RebalanceReply) -> String {
    let name = view.summary().name;
    let mut told = match action {
        Action::Activate => format!("{name} is activated."),
        Action::Deactivate => format!("{name} is deactivated."),
        Action::Kill => {
            let wait = match form.get("wait_secs") {
                "" => message_timeout(view).to_string(),
                secs => secs.to_owned(),
            };
            format!("{name} is killed: it ends within {wait} s.")
        }
        Action::Rebalance if reply.moves.is_empty() => format!("{name} is rebalanced."),
        Action::Rebalance => {
            format!(
                "{name} is rebalanced: {}.",
                text::counted(reply.moves.len() as u64, "executor moves", "executors move")
            )
        }
        Action::LogLevels => {
            let then = match form.get("reset_level") {
                "" => String::new(),
                level => format!(", and then at {level}"),
            };
            format!("{name} logs {} at {}{then}.", form.get("logger"), or_as_it_was(form.get("level")))
        }
        Action::Debug => format!("The sampling of {name} is set."),
        Action::Restart => format!("Worker {}:{} is restarted.", form.get("host"), form.get("port")),
    };
    for note in &reply.notes {
        told.push(' ');
        told.push_str(note);
    }
    told
}

fn or_as_it_was(level: &str) -> &str {
    if level.is_empty() { "the level that it had" } else { level }
}

fn command(view: &TopologyView, action: Action, form: &Form) -> Result<Command, CallError> {
    // By its id: another one may have the name by now.
    let name = view.summary().id;
    let command_id = match form.get("command_id") {
        "" => command_id(),
        id => id.to_owned(),
    };
    Ok(match action {
        Action::Activate => Command::Activate(v1::TopologyCommand { command_id, name }),
        Action::Deactivate => Command::Deactivate(v1::TopologyCommand { command_id, name }),
        Action::Kill => {
            Command::Kill(v1::KillRequest { command_id, name, wait_secs: form.number("wait_secs")? })
        }
        Action::Rebalance => Command::Rebalance(rebalance(view, form, command_id)?),
        Action::Restart => Command::RestartWorker(restart(view, form, command_id)?),
        Action::LogLevels => Command::LogLevels(log_level(form, command_id, name)?),
        Action::Debug => Command::Debug(debug(form, command_id, name)?),
    })
}

fn rebalance(view: &TopologyView, form: &Form, id: String) -> Result<v1::RebalanceRequest, CallError> {
    let summary = view.summary();
    let dry_run = !form.get("dry_run").is_empty();
    let mut executors = BTreeMap::new();
    for (component, spec) in &view.spec.components {
        let Some(wanted) = form.number(&format!("executors.{component}"))? else { continue };
        let status = view.status.components.iter().find(|status| status.id == *component.as_str());
        if wanted != status.map_or(spec.executors, |status| status.executors) {
            executors.insert(component.to_string(), wanted);
        }
    }
    Ok(v1::RebalanceRequest {
        // What is only tried is no command that was given.
        command_id: if dry_run { command_id() } else { id },
        name: summary.id,
        wait_secs: form.number("wait_secs")?,
        workers: form.number("workers")?.filter(|workers| *workers != summary.workers_requested),
        executors: executors.into_iter().collect(),
        dry_run,
    })
}

/// A worker of this topology, and of no other.
fn restart(
    view: &TopologyView,
    form: &Form,
    command_id: String,
) -> Result<v1::RestartWorkerRequest, CallError> {
    let (host, port) = (form.get("host"), form.number("port")?.unwrap_or(0));
    let is_it = |worker: &v1::WorkerStatus| worker.host == host && worker.port == port;
    if !view.status.workers.iter().any(is_it) {
        return Err(CallError::invalid(format!("{} has no worker at {host}:{port}", view.summary().name)));
    }
    Ok(v1::RestartWorkerRequest { command_id, host: host.to_owned(), port })
}

fn log_level(form: &Form, command_id: String, name: String) -> Result<v1::LogLevelsRequest, CallError> {
    let (logger, level, reset_level) = (form.get("logger"), form.get("level"), form.get("reset_level"));
    if logger.is_empty() {
        return Err(CallError::usage("a logger is missing: ROOT, a crate or a module"));
    }
    if let Some(unknown) = [level, reset_level].iter().find(|level| !LEVELS.contains(level)) {
        let known = LEVELS[1..].join(", ");
        return Err(CallError::usage(format!("'{unknown}' is no level: one of {known}")));
    }
    let timeout_secs = form.number("timeout_secs")?.unwrap_or(0);
    if timeout_secs == 0 && !reset_level.is_empty() {
        let message = format!("{logger} never gets the level {reset_level}: its time does not end");
        return Err(CallError::usage(message).advise("say for how many seconds it has the other level"));
    }
    let level = v1::LogLevel {
        logger: logger.to_owned(),
        level: level.to_owned(),
        timeout_secs,
        reset_level: reset_level.to_owned(),
        ..Default::default()
    };
    Ok(v1::LogLevelsRequest { command_id, name, levels: vec![level] })
}

fn debug(form: &Form, command_id: String, name: String) -> Result<v1::DebugRequest, CallError> {
    let percent = form.get("sampling_percent");
    let sampling_percent = percent.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    let sampling_percent = sampling_percent
        .ok_or_else(|| CallError::usage(format!("'{percent}' is no share from 0 to 100 %")))?;
    let component = form.get("component").to_owned();
    Ok(v1::DebugRequest { command_id, name, component, enable: sampling_percent > 0.0, sampling_percent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_told_by_its_id_alone() {
        let notices = Notices::default();
        let id = notices.keep("killed".to_owned());
        assert_eq!(notices.find(&id).as_deref(), Some("killed"));
        assert_eq!(notices.find("you were hacked"), None);
        for i in 0..NOTICES {
            notices.keep(i.to_string());
        }
        assert_eq!(notices.find(&id), None);
    }

    #[test]
    fn what_is_filled_in_wrong_is_refused_with_the_way_out() {
        let form = |fields: &[(&str, &str)]| {
            Form(fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
        };
        assert_eq!(form(&[("wait_secs", " 5 ")]).number("wait_secs"), Ok(Some(5)));
        assert!(form(&[("wait_secs", "-1")]).number("wait_secs").is_err());
        assert!(debug(&form(&[("sampling_percent", "120")]), String::new(), String::new()).is_err());
        assert!(
            log_level(&form(&[("logger", "ROOT"), ("level", "LOUD")]), String::new(), String::new()).is_err()
        );
        assert!(
            log_level(&form(&[("logger", "ROOT"), ("level", "WARN")]), String::new(), String::new()).is_ok()
        );
        let with_reset = |reset, secs| {
            let fields =
                [("logger", "ROOT"), ("level", "DEBUG"), ("reset_level", reset), ("timeout_secs", secs)];
            log_level(&form(&fields), String::new(), String::new())
        };
        assert_eq!(with_reset("WARN", "60").unwrap().levels[0].reset_level, "WARN");
        assert!(with_reset("LOUD", "60").is_err());
        assert!(with_reset("WARN", "0").unwrap_err().message.contains("its time does not end"));
    }
}
