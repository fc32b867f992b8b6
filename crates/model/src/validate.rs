//! Every way a topology's description can be wrong, each with its sentence.
//!
//! Storm checks the same in `StormCommon.validateBasic` and `validateStructure`; unlike Storm the
//! fields of a grouping are checked against exactly the stream it subscribes to.

use thiserror::Error;

use crate::fields::Fields;
use crate::ids::{ComponentId, StreamId};
use crate::spec::{ComponentKind, ComponentSpec, InputSpec, TopologySpec};
use crate::system::is_system_name;

/// One mistake in a topology.
#[derive(Clone, Debug, PartialEq, Error)]
#[expect(missing_docs, reason = "the fields are the words of the message")]
pub enum SpecError {
    /// There is nothing to run.
    #[error("the topology has no spout: nothing would ever be emitted; add one with set_spout")]
    NoSpout,
    /// Two components of one id.
    #[error("component '{0}' is defined twice: ids are unique among spouts and bolts")]
    DuplicateComponent(ComponentId),
    /// An empty id.
    #[error("a component has an empty id: give it a name")]
    EmptyComponentId,
    /// A parallelism for nobody.
    #[error("topology.parallelism.{component}: there is no component '{component}'; there are: {known}")]
    ParallelismOfUnknown { component: ComponentId, known: String },
    /// A system id.
    #[error("component '{0}': ids that start with '__' belong to the system; choose another")]
    SystemComponentId(ComponentId),
    /// No executor.
    #[error("component '{0}': parallelism is 0; it needs at least 1 executor")]
    NoExecutor(ComponentId),
    /// No task.
    #[error("component '{0}': num_tasks is 0; it needs at least 1 task")]
    NoTask(ComponentId),
    /// Executors without tasks.
    #[error(
        "component '{component}': {executors} executors but only {tasks} tasks: an executor runs at least one task; raise num_tasks or lower the parallelism"
    )]
    MoreExecutorsThanTasks { component: ComponentId, executors: u32, tasks: u32 },
    /// A spout that subscribes.
    #[error("spout '{0}' has inputs: only bolts subscribe to streams")]
    SpoutWithInputs(ComponentId),
    /// A bolt that gets nothing.
    #[error("bolt '{0}' has no input: give it a grouping, for example shuffle_grouping")]
    BoltWithoutInput(ComponentId),
    /// Two streams of one name.
    #[error("component '{component}' declares stream '{stream}' twice")]
    DuplicateStream { component: ComponentId, stream: StreamId },
    /// A system stream.
    #[error("component '{component}': stream '{stream}': names that start with '__' belong to the system")]
    SystemStreamId { component: ComponentId, stream: StreamId },
    /// Two fields of one name.
    #[error("component '{component}': stream '{stream}' has two fields called '{field}'")]
    DuplicateField { component: ComponentId, stream: StreamId, field: String },
    /// A subscription to nobody.
    #[error(
        "component '{component}' subscribes to unknown component '{source_component}'; there are: {known}"
    )]
    UnknownComponent { component: ComponentId, source_component: ComponentId, known: String },
    /// A subscription to nothing.
    #[error(
        "component '{component}' subscribes to unknown stream '{stream}' of '{source_component}'; it declares: {known}"
    )]
    UnknownStream { component: ComponentId, source_component: ComponentId, stream: StreamId, known: String },
    /// A key that is not there.
    #[error(
        "component '{component}' groups on unknown field '{field}' of stream '{stream}' of '{source_component}'; its fields: {known}"
    )]
    UnknownField {
        component: ComponentId,
        source_component: ComponentId,
        stream: StreamId,
        field: String,
        known: Fields,
    },
    /// A fields grouping without fields.
    #[error(
        "component '{component}' groups stream '{stream}' of '{source_component}' on no field: name one, or use global_grouping"
    )]
    NoKeyField { component: ComponentId, source_component: ComponentId, stream: StreamId },
    /// A custom grouping whose code is nowhere.
    #[error(
        "component '{component}' groups stream '{stream}' of '{source_component}' by code of its own, but there is none: use custom_grouping"
    )]
    CustomWithoutCode { component: ComponentId, source_component: ComponentId, stream: StreamId },
    /// Two subscriptions to one stream.
    #[error(
        "component '{component}' subscribes twice to stream '{stream}' of '{source_component}': choose one grouping"
    )]
    DuplicateInput { component: ComponentId, source_component: ComponentId, stream: StreamId },
    /// Direct and regular mixed up.
    #[error(
        "component '{component}' subscribes to {what} '{stream}' of '{source_component}' with {grouping} grouping: \
         direct streams need direct_grouping, others refuse it"
    )]
    DirectMismatch {
        component: ComponentId,
        source_component: ComponentId,
        stream: StreamId,
        what: &'static str,
        grouping: String,
    },
    /// Above the u16 of the row format.
    #[error("component '{component}': {count} {what}; at most 65535")]
    TooMany { component: ComponentId, what: &'static str, count: usize },
}

