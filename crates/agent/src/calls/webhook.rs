//! A webhook's delivery: read, let through the gate, checked with the item's secret, remembered, recorded.
//!
//! Whoever can reach a webhook's address from outside can have forged deliveries checked, and the log is kept for ever: of what is
//! refused so many an hour have a row of their own, and the rest are counted in the next row.
//!
//! The secret does not leave the agent; who asks learns whether a delivery is genuine. That is still a use of the secret, so
//! that the gate is asked as for a value, and before the secret is decrypted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use data_encoding::HEXLOWER;
use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{
    ApiSecret, ClientId, Clock, ItemId, SystemClock, UnixMillis,
    text::{quoted, visible},
    time::rfc3339,
};
use touchkeep_vault::{Item, ItemKind, SecretPlace};
use touchkeep_webhook::{Genuine, Key, Presented, Refusal, Scheme, Tolerance};
use touchkeep_wire::{
    Failure, MAX_WEBHOOK_BYTES, MAX_WEBHOOK_HEADERS, Purpose, VerifyWebhook, WebhookVerdict,
};

use crate::{
    agent::Agent,
    caller::Caller,
    deliveries::Taken,
    devices::blocking,
    failure,
    grants::{Gate, ItemUse},
    ports::unseal,
    uptime::Uptime,
    vault::{Current, Open},
};

const SECRET: &str = "secret";
/// Refused deliveries of an item that have a row of their own in an hour.
const ROWS_AN_HOUR: u32 = 100;
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How many refused deliveries have a row, and how many are waiting to be said.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<HashMap<ItemId, Counted>>);

#[derive(Debug)]
struct Counted {
    since: Uptime,
    rows: u32,
    unsaid: u64,
}

impl Refused {
    // Whether a refused delivery has a row of its own; it is counted where it has none.
    fn has_row(&self, item: ItemId, now: Uptime) -> bool {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = items.entry(item).or_insert(Counted {
            since: now,
            rows: 0,
            unsaid: 0,
        });
        if now.since(counted.since) >= HOUR {
            (counted.since, counted.rows) = (now, 0);
        }
        if counted.rows < ROWS_AN_HOUR {
            counted.rows += 1;
            return true;
        }
        counted.unsaid += 1;
        false
    }

    // Takes the number of those that no row has said.
    fn unsaid(&self, item: ItemId) -> u64 {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = items.get_mut(&item);
        counted.map_or(0, |counted| std::mem::take(&mut counted.unsaid))
    }
}

/// A delivery as it came.
pub(crate) struct Delivery {
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

/// How it is to be checked.
pub(crate) struct Check {
    pub(crate) item: String,
    pub(crate) scheme: String,
    pub(crate) tolerance_seconds: u64,
    pub(crate) retries: bool,
    /// Whether a person may be asked.
    pub(crate) asks: bool,
    /// The proxy's client, where it came over HTTP.
    pub(crate) client: Option<(ClientId, String)>,
}

pub(crate) async fn verify(
    agent: &Arc<Agent>,
    caller: &Caller,
    call: VerifyWebhook,
) -> Result<WebhookVerdict, Failure> {
    let body = BASE64_STANDARD.decode(&call.body).map_err(|_| {
        failure::invalid(
            "The body is not base64.",
            "Send the body's bytes as they came, in base64 with its padding.",
        )
    })?;
    let headers = call.headers.into_iter();
    let delivery = Delivery {
        headers: headers
            .map(|(name, value)| (name, value.into_bytes()))
            .collect(),
        body,
    };
    let check = Check {
        item: call.item,
        scheme: call.scheme,
        tolerance_seconds: call.tolerance_seconds,
        retries: call.retries,
        asks: !call.no_interaction,
        client: None,
    };
    judge(agent, caller, check, delivery).await
}

/// Judges a delivery, and records how.
///
/// # Errors
/// When it could not be judged at all: locked, no such item, not let through, nothing can be recorded or remembered.
pub(crate) async fn judge(
    agent: &Arc<Agent>,
    caller: &Caller,
    check: Check,
    delivery: Delivery,
) -> Result<WebhookVerdict, Failure> {
    let current = agent.some_vault()?;
    let open = current.open()?;
    let mut case = Case::new(caller, check, delivery, &current, &open)?;
    // What is no delivery at all needs no secret, and nobody is asked for it.
    if let Err(refusal) = case.presented() {
        let agent = Arc::clone(agent);
        return blocking(move || case.refuse(&agent, Reason::Refused(refusal), None)).await?;
    }
    let used = ItemUse::of(&case.item, case.name.clone(), SECRET);
    let admitted = Gate::admit(agent, caller, &[used], Purpose::Verify, case.asks).await?;
    admitted.by().clone_into(&mut case.by);
    let secret = case.secret(agent, &open).await?;
    let judged = blocking({
        let agent = Arc::clone(agent);
        move || case.judge(&agent, &secret, SystemClock.now())
    })
    .await?;
    agent.prompts().changed("audit");
    // A lock that came in between has ended everything.
    if !current.peek().is_some_and(|now| Arc::ptr_eq(&now, &open)) {
        return Err(failure::locked());
    }
    judged
}

/// A delivery on its way.
struct Case {
    current: Arc<Current>,
    item: Item,
    /// `prod/stripe`.
    name: String,
    scheme: Scheme,
    tolerance: Tolerance,
    retries: bool,
    asks: bool,
    client: Option<(ClientId, String)>,
    processes: String,
    /// By what right it is checked; empty where it was not.
    by: String,
    delivery: Delivery,
}

/// Why it is not taken.
enum Reason {
    Refused(Refusal),
    Seen(Taken),
}

impl Case {
    fn new(
        caller: &Caller,
        check: Check,
        delivery: Delivery,
        current: &Arc<Current>,
        open: &Open,
    ) -> Result<Self, Failure> {
        let scheme = Scheme::of_word(&check.scheme).ok_or_else(|| {
            let known = Scheme::ALL.map(Scheme::word).join(", ");
            failure::invalid(
                format!("There is no scheme {}.", quoted(&check.scheme)),
                format!("Known: {known}."),
            )
        })?;
        let tolerance = Tolerance::seconds(check.tolerance_seconds).ok_or_else(|| {
            failure::invalid(
                format!("{} seconds cannot be tolerated.", check.tolerance_seconds),
                format!("Choose from 1 to {}.", Tolerance::MAX_SECONDS),
            )
        })?;
        within_bounds(&delivery)?;
        let item = open.item(&check.item)?;
        suits(&item)?;
        let environment = open.read().environment_name(item.environment);
        Ok(Self {
            current: Arc::clone(current),
            name: format!("{environment}/{}", item.name),
            item,
            scheme,
            tolerance,
            retries: check.retries,
            asks: check.asks,
            client: check.client,
            processes: caller.lines().join(" > "),
            by: String::new(),
            delivery,
        })
    }

