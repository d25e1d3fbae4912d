//! PKCS#11 modules, hosted in a child process.
//!
//! A module is foreign native code. It is loaded by a child ([`host`]) that has given up what it does not need, and holds no secret of
//! ours but the PIN of the one command it runs, so that a crash, a hang or a leak of the module takes nothing else along. What was
//! hashed is what is loaded ([`module`]). The agent's side ([`Pkcs11Device`]) speaks to it over pipes, with a deadline, and starts
//! another one when it is gone.
//!
//! What it refuses: a module that is not at an absolute path, that somebody else than root and this user could have written, or that
//! is another than the one that was enrolled; a token by slot number; another key in the place of the one that is meant; a PIN sent
//! twice for one entry; a signature that the exported key does not verify; the last try, unasked.
//!
//! An HSM has no touch, and PKCS#11 key agreement cannot ask for consent per use: its keys have the touch policy "never", and
//! whoever has the PIN has them for the session. An RSA key can be made to ask for the PIN each time.
//!
//! Read in this order: [`module`], `wire`, `token`, `session`, `keys`, `operate`, `raw` (all `unsafe`), `confine`, [`host`], `pipe`, `child`,
//! [`device`], `enrol`, [`watch`].

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

mod child;
mod confine;
pub mod device;
mod enrol;
pub mod host;
mod import;
mod keys;
pub mod module;
mod operate;
mod pipe;
mod raw;
mod session;
mod token;
pub mod watch;
mod wire;

pub use child::Launch;
pub use device::{NamedKey, Options, Pkcs11Device, tokens};
pub use module::{ModuleFile, ModuleHash};
pub use watch::{Seen, Watch};
pub use wire::{Token, TokenChoice};
