//! Who may be connected. Every program of every user reaches this port, so a connection that has shown no token yet is worth
//! little: there are few seats for such, each for a short time, and where all are taken the oldest goes. A client sends its
//! token with its first bytes, and is moved out of their reach at once; then it has seats of its own, which no other client
//! can take.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use touchkeep_core::ClientId;

/// Connections without a token.
const NEW: usize = 256;
/// Connections of one client.
const OF_CLIENT: usize = 128;
/// Connections of all clients together.
const OF_ALL: usize = 2048;

/// All seats.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    new: VecDeque<(u64, Arc<Notify>)>,
    clients: HashMap<ClientId, usize>,
    taken: usize,
}

/// The seat of one connection; given up when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    gone: Arc<Notify>,
    client: Mutex<Option<ClientId>>,
}

impl Seats {
    /// A seat for a connection that was just made.
    pub(super) fn sit(self: &Arc<Self>) -> Arc<Seat> {
        let gone = Arc::new(Notify::new());
        let mut inner = self.lock();
        inner.next = inner.next.wrapping_add(1);
        let number = inner.next;
        if inner.new.len() >= NEW
            && let Some((_, oldest)) = inner.new.pop_front()
        {
            oldest.notify_one();
        }
        inner.new.push_back((number, Arc::clone(&gone)));
        drop(inner);
        Arc::new(Seat {
            seats: Arc::clone(self),
            number,
            gone,
            client: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Returns once this seat is needed for another connection.
    pub(super) async fn is_taken_away(&self) {
        self.gone.notified().await;
    }

    /// The connection has shown this client's token. False where the client has no seat left, or this one was taken away
    /// just before.
    pub(super) fn is_of(&self, client: ClientId) -> bool {
        let mut of = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if of.is_some() {
            return true;
        }
        let mut inner = self.seats.lock();
        let taken = inner.clients.get(&client).copied().unwrap_or(0);
        if taken >= OF_CLIENT || inner.taken >= OF_ALL {
            return false;
        }
        let mut new = inner.new.iter();
        let Some(at) = new.position(|(number, _)| *number == self.number) else {
            return false;
        };
        inner.new.remove(at);
        inner.clients.insert(client, taken + 1);
        inner.taken += 1;
        *of = Some(client);
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let of = *self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inner = self.seats.lock();
        inner.new.retain(|(number, _)| *number != self.number);
        let Some(client) = of else {
            return;
        };
        inner.taken = inner.taken.saturating_sub(1);
        let left = inner
            .clients
            .get(&client)
            .map_or(0, |taken| taken.saturating_sub(1));
        if left == 0 {
            inner.clients.remove(&client);
        } else {
            inner.clients.insert(client, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_gone(seat: &Seat) -> bool {
        seat.is_taken_away().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_without_a_token_goes_and_no_client_does() {
        let seats = Arc::<Seats>::default();
        let known = seats.sit();
        assert!(known.is_of(ClientId::random()));
        let mut waiting: Vec<_> = (0..NEW).map(|_| seats.sit()).collect();
        assert!(waiting.iter().all(|seat| !is_gone(seat)));
        waiting.push(seats.sit());
        assert!(is_gone(&waiting[0]) && !is_gone(&waiting[1]) && !is_gone(&known));
        assert!(!waiting[0].is_of(ClientId::random()), "too late");
        waiting.clear();
        let _again = seats.sit();
        let inner = seats.lock();
        assert_eq!((inner.new.len(), inner.taken), (1, 1));
    }

    #[test]
    fn a_client_takes_no_other_clients_seats() {
        let seats = Arc::<Seats>::default();
        let (one, other) = (ClientId::random(), ClientId::random());
        let all: Vec<_> = (0..OF_CLIENT)
            .map(|_| {
                let seat = seats.sit();
                assert!(seat.is_of(one) && seat.is_of(one));
                seat
            })
            .collect();
        let more = seats.sit();
        assert!(!more.is_of(one) && more.is_of(other));
        drop(all);
        assert!(seats.sit().is_of(one));
        drop(more);
        let inner = seats.lock();
        assert_eq!((inner.clients.len(), inner.taken), (0, 0));
    }
}