    fn presented(&self) -> Result<Presented<'_>, Refusal> {
        let headers: Vec<_> = self
            .delivery
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        Presented::read(self.scheme, &headers, &self.delivery.body)
    }

    async fn secret(&self, agent: &Arc<Agent>, open: &Arc<Open>) -> Result<ApiSecret, Failure> {
        let id = self.item.id;
        if self.item.place(SECRET) == Some(&SecretPlace::Sealed) {
            let why = format!("Open the sealed secret of {}", visible(&self.name));
            return unseal(agent, &self.current, open, (id, SECRET.to_owned()), why).await;
        }
        let open = Arc::clone(open);
        let secret = blocking(move || open.read().field_secret(id, SECRET)).await?;
        secret.map_err(|error| failure::vault(&error))
    }

    fn judge(
        &self,
        agent: &Agent,
        secret: &ApiSecret,
        now: UnixMillis,
    ) -> Result<WebhookVerdict, Failure> {
        let key = Key::read(self.scheme, secret).map_err(|error| {
            failure::invalid(
                format!(
                    "The secret of {} cannot check {} webhooks: {error}.",
                    visible(&self.name),
                    self.scheme.word()
                ),
                "Store the one that the sender's console shows: touchkeep edit ITEM --secret",
            )
        })?;
        let presented = self.presented();
        let genuine = match presented.and_then(|one| one.judge(&key, self.tolerance, now)) {
            Ok(genuine) => genuine,
            Err(refusal) => return self.refuse(agent, Reason::Refused(refusal), None),
        };
        let record = |taken| {
            let of = visible(&self.name);
            let text = match taken {
                Taken::Retried(at) => format!(
                    "Took a webhook's delivery for {of} again: its id was taken at {}.",
                    rfc3339(at)
                ),
                _ => format!("Took a webhook's delivery for {of}."),
            };
            self.record(agent, Decision::Done, text, None, Some(&genuine))
        };
        // Some senders sign no time: then nothing is known of when.
        let in_time = match genuine.sent() {
            Some(_) => ", in time",
            None => "",
        };
        let taken = agent
            .deliveries()
            .take(self.item.id, &genuine, self.retries, now, record)?;
        let (first_seen, what) = match taken {
            Taken::Fresh => (
                None,
                format!("Its sender signed it{in_time}. It was not taken before."),
            ),
            Taken::Retried(at) => (
                Some(at),
                format!(
                    "Its sender signed it anew{in_time}. Its id was taken at {}, and it is taken again because retries are accepted.",
                    rfc3339(at)
                ),
            ),
            _ => return self.refuse(agent, Reason::Seen(taken), Some(&genuine)),
        };
        Ok(WebhookVerdict {
            verified: true,
            id: genuine.id().map(visible),
            sent: genuine.sent(),
            first_seen,
            reason: None,
            what,
        })
    }

