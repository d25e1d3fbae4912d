//! What a private WebSocket of Kraken's is told without asking: changes of orders (`executions`) and of money (`balances`).
//!
//! Source: docs.kraken.com, WebSocket version 2, `executions` and `balances` (read 2026-11-26).

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use serde_json::{Value, json};

use super::super::account::Owner;
use super::super::book::Book;
use super::super::calendar;
use super::super::exchange::Exchange;
use super::super::market::ASSETS;
use super::super::order::{Order, Price, Side, Status, TimeInForce};
use super::names;

/// What one connection watches, and what it was last told.
#[derive(Default)]
pub(crate) struct Feeds {
    orders: Option<Feed<u64, Status>>,
    balances: Option<Feed<&'static str, BigDecimal>>,
}

struct Feed<K, V> {
    owner: Owner,
    seen: BTreeMap<K, V>,
    is_told: bool,
}

impl<K, V> Feed<K, V> {
    const fn new(owner: Owner, seen: BTreeMap<K, V>) -> Self {
        Self {
            owner,
            seen,
            is_told: false,
        }
    }

    /// The first time it is a snapshot, then updates.
    fn message(&mut self, channel: &str, rows: Vec<Value>) -> Option<Value> {
        let kind = match std::mem::replace(&mut self.is_told, true) {
            true => "update",
            false => "snapshot",
        };
        (!rows.is_empty()).then(|| json!({ "channel": channel, "type": kind, "data": rows }))
    }
}

impl Feeds {
    /// Watches an owner's orders; of those that are there already, the open and the done ones are told if wanted.
    pub(crate) fn watch_orders(&mut self, book: &Book, owner: &Owner, open: bool, done: bool) {
        let is_wanted = |order: &Order| match order.is_open() {
            true => open,
            false => done,
        };
        let known = book.orders(owner).filter(|order| !is_wanted(order));
        let known = known.map(|order| (order.id, order.status)).collect();
        self.orders = Some(Feed::new(owner.clone(), known));
    }

    /// Watches an owner's money; all of it is told at first.
    pub(crate) fn watch_balances(&mut self, owner: &Owner) {
        self.balances = Some(Feed::new(owner.clone(), BTreeMap::new()));
    }

    /// Ends it.
    pub(crate) fn forget_orders(&mut self) {
        self.orders = None;
    }

    /// Ends it.
    pub(crate) fn forget_balances(&mut self) {
        self.balances = None;
    }

    /// What has changed since the last time.
    pub(crate) fn news(&mut self, exchange: &mut Exchange, now_us: u64) -> Vec<Value> {
        let orders = self.orders.as_mut().and_then(|feed| {
            let rows = feed.news(exchange);
            feed.message("executions", rows)
        });
        let balances = self.balances.as_mut().and_then(|feed| {
            let rows = feed.news(exchange, now_us);
            feed.message("balances", rows)
        });
        orders.into_iter().chain(balances).collect()
    }
}

impl Feed<u64, Status> {
    fn news(&mut self, exchange: &Exchange) -> Vec<Value> {
        let mut rows = Vec::new();
        for order in exchange.book.orders(&self.owner) {
            if self.seen.insert(order.id, order.status) != Some(order.status) {
                rows.push(execution(exchange, order));
            }
        }
        rows
    }
}

impl Feed<&'static str, BigDecimal> {
    fn news(&mut self, exchange: &mut Exchange, now_us: u64) -> Vec<Value> {
        let time = calendar::rfc3339(now_us / 1000);
        let account = exchange.accounts.of(&self.owner);
        let mut rows = Vec::new();
        for asset in ASSETS {
            let balance = account.of(asset);
            let total = balance.free + balance.locked;
            let before = self.seen.insert(asset, total.clone());
            if before.as_ref() != Some(&total) {
                rows.push(json!({
                    "asset": asset,
                    "asset_class": "currency",
                    "amount": number(&(&total - before.unwrap_or_default())),
                    "balance": number(&total),
                    "wallet_type": "spot",
                    "wallet_id": "main",
                    "timestamp": time
                }));
            }
        }
        rows
    }
}

fn execution(exchange: &Exchange, order: &Order) -> Value {
    let mut row = json!({
        "order_id": names::order_id(order.id),
        "cl_ord_id": order.new.client_id,
        "symbol": format!("{}/{}", order.new.symbol.base, order.new.symbol.quote),
        "order_qty": number(&order.quantity),
        "cum_qty": number(&order.executed),
        "cum_cost": number(&order.paid),
        "time_in_force": match order.new.time_in_force {
            TimeInForce::Gtc => "GTC",
            TimeInForce::Ioc => "IOC",
            TimeInForce::Fok => "FOK",
        },
        "side": match order.new.side {
            Side::Buy => "buy",
            Side::Sell => "sell",
        },
        "order_type": match order.new.price {
            Price::Market => "market",
            Price::Limit(_) | Price::LimitMaker(_) => "limit",
        },
        "exec_type": match order.status {
            Status::New => "new",
            Status::Filled => "trade",
            Status::Canceled => "canceled",
            Status::Expired => "expired",
        },
        "order_status": match order.status {
            Status::New => "new",
            Status::Filled => "filled",
            Status::Canceled => "canceled",
            Status::Expired => "expired",
        },
        "timestamp": calendar::rfc3339(order.updated_ms)
    });
    if let (Some(row), Price::Limit(limit) | Price::LimitMaker(limit)) =
        (row.as_object_mut(), &order.new.price)
    {
        row.insert("limit_price".to_owned(), number(limit));
    }
    let mut trades = exchange.book.trades(&order.new.owner);
    let trade = trades.find(|trade| trade.order_id == order.id);
    if let (Some(row), Some(trade)) = (row.as_object_mut(), trade) {
        row.insert("exec_id".to_owned(), names::trade_id(trade.id).into());
        row.insert("trade_id".to_owned(), trade.id.into());
        row.insert("last_qty".to_owned(), number(&trade.quantity));
        row.insert("last_price".to_owned(), number(&trade.price));
        row.insert("cost".to_owned(), number(&trade.paid));
        row.insert("liquidity_ind".to_owned(), "t".into());
    }
    row
}

// This API has numbers, not text.
fn number(amount: &BigDecimal) -> Value {
    let text = amount.normalized().to_plain_string();
    text.parse().map_or(Value::Null, Value::Number)
}
