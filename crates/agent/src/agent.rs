//! What the agent holds, and what it does with one request of a bot.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use hyper::Response;
use tokio::sync::watch;
use touchkeep_audit::{Decision, Event, Kind as AuditKind};
use touchkeep_client::Paths;
use touchkeep_core::{
    ClientId, Clock, Code, ItemId, RequestId, SystemClock, UnixMillis, text::visible,
};
use touchkeep_device_pkcs11::ModuleFile;
use touchkeep_pipeline::{Client as Asker, Incoming, KeyError, NotDone, NotSigned, Turns};
use touchkeep_vault::VaultError;
use touchkeep_venue::{Decoded, Operation};
use touchkeep_wire::{Failure, LateKeys, Status};

use crate::{
    calls::{remind, webhook::Refused},
    config::Config,
    deliveries::Deliveries,
    desktop::Desktop,
    devices::{Devices, Module, ModuleEntry},
    failure,
    frugal::{Work, Working},
    grants::Gate,
    ports::{Line, Running},
    prompts::Prompts,
    proxy::{self, Answer, Asked, Refusal, Upstream},
    signing_seat::SigningSeat,
    state::State,
    uptime::Uptime,
    used_elsewhere::UsedElsewhere,
    vault::{
        self, Armed, Current,
        client::{Client, Visitor},
    },
    watch::Watching,
};

