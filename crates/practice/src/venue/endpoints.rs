//! The table of endpoints, and what each of them does. What is not in the table does not exist here.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::exchange::Exchange;
use super::keys::Permission;
use super::order::{NewOrder, ResponseType};
use super::params::Params;
use super::refusal::Refusal;
use super::withdrawals;

/// What an endpoint gets to see of a request.
pub(crate) struct Call<'a> {
    pub(crate) params: &'a Params,
    pub(crate) api_key: &'a str,
    pub(crate) peer: IpAddr,
    /// The server's clock.
    pub(crate) now_ms: u64,
}

/// What was done.
pub(crate) struct Done {
    /// The answer.
    pub(crate) body: Value,
    /// In words, where there is more to say than the endpoint's name.
    pub(crate) words: Option<String>,
}

impl From<Value> for Done {
    fn from(body: Value) -> Self {
        Self { body, words: None }
    }
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

// A table is read by its columns.
#[rustfmt::skip]
const ENDPOINTS: &[Endpoint] = &[
    row("GET",    "/api/v3/ping",                      PUBLIC,   1,   "ping",                  ping),
    row("GET",    "/api/v3/time",                      PUBLIC,   1,   "server time",           time),
    row("GET",    "/api/v3/exchangeInfo",              PUBLIC,   20,  "exchange information",  info),
    row("GET",    "/api/v3/ticker/price",              PUBLIC,   4,   "prices",                prices),
    row("GET",    "/api/v3/ticker/24hr",               PUBLIC,   80,  "tickers",               tickers),
    row("GET",    "/api/v3/depth",                     PUBLIC,   5,   "order book",            depth),
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
pub(crate) fn find(method: &str, path: &str) -> Option<&'static Endpoint> {
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
    Ok(exchange.market.info(call.params, call.now_ms)?.into())
}

fn prices(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(exchange.market.prices(call.params)?.into())
}

fn tickers(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(exchange.market.tickers(call.params, call.now_ms)?.into())
}

fn depth(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(exchange.market.depth(call.params, call.now_ms)?.into())
}

fn place(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let new = NewOrder::read(call.params, exchange.market.required(call.params)?)?;
    let response_type = ResponseType::read(call.params)?;
    let words = Some(new.sentence());
    let order = exchange
        .book
        .place(new, &mut exchange.account, call.now_ms)?
        .clone();
    let body = order.answer(response_type, exchange.book.fills(order.id));
    Ok(Done { body, words })
}

fn test(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let new = NewOrder::read(call.params, exchange.market.required(call.params)?)?;
    let words = Some(format!("test order: {}", new.sentence()));
    Ok(Done {
        body: json!({}),
        words,
    })
}

fn cancel(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let Exchange {
        market,
        book,
        account,
        ..
    } = exchange;
    let symbol = market.required(call.params)?;
    let cancel_id = call.params.text("newClientOrderId")?;
    let order = book.cancel(call.params, symbol, account, call.now_ms)?;
    let body = order.cancelled(cancel_id.unwrap_or(&order.new.client_id));
    let words = Some(format!("cancel order {}", order.id));
    Ok(Done { body, words })
}

fn cancel_all(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let Exchange {
        market,
        book,
        account,
        ..
    } = exchange;
    let symbol = market.required(call.params)?;
    let gone = book.cancel_all(symbol, account, call.now_ms)?;
    let words = Some(format!(
        "cancel all {} orders of {}",
        gone.len(),
        symbol.name
    ));
    let rows = gone
        .into_iter()
        .map(|order| order.cancelled(&order.new.client_id));
    Ok(Done {
        body: rows.collect(),
        words,
    })
}

fn query(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let symbol = exchange.market.required(call.params)?;
    Ok(exchange.book.find(call.params, symbol)?.shown().into())
}

fn open(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(exchange
        .book
        .open(exchange.market.optional(call.params)?)
        .into())
}

fn all(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(exchange
        .book
        .all(Some(exchange.market.required(call.params)?))
        .into())
}

fn trades(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(exchange
        .book
        .trades(exchange.market.required(call.params)?)
        .into())
}

fn account(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let key = exchange.keys.find(call.api_key, call.peer)?;
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
        "balances": exchange.account.balances(),
        "permissions": ["SPOT"],
        "uid": 1
    });
    Ok(body.into())
}

fn withdraw(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let Exchange {
        withdrawals,
        account,
        ..
    } = exchange;
    let (body, words) = withdrawals.apply(call.params, account, call.now_ms)?;
    Ok(Done {
        body,
        words: Some(words),
    })
}

fn history(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    Ok(exchange.withdrawals.history(call.params)?.into())
}

fn coins(exchange: &mut Exchange, _: &Call<'_>) -> Result<Done, Refusal> {
    Ok(withdrawals::config(&exchange.account).into())
}

fn restrictions(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let key = exchange.keys.find(call.api_key, call.peer)?;
    let body = json!({
        "ipRestrict": key.has_ip_list(),
        "createTime": key.created_ms,
        "enableReading": key.may(Permission::Read),
        "enableWithdrawals": key.may(Permission::Withdraw),
        "enableSpotAndMarginTrading": key.may(Permission::Trade),
        "enableInternalTransfer": false,
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
