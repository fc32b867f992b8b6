//! How clients call: channels that notice a dead peer, and the token with each call.

use std::time::Duration;

use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::auth::{Secret, TOKEN_KEY};
use crate::status::CallError;
use crate::v1::logs_client::LogsClient;
use crate::v1::nimbus_client::NimbusClient;
use crate::v1::supervisor_client::SupervisorClient;

/// A host that is gone does not answer at all; one that lives does so within milliseconds.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Silence on a connection after which its peer is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Wait for that sign.
const PONG_WITHIN: Duration = Duration::from_secs(5);
/// The figures and the specification of a large topology exceed gRPC's own 4 MB.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Puts a token into each call.
#[derive(Clone)]
pub struct Token(Option<AsciiMetadataValue>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// The token of those who know the secret.
    pub fn daemon(secret: &Secret) -> Token {
        Token::new(&secret.daemon_token())
    }

    /// A token as it stands in a worker's file.
    pub fn new(token: &str) -> Token {
        let mut value = AsciiMetadataValue::try_from(token).ok();
        if let Some(value) = &mut value {
            value.set_sensitive(true);
        }
        Token(value)
    }
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert(TOKEN_KEY, token.clone());
        }
        Ok(request)
    }
}

/// A connection whose calls carry a token.
pub type Line = InterceptedService<Channel, Token>;

/// A connection to `host:port`, made at its first call and again whenever it broke.
///
/// # Errors
/// When the address is none.
pub fn channel(address: &str) -> Result<Channel, CallError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| {
        CallError::invalid(format!("'{address}' is not an address: {error}")).advise("write host:port")
    })?;
    Ok(endpoint
        .connect_timeout(CONNECT_WITHIN)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .keep_alive_while_idle(true)
        .connect_lazy())
}

/// A Nimbus at `host:port`.
///
/// # Errors
/// When the address is none.
pub fn nimbus(address: &str, token: Token) -> Result<NimbusClient<Line>, CallError> {
    let client = NimbusClient::with_interceptor(channel(address)?, token);
    Ok(client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
}

/// The logs at a daemon's `host:port`.
///
/// # Errors
/// When the address is none.
pub fn logs(address: &str, token: Token) -> Result<LogsClient<Line>, CallError> {
    let client = LogsClient::with_interceptor(channel(address)?, token);
    Ok(client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
}

/// A supervisor at `host:port`.
///
/// # Errors
/// When the address is none.
pub fn supervisor(address: &str, token: Token) -> Result<SupervisorClient<Line>, CallError> {
    let client = SupervisorClient::with_interceptor(channel(address)?, token);
    Ok(client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
}
