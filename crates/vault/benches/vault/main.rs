//! What a vault costs beside the bytes that it is made of: opening, reading one secret, saving one change, in memory and in
//! git, as ratios against `rage`, a bare age stream and a bare durable write of the same run.
//!
//! `./dev bench vault`. Needs `rage` and `git` on the path. Each round measures all contestants once, in turn. The program
//! starts itself again where a whole process is measured. Like the agent it wipes all memory that it gives back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    clippy::print_stdout,
    reason = "a measurement may fail loudly, and prints"
)]

mod find;
mod git;
mod open;
mod rig;
mod save;

use std::{env, path::Path, process::Command};

use rig::Place;

#[global_allocator]
static ALLOCATOR: touchkeep_locked::WipingAllocator = touchkeep_locked::WipingAllocator;

/// Items of the vaults that are measured.
const SIZES: [usize; 3] = [100, 10_000, 100_000];

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["read", vault, kit, name] => open::read_one(Path::new(vault), Path::new(kit), name),
        ["hold", vault, kit] => open::hold(Path::new(vault), Path::new(kit)),
        _ => measure(),
    }
}

fn measure() {
    // Not the system's temporary folder, which may be memory: what is measured is the disk under the target folder.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let places = SIZES.map(|items| Place::new(folder.path(), items));
    // What was just made is written first: the disk's own work is not to be measured.
    assert!(Command::new("sync").status().unwrap().success());
    for place in &places {
        open::reading(place);
    }
    for place in &places {
        open::opening(place);
    }
    let [_, middle, large] = &places;
    open::device(&Place::new(folder.path(), 1000));
    open::memory(&[&Place::new(folder.path(), 1000), large]);
    for place in &places {
        save::saving(place);
    }
    find::searching(large);
    save::growth(middle);
    git::growth(middle);
}
