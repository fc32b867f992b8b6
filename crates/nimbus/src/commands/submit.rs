//! Takes a new topology in: checks everything that can be checked before it runs.
//!
//! That its binary is here, and on enough other Nimbuses, was seen to before.

use serde_json::{Map, Value};
use storm_cluster::{BinaryRecord, TopologyRecord};
use storm_config::{Config, Origin, TopologyView};
use storm_model::{ConfigMap, Status, TopologyId, TopologySpec, validate};
use storm_rpc::launch::{CONTRACT, spec_digest};
use storm_rpc::{CallError, v1};

use super::needs::Needs;
use super::{Answer, Context, Decision};
use crate::assign;
use crate::state::{Change, State};

/// Names are parts of names of files and directories, which have 255 bytes at most.
const NAME_BYTES: usize = 180;
/// Characters of a text of somebody else that a message repeats.
const SHOWN_CHARS: usize = 64;
/// More tasks than any cluster runs; what is above is a mistake, and would only cost memory.
const MOST_TASKS: u64 = 100_000;
/// How many tasks and executors there are was settled where the topology was submitted, by what the
/// submission says: the description has it. What this Nimbus' own file says of these keys would make
/// workers build another topology than was submitted.
const SHAPES: [&str; 2] = ["topology.tasks", "topology.max.task.parallelism"];
/// The family of keys to which the same applies.
const PARALLELISM: &str = "topology.parallelism.";

/// The most that a topology may ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// `nimbus.slots.perTopology`.
    pub(crate) workers: Option<u32>,
    /// `nimbus.executors.perTopology`.
    pub(crate) executors: Option<u32>,
}

pub(super) fn decide(
    state: &State,
    context: &Context<'_>,
    request: &v1::SubmitRequest,
) -> Result<Decision, CallError> {
    let name = check_name(&request.name)?;
    if let Some(topology) = state.topologies.values().find(|topology| topology.record().name == name) {
        let error = CallError::name_taken(name);
        return Err(match topology.record().status {
            Status::Killed => CallError {
                message: format!("topology '{name}' is being killed, and its name is taken until it is gone"),
                advice: format!("wait a moment, or make it quicker: `storm-rs kill {name} -w 0`"),
                ..error
            },
            _ => error,
        });
    }
    let id = free_id(state, context, name);
    check_texts(request)?;
    let spec: TopologySpec = serde_json::from_slice(&request.spec)
        .map_err(|error| CallError::invalid(format!("the description of the topology is none: {error}")))?;
    let problems = validate::problems(&spec);
    if !problems.is_empty() {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return Err(CallError::invalid(lines.join("\n")));
    }
    check_tasks(&spec)?;
    let (config, notes) = configuration(context.config, &spec, request, name)?;
    let view = TopologyView::of(&config);
    let mut answer = Answer { notes, ..Answer::default() };
    let wanted = assign::wanted(&spec, &Default::default());
    let executors = wanted.len();
    check_size(context.limits, view.workers, executors)?;
    assign::check_fits(&wanted, view.workers)?;
    check_binary(state, request, &mut answer)?;
    if view.workers as usize > executors {
        answer.notes.push(format!(
            "{} workers were asked for, but there are {executors} executors: it gets {executors} at most",
            view.workers
        ));
    }
    let blob = request.binary.clone().unwrap_or_default();
    let needed = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let record = TopologyRecord {
        name: name.to_owned(),
        status: if request.inactive { Status::Inactive } else { Status::Active },
        previous_status: None,
        workers: view.workers,
        executors: Default::default(),
        owner: request.owner.clone(),
        launched_ms: context.wall_ms,
        binary: BinaryRecord {
            digest: blob.digest,
            file_name: request.file_name.clone(),
            size: blob.size,
            arch: needed(&request.arch),
            glibc: needed(&request.glibc),
        },
        arguments: request.arguments.clone(),
        config: effective(&config),
        spec_digest: spec_digest(&spec),
        spec,
        pending: None,
        assignment_number: 0,
        assignment_version: 0,
        status_version: 0,
        rebalances: 0,
        tuning: Default::default(),
        explanation: String::new(),
        id,
    };
    answer.topology_id = record.id.to_string();
    answer.name = record.name.clone();
    Ok(Decision { changes: vec![Change::PutTopology(Box::new(record))], answer })
}

/// An id that no topology has or had: supervisors never run again what has a tombstone.
fn free_id(state: &State, context: &Context<'_>, name: &str) -> TopologyId {
    let is_free = |id: &TopologyId| {
        !state.topologies.contains_key(id)
            && !state.strangers.contains_key(id)
            && !state.tombstones.contains(id)
    };
    let numbers = context.submits..;
    let mut ids = numbers.map(|n| TopologyId::from(format!("{name}-{n}-{}", context.wall_ms / 1000)));
    ids.find(is_free).expect("there are more numbers than topologies")
}

/// What a supervisor hands to the system as it is.
fn check_texts(request: &v1::SubmitRequest) -> Result<(), CallError> {
    let file_name = &request.file_name;
    if file_name.contains(['/', '\0']) || matches!(&**file_name, "." | "..") || file_name.len() > NAME_BYTES {
        return Err(CallError::invalid(format!(
            "'{}' cannot be the name of the binary's file: it is a name of {NAME_BYTES} bytes at most, without '/'",
            shown(file_name)
        )));
    }
    if let Some(argument) = request.arguments.iter().find(|argument| argument.contains('\0')) {
        return Err(CallError::invalid(format!(
            "the argument '{}' contains a NUL, which no program can be started with",
            shown(argument)
        )));
    }
    Ok(())
}

/// A text of somebody else in a message.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN_CHARS).collect();
    let dots = if start.len() < text.len() { ".." } else { "" };
    format!("{}{dots}", start.escape_debug())
}

