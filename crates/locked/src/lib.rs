//! Memory for long-lived keys and kept PINs.
//!
//! [`LockedBytes`] lie in pages that are never swapped out, left out of core dumps, not handed to child processes, fenced in
//! by pages that nobody can touch, and wiped before they are given back. Where the kernel has `memfd_secret` (Linux 5.14 and
//! later) the pages are also taken out of the kernel's own map of memory: neither `/proc/PID/mem` nor `ptrace` nor a core
//! dump reads them, not even for root. [`protection`] says which of both it is here.
//!
//! It never falls back to ordinary memory: where nothing can be locked, nothing is kept, and the caller gets an error.
//! What is exposed and then copied by the caller is the caller's to wipe. [`WipingAllocator`] does it for what lies on the
//! heap, [`on_wiped_stack`] for what code that is not ours leaves on the stack, [`in_locked_memory`] for keys that the crypto
//! provider has read and that stay.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )
)]

mod allocator;
mod bytes;
mod provider;
mod region;
mod stack;

pub use allocator::WipingAllocator;
pub use bytes::{LockedBytes, protection};
pub use provider::{in_locked_memory, keep_keys_apart};
pub use stack::{
    SMALL_STACK_BYTES, bytes_left_by, on_small_wiped_stack, on_stack_wiped_of, on_wiped_stack,
};

/// What keeps others from reading [`LockedBytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protection {
    /// `memfd_secret`: no other process reads it, and the kernel itself not by accident.
    SecretMemory,
    /// `mlock`: never in swap or in a core dump, but root can read it. The kernel has no `memfd_secret`, or a sandbox
    /// forbids it.
    LockedPages,
}

impl std::fmt::Display for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SecretMemory => "memfd_secret",
            Self::LockedPages => "mlock",
        })
    }
}
