//! Holds one secret, in one way after the other, so that somebody else can look for it in this process.
//!
//! The secret comes masked as the first argument and is written in plain where it is held and nowhere else. Each line on
//! standard input is an order, and is answered by one line: `heap` and `free` (an ordinary buffer, and `grow`, which moves
//! it), `lock` and `drop` (`LockedBytes`), `stack` and `clean` (a local variable, the second time `on_wiped_stack`), `fork` (a child that only waits: its process id). With `--sandboxed` the process
//! denies itself `memfd_secret`, as a container may.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it speaks over its pipes, and fails loudly"
)]

use std::io::{BufRead, stdin};

use touchkeep_locked::{LockedBytes, WipingAllocator, on_wiped_stack, protection};

#[global_allocator]
static MEMORY: WipingAllocator = WipingAllocator;

/// What is in the argument is not what is looked for.
const MASK: u8 = 0x5a;

fn main() {
    let masked = std::env::args().nth(1).unwrap().into_bytes();
    if std::env::args().any(|argument| argument == "--sandboxed") {
        sandbox::deny_secret_memory();
    }
    let unmask = |place: &mut [u8]| {
        for (plain, masked) in place.iter_mut().zip(&masked) {
            *plain = masked ^ MASK;
        }
    };
    let (mut heap, mut locked): (Option<Vec<u8>>, _) = (None, None);
    println!("{}", protection().unwrap());
    for order in stdin().lock().lines() {
        match order.unwrap().as_str() {
            "heap" => unmask(heap.insert(vec![0; masked.len()])),
            "grow" => heap.iter_mut().for_each(|heap| heap.reserve(1 << 12)),
            "free" => heap = None,
            "lock" => {
                let kept = LockedBytes::fill(masked.len(), |place| {
                    unmask(place);
                    Ok(())
                });
                locked = Some(kept.unwrap());
            }
            "drop" => locked = None,
            "stack" => on_stack(&unmask),
            "clean" => on_wiped_stack(|| on_stack(&unmask)),
            "fork" => {
                println!("{}", sandbox::fork_and_wait());
                continue;
            }
            other => unreachable!("{other:?} is no order"),
        }
        println!("done");
    }
    drop((heap, locked));
}

/// Leaves the secret behind, deep enough that what follows does not write over it.
#[inline(never)]
fn on_stack(unmask: &impl Fn(&mut [u8])) {
    let mut local = [0; 16 * 1024];
    unmask(&mut local);
    std::hint::black_box(&local);
}

mod sandbox {
    #![expect(unsafe_code, reason = "seccomp and fork have no safe face")]

    /// Has the kernel answer EPERM to `memfd_secret`.
    pub(crate) fn deny_secret_memory() {
        let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
        let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        let give = libc::BPF_RET | libc::BPF_K;
        let step = |code, jt, jf, k| libc::sock_filter {
            code: u16::try_from(code).unwrap(),
            jt,
            jf,
            k,
        };
        let denied = u32::try_from(libc::SYS_memfd_secret).unwrap();
        let errno = u32::try_from(libc::EPERM).unwrap();
        let mut filter = [
            step(load, 0, 0, 0), // the call's number
            step(equal, 0, 1, denied),
            step(give, 0, 0, libc::SECCOMP_RET_ERRNO | errno),
            step(give, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog {
            len: u16::try_from(filter.len()).unwrap(),
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: the program lives until the kernel has copied it.
        unsafe {
            assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
            let mode = libc::SECCOMP_MODE_FILTER;
            assert_eq!(
                libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program),
                0
            );
        }
    }

    /// A child with a copy of this process's memory that ends with it; its process id.
    pub(crate) fn fork_and_wait() -> i32 {
        // SAFETY: this program has one thread, and the child only makes system calls.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                loop {
                    libc::pause();
                }
            }
            child
        }
    }
}
