//! Sending money, and what was sent.
//!
//! Source: docs.cdp.coinbase.com "Send Crypto" and "Transactions" (read 2026-11-26). The network's fee comes on top of the
//! amount; a second request with the same `idem` gets the first one's transaction.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::calendar;
use super::super::exchange::Exchange;
use super::super::request::Done;
use super::super::withdrawals::{Fee, NewWithdrawal, Withdrawal};
use super::endpoints::Call;
use super::market::plain;
use super::names::{self, NETWORKS};
use super::params::decimal;
use super::refusal::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Send {
    #[serde(rename = "type")]
    kind: String,
    to: String,
    amount: String,
    currency: String,
    idem: Option<String>,
    network: Option<String>,
    destination_tag: Option<String>,
    #[serde(rename = "description")]
    _description: Option<Value>,
    #[serde(rename = "skip_notifications")]
    _quiet: Option<Value>,
    #[serde(rename = "travel_rule_data")]
    _travel_rule: Option<Value>,
}

/// `POST /v2/accounts/{account_id}/transactions`
pub(crate) fn send(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let asset = names::asset(call.owner, call.id).ok_or(Refusal::NotFound("account"))?;
    let wish: Send = call.params.body()?;
    if wish.kind != "send" {
        return Err(Refusal::Invalid("type must be send"));
    }
    if wish.currency != asset {
        return Err(Refusal::Invalid("Currency is not the account's"));
    }
    // Other customers are reached by e-mail; there are none here.
    if wish.to.contains('@') {
        return Err(Refusal::Invalid("Please enter a valid address"));
    }
    if let Some(earlier) = earlier(exchange, call, wish.idem.as_deref()) {
        let words = format!("repeated: {}", earlier.sentence());
        return Ok(created(call, &earlier, words));
    }
    let new = NewWithdrawal {
        owner: call.owner,
        asset,
        network: wish.network.as_deref().map(network).transpose()?,
        amount: decimal(&wish.amount)?,
        address: &wish.to,
        address_tag: wish.destination_tag.as_deref(),
        key: None,
        client_id: wish.idem.as_deref(),
        fee: Fee::OnTop,
    };
    let Exchange {
        withdrawals,
        accounts,
        ..
    } = exchange;
    let done = withdrawals.apply(new, accounts, call.now_ms)?;
    Ok(created(call, &done, done.sentence()))
}

/// `GET /v2/accounts/{account_id}/transactions`, newest first.
pub(crate) fn list(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let asset = names::asset(call.owner, call.id).ok_or(Refusal::NotFound("account"))?;
    let newest = exchange.withdrawals.newest(call.owner);
    let of_asset = newest.filter(|w| w.asset == asset);
    let rows: Value = of_asset.map(|w| shown(call, w)).collect();
    Ok(json!({ "pagination": { "next_uri": null }, "data": rows }).into())
}

fn earlier(exchange: &Exchange, call: &Call<'_>, idem: Option<&str>) -> Option<Withdrawal> {
    let idem = idem?;
    let mut newest = exchange.withdrawals.newest(call.owner);
    newest
        .find(|w| w.client_id.as_deref() == Some(idem))
        .cloned()
}

fn created(call: &Call<'_>, withdrawal: &Withdrawal, words: String) -> Done {
    Done {
        status: 201,
        body: json!({ "data": shown(call, withdrawal) }),
        words: Some(words),
    }
}

fn shown(call: &Call<'_>, withdrawal: &Withdrawal) -> Value {
    let asset = withdrawal.asset;
    let id = names::transaction(&withdrawal.id);
    let time = calendar::rfc3339(withdrawal.time_ms);
    let money = |amount: String| json!({ "amount": amount, "currency": asset });
    let account = names::account(call.owner, asset);
    json!({
        "id": id,
        "type": "send",
        "status": "completed",
        "amount": money(format!("-{}", plain(&withdrawal.gross))),
        "description": null,
        "created_at": time,
        "updated_at": time,
        "resource": "transaction",
        "resource_path": format!("/v2/accounts/{account}/transactions/{id}"),
        "network": {
            "status": "confirmed",
            "hash": withdrawal.transaction(),
            "network_name": network_shown(withdrawal.network.name),
            "transaction_fee": money(plain(&withdrawal.network.fee)),
            "transaction_amount": money(plain(&withdrawal.net))
        },
        "to": { "resource": "address", "address": withdrawal.address, "currency": asset },
        "idem": withdrawal.client_id,
        "details": { "title": format!("Sent {asset}") }
    })
}

fn network(name: &str) -> Result<&'static str, Refusal> {
    let mut known = NETWORKS.iter();
    let found = known.find(|(theirs, _)| *theirs == name);
    found
        .map(|(_, ours)| *ours)
        .ok_or(Refusal::Invalid("Network is not supported for this asset"))
}

fn network_shown(name: &'static str) -> &'static str {
    let mut known = NETWORKS.iter();
    let found = known.find(|(_, ours)| *ours == name);
    found.map_or(name, |(theirs, _)| theirs)
}
