//! Operations that change the state: checked, applied, given out as a transaction, told to watches.

use super::{ConnectionId, Core, Effect, Happened};
use crate::acl::{self, permission};
use crate::error_code::ErrorCode;
use crate::packet::{
    Create2Response, CreateRequest, CreateResponse, ErrorResponse, MultiResponse, MultiResult, Nothing,
    SetAclRequest, SetDataRequest, StatResponse, VersionedRequest, WriteOp,
};
use crate::path;
use crate::state::{Change, Make, Remove, SetAcl, SetData, Txn};
use crate::tree::{Stamp, Tree, Undo};
use crate::watches::EventKind;

/// What has been done of a transaction.
#[derive(Default)]
struct Draft {
    changes: Vec<Change>,
    undo: Vec<Undo>,
    happened: Vec<Happened>,
}

/// How a node is to be made.
struct CreateMode {
    is_ephemeral: bool,
    is_sequential: bool,
}

impl CreateMode {
    fn from_flags(flags: i32) -> Result<CreateMode, ErrorCode> {
        let (is_ephemeral, is_sequential) = match flags {
            0 => (false, false),
            1 => (true, false),
            2 => (false, true),
            3 => (true, true),
            // A container: it would go some time after its last child; here it stays.
            4 => (false, false),
            // With a time to live: ZooKeeper has it switched off unless told otherwise.
            5 | 6 => return Err(ErrorCode::Unimplemented),
            _ => return Err(ErrorCode::BadArguments),
        };
        Ok(CreateMode { is_ephemeral, is_sequential })
    }
}

impl Core {
    /// Makes a change that cannot be refused for its permissions.
    pub(super) fn commit_one(&mut self, change: Change) -> Result<(), ErrorCode> {
        let stamp = self.next_stamp();
        let mut draft = Draft::default();
        self.draft(change, stamp, &mut draft)?;
        self.commit(draft, stamp);
        Ok(())
    }

    /// Does one operation.
    pub(super) fn write_one(
        &mut self,
        id: ConnectionId,
        session: i64,
        op: WriteOp,
    ) -> Result<MultiResult, ErrorCode> {
        let stamp = self.next_stamp();
        let mut draft = Draft::default();
        let result = self.try_op(id, session, op, stamp, &mut draft)?;
        self.commit(draft, stamp);
        Ok(result)
    }

    /// Does all operations or none.
    pub(super) fn write_multi(&mut self, id: ConnectionId, session: i64, ops: Vec<WriteOp>) -> MultiResponse {
        let stamp = self.next_stamp();
        let mut draft = Draft::default();
        let mut results = Vec::new();
        let count = ops.len();
        for op in ops {
            match self.try_op(id, session, op, stamp, &mut draft) {
                Ok(result) => results.push(result),
                Err(code) => {
                    draft.undo.into_iter().rev().for_each(|undo| self.state.tree.revert(undo));
                    return refused(count, results.len(), code);
                }
            }
        }
        self.commit(draft, stamp);
        MultiResponse(results)
    }

    pub(super) fn set_acl(
        &mut self,
        id: ConnectionId,
        request: SetAclRequest,
    ) -> Result<StatResponse, ErrorCode> {
        let SetAclRequest { path, acl, version } = request;
        check_path(&path)?;
        let acl = acl::settle(&acl, self.identities(id))?;
        let node = self.state.tree.get(&path)?;
        self.check_acl(id, &node.acl, permission::ADMIN)?;
        check_version(version, node.aversion)?;
        self.commit_one(Change::SetAcl(SetAcl { path: path.clone(), acl }))?;
        Ok(StatResponse { stat: self.state.tree.get(&path)?.stat() })
    }

