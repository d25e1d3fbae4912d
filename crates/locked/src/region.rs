//! Locked pages between two guards, divided into slots.

#![expect(
    unsafe_code,
    reason = "the operating system hands out and locks pages through raw pointers"
)]

use std::{
    ffi::c_void,
    io,
    ops::Range,
    os::fd::{FromRawFd, OwnedFd},
    ptr::{self, NonNull},
};

use rustix::{
    fs::ftruncate,
    mm::{
        Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, mprotect,
        munmap,
    },
    param::page_size,
};

use crate::Protection;

/// What a slot holds: a key, a PIN, a token. Longer secrets take several in a row.
pub(crate) const SLOT_BYTES: usize = 64;

/// Usable bytes of a region, unless one secret needs more. Four pages serve all keys of a usual session.
const REGION_BYTES: usize = 16 * 1024;

/// Pages of one kind. Whoever takes slots wipes them before they are given back.
pub(crate) struct Region {
    /// The first guard.
    start: NonNull<c_void>,
    /// Both guards included.
    len: usize,
    taken: Vec<bool>,
    protection: Protection,
}

// SAFETY: the pages belong to this value alone, and nothing in it is tied to a thread.
unsafe impl Send for Region {}

impl Region {
    /// Maps a region that holds at least `bytes` in one piece, in the best way that the kernel offers.
    ///
    /// # Errors
    /// When the operating system locks no (more) memory for this process.
    pub(crate) fn map(bytes: usize) -> io::Result<Self> {
        match secret_memory()? {
            Some(fd) => Self::secret(bytes, &fd),
            None => Self::locked(bytes),
        }
        .map_err(|error| {
            let text = format!("no memory can be locked for this process (`ulimit -l`): {error}");
            io::Error::new(error.kind(), text)
        })
    }

    fn secret(bytes: usize, fd: &OwnedFd) -> io::Result<Self> {
        let region = Self::reserve(bytes, Protection::SecretMemory)?;
        let len = region.usable();
        ftruncate(fd, len as u64)?;
        // SAFETY: it replaces our own reservation between its guards, which nobody has a pointer to. The kernel takes
        // only shared mappings here; ours stays the only one, as the descriptor is closed and never handed on.
        unsafe {
            mmap(
                region.data().as_ptr().cast(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::FIXED,
                fd,
                0,
            )?;
        }
        region.settle()
    }

    pub(crate) fn locked(bytes: usize) -> io::Result<Self> {
        let region = Self::reserve(bytes, Protection::LockedPages)?;
        // SAFETY: the range is our own reservation between its guards.
        unsafe {
            let data = region.data().as_ptr().cast();
            mprotect(
                data,
                region.usable(),
                MprotectFlags::READ | MprotectFlags::WRITE,
            )?;
            mlock(data, region.usable())?;
        }
        region.settle()
    }

    /// Address space without access: the guards, and the place for the pages between them.
    fn reserve(bytes: usize, protection: Protection) -> io::Result<Self> {
        let page = page_size();
        let data = bytes
            .max(REGION_BYTES)
            .checked_next_multiple_of(page)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let len = data
            .checked_add(2 * page)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a fresh private mapping at an address of the kernel's choice touches no memory of ours.
        let start =
            unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), MapFlags::PRIVATE) }?;
        Ok(Self {
            start: NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?,
            len,
            taken: vec![false; data / SLOT_BYTES],
            protection,
        })
    }

    /// Keeps the pages out of core dumps and child processes, and has them given to us now rather than at the first key.
    fn settle(self) -> io::Result<Self> {
        let (data, len) = (self.data().as_ptr(), self.usable());
        // SAFETY: the range is the mapping that was just made, writable and `len` long.
        unsafe {
            madvise(data.cast(), len, Advice::LinuxDontDump)?;
            madvise(data.cast(), len, Advice::LinuxDontFork)?;
            ptr::write_bytes(data, 0, len);
        }
        Ok(self)
    }

    /// Takes room for `bytes`, if there is any.
    pub(crate) fn take(&mut self, bytes: usize) -> Option<NonNull<u8>> {
        let wanted = bytes.div_ceil(SLOT_BYTES);
        let free = |slots: &[bool]| slots.iter().all(|taken| !taken);
        let first = self.taken.windows(wanted).position(free)?;
        self.mark(first, wanted, true);
        // SAFETY: `first` is a slot of this region, so the address lies in its data.
        Some(unsafe { self.data().add(first * SLOT_BYTES) })
    }

    /// Gives room back that [`Self::take`] gave out, and that holds nothing any more.
    pub(crate) fn release(&mut self, place: NonNull<u8>, bytes: usize) {
        let first = (place.addr().get() - self.data().addr().get()) / SLOT_BYTES;
        self.mark(first, bytes.div_ceil(SLOT_BYTES), false);
    }

    pub(crate) fn holds(&self, place: NonNull<u8>) -> bool {
        self.addresses().contains(&place.addr().get())
    }

    /// Where its data lies.
    pub(crate) fn addresses(&self) -> Range<usize> {
        let start = self.data().addr().get();
        start..start + self.usable()
    }

    pub(crate) fn is_free(&self) -> bool {
        self.taken.iter().all(|taken| !taken)
    }

    pub(crate) fn protection(&self) -> Protection {
        self.protection
    }

    fn mark(&mut self, first: usize, count: usize, taken: bool) {
        for slot in self.taken.iter_mut().skip(first).take(count) {
            *slot = taken;
        }
    }

    fn usable(&self) -> usize {
        self.len - 2 * page_size()
    }

    /// Behind the first guard.
    fn data(&self) -> NonNull<u8> {
        // SAFETY: the mapping is longer than two pages.
        unsafe { self.start.cast::<u8>().add(page_size()) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: nobody else has the mapping; it is `len` long and given back once. It can only fail for a range that is
        // not mapped.
        let _ = unsafe { munmap(self.start.as_ptr(), self.len) };
    }
}

