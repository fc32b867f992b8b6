//! The master: takes commands, stores topologies, places their executors.
//!
//! Several may run; one leads, and the others pass calls on to it and keep copies of the binaries. All
//! that matters is in ZooKeeper and in the stores of blobs: a Nimbus can be killed at any time.
//!
//! Modules in reading order: what it is told, and what can go wrong; what becomes of a topology
//! ([`transitions`]), when nothing is on its way in it ([`drain`]), who is alive ([`heartbeats`]); what
//! a leader knows, what follows from it, what people ask of it; the loop; blobs, the other Nimbuses
//! and the service around it.

mod options;
mod error;
mod clock;
pub mod transitions;
pub mod drain;
pub mod heartbeats;
mod assign;
mod figures;
mod state;
mod plan;
mod commands;
mod pages;
mod metrics;
mod identity;
mod monitor;
mod blobstore;
mod peers;
mod shown_config;
mod replication;
mod service;
#[cfg(test)]
mod testing;

use std::time::Duration;

use futures_util::StreamExt;
use storm_cluster::{Cluster, NimbusRecord};
use storm_logs::LogsService;
use storm_rpc::client::MAX_MESSAGE_BYTES;
use storm_rpc::v1::logs_server::LogsServer;
use storm_rpc::v1::nimbus_server::NimbusServer;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

pub use crate::error::NimbusError;
pub use crate::options::Options;

use crate::blobstore::BlobStore;
use crate::clock::{Clock, wall_ms};
use crate::monitor::{EVENTS, Monitor, Standing};
use crate::peers::Peers;
use crate::replication::Replication;
use crate::service::Service;

/// What is wrong until it is known which binaries have to be here.
const UNREAD: &str = "the topologies were not read yet";
/// How long it may take until ZooKeeper knows that this Nimbus ends.
const FAREWELL_WITHIN: Duration = Duration::from_secs(2);
/// How long a connection may be silent until it is asked for a sign of life, and may take to give it.
const ALIVE_EVERY: Duration = Duration::from_secs(20);
/// How long calls that are being answered may take when Nimbus ends.
const LAST_CALLS_WITHIN: Duration = Duration::from_secs(2);

/// Runs a Nimbus until `shutdown`, then lets another one lead at once.
///
/// # Errors
/// When it cannot start: a bad option, a port that is taken, a directory that cannot be used. ZooKeeper
/// that cannot be reached is waited for.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), NimbusError> {
    let listener = listen(&options).await?;
    run_on(options, listener, shutdown).await
}

/// Binds the address that the options name.
///
/// # Errors
/// When it is taken or not one of this machine.
pub async fn listen(options: &Options) -> Result<TcpListener, NimbusError> {
    let address = format!("{}:{}", options.bind, options.port);
    let bound = TcpListener::bind(&address).await;
    bound.map_err(|source| NimbusError::Listen { address, source })
}

/// Like [`run`], on a listener that is bound already; its port is the one that is published.
///
/// # Errors
/// As [`run`].
pub async fn run_on(
    mut options: Options,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), NimbusError> {
    let directory = options.directory();
    let unusable = |source| NimbusError::Directory { path: directory.clone(), source };
    std::fs::create_dir_all(&directory).map_err(unusable)?;
    let blobs = BlobStore::open(&directory)?;
    let metrics = match &options.metrics {
        Some(metrics) => metrics.bind(&options.bind).await?,
        None => None,
    };
    options.port = listener.local_addr().map_err(|error| NimbusError::Serve(error.to_string()))?.port();
    let clock = Clock::start();
    let started_ms = wall_ms();
    let cluster = Cluster::start(options.zookeeper.clone())?;
    let peers = Peers::new(&cluster, &options.host, options.port, &options.secret);
    let registration = cluster.register(
        &cluster.paths().nimbus(&options.host, options.port),
        &NimbusRecord {
            host: options.host.clone(),
            port: options.port,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms,
        },
    );
    let replication = Replication { blobs: blobs.clone(), cluster: cluster.clone(), peers: peers.clone() };
    let (events, received) = mpsc::channel(EVENTS);
    let (problems, missing) = watch::channel(vec![UNREAD.to_owned()]);
    let (standing, stands) = watch::channel(Standing::default());
    let config = &options.config;
    let service = Service {
        secret: options.secret.clone(),
        clock,
        events,
        cluster: cluster.clone(),
        blobs,
        replication: replication.clone(),
        peers,
        missing,
        standing: stands,
        copies: (
            config.get_count("topology.min.replication.count").map_or(1, |count| count as usize),
            config.get_duration("topology.max.replication.wait.time.sec"),
        ),
        config: shown_config::entries(config).into(),
    };
    let shown = metrics::Shown::new(&service);
    let server = NimbusServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let logs = LogsServer::new(LogsService {
        secret: options.secret.clone(),
        workers_dir: None,
        daemon_dir: Some(options.log_dir.clone()),
    });
    tracing::info!(host = options.host, port = options.port, "nimbus serves");

    let mut election = cluster.contend(&options.host, options.port);
    let follow = tokio::spawn(replication.follow(options.clone(), clock, problems));
    let monitor = Monitor::new(options, clock, cluster.clone(), received, standing);
    let (stop, stopped) = watch::channel(());
    if let Some(listener) = metrics {
        tokio::spawn(shown.serve(listener, stopped.clone()));
    }
    let mut serve = tokio::spawn(async move {
        let until = async move {
            let mut stopped = stopped;
            stopped.changed().await.ok();
        };
        let incoming = TcpListenerStream::new(listener).inspect(|line| {
            if let Ok(line) = line {
                // Answers are small, and somebody waits for them.
                line.set_nodelay(true).ok();
            }
        });
        // Whoever went without a word shall not keep half of an upload here for ever.
        let mut builder = Server::builder()
            .http2_keepalive_interval(Some(ALIVE_EVERY))
            .http2_keepalive_timeout(Some(ALIVE_EVERY));
        builder.add_service(server).add_service(logs).serve_with_incoming_shutdown(incoming, until).await
    });
    let ended = tokio::select! {
        () = shutdown => Ok(()),
        () = monitor.run(&mut election) => Err(NimbusError::Cluster(storm_cluster::Error::Closed)),
        served = &mut serve => Err(NimbusError::Serve(match served {
            Ok(Ok(())) => "nobody told it to".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        })),
    };
    tracing::info!("nimbus ends");
    // First the lead, so that the next one leads at once; then those who still wait for answers. Where
    // ZooKeeper does not answer, both end with the session.
    let farewell = async { tokio::join!(election.resign(), registration.remove()) };
    if tokio::time::timeout(FAREWELL_WITHIN, farewell).await.is_err() {
        tracing::warn!("zookeeper does not answer: the lead ends with the session");
    }
    follow.abort();
    drop(stop);
    if !serve.is_finished() && tokio::time::timeout(LAST_CALLS_WITHIN, &mut serve).await.is_err() {
        serve.abort();
    }
    cluster.close().await;
    ended
}
