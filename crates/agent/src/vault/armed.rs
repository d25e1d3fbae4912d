//! Trade keys that outlive a lock, because a person said until when: bots go on while nobody is at the machine.
//!
//! They are taken out of the vault at the moment of the lock, and everything else of it is wiped as ever. What they can be
//! used for is what rules let through with keys that may read or trade, and whose secrets are stored. Whatever needs a touch,
//! a passphrase or another key finds the vault locked.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_container::Hash;
use touchkeep_core::{ApiSecret, DeviceId, ItemId, RequestId, text::visible};
use touchkeep_locked::{LockedBytes, on_wiped_stack};
use touchkeep_pipeline::{
    Answering, Consent, DeviceJob, End, KeyError, KeyHandle, Keys, Question, Series, Turns,
};
use touchkeep_policy::Need;
use touchkeep_vault::{Item, Locked, SECRET_FIELD, SecretPlace, Unlocked};
use touchkeep_venue::KeyClass;
use touchkeep_wire::{Armed as ArmedKeys, Failure};

use super::{Current, Open, audit_identity, client::Client, policy_of, worst_right};
use crate::{
    agent::Agent,
    consent,
    devices::blocking,
    failure, notify,
    ports::{self, Line, LogHistory, PASSPHRASE, Running, handle, next_nonce},
    uptime::Uptime,
};

/// Keys are armed for no longer: three days, a long weekend.
const MAX_SECONDS: u64 = 3 * 24 * 60 * 60;

/// Armed keys, and the line that uses them, until [`Armed::end`].
pub(crate) struct Armed {
    until: Uptime,
    clients: Arc<[Client]>,
    pipeline: Line,
    current: Arc<Current>,
    opener: DeviceId,
    // What the vault was when it was locked.
    heads: Vec<Hash>,
    holds: Arc<Held>,
}

struct Held {
    until: Uptime,
    end: End,
    // None once it has come.
    keys: RwLock<Vec<Key>>,
    names: Vec<String>,
    running: Arc<Running>,
    agent: Weak<Agent>,
}

struct Key {
    venue: String,
    key_set: String,
    class: KeyClass,
    handle: KeyHandle,
    secret: LockedBytes,
    passphrase: Option<LockedBytes>,
}

/// Arms the trade keys of the open vault, or ends that.
///
/// # Errors
/// When the vault is locked, a person did not consent, or there is nothing to arm.
pub(crate) async fn arm(agent: &Arc<Agent>, seconds: u64) -> Result<ArmedKeys, Failure> {
    if seconds == 0 {
        return disarm(agent).await;
    }
    if seconds > MAX_SECONDS {
        return Err(failure::invalid(
            "Keys are armed for three days at most.",
            "Give a shorter time: 8h",
        ));
    }
    let current = agent.some_vault()?;
    let items = names(&*current.open()?);
    if items.is_empty() {
        return Err(failure::invalid(
            "No key can be armed: only keys that read or trade, and whose secret is stored, can.",
            "Sealed keys and keys on a device wait for a touch each time.",
        ));
    }
    let shown: Vec<String> = items.iter().map(|item| visible(item)).collect();
    let shown = shown.join(", ");
    let time = match seconds.div_ceil(60) {
        minutes if minutes % 60 == 0 => format!("{} h", minutes / 60),
        minutes => format!("{minutes} min"),
    };
    let why = format!("Keep {shown} usable through idle and screen lock, for {time}");
    consent::of_owner(agent, Kind::Armed, &why).await?;
    let until = Uptime::now().after(Duration::from_secs(seconds));
    let open = current.open()?;
    let event = Event::new(Kind::Armed, Decision::Touched).text(format!(
        "{shown} can be used through an idle and a screen lock, for {time}."
    ));
    blocking(move || current.record(&event)).await??;
    open.arm_until(Some(until));
    agent.prompts().changed("vault");
    Ok(ArmedKeys {
        items,
        seconds_left: seconds,
    })
}

async fn disarm(agent: &Arc<Agent>) -> Result<ArmedKeys, Failure> {
    let current = agent.some_vault()?;
    let was_open = current.peek().is_some_and(|open| {
        let was = open.armed_until().is_some();
        open.arm_until(None);
        was
    });
    if let Some(armed) = agent.disarm() {
        blocking(move || armed.is_over("It was asked for.")).await?;
    } else if was_open {
        let event = Event::new(Kind::Disarmed, Decision::Done).text("It was asked for.");
        blocking(move || current.record(&event)).await??;
    }
    agent.prompts().changed("vault");
    Ok(ArmedKeys {
        items: Vec::new(),
        seconds_left: 0,
    })
}

