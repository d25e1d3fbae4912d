//! Keys that the crypto provider has read, where nobody else reads them.
//!
//! aws-lc takes its memory from the C library, and a private key that it has read lies there as long as it is used. Once
//! [`keep_keys_apart`] was called, what it asks for while [`in_locked_memory`] runs lies in pages like those of
//! [`crate::LockedBytes`] instead. Everything else it gets as before: the same layout, wiped before it is given back.

#![expect(
    unsafe_code,
    reason = "an allocator of a C library hands out raw memory"
)]

use std::{
    cell::Cell,
    ffi::{c_char, c_int, c_void},
    ops::Range,
    ptr::{self, NonNull},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use zeroize::optimization_barrier;

use crate::region::Region;

/// Room for about twenty RSA keys, or some hundreds of others.
const PAGES_BYTES: usize = 256 * 1024;
/// aws-lc's own prefix, which holds the size (`OPENSSL_MALLOC_PREFIX` in its `mem.c`): what it allocated before it was told
/// of us can be given back to us.
const PREFIX: usize = size_of::<usize>();

/// How the calling thread's allocations are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Ordinary,
    Locked,
    /// There was no room, and something lies in ordinary memory.
    Spilled,
}

thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode::Ordinary) };
}

static ASKED: AtomicBool = AtomicBool::new(false);
static PAGES: OnceLock<Option<Pages>> = OnceLock::new();

/// Never given back: a key may lie in them until the process ends.
struct Pages {
    // What is given back is looked for here without waiting for anybody.
    addresses: Range<usize>,
    region: Mutex<Region>,
}

