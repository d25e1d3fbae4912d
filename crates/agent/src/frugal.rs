//! A small agent: it lies in memory for days, and works for milliseconds.
//!
//! What is large is not the vault. It is code: whatever an unlock, a parser or a TLS handshake ran through stays mapped, by
//! 64 KiB around each page, long after. And it is what glibc keeps of freed memory: after one buffer of scrypt it takes every
//! later one from its heaps, and gives their ends back only when they are twice as large.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

/// glibc's own start values, which setting them makes stay: larger buffers come from the kernel and go back to it.
const LARGE: libc::c_int = 128 * 1024;
/// Heaps that threads share. Each has its own waste.
const ARENAS: libc::c_int = 2;

/// How often work began or ended. Where that does not change for a while, it is quiet.
///
/// # Why both
/// An unlocking with a touch, or a large import, takes longer than that while: what it leaves is there at its end.
#[derive(Debug, Default)]
pub(crate) struct Work(AtomicU64);

/// Work that goes on.
#[must_use = "it ends where this is dropped"]
pub(crate) struct Working<'a>(&'a Work);

impl Work {
    /// Something was called or asked for, and goes on until what this gives is dropped.
    pub(crate) fn begin(&self) -> Working<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Working(self)
    }

    /// How often something began or ended.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// To be called before other threads are started.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "glibc's settings have no safe face")]
pub(crate) fn settle() {
    // SAFETY: mallopt(3) takes two numbers; no other thread allocates yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE);
    }
}

/// Gives back what only looks used: free memory, and pages of our program's code, which the kernel reads again from its
/// cache when they are run. Takes well under a millisecond.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "madvise and malloc_trim have no safe face")]
pub(crate) fn rest() {
    // SAFETY: malloc_trim(3) is safe for threads.
    unsafe {
        libc::malloc_trim(0);
    }
    for (from, to) in code() {
        // SAFETY: these pages are mapped from the program's file, cannot be written to, and were never changed: what is read
        // there afterwards is what was read before (madvise(2), MADV_DONTNEED on a file mapping).
        let done = unsafe {
            libc::madvise(
                std::ptr::with_exposed_provenance_mut(from),
                to.saturating_sub(from),
                libc::MADV_DONTNEED,
            )
        };
        if done != 0 {
            tracing::debug!("code was not given back");
        }
    }
}

/// Another C library keeps less.
#[cfg(not(target_env = "gnu"))]
pub(crate) const fn settle() {}

/// Another C library keeps less.
#[cfg(not(target_env = "gnu"))]
pub(crate) const fn rest() {}

// Where our program's code lies.
fn code() -> Vec<(usize, usize)> {
    let program: Option<PathBuf> = std::fs::read_link("/proc/self/exe").ok();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let program = program.as_deref().and_then(|path| path.to_str());
    program
        .map(|program| code_in(&maps, program))
        .unwrap_or_default()
}

// Only what may be run and not written to: what may be read alone was changed once, where the program was moved to its place.
fn code_in(maps: &str, program: &str) -> Vec<(usize, usize)> {
    let one = |line: &str| {
        let (place, rest) = line.split_once(' ')?;
        if !rest.starts_with("r-xp") || !rest.ends_with(program) {
            return None;
        }
        let (from, to) = place.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        Some((number(from)?, number(to)?))
    };
    maps.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_heard_when_it_begins_and_when_it_ends() {
        let work = Work::default();
        let before = work.count();
        let working = work.begin();
        let during = work.count();
        drop(working);
        assert!(before < during && during < work.count());
    }

    #[test]
    fn only_code_of_the_program_is_meant() {
        let maps = "\
55d0a0000000-55d0a0400000 r--p 00000000 08:01 7 /opt/touchkeep
55d0a0400000-55d0a1400000 r-xp 00400000 08:01 7 /opt/touchkeep
55d0a1400000-55d0a1500000 r--p 01400000 08:01 7 /opt/touchkeep
55d0a1500000-55d0a1510000 rw-p 01500000 08:01 7 /opt/touchkeep
7f0000000000-7f0000100000 r-xp 00000000 08:01 9 /usr/lib/libc.so.6
7f0000200000-7f0000300000 rwxp 00000000 00:00 0
";
        assert_eq!(
            code_in(maps, "/opt/touchkeep"),
            [(0x55d0_a040_0000, 0x55d0_a140_0000)]
        );
    }

    #[test]
    fn code_runs_as_before_and_takes_less_room() {
        let resident = || {
            let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let at = smaps.find(" r-xp ").unwrap();
            let rss = smaps[at..]
                .lines()
                .find_map(|line| line.strip_prefix("Rss:"))
                .unwrap();
            rss.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let _touched = format!("{:?}", toml::from_str::<toml::Value>("a = [1, 2.5, \"x\"]"));
        let before = resident();
        rest();
        let after = resident();
        assert!(after < before, "{after} of {before} KiB");
        assert!(toml::from_str::<toml::Value>("a = 1").is_ok());
    }
}
