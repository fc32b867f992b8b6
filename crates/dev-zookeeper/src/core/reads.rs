//! Requests of a session, and the operations among them that change watches at most.

use super::{ConnectionId, Core, EventKind, Outcome};
use crate::acl::{self, Identity, permission};
use crate::error_code::ErrorCode;
use crate::jute::Jute;
use crate::packet::{
    Children2Response, ChildrenResponse, CountResponse, CreateResponse, ErrorResponse, GetAclResponse,
    GetDataResponse, Multi, MultiResponse, MultiResult, Operation as _, PathRequest, ReadOp, Request,
    SetWatches2Request, SetWatchesRequest, StatResponse, WatchRequest, WatcherRequest, WhoAmIResponse,
    WriteOp,
};
use crate::tree::Znode;
use crate::watches::Which;

/// The zxid of an event that tells what a client has missed.
const NO_ZXID: i64 = -1;

impl Core {
    /// Serves a request.
    pub(super) fn serve(&mut self, id: ConnectionId, session: i64, request: Request) -> Outcome {
        match request {
            Request::Create(body) => self.serve_write(id, session, WriteOp::Create(body)),
            Request::Create2(body) => self.serve_write(id, session, WriteOp::Create2(body)),
            Request::CreateContainer(body) => self.serve_write(id, session, WriteOp::CreateContainer(body)),
            Request::CreateTtl(body) => self.serve_write(id, session, WriteOp::CreateTtl(body)),
            Request::Delete(body) => self.serve_write(id, session, WriteOp::Delete(body)),
            Request::SetData(body) => self.serve_write(id, session, WriteOp::SetData(body)),
            Request::Check(body) => self.serve_write(id, session, WriteOp::Check(body)),
            Request::Multi(Multi(ops)) => Ok(self.write_multi(id, session, ops).to_bytes()),
            Request::SetAcl(body) => self.set_acl(id, body).map(|response| response.to_bytes()),
            Request::Exists(body) => self.exists(id, &body),
            Request::GetData(body) => {
                let response = self.get_data(id, &body.path)?;
                if body.watch {
                    self.watches.watch_data(&body.path, id);
                }
                Ok(response.to_bytes())
            }
            Request::GetChildren(body) => {
                let children = self.get_children(id, &body)?.children;
                Ok(ChildrenResponse { children }.to_bytes())
            }
            Request::GetChildren2(body) => Ok(self.get_children(id, &body)?.to_bytes()),
            Request::MultiRead(Multi(ops)) => Ok(self.multi_read(id, &ops).to_bytes()),
            Request::GetAcl(PathRequest { path }) => self.get_acl(id, &path),
            Request::GetAllChildrenNumber(PathRequest { path }) => {
                self.readable(id, &path)?;
                let count = i32::try_from(self.state.tree.descendants(&path)).unwrap_or(i32::MAX);
                Ok(CountResponse { count }.to_bytes())
            }
            Request::GetEphemerals(PathRequest { path }) => {
                let paths = self.state.tree.ephemerals(session);
                let children = paths.filter(|ephemeral| ephemeral.starts_with(&path)).cloned().collect();
                Ok(ChildrenResponse { children }.to_bytes())
            }
            // There is no other server that could be ahead.
            Request::Sync(PathRequest { path }) => Ok(CreateResponse { path }.to_bytes()),
            Request::WhoAmI(_) => {
                let clients = self.identities(id).iter().map(Identity::info).collect();
                Ok(WhoAmIResponse { clients }.to_bytes())
            }
            Request::AddWatch(WatcherRequest { path, kind }) => {
                match kind {
                    0 => self.watches.watch_persistently(&path, id),
                    1 => self.watches.watch_recursively(&path, id),
                    _ => return Err(ErrorCode::MarshallingError),
                }
                Ok(ErrorResponse { error: 0 }.to_bytes())
            }
            Request::CheckWatches(WatcherRequest { path, kind }) => {
                let which = Which::from_number(kind).ok_or(ErrorCode::MarshallingError)?;
                if self.watches.contains(&path, id, which) {
                    Ok(Vec::new())
                } else {
                    Err(ErrorCode::NoWatcher)
                }
            }
            Request::RemoveWatches(WatcherRequest { path, kind }) => {
                let which = Which::from_number(kind).ok_or(ErrorCode::MarshallingError)?;
                if self.watches.remove(&path, id, which) { Ok(Vec::new()) } else { Err(ErrorCode::NoWatcher) }
            }
            Request::SetWatches(SetWatchesRequest { since_zxid, data, exist, child }) => {
                let (persistent, recursive) = (Vec::new(), Vec::new());
                self.set_watches(
                    id,
                    SetWatches2Request { since_zxid, data, exist, child, persistent, recursive },
                );
                Ok(Vec::new())
            }
            Request::SetWatches2(body) => {
                self.set_watches(id, body);
                Ok(Vec::new())
            }
            Request::Reconfig(_) => Err(ErrorCode::ReconfigDisabled),
            Request::Ping(_) | Request::Auth(_) | Request::CloseSession(_) => Ok(Vec::new()),
        }
    }

