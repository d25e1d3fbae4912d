//! Speaks [`touchkeep_wire`] to the agent, and starts the agent on demand.
//!
//! Every front end goes through this crate and knows nothing else of the agent. It refuses to talk to a socket that is
//! not this user's: the folder, the socket's owner and the process behind it are all checked, because whoever could put a
//! socket of his own there would be handed PINs.
//!
//! Read in this order: [`paths`], [`folder`], [`installed`], [`connection`], [`front_end`], [`start`],
//! [`blocking`], [`vault`], [`descriptors`].

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

pub mod blocking;
pub mod connection;
pub mod descriptors;
pub mod folder;
pub mod frames;
pub mod front_end;
pub mod installed;
pub mod paths;
pub mod start;
mod turn;
pub mod vault;

pub use connection::{CallError, ConnectError, Connection};
pub use folder::FolderError;
pub use front_end::{Event, FrontEnd};
pub use paths::{NoHome, Paths};
pub use start::{StartError, start_on_demand, start_without_runtime};
