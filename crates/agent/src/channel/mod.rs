//! The two sockets: who may connect, how many at a time, and what may be called on which.

mod connection;
mod methods;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{net::UnixListener, sync::Semaphore, task::JoinSet};

use touchkeep_wire::{MAX_FRAME_BYTES, MAX_FRONT_END_FRAME_BYTES};

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

    const fn longest_frame(self) -> usize {
        match self {
            Self::Clients => MAX_FRAME_BYTES,
            Self::FrontEnds => MAX_FRONT_END_FRAME_BYTES,
        }
    }

    // Those of one process, so that none takes all of them.
    const fn limit_of_one(self) -> usize {
        match self {
            Self::Clients => 32,
            Self::FrontEnds => 8,
        }
    }
}

// How many connections each process has.
#[derive(Debug, Default)]
struct Held(Mutex<HashMap<i32, usize>>);

// A connection's place among those of its process; given up when this is dropped.
#[derive(Debug)]
struct Place {
    held: Arc<Held>,
    pid: i32,
}

impl Held {
    fn take(self: &Arc<Self>, pid: i32, limit: usize) -> Option<Place> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(pid).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place {
            held: Arc::clone(self),
            pid,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.pid) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.pid);
            }
        }
    }
}

/// Serves a socket until the agent stops, and then lets what was answered go out.
pub(crate) async fn serve(agent: Arc<Agent>, listener: UnixListener, channel: Channel) {
    let seats = Arc::new(Semaphore::new(channel.limit()));
    let held = Arc::<Held>::default();
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
        let pid = match stream.peer_cred() {
            Ok(peer) if peer.uid() == rustix::process::geteuid().as_raw() => {
                peer.pid().unwrap_or(0)
            }
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "a connection of another user was refused");
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "a connection without credentials was refused");
                continue;
            }
        };
        let Some(place) = held.take(pid, channel.limit_of_one()) else {
            tracing::warn!(
                ?channel,
                pid,
                "a process has too many connections, one was closed"
            );
            continue;
        };
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
            tracing::warn!(?channel, "too many connections, one was closed");
            continue;
        };
        let agent = Arc::clone(&agent);
        connections.spawn(async move {
            connection::serve(agent, stream, channel).await;
            drop((seat, place));
        });
    }
    // Whoever looks for an agent now is to find none, and not one that is ending.
    drop(listener);
    while connections.join_next().await.is_some() {}
}
