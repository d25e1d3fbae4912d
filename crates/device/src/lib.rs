//! What a device is, the software device, age stanzas of devices, and the conformance suite.
//!
//! A [`Device`] opens age stanzas and signs; it is object-safe, in our words, and keeps no PIN: whoever asks hands the PIN
//! in for the one use. Making keys is another trait, [`Provision`]. Calls block, through a touch for up to 15 seconds, so
//! the agent gives each device a thread of its own.
//!
//! Read in this order: [`device`], [`handed`], [`stanza`], [`identity`], [`software`], [`attestation`]. With the feature `conformance` there is the suite
//! that every backend runs.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )
)]

pub mod attestation;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod device;
pub mod handed;
mod hpke;
pub mod identity;
pub mod kit;
mod oaep;
pub mod public;
pub mod software;
pub mod stanza;

pub use device::{
    Algorithm, Auth, Demand, Device, DeviceError, DeviceInfo, DeviceKind, Holder, KeyInfo, KeyRef,
    MAC_CHECK, PinPolicy, Provision, Purpose, SecretDemand, SignatureScheme, TouchPolicy,
};
pub use handed::{HandedKey, NotAKey};
pub use identity::DeviceIdentity;
pub use kit::{KitDevice, PaperKit, RecoveryKit};
pub use software::SoftwareDevice;
