//! Accounts, one for each asset, and what the key may do.

use serde_json::{Value, json};

use super::super::account::{Balance, Owner};
use super::super::calendar;
use super::super::exchange::Exchange;
use super::super::keys::{For, Permission};
use super::super::request::Done;
use super::endpoints::Call;
use super::market::plain;
use super::names;
use super::refusal::Refusal;

/// `GET /api/v3/brokerage/accounts`
pub(crate) fn all(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let balances = exchange.accounts.of(call.owner).balances();
    let rows: Vec<Value> = balances
        .map(|(asset, balance)| shown(call.owner, asset, &balance))
        .collect();
    Ok(json!({ "accounts": rows, "has_next": false, "cursor": "", "size": rows.len() }).into())
}

/// `GET /api/v3/brokerage/accounts/{account_uuid}`
pub(crate) fn one(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let asset = names::asset(call.owner, call.id).ok_or(Refusal::NotFound("account"))?;
    let balance = exchange.accounts.of(call.owner).of(asset);
    Ok(json!({ "account": shown(call.owner, asset, &balance) }).into())
}

/// `GET /v2/accounts`
pub(crate) fn all_v2(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let balances = exchange.accounts.of(call.owner).balances();
    let rows: Vec<Value> = balances
        .map(|(asset, balance)| shown_v2(call.owner, asset, &balance))
        .collect();
    let pagination = json!({
        "ending_before": null,
        "starting_after": null,
        "next_starting_after": null,
        "limit": rows.len(),
        "order": "desc",
        "previous_uri": null,
        "next_uri": null
    });
    Ok(json!({ "pagination": pagination, "data": rows }).into())
}

/// `GET /v2/accounts/{account_id}`
pub(crate) fn one_v2(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let asset = names::asset(call.owner, call.id).ok_or(Refusal::NotFound("account"))?;
    let balance = exchange.accounts.of(call.owner).of(asset);
    Ok(json!({ "data": shown_v2(call.owner, asset, &balance) }).into())
}

/// `GET /api/v3/brokerage/transaction_summary`: nothing costs anything here.
pub(crate) fn fees(_: &mut Exchange, _: &Call<'_>) -> Result<Done, Refusal> {
    Ok(json!({
        "total_volume": 0,
        "total_fees": 0,
        "fee_tier": {
            "pricing_tier": "Practice",
            "usd_from": "0",
            "usd_to": "",
            "taker_fee_rate": "0",
            "maker_fee_rate": "0"
        },
        "margin_rate": null,
        "goods_and_services_tax": null,
        "advanced_trade_only_volume": 0,
        "advanced_trade_only_fees": 0,
        "coinbase_pro_volume": 0,
        "coinbase_pro_fees": 0
    })
    .into())
}

/// `GET /api/v3/brokerage/key_permissions`
pub(crate) fn permissions(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let key = exchange.keys.find(For::Coinbase, call.api_key);
    let key = key.ok_or(Refusal::Unauthorized)?;
    Ok(json!({
        "can_view": key.may(Permission::Read),
        "can_trade": key.may(Permission::Trade),
        "can_transfer": key.may(Permission::Withdraw),
        "portfolio_uuid": names::portfolio(),
        "portfolio_type": "DEFAULT"
    })
    .into())
}

fn shown(owner: &Owner, asset: &str, balance: &Balance) -> Value {
    json!({
        "uuid": names::account(owner, asset),
        "name": format!("{asset} Wallet"),
        "currency": asset,
        "available_balance": { "value": plain(&balance.free), "currency": asset },
        "default": true,
        "active": true,
        "created_at": calendar::rfc3339(0),
        "updated_at": calendar::rfc3339(0),
        "deleted_at": null,
        "type": "ACCOUNT_TYPE_CRYPTO",
        "ready": true,
        "hold": { "value": plain(&balance.locked), "currency": asset },
        "retail_portfolio_id": names::portfolio(),
        "platform": "ACCOUNT_PLATFORM_CONSUMER"
    })
}

fn shown_v2(owner: &Owner, asset: &str, balance: &Balance) -> Value {
    let id = names::account(owner, asset);
    let total = &balance.free + &balance.locked;
    json!({
        "id": id,
        "name": format!("{asset} Wallet"),
        "primary": false,
        "type": "wallet",
        "currency": { "code": asset, "name": asset, "exponent": 8, "type": "crypto" },
        "balance": { "amount": plain(&total), "currency": asset },
        "created_at": calendar::rfc3339(0),
        "updated_at": calendar::rfc3339(0),
        "resource": "account",
        "resource_path": format!("/v2/accounts/{id}"),
        "allow_deposits": true,
        "allow_withdrawals": true
    })
}
