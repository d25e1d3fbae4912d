//! The other place where copies stay behind: the stack of the thread that worked with a secret.

use std::{fs::File, io, os::unix::fs::FileExt};

use zeroize::zeroize_stack;

/// More than what age, the curves and JSON use, and little to wipe: some microseconds. Frames of a debug build are larger.
const STACK_BYTES: usize = match cfg!(debug_assertions) {
    true => 384 * 1024,
    false => 256 * 1024,
};

/// What [`on_small_wiped_stack`] wipes: more than what a signature takes of a key that was read before, or a stored secret that is
/// read, and a quarter of the wiping. Tests hold both to three quarters of it.
pub const SMALL_STACK_BYTES: usize = match cfg!(debug_assertions) {
    true => 128 * 1024,
    false => 64 * 1024,
};

/// Runs something that handles secrets, and wipes the stack that it has used, also when it panics. What it returns should
/// hold secrets on the heap or in [`crate::LockedBytes`], because that moves over the caller's stack.
pub fn on_wiped_stack<T>(run: impl FnOnce() -> T) -> T {
    on_stack_wiped_of::<STACK_BYTES, _>(run)
}

/// The same for what takes no more than [`SMALL_STACK_BYTES`] of it: one signature of the crypto provider, one secret.
pub fn on_small_wiped_stack<T>(run: impl FnOnce() -> T) -> T {
    on_stack_wiped_of::<SMALL_STACK_BYTES, _>(run)
}

/// The same for what takes no more than so many bytes of it, which a test sees.
pub fn on_stack_wiped_of<const BYTES: usize, T>(run: impl FnOnce() -> T) -> T {
    let _wipe = Wipe::<BYTES>;
    apart(run)
}

struct Wipe<const BYTES: usize>;

impl<const BYTES: usize> Drop for Wipe<BYTES> {
    fn drop(&mut self) {
        zeroize_stack::<BYTES>();
    }
}

/// Has a frame of its own, below the one that wipes.
#[inline(never)]
fn apart<T>(run: impl FnOnce() -> T) -> T {
    run()
}

/// How far down the stack something leaves bytes other than zero, as far as [`on_wiped_stack`] wipes: for tests of how much of it is
/// to be wiped.
///
/// # Errors
/// When this process may not look at its own memory.
#[inline(never)]
pub fn bytes_left_by(run: impl FnOnce()) -> io::Result<usize> {
    let here = 0_u8;
    let top = (&raw const here).addr();
    let memory = File::open("/proc/self/mem")?;
    let mut below = vec![0; STACK_BYTES];
    on_wiped_stack(|| ());
    apart(run);
    let lowest = top.saturating_sub(STACK_BYTES) as u64;
    memory.read_exact_at(&mut below, lowest)?;
    let clean = below.iter().take_while(|byte| **byte == 0).count();
    Ok(STACK_BYTES - clean)
}
