//! What the open vault says and this agent acts on: its policy, and who may ask. After each save it is compared with what is in
//! force, for a save also takes in what other copies wrote.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use data_encoding::HEXLOWER;
use tokio::sync::watch;
use touchkeep_audit::{Decision, Event, Kind, Log};
use touchkeep_core::{ClientId, UnixMillis, text::visible};
use touchkeep_pipeline::HistorySource;
use touchkeep_policy::Past;
use touchkeep_vault::{Locked, TakenIn, Unlocked};
use touchkeep_wire::Failure;

use super::{Current, Open, POLICY_SETTING, client::Client, policy_of};
use crate::{
    failure,
    ports::{Line, LogHistory},
};

/// What is in force.
pub(super) struct InForce {
    // None where it could not be put in force: everything is by hand then, and the next save tries again.
    policy: Mutex<Option<Source>>,
    clients: watch::Sender<Arc<[Client]>>,
    // Of this session: a client that was revoked has ended, whatever becomes of the file.
    revoked: Mutex<BTreeSet<ClientId>>,
}

/// What a policy is read from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    text: Option<String>,
    is_by_hand: bool,
}

impl Source {
    fn of(vault: &Unlocked) -> Self {
        Self {
            text: vault.setting(POLICY_SETTING).map(str::to_owned),
            is_by_hand: vault.read_only().is_some(),
        }
    }
}

impl InForce {
    /// Puts in force what a vault says that was just opened.
    ///
    /// # Errors
    /// The log that the policy looks back at cannot be read.
    pub(super) fn begin(
        pipeline: &Line,
        vault: &Unlocked,
        history: &LogHistory,
    ) -> Result<Self, Failure> {
        pipeline
            .set_policy(policy_of(vault).0, history)
            .map_err(|error| failure::read_log(&error))?;
        Ok(Self {
            policy: Mutex::new(Some(Source::of(vault))),
            clients: watch::Sender::new(Client::of_vault(vault).into()),
            revoked: Mutex::default(),
        })
    }

    pub(super) fn clients(&self) -> Arc<[Client]> {
        Arc::clone(&self.clients.borrow())
    }

    fn follow_clients(&self, vault: &Unlocked) {
        let mut clients = Client::of_vault(vault);
        let revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|client| !revoked.contains(&client.id));
        self.clients.send_replace(clients.into());
    }

    // Whether another policy is in force now.
    fn follow_policy(
        &self,
        pipeline: &Line,
        vault: &Unlocked,
        log: Option<&Log>,
    ) -> Result<bool, Failure> {
        let mut in_force = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        let said = Source::of(vault);
        if in_force.as_ref() == Some(&said) {
            return Ok(false);
        }
        *in_force = None;
        pipeline.set_policy(policy_of(vault).0, &Back::to(log, vault))?;
        *in_force = Some(said);
        Ok(true)
    }
}

// What a policy looks back at. Where that is not to be had, the policy that was in force must not stay so either.
struct Back(Result<LogHistory, Failure>);

impl Back {
    fn to(log: Option<&Log>, vault: &Unlocked) -> Self {
        let identity = vault.audit_identity();
        let history = identity.map_err(|error| failure::vault(&error));
        Self(history.and_then(|identity| {
            let log = log.cloned().ok_or_else(failure::locked)?;
            Ok(LogHistory { log, identity })
        }))
    }
}

impl HistorySource for Back {
    type Error = Failure;

    fn since(&self, since: UnixMillis) -> Result<Vec<Past>, Failure> {
        let history = self.0.as_ref().map_err(Failure::clone)?;
        let past = history.since(since);
        past.map_err(|error| failure::read_log(&error))
    }
}

impl Open {
    /// Who may ask.
    pub(crate) fn clients(&self) -> Arc<[Client]> {
        self.in_force.clients()
    }

    /// The same as it changes. Holds nothing of what is open.
    pub(crate) fn news_of_clients(&self) -> watch::Receiver<Arc<[Client]>> {
        self.in_force.clients.subscribe()
    }

    /// Ends a client at once, and until the lock.
    pub(crate) fn end_client(&self, id: ClientId) {
        let in_force = &self.in_force;
        let revoked = in_force.revoked.lock();
        let _new = revoked.unwrap_or_else(PoisonError::into_inner).insert(id);
        in_force.follow_clients(&self.read());
    }
}

