//! Kraken's dialect: `/0/public/…` and `/0/private/…`.
//!
//! Sources, read 2026-11-26: docs.kraken.com "Spot REST Authentication", "Errors" and the pages of the endpoints in
//! `endpoints`. Every answer has status 200 and `{"error":[…],"result":…}`. Order of the checks: key, signature, nonce,
//! address, permission, and only then the endpoint's own. What Kraken says to a key used from an address that is not on its
//! list is not published; here it is `EGeneral:Permission denied`.

mod endpoints;
mod feeds;
mod funding;
mod market;
mod names;
mod orders;
mod params;
mod refusal;
mod signature;
mod socket;

use super::account::Owner;
use super::exchange::{Dialect, Exchange};
use super::faults::Instead;
use super::keys::{For, Key, Permission};
use super::request::{Done, Received, Refused};
use endpoints::{Call, Endpoint};
use params::Params;
use refusal::Refusal;

pub(crate) use socket::{KrakenSocket, Sessions};

/// The dialect.
pub(crate) struct Kraken;

impl Dialect for Kraken {
    fn name(&self) -> &'static str {
        "kraken"
    }

    fn endpoint(&self, request: &Received) -> &'static str {
        endpoints::find(&request.path).map_or("unknown endpoint", |row| row.name)
    }

    fn api_key(&self, request: &Received) -> Option<String> {
        request.header("api-key").map(ToOwned::to_owned)
    }

    fn run(
        &self,
        exchange: &mut Exchange,
        request: &Received,
        now_us: u64,
    ) -> Result<Done, Refused> {
        let done = run(exchange, request, now_us).map_err(Refused::from)?;
        let body = serde_json::json!({ "error": [], "result": done.body });
        Ok(Done { body, ..done })
    }

    fn instead(&self, instead: Instead) -> Refused {
        match instead {
            Instead::RateLimit => Refusal::RATE_LIMIT.into(),
            Instead::Status(status) => Refused {
                status,
                ..Refusal::UNAVAILABLE.into()
            },
            Instead::Cut => Refusal::UNAVAILABLE.into(),
        }
    }

    fn headers(&self, _: &mut Exchange, _: &Received, _: u16) -> Vec<(&'static str, String)> {
        vec![("content-type", "application/json".to_owned())]
    }
}

fn run(exchange: &mut Exchange, request: &Received, now_us: u64) -> Result<Done, Refusal> {
    let endpoint = endpoints::find(&request.path).ok_or(Refusal::UNKNOWN_METHOD)?;
    let params = if endpoint.is_private {
        // Read before the nonce is used up, so that what cannot be read changes nothing.
        Params::of_body(request)
    } else {
        Params::of_query(request)
    };
    let (params, owner, api_key) = match endpoint.is_private {
        false => (params?, Owner::Master, String::new()),
        true => authenticate(exchange, request, params, endpoint, now_us)?,
    };
    let call = Call {
        params: &params,
        api_key: &api_key,
        owner: &owner,
        now_us,
    };
    (endpoint.run)(exchange, &call)
}

fn authenticate(
    exchange: &mut Exchange,
    request: &Received,
    params: Result<Params, Refusal>,
    endpoint: &Endpoint,
    now_us: u64,
) -> Result<(Params, Owner, String), Refusal> {
    if request.method != "POST" {
        return Err(Refusal::UNKNOWN_METHOD);
    }
    let api_key = request.header("api-key").ok_or(Refusal::KEY)?;
    let key = exchange
        .keys
        .find_mut(For::Kraken, api_key)
        .ok_or(Refusal::KEY)?;
    let params = params?;
    let nonce = params.text("nonce").ok_or(Refusal::NONCE)?;
    let sent = request.header("api-sign").ok_or(Refusal::SIGNATURE)?;
    signature::check(&key.credential, &request.path, nonce, &request.body, sent)?;
    use_nonce(key, nonce)?;
    let allowed = |needed: &Permission| key.may(*needed);
    if !key.may_come_from(request.peer) || !endpoint.permissions.iter().all(allowed) {
        return Err(Refusal::PERMISSION);
    }
    let found = (params, key.owner.clone(), api_key.to_owned());
    exchange.keys.used(api_key, now_us / 1000);
    Ok(found)
}

/// Takes a nonce that is above all that this key ever sent: an unsigned 64-bit number, no window.
fn use_nonce(key: &mut Key, nonce: &str) -> Result<(), Refusal> {
    let digits = nonce.bytes().all(|b| b.is_ascii_digit());
    let nonce: u64 = nonce.parse().map_err(|_| Refusal::NONCE)?;
    if !digits || nonce <= key.nonce {
        return Err(Refusal::NONCE);
    }
    key.nonce = nonce;
    Ok(())
}
