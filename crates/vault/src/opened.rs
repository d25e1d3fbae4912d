//! What a user's identity opens: his environments, their keys of every epoch, and what their segments add up to.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use touchkeep_container::{
    Container, HybridClock, LivePart, MemberName, Membership, State, Value,
    op::{Edit, Field, MAX_FIELDS, Writer, Written},
    parallel,
    state::{Place, ReadPart},
};
use touchkeep_core::{EnvironmentId, ItemId, UserId};
use zeroize::Zeroizing;

use crate::{
    crypt::{self, Bundle, LockedIdentity},
    error::VaultError,
    versions::Kept,
};

/// What a device opened.
pub(crate) struct Opened {
    pub(crate) user: UserId,
    pub(crate) bundle: Bundle,
    // By id. At least one.
    pub(crate) environments: BTreeMap<EnvironmentId, OpenEnvironment>,
}

/// An environment that this user can read.
pub(crate) struct OpenEnvironment {
    pub(crate) id: EnvironmentId,
    // By epoch; the last is what new segments are encrypted to, unless a later epoch is closed to this user.
    pub(crate) identities: Vec<LockedIdentity>,
    pub(crate) is_current: bool,
    /// As saved.
    pub(crate) state: State,
    /// What changed since.
    pub(crate) pending: Pending,
}

impl Opened {
    /// Opens everything that a user's bundle opens.
    pub(crate) fn of(
        user: UserId,
        bundle: Bundle,
        container: &Container,
    ) -> Result<Self, VaultError> {
        let mut opened = Self {
            user,
            bundle,
            environments: BTreeMap::new(),
        };
        let membership = container.membership();
        for id in membership.environments.keys() {
            if let Some(environment) = opened.environment(*id, container, membership)? {
                opened.environments.insert(*id, environment);
            }
        }
        if opened.environments.is_empty() {
            return Err(crypt::content("k/"));
        }
        opened.read_states(container)?;
        Ok(opened)
    }

    fn environment(
        &self,
        id: EnvironmentId,
        container: &Container,
        membership: &Membership,
    ) -> Result<Option<OpenEnvironment>, VaultError> {
        let stated = membership.environments.get(&id);
        let recipients = stated.map_or(&[][..], |stated| &stated.recipients);
        let mut identities = Vec::new();
        for (epoch, recipient) in (1..).zip(recipients) {
            let Some(identity) = self.environment_key(id, epoch, recipient, container)? else {
                break;
            };
            identities.push(identity);
        }
        Ok((!identities.is_empty()).then(|| OpenEnvironment {
            id,
            is_current: identities.len() == recipients.len(),
            identities,
            state: State::default(),
            pending: Pending::default(),
        }))
    }

    // Of an epoch there may be several members: of a merge, or of readers who came later.
    fn environment_key(
        &self,
        id: EnvironmentId,
        epoch: u32,
        recipient: &str,
        container: &Container,
    ) -> Result<Option<LockedIdentity>, VaultError> {
        let own = self.bundle.identity.unlocked();
        let own = own.ok_or_else(|| crypt::content("u/"))?;
        for name in container.names() {
            let is_it = matches!(name, MemberName::EnvironmentKey { environment, epoch: of, .. }
                if environment == id && of == epoch);
            let Some(bytes) = container.member(&name).filter(|_| is_it) else {
                continue;
            };
            let Ok(plaintext) = crypt::decrypt(&own, bytes) else {
                continue;
            };
            // Another one is another copy's, or somebody put it there who knows no more than a recipient.
            let identity = crypt::parse_identity_line(&plaintext)?;
            if let Some(it) = identity.filter(|it| it.recipient() == recipient) {
                return Ok(Some(it));
            }
        }
        Ok(None)
    }

    /// Replays all segments and snapshots.
    pub(crate) fn read_states(&mut self, container: &Container) -> Result<(), VaultError> {
        for environment in self.environments.values_mut() {
            environment.read_state(container)?;
        }
        Ok(())
    }
}

impl OpenEnvironment {
    /// What new segments are encrypted to.
    pub(crate) fn recipient(&self) -> Option<&str> {
        let last = self.identities.last().filter(|_| self.is_current);
        last.map(LockedIdentity::recipient)
    }

