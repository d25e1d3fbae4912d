//! What the agent holds: [`status`] says how it stands with that, [`clients`] who is let in, [`answer`] what is done with one
//! request of a bot.

mod answer;
mod clients;
mod status;

use std::{
    collections::{HashMap, HashSet},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
};

use tokio::sync::watch;
use touchkeep_client::Paths;
use touchkeep_core::{ClientId, ItemId, UnixMillis, text::visible};
use touchkeep_device_pkcs11::ModuleFile;
use touchkeep_pipeline::Turns;
use touchkeep_vault::VaultError;
use touchkeep_wire::Failure;

pub(crate) use self::answer::refusal_of;
use crate::{
    calls::webhook::Refused,
    config::Config,
    deliveries::Deliveries,
    desktop::Desktop,
    devices::{Devices, Module, ModuleEntry},
    failure,
    frugal::{Work, Working},
    grants::Gate,
    ports::Running,
    prompts::Prompts,
    proxy::Upstream,
    signing_seat::SigningSeat,
    state::State,
    uptime::Uptime,
    used_elsewhere::UsedElsewhere,
    vault::{self, Armed, Current, client::Visitor},
    watch::Watching,
};

/// The agent.
pub(crate) struct Agent {
    paths: Paths,
    config: Config,
    prompts: Prompts,
    devices: Arc<Devices>,
    state: State,
    deliveries: Deliveries,
    refused: Refused,
    used_elsewhere: UsedElsewhere,
    upstream: Arc<Upstream>,
    running: Arc<Running>,
    turns: Turns,
    gate: Gate,
    watching: Watching,
    armed: RwLock<Option<Arc<Armed>>>,
    signing: SigningSeat,
    work: Work,
    vault: RwLock<Option<Arc<Current>>>,
    lifecycle: tokio::sync::Mutex<()>,
    proxy_port: OnceLock<u16>,
    seen: Mutex<HashMap<ClientId, UnixMillis>>,
    visitors: Mutex<Vec<Visitor>>,
    // Those that were sent away.
    visits_ended: watch::Sender<HashSet<ClientId>>,
    stopping: watch::Sender<bool>,
}

impl Agent {
    /// An agent without a vault.
    ///
    /// # Errors
    /// When the system trusts no certificate authority that could be read.
    pub(crate) fn new(paths: Paths, config: Config, state: State) -> io::Result<Arc<Self>> {
        let prompts = Prompts::new(Desktop::find(&|name| std::env::var_os(name)));
        let devices = Arc::new(Devices::new(prompts.clone(), config.secret()));
        let deliveries = Deliveries::new(paths.data.join("webhooks.sqlite"));
        Ok(Arc::new(Self {
            paths,
            config,
            prompts,
            devices,
            state,
            deliveries,
            refused: Refused::default(),
            used_elsewhere: UsedElsewhere::default(),
            upstream: Arc::new(Upstream::new()?),
            running: Arc::default(),
            turns: Turns::default(),
            gate: Gate::default(),
            watching: Watching::default(),
            armed: RwLock::default(),
            signing: SigningSeat::default(),
            work: Work::default(),
            vault: RwLock::new(None),
            lifecycle: tokio::sync::Mutex::default(),
            proxy_port: OnceLock::new(),
            seen: Mutex::default(),
            visitors: Mutex::default(),
            visits_ended: watch::Sender::default(),
            stopping: watch::channel(false).0,
        }))
    }

    /// This program's version.
    pub(crate) const fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    pub(crate) const fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn prompts(&self) -> &Prompts {
        &self.prompts
    }

    pub(crate) const fn devices(&self) -> &Arc<Devices> {
        &self.devices
    }

    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// How many webhooks' deliveries were refused.
    pub(crate) const fn refused(&self) -> &Refused {
        &self.refused
    }

    /// Notes that a venue saw a number of this key that was too low, and tells a person.
    pub(crate) fn saw_key_elsewhere(&self, item: ItemId, name: &str, venue: &str) {
        let told = self.used_elsewhere.saw(item, name, venue, Uptime::now());
        self.prompts.changed("vault");
        if let (Some(told), Ok(runtime)) = (told, tokio::runtime::Handle::try_current()) {
            tracing::warn!(what = told.what, "a key is used elsewhere too");
            let summary = format!("{} is used elsewhere", visible(name));
            runtime.spawn(crate::notify::show(
                summary,
                format!("{} {}", told.what, told.fix),
            ));
        }
    }

    /// Which webhooks' deliveries were taken.
    pub(crate) const fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Whether it is this agent that signs with a vault.
    pub(crate) const fn signing(&self) -> &SigningSeat {
        &self.signing
    }

    pub(crate) const fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    pub(crate) const fn running(&self) -> &Arc<Running> {
        &self.running
    }

