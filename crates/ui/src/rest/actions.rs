//! Commands.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storm_rpc::nimbus_client::command_id;
use storm_rpc::{CallError, v1};

use super::ask::Ask;
use super::jsonp::{Failure, answer};
use super::topology::{LogConfig, log_config};
use crate::app::App;
use crate::guard::may_be_foreign;
use crate::source::Command;

/// What Storm answers to a command.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Done {
    topology_operation: String,
    topology_id: String,
    status: &'static str,
    /// Ours: what to tell people.
    notes: Vec<String>,
    /// Ours: of a rebalance, who moves; empty where nobody knows yet.
    moves: Vec<Moved>,
}

/// An executor that moves.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Moved {
    component: String,
    executor: String,
    /// `host:port`; empty: it had no place.
    from: String,
    to: String,
}

/// The body of a rebalance.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RebalanceBody {
    rebalance_options: RebalanceOptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RebalanceOptions {
    num_workers: Option<u32>,
    executors: BTreeMap<String, u32>,
    /// Ours: only say what would move.
    dry_run: bool,
}

/// The body of new levels of loggers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogConfigBody {
    named_logger_levels: BTreeMap<String, LoggerBody>,
}

#[derive(Debug, Deserialize)]
struct LoggerBody {
    target_level: Option<String>,
    reset_level: Option<String>,
    timeout: Option<Value>,
}

fn senseless(message: String) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, message)
}

fn check_allowed(app: &App) -> Result<(), Failure> {
    if app.options.actions {
        return Ok(());
    }
    Err(Failure::forbidden("commands are switched off here: 'ui.actions.enabled' is false"))
}

/// The id of the topology that is meant, by name or id. Commands go by id: another one may have the name
/// by now.
async fn named(app: &App, topology: &str) -> Result<String, Failure> {
    check_allowed(app)?;
    let cluster = app.source.cluster().await?;
    let found = cluster.topologies.iter().find(|known| known.id == topology || known.name == topology);
    let found = found.ok_or_else(|| CallError::no_such_topology(topology))?;
    Ok(found.id.clone())
}

fn secs(text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| senseless(format!("the wait is '{text}', not a number of seconds")))
}

async fn run(app: &App, operation: &str, id: String, command: Command) -> Result<Done, Failure> {
    let reply = app.source.command(command).await?;
    let moved = |moved: v1::rebalance_reply::Move| {
        let v1::rebalance_reply::Move { executor, from, to } = moved;
        let v1::Executor { component, first_task, last_task } = executor.unwrap_or_default();
        Moved { component, executor: format!("[{first_task}-{last_task}]"), from, to }
    };
    Ok(Done {
        topology_operation: operation.to_owned(),
        topology_id: id,
        status: "success",
        notes: reply.notes,
        moves: reply.moves.into_iter().map(moved).collect(),
    })
}

pub(crate) async fn activate(State(app): State<App>, Path(topology): Path<String>, ask: Ask) -> Response {
    let result = async {
        let id = named(&app, &topology).await?;
        let command = v1::TopologyCommand { command_id: command_id(), name: id.clone() };
        run(&app, "activate", id, Command::Activate(command)).await
    };
    answer(&ask, result.await)
}

pub(crate) async fn deactivate(State(app): State<App>, Path(topology): Path<String>, ask: Ask) -> Response {
    let result = async {
        let id = named(&app, &topology).await?;
        let command = v1::TopologyCommand { command_id: command_id(), name: id.clone() };
        run(&app, "deactivate", id, Command::Deactivate(command)).await
    };
    answer(&ask, result.await)
}

pub(crate) async fn kill(
    State(app): State<App>,
    Path((topology, wait)): Path<(String, String)>,
    ask: Ask,
) -> Response {
    let result = async {
        let id = named(&app, &topology).await?;
        let wait_secs = Some(secs(&wait)?);
        let request = v1::KillRequest { command_id: command_id(), name: id.clone(), wait_secs };
        run(&app, "kill", id, Command::Kill(request)).await
    };
    answer(&ask, result.await)
}

pub(crate) async fn rebalance(
    State(app): State<App>,
    Path((topology, wait)): Path<(String, String)>,
    ask: Ask,
    body: Bytes,
) -> Response {
    let ask = ask.or_callback_of(&body);
    let result = async {
        let id = named(&app, &topology).await?;
        let wait_secs = Some(secs(&wait)?);
        let RebalanceBody { rebalance_options: options } = read(&body)?.unwrap_or_default();
        let request = v1::RebalanceRequest {
            command_id: command_id(),
            name: id.clone(),
            wait_secs,
            workers: options.num_workers,
            executors: options.executors.into_iter().collect(),
            dry_run: options.dry_run,
        };
        run(&app, "rebalance", id, Command::Rebalance(request)).await
    };
    answer(&ask, result.await)
}

pub(crate) async fn debug(
    State(app): State<App>,
    Path((topology, action, percent)): Path<(String, String, String)>,
    ask: Ask,
) -> Response {
    answer(&ask, set_debug(&app, &topology, "", &action, &percent).await)
}

pub(crate) async fn debug_component(
    State(app): State<App>,
    Path((topology, component, action, percent)): Path<(String, String, String, String)>,
    ask: Ask,
) -> Response {
    answer(&ask, set_debug(&app, &topology, &component, &action, &percent).await)
}

