//! Several writes that happen all or not at all.

use crate::LIMIT;
use crate::client::{Content, Op};
use crate::error::Error;
use crate::paths::Paths;
use crate::records::Record;

/// Writes that are made together. Commit it with [`LeaderToken::multi`](crate::LeaderToken::multi) or,
/// without the leader's fence, with [`Cluster::multi`](crate::Cluster::multi).
#[derive(Clone, Debug)]
pub struct Transaction {
    pub(crate) paths: Paths,
    pub(crate) ops: Vec<Op>,
}

/// What reading again says of one write whose outcome was unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Applied,
    NotApplied,
    Unclear,
}

impl Transaction {
    pub(crate) fn new(paths: Paths) -> Transaction {
        Transaction { paths, ops: Vec::new() }
    }

    /// Adds a node.
    pub fn create(&mut self, path: &str, record: &impl Record) -> &mut Self {
        self.push(Op::Create { path: path.to_owned(), bytes: record.encode(), ephemeral: false })
    }

    /// Overwrites a node, if it still has this version.
    pub fn set(&mut self, path: &str, record: &impl Record, version: i32) -> &mut Self {
        self.push(Op::Set { path: path.to_owned(), bytes: record.encode(), version: Some(version) })
    }

    /// Removes a node, if it still has this version; whatever it has with `None`.
    pub fn delete(&mut self, path: &str, version: Option<i32>) -> &mut Self {
        self.push(Op::Delete { path: path.to_owned(), version })
    }

    /// Lets nothing happen unless a node has this version; any will do with `None`.
    pub fn check(&mut self, path: &str, version: Option<i32>) -> &mut Self {
        self.push(Op::Check { path: path.to_owned(), version: version.unwrap_or(-1) })
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    pub(crate) fn push(&mut self, op: Op) -> &mut Self {
        self.ops.push(op);
        self
    }
}

/// Refuses what ZooKeeper would answer by breaking the connection.
pub(crate) fn check_size(ops: &[Op]) -> Result<(), Error> {
    let too_large = |path: &str, size| Error::TooLarge { path: path.to_owned(), size, limit: LIMIT };
    if let Some(op) = ops.iter().find(|op| op.size() > LIMIT) {
        return Err(too_large(op.path(), op.size()));
    }
    // Some 100 bytes beside the content for what goes with each, so that the whole fits too.
    let whole: usize = ops.iter().map(|op| op.size() + op.path().len() + 100).sum();
    let slack = 40_000;
    match ops.iter().max_by_key(|op| op.size()) {
        Some(largest) if whole > LIMIT + slack => Err(too_large(largest.path(), whole)),
        _ => Ok(()),
    }
}

impl Op {
    /// Whether this was carried out, judged by the node as it is now.
    pub(crate) fn judge(&self, now: Option<&Content>, session: i64) -> Verdict {
        use Verdict::{Applied, NotApplied, Unclear};
        match (self, now) {
            (Op::Create { .. }, None) => NotApplied,
            (Op::Create { bytes, ephemeral, .. }, Some(now)) => {
                let owner = if *ephemeral { session } else { 0 };
                if now.bytes == *bytes && now.owner == owner { Applied } else { NotApplied }
            }
            (Op::Set { version: Some(_), .. }, None) => Unclear,
            (Op::Set { version: None, .. }, None) => NotApplied,
            (Op::Set { bytes, version: Some(version), .. }, Some(now)) => {
                match now.version.wrapping_sub(*version) {
                    1 if now.bytes == *bytes => Applied,
                    0 | 1 => NotApplied,
                    _ => Unclear,
                }
            }
            (Op::Set { bytes, version: None, .. }, Some(now)) => {
                if now.bytes == *bytes {
                    Applied
                } else {
                    NotApplied
                }
            }
            (Op::Delete { .. }, None) => Applied,
            (Op::Delete { .. }, Some(_)) => NotApplied,
            (Op::Check { .. }, _) => Unclear,
        }
    }
}

/// All are carried out or none, so that one certain answer is enough.
pub(crate) fn judge_all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    verdicts.into_iter().fold(Verdict::Unclear, |all, one| match (all, one) {
        (Verdict::NotApplied, _) | (_, Verdict::NotApplied) => Verdict::NotApplied,
        (Verdict::Applied, _) | (_, Verdict::Applied) => Verdict::Applied,
        _ => Verdict::Unclear,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(bytes: &str, version: i32) -> Option<Content> {
        Some(Content { bytes: bytes.into(), version, owner: 0 })
    }

    #[test]
    fn reading_again_tells_what_a_create_came_to() {
        let create = Op::Create { path: "/a".into(), bytes: b"x".into(), ephemeral: false };
        assert_eq!(create.judge(content("x", 0).as_ref(), 7), Verdict::Applied);
        assert_eq!(create.judge(content("y", 0).as_ref(), 7), Verdict::NotApplied);
        assert_eq!(create.judge(None, 7), Verdict::NotApplied);
    }

    #[test]
    fn an_ephemeral_of_another_session_is_not_ours() {
        let create = Op::Create { path: "/a".into(), bytes: b"x".into(), ephemeral: true };
        let now = |owner| Content { bytes: b"x".into(), version: 0, owner };
        assert_eq!(create.judge(Some(&now(7)), 7), Verdict::Applied);
        assert_eq!(create.judge(Some(&now(8)), 7), Verdict::NotApplied);
    }

    #[test]
    fn reading_again_tells_what_a_set_came_to_unless_others_went_on() {
        let set = Op::Set { path: "/a".into(), bytes: b"x".into(), version: Some(3) };
        assert_eq!(set.judge(content("w", 3).as_ref(), 7), Verdict::NotApplied);
        assert_eq!(set.judge(content("x", 4).as_ref(), 7), Verdict::Applied);
        assert_eq!(set.judge(content("y", 4).as_ref(), 7), Verdict::NotApplied);
        assert_eq!(set.judge(content("x", 5).as_ref(), 7), Verdict::Unclear);
        assert_eq!(set.judge(None, 7), Verdict::Unclear);
    }

    #[test]
    fn one_write_that_did_not_happen_stands_for_all() {
        use Verdict::{Applied, NotApplied, Unclear};
        assert_eq!(judge_all([Applied, Unclear]), Applied);
        assert_eq!(judge_all([Applied, NotApplied]), NotApplied);
        assert_eq!(judge_all([Unclear, Unclear]), Unclear);
    }

    #[test]
    fn many_small_writes_are_too_large_together() {
        let op = |n: usize| Op::Create { path: format!("/{n}"), bytes: vec![0; 300_000], ephemeral: false };
        check_size(&(0..3).map(op).collect::<Vec<_>>()).unwrap();
        let error = check_size(&(0..4).map(op).collect::<Vec<_>>()).unwrap_err();
        assert!(matches!(error, Error::TooLarge { size: 1_200_000.., .. }), "{error}");
    }
}
