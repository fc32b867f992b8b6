//! What holds with the embedded server and with the real ZooKeeper alike: each test runs with both.
//!
//! Without java or the package `zookeeper`, the tests with the real one print a line and pass, unless
//! `STORM_TEST_REQUIRE` contains `zookeeper`.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod proxy;
mod server;
mod sessions;
mod elections;
mod watches;
mod writes;

use std::future::Future;
use std::time::Duration;

use storm_cluster::{Cluster, Options};
use storm_model::Status;
use tokio::time::timeout;

use crate::proxy::Proxy;
use crate::server::{Kind, Server};

/// How long to wait for an event that must come. Long: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The session timeout of most tests.
pub(crate) const SESSION: Duration = Duration::from_secs(2);

/// Waits for something that must happen.
#[track_caller]
pub(crate) fn soon<T>(what: &'static str, event: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        match timeout(PATIENCE, event).await {
            Ok(value) => value,
            Err(_) => panic!("{place}: still waiting for {what}"),
        }
    }
}

pub(crate) fn options(server: impl ToString) -> Options {
    let mut options = Options::new([server.to_string()]);
    options.session_timeout = SESSION;
    options
}

/// Patient, because a busy machine is no failure.
pub(crate) async fn connect(server: impl ToString) -> Cluster {
    let mut options = options(server);
    options.operation_timeout = PATIENCE / 2;
    Cluster::connect(options).await.unwrap()
}

/// Runs each test with both servers.
macro_rules! conformance {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        mod embedded {
            $(
                $(#[$doc])*
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::run(crate::server::Kind::Embedded, super::$name).await;
                }
            )*
        }

        mod real {
            $(
                $(#[$doc])*
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::run(crate::server::Kind::Real, super::$name).await;
                }
            )*
        }
    };
}
pub(crate) use conformance;

pub(crate) async fn run<F: Future<Output = ()>>(kind: Kind, test: impl FnOnce(Server) -> F) {
    if let Some(server) = Server::start(kind).await {
        test(server).await;
    }
}

/// A server that is reached through a proxy.
pub(crate) async fn proxied(server: &Server) -> Proxy {
    Proxy::start(server.address()).await
}

pub(crate) fn topology(id: &str) -> storm_cluster::TopologyRecord {
    storm_cluster::TopologyRecord {
        id: id.into(),
        name: id.to_owned(),
        status: Status::Active,
        previous_status: None,
        workers: 1,
        executors: Default::default(),
        owner: "me".to_owned(),
        launched_ms: 1,
        binary: storm_cluster::BinaryRecord {
            digest: "0".repeat(64),
            file_name: "word-count".into(),
            size: 1,
            ..Default::default()
        },
        arguments: Vec::new(),
        config: Default::default(),
        spec: Default::default(),
        spec_digest: String::new(),
        pending: None,
        assignment_number: 0,
        assignment_version: 0,
        status_version: 0,
        rebalances: 0,
        tuning: Default::default(),
        explanation: String::new(),
    }
}

pub(crate) fn command(id: &str) -> storm_cluster::CommandRecord {
    storm_cluster::CommandRecord { id: id.to_owned(), answer: serde_json::json!({"id": id}), done_ms: 1 }
}

pub(crate) fn nimbus(host: &str, port: u16) -> storm_cluster::NimbusRecord {
    storm_cluster::NimbusRecord { host: host.to_owned(), port, software: "0.1.0".to_owned(), started_ms: 1 }
}

/// Whatever bytes one likes, where a record is expected.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl storm_cluster::Record for Raw {
    const KIND: &'static str = "bytes";

    fn encode(&self) -> Vec<u8> {
        self.0.clone()
    }

    fn decode(_: &str, bytes: &[u8]) -> Result<Raw, storm_cluster::RecordError> {
        Ok(Raw(bytes.to_vec()))
    }
}
