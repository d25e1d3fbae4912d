//! The venues, a file each.

pub mod backpack;
pub mod binance;
pub mod bitfinex;
pub mod bitget;
pub mod bitstamp;
pub mod bybit;
pub mod coinbase;
pub mod coinbaseexchange;
pub mod cryptocom;
pub mod deribit;
pub mod gate;
pub mod gemini;
pub mod htx;
pub mod kraken;
pub mod krakenfutures;
pub mod kucoin;
pub mod kucoinfutures;
pub mod mexc;
pub mod okx;
pub mod revolutx;
pub mod robinhood;
pub mod upbit;

use crate::Venue;

/// All of them, by name.
pub(crate) static ALL: &[&dyn Venue] = &[
    &backpack::Backpack,
    &binance::Binance,
    &bitfinex::Bitfinex,
    &bitget::Bitget,
    &bitstamp::Bitstamp,
    &bybit::Bybit,
    &coinbase::Coinbase,
    &coinbaseexchange::CoinbaseExchange,
    &cryptocom::CryptoCom,
    &deribit::Deribit,
    &gate::Gate,
    &gemini::Gemini,
    &htx::Htx,
    &kraken::Kraken,
    &krakenfutures::KrakenFutures,
    &kucoin::KuCoin,
    &kucoinfutures::KuCoinFutures,
    &mexc::Mexc,
    &okx::Okx,
    &revolutx::RevolutX,
    &robinhood::Robinhood,
    &upbit::Upbit,
];
