//! A network that misbehaves: a proxy between a client and its server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// They arrive.
    Open,
    /// They wait.
    Held,
    /// They are lost.
    Lost,
}

#[derive(Clone, Copy, Debug)]
struct State {
    requests: Way,
    replies: Way,
    /// Connections of an older generation are reset.
    generation: u64,
    /// Whether new connections are refused.
    is_closed: bool,
    /// Replies are held as soon as this many more requests have passed.
    fuse: Option<u32>,
}

/// Forwards connections to a server, until told otherwise.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    acceptor: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let open =
            State { requests: Way::Open, replies: Way::Open, generation: 0, is_closed: false, fuse: None };
        let state = Arc::new(watch::Sender::new(open));
        let shared = state.clone();
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !shared.borrow().is_closed {
                    tokio::spawn(forward(client, server, shared.clone()));
                }
            }
        });
        Proxy { address, state, acceptor }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn requests(&self, way: Way) {
        self.state.send_modify(|state| state.requests = way);
    }

    pub(crate) fn replies(&self, way: Way) {
        self.state.send_modify(|state| state.replies = way);
    }

    /// Both directions at once: the cable is out.
    pub(crate) fn both(&self, way: Way) {
        self.state.send_modify(|state| (state.requests, state.replies) = (way, way));
    }

    /// Holds the replies once this many more requests have passed.
    pub(crate) fn hold_replies_after(&self, requests: u32) {
        self.state.send_modify(|state| state.fuse = Some(requests));
    }

    /// Waits until that is so.
    pub(crate) async fn replies_are_held(&self) {
        self.state.subscribe().wait_for(|state| state.replies == Way::Held).await.unwrap();
    }

    /// Resets all connections; what is on its way is lost. Both ways are open afterwards.
    pub(crate) fn reset(&self) {
        self.state.send_modify(|state| {
            (state.requests, state.replies) = (Way::Open, Way::Open);
            state.generation += 1;
        });
    }

    /// Resets all connections and takes no new ones.
    pub(crate) fn close(&self) {
        self.state.send_modify(|state| {
            state.generation += 1;
            state.is_closed = true;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.close();
    }
}

async fn forward(mut client: TcpStream, server: SocketAddr, shared: Arc<watch::Sender<State>>) {
    let mut state = shared.subscribe();
    let generation = state.borrow().generation;
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true).ok();
        // A reset instead of an orderly end. Owned halves would end it orderly when they are dropped.
        stream.set_zero_linger().ok();
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let burn = || {
        shared.send_if_modified(|state| {
            state.fuse = state.fuse.map(|left| left.saturating_sub(1));
            let is_blown = state.fuse == Some(0);
            if is_blown {
                (state.fuse, state.replies) = (None, Way::Held);
            }
            is_blown
        });
    };
    let requests = pump(from_client, to_server, state.clone(), |state| state.requests, burn);
    let replies = pump(from_server, to_client, state.clone(), |state| state.replies, || {});
    tokio::select! {
        biased;
        _ = state.wait_for(|state| state.generation != generation) => {}
        () = requests => {}
        () = replies => {}
    }
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut state: watch::Receiver<State>,
    way: fn(&State) -> Way,
    before: impl Fn(),
) {
    let generation = state.borrow().generation;
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n) = from.read(&mut buffer).await {
        if n == 0 {
            return;
        }
        let may_go_on = |state: &State| state.generation != generation || way(state) != Way::Held;
        let Ok(now) = state.wait_for(may_go_on).await.map(|state| *state) else {
            return;
        };
        // Looked at here too: the reset also lets go of what was held, and nobody says who hears first.
        if now.generation != generation {
            return;
        }
        before();
        if way(&now) == Way::Open && to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
