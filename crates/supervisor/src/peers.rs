//! Who else is in the cluster: the Nimbuses that are configured and those that are registered in ZooKeeper, and
//! the other supervisors.
//!
//! What ZooKeeper said last of the Nimbuses counts as long as it says nothing else. Supervisors are looked up
//! when they are needed: each following all others would be a lot to read.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use storm_cluster::{Cluster, NimbusRecord, Snapshot};
use storm_model::SupervisorId;
use storm_rpc::client::Token;
use storm_rpc::nimbus_client::Patience;
use storm_rpc::{CallError, Nimbuses, SupervisorCalls};

/// Other supervisors are read within this time, or not at all.
const READ_WITHIN: Duration = Duration::from_secs(3);

/// The peers of a supervisor.
pub(crate) struct Peers {
    me: SupervisorId,
    token: Token,
    /// The configured ones.
    seeds: Vec<Nimbuses>,
    /// Each by itself, asked once: who asks turns to the next one. The configured ones come first.
    nimbuses: Mutex<Vec<Nimbuses>>,
}

impl Peers {
    /// Those that are configured, as `host:port`.
    ///
    /// # Errors
    /// When an address is none.
    pub(crate) fn new(me: SupervisorId, token: Token, configured: &[String]) -> Result<Peers, CallError> {
        let seeds = configured.iter().map(|address| nimbus(&token, address));
        let seeds = seeds.collect::<Result<Vec<_>, _>>()?;
        Ok(Peers { me, token, nimbuses: Mutex::new(seeds.clone()), seeds })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Nimbuses>> {
        self.nimbuses.lock().expect("never panics while it holds the lock")
    }

    /// Every Nimbus by itself, the configured ones first.
    pub(crate) fn nimbuses(&self) -> Vec<Nimbuses> {
        self.lock().clone()
    }

    /// Where they are, as `host:port`.
    pub(crate) fn nimbus_addresses(&self) -> Vec<String> {
        self.lock().iter().filter_map(address_of).collect()
    }

    /// The other supervisors that are registered now; none when that cannot be read.
    pub(crate) async fn supervisors(&self, cluster: &Cluster) -> Vec<SupervisorCalls> {
        let read = tokio::time::timeout(READ_WITHIN, cluster.supervisors()).await;
        let Ok(Ok(nodes)) = read else { return Vec::new() };
        let records = nodes.into_iter().filter(|(id, _)| *id != self.me).filter_map(|(_, node)| node.ok());
        let addresses = records.map(|record| with_port(&record.value.host, record.value.rpc_port));
        addresses.filter_map(|address| SupervisorCalls::new(&address, self.token.clone()).ok()).collect()
    }

    /// Follows which Nimbuses are registered, for ever.
    pub(crate) async fn follow(&self, cluster: &Cluster) {
        let mut nimbuses = cluster.watch_nimbuses();
        loop {
            if let Snapshot::Present(nodes) = nimbuses.current() {
                let records = nodes.values().filter_map(|node| node.as_ref().ok());
                self.set_nimbuses(records.map(|record| &record.value));
            }
            if nimbuses.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn set_nimbuses<'a>(&self, registered: impl Iterator<Item = &'a NimbusRecord>) {
        let mut known = self.lock();
        let mut nimbuses = self.seeds.clone();
        for address in registered.map(|record| with_port(&record.host, record.port)) {
            let is_it = |nimbus: &&Nimbuses| address_of(nimbus).as_deref() == Some(address.as_str());
            if nimbuses.iter().any(|nimbus| is_it(&nimbus)) {
                continue;
            }
            // One that is known keeps its connection.
            let old = known.iter().find(is_it).cloned();
            nimbuses.extend(old.or_else(|| nimbus(&self.token, &address).ok()));
        }
        *known = nimbuses;
    }
}

fn nimbus(token: &Token, address: &str) -> Result<Nimbuses, CallError> {
    Nimbuses::new([address], token, Patience { unheard: Duration::ZERO, heard: Duration::ZERO })
}

fn address_of(nimbus: &Nimbuses) -> Option<String> {
    nimbus.addresses().first().map(|address| (*address).to_owned())
}

fn with_port(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use super::*;

    #[tokio::test]
    async fn the_configured_ones_come_first_and_the_registered_ones_once() {
        let configured = ["a:1".to_owned(), "b:1".to_owned()];
        let peers = Peers::new("me".into(), Token::new(""), &configured).unwrap();
        let record = |host: &str, port| NimbusRecord {
            host: host.to_owned(),
            port,
            software: String::new(),
            started_ms: 0,
        };
        peers.set_nimbuses([record("b", 1), record("c", 2), record("::1", 3)].iter());
        assert_eq!(peers.nimbus_addresses(), ["a:1", "b:1", "c:2", "[::1]:3"]);
        peers.set_nimbuses([record("c", 2)].iter());
        assert_eq!(peers.nimbus_addresses(), ["a:1", "b:1", "c:2"]);
        peers.set_nimbuses([].iter());
        assert_eq!(peers.nimbus_addresses(), configured);
    }
}
