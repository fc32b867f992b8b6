//! Keys of worker processes.

use super::row::{int, table, unused};

table! {
    /// Seconds between two looks for newer versions of the blobs that a worker uses.
    "worker.blob.update.poll.interval.secs": int(1, 10).not_yet();
    /// Seconds between two heartbeats of a worker to its supervisor.
    "worker.heartbeat.frequency.secs": int(1, 1).not_yet();
    /// Seconds after which a log level that was changed for a time is looked at again.
    "worker.log.level.reset.poll.secs": int(1, 30).not_yet();
    /// The most seconds that `topology.worker.timeout.secs` may ask for.
    "worker.max.timeout.secs": int(1, 600).not_yet();
}

unused! {
    JVM {
        "worker.childopts" => "JVM options of all workers.",
        "worker.gc.childopts" => "Garbage collector options of all workers.",
        "worker.heap.memory.mb" => "Heap of a worker whose topology names none, in megabytes.",
    }
    PROFILING {
        "worker.profiler.childopts" => "JVM options that let a worker be profiled.",
        "worker.profiler.command" => "The script that profiles a worker.",
        "worker.profiler.enabled" => "Whether workers may be profiled.",
    }
    METRICS {
        "worker.metrics" => "Classes that add figures to every worker.",
    }
}
