//! Saving: under the lock, on top of what is in the file by now.

use touchkeep_container::{
    AuditHead, Container, Hash, HybridClock, MemberName, NewCommit, Op, Part, op,
};
use touchkeep_core::{Id, UnixMillis};

use crate::{
    crypt,
    error::VaultError,
    file::Lock,
    locked::read_state,
    pins,
    unlocked::{Pending, Unlocked},
};

/// Segments after which a save writes a snapshot in their place.
pub const MAX_SEGMENTS: usize = 64;

// Stands for the commit that is being made: its hash is not known before its snapshot is written.
const UPCOMING: Hash = Hash([0xff; 32]);

impl Unlocked {
    /// Writes what was changed, with the audit log's head, as one commit. If somebody else has written meanwhile, both
    /// histories are kept and joined. After an error nothing is lost: what was changed stays pending.
    ///
    /// # Errors
    /// The copy is read-only; the file was replaced by something else; the file system refused.
    pub fn save(&mut self, now: UnixMillis, audit: AuditHead) -> Result<(), VaultError> {
        if self.locked.is_read_only {
            return Err(VaultError::ReadOnly);
        }
        let path = self.locked.path.clone();
        let lock = Lock::take(&path)?;
        let on_disk = lock.read()?;
        let is_changed = Hash::of(&on_disk) != self.locked.read;
        let theirs = is_changed.then(|| Container::parse(&on_disk)).transpose()?;

        let mine = self.with_own_commit(now, audit)?;
        let mut merged = match &theirs {
            Some(theirs) => mine.merge(theirs)?,
            None => mine.clone(),
        };
        if merged.heads().len() > 1 {
            merged = merged.commit(self.new_commit(now, audit), self.signer())?;
        }
        let bytes = merged
            .to_bytes()
            .map_err(|e| VaultError::Damaged(e.into()))?;
        if bytes != on_disk {
            lock.replace(&bytes, &on_disk)?;
        }
        self.take_over(mine, merged, Hash::of(&bytes), theirs.is_some(), now)?;
        drop(lock);
        match &self.locked.pins {
            Some(pins) => pins::remember(pins, &self.locked.path, &self.locked.container),
            None => Ok(()),
        }
    }

    // The vault with a commit of what is pending, on top of what this session knew.
    fn with_own_commit(&self, now: UnixMillis, audit: AuditHead) -> Result<Container, VaultError> {
        let container = &self.locked.container;
        let heads = container.heads();
        let commits = container.history().commits();
        let is_known = heads.iter().any(|head| {
            commits
                .get(head)
                .is_some_and(|commit| commit.audit == audit)
        });
        if self.pending.is_empty() && is_known {
            return Ok(container.clone());
        }
        let mut new = self.new_commit(now, audit);
        if !self.pending.is_empty() {
            self.add_operations(&mut new, now)?;
        }
        for name in container.names() {
            if let MemberName::Sealed { item, .. } = name
                && self.pending.unsealed.contains(&item)
            {
                new.drop.push(name);
            }
        }
        new.add.extend(self.pending.sealed.values().cloned());
        Ok(container.commit(new, self.signer())?)
    }

    fn add_operations(&self, new: &mut NewCommit, now: UnixMillis) -> Result<(), VaultError> {
        let parts = self.locked.container.parts();
        let parts = parts.iter();
        let mut parts: Vec<_> = parts
            .filter(|part| part.part.environment == self.opened.environment)
            .collect();
        parts.sort_by_key(|part| part.part.number);
        let last = parts.last().map_or(0, |part| part.part.number);
        let part = Part {
            environment: self.opened.environment,
            number: last.saturating_add(1),
            random: Id::random(),
        };
        let mut ops = self.stamped(now);
        let name = if self.pending.forgets || parts.len() >= MAX_SEGMENTS {
            new.drop.extend(parts.iter().map(|part| part.name));
            ops = self.snapshot(&ops);
            MemberName::Snapshot(part)
        } else {
            MemberName::Segment(part)
        };
        let recipient = self.opened.identity.to_public().to_string();
        let file = crypt::encrypt_to(&recipient, op::write(&ops).as_bytes())?;
        new.add.push((name, file));
        Ok(())
    }

    fn stamped(&self, now: UnixMillis) -> Vec<Op> {
        let mut at = self.state.clock();
        let mut next = |now_ms| -> HybridClock {
            at = at.next(now_ms);
            at
        };
        let edits = self.pending.edits.iter();
        edits
            .map(|edit| Op {
                at: next(now.0),
                edit: edit.clone(),
                from: None,
            })
            .collect()
    }

    // All that is there, less what was replaced: with the segments before it gone, the file no longer holds it.
    fn snapshot(&self, ops: &[Op]) -> Vec<Op> {
        let mut state = self.state.clone();
        for op in ops {
            state.apply_on_top(op, UPCOMING);
        }
        let mut all = state.snapshot();
        for op in &mut all {
            op.from = op.from.filter(|from| *from != UPCOMING);
        }
        all
    }

    fn new_commit(&self, now: UnixMillis, audit: AuditHead) -> NewCommit {
        NewCommit {
            author: self.opened.user,
            audit,
            time: now,
            add: vec![],
            drop: vec![],
        }
    }

    fn signer(&self) -> impl FnOnce(&[u8]) -> Vec<u8> {
        |text| self.author_sign(text).to_vec()
    }

    // The file is written; now memory follows.
    fn take_over(
        &mut self,
        mine: Container,
        merged: Container,
        read: Hash,
        is_joined: bool,
        now: UnixMillis,
    ) -> Result<(), VaultError> {
        if is_joined {
            self.state = read_state(&merged, &self.opened)?;
        } else if let [own] = *mine.heads() {
            for op in self.stamped(now) {
                self.state.apply_on_top(&op, own);
            }
        }
        self.pending = Pending::default();
        self.locked.container = merged;
        self.locked.read = read;
        self.show_saved();
        Ok(())
    }
}
