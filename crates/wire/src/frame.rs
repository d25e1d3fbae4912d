//! Frames: `u32` big-endian length, then that many bytes of JSON.

/// The longest frame. A longer one ends the connection before it is read.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// The longest frame between the agent and a front end: what is imported is one commit or none, and an export is one file.
pub const MAX_FRONT_END_FRAME_BYTES: usize = 64 * 1024 * 1024;

/// The longest answer, on either socket: what the agent says is the user's own, and was asked for. [`crate::MAX_REFERENCES`] values at
/// their longest are one answer.
pub const MAX_ANSWER_BYTES: usize = 100 * 1024 * 1024;

/// Bytes of the length.
pub const HEADER_BYTES: usize = 4;

/// A frame cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than the limit.
    #[error("a frame of {bytes} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest.
        limit: usize,
    },
}

/// Reads and writes the header.
#[derive(Debug, Clone, Copy)]
pub struct Frame;

impl Frame {
    /// The header for a body, of which no more than `limit` bytes are taken at the other end.
    ///
    /// # Errors
    /// When the body is too long.
    pub fn header(body: &[u8], limit: usize) -> Result<[u8; HEADER_BYTES], FrameError> {
        let bytes = body.len();
        match u32::try_from(bytes) {
            Ok(len) if bytes <= limit => Ok(len.to_be_bytes()),
            _ => Err(FrameError::TooLong { bytes, limit }),
        }
    }

    /// The body's length, from its header.
    ///
    /// # Errors
    /// When the body would be longer than `limit`.
    pub fn body_len(header: [u8; HEADER_BYTES], limit: usize) -> Result<usize, FrameError> {
        let bytes = u32::from_be_bytes(header) as usize;
        if bytes > limit {
            Err(FrameError::TooLong { bytes, limit })
        } else {
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_gives_the_length_back() {
        assert_eq!(Frame::header(b"{}", MAX_FRAME_BYTES), Ok([0, 0, 0, 2]));
        assert_eq!(Frame::body_len([0, 0, 0, 2], MAX_FRAME_BYTES), Ok(2));
    }

    #[test]
    fn a_long_frame_is_refused_by_its_header() {
        assert_eq!(
            Frame::body_len([0xff; 4], MAX_FRONT_END_FRAME_BYTES),
            Err(FrameError::TooLong {
                bytes: 0xffff_ffff,
                limit: MAX_FRONT_END_FRAME_BYTES
            })
        );
        assert!(Frame::header(b"{}", 1).is_err());
    }
}
