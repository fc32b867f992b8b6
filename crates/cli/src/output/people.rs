//! What commands print for people.

use std::fmt::Write as _;
use std::time::Duration;

use storm_model::{ComponentKind, TopologySpec};
use storm_rpc::{convert, v1};

use super::json::status_name;
use super::{bytes, moment, table, time};
use crate::binary::Description;

/// Of `list`.
pub(crate) fn topologies(list: &v1::TopologyList) -> String {
    if list.topologies.is_empty() {
        return "no topologies".to_owned();
    }
    let rows = list.topologies.iter().map(|topology| {
        [
            topology.name.clone(),
            status_name(topology.status),
            time(Duration::from_secs(topology.uptime_secs)),
            format!("{}/{}", topology.workers_total, topology.workers_requested),
            with_unplaced(topology),
            topology.tasks_total.to_string(),
            topology.owner.clone(),
            topology.id.clone(),
        ]
    });
    table(["NAME", "STATUS", "UPTIME", ">WORKERS", ">EXECUTORS", ">TASKS", "OWNER", "ID"], rows)
}

fn with_unplaced(topology: &v1::TopologySummary) -> String {
    match topology.unplaced_executors {
        0 => topology.executors_total.to_string(),
        unplaced => format!("{} ({unplaced} unplaced)", topology.executors_total),
    }
}

/// Of `status`. `now_ms` is the time since 1970.
pub(crate) fn status(status: &v1::TopologyStatus, now_ms: u64) -> String {
    let topology = status.summary.clone().unwrap_or_default();
    let uptime = time(Duration::from_secs(topology.uptime_secs));
    let mut lines = vec![format!(
        "{} ({})  {}  up {uptime}, owner {}",
        topology.name,
        topology.id,
        status_name(topology.status),
        topology.owner
    )];
    lines.push(format!(
        "{} of {} workers, {} executors, {} tasks",
        topology.workers_total, topology.workers_requested, topology.executors_total, topology.tasks_total
    ));
    if let Some(action) = &status.pending_action {
        let left = Duration::from_millis(action.deadline_ms.saturating_sub(now_ms));
        lines.push(format!("{} pending: in {} at the latest", action.kind, time(left)));
    }
    if status.is_complete {
        lines.push("complete: all spouts are done and nothing is pending".to_owned());
    }
    if status.moved > 0 {
        lines.push(format!("{} tuples failed because of the last rebalance", status.moved));
    }
    if !status.explanation.is_empty() {
        lines.push(status.explanation.clone());
    }
    let mut text = lines.join("\n");
    let mut section = |part: String| {
        write!(text, "\n\n{part}").expect("a string takes everything");
    };
    if !status.workers.is_empty() {
        section(workers(&status.workers));
    }
    if !status.components.is_empty() {
        section(components(&status.components));
    }
    if !status.unplaced.is_empty() {
        let rows = status.unplaced.iter().map(|unplaced| {
            [unplaced.component.clone(), unplaced.executors.to_string(), unplaced.reason.clone()]
        });
        section(table(["UNPLACED", ">EXECUTORS", "REASON"], rows));
    }
    if !status.log_levels.is_empty() {
        section(log_levels(&status.log_levels, now_ms));
    }
    if !status.debug.is_empty() {
        section(debug_options(&status.debug));
    }
    if !status.errors.is_empty() {
        section(errors(&status.errors));
    }
    text
}

/// What loggers tell that were changed.
pub(crate) fn log_levels(levels: &[v1::LogLevel], now_ms: u64) -> String {
    if levels.is_empty() {
        return "no log levels were changed".to_owned();
    }
    let rows = levels.iter().map(|level| {
        let left = Duration::from_millis(level.until_ms.saturating_sub(now_ms));
        let until = match (level.until_ms, &*level.reset_level) {
            (0, _) => "-".to_owned(),
            (_, "") => format!("in {}", time(left)),
            (_, reset) => format!("in {}, then {reset}", time(left)),
        };
        [level.logger.clone(), level.level.clone(), until]
    });
    table(["LOGGER", "LEVEL", "ENDS"], rows)
}

/// Which tuples are written down.
pub(crate) fn debug_options(options: &[v1::DebugOption]) -> String {
    if options.is_empty() {
        return "no tuples are sampled".to_owned();
    }
    let rows = options.iter().map(|option| {
        let whose = if option.component.is_empty() { "(all others)" } else { &option.component };
        let share = if option.enable { format!("{} %", option.sampling_percent) } else { "none".to_owned() };
        [whose.to_owned(), share]
    });
    table(["SAMPLED", ">TUPLES"], rows)
}

