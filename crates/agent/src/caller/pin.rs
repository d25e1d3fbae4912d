//! Pins the process at the other end of a socket, so that its number cannot become another's unnoticed.

use std::{
    mem::size_of,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::net::UnixStream;

/// A process, by a descriptor that stays its own after its end.
#[derive(Debug)]
pub(super) struct Pin(OwnedFd);

impl Pin {
    /// The process that connected. Linux 6.5 hands out its descriptor with the socket; before that it is opened by number,
    /// and whoever asks looks afterwards whether it lives: a number is not given again while its process does.
    pub(super) fn of(stream: &UnixStream, pid: i32) -> Option<Self> {
        peer_pidfd(stream).map(Self).or_else(|| Self::of_pid(pid))
    }

    /// The process that has this number now.
    pub(super) fn of_pid(pid: i32) -> Option<Self> {
        let descriptor = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty());
        descriptor.ok().map(Self)
    }

    /// Whether the process has not ended. A pidfd becomes readable at its end (pidfd_open(2)).
    pub(super) fn lives(&self) -> bool {
        let mut ended = [PollFd::new(&self.0, PollFlags::IN)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        matches!(poll(&mut ended, Some(&at_once)), Ok(0))
    }
}

// SO_PEERPIDFD of unix(7), which rustix does not offer.
#[expect(unsafe_code, reason = "one socket option that no safe crate has")]
fn peer_pidfd(stream: &UnixStream) -> Option<OwnedFd> {
    let mut descriptor: libc::c_int = -1;
    let mut length = libc::socklen_t::try_from(size_of::<libc::c_int>()).ok()?;
    // SAFETY: the pointers are to locals of exactly the size that is said, and live longer than the call.
    let done = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERPIDFD,
            (&raw mut descriptor).cast(),
            &raw mut length,
        )
    };
    // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
    (done == 0 && descriptor >= 0).then(|| unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn the_kernel_hands_out_the_peer_or_says_that_it_cannot() {
        let (one, _other) = UnixStream::pair().unwrap();
        let pin = Pin::of(&one, i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(pin.lives());
    }

    #[test]
    fn an_end_is_seen() {
        let mut child = Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let pin = Pin(pidfd_open(pid, PidfdFlags::empty()).unwrap());
        assert!(pin.lives());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!pin.lives());
    }
}
