//! One end of a pipe to the child, at which nobody is waited for without an end.

use std::{
    io::{self, Read, Write},
    os::fd::OwnedFd,
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
};

/// The end, and until when it is waited at.
pub(crate) struct Pipe {
    end: OwnedFd,
    until: Instant,
}

impl Pipe {
    pub(crate) fn new(end: OwnedFd) -> io::Result<Self> {
        let flags = fcntl_getfl(&end)?;
        fcntl_setfl(&end, flags | OFlags::NONBLOCK)?;
        let until = Instant::now();
        Ok(Self { end, until })
    }

    /// What is read and written from now on is done by then, or is an error.
    pub(crate) const fn until(&mut self, until: Instant) {
        self.until = until;
    }

    fn wait(&self, what: PollFlags) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.end, what)], Some(&left)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn in_time(
        &self,
        what: PollFlags,
        mut attempt: impl FnMut(&OwnedFd) -> Result<usize, Errno>,
    ) -> io::Result<usize> {
        // Also of an end that always has more.
        while Instant::now() <= self.until {
            match attempt(&self.end) {
                Err(Errno::AGAIN) => self.wait(what)?,
                Err(Errno::INTR) => {}
                done => return Ok(done?),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.in_time(PollFlags::IN, |end| rustix::io::read(end, &mut *into))
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.in_time(PollFlags::OUT, |end| rustix::io::write(end, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    #[test]
    fn what_does_not_come_in_time_is_an_error_and_what_is_not_taken_is_too() {
        let (out, into) = rustix::pipe::pipe().unwrap();
        let (mut out, mut into) = (Pipe::new(out).unwrap(), Pipe::new(into).unwrap());
        let late = out.read(&mut [0]).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        let full = into.write_all(&[7; 1024 * 1024]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn an_end_that_always_has_more_is_not_read_for_ever() {
        let mut zeros = Pipe::new(std::fs::File::open("/dev/zero").unwrap().into()).unwrap();
        zeros.until(Instant::now() + Duration::from_millis(20));
        let ended = io::copy(&mut zeros, &mut io::sink()).unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn more_than_a_pipe_holds_goes_through_and_its_end_is_seen() {
        let (out, into) = rustix::pipe::pipe().unwrap();
        let (mut out, mut into) = (Pipe::new(out).unwrap(), Pipe::new(into).unwrap());
        let until = Instant::now() + Duration::from_secs(60);
        out.until(until);
        into.until(until);
        let sent: Vec<u8> = (0..1_000_000u32).map(|n| n.to_be_bytes()[3]).collect();
        let writing = {
            let sent = sent.clone();
            thread::spawn(move || into.write_all(&sent).unwrap())
        };
        let mut got = Vec::new();
        out.read_to_end(&mut got).unwrap();
        writing.join().unwrap();
        assert!(got == sent);
    }
}
