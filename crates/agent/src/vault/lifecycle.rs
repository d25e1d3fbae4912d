//! A vault's life in the agent: made, opened, locked. Each is recorded, and what cannot be recorded does not happen.

mod begin;
mod create;
mod lock;
mod unlock;

pub(super) use self::begin::{keep_log_id, log_of};
pub(crate) use self::{
    create::{MIN_WORK_FACTOR, create, new_passphrase},
    lock::{Because, lock, lock_because},
    unlock::{unlock, unlock_with_kit},
};
