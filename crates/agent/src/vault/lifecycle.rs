//! A vault's life in the agent: made, opened, locked. Each is recorded, and what cannot be recorded does not happen.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock, atomic::AtomicU64},
};

use touchkeep_audit::{Decision, Event, Kind, Log, OpenError};
use touchkeep_container::note::VerifyKey;
use touchkeep_core::{
    Clock, Code, DeviceId, Id, Passphrase, SystemClock,
    text::{quoted, visible},
};
use touchkeep_device::{Auth, DeviceKind, Purpose, attestation::Trust};
use touchkeep_locked::on_small_wiped_stack;
use touchkeep_vault::{Locked, NewDevice, NewVault, Unlocked, VaultError};
use touchkeep_wire::{
    CreateVault, Failure, NewDevice as WantedDevice, Question, SecretText, VaultSummary,
};

use super::{
    Armed, Current, Open, acts, checkpoint,
    choose::{Chosen, Wanted, choose, find, find_token},
    device_label,
    in_force::InForce,
    is_same_file, recovery,
};
use crate::{
    agent::Agent,
    devices::{Connected, Failed, Module, Opened, Session, Use, Which, blocking},
    failure,
    grants::Ahead,
    ports::{self, LogHistory},
    uptime::Uptime,
};

/// The least work factor outside of practice: a quarter of a GiB and about a second for each guess.
pub(crate) const MIN_WORK_FACTOR: u8 = 18;

/// The shortest passphrase outside of practice, where it is all that keeps a vault shut: NIST SP 800-63B-4, 3.1.1.2.
const MIN_PASSPHRASE_CHARS: u32 = 15;

fn check_folder(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    if folder.is_dir() && rustix::fs::access(folder, access).is_ok() {
        return Ok(());
    }
    Err(failure::invalid(
        format!(
            "No file can be made in {}.",
            quoted(&folder.to_string_lossy())
        ),
        "Make that folder, or choose a place in a folder of yours: --path",
    ))
}

/// Makes a vault, and leaves it open.
pub(crate) async fn create(
    agent: &Arc<Agent>,
    wanted: CreateVault,
) -> Result<VaultSummary, Failure> {
    let path = PathBuf::from(&wanted.path);
    if !path.is_absolute() {
        return Err(failure::invalid(
            "The vault's path is not absolute.",
            "Give the whole path.",
        ));
    }
    if wanted.user.trim().is_empty() || wanted.environment.trim().is_empty() {
        return Err(failure::invalid(
            "A vault needs a user's and an environment's name.",
            "Give both: --user and --environment",
        ));
    }
    let _turn = agent.lifecycle().await;
    // Before a PIN is typed for nothing.
    if path.symlink_metadata().is_ok() {
        return Err(failure::vault(&VaultError::Exists(path)));
    }
    check_folder(&path)?;
    let session = agent.devices().session();
    let (founded, used) = match wanted.device {
        WantedDevice::Software { work_factor } => {
            if work_factor < MIN_WORK_FACTOR && !wanted.practice {
                return Err(failure::invalid(
                    format!(
                        "A work factor of {work_factor} is too weak for a vault that is no practice."
                    ),
                    format!("Use {MIN_WORK_FACTOR} or more."),
                ));
            }
            let passphrase = new_passphrase(agent, wanted.practice).await?;
            let agent = Arc::clone(agent);
            let founded = blocking(move || {
                let device = NewDevice::Software {
                    passphrase: &passphrase,
                    work_factor,
                };
                found(
                    &agent,
                    &path,
                    &wanted.user,
                    &wanted.environment,
                    wanted.practice,
                    device,
                )
                .map_err(|failed| failed.failure("The new device"))
            });
            (founded.await??, None)
        }
        WantedDevice::Piv {
            ref serial,
            ref adopt,
        } => {
            let device = find(agent, DeviceKind::Piv, serial).await?;
            let adopt = adopt.clone();
            (on_hardware(agent, device, adopt, path, wanted).await?, None)
        }
        WantedDevice::Pkcs11 {
            ref module,
            ref token,
        } => {
            let device = find_token(agent, module, token).await?;
            let used = device.module().cloned();
            let founded = on_hardware(agent, device, None, path, wanted).await?;
            (founded, used)
        }
    };
    let current = Arc::clone(&founded.current);
    opened_as_made(agent, founded, used.as_ref(), session)
        .await
        .map_err(|failure| made_all_the_same(&current, failure))?;
    agent.prompts().changed("vault");
    Ok(current.summary())
}

