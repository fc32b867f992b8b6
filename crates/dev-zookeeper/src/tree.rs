//! The tree of znodes: data, stat, ACL and ephemerals, and how to take a change back.
//!
//! What is checked here is the shape of the tree; permissions and versions are for those who ask for
//! the change (`core`). The changes of a multi are made one by one; when one fails, those before it
//! are taken back in reverse order, each with its [`Undo`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::error_code::ErrorCode;
use crate::packet::{Acl, Stat};
use crate::path;

/// A change's place in history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) zxid: i64,
    pub(crate) unix_millis: i64,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Znode {
    pub(crate) data: Option<Vec<u8>>,
    pub(crate) acl: Arc<[Acl]>,
    /// The session it goes with; 0 for a persistent node.
    pub(crate) owner: i64,
    pub(crate) created: Stamp,
    pub(crate) modified: Stamp,
    pub(crate) version: i32,
    pub(crate) aversion: i32,
    /// The children that were ever made: the next sequence number.
    pub(crate) children_made: i32,
    /// The last change of the children.
    pub(crate) pzxid: i64,
    pub(crate) children: BTreeSet<String>,
}

impl Znode {
    pub(crate) fn stat(&self) -> Stat {
        let children = count(self.children.len());
        Stat {
            czxid: self.created.zxid,
            mzxid: self.modified.zxid,
            ctime_ms: self.created.unix_millis,
            mtime_ms: self.modified.unix_millis,
            version: self.version,
            // Every child that is gone was made and deleted: two changes.
            cversion: self.children_made.wrapping_mul(2).wrapping_sub(children),
            aversion: self.aversion,
            ephemeral_owner: self.owner,
            data_length: count(self.data.as_ref().map_or(0, Vec::len)),
            children,
            pzxid: self.pzxid,
        }
    }
}

fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// What takes a change back, and says what it was.
#[derive(Debug)]
pub(crate) enum Undo {
    /// A node was made; its parent was as told.
    Made { path: String, parent_pzxid: i64 },
    /// A node was removed.
    Removed { path: String, node: Box<Znode>, parent_pzxid: i64 },
    /// A node got data.
    DataSet { path: String, data: Option<Vec<u8>>, modified: Stamp, version: i32 },
    /// A node got an ACL.
    AclSet { path: String, acl: Arc<[Acl]>, aversion: i32 },
}

/// All znodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    nodes: BTreeMap<String, Znode>,
    /// The paths of the nodes that go with each session that has some.
    ephemerals: BTreeMap<i64, BTreeSet<String>>,
    /// Bytes of paths and data, as `mntr` tells them.
    data_bytes: usize,
}

impl Default for Tree {
    /// The tree of a new server.
    fn default() -> Tree {
        let mut tree = Tree::empty();
        let stamp = Stamp { zxid: 0, unix_millis: 0 };
        let open: Arc<[Acl]> = Arc::from([open_acl()]);
        for built_in in path::BUILT_IN {
            let node = Znode {
                data: Some(Vec::new()),
                acl: Arc::clone(&open),
                owner: 0,
                created: stamp,
                modified: stamp,
                version: 0,
                aversion: 0,
                children_made: 0,
                pzxid: 0,
                children: BTreeSet::new(),
            };
            tree.restore(built_in.to_owned(), node);
        }
        tree
    }
}

/// Everything for everyone.
pub(crate) fn open_acl() -> Acl {
    Acl { permissions: 0x1f, scheme: "world".to_owned(), id: "anyone".to_owned() }
}

impl Tree {
    /// A tree without even a root, to be filled by [`Tree::restore`].
    pub(crate) fn empty() -> Tree {
        Tree { nodes: BTreeMap::new(), ephemerals: BTreeMap::new(), data_bytes: 0 }
    }

    pub(crate) fn get(&self, path: &str) -> Result<&Znode, ErrorCode> {
        self.nodes.get(path).ok_or(ErrorCode::NoNode)
    }

    fn get_mut(&mut self, path: &str) -> Result<&mut Znode, ErrorCode> {
        self.nodes.get_mut(path).ok_or(ErrorCode::NoNode)
    }

    /// All nodes with their paths, parents before their children.
    pub(crate) fn nodes(&self) -> impl ExactSizeIterator<Item = (&String, &Znode)> {
        self.nodes.iter()
    }

