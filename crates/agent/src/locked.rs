//! Memory for a typed PIN that is kept: pages of its own that are never swapped out, left out of core dumps, not handed to
//! child processes, and wiped before they are given back. The only place of this crate with `unsafe` in it.

#![expect(
    unsafe_code,
    reason = "the operating system hands out and locks pages through raw pointers"
)]

use std::{io, ptr, slice};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use zeroize::Zeroize;

/// Bytes in locked pages. Neither `Clone` nor `Debug`.
pub(crate) struct LockedBytes {
    start: ptr::NonNull<u8>,
    len: usize,
}

// SAFETY: the pages belong to this value alone, and nothing in it is tied to a thread.
unsafe impl Send for LockedBytes {}

impl LockedBytes {
    /// Copies `bytes` into locked pages.
    ///
    /// # Errors
    /// When the operating system does not lock memory for us (RLIMIT_MEMLOCK); then nothing is kept.
    pub(crate) fn copy_of(bytes: &[u8]) -> io::Result<Self> {
        if bytes.is_empty() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        // SAFETY: a fresh private mapping at an address of the kernel's choice touches no memory of ours.
        let mapped = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                bytes.len(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let start = ptr::NonNull::new(mapped.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // From here on `Drop` gives the pages back.
        let locked = Self {
            start,
            len: bytes.len(),
        };
        // SAFETY: the range is the mapping that was just made.
        unsafe {
            mlock(mapped, bytes.len())?;
            madvise(mapped, bytes.len(), Advice::LinuxDontDump)?;
            madvise(mapped, bytes.len(), Advice::LinuxDontFork)?;
        }
        // SAFETY: the mapping is writable, `bytes.len()` long and cannot overlap with `bytes`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr(), bytes.len()) };
        Ok(locked)
    }

    /// The bytes, for the shortest time.
    pub(crate) fn expose(&self) -> &[u8] {
        // SAFETY: the mapping is `len` long, initialised, and lives as long as `self`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for LockedBytes {
    fn drop(&mut self) {
        // SAFETY: nobody else has the mapping; it is `len` long and given back once.
        unsafe {
            slice::from_raw_parts_mut(self.start.as_ptr(), self.len).zeroize();
            // It can only fail for a range that is not mapped.
            let _ = munmap(self.start.as_ptr().cast(), self.len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_is_locked() {
        let locked_kb = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status
                .lines()
                .find(|line| line.starts_with("VmLck:"))
                .unwrap();
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        let before = locked_kb();
        let kept = LockedBytes::copy_of(b"123456").unwrap();
        assert_eq!(kept.expose(), b"123456");
        assert!(locked_kb() > before);
        drop(kept);
        assert_eq!(locked_kb(), before);
    }

    #[test]
    fn nothing_is_kept_of_nothing() {
        assert!(LockedBytes::copy_of(b"").is_err());
    }
}
