//! Short APDUs (ISO 7816-4): command chaining towards the card, GET RESPONSE from it, both bounded.

use touchkeep_device::DeviceError;
use zeroize::Zeroizing;

use crate::transport::Channel;

/// The most that a card may answer to one command. The largest PIV object has about 3 KiB.
pub(crate) const MAX_ANSWER_BYTES: usize = 8 * 1024;
/// The most GET RESPONSEs to one command: each brings up to 256 bytes, a card that sends less is not honest.
pub(crate) const MAX_ROUNDS: usize = 64;

const MAX_DATA_BYTES: usize = 255;
const CHAINING: u8 = 0x10;
const GET_RESPONSE: u8 = 0xc0;

/// "Success", ISO 7816-4.
pub(crate) const OK: u16 = 0x9000;

/// One command, its data wiped when it is gone.
pub(crate) struct Command {
    pub(crate) ins: u8,
    pub(crate) p1: u8,
    pub(crate) p2: u8,
    pub(crate) data: Zeroizing<Vec<u8>>,
}

impl Command {
    pub(crate) fn new(ins: u8, p1: u8, p2: u8, data: &[u8]) -> Self {
        let data = Zeroizing::new(data.to_vec());
        Self { ins, p1, p2, data }
    }

    /// Sends it, in as many parts as it needs, and gathers the answer.
    pub(crate) fn send(&self, channel: &mut dyn Channel) -> Result<Answer, DeviceError> {
        let mut parts: Vec<&[u8]> = self.data.chunks(MAX_DATA_BYTES).collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            let answer = self.send_part(channel, CHAINING, part)?;
            if answer.status != OK {
                return Ok(answer);
            }
        }
        let mut answer = self.send_part(channel, 0, last)?;
        let mut rounds = 0;
        while answer.status >> 8 == 0x61 {
            rounds += 1;
            let more = transmit(channel, &[0, GET_RESPONSE, 0, 0, 0])?;
            answer.status = more.status;
            answer.data.extend_from_slice(&more.data);
            if rounds > MAX_ROUNDS || answer.data.len() > MAX_ANSWER_BYTES {
                return Err(DeviceError::Unexpected("without an end".into()));
            }
        }
        Ok(answer)
    }

    fn send_part(
        &self,
        channel: &mut dyn Channel,
        class: u8,
        part: &[u8],
    ) -> Result<Answer, DeviceError> {
        // A chunk has at most 255 bytes.
        let length = u8::try_from(part.len()).unwrap_or(u8::MAX);
        let head = [class, self.ins, self.p1, self.p2, length];
        transmit(channel, &Zeroizing::new([&head, part].concat()))
    }
}

/// What a card answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) data: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The data of a success.
    pub(crate) fn ok(self) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        match self.status {
            OK => Ok(self.data),
            status => Err(unexpected(status)),
        }
    }
}

/// "Instruction code not supported", ISO 7816-4.
pub(crate) const UNKNOWN_COMMAND: u16 = 0x6d00;

/// A status that has no meaning where it came. Every PIV knows what is sent to it here, so that one which does not know it is not
/// selected any more: pcscd resets a card for a program that ends while it is connected, also within another's transaction.
pub(crate) fn unexpected(status: u16) -> DeviceError {
    match status {
        UNKNOWN_COMMAND => DeviceError::Reset,
        status => DeviceError::Unexpected(format!("with status {status:04x}")),
    }
}

fn transmit(channel: &mut dyn Channel, apdu: &[u8]) -> Result<Answer, DeviceError> {
    let mut data = channel.transmit(apdu)?;
    let end = data.len().checked_sub(2);
    let status = end.and_then(|end| data.get(end..)?.first_chunk().copied());
    let (Some(end), Some(status)) = (end, status) else {
        return Err(DeviceError::Unexpected("less than a status".into()));
    };
    data.truncate(end);
    Ok(Answer {
        status: u16::from_be_bytes(status),
        data,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Script<F>(F, Vec<Vec<u8>>);

    impl<F: FnMut(usize) -> Vec<u8>> Channel for Script<F> {
        fn transmit(&mut self, apdu: &[u8]) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
            self.1.push(apdu.to_vec());
            Ok(Zeroizing::new((self.0)(self.1.len())))
        }
    }

    #[test]
    fn a_long_command_is_chained_and_a_long_answer_gathered() {
        let mut card = Script(
            |at| match at {
                1 => vec![0x90, 0],
                2 => vec![1, 2, 0x61, 0x02],
                _ => vec![3, 4, 0x90, 0],
            },
            Vec::new(),
        );
        let command = Command::new(0x87, 7, 0x82, &[9; 266]);
        assert_eq!(
            command.send(&mut card).unwrap().ok().unwrap()[..],
            [1, 2, 3, 4]
        );
        assert_eq!(card.1[0][..5], [0x10, 0x87, 7, 0x82, 255]);
        assert_eq!(card.1[1][..5], [0, 0x87, 7, 0x82, 11]);
        assert_eq!(card.1[2], [0, 0xc0, 0, 0, 0]);
        assert_eq!(card.1.len(), 3);
    }

    #[test]
    fn a_card_that_never_ends_is_left() {
        let full = [vec![0; 256], vec![0x61, 0]].concat();
        for answer in [vec![0x61, 0], full] {
            let mut card = Script(move |_| answer.clone(), Vec::new());
            let sent = Command::new(0xcb, 0x3f, 0xff, &[]).send(&mut card);
            assert!(matches!(sent, Err(DeviceError::Unexpected(_))));
            assert!(card.1.len() <= MAX_ROUNDS + 2);
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_taken_or_refused(answers: Vec<Vec<u8>>) {
            let mut card = Script(move |at| answers.get(at).cloned().unwrap_or_default(), Vec::new());
            let _ = Command::new(0xcb, 0x3f, 0xff, &[1; 300]).send(&mut card);
        }
    }
}
