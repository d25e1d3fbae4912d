//! Binance's dialect: `/api/v3/…` and `/sapi/…`.
//!
//! Source: binance-spot-api-docs `rest-api.md` (read 2026-07-21). Order of the checks: key format, key and address,
//! mandatory parameters, time, signature, permission, and only then the endpoint's own.

mod endpoints;
mod market;
mod orders;
mod params;
mod refusal;
mod signature;
mod socket;
mod stream;
mod sub_accounts;
mod sub_keys;
#[cfg(test)]
mod tests;
mod withdrawals;

use std::net::IpAddr;

use super::account::Owner;
use super::exchange::{Dialect, Exchange};
use super::faults::Instead;
use super::keys::{For, Key, Keys, Permission};
use super::request::{Done, Received, Refused};
use endpoints::{Call, Endpoint};
use params::Params;
use refusal::Refusal;
use signature::{Signed, check_time};

pub(crate) use endpoints::balances;
pub(crate) use orders::shown as order_shown;
pub(crate) use socket::BinanceSocket;
pub(crate) use stream::BinanceStream;
pub(crate) use sub_accounts::Transfer;
pub(crate) use withdrawals::shown as withdrawal_shown;

const FORM: &str = "application/x-www-form-urlencoded";
const USED_WEIGHT: &str = "x-mbx-used-weight-1m";
const KEY_CHARACTERS: usize = 64;

/// The dialect.
pub(crate) struct Binance;

impl Dialect for Binance {
    fn name(&self) -> &'static str {
        "binance"
    }

    fn endpoint(&self, request: &Received) -> &'static str {
        endpoint(request).map_or("unknown endpoint", |row| row.name)
    }

    fn api_key(&self, request: &Received) -> Option<String> {
        request.header("x-mbx-apikey").map(ToOwned::to_owned)
    }

    fn run(
        &self,
        exchange: &mut Exchange,
        request: &Received,
        now_us: u64,
    ) -> Result<Done, Refused> {
        run(exchange, request, now_us).map_err(Refused::from)
    }

    fn instead(&self, instead: Instead) -> Refused {
        Refusal::from(instead).into()
    }

    fn headers(
        &self,
        exchange: &mut Exchange,
        request: &Received,
        status: u16,
    ) -> Vec<(&'static str, String)> {
        let weight = endpoint(request).map_or(1, |row| row.weight);
        let used = exchange
            .tallies
            .by_minute
            .add(request.peer, request.at_us, weight);
        let mut headers = vec![
            ("content-type", "application/json;charset=UTF-8".to_owned()),
            (USED_WEIGHT, used.to_string()),
        ];
        if status == 429 {
            headers.push(("retry-after", "1".to_owned()));
        }
        headers
    }
}

fn endpoint(request: &Received) -> Option<&'static Endpoint> {
    endpoints::endpoint(&request.method, &request.path)
}

// A body of any other type carries no parameters.
fn form(request: &Received) -> &[u8] {
    if request.content_type() == FORM {
        &request.body
    } else {
        &[]
    }
}

fn run(exchange: &mut Exchange, request: &Received, now_us: u64) -> Result<Done, Refusal> {
    let endpoint = endpoint(request).ok_or_else(|| Refusal::Path {
        method: request.method.clone(),
        path: request.path.clone(),
    })?;
    let api_key = request.header("x-mbx-apikey").unwrap_or_default();
    let (params, owner) = match endpoint.permission {
        None => (Params::parse(&request.query, form(request))?, Owner::Master),
        Some(permission) => authenticate(exchange, request, api_key, permission, now_us)?,
    };
    let call = Call {
        params: &params,
        api_key,
        peer: request.peer,
        owner: &owner,
        now_ms: now_us / 1000,
    };
    (endpoint.run)(exchange, &call)
}

fn authenticate(
    exchange: &mut Exchange,
    request: &Received,
    api_key: &str,
    permission: Permission,
    now_us: u64,
) -> Result<(Params, Owner), Refusal> {
    let key = find(&exchange.keys, api_key, request.peer)?;
    let params = Params::parse(&request.query, form(request))?;
    params.required("timestamp")?;
    let signed = Signed::split(&request.query, form(request))?;
    check_time(&params, now_us)?;
    signature::check(&key.credential, &signed)?;
    if !key.may(permission) {
        return Err(Refusal::Key);
    }
    let owner = key.owner.clone();
    exchange.keys.used(api_key, now_us / 1000);
    Ok((params, owner))
}

/// The key of a request, if it is well formed, known, and may come from that address.
fn find<'k>(keys: &'k Keys, api_key: &str, peer: IpAddr) -> Result<&'k Key, Refusal> {
    let well_formed =
        api_key.len() == KEY_CHARACTERS && api_key.bytes().all(|b| b.is_ascii_alphanumeric());
    if !well_formed {
        return Err(Refusal::KeyFormat);
    }
    match keys.find(For::Binance, api_key) {
        Some(key) if key.may_come_from(peer) => Ok(key),
        _ => Err(Refusal::Key),
    }
}