fn workers(workers: &[v1::WorkerStatus]) -> String {
    let rows = workers.iter().map(|worker| {
        [
            format!("{}:{}", worker.host, worker.port),
            worker.pid.to_string(),
            convert::worker_state_name(worker.state).to_owned(),
            worker.restarts.to_string(),
            time(Duration::from_secs(worker.uptime_secs)),
            bytes(worker.memory_bytes),
            worker.executors.iter().map(executor).collect::<Vec<_>>().join(" "),
        ]
    });
    table(["WORKER", ">PID", "STATE", ">RESTARTS", "UPTIME", ">MEMORY", "EXECUTORS"], rows)
}

fn executor(executor: &v1::Executor) -> String {
    format!("{}[{}-{}]", executor.component, executor.first_task, executor.last_task)
}

fn components(components: &[v1::ComponentStatus]) -> String {
    let rows = components.iter().map(|component| {
        [
            component.id.clone(),
            component.r#type.clone(),
            component.executors.to_string(),
            component.tasks.to_string(),
            component.emitted.to_string(),
            component.transferred.to_string(),
            component.executed.to_string(),
            component.acked.to_string(),
            component.failed.to_string(),
            component.pending.to_string(),
        ]
    });
    let heading = [
        "COMPONENT",
        "TYPE",
        ">EXECUTORS",
        ">TASKS",
        ">EMITTED",
        ">TRANSFERRED",
        ">EXECUTED",
        ">ACKED",
        ">FAILED",
        ">PENDING",
    ];
    table(heading, rows)
}

/// Of `errors`.
pub(crate) fn errors(errors: &[v1::ErrorReport]) -> String {
    if errors.is_empty() {
        return "no errors".to_owned();
    }
    let rows = errors.iter().map(|error| {
        let component = if error.component.is_empty() {
            "(worker)".to_owned()
        } else {
            format!("{}[{}]", error.component, error.task)
        };
        let message = match error.suppressed {
            0 => error.message.clone(),
            more => format!("{} (and {more} more)", error.message),
        };
        [moment(error.time_ms), component, format!("{}:{}", error.host, error.port), message]
    });
    table(["TIME", "COMPONENT", "WORKER", "ERROR"], rows)
}

/// Who would move, or moves.
pub(crate) fn moves(moves: &[v1::rebalance_reply::Move]) -> String {
    let rows = moves.iter().map(|moved| {
        let place = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let executor = executor(&moved.executor.clone().unwrap_or_default());
        [executor, place(&moved.from), place(&moved.to)]
    });
    table(["EXECUTOR", "FROM", "TO"], rows)
}

/// Of `describe`.
pub(crate) fn description(description: &Description) -> String {
    let build = if description.is_debug_build { "debug" } else { "release" };
    format!(
        "{}: {} build for {} with storm-rs {}, contract {}\n\n{}",
        description.name,
        build,
        description.target_arch,
        description.engine_version,
        description.contract,
        spec(&description.spec)
    )
}

