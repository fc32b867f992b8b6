//! Changes what a running topology tells of itself: levels of its loggers, and which tuples are written down.

use storm_cluster::TopologyRecord;
use storm_model::tuning::{ALL_COMPONENTS, ROOT_LOGGER};
use storm_model::{ComponentId, Level, LogLevel, Sampling, Tuning};
use storm_rpc::{CallError, v1};

use super::{Answer, Context, Decision, named};
use crate::state::{Change, State};

/// The longest name of a logger: paths of modules are shorter.
const LOGGER_BYTES: usize = 200;
/// Levels of one topology: they stand in its record.
const MOST_LEVELS: usize = 100;

/// Sets levels of loggers, or takes them back.
pub(super) fn log_levels(
    state: &State,
    context: &Context<'_>,
    request: &v1::LogLevelsRequest,
) -> Result<Decision, CallError> {
    let mut record = named(state, &request.name)?.record().clone();
    let mut answer = Answer::of(&record);
    record.tuning.settle(context.wall_ms);
    let before = record.tuning.log_levels.clone();
    for told in &request.levels {
        let logger = logger(&told.logger)?;
        if told.level.is_empty() {
            if record.tuning.log_levels.remove(logger).is_none() {
                answer.notes.push(format!("the level of '{logger}' was not changed"));
            }
            continue;
        }
        if logger.contains('-') {
            answer.notes.push(format!(
                "loggers are called like modules, with '_' for '-': '{logger}' is '{}' unless its code says otherwise",
                logger.replace('-', "_")
            ));
        }
        let until_ms = match told.timeout_secs {
            0 => 0,
            secs => context.wall_ms.saturating_add(u64::from(secs) * 1000),
        };
        let reset = Some(&*told.reset_level).filter(|word| !word.is_empty()).map(level).transpose()?;
        let level = LogLevel { level: level(&told.level)?, timeout_secs: told.timeout_secs, until_ms, reset };
        record.tuning.log_levels.insert(logger.to_owned(), level);
    }
    if record.tuning.log_levels.len() > MOST_LEVELS {
        return Err(CallError::invalid(format!("a topology has at most {MOST_LEVELS} loggers with levels")));
    }
    let is_other = record.tuning.log_levels != before;
    Ok(decision(record, is_other, answer))
}

/// The logger that is meant. What has a meaning in a filter's text is no name.
fn logger(name: &str) -> Result<&str, CallError> {
    if name.is_empty() || name.eq_ignore_ascii_case(ROOT_LOGGER) {
        return Ok(ROOT_LOGGER);
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_:-.$".contains(&byte);
    if name.len() > LOGGER_BYTES || !name.bytes().all(is_name) {
        let message = format!("'{}' is no name of a logger", name.escape_debug());
        return Err(CallError::invalid(message)
            .advise("name a crate or a module, such as `word_count::split`, or ROOT for all"));
    }
    Ok(name)
}

fn level(word: &str) -> Result<Level, CallError> {
    word.parse().map_err(|error: storm_model::tuning::UnknownLevel| CallError::invalid(error.to_string()))
}

/// Lets a share of the tuples be written down, or none.
pub(super) fn debug(state: &State, request: &v1::DebugRequest) -> Result<Decision, CallError> {
    let mut record = named(state, &request.name)?.record().clone();
    let mut answer = Answer::of(&record);
    let component = component(&record, &request.component)?;
    let percent = request.sampling_percent;
    if request.enable && !(0.0..=100.0).contains(&percent) {
        return Err(CallError::invalid(format!("{percent} is no number from 0 to 100")));
    }
    let sampling = &mut record.tuning.sampling;
    let before = sampling.clone();
    if request.enable {
        if component == ALL_COMPONENTS {
            // Whoever asks for all means those, too, that were left out of what was asked for before.
            sampling.retain(|_, own| own.is_on);
        }
        sampling.insert(component.clone(), Sampling { is_on: true, percent });
    } else if component == ALL_COMPONENTS {
        // Whoever ends it wants it to be over.
        sampling.clear();
    } else if let Some(all) = sampling.get(ALL_COMPONENTS).copied().filter(|all| all.is_on) {
        let own = sampling.get(&component).map_or(all.percent, |own| own.percent);
        sampling.insert(component.clone(), Sampling { is_on: false, percent: own });
    } else {
        sampling.remove(&component);
    }
    let is_other = *sampling != before;
    if !is_other {
        let is_on = if request.enable { "so already" } else { "off already" };
        answer.notes.push(format!("it is {is_on}"));
    }
    Ok(decision(record, is_other, answer))
}

fn component(record: &TopologyRecord, name: &str) -> Result<ComponentId, CallError> {
    if name != ALL_COMPONENTS && !record.spec.components.contains_key(name) {
        let known: Vec<&str> = record.spec.components.keys().map(ComponentId::as_str).collect();
        return Err(CallError::invalid(format!("'{}' has no component '{name}'", record.name))
            .advise(format!("there are: {}", known.join(", "))));
    }
    Ok(name.into())
}

fn decision(mut record: TopologyRecord, is_other: bool, answer: Answer) -> Decision {
    if !is_other {
        return Decision { changes: vec![], answer };
    }
    record.tuning.version += 1;
    Decision { changes: vec![Change::PutTopology(Box::new(record))], answer }
}

/// What holds now, with what is over left out.
pub(crate) fn as_of(tuning: &Tuning, wall_ms: u64) -> Tuning {
    let mut tuning = tuning.clone();
    tuning.settle(wall_ms);
    tuning
}

/// The topology without the levels whose time is over; `None` if there are none.
pub(crate) fn settled(record: &TopologyRecord, wall_ms: u64) -> Option<TopologyRecord> {
    record.tuning.next_end(0).filter(|end| *end <= wall_ms)?;
    let mut record = record.clone();
    record.tuning.settle(wall_ms);
    record.tuning.version += 1;
    Some(record)
}
