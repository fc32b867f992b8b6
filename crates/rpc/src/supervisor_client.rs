//! A supervisor, as Nimbus and tools call it.

use std::time::Duration;

use tonic::Streaming;

use crate::client::{self, Line, Token};
use crate::status::{CallError, ErrorCode};
use crate::v1;

/// A call that does not wait for anything is answered within milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A worker may take its time to end: `supervisor.worker.shutdown.sleep.secs` and more.
const RESTART_WITHIN: Duration = Duration::from_secs(60);

/// One supervisor.
#[derive(Clone, Debug)]
pub struct SupervisorCalls {
    address: String,
    client: v1::supervisor_client::SupervisorClient<Line>,
}

impl SupervisorCalls {
    /// The supervisor at `host:port`. Connects at the first call.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(address: &str, token: Token) -> Result<SupervisorCalls, CallError> {
        Ok(SupervisorCalls { address: address.to_owned(), client: client::supervisor(address, token)? })
    }

    /// How it is.
    ///
    /// # Errors
    /// As the call.
    pub async fn health(&self) -> Result<v1::HealthReply, CallError> {
        let mut client = self.client.clone();
        self.within(ANSWER_WITHIN, client.health(v1::HealthRequest {})).await
    }

    /// Ends the worker at a port in good order and starts it again.
    ///
    /// # Errors
    /// As the call.
    pub async fn restart_worker(&self, port: u16) -> Result<v1::RestartedWorker, CallError> {
        let mut client = self.client.clone();
        let request = v1::RestartWorkerHere { port: port.into() };
        self.within(RESTART_WITHIN, client.restart_worker(request)).await
    }

    /// Logs of its workers.
    ///
    /// # Errors
    /// As the call.
    pub async fn read_log(&self, request: v1::LogRequest) -> Result<Streaming<v1::LogLines>, CallError> {
        let mut client = self.client.clone();
        self.within(ANSWER_WITHIN, client.read_log(request)).await
    }

    /// A blob that it has.
    ///
    /// # Errors
    /// As the call.
    pub async fn download_blob(&self, blob: v1::BlobRef) -> Result<Streaming<v1::BlobChunk>, CallError> {
        let mut client = self.client.clone();
        self.within(ANSWER_WITHIN, client.download_blob(blob)).await
    }

    async fn within<T>(
        &self,
        time: Duration,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, CallError> {
        let error = match tokio::time::timeout(time, call).await {
            Ok(Ok(reply)) => return Ok(reply.into_inner()),
            Ok(Err(status)) => CallError::from(status),
            Err(_) => CallError::new(ErrorCode::Unreachable, format!("no answer for {} s", time.as_secs())),
        };
        if error.code != ErrorCode::Unreachable {
            return Err(error);
        }
        let message = format!("the supervisor at {} does not answer: {}", self.address, error.message);
        Err(CallError { message, ..error })
    }
}