/// Components from the spouts down, and what each receives.
fn spec(spec: &TopologySpec) -> String {
    let rows = spec.components.iter().map(|(id, component)| {
        let kind = match component.kind {
            ComponentKind::Spout => "spout",
            ComponentKind::Bolt => "bolt",
        };
        let inputs = component.inputs.iter().map(|input| {
            let keys = input.grouping.key_fields().map(|fields| format!(" {fields}")).unwrap_or_default();
            let stream = if input.stream == "default" { String::new() } else { format!("/{}", input.stream) };
            format!("{}{stream} by {}{keys}", input.component, input.grouping.name())
        });
        let outputs = component.outputs.iter().map(|stream| {
            let name = if stream.id == "default" { String::new() } else { format!("{} ", stream.id) };
            format!("{name}{}{}", stream.fields, if stream.direct { " direct" } else { "" })
        });
        [
            id.to_string(),
            kind.to_owned(),
            component.executors.to_string(),
            component.tasks.to_string(),
            inputs.collect::<Vec<_>>().join("\n"),
            outputs.collect::<Vec<_>>().join("\n"),
        ]
    });
    let mut rows: Vec<_> = rows.collect();
    // Spouts first; below them the alphabet.
    rows.sort_by_key(|[_, kind, ..]| kind == "bolt");
    let mut text = table(["COMPONENT", "TYPE", ">EXECUTORS", ">TASKS", "RECEIVES", "EMITS"], rows);
    for (key, value) in &spec.config {
        write!(text, "\n{key}: {value}").expect("a string takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    pub(crate) fn summary() -> v1::TopologySummary {
        v1::TopologySummary {
            id: "words-1-1764000000".into(),
            name: "words".into(),
            status: v1::TopologyState::Active.into(),
            owner: "ada".into(),
            uptime_secs: 192,
            workers_total: 2,
            workers_requested: 3,
            executors_total: 5,
            tasks_total: 6,
            unplaced_executors: 1,
            recent: None,
        }
    }

    fn a_status() -> v1::TopologyStatus {
        let executor = v1::Executor { component: "count".into(), first_task: 1, last_task: 2 };
        v1::TopologyStatus {
            summary: Some(summary()),
            workers: vec![v1::WorkerStatus {
                supervisor_id: "s1".into(),
                host: "h1".into(),
                port: 6700,
                pid: 4711,
                state: v1::WorkerState::Running.into(),
                restarts: 1,
                uptime_secs: 12,
                executors: vec![executor],
                memory_bytes: 25 << 20,
                number: 3,
            }],
            components: vec![v1::ComponentStatus {
                id: "count".into(),
                r#type: "bolt".into(),
                executors: 1,
                tasks: 2,
                executed: 120,
                acked: 119,
                failed: 1,
                ..Default::default()
            }],
            unplaced: vec![v1::Unplaced {
                component: "split".into(),
                executors: 1,
                reason: "no free slot".into(),
            }],
            errors: vec![v1::ErrorReport {
                time_ms: 1_764_000_000_123,
                component: "count".into(),
                task: 2,
                host: "h1".into(),
                port: 6700,
                message: "no field 'word'".into(),
                kind: "reported".into(),
                suppressed: 3,
            }],
            pending_action: Some(v1::PendingAction { kind: "rebalance".into(), deadline_ms: 15_000 }),
            explanation: "4 of 5 executors placed: no free slot on h1, h2".into(),
            moved: 2,
            log_levels: vec![
                v1::LogLevel { logger: "ROOT".into(), level: "WARN".into(), ..Default::default() },
                v1::LogLevel {
                    logger: "words".into(),
                    level: "DEBUG".into(),
                    timeout_secs: 60,
                    until_ms: 18_000,
                    reset_level: "INFO".into(),
                },
            ],
            debug: vec![
                v1::DebugOption { enable: true, sampling_percent: 2.5, ..Default::default() },
                v1::DebugOption { component: "count".into(), ..Default::default() },
            ],
            ..Default::default()
        }
    }

    #[test]
    fn a_list_is_a_table() {
        assert_eq!(topologies(&v1::TopologyList::default()), "no topologies");
        let other = v1::TopologySummary { name: "a".into(), unplaced_executors: 0, ..summary() };
        let list = v1::TopologyList { topologies: vec![summary(), other] };
        expect![[r#"
            NAME   STATUS  UPTIME  WORKERS       EXECUTORS  TASKS  OWNER  ID
            words  ACTIVE  3m 12s      2/3  5 (1 unplaced)      6  ada    words-1-1764000000
            a      ACTIVE  3m 12s      2/3               5      6  ada    words-1-1764000000"#]]
        .assert_eq(&topologies(&list));
        let json = serde_json::to_string_pretty(&super::super::json::TopologyList::from(&list)).unwrap();
        expect![[r#"
            {
              "topologies": [
                {
                  "id": "words-1-1764000000",
                  "name": "words",
                  "status": "ACTIVE",
                  "owner": "ada",
                  "uptimeSeconds": 192,
                  "workersTotal": 2,
                  "workersRequested": 3,
                  "executorsTotal": 5,
                  "tasksTotal": 6,
                  "unplacedExecutors": 1
                },
                {
                  "id": "words-1-1764000000",
                  "name": "a",
                  "status": "ACTIVE",
                  "owner": "ada",
                  "uptimeSeconds": 192,
                  "workersTotal": 2,
                  "workersRequested": 3,
                  "executorsTotal": 5,
                  "tasksTotal": 6,
                  "unplacedExecutors": 0
                }
              ]
            }"#]]
        .assert_eq(&json);
    }

    #[test]
    fn a_status_has_all_that_matters() {
        expect![[r#"
            words (words-1-1764000000)  ACTIVE  up 3m 12s, owner ada
            2 of 3 workers, 5 executors, 6 tasks
            rebalance pending: in 12s at the latest
            2 tuples failed because of the last rebalance
            4 of 5 executors placed: no free slot on h1, h2

            WORKER    PID  STATE    RESTARTS  UPTIME   MEMORY  EXECUTORS
            h1:6700  4711  RUNNING         1  12s     25.0 MB  count[1-2]

            COMPONENT  TYPE  EXECUTORS  TASKS  EMITTED  TRANSFERRED  EXECUTED  ACKED  FAILED  PENDING
            count      bolt          1      2        0            0       120    119       1        0

            UNPLACED  EXECUTORS  REASON
            split             1  no free slot

            LOGGER  LEVEL  ENDS
            ROOT    WARN   -
            words   DEBUG  in 15s, then INFO

            SAMPLED       TUPLES
            (all others)   2.5 %
            count           none

            TIME                      COMPONENT  WORKER   ERROR
            2025-11-24T16:00:00.123Z  count[2]   h1:6700  no field 'word' (and 3 more)"#]]
        .assert_eq(&status(&a_status(), 3000));
        let json = serde_json::to_string_pretty(&super::super::json::Status::from(&a_status())).unwrap();
        expect![[r#"
            {
              "id": "words-1-1764000000",
              "name": "words",
              "status": "ACTIVE",
              "owner": "ada",
              "uptimeSeconds": 192,
              "workersTotal": 2,
              "workersRequested": 3,
              "executorsTotal": 5,
              "tasksTotal": 6,
              "unplacedExecutors": 1,
              "workers": [
                {
                  "supervisorId": "s1",
                  "host": "h1",
                  "port": 6700,
                  "pid": 4711,
                  "state": "RUNNING",
                  "restarts": 1,
                  "uptimeSeconds": 12,
                  "memoryBytes": 26214400,
                  "executors": [
                    {
                      "component": "count",
                      "tasks": [
                        1,
                        2
                      ]
                    }
                  ]
                }
              ],
              "components": [
                {
                  "id": "count",
                  "type": "bolt",
                  "executors": 1,
                  "tasks": 2,
                  "emitted": 0,
                  "transferred": 0,
                  "executed": 120,
                  "acked": 119,
                  "failed": 1,
                  "pending": 0
                }
              ],
              "unplaced": [
                {
                  "component": "split",
                  "executors": 1,
                  "reason": "no free slot"
                }
              ],
              "errors": [
                {
                  "time": "2025-11-24T16:00:00.123Z",
                  "component": "count",
                  "task": 2,
                  "host": "h1",
                  "port": 6700,
                  "message": "no field 'word'",
                  "kind": "reported",
                  "suppressed": 3
                }
              ],
              "pendingAction": {
                "kind": "rebalance",
                "deadlineMs": 15000
              },
              "explanation": "4 of 5 executors placed: no free slot on h1, h2",
              "assignmentVersion": 0,
              "isSettled": false,
              "isComplete": false,
              "moved": 2,
              "logLevels": [
                {
                  "logger": "ROOT",
                  "level": "WARN",
                  "timeoutSeconds": 0,
                  "untilMs": null,
                  "resetLevel": null
                },
                {
                  "logger": "words",
                  "level": "DEBUG",
                  "timeoutSeconds": 60,
                  "untilMs": 18000,
                  "resetLevel": "INFO"
                }
              ],
              "debug": [
                {
                  "component": null,
                  "enabled": true,
                  "samplingPercent": 2.5
                },
                {
                  "component": "count",
                  "enabled": false,
                  "samplingPercent": 0.0
                }
              ]
            }"#]]
        .assert_eq(&json);
    }

    #[test]
    fn moves_name_both_places() {
        let executor = v1::Executor { component: "count".into(), first_task: 1, last_task: 2 };
        let to_nowhere =
            v1::rebalance_reply::Move { executor: Some(executor), from: "h:1".into(), to: String::new() };
        expect![[r#"
            EXECUTOR    FROM  TO
            count[1-2]  h:1   -"#]]
        .assert_eq(&moves(&[to_nowhere]));
    }

    #[test]
    fn a_description_shows_the_wiring() {
        let spec = serde_json::json!({
            "components": {
                "count": {"kind": "bolt", "executors": 2, "tasks": 4, "outputs": [],
                    "inputs": [{"component": "lines", "stream": "default", "grouping": {"fields": ["word"]}}]},
                "lines": {"kind": "spout", "executors": 1, "tasks": 1, "inputs": [],
                    "outputs": [{"id": "default", "fields": ["word", "n"]}, {"id": "late", "fields": ["word"]}]},
            },
            "config": {"topology.workers": 2},
        });
        let description = Description {
            contract: 1,
            engine_version: "0.1.0".into(),
            name: "words".into(),
            target_arch: "x86_64".into(),
            is_debug_build: true,
            spec: serde_json::from_value(spec).unwrap(),
            config: Default::default(),
        };
        expect![[r#"
            words: debug build for x86_64 with storm-rs 0.1.0, contract 1

            COMPONENT  TYPE   EXECUTORS  TASKS  RECEIVES                EMITS
            lines      spout          1      1                          [word, n]
                                                                        late [word]
            count      bolt           2      4  lines by fields [word]
            topology.workers: 2"#]]
        .assert_eq(&super::description(&description));
    }
}
