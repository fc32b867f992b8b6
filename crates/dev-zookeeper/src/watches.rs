//! Watches: which connection is told of which change.
//!
//! As in ZooKeeper 3.9, each connection has at most one watch of each mode for a path and a kind, a
//! one-shot watch goes with the event that it tells, and the modes do not disturb each other.
//!
//! | mode | is told of |
//! |---|---|
//! | one-shot, data | the node's making, deletion and data |
//! | one-shot, children | the node's deletion, and of children that come and go |
//! | persistent | both, again and again |
//! | persistent recursive | making, deletion and data of the node and of all below it |

use std::collections::{BTreeMap, BTreeSet};

use crate::core::ConnectionId;
use crate::path;

/// What has happened to a node; the numbers are ZooKeeper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum EventKind {
    Created = 1,
    Deleted = 2,
    DataChanged = 3,
    ChildrenChanged = 4,
}

/// How a watch watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    OneShot = 1,
    Persistent = 2,
    Recursive = 4,
}

/// Which watches a client means when it removes some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Children,
    Data,
    Any,
    Persistent,
    Recursive,
}

impl Which {
    pub(crate) fn from_number(number: i32) -> Option<Which> {
        [Which::Children, Which::Data, Which::Any, Which::Persistent, Which::Recursive]
            .into_iter()
            .zip(1..)
            .find_map(|(which, known)| (known == number).then_some(which))
    }

    /// The modes that are meant, as bits, among the watches for data and for children.
    fn modes(self) -> (u8, u8) {
        match self {
            Which::Children => (0, Mode::OneShot as u8),
            Which::Data => (Mode::OneShot as u8, 0),
            Which::Any => (u8::MAX, u8::MAX),
            Which::Persistent => (Mode::Persistent as u8, Mode::Persistent as u8),
            Which::Recursive => (Mode::Recursive as u8, 0),
        }
    }
}

/// All watches of all connections.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    data: Table,
    children: Table,
}

impl Watches {
    /// Watches a node's data, or that it comes to be, once.
    pub(crate) fn watch_data(&mut self, path: &str, connection: ConnectionId) {
        self.data.add(path, connection, Mode::OneShot);
    }

    /// Watches a node's children once.
    pub(crate) fn watch_children(&mut self, path: &str, connection: ConnectionId) {
        self.children.add(path, connection, Mode::OneShot);
    }

    /// Watches a node until the watch is removed.
    pub(crate) fn watch_persistently(&mut self, path: &str, connection: ConnectionId) {
        self.data.add(path, connection, Mode::Persistent);
        self.children.add(path, connection, Mode::Persistent);
    }

    /// Watches a node and all below it until the watch is removed.
    pub(crate) fn watch_recursively(&mut self, path: &str, connection: ConnectionId) {
        self.data.add(path, connection, Mode::Recursive);
    }

    /// Removes watches; tells whether there were any.
    pub(crate) fn remove(&mut self, path: &str, connection: ConnectionId, which: Which) -> bool {
        let (data, children) = which.modes();
        self.data.remove(path, connection, data) | self.children.remove(path, connection, children)
    }

    /// Whether there are such watches.
    pub(crate) fn contains(&self, path: &str, connection: ConnectionId, which: Which) -> bool {
        let (data, children) = which.modes();
        self.data.modes(path, connection) & data != 0 || self.children.modes(path, connection) & children != 0
    }

    /// Forgets a connection.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.data.forget(connection);
        self.children.forget(connection);
    }

    /// The number of watches.
    pub(crate) fn count(&self) -> usize {
        self.data.count() + self.children.count()
    }

    /// Those to be told that something happened to a node; their one-shot watches are used up.
    pub(crate) fn trigger(&mut self, path: &str, event: EventKind) -> BTreeSet<ConnectionId> {
        let mut told = BTreeSet::new();
        if event != EventKind::ChildrenChanged {
            self.data.trigger(path, &mut told);
        }
        if matches!(event, EventKind::ChildrenChanged | EventKind::Deleted) {
            self.children.trigger(path, &mut told);
        }
        told
    }
}

#[derive(Debug, Default)]
struct Table {
    /// Per path and connection the modes, as bits; never 0.
    by_path: BTreeMap<String, BTreeMap<ConnectionId, u8>>,
    by_connection: BTreeMap<ConnectionId, BTreeSet<String>>,
    /// How many recursive watches there are: without any, nobody looks at the nodes above.
    recursive: usize,
}

impl Table {
    fn add(&mut self, path: &str, connection: ConnectionId, mode: Mode) {
        let modes = self.by_path.entry(path.to_owned()).or_default().entry(connection).or_default();
        if mode == Mode::Recursive && *modes & Mode::Recursive as u8 == 0 {
            self.recursive += 1;
        }
        *modes |= mode as u8;
        self.by_connection.entry(connection).or_default().insert(path.to_owned());
    }

    fn modes(&self, path: &str, connection: ConnectionId) -> u8 {
        self.by_path.get(path).and_then(|watchers| watchers.get(&connection)).copied().unwrap_or(0)
    }

