//! Frames over an asynchronous stream; the agent reads and writes them with the same two functions.

use std::io::{self, IoSlice};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use touchkeep_wire::{Frame, MAX_FRAME_BYTES, frame::HEADER_BYTES, wiped};
use zeroize::Zeroizing;

/// Room for a frame before any byte of it has come. Longer ones grow, so that a header alone does not take megabytes.
const AT_FIRST: usize = 16 * 1024;

/// Reads one frame, which may hold a secret; none at a clean end of the stream.
///
/// # Errors
/// When the stream ends inside a frame, or the frame is too long for a client.
pub async fn read<R: AsyncRead + Unpin>(from: &mut R) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    read_up_to(from, MAX_FRAME_BYTES).await
}

/// As [`read`], of at most so many bytes.
///
/// # Errors
/// When the stream ends inside a frame, or the frame is too long.
pub async fn read_up_to<R: AsyncRead + Unpin>(
    from: &mut R,
    limit: usize,
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut header = [0u8; HEADER_BYTES];
    match from.read_exact(&mut header).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let len = Frame::body_len(header, limit)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let mut body = Zeroizing::new(Vec::with_capacity(len.min(AT_FIRST)));
    while body.len() < len {
        let missing = len - body.len();
        wiped::reserve(&mut body, missing.min(AT_FIRST));
        let mut rest = (&mut *from).take(missing as u64);
        if rest.read_buf(&mut *body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(body))
}

/// Writes one frame.
///
/// # Errors
/// When the stream is closed, or the body is too long for a client.
pub async fn write<W: AsyncWrite + Unpin>(to: &mut W, body: &[u8]) -> io::Result<()> {
    write_up_to(to, body, MAX_FRAME_BYTES).await
}

/// As [`write()`], of at most so many bytes.
///
/// # Errors
/// When the stream is closed, or the body is too long.
pub async fn write_up_to<W: AsyncWrite + Unpin>(
    to: &mut W,
    body: &[u8],
    limit: usize,
) -> io::Result<()> {
    let header = Frame::header(body, limit)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    // Both at once: a header alone would wake whoever reads only to have it wait for the rest.
    let mut parts = [IoSlice::new(&header), IoSlice::new(body)];
    let mut left = parts.as_mut_slice();
    while !left.is_empty() {
        match to.write_vectored(left).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => IoSlice::advance_slices(&mut left, written),
        }
    }
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_back_as_they_went() {
        let (mut a, mut b) = tokio::io::duplex(64);
        let writer = tokio::spawn(async move {
            write(&mut a, b"{}").await.unwrap();
            write(&mut a, &[7; 1000]).await.unwrap();
            write(&mut a, &[8; 100_000]).await.unwrap();
        });
        assert_eq!(*read(&mut b).await.unwrap().unwrap(), b"{}");
        assert_eq!(*read(&mut b).await.unwrap().unwrap(), [7; 1000]);
        assert_eq!(*read(&mut b).await.unwrap().unwrap(), [8; 100_000]);
        writer.await.unwrap();
        assert!(read(&mut b).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_torn_or_long_frame_is_an_error() {
        assert!(read(&mut &[0, 0, 0, 9, 1][..]).await.is_err());
        assert!(read(&mut &[0xff, 0, 0, 0][..]).await.is_err());
    }
}
