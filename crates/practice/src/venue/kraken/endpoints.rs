//! The table of endpoints. What is not in the table does not exist here.

use serde_json::{Value, json};

use super::super::account::Owner;
use super::super::exchange::Exchange;
use super::super::keys::{For, Key, Permission};
use super::super::request::Done;
use super::params::Params;
use super::refusal::Refusal;
use super::{funding, market, names, orders, socket};

/// What an endpoint gets to see of a request.
pub(crate) struct Call<'a> {
    pub(crate) params: &'a Params,
    pub(crate) api_key: &'a str,
    /// Whose key it is; the customer, where there is none.
    pub(crate) owner: &'a Owner,
    /// The server's clock.
    pub(crate) now_us: u64,
}

impl Call<'_> {
    /// The server's clock in milliseconds.
    pub(crate) const fn now_ms(&self) -> u64 {
        self.now_us / 1000
    }
}

type Run = fn(&mut Exchange, &Call<'_>) -> Result<Done, Refusal>;

/// One row of the table.
pub(crate) struct Endpoint {
    pub(crate) path: &'static str,
    pub(crate) is_private: bool,
    /// What a key must be allowed to do.
    pub(crate) permissions: &'static [Permission],
    /// In words, for the record.
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

const NONE: &[Permission] = &[];
const READ: &[Permission] = &[Permission::Read];
const TRADE: &[Permission] = &[Permission::Trade];
const WITHDRAW: &[Permission] = &[Permission::Withdraw];
const BOTH: &[Permission] = &[Permission::Read, Permission::Withdraw];

// A table is read by its columns.
#[rustfmt::skip]
const ENDPOINTS: &[Endpoint] = &[
    public("/0/public/Time",          "server time",   market::time),
    public("/0/public/SystemStatus",  "system status", market::status),
    public("/0/public/Assets",        "assets",        market::assets),
    public("/0/public/AssetPairs",    "asset pairs",   market::pairs),
    public("/0/public/Ticker",        "tickers",       market::ticker),
    public("/0/public/Depth",         "order book",    market::depth),
    private("/0/private/Balance",            READ,     "balances",             balance),
    private("/0/private/BalanceEx",          READ,     "balances and holds",   balance_ex),
    private("/0/private/OpenOrders",         READ,     "open orders",          orders::open),
    private("/0/private/ClosedOrders",       READ,     "closed orders",        orders::closed),
    private("/0/private/QueryOrders",        READ,     "query orders",         orders::query),
    private("/0/private/TradesHistory",      READ,     "trades",               orders::trades),
    private("/0/private/AddOrder",           TRADE,    "place order",          orders::add),
    private("/0/private/CancelOrder",        TRADE,    "cancel order",         orders::cancel),
    private("/0/private/CancelAll",          TRADE,    "cancel all orders",    orders::cancel_all),
    private("/0/private/Withdraw",           WITHDRAW, "withdraw",             funding::withdraw),
    private("/0/private/WithdrawStatus",     BOTH,     "withdrawals",          funding::status),
    private("/0/private/WithdrawInfo",       BOTH,     "withdrawal terms",     funding::info),
    private("/0/private/WithdrawMethods",    BOTH,     "withdrawal methods",   funding::methods),
    private("/0/private/WithdrawAddresses",  BOTH,     "withdrawal addresses", funding::addresses),
    private("/0/private/GetWebSocketsToken", READ,     "socket token",         socket::token),
    private("/0/private/GetApiKeyInfo",      NONE,     "key restrictions",     key_info),
];

const fn public(path: &'static str, name: &'static str, run: Run) -> Endpoint {
    Endpoint {
        path,
        is_private: false,
        permissions: NONE,
        name,
        run,
    }
}

const fn private(
    path: &'static str,
    permissions: &'static [Permission],
    name: &'static str,
    run: Run,
) -> Endpoint {
    Endpoint {
        path,
        is_private: true,
        permissions,
        name,
        run,
    }
}

/// The endpoint of a path.
pub(crate) fn find(path: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|row| row.path == path)
}

fn balance(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let account = exchange.accounts.of(call.owner);
    let row = |asset: &names::Asset| {
        let balance = account.of(asset.plain);
        let total = names::amount(&(balance.free + balance.locked), asset.decimals);
        (asset.id.to_owned(), Value::from(total))
    };
    Ok(Value::Object(names::ASSETS.iter().map(row).collect()).into())
}

fn balance_ex(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let account = exchange.accounts.of(call.owner);
    let row = |asset: &names::Asset| {
        let balance = account.of(asset.plain);
        let held = names::amount(&balance.locked, asset.decimals);
        let total = names::amount(&(balance.free + balance.locked), asset.decimals);
        let shown = json!({ "balance": total, "hold_trade": held });
        (asset.id.to_owned(), shown)
    };
    Ok(Value::Object(names::ASSETS.iter().map(row).collect()).into())
}

fn key_info(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let key = exchange.keys.find(For::Kraken, call.api_key);
    let key = key.ok_or(Refusal::KEY)?;
    let seconds = |ms: u64| (ms / 1000).to_string();
    Ok(json!({
        "apiKeyName": key.label,
        "apiKey": key.api_key,
        "nonce": key.nonce.to_string(),
        "nonceWindow": 0,
        "permissions": permissions(key),
        "iban": "AA00 PRAC TICE 0001",
        "validUntil": "0",
        "queryFrom": "0",
        "queryTo": "0",
        "createdTime": seconds(key.created_ms),
        "modifiedTime": seconds(key.changed_ms),
        "ipAllowlist": key.ips,
        "lastUsed": seconds(key.last_used_ms.unwrap_or_default()),
    })
    .into())
}

// Kraken divides finer; here these go together.
fn permissions(key: &Key) -> Vec<&'static str> {
    let of = |permission: &Permission| -> &[&str] {
        match permission {
            Permission::Read => &["query-funds", "query-open-trades", "query-closed-trades"],
            Permission::Trade => &["modify-trades", "close-trades"],
            Permission::Withdraw => &["withdraw-funds"],
            Permission::Transfer => &[],
        }
    };
    let words = key.permissions.iter().flat_map(of);
    words.copied().collect()
}
