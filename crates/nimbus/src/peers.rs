//! The other Nimbuses: where they are, who leads, and lines to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use storm_cluster::{Children, Cluster, LeaderRecord, NimbusRecord, Versioned, Watch};
use storm_rpc::client::{self, Line, Token};
use storm_rpc::v1::nimbus_client::NimbusClient;
use storm_rpc::{CallError, Secret};
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;

/// Marks a call that a Nimbus passed on: whoever gets it does not pass it on again.
const PASSED_ON: &str = "storm-passed-on";

/// The other Nimbuses. Clones share their lines.
#[derive(Clone)]
pub(crate) struct Peers(Arc<Inner>);

struct Inner {
    host: String,
    port: u16,
    secret: Secret,
    leader: Watch<Versioned<LeaderRecord>>,
    nimbuses: Watch<Children<String, NimbusRecord>>,
    lines: Mutex<BTreeMap<String, NimbusClient<Line>>>,
}

/// Who leads.
pub(crate) enum Leads {
    /// This process, as ZooKeeper says.
    Me,
    /// The one at this address.
    Other(String),
    /// Nobody, as far as is known.
    Nobody,
}

impl Peers {
    pub(crate) fn new(cluster: &Cluster, host: &str, port: u16, secret: &Secret) -> Peers {
        Peers(Arc::new(Inner {
            host: host.to_owned(),
            port,
            secret: secret.clone(),
            leader: cluster.watch_leader(),
            nimbuses: cluster.watch_nimbuses(),
            lines: Mutex::default(),
        }))
    }

    /// Who leads, as it was last known.
    pub(crate) fn leads(&self) -> Leads {
        match self.leader() {
            None => Leads::Nobody,
            Some((host, port)) if (&*host, port) == (&*self.0.host, self.0.port) => Leads::Me,
            Some((host, port)) => Leads::Other(format!("{host}:{port}")),
        }
    }

    /// Where the leader is.
    pub(crate) fn leader(&self) -> Option<(String, u16)> {
        self.0.leader.current().last().map(|record| (record.value.host.clone(), record.value.port))
    }

    /// All that live, with their addresses.
    pub(crate) fn all(&self) -> Vec<NimbusRecord> {
        let current = self.0.nimbuses.current();
        let children = current.last().into_iter().flat_map(|children| children.values());
        children.flatten().map(|record| record.value.clone()).collect()
    }

    /// The addresses of the others that live, the leader's first.
    pub(crate) fn others(&self, _cluster: &Cluster) -> Vec<String> {
        let leader = self.leader();
        let mut others: Vec<(bool, String)> = self
            .all()
            .into_iter()
            .filter(|record| (&*record.host, record.port) != (&*self.0.host, self.0.port))
            .map(|record| {
                let is_leader = leader.as_ref().is_some_and(|(h, p)| *h == record.host && *p == record.port);
                (!is_leader, format!("{}:{}", record.host, record.port))
            })
            .collect();
        others.sort();
        others.into_iter().map(|(_, address)| address).collect()
    }

    /// A line to the Nimbus at this address.
    pub(crate) fn nimbus(&self, address: &str) -> Result<NimbusClient<Line>, CallError> {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(address) {
            return Ok(line.clone());
        }
        let line = client::nimbus(address, self.token())?;
        lines.insert(address.to_owned(), line.clone());
        Ok(line)
    }

    /// What this process shows to others.
    pub(crate) fn token(&self) -> Token {
        Token::daemon(&self.0.secret)
    }

    /// A call that is passed on.
    pub(crate) fn passed_on<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(PASSED_ON, AsciiMetadataValue::from_static("1"));
        request
    }

    /// Whether a call was passed on by another Nimbus.
    pub(crate) fn is_passed_on<T>(request: &Request<T>) -> bool {
        request.metadata().contains_key(PASSED_ON)
    }
}
