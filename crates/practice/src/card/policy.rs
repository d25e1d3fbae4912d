//! PIN and touch policy of a key: fixed when the key comes into being (Yubico PIV extensions).

use super::{slot::Slot, status::Status, tlv};
use serde::{Deserialize, Serialize};

const PIN_TAG: u8 = 0xAA;
const TOUCH_TAG: u8 = 0xAB;

/// When a key wants the PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PinPolicy {
    Never,
    /// Once since the applet was selected.
    Once,
    /// Immediately before each use.
    Always,
}

/// When a key wants a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TouchPolicy {
    Never,
    Always,
    /// A touch lasts for a while.
    Cached,
}

/// Both policies of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policies {
    pub(crate) pin: PinPolicy,
    pub(crate) touch: TouchPolicy,
}

impl Policies {
    /// Reads the policies from the elements of GENERATE or IMPORT; what is not said is the slot's default.
    pub(crate) fn read(slot: Slot, elements: &[tlv::Element<'_>]) -> Result<Self, Status> {
        let pin = match tlv::find(elements, PIN_TAG) {
            None => slot.default_pin_policy(),
            Some([1]) => PinPolicy::Never,
            Some([2]) => PinPolicy::Once,
            Some([3]) => PinPolicy::Always,
            Some(_) => return Err(Status::BAD_DATA),
        };
        let touch = match tlv::find(elements, TOUCH_TAG) {
            None | Some([1]) => TouchPolicy::Never,
            Some([2]) => TouchPolicy::Always,
            Some([3]) => TouchPolicy::Cached,
            Some(_) => return Err(Status::BAD_DATA),
        };
        Ok(Self { pin, touch })
    }

    /// The two bytes that metadata shows.
    pub(crate) fn bytes(self) -> [u8; 2] {
        let pin = match self.pin {
            PinPolicy::Never => 1,
            PinPolicy::Once => 2,
            PinPolicy::Always => 3,
        };
        let touch = match self.touch {
            TouchPolicy::Never => 1,
            TouchPolicy::Always => 2,
            TouchPolicy::Cached => 3,
        };
        [pin, touch]
    }
}
