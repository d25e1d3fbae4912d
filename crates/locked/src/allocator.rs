//! An allocator for a process that handles secrets: what is given back is wiped first.
//!
//! # Why
//! A secret crosses code that is not ours (JSON, age, HTTP, a growing `String`), and each leaves copies behind that no type
//! of ours knows of. Freed memory would keep them for as long as nobody needs the place. Here they end with the buffer.
//! It costs one pass over each buffer that is freed, and that a buffer which grows is always copied.

#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};

use zeroize::optimization_barrier;

/// The system's allocator, wiping. Named once per program: `#[global_allocator]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct WipingAllocator;

// SAFETY: every call goes to the system's allocator with what it was called with. `realloc` stays the default: new place,
// copy, and `dealloc` of the old one.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller gives back what was allocated with this layout, and does not use it any more.
        unsafe {
            place.write_bytes(0, layout.size());
            // Without it the compiler may leave the writes out, as nobody reads them.
            optimization_barrier(&*place);
            System.dealloc(place, layout);
        }
    }
}
