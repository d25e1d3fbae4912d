//! Whether standard output was closed when this program was started, as by `>&-`.
//!
//! # Why
//! Before `main` the runtime opens `/dev/null` in place of a standard stream that is closed, so that no file is taken for it.
//! From then on a result goes nowhere and nobody hears of it; nor can it be told any more from a `/dev/null` that was given on
//! purpose, which some programs open for reading too. So it is looked at before that, by what the loader runs first.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd},
    stdio,
};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

#[used]
#[expect(
    unsafe_code,
    reason = "only a section of its own is run before the runtime begins"
)]
// SAFETY: the loader calls what stands in this section, once, before any other thread; it makes one system call and sets a flag.
#[unsafe(link_section = ".init_array")]
static LOOK_FIRST: extern "C" fn() = look;

extern "C" fn look() {
    let is_closed = fcntl_getfd(stdio::stdout()).is_err();
    WAS_CLOSED.store(is_closed, Ordering::Relaxed);
}

/// Fails where nobody gave this program a standard output: what is written to it goes nowhere.
///
/// # Errors
/// That, as a write to a closed descriptor fails.
pub fn check_open() -> io::Result<()> {
    match WAS_CLOSED.load(Ordering::Relaxed) {
        true => Err(Errno::BADF.into()),
        false => Ok(()),
    }
}

/// Has the program that this one becomes find standard output as this one found it.
pub fn hand_over() {
    if check_open().is_err() {
        // Where it cannot be said, the other takes what there is for what was meant.
        let _stays = fcntl_setfd(stdio::stdout(), FdFlags::CLOEXEC);
    }
}