/// Ends what is armed for a reason that nobody at the machine has given, and tells a person.
pub(crate) async fn disarm_because(agent: &Arc<Agent>, why: &'static str) {
    let Some(armed) = agent.disarm() else {
        return;
    };
    if let Err(failure) = blocking(move || armed.is_over(why)).await {
        tracing::error!(what = failure.what, "disarming was not recorded");
    }
    agent.prompts().changed("vault");
    tokio::spawn(notify::show(
        "Trade keys are not armed any more".to_owned(),
        format!("{why} Unlock, and arm them again: touchkeep unlock --arm 8h"),
    ));
}

fn names(open: &Open) -> Vec<String> {
    let vault = open.read();
    let mut names: Vec<String> = vault
        .items()
        .into_iter()
        .filter(|item| can_be_armed(&vault, item))
        .map(|item| item.name.clone())
        .collect();
    names.sort();
    names
}

// By the worst right that the key has under any name: what is armed must not move money.
fn can_be_armed(vault: &Unlocked, item: &Item) -> bool {
    item.is_signing_key()
        && item.secret == SecretPlace::Stored
        && matches!(worst_right(vault, item), KeyClass::Read | KeyClass::Trade)
}

impl Armed {
    /// Takes the keys out of a vault that is being locked; none where that cannot be done, and then nothing outlives it.
    /// Blocks.
    pub(super) fn of(
        agent: &Arc<Agent>,
        current: &Arc<Current>,
        open: &Open,
        until: Uptime,
    ) -> Option<Self> {
        let log = current.log()?.clone();
        let history = LogHistory {
            log: log.clone(),
            identity: audit_identity(open).ok()?,
        };
        let (keys, policy, heads) = {
            let vault = open.read();
            let mut keys = Vec::new();
            let items = vault.items().into_iter();
            for item in items.filter(|item| can_be_armed(&vault, item)) {
                let locked = |field| {
                    // EXPOSE: to the locked copy. It is decrypted for this; what that leaves on the stack is wiped.
                    on_wiped_stack(|| {
                        let secret = vault.field_secret(item.id, field).ok()?;
                        LockedBytes::copy_of(secret.expose().as_bytes()).ok()
                    })
                };
                let (Ok(handle), Some(secret)) =
                    (handle(current, &vault, item), locked(SECRET_FIELD))
                else {
                    continue;
                };
                let passphrase = handle.passphrase.then(|| locked(PASSPHRASE)).flatten();
                keys.push(Key {
                    venue: item.venue.clone(),
                    key_set: item.key_set.clone(),
                    class: item.class,
                    handle,
                    secret,
                    passphrase,
                });
            }
            let heads = vault.as_locked().container().heads();
            (keys, policy_of(&vault).0, heads)
        };
        let end = End::default();
        let holds = Arc::new(Held {
            until,
            end: end.clone(),
            names: keys.iter().map(|key| visible(&key.handle.name)).collect(),
            keys: RwLock::new(keys),
            running: Arc::clone(agent.running()),
            agent: Arc::downgrade(agent),
        });
        let keys = Arc::clone(&holds) as Arc<dyn Keys>;
        let pipeline = ports::line_with(agent, current, log, keys, end);
        // The sums of the policy's windows go on from the log.
        if let Err(error) = pipeline.set_policy(policy, &history) {
            tracing::error!(%error, "the log cannot be read, so no key outlives the lock");
            return None;
        }
        pipeline.remember(history.asked());
        Some(Self {
            until,
            clients: open.clients(),
            pipeline,
            current: Arc::clone(current),
            opener: open.device,
            heads,
            holds,
        })
    }

    pub(crate) const fn until(&self) -> Uptime {
        self.until
    }

    pub(crate) fn has_ended(&self) -> bool {
        Uptime::now() >= self.until
    }

    pub(crate) fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// Which device had unlocked their vault.
    pub(crate) const fn opener(&self) -> DeviceId {
        self.opener
    }

    /// Whether what they sign stands in the log of this one.
    pub(super) fn write_to(&self, current: &Arc<Current>) -> bool {
        Arc::ptr_eq(&self.current, current)
    }

    /// Where their vault is.
    pub(crate) fn path(&self) -> &Path {
        self.current.path()
    }

    /// Whether the vault's file is what it was when it was locked. Blocks.
    ///
    /// # Errors
    /// It does not read.
    pub(crate) fn is_of_the_file(&self) -> Result<bool, Failure> {
        let now = Locked::open(self.path()).map_err(|error| failure::vault(&error))?;
        Ok(now.id() == self.current.id() && now.container().heads() == self.heads)
    }

    pub(crate) const fn pipeline(&self) -> &Line {
        &self.pipeline
    }

    /// Wipes the keys, and refuses what waits: nothing is signed with them from now on.
    pub(crate) fn end(&self) {
        self.pipeline.end();
        self.holds.wipe();
    }

