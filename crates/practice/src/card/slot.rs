//! Key slots: 9A, 9C, 9D, 9E and the twenty retired ones, 82 to 95 (NIST SP 800-73-4 part 1, table 4b).

use super::{policy::PinPolicy, status::Status};

/// A slot that can hold an asymmetric key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(u8);

impl Slot {
    /// The slot with this reference; F9 (attestation) is not there on the practice card.
    pub(crate) fn new(reference: u8) -> Result<Self, Status> {
        match reference {
            0x9A | 0x9C | 0x9D | 0x9E | 0x82..=0x95 => Ok(Self(reference)),
            _ => Err(Status::BAD_SLOT),
        }
    }

    /// The key reference byte.
    pub(crate) fn reference(self) -> u8 {
        self.0
    }

    pub(super) fn default_pin_policy(self) -> PinPolicy {
        match self.0 {
            0x9C => PinPolicy::Always,
            0x9E => PinPolicy::Never,
            _ => PinPolicy::Once,
        }
    }
}
