//! Names and numbers of things, each a type of its own so that two of them cannot be swapped.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Number of a task within its topology: 1 and up, contiguous per component, components in
/// alphabetical order of their ids (as in Storm).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub u32);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The tasks of one executor: a contiguous range, both ends included (Storm's `[first last]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExecutorId {
    /// Lowest task.
    pub first: TaskId,
    /// Highest task.
    pub last: TaskId,
}

impl ExecutorId {
    /// Every task of this executor, ascending; none if the last one is below the first.
    pub fn tasks(self) -> impl ExactSizeIterator<Item = TaskId> + Clone + use<> {
        let ExecutorId { first, last } = self;
        let count = (u64::from(last.0) + 1).saturating_sub(first.0.into());
        (0..count as usize).map(move |i| TaskId(first.0 + i as u32))
    }

    /// Number of tasks: at least 1, unless somebody made it up.
    pub fn task_count(self) -> u32 {
        u32::try_from(self.tasks().len()).unwrap_or(u32::MAX)
    }

    /// Whether `task` belongs to this executor.
    pub fn contains(self, task: TaskId) -> bool {
        self.first <= task && task <= self.last
    }
}

impl fmt::Display for ExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}-{}]", self.first, self.last)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                $name(name.into())
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                $name(name.into())
            }
        }

        impl From<&$name> for $name {
            fn from(name: &$name) -> Self {
                name.clone()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name! {
    /// Id of a spout or bolt, unique within its topology. Ids that start with `__` are the system's.
    ComponentId
}

name! {
    /// Name of a stream, unique within its component. Names that start with `__` are the system's.
    StreamId
}

name! {
    /// Id of a submitted topology: its name, the how manieth submission of the cluster it is and when
    /// it was submitted, as `word-count-3-1764000000`.
    TopologyId
}

name! {
    /// Id of a supervisor: made once, kept on its disk.
    SupervisorId
}

impl StreamId {
    /// The stream that `emit` uses when none is named: `default`, as in Storm.
    pub fn default_stream() -> StreamId {
        StreamId::from(DEFAULT_STREAM)
    }
}

/// Name of the stream that `emit` uses when none is named.
pub const DEFAULT_STREAM: &str = "default";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_that_is_none_has_no_tasks() {
        let executor = |first, last| ExecutorId { first: TaskId(first), last: TaskId(last) };
        assert_eq!(executor(3, 5).tasks().collect::<Vec<_>>(), [TaskId(3), TaskId(4), TaskId(5)]);
        assert_eq!((executor(3, 5).task_count(), executor(7, 7).task_count()), (3, 1));
        for nobody in [executor(5, 0), executor(u32::MAX, 0), executor(2, 1)] {
            assert_eq!((nobody.tasks().count(), nobody.task_count()), (0, 0));
        }
        assert_eq!(executor(u32::MAX, u32::MAX).tasks().collect::<Vec<_>>(), [TaskId(u32::MAX)]);
        assert_eq!(executor(0, u32::MAX).task_count(), u32::MAX);
    }
}
