//! Vault files that a hostile or a careless program could have made: changed bytes and members, and texts that somebody signed
//! who has the keys.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod bytes;
mod commits;
mod forks;
mod links;
pub(crate) mod operations;
mod signed;
mod traces;

pub(crate) use bytes::{changed_archives, other_tars};
pub(crate) use signed::{Forge, ID};

pub(crate) const VAULT: &[u8] = include_bytes!("../../../container/tests/vectors/vault-1.tar");
pub(crate) const VAULT_SAYS: &str = include_str!("../../../container/tests/vectors/vault-1.json");
pub(crate) const TEAM: &[u8] = include_bytes!("../../../container/tests/vectors/team-1.tar");
pub(crate) const TEAM_SAYS: &str = include_str!("../../../container/tests/vectors/team-1.json");
pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

/// An archive, and whether it is a vault, where that is said.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) archive: Vec<u8>,
    pub(crate) expected: Option<bool>,
}

impl Case {
    pub(crate) fn new(name: &str, archive: Vec<u8>, expected: Option<bool>) -> Self {
        Self {
            name: name.to_owned(),
            archive,
            expected,
        }
    }
}