/// How often it is looked whether a process is still there whose requests wait for somebody.
const LOOK: Duration = Duration::from_millis(500);

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

    /// Clients that end with a process, of those that still run.
    pub(crate) fn visitors(&self) -> Vec<Visitor> {
        let mut visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        visitors.retain(|visitor| visitor.caller.lives());
        visitors.clone()
    }

    /// Lets one in.
    pub(crate) fn lets_visit(&self, visitor: Visitor) {
        let mut visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        visitors.retain(|visitor| visitor.caller.lives());
        visitors.push(visitor);
    }

    /// Ends all that are called so, or the one that has this id.
    pub(crate) fn ends_visits(&self, name_or_id: &str) -> Vec<Client> {
        let mut visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        let called = |one: &mut Visitor| one.client.is_called(name_or_id);
        let clients: Vec<Client> = visitors
            .extract_if(.., called)
            .map(|visitor| visitor.client)
            .collect();
        self.visits_ended.send_modify(|ended| {
            ended.extend(clients.iter().map(|client| client.id));
        });
        clients
    }

    pub(crate) fn client_of(&self, clients: &[Client], token: &str) -> Option<Client> {
        if let Some(client) = Client::of_token(clients, token) {
            return Some(client.clone());
        }
        let visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        let mut visitors = visitors.iter().filter(|visitor| visitor.caller.lives());
        let has =
            |one: &&Visitor| Client::of_token(std::slice::from_ref(&one.client), token).is_some();
        visitors.find(has).map(|visitor| visitor.client.clone())
    }

    pub(crate) fn last_seen(&self, client: ClientId) -> Option<UnixMillis> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&client)
            .copied()
            .or_else(|| self.state.last_seen(client))
    }

    /// Writes down when clients were last seen; blocks.
    pub(crate) fn flush_seen(&self) {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        for (client, at) in seen {
            if let Err(error) = self.state.saw_client(client, at) {
                tracing::warn!(%error, "a client's last request was not noted");
            }
        }
    }

    /// Turns true once.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Ends the agent.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Notes that a client was here.
    pub(crate) fn saw(&self, client: ClientId) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(client, SystemClock.now());
    }

    // For how much longer trade keys are armed.
    fn armed_for(&self) -> Option<Duration> {
        let of_open = self
            .vault()
            .and_then(|current| current.peek()?.armed_until());
        let until = of_open.or_else(|| self.armed().map(|armed| armed.until()))?;
        Some(until.since(Uptime::now()))
    }

    pub(crate) fn status(&self) -> Status {
        let current = self.vault();
        Status {
            unlocked: current
                .as_ref()
                .is_some_and(|current| current.peek().is_some()),
            vault: current.map(|current| current.summary()),
            path: self.vault_path().display().to_string(),
            proxy: self.proxy_url(),
            armed: self.armed_for().map(|left| left.as_secs()),
            note: self
                .upstream
                .clocks()
                .wild()
                .or_else(|| self.watching.unseen())
                .or_else(|| self.watching.missing()),
            attention: self.used_elsewhere.attention(Uptime::now()),
            late: self.late_keys(),
            waiting: u32::try_from(self.prompts.list().len()).unwrap_or(u32::MAX),
            resting: self.prompts.resting(),
            version: self.version().to_owned(),
        }
    }

    /// How many keys' time is over; none while it is locked.
    pub(crate) fn late_keys(&self) -> Option<LateKeys> {
        let open = self.vault()?.peek()?;
        Some(remind::late(&open.read()))
    }

    /// Who has this token, before anything else is read of a request.
    pub(crate) fn lets_in(&self, token: &str) -> Result<ClientId, Refusal> {
        let current = self.vault().ok_or(Refusal::Locked)?;
        let client = match current.peek() {
            Some(open) => self.client_of(&open.clients(), token),
            None => {
                let armed = self.armed().ok_or(Refusal::Locked)?;
                self.client_of(armed.clients(), token)
            }
        };
        client.map(|client| client.id).ok_or(Refusal::UnknownToken)
    }

    /// Takes one request of a bot to its answer.
    pub(crate) async fn request(&self, asked: Asked) -> Result<Response<Answer>, Refusal> {
        let _working = self.works();
        let current = self.vault().ok_or(Refusal::Locked)?;
        // What is open is held by nobody while he waits, so that a lock wipes it at once.
        let Some((clients, news, pipeline, keeps_open)) = current.peek().map(|open| {
            // A bot whose keys are armed goes on after the lock, so that it need not keep the rest of the vault open.
            let keeps_open = open.armed_until().is_none();
            if keeps_open {
                open.touch();
            }
            let news = open.news_of_clients();
            (open.clients(), news, open.pipeline.clone(), keeps_open)
        }) else {
            // Nobody is revoked while it is locked.
            let armed = self.armed().ok_or(Refusal::Locked)?;
            let (clients, pipeline) = (armed.clients(), armed.pipeline());
            return self.answer(asked, clients, None, pipeline).await;
        };
        let answered = self.answer(asked, &clients, Some(news), &pipeline).await;
        if keeps_open
            && !matches!(answered, Err(Refusal::UnknownToken))
            && let Some(open) = current.peek()
        {
            open.touch();
        }
        answered
    }

    async fn answer(
        &self,
        asked: Asked,
        clients: &[Client],
        news: Option<watch::Receiver<Arc<[Client]>>>,
        pipeline: &Line,
    ) -> Result<Response<Answer>, Refusal> {
        let client = self
            .client_of(clients, &asked.token)
            .ok_or(Refusal::UnknownToken)?;
        self.stays_within(&client, &asked, pipeline).await?;
        self.signs_here()?;
        let request = RequestId::random();
        let _seat = self.running.begin(request, asked.peer, asked.port);
        self.saw(client.id);
        let incoming = Incoming {
            request,
            client: Asker {
                id: client.id,
                name: client.name.clone(),
            },
            venue: asked.venue,
            key_set: client.key_set.clone(),
            http: asked.request,
        };
        // A question of a client that is revoked ends with it: nobody says yes to it any more.
        let revoked = self.has_ended(&client, clients.contains(&client), news);
        let answered = pipeline.handle_unless(revoked, incoming).await;
        self.prompts.more_in_log();
        answered
            .map(|done| proxy::passed_on(done.response, done.outcome))
            .map_err(|why| refusal_of(&why))
    }

    /// Returns once a client is let in no more, or to less than it was. A lock ends what waits by itself. `is_listed`: whether the
    /// vault has it; else it is one that ends with a process.
    pub(crate) async fn has_ended(
        &self,
        client: &Client,
        is_listed: bool,
        news: Option<watch::Receiver<Arc<[Client]>>>,
    ) {
        let ended = if is_listed {
            match news {
                Some(mut news) => news.wait_for(|now| !now.contains(client)).await.is_ok(),
                None => false,
            }
        } else {
            let mut visits = self.visits_ended.subscribe();
            tokio::select! {
                ended = visits.wait_for(|ended| ended.contains(&client.id)) => ended.is_ok(),
                () = self.has_gone(client.id) => true,
            }
        };
        if !ended {
            std::future::pending::<()>().await;
        }
    }

    // Returns once the process has ended that a client ends with. Nobody says so.
    async fn has_gone(&self, client: ClientId) {
        loop {
            tokio::time::sleep(LOOK).await;
            let visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
            let mut visitors = visitors.iter().filter(|one| one.client.id == client);
            if !visitors.any(|one| one.caller.lives()) {
                return;
            }
        }
    }

    /// Sees to it that no other agent of this machine signs with the same vault.
    pub(crate) fn signs_here(&self) -> Result<(), Refusal> {
        let vault = self.vault().ok_or(Refusal::Locked)?;
        self.signing.take(vault.id()).map_err(|why| {
            let fix = "lock it there, or point your programs at that agent's proxy";
            Refusal::Decided(Code::NotPermitted, format!("{why}; {fix}"))
        })
    }

    // What a client is bound to comes before what a policy says of it.
    async fn stays_within(
        &self,
        client: &Client,
        asked: &Asked,
        pipeline: &Line,
    ) -> Result<(), Refusal> {
        if client.is_bound_to_nothing() {
            return Ok(());
        }
        let read = touchkeep_venue::venue(&asked.venue).and_then(|v| v.decode(&asked.request).ok());
        let operation = match &read {
            Some(Decoded::Private(private)) => Some(private.operation()),
            _ => None,
        };
        let kind = operation.map(|operation| operation.kind);
        let Some(why) = client.is_beyond(&asked.venue, kind) else {
            return Ok(());
        };
        let path = || visible(&asked.request.path);
        let what = operation.map_or_else(path, Operation::sentence);
        let mut event = Event::new(AuditKind::RequestDenied, Decision::Denied)
            .text(what)
            .client(client.id, visible(&client.name))
            .detail("why", &*why);
        event.operation = operation.cloned();
        Box::pin(pipeline.note_refusal(client.id, event)).await;
        Err(Refusal::Decided(Code::Denied, why))
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

pub(crate) fn refusal_of(why: &NotDone) -> Refusal {
    match why {
        NotDone::Unknown(why) => Refusal::StateUnknown(why.clone()),
        // It may be open again by now.
        NotDone::NotSigned(NotSigned::Key(KeyError::Over)) => {
            Refusal::Decided(why.code(), why.to_string())
        }
        _ if why.code() == Code::Locked => Refusal::Locked,
        _ => Refusal::Decided(why.code(), why.to_string()),
    }
}

/// Returns once the agent is to end.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An agent that is gone has stopped too.
    let _ = stopping.wait_for(|stop| *stop).await;
}