async fn set_debug(
    app: &App,
    topology: &str,
    component: &str,
    action: &str,
    percent: &str,
) -> Result<Done, Failure> {
    let id = named(app, topology).await?;
    let enable = match action {
        "enable" => true,
        "disable" => false,
        _ => return Err(Failure::missing(format!("'{action}' is neither 'enable' nor 'disable'"))),
    };
    let sampling_percent = percent.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    let sampling_percent = sampling_percent.ok_or_else(|| {
        senseless(format!("the share of tuples is '{percent}', not a number from 0 to 100"))
    })?;
    let component = component.to_owned();
    let request =
        v1::DebugRequest { command_id: command_id(), name: id.clone(), component, enable, sampling_percent };
    run(app, &format!("debug/{action}"), id, Command::Debug(request)).await
}

pub(crate) async fn set_log_config(
    State(app): State<App>,
    Path(topology): Path<String>,
    ask: Ask,
    body: Bytes,
) -> Response {
    let ask = ask.or_callback_of(&body);
    let result = async {
        let id = named(&app, &topology).await?;
        let body: LogConfigBody = read(&body)?
            .ok_or_else(|| senseless("the body is empty, not {\"namedLoggerLevels\": {…}}".to_owned()))?;
        let levels: Result<Vec<_>, _> = body.named_logger_levels.into_iter().map(log_level).collect();
        let request = v1::LogLevelsRequest { command_id: command_id(), name: id.clone(), levels: levels? };
        app.source.command(Command::LogLevels(request)).await?;
        Ok(log_config(&*app.source.topology(&id).await?))
    };
    answer::<LogConfig>(&ask, result.await)
}

/// Without a level it is taken back; a level that nobody knows is DEBUG, as in Storm.
fn log_level((logger, body): (String, LoggerBody)) -> Result<v1::LogLevel, Failure> {
    let Some(level) = body.target_level else {
        return Ok(v1::LogLevel { logger, ..Default::default() });
    };
    let timeout = match &body.timeout {
        Some(Value::Number(secs)) => secs.as_u64(),
        Some(Value::String(secs)) => secs.parse().ok(),
        _ => None,
    };
    let timeout_secs = timeout.and_then(|secs| u32::try_from(secs).ok()).ok_or_else(|| {
        senseless(format!("logger '{logger}' has no 'timeout': a number of seconds, 0 for ever"))
    })?;
    let reset_level = body.reset_level.map(|level| known_level(&level).to_owned()).unwrap_or_default();
    Ok(v1::LogLevel { logger, level: known_level(&level).to_owned(), timeout_secs, until_ms: 0, reset_level })
}

fn known_level(level: &str) -> &'static str {
    match level.to_ascii_uppercase().as_str() {
        "ALL" | "TRACE" => "TRACE",
        "INFO" => "INFO",
        "WARN" => "WARN",
        "ERROR" | "FATAL" => "ERROR",
        "OFF" => "OFF",
        _ => "DEBUG",
    }
}

/// Start, stop and dumps: there is no profiler here.
pub(crate) async fn profiling(ask: Ask) -> Response {
    let disabled = json!({"status": "disabled", "message": "Profiling is not enabled on this server"});
    answer(&ask, Ok(disabled))
}

/// By GET, as in Storm, but for programs alone: what a page of another site makes a browser fetch
/// must not end a worker.
pub(crate) async fn restart_worker_by_get(
    state: State<App>,
    path: Path<(String, String)>,
    headers: HeaderMap,
    ask: Ask,
) -> Response {
    if may_be_foreign(&headers) {
        let message =
            "a page of another site may have asked for it: a browser restarts a worker by POST alone";
        return answer::<Value>(&ask, Err(Failure::forbidden(message)));
    }
    restart_worker(state, path, ask).await
}

pub(crate) async fn restart_worker(
    State(app): State<App>,
    Path((topology, place)): Path<(String, String)>,
    ask: Ask,
) -> Response {
    let result = async {
        let id = named(&app, &topology).await?;
        let split =
            place.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
        let (host, port) = split.ok_or_else(|| senseless(format!("'{place}' is not 'host:port'")))?;
        let view = app.source.topology(&id).await?;
        let is_it = |worker: &v1::WorkerStatus| worker.host == host && worker.port == port;
        if !view.status.workers.iter().any(is_it) {
            return Err(Failure::missing(format!("{topology} has no worker at {place}")));
        }
        let request = v1::RestartWorkerRequest { command_id: command_id(), host, port };
        app.source.command(Command::RestartWorker(request)).await?;
        Ok(json!({"status": "ok", "id": place}))
    };
    answer(&ask, result.await)
}

/// A body in JSON, whatever its type is said to be; none when it is empty.
fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<Option<T>, Failure> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let read = serde_json::from_slice(body);
    read.map(Some).map_err(|error| senseless(format!("the body is not understood: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(body: Value) -> Result<v1::LogLevel, Failure> {
        log_level(("ROOT".to_owned(), serde_json::from_value(body).unwrap()))
    }

    #[test]
    fn levels_are_those_of_storm() {
        let told = level(json!({"target_level": "warn", "reset_level": null, "timeout": 30})).unwrap();
        assert_eq!((told.level.as_str(), told.timeout_secs, told.reset_level.as_str()), ("WARN", 30, ""));
        assert_eq!(level(json!({"target_level": "LOUD", "timeout": "0"})).unwrap().level, "DEBUG");
        assert_eq!(level(json!({"target_level": null})).unwrap().level, "");
        assert!(level(json!({"target_level": "INFO"})).is_err());
    }

    #[test]
    fn a_body_may_be_missing() {
        assert!(read::<RebalanceBody>(b" \n").unwrap().is_none());
        let body = br#"{"rebalanceOptions":{"numWorkers":2,"executors":{"spout":4}},"callback":"f"}"#;
        let options = read::<RebalanceBody>(body).unwrap().unwrap().rebalance_options;
        assert_eq!((options.num_workers, options.executors["spout"], options.dry_run), (Some(2), 4, false));
        assert!(read::<RebalanceBody>(b"{").is_err());
    }
}
