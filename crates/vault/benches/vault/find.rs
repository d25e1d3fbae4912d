//! Looking for something by what is remembered of it, among all items of a large vault.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use crate::rig::Place;

const ROUNDS: usize = 50;

pub(crate) fn searching(place: &Place) {
    let vault = place.unlocked();
    // One that every item fits, one that few do, letters in this order, and what nothing fits.
    for query in ["trade", "99999", "actky 77", "xyzzy"] {
        let start = Instant::now();
        black_box(vault.search(query).take(50).count());
        let first = start.elapsed();
        let mut times: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                black_box(vault.search(query).take(50).count());
                start.elapsed()
            })
            .collect();
        times.sort();
        println!(
            "search {query:?}, {} items: p50 {:?}, max {:?}; the first {first:?}",
            place.items,
            times[ROUNDS / 2],
            times[ROUNDS - 1],
        );
    }
}
