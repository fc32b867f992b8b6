//! Keys that hold for the whole cluster.

use super::row::{flag, int, opt_text, port, table, text, texts, unused};

table! {
    /// Address on which Nimbus, supervisors and workers listen.
    "storm.bind.address": text("127.0.0.1")
        .ours("Storm listens everywhere; ours are closed unless opened: 0.0.0.0 is every address");
    /// File with the cluster's secret, readable by its owner alone. Unset: everybody is let in.
    "storm.cluster.secret.file": opt_text()
        .ours("the secret is how commands, Nimbuses and supervisors know each other");
    /// Whether archives and blobs are copied instead of linked.
    "storm.disable.symlinks": flag(false).not_yet();
    /// Directory with the scripts that tell whether a supervisor's host is healthy.
    "storm.health.check.dir": text("healthchecks");
    /// Whether a script that takes too long means an unhealthy host.
    "storm.health.check.fail.on.timeouts": flag(true);
    /// Milliseconds that such a script may take.
    "storm.health.check.timeout.ms": int(1, 5000);
    /// Identifier of a running topology; Nimbus writes it.
    "storm.id": opt_text().not_yet();
    /// Directory in which daemons keep their files.
    "storm.local.dir": text("storm-local");
    /// Name under which the others reach this host. Unset: the address that the daemons listen on, or
    /// what the host says where that is every address.
    "storm.local.hostname": opt_text();
    /// Directory of the daemons' own logs, within `storm.local.dir` unless absolute.
    "storm.log.dir": text("logs")
        .ours("Storm has it as a property of the JVM, by default `logs` in its own directory");
    /// Milliseconds between two attempts of a client to reach Nimbus, at first.
    "storm.nimbus.retry.interval.millis": int(1, 2000).not_yet();
    /// The most milliseconds between two attempts of a client to reach Nimbus.
    "storm.nimbus.retry.intervalceiling.millis": int(1, 60_000).not_yet();
    /// Attempts of a client to reach Nimbus.
    "storm.nimbus.retry.times": int(0, 5).not_yet();
    /// Directory of the workers' logs, within `storm.local.dir` unless absolute.
    "storm.workers.artifacts.dir": text("workers-artifacts");
    /// What the daemons show to ZooKeeper to prove who they are.
    "storm.zookeeper.auth.payload": opt_text();
    /// How the daemons prove to ZooKeeper who they are, for instance `digest`.
    "storm.zookeeper.auth.scheme": opt_text().not_yet();
    /// Milliseconds until a connection to ZooKeeper must stand.
    "storm.zookeeper.connection.timeout": int(1, 15_000).not_yet();
    /// Port of the ZooKeeper servers.
    "storm.zookeeper.port": port(2181);
    /// Milliseconds between two attempts to reach ZooKeeper, at first.
    "storm.zookeeper.retry.interval": int(1, 1000).not_yet();
    /// The most milliseconds between two attempts to reach ZooKeeper.
    "storm.zookeeper.retry.intervalceiling.millis": int(1, 30_000).not_yet();
    /// Attempts of one operation on ZooKeeper.
    "storm.zookeeper.retry.times": int(0, 5).not_yet();
    /// Path in ZooKeeper below which the cluster keeps its state.
    "storm.zookeeper.root": text("/storm");
    /// Hosts of the ZooKeeper servers, as `host` or `host:port`.
    "storm.zookeeper.servers": texts(&["localhost"]);
    /// Milliseconds of silence after which ZooKeeper gives a daemon up.
    "storm.zookeeper.session.timeout": int(1, 4000)
        .ours("Storm waits 20 s, too long for a new leader to take over soon");
    /// Who owns the nodes in ZooKeeper, as `scheme:id`.
    "storm.zookeeper.superACL": opt_text().not_yet();
}

