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
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..cores.min(pieces.len()))
            .map(|first| {
                scope.spawn(move || {
                    let own = pieces.iter().enumerate().skip(first).step_by(cores);
                    own.map(|(at, piece)| (at, work(piece))).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| match thread.join() {
                Ok(done) => done,
                Err(panicked) => std::panic::resume_unwind(panicked),
            })
            .collect()
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, done)| done).collect()
}
