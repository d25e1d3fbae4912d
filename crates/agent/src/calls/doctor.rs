//! `doctor`: looks at everything that Touchkeep stands on, and says what to do. It asks nobody, spends no PIN try, waits for no
//! finger, changes nothing, and has an end: what does not answer is a finding.
//!
//! Nothing is guessed: each finding is what was seen on this machine, from this process, as this user. That is why the agent
//! looks, whose session, groups and environment may be others than the terminal's; [`alone`] is for when there is no agent.

mod bounded;
mod cards;
mod finding;
mod machine;
mod modules;
mod pcscd;
mod places;
mod sandbox;
mod usb;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use touchkeep_client::Paths;
use touchkeep_device::DeviceKind;
use touchkeep_wire::{Diagnosis, Failure, Finding, LateKeys};

use self::{bounded::Look, places::VaultView, sandbox::Sandbox};
pub use self::{finding::Id, pcscd::pcscd_socket};
use crate::{
    agent::{Agent, modules_of},
    config::Config,
    devices::{Module, blocking},
    state::State,
};

/// How long is waited for a device that is in use.
const QUIET: Duration = Duration::from_secs(2);
/// How long reading the vault may take.
const READING: Duration = Duration::from_secs(10);
/// How long the notification service may take.
const NOTIFYING: Duration = Duration::from_secs(3);

/// How long an agent that ends may hold its lock.
const ENDING: Duration = Duration::from_secs(2);

/// What is looked at.
struct Ground {
    paths: Paths,
    vault_path: PathBuf,
    modules: Vec<Module>,
    /// Whether it is known what the modules must be, so that they may be loaded.
    load: bool,
    /// What the agent knows, where it is the agent that looks.
    running: Option<Running>,
    /// Why devices are left alone, where they are.
    leave: Option<Finding>,
}

struct Running {
    config: Config,
    /// What is not heard of the session.
    unheard: Option<String>,
    /// Keys whose time is over; none while the vault is locked.
    late: Option<LateKeys>,
    /// What only some devices open; the same.
    sealed: Option<places::SealedView>,
}

/// The call.
pub(crate) async fn diagnose(agent: &Arc<Agent>) -> Result<Diagnosis, Failure> {
    let quiet = tokio::time::timeout(QUIET, agent.devices().quiet())
        .await
        .ok();
    let leave = quiet.is_none().then(|| {
        Id::DeviceLook.note(
            "A device is in use just now, or waits for a person, so devices were not looked at.",
            "Finish what is waited for, and look again.",
        )
    });
    let agent = Arc::clone(agent);
    blocking(move || {
        let examined = examine(&Ground::of(&agent, leave));
        drop(quiet);
        examined
    })
    .await
}

/// What can be seen without an agent. Devices are left alone where there is one that does not answer.
#[must_use]
pub fn alone(paths: &Paths) -> Diagnosis {
    examine(&Ground::without_agent(paths))
}

impl Ground {
    fn of(agent: &Agent, leave: Option<Finding>) -> Self {
        Self {
            paths: agent.paths().clone(),
            vault_path: agent.vault_path(),
            modules: agent.modules(),
            load: true,
            running: Some(Running {
                config: agent.config().clone(),
                unheard: agent.watching().missing(),
                late: agent.late_keys(),
                sealed: agent
                    .vault()
                    .and_then(|current| current.peek())
                    .map(|open| places::SealedView::of(&open.read())),
            }),
            leave,
        }
    }