/// Secret memory; none where the kernel has none (`ENOSYS`), a sandbox forbids it (`EPERM`) or knows the call and not the
/// flags (`EINVAL`).
fn secret_memory() -> io::Result<Option<OwnedFd>> {
    let flags = libc::O_CLOEXEC;
    // SAFETY: memfd_secret(2) takes flags and gives a descriptor or -1; no memory is involved.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, flags) };
    match i32::try_from(fd) {
        // SAFETY: the kernel has just opened it for us, and nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) })),
        _ => {
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::ENOSYS | libc::EPERM | libc::EINVAL) => Ok(None),
                _ => Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_given_out_once_and_come_back() {
        let mut region = Region::map(1).unwrap();
        let slots = region.usable() / SLOT_BYTES;
        let mut places: Vec<_> = (0..slots)
            .map(|_| region.take(SLOT_BYTES).unwrap())
            .collect();
        assert!(region.take(1).is_none());
        places.sort();
        places.dedup();
        assert_eq!(places.len(), slots);
        // Two neighbours make room for one long secret; two strangers do not.
        region.release(places[3], SLOT_BYTES);
        region.release(places[7], 1);
        assert!(region.take(SLOT_BYTES + 1).is_none());
        region.release(places[4], SLOT_BYTES);
        assert_eq!(region.take(SLOT_BYTES + 1), Some(places[3]));
        assert!(!region.is_free());
    }

    #[test]
    fn a_long_secret_gets_a_region_that_holds_it() {
        let mut region = Region::map(100_000).unwrap();
        assert!(region.take(100_000).is_some());
        let mut region = Region::locked(100_000).unwrap();
        assert!(region.take(100_000).is_some());
        assert!(Region::map(usize::MAX).is_err());
    }

    #[test]
    fn the_guards_cannot_be_touched_and_the_data_is_nobody_elses() {
        for region in [Region::map(1).unwrap(), Region::locked(1).unwrap()] {
            let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let data = region.data().addr().get();
            let named = |address: usize| {
                maps.lines()
                    .position(|line| line.starts_with(&format!("{address:08x}-")))
            };
            let flags = |line: usize| {
                let flags = maps
                    .lines()
                    .skip(line)
                    .find_map(|line| line.strip_prefix("VmFlags: "));
                flags.unwrap().split(' ').collect::<Vec<_>>()
            };
            // Locked, not dumped, not copied on fork.
            let inside = flags(named(data).unwrap());
            assert!(
                ["rd", "wr", "lo", "dd", "dc"]
                    .iter()
                    .all(|flag| inside.contains(flag)),
                "{inside:?}"
            );
            let behind = flags(named(data + region.usable()).unwrap());
            assert!(
                !behind.contains(&"rd") && !behind.contains(&"wr"),
                "{behind:?}"
            );
            let line = maps
                .lines()
                .find(|line| line.contains(&format!("-{data:08x} ")))
                .unwrap();
            assert!(line.contains(" ---p "), "{line}");
        }
    }
}
