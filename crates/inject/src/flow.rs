//! What a program prints, on its way out: read, masked, written, with nothing held longer than somebody might wait.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    thread::JoinHandle,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::mask::{Mask, Patterns};

/// After this long without output, what is held and is little goes out: it is a prompt, or the end of a message.
const SILENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};
const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};
const CHUNK_BYTES: usize = 64 * 1024;

/// Copies `from` to `to` until its end, or, once `done` is readable or closed, until nothing more is there.
///
/// # Errors
/// When `to` cannot be written; whoever prints then finds nobody who reads.
pub(crate) fn copy(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    done: Option<BorrowedFd<'_>>,
    patterns: Arc<Patterns>,
) -> io::Result<()> {
    let mut mask = Mask::new(patterns);
    let (mut chunk, mut out) = (vec![0; CHUNK_BYTES], Vec::with_capacity(CHUNK_BYTES));
    let mut done = done;
    // Whether what is held is so after a silence, too.
    let (mut ending, mut stays) = (false, false);
    loop {
        let timeout = match (ending, mask.is_holding() && !stays) {
            (true, _) => Some(AT_ONCE),
            (false, true) => Some(SILENCE),
            (false, false) => None,
        };
        match wait(from, done, timeout)? {
            News::Bytes => match rustix::io::read(from, &mut chunk) {
                // A terminal whose other side is closed says EIO.
                Ok(0) | Err(Errno::IO) => break,
                Ok(count) => {
                    mask.push(chunk.get(..count).unwrap_or_default(), &mut out);
                    stays = false;
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            },
            News::Nothing if ending => break,
            News::Nothing => {
                mask.pause(&mut out);
                stays = true;
            }
            News::Done => {
                ending = true;
                done = None;
            }
        }
        write_all(to, &out)?;
        out.clear();
    }
    mask.finish(&mut out);
    write_all(to, &out)
}

enum News {
    Bytes,
    Nothing,
    Done,
}

fn wait(
    from: BorrowedFd<'_>,
    done: Option<BorrowedFd<'_>>,
    timeout: Option<Timespec>,
) -> io::Result<News> {
    let from = PollFd::from_borrowed_fd(from, PollFlags::IN);
    let mut wanted = match done {
        Some(done) => vec![from, PollFd::from_borrowed_fd(done, PollFlags::IN)],
        None => vec![from],
    };
    loop {
        return match poll(&mut wanted, timeout.as_ref()) {
            Ok(0) => Ok(News::Nothing),
            Ok(_)
                if wanted
                    .first()
                    .is_some_and(|from| !from.revents().is_empty()) =>
            {
                Ok(News::Bytes)
            }
            Ok(_) => Ok(News::Done),
            Err(Errno::INTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

/// Writes everything, also where the other side was set to not block.
pub(crate) fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut wanted = [PollFd::new(&to, PollFlags::OUT)];
                let _interrupted = poll(&mut wanted, None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A [`copy`] on a thread of its own. Dropping what it reads from is what tells the program that nobody reads.
pub(crate) fn spawn(
    from: impl AsFd + Send + 'static,
    to: BorrowedFd<'_>,
    done: Option<OwnedFd>,
    patterns: &Arc<Patterns>,
) -> io::Result<JoinHandle<()>> {
    let (to, patterns) = (to.try_clone_to_owned()?, Arc::clone(patterns));
    std::thread::Builder::new()
        .name("mask".into())
        .spawn(move || {
            let done = done.as_ref().map(AsFd::as_fd);
            let _reader_is_gone = copy(from.as_fd(), to.as_fd(), done, patterns);
        })
}
