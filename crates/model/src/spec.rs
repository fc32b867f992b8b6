//! The description of a topology: what `describe` prints, Nimbus stores and the engine wires.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fields::Fields;
use crate::ids::{ComponentId, StreamId};

/// Configuration as it is written: key to JSON value.
pub type ConfigMap = BTreeMap<String, serde_json::Value>;

/// A whole topology, without its code.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct TopologySpec {
    /// Spouts and bolts by id, alphabetically: the order in which task ids are dealt out.
    pub components: BTreeMap<ComponentId, ComponentSpec>,
    /// Configuration given by the topology's code.
    #[serde(default)]
    pub config: ConfigMap,
}

/// Spout or bolt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComponentKind {
    /// A source of tuples.
    Spout,
    /// A consumer of tuples, perhaps a source of others.
    Bolt,
}

/// One spout or bolt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentSpec {
    /// Spout or bolt.
    pub kind: ComponentKind,
    /// Executors: threads that run this component's tasks. At least 1, at most the tasks.
    pub executors: u32,
    /// Tasks: instances of the component, fixed for the topology's life.
    pub tasks: u32,
    /// Whether `num_tasks` set the tasks, so that a changed parallelism leaves them alone.
    #[serde(default)]
    pub tasks_fixed: bool,
    /// Streams it may emit to, in order of declaration.
    pub outputs: Vec<StreamSpec>,
    /// Streams it receives.
    pub inputs: Vec<InputSpec>,
    /// Configuration of this component alone.
    #[serde(default)]
    pub config: ConfigMap,
}

impl ComponentSpec {
    /// The output stream of this name with its index.
    pub fn output(&self, stream: &str) -> Option<(usize, &StreamSpec)> {
        self.outputs.iter().enumerate().find(|(_, s)| s.id == *stream)
    }
}

/// A declared stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamSpec {
    /// Its name.
    pub id: StreamId,
    /// Names of its fields.
    pub fields: Fields,
    /// Whether tuples are sent to tasks that the emitter names.
    #[serde(default)]
    pub direct: bool,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputSpec {
    /// The component that emits.
    pub component: ComponentId,
    /// The stream it emits to.
    pub stream: StreamId,
    /// Which task gets which tuple.
    pub grouping: GroupingSpec,
}

/// Which of a bolt's tasks gets a tuple; Storm's groupings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupingSpec {
    /// Any task, evenly, preferring those with less load.
    Shuffle,
    /// Always the same task for the same values of these fields.
    Fields(Fields),
    /// One of two tasks for the same values of these fields, the one that got less.
    PartialKey(Fields),
    /// Every task.
    All,
    /// The task with the lowest id.
    Global,
    /// Any task: the user does not care. A random one, as in Storm.
    None,
    /// The task that the emitter names.
    Direct,
    /// A task in the same worker if there is one, else any: shuffled.
    LocalOrShuffle,
    /// What the user's code says; the name is for people.
    Custom(String),
}

impl GroupingSpec {
    /// Storm's word for it.
    pub fn name(&self) -> &str {
        match self {
            GroupingSpec::Shuffle => "shuffle",
            GroupingSpec::Fields(_) => "fields",
            GroupingSpec::PartialKey(_) => "partial key",
            GroupingSpec::All => "all",
            GroupingSpec::Global => "global",
            GroupingSpec::None => "none",
            GroupingSpec::Direct => "direct",
            GroupingSpec::LocalOrShuffle => "local or shuffle",
            GroupingSpec::Custom(_) => "custom",
        }
    }

    /// The fields it looks at.
    pub fn key_fields(&self) -> Option<&Fields> {
        match self {
            GroupingSpec::Fields(fields) | GroupingSpec::PartialKey(fields) => Some(fields),
            _ => None,
        }
    }
}