    fn without_agent(paths: &Paths) -> Self {
        let config = Config::read(&paths.config).unwrap_or_default();
        // There may be none yet, and then it is not made; one that cannot be read leaves open what modules must be.
        let path = paths.data.join("state.sqlite");
        let state = path.exists().then(|| State::open(&path).ok());
        let known = state.as_ref().is_none_or(Option::is_some);
        let state = state.flatten();
        let leave = has_agent(&paths.lock_file()).then(|| {
            Id::DeviceLook.note(
                "Devices were not looked at: an agent runs, does not answer, and may be using them.",
                "",
            )
        });
        let last = state.as_ref().and_then(State::vault);
        let configured = &config.device.pkcs11.modules;
        let unknown = configured
            .iter()
            .map(|entry| Module::new(entry.path().clone().into(), configured));
        Self {
            paths: paths.clone(),
            vault_path: config
                .vault
                .clone()
                .or(last)
                .unwrap_or_else(|| paths.default_vault()),
            modules: match &state {
                Some(state) => modules_of(state, &config),
                None => unknown.collect(),
            },
            load: known,
            running: None,
            leave,
        }
    }
}

// Whoever holds the lock is the agent. One that could not start has said so and may still be on its way out.
fn has_agent(lock: &Path) -> bool {
    let Ok(file) = File::open(lock) else {
        return false;
    };
    let held = || matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock));
    let until = Instant::now() + ENDING;
    while held() {
        if Instant::now() >= until {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn examine(ground: &Ground) -> Diagnosis {
    let notifications = Look::start(NOTIFYING, machine::notification_service);
    let vault_path = ground.vault_path.clone();
    let vault = Look::start(READING, move || places::vault(&vault_path));
    let program = std::env::current_exe().unwrap_or_default();
    let sandbox = Sandbox::find(Path::new("/"), &|name| std::env::var_os(name), &program);

    let mut findings = Vec::new();
    findings.extend(ground.running.as_ref().map(|_| machine::program()));
    findings.extend(
        ground
            .running
            .as_ref()
            .map(|running| machine::session(running.unheard.as_deref())),
    );
    findings.extend(places::config(ground));
    findings.extend(places::folders(&ground.paths));
    let (seen, vault) = vault.wait().unwrap_or_else(slow_vault);
    findings.extend(seen);
    let late = ground.running.as_ref().and_then(|running| running.late);
    findings.extend(late.map(places::keys));
    let sealed = ground
        .running
        .as_ref()
        .and_then(|running| running.sealed.as_ref());
    findings.extend(sealed.and_then(places::SealedView::finding));
    findings.extend(devices(ground, vault.unwrap_or_default(), &sandbox));
    findings.push(machine::memory());
    findings.extend(machine::user());
    findings.push(sandbox.finding());
    findings.push(machine::clock(ground));
    findings.push(machine::window());
    findings.push(machine::notifications(notifications.wait()));
    Diagnosis { findings }
}

fn slow_vault() -> (Vec<Finding>, Option<VaultView>) {
    let what = format!(
        "The vault could not be read within {} seconds.",
        READING.as_secs()
    );
    let fix = "See that the disk or the network folder that it is on answers.";
    (vec![Id::VaultFile.problem(what, fix)], None)
}

fn devices(ground: &Ground, vault: VaultView, sandbox: &Sandbox) -> Vec<Finding> {
    if let Some(leave) = &ground.leave {
        return vec![leave.clone()];
    }
    let (asked, load) = (ground.modules.clone(), ground.load);
    let modules = std::thread::spawn(move || modules::look(&asked, load));
    let plugged = usb::plugged();
    let needed = !plugged.is_empty()
        || vault
            .hardware()
            .any(|device| device.kind == DeviceKind::Piv);
    let (mut of_cards, found) = pcscd::look(needed, sandbox);
    if of_cards
        .iter()
        .all(|finding| finding.level == touchkeep_wire::Level::Ok)
    {
        of_cards.push(cards::connected(&found, &plugged));
        of_cards.extend(cards::look(&found, &vault));
    }
    // It waits for no module longer than that module's deadline.
    let (of_modules, mut serials) = modules.join().unwrap_or_default();
    serials.extend(found.iter().map(|card| card.serial.to_string()));
    let mut findings: Vec<Finding> = places::device(&vault, &serials).into_iter().collect();
    findings.extend(of_cards);
    findings.extend(of_modules);
    findings
}
