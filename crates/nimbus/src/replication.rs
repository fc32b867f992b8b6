//! Blobs on several Nimbuses: every Nimbus fetches what the topologies need and it lacks, and removes
//! what no topology needs any more.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use storm_cluster::{Cluster, Snapshot};
use storm_rpc::v1::{BlobChunk, BlobRef};
use storm_rpc::{CallError, SupervisorCalls};
use tokio::sync::{mpsc, watch};

use crate::blobstore::BlobStore;
use crate::clock::Clock;
use crate::error::BlobError;
use crate::identity::Remembered;
use crate::options::Options;
use crate::peers::Peers;

/// How long it may take until the first chunk of a blob comes.
const FIRST_CHUNK_WITHIN: Duration = Duration::from_secs(5);
/// How long it may take until the next one comes.
const CHUNK_WITHIN: Duration = Duration::from_secs(20);
/// How often what is missing is looked for again, and what is unused is counted.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Pause between two rounds of asking the other Nimbuses to fetch a blob.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Gets blobs from others and to others.
#[derive(Clone)]
pub(crate) struct Replication {
    pub(crate) blobs: BlobStore,
    pub(crate) cluster: Cluster,
    pub(crate) peers: Peers,
}

impl Replication {
    /// Sees to it that a blob is here: fetches it from any Nimbus, or else from any supervisor.
    pub(crate) async fn fetch(&self, blob: &BlobRef) -> Result<(), BlobError> {
        self.blobs.path(&blob.digest)?;
        if self.blobs.has(&blob.digest) {
            return Ok(());
        }
        let _held = self.blobs.hold(&blob.digest);
        for address in self.peers.others(&self.cluster) {
            let Ok(mut nimbus) = self.peers.nimbus(&address) else { continue };
            let request = self.peers.passed_on(blob.clone());
            let answer = tokio::time::timeout(FIRST_CHUNK_WITHIN, nimbus.download_blob(request)).await;
            if let Ok(Ok(stream)) = answer
                && self.take(&address, blob, stream.into_inner()).await
            {
                return Ok(());
            }
        }
        let supervisors = match self.cluster.supervisors().await {
            Ok(supervisors) => supervisors,
            Err(_) => return Err(BlobError::Nowhere(blob.digest.clone())),
        };
        for record in supervisors.into_values().flatten() {
            let address = format!("{}:{}", record.value.host, record.value.rpc_port);
            let Ok(supervisor) = SupervisorCalls::new(&address, self.peers.token()) else { continue };
            if let Ok(stream) = supervisor.download_blob(blob.clone()).await
                && self.take(&address, blob, stream).await
            {
                return Ok(());
            }
        }
        Err(BlobError::Nowhere(blob.digest.clone()))
    }

    async fn take(&self, address: &str, blob: &BlobRef, stream: tonic::Streaming<BlobChunk>) -> bool {
        let wanted = blob.clone();
        // Whatever the other one calls it, it must be what was asked for.
        let chunks = futures_util::stream::unfold((stream, true), move |(mut stream, is_first)| {
            let wanted = wanted.clone();
            async move {
                let chunk = match tokio::time::timeout(CHUNK_WITHIN, stream.message()).await {
                    Ok(Ok(None)) => return None,
                    Ok(Ok(Some(chunk))) => Ok(chunk),
                    Ok(Err(status)) => Err(CallError::from(status).to_string()),
                    Err(_) => Err(format!("no data for {} s", CHUNK_WITHIN.as_secs())),
                };
                let named = chunk.map(|mut chunk: BlobChunk| {
                    let size = chunk.blob.as_ref().map_or(wanted.size, |blob| blob.size);
                    chunk.blob = is_first.then_some(BlobRef { size, digest: wanted.digest });
                    chunk
                });
                Some((named, (stream, false)))
            }
        });
        let chunks = Box::pin(chunks);
        match self.blobs.receive(chunks).await {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(address, digest = blob.digest, %error, "cannot fetch a blob");
                false
            }
        }
    }

    /// Asks the other Nimbuses to fetch a blob that is here, until so many have it, all that live have
    /// it, or the time is over. Tells how many have it, and how many live.
    pub(crate) async fn spread(&self, blob: &BlobRef, wanted: usize, patience: Duration) -> (usize, usize) {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let others = self.peers.others(&self.cluster);
            let asked = others.iter().map(|address| self.ask(address, blob));
            let have = 1 + join_all(asked).await.into_iter().filter(|has_it| *has_it).count();
            let live = 1 + others.len();
            let is_over = tokio::time::Instant::now() + ASK_AGAIN > deadline;
            if have >= wanted.min(live) || is_over {
                return (have, live);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn ask(&self, address: &str, blob: &BlobRef) -> bool {
        let Ok(mut nimbus) = self.peers.nimbus(address) else { return false };
        let request = self.peers.passed_on(blob.clone());
        let answer = tokio::time::timeout(CHUNK_WITHIN, nimbus.has_blob(request)).await;
        matches!(answer, Ok(Ok(reply)) if reply.get_ref().has_it)
    }

    /// Follows the topologies for as long as this Nimbus runs; tells what is wrong.
    pub(crate) async fn follow(self, options: Options, clock: Clock, problems: watch::Sender<Vec<String>>) {
        let mut topologies = self.cluster.watch_topologies();
        let remembered = Remembered::new(&options.directory());
        let (fetched, mut done) = mpsc::channel(1);
        let mut fetching = false;
        loop {
            if let Snapshot::Present(children) = topologies.current() {
                let known = children.values().flatten().map(|record| &record.value);
                let missing: Vec<_> =
                    known.clone().filter(|record| !self.blobs.has(&record.binary.digest)).cloned().collect();
                // Until this was said for the first time, nobody knows.
                problems.send_replace(
                    missing
                        .iter()
                        .map(|record| format!("the binary of topology '{}' is missing here", record.name))
                        .collect(),
                );
                if !missing.is_empty() && !fetching {
                    fetching = true;
                    let (replication, fetched) = (self.clone(), fetched.clone());
                    tokio::spawn(async move {
                        for record in missing {
                            let blob = BlobRef { digest: record.binary.digest, size: record.binary.size };
                            if let Err(error) = replication.fetch(&blob).await {
                                tracing::debug!(topology = %record.id, %error, "its binary is missing here");
                            }
                        }
                        fetched.send(()).await.ok();
                    });
                }
                // Who cannot read one record does not know what is used.
                let is_whole = children.values().all(Result::is_ok);
                if is_whole && self.is_ours(&remembered).await {
                    let used: BTreeSet<String> = known.map(|record| record.binary.digest.clone()).collect();
                    self.blobs.clean(clock.now(), &used, options.blob_deletion_delay);
                }
            }
            tokio::select! {
                changed = topologies.changed() => if changed.is_err() { return },
                _ = done.recv() => fetching = false,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Whether ZooKeeper belongs to the cluster that this Nimbus remembers.
    async fn is_ours(&self, remembered: &Remembered) -> bool {
        match self.cluster.cluster_id().await {
            Ok(Some(found)) => remembered.agree(Some(&found.value.id)).is_ok(),
            _ => false,
        }
    }
}
