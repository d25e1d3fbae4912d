//! API keys of sub-accounts: made, listed, restricted and deleted by the customer.
//!
//! Source: developers.binance.com, "Sub Account", API management (read 2026-11-26). Binance publishes no error for a key that
//! does not exist: here the parameter is illegal (-1100). What a key cannot do here (margin, futures, options, FIX) is not
//! supported (-9000).

use std::net::IpAddr;

use serde_json::{Value, json};

use super::super::account::Owner;
use super::super::credential::KeyType;
use super::super::exchange::Exchange;
use super::super::keys::{Change, For, Key, NewKey, Permission};
use super::super::request::Done;
use super::endpoints::Call;
use super::params::{Params, illegal};
use super::refusal::Refusal;
use super::sub_accounts::{master, sub_account};

const ANY: &str = "^.+$";
const STATUS: &str = "^[12]$";
const BOOLEAN: &str = "^(true|false)$";
const PEM_MARK: &str = "-----BEGIN";
const NOT_HERE: [&str; 5] = [
    "canMarginLoanRepay",
    "canFuturesTrade",
    "canVanillaOptions",
    "canFixApiTrading",
    "canFixApiReading",
];

/// `POST /sapi/v1/sub-account/subAccountApi`
pub(crate) fn create_key(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    master(call)?;
    let email = sub_account(exchange, call)?;
    let params = call.params;
    refuse_what_is_not_here(params)?;
    let name = params.required("apiName")?.to_owned();
    let ips = match params.required("status")? {
        "1" => Vec::new(),
        "2" => addresses(params)?,
        _ => return Err(illegal("status", STATUS)),
    };
    let mut permissions = vec![Permission::Read];
    grant(params, &mut permissions)?;
    let public_key = params.text("publicKey")?.map(pem);
    let form = |key_type| NewKey {
        label: name.clone(),
        dialect: For::Binance,
        key_type,
        public_key_pem: public_key.clone(),
        permissions: permissions.clone(),
        ips: ips.clone(),
        account: Some(email.clone()),
    };
    // The type of a public key is not said: it is the one that it can be read as.
    let types: &[KeyType] = match public_key {
        None => &[KeyType::Hmac],
        Some(_) => &[KeyType::Ed25519, KeyType::Rsa],
    };
    let mut made = types
        .iter()
        .filter_map(|kind| exchange.keys.create(form(*kind), call.now_ms).ok());
    let (api_key, secret) = made.next().ok_or_else(|| illegal("publicKey", ANY))?;
    let key = exchange.keys.find(For::Binance, &api_key);
    let mut shown = shown(key.ok_or(Refusal::Key)?);
    if let (Some(shown), Some(secret)) = (shown.as_object_mut(), secret) {
        shown.insert("secretKey".to_owned(), secret.into());
    }
    let words = format!("create API key of sub-account {email}");
    Ok(Done::said(shown, words))
}

/// `POST /sapi/v2/sub-account/subAccountApi`: a public key in the query string is refused.
pub(crate) fn create_key_v2(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    if call.params.is_in_query("publicKey") {
        return Err(illegal("publicKey", ANY));
    }
    create_key(exchange, call)
}

/// `GET /sapi/v1/sub-account/subAccountApi`
pub(crate) fn keys(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    master(call)?;
    let owner = Owner::Sub(sub_account(exchange, call)?);
    let wanted = call.params.text("subAccountApiKey")?;
    let found = exchange.keys.of(&owner);
    let found = found.filter(|key| wanted.is_none_or(|wanted| wanted == key.api_key));
    Ok(found.map(shown).collect::<Value>().into())
}

/// `DELETE /sapi/v1/sub-account/subAccountApi`
pub(crate) fn delete_key(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    master(call)?;
    let (email, api_key) = key(exchange, call)?;
    exchange.keys.delete(&api_key);
    let words = format!("delete API key of sub-account {email}");
    Ok(Done::said(json!({}), words))
}

/// `POST /sapi/v1/sub-account/subAccountApiPermission`
pub(crate) fn set_permissions(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    master(call)?;
    refuse_what_is_not_here(call.params)?;
    let (email, api_key) = key(exchange, call)?;
    let known = exchange.keys.find(For::Binance, &api_key);
    let mut permissions = known.ok_or(Refusal::Key)?.permissions.clone();
    grant(call.params, &mut permissions)?;
    let change = Change {
        permissions: Some(permissions),
        ips: None,
    };
    let changed = exchange.keys.change(&api_key, change, call.now_ms);
    let mut shown = shown(changed.ok_or(Refusal::Key)?);
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("apiKey");
        shown.remove("status");
        shown.remove("ipList");
        shown.insert("apikey".to_owned(), api_key.into());
        shown.insert("timestamp".to_owned(), call.now_ms.into());
    }
    let words = format!("change permissions of API key of sub-account {email}");
    Ok(Done::said(shown, words))
}

