//! PIN and PUK: eight bytes padded with `FF`, and a counter that only the right value refills.

use super::status::Status;
use serde::{Deserialize, Serialize};

/// Length of a PIN or PUK on the wire.
pub(crate) const SECRET_BYTES: usize = 8;
/// Fewest characters of a PIN or PUK.
const SHORTEST: usize = 6;
/// Tries of a factory key.
pub(crate) const FACTORY_TRIES: u8 = 3;

/// A PIN or PUK with its retry counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secret {
    value: [u8; SECRET_BYTES],
    tries: u8,
    left: u8,
}

impl Secret {
    /// A secret with full tries; `None` unless it has six to eight bytes, none of them the padding byte.
    pub(crate) fn new(text: &[u8], tries: u8) -> Option<Self> {
        let mut value = [0xFF; SECRET_BYTES];
        value.get_mut(..text.len())?.copy_from_slice(text);
        is_well_formed(&value).then_some(Self {
            value,
            tries,
            left: tries,
        })
    }

    /// Checks a presented value; a wrong one costs a try, the right one refills the counter.
    pub(crate) fn check(&mut self, presented: &[u8]) -> Result<(), Status> {
        if self.left == 0 {
            return Err(Status::BLOCKED);
        }
        if presented == self.value {
            self.left = self.tries;
            return Ok(());
        }
        self.left = self.left.saturating_sub(1);
        Err(Status::tries(self.left))
    }

    /// Replaces the value and refills the counter. A value of a wrong form changes nothing.
    pub(crate) fn replace(&mut self, value: [u8; SECRET_BYTES]) -> Result<(), Status> {
        if !is_well_formed(&value) {
            return Err(Status::BAD_DATA);
        }
        self.value = value;
        self.left = self.tries;
        Ok(())
    }

    /// Does it still have this value?
    pub(crate) fn is(&self, text: &[u8]) -> bool {
        Self::new(text, self.tries).is_some_and(|other| other.value == self.value)
    }

    /// Tries left and tries when full.
    pub(crate) fn tries(&self) -> (u8, u8) {
        (self.left, self.tries)
    }
}

/// Splits "old value, new value". The old one is judged before the form of the new one.
pub(crate) fn old_and_new(data: &[u8]) -> Result<(&[u8], [u8; SECRET_BYTES]), Status> {
    let (old, new) = data
        .split_at_checked(SECRET_BYTES)
        .ok_or(Status::BAD_DATA)?;
    let new = <[u8; SECRET_BYTES]>::try_from(new).map_err(|_| Status::BAD_DATA)?;
    Ok((old, new))
}

fn is_well_formed(value: &[u8; SECRET_BYTES]) -> bool {
    let length = value
        .iter()
        .position(|byte| *byte == 0xFF)
        .unwrap_or(SECRET_BYTES);
    length >= SHORTEST && value.iter().skip(length).all(|byte| *byte == 0xFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_values_count_down_and_then_even_the_right_one_is_refused() {
        let mut pin = Secret::new(b"123456", 3).unwrap();
        let right = *b"123456\xFF\xFF";
        assert_eq!(pin.check(b"000000\xFF\xFF"), Err(Status(0x63C2)));
        assert_eq!(pin.check(&right), Ok(()));
        for status in [0x63C2, 0x63C1, 0x63C0, 0x6983] {
            assert_eq!(pin.check(b"000000\xFF\xFF"), Err(Status(status)));
        }
        assert_eq!(pin.check(&right), Err(Status::BLOCKED));
    }

    #[test]
    fn length_and_padding_are_checked() {
        assert!(Secret::new(b"12345", 3).is_none());
        assert!(Secret::new(b"123456789", 3).is_none());
        assert!(Secret::new(b"123\xFF456", 3).is_none());
        assert!(old_and_new(b"123456\xFF\xFF12345678").is_ok());
        assert!(old_and_new(b"123456\xFF\xFF1234567").is_err());
    }
}
