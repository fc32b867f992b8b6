//! Every node in ZooKeeper that storm-rs knows, below one root.
//!
//! ```text
//! /storm                          the root: storm.zookeeper.root
//! ├── cluster-id                  which cluster this is
//! ├── leader-lock/…-latch-0000…   one per Nimbus that runs; the lowest number leads
//! ├── leader                      where the leader is reached
//! ├── nimbuses/<host:port>        the Nimbuses that live
//! ├── supervisors/<id>            the supervisors that live
//! ├── storms/<topology-id>        what was submitted, and its state
//! ├── assignments/<topology-id>   who runs it where
//! ├── errors/<topology-id>        its last errors
//! ├── commands/<command-id>       the answers that commands got
//! └── tombstones/<topology-id>    what a user has killed
//! ```

use storm_model::{SupervisorId, TopologyId};

use crate::error::Error;

/// Makes the paths of all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Without a slash at its end: empty for `/`.
    root: String,
}

impl Paths {
    /// Takes the root, such as `/storm`.
    ///
    /// # Errors
    /// [`Error::BadOption`] unless it is an absolute path without empty or relative parts.
    pub fn new(root: &str) -> Result<Paths, Error> {
        let bad = |reason: &str| Error::BadOption {
            reason: format!("storm.zookeeper.root is '{root}': {reason}, as in /storm"),
        };
        let Some(below) = root.strip_prefix('/') else {
            return Err(bad("it must start with '/'"));
        };
        if below.is_empty() {
            return Ok(Paths { root: String::new() });
        }
        if below.split('/').any(|part| part != segment(part) && part != segment(part).replace("%25", "%")) {
            return Err(bad("its parts must be names"));
        }
        if below == "zookeeper" || below.starts_with("zookeeper/") {
            return Err(bad("ZooKeeper keeps /zookeeper for itself; take another one"));
        }
        Ok(Paths { root: root.to_owned() })
    }

    /// The root itself; `/` if it is that.
    pub fn root(&self) -> &str {
        if self.root.is_empty() { "/" } else { &self.root }
    }

    /// Which cluster this is.
    pub fn cluster_id(&self) -> String {
        self.below_root("cluster-id")
    }

    /// The directory of those who lead or would like to.
    pub fn leader_lock(&self) -> String {
        self.below_root("leader-lock")
    }

    /// Where the leader is reached.
    pub fn leader(&self) -> String {
        self.below_root("leader")
    }

    /// The directory of the Nimbuses.
    pub fn nimbuses(&self) -> String {
        self.below_root("nimbuses")
    }

    /// A Nimbus, by the address of its service.
    pub fn nimbus(&self, host: &str, port: u16) -> String {
        child(&self.nimbuses(), &format!("{host}:{port}"))
    }

    /// The directory of the supervisors.
    pub fn supervisors(&self) -> String {
        self.below_root("supervisors")
    }

    /// A supervisor.
    pub fn supervisor(&self, id: &SupervisorId) -> String {
        child(&self.supervisors(), id.as_str())
    }

    /// The directory of the topologies.
    pub fn storms(&self) -> String {
        self.below_root("storms")
    }

    /// A topology.
    pub fn topology(&self, id: &TopologyId) -> String {
        child(&self.storms(), id.as_str())
    }

    /// The directory of the assignments.
    pub fn assignments(&self) -> String {
        self.below_root("assignments")
    }

    /// The assignment of a topology.
    pub fn assignment(&self, id: &TopologyId) -> String {
        child(&self.assignments(), id.as_str())
    }

    /// The directory of the errors.
    pub fn errors(&self) -> String {
        self.below_root("errors")
    }

    /// The errors of a topology.
    pub fn errors_of(&self, id: &TopologyId) -> String {
        child(&self.errors(), id.as_str())
    }

    /// The directory of the commands.
    pub fn commands(&self) -> String {
        self.below_root("commands")
    }

    /// A command that was carried out.
    pub fn command(&self, id: &str) -> String {
        child(&self.commands(), id)
    }

    /// The directory of the tombstones.
    pub fn tombstones(&self) -> String {
        self.below_root("tombstones")
    }

