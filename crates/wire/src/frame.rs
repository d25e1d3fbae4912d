//! Frames: `u32` big-endian length, then that many bytes of JSON.

/// The longest frame. A longer one ends the connection before it is read.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of the length.
pub const HEADER_BYTES: usize = 4;

/// A frame cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than [`MAX_FRAME_BYTES`].
    #[error("a frame of {0} bytes is longer than the limit of {MAX_FRAME_BYTES}")]
    TooLong(usize),
}

/// Reads and writes the header.
#[derive(Debug, Clone, Copy)]
pub struct Frame;

impl Frame {
    /// The header for a body.
    ///
    /// # Errors
    /// When the body is too long.
    pub fn header(body: &[u8]) -> Result<[u8; HEADER_BYTES], FrameError> {
        match u32::try_from(body.len()) {
            Ok(len) if body.len() <= MAX_FRAME_BYTES => Ok(len.to_be_bytes()),
            _ => Err(FrameError::TooLong(body.len())),
        }
    }

    /// The body's length, from its header.
    ///
    /// # Errors
    /// When the body would be too long.
    pub fn body_len(header: [u8; HEADER_BYTES]) -> Result<usize, FrameError> {
        let len = u32::from_be_bytes(header) as usize;
        if len > MAX_FRAME_BYTES {
            Err(FrameError::TooLong(len))
        } else {
            Ok(len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_gives_the_length_back() {
        assert_eq!(Frame::header(b"{}"), Ok([0, 0, 0, 2]));
        assert_eq!(Frame::body_len([0, 0, 0, 2]), Ok(2));
    }

    #[test]
    fn a_long_frame_is_refused_by_its_header() {
        assert_eq!(
            Frame::body_len([0xff; 4]),
            Err(FrameError::TooLong(0xffff_ffff))
        );
    }
}
