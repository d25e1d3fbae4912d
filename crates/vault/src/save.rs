//! Saving: under the lock, on top of what is in the file by now.

use std::collections::BTreeSet;

use touchkeep_container::{
    AuditHead, Container, MemberName, NewCommit, state::ReadPart, tar::Archive,
};
use touchkeep_core::UnixMillis;
use touchkeep_locked::on_wiped_stack;

use crate::{
    crypt::{self, Bundle},
    enrolled,
    error::VaultError,
    file::Lock,
    fold::{self, NewPart},
    foreign::container_of,
    locked::is_of,
    opened::{Opened, Pending},
    pins::{self, ReadOnly},
    stamp::Stamp,
    unlocked::Unlocked,
    versions::Additions,
};

/// What a commit does beside the pending changes.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) links: Vec<Vec<u8>>,
    pub(crate) add: Vec<(MemberName, Vec<u8>)>,
    pub(crate) drop: Vec<MemberName>,
    /// The user's keys from this commit on.
    pub(crate) bundle: Option<Bundle>,
}

impl Extra {
    fn is_empty(&self) -> bool {
        self.links.is_empty() && self.add.is_empty() && self.drop.is_empty()
    }
}

impl Unlocked {
    /// Writes what was changed, with the audit log's head, as one commit. If somebody else has written meanwhile, both
    /// histories are kept and joined. After an error nothing is lost: what was changed stays pending, until it is saved or
    /// [`Unlocked::discard`]ed.
    ///
    /// # Errors
    /// The copy is read-only; the file was replaced by something else; the file system refused. [`VaultError::Written`] where that
    /// came after the file was replaced: then nothing is pending, and what is here is what is there.
    pub fn save(&mut self, now: UnixMillis, audit: AuditHead) -> Result<(), VaultError> {
        self.write(now, audit, Extra::default())
    }

    /// Forgets what was changed since the last save.
    pub fn discard(&mut self) {
        for environment in self.opened.environments.values_mut() {
            environment.pending = Pending::default();
        }
        self.show_saved();
    }

