//! The table of endpoints. What is not in the table does not exist here.

use super::super::account::Owner;
use super::super::exchange::Exchange;
use super::super::keys::Permission;
use super::super::request::Done;
use super::params::Params;
use super::refusal::Refusal;
use super::{accounts, market, orders, transactions};

/// What an endpoint gets to see of a request.
pub(crate) struct Call<'a> {
    pub(crate) params: &'a Params,
    /// What stands in the path where the table has `{}`.
    pub(crate) id: &'a str,
    pub(crate) api_key: &'a str,
    /// Whose key it is; the customer, where there is none.
    pub(crate) owner: &'a Owner,
    /// The server's clock.
    pub(crate) now_ms: u64,
}

type Run = fn(&mut Exchange, &Call<'_>) -> Result<Done, Refusal>;

/// One row of the table.
pub(crate) struct Endpoint {
    pub(crate) method: &'static str,
    /// With `{}` for one segment that may be anything.
    pub(crate) path: &'static str,
    /// What a key must be allowed to do; nothing: the endpoint is public and takes no token.
    pub(crate) permission: Option<Permission>,
    /// In words, for the record.
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

const PUBLIC: Option<Permission> = None;
const VIEW: Option<Permission> = Some(Permission::Read);
const TRADE: Option<Permission> = Some(Permission::Trade);
const TRANSFER: Option<Permission> = Some(Permission::Withdraw);

// A table is read by its columns; of two rows that fit, the first is taken.
#[rustfmt::skip]
const ENDPOINTS: &[Endpoint] = &[
    row("GET",  "/api/v3/brokerage/time",                       PUBLIC,   "server time",         market::time),
    row("GET",  "/api/v3/brokerage/market/products",            PUBLIC,   "products",            market::products),
    row("GET",  "/api/v3/brokerage/market/product_book",        PUBLIC,   "order book",          market::book),
    row("GET",  "/api/v3/brokerage/market/products/{}",         PUBLIC,   "product",             market::product),
    row("GET",  "/api/v3/brokerage/market/products/{}/ticker",  PUBLIC,   "ticker",              market::ticker),
    row("GET",  "/api/v3/brokerage/products",                   VIEW,     "products",            market::products),
    row("GET",  "/api/v3/brokerage/product_book",               VIEW,     "order book",          market::book),
    row("GET",  "/api/v3/brokerage/best_bid_ask",               VIEW,     "best prices",         market::best),
    row("GET",  "/api/v3/brokerage/products/{}",                VIEW,     "product",             market::product),
    row("GET",  "/api/v3/brokerage/products/{}/ticker",         VIEW,     "ticker",              market::ticker),
    row("GET",  "/api/v3/brokerage/accounts",                   VIEW,     "accounts",            accounts::all),
    row("GET",  "/api/v3/brokerage/accounts/{}",                VIEW,     "account",             accounts::one),
    row("GET",  "/api/v3/brokerage/transaction_summary",        VIEW,     "fees",                accounts::fees),
    row("GET",  "/api/v3/brokerage/key_permissions",            VIEW,     "key restrictions",    accounts::permissions),
    row("POST", "/api/v3/brokerage/orders",                     TRADE,    "place order",         orders::create),
    row("POST", "/api/v3/brokerage/orders/batch_cancel",        TRADE,    "cancel orders",       orders::cancel),
    row("GET",  "/api/v3/brokerage/orders/historical/batch",    VIEW,     "orders",              orders::list),
    row("GET",  "/api/v3/brokerage/orders/historical/fills",    VIEW,     "trades",              orders::fills),
    row("GET",  "/api/v3/brokerage/orders/historical/{}",       VIEW,     "query order",         orders::get),
    row("GET",  "/v2/time",                                     PUBLIC,   "server time",         market::time_v2),
    row("GET",  "/v2/currencies",                               PUBLIC,   "currencies",          market::fiat),
    row("GET",  "/v2/currencies/crypto",                        PUBLIC,   "currencies",          market::crypto),
    row("GET",  "/v2/exchange-rates",                           PUBLIC,   "exchange rates",      market::rates),
    row("GET",  "/v2/accounts",                                 VIEW,     "accounts",            accounts::all_v2),
    row("GET",  "/v2/accounts/{}",                              VIEW,     "account",             accounts::one_v2),
    row("GET",  "/v2/accounts/{}/transactions",                 VIEW,     "transactions",        transactions::list),
    row("POST", "/v2/accounts/{}/transactions",                 TRANSFER, "send money",          transactions::send),
];

const fn row(
    method: &'static str,
    path: &'static str,
    permission: Option<Permission>,
    name: &'static str,
    run: Run,
) -> Endpoint {
    Endpoint {
        method,
        path,
        permission,
        name,
        run,
    }
}

/// The endpoint of a method and path, and the segment that stands for `{}`.
pub(crate) fn find<'p>(method: &str, path: &'p str) -> Option<(&'static Endpoint, &'p str)> {
    let mut rows = ENDPOINTS.iter().filter(|row| row.method == method);
    rows.find_map(|row| segment(row.path, path).map(|id| (row, id)))
}

fn segment<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, after)) = pattern.split_once("{}") else {
        return (pattern == path).then_some("");
    };
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}
