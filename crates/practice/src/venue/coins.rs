//! The coins and the networks on which they leave.

use bigdecimal::BigDecimal;

use super::market::dec;

/// One way out for a coin.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) fee: BigDecimal,
    pub(crate) minimum: BigDecimal,
    pub(crate) step: BigDecimal,
}

/// A coin and its networks.
#[derive(Debug, Clone)]
pub(crate) struct Coin {
    pub(crate) asset: &'static str,
    pub(crate) name: &'static str,
    // The first is the one for requests that name none.
    pub(crate) networks: Vec<Network>,
}

impl Coin {
    /// The network of this name; nothing said is the first.
    pub(crate) fn network(&self, name: Option<&str>) -> Option<&Network> {
        self.networks
            .iter()
            .find(|network| name.is_none_or(|name| name == network.name))
    }
}

/// All coins.
pub(crate) fn coins() -> Vec<Coin> {
    let network = |name, title, fee, minimum, decimals| Network {
        name,
        title,
        fee,
        minimum,
        step: dec(1, decimals),
    };
    let ethereum = "Ethereum (ERC20)";
    vec![
        Coin {
            asset: "BTC",
            name: "Bitcoin",
            networks: vec![network("BTC", "Bitcoin", dec(1, 5), dec(1, 4), 8)],
        },
        Coin {
            asset: "ETH",
            name: "Ethereum",
            networks: vec![network("ETH", ethereum, dec(1, 4), dec(1, 3), 8)],
        },
        Coin {
            asset: "USDT",
            name: "TetherUS",
            networks: vec![
                network("ETH", ethereum, dec(1, 0), dec(2, 0), 6),
                network("TRX", "Tron (TRC20)", dec(1, 0), dec(2, 0), 6),
            ],
        },
    ]
}

/// The coin of this name.
pub(crate) fn coin(asset: &str) -> Option<Coin> {
    coins().into_iter().find(|coin| coin.asset == asset)
}
