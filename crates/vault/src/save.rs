//! Saving: under the lock, on top of what is in the file by now.

use std::collections::BTreeSet;

use touchkeep_container::{
    AuditHead, Container, LivePart, MemberName, NewCommit, Part,
    state::{ReadPart, Replaced},
    tar::Archive,
};
use touchkeep_core::{EnvironmentId, Id, UnixMillis};
use zeroize::Zeroizing;

use crate::{
    crypt::{self, Bundle},
    enrolled,
    error::VaultError,
    file::Lock,
    opened::{OpenEnvironment, Opened, Pending},
    pins::{self, ReadOnly},
    unlocked::Unlocked,
    versions::Kept,
};

/// Small segments after which a save folds them into a snapshot.
pub const MAX_SEGMENTS: usize = 64;

/// Bytes of plaintext that a snapshot has, about, and a segment at most: what is encrypted anew when a secret in it is
/// replaced, and what one core opens while others open the rest.
pub(crate) const PART_BYTES: usize = 512 << 10;

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

/// A part that is new: its name and its plaintext.
type NewPart = (EnvironmentId, MemberName, Zeroizing<Vec<u8>>);

impl Unlocked {
    /// Writes what was changed, with the audit log's head, as one commit. If somebody else has written meanwhile, both
    /// histories are kept and joined. After an error nothing is lost: what was changed stays pending.
    ///
    /// # Errors
    /// The copy is read-only; the file was replaced by something else; the file system refused.
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
        // There is one way to write a vault, so what is not these bytes was changed by somebody else.
        let theirs = match lock.holds(&archive(&self.locked.container)?)? {
            true => None,
            false => Some(Container::read(lock.read()?)?),
        };
        let known = self.locked.container.chain();
        if !extra.links.is_empty() && theirs.as_ref().is_some_and(|it| it.chain() != known) {
            return Err(VaultError::MembersChanged);
        }
        let bundle = extra.bundle.take();
        let sign = |text: &[u8]| bundle.as_ref().unwrap_or(&self.opened.bundle).sign(text);
        let mut new_parts = Vec::new();
        let mine = self.with_own_commit(now, audit, extra, &mut new_parts, &sign)?;
        let mut merged = match &theirs {
            Some(theirs) => mine.merge(theirs)?,
            None => mine.clone(),
        };
        // A reader leaves the joining to others.
        let role = merged.membership().role(self.opened.user);
        let may_join = !merged.is_forked() && role.is_some_and(|role| role.may_write());
        if merged.heads().len() > 1 && may_join {
            merged = merged.commit(NewCommit::new(self.opened.user, audit, now), sign)?;
        }
        let is_new = match &theirs {
            Some(_) => !lock.holds(&archive(&merged)?)?,
            None => merged.heads() != self.locked.container.heads(),
        };
        if is_new {
            lock.replace(&archive(&merged)?)?;
        }
        self.take_over(mine, merged, new_parts, bundle, theirs.is_some())?;
        drop(lock);
        match &self.locked.pins {
            Some(pins) => pins::remember(pins, &self.locked.path, &self.locked.container),
            None => Ok(()),
        }
    }

    // The vault with a commit of what is pending, on top of what this session knew.
    fn with_own_commit(
        &self,
        now: UnixMillis,
        audit: AuditHead,
        extra: Extra,
        new_parts: &mut Vec<NewPart>,
        sign: &dyn Fn(&[u8]) -> Vec<u8>,
    ) -> Result<Container, VaultError> {
        let container = &self.locked.container;
        let heads = container.heads();
        let commits = container.history().commits();
        let is_known = heads.iter().any(|head| {
            commits
                .get(head)
                .is_some_and(|commit| commit.audit == audit)
        });
        if !self.is_changed() && is_known && extra.is_empty() {
            return Ok(container.clone());
        }
        let mut new = NewCommit::new(self.opened.user, audit, now);
        new.prune = true;
        new.links = extra.links;
        new.add = extra.add;
        new.drop = extra.drop;
        for environment in self.opened.environments.values() {
            self.add_operations(&mut new, environment, now, new_parts)?;
        }
        for (environment, name, text) in new_parts {
            let environment = self.opened.environments.get(environment);
            let recipient = environment.and_then(OpenEnvironment::recipient);
            let recipient = recipient.ok_or(VaultError::NotAllowed)?;
            new.add.push((*name, crypt::encrypt_to(recipient, text)?));
        }
        Ok(container.commit(new, sign)?)
    }

    fn add_operations(
        &self,
        new: &mut NewCommit,
        environment: &OpenEnvironment,
        now: UnixMillis,
        new_parts: &mut Vec<NewPart>,
    ) -> Result<(), VaultError> {
        let (container, pending) = (&self.locked.container, &environment.pending);
        if pending.is_empty() {
            return Ok(());
        }
        let (kept, mut forgets) = self.keep_earlier(environment, now)?;
        forgets.extend(pending.forgets.iter().cloned());
        let parts = environment.parts(container);
        let mut number = parts.last().map_or(0, |part| part.part.number);
        let mut name = |is_snapshot: bool| {
            number = number.saturating_add(1);
            let part = Part {
                environment: environment.id,
                number,
                random: Id::random(),
            };
            if is_snapshot {
                MemberName::Snapshot(part)
            } else {
                MemberName::Segment(part)
            }
        };
        let folded = to_fold(&parts, &forgets);
        if !folded.is_empty() {
            for text in self.folded(environment, &folded, &kept)? {
                let text = Zeroizing::new(text.as_bytes().to_vec());
                new_parts.push((environment.id, name(true), text));
            }
            new.drop.extend(folded.iter().map(|part| part.name));
        }
        for ops in pending.write(&kept, environment.state.clock(), now.0, PART_BYTES) {
            let ops = Zeroizing::new(ops.as_bytes().to_vec());
            new_parts.push((environment.id, name(false), ops));
        }
        new.drop.extend(self.unsealed(environment, &kept));
        new.add.extend(pending.sealed.values().cloned());
        Ok(())
    }

    // What still counts of some parts, less what the pending changes replace.
    fn folded(
        &self,
        environment: &OpenEnvironment,
        parts: &[&LivePart<'_>],
        kept: &Kept,
    ) -> Result<Vec<Zeroizing<String>>, VaultError> {
        let mut replaced = Replaced::default();
        for (id, item) in &environment.pending.items {
            if item.removed {
                replaced.removed(*id);
            }
            let added = kept.get(id).into_iter().flat_map(|kept| kept.keys());
            for field in item.fields.keys().chain(added) {
                replaced.field(Some(*id), field);
            }
        }
        for setting in environment.pending.settings.keys() {
            replaced.field(None, setting);
        }
        let mut texts = Vec::new();
        for part in parts {
            texts.push((part.commit, environment.open_part(part)?));
        }
        let damaged = |_| crypt::content("s/");
        let borrowed = texts
            .iter()
            .map(|(commit, text)| Ok((*commit, std::str::from_utf8(text).map_err(damaged)?)))
            .collect::<Result<Vec<_>, VaultError>>()?;
        let history = self.locked.container.history();
        Ok(environment
            .state
            .folded(&borrowed, history, &replaced, PART_BYTES))
    }

    // The file is written; now memory follows.
    fn take_over(
        &mut self,
        mine: Container,
        merged: Container,
        new_parts: Vec<NewPart>,
        bundle: Option<Bundle>,
        is_joined: bool,
    ) -> Result<(), VaultError> {
        let chain_changed = merged.chain() != self.locked.container.chain();
        self.locked.container = merged;
        self.locked.read_only = None;
        if is_joined || chain_changed || bundle.is_some() {
            self.locked.devices = enrolled::all(&self.locked.container);
            let user = self.opened.user;
            let bundle = match bundle {
                Some(bundle) => bundle,
                None => self.opened.bundle.again()?,
            };
            self.opened = Opened::of(user, bundle, &self.locked.container)?;
            self.show_saved();
            return Ok(());
        }
        let gone = gone_parts(&mine, &self.opened);
        let own = mine.heads().first().copied();
        for environment in self.opened.environments.values_mut() {
            environment.state.forget(&gone);
            environment.pending = Pending::default();
        }
        for (id, name, text) in new_parts {
            let Some((own, environment)) = own.zip(self.opened.environments.get_mut(&id)) else {
                continue;
            };
            let read = ReadPart::read(name, own, text, self.locked.container.history());
            let read = read.map_err(|_| crypt::content(&name.to_string()))?;
            environment.state.add(read);
        }
        Ok(())
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

// Parts that must not stay because of a secret in them; and, where there are many small segments, all parts that are less
// than half full.
fn to_fold<'a, 'b>(parts: &'b [LivePart<'a>], forgets: &BTreeSet<String>) -> Vec<&'b LivePart<'a>> {
    let is_small = |part: &LivePart<'_>| part.bytes.len() < PART_BYTES / 2;
    let small = parts
        .iter()
        .filter(|part| !part.is_snapshot && is_small(part));
    let many = small.count() >= MAX_SEGMENTS;
    parts
        .iter()
        .filter(|part| (many && is_small(part)) || forgets.contains(&part.name.to_string()))
        .collect()
}
