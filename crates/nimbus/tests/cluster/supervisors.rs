//! What Nimbus asks of supervisors, and what it makes of the figures and errors that they report.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use super::common::*;
use futures_util::Stream;
use storm_figures::{ExecutorSnapshot, Snapshot, StreamCount, TaskSnapshot};
use storm_model::{ComponentKind, ExecutorId, TaskId};
use storm_rpc::nimbus_client::command_id;
use storm_rpc::v1::supervisor_server;
use storm_rpc::{ErrorCode, v1};
use tonic::{Request, Response, Status, Streaming};

/// What a supervisor serves, in a few lines.
struct Served {
    id: &'static str,
    /// The one blob that it has.
    blob: Vec<u8>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl supervisor_server::Supervisor for Served {
    type AttachStream = Answers<v1::WorkerOrder>;
    type ReadLogStream = Answers<v1::LogLines>;
    type DownloadBlobStream = Answers<v1::BlobChunk>;

    async fn attach(
        &self,
        _: Request<Streaming<v1::WorkerReport>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        Err(Status::unimplemented("no workers here"))
    }

    async fn read_log(
        &self,
        request: Request<v1::LogRequest>,
    ) -> Result<Response<Self::ReadLogStream>, Status> {
        let request = request.into_inner();
        let lines = vec![format!("{} {} {}", self.id, request.topology, request.grep)];
        let lines = v1::LogLines { host: self.id.to_owned(), port: request.port, lines };
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(lines)]))))
    }

    async fn restart_worker(
        &self,
        _: Request<v1::RestartWorkerHere>,
    ) -> Result<Response<v1::RestartedWorker>, Status> {
        Ok(Response::new(v1::RestartedWorker { topology_id: String::new(), restarts: 1 }))
    }

    async fn download_blob(
        &self,
        request: Request<v1::BlobRef>,
    ) -> Result<Response<Self::DownloadBlobStream>, Status> {
        let chunk = v1::BlobChunk { blob: Some(request.into_inner()), data: self.blob.clone().into() };
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(chunk)]))))
    }

    async fn health(&self, _: Request<v1::HealthRequest>) -> Result<Response<v1::HealthReply>, Status> {
        Ok(Response::new(v1::HealthReply::default()))
    }
}