    fn serve_write(&mut self, id: ConnectionId, session: i64, op: WriteOp) -> Outcome {
        let mut body = Vec::new();
        self.write_one(id, session, op)?.write_body(&mut body);
        Ok(body)
    }

    fn readable(&self, id: ConnectionId, path: &str) -> Result<&Znode, ErrorCode> {
        let node = self.state.tree.get(path)?;
        self.check_acl(id, &node.acl, permission::READ)?;
        Ok(node)
    }

    fn exists(&mut self, id: ConnectionId, request: &WatchRequest) -> Outcome {
        // A node that is not there can be watched, too.
        if request.watch {
            self.watches.watch_data(&request.path, id);
        }
        let stat = self.state.tree.get(&request.path)?.stat();
        Ok(StatResponse { stat }.to_bytes())
    }

    fn get_data(&self, id: ConnectionId, path: &str) -> Result<GetDataResponse, ErrorCode> {
        let node = self.readable(id, path)?;
        Ok(GetDataResponse { data: node.data.clone(), stat: node.stat() })
    }

    fn get_children(
        &mut self,
        id: ConnectionId,
        request: &WatchRequest,
    ) -> Result<Children2Response, ErrorCode> {
        let node = self.readable(id, &request.path)?;
        let response =
            Children2Response { children: node.children.iter().cloned().collect(), stat: node.stat() };
        if request.watch {
            self.watches.watch_children(&request.path, id);
        }
        Ok(response)
    }

    fn multi_read(&self, id: ConnectionId, ops: &[ReadOp]) -> MultiResponse {
        let read = |op: &ReadOp| match op {
            ReadOp::GetData(body) => self.get_data(id, &body.path).map(MultiResult::GetData),
            ReadOp::GetChildren(body) => self.readable(id, &body.path).map(|node| {
                MultiResult::GetChildren(ChildrenResponse {
                    children: node.children.iter().cloned().collect(),
                })
            }),
        };
        let error = |code: ErrorCode| MultiResult::Error(ErrorResponse { error: code.number() });
        MultiResponse(ops.iter().map(|op| read(op).unwrap_or_else(error)).collect())
    }

    fn get_acl(&self, id: ConnectionId, path: &str) -> Outcome {
        let node = self.state.tree.get(path)?;
        self.check_acl(id, &node.acl, permission::READ | permission::ADMIN)?;
        let may_set = self.check_acl(id, &node.acl, permission::ADMIN).is_ok();
        let acl = if may_set { node.acl.to_vec() } else { acl::masked(&node.acl) };
        Ok(GetAclResponse { acl, stat: node.stat() }.to_bytes())
    }

    /// Sets the watches of a client that has come back, or tells what has happened meanwhile.
    fn set_watches(&mut self, id: ConnectionId, request: SetWatches2Request) {
        let SetWatches2Request { since_zxid, data, exist, child, persistent, recursive } = request;
        for path in data {
            match self.state.tree.get(&path) {
                Err(_) => self.send_event(id, EventKind::Deleted, &path, NO_ZXID),
                Ok(node) if node.modified.zxid > since_zxid => {
                    self.send_event(id, EventKind::DataChanged, &path, NO_ZXID);
                }
                Ok(_) => self.watches.watch_data(&path, id),
            }
        }
        for path in exist {
            match self.state.tree.get(&path) {
                Ok(_) => self.send_event(id, EventKind::Created, &path, NO_ZXID),
                Err(_) => self.watches.watch_data(&path, id),
            }
        }
        for path in child {
            match self.state.tree.get(&path) {
                Err(_) => self.send_event(id, EventKind::Deleted, &path, NO_ZXID),
                Ok(node) if node.pzxid > since_zxid => {
                    self.send_event(id, EventKind::ChildrenChanged, &path, NO_ZXID);
                }
                Ok(_) => self.watches.watch_children(&path, id),
            }
        }
        persistent.iter().for_each(|path| self.watches.watch_persistently(path, id));
        recursive.iter().for_each(|path| self.watches.watch_recursively(path, id));
    }
}
