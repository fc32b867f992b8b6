//! Keys of Nimbus, the daemon that schedules.

use super::row::{int, opt_int, port, port_or_none, table, texts, unused};

table! {
    /// Seconds after which an upload or download that stands still is dropped.
    "nimbus.blobstore.expiration.secs": int(1, 600).not_yet();
    /// Seconds between two clean-ups of uploads that were never submitted.
    "nimbus.cleanup.inbox.freq.secs": int(1, 600).not_yet();
    /// Seconds between two looks of a Nimbus that does not lead for blobs it lacks.
    "nimbus.code.sync.freq.secs": int(1, 120).not_yet();
    /// The most executors that a topology may ask for. Unset: no limit.
    "nimbus.executors.perTopology": opt_int(0);
    /// Seconds after which an upload that was never submitted is deleted.
    "nimbus.inbox.jar.expiration.secs": int(1, 3600).not_yet();
    /// Port on which Nimbus shows its metrics to Prometheus, at `/metrics`; 0 for none. Where the default
    /// is taken, Nimbus goes on without.
    "nimbus.metrics.port": port_or_none(9627).ours("Storm reports to Java classes instead");
    /// Seconds between two full looks at the cluster, a net under the events that trigger at once.
    "nimbus.monitor.freq.secs": int(1, 10);
    /// Hosts that may run Nimbus, as `host` or `host:port`; clients and supervisors ask them for the
    /// leader.
    "nimbus.seeds": texts(&["localhost"]);
    /// The most workers that a topology may ask for. Unset: no limit.
    "nimbus.slots.perTopology": opt_int(0);
    /// Seconds of silence of a supervisor and all its workers until their work is moved.
    "nimbus.supervisor.timeout.secs": int(1, 4)
        .ours("Storm waits 60 s, too long to have a lost node's work elsewhere within 6 s");
    /// Seconds that a new worker has until its first heartbeat.
    "nimbus.task.launch.secs": int(1, 120).not_yet();
    /// Seconds of silence after which an executor counts as dead.
    "nimbus.task.timeout.secs": int(1, 30).not_yet();
    /// Port on which Nimbus serves clients and daemons, by gRPC.
    "nimbus.thrift.port": port(6627);
    /// Milliseconds that the blobs of a killed topology are kept.
    "nimbus.topology.blobstore.deletion.delay.ms": int(0, 300_000);
}

unused! {
    JVM {
        "nimbus.childopts" => "JVM options of Nimbus.",
    }
    ACCESS {
        "nimbus.admins" => "Users who may do everything.",
        "nimbus.admins.groups" => "Groups who may do everything.",
        "nimbus.authorizer" => "Java class that decides who may command.",
        "nimbus.daemon.user" => "User under which the daemons run.",
        "nimbus.daemon.users" => "Users under which daemons run.",
        "nimbus.groups" => "Groups who may submit topologies.",
        "nimbus.impersonation.acl" => "Who may act for whom, and from where.",
        "nimbus.impersonation.authorizer" => "Java class that decides who may act for whom.",
        "nimbus.supervisor.users" => "Users under which supervisors run.",
        "nimbus.users" => "Users who may submit topologies.",
    }
    KERBEROS {
        "nimbus.autocredential.plugins.classes" => "Java classes that add credentials.",
        "nimbus.credential.renewers.classes" => "Java classes that renew credentials.",
        "nimbus.credential.renewers.freq.secs" => "Seconds between two renewals of credentials.",
    }
    DIRECT {
        "nimbus.assignments.service.thread.queue.size" => "Assignments that wait to be sent.",
        "nimbus.assignments.service.threads" => "Threads that send assignments to supervisors.",
        "nimbus.queue.size" => "The most requests that wait.",
    }
    BLOBS {
        "nimbus.blobstore.class" => "Java class of the store of blobs.",
        "nimbus.file.copy.expiration.secs" => "Seconds after which a file transfer is dropped.",
    }
    RAS {
        "nimbus.even.rebalance.idle.supervisor.enabled" =>
            "Whether work moves to idle supervisors without a rebalance.",
        "nimbus.even.rebalance.idle.supervisor.min.stable.rounds" =>
            "Rounds of scheduling before work moves to idle supervisors.",
        "nimbus.even.rebalance.max.free.per.topology" =>
            "The most workers of a topology that move to idle supervisors in one round.",
        "nimbus.scheduler.strategy.class.whitelist" => "Strategies that topologies may choose.",
    }
    JAVA_CLASS {
        "nimbus.local.assignments.backend.class" => "Java class that keeps assignments.",
        "nimbus.topology.action.notifier.plugin.class" =>
            "Java class that is told of every command.",
        "nimbus.topology.validator" => "Java class that checks topologies.",
        "nimbus.worker.heartbeats.recovery.strategy.class" =>
            "Java class that decides when a new leader knows enough heartbeats.",
    }
    TRANSPORT {
        "nimbus.thrift.max_buffer_size" => "The largest Thrift message, in bytes.",
        "nimbus.thrift.threads" => "Threads that serve Thrift calls.",
        "nimbus.thrift.transport" => "Thrift transport of Nimbus.",
    }
    TLS {
        "nimbus.thrift.client.use.tls" => "Whether clients of Nimbus use TLS.",
        "nimbus.thrift.tls.client.auth.required" => "Whether clients must show a certificate.",
        "nimbus.thrift.tls.client.cert.path" => "Path of the client's certificate.",
        "nimbus.thrift.tls.client.key.path" => "Path of the client's key.",
        "nimbus.thrift.tls.client.keystore.password" => "Password of the client's key store.",
        "nimbus.thrift.tls.client.keystore.path" => "Path of the client's key store.",
        "nimbus.thrift.tls.client.truststore.password" => "Password of the client's trust store.",
        "nimbus.thrift.tls.client.truststore.path" => "Path of the client's trust store.",
        "nimbus.thrift.tls.max_buffer_size" => "The largest message over TLS, in bytes.",
        "nimbus.thrift.tls.port" => "Port for Thrift over TLS.",
        "nimbus.thrift.tls.server.keystore.password" => "Password of the server's key store.",
        "nimbus.thrift.tls.server.keystore.path" => "Path of the server's key store.",
        "nimbus.thrift.tls.server.only" => "Whether Nimbus serves TLS only.",
        "nimbus.thrift.tls.server.truststore.password" => "Password of the server's trust store.",
        "nimbus.thrift.tls.server.truststore.path" => "Path of the server's trust store.",
        "nimbus.thrift.tls.threads" => "Threads that serve calls over TLS.",
        "nimbus.thrift.tls.transport" => "Thrift transport for TLS.",
    }
}
