//! Sub-accounts: opening them, and moving money between them and the customer.
//!
//! Source: developers.binance.com, "Sub Account", account management and asset management (read 2026-11-26). Only the
//! customer's own keys may ask, except for `subToMaster`, for which only a sub-account's may. Binance publishes no error for
//! an e-mail address that does not exist: here the parameter is illegal (-1100).

use serde_json::{Value, json};

use super::super::account::Owner;
use super::super::exchange::Exchange;
use super::super::market::{asset, plain};
use super::super::request::Done;
use super::endpoints::Call;
use super::params::{Params, illegal};
use super::refusal::Refusal;

const ANY: &str = "^.+$";
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

/// Refuses the key of a sub-account.
pub(crate) fn master(call: &Call<'_>) -> Result<(), Refusal> {
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

/// The sub-account that a request names.
pub(crate) fn sub_account(exchange: &Exchange, call: &Call<'_>) -> Result<String, Refusal> {
    let email = call.params.required("email")?;
    if exchange.accounts.has(email) {
        Ok(email.to_owned())
    } else {
        Err(illegal("email", ANY))
    }
}