    /// Records that they are armed no more, and forgets what the log was tagged with. After [`Armed::end`].
    pub(crate) fn is_over(&self, why: &str) {
        self.pipeline.tell_unsaid();
        let event = Event::new(Kind::Disarmed, Decision::Done).text(format!(
            "{} cannot be used any more. {why}",
            self.holds.names.join(", ")
        ));
        if let Err(failure) = self.current.record(&event) {
            tracing::error!(what = failure.what, "disarming was not recorded");
        }
        if self.current.peek().is_none() {
            if let Some(log) = self.current.log() {
                log.drop_tag_key();
            }
            if let Some(agent) = self.holds.agent.upgrade() {
                agent.signing().leave();
            }
        }
        tracing::info!(why, "no key is armed any more");
    }
}

impl Held {
    // What is wanted of the one key that fits, while there is time.
    fn of_key<T>(
        &self,
        wanted: impl Fn(&Key) -> bool,
        take: impl FnOnce(&Key) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        if self.end.has_come() || Uptime::now() >= self.until {
            return Err(KeyError::Locked);
        }
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut fitting = keys.iter().filter(|key| wanted(key));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => take(key),
            (Some(key), Some(_)) => Err(KeyError::Ambiguous(key.key_set.clone())),
            (None, _) => Err(KeyError::Locked),
        }
    }

    fn wipe(&self) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        drop(std::mem::take(&mut *keys));
    }
}

fn text_of(held: &LockedBytes) -> Result<ApiSecret, KeyError> {
    // EXPOSE: to one signature.
    let text = String::from_utf8(held.expose().to_vec());
    text.map(ApiSecret::new).map_err(|_| KeyError::Damaged)
}

impl Keys for Held {
    fn key_for(&self, venue: &str, key_set: &str, class: KeyClass) -> Result<KeyHandle, KeyError> {
        let of = |class: KeyClass| {
            let is_it =
                |key: &Key| key.venue == venue && key.key_set == key_set && key.class == class;
            self.of_key(is_it, |key| Ok(key.handle.clone()))
        };
        match of(class) {
            // A key that may trade may look as well.
            Err(KeyError::Locked) if class == KeyClass::Read => of(KeyClass::Trade),
            found => found,
        }
    }

    fn base_url(&self, venue: &str, key_set: &str) -> Result<Option<String>, KeyError> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut of_set = keys
            .iter()
            .filter(|key| key.venue == venue && key.key_set == key_set);
        Ok(of_set.find_map(|key| key.handle.base_url.clone()))
    }

    fn make_ready<'a>(&'a self, question: &'a Question) -> Answering<'a, Result<(), KeyError>> {
        Box::pin(async move {
            self.running.is_for(question);
            // Nobody is to approve what could not be done then.
            if question.need == Need::Touch {
                return Err(KeyError::Locked);
            }
            Ok(())
        })
    }

    fn consent<'a>(&'a self, _: &'a Question) -> Answering<'a, Result<Consent, KeyError>> {
        Box::pin(async { Err(KeyError::Locked) })
    }

    fn secret<'a>(
        &'a self,
        _: RequestId,
        key: &'a KeyHandle,
    ) -> Answering<'a, Result<ApiSecret, KeyError>> {
        Box::pin(async move {
            let is_it = |held: &Key| held.handle.item == key.item;
            self.of_key(is_it, |held| text_of(&held.secret))
        })
    }

    fn passphrase<'a>(
        &'a self,
        _: RequestId,
        key: &'a KeyHandle,
    ) -> Answering<'a, Result<ApiSecret, KeyError>> {
        Box::pin(async move {
            let is_it = |held: &Key| held.handle.item == key.item;
            self.of_key(is_it, |held| {
                text_of(held.passphrase.as_ref().ok_or(KeyError::Locked)?)
            })
        })
    }

    fn next_nonce(
        &self,
        item: ItemId,
        series: Series,
        floor: u64,
    ) -> Answering<'_, Result<u64, KeyError>> {
        let agent = self.agent.upgrade();
        Box::pin(async move { next_nonce(agent, (item, series), floor).await })
    }

    fn turns(&self) -> Turns {
        let agent = self.agent.upgrade();
        agent.map_or_else(Turns::default, |agent| agent.turns().clone())
    }

    fn on_device<'a>(
        &'a self,
        _: RequestId,
        _: &'a KeyHandle,
        _: DeviceJob,
    ) -> Answering<'a, Result<Vec<u8>, KeyError>> {
        Box::pin(async { Err(KeyError::Locked) })
    }

    fn nonce_refused(&self, key: &KeyHandle, venue: &str) {
        if let Some(agent) = self.agent.upgrade() {
            agent.saw_key_elsewhere(key.item, &key.name, venue);
        }
    }

    fn over(&self, request: RequestId) {
        self.running.over(request);
    }
}
