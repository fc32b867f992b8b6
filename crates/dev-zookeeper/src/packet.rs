//! The packets of the client protocol.
//!
//! ```text
//! frame      int length of the rest, at most 1,048,575
//! client     ConnectRequest, then requests: int xid, int operation, body
//! server     ConnectResponse, then
//!              replies, in the order of the requests: int xid, long zxid, int error, body if error = 0
//!              events of watches: int -1, long zxid, int 0, WatcherEvent
//! multi      of each operation: int type, boolean false, int error (a request: -1), body;
//!            at the end: int -1, boolean true, int -1
//! ```

use bytes::{Buf, Bytes, BytesMut};

use crate::jute::{Input, Jute, JuteError, record};

/// The longest frame that is taken, in bytes: ZooKeeper's default for `jute.maxbuffer`.
pub(crate) const FRAME_MAX: usize = 1_048_575;

/// The xid of a watch's event.
pub(crate) const XID_EVENT: i32 = -1;
/// The xid of a ping.
pub(crate) const XID_PING: i32 = -2;

/// A frame longer than [`FRAME_MAX`], or with a negative length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes; at most {FRAME_MAX} are allowed")]
pub(crate) struct FrameError(i32);

/// Takes the next whole frame, without its length, off the front of what has been received.
pub(crate) fn next_frame(received: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = received.first_chunk() else { return Ok(None) };
    let claimed = i32::from_be_bytes(*prefix);
    let length =
        usize::try_from(claimed).ok().filter(|length| *length <= FRAME_MAX).ok_or(FrameError(claimed))?;
    if received.len() - prefix.len() < length {
        return Ok(None);
    }
    received.advance(size_of::<i32>());
    Ok(Some(received.split_to(length).freeze()))
}

/// Puts the length before a packet.
pub(crate) fn frame(packet: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(size_of::<i32>() + packet.len());
    i32::try_from(packet.len()).expect("no answer holds 2 GiB").write(&mut out);
    out.extend_from_slice(packet);
    Bytes::from(out)
}

/// A framed reply; `body` is written for a success only.
pub(crate) fn reply(xid: i32, zxid: i64, error: i32, body: &[u8]) -> Bytes {
    let mut packet = ReplyHeader { xid, zxid, error }.to_bytes();
    packet.extend_from_slice(body);
    frame(&packet)
}

// === Connecting ===

/// The first packet of a client. The last field is missing in packets of old clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectRequest {
    pub(crate) begin: ConnectRequestBegin,
    pub(crate) read_only: Option<bool>,
}

record! {
    /// All of a [`ConnectRequest`] that is always there.
    ConnectRequestBegin {
        protocol: i32,
        last_zxid_seen: i64,
        timeout_ms: i32,
        session: i64,
        password: Option<Vec<u8>>,
    }
}

impl Jute for ConnectRequest {
    fn write(&self, out: &mut Vec<u8>) {
        self.begin.write(out);
        if let Some(read_only) = self.read_only {
            read_only.write(out);
        }
    }

    fn read(input: &mut Input) -> Result<ConnectRequest, JuteError> {
        let begin = Jute::read(input)?;
        let read_only = if input.is_empty() { None } else { Some(bool::read(input)?) };
        Ok(ConnectRequest { begin, read_only })
    }
}

record! {
    /// The answer to a [`ConnectRequest`]; behind it stands a boolean if the client sent one.
    ConnectResponse { protocol: i32, timeout_ms: i32, session: i64, password: Option<Vec<u8>> }
}

// === Headers ===

record! {
    RequestHeader { xid: i32, op: i32 }
}
record! {
    ReplyHeader { xid: i32, zxid: i64, error: i32 }
}
record! {
    MultiHeader { op: i32, done: bool, error: i32 }
}
/// Ends the operations of a multi and their results.
const MULTI_END: MultiHeader = MultiHeader { op: -1, done: true, error: -1 };

// === Parts ===

