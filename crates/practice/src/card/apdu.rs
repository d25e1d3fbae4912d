//! Command APDUs, short and extended (ISO/IEC 7816-4, section 5.1). Nothing here trusts a length that it was told.

use super::status::Status;

/// A short answer carries at most this many bytes before its status.
const SHORT_ANSWER_BYTES: usize = 256;

/// One parsed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) cla: u8,
    pub(crate) ins: u8,
    pub(crate) p1: u8,
    pub(crate) p2: u8,
    pub(crate) data: Vec<u8>,
    /// How many bytes of answer fit; what does not fit is fetched with GET RESPONSE.
    pub(crate) answer_bytes: usize,
}

impl Command {
    /// Parses a whole command; anything that is not exactly one of the ISO cases is a wrong length.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Status> {
        let (head, body) = bytes.split_first_chunk::<4>().ok_or(Status::WRONG_LENGTH)?;
        let [cla, ins, p1, p2] = *head;
        let (data, answer_bytes) = body_of(body).ok_or(Status::WRONG_LENGTH)?;
        Ok(Self {
            cla,
            ins,
            p1,
            p2,
            data: data.to_vec(),
            answer_bytes,
        })
    }
}

fn body_of(body: &[u8]) -> Option<(&[u8], usize)> {
    match *body {
        [] => Some((&[], SHORT_ANSWER_BYTES)),
        [le] => Some((&[], short_answer(le))),
        [0, high, low] => Some((&[], extended_answer(high, low))),
        [0, high, low, ref rest @ ..] => {
            extended(usize::from(u16::from_be_bytes([high, low])), rest)
        }
        [lc, ref rest @ ..] => short(usize::from(lc), rest),
    }
}

fn short(lc: usize, rest: &[u8]) -> Option<(&[u8], usize)> {
    let (data, tail) = rest.split_at_checked(lc)?;
    match *tail {
        [] => Some((data, SHORT_ANSWER_BYTES)),
        [le] => Some((data, short_answer(le))),
        _ => None,
    }
}

fn extended(lc: usize, rest: &[u8]) -> Option<(&[u8], usize)> {
    let (data, tail) = rest.split_at_checked(lc)?;
    match *tail {
        _ if lc == 0 => None,
        [] => Some((data, usize::from(u16::MAX))),
        [high, low] => Some((data, extended_answer(high, low))),
        _ => None,
    }
}

fn short_answer(le: u8) -> usize {
    if le == 0 {
        SHORT_ANSWER_BYTES
    } else {
        usize::from(le)
    }
}

fn extended_answer(high: u8, low: u8) -> usize {
    match u16::from_be_bytes([high, low]) {
        0 => usize::from(u16::MAX),
        bytes => usize::from(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_iso_case_is_read() {
        let data = |bytes: &[u8]| Command::parse(bytes).map(|c| (c.data, c.answer_bytes));
        assert_eq!(data(&[0, 0xFD, 0, 0]), Ok((vec![], 256)));
        assert_eq!(data(&[0, 0xFD, 0, 0, 0]), Ok((vec![], 256)));
        assert_eq!(data(&[0, 0xFD, 0, 0, 3]), Ok((vec![], 3)));
        assert_eq!(data(&[0, 0x20, 0, 0, 2, 7, 8]), Ok((vec![7, 8], 256)));
        assert_eq!(data(&[0, 0x20, 0, 0, 2, 7, 8, 9]), Ok((vec![7, 8], 9)));
        assert_eq!(data(&[0, 0xCB, 0, 0, 0, 1, 0]), Ok((vec![], 256)));
        assert_eq!(data(&[0, 0xCB, 0, 0, 0, 0, 1, 9]), Ok((vec![9], 65535)));
        assert_eq!(
            data(&[0, 0xCB, 0, 0, 0, 0, 1, 9, 0, 0]),
            Ok((vec![9], 65535))
        );
    }

    #[test]
    fn a_length_that_lies_is_refused() {
        for bytes in [
            &[][..],
            &[0, 1, 2],
            &[0, 0x20, 0, 0, 3, 1, 2],
            &[0, 0x20, 0, 0, 1, 1, 2, 3],
            &[0, 0xCB, 0, 0, 0, 0, 9, 1],
        ] {
            assert_eq!(Command::parse(bytes), Err(Status::WRONG_LENGTH));
        }
    }
}