// Only now does the vault that was open, and what was armed, give way: a vault that is not made leaves them as they were.
async fn opened_as_made(
    agent: &Arc<Agent>,
    founded: Founded,
    used: Option<&Module>,
    session: Session,
) -> Result<(), Failure> {
    keep_used_module(agent, used)?;
    let next = agent.devices().go_on_with(founded.which.as_ref(), session);
    let session = next.ok_or_else(locked_meanwhile)?;
    close(agent, Because::NewVault).await?;
    let current = founded.current;
    agent.remember_vault(&current);
    let by = OpenedBy::device(founded.device);
    let kind = Kind::VaultCreated;
    begin(agent, &current, founded.vault, by, kind, session).await
}

fn made_all_the_same(current: &Current, failure: Failure) -> Failure {
    let path = visible(&current.path().display().to_string());
    let what = format!(
        "The vault was made ({path}), and is not open. {}",
        failure.what
    );
    Failure { what, ..failure }
}

/// The passphrase that a person chooses for a vault.
pub(crate) async fn new_passphrase(
    agent: &Arc<Agent>,
    practice: bool,
) -> Result<Passphrase, Failure> {
    let least = if practice { 1 } else { MIN_PASSPHRASE_CHARS };
    let question = Question::NewPassphrase { least };
    let typed = agent.devices().ask_new(question).await?;
    let passphrase = Passphrase::new(typed);
    // EXPOSE: to be counted.
    let chars = on_small_wiped_stack(|| passphrase.expose().chars().count());
    let chars = u32::try_from(chars).unwrap_or(u32::MAX);
    if chars >= least {
        return Ok(passphrase);
    }
    Err(failure::invalid(
        match chars {
            0 => "An empty passphrase keeps nobody out.".to_owned(),
            _ => "So short a passphrase is guessed by whoever has a copy of the vault.".to_owned(),
        },
        format!(
            "Choose one of {MIN_PASSPHRASE_CHARS} characters or more, such as five words that nobody has put together before."
        ),
    ))
}

/// Pins the module by which a device was enrolled, as it was used for that.
pub(crate) fn keep_used_module(agent: &Agent, used: Option<&Module>) -> Result<(), Failure> {
    let pin = used.and_then(|module| Some((&module.file.path, module.file.sha256?)));
    let Some((path, hash)) = pin else {
        return Ok(());
    };
    let kept = agent.state().keep_module(path, &hash.to_string());
    kept.map_err(|error| failure::state(&error))
}

/// Pins a module as it is now: a person has said that this one is meant.
pub(crate) fn keep_module(agent: &Agent, module: &str) -> Result<(), Failure> {
    let path = Path::new(module);
    let hash = touchkeep_device_pkcs11::module::hash_of(path).map_err(|error| {
        let fix = "Name a module that only you or root can change, by its whole path.";
        failure::invalid(format!("{error}."), fix)
    })?;
    let kept = agent.state().keep_module(path, &hash.to_string());
    kept.map_err(|error| failure::state(&error))
}

// A vault that was made, and is not in force yet. Boxed, as wherever an open vault is on its way: moved by itself it would
// leave its keys on the stack of each thread that it comes by.
struct Founded {
    current: Arc<Current>,
    vault: Box<Unlocked>,
    device: DeviceId,
    // What its device's PIN is kept under; none for the software device.
    which: Option<Which>,
}

