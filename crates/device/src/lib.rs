//! What a device is, the software device, age stanzas of devices, and the conformance suite.
//!
//! A [`Device`] opens age stanzas and signs; it is object-safe, in our words, and keeps no PIN: whoever asks hands the PIN
//! in for the one use. Making keys is another trait, [`Provision`]. Calls block, through a touch for up to 15 seconds, so
//! the agent gives each device a thread of its own.
//!
//! Read in this order: [`device`], [`stanza`], [`software`].

pub mod device;

pub use device::{
    Algorithm, Auth, Demand, Device, DeviceError, DeviceInfo, DeviceKind, KeyInfo, KeyRef,
    Provision, Purpose, SecretDemand, SignatureScheme, TouchPolicy,
};
