//! The other place where copies stay behind: the stack of the thread that worked with a secret.

use zeroize::zeroize_stack;

/// More than what age, the curves and JSON use in a debug build, and little to wipe: some microseconds.
const STACK_BYTES: usize = 256 * 1024;

/// Runs something that handles secrets, and wipes the stack that it has used, also when it panics. What it returns should
/// hold secrets on the heap or in [`crate::LockedBytes`], because that moves over the caller's stack.
pub fn on_wiped_stack<T>(run: impl FnOnce() -> T) -> T {
    struct Wipe;
    impl Drop for Wipe {
        fn drop(&mut self) {
            zeroize_stack::<STACK_BYTES>();
        }
    }
    let _wipe = Wipe;
    apart(run)
}

/// Has a frame of its own, below the one that wipes.
#[inline(never)]
fn apart<T>(run: impl FnOnce() -> T) -> T {
    run()
}