async fn on_hardware(
    agent: &Arc<Agent>,
    device: Connected,
    adopt: Option<String>,
    path: PathBuf,
    wanted: CreateVault,
) -> Result<Founded, Failure> {
    let label = device.label();
    // Said before anybody types a PIN that could not be used.
    let (looked_at, slot) = (device.clone(), adopt.clone());
    let trust = Trust::of(wanted.practice);
    blocking(move || looked_at.may_be_enrolled(slot.as_deref(), &[], trust)).await??;
    let newcomer = device.newcomer();
    let what = Use {
        device: label.clone(),
        which: Some(newcomer.clone()),
        key: None,
        why: "Make the keys of the new vault".to_owned(),
        touch: None,
        fresh: false,
    };
    let agent = Arc::clone(agent);
    let devices = Arc::clone(agent.devices());
    let made = devices.with(
        what,
        move || Ok(device.open()?),
        move |opened: &mut Opened, auth| {
            // Making a key that is touched signs its certificate, so this waits for the finger as well.
            opened.adopt(adopt.as_deref())?;
            if let Some(provision) = opened.provision() {
                provision.provision(auth)?;
            }
            opened.is_as_attested()?;
            let device = NewDevice::Hardware(opened.device(), auth);
            found(
                &agent,
                &path,
                &wanted.user,
                &wanted.environment,
                wanted.practice,
                device,
            )
        },
    );
    let made = made.await.map_err(|failed| failed.failure(&label));
    let id = made.as_ref().ok().map(|founded| founded.device);
    devices.becomes(&newcomer, id);
    let which = id.map(|id| newcomer.enrolled_as(id));
    made.map(|founded| Founded { which, ..founded })
}

fn found(
    agent: &Arc<Agent>,
    path: &Path,
    user: &str,
    environment: &str,
    practice: bool,
    device: NewDevice<'_>,
) -> Result<Founded, Failed> {
    let new = NewVault {
        user_name: user.to_owned(),
        environment_name: environment.to_owned(),
        practice,
        device,
        now: SystemClock.now(),
    };
    let pins = super::pins(agent.paths());
    let vault =
        touchkeep_vault::create_pinned(path, pins, new).map_err(failure::vault_or_device)?;
    let device = vault.devices().first().map(|device| device.id);
    let device = device.ok_or_else(|| Failed::Other(failure::locked()))?;
    let (current, _locked) = Current::load(path, agent.paths())?;
    Ok(Founded {
        current,
        vault: Box::new(vault),
        device,
        which: None,
    })
}

/// Opens a vault with the first enrolled device that is connected.
pub(crate) async fn unlock(
    agent: &Arc<Agent>,
    path: Option<String>,
    device: Option<String>,
) -> Result<VaultSummary, Failure> {
    let _turn = agent.lifecycle().await;
    let path = match path {
        Some(path) => PathBuf::from(path),
        None => agent.vault_path(),
    };
    let here = agent
        .vault()
        .filter(|current| is_same_file(current.path(), &path));
    // What is armed of this very vault goes on until that is open again.
    let same = here.is_some();
    if let Some(current) = here.filter(|current| current.peek().is_some()) {
        return Ok(current.summary());
    }
    let (current, locked) = blocking({
        let (agent, path) = (Arc::clone(agent), path.clone());
        move || Current::load(&path, agent.paths())
    })
    .await??;
    let chosen = choose(agent, &current, Wanted::Daily(device.as_deref())).await;
    let is_used = |other: Arc<Current>| other.peek().is_some() || agent.armed().is_some();
    // Neither a device that is not there nor, before it, a file that is no vault is a reason to lock another one.
    if !same && agent.vault().is_some_and(is_used) && chosen.is_err() {
        return chosen.map(|_| current.summary());
    }
    lock_because(
        agent,
        if same {
            Because::Asked
        } else {
            Because::AskedAll
        },
    )
    .await?;
    agent.remember_vault(&current);
    let chosen = chosen?;
    let opened = open_with(agent, &current, locked, chosen.clone()).await;
    if let Err(failure) = &opened {
        let event = Event::new(Kind::UnlockFailed, Decision::Failed).text(format!(
            "With {}: {}",
            device_label(&chosen.0),
            failure.what
        ));
        let current = Arc::clone(&current);
        // A vault that was never open here has no log yet.
        blocking(move || current.log().map(|_| current.record(&event)))
            .await?
            .transpose()?;
    }
    opened?;
    agent.prompts().changed("vault");
    Ok(current.summary())
}

