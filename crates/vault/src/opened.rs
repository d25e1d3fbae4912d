//! What a user's identity opens: his environments, their keys of every epoch, and what their segments add up to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use touchkeep_container::{
    Container, HybridClock, LivePart, MemberName, Membership, State, Value,
    op::{Edit, Field, MAX_FIELDS, Writer, Written},
    state::{Place, ReadPart, Told},
};
use touchkeep_core::{EnvironmentId, ItemId, UserId};
use zeroize::Zeroizing;

use crate::{
    crypt::{self, Bundle, LockedIdentity, Payload, PayloadKey, Scratch, X25519Identity},
    error::VaultError,
    versions::Kept,
};

/// Lines of one part from which on the whole part is decrypted, and not each by itself.
const MANY_LINES: usize = 8;

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
    // Of the parts that were opened before. A part's name never comes again for other bytes.
    part_keys: Mutex<HashMap<MemberName, PayloadKey>>,
    pub(crate) is_current: bool,
    /// Whether this session has looked for old secrets that copies left behind.
    pub(crate) is_swept: bool,
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
            is_swept: false,
            identities,
            part_keys: Mutex::default(),
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
        let own = self.bundle.identity.opener();
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
        let keys = self.keys();
        let parts = self.parts(container);
        // Decrypting and reading are most of what unlocking costs, so the cores share them, each with one place for all plaintexts.
        let read = touchkeep_parallel::map_with(&parts, Scratch::default, |scratch, part| {
            let damaged = || crypt::content(&part.name.to_string());
            let payload = keys.payload(&part.name, part.bytes);
            let text = payload.and_then(|payload| payload.open_in(scratch).ok());
            let Some(text) = text else {
                // Of an epoch that is closed to this user.
                return if self.is_current {
                    Err(damaged())
                } else {
                    Ok(None)
                };
            };
            ReadPart::read(part.name, part.commit, text, container.history())
                .map(Some)
                .map_err(|_| damaged())
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
        let payload = self.keys().payload(&part.name, part.bytes);
        let text = payload.and_then(|payload| payload.open().ok());
        text.ok_or_else(|| crypt::content(&part.name.to_string()))
    }

    /// Has each part decrypted for a moment, by several cores at once. Parts that are closed to this user are left out.
    pub(crate) fn each_part<R: Send>(
        &self,
        container: &Container,
        look: impl Fn(MemberName, &[u8]) -> R + Sync,
    ) -> Result<Vec<R>, VaultError> {
        let keys = self.keys();
        let parts: Vec<MemberName> = self.state.parts().collect();
        let seen = touchkeep_parallel::map_with(&parts, Scratch::default, |scratch, name| {
            let payload = keys.payload(name, container.member(name)?);
            let text = payload.and_then(|payload| payload.open_in(scratch).ok());
            Some(look(*name, text?))
        });
        let named = parts.iter().zip(seen);
        named
            .map(|(name, seen)| seen.ok_or_else(|| crypt::content(&name.to_string())))
            .collect()
    }

    /// The lines that stand there, decrypted for this call.
    pub(crate) fn told(
        &self,
        container: &Container,
        places: Vec<Place>,
    ) -> Result<Vec<Told>, VaultError> {
        let mut all = Vec::new();
        let mut by_part: HashMap<MemberName, Vec<Place>> = HashMap::new();
        for place in places {
            match self.state.kept(&place) {
                Some(line) => {
                    let damaged = |_| crypt::content(&place.part.to_string());
                    all.push(Told::read(place.clone(), line).map_err(damaged)?);
                }
                None => by_part.entry(place.part).or_default().push(place),
            }
        }
        if by_part.is_empty() {
            return Ok(all);
        }
        let keys = self.keys();
        let by_part: Vec<(MemberName, Vec<Place>)> = by_part.into_iter().collect();
        let told =
            touchkeep_parallel::map_with(&by_part, Scratch::default, |scratch, (name, places)| {
                let payload = keys.payload(name, container.member(name)?)?;
                lines(&payload, places, scratch)
            });
        for ((name, _), told) in by_part.iter().zip(told) {
            all.extend(told.ok_or_else(|| crypt::content(&name.to_string()))?);
        }
        Ok(all)
    }

    fn keys(&self) -> Keys<'_> {
        Keys {
            of: self,
            openers: OnceLock::new(),
        }
    }
}

/// What opens parts: keys that were found before, and the identities that find them.
struct Keys<'e> {
    of: &'e OpenEnvironment,
    // Only where a part has no key yet.
    openers: OnceLock<Vec<X25519Identity>>,
}

impl Keys<'_> {
    fn payload<'a>(&self, name: &MemberName, bytes: &'a [u8]) -> Option<Payload<'a>> {
        if let Some(key) = self.of.part_keys().get(name) {
            return Payload::again(key, bytes).ok();
        }
        let identities = self.identities().iter().map(|it| it as &dyn age::Identity);
        let (payload, key) = Payload::found(identities, bytes).ok()?;
        if let Some(key) = key {
            self.of.part_keys().insert(*name, key);
        }
        Some(payload)
    }

    fn identities(&self) -> &[X25519Identity] {
        self.openers.get_or_init(|| {
            // The last epoch's first: most is of it.
            let identities = self.of.identities.iter().rev();
            identities.filter_map(LockedIdentity::opener).collect()
        })
    }
}

impl OpenEnvironment {
    /// Forgets parts that the vault no longer has.
    pub(crate) fn forget(&mut self, gone: &BTreeSet<String>) {
        self.state.forget(gone);
        self.part_keys()
            .retain(|name, _| !gone.contains(&name.to_string()));
    }

    fn part_keys(&self) -> MutexGuard<'_, HashMap<MemberName, PayloadKey>> {
        let keys = self.part_keys.lock();
        keys.unwrap_or_else(PoisonError::into_inner)
    }
}

fn lines(payload: &Payload<'_>, places: &[Place], scratch: &mut Scratch) -> Option<Vec<Told>> {
    if places.len() < MANY_LINES {
        let told = places.iter().map(|place| {
            let text = payload.open_range(place.bytes.clone()).ok()?;
            Told::read(place.clone(), &text).ok()
        });
        return told.collect();
    }
    let text = payload.open_in(scratch).ok()?;
    let told = places
        .iter()
        .map(|place| Told::read(place.clone(), place.of(text)?).ok());
    told.collect()
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

    /// The changes as operations, each later than the one before, as far as the clock goes: texts of segments of about `bytes` each. No
    /// field is written twice, so that nothing depends on which of two writes with one reading is the later. `kept` is what the save
    /// adds to them.
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
            let kept = kept.get(id).into_iter().flatten();
            let emptied = item
                .emptied
                .iter()
                .filter(|key| !item.fields.contains_key(*key));
            let emptied = emptied.map(|key| (key, &None));
            let fields = written(item.fields.iter().chain(kept).chain(emptied));
            for fields in fields.chunks(MAX_FIELDS) {
                write(&Edit::Put(*id, fields.to_vec()));
            }
            // What was put again after it was removed is there.
            if item.removed && item.fields.is_empty() {
                write(&Edit::Remove(*id));
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
