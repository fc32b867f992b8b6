//! A worker that does nothing but attach, report and obey. It is this test program, started anew by a
//! script that stands for the binary of a topology.

use std::process::exit;
use std::time::Duration;

use storm_figures::{ExecutorSnapshot, Snapshot, StreamCount, TaskSnapshot};
use storm_model::{Assignment, ComponentKind, ExecutorId, TaskId, TopologyId, WorkerSlot};
use storm_rpc::client::{self, Token};
use storm_rpc::launch::{MODE_VARIABLE, WORKER_FILE_VARIABLE, WorkerFile};
use storm_rpc::v1::worker_order::Order;
use storm_rpc::v1::{ErrorReport, QuietLook, TopologyState, WorkerReport, WorkerState};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

/// How it behaves: this key of the topology's configuration.
pub(crate) const BEHAVIOUR: &str = "test.behaviour";
/// When nobody is there for so long, the test has gone.
const ALONE: Duration = Duration::from_secs(60);

/// The binary of a topology: becomes a worker with the same pid.
pub(crate) fn binary() -> String {
    let program = std::env::current_exe().unwrap();
    format!(
        "#!/bin/sh\necho \"arguments: $*; greeting: $GREETING; in: $PWD\"\n\
         exec '{}' --exact fake_worker::a_worker_process --nocapture\n",
        program.display()
    )
}

/// As a test it does nothing: it is the entry of the worker.
#[test]
fn a_worker_process() {
    if std::env::var(MODE_VARIABLE).as_deref() != Ok("worker") {
        return;
    }
    let file = std::fs::read(std::env::var(WORKER_FILE_VARIABLE).unwrap()).unwrap();
    let file: WorkerFile = serde_json::from_slice(&file).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Worker { file, version: 0, is_active: false, look: None }.work());
}

/// Of a spout that has emitted ten.
fn figures() -> Vec<u8> {
    let stream = StreamCount { emitted: 10, ..StreamCount::new("default".into()) };
    let task = TaskSnapshot { streams: vec![stream], ..TaskSnapshot::new(TaskId(1)) };
    let executor = ExecutorSnapshot {
        tasks: vec![task],
        uptime: Duration::from_secs(1),
        ..ExecutorSnapshot::new(
            "split".into(),
            ComponentKind::Spout,
            ExecutorId { first: TaskId(1), last: TaskId(2) },
        )
    };
    serde_json::to_vec(&Snapshot { executors: vec![executor] }).unwrap()
}

struct Worker {
    file: WorkerFile,
    version: u64,
    is_active: bool,
    look: Option<QuietLook>,
}

impl Worker {
    fn behaves(&self, how: &str) -> bool {
        self.file.submit_config.get(BEHAVIOUR).is_some_and(|value| value == how)
    }

    fn report(&self) -> WorkerReport {
        let slot = WorkerSlot { supervisor: self.file.supervisor_id.clone(), port: self.file.port };
        WorkerReport {
            topology_id: self.file.topology_id.to_string(),
            slot: Some((&slot).into()),
            incarnation: Some(self.file.incarnation.into()),
            pid: std::process::id(),
            state: WorkerState::Running.into(),
            assignment_version: self.version,
            is_active: self.is_active,
            quiet_look: self.look,
            figures: if self.behaves("counts") { figures().into() } else { b"{}".as_slice().into() },
            ..WorkerReport::default()
        }
    }

    async fn work(mut self) {
        if self.behaves("crash") {
            println!("about to crash");
            exit(7);
        }
        if self.behaves("stubborn") {
            // The signal is heard and nothing follows.
            let term = tokio::signal::unix::SignalKind::terminate();
            let mut terminated = tokio::signal::unix::signal(term).unwrap();
            tokio::spawn(async move { while terminated.recv().await.is_some() {} });
        }
        let mut alone = Instant::now();
        while alone.elapsed() < ALONE {
            if self.attach().await.is_some() {
                alone = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stays attached until the line breaks.
    async fn attach(&mut self) -> Option<()> {
        let token = Token::new(&self.file.token);
        let mut supervisor = client::supervisor(&self.file.supervisor_address, token).unwrap();
        let (reports, taken) = mpsc::channel(4);
        let first = ErrorReport { message: "a small one".to_owned(), ..ErrorReport::default() };
        reports.send(WorkerReport { errors: vec![first], ..self.report() }).await.ok()?;
        let orders = supervisor.attach(ReceiverStream::new(taken)).await;
        let mut orders = match orders {
            Ok(orders) => orders.into_inner(),
            Err(status) => {
                println!("not attached: {status}");
                return None;
            }
        };
        println!("attached");
        loop {
            tokio::select! {
                order = orders.message() => {
                    self.obey(order.ok()??.order?);
                    reports.try_send(self.report()).ok();
                }
                () = tokio::time::sleep(Duration::from_millis(200)) => {
                    reports.try_send(self.report()).ok();
                }
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Assignment(assignment) => {
                let (_, assignment): (TopologyId, Assignment) = assignment.try_into().unwrap();
                let slot = WorkerSlot { supervisor: self.file.supervisor_id.clone(), port: self.file.port };
                let mine = assignment.worker(&slot).map(|worker| worker.number);
                println!("assignment {} lists {mine:?}", assignment.version);
                self.version = assignment.version;
                if mine != Some(self.file.incarnation.number) && !self.behaves("stubborn") {
                    exit(0);
                }
            }
            Order::State(state) => {
                self.is_active = state == TopologyState::Active as i32;
                println!("state {state}");
            }
            Order::Look(round) => {
                self.look = Some(QuietLook { round, ..QuietLook::default() });
            }
            Order::Tuning(_) => {}
            Order::Stop(stop) => {
                println!("stop: {}", stop.reason);
                if !self.behaves("stubborn") {
                    exit(0);
                }
            }
        }
    }
}