    /// The number of all nodes below `path`.
    pub(crate) fn descendants(&self, path: &str) -> usize {
        let prefix = path::prefix_of_descendants(path);
        let from_prefix = self.nodes.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        from_prefix
            .take_while(|(below, _)| below.starts_with(&prefix))
            .filter(|(below, _)| *below != path)
            .count()
    }

    /// The paths of a session's nodes, in order.
    pub(crate) fn ephemerals(&self, session: i64) -> impl Iterator<Item = &String> {
        self.ephemerals.get(&session).into_iter().flatten()
    }

    /// The number of nodes that go with a session.
    pub(crate) fn ephemeral_count(&self) -> usize {
        self.ephemerals.values().map(BTreeSet::len).sum()
    }

    pub(crate) fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    /// Makes a node.
    pub(crate) fn make(
        &mut self,
        path: &str,
        data: Option<Vec<u8>>,
        acl: Arc<[Acl]>,
        owner: i64,
        stamp: Stamp,
    ) -> Result<Undo, ErrorCode> {
        if self.nodes.contains_key(path) {
            return Err(ErrorCode::NodeExists);
        }
        let parent = self.get_mut(path::parent(path).ok_or(ErrorCode::BadArguments)?)?;
        if parent.owner != 0 {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let parent_pzxid = std::mem::replace(&mut parent.pzxid, stamp.zxid);
        parent.children_made = parent.children_made.wrapping_add(1);
        let node = Znode {
            data,
            acl,
            owner,
            created: stamp,
            modified: stamp,
            version: 0,
            aversion: 0,
            children_made: 0,
            pzxid: stamp.zxid,
            children: BTreeSet::new(),
        };
        self.restore(path.to_owned(), node);
        Ok(Undo::Made { path: path.to_owned(), parent_pzxid })
    }

    /// Removes a node.
    pub(crate) fn remove(&mut self, path: &str, stamp: Stamp) -> Result<Undo, ErrorCode> {
        if !self.get(path)?.children.is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        let parent = self.get_mut(path::parent(path).ok_or(ErrorCode::BadArguments)?)?;
        let parent_pzxid = std::mem::replace(&mut parent.pzxid, stamp.zxid);
        let node = Box::new(self.take_out(path));
        Ok(Undo::Removed { path: path.to_owned(), node, parent_pzxid })
    }

    /// Sets a node's data; its version goes up by one.
    pub(crate) fn set_data(
        &mut self,
        path: &str,
        data: Option<Vec<u8>>,
        stamp: Stamp,
    ) -> Result<Undo, ErrorCode> {
        let node = self.get_mut(path)?;
        let (before, after) = (node.data.as_ref().map_or(0, Vec::len), data.as_ref().map_or(0, Vec::len));
        let data = std::mem::replace(&mut node.data, data);
        let modified = std::mem::replace(&mut node.modified, stamp);
        let version = node.version;
        node.version = version.wrapping_add(1);
        self.data_bytes = self.data_bytes - before + after;
        Ok(Undo::DataSet { path: path.to_owned(), data, modified, version })
    }

    /// Sets a node's ACL; the version of the ACL goes up by one.
    pub(crate) fn set_acl(&mut self, path: &str, acl: Arc<[Acl]>) -> Result<Undo, ErrorCode> {
        let node = self.get_mut(path)?;
        let acl = std::mem::replace(&mut node.acl, acl);
        let aversion = node.aversion;
        node.aversion = aversion.wrapping_add(1);
        Ok(Undo::AclSet { path: path.to_owned(), acl, aversion })
    }

    /// Takes a change back; it must be the newest that has not been taken back.
    pub(crate) fn revert(&mut self, undo: Undo) {
        const INVARIANT: &str = "changes are taken back in reverse order";
        match undo {
            Undo::Made { path, parent_pzxid } => {
                self.take_out(&path);
                let parent = self.get_mut(path::parent(&path).expect(INVARIANT)).expect(INVARIANT);
                parent.children_made = parent.children_made.wrapping_sub(1);
                parent.pzxid = parent_pzxid;
            }
            Undo::Removed { path, node, parent_pzxid } => {
                let parent = self.get_mut(path::parent(&path).expect(INVARIANT)).expect(INVARIANT);
                parent.pzxid = parent_pzxid;
                self.restore(path, *node);
            }
            Undo::DataSet { path, data, modified, version } => {
                let node = self.nodes.get_mut(&path).expect(INVARIANT);
                let (now, then) = (node.data.as_ref().map_or(0, Vec::len), data.as_ref().map_or(0, Vec::len));
                (node.data, node.modified, node.version) = (data, modified, version);
                self.data_bytes = self.data_bytes - now + then;
            }
            Undo::AclSet { path, acl, aversion } => {
                let node = self.get_mut(&path).expect(INVARIANT);
                (node.acl, node.aversion) = (acl, aversion);
            }
        }
    }

    /// Puts a node in as it is, and in among its parent's children. Tells whether the parent is there.
    pub(crate) fn restore(&mut self, path: String, node: Znode) -> bool {
        let mut has_parent = true;
        if let Some(parent) = path::parent(&path) {
            match self.nodes.get_mut(parent) {
                Some(parent) => drop(parent.children.insert(path::name(&path).to_owned())),
                None => has_parent = false,
            }
        }
        if node.owner != 0 {
            self.ephemerals.entry(node.owner).or_default().insert(path.clone());
        }
        self.data_bytes += path.len() + node.data.as_ref().map_or(0, Vec::len);
        self.nodes.insert(path, node);
        has_parent
    }

    /// The opposite of [`Tree::restore`], of a node that is there.
    fn take_out(&mut self, path: &str) -> Znode {
        let node = self.nodes.remove(path).expect("the node is there");
        if let Some(parent) = path::parent(path).and_then(|parent| self.nodes.get_mut(parent)) {
            parent.children.remove(path::name(path));
        }
        if let Some(paths) = self.ephemerals.get_mut(&node.owner) {
            paths.remove(path);
            if paths.is_empty() {
                self.ephemerals.remove(&node.owner);
            }
        }
        self.data_bytes -= path.len() + node.data.as_ref().map_or(0, Vec::len);
        node
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Change {
        Make(String, i64),
        Remove(String),
        SetData(String, Vec<u8>),
        SetAcl(String),
    }

    fn change() -> impl Strategy<Value = Change> {
        let path = || proptest::string::string_regex("(/[abc]){1,3}").expect("it is an expression");
        prop_oneof![
            (path(), prop_oneof![Just(0), 1..4_i64]).prop_map(|(path, owner)| Change::Make(path, owner)),
            path().prop_map(Change::Remove),
            (path(), vec(any::<u8>(), 0..5)).prop_map(|(path, data)| Change::SetData(path, data)),
            path().prop_map(Change::SetAcl),
        ]
    }

    fn apply(tree: &mut Tree, change: Change, zxid: i64) -> Option<Undo> {
        let stamp = Stamp { zxid, unix_millis: zxid * 10 };
        let acl: Arc<[Acl]> = Arc::from([open_acl()]);
        match change {
            Change::Make(path, owner) => tree.make(&path, None, acl, owner, stamp),
            Change::Remove(path) => tree.remove(&path, stamp),
            Change::SetData(path, data) => tree.set_data(&path, Some(data), stamp),
            Change::SetAcl(path) => tree.set_acl(&path, acl),
        }
        .ok()
    }

    proptest! {
        #[test]
        fn changes_taken_back_leave_no_trace(before in vec(change(), 0..20), tried in vec(change(), 0..20)) {
            let mut tree = Tree::default();
            for (change, zxid) in before.into_iter().zip(1..) {
                apply(&mut tree, change, zxid);
            }
            let wanted = tree.clone();
            let undo: Vec<Undo> = tried.into_iter().filter_map(|change| apply(&mut tree, change, 99)).collect();
            undo.into_iter().rev().for_each(|undo| tree.revert(undo));
            prop_assert_eq!(tree, wanted);
        }
    }

    #[test]
    fn a_new_tree_has_zookeepers_own_nodes() {
        let tree = Tree::default();
        let paths: Vec<&String> = tree.nodes().map(|(path, _)| path).collect();
        assert_eq!(paths, path::BUILT_IN.each_ref());
        assert_eq!(tree.descendants("/"), 3);
        assert_eq!(tree.descendants("/zookeeper"), 2);
        // As ZooKeeper has it: its own child was never counted as made.
        assert_eq!(tree.get("/").unwrap().stat().cversion, -1);
    }

    #[test]
    fn siblings_with_the_same_prefix_are_no_descendants() {
        let mut tree = Tree::default();
        for (path, zxid) in ["/a", "/a/b", "/a/b/c", "/ab", "/a-b"].into_iter().zip(1..) {
            apply(&mut tree, Change::Make(path.to_owned(), 0), zxid).expect("its parent is there");
        }
        assert_eq!(tree.descendants("/a"), 2);
    }
}
