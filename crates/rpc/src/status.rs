//! What goes wrong with a call: one table from our code to the exit code, the text in JSON and the
//! code of gRPC.
//!
//! | code | exit | JSON, trailer `storm-error` | gRPC |
//! |---|---|---|---|
//! | `Other` | 1 | `other` | INTERNAL |
//! | `Usage` | 2 | `usage` | INVALID_ARGUMENT |
//! | `NoSuchTopology` | 3 | `no-such-topology` | NOT_FOUND |
//! | `NameTaken` | 4 | `name-taken` | ALREADY_EXISTS |
//! | `Invalid` | 5 | `invalid` | FAILED_PRECONDITION |
//! | `Unreachable` | 6 | `unreachable`; `no-leader` in the trailer | UNAVAILABLE |
//! | `NotAuthenticated` | 7 | `not-authenticated` | UNAUTHENTICATED |
//! | `WaitRanOut` | 8 | `wait-ran-out` | DEADLINE_EXCEEDED |

use std::error::Error as _;

use thiserror::Error;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Code, Status};

/// Trailer with the code of an error.
pub const ERROR_KEY: &str = "storm-error";
/// Trailer with the advice, in printable ASCII; other bytes as `%` and two digits.
pub const ADVICE_KEY: &str = "storm-advice";

/// What kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ErrorCode {
    /// None of the others.
    Other = 1,
    /// The command is written wrong.
    Usage = 2,
    /// No topology has this name.
    NoSuchTopology = 3,
    /// A topology has this name already.
    NameTaken = 4,
    /// The topology, its configuration or its binary is not valid, or does not fit the cluster.
    Invalid = 5,
    /// Nobody answers, or nobody leads.
    Unreachable = 6,
    /// The secret is missing or another one.
    NotAuthenticated = 7,
    /// The effect that was waited for did not come in time.
    WaitRanOut = 8,
}

impl ErrorCode {
    const ALL: [ErrorCode; 8] = [
        Self::Other,
        Self::Usage,
        Self::NoSuchTopology,
        Self::NameTaken,
        Self::Invalid,
        Self::Unreachable,
        Self::NotAuthenticated,
        Self::WaitRanOut,
    ];

    /// What a command that ends with it gives to the shell.
    pub fn exit_code(self) -> u8 {
        self as u8
    }

    /// Its text in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Usage => "usage",
            Self::NoSuchTopology => "no-such-topology",
            Self::NameTaken => "name-taken",
            Self::Invalid => "invalid",
            Self::Unreachable => "unreachable",
            Self::NotAuthenticated => "not-authenticated",
            Self::WaitRanOut => "wait-ran-out",
        }
    }

    fn on_the_wire(self) -> &'static str {
        // A server that can be reached and yet cannot serve has no leader.
        if self == Self::Unreachable { "no-leader" } else { self.as_str() }
    }

    fn from_wire(text: &str) -> ErrorCode {
        let found = Self::ALL.into_iter().find(|code| code.on_the_wire() == text || code.as_str() == text);
        found.unwrap_or(Self::Other)
    }

    fn grpc(self) -> Code {
        match self {
            Self::Other => Code::Internal,
            Self::Usage => Code::InvalidArgument,
            Self::NoSuchTopology => Code::NotFound,
            Self::NameTaken => Code::AlreadyExists,
            Self::Invalid => Code::FailedPrecondition,
            Self::Unreachable => Code::Unavailable,
            Self::NotAuthenticated => Code::Unauthenticated,
            Self::WaitRanOut => Code::DeadlineExceeded,
        }
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a call failed: what and why in the message, what to do in the advice.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct CallError {
    /// What kind.
    pub code: ErrorCode,
    /// What, and why.
    pub message: String,
    /// What to do; empty where nobody knows.
    pub advice: String,
}

impl CallError {
    /// An error without advice.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> CallError {
        CallError { code, message: message.into(), advice: String::new() }
    }

    /// The same with advice.
    #[must_use]
    pub fn advise(self, advice: impl Into<String>) -> CallError {
        CallError { advice: advice.into(), ..self }
    }

    /// None of the other kinds.
    pub fn other(message: impl Into<String>) -> CallError {
        CallError::new(ErrorCode::Other, message)
    }

    /// The topology, its configuration or its binary is not valid.
    pub fn invalid(message: impl Into<String>) -> CallError {
        CallError::new(ErrorCode::Invalid, message)
    }

    /// The command is written wrong.
    pub fn usage(message: impl Into<String>) -> CallError {
        CallError::new(ErrorCode::Usage, message)
    }

    /// No topology has this name.
    pub fn no_such_topology(name: &str) -> CallError {
        CallError::new(ErrorCode::NoSuchTopology, format!("there is no topology '{name}'"))
            .advise("`storm-rs list` shows those that run")
    }

    /// A topology has this name already.
    pub fn name_taken(name: &str) -> CallError {
        CallError::new(ErrorCode::NameTaken, format!("there is a topology '{name}' already"))
            .advise(format!("choose another with --name, or end it first: `storm-rs kill {name} --wait`"))
    }

    /// No Nimbus leads.
    pub fn no_leader() -> CallError {
        CallError::new(ErrorCode::Unreachable, "no Nimbus leads at the moment").advise(
            "try again in a few seconds; if it stays so, look at ZooKeeper and at the logs of the Nimbuses",
        )
    }

    /// The leader waits for ZooKeeper, and has no time.
    pub fn busy() -> CallError {
        CallError::new(ErrorCode::Unreachable, "the leader is busy: ZooKeeper does not answer it in time")
            .advise(
                "try again in a few seconds; if it stays so, look at ZooKeeper: `storm-rs health zookeeper`",
            )
    }

    /// The secret is missing or another one.
    pub fn not_authenticated() -> CallError {
        CallError::new(ErrorCode::NotAuthenticated, "the call does not show the secret of this cluster")
            .advise(
                "'storm.cluster.secret.file' must name the file with the cluster's secret, here and there",
            )
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Status {
        let mut metadata = MetadataMap::new();
        metadata.insert(ERROR_KEY, AsciiMetadataValue::from_static(error.code.on_the_wire()));
        if !error.advice.is_empty() {
            let advice = AsciiMetadataValue::try_from(escape(&error.advice)).expect("printable ASCII");
            metadata.insert(ADVICE_KEY, advice);
        }
        Status::with_metadata(error.code.grpc(), error.message, metadata)
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> CallError {
        let text = |key| status.metadata().get(key).and_then(|value| value.to_str().ok());
        if let Some(code) = text(ERROR_KEY).map(ErrorCode::from_wire) {
            let advice = text(ADVICE_KEY).map(unescape).unwrap_or_default();
            return CallError { code, message: status.message().to_owned(), advice };
        }
        let message = with_causes(&status);
        match status.code() {
            Code::Unauthenticated => CallError { message, ..CallError::not_authenticated() },
            Code::Unimplemented => CallError::other(message).advise(
                "the daemon knows no such call: it is of another version, or not a daemon of storm-rs",
            ),
            _ if may_be_retried(&status) => CallError::new(ErrorCode::Unreachable, message),
            _ => CallError::other(message),
        }
    }
}

/// Whether the same call, with the same command id, may succeed a little later or elsewhere: the
/// connection broke, nobody answered, nobody leads.
pub fn may_be_retried(status: &Status) -> bool {
    if let Some(code) = status.metadata().get(ERROR_KEY) {
        return code == ErrorCode::Unreachable.on_the_wire();
    }
    match status.code() {
        Code::Unavailable | Code::Cancelled | Code::Unknown | Code::DeadlineExceeded => true,
        // Of the transport, not of a server.
        Code::Internal => status.source().is_some(),
        _ => false,
    }
}

/// A message with those of its causes: the transport's own message is "transport error".
fn with_causes(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut next = status.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if text.is_empty() || text == "transport error" {
            text = words;
        } else if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    if text.is_empty() { status.code().to_string() } else { text }
}

fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | 0..=31 | 127.. => write!(escaped, "%{byte:02x}").expect("a string takes everything"),
            _ => escaped.push(char::from(byte)),
        }
    }
    escaped
}

