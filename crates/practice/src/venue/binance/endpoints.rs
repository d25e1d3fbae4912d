//! The table of endpoints, and what each of them does. What is not in the table does not exist here.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::super::account::{Account, Balance, Owner};
use super::super::exchange::Exchange;
use super::super::keys::Permission;
use super::super::market::plain;
use super::super::order::Order;
use super::super::request::Done;
use super::orders::{self, ResponseType, Wanted};
use super::params::Params;
use super::refusal::Refusal;
use super::{find, market, sub_accounts, sub_keys, withdrawals};

/// What an endpoint gets to see of a request.
pub(crate) struct Call<'a> {
    pub(crate) params: &'a Params,
    pub(crate) api_key: &'a str,
    pub(crate) peer: IpAddr,
    /// Whose key it is; the customer, where there is none.
    pub(crate) owner: &'a Owner,
    /// The server's clock.
    pub(crate) now_ms: u64,
}

type Run = fn(&mut Exchange, &Call<'_>) -> Result<Done, Refusal>;

/// One row of the table.
pub(crate) struct Endpoint {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// What a key must be allowed to do; nothing: the endpoint is public and takes no signature.
    pub(crate) permission: Option<Permission>,
    /// Request weight.
    pub(crate) weight: u32,
    /// In words, for the record.
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

const PUBLIC: Option<Permission> = None;
const READ: Option<Permission> = Some(Permission::Read);
const TRADE: Option<Permission> = Some(Permission::Trade);
const WITHDRAW: Option<Permission> = Some(Permission::Withdraw);
const TRANSFER: Option<Permission> = Some(Permission::Transfer);

// A table is read by its columns.
#[rustfmt::skip]
const ENDPOINTS: &[Endpoint] = &[
    row("GET",    "/api/v3/ping",                      PUBLIC,   1,   "ping",                  ping),
    row("GET",    "/api/v3/time",                      PUBLIC,   1,   "server time",           time),
    row("GET",    "/api/v3/exchangeInfo",              PUBLIC,   20,  "exchange information",  info),
    row("GET",    "/api/v3/ticker/price",              PUBLIC,   4,   "prices",                prices),
    row("GET",    "/api/v3/ticker/24hr",               PUBLIC,   80,  "tickers",               tickers),
    row("GET",    "/api/v3/depth",                     PUBLIC,   5,   "order book",            depth),
    row("GET",    "/api/v3/klines",                    PUBLIC,   2,   "candles",               candles),
    row("POST",   "/api/v3/order",                     TRADE,    1,   "place order",           place),
    row("POST",   "/api/v3/order/test",                TRADE,    1,   "test order",            test),
    row("DELETE", "/api/v3/order",                     TRADE,    1,   "cancel order",          cancel),
    row("DELETE", "/api/v3/openOrders",                TRADE,    1,   "cancel all orders",     cancel_all),
    row("GET",    "/api/v3/order",                     READ,     4,   "query order",           query),
    row("GET",    "/api/v3/openOrders",                READ,     6,   "open orders",           open),
    row("GET",    "/api/v3/allOrders",                 READ,     20,  "all orders",            all),
    row("GET",    "/api/v3/myTrades",                  READ,     20,  "trades",                trades),
    row("GET",    "/api/v3/account",                   READ,     20,  "account",               account),
    row("POST",   "/sapi/v1/capital/withdraw/apply",   WITHDRAW, 600, "withdraw",              withdraw),
    row("GET",    "/sapi/v1/capital/withdraw/history", READ,     2,   "withdrawal history",    history),
    row("GET",    "/sapi/v1/capital/config/getall",    READ,     10,  "coins",                 coins),
    row("GET",    "/sapi/v1/account/apiRestrictions",  READ,     1,   "key restrictions",      restrictions),
    row("POST",   "/sapi/v1/sub-account/virtualSubAccount",    TRADE,    1,    "open sub-account",          sub_accounts::open),
    row("GET",    "/sapi/v1/sub-account/list",                 READ,     1,    "sub-accounts",              sub_accounts::list),
    row("POST",   "/sapi/v1/sub-account/subAccountApi",        TRADE,    3000, "create sub-account key",    sub_keys::create_key),
    row("POST",   "/sapi/v2/sub-account/subAccountApi",        TRADE,    3000, "create sub-account key",    sub_keys::create_key_v2),
    row("GET",    "/sapi/v1/sub-account/subAccountApi",        READ,     3000, "sub-account keys",          sub_keys::keys),
    row("DELETE", "/sapi/v1/sub-account/subAccountApi",        TRADE,    3000, "delete sub-account key",    sub_keys::delete_key),
    row("POST",   "/sapi/v1/sub-account/subAccountApiPermission",           TRADE, 3000, "set sub-account key permissions", sub_keys::set_permissions),
    row("POST",   "/sapi/v2/sub-account/subAccountApi/ipRestriction",        TRADE, 3000, "add sub-account key addresses",   sub_keys::add_ips),
    row("GET",    "/sapi/v1/sub-account/subAccountApi/ipRestriction",        READ,  3000, "sub-account key addresses",       sub_keys::ips),
    row("DELETE", "/sapi/v1/sub-account/subAccountApi/ipRestriction/ipList", TRADE, 3000, "delete sub-account key addresses", sub_keys::delete_ips),
    row("POST",   "/sapi/v1/sub-account/universalTransfer",    TRANSFER, 360,  "transfer",                  sub_accounts::transfer),
    row("GET",    "/sapi/v1/sub-account/universalTransfer",    READ,     1,    "transfers",                 sub_accounts::transfers),
    row("POST",   "/sapi/v1/sub-account/transfer/subToMaster", TRANSFER, 1,    "transfer to master",        sub_accounts::to_master),
    row("GET",    "/sapi/v1/margin/allPairs",          READ,     1,   "margin pairs",          no_pairs),
    row("GET",    "/sapi/v1/margin/isolated/allPairs", READ,     10,  "isolated margin pairs", no_pairs),
];

const fn row(
    method: &'static str,
    path: &'static str,
    permission: Option<Permission>,
    weight: u32,
    name: &'static str,
    run: Run,
) -> Endpoint {
    Endpoint {
        method,
        path,
        permission,
        weight,
        name,
        run,
    }
}

/// The endpoint of a method and path.
pub(crate) fn endpoint(method: &str, path: &str) -> Option<&'static Endpoint> {
    ENDPOINTS
        .iter()
        .find(|row| row.method == method && row.path == path)
}

fn ping(_: &mut Exchange, _: &Call<'_>) -> Result<Done, Refusal> {
    Ok(json!({}).into())
}

fn time(_: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(json!({ "serverTime": call.now_ms }).into())
}

fn info(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(market::info(&exchange.market, call.params, call.now_ms)?.into())
}

fn prices(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(market::prices(&exchange.market, call.params)?.into())
}

fn tickers(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(market::tickers(&exchange.market, call.params, call.now_ms)?.into())
}

fn depth(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(market::depth(&exchange.market, call.params, call.now_ms)?.into())
}

fn candles(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(market::candles(&exchange.market, call.params, call.now_ms)?.into())
}

fn place(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let symbol = market::required(&exchange.market, call.params)?;
    let new = orders::read(call.params, symbol, call.owner)?;
    let response_type = ResponseType::read(call.params)?;
    let words = new.sentence();
    let Exchange { book, accounts, .. } = exchange;
    let order = book.place(new, accounts, call.now_ms)?;
    let fills = book.trades(call.owner);
    let fills = fills.filter(|trade| trade.order_id == order.id);
    let body = orders::answer(&order, response_type, fills.map(orders::fill).collect());
    Ok(Done::said(body, words))
}

fn test(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let symbol = market::required(&exchange.market, call.params)?;
    let new = orders::read(call.params, symbol, call.owner)?;
    let words = format!("test order: {}", new.sentence());
    Ok(Done::said(json!({}), words))
}

fn cancel(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let symbol = market::required(&exchange.market, call.params)?;
    let cancel_id = call.params.text("newClientOrderId")?;
    let wanted = Wanted::read(call.params, symbol)?;
    let Exchange { book, accounts, .. } = exchange;
    let is = |order: &Order| order.new.owner == *call.owner && wanted.is(order);
    let gone = book.cancel(is, accounts, call.now_ms);
    let order = gone.first().ok_or(Refusal::UnknownOrder)?;
    let words = format!("cancel order {}", order.id);
    Ok(Done::said(orders::cancelled(order, cancel_id), words))
}

fn cancel_all(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let symbol = market::required(&exchange.market, call.params)?;
    let name = symbol.name;
    let Exchange { book, accounts, .. } = exchange;
    let is = |order: &Order| order.new.owner == *call.owner && order.new.symbol.name == name;
    let gone = book.cancel(is, accounts, call.now_ms);
    if gone.is_empty() {
        return Err(Refusal::UnknownOrder);
    }
    let rows = gone.iter().map(|order| orders::cancelled(order, None));
    let words = format!("cancel all {} orders of {name}", gone.len());
    Ok(Done::said(rows.collect(), words))
}

fn query(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let symbol = market::required(&exchange.market, call.params)?;
    let wanted = Wanted::read(call.params, symbol)?;
    let mut newest = exchange.book.orders(call.owner).rev();
    let order = newest.find(|order| wanted.is(order));
    Ok(orders::shown(order.ok_or(Refusal::NoSuchOrder)?).into())
}

fn open(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let symbol = market::optional(&exchange.market, call.params)?;
    let wanted = |order: &&Order| {
        order.is_open() && symbol.is_none_or(|symbol| symbol.name == order.new.symbol.name)
    };
    let found = exchange.book.orders(call.owner).filter(wanted);
    Ok(found.map(orders::shown).collect::<Value>().into())
}

fn all(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let symbol = market::required(&exchange.market, call.params)?;
    let of_pair = |order: &&Order| order.new.symbol.name == symbol.name;
    let found = exchange.book.orders(call.owner).filter(of_pair);
    Ok(found.map(orders::shown).collect::<Value>().into())
}

fn trades(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let symbol = market::required(&exchange.market, call.params)?;
    let trades = exchange.book.trades(call.owner);
    let of_pair = trades.filter(|trade| trade.symbol.name == symbol.name);
    Ok(of_pair.map(orders::trade).collect::<Value>().into())
}

fn account(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let balances = balances(exchange.accounts.of(call.owner));
    let key = find(&exchange.keys, call.api_key, call.peer)?;
    let none = "0.00000000";
    let body = json!({
        "makerCommission": 0,
        "takerCommission": 0,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": { "maker": none, "taker": none, "buyer": none, "seller": none },
        "canTrade": key.may(Permission::Trade),
        "canWithdraw": key.may(Permission::Withdraw),
        "canDeposit": true,
        "brokered": false,
        "requireSelfTradePrevention": false,
        "preventSor": true,
        "updateTime": call.now_ms,
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": 1
    });
    Ok(body.into())
}

/// The `balances` of `GET /api/v3/account`.
pub(crate) fn balances(account: &Account) -> Value {
    let row = |(asset, balance): (&str, Balance)| {
        let (free, locked) = (plain(&balance.free), plain(&balance.locked));
        json!({ "asset": asset, "free": free, "locked": locked })
    };
    account.balances().map(row).collect()
}

fn withdraw(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let new = withdrawals::read(call.params, call.owner)?;
    let Exchange {
        withdrawals,
        accounts,
        ..
    } = exchange;
    let done = withdrawals.apply(new, accounts, call.now_ms)?;
    Ok(Done::said(json!({ "id": done.id }), done.sentence()))
}

fn history(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let newest = exchange.withdrawals.newest(call.owner);
    Ok(withdrawals::history(newest, call.params)?.into())
}

fn coins(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(withdrawals::config(exchange.accounts.of(call.owner)).into())
}

fn restrictions(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let key = find(&exchange.keys, call.api_key, call.peer)?;
    let body = json!({
        "ipRestrict": key.has_ip_list(),
        "createTime": key.created_ms,
        "enableReading": key.may(Permission::Read),
        "enableWithdrawals": key.may(Permission::Withdraw),
        "enableSpotAndMarginTrading": key.may(Permission::Trade),
        "enableInternalTransfer": key.may(Permission::Transfer),
        "enableMargin": false,
        "enableFutures": false,
        "permitsUniversalTransfer": false,
        "enableVanillaOptions": false,
        "enableFixApiTrade": false,
        "enableFixReadOnly": false,
        "enablePortfolioMarginTrading": false
    });
    Ok(body.into())
}

// There is no margin trading here; clients ask all the same when they load the markets.
fn no_pairs(_: &mut Exchange, _: &Call<'_>) -> Result<Done, Refusal> {
    Ok(json!([]).into())
}