impl Current {
    /// Takes in what others have written to the file of the open vault, and has it put in force. Nothing is written to the file.
    ///
    /// # Errors
    /// When it is locked; or nothing that reads was there; or what was taken in cannot be put in force, or recorded.
    pub(crate) fn take_in(&self) -> Result<TakenIn, Failure> {
        let open = self.open()?;
        let mut vault = open.write();
        let taken = vault.take_in();
        if let Ok(TakenIn::Nothing | TakenIn::NotOpened(_)) = taken {
            return taken.map_err(|error| failure::vault(&error));
        }
        let followed = self.follow(&open, &vault, Kind::Merged);
        drop(vault);
        let taken = taken.map_err(|error| failure::vault(&error))?;
        let text = "Took in what was written to the vault's file elsewhere.";
        self.record(&Event::new(Kind::Merged, Decision::Done).text(text))?;
        followed.map(|()| taken)
    }

    /// Takes over which devices the file names by now: what is locked is told of by that.
    ///
    /// # Errors
    /// There is no vault that reads, or another one.
    pub(crate) fn read_devices_anew(&self) -> Result<(), Failure> {
        let there = Locked::open(&self.path).map_err(|error| failure::vault(&error))?;
        if there.id() == self.id {
            self.replace_devices(there.devices());
        }
        Ok(())
    }

    /// Has what the vault says put in force, where that is something else by now. What cannot be is by hand. `event` is what was
    /// done: a policy that came with something else is told of.
    ///
    /// # Errors
    /// The log that the policy looks back at cannot be read, or written.
    pub(super) fn follow(&self, open: &Open, vault: &Unlocked, event: Kind) -> Result<(), Failure> {
        self.replace_devices(vault.devices());
        let before = open.clients();
        open.in_force.follow_clients(vault);
        let rows = clients_came_along(&before, &open.clients(), event);
        let rows = rows.iter().try_for_each(|row| self.record(row).map(drop));
        let followed = open
            .in_force
            .follow_policy(&open.pipeline, vault, self.log());
        match followed {
            Ok(true) if event != Kind::PolicyChanged => {
                rows.and_then(|()| self.record(&came_along(vault)).map(drop))
            }
            Ok(_) => rows,
            Err(failure) => {
                let what = &failure.what;
                tracing::error!(what, "the policy is not in force, so everything is by hand");
                Err(failure)
            }
        }
    }
}

/// The detail of a row that says which policy it was.
pub(crate) const POLICY_HASH: &str = "sha256";

/// That of a policy's text, as rows have it.
pub(crate) fn hash_of_policy(text: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    HEXLOWER.encode(hash.as_ref())
}

// Whom another copy has ended, or let in. What was done here has a row of its own.
fn clients_came_along(before: &[Client], now: &[Client], event: Kind) -> Vec<Event> {
    let others = |these: &[Client], those: &[Client]| -> Vec<Client> {
        let is_there = |client: &&Client| those.iter().any(|it| it.id == client.id);
        let missing = these.iter().filter(|client| !is_there(client));
        missing.cloned().collect()
    };
    let row = |kind, client: &Client, what| {
        let name = visible(&client.name);
        let text = format!("{name} {what}: so says another copy of the vault.");
        Event::new(kind, Decision::Info)
            .text(text)
            .client(client.id, name)
    };
    let ended = others(before, now);
    let ended = ended
        .iter()
        .map(|client| row(Kind::ClientRemoved, client, "may not ask any more"));
    let came = match event {
        Kind::Merged => others(now, before),
        _ => Vec::new(),
    };
    let came = came
        .iter()
        .map(|client| row(Kind::ClientAdded, client, "may ask"));
    ended.chain(came).collect()
}

fn came_along(vault: &Unlocked) -> Event {
    let (policy, text, is_readable) = policy_of(vault);
    let words = match is_readable {
        true => format!(
            "A policy of {} rules came with another copy, and is in force.",
            policy.rules().len()
        ),
        false => {
            "A policy that cannot be read came with another copy: everything is by hand.".to_owned()
        }
    };
    Event::new(Kind::PolicyChanged, Decision::Info)
        .text(words)
        .detail(POLICY_HASH, hash_of_policy(&text))
}
