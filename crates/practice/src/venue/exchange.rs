//! The exchange: what a request must be before anything is done for it, and how it ends.
//!
//! Order of the checks: key format, key and address, mandatory parameters, time, signature, permission, and only
//! then the endpoint's own.

use std::io;
use std::net::IpAddr;

use serde_json::Value;

use super::account::Account;
use super::book::Book;
use super::endpoints::{self, Call, Done, Endpoint};
use super::faults::{Fault, Faults, Instead};
use super::keys::{Keys, Permission};
use super::market::Market;
use super::params::{Params, is_form};
use super::record::{End, Record};
use super::refusal::Refusal;
use super::signature::{Signed, check_time};
use super::weight::Weight;
use super::withdrawals::Withdrawals;

/// A request as it came off the wire.
pub(crate) struct Received {
    /// Microseconds since 1970, by the machine's clock.
    pub(crate) at_us: u64,
    pub(crate) peer: IpAddr,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Without the question mark, byte for byte.
    pub(crate) query: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// Names in lower case; a name that came twice stands here twice.
    pub(crate) headers: Vec<(String, String)>,
}

impl Received {
    /// The one value of a header; nothing if it is absent or came twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    // A body of any other type carries no parameters.
    fn form(&self) -> &[u8] {
        let kind = self.header("content-type").unwrap_or_default();
        if is_form(kind) { &self.body } else { &[] }
    }
}

/// What goes back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) used_weight: u32,
}

/// Everything that the exchange knows.
#[derive(Default)]
pub(crate) struct Exchange {
    pub(crate) keys: Keys,
    pub(crate) account: Account,
    pub(crate) market: Market,
    pub(crate) book: Book,
    pub(crate) withdrawals: Withdrawals,
    pub(crate) record: Record,
    pub(crate) faults: Faults,
    weight: Weight,
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
        let endpoint = endpoints::find(&request.method, &request.path);
        let weight = endpoint.map_or(1, |row| row.weight);
        let used_weight = self.weight.add(request.peer, request.at_us, weight);
        let instead = fault.instead();
        let done = match instead {
            Some(instead) if !fault.strikes_after() => Err(instead.refusal()),
            _ => self.run(endpoint, request, fault.clock_us(request.at_us)),
        };
        let accepted = done.is_ok();
        let words = done.as_ref().ok().and_then(|done| done.words.clone());
        let name = endpoint.map_or("unknown endpoint", |row| row.name);
        let operation = words.unwrap_or_else(|| name.to_owned());
        let sent = match (done, instead) {
            (_, Some(Instead::Cut)) => None,
            (_, Some(instead)) => Some(Err(instead.refusal())),
            (done, None) => Some(done),
        };
        let (code, status, body) = match sent {
            None => (0, 0, Value::Null),
            Some(Ok(done)) => (0, 200, done.body),
            Some(Err(refusal)) => (refusal.code(), refusal.status(), refusal.body()),
        };
        let end = End {
            accepted,
            code,
            status,
            operation,
            fault: fault.describe(),
        };
        self.record.add(request, end)?;
        Ok((status != 0).then_some(Answer {
            status,
            body,
            used_weight,
        }))
    }

    fn run(
        &mut self,
        endpoint: Option<&Endpoint>,
        request: &Received,
        now_us: u64,
    ) -> Result<Done, Refusal> {
        let endpoint = endpoint.ok_or_else(|| Refusal::Path {
            method: request.method.clone(),
            path: request.path.clone(),
        })?;
        let api_key = request.header("x-mbx-apikey").unwrap_or_default();
        let params = match endpoint.permission {
            None => Params::parse(&request.query, request.form())?,
            Some(permission) => self.authenticate(request, api_key, permission, now_us)?,
        };
        let call = Call {
            params: &params,
            api_key,
            peer: request.peer,
            now_ms: now_us / 1000,
        };
        (endpoint.run)(self, &call)
    }

    fn authenticate(
        &mut self,
        request: &Received,
        api_key: &str,
        permission: Permission,
        now_us: u64,
    ) -> Result<Params, Refusal> {
        let key = self.keys.find(api_key, request.peer)?;
        let params = Params::parse(&request.query, request.form())?;
        params.required("timestamp")?;
        let signed = Signed::split(&request.query, request.form())?;
        check_time(&params, now_us)?;
        key.credential.check(&signed)?;
        if !key.may(permission) {
            return Err(Refusal::Key);
        }
        self.keys.used(api_key, now_us / 1000);
        Ok(params)
    }
}

impl Instead {
    // A cut is recorded as nothing sent; this refusal stands in for the answer that nobody gets.
    const fn refusal(self) -> Refusal {
        match self {
            Self::RateLimit => Refusal::RateLimit,
            Self::Status(status) => Refusal::Broken { status },
            Self::Cut => Refusal::Broken { status: 500 },
        }
    }
}
