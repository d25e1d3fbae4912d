//! Key slots: 9A, 9C, 9D, 9E, the twenty retired ones, 82 to 95 (NIST SP 800-73-4 part 1, table 4b), and Yubico's F9.

use super::{policy::PinPolicy, status::Status};

/// A slot that can hold an asymmetric key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(u8);

impl Slot {
    /// The slot whose key signs attestations.
    pub(crate) const ATTESTATION: Self = Self(0xF9);

    /// The slot with this reference.
    pub(crate) fn new(reference: u8) -> Result<Self, Status> {
        match reference {
            0x9A | 0x9C | 0x9D | 0x9E | 0x82..=0x95 | 0xF9 => Ok(Self(reference)),
            _ => Err(Status::BAD_SLOT),
        }
    }

    /// Slot F9 does nothing but attest.
    pub(crate) fn for_use(self) -> Result<Self, Status> {
        if self == Self::ATTESTATION {
            Err(Status::BAD_SLOT)
        } else {
            Ok(self)
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