record! {
    /// Who may do what.
    Acl { permissions: i32, scheme: String, id: String }
}
record! {
    /// What a client learns of a znode besides its data.
    #[derive(Copy)]
    Stat {
        czxid: i64,
        mzxid: i64,
        ctime_ms: i64,
        mtime_ms: i64,
        version: i32,
        cversion: i32,
        aversion: i32,
        ephemeral_owner: i64,
        data_length: i32,
        children: i32,
        pzxid: i64,
    }
}
record! {
    /// Who a client is, by one scheme.
    ClientInfo { scheme: String, user: String }
}

// === Bodies of requests ===

record! {
    Nothing {}
}
record! {
    CreateRequest { path: String, data: Option<Vec<u8>>, acl: Vec<Acl>, flags: i32 }
}
record! {
    CreateTtlRequest { path: String, data: Option<Vec<u8>>, acl: Vec<Acl>, flags: i32, ttl_ms: i64 }
}
record! {
    PathRequest { path: String }
}
record! {
    VersionedRequest { path: String, version: i32 }
}
record! {
    WatchRequest { path: String, watch: bool }
}
record! {
    SetDataRequest { path: String, data: Option<Vec<u8>>, version: i32 }
}
record! {
    SetAclRequest { path: String, acl: Vec<Acl>, version: i32 }
}
record! {
    WatcherRequest { path: String, kind: i32 }
}
record! {
    AuthRequest { kind: i32, scheme: String, auth: Option<Vec<u8>> }
}
record! {
    SetWatchesRequest { since_zxid: i64, data: Vec<String>, exist: Vec<String>, child: Vec<String> }
}
record! {
    SetWatches2Request {
        since_zxid: i64,
        data: Vec<String>,
        exist: Vec<String>,
        child: Vec<String>,
        persistent: Vec<String>,
        recursive: Vec<String>,
    }
}

/// A request that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("unknown operation {0}")]
    UnknownOp(i32),
    #[error(transparent)]
    Malformed(#[from] JuteError),
}

/// One of several things, each with a number and a body of its own.
pub(crate) trait Operation: Sized {
    fn op(&self) -> i32;
    fn write_body(&self, out: &mut Vec<u8>);
    fn read_body(op: i32, input: &mut Input) -> Result<Self, RequestError>;
}

/// Declares an enum of operations: variant, its number, its body.
macro_rules! operations {
    ($(#[$meta:meta])* $name:ident { $($op:ident = $number:literal: $body:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) enum $name {
            $($op($body),)*
        }

        impl $crate::packet::Operation for $name {
            fn op(&self) -> i32 {
                match self {
                    $($name::$op(_) => $number,)*
                }
            }

            fn write_body(&self, out: &mut Vec<u8>) {
                match self {
                    $($name::$op(body) => $crate::jute::Jute::write(body, out),)*
                }
            }

            fn read_body(
                op: i32,
                input: &mut $crate::jute::Input,
            ) -> Result<$name, $crate::packet::RequestError> {
                match op {
                    $($number => Ok($name::$op($crate::jute::Jute::read(input)?)),)*
                    _ => Err($crate::packet::RequestError::UnknownOp(op)),
                }
            }
        }

        #[cfg(test)]
        impl proptest::arbitrary::Arbitrary for $name {
            type Parameters = ();
            type Strategy = proptest::strategy::BoxedStrategy<$name>;

            fn arbitrary_with((): ()) -> Self::Strategy {
                use proptest::prelude::*;
                proptest::strategy::Union::new([$(any::<$body>().prop_map($name::$op).boxed(),)*]).boxed()
            }
        }
    };
}
pub(crate) use operations;

impl From<RequestError> for JuteError {
    fn from(error: RequestError) -> JuteError {
        match error {
            RequestError::UnknownOp(op) => JuteError::Kind(op),
            RequestError::Malformed(error) => error,
        }
    }
}

