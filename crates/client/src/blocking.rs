//! One call over a connection of its own, without a runtime: what a program that starts another one and vanishes needs.

use std::{
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::sockopt::socket_peercred,
};
use touchkeep_wire::{
    Call, Frame, Hello, MAX_ANSWER_BYTES, MAX_FRAME_BYTES, Message, PROTOCOL, Response, Welcome,
    frame::HEADER_BYTES, wiped,
};
use zeroize::Zeroizing;

use crate::{
    connection::{
        CallError, ConnectError, check_folder, check_owner, frame_of, other_protocol, parse,
        too_long,
    },
    turn::Turn,
    vault,
};

/// Room for a frame before any byte of it has come.
const AT_FIRST: usize = 16 * 1024;

/// No answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// There is no agent that can be asked.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It was asked and did not do it.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Connects, checks who answers, says hello as `name` and calls. Calls `slow` once when there is no answer after `patience`,
/// because then a person is being asked something; and then waits as long as the agent does.
///
/// # Errors
/// As [`crate::Connection::connect`] and [`crate::Connection::call`].
pub fn ask<C: Call>(
    socket: &Path,
    name: &str,
    call: &C,
    patience: Duration,
    slow: impl FnOnce(),
) -> Result<C::Result, AskError> {
    let hello = Hello {
        protocol: PROTOCOL,
        name: name.to_owned(),
        unattended: false,
        vault: vault::said(),
    };
    // Both at once: the answer to the first is looked at before the second one's.
    let unwritable = |_| CallError::Unreadable;
    let hello = frame_of(1, &hello).map_err(unwritable)?;
    let call = frame_of(2, call).map_err(unwritable)?;
    let mut frames = Zeroizing::new(Vec::with_capacity(
        hello.len() + call.len() + 2 * HEADER_BYTES,
    ));
    for frame in [hello, call] {
        frames.extend_from_slice(
            &Frame::header(&frame, MAX_FRAME_BYTES)
                .map_err(|_| too_long(frame.len(), MAX_FRAME_BYTES))?,
        );
        frames.extend_from_slice(&frame);
    }
    let mut turn = Turn::wait();
    let mut stream = loop {
        match greeted(socket, &frames) {
            Err(AskError::Connect(ConnectError::Full)) if let Some(pause) = turn.pause() => {
                thread::sleep(pause);
            }
            greeted => break greeted?,
        }
    };
    if !comes_within(&stream, patience) {
        slow();
    }
    let answer = receive(&mut stream).map_err(|_| CallError::Gone)?;
    Ok(parse(answer)?)
}

// Where the agent hangs up before it has answered the greeting, it has not looked at the call either.
fn greeted(socket: &Path, frames: &[u8]) -> Result<UnixStream, AskError> {
    let mut stream = connect(socket)?;
    let hung_up = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
        )
    };
    stream.write_all(frames).map_err(|error| match error {
        error if hung_up(&error) => AskError::Connect(ConnectError::Full),
        _ => AskError::Call(CallError::Gone),
    })?;
    let welcome = receive(&mut stream).map_err(|error| match error {
        error if hung_up(&error) => ConnectError::Full,
        _ => ConnectError::NoGreeting,
    })?;
    match parse::<Welcome>(welcome) {
        Ok(welcome) if welcome.protocol == PROTOCOL => Ok(stream),
        Ok(welcome) => {
            Err(ConnectError::Refused(other_protocol(welcome.protocol, &welcome.version)).into())
        }
        Err(CallError::Failed(failure)) => Err(ConnectError::Refused(failure).into()),
        Err(_) => Err(ConnectError::NoGreeting.into()),
    }
}

pub(crate) fn connect(socket: &Path) -> Result<UnixStream, ConnectError> {
    check_folder(socket)?;
    let stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ConnectError::NotRunning,
        _ => ConnectError::Io(error),
    })?;
    let peer = socket_peercred(&stream).map_err(|error| ConnectError::Io(error.into()))?;
    check_owner(peer.uid.as_raw())?;
    Ok(stream)
}

fn comes_within(stream: impl AsFd, patience: Duration) -> bool {
    let patience = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    let mut wanted = [PollFd::new(&stream, PollFlags::IN)];
    !matches!(poll(&mut wanted, Some(&patience)), Ok(0) | Err(Errno::INTR))
}

fn receive(stream: &mut UnixStream) -> io::Result<Response> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header)?;
    let invalid = |error: &dyn std::error::Error| {
        io::Error::new(io::ErrorKind::InvalidData, error.to_string())
    };
    let len = Frame::body_len(header, MAX_ANSWER_BYTES).map_err(|error| invalid(&error))?;
    let mut body = Zeroizing::new(Vec::new());
    while body.len() < len {
        let missing = (len - body.len()).min(AT_FIRST);
        wiped::reserve(&mut body, missing);
        let begin = body.len();
        body.resize(begin + missing, 0);
        stream.read_exact(body.get_mut(begin..).unwrap_or_default())?;
    }
    match Message::parse(&body).map_err(|error| invalid(&error))? {
        Message::Response(response) => Ok(response),
        Message::Request(_) | Message::Notification(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}
