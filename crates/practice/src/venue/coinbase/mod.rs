//! Coinbase's dialect: `/api/v3/brokerage/…` (Advanced Trade) and `/v2/…` (accounts and sending money).
//!
//! Sources, read 2026-11-26: docs.cdp.coinbase.com "API Key Authentication", "JWT Authentication", "Send Crypto", "Rate
//! Limiting", and coinbase-advanced-py (2026-06-19). Order of the checks: the token (see `jwt`), address, permission, and
//! only then the endpoint's own. A bad token is answered with 401 and the bare word, as there; what Coinbase says to a key
//! used from an address that is not on its list is not published, and here it is the same.

mod accounts;
mod endpoints;
mod jwt;
mod market;
mod names;
mod orders;
mod params;
mod refusal;
mod transactions;

use super::account::Owner;
use super::exchange::{Dialect, Exchange};
use super::faults::Instead;
use super::keys::{For, Permission};
use super::request::{Done, Received, Refused};
use endpoints::Call;
use params::Params;
use refusal::Refusal;

pub(crate) use jwt::SpentTokens;

const PRIVATE_PER_SECOND: u32 = 30;
const PUBLIC_PER_SECOND: u32 = 10;

/// The dialect.
pub(crate) struct Coinbase;

impl Dialect for Coinbase {
    fn name(&self) -> &'static str {
        "coinbase"
    }

    fn endpoint(&self, request: &Received) -> &'static str {
        endpoints::find(&request.method, &request.path)
            .map_or("unknown endpoint", |(row, _)| row.name)
    }

    fn api_key(&self, request: &Received) -> Option<String> {
        jwt::named_key(bearer(request)?)
    }

    fn run(
        &self,
        exchange: &mut Exchange,
        request: &Received,
        now_us: u64,
    ) -> Result<Done, Refused> {
        run(exchange, request, now_us).map_err(|refusal| refusal.at(&request.path))
    }

    fn instead(&self, instead: Instead) -> Refused {
        match instead {
            Instead::RateLimit => Refusal::RateLimit,
            Instead::Status(status) => Refusal::Broken { status },
            Instead::Cut => Refusal::Broken { status: 500 },
        }
        .at("/v2/")
    }

    fn headers(
        &self,
        exchange: &mut Exchange,
        request: &Received,
        status: u16,
    ) -> Vec<(&'static str, String)> {
        let endpoint = endpoints::find(&request.method, &request.path);
        let is_private = endpoint.is_some_and(|(row, _)| row.permission.is_some());
        let limit = match is_private {
            true => PRIVATE_PER_SECOND,
            false => PUBLIC_PER_SECOND,
        };
        let tally = &mut exchange.tallies.by_second;
        let used = tally.add(request.peer, request.at_us, 1);
        let left = match status {
            429 => 0,
            _ => limit.saturating_sub(used),
        };
        let kind = match status {
            401 => "text/plain; charset=utf-8",
            _ => "application/json; charset=utf-8",
        };
        vec![
            ("content-type", kind.to_owned()),
            ("x-ratelimit-limit", limit.to_string()),
            ("x-ratelimit-remaining", left.to_string()),
            ("x-ratelimit-reset", "1".to_owned()),
        ]
    }
}

fn bearer(request: &Received) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

fn run(exchange: &mut Exchange, request: &Received, now_us: u64) -> Result<Done, Refusal> {
    let (endpoint, id) =
        endpoints::find(&request.method, &request.path).ok_or(Refusal::NotFound("route"))?;
    let (owner, api_key) = match endpoint.permission {
        None => (Owner::Master, String::new()),
        Some(permission) => authenticate(exchange, request, permission, now_us)?,
    };
    let params = Params::read(request)?;
    let call = Call {
        params: &params,
        id,
        api_key: &api_key,
        owner: &owner,
        now_ms: now_us / 1000,
    };
    (endpoint.run)(exchange, &call)
}

fn authenticate(
    exchange: &mut Exchange,
    request: &Received,
    permission: Permission,
    now_us: u64,
) -> Result<(Owner, String), Refusal> {
    let token = bearer(request).ok_or(Refusal::Unauthorized)?;
    let api_key = jwt::named_key(token).ok_or(Refusal::Unauthorized)?;
    let key = exchange.keys.find(For::Coinbase, &api_key);
    let key = key.ok_or(Refusal::Unauthorized)?;
    let claims = jwt::check(token, key, request, now_us / 1_000_000)?;
    exchange.spent.take(&api_key, claims, now_us / 1_000_000)?;
    if !key.may_come_from(request.peer) {
        return Err(Refusal::Unauthorized);
    }
    if !key.may(permission) {
        return Err(Refusal::Scope);
    }
    let owner = key.owner.clone();
    exchange.keys.used(&api_key, now_us / 1000);
    Ok((owner, api_key))
}
