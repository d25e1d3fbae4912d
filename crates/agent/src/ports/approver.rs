//! A person's eyes: what is shown of a request, and what is said back.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use data_encoding::HEXLOWER;
use touchkeep_audit::Log;
use touchkeep_core::{
    Clock, SystemClock,
    text::{has_lookalikes, visible},
};
use touchkeep_pipeline::{Answer, Answering, Approver, Question};
use touchkeep_policy::Need;
use touchkeep_venue::Operation;
use touchkeep_wire::Approval;

use super::{Running, intents};
use crate::{
    agent::Agent,
    devices::blocking,
    notify,
    prompts::{Prompts, Reply},
    vault::Current,
};

/// How many earlier requests are looked through for a destination.
const LOOKS_BACK: usize = 1000;

pub(super) struct People {
    prompts: Prompts,
    running: Arc<Running>,
    current: Weak<Current>,
    log: Log,
}

impl People {
    pub(super) fn new(agent: &Arc<Agent>, current: &Arc<Current>, log: Log) -> Self {
        Self {
            prompts: agent.prompts().clone(),
            running: Arc::clone(agent.running()),
            current: Arc::downgrade(current),
            log,
        }
    }

    async fn shown(&self, question: &Question) -> Approval {
        let operation = question.operation.clone();
        let (running, request) = (Arc::clone(&self.running), question.request);
        let (log, current) = (self.log.clone(), self.current.clone());
        let facts = operation.clone();
        let looked = blocking(move || {
            let current = current.upgrade();
            let unusual = unusual(&facts, current.as_deref(), &log);
            let practice = current.is_some_and(|current| current.is_practice());
            (running.process(request), unusual, practice)
        });
        let (process, unusual, practice) = looked.await.unwrap_or_default();
        Approval {
            sentence: operation.sentence(),
            operation: operation.kind.as_str().to_owned(),
            facts: facts_of(&operation),
            unusual,
            client: visible(&question.client.name),
            process,
            key: visible(&question.key.name),
            rule: visible(&question.rule),
            touch: question.need == Need::Touch,
            digest: HEXLOWER.encode(&question.digest),
            practice,
        }
    }
}

impl Approver for People {
    fn ask<'a>(&'a self, question: &'a Question) -> Answering<'a, Answer> {
        Box::pin(async move {
            let approval = self.shown(question).await;
            let within = question.deadline.since(SystemClock.now());
            let asked = touchkeep_wire::Question::Approval(approval);
            match self.prompts.ask(asked, Duration::from_millis(within)).await {
                Reply::Approved(digest) => match digest_of(&digest) {
                    Some(digest) => Answer::Yes { digest },
                    None => Answer::No,
                },
                Reply::Refused | Reply::Secret(_) | Reply::Allowed(_) => Answer::No,
                Reply::TimedOut => Answer::Nobody,
                Reply::Resting(left) => {
                    tracing::warn!(
                        seconds = left.as_secs(),
                        client = visible(&question.client.name),
                        "a request was not put to anybody, because its client's last two went unanswered"
                    );
                    Answer::Nobody
                }
                Reply::TooMany => {
                    tracing::warn!(
                        "a request was not put to anybody, because too many wait already"
                    );
                    Answer::Nobody
                }
            }
        })
    }

    fn tell(&self, question: &Question) {
        let body = format!(
            "{}. Asked by {}, let through by the rule {}.",
            question.operation.sentence(),
            visible(&question.client.name),
            visible(&question.rule)
        );
        tokio::spawn(notify::show("Signed by rule".to_owned(), body));
    }
}

fn digest_of(hex: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

/// Names of parameters that become facts of their own.
const DECODED: [&str; 10] = [
    "coin",
    "asset",
    "address",
    "addressTag",
    "network",
    "amount",
    "symbol",
    "quantity",
    "price",
    "quoteOrderQty",
];

// Facts in the order in which a person reads them.
fn facts_of(operation: &Operation) -> Vec<(String, String)> {
    let text = |value: &Option<String>| value.as_deref().map(visible);
    let number = |value: &Option<touchkeep_core::Decimal>| value.as_ref().map(ToString::to_string);
    let side = operation.side.map(|side| {
        match side {
            touchkeep_venue::Side::Buy => "buy",
            touchkeep_venue::Side::Sell => "sell",
        }
        .to_owned()
    });
    let amount = match (&operation.amount, &operation.asset) {
        (Some(amount), Some(asset)) => Some(format!("{amount} {}", visible(asset))),
        (amount, _) => number(amount),
    };
    let asset = operation
        .amount
        .is_none()
        .then(|| text(&operation.asset))
        .flatten();
    let facts = [
        ("Amount", amount),
        ("Asset", asset),
        ("Destination", text(&operation.destination)),
        ("Destination tag", text(&operation.destination_tag)),
        ("Network", text(&operation.network)),
        ("Market", text(&operation.symbol)),
        ("Side", side),
        ("Price", number(&operation.price)),
        ("Quote amount", number(&operation.quote_amount)),
        ("Client's own id", text(&operation.client_id)),
        (
            "Request",
            Some(format!(
                "{} {} ({})",
                visible(&operation.method),
                visible(&operation.path),
                visible(&operation.venue)
            )),
        ),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    // Everything else that is sent, under the venue's own names. Left out is only what a fact above says already: a name
    // that is decoded, with exactly the value that was shown.
    let texts = [
        &operation.asset,
        &operation.destination,
        &operation.destination_tag,
        &operation.network,
        &operation.symbol,
        &operation.client_id,
    ];
    let numbers = [&operation.amount, &operation.price, &operation.quote_amount];
    let is_said = |name: &str, value: &str| {
        DECODED.contains(&name)
            && (texts.iter().any(|text| text.as_deref() == Some(value))
                || numbers.iter().any(|number| {
                    number
                        .as_ref()
                        .is_some_and(|n| value.parse().as_ref() == Ok(n))
                }))
    };
    let others = operation
        .parameters
        .iter()
        .filter(|parameter| !is_said(&parameter.name, &parameter.value))
        .map(|parameter| (visible(&parameter.name), visible(&parameter.value)));
    known.chain(others).collect()
}

fn unusual(operation: &Operation, current: Option<&Current>, log: &Log) -> Vec<String> {
    let mut unusual = Vec::new();
    let texts = [
        &operation.destination,
        &operation.destination_tag,
        &operation.asset,
        &operation.symbol,
    ];
    if texts.into_iter().flatten().any(|text| has_lookalikes(text)) {
        unusual.push("holds letters that look like others".to_owned());
    }
    if let Some(destination) = &operation.destination
        && !was_used(destination, current, log)
    {
        unusual.push("first time to this address".to_owned());
    }
    unusual
}

// Whether money was sent there before, as far as the log is looked through.
fn was_used(destination: &str, current: Option<&Current>, log: &Log) -> bool {
    let Some(open) = current.and_then(Current::peek) else {
        return false;
    };
    let identity = open.read().audit_identity().ok();
    let rows = log.list(&intents(LOOKS_BACK), identity.as_ref());
    let rows = rows.unwrap_or_default();
    let mut operations = rows
        .iter()
        .filter_map(|row| row.event.as_ref()?.operation.as_ref());
    operations.any(|earlier| earlier.destination.as_deref() == Some(destination))
}