    fn remove(&mut self, path: &str, connection: ConnectionId, modes: u8) -> bool {
        let Some(watchers) = self.by_path.get_mut(path) else { return false };
        let Some(present) = watchers.get_mut(&connection) else { return false };
        let removed = *present & modes;
        *present &= !modes;
        if removed & Mode::Recursive as u8 != 0 {
            self.recursive -= 1;
        }
        if *present == 0 {
            watchers.remove(&connection);
            if watchers.is_empty() {
                self.by_path.remove(path);
            }
            if let Some(paths) = self.by_connection.get_mut(&connection) {
                paths.remove(path);
                if paths.is_empty() {
                    self.by_connection.remove(&connection);
                }
            }
        }
        removed != 0
    }

    fn forget(&mut self, connection: ConnectionId) {
        for path in self.by_connection.get(&connection).cloned().unwrap_or_default() {
            self.remove(&path, connection, u8::MAX);
        }
    }

    fn count(&self) -> usize {
        self.by_path.values().map(BTreeMap::len).sum()
    }

    fn trigger(&mut self, path: &str, told: &mut BTreeSet<ConnectionId>) {
        let here: Vec<ConnectionId> =
            self.by_path.get(path).into_iter().flat_map(BTreeMap::keys).copied().collect();
        for connection in here {
            told.insert(connection);
            self.remove(path, connection, Mode::OneShot as u8);
        }
        if self.recursive > 0 {
            let mut at = path;
            while let Some(above) = path::parent(at) {
                let watchers = self.by_path.get(above).into_iter().flatten();
                let recursive = watchers.filter(|(_, modes)| **modes & Mode::Recursive as u8 != 0);
                told.extend(recursive.map(|(connection, _)| *connection));
                at = above;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectionId = ConnectionId(1);
    const TWO: ConnectionId = ConnectionId(2);

    fn told(watches: &mut Watches, path: &str, event: EventKind) -> Vec<u64> {
        watches.trigger(path, event).into_iter().map(|connection| connection.0).collect()
    }

    #[test]
    fn a_one_shot_watch_tells_once() {
        let mut watches = Watches::default();
        watches.watch_data("/a", ONE);
        watches.watch_data("/a", ONE);
        watches.watch_children("/a", TWO);
        assert_eq!(told(&mut watches, "/a", EventKind::DataChanged), [1]);
        assert_eq!(told(&mut watches, "/a", EventKind::DataChanged), []);
        assert_eq!(told(&mut watches, "/a", EventKind::ChildrenChanged), [2]);
        assert_eq!(watches.count(), 0);
    }

    #[test]
    fn a_deletion_is_told_once_to_who_watches_data_and_children() {
        let mut watches = Watches::default();
        watches.watch_data("/a", ONE);
        watches.watch_children("/a", ONE);
        assert_eq!(told(&mut watches, "/a", EventKind::Deleted), [1]);
        assert_eq!(watches.count(), 0);
    }

    #[test]
    fn a_persistent_watch_stays() {
        let mut watches = Watches::default();
        watches.watch_persistently("/a", ONE);
        for event in
            [EventKind::Created, EventKind::DataChanged, EventKind::ChildrenChanged, EventKind::Deleted]
        {
            assert_eq!(told(&mut watches, "/a", event), [1]);
            assert_eq!(told(&mut watches, "/a/b", event), []);
        }
    }

    #[test]
    fn a_recursive_watch_is_told_of_all_below_but_of_no_children() {
        let mut watches = Watches::default();
        watches.watch_recursively("/a", ONE);
        watches.watch_recursively("/", TWO);
        for event in [EventKind::Created, EventKind::DataChanged, EventKind::Deleted] {
            assert_eq!(told(&mut watches, "/a", event), [1, 2]);
            assert_eq!(told(&mut watches, "/a/b/c", event), [1, 2]);
            assert_eq!(told(&mut watches, "/ab", event), [2]);
        }
        assert_eq!(told(&mut watches, "/a", EventKind::ChildrenChanged), []);
    }

    #[test]
    fn modes_do_not_disturb_each_other() {
        let mut watches = Watches::default();
        watches.watch_persistently("/a", ONE);
        watches.watch_data("/a", ONE);
        assert_eq!(told(&mut watches, "/a", EventKind::DataChanged), [1]);
        assert_eq!(told(&mut watches, "/a", EventKind::DataChanged), [1]);
        assert!(!watches.remove("/a", ONE, Which::Data));
        assert!(watches.contains("/a", ONE, Which::Persistent));
        assert!(watches.remove("/a", ONE, Which::Any));
        assert!(!watches.remove("/a", ONE, Which::Any));
        assert_eq!(watches.count(), 0);
    }

    #[test]
    fn a_forgotten_connection_is_told_nothing() {
        let mut watches = Watches::default();
        watches.watch_recursively("/", ONE);
        watches.watch_children("/a", ONE);
        watches.forget(ONE);
        assert_eq!(told(&mut watches, "/a", EventKind::Deleted), []);
        assert_eq!((watches.count(), watches.data.recursive), (0, 0));
    }
}
