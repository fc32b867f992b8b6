//! Keys of supervisors, the daemons that start workers.

use super::row::{flag, float, int, opt_number_map, opt_text_map, port, port_or_none, ports, table, unused};

table! {
    /// Attempts at fetching a blob before the failure is reported.
    "supervisor.blobstore.download.max_retries": int(1, 3).not_yet();
    /// Blobs that a supervisor fetches at the same time.
    "supervisor.blobstore.download.thread.count": int(1, 5).not_yet();
    /// Processor capacity of the host, in percent of one core.
    "supervisor.cpu.capacity": float(false, 400.0).not_yet();
    /// Whether the supervisor starts workers at all.
    "supervisor.enable": flag(true).not_yet();
    /// Seconds between two heartbeats of a supervisor to Nimbus.
    "supervisor.heartbeat.frequency.secs": int(1, 1)
        .ours("Storm sends one every 5 s, longer than our 'nimbus.supervisor.timeout.secs'");
    /// Megabytes of unused blobs that a supervisor keeps for later.
    "supervisor.localizer.cache.target.size.mb": int(1, 10_240).not_yet();
    /// Milliseconds between two clean-ups of unused blobs.
    "supervisor.localizer.cleanup.interval.ms": int(1, 30_000).not_yet();
    /// Seconds between two looks for newer versions of blobs.
    "supervisor.localizer.update.blob.interval.secs": int(1, 30).not_yet();
    /// Memory capacity of the host, in megabytes.
    "supervisor.memory.capacity.mb": float(false, 4096.0).not_yet();
    /// Port on which a supervisor shows its metrics and those of its workers to Prometheus, at `/metrics`;
    /// 0 for none. Where the default is taken, the supervisor goes on without.
    "supervisor.metrics.port": port_or_none(9628).ours("Storm reports to Java classes instead");
    /// Seconds between two looks at each slot, a net under the events that trigger at once.
    "supervisor.monitor.frequency.secs": int(1, 3).not_yet();
    /// Further capacities of the host, by name.
    "supervisor.resources.map": opt_number_map().not_yet();
    /// Labels of the host, shown to schedulers and in the UI.
    "supervisor.scheduler.meta": opt_text_map();
    /// Ports of the host's slots: one worker runs on each.
    "supervisor.slots.ports": ports(&[6700, 6701, 6702, 6703]);
    /// Port on which a supervisor serves Nimbus and its workers, by gRPC.
    "supervisor.thrift.port": port(6628);
    /// The most seconds that a new leader waits for the heartbeats of all workers.
    "supervisor.worker.heartbeats.max.timeout.secs": int(1, 600);
    /// Seconds that a worker has to end by itself before it is killed.
    "supervisor.worker.shutdown.sleep.secs": int(1, 3);
    /// Seconds that a new worker has until its first heartbeat.
    "supervisor.worker.start.timeout.secs": int(1, 120);
    /// Seconds of silence after which a supervisor kills a worker and starts it anew.
    "supervisor.worker.timeout.secs": int(1, 5)
        .ours("Storm waits 30 s, too long for a frozen worker to be back soon");
}

unused! {
    JVM {
        "supervisor.childopts" => "JVM options of supervisors.",
    }
    ACCESS {
        "supervisor.authorizer" => "Java class that decides who may call a supervisor.",
        "supervisor.run.worker.as.user" => "Whether workers run under the submitter's name.",
        "supervisor.worker.launcher" => "Program that starts workers under another name.",
    }
    BLOBS {
        "supervisor.blobstore.class" => "Java class that fetches blobs.",
    }
    DIRECT {
        "supervisor.queue.size" => "The most requests that wait.",
    }
    CONTAINERS {
        "supervisor.numa.meta" => "Supervisors that stand for the zones of a NUMA host.",
    }
    PLATFORM {
        "supervisor.worker.default.version" => "Storm version of workers that name none.",
        "supervisor.worker.version.classpath.map" => "Class paths of older Storm versions.",
        "supervisor.worker.version.logwriter.map" => "Log writers of older Storm versions.",
        "supervisor.worker.version.main.map" => "Main classes of older Storm versions.",
    }
    TRANSPORT {
        "supervisor.thrift.max_buffer_size" => "The largest Thrift message, in bytes.",
        "supervisor.thrift.socket.timeout.ms" => "Milliseconds until a Thrift call fails.",
        "supervisor.thrift.threads" => "Threads that serve Thrift calls.",
        "supervisor.thrift.transport" => "Thrift transport of supervisors.",
    }
    TLS {
        "supervisor.thrift.client.use.tls" => "Whether clients of supervisors use TLS.",
        "supervisor.thrift.tls.client.auth.required" =>
            "Whether clients must show a certificate.",
        "supervisor.thrift.tls.client.cert.path" => "Path of the client's certificate.",
        "supervisor.thrift.tls.client.key.path" => "Path of the client's key.",
        "supervisor.thrift.tls.client.keystore.password" => "Password of the client's key store.",
        "supervisor.thrift.tls.client.keystore.path" => "Path of the client's key store.",
        "supervisor.thrift.tls.client.truststore.password" =>
            "Password of the client's trust store.",
        "supervisor.thrift.tls.client.truststore.path" => "Path of the client's trust store.",
        "supervisor.thrift.tls.server.keystore.password" => "Password of the server's key store.",
        "supervisor.thrift.tls.server.keystore.path" => "Path of the server's key store.",
        "supervisor.thrift.tls.server.truststore.password" =>
            "Password of the server's trust store.",
        "supervisor.thrift.tls.server.truststore.path" => "Path of the server's trust store.",
    }
}
