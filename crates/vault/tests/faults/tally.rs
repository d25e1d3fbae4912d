//! How much is tried, in which order, and what came of it.

use std::{env, fs};

/// 0 in `./dev test`; in a soak the multiplier, and everything is tried.
pub(crate) fn soak() -> usize {
    env::var("TOUCHKEEP_SOAK").map_or(0, |times| {
        times.parse().expect("TOUCHKEEP_SOAK is a number")
    })
}

/// `few` in `./dev test`, `many` times the multiplier in a soak.
pub(crate) fn amount(few: usize, many: usize) -> usize {
    match soak() {
        0 => few,
        times => many * times,
    }
}

/// Numbers from a seed (SplitMix64): the same in every run of `./dev test`, others in every round of a soak.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(of: &str) -> Self {
        let seed = env::var("PROPTEST_RNG_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let name = of.bytes().fold(0u64, |sum, byte| {
            sum.wrapping_mul(131).wrapping_add(byte.into())
        });
        Self(seed.unwrap_or(20_261_122) ^ name)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }

    /// `count` of these, each at most once.
    pub(crate) fn some<T>(&mut self, mut of: Vec<T>, count: usize) -> Vec<T> {
        let mut drawn = Vec::new();
        while drawn.len() < count && !of.is_empty() {
            let at = self.below(of.len());
            drawn.push(of.swap_remove(at));
        }
        drawn
    }
}

/// What one campaign did.
pub(crate) struct Tally {
    id: &'static str,
    what: String,
    points: usize,
    seen: String,
    bad: Vec<String>,
}

impl Tally {
    pub(crate) fn new(id: &'static str, what: impl Into<String>) -> Self {
        Self {
            id,
            what: what.into(),
            points: 0,
            seen: String::new(),
            bad: Vec::new(),
        }
    }

    /// One point was tried.
    pub(crate) fn tried(&mut self, point: impl FnOnce() -> String, held: Result<(), String>) {
        self.points += 1;
        if let Err(bad) = held {
            let bad = format!("{}: {bad}", point());
            eprintln!("BAD {bad}");
            self.bad.push(bad);
        }
    }

    /// What was seen meanwhile, beside the count.
    pub(crate) fn saw(&mut self, seen: impl Into<String>) {
        self.seen = seen.into();
    }
}

/// Says what was done, writes it down where somebody collects it, and only then fails.
impl Drop for Tally {
    fn drop(&mut self) {
        // What panics is a bad state as well, whose words are elsewhere.
        let panicked = usize::from(std::thread::panicking());
        let (points, bad) = (self.points + panicked, self.bad.len() + panicked);
        let row = format!(
            "{} | {} | {points} | {} | {bad}",
            self.id, self.what, self.seen
        );
        println!("{row}");
        if let Ok(folder) = env::var("TOUCHKEEP_TALLY") {
            let letters = self.what.chars().filter(char::is_ascii_alphanumeric);
            let name: String = letters.collect();
            fs::write(
                format!("{folder}/{}-{name}", self.id),
                format!("| {row} |\n"),
            )
            .unwrap();
        }
        if !std::thread::panicking() {
            assert!(points > 0, "{}: nothing was tried", self.what);
            assert!(self.bad.is_empty(), "{}: {:#?}", self.what, self.bad);
        }
    }
}