fn check_tasks(spec: &TopologySpec) -> Result<(), CallError> {
    let tasks: u64 = spec.components.values().map(|component| u64::from(component.tasks)).sum();
    if tasks > MOST_TASKS {
        return Err(CallError::invalid(format!(
            "the topology has {tasks} tasks, and storm-rs runs {MOST_TASKS} of one topology at most"
        ))
        .advise("lower num_tasks or the parallelism of its components"));
    }
    Ok(())
}

/// Storm's rule for names: `^[^/.:\\]+$`. Blanks at the ends and control characters would only
/// confuse people.
fn check_name(name: &str) -> Result<&str, CallError> {
    let bad = |why: &str| {
        Err(CallError::invalid(format!("'{}' cannot be the name of a topology: {why}", shown(name)))
            .advise("choose another with --name"))
    };
    if name.is_empty() {
        return bad("it is empty");
    }
    if let Some(c) = name.chars().find(|c| matches!(c, '/' | '.' | ':' | '\\')) {
        return bad(&format!("it contains '{c}'"));
    }
    if name.trim() != name || name.chars().any(char::is_control) {
        return bad("it contains blanks at an end, or control characters");
    }
    if name.len() > NAME_BYTES {
        return bad(&format!("it has {} bytes, and {NAME_BYTES} is the most", name.len()));
    }
    Ok(name)
}

fn check_size(limits: Limits, workers: u32, executors: usize) -> Result<(), CallError> {
    if let Some(most) = limits.workers.filter(|most| workers > *most) {
        return Err(CallError::invalid(format!(
            "the topology requests more than {most} workers ({workers}), and nimbus.slots.perTopology allows no more"
        )));
    }
    if let Some(most) = limits.executors.filter(|most| executors > *most as usize) {
        return Err(CallError::invalid(format!(
            "the topology requests more than {most} executors ({executors}), and nimbus.executors.perTopology \
             allows no more"
        )));
    }
    Ok(())
}

fn check_binary(state: &State, request: &v1::SubmitRequest, answer: &mut Answer) -> Result<(), CallError> {
    if request.contract > CONTRACT || request.contract + 1 < CONTRACT {
        return Err(CallError::invalid(format!(
            "the binary speaks version {} of the contract with the daemons, which speak version {CONTRACT}",
            request.contract
        ))
        .advise("build it with the version of storm-rs that the cluster runs, or upgrade the cluster"));
    }
    let needs = Needs::asked(request);
    let live = state.supervisors.values().filter(|s| s.is_registered).map(|s| &s.record);
    let (fit, unfit): (Vec<_>, Vec<_>) =
        live.map(|record| (record, needs.fit(record))).partition(|(_, fit)| fit.is_ok());
    let reasons: Vec<String> = unfit
        .iter()
        .filter_map(|(record, fit)| Some(format!("{}: {}", record.host, fit.as_ref().err()?)))
        .collect();
    if fit.is_empty() && !unfit.is_empty() {
        return Err(CallError::invalid(format!("no supervisor can run this binary: {}", reasons.join("; ")))
            .advise("build it on a machine like those of the cluster, or for its target"));
    }
    if fit.is_empty() {
        answer.notes.push("no supervisor is there: it waits for one".to_owned());
    }
    if !reasons.is_empty() {
        answer.notes.push(format!("not every supervisor can run it: {}", reasons.join("; ")));
    }
    Ok(())
}

/// Cluster, then code, then command: the configuration in effect.
fn configuration(
    cluster: &Config,
    spec: &TopologySpec,
    request: &v1::SubmitRequest,
    name: &str,
) -> Result<(Config, Vec<String>), CallError> {
    let mut config = Config::defaults();
    for (key, value, origin) in cluster.iter() {
        let is_shape = SHAPES.contains(&key) || key.starts_with(PARALLELISM);
        let is_set = !matches!(origin, Origin::Default) && !value.is_null();
        if is_set && key.starts_with("topology.") && !is_shape {
            let one = Map::from_iter([(key.to_owned(), value.clone())]);
            // It was taken when this Nimbus started.
            config.layer(origin, &one).map_err(|error| CallError::invalid(error.to_string()))?;
        }
    }
    let invalid = |error: storm_config::ConfigErrors| CallError::invalid(error.to_string());
    let code: Map<String, Value> = spec.config.clone().into_iter().collect();
    config.layer(&Origin::TopologyCode, &code).map_err(invalid)?;
    if !request.config.is_empty() {
        let command: Map<String, Value> = serde_json::from_slice(&request.config).map_err(|error| {
            CallError::invalid(format!("the configuration of the submission is no JSON object: {error}"))
        })?;
        config.layer(&Origin::Argument, &command).map_err(invalid)?;
    }
    // What the cluster's own file sets in vain is not the submitter's business.
    let is_own = |note: &&storm_config::Note| matches!(note.origin, Origin::TopologyCode | Origin::Argument);
    let notes = config.notes().iter().filter(is_own).map(ToString::to_string).collect();
    let mut own = Map::from_iter([("topology.name".to_owned(), Value::from(name))]);
    if !request.owner.is_empty() {
        own.insert("topology.submitter.user".to_owned(), request.owner.clone().into());
    }
    config.layer(&Origin::Argument, &own).map_err(invalid)?;
    Ok((config, notes))
}

/// What of it concerns the topology: its own keys and the user's.
fn effective(config: &Config) -> ConfigMap {
    let concerns = |key: &str| key.starts_with("topology.") || config.user(key).is_some();
    config
        .iter()
        .filter(|(key, value, _)| !value.is_null() && concerns(key))
        .map(|(key, value, _)| (key.to_owned(), value.clone()))
        .collect()
}
