//! Who may call: secrets and what is derived from them.
//!
//! The cluster has one secret. People's commands, Nimbuses and supervisors show a token made of it;
//! a worker gets two keys that tell nothing of it: one for its peers, one for the daemons, bound to
//! its topology and incarnation.
//!
//! ```text
//! daemon token    daemon.<HMAC(secret, "daemon")>
//! worker token    worker.<topology id, percent-encoded>.<number>.<restarts>.<HMAC(secret, "worker", id, number, restarts)>
//! peer key        HMAC(secret, "peers", topology id)
//! ```

use hmac::{Hmac, Mac};
use sha2::Sha256;
use storm_model::{Incarnation, TopologyId};

use crate::launch::hex;

/// Metadata key of the token.
pub const TOKEN_KEY: &str = "storm-token";

/// The secret of a cluster; empty where the cluster has none, then everything is let in.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who knows the secret of the cluster.
    Daemon,
    /// A worker.
    Worker {
        /// Its topology.
        topology: TopologyId,
        /// Its life.
        incarnation: Incarnation,
    },
}

impl Secret {
    /// A secret as it stands in a file: white space around it does not count.
    pub fn new(text: &str) -> Secret {
        Secret(text.trim().as_bytes().to_vec())
    }

    /// No secret: everybody is let in.
    pub fn none() -> Secret {
        Secret(Vec::new())
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// What commands, Nimbuses and supervisors show.
    pub fn daemon_token(&self) -> String {
        format!("daemon.{}", self.mac(&["daemon"]))
    }

    /// What a worker shows to daemons.
    pub fn worker_token(&self, topology: &TopologyId, incarnation: Incarnation) -> String {
        let Incarnation { number, restarts } = incarnation;
        let [n, r] = [number.to_string(), restarts.to_string()];
        let id = encode(topology.as_str());
        format!("worker.{id}.{n}.{r}.{}", self.mac(&["worker", topology.as_str(), &n, &r]))
    }

    /// The key that the workers of a topology show each other that they have.
    pub fn peer_key(&self, topology: &TopologyId) -> String {
        self.mac(&["peers", topology.as_str()])
    }

    /// Who shows this token; `None` when it is not one of this cluster. Without a secret everybody is
    /// a daemon.
    pub fn check(&self, token: Option<&str>) -> Option<Caller> {
        if let Some(rest) = token.and_then(|t| t.strip_prefix("worker.")) {
            let mut parts = rest.split('.');
            let (topology, number, restarts) = (parts.next()?, parts.next()?, parts.next()?);
            let incarnation = Incarnation { number: number.parse().ok()?, restarts: restarts.parse().ok()? };
            let topology = TopologyId::from(decode(topology)?);
            let right = self.worker_token(&topology, incarnation);
            let is_right = self.is_none() || is_same(token?, &right);
            return is_right.then_some(Caller::Worker { topology, incarnation });
        }
        let is_right = self.is_none() || is_same(token?, &self.daemon_token());
        is_right.then_some(Caller::Daemon)
    }

    fn mac(&self, parts: &[&str]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length");
        for part in parts {
            // Lengths keep ("a", "bc") and ("ab", "c") apart.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        hex(&mac.finalize().into_bytes())
    }
}

/// A topology's id in letters that a header may have. A name may have others.
fn encode(id: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02x}").expect("a string takes everything"),
        }
    }
    text
}

fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Takes as long whether texts differ in the first letter or in the last.
fn is_same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_tell_who_calls() {
        let secret = Secret::new("s3cret\n");
        let id = TopologyId::from("words-1-1764000000");
        let life = Incarnation { number: 4, restarts: 2 };
        assert_eq!(secret.check(Some(&secret.daemon_token())), Some(Caller::Daemon));
        let token = secret.worker_token(&id, life);
        let worker = Caller::Worker { topology: id, incarnation: life };
        assert_eq!(secret.check(Some(&token)), Some(worker));
        assert_eq!(secret.check(Some(&token.replace(".4.", ".5."))), None);
        assert_eq!(secret.check(None), None);
        assert_eq!(secret.check(Some("")), None);
        assert_eq!(Secret::new("other").check(Some(&token)), None);
    }

    proptest! {
        #[test]
        fn a_worker_is_known_by_its_token(topology: String, number: u64, restarts: u64) {
            let (secret, topology) = (Secret::new("s3cret"), TopologyId::from(topology));
            let incarnation = Incarnation { number, restarts };
            let token = secret.worker_token(&topology, incarnation);
            prop_assert_eq!(secret.check(Some(&token)), Some(Caller::Worker { topology, incarnation }));
        }

        #[test]
        fn any_text_is_no_token(text in "(daemon|worker)?[.a-z0-9\\PC]*") {
            prop_assert_eq!(Secret::new("s3cret").check(Some(&text)), None);
            Secret::none().check(Some(&text));
        }
    }

    #[test]
    fn a_token_is_fit_for_a_header_whatever_the_topology_is_called() {
        let secret = Secret::new("s3cret");
        for name in ["wörter zählen-1-1764000000", "a.b%c-1-2", "単語-1-2", ""] {
            let id = TopologyId::from(name);
            let token = secret.worker_token(&id, Incarnation::default());
            assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "{token}");
            let worker = Caller::Worker { topology: id, incarnation: Incarnation::default() };
            assert_eq!(secret.check(Some(&token)), Some(worker));
        }
        assert_eq!(secret.check(Some("worker.%é.1.0.x")), None);
    }

    #[test]
    fn without_a_secret_everybody_is_let_in() {
        assert_eq!(Secret::none().check(None), Some(Caller::Daemon));
        assert_eq!(format!("{:?}", Secret::new("x")), "Secret(..)");
    }
}
