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
pub mod hyperliquid;
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
    &hyperliquid::Hyperliquid,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoded, OperationKind, Request, table::Table};

    const FILES: &[&str] = &[
        include_str!("../../data/backpack.toml"),
        include_str!("../../data/binance.toml"),
        include_str!("../../data/bitfinex.toml"),
        include_str!("../../data/bitget.toml"),
        include_str!("../../data/bitstamp.toml"),
        include_str!("../../data/bybit.toml"),
        include_str!("../../data/coinbase.toml"),
        include_str!("../../data/coinbaseexchange.toml"),
        include_str!("../../data/cryptocom.toml"),
        include_str!("../../data/deribit.toml"),
        include_str!("../../data/gate.toml"),
        include_str!("../../data/gemini.toml"),
        include_str!("../../data/htx.toml"),
        include_str!("../../data/hyperliquid.toml"),
        include_str!("../../data/kraken.toml"),
        include_str!("../../data/krakenfutures.toml"),
        include_str!("../../data/kucoin.toml"),
        include_str!("../../data/kucoinfutures.toml"),
        include_str!("../../data/mexc.toml"),
        include_str!("../../data/okx.toml"),
        include_str!("../../data/revolutx.toml"),
        include_str!("../../data/robinhood.toml"),
        include_str!("../../data/upbit.toml"),
    ];

    #[test]
    fn every_endpoint_has_a_server_and_plain_words() {
        assert_eq!(FILES.len(), ALL.len());
        for text in FILES {
            let table = Table::read(text).unwrap();
            let name = &table.about.name;
            assert!(table.len() > 5, "{name}");
            for (method, path, endpoint) in table.endpoints() {
                assert!(
                    table
                        .origin(&path)
                        .is_some_and(|o| o.starts_with("https://")),
                    "{method} {path}"
                );
                let words = &endpoint.words;
                assert!(
                    !words.is_empty() && words.is_ascii(),
                    "{name}: {method} {path}"
                );
                if endpoint.meaning == crate::table::Meaning::Public {
                    assert!(method == "GET" || path == "/info", "{name}: {path}");
                }
            }
        }
    }

    #[test]
    fn names_are_in_order_and_each_there_once() {
        let ids: Vec<_> = ALL.iter().map(|venue| venue.id()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        for venue in ALL {
            assert_eq!(venue.info().id, venue.id());
        }
    }

    // What is dangerous by its method's name alone must not be in a table as a read.
    #[test]
    fn no_withdrawal_or_key_is_made_by_a_read() {
        for text in FILES {
            let table = Table::read(text).unwrap();
            for (method, path, endpoint) in table.endpoints() {
                let last = path.rsplit('/').find(|s| !s.is_empty()).unwrap_or_default();
                let small = last.to_ascii_lowercase();
                let acts = ["create", "delete", "remove", "modify", "freeze"];
                if method != "GET" && acts.iter().any(|word| small.starts_with(word)) {
                    let read = crate::table::Meaning::Private(OperationKind::Read);
                    let export = small.starts_with("removeexport");
                    assert!(endpoint.meaning != read || export, "{method} {path}");
                }
            }
        }
    }

    // The words are what a person reads before a yes.
    #[test]
    fn no_cancellation_is_called_an_order() {
        for text in FILES {
            let table = Table::read(text).unwrap();
            for (method, path, endpoint) in table.endpoints() {
                let cancels = crate::table::Meaning::Private(OperationKind::Cancel);
                let places = endpoint.words.starts_with("place");
                assert!(endpoint.meaning != cancels || !places, "{method} {path}");
            }
        }
    }

    #[test]
    fn a_public_request_keeps_nothing_of_the_client_but_its_question() {
        for (venue, path) in [
            ("kraken", "/0/public/Ticker"),
            ("okx", "/api/v5/market/ticker"),
            ("bybit", "/v5/market/tickers"),
            ("deribit", "/api/v2/public/ticker"),
        ] {
            let venue = crate::venue(venue).unwrap();
            let request = Request {
                method: "GET".into(),
                path: path.into(),
                query: b"pair=XBTUSD".to_vec(),
                content_type: None,
                body: Vec::new(),
                expires: None,
            };
            let Ok(Decoded::Public(out)) = venue.decode(&request) else {
                panic!("{path}");
            };
            assert_eq!(out.path_and_query, format!("{path}?pair=XBTUSD"));
            assert!(out.headers.is_empty() && out.body.is_empty());
        }
    }
}
