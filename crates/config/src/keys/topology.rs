//! Keys of topologies.

use super::row::{
    flag, float, int, opt_int, opt_map, opt_number_map, opt_text, opt_text_map, opt_text_or_texts, table,
    unused, word_or_int,
};

table! {
    /// Whether tuples are tracked: 0 turns tracking off, unset or any other number turns it on.
    "topology.acker.executors": opt_int(0)
        .ours("the default is Storm's, but no acker tasks exist: spouts keep their own ledger");
    /// Blobs that are linked into the worker's directory, with their local names.
    "topology.blobstore.map": opt_map().not_yet();
    /// Stream on which a windowed bolt emits tuples that come too late.
    "topology.bolts.late.tuple.stream": opt_text().per_component().not_yet();
    /// Field that identifies a tuple for a stateful windowed bolt.
    "topology.bolts.message.id.field.name": opt_text().per_component().not_yet();
    /// Milliseconds by which tuples may come out of order before a window closes without them.
    "topology.bolts.tuple.timestamp.max.lag.ms": opt_int(1).per_component().not_yet();
    /// Milliseconds between two watermarks of a windowed bolt. Unset: 1000.
    "topology.bolts.watermark.event.interval.ms": opt_int(1).per_component().not_yet();
    /// Length of a bolt's window, in tuples.
    "topology.bolts.window.length.count": opt_int(1).per_component().not_yet();
    /// Length of a bolt's window, in milliseconds.
    "topology.bolts.window.length.duration.ms": opt_int(1).per_component().not_yet();
    /// Distance between the starts of two windows, in tuples.
    "topology.bolts.window.sliding.interval.count": opt_int(1).per_component().not_yet();
    /// Distance between the starts of two windows, in milliseconds.
    "topology.bolts.window.sliding.interval.duration.ms": opt_int(1).per_component().not_yet();
    /// Processor share that an executor is reckoned with, in percent of one core.
    "topology.component.cpu.pcore.percent": float(true, 10.0).per_component().not_yet();
    /// Further resources that an executor is reckoned with, by name.
    "topology.component.resources.map": opt_number_map().per_component().not_yet();
    /// Memory outside a heap that an executor is reckoned with, in megabytes.
    "topology.component.resources.offheap.memory.mb": float(true, 0.0).per_component().not_yet();
    /// Memory that an executor is reckoned with, in megabytes.
    "topology.component.resources.onheap.memory.mb": float(true, 128.0).per_component().not_yet();
    /// Whether every tuple that is emitted or received is logged.
    "topology.debug": flag(false).per_component();
    /// Whether the shuffle deals evenly, without regard to the load of its targets.
    "topology.disable.loadaware.messaging": flag(false);
    /// Whether tuples that are not acked in time fail.
    "topology.enable.message.timeouts": flag(true);
    /// Environment variables of the workers.
    "topology.environment": opt_text_map();
    /// Seconds for which `topology.max.error.report.per.interval` counts.
    "topology.error.throttle.interval.secs": int(0, 10);
    /// Older parts of a worker's `events.log` that are kept.
    "topology.eventlogger.max.retained.files": int(1, 3);
    /// Megabytes from which a worker's `events.log` is begun anew. `storm-rs debug` has tuples written there.
    "topology.eventlogger.rotation.size.mb": int(1, 100);
    /// Threads that run a worker's executors: `per-executor` gives each its own, a number shares
    /// so many among them.
    "topology.executor.threads": word_or_int(&["per-executor"], 1)
        .ours("Storm always gives each executor a thread of its own");
    /// Groups named as owners of the topology beside its submitter.
    "topology.groups": opt_text_or_texts().not_yet();
    /// Hosts that the topology has for itself alone.
    "topology.isolate.machines": opt_int(1);
    /// Load from 0 to 1 above which a shuffle also uses targets that are farther away.
    "topology.localityaware.higher.bound": float(false, 0.8).not_yet();
    /// Load from 0 to 1 below which a shuffle keeps to targets that are nearer.
    "topology.localityaware.lower.bound": float(false, 0.2).not_yet();
    /// The most errors that an executor reports in one `topology.error.throttle.interval.secs`.
    "topology.max.error.report.per.interval": int(1, 5);
    /// Seconds that a submit waits for `topology.min.replication.count`; -1 waits for ever.
    "topology.max.replication.wait.time.sec": int(-1, 60);
    /// The most tuples of one spout task that wait for their ack. Unset: 1048576, so that a slow
    /// topology cannot fill the memory.
    "topology.max.spout.pending": opt_int(1).per_component()
        .ours("unset means no limit in Storm");
    /// The most tasks that a component may have, whatever its parallelism says. Unset: no limit.
    "topology.max.task.parallelism": opt_int(1).per_component();
    /// The largest tuple in bytes; emitting a larger one is an error.
    "topology.max.tuple.bytes": int(1, 67_108_864)
        .ours("a tuple without bound would have to be held in memory by every worker it meets");
    /// Seconds after which a tuple that is not fully acked fails.
    "topology.message.timeout.secs": int(1, 30);
    /// Nimbuses that must hold the topology's binary before a submit answers, or all that live.
    "topology.min.replication.count": int(1, 2)
        .ours("Storm is content with 1, so the loss of one Nimbus can lose the topology");
    /// Name of the topology.
    "topology.name": opt_text();
    /// Executors of the component that stands for `COMPONENT`, whatever its code says.
    "topology.parallelism.COMPONENT": opt_int(1)
        .ours("Storm changes the parallelism of a topology only by a rebalance");
    /// Priority of the topology when slots are scarce: 0 is the highest.
    "topology.priority": int(0, 29);
    /// Groups that may look at the topology.
    "topology.readonly.groups": opt_text_or_texts().not_yet();
    /// Users that may look at the topology.
    "topology.readonly.users": opt_text_or_texts().not_yet();
    /// Tuples that may wait in a component of another language.
    "topology.shellbolt.max.pending": int(1, 100).not_yet();
    /// Milliseconds between two checkpoints of stateful bolts.
    "topology.state.checkpoint.interval.ms": int(1, 1000).not_yet();
    /// Seconds that a state may take to be synchronised at start.
    "topology.state.synchronization.timeout.secs": int(1, 60).not_yet();
    /// User who submitted the topology; Nimbus writes it.
    "topology.submitter.user": opt_text();
    /// Seconds of silence after which a component of another language counts as dead.
    "topology.subprocess.timeout.secs": opt_int(1).not_yet();
    /// Tasks of the component. Unset: one per executor.
    "topology.tasks": opt_int(1).per_component()
        .ours("Storm takes 0 for a component that never runs; here that is an error");
    /// Seconds between two tick tuples. Unset or 0: none.
    "topology.tick.tuple.freq.secs": opt_int(0).per_component();
    /// Users named as owners of the topology beside its submitter.
    "topology.users": opt_text_or_texts().not_yet();
    /// Version of the topology, shown in the UI.
    "topology.version": opt_text().not_yet();
    /// Megabytes of waiting rows that a worker holds before it refuses more.
    "topology.worker.max.heap.size.mb": float(false, 768.0)
        .ours("the default is Storm's, but it bounds waiting rows and not a JVM's heap");
    /// Threads of the pool that all tasks of a worker share.
    "topology.worker.shared.thread.pool.size": int(1, 4);
    /// Seconds of silence after which a worker counts as dead, if more than the cluster's.
    "topology.worker.timeout.secs": opt_int(1);
    /// Worker processes that the topology asks for.
    "topology.workers": int(1, 1);
}