    fn try_op(
        &mut self,
        id: ConnectionId,
        session: i64,
        op: WriteOp,
        stamp: Stamp,
        draft: &mut Draft,
    ) -> Result<MultiResult, ErrorCode> {
        match op {
            WriteOp::Create(request) => {
                let path = self.create(id, session, request, stamp, draft)?;
                Ok(MultiResult::Create(CreateResponse { path }))
            }
            WriteOp::Create2(request) => {
                let path = self.create(id, session, request, stamp, draft)?;
                let stat = self.state.tree.get(&path)?.stat();
                Ok(MultiResult::Create2(Create2Response { path, stat }))
            }
            WriteOp::CreateContainer(request) => {
                let path = self.create(id, session, request, stamp, draft)?;
                let stat = self.state.tree.get(&path)?.stat();
                Ok(MultiResult::CreateContainer(Create2Response { path, stat }))
            }
            WriteOp::CreateTtl(_) => Err(ErrorCode::Unimplemented),
            WriteOp::Delete(VersionedRequest { path, version }) => {
                if path::BUILT_IN.contains(&path.as_str()) {
                    return Err(ErrorCode::BadArguments);
                }
                let parent = self.state.tree.get(path::parent(&path).ok_or(ErrorCode::BadArguments)?)?;
                let node = self.state.tree.get(&path)?;
                self.check_acl(id, &parent.acl, permission::DELETE)?;
                check_version(version, node.version)?;
                self.draft(Change::Remove(Remove { path }), stamp, draft)?;
                Ok(MultiResult::Delete(Nothing {}))
            }
            WriteOp::SetData(SetDataRequest { path, data, version }) => {
                check_path(&path)?;
                let node = self.state.tree.get(&path)?;
                self.check_acl(id, &node.acl, permission::WRITE)?;
                check_version(version, node.version)?;
                self.draft(Change::SetData(SetData { path: path.clone(), data }), stamp, draft)?;
                Ok(MultiResult::SetData(StatResponse { stat: self.state.tree.get(&path)?.stat() }))
            }
            WriteOp::Check(VersionedRequest { path, version }) => {
                check_path(&path)?;
                let node = self.state.tree.get(&path)?;
                self.check_acl(id, &node.acl, permission::READ)?;
                check_version(version, node.version)?;
                Ok(MultiResult::Check(Nothing {}))
            }
        }
    }

    /// Makes a node; the answer is its path.
    fn create(
        &mut self,
        id: ConnectionId,
        session: i64,
        request: CreateRequest,
        stamp: Stamp,
        draft: &mut Draft,
    ) -> Result<String, ErrorCode> {
        let CreateRequest { mut path, data, acl, flags } = request;
        let mode = CreateMode::from_flags(flags)?;
        if path == "/" {
            return Err(ErrorCode::NodeExists);
        }
        let parent_path = path::parent(&path).ok_or(ErrorCode::BadArguments)?;
        let acl = acl::settle(&acl, self.identities(id))?;
        let parent = self.state.tree.get(parent_path)?;
        self.check_acl(id, &parent.acl, permission::CREATE)?;
        if mode.is_sequential {
            path = format!("{path}{:010}", parent.children_made);
        }
        check_path(&path)?;
        let owner = if mode.is_ephemeral { session } else { 0 };
        self.draft(Change::Make(Make { path: path.clone(), data, acl, owner }), stamp, draft)?;
        Ok(path)
    }

    /// Applies a change as part of a transaction.
    fn draft(&mut self, change: Change, stamp: Stamp, draft: &mut Draft) -> Result<(), ErrorCode> {
        let done = draft.undo.len();
        self.state.change(&change, stamp, &mut draft.undo)?;
        draft.changes.push(change);
        let tree = &self.state.tree;
        draft.happened.extend(draft.undo.iter().skip(done).flat_map(|undo| happened(undo, tree)));
        Ok(())
    }

    /// Gives out what has been applied as one transaction, and tells those who watch.
    fn commit(&mut self, draft: Draft, stamp: Stamp) {
        if draft.changes.is_empty() {
            return;
        }
        self.state.zxid = stamp.zxid;
        self.effects.push(Effect::Append(Txn { stamp, changes: draft.changes }));
        for happened in draft.happened {
            self.tell(&happened, stamp.zxid);
        }
    }
}

/// The results of a multi whose operation number `failed` was refused.
fn refused(count: usize, failed: usize, code: ErrorCode) -> MultiResponse {
    let error = |index: usize| match index.cmp(&failed) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => code.number(),
        std::cmp::Ordering::Greater => ErrorCode::RuntimeInconsistency.number(),
    };
    MultiResponse((0..count).map(|index| MultiResult::Error(ErrorResponse { error: error(index) })).collect())
}

fn check_path(path: &str) -> Result<(), ErrorCode> {
    if path::is_valid(path) { Ok(()) } else { Err(ErrorCode::BadArguments) }
}

fn check_version(expected: i32, version: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == version { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

/// What a change, just applied, means to those who watch.
fn happened(undo: &Undo, tree: &Tree) -> Vec<Happened> {
    let of = |kind, path: &str| {
        let acl = tree.get(path).map(|node| node.acl.clone()).unwrap_or_default();
        Happened { kind, path: path.to_owned(), acl }
    };
    let of_parent = |path: &str| of(EventKind::ChildrenChanged, path::parent(path).unwrap_or("/"));
    match undo {
        Undo::Made { path, .. } => vec![of(EventKind::Created, path), of_parent(path)],
        Undo::Removed { path, node, .. } => {
            let acl = node.acl.clone();
            vec![Happened { kind: EventKind::Deleted, path: path.clone(), acl }, of_parent(path)]
        }
        Undo::DataSet { path, .. } => vec![of(EventKind::DataChanged, path)],
        Undo::AclSet { .. } => Vec::new(),
    }
}