async fn serve(id: &'static str, blob: &str) -> (String, u16) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = supervisor_server::SupervisorServer::new(Served { id, blob: blob.as_bytes().to_vec() });
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(served).serve_with_incoming(incoming));
    ("127.0.0.1".to_owned(), port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_merged_and_workers_restarted_by_their_supervisors() {
    let zoo = Zoo::start().await;
    let nimbus = Nimbus::start(zoo.address(), &zoo.directory.path().join("n")).await;
    let (calls, cluster) = (nimbus.calls(), zoo.client().await);
    let _a = Supervisor::start_at(&zoo, calls.clone(), "a", 1, serve("a", "").await).await;
    let _b = Supervisor::start_at(&zoo, calls.clone(), "b", 1, serve("b", "").await).await;
    let (id, _) = submit(&cluster, &calls, "words", 2).await;

    let request = v1::LogRequest { topology: "words".into(), grep: "x".into(), ..v1::LogRequest::default() };
    let mut lines = calls.read_log(&request).await.unwrap();
    let mut seen = BTreeSet::new();
    while let Some(line) = lines.message().await.unwrap() {
        seen.extend(line.lines);
    }
    assert_eq!(seen, [format!("a {id} x"), format!("b {id} x")].into());
    let unknown = v1::LogRequest { component: "nobody".into(), ..request };
    assert!(calls.read_log(&unknown).await.unwrap_err().message.contains("there are: count, words"));

    let request = v1::RestartWorkerRequest { command_id: command_id(), host: "a".into(), port: 6700 };
    let reply = calls.restart_worker(&request).await.unwrap();
    assert_eq!(reply.topology_id, id.to_string());
    assert_eq!(calls.restart_worker(&request).await.unwrap(), reply);
    let nowhere = v1::RestartWorkerRequest { command_id: command_id(), host: "c".into(), port: 6700 };
    assert_eq!(calls.restart_worker(&nowhere).await.unwrap_err().code, ErrorCode::Invalid);
    nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_binary_comes_back_from_a_supervisor() {
    let zoo = Zoo::start().await;
    let nimbus = Nimbus::start(zoo.address(), &zoo.directory.path().join("n1")).await;
    let (calls, cluster) = (nimbus.calls(), zoo.client().await);
    // A first one has something else under this name, and is not believed.
    let _liar = Supervisor::start_at(&zoo, calls.clone(), "a", 1, serve("a", "#!/bin/sh words").await).await;
    let _b = Supervisor::start_at(&zoo, calls.clone(), "b", 1, serve("b", "#!/bin/true words").await).await;
    submit(&cluster, &calls, "words", 1).await;
    nimbus.stop().await;

    let next = Nimbus::start(zoo.address(), &zoo.directory.path().join("n2")).await;
    let calls = next.calls();
    page(&calls, "words", |_| true).await;
    health(&calls, |health| health.is_healthy).await;
    let blobs = std::fs::read_dir(zoo.directory.path().join("n2/nimbus/blobs")).unwrap();
    let contents: Vec<String> =
        blobs.map(|blob| std::fs::read_to_string(blob.unwrap().path()).unwrap()).collect();
    assert_eq!(contents, ["#!/bin/true words"]);
    next.stop().await;
}

fn figures() -> Vec<u8> {
    let stream = StreamCount { emitted: 40, acked: 30, failed: 2, ..StreamCount::new("default".into()) };
    let task =
        TaskSnapshot { streams: vec![stream], tracked: 40, pending: 8, ..TaskSnapshot::new(TaskId(3)) };
    let executor = ExecutorSnapshot {
        tasks: vec![task],
        uptime: Duration::from_secs(9),
        ..ExecutorSnapshot::new(
            "words".into(),
            ComponentKind::Spout,
            ExecutorId { first: TaskId(3), last: TaskId(4) },
        )
    };
    serde_json::to_vec(&Snapshot { executors: vec![executor] }).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_and_errors_are_shown_and_errors_outlive_the_leader() {
    let zoo = Zoo::start().await;
    let nimbus = Nimbus::start(zoo.address(), &zoo.directory.path().join("n1")).await;
    let (calls, cluster) = (nimbus.calls(), zoo.client().await);
    let supervisor = Supervisor::start(&zoo, calls.clone(), "a", 1).await;
    *supervisor.manner.lock().unwrap() = Manner {
        is_done: true,
        figures: figures(),
        errors: vec![v1::ErrorReport {
            time_ms: 5,
            component: "words".into(),
            task: 3,
            host: "host-a".into(),
            port: 6700,
            message: "no such table".into(),
            kind: "reported".into(),
            suppressed: 0,
        }],
        ..Manner::default()
    };
    let (id, _) = submit(&cluster, &calls, "words", 1).await;
    let page = page(&calls, "words", |page| page.is_complete && !page.errors.is_empty()).await;
    let words = page.components.iter().find(|component| component.id == "words").unwrap();
    assert_eq!((words.emitted, words.acked, words.failed, words.pending), (40, 30, 2, 8));
    assert_eq!((&*words.r#type, words.executors, words.tasks), ("spout", 2, 4));
    assert_eq!(page.errors[0].message, "no such table");
    let mut kept = cluster.watch_errors(&id);
    let kept = kept.wait_for(|errors| errors.present().is_some_and(|errors| !errors.value.errors.is_empty()));
    tokio::time::timeout(SOON, kept).await.unwrap().unwrap();
    drop(supervisor);
    nimbus.stop().await;

    let next = Nimbus::start(zoo.address(), &zoo.directory.path().join("n2")).await;
    let page = super::common::page(&next.calls(), "words", |_| true).await;
    assert_eq!(page.errors[0].message, "no such table");
    next.stop().await;
}