unused! {
    JVM {
        "topology.classpath" => "Class path of the workers.",
        "topology.classpath.beginning" => "Class path before Storm's own.",
        "topology.worker.childopts" => "JVM options of the workers.",
        "topology.worker.gc.childopts" => "Garbage collector options of the workers.",
        "topology.worker.logwriter.childopts" => "JVM options of the process that writes the logs.",
    }
    ACKERS {
        "topology.acker.cpu.pcore.percent" => "Processor share of an acker.",
        "topology.acker.resources.offheap.memory.mb" => "Off-heap memory of an acker.",
        "topology.acker.resources.onheap.memory.mb" => "Heap memory of an acker.",
        "topology.ras.acker.executors.per.worker" => "Ackers that each worker runs.",
    }
    IN_CODE {
        "topology.auto.task.hooks" => "Java classes whose hooks are added to every task.",
    }
    KERBEROS {
        "topology.auto-credentials" => "Java classes that add credentials to the topology.",
        "topology.submitter.principal" => "Kerberos principal of the submitter.",
    }
    SERIALIZATION {
        "topology.fall.back.on.java.serialization" => "Whether Java serialises unknown types.",
        "topology.kryo.decorators" => "Java classes that set up Kryo.",
        "topology.kryo.factory" => "Java class that makes Kryo.",
        "topology.kryo.register" => "Types that Kryo serialises.",
        "topology.skip.missing.kryo.registrations" => "Whether unknown Kryo types are skipped.",
        "topology.state.kryo.register" => "Types that Kryo serialises in states.",
        "topology.testing.always.try.serialize" => "Whether tuples are serialised within a worker.",
        "topology.tuple.compression.enable" => "Whether tuples between workers are compressed.",
        "topology.tuple.compression.max.decompressed.bytes" =>
            "The largest tuple after decompression, in bytes.",
        "topology.tuple.compression.threshold" => "Bytes from which a tuple is compressed.",
        "topology.tuple.serializer" => "Java class that serialises tuples.",
    }
    QUEUES {
        "topology.backpressure.check.millis" => "Milliseconds between two looks at full queues.",
        "topology.backpressure.enable" => "Whether full queues slow the spouts.",
        "topology.batch.flush.interval.millis" => "Milliseconds between two flushes of batches.",
        "topology.executor.overflow.limit" => "Tuples kept for a full queue before they are lost.",
        "topology.executor.receive.buffer.size" => "Length of an executor's queue, in tuples.",
        "topology.producer.batch.dynamic" => "Whether the size of batches adapts itself.",
        "topology.producer.batch.size" => "Tuples in a batch towards an executor.",
        "topology.spout.recvq.skips" => "Rounds of a spout between two looks at its queue.",
        "topology.transfer.batch.size" => "Tuples in a batch towards another worker.",
        "topology.transfer.buffer.size" => "Length of a worker's queue of outgoing batches.",
    }
    WAITING {
        "topology.backpressure.wait.park.microsec" => "Microseconds of a pause on a full queue.",
        "topology.backpressure.wait.progressive.level1.count" =>
            "Attempts on a full queue that spin.",
        "topology.backpressure.wait.progressive.level2.count" =>
            "Attempts on a full queue that pause briefly.",
        "topology.backpressure.wait.progressive.level3.sleep.millis" =>
            "Milliseconds of sleep on a full queue.",
        "topology.backpressure.wait.strategy" => "Java class that waits on a full queue.",
        "topology.bolt.wait.park.microsec" => "Microseconds of an idle bolt's pause.",
        "topology.bolt.wait.progressive.level1.count" => "Rounds in which an idle bolt spins.",
        "topology.bolt.wait.progressive.level2.count" =>
            "Rounds in which an idle bolt pauses briefly.",
        "topology.bolt.wait.progressive.level3.sleep.millis" =>
            "Milliseconds of an idle bolt's sleep.",
        "topology.bolt.wait.strategy" => "Java class that waits in an idle bolt.",
        "topology.sleep.spout.wait.strategy.time.ms" => "Milliseconds of an idle spout's sleep.",
        "topology.spout.wait.park.microsec" => "Microseconds of an idle spout's pause.",
        "topology.spout.wait.progressive.level1.count" => "Rounds in which an idle spout spins.",
        "topology.spout.wait.progressive.level2.count" =>
            "Rounds in which an idle spout pauses briefly.",
        "topology.spout.wait.progressive.level3.sleep.millis" =>
            "Milliseconds of an idle spout's sleep.",
        "topology.spout.wait.strategy" => "Java class that waits in an idle spout.",
    }
    FEEDBACK {
        "topology.upstream.feedback.enable" => "Whether bolts tell their latencies upstream.",
        "topology.upstream.feedback.freq.secs" => "Seconds between two such reports.",
    }
    EVENTS {
        "topology.event.logger.register" => "Java classes that log events.",
        "topology.eventlogger.executors" => "Executors of the event logger.",
    }
    METRICS {
        "topology.builtin.metrics.bucket.size.secs" => "Seconds between two built-in figures.",
        "topology.enable.send.iconnection.metrics" => "Whether connections report figures.",
        "topology.enable.v2.metrics.tick" => "Whether new figures go to old consumers.",
        "topology.metrics.consumer.cpu.pcore.percent" => "Processor share of a metrics consumer.",
        "topology.metrics.consumer.register" => "Java classes that consume figures.",
        "topology.metrics.consumer.resources.offheap.memory.mb" =>
            "Off-heap memory of a metrics consumer.",
        "topology.metrics.consumer.resources.onheap.memory.mb" =>
            "Heap memory of a metrics consumer.",
        "topology.metrics.reporters" => "Java classes that report figures.",
        "topology.v2.metrics.tick.interval.seconds" => "Seconds between two reports of figures.",
        "topology.worker.metrics" => "Java classes that add figures to the workers.",
    }
    COUNTERS {
        "topology.serialized.message.size.metrics" => "Whether sizes of messages are measured.",
        "topology.stats.ewma.enable" => "Whether latencies are moving averages.",
        "topology.stats.ewma.smoothing.factor" => "Weight of the newest value in such an average.",
        "topology.stats.sample.rate" => "Share of the tuples that is counted.",
    }
    LOGGING {
        "topology.logging.config" => "log4j configuration of the workers.",
        "topology.logging.sensitivity" => "How confidential the logs are.",
    }
    MULTILANG {
        "topology.multilang.log.handler" => "Java class for the logs of such components.",
        "topology.multilang.serializer" => "Java class that speaks to such components.",
    }
    RAS {
        "topology.ras.constraint.max.state.search" => "States that the search may look at.",
        "topology.ras.constraint.max.time.secs" => "Seconds that the search may take.",
        "topology.ras.constraints" => "Components that must not share a worker.",
        "topology.ras.one.component.per.worker" => "Whether components have workers of their own.",
        "topology.ras.one.executor.per.worker" => "Whether executors have workers of their own.",
        "topology.ras.order.executors.by.proximity.needs" => "How executors are ordered.",
        "topology.scheduler.favored.nodes" => "Hosts to prefer.",
        "topology.scheduler.strategy" => "Java class that places the executors.",
        "topology.scheduler.unfavored.nodes" => "Hosts to avoid.",
        "topology.spread.components" => "Components to spread over the hosts.",
    }
    CONTAINERS {
        "topology.oci.image" => "Container image of the workers.",
    }
    STATES {
        "topology.state.provider" => "Java class that stores states.",
        "topology.state.provider.config" => "Configuration of the store of states.",
    }
    TRIDENT {
        "topology.transactional.id" => "Name of a transactional topology.",
        "topology.trident.batch.emit.interval.millis" =>
            "Milliseconds between two Trident batches.",
        "topology.trident.windowing.cache.tuple.limit" => "Tuples that a Trident window caches.",
    }
    TLS {
        "topology.worker.nimbus.thrift.client.use.tls" => "Whether workers use TLS to Nimbus.",
    }
}
