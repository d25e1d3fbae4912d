//! The rows of a whole log, walked in pieces by as many threads as there are cores.
//!
//! A piece is a subtree: what its rows do to each other is checked by whoever walks it, and what the pieces do to each other
//! by one who puts them together in order. So the first row that is wrong is the first whoever found it.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZero,
    path::Path,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use rusqlite::Connection;

use super::Anchor;
use crate::{
    index::{Checksum, Sum},
    schema,
    tree::Frontier,
    walk::{Sessions, Stop, Walk, Walked, blame, first_other, misfit},
};

/// Level of the subtree that a piece is.
const LEVEL: u32 = 12;
const ROWS: u64 = 1 << LEVEL;

/// How many threads are worth it.
pub(super) fn threads() -> usize {
    thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(16)
}

/// What all rows together came to.
pub(super) struct Found {
    pub(super) edge: Frontier,
    pub(super) used: BTreeSet<u64>,
    pub(super) postings: Sum,
}

/// Walks rows 1 to `size`, and checks each anchor up to there. `meanwhile` is done in this thread before it walks with the
/// others.
pub(super) fn walk_all<T>(
    (path, db): (&Path, &Connection),
    sessions: &Sessions,
    size: u64,
    anchors: &[Anchor],
    meanwhile: impl FnOnce(&Checksum) -> T,
) -> Result<(Found, T), Stop> {
    let work = Work {
        path,
        sessions,
        size,
        sizes: sizes_of(anchors),
        checksum: Checksum::default(),
        next: AtomicU64::new(0),
        enough: AtomicBool::new(false),
    };
    if work.pieces() <= 1 {
        return Ok((work.alone(db, anchors)?, meanwhile(&work.checksum)));
    }
    let (results, arriving) = mpsc::sync_channel(4 * threads());
    thread::scope(|scope| {
        for _ in 1..threads().min(work.pieces() as usize) {
            let results = results.clone();
            scope.spawn(|| work.walk_pieces(results));
        }
        let joining = scope.spawn(|| {
            let joined = work.join(anchors, arriving);
            work.enough.store(true, Ordering::Relaxed);
            joined
        });
        let done = meanwhile(&work.checksum);
        work.walk_pieces(results);
        let joined = joining.join().unwrap_or_else(|_| Err(interrupted()));
        Ok((joined?, done))
    })
}

// Ascending, each once.
fn sizes_of(anchors: &[Anchor]) -> Vec<u64> {
    let mut sizes: Vec<_> = anchors.iter().map(|anchor| anchor.size).collect();
    sizes.dedup();
    sizes
}

struct Work<'a> {
    path: &'a Path,
    sessions: &'a Sessions,
    size: u64,
    sizes: Vec<u64>,
    checksum: Checksum,
    next: AtomicU64,
    enough: AtomicBool,
}

impl Work<'_> {
    // Few rows are not worth a thread.
    fn alone(&self, db: &Connection, anchors: &[Anchor]) -> Result<Found, Stop> {
        let mut joining = Joining::new(anchors)?;
        if self.size > 0 {
            joining.put_behind(self.walk_piece(db, 0))?;
        }
        Ok(joining.found)
    }

    const fn pieces(&self) -> u64 {
        self.size.div_ceil(ROWS)
    }

    fn walk_pieces(&self, results: mpsc::SyncSender<(u64, Result<Walked, Stop>)>) {
        let db = schema::open_to_read(self.path).map_err(|error| blame(error, None));
        let db = match db {
            Ok(db) => db,
            Err(stop) => {
                // Whichever piece comes next is the one that cannot be read.
                let piece = self.next.fetch_add(1, Ordering::Relaxed);
                let _gone = results.send((piece, Err(stop)));
                return;
            }
        };
        while !self.enough.load(Ordering::Relaxed) {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if piece >= self.pieces()
                || results
                    .send((piece, Ok(self.walk_piece(&db, piece))))
                    .is_err()
            {
                return;
            }
        }
    }

    fn walk_piece(&self, db: &Connection, piece: u64) -> Walked {
        let (base, last) = (piece * ROWS, ((piece + 1) * ROWS).min(self.size));
        let first = self.sizes.partition_point(|size| *size <= base);
        let end = self.sizes.partition_point(|size| *size <= last);
        let sizes = self.sizes.get(first..end).unwrap_or_default();
        Walk::new(db, self.sessions, Frontier::default(), base)
            .with_postings(&self.checksum)
            .to(last, sizes)
    }

    fn join(
        &self,
        anchors: &[Anchor],
        arriving: mpsc::Receiver<(u64, Result<Walked, Stop>)>,
    ) -> Result<Found, Stop> {
        let mut joining = Joining::new(anchors)?;
        let mut early = BTreeMap::new();
        for piece in 0..self.pieces() {
            let walked = loop {
                if let Some(walked) = early.remove(&piece) {
                    break walked;
                }
                let (arrived, walked) = arriving.recv().map_err(|_| interrupted())?;
                early.insert(arrived, walked);
            };
            joining.put_behind(walked?)?;
        }
        Ok(joining.found)
    }
}

struct Joining<'a> {
    found: Found,
    anchors: std::iter::Peekable<std::slice::Iter<'a, Anchor>>,
    vouched: u64,
}

impl<'a> Joining<'a> {
    // What was signed over no rows is looked at ahead of them.
    fn new(anchors: &'a [Anchor]) -> Result<Self, Stop> {
        let mut joining = Self {
            found: Found {
                edge: Frontier::default(),
                used: BTreeSet::new(),
                postings: Sum::default(),
            },
            anchors: anchors.iter().peekable(),
            vouched: 0,
        };
        joining.look(0, |_| Frontier::default())?;
        Ok(joining)
    }

    // Checks the anchors up to this size.
    fn look(&mut self, upto: u64, edge_at: impl Fn(u64) -> Frontier) -> Result<(), Stop> {
        while let Some(anchor) = self.anchors.next_if(|anchor| anchor.size <= upto) {
            anchor.check(&edge_at(anchor.size), self.vouched)?;
            self.vouched = anchor.size;
        }
        Ok(())
    }

    fn put_behind(&mut self, walked: Walked) -> Result<(), Stop> {
        let before = self.found.edge.clone();
        let edge_at = |size: u64| {
            let piece = walked.at.iter().find(|(at, _)| *at == size);
            piece.map_or_else(Frontier::default, |(_, piece)| before.followed_by(piece))
        };
        let last = before.size() + walked.edge.size();
        let reached = walked.stop.as_ref().map_or(last, |(row, _)| row - 1);
        // What is complete with the last row is looked at before what was signed at that size.
        self.look(reached.min(last.saturating_sub(1)), edge_at)?;
        if let Some((_, stop)) = walked.stop {
            self.look(reached, edge_at)?;
            return Err(stop);
        }
        match walked.edge.only_peak() {
            Some(peak) if walked.edge.size() == ROWS => {
                let mut completed = Vec::new();
                let edge = &mut self.found.edge;
                edge.push_subtree(LEVEL, peak, |hash| completed.push(*hash));
                let upper = completed.get(1..).unwrap_or_default();
                if let Some(level) = first_other(upper, &walked.above) {
                    return Err(misfit(last, LEVEL + 1 + level).into());
                }
            }
            _ => self.found.edge = before.followed_by(&walked.edge),
        }
        self.look(last, edge_at)?;
        self.found.used.extend(walked.used);
        self.found.postings = self.found.postings.plus(walked.postings);
        Ok(())
    }
}

fn interrupted() -> Stop {
    Stop::Failed(rusqlite::Error::UnwindingPanic)
}