unused! {
    ACCESS {
        "storm.blobstore.acl.validation.enabled" => "Whether access lists of blobs are checked.",
        "storm.doAsUser" => "User for whom a client acts.",
        "storm.group.mapping.service" => "Java class that finds a user's groups.",
        "storm.group.mapping.service.cache.duration.secs" => "Seconds for which groups are known.",
        "storm.group.mapping.service.params" => "Parameters of the search for groups.",
        "storm.nimbus.zookeeper.acls.check" => "Whether Nimbus checks access lists in ZooKeeper.",
        "storm.nimbus.zookeeper.acls.fixup" => "Whether Nimbus mends access lists in ZooKeeper.",
        "storm.worker.token.life.time.hours" => "Hours for which a worker's token is good.",
    }
    KERBEROS {
        "storm.hdfs.login.keytab" => "Key table for HDFS.",
        "storm.hdfs.login.principal" => "Kerberos principal for HDFS.",
        "storm.principal.tolocal" => "Java class that makes a user of a principal.",
    }
    BLOBS {
        "storm.blobstore.dependency.jar.upload.chunk.size.bytes" =>
            "Bytes of a piece of an uploaded dependency.",
        "storm.blobstore.inputstream.buffer.size.bytes" => "Buffer for reading blobs, in bytes.",
        "storm.blobstore.replication.factor" => "Copies of a blob in HDFS.",
    }
    CONTAINERS {
        "storm.cgroup.cgexec.cmd" => "Program that starts a worker in a cgroup.",
        "storm.cgroup.hierarchy.dir" => "Directory of the cgroup hierarchy.",
        "storm.cgroup.hierarchy.name" => "Name of the cgroup hierarchy.",
        "storm.cgroup.inherit.cpuset.configs" => "Whether a cgroup inherits its processor set.",
        "storm.cgroup.memory.enforcement.enable" => "Whether the cgroup bounds a worker's memory.",
        "storm.cgroup.memory.limit.tolerance.margin.mb" => "Megabytes above the cgroup's bound.",
        "storm.cgroup.resources" => "Subsystems of the cgroup.",
        "storm.oci.allowed.images" => "Container images that topologies may choose.",
        "storm.oci.cgroup.parent" => "Parent cgroup of the containers.",
        "storm.oci.cgroup.root" => "Root directory of the cgroups.",
        "storm.oci.image" => "Container image of workers that name none.",
        "storm.oci.image.hdfs.toplevel.dir" => "Directory of the images in HDFS.",
        "storm.oci.image.tag.to.manifest.plugin" => "Java class that finds an image's manifest.",
        "storm.oci.layer.mounts.to.keep" => "Layers that stay mounted.",
        "storm.oci.manifest.to.resources.plugin" => "Java class that finds an image's layers.",
        "storm.oci.nscd.dir" => "Directory of the name service cache.",
        "storm.oci.readonly.bindmounts" => "Directories that containers may read.",
        "storm.oci.readwrite.bindmounts" => "Directories that containers may write.",
        "storm.oci.resources.local.dir" => "Local directory of the images.",
        "storm.oci.resources.localizer" => "Java class that fetches images.",
        "storm.oci.seccomp.profile" => "Profile of the system calls that containers may make.",
        "storm.resource.isolation.plugin" => "Java class that isolates workers.",
        "storm.resource.isolation.plugin.enable" => "Whether workers are isolated.",
        "storm.supervisor.cgroup.rootdir" => "Directory of the supervisor's cgroups.",
        "storm.supervisor.hard.memory.limit.multiplier" =>
            "Multiple of its memory at which a worker is killed.",
        "storm.supervisor.hard.memory.limit.overage.mb" =>
            "Megabytes above its memory at which a worker is killed.",
        "storm.supervisor.low.memory.threshold.mb" =>
            "Free megabytes of the host below which large workers are killed at once.",
        "storm.supervisor.medium.memory.grace.period.ms" =>
            "Milliseconds of grace when the host's memory is low.",
        "storm.supervisor.medium.memory.threshold.mb" =>
            "Free megabytes of the host below which large workers have a time of grace.",
        "storm.supervisor.memory.limit.tolerance.margin.mb" =>
            "Megabytes above its memory that a worker may use.",
        "storm.worker.cgroup.cpu.limit" => "Processor share of a worker's cgroup.",
        "storm.worker.cgroup.memory.mb.limit" => "Megabytes of a worker's cgroup.",
    }
    RAS {
        "storm.scheduler" => "Java class that schedules.",
        "storm.worker.min.cpu.pcore.percent" => "The least processor share of a worker.",
    }
    METRICS {
        "storm.cluster.metrics.consumer.publish.interval.secs" =>
            "Seconds between two reports of the cluster's figures.",
        "storm.cluster.metrics.consumer.register" => "Java classes that consume such figures.",
        "storm.daemon.metrics.reporter.csv.log.dir" => "Directory of figures in CSV files.",
        "storm.daemon.metrics.reporter.interval.secs" => "Seconds between two reports.",
        "storm.daemon.metrics.reporter.plugin.domain" => "Domain name of the figures in JMX.",
        "storm.daemon.metrics.reporter.plugin.duration.unit" => "Unit of reported times.",
        "storm.daemon.metrics.reporter.plugin.locale" => "Language of reported numbers.",
        "storm.daemon.metrics.reporter.plugin.rate.unit" => "Unit of reported rates.",
        "storm.daemon.metrics.reporter.plugins" => "Java classes that report a daemon's figures.",
        "storm.metricprocessor.class" => "Java class that takes the workers' figures.",
        "storm.metrics.reporters" => "Java classes that report figures.",
        "storm.metricstore.class" => "Java class that stores figures.",
        "storm.metricstore.rocksdb.create_if_missing" => "Whether the store of figures is made.",
        "storm.metricstore.rocksdb.deletion_period_hours" => "Hours between two clean-ups.",
        "storm.metricstore.rocksdb.location" => "Directory of the store of figures.",
        "storm.metricstore.rocksdb.metadata_string_cache_capacity" =>
            "Names that the store of figures caches.",
        "storm.metricstore.rocksdb.retention_hours" => "Hours for which figures are kept.",
        "storm.topology.metrics.system.reporters" => "Java classes that report all topologies.",
    }
    MODE {
        "storm.cluster.mode" => "Whether Storm runs local or distributed.",
        "storm.local.mode.zmq" => "Whether workers in local mode speak over the network.",
    }
    STATE_STORE {
        "storm.cluster.state.store" => "Java class that keeps the cluster's state.",
    }
    SERIALIZATION {
        "storm.compression.gzip.max.decompressed.bytes" =>
            "The most bytes that a gzip-compressed text may become.",
        "storm.compression.zstd.level" => "Level of zstd compression.",
        "storm.compression.zstd.max.decompressed.bytes" =>
            "The most bytes that a zstd-compressed text may become.",
        "storm.meta.serialization.delegate" => "Java class that serialises Storm's own records.",
    }
    LOGGING {
        "storm.log4j2.conf.dir" => "Directory of the log4j configuration.",
    }
    JAVA_CLASS {
        "storm.network.topography.plugin" => "Java class that finds a host's rack.",
        "storm.topology.submission.notifier.plugin.class" =>
            "Java class that is told of every submit.",
    }
    JVM {
        "storm.topology.classpath.beginning.enabled" =>
            "Whether a topology may put classes before Storm's own.",
    }
    TRANSPORT {
        "storm.messaging.netty.authentication" => "Whether workers prove who they are.",
        "storm.messaging.netty.buffer.high.watermark" => "Waiting bytes at which a sender stops.",
        "storm.messaging.netty.buffer.low.watermark" => "Waiting bytes at which it goes on.",
        "storm.messaging.netty.buffer_size" => "Bytes of a socket's buffer.",
        "storm.messaging.netty.client_worker_threads" => "Threads that send.",
        "storm.messaging.netty.flush.check.interval.ms" => "Milliseconds between two flushes.",
        "storm.messaging.netty.flush_timeout_ms" => "Milliseconds to send the rest at the end.",
        "storm.messaging.netty.max_wait_ms" => "The most milliseconds between two attempts.",
        "storm.messaging.netty.min_wait_ms" => "The least milliseconds between two attempts.",
        "storm.messaging.netty.server_worker_threads" => "Threads that receive.",
        "storm.messaging.netty.socket.backlog" => "Connections that may wait to be accepted.",
        "storm.messaging.netty.transfer.batch.size" => "Bytes of a batch between workers.",
        "storm.messaging.transport" => "Java class that carries tuples between workers.",
        "storm.thrift.socket.timeout.ms" => "Milliseconds until a Thrift call fails.",
        "storm.thrift.transport" => "Thrift transport of all daemons.",
    }
    TLS {
        "storm.messaging.netty.tls.ciphers" => "Ciphers between workers.",
        "storm.messaging.netty.tls.client.keystore.password" =>
            "Password of the client's key store.",
        "storm.messaging.netty.tls.client.keystore.path" => "Path of the client's key store.",
        "storm.messaging.netty.tls.client.truststore.password" =>
            "Password of the client's trust store.",
        "storm.messaging.netty.tls.client.truststore.path" => "Path of the client's trust store.",
        "storm.messaging.netty.tls.enable" => "Whether workers speak TLS to each other.",
        "storm.messaging.netty.tls.keystore.password" => "Password of the server's key store.",
        "storm.messaging.netty.tls.keystore.path" => "Path of the server's key store.",
        "storm.messaging.netty.tls.require.open.ssl" => "Whether OpenSSL must be there.",
        "storm.messaging.netty.tls.ssl.protocols" => "Versions of TLS between workers.",
        "storm.messaging.netty.tls.truststore.password" => "Password of the server's trust store.",
        "storm.messaging.netty.tls.truststore.path" => "Path of the server's trust store.",
        "storm.thrift.tls.socket.timeout.ms" => "Milliseconds until a call over TLS fails.",
        "storm.zookeeper.ssl.enable" => "Whether connections to ZooKeeper use TLS.",
        "storm.zookeeper.ssl.hostnameVerification" => "Whether ZooKeeper's host name is checked.",
        "storm.zookeeper.ssl.keystore.password" => "Password of the key store for ZooKeeper.",
        "storm.zookeeper.ssl.keystore.path" => "Path of the key store for ZooKeeper.",
        "storm.zookeeper.ssl.truststore.password" => "Password of the trust store for ZooKeeper.",
        "storm.zookeeper.ssl.truststore.path" => "Path of the trust store for ZooKeeper.",
    }
    DRPC {
        "storm.zookeeper.drpcACL" => "Who owns the DRPC nodes in ZooKeeper.",
    }
    WORKER_ZOOKEEPER {
        "storm.zookeeper.topology.auth.payload" => "What a topology shows to ZooKeeper.",
        "storm.zookeeper.topology.auth.scheme" => "How a topology proves who it is.",
    }
}