    /// Its parts in a container.
    pub(crate) fn parts<'a>(&self, container: &'a Container) -> Vec<LivePart<'a>> {
        let mut parts = container.parts();
        parts.retain(|part| part.part.environment == self.id);
        parts.sort_by_key(|part| (part.part.number, part.part.random));
        parts
    }

    fn read_state(&mut self, container: &Container) -> Result<(), VaultError> {
        let identities: Vec<_> = self
            .identities
            .iter()
            .filter_map(LockedIdentity::unlocked)
            .collect();
        let parts = self.parts(container);
        // Decrypting and reading are most of what unlocking costs, so the cores share them.
        let read = parallel::map(&parts, |part| {
            let name = part.name.to_string();
            let identities = identities.iter().map(|i| i as &dyn age::Identity);
            let Ok(text) = crypt::decrypt_with(identities, part.bytes) else {
                // Of an epoch that is closed to this user.
                return if self.is_current {
                    Err(crypt::content(&name))
                } else {
                    Ok(None)
                };
            };
            ReadPart::read(part.name, part.commit, text, container.history())
                .map(Some)
                .map_err(|_| crypt::content(&name))
        });
        self.state = State::default();
        for part in read {
            if let Some(part) = part? {
                self.state.add(part);
            }
        }
        Ok(())
    }

    /// The plaintext of a part.
    pub(crate) fn open_part(&self, part: &LivePart<'_>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let name = part.name.to_string();
        let mut identities = self.identities.iter().rev();
        identities
            .find_map(|identity| identity.open(&name, part.bytes).ok())
            .ok_or_else(|| crypt::content(&name))
    }

    /// A stored secret, read where it stands.
    pub(crate) fn read_secret(
        &self,
        container: &Container,
        place: &Place,
    ) -> Result<Value, VaultError> {
        let name = place.part.to_string();
        let damaged = || crypt::content(&name);
        let bytes = container.member(&place.part).ok_or_else(damaged)?;
        let range = |identity: &LockedIdentity| -> Option<Zeroizing<Vec<u8>>> {
            let wanted: Range<u64> = place.bytes.clone();
            identity.open_range(&name, bytes, wanted).ok()
        };
        let text = self.identities.iter().rev().find_map(range);
        Place::read(&text.ok_or_else(damaged)?).ok_or_else(damaged)
    }
}

/// Changes that are not saved yet.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) items: BTreeMap<ItemId, PendingItem>,
    pub(crate) settings: BTreeMap<String, Option<Value>>,
    /// Sealed values that are new.
    pub(crate) sealed: BTreeMap<(ItemId, String), (MemberName, Vec<u8>)>,
    /// Parts that hold a stored secret which was replaced or removed, by name.
    pub(crate) forgets: BTreeSet<String>,
}

/// Changes of one item.
#[derive(Default)]
pub(crate) struct PendingItem {
    /// Removed, and its secrets emptied before: should the item come back, they must not.
    pub(crate) removed: bool,
    /// Secret fields that are emptied with the removal.
    pub(crate) emptied: BTreeSet<String>,
    /// Secret fields that are only sealed anew: what they hold is the same.
    pub(crate) resealed: BTreeSet<String>,
    /// Earlier versions are to go.
    pub(crate) forget_old: bool,
    /// Set, after it was removed.
    pub(crate) fields: BTreeMap<String, Option<Value>>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.settings.is_empty()
    }

    /// The changes as operations, each later than the one before: texts of segments of about `bytes` each. `kept` is what the
    /// save adds to them.
    pub(crate) fn write(
        &self,
        kept: &Kept,
        mut at: HybridClock,
        now_ms: u64,
        bytes: usize,
    ) -> Vec<Zeroizing<String>> {
        let (mut texts, mut writer) = (Vec::new(), Writer::default());
        let mut write = |edit: &Edit<'_, Written<'_>>| {
            if writer.len() >= bytes {
                texts.push(std::mem::take(&mut writer).finish());
            }
            at = at.next(now_ms);
            writer.op(at, edit);
        };
        for (id, item) in &self.items {
            if item.removed {
                let emptied: Vec<_> = item
                    .emptied
                    .iter()
                    .map(|key| (key.as_str(), None))
                    .collect();
                for emptied in emptied.chunks(MAX_FIELDS) {
                    write(&Edit::Put(*id, emptied.to_vec()));
                }
                write(&Edit::Remove(*id));
            }
            let fields = written(item.fields.iter().chain(kept.get(id).into_iter().flatten()));
            for fields in fields.chunks(MAX_FIELDS) {
                write(&Edit::Put(*id, fields.to_vec()));
            }
        }
        let settings = written(self.settings.iter());
        for settings in settings.chunks(MAX_FIELDS) {
            write(&Edit::Set(settings.to_vec()));
        }
        if !writer.is_empty() {
            texts.push(writer.finish());
        }
        texts
    }
}

// Ascending by name.
fn written<'a>(
    fields: impl Iterator<Item = (&'a String, &'a Option<Value>)>,
) -> Vec<Field<'a, Written<'a>>> {
    // EXPOSE: to the segment, which is encrypted before it leaves the process.
    let mut written: Vec<_> = fields
        .map(|(name, value)| {
            let value = value.as_ref().map(|value| Written::Plain(value.expose()));
            (name.as_str(), value)
        })
        .collect();
    written.sort_by_key(|(name, _)| *name);
    written
}
