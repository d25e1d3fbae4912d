//! What others have written to the file meanwhile: seen before this session has something to save, and without writing anything.

use touchkeep_container::{Container, words::Role};

use crate::{
    enrolled, error::VaultError, file, foreign::container_of, locked::is_of, opened::Opened,
    pins::ReadOnly, unlocked::Unlocked,
};

/// What became of what others wrote.
#[derive(Debug)]
#[non_exhaustive]
pub enum TakenIn {
    /// There was nothing new.
    Nothing,
    /// It is here now.
    Something,
    /// It takes away what this session was opened with, or does not open with it: what is in memory is not the vault any more.
    NotOpened(VaultError),
}

impl Unlocked {
    /// Takes in what is in the file by now, so that what others have revoked or denied counts at once. Nothing is written to the
    /// file, and several heads are joined by the next save. A copy that may be another's decides nothing, and is not looked at; nor
    /// is anything taken in on top of a change that is not saved. What this machine has seen is remembered with the next save, and
    /// not for a branch that somebody looked at.
    ///
    /// # Errors
    /// There is no vault that reads, another one, or one that cannot be merged with this: what is here stays as it was.
    pub fn take_in(&mut self) -> Result<TakenIn, VaultError> {
        let decides = matches!(self.locked.read_only, None | Some(ReadOnly::Forked));
        let path = &self.locked.path;
        if !decides || self.is_changed() || file::is_as(path, self.locked.stamp)? {
            return Ok(TakenIn::Nothing);
        }
        let known = &self.locked.container;
        let there = file::read(path)?;
        // Where times tell nothing, as on a network: to compare costs less than to check.
        if known.to_bytes().is_ok_and(|own| own == there) {
            return Ok(TakenIn::Nothing);
        }
        let merged = known.merge(&container_of(path, there)?)?;
        if merged.heads() == known.heads() && merged.chain() == known.chain() {
            return Ok(TakenIn::Nothing);
        }
        let opened = match self.opened_again(&merged) {
            Ok(opened) => opened,
            Err(error) => return Ok(TakenIn::NotOpened(error)),
        };
        self.opened = opened;
        self.locked.devices = enrolled::all(&merged);
        self.locked.follow(merged);
        // It may be more than the file has, so that the next save reads that anew.
        self.locked.stamp = None;
        self.show_saved();
        Ok(TakenIn::Something)
    }

    // Keys that were replaced open what was written before, and of what was written since they would show nothing at all.
    fn opened_again(&self, merged: &Container) -> Result<Opened, VaultError> {
        let (user, bundle) = (self.opened.user, &self.opened.bundle);
        let members = merged.membership();
        let is_gone = members.role(user).is_none_or(|role| role == Role::Gone);
        if is_gone || !is_of(user, bundle, members) {
            return Err(VaultError::Lapsed);
        }
        Opened::of(user, bundle.again()?, merged)
    }
}