impl Pages {
    fn map() -> Option<Self> {
        let region = Region::map(PAGES_BYTES).ok()?;
        Some(Self {
            addresses: region.addresses(),
            region: Mutex::new(region),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Region> {
        self.region.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has aws-lc take its memory from here. To be called before other threads are started.
pub fn keep_keys_apart() {
    // SAFETY: the three functions do what aws-lc's own do, for the same layout.
    let taken = unsafe {
        aws_lc_sys::CRYPTO_set_mem_functions(Some(allocate), Some(reallocate), Some(free))
    };
    if taken == 1 {
        ASKED.store(true, Ordering::SeqCst);
    }
}

/// Makes something of aws-lc's that stays, all of it in locked memory. None where that cannot be had; then nothing of it is
/// left.
pub fn in_locked_memory<T>(make: impl FnOnce() -> T) -> Option<T> {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            MODE.set(Mode::Ordinary);
        }
    }
    if !ASKED.load(Ordering::SeqCst) || pages().is_none() {
        return None;
    }
    let back = Back;
    MODE.set(Mode::Locked);
    let made = make();
    let spilled = MODE.get() == Mode::Spilled;
    drop(back);
    (!spilled).then_some(made)
}

fn pages() -> Option<&'static Pages> {
    PAGES.get_or_init(Pages::map).as_ref()
}

// The pages of this process, if there are any yet and it lies there.
fn holding(place: NonNull<u8>) -> Option<&'static Pages> {
    let pages = PAGES.get()?.as_ref()?;
    pages
        .addresses
        .contains(&place.addr().get())
        .then_some(pages)
}

unsafe extern "C" fn allocate(size: usize, _file: *const c_char, _line: c_int) -> *mut c_void {
    let Some(whole) = size.checked_add(PREFIX) else {
        return ptr::null_mut();
    };
    let place = match MODE.get() {
        Mode::Ordinary => None,
        Mode::Locked | Mode::Spilled => pages().and_then(|pages| pages.lock().take(whole)),
    };
    if place.is_none() && MODE.get() == Mode::Locked {
        MODE.set(Mode::Spilled);
    }
    // SAFETY: malloc(3) takes any size.
    let place = place.or_else(|| NonNull::new(unsafe { libc::malloc(whole) }.cast::<u8>()));
    let Some(place) = place else {
        return ptr::null_mut();
    };
    // SAFETY: at least `PREFIX` bytes lie there, aligned for a number as both sources align.
    unsafe {
        place.cast::<usize>().write(size);
        place.add(PREFIX).as_ptr().cast()
    }
}

unsafe extern "C" fn reallocate(
    old: *mut c_void,
    size: usize,
    file: *const c_char,
    line: c_int,
) -> *mut c_void {
    // SAFETY: `allocate` takes any size; what aws-lc hands in was given out by it or by aws-lc's own, with its size before it.
    unsafe {
        let new = allocate(size, file, line);
        if new.is_null() || old.is_null() {
            return new;
        }
        let had = old.cast::<u8>().sub(PREFIX).cast::<usize>().read();
        ptr::copy_nonoverlapping(old.cast::<u8>(), new.cast(), had.min(size));
        free(old, file, line);
        new
    }
}

unsafe extern "C" fn free(old: *mut c_void, _file: *const c_char, _line: c_int) {
    let Some(old) = NonNull::new(old.cast::<u8>()) else {
        return;
    };
    // SAFETY: it was given out with its size before it, and is not used any more.
    unsafe {
        let place = old.sub(PREFIX);
        let whole = place.cast::<usize>().read() + PREFIX;
        place.write_bytes(0, whole);
        // Without it the compiler may leave the writes out, as nobody reads them.
        optimization_barrier(place.as_ref());
        match holding(place) {
            Some(pages) => pages.lock().release(place, whole),
            None => libc::free(place.as_ptr().cast()),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_sys::{OPENSSL_free, OPENSSL_malloc, OPENSSL_realloc};

    use super::*;

    fn is_locked(place: *mut c_void) -> bool {
        holding(NonNull::new(place.cast()).unwrap()).is_some()
    }

    // One test: what is asked of aws-lc is asked once in a process.
    #[test]
    fn what_is_made_inside_lies_in_locked_pages_and_nothing_else_does() {
        // SAFETY: what was allocated is written within its size, and freed once.
        unsafe {
            let before = OPENSSL_malloc(100);
            assert!(in_locked_memory(|| ()).is_none(), "nobody asked for it yet");
            keep_keys_apart();
            OPENSSL_free(before);
            let inside = in_locked_memory(|| OPENSSL_malloc(100)).unwrap();
            inside.cast::<u8>().write_bytes(7, 100);
            let outside = OPENSSL_malloc(100);
            assert!(is_locked(inside) && !is_locked(outside));
            // A thread beside is not inside.
            let beside = in_locked_memory(|| {
                std::thread::spawn(|| OPENSSL_malloc(10).expose_provenance()).join()
            });
            let beside = ptr::with_exposed_provenance_mut(beside.unwrap().unwrap());
            assert!(!is_locked(beside));
            // It may be freed, and grow, outside.
            let grown = OPENSSL_realloc(inside, 200);
            assert!(!is_locked(grown));
            let bytes = std::slice::from_raw_parts(grown.cast::<u8>(), 100);
            assert_eq!(bytes, [7; 100]);
            let again = in_locked_memory(|| OPENSSL_malloc(100)).unwrap();
            let bytes = std::slice::from_raw_parts(again.cast::<u8>(), 100);
            assert_eq!(bytes, [0; 100], "wiped before it was given back");
            let mut too_much = ptr::null_mut();
            let spilled = in_locked_memory(|| too_much = OPENSSL_malloc(PAGES_BYTES));
            assert!(spilled.is_none() && !too_much.is_null());
            let panicked = std::panic::catch_unwind(|| in_locked_memory(|| panic!("on purpose")));
            assert!(panicked.is_err());
            let after = OPENSSL_malloc(100);
            assert!(!is_locked(after));
            for place in [beside, grown, again, outside, too_much, after] {
                OPENSSL_free(place);
            }
        }
        assert!(pages().unwrap().lock().is_free());
    }
}
