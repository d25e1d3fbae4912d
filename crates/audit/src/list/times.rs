//! Where in the log a time is. The clock may have gone to and fro, so blocks are not in the order of their times: nothing may
//! be concluded from a neighbour, only from the earliest and the latest time of the blocks themselves.

use rusqlite::Connection;

/// Earliest and latest.
type Span = (u64, u64);

/// Bits of how many spans one above them covers.
const BITS: u32 = 4;
/// Of a block that has no such posting. It is looked at, whatever is sought.
const ANY: Span = (0, u64::MAX);

/// The times of all full blocks: the first level has a span for each, the next one for each sixteen of those, and so on. Blocks
/// do not change, so what was read is kept; 17 bytes for 256 rows.
#[derive(Debug, Default)]
pub(crate) struct Times {
    levels: Vec<Vec<Span>>,
}

impl Times {
    fn blocks(&self) -> u64 {
        self.levels.first().map_or(0, |level| level.len() as u64)
    }

    /// Takes in the blocks that became full since.
    pub(super) fn catch_up(&mut self, db: &Connection, blocks: u64) -> rusqlite::Result<()> {
        if self.blocks() > blocks {
            self.levels.clear();
        }
        if self.blocks() == blocks {
            return Ok(());
        }
        let mut stored = db.prepare_cached(
            "SELECT block, rows FROM posting WHERE word = x'74' AND block >= ?1 AND block < ?2 ORDER BY block",
        )?;
        let mut stored = stored.query((self.blocks(), blocks))?;
        while let Some(row) = stored.next()? {
            self.fill_to(row.get(0)?);
            self.push(span(row.get_ref(1)?.as_blob()?).unwrap_or(ANY));
        }
        self.fill_to(blocks);
        Ok(())
    }

    fn fill_to(&mut self, blocks: u64) {
        while self.blocks() < blocks {
            self.push(ANY);
        }
    }

    fn push(&mut self, mut span: Span) {
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(spans) = self.levels.get_mut(level) else {
                return;
            };
            spans.push(span);
            if !spans.len().is_multiple_of(1 << BITS) {
                return;
            }
            let below = spans.iter().rev().take(1 << BITS);
            span = below.fold((u64::MAX, 0), |all, one| {
                (all.0.min(one.0), all.1.max(one.1))
            });
        }
    }

    /// The times of a block.
    pub(super) fn of(&self, block: u64) -> Span {
        self.at(0, block).unwrap_or(ANY)
    }

    fn at(&self, level: u32, place: u64) -> Option<Span> {
        let spans = self.levels.get(level as usize)?;
        spans.get(usize::try_from(place).ok()?).copied()
    }

    /// The newest block from this one down that has times from `since` to `until`.
    pub(super) fn newest(&self, block: u64, (since, until): Span) -> Option<u64> {
        let mut below = block + 1;
        while below > 0 {
            // The largest span that ends here and has none of them is left out.
            let ends = (0..self.levels.len() as u32).take_while(|level| {
                let width = 1 << (BITS * level);
                below.is_multiple_of(width)
                    && self
                        .at(*level, below / width - 1)
                        .is_some_and(|(first, last)| last < since || first > until)
            });
            match ends.last() {
                Some(level) => below -= 1 << (BITS * level),
                None => return Some(below - 1),
            }
        }
        None
    }
}

fn span(bytes: &[u8]) -> Option<Span> {
    let ([first, last], []) = bytes.as_chunks() else {
        return None;
    };
    Some((u64::from_be_bytes(*first), u64::from_be_bytes(*last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spans: &[Span]) -> Times {
        let mut times = Times::default();
        spans.iter().for_each(|span| times.push(*span));
        times
    }

    #[test]
    fn every_block_that_looking_at_each_finds_is_found() {
        // A clock that goes on, and from time to time elsewhere: multiples of a prime stand for chance.
        let spans: Vec<Span> = (0..5000u64)
            .map(|n| {
                let from = if n % 7 == 0 { n * 7919 % 5000 } else { n } * 10;
                (from, from + n * 31 % 25)
            })
            .collect();
        for length in [0, 1, 15, 16, 17, 255, 256, 257, 5000] {
            let (spans, times) = (&spans[..length], of(&spans[..length]));
            for n in 0..500u64 {
                let since = n * 104_729 % 50_000;
                let until = since + n * 7 % 100;
                let block = n * 6151 % (length as u64 + 1);
                let slow = (0..=block).rev().find(|block| {
                    spans
                        .get(*block as usize)
                        .is_none_or(|(first, last)| *last >= since && *first <= until)
                });
                assert_eq!(times.newest(block, (since, until)), slow, "{length} {n}");
            }
        }
    }

    #[test]
    fn spans_are_two_numbers_and_nothing_else() {
        let bytes = [1u64.to_be_bytes(), 2u64.to_be_bytes()].concat();
        assert_eq!(span(&bytes), Some((1, 2)));
        assert_eq!(span(&bytes[..15]), None);
        assert_eq!(span(&[0; 24]), None);
    }
}