    /// The tombstone of a topology.
    pub fn tombstone(&self, id: &TopologyId) -> String {
        child(&self.tombstones(), id.as_str())
    }

    /// The directories that are there once somebody has connected.
    pub fn directories(&self) -> Vec<String> {
        vec![
            self.leader_lock(),
            self.nimbuses(),
            self.supervisors(),
            self.storms(),
            self.assignments(),
            self.errors(),
            self.commands(),
            self.tombstones(),
        ]
    }

    fn below_root(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }
}

/// The path of a directory's child, whatever its name.
pub fn child(directory: &str, name: &str) -> String {
    format!("{}/{}", directory.trim_end_matches('/'), segment(name))
}

/// A name as one part of a path: what ZooKeeper does not take there is written `%2F`, byte by byte.
pub fn segment(name: &str) -> String {
    // A lone percent sign is the empty name: nothing else is written like that.
    match name {
        "" => return "%".to_owned(),
        "." => return "%2E".to_owned(),
        ".." => return "%2E%2E".to_owned(),
        _ => {}
    }
    let mut segment = String::with_capacity(name.len());
    for c in name.chars() {
        if is_plain(c) {
            segment.push(c);
        } else {
            let mut utf8 = [0; 4];
            for byte in c.encode_utf8(&mut utf8).bytes() {
                segment.push('%');
                segment.extend([byte >> 4, byte & 0xF].map(|digit| {
                    char::from_digit(digit.into(), 16).expect("it is below 16").to_ascii_uppercase()
                }));
            }
        }
    }
    segment
}

/// The name that a part of a path stands for; the part itself if [`segment`] has not made it.
pub fn name_of(part: &str) -> String {
    if part == "%" {
        return String::new();
    }
    let mut name = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            name.push(*first);
            continue;
        }
        let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return part.to_owned();
        };
        name.push((high * 16 + low) as u8);
        rest = &tail[2..];
    }
    String::from_utf8(name).unwrap_or_else(|_| part.to_owned())
}

/// What stands for itself in a path: all but the escape, the separator and what ZooKeeper refuses.
fn is_plain(c: char) -> bool {
    !matches!(c, '%' | '/' | '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_nodes_lie_below_the_root() {
        let paths = Paths::new("/storm").unwrap();
        assert_eq!(paths.cluster_id(), "/storm/cluster-id");
        assert_eq!(paths.nimbus("a", 6627), "/storm/nimbuses/a:6627");
        assert_eq!(paths.topology(&"w-1-2".into()), "/storm/storms/w-1-2");
        assert_eq!(Paths::new("/").unwrap().storms(), "/storms");
        assert_eq!(Paths::new("/a/b").unwrap().leader(), "/a/b/leader");
    }

    #[test]
    fn a_root_that_is_no_path_is_refused() {
        for root in ["", "storm", "/storm/", "//", "/a//b", "/a/../b", "/.", "/a\nb", "/zookeeper"] {
            let error = Paths::new(root).unwrap_err().to_string();
            assert!(error.contains("storm.zookeeper.root"), "{root:?}: {error}");
        }
    }

    #[test]
    fn a_name_cannot_leave_its_directory() {
        let paths = Paths::new("/storm").unwrap();
        assert_eq!(paths.topology(&"../leader".into()), "/storm/storms/..%2Fleader");
        assert_eq!(paths.topology(&"..".into()), "/storm/storms/%2E%2E");
    }

    #[test]
    fn a_part_that_is_not_ours_is_its_own_name() {
        for part in ["%zz", "%2", "a%", "%FF"] {
            assert_eq!(name_of(part), part);
        }
    }

    proptest! {
        #[test]
        fn a_name_comes_back(name in any::<String>()) {
            let part = segment(&name);
            prop_assert!(!part.is_empty() && !part.contains('/') && part != "." && part != "..");
            prop_assert_eq!(name_of(&part), name);
        }

        #[test]
        fn any_part_of_a_path_has_a_name_that_comes_back(part in "\\PC*|[%0-9A-Fa-f]{0,12}") {
            let name = name_of(&part);
            prop_assert_eq!(name_of(&segment(&name)), name);
        }
    }
}
