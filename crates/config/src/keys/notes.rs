//! Why a key of Storm has no meaning here, and what to use instead: one text for many keys.

pub(super) const JVM: &str = "a native process has no JVM; the memory for waiting rows is \
     'topology.worker.max.heap.size.mb'";
pub(super) const JAVA_CLASS: &str =
    "Java classes cannot be loaded by a native process; what they would do is built in";
pub(super) const IN_CODE: &str =
    "Java classes cannot be loaded by a native process; register it in the topology's code";
pub(super) const SERIALIZATION: &str = "rows have one format, in memory and between workers; \
     a type of your own becomes a value through serde";
pub(super) const QUEUES: &str = "batches are sized and flushed by the engine itself and queues \
     are bounded by credit: there is nothing to tune";
pub(super) const WAITING: &str = "an executor blocks until there is work and never spins or polls";
pub(super) const ACKERS: &str = "there are no acker tasks: each spout executor keeps the ledger \
     of its own tuples; 'topology.acker.executors' 0 turns tracking off";
pub(super) const FEEDBACK: &str = "the shuffle follows the credit of its targets, which is \
     always at hand; see 'topology.disable.loadaware.messaging'";
pub(super) const EVENTS: &str = "there is no event logger component: `storm-rs debug` has tuples written to the workers' events.log, \
     of any topology and at any time";
pub(super) const METRICS: &str =
    "every daemon offers its figures at '/metrics' for Prometheus and over the REST interface";
pub(super) const COUNTERS: &str = "figures are exact counters and histograms, nothing is sampled";
pub(super) const LOGGING: &str =
    "the log level is set by the variable RUST_LOG and, while a topology runs, by `storm-rs log-level`";
pub(super) const RAS: &str = "the scheduler spreads executors evenly over the slots and knows no such rule";
pub(super) const TRIDENT: &str = "there is no Trident here";
pub(super) const TRANSPORT: &str =
    "daemons speak gRPC and workers their own frames over TCP: Thrift and Netty are not used";
pub(super) const TLS: &str = "connections are not encrypted yet; daemons bind to 127.0.0.1 \
     unless told otherwise, so keep them in a private network";
pub(super) const ACCESS: &str = "there are no users or access lists: whoever holds the \
     cluster's secret may do everything";
pub(super) const KERBEROS: &str =
    "there is no Kerberos here: the cluster's secret authenticates clients and daemons";
pub(super) const CONTAINERS: &str = "workers are plain processes; put the supervisor into a \
     container or a cgroup to limit them";
pub(super) const BLOBS: &str =
    "blobs are named by their SHA-256 and lie under 'storm.local.dir', in one built-in store";
pub(super) const STATE_STORE: &str =
    "the cluster's state is always in ZooKeeper, see 'storm.zookeeper.servers'";
pub(super) const MODE: &str = "the mode follows from how the program was started, not from its configuration";
pub(super) const WORKER_ZOOKEEPER: &str = "workers do not speak to ZooKeeper, so they need no rights there";
pub(super) const STATES: &str = "a state store is given in the topology's code";
pub(super) const MULTILANG: &str = "components in other languages speak Storm's JSON protocol";
pub(super) const PLATFORM: &str = "the worker is the topology's own binary, of any version";
pub(super) const DIRECT: &str = "changes are pushed and acted on at once, there is no such queue \
     or poll to tune";
pub(super) const DRPC: &str = "there is no DRPC server here";
pub(super) const PROFILING: &str =
    "profile a worker from outside, for instance with perf: it is an ordinary process";
pub(super) const WEB: &str = "pages and REST come from a built-in server without plug-ins; put a \
     reverse proxy before it for filters, logins and certificates";