async fn open_with(
    agent: &Arc<Agent>,
    current: &Arc<Current>,
    locked: Locked,
    (device, connected): Chosen,
) -> Result<(), Failure> {
    let label = device_label(&device);
    let session = agent.devices().session();
    let what = Use {
        device: label.clone(),
        which: Which::of(&device),
        key: device.key(Purpose::Unlock).map(|key| key.key.clone()),
        why: "Unlock the vault".to_owned(),
        touch: None,
        fresh: false,
    };
    let software = match connected {
        None => Some(
            locked
                .software_device(device.id)
                .map_err(|error| failure::vault(&error))?,
        ),
        Some(_) => None,
    };
    let (id, known, log) = (device.id, device.clone(), current.log().cloned());
    let opened = agent.devices().with(
        what,
        move || match (software, connected) {
            (Some(software), _) => Ok(Opened::Software(software)),
            (None, Some(connected)) => Ok(connected.open_as(&known)?),
            (None, None) => Err(Failed::Other(failure::locked())),
        },
        move |opened: &mut Opened, auth: Auth<'_>| {
            let vault = locked.unlock(opened.device(), auth).map(Box::new);
            let vault = vault.map_err(failure::vault_or_device)?;
            let signed = checkpoint::sign_at_unlock(log.as_ref(), &device, opened.device(), auth);
            Ok((vault, signed))
        },
    );
    // Not in the use itself: that goes on when whoever asked has gone or has refused the touch, and then nothing may open.
    let (vault, signed) = opened.await.map_err(|failed| failed.failure(&label))?;
    let by = OpenedBy {
        signed,
        ..OpenedBy::device(id)
    };
    begin(agent, current, vault, by, Kind::Unlocked, session).await
}

/// Opens a vault with the words of a recovery kit. They are not kept: each consent asks for them again.
pub(crate) async fn unlock_with_kit(
    agent: &Arc<Agent>,
    path: Option<String>,
    words: SecretText,
) -> Result<VaultSummary, Failure> {
    let _turn = agent.lifecycle().await;
    let path = path.map_or_else(|| agent.vault_path(), PathBuf::from);
    let words = zeroize::Zeroizing::new(words.into_inner());
    // Words that were mistyped, or are of another paper, are no reason to lock what is open.
    let (words, path) = blocking({
        let agent = Arc::clone(agent);
        move || {
            let locked = super::read(&path, agent.paths())?;
            recovery::kit_in(&locked, &recovery::kit_of(&words)?)?;
            Ok::<_, Failure>((words, path))
        }
    })
    .await??;
    lock(agent).await?;
    let session = agent.devices().session();
    let opened = blocking({
        let agent = Arc::clone(agent);
        move || {
            let (current, locked) = Current::load(&path, agent.paths())?;
            let mut kit = recovery::kit_of(&words)?;
            let id = recovery::kit_in(&locked, &kit)?;
            let vault = locked.unlock(&mut kit, Auth::Nothing);
            let vault = vault.map_err(|error| failure::vault(&error))?;
            Ok::<_, Failure>((current, Box::new(vault), id))
        }
    });
    let (current, vault, id) = opened.await??;
    agent.remember_vault(&current);
    let by = OpenedBy::device(id);
    begin(agent, &current, vault, by, Kind::Unlocked, session).await?;
    agent.prompts().changed("vault");
    Ok(current.summary())
}

// What a vault was opened with.
struct OpenedBy {
    device: DeviceId,
    // What became of the log's head in the device's hands.
    signed: Option<String>,
}

impl OpenedBy {
    const fn device(device: DeviceId) -> Self {
        Self {
            device,
            signed: None,
        }
    }
}

// The vault is open: from here on it is recorded, and its policy is in force.
fn did(kind: Kind) -> &'static str {
    match kind {
        Kind::VaultCreated => "Made the vault",
        _ => "Opened the vault",
    }
}

async fn begin(
    agent: &Arc<Agent>,
    current: &Arc<Current>,
    vault: Box<Unlocked>,
    by: OpenedBy,
    kind: Kind,
    session: Session,
) -> Result<(), Failure> {
    let (agent, current) = (Arc::clone(agent), Arc::clone(current));
    blocking(move || put_in_force(&agent, &current, vault, by, kind, session)).await?
}

