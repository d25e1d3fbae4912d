//! The exchange: one set of books, spoken to in three dialects.
//!
//! Here is what they share: which dialect a path belongs to, faults to order, and the record. What is checked before
//! anything is done stands with each dialect.

use std::io;

use serde_json::Value;
use tokio::sync::watch;

use super::account::Accounts;
use super::addresses::Addresses;
use super::binance::{Binance, Transfer};
use super::book::Book;
use super::coinbase::{Coinbase, SpentTokens};
use super::faults::{Fault, Faults, Instead};
use super::keys::Keys;
use super::kraken::{Kraken, Sessions};
use super::market::Market;
use super::record::{End, Record};
use super::request::{Answer, Done, Received, Refused};
use super::tally::Tally;
use super::withdrawals::Withdrawals;

/// How one kind of exchange is spoken to.
pub(crate) trait Dialect {
    /// Its name, as keys are asked for.
    fn name(&self) -> &'static str;

    /// The endpoint of a request in words.
    fn endpoint(&self, request: &Received) -> &'static str;

    /// The key that a request names.
    fn api_key(&self, request: &Received) -> Option<String>;

    /// Checks a request and does what it asks.
    fn run(
        &self,
        exchange: &mut Exchange,
        request: &Received,
        now_us: u64,
    ) -> Result<Done, Refused>;

    /// How this kind of exchange says that it is broken or wants to be asked less often.
    fn instead(&self, instead: Instead) -> Refused;

    /// The headers of an answer with this status.
    fn headers(
        &self,
        exchange: &mut Exchange,
        request: &Received,
        status: u16,
    ) -> Vec<(&'static str, String)>;
}

/// The dialect that owns a path.
pub(crate) fn dialect(path: &str) -> &'static dyn Dialect {
    if path.starts_with("/0/") {
        &Kraken
    } else if path.starts_with("/v2/") || path.starts_with("/api/v3/brokerage/") {
        &Coinbase
    } else {
        &Binance
    }
}

/// Everything that the exchange knows.
#[derive(Default)]
pub(crate) struct Exchange {
    pub(crate) keys: Keys,
    pub(crate) accounts: Accounts,
    pub(crate) addresses: Addresses,
    pub(crate) market: Market,
    pub(crate) book: Book,
    pub(crate) withdrawals: Withdrawals,
    pub(crate) transfers: Vec<Transfer>,
    pub(crate) record: Record,
    pub(crate) faults: Faults,
    pub(crate) tallies: Tallies,
    pub(crate) spent: SpentTokens,
    pub(crate) sessions: Sessions,
    /// Tells open sockets that something may have changed.
    pub(crate) changes: watch::Sender<()>,
}

/// Who asked for what, for the record.
pub(crate) struct Asked {
    pub(crate) dialect: &'static str,
    pub(crate) endpoint: &'static str,
    pub(crate) api_key: Option<String>,
}

/// Who has asked for how much.
pub(crate) struct Tallies {
    pub(crate) by_minute: Tally,
    pub(crate) by_second: Tally,
}

impl Default for Tallies {
    fn default() -> Self {
        Self {
            by_minute: Tally::per(60_000_000),
            by_second: Tally::per(1_000_000),
        }
    }
}

impl Exchange {
    /// An exchange that keeps this record.
    pub(crate) fn recording(record: Record) -> Self {
        Self {
            record,
            ..Self::default()
        }
    }

    /// Answers a request, or fails it as ordered, and records it. Nothing means: hang up.
    pub(crate) fn answer(
        &mut self,
        request: &Received,
        fault: &Fault,
    ) -> io::Result<Option<Answer>> {
        let dialect = dialect(&request.path);
        let instead = fault.instead();
        let now_us = self.faults.clock_us(request.at_us, fault);
        let done = match instead {
            Some(instead) if !fault.strikes_after() => Err(dialect.instead(instead)),
            _ => dialect.run(self, request, now_us),
        };
        let instead = instead.map(|instead| (instead, dialect.instead(instead)));
        let asked = Asked {
            dialect: dialect.name(),
            endpoint: dialect.endpoint(request),
            api_key: dialect.api_key(request),
        };
        let sent = self.conclude(request, fault, asked, done, instead)?;
        let status = sent.as_ref().map_or(0, |(status, _)| *status);
        let headers = dialect.headers(self, request, status);
        Ok(sent.map(|(status, body)| Answer {
            status,
            headers,
            body,
            is_torn: fault.tears(),
        }))
    }

    /// Records what became of a request, and says what is sent; nothing: hang up.
    pub(crate) fn conclude(
        &mut self,
        request: &Received,
        fault: &Fault,
        asked: Asked,
        done: Result<Done, Refused>,
        instead: Option<(Instead, Refused)>,
    ) -> io::Result<Option<(u16, Value)>> {
        let accepted = done.is_ok();
        let words = done.as_ref().ok().and_then(|done| done.words.clone());
        let sent = match (done, instead) {
            (_, Some((Instead::Cut, _))) => None,
            (_, Some((_, refused))) => Some(Err(refused)),
            (done, None) => Some(done),
        };
        let (code, status, error, body) = match sent {
            None => (0, 0, None, Value::Null),
            Some(Ok(done)) => (0, done.status, None, done.body),
            Some(Err(no)) => (no.code, no.status, Some(no.error), no.body),
        };
        let end = End {
            dialect: asked.dialect,
            api_key: asked.api_key,
            accepted,
            code,
            error,
            status,
            operation: words.unwrap_or_else(|| asked.endpoint.to_owned()),
            fault: fault.describe(),
        };
        self.record.add(request, end)?;
        self.changes.send_replace(());
        Ok((status != 0).then_some((status, body)))
    }
}