    /// Whose turn it is to send a number to a venue: over a lock, where armed keys go on, too.
    pub(crate) const fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Who may have which values.
    pub(crate) const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Notes that something was called or asked for, and goes on until what this gives is dropped.
    pub(crate) fn works(&self) -> Working<'_> {
        self.work.begin()
    }

    /// How often something was called or asked for, or was done.
    pub(crate) fn worked(&self) -> u64 {
        self.work.count()
    }

    /// What is heard of the session.
    pub(crate) const fn watching(&self) -> &Watching {
        &self.watching
    }

    /// The trade keys that outlived a lock, until their end.
    pub(crate) fn armed(&self) -> Option<Arc<Armed>> {
        let armed = self.armed.read().unwrap_or_else(PoisonError::into_inner);
        armed
            .as_ref()
            .filter(|armed| !armed.has_ended())
            .map(Arc::clone)
    }

    pub(crate) fn is_armed(&self, armed: Armed) {
        let mut place = self.armed.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = place.replace(Arc::new(armed)) {
            before.end();
        }
    }

    /// Takes the armed keys away: they are wiped, and what waits for them is refused.
    pub(crate) fn disarm(&self) -> Option<Arc<Armed>> {
        self.disarm_if(|_| true)
    }

    /// Takes armed keys away whose time is over.
    pub(crate) fn disarm_ended(&self) -> Option<Arc<Armed>> {
        self.disarm_if(Armed::has_ended)
    }

    fn disarm_if(&self, is_over: impl FnOnce(&Armed) -> bool) -> Option<Arc<Armed>> {
        let mut armed = self.armed.write().unwrap_or_else(PoisonError::into_inner);
        let taken = armed.take_if(|armed| is_over(armed))?;
        taken.end();
        Some(taken)
    }

    /// Where tokens are looked for: what is configured, and what a vault was made with.
    pub(crate) fn modules(&self) -> Vec<Module> {
        modules_of(&self.state, &self.config)
    }

    /// What the configuration says of modules.
    pub(crate) fn configured_modules(&self) -> &[ModuleEntry] {
        &self.config.device.pkcs11.modules
    }

    /// The vault that is meant where none is named.
    pub(crate) fn vault_path(&self) -> PathBuf {
        self.vault().map_or_else(
            || {
                let configured = self.config.vault.clone();
                configured
                    .or_else(|| self.state.vault())
                    .unwrap_or_else(|| self.paths.default_vault())
            },
            |current| current.path().to_owned(),
        )
    }

    /// The vault that is open, or was last.
    pub(crate) fn vault(&self) -> Option<Arc<Current>> {
        let vault = self.vault.read().unwrap_or_else(PoisonError::into_inner);
        vault.as_ref().map(Arc::clone)
    }

    /// The same, for whoever wants one that is open.
    ///
    /// # Errors
    /// That there is none where it is looked for; or that it is locked, where nobody has looked into it yet.
    pub(crate) fn some_vault(&self) -> Result<Arc<Current>, Failure> {
        self.vault().ok_or_else(|| {
            let path = self.vault_path();
            match path.try_exists() {
                Ok(false) => failure::vault(&VaultError::NoVault(path)),
                _ => failure::locked(),
            }
        })
    }

    pub(crate) fn remember_vault(&self, current: &Arc<Current>) {
        *self.vault.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(current));
        if let Err(error) = self.state.keep_vault(current.path()) {
            tracing::warn!(%error, "the vault's place was not kept");
        }
    }

    /// Looks at the vault that is meant where none is named, so that requests that an earlier agent left unfinished are
    /// said to be. No vault is no fault.
    pub(crate) fn find_vault(&self) {
        let path = self.vault_path();
        if !path.exists() {
            return;
        }
        match Current::load(&path, &self.paths) {
            Ok((current, _locked)) => {
                *self.vault.write().unwrap_or_else(PoisonError::into_inner) = Some(current);
            }
            Err(failure) => tracing::error!(what = failure.what, "the vault cannot be looked at"),
        }
    }

    /// One vault is made or opened at a time.
    pub(crate) async fn lifecycle(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.lifecycle.lock().await
    }

    pub(crate) fn listens_at(&self, port: u16) {
        let _ = self.proxy_port.set(port);
    }

    /// The proxy's base address.
    pub(crate) fn proxy_url(&self) -> Option<String> {
        self.proxy_port
            .get()
            .map(|port| format!("http://127.0.0.1:{port}"))
    }

    /// Turns true once.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Ends the agent.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Locks, whatever becomes of it.
    pub(crate) async fn lock(self: &Arc<Self>) {
        if let Err(failure) = vault::lock(self).await {
            tracing::error!(what = failure.what, "locking failed");
        }
    }
}

/// A token's module is held to what it was when the token was enrolled.
pub(crate) fn modules_of(state: &State, config: &Config) -> Vec<Module> {
    let configured = &config.device.pkcs11.modules;
    let mut files = state.modules();
    for path in configured.iter().map(ModuleEntry::path) {
        if files.iter().all(|known| known.path != *path) {
            files.push(ModuleFile::from(path.clone()));
        }
    }
    let files = files.into_iter();
    files.map(|file| Module::new(file, configured)).collect()
}

/// Returns once the agent is to end.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An agent that is gone has stopped too.
    let _ = stopping.wait_for(|stop| *stop).await;
}