    // It is recorded, or counted, before it is said.
    fn refuse(
        &self,
        agent: &Agent,
        why: Reason,
        of: Option<&Genuine>,
    ) -> Result<WebhookVerdict, Failure> {
        let text = format!(
            "Did not take a webhook's delivery for {}: {}.",
            visible(&self.name),
            why.words()
        );
        if agent.refused().has_row(self.item.id, Uptime::now()) {
            self.record(agent, Decision::Denied, text, Some(why.word()), of)?;
        }
        Ok(WebhookVerdict {
            verified: false,
            id: of.and_then(Genuine::id).map(visible),
            sent: of.and_then(Genuine::sent),
            first_seen: why.first_seen(),
            reason: Some(why.word().to_owned()),
            what: format!("{}.", failure::capital(&why.words())),
        })
    }

    fn record(
        &self,
        agent: &Agent,
        decision: Decision,
        text: String,
        reason: Option<&str>,
        of: Option<&Genuine>,
    ) -> Result<(), Failure> {
        let hash = digest(&SHA256, &self.delivery.body);
        let mut event = Event::new(Kind::Webhook, decision)
            .text(text)
            .item(self.item.id, visible(&self.name))
            .detail("scheme", self.scheme.word())
            .detail("body-sha256", HEXLOWER.encode(hash.as_ref()))
            .detail("processes", &self.processes);
        if let Some((id, name)) = &self.client {
            event = event.client(*id, visible(name));
        }
        if !self.by.is_empty() {
            event = event.detail("allowed by", &self.by);
        }
        let unsaid = agent.refused().unsaid(self.item.id);
        if unsaid > 0 {
            event = event.detail("refused without a row before it", unsaid.to_string());
        }
        if let Some(reason) = reason {
            event = event.detail("reason", reason);
        }
        if let Some(id) = of.and_then(Genuine::id) {
            event = event.detail("delivery", visible(id));
        }
        if let Some(sent) = of.and_then(Genuine::sent) {
            event = event.detail("signed", rfc3339(sent));
        }
        self.current.record(&event).map(drop)
    }
}

impl Reason {
    const fn word(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.word(),
            Self::Seen(Taken::Repeated(_)) => "repeated",
            Self::Seen(Taken::Forgotten) => "too-old",
            Self::Seen(Taken::Replayed(_) | Taken::Fresh | Taken::Retried(_)) => "replayed",
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.to_string(),
            Self::Seen(Taken::Repeated(at)) => format!(
                "its sender signed it anew, and its id was taken at {}",
                rfc3339(*at)
            ),
            Self::Seen(Taken::Replayed(at)) => {
                format!("the same was taken at {}", rfc3339(*at))
            }
            Self::Seen(Taken::Forgotten | Taken::Fresh | Taken::Retried(_)) => {
                "it was signed before what is still remembered".to_owned()
            }
        }
    }

    const fn first_seen(&self) -> Option<UnixMillis> {
        match self {
            Self::Seen(Taken::Replayed(at) | Taken::Repeated(at)) => Some(*at),
            _ => None,
        }
    }
}

fn within_bounds(delivery: &Delivery) -> Result<(), Failure> {
    if delivery.body.len() > MAX_WEBHOOK_BYTES {
        return Err(failure::invalid(
            format!("The body is longer than {MAX_WEBHOOK_BYTES} bytes."),
            "No sender that is known here sends such a delivery; refuse it.",
        ));
    }
    if delivery.headers.len() > MAX_WEBHOOK_HEADERS {
        return Err(failure::invalid(
            format!("There are more than {MAX_WEBHOOK_HEADERS} headers."),
            "Leave out those that say nothing of the signature.",
        ));
    }
    Ok(())
}

// Purposes never share a key: what signs requests or opens a door does not check webhooks beside it.
fn suits(item: &Item) -> Result<(), Failure> {
    let fix = "Keep the webhook's secret as an item of its own: touchkeep add NAME --kind api-key";
    if item.kind != ItemKind::ApiKey {
        let what = format!(
            "{} is of the kind {}, and has another purpose than webhooks.",
            visible(&item.name),
            item.kind.word()
        );
        return Err(failure::invalid(what, fix));
    }
    if item.trashed.is_some() {
        return Err(failure::invalid(
            format!("{} is in the trash, and not used.", visible(&item.name)),
            "Take it back: touchkeep restore ITEM",
        ));
    }
    match item.place(SECRET) {
        Some(SecretPlace::Stored | SecretPlace::Sealed) => Ok(()),
        _ => Err(failure::invalid(
            format!("{} has no secret in the vault.", visible(&item.name)),
            fix,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_refusals_an_hour_have_a_row_and_the_rest_are_counted() {
        let (refused, item, other) = (Refused::default(), ItemId::random(), ItemId::random());
        let now = Uptime::now();
        let rows = |item, now| (0..250).filter(|_| refused.has_row(item, now)).count();
        assert_eq!(rows(item, now), 100);
        assert_eq!(refused.unsaid(item), 150);
        assert_eq!(refused.unsaid(item), 0, "said once");
        assert_eq!(rows(other, now), 100, "each item has its own");
        assert_eq!(rows(item, now.after(HOUR)), 100);
    }
}
