//! What is counted of a task, as totals that can be kept in windows.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use storm_model::{ComponentId, StreamId};

use crate::by_key::ByKey;
use crate::latency::Latency;
use crate::snapshot::{ExecutorSnapshot, InputCount, StreamCount, TaskSnapshot};
use crate::total::total;

/// What was emitted to a stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputTotal {
    /// Emits, however many tasks got them.
    pub emitted: u64,
    /// Rows sent.
    pub transferred: u64,
    /// Of a spout: trees acked whose root was emitted here.
    pub acked: u64,
    /// Of a spout: trees failed whose root was emitted here.
    pub failed: u64,
    /// Of a spout: from the emit of a root to the ack of its tree.
    pub complete_latency: Latency,
}

total!(OutputTotal { emitted, transferred, acked, failed, complete_latency });

/// What was executed of an input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InputTotal {
    /// Tuples executed.
    pub executed: u64,
    /// Tuples acked.
    pub acked: u64,
    /// Tuples failed.
    pub failed: u64,
    /// Time within `execute`.
    pub execute_latency: Latency,
    /// From the start of `execute` to the ack.
    pub process_latency: Latency,
}

total!(InputTotal { executed, acked, failed, execute_latency, process_latency });

/// The component and the stream that an input comes from.
pub(crate) type InputKey = (ComponentId, StreamId);

/// Everything of a task that only grows. Executors and components are sums of their tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TaskTotal {
    pub(crate) outputs: ByKey<StreamId, OutputTotal>,
    pub(crate) inputs: ByKey<InputKey, InputTotal>,
    pub(crate) tracked: u64,
    pub(crate) lost: u64,
    pub(crate) replayed: u64,
    /// How long its executor has been up: within a window, how much of the window it was there.
    pub(crate) uptime: Duration,
    pub(crate) executor: ExecutorTotal,
}

total!(TaskTotal { outputs, inputs, tracked, lost, replayed, uptime, executor });

/// What is counted of an executor as a whole. It stands with the executor's first task and is
/// nothing for the others, so that it stays when a rebalance cuts the executors anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExecutorTotal {
    pub(crate) late_acks: u64,
    pub(crate) dropped: u64,
    pub(crate) queue_latency: Latency,
    pub(crate) busy: Duration,
}

total!(ExecutorTotal { late_acks, dropped, queue_latency, busy });

impl TaskTotal {
    /// The totals of a task of this executor.
    pub(crate) fn of(executor: &ExecutorSnapshot, task: &TaskSnapshot) -> TaskTotal {
        let is_first = task.task == executor.executor.first;
        TaskTotal {
            outputs: task.streams.iter().map(|s| (s.stream.clone(), OutputTotal::of(s))).collect(),
            inputs: task.inputs.iter().map(|i| (key(i), InputTotal::of(i))).collect(),
            tracked: task.tracked,
            lost: task.lost,
            replayed: task.replayed,
            uptime: executor.uptime,
            executor: if is_first { ExecutorTotal::of(executor) } else { ExecutorTotal::default() },
        }
    }
}

impl ExecutorTotal {
    fn of(executor: &ExecutorSnapshot) -> ExecutorTotal {
        ExecutorTotal {
            late_acks: executor.late_acks,
            dropped: executor.dropped,
            queue_latency: executor.queue_latency.to_compact(),
            busy: executor.busy,
        }
    }
}

impl OutputTotal {
    fn of(stream: &StreamCount) -> OutputTotal {
        OutputTotal {
            emitted: stream.emitted,
            transferred: stream.transferred(),
            acked: stream.acked,
            failed: stream.failed,
            complete_latency: stream.complete_latency.to_compact(),
        }
    }
}

impl InputTotal {
    fn of(input: &InputCount) -> InputTotal {
        InputTotal {
            executed: input.executed,
            acked: input.acked,
            failed: input.failed,
            execute_latency: input.execute_latency.to_compact(),
            process_latency: input.process_latency.to_compact(),
        }
    }
}

fn key(input: &InputCount) -> InputKey {
    (input.component.clone(), input.stream.clone())
}
