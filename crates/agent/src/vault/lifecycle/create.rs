//! A vault is made: on a device or under a passphrase, and left open in the place of the one that was.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use touchkeep_audit::Kind;
use touchkeep_core::{
    Clock, DeviceId, Passphrase, SystemClock,
    text::{quoted, visible},
};
use touchkeep_device::{DeviceKind, attestation::Trust};
use touchkeep_locked::on_small_wiped_stack;
use touchkeep_vault::{NewDevice, NewVault, Unlocked, VaultError};
use touchkeep_wire::{CreateVault, Failure, NewDevice as WantedDevice, Question, VaultSummary};

use super::{
    begin::{OpenedBy, begin, locked_meanwhile},
    lock::{Because, close},
};
use crate::{
    agent::Agent,
    devices::{Connected, Failed, Module, Opened, Session, Use, Which, blocking},
    failure,
    vault::{
        Current,
        choose::{find, find_token},
        modules::keep_used_module,
        pins,
    },
};

/// The least work factor outside of practice: a quarter of a GiB and about a second for each guess.
pub(crate) const MIN_WORK_FACTOR: u8 = 18;

/// The shortest passphrase outside of practice, where it is all that keeps a vault shut: NIST SP 800-63B-4, 3.1.1.2.
const MIN_PASSPHRASE_CHARS: u32 = 15;

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
    let pins = pins(agent.paths());
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
