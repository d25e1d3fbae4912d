//! Ids, secret newtypes, exact decimals, time, error codes and references; nothing else gathers here.
//!
//! Every other crate may depend on this one, and it depends on none of them. It does no I/O, except that
//! [`Id::random`] asks the operating system for randomness. Read in this order: [`id`], [`secret`],
//! [`decimal`], [`time`], [`code`], [`text`], [`mod@reference`].

pub mod code;
pub mod decimal;
pub mod id;
pub mod reference;
pub mod secret;
pub mod text;
pub mod time;

pub use code::Code;
pub use decimal::Decimal;
pub use id::{ClientId, DeviceId, EnvironmentId, Id, ItemId, PromptId, RequestId, UserId, VaultId};
pub use reference::{BadReference, Reference};
pub use secret::{AccessToken, ApiSecret, Passphrase, Pin};
pub use time::{Clock, SystemClock, UnixMillis};