/// Everything that is wrong with `spec`; empty when it can run.
pub fn problems(spec: &TopologySpec) -> Vec<SpecError> {
    let mut found = Vec::new();
    if !spec.components.values().any(|c| c.kind == ComponentKind::Spout) {
        found.push(SpecError::NoSpout);
    }
    for (id, component) in &spec.components {
        check_component(id, component, &mut found);
        for (i, input) in component.inputs.iter().enumerate() {
            let earlier = &component.inputs[..i];
            if earlier.iter().any(|e| e.component == input.component && e.stream == input.stream) {
                found.push(SpecError::DuplicateInput {
                    component: id.clone(),
                    source_component: input.component.clone(),
                    stream: input.stream.clone(),
                });
            }
            check_input(spec, id, input, &mut found);
        }
    }
    found
}

fn check_component(id: &ComponentId, component: &ComponentSpec, found: &mut Vec<SpecError>) {
    if id.as_str().is_empty() {
        found.push(SpecError::EmptyComponentId);
    }
    if is_system_name(id.as_str()) {
        found.push(SpecError::SystemComponentId(id.clone()));
    }
    if component.executors == 0 {
        found.push(SpecError::NoExecutor(id.clone()));
    }
    if component.tasks == 0 && (component.tasks_fixed || component.executors > 0) {
        found.push(SpecError::NoTask(id.clone()));
    } else if component.executors > component.tasks {
        found.push(SpecError::MoreExecutorsThanTasks {
            component: id.clone(),
            executors: component.executors,
            tasks: component.tasks,
        });
    }
    match component.kind {
        ComponentKind::Spout if !component.inputs.is_empty() => {
            found.push(SpecError::SpoutWithInputs(id.clone()));
        }
        ComponentKind::Bolt if component.inputs.is_empty() => {
            found.push(SpecError::BoltWithoutInput(id.clone()));
        }
        _ => {}
    }
    check_outputs(id, component, found);
}

fn check_outputs(id: &ComponentId, component: &ComponentSpec, found: &mut Vec<SpecError>) {
    let max = usize::from(u16::MAX);
    if component.outputs.len() > max {
        found.push(SpecError::TooMany {
            component: id.clone(),
            what: "streams",
            count: component.outputs.len(),
        });
    }
    for (i, stream) in component.outputs.iter().enumerate() {
        if is_system_name(stream.id.as_str()) {
            found.push(SpecError::SystemStreamId { component: id.clone(), stream: stream.id.clone() });
        }
        if component.outputs[..i].iter().any(|earlier| earlier.id == stream.id) {
            found.push(SpecError::DuplicateStream { component: id.clone(), stream: stream.id.clone() });
        }
        if let Some(field) = stream.fields.duplicate() {
            found.push(SpecError::DuplicateField {
                component: id.clone(),
                stream: stream.id.clone(),
                field: field.to_owned(),
            });
        }
        if stream.fields.len() > max {
            found.push(SpecError::TooMany {
                component: id.clone(),
                what: "fields",
                count: stream.fields.len(),
            });
        }
    }
}

fn check_input(spec: &TopologySpec, id: &ComponentId, input: &InputSpec, found: &mut Vec<SpecError>) {
    let Some(source) = spec.components.get(&input.component) else {
        found.push(SpecError::UnknownComponent {
            component: id.clone(),
            source_component: input.component.clone(),
            known: join(spec.components.keys().map(ComponentId::as_str)),
        });
        return;
    };
    let Some((_, stream)) = source.output(input.stream.as_str()) else {
        found.push(SpecError::UnknownStream {
            component: id.clone(),
            source_component: input.component.clone(),
            stream: input.stream.clone(),
            known: join(source.outputs.iter().map(|s| s.id.as_str())),
        });
        return;
    };
    let is_direct_grouping = input.grouping == crate::spec::GroupingSpec::Direct;
    if stream.direct != is_direct_grouping {
        found.push(SpecError::DirectMismatch {
            component: id.clone(),
            source_component: input.component.clone(),
            stream: input.stream.clone(),
            what: if stream.direct { "direct stream" } else { "stream" },
            grouping: input.grouping.name().to_owned(),
        });
    }
    let Some(keys) = input.grouping.key_fields() else { return };
    if keys.is_empty() {
        found.push(SpecError::NoKeyField {
            component: id.clone(),
            source_component: input.component.clone(),
            stream: input.stream.clone(),
        });
    }
    for field in keys.iter().filter(|k| stream.fields.index(k).is_none()) {
        found.push(SpecError::UnknownField {
            component: id.clone(),
            source_component: input.component.clone(),
            stream: input.stream.clone(),
            field: field.to_owned(),
            known: stream.fields.clone(),
        });
    }
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests;
