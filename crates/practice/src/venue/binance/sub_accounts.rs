//! Sub-accounts: opening them, their API keys, and moving money between them and the customer.
//!
//! Source: developers.binance.com, "Sub Account", the pages on account management, API management and asset management
//! (read 2026-11-26). Only the customer's own keys may ask, except `subToMaster`, which only a sub-account's may. Binance
//! publishes no error for an e-mail address or a key that does not exist: here the parameter is illegal (-1100). What a
//! key cannot do here (margin, futures, options, FIX) is not supported (-9000).

use std::net::IpAddr;

use serde_json::{Value, json};

use super::super::account::Owner;
use super::super::credential::KeyType;
use super::super::exchange::Exchange;
use super::super::keys::{Change, For, Key, NewKey, Permission};
use super::super::market::{asset, plain};
use super::super::request::Done;
use super::endpoints::Call;
use super::params::{Params, illegal};
use super::refusal::Refusal;

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

/// Money that was moved.
pub(crate) struct Transfer {
    id: u64,
    from: Owner,
    to: Owner,
    asset: &'static str,
    amount: String,
    client_id: Option<String>,
    time_ms: u64,
}

/// `POST /sapi/v1/sub-account/virtualSubAccount`
pub(crate) fn open(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    master(call)?;
    let wanted = call.params.required("subAccountString")?;
    let letters = |b: u8| b.is_ascii_alphanumeric();
    if wanted.len() > 20 || !wanted.bytes().all(letters) {
        return Err(illegal("subAccountString", "^[a-zA-Z0-9]{1,20}$"));
    }
    let email = format!("{wanted}_virtual@practicenoemail.com");
    if !exchange.accounts.open(&email) {
        return Err(illegal("subAccountString", ANY));
    }
    let words = format!("open sub-account {email}");
    Ok(Done::said(json!({ "email": email }), words))
}

/// `GET /sapi/v1/sub-account/list`
pub(crate) fn list(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    master(call)?;
    let wanted = call.params.text("email")?;
    let emails = exchange.accounts.emails();
    let found = emails.filter(|email| wanted.is_none_or(|wanted| wanted == *email));
    let rows = found.map(|email| {
        json!({
            "email": email,
            "isFreeze": false,
            "createTime": call.now_ms,
            "isManagedSubAccount": false,
            "isAssetManagementSubAccount": false
        })
    });
    Ok(json!({ "subAccounts": rows.collect::<Value>() }).into())
}

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
    let now_ms = call.now_ms;
    let mut made = None;
    for key_type in types {
        made = exchange.keys.create(form(*key_type), now_ms).ok();
        if made.is_some() {
            break;
        }
    }
    let (api_key, secret) = made.ok_or_else(|| illegal("publicKey", ANY))?;
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

/// `POST /sapi/v1/sub-account/universalTransfer`
pub(crate) fn transfer(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    master(call)?;
    let params = call.params;
    for name in ["fromAccountType", "toAccountType"] {
        if params.required(name)? != "SPOT" {
            return Err(illegal(name, "^SPOT$"));
        }
    }
    let (from, to) = (
        end(exchange, params, "fromEmail")?,
        end(exchange, params, "toEmail")?,
    );
    if from == to {
        return Err(Refusal::OneOf {
            first: "fromEmail",
            second: "toEmail",
        });
    }
    let client_id = params.text("clientTranId")?;
    let known =
        |transfer: &Transfer| client_id.is_some() && transfer.client_id.as_deref() == client_id;
    if exchange.transfers.iter().any(known) {
        return Err(illegal("clientTranId", ANY));
    }
    let (id, words) = moved(exchange, call, from, to)?;
    Ok(Done::said(
        json!({ "tranId": id, "clientTranId": client_id }),
        words,
    ))
}

/// `POST /sapi/v1/sub-account/transfer/subToMaster`
pub(crate) fn to_master(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    if *call.owner == Owner::Master {
        return Err(Refusal::Key);
    }
    let (id, words) = moved(exchange, call, call.owner.clone(), Owner::Master)?;
    Ok(Done::said(json!({ "txnId": id.to_string() }), words))
}

/// `GET /sapi/v1/sub-account/universalTransfer`, newest first.
pub(crate) fn transfers(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    master(call)?;
    let rows = exchange.transfers.iter().rev().map(|transfer| {
        json!({
            "tranId": transfer.id,
            "fromEmail": email_of(&transfer.from),
            "toEmail": email_of(&transfer.to),
            "asset": transfer.asset,
            "amount": transfer.amount,
            "createTimeStamp": transfer.time_ms,
            "fromAccountType": "SPOT",
            "toAccountType": "SPOT",
            "status": "SUCCESS",
            "clientTranId": transfer.client_id
        })
    });
    let rows: Vec<Value> = rows.collect();
    Ok(json!({ "result": rows, "totalCount": rows.len() }).into())
}

fn moved(
    exchange: &mut Exchange,
    call: &Call<'_>,
    from: Owner,
    to: Owner,
) -> Result<(u64, String), Refusal> {
    let asset = asset(call.params.required("asset")?).ok_or(Refusal::Asset)?;
    call.params.required("amount")?;
    let amount = call.params.decimal("amount")?.unwrap_or_default();
    if amount <= bigdecimal::BigDecimal::default() {
        return Err(illegal("amount", ANY));
    }
    exchange
        .accounts
        .transfer(&from, &to, asset, &amount)
        .map_err(|_| Refusal::WithdrawBalance)?;
    let words = format!(
        "transfer {} {asset} from {} to {}",
        amount.normalized().to_plain_string(),
        email_of(&from),
        email_of(&to)
    );
    let id = exchange.transfers.len() as u64 + 1;
    exchange.transfers.push(Transfer {
        id,
        from,
        to,
        asset,
        amount: plain(&amount),
        client_id: call.params.text("clientTranId")?.map(ToOwned::to_owned),
        time_ms: call.now_ms,
    });
    Ok((id, words))
}

fn master(call: &Call<'_>) -> Result<(), Refusal> {
    match call.owner {
        Owner::Master => Ok(()),
        Owner::Sub(_) => Err(Refusal::Key),
    }
}

fn end(exchange: &Exchange, params: &Params, name: &str) -> Result<Owner, Refusal> {
    match params.text(name)? {
        None => Ok(Owner::Master),
        Some(email) if exchange.accounts.has(email) => Ok(Owner::Sub(email.to_owned())),
        Some(_) => Err(illegal(name, ANY)),
    }
}

fn email_of(owner: &Owner) -> &str {
    match owner {
        Owner::Master => "master",
        Owner::Sub(email) => email,
    }
}

fn sub_account(exchange: &Exchange, call: &Call<'_>) -> Result<String, Refusal> {
    let email = call.params.required("email")?;
    if exchange.accounts.has(email) {
        Ok(email.to_owned())
    } else {
        Err(illegal("email", ANY))
    }
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
