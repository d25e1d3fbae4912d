//! What Coinbase calls accounts, products, orders, trades and networks.

use sha2::{Digest, Sha256};

use super::super::account::Owner;
use super::super::credential::uuid_of;
use super::super::market::{ASSETS, Market, Symbol};

/// `BTC-USDT`
pub(crate) fn product(symbol: &Symbol) -> String {
    format!("{}-{}", symbol.base, symbol.quote)
}

/// The pair of a product.
pub(crate) fn symbol<'m>(market: &'m Market, product_id: &str) -> Option<&'m Symbol> {
    market.find(|symbol| product(symbol) == product_id)
}

/// The account in which an owner has an asset.
pub(crate) fn account(owner: &Owner, asset: &str) -> String {
    let whose = match owner {
        Owner::Master => "",
        Owner::Sub(email) => email,
    };
    derived("account", &format!("{asset}/{whose}"))
}

/// The asset of an account, which may also be named by the asset.
pub(crate) fn asset(owner: &Owner, id: &str) -> Option<&'static str> {
    ASSETS
        .into_iter()
        .find(|asset| *asset == id || account(owner, asset) == id)
}

/// An order's id.
pub(crate) fn order(number: u64) -> String {
    derived("order", &number.to_string())
}

/// A trade's id.
pub(crate) fn trade(number: u64) -> String {
    derived("trade", &number.to_string())
}

/// A transaction's id.
pub(crate) fn transaction(id: &str) -> String {
    derived("transaction", id)
}

/// The customer's one portfolio.
pub(crate) fn portfolio() -> String {
    derived("portfolio", "default")
}

/// Networks as Coinbase and as the rest says.
pub(crate) const NETWORKS: [(&str, &str); 2] = [("bitcoin", "BTC"), ("ethereum", "ETH")];

// The venue counts; what the client sees tells neither how many there are nor which comes next.
fn derived(kind: &str, id: &str) -> String {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(kind)
        .chain_update(id)
        .finalize()
        .into();
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash) {
        *byte = hashed;
    }
    uuid_of(bytes)
}
