//! Work on many pieces, shared by the cores.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};

/// Less than this is not worth a thread.
const MIN_PIECES: usize = 8;

/// A new thread is let in for so long at most; to go to another core takes a fraction of it.
const LET_IN: Duration = Duration::from_micros(300);

/// What `work` makes of each piece, in their order.
pub fn map<T: Sync, R: Send>(pieces: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    map_with(pieces, || (), |(), piece| work(piece))
}

/// What `work` makes of each piece, in their order, given something that each core makes once and uses again.
pub fn map_with<S, T: Sync, R: Send>(
    pieces: &[T],
    own: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) -> R + Sync,
) -> Vec<R> {
    if pieces.len() < MIN_PIECES || cores() < 2 {
        let mut own = own();
        return pieces.iter().map(|piece| work(&mut own, piece)).collect();
    }
    // Whoever is done takes the next, as pieces differ and cores have other work too.
    let next = AtomicUsize::new(0);
    let share = || {
        let (mut own, mut done) = (own(), Vec::new());
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(at) else {
                return done;
            };
            done.push((at, work(&mut own, piece)));
        }
    };
    let mut done = thread::scope(|scope| {
        let others = (1..cores().min(pieces.len())).map(|_| elsewhere(scope, share));
        let others: Vec<_> = others.collect();
        let mut done = share();
        for other in others {
            match other.join() {
                Ok(theirs) => done.extend(theirs),
                Err(panicked) => std::panic::resume_unwind(panicked),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, made)| made).collect()
}

/// What two pieces of work make of which neither needs the other: the first of them on another core, where there is one.
pub fn both<A: Send, B>(other: impl FnOnce() -> A + Send, own: impl FnOnce() -> B) -> (A, B) {
    if cores() < 2 {
        return (other(), own());
    }
    thread::scope(|scope| {
        let other = elsewhere(scope, other);
        let own = own();
        match other.join() {
            Ok(other) => (other, own),
            Err(panicked) => std::panic::resume_unwind(panicked),
        }
    })
}

// A new thread often begins behind the one that made it, on the same core, and waits there for milliseconds while another core
// does nothing: longer than most of what is shared here takes. So it is let in first, and goes elsewhere by itself.
fn elsewhere<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let here = sched_getcpu();
    let has_left = Arc::new(AtomicBool::new(false));
    let left = Arc::clone(&has_left);
    let other = scope.spawn(move || {
        leave(here);
        left.store(true, Ordering::Relaxed);
        work()
    });
    // Not asleep: who is woken from another core is often put on that one, and the two would be together again.
    let until = Instant::now() + LET_IN;
    while !has_left.load(Ordering::Relaxed) && Instant::now() < until {
        thread::yield_now();
    }
    other
}

fn leave(core: usize) {
    let Ok(cores) = sched_getaffinity(None) else {
        return;
    };
    let mut others = cores;
    others.unset(core);
    // Where it may not, it stays. Afterwards it may go where it likes: the others may have work, too.
    if others.count() > 0 && sched_setaffinity(None, &others).is_ok() {
        let _stays = sched_setaffinity(None, &cores);
    }
}

// To count them takes longer than to read an item.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays() {
        for len in [0, 1, MIN_PIECES - 1, MIN_PIECES, 1001] {
            let pieces: Vec<usize> = (0..len).collect();
            assert_eq!(
                map(&pieces, |piece| piece + 1),
                (1..=len).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn what_is_made_once_is_used_again() {
        let made = AtomicUsize::new(0);
        let count = || made.fetch_add(1, Ordering::Relaxed);
        let used = map_with(&[(); 1000], count, |own, ()| *own);
        assert_eq!(used.len(), 1000);
        assert!(made.into_inner() <= cores());
    }

    #[test]
    fn two_things_are_made_and_a_panic_is_not_lost() {
        assert_eq!(both(|| 1, || "two"), (1, "two"));
        let panicked = std::panic::catch_unwind(|| both(|| panic!("as it should"), || ()));
        assert!(panicked.is_err());
    }
}