/// `POST /sapi/v2/sub-account/subAccountApi/ipRestriction`: adds, or with status 1 takes the whole list away.
pub(crate) fn add_ips(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    master(call)?;
    let (email, api_key) = key(exchange, call)?;
    let status = call.params.required("status")?;
    let known = exchange.keys.find(For::Binance, &api_key);
    let mut ips = known.ok_or(Refusal::Key)?.ips.clone();
    match status {
        "1" => ips.clear(),
        "2" => {
            let new = addresses(call.params)?;
            let missing: Vec<IpAddr> = new.into_iter().filter(|ip| !ips.contains(ip)).collect();
            ips.extend(missing);
        }
        _ => return Err(illegal("status", STATUS)),
    }
    let body = json!({
        "status": status,
        "ipList": ips,
        "updateTime": call.now_ms,
        "apiKey": api_key
    });
    change_ips(exchange, call, &api_key, ips);
    let words = format!("restrict addresses of API key of sub-account {email}");
    Ok(Done::said(body, words))
}

/// `GET /sapi/v1/sub-account/subAccountApi/ipRestriction`
pub(crate) fn ips(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    master(call)?;
    let (_, api_key) = key(exchange, call)?;
    let key = exchange.keys.find(For::Binance, &api_key);
    Ok(restriction(key.ok_or(Refusal::Key)?).into())
}

/// `DELETE /sapi/v1/sub-account/subAccountApi/ipRestriction/ipList`
///
/// The last address is not taken away: the key would be good from everywhere.
pub(crate) fn delete_ips(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    master(call)?;
    let (email, api_key) = key(exchange, call)?;
    let gone = addresses(call.params)?;
    let known = exchange.keys.find(For::Binance, &api_key);
    let known = &known.ok_or(Refusal::Key)?.ips;
    let left: Vec<IpAddr> = known
        .iter()
        .filter(|ip| !gone.contains(ip))
        .copied()
        .collect();
    if left.is_empty() || left.len() == known.len() {
        return Err(illegal("ipAddress", ANY));
    }
    change_ips(exchange, call, &api_key, left);
    let key = exchange.keys.find(For::Binance, &api_key);
    let words = format!("release addresses of API key of sub-account {email}");
    Ok(Done::said(restriction(key.ok_or(Refusal::Key)?), words))
}

/// The sub-account and the key of it that a request names.
fn key(exchange: &Exchange, call: &Call<'_>) -> Result<(String, String), Refusal> {
    let email = sub_account(exchange, call)?;
    let api_key = call.params.required("subAccountApiKey")?;
    let key = exchange.keys.find(For::Binance, api_key);
    match key {
        Some(key) if key.owner == Owner::Sub(email.clone()) => Ok((email, api_key.to_owned())),
        _ => Err(illegal("subAccountApiKey", ANY)),
    }
}

fn flag(params: &Params, name: &str) -> Result<Option<bool>, Refusal> {
    match params.text(name)? {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(illegal(name, BOOLEAN)),
    }
}

fn refuse_what_is_not_here(params: &Params) -> Result<(), Refusal> {
    for name in NOT_HERE {
        if flag(params, name)? == Some(true) {
            return Err(Refusal::Unsupported);
        }
    }
    Ok(())
}

fn grant(params: &Params, permissions: &mut Vec<Permission>) -> Result<(), Refusal> {
    for (name, permission) in [
        ("canTrade", Permission::Trade),
        ("canUniversalTransfer", Permission::Transfer),
    ] {
        if let Some(granted) = flag(params, name)? {
            permissions.retain(|known| *known != permission);
            permissions.extend(granted.then_some(permission));
        }
    }
    Ok(())
}

fn addresses(params: &Params) -> Result<Vec<IpAddr>, Refusal> {
    let list = params.required("ipAddress")?.split(',');
    list.map(|ip| ip.trim().parse().map_err(|_| illegal("ipAddress", ANY)))
        .collect()
}

// A key may come with or without the lines that PEM puts around it.
fn pem(text: &str) -> String {
    if text.contains(PEM_MARK) {
        return text.to_owned();
    }
    let label = "PUBLIC KEY";
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn change_ips(exchange: &mut Exchange, call: &Call<'_>, api_key: &str, ips: Vec<IpAddr>) {
    let change = Change {
        permissions: None,
        ips: Some(ips),
    };
    exchange.keys.change(api_key, change, call.now_ms);
}

fn restriction(key: &Key) -> Value {
    json!({
        "ipRestrict": key.has_ip_list().to_string(),
        "ipList": key.ips,
        "updateTime": key.changed_ms,
        "apiKey": key.api_key
    })
}

fn shown(key: &Key) -> Value {
    json!({
        "apiName": key.label,
        "apiKey": key.api_key,
        "canTrade": key.may(Permission::Trade),
        "canMarginLoanRepay": false,
        "canFuturesTrade": false,
        "canUniversalTransfer": key.may(Permission::Transfer),
        "canVanillaOptions": false,
        "status": if key.has_ip_list() { 2 } else { 1 },
        "ipList": key.ips
    })
}
