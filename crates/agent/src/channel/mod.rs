//! The two sockets: who may connect, how many at a time, and what may be called on which.

mod connection;
mod methods;

use std::sync::Arc;

use tokio::{net::UnixListener, sync::Semaphore, task::JoinSet};

use crate::agent::{Agent, stopped};

/// Which socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// `agent.sock`.
    Clients,
    /// `ui.sock`.
    FrontEnds,
}

impl Channel {
    // Connections at a time; one more is closed at once.
    const fn limit(self) -> usize {
        match self {
            Self::Clients => 64,
            Self::FrontEnds => 16,
        }
    }
}

/// Serves a socket until the agent stops, and then lets what was answered go out.
pub(crate) async fn serve(agent: Arc<Agent>, listener: UnixListener, channel: Channel) {
    let seats = Arc::new(Semaphore::new(channel.limit()));
    let mut connections = JoinSet::new();
    let mut stopping = agent.stopping();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = stopped(&mut stopping) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                // Out of descriptors: a pause lets some come back.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == rustix::process::geteuid().as_raw() => {}
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "a connection of another user was refused");
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "a connection without credentials was refused");
                continue;
            }
        }
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
            tracing::warn!(?channel, "too many connections, one was closed");
            continue;
        };
        let agent = Arc::clone(&agent);
        connections.spawn(async move {
            connection::serve(agent, stream, channel).await;
            drop(seat);
        });
    }
    while connections.join_next().await.is_some() {}
}
