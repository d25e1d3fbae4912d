//! Folding: what still counts of some parts goes into snapshots, and the parts leave the file.

use std::collections::BTreeSet;

use touchkeep_container::{
    Container, LivePart, MemberName, NewCommit, Part,
    state::{Replaced, Told, parts_with_old_secrets},
};
use touchkeep_core::{EnvironmentId, Id, ItemId};
use zeroize::Zeroizing;

use crate::{
    crypt,
    error::VaultError,
    opened::{OpenEnvironment, Opened},
    versions::{Addition, Additions, Kept},
};

/// Small segments after which a save folds them into a snapshot.
pub const MAX_SEGMENTS: usize = 64;

/// Bytes of plaintext that a snapshot has, about, and a segment at most: what is encrypted anew when a secret in it is
/// replaced, and what one core opens while others open the rest.
pub(crate) const PART_BYTES: usize = 512 << 10;

/// A part that is new: its name and its plaintext.
pub(crate) type NewPart = (EnvironmentId, MemberName, Zeroizing<Vec<u8>>);

/// Adds the pending changes of all environments, and what a save adds to them, to a commit on top of a container, and takes out of it what must not stay. `sweeps`:
/// also old secrets that copies left behind which were folded apart.
pub(crate) fn add_changes(
    new: &mut NewCommit,
    opened: &Opened,
    container: &Container,
    additions: &Additions,
    sweeps: bool,
) -> Result<Vec<NewPart>, VaultError> {
    let mut new_parts = Vec::new();
    let nothing = Addition::default();
    for environment in opened.environments.values() {
        let addition = additions.get(&environment.id).unwrap_or(&nothing);
        environment.add_changes(new, container, addition, sweeps, &mut new_parts)?;
    }
    for (environment, name, text) in &new_parts {
        let environment = opened.environments.get(environment);
        let recipient = environment.and_then(OpenEnvironment::recipient);
        let recipient = recipient.ok_or(VaultError::NotAllowed)?;
        new.add.push((*name, crypt::encrypt_to(recipient, text)?));
    }
    Ok(new_parts)
}

impl OpenEnvironment {
    fn add_changes(
        &self,
        new: &mut NewCommit,
        container: &Container,
        addition: &Addition,
        sweeps: bool,
        new_parts: &mut Vec<NewPart>,
    ) -> Result<(), VaultError> {
        let joins = container.heads().len() > 1;
        if self.pending.is_empty() && !(sweeps && joins && self.is_current) {
            return Ok(());
        }
        let parts = self.parts(container);
        let mut number = parts.last().map_or(0, |part| part.part.number);
        let mut next = || {
            number = number.saturating_add(1);
            Part {
                environment: self.id,
                number,
                random: Id::random(),
            }
        };
        let mut goes = match sweeps && !self.is_swept {
            true => self.parts_with_old_secrets(container)?,
            false => BTreeSet::new(),
        };
        goes.extend(
            addition
                .forgets
                .iter()
                .chain(&self.pending.forgets)
                .cloned(),
        );
        let folded = self.to_fold(&parts, &goes);
        for text in self.folded(container, &folded, &addition.kept)? {
            let text = Zeroizing::new(text.as_bytes().to_vec());
            new_parts.push((self.id, MemberName::Snapshot(next()), text));
        }
        new.drop.extend(folded.iter().map(|part| part.name));
        if !self.pending.is_empty() {
            let (pending, clock) = (&self.pending, self.state.clock());
            for ops in pending.write(&addition.kept, clock, new.time.0, PART_BYTES) {
                let ops = Zeroizing::new(ops.as_bytes().to_vec());
                new_parts.push((self.id, MemberName::Segment(next()), ops));
            }
        }
        new.drop.extend(&addition.unsealed);
        new.add.extend(self.pending.sealed.values().cloned());
        Ok(())
    }

    // Parts that must not stay because of a secret in them; and, where there are many small segments, all parts that are less
    // than half full.
    fn to_fold<'a, 'b>(
        &self,
        parts: &'b [LivePart<'a>],
        goes: &BTreeSet<String>,
    ) -> Vec<&'b LivePart<'a>> {
        let is_small = |part: &LivePart<'_>| part.bytes.len() < PART_BYTES / 2;
        let small = parts
            .iter()
            .filter(|part| !part.is_snapshot && is_small(part));
        let many = small.count() >= MAX_SEGMENTS && !self.pending.is_empty();
        let must_go = |part: &LivePart<'_>| goes.contains(&part.name.to_string());
        parts
            .iter()
            .filter(|part| (many && is_small(part)) || must_go(part))
            .collect()
    }

    // What still counts of some parts, less what the pending changes replace.
    fn folded(
        &self,
        container: &Container,
        parts: &[&LivePart<'_>],
        kept: &Kept,
    ) -> Result<Vec<Zeroizing<String>>, VaultError> {
        let (mut texts, mut items) = (Vec::new(), BTreeSet::new());
        for part in parts {
            texts.push((part.commit, self.open_part(part)?));
            let places = self.state.places_in(part.name);
            items.extend(places.map(|place| place.item));
        }
        let told = self.all_told(container, &items)?;
        let damaged = |_| crypt::content("s/");
        let borrowed = texts
            .iter()
            .map(|(commit, text)| Ok((*commit, std::str::from_utf8(text).map_err(damaged)?)))
            .collect::<Result<Vec<_>, VaultError>>()?;
        let history = container.history();
        let (state, replaced) = (&self.state, self.replaced(kept));
        Ok(state.folded(&borrowed, &told, history, &replaced, PART_BYTES))
    }

    fn parts_with_old_secrets(
        &self,
        container: &Container,
    ) -> Result<BTreeSet<String>, VaultError> {
        let told = self.all_told(container, &self.state.retold_secrets())?;
        Ok(parts_with_old_secrets(&told, container.history()))
    }

    // All lines that tell of some items.
    fn all_told(
        &self,
        container: &Container,
        items: &BTreeSet<ItemId>,
    ) -> Result<Vec<Told>, VaultError> {
        let places = items.iter().flat_map(|id| self.state.places(*id));
        self.told(container, places.collect())
    }

    fn replaced(&self, kept: &Kept) -> Replaced {
        let mut replaced = Replaced::default();
        for (id, item) in &self.pending.items {
            if item.removed {
                replaced.removed(*id);
            }
            let added = kept.get(id).into_iter().flat_map(|kept| kept.keys());
            for field in item.fields.keys().chain(added) {
                replaced.field(Some(*id), field);
            }
        }
        for setting in self.pending.settings.keys() {
            replaced.field(None, setting);
        }
        replaced
    }
}
