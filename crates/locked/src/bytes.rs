//! One secret in its slots.

#![expect(
    unsafe_code,
    reason = "a secret's bytes are reached through the pointer that its region gave out"
)]

use std::{
    io,
    ptr::NonNull,
    slice,
    sync::{Mutex, MutexGuard, PoisonError},
};

use zeroize::Zeroize;

use crate::{Protection, region::Region};

/// Every region of this process. An empty one is given back at once.
static REGIONS: Mutex<Vec<Region>> = Mutex::new(Vec::new());

/// Bytes in locked pages, wiped on drop. Neither `Clone` nor `Debug`.
pub struct LockedBytes {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the slots belong to this value alone, nothing in it is tied to a thread, and a shared reference only reads.
unsafe impl Send for LockedBytes {}
// SAFETY: as above.
unsafe impl Sync for LockedBytes {}

impl LockedBytes {
    /// Copies `bytes` into locked pages. The caller wipes the original.
    ///
    /// # Errors
    /// When there is nothing to keep, or the operating system locks no memory for us; then nothing is kept.
    pub fn copy_of(bytes: &[u8]) -> io::Result<Self> {
        Self::fill(bytes.len(), |place| {
            place.copy_from_slice(bytes);
            Ok(())
        })
    }

    /// Has a secret of `len` bytes written where it stays, so that there is no other copy. The place is all zeros before.
    ///
    /// # Errors
    /// As [`Self::copy_of`], and when `write` fails; then what it has written is wiped.
    pub fn fill(len: usize, write: impl FnOnce(&mut [u8]) -> io::Result<()>) -> io::Result<Self> {
        if len == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // From here on `Drop` wipes the slots and gives them back.
        let mut kept = Self {
            start: take(len)?,
            len,
        };
        write(kept.expose_mut()).map(|()| kept)
    }

    /// The bytes, for the shortest time.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        // SAFETY: the slots are `len` long at least, initialised, and live as long as `self`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    fn expose_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for LockedBytes {
    fn drop(&mut self) {
        self.expose_mut().zeroize();
        let mut regions = regions();
        if let Some(at) = regions.iter().position(|region| region.holds(self.start))
            && let Some(region) = regions.get_mut(at)
        {
            region.release(self.start, self.len);
            if region.is_free() {
                regions.swap_remove(at);
            }
        }
    }
}

/// What [`LockedBytes`] are protected by in this process.
///
/// # Errors
/// When the operating system locks no memory for us at all.
pub fn protection() -> io::Result<Protection> {
    if let Some(region) = regions().last() {
        return Ok(region.protection());
    }
    Region::map(1).map(|region| region.protection())
}

fn take(len: usize) -> io::Result<NonNull<u8>> {
    let mut regions = regions();
    if let Some(place) = regions.iter_mut().find_map(|region| region.take(len)) {
        return Ok(place);
    }
    let mut region = Region::map(len)?;
    let place = region.take(len).ok_or(io::ErrorKind::OutOfMemory)?;
    regions.push(region);
    Ok(place)
}

fn regions() -> MutexGuard<'static, Vec<Region>> {
    REGIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rustix::{
        process::{Resource, Rlimit, setrlimit},
        thread::{CapabilitySet, capabilities, set_capabilities},
    };

    use super::*;

    fn locked_kb() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
        line.unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    }

    #[test]
    fn what_is_kept_comes_back_and_is_locked() {
        let before = locked_kb();
        let kept = LockedBytes::copy_of(b"123456").unwrap();
        let other = LockedBytes::copy_of(&[7; 100]).unwrap();
        let with_both = locked_kb();
        assert!(with_both > before);
        assert_eq!(
            (kept.expose(), other.expose()),
            (&b"123456"[..], &[7; 100][..])
        );
        drop(kept);
        assert_eq!(locked_kb(), with_both, "small secrets share pages");
        drop(other);
        assert_eq!(locked_kb(), before);
    }

    #[test]
    fn a_place_is_clean_when_it_is_given_out_again() {
        let _stays = LockedBytes::copy_of(b"so that the region stays").unwrap();
        let first = LockedBytes::copy_of(&[0xa5; 200]).unwrap();
        let place = first.start;
        drop(first);
        let second = LockedBytes::fill(200, |place| {
            assert_eq!(place, [0; 200]);
            Ok(())
        });
        assert_eq!(second.unwrap().start, place);
    }

    #[test]
    fn what_could_not_be_written_is_not_kept() {
        let failed = LockedBytes::fill(8, |place| {
            place.fill(1);
            Err(io::ErrorKind::InvalidData.into())
        });
        assert_eq!(failed.err().unwrap().kind(), io::ErrorKind::InvalidData);
        assert!(regions().is_empty());
        assert!(LockedBytes::copy_of(b"").is_err());
    }

    #[test]
    fn many_threads_keep_their_own() {
        std::thread::scope(|scope| {
            for n in 0..8u8 {
                scope.spawn(move || {
                    for len in 1..300 {
                        let kept = LockedBytes::copy_of(&vec![n; len]).unwrap();
                        assert!(kept.expose().iter().all(|&byte| byte == n));
                    }
                });
            }
        });
        assert!(regions().is_empty());
    }

    #[test]
    fn nothing_is_kept_where_nothing_may_be_locked() {
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        setrlimit(Resource::Memlock, none).unwrap();
        // Root is above that limit by a capability.
        let mut ours = capabilities(None).unwrap();
        ours.effective.remove(CapabilitySet::IPC_LOCK);
        set_capabilities(None, ours).unwrap();
        let error = LockedBytes::copy_of(b"123456").err().unwrap();
        assert!(error.to_string().contains("ulimit -l"), "{error}");
        assert!(protection().is_err());
        assert!(Region::locked(1).is_err());
    }
}