operations! {
    /// What a client may ask for.
    Request {
        Create = 1: CreateRequest,
        Delete = 2: VersionedRequest,
        Exists = 3: WatchRequest,
        GetData = 4: WatchRequest,
        SetData = 5: SetDataRequest,
        GetAcl = 6: PathRequest,
        SetAcl = 7: SetAclRequest,
        GetChildren = 8: WatchRequest,
        Sync = 9: PathRequest,
        Ping = 11: Nothing,
        GetChildren2 = 12: WatchRequest,
        Check = 13: VersionedRequest,
        Multi = 14: Multi<WriteOp>,
        Create2 = 15: CreateRequest,
        Reconfig = 16: Nothing,
        CheckWatches = 17: WatcherRequest,
        RemoveWatches = 18: WatcherRequest,
        CreateContainer = 19: CreateRequest,
        CreateTtl = 21: CreateTtlRequest,
        MultiRead = 22: Multi<ReadOp>,
        Auth = 100: AuthRequest,
        SetWatches = 101: SetWatchesRequest,
        GetEphemerals = 103: PathRequest,
        GetAllChildrenNumber = 104: PathRequest,
        SetWatches2 = 105: SetWatches2Request,
        AddWatch = 106: WatcherRequest,
        WhoAmI = 107: Nothing,
        CloseSession = -11: Nothing,
    }
}

operations! {
    /// What a multi may hold.
    WriteOp {
        Create = 1: CreateRequest,
        Delete = 2: VersionedRequest,
        SetData = 5: SetDataRequest,
        Check = 13: VersionedRequest,
        Create2 = 15: CreateRequest,
        CreateContainer = 19: CreateRequest,
        CreateTtl = 21: CreateTtlRequest,
    }
}

operations! {
    /// What a multi of reads may hold.
    ReadOp {
        GetData = 4: WatchRequest,
        GetChildren = 8: WatchRequest,
    }
}

/// The operations of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Multi<Op>(pub(crate) Vec<Op>);

impl<Op: Operation> Jute for Multi<Op> {
    fn write(&self, out: &mut Vec<u8>) {
        for op in &self.0 {
            MultiHeader { op: op.op(), done: false, error: -1 }.write(out);
            op.write_body(out);
        }
        MULTI_END.write(out);
    }

    fn read(input: &mut Input) -> Result<Multi<Op>, JuteError> {
        let mut ops = Vec::new();
        loop {
            let header = MultiHeader::read(input)?;
            if header.done {
                return Ok(Multi(ops));
            }
            ops.push(Op::read_body(header.op, input)?);
        }
    }
}

// === Bodies of replies ===

record! {
    CreateResponse { path: String }
}
record! {
    Create2Response { path: String, stat: Stat }
}
record! {
    StatResponse { stat: Stat }
}
record! {
    GetDataResponse { data: Option<Vec<u8>>, stat: Stat }
}
record! {
    GetAclResponse { acl: Vec<Acl>, stat: Stat }
}
record! {
    ChildrenResponse { children: Vec<String> }
}
record! {
    Children2Response { children: Vec<String>, stat: Stat }
}
record! {
    CountResponse { count: i32 }
}
record! {
    ErrorResponse { error: i32 }
}
record! {
    WhoAmIResponse { clients: Vec<ClientInfo> }
}
record! {
    /// What a watch has seen.
    WatcherEvent { kind: i32, state: i32, path: String }
}

operations! {
    /// What came of an operation of a multi. An error has the type -1.
    MultiResult {
        Create = 1: CreateResponse,
        Delete = 2: Nothing,
        GetData = 4: GetDataResponse,
        SetData = 5: StatResponse,
        GetChildren = 8: ChildrenResponse,
        Check = 13: Nothing,
        Create2 = 15: Create2Response,
        CreateContainer = 19: Create2Response,
        Error = -1: ErrorResponse,
    }
}

/// What came of the operations of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MultiResponse(pub(crate) Vec<MultiResult>);

impl Jute for MultiResponse {
    fn write(&self, out: &mut Vec<u8>) {
        for result in &self.0 {
            let error = if let MultiResult::Error(body) = result { body.error } else { 0 };
            MultiHeader { op: result.op(), done: false, error }.write(out);
            result.write_body(out);
        }
        MULTI_END.write(out);
    }

    fn read(input: &mut Input) -> Result<MultiResponse, JuteError> {
        let mut results = Vec::new();
        loop {
            let header = MultiHeader::read(input)?;
            if header.done {
                return Ok(MultiResponse(results));
            }
            results.push(MultiResult::read_body(header.op, input)?);
        }
    }
}

#[cfg(test)]
mod tests;
