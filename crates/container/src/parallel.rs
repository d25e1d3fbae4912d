//! Work on many pieces, shared by the cores.

use std::thread;

/// Less than this is not worth a thread.
const MIN_PIECES: usize = 8;

/// What `work` makes of each piece, in their order.
pub fn map<T: Sync, R: Send>(pieces: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 || pieces.len() < MIN_PIECES {
        return pieces.iter().map(work).collect();
    }
    // Interleaved, so that a run of large pieces is shared too.
    let shares: Vec<Vec<R>> = thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..cores.min(pieces.len()))
            .map(|first| {
                scope.spawn(move || {
                    let own = pieces.iter().skip(first).step_by(cores);
                    own.map(work).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| match thread.join() {
                Ok(done) => done,
                Err(panicked) => std::panic::resume_unwind(panicked),
            })
            .collect()
    });
    let mut shares: Vec<_> = shares.into_iter().map(Vec::into_iter).collect();
    let turns = (0..shares.len()).cycle().take(pieces.len());
    turns
        .filter_map(|share| shares.get_mut(share)?.next())
        .collect()
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
}
