//! The processes of the slots: their start, their end, their logs and binaries.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use storm_model::TopologyId;
use storm_rpc::launch::{
    CONTRACT, MODE_VARIABLE, PORT_VARIABLE, TOPOLOGY_VARIABLE, WORKER_FILE_VARIABLE, WorkerFile,
};
use tokio::time::Instant;

use super::{Message, Parts, Slots, on_disk};
use crate::assignments::Topology;
use crate::container::{self, Launch, Started};
use crate::local_state;
use crate::logs;
use crate::options::Options;
use crate::process::ProcessId;
use crate::slot::{Event, Life, Work};

impl Slots {
    pub(super) fn workers_dir(&self) -> PathBuf {
        self.parts.options.local_dir.join("supervisor/workers")
    }

    pub(super) fn worker_dir(&self, topology: &TopologyId, port: u16) -> PathBuf {
        self.workers_dir().join(format!("{topology}-{port}"))
    }

    pub(super) fn worker_file(&self, topology: &TopologyId, port: u16) -> PathBuf {
        self.worker_dir(topology, port).join("worker.json")
    }

    pub(super) async fn launch(&mut self, port: u16, life: &Life, work: &Work) -> io::Result<ProcessId> {
        let unknown = || io::Error::other(format!("nothing is known of topology '{}'", work.topology));
        let topology = self.assignments.topology(&work.topology).ok_or_else(unknown)?;
        let Options { artifacts_dir, log_limit, .. } = &self.parts.options;
        let directory = self.worker_dir(&topology.id, port);
        let path = self.worker_file(&topology.id, port);
        let file = serde_json::to_vec_pretty(&self.worker_contents(topology, life, port))?;
        let variable = |name: &str, value: String| (name.to_owned(), value);
        let mut environment = Vec::new();
        let of_topology = topology.config.get("topology.environment").and_then(|value| value.as_object());
        for (name, value) in of_topology.into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            environment.push((name.clone(), text));
        }
        // Ours stand last, for the last one counts.
        environment.extend([
            variable(MODE_VARIABLE, "worker".to_owned()),
            (WORKER_FILE_VARIABLE.to_owned(), path.to_string_lossy().into_owned()),
            variable(TOPOLOGY_VARIABLE, topology.name.clone()),
            variable(PORT_VARIABLE, port.to_string()),
        ]);
        let launch = Launch {
            executable: self.parts.localizer.path(&work.digest),
            name: topology.binary.file_name.clone(),
            arguments: topology.arguments.clone(),
            environment,
            directory: directory.clone(),
            log: storm_logs::worker_log(artifacts_dir, topology.id.as_str(), port),
            log_limit: *log_limit,
        };
        on_disk(move || {
            std::fs::create_dir_all(&directory)?;
            local_state::write_file(&path, &file, 0o600)
        })
        .await?;
        let log = launch.log.clone();
        let started = self.parts.spawner.spawn(launch).await?;
        let process = started.process.clone();
        let (topology, incarnation) = (&life.topology, life.incarnation);
        tracing::info!(%topology, port, %incarnation, pid = process.pid, "worker started");
        self.watch_process(port, life.clone(), process.clone(), Some((started, log)));
        Ok(process)
    }

    fn worker_contents(&self, topology: &Topology, life: &Life, port: u16) -> WorkerFile {
        let Parts { options, id, rpc_port, .. } = &self.parts;
        let address = match options.bind.as_str() {
            "0.0.0.0" => "127.0.0.1",
            "::" | "[::]" => "[::1]",
            bind => bind,
        };
        WorkerFile {
            contract: CONTRACT,
            topology_id: topology.id.clone(),
            topology_name: topology.name.clone(),
            supervisor_id: id.clone(),
            host: options.host.clone(),
            bind: options.bind.clone(),
            port,
            incarnation: life.incarnation,
            supervisor_address: format!("{address}:{rpc_port}"),
            nimbus_addresses: self.parts.peers.nimbus_addresses(),
            peer_key: options.secret.peer_key(&topology.id),
            token: options.secret.worker_token(&topology.id, life.incarnation),
            spec_digest: topology.spec_digest.clone(),
            cluster_config: options.cluster_config.clone(),
            submit_config: topology.config.clone().into_iter().collect(),
            executors: topology.executors.iter().map(|(id, count)| (id.to_string(), *count)).collect(),
            events_log: Some(
                storm_logs::worker_log(&options.artifacts_dir, topology.id.as_str(), port)
                    .with_file_name("events.log"),
            ),
        }
    }

    /// Waits for a process's end, whoever started it.
    pub(super) fn watch_process(
        &mut self,
        port: u16,
        life: Life,
        process: ProcessId,
        ours: Option<(Started, PathBuf)>,
    ) {
        let messages = self.parts.messages.clone();
        self.tasks.spawn(async move {
            process.ended().await;
            process.sweep_group();
            // It has ended: this returns at once, and frees its pid.
            let ours = ours.map(|(mut started, log)| (started.child.wait(), started.log_start, log));
            let how = match ours {
                Some((Ok(status), start, log)) => {
                    let says_why = status.code() == Some(1);
                    let words = logs::last_words(&log, start, says_why);
                    let words = words.filter(|_| !container::was_ended(status));
                    let how = container::describe(status);
                    words.map_or(how.clone(), |words| format!("{how}: {words}"))
                }
                Some((Err(_), ..)) | None => "has ended".to_owned(),
            };
            messages.send(Message::Slot { port, event: Event::Exited { life, how } }).await.ok();
        });
    }

    pub(super) fn rotate_logs(&mut self) {
        let Options { artifacts_dir, log_limit, .. } = &self.parts.options;
        let tenants = self.slots.iter().filter_map(|(port, slot)| Some((port, slot.tenant()?)));
        let logs: Vec<PathBuf> = tenants
            .map(|(port, t)| storm_logs::worker_log(artifacts_dir, t.work.topology.as_str(), *port))
            .collect();
        let limit = *log_limit;
        self.tasks.spawn_blocking(move || {
            for log in logs {
                if let Err(error) = storm_logs::rotate_open(&log, limit) {
                    tracing::warn!(log = %log.display(), %error, "cannot rotate a log");
                }
            }
        });
    }

    /// Binaries go only when it is known what the cluster holds.
    pub(super) fn clean(&self) {
        if !self.is_our_cluster {
            return;
        }
        let works = self.slots.values().flat_map(|slot| {
            [slot.wanted().map(|w| w.digest.as_str()), slot.tenant().map(|t| t.work.digest.as_str())]
        });
        let known = self.assignments.topologies().map(|topology| topology.binary.digest.as_str());
        self.parts.localizer.clean(Instant::now(), &works.flatten().chain(known).collect());
    }

    /// The same holds for logs; those of slots that are in use stay.
    pub(super) fn clean_logs(&mut self) {
        if !self.is_our_cluster {
            return;
        }
        let Options { artifacts_dir, log_keep, .. } = &self.parts.options;
        let in_use = self.slots.iter().flat_map(|(port, slot)| {
            let works = [slot.wanted(), slot.tenant().map(|tenant| &tenant.work)];
            works.into_iter().flatten().map(|work| (work.topology.to_string(), *port))
        });
        let in_use = in_use.collect();
        let (artifacts, keep) = (artifacts_dir.clone(), *log_keep);
        self.tasks.spawn_blocking(move || logs::clean(&artifacts, &in_use, keep, SystemTime::now()));
    }
}
