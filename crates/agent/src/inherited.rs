//! Sockets that systemd listens at until the agent is there (sd_listen_fds(3)): `LISTEN_PID` says whom they are for,
//! `LISTEN_FDS` how many there are, from descriptor 3 on, and `LISTEN_FDNAMES` what each is.

use std::{
    ffi::OsString,
    io,
    os::{
        fd::{FromRawFd, OwnedFd, RawFd},
        unix::net::UnixListener,
    },
    path::Path,
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{AddressFamily, SocketType, sockopt},
};

/// The first that is handed over.
const FIRST: RawFd = 3;
/// More than these two nobody hands over.
const MAX: usize = 2;

/// Sockets that were handed over.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<UnixListener>);

impl Inherited {
    /// Takes what was handed to this process. Call it once, before anything else opens a descriptor.
    ///
    /// # Errors
    /// When something else was handed over than listening unix sockets: then the units are not ours.
    pub(crate) fn take(lookup: &dyn Fn(&str) -> Option<OsString>) -> io::Result<Self> {
        let number = |name: &str| lookup(name)?.to_str()?.parse::<u32>().ok();
        if number("LISTEN_PID") != Some(std::process::id()) {
            return Ok(Self::default());
        }
        let count = number("LISTEN_FDS").and_then(|count| usize::try_from(count).ok());
        let count = count.filter(|count| *count <= MAX).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "systemd handed over another number of sockets than the agent has",
            )
        })?;
        (FIRST..)
            .take(count)
            .map(adopt)
            .collect::<io::Result<Vec<_>>>()
            .map(Self)
    }

    /// The one that listens at `path`. It may be asked for once.
    pub(crate) fn at(&mut self, path: &Path) -> Option<UnixListener> {
        let is_at = |listener: &UnixListener| {
            listener
                .local_addr()
                .is_ok_and(|address| address.as_pathname() == Some(path))
        };
        let at = self.0.iter().position(is_at)?;
        Some(self.0.swap_remove(at))
    }

    /// Whether nothing was handed over, or all of it was asked for.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Closes all that the command which started us had open: its locks and pipes end with it, and not with us. Call it before
/// anything is opened, and not where systemd hands over sockets.
#[expect(unsafe_code, reason = "close_range(2) has no safe form")]
pub(crate) fn let_go() {
    // SAFETY: nothing in this process owns a descriptor from `FIRST` on yet. Kernels before 5.9 do not know the call, and then all
    // stays open.
    let _unknown = unsafe { libc::syscall(libc::SYS_close_range, FIRST, u32::MAX, 0) };
}

#[expect(unsafe_code, reason = "a descriptor that is only known by its number")]
fn adopt(descriptor: RawFd) -> io::Result<UnixListener> {
    // SAFETY: the environment says that this descriptor was opened for us, and nothing else in this process has it: this is
    // called once, before anything is opened. A wrong environment makes a descriptor that is not open, which fails below.
    let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let is_ours = sockopt::socket_domain(&owned)? == AddressFamily::UNIX
        && sockopt::socket_type(&owned)? == SocketType::STREAM
        && sockopt::socket_acceptconn(&owned)?;
    if !is_ours {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "systemd handed over something else than listening unix sockets",
        ));
    }
    // What the agent starts does not get them.
    fcntl_setfd(&owned, FdFlags::CLOEXEC)?;
    let listener = UnixListener::from(owned);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_another_process_is_left_alone() {
        for pid in ["1", "", "x"] {
            let lookup = |name: &str| match name {
                "LISTEN_PID" => Some(OsString::from(pid)),
                _ => Some(OsString::from("1")),
            };
            assert!(Inherited::take(&lookup).unwrap().is_empty());
        }
        assert!(Inherited::take(&|_| None).unwrap().is_empty());
    }

    #[test]
    fn more_than_there_are_is_refused() {
        let own = std::process::id().to_string();
        for count in ["3", "-1", "x"] {
            let lookup = |name: &str| match name {
                "LISTEN_PID" => Some(OsString::from(&own)),
                "LISTEN_FDS" => Some(OsString::from(count)),
                _ => None,
            };
            assert!(Inherited::take(&lookup).is_err(), "{count}");
        }
    }
}