fn put_in_force(
    agent: &Arc<Agent>,
    current: &Arc<Current>,
    vault: Box<Unlocked>,
    by: OpenedBy,
    kind: Kind,
    session: Session,
) -> Result<(), Failure> {
    if agent.devices().session() != session {
        return Err(locked_meanwhile());
    }
    let log = log_of(current, &vault)?;
    // One that was made now has it already.
    let tags = Tags {
        of: (agent, current),
        log: &log,
        stay: false,
    };
    keep_log_id(agent, current, &log)?;
    let identity = vault.audit_identity();
    let identity = identity.map_err(|error| failure::vault(&error))?;
    log.hold_tag_key(&identity)
        .map_err(|error| failure::read_log(&error))?;
    let devices = current.devices();
    let opened_by = devices.iter().find(|one| one.id == by.device);
    let text = opened_by.map_or_else(String::new, |one| {
        format!("{} with {}.", did(kind), device_label(one))
    });
    let mut event = Event::new(kind, Decision::Done).text(text);
    event.device = opened_by.and_then(|one| one.serial.clone());
    if let Some(signed) = by.signed {
        event = event.detail("signed the log", signed);
    }
    current.record(&event)?;
    checkpoint::sign(&log, &vault)?;
    let history = LogHistory {
        log: log.clone(),
        identity,
    };
    let pipeline = ports::line(agent, current, log.clone());
    // Before the log is read: what armed keys sign is in its sums, or is not signed.
    let armed = agent.disarm();
    if let Some(armed) = &armed {
        armed.pipeline().tell_unsaid();
    }
    let in_force = match InForce::begin(&pipeline, &vault, &history) {
        Ok(in_force) => in_force,
        Err(failure) => {
            if let Some(armed) = armed {
                armed.is_over("The vault was opened, and its log could not be read.");
            }
            return Err(failure);
        }
    };
    pipeline.remember(history.asked());
    let machine = agent.state().log(current.id());
    let mut ahead = Ahead::read_all(&vault);
    ahead.retain(|one| Some(one.machine) == machine);
    agent.gate().load(ahead);
    let open = Open {
        vault: RwLock::new(*vault),
        device: by.device,
        pipeline,
        in_force,
        armed: Mutex::new(armed.as_ref().map(|armed| armed.until())),
        used: AtomicU64::new(0),
        born: Uptime::now(),
    };
    drop(current.replace(Some(Arc::new(open))));
    // A lock ends the session first and closes then, so that one of the two sees the other.
    if agent.devices().session() != session {
        if let Some(open) = current.replace(None) {
            open.pipeline.end();
        }
        if let Some(armed) = armed {
            armed.is_over("It was locked while it was being opened.");
        }
        agent.gate().forget();
        return Err(locked_meanwhile());
    }
    tags.stay();
    tracing::info!("the vault is open");
    Ok(())
}

/// What the log has to tag its rows with, until it is known that the vault stays open. Armed keys that write to the same log need it
/// where it does not.
struct Tags<'a> {
    of: (&'a Agent, &'a Arc<Current>),
    log: &'a Log,
    stay: bool,
}

impl Tags<'_> {
    fn stay(mut self) {
        self.stay = true;
    }
}

impl Drop for Tags<'_> {
    fn drop(&mut self) {
        let (agent, current) = self.of;
        let is_needed = || agent.armed().is_some_and(|armed| armed.write_to(current));
        if !self.stay && !is_needed() {
            self.log.drop_tag_key();
        }
    }
}

fn locked_meanwhile() -> Failure {
    Failure::new(
        Code::Locked,
        "It was locked while it was being opened.",
        "Unlock it again.",
    )
}

pub(super) fn log_of(current: &Current, vault: &Unlocked) -> Result<Log, Failure> {
    let recipient = vault.audit_recipient();
    if let Some(log) = current.log() {
        return if log.recipient() == recipient {
            Ok(log.clone())
        } else {
            Err(failure::open_log(&OpenError::OtherVault))
        };
    }
    let log = Log::create(current.log_path(), &current.id().to_string(), &recipient)
        .map_err(|error| failure::open_log(&error))?;
    acts::found(&log);
    Ok(current.log.get_or_init(|| log).clone())
}

// A log that takes another one's place is found by this.
pub(super) fn keep_log_id(agent: &Agent, current: &Current, log: &Log) -> Result<(), Failure> {
    let Some(id) = super::log_id(log.origin()) else {
        return Ok(());
    };
    let kept = agent.state().keep_log(current.id(), id);
    kept.map_err(|error| failure::state(&error))
}

/// Why a vault is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    /// Somebody said so.
    Asked,
    /// Somebody said so, of armed keys as well.
    AskedAll,
    /// Nobody used it for long.
    Idle,
    /// The screen is locked.
    Screen,
    /// The machine goes to sleep.
    Sleep,
    /// Another user has the seat.
    UserSwitch,
    /// The device that unlocked it was taken away.
    Removal,
    /// Another one was made, and is open in its place.
    NewVault,
    /// What another copy says does not go together with what is open.
    Elsewhere,
}