    /// Whether the file is, byte for byte, what this session has saved or read last.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_on_disk(&self) -> Result<bool, VaultError> {
        Lock::take(&self.locked.path)?.holds(&archive(&self.locked.container)?)
    }

    pub(crate) fn write(
        &mut self,
        now: UnixMillis,
        audit: AuditHead,
        mut extra: Extra,
    ) -> Result<(), VaultError> {
        match self.locked.read_only {
            // A link may be what joins the two.
            Some(ReadOnly::Forked) if !extra.links.is_empty() => {}
            Some(ReadOnly::Forked) => return Err(VaultError::Forked),
            Some(_) => return Err(VaultError::ReadOnly),
            None => {}
        }
        let path = self.locked.path.clone();
        let lock = Lock::take(&path)?;
        let bundle = extra.bundle.take();
        let keys = bundle.as_ref().unwrap_or(&self.opened.bundle);
        let sign = |text: &[u8]| keys.sign(text);
        let has_links = !extra.links.is_empty();
        let known = archive(&self.locked.container)?;
        let own = || on_wiped_stack(|| self.with_own_commit(now, audit, extra, &sign));
        // There is one way to write a vault, so what is not these bytes was changed by somebody else. The commit is made meanwhile,
        // and is of use either way.
        let (own, is_known) = match lock.is_as(self.locked.stamp)? {
            true => (own(), Ok(true)),
            false => touchkeep_parallel::both(own, || lock.holds(&known)),
        };
        let theirs = match is_known? {
            true => None,
            false => Some(container_of(&path, lock.read()?)?),
        };
        let known = self.locked.container.chain();
        if has_links && theirs.as_ref().is_some_and(|it| it.chain() != known) {
            return Err(VaultError::MembersChanged);
        }
        let (mine, new_parts) = own?;
        let mut merged = match &theirs {
            Some(theirs) => mine.merge(theirs)?,
            None => mine.clone(),
        };
        // Keys that were replaced in another copy would show nothing of what was written since.
        if theirs.is_some() && !is_of(self.opened.user, keys, merged.membership()) {
            return Err(VaultError::Lapsed);
        }
        // A reader leaves the joining to others.
        let role = merged.membership().role(self.opened.user);
        let may_join = !merged.is_forked() && role.is_some_and(|role| role.may_write());
        let joins = merged.heads().len() > 1 && may_join;
        if joins {
            merged = self.joined(&merged, now, audit, keys, &sign)?;
        }
        // What cannot be opened is not written over what can.
        let changes = merged.chain() != self.locked.container.chain();
        let opened = match theirs.is_some() || joins || changes || bundle.is_some() {
            true => Some(Opened::of(self.opened.user, keys.again()?, &merged)?),
            false => None,
        };
        let is_new = match &theirs {
            Some(_) => !lock.holds(&archive(&merged)?)?,
            None => merged.heads() != self.locked.container.heads(),
        };
        let replaced = match is_new {
            true => replaced(&lock, &merged)?,
            // Other bytes may be there than those that it was of.
            false => Ok(self.locked.stamp.filter(|_| theirs.is_none())),
        };
        let written = |error| match is_new {
            true => VaultError::Written(Box::new(error)),
            false => error,
        };
        self.take_over(mine, merged, new_parts, opened)
            .map_err(written)?;
        // Not before memory has what the file has: by its stamp alone the next save would take the file for what is in memory.
        self.locked.stamp = replaced.as_ref().ok().copied().flatten();
        drop(lock);
        let pinned = match &self.locked.pins {
            Some(pins) => pins::remember(pins, &self.locked.path, &self.locked.container),
            None => Ok(()),
        };
        replaced.and(pinned).map_err(written)
    }

    // The vault with a commit of what is pending, on top of what this session knew; and the parts that are new in it.
    fn with_own_commit(
        &self,
        now: UnixMillis,
        audit: AuditHead,
        extra: Extra,
        sign: &dyn Fn(&[u8]) -> Vec<u8>,
    ) -> Result<(Container, Vec<NewPart>), VaultError> {
        let container = &self.locked.container;
        let heads = container.heads();
        let commits = container.history().commits();
        let is_known = heads.iter().any(|head| {
            commits
                .get(head)
                .is_some_and(|commit| commit.audit == audit)
        });
        if !self.is_changed() && is_known && extra.is_empty() {
            return Ok((container.clone(), Vec::new()));
        }
        let mut new = NewCommit::new(self.opened.user, audit, now);
        new.prune = true;
        // With a link the environment's keys may change, and what is swept would still go to those of before.
        let sweeps = extra.links.is_empty();
        new.links = extra.links;
        new.add = extra.add;
        new.drop = extra.drop;
        let additions = self.additions(now)?;
        let new_parts = fold::add_changes(&mut new, &self.opened, container, &additions, sweeps)?;
        Ok((container.commit(new, sign)?, new_parts))
    }

    // The copies with a commit that names all their heads. What one of them replaced and another one carried on leaves the file.
    fn joined(
        &self,
        copies: &Container,
        now: UnixMillis,
        audit: AuditHead,
        bundle: &Bundle,
        sign: &dyn Fn(&[u8]) -> Vec<u8>,
    ) -> Result<Container, VaultError> {
        let mut new = NewCommit::new(self.opened.user, audit, now);
        // Who cannot read them any more joins them all the same.
        if let Ok(opened) = Opened::of(self.opened.user, bundle.again()?, copies) {
            fold::add_changes(&mut new, &opened, copies, &Additions::new(), true)?;
        }
        Ok(copies.commit(new, sign)?)
    }

    // The file is written; now memory follows.
    fn take_over(
        &mut self,
        mine: Container,
        merged: Container,
        new_parts: Vec<NewPart>,
        opened: Option<Opened>,
    ) -> Result<(), VaultError> {
        if let Some(opened) = opened {
            self.opened = opened;
            self.locked.devices = enrolled::all(&merged);
            self.locked.follow(merged);
            self.show_saved();
            return Ok(());
        }
        self.locked.follow(merged);
        let gone = gone_parts(&mine, &self.opened);
        let own = mine.heads().first().copied();
        for environment in self.opened.environments.values_mut() {
            environment.forget(&gone);
            environment.is_swept |= !environment.pending.is_empty();
            environment.pending = Pending::default();
        }
        for (id, name, text) in new_parts {
            let Some((own, environment)) = own.zip(self.opened.environments.get_mut(&id)) else {
                continue;
            };
            let read = ReadPart::read(name, own, &text, self.locked.container.history());
            let read = read.map_err(|_| crypt::content(&name.to_string()))?;
            environment.state.add(read);
        }
        Ok(())
    }
}

// The file is replaced, with the stamp of the new one; inside, what failed after that.
fn replaced(
    lock: &Lock<'_>,
    by: &Container,
) -> Result<Result<Option<Stamp>, VaultError>, VaultError> {
    match lock.replace(&archive(by)?) {
        // The folder may not have been synced: then the new file is there all the same.
        Err(error) if lock.holds(&archive(by)?).unwrap_or(false) => Ok(Err(error)),
        replaced => replaced.map(Ok),
    }
}

fn archive(container: &Container) -> Result<Archive<'_>, VaultError> {
    let archive = container.archive();
    archive.map_err(|error| VaultError::Damaged(error.into()))
}

// Parts that states know and the vault no longer has.
fn gone_parts(container: &Container, opened: &Opened) -> BTreeSet<String> {
    let live: BTreeSet<String> = container.names().map(|name| name.to_string()).collect();
    let known = opened.environments.values();
    let known = known.flat_map(|environment| environment.state.parts());
    known
        .map(|name| name.to_string())
        .filter(|name| !live.contains(name))
        .collect()
}