/// Takes what is not escaped as [`escape`] does for what it is.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| byte == b'%') {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_error_survives_the_wire() {
        for code in ErrorCode::ALL {
            let error = CallError::new(code, "what: why").advise("do 100 % of 'this',\nfür jetzt");
            assert_eq!(CallError::from(Status::from(error.clone())), error);
        }
        let plain = CallError::other("why");
        assert_eq!(CallError::from(Status::from(plain.clone())), plain);
    }

    proptest! {
        #[test]
        fn any_advice_survives_the_wire(message: String, advice: String) {
            let error = CallError::other(message).advise(advice);
            prop_assert_eq!(CallError::from(Status::from(error.clone())), error);
        }

        #[test]
        fn advice_of_others_is_taken_as_it_is(text in "[ -~%]*|[%0-9a-f]{0,12}") {
            let mut metadata = MetadataMap::new();
            metadata.insert(ERROR_KEY, AsciiMetadataValue::try_from(&text).unwrap());
            metadata.insert(ADVICE_KEY, AsciiMetadataValue::try_from(&text).unwrap());
            let error = CallError::from(Status::with_metadata(Code::Internal, "why", metadata));
            prop_assert_eq!(error.message, "why");
            prop_assert!(text.contains('%') || error.advice == text);
        }
    }

    #[test]
    fn only_what_may_pass_is_retried() {
        assert!(may_be_retried(&CallError::no_leader().into()));
        assert!(may_be_retried(&Status::unavailable("connection refused")));
        assert!(!may_be_retried(&CallError::no_such_topology("a").into()));
        assert!(!may_be_retried(&CallError::new(ErrorCode::WaitRanOut, "").into()));
        assert!(!may_be_retried(&Status::unimplemented("")));
        assert!(!may_be_retried(&Status::internal("a panic")));
    }

    #[test]
    fn exit_codes_are_those_of_the_documentation() {
        let codes = ErrorCode::ALL.map(|code| (code.exit_code(), code.as_str()));
        assert_eq!(codes.map(|(number, _)| number), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(codes[2].1, "no-such-topology");
    }

    #[test]
    fn a_status_of_others_is_understood() {
        let code = |status: Status| CallError::from(status).code;
        assert_eq!(code(Status::unavailable("x")), ErrorCode::Unreachable);
        assert_eq!(code(Status::unauthenticated("x")), ErrorCode::NotAuthenticated);
        assert_eq!(code(Status::internal("x")), ErrorCode::Other);
    }
}