impl Because {
    /// Whether armed keys stay.
    const fn spares_armed(self) -> bool {
        matches!(self, Self::Asked | Self::Idle | Self::Screen)
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Asked => "It was asked for.",
            Self::AskedAll => "It was asked for, armed keys as well.",
            Self::Idle => "Nobody used it for long.",
            Self::Screen => "The screen was locked.",
            Self::Sleep => "The machine went to sleep.",
            Self::UserSwitch => "Another user took the seat.",
            Self::Removal => "The device that unlocked it was taken away.",
            Self::NewVault => "A new vault was made, and is open in its place.",
            Self::Elsewhere => "Another copy took away what it was opened with.",
        }
    }
}

/// Locks: every key and PIN is wiped, armed ones as well. Whether anything was open.
pub(crate) async fn lock(agent: &Arc<Agent>) -> Result<bool, Failure> {
    lock_because(agent, Because::AskedAll).await
}

/// Locks: keys and PINs are wiped; armed ones as well, unless they outlive this. Whether anything was open.
pub(crate) async fn lock_because(agent: &Arc<Agent>, because: Because) -> Result<bool, Failure> {
    agent.devices().forget();
    close(agent, because).await
}

// The rest of a lock, where the session has ended.
async fn close(agent: &Arc<Agent>, because: Because) -> Result<bool, Failure> {
    agent.prompts().locked();
    if !because.spares_armed()
        && let Some(armed) = agent.disarm()
    {
        blocking(move || armed.is_over("With a lock of everything.")).await?;
    }
    let Some(current) = agent.vault() else {
        return Ok(false);
    };
    let Some(open) = current.replace(None) else {
        return Ok(false);
    };
    open.pipeline.end();
    agent.running().forget_secrets();
    agent.gate().forget();
    agent.flush_seen();
    let done = blocking({
        let (agent, current) = (Arc::clone(agent), Arc::clone(&current));
        move || {
            let armed = open.armed_until().filter(|_| because.spares_armed());
            let armed = armed.and_then(|until| Armed::of(&agent, &current, &open, until));
            let keeps_tags = armed.is_some();
            if let Some(armed) = armed {
                agent.is_armed(armed);
            }
            // Locking is never refused: what cannot be recorded now is said in the log of the agent.
            open.pipeline.tell_unsaid();
            let event = Event::new(Kind::Locked, Decision::Done).text(because.words());
            if let Err(failure) = current.record(&event) {
                tracing::error!(what = failure.what, "locking was not recorded");
            }
            if let Some(log) = current.log() {
                if let Err(failure) = checkpoint::sign(log, &open.read()) {
                    tracing::error!(what = failure.what, "the log was not signed");
                }
                if !keeps_tags {
                    log.drop_tag_key();
                }
            }
            drop(open);
        }
    });
    done.await?;
    if agent.armed().is_none() {
        agent.signing().leave();
    }
    tracing::info!(?because, "the vault is locked");
    agent.prompts().changed("vault");
    Ok(true)
}

/// Has the log signed, when there is something new to sign.
pub(crate) fn sign_log(current: &Current) -> Result<(), Failure> {
    match (current.log(), current.peek()) {
        (Some(log), Some(open)) => checkpoint::sign(log, &open.read()),
        _ => Ok(()),
    }
}

/// What a verification of a vault's log is against.
pub(crate) struct Witnesses {
    /// The keys that sign it.
    pub(crate) keys: Vec<VerifyKey>,
    /// The longest head that the vault has seen of each machine's log.
    pub(crate) seen: BTreeMap<Id, touchkeep_audit::Head>,
    /// Where this machine's log is.
    pub(crate) log: PathBuf,
    /// Its id, where this machine had one.
    pub(crate) own: Option<Id>,
}

/// Reads what is needed to verify the log of the vault that is meant where none is named. The log itself may be in any
/// state.
///
/// # Errors
/// When there is no vault, or it cannot be read.
pub(crate) fn witnesses(agent: &Agent) -> Result<Witnesses, Failure> {
    let locked = super::read(&agent.vault_path(), agent.paths())?;
    Ok(Witnesses {
        keys: checkpoint::keys(&locked),
        seen: checkpoint::seen_heads(&locked),
        log: super::log_path(agent.paths(), locked.id()),
        own: agent.state().log(locked.id()),
    })
}

#[cfg(test)]
mod tests;
