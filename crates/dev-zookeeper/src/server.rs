//! The server as others start it: a port, a task that owns the core, and a task for each connection.
//!
//! ```text
//! connection --frames--> inbox (256) --> driver: core.step, journal --bytes--> outbox --> connection
//! ```
//!
//! Bounds: the inbox makes connections wait, which makes clients wait; so do the replies that a client
//! has not read ([`connection::REQUESTS_MAX`]). A client that does not read its events is closed
//! ([`connection::OUTBOX_MAX`]); its session lives on for its timeout.

mod clock;
mod connection;
mod driver;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use self::clock::Clock;
use self::driver::Driver;
use crate::core::{ConnectionId, Core, Limits};
use crate::journal::{DataError, Journal};
use crate::state::State;

/// How many packets wait for the driver before connections wait.
const INBOX: usize = 256;

/// How long a stop waits for clients to read what they were sent.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// How a server is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one. Default: 127.0.0.1, port 0.
    pub address: SocketAddr,
    /// Where to keep the data; without, they are gone with the server. Default: none.
    pub data_dir: Option<PathBuf>,
    /// How often sessions are looked at that may have expired. Default: 50 ms.
    pub tick: Duration,
    /// The shortest session timeout that is granted. Default: 1 s.
    pub min_session_timeout: Duration,
    /// The longest session timeout that is granted. Default: 60 s.
    pub max_session_timeout: Duration,
    /// How many connections are held; more are closed at once. Default: 1024.
    pub max_connections: usize,
}

impl Default for Options {
    fn default() -> Options {
        let Limits { min_session_timeout, max_session_timeout } = Limits::default();
        Options {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: None,
            tick: Duration::from_millis(50),
            min_session_timeout,
            max_session_timeout,
            max_connections: 1024,
        }
    }
}

/// Why a server does not start, or has stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; is another server running there?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        reason: std::io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The runtime has dropped the server's task.
    #[error("the server's task has been dropped")]
    Dropped,
}

/// A running server. Dropping it stops it, too, but nobody waits for the end.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Arc<watch::Sender<bool>>,
    driver: Option<JoinHandle<Result<(), ServerError>>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on the current tokio runtime, with timers and I/O; when this returns, clients
    /// can connect.
    ///
    /// # Panics
    ///
    /// Without a runtime, and if the system has no random numbers.
    pub async fn start(options: Options) -> Result<Server, ServerError> {
        let limits = Limits {
            min_session_timeout: options.min_session_timeout,
            max_session_timeout: options.max_session_timeout,
        };
        let (journal, state) = match options.data_dir {
            None => (None, State::default()),
            Some(dir) => {
                let opened = tokio::task::spawn_blocking(move || Journal::open(&dir)).await;
                let (journal, state) = opened.map_err(|_| ServerError::Dropped)??;
                (Some(journal), state)
            }
        };
        let listen = |reason| ServerError::Listen { address: options.address, reason };
        let listener = TcpListener::bind(options.address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        // An interval of nothing would never end.
        let tick = options.tick.max(Duration::from_millis(1));
        let mut clock = Clock::start(tick);
        let core = Core::new(state, limits, clock.now());
        let (inbox, messages) = mpsc::channel(INBOX);
        let stop = Arc::new(watch::Sender::new(false));
        let driver = Driver::new(core, clock, tick, journal);
        let driver = tokio::spawn(driver.run(messages, Arc::clone(&stop)));
        let passwords = StdRng::from_os_rng();
        let accepting = accept(listener, inbox, options.max_connections, passwords, stop.subscribe());
        let acceptor = tokio::spawn(accepting);
        tracing::info!(%address, "a zookeeper server is ready");
        Ok(Server { address, stop, driver: Some(driver), acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the server has stopped by itself, as it does when it cannot write its data;
    /// [`Server::stop`] then tells why.
    pub async fn failed(&self) {
        self.stop.subscribe().wait_for(|is_stopped| *is_stopped).await.ok();
    }

    /// Stops the server. Sessions stay open: with a data directory, clients can come back to them.
    ///
    /// Fails with what has stopped the server before, if something has.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        self.stop.send_replace(true);
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.await.ok();
        }
        match self.driver.take() {
            Some(driver) => driver.await.unwrap_or(Err(ServerError::Dropped)),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Takes connections until the stop; then waits for those that are open.
async fn accept(
    listener: TcpListener,
    inbox: mpsc::Sender<driver::Message>,
    max_connections: usize,
    mut passwords: StdRng,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut ids = 1..;
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|is_stopped| *is_stopped) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((_, peer)) if connections.len() >= max_connections => {
                tracing::warn!(%peer, max_connections, "closing a new connection: there are too many");
            }
            Ok((stream, peer)) => {
                let id = ConnectionId(ids.next().expect("there are 2^64 of them"));
                connections.spawn(connection::serve(id, stream, peer, passwords.random(), inbox.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                // As long as there are too many open files, say, the next one fails at once, too.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop((listener, inbox));
    let all_closed = async { while connections.join_next().await.is_some() {} };
    tokio::time::timeout(FLUSH_TIMEOUT, all_closed).await.ok();
    connections.shutdown().await;
}
