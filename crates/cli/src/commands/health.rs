//! `health`: whether the cluster, or one daemon, is healthy. For people, and for containers.

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use storm_rpc::client::Token;
use storm_rpc::nimbus_client::Patience;
use storm_rpc::{CallError, Nimbuses, SupervisorCalls, v1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::args::{Health, Part};
use crate::context::{Context, with_port};
use crate::output;

/// Whoever is healthy answers sooner; containers ask again.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Session of the question, in milliseconds; it is closed at once.
const SESSION_MS: i32 = 4000;

/// One answer.
#[derive(Debug, Serialize)]
struct Check {
    what: String,
    healthy: bool,
    role: String,
    version: String,
    problems: Vec<String>,
}

pub(super) async fn run(context: &Context, args: &Health) -> Result<ExitCode, CallError> {
    if args.here && args.what == Some(Part::Zookeeper) {
        let error =
            CallError::usage("--here is for daemons of storm-rs: ZooKeeper is asked over the network");
        return Err(error.advise("leave --here out"));
    }
    let mut checks = Vec::new();
    let asked = |part| args.what.is_none_or(|what| what == part);
    if asked(Part::Zookeeper) {
        checks.push(zookeeper(context).await);
    }
    if asked(Part::Nimbus) {
        checks.push(if args.here { this_nimbus(context).await } else { nimbus(context).await });
    }
    match args.what {
        Some(Part::Supervisor) => checks.push(supervisor(context).await),
        Some(Part::Ui) => checks.push(ui(context).await),
        None => checks.extend(supervisors(context).await),
        Some(_) => {}
    }
    let is_healthy = checks.iter().all(|check| check.healthy);
    if context.is_json {
        output::json(&serde_json::json!({"healthy": is_healthy, "checks": checks}));
    } else {
        output::line(&people(&checks));
    }
    Ok(if is_healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn people(checks: &[Check]) -> String {
    let rows = checks.iter().map(|check| {
        let health = if check.healthy { "healthy" } else { "not healthy" };
        [check.what.clone(), health.to_owned(), check.role.clone(), check.problems.join("; ")]
    });
    output::table(["WHAT", "HEALTH", "ROLE", "PROBLEMS"], rows)
}

impl Check {
    fn of(what: impl Into<String>, answer: Result<v1::HealthReply, CallError>) -> Check {
        let what = what.into();
        match answer {
            Ok(v1::HealthReply { is_healthy, role, version, problems }) => {
                Check { what, healthy: is_healthy, role, version, problems }
            }
            Err(error) => Check::bad(what, error.message),
        }
    }

    fn good(what: impl Into<String>) -> Check {
        let (role, version) = (String::new(), String::new());
        Check { what: what.into(), healthy: true, role, version, problems: Vec::new() }
    }

    fn bad(what: impl Into<String>, problem: impl Into<String>) -> Check {
        Check { healthy: false, problems: vec![problem.into()], ..Check::good(what) }
    }
}

/// Not for longer than a container waits.
const PATIENCE: Patience = Patience { unheard: Duration::ZERO, heard: Duration::ZERO };

async fn nimbus(context: &Context) -> Check {
    let nimbuses = match context.patient_nimbuses(PATIENCE) {
        Ok(nimbuses) => nimbuses,
        Err(error) => return Check::bad("nimbus", error.message),
    };
    Check::of("nimbus", within(nimbuses.health()).await)
}

/// The one of this configuration. It is as well as it can be when it answers: that ZooKeeper is away, or that
/// nobody leads yet, ends with no restart of it, so that is told and does not count.
async fn this_nimbus(context: &Context) -> Check {
    let address = with_port(&context.host(), context.port("nimbus.thrift.port"));
    let what = format!("nimbus {address}");
    let asked = async {
        let token = Token::daemon(&context.secret()?);
        Nimbuses::new([&address], &token, PATIENCE)?.health().await
    };
    let answer = within(asked).await.map(|reply| v1::HealthReply { is_healthy: true, ..reply });
    Check::of(what, answer)
}

/// All supervisors, as Nimbus knows them.
async fn supervisors(context: &Context) -> Vec<Check> {
    let cluster = match context.patient_nimbuses(PATIENCE) {
        Ok(nimbuses) => within(nimbuses.get_cluster()).await,
        Err(error) => Err(error),
    };
    // That Nimbus does not answer has been said.
    let Ok(cluster) = cluster else { return Vec::new() };
    if cluster.supervisors.is_empty() {
        return vec![Check::bad("supervisors", "there is none")];
    }
    let check = |supervisor: v1::SupervisorSummary| {
        let what = format!("supervisor {}:{}", supervisor.host, supervisor.rpc_port);
        let check = if supervisor.is_silent {
            Check::bad(what, "silent: Nimbus has not heard of it")
        } else {
            Check::good(what)
        };
        Check { version: supervisor.version, role: "supervisor".to_owned(), ..check }
    };
    let mut supervisors = cluster.supervisors;
    supervisors.sort_by(|a, b| (&a.host, a.rpc_port).cmp(&(&b.host, b.rpc_port)));
    supervisors.into_iter().map(check).collect()
}

/// The one of this configuration.
async fn supervisor(context: &Context) -> Check {
    let address = with_port(&context.host(), context.port("supervisor.thrift.port"));
    let what = format!("supervisor {address}");
    let asked = async {
        let supervisor = SupervisorCalls::new(&address, Token::daemon(&context.secret()?))?;
        supervisor.health().await
    };
    Check::of(what, within(asked).await)
}

async fn within<T>(call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    let answer = tokio::time::timeout(ANSWER_WITHIN, call).await;
    answer.unwrap_or_else(|_| Err(CallError::other(format!("no answer for {} s", ANSWER_WITHIN.as_secs()))))
}

// === Without a client of their own ===

/// Whether any server gives a session: then the ensemble has a leader.
async fn zookeeper(context: &Context) -> Check {
    let mut problems = Vec::new();
    for address in context.zookeeper_addresses() {
        match tokio::time::timeout(ANSWER_WITHIN, zookeeper_session(&address)).await {
            Ok(Ok(())) => return Check::good("zookeeper"),
            Ok(Err(error)) => problems.push(format!("{address}: {error}")),
            Err(_) => problems.push(format!("{address}: no answer for {} s", ANSWER_WITHIN.as_secs())),
        }
    }
    Check { problems, ..Check::bad("zookeeper", "") }
}

/// Opens a session and closes it.
///
/// ```text
/// -> length 44 | protocol 0 i32 | last zxid 0 i64 | time-out i32 | session 0 i64 | length 16 i32 | password
/// <- length 36 | protocol 0 i32 | time-out i32 | session i64 | length 16 i32 | password; or 37 with a flag
/// -> length 8  | xid 1 i32      | close -11 i32
/// ```
async fn zookeeper_session(address: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let mut connect = Vec::with_capacity(48);
    connect.extend(44_i32.to_be_bytes());
    connect.extend([0; 12]);
    connect.extend(SESSION_MS.to_be_bytes());
    connect.extend([0; 8]);
    connect.extend(16_i32.to_be_bytes());
    connect.extend([0; 16]);
    stream.write_all(&connect).await?;
    let mut answer = [0; 20];
    let no_zookeeper = "the server gives no session: it has no leader, or is none of ZooKeeper's";
    let read = stream.read_exact(&mut answer).await;
    read.map_err(|error| std::io::Error::new(error.kind(), no_zookeeper))?;
    let (length, rest) = answer.split_at(4);
    let is_session = matches!(length, [0, 0, 0, 36 | 37]) && rest[..4] == [0; 4] && rest[8..] != [0; 8];
    // Refused: with a time-out of 0.
    if !is_session || rest[4..8] == [0; 4] {
        return Err(std::io::Error::other(no_zookeeper));
    }
    let mut close = Vec::with_capacity(12);
    for number in [8_i32, 1, -11] {
        close.extend(number.to_be_bytes());
    }
    stream.write_all(&close).await
}

/// Whether the pages are served.
async fn ui(context: &Context) -> Check {
    let host = context.config.get_str("ui.host").expect("a text with a default");
    let host = if matches!(host, "0.0.0.0" | "::") { "localhost" } else { host };
    let address = with_port(host, context.port("ui.port"));
    let what = format!("ui {address}");
    let asked = async {
        let mut stream = TcpStream::connect(&address).await?;
        let request = format!("GET /health HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        // HTTP/1.x 2.. or 3..
        Ok(Ok(answer)) if matches!(answer[9], b'2' | b'3') => Check::good(what),
        Ok(Ok(answer)) => Check::bad(what, format!("answers {}", String::from_utf8_lossy(&answer))),
        Ok(Err(error)) => Check::bad(what, error.to_string()),
        Err(_) => Check::bad(what, format!("no answer for {} s", ANSWER_WITHIN.as_secs())),
    }
}
