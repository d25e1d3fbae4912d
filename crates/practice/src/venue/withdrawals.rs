//! Coins, their networks, and money that leaves: at once, after the checks of the wallet API.
//!
//! Addresses are checked for their characters only, not for a network's address format.

use bigdecimal::{BigDecimal, Zero};
use serde_json::{Value, json};

use super::account::Account;
use super::keys::random_text;
use super::market::{dec, is_multiple, plain};
use super::params::Params;
use super::refusal::Refusal;

const ID_CHARACTERS: usize = 32;
const COMPLETED: u8 = 6;

struct Network {
    name: &'static str,
    title: &'static str,
    fee: BigDecimal,
    minimum: BigDecimal,
    step: BigDecimal,
}

struct Coin {
    asset: &'static str,
    name: &'static str,
    // The first is the one for requests that name none.
    networks: Vec<Network>,
}

fn coins() -> Vec<Coin> {
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

/// `GET /sapi/v1/capital/config/getall`
pub(crate) fn config(account: &Account) -> Value {
    coins().iter().map(|coin| coin.shown(account)).collect()
}

impl Coin {
    fn shown(&self, account: &Account) -> Value {
        let (free, locked) = account.shown(self.asset);
        let rows = self.networks.iter().enumerate();
        json!({
            "coin": self.asset,
            "name": self.name,
            "depositAllEnable": true,
            "withdrawAllEnable": true,
            "free": free,
            "locked": locked,
            "freeze": "0",
            "withdrawing": "0",
            "ipoing": "0",
            "ipoable": "0",
            "storage": "0",
            "isLegalMoney": false,
            "trading": true,
            "networkList": rows.map(|(index, network)| network.shown(self.asset, index == 0)).collect::<Value>()
        })
    }
}

impl Network {
    fn shown(&self, asset: &str, is_default: bool) -> Value {
        json!({
            "network": self.name,
            "coin": asset,
            "name": self.title,
            "withdrawIntegerMultiple": plain(&self.step),
            "isDefault": is_default,
            "depositEnable": true,
            "withdrawEnable": true,
            "depositDesc": "",
            "withdrawDesc": "",
            "specialTips": "",
            "resetAddressStatus": false,
            "addressRegex": "^[!-~]{1,128}$",
            "memoRegex": "",
            "withdrawFee": plain(&self.fee),
            "withdrawMin": plain(&self.minimum),
            "withdrawMax": "9999999999.99999999",
            "minConfirm": 1,
            "unLockConfirm": 0,
            "sameAddress": false,
            "busy": false
        })
    }
}

struct Withdrawal {
    id: String,
    order_id: Option<String>,
    asset: &'static str,
    network: &'static str,
    amount: BigDecimal,
    fee: BigDecimal,
    address: String,
    address_tag: Option<String>,
    time_ms: u64,
}

impl Withdrawal {
    fn shown(&self) -> Value {
        let time = utc(self.time_ms);
        json!({
            "id": self.id,
            "withdrawOrderId": self.order_id,
            "amount": plain(&(&self.amount - &self.fee)),
            "transactionFee": plain(&self.fee),
            "coin": self.asset,
            "network": self.network,
            "status": COMPLETED,
            "address": self.address,
            "addressTag": self.address_tag,
            "txId": format!("practice-{}", self.id),
            "applyTime": time,
            "completeTime": time,
            "transferType": 0,
            "info": "",
            "confirmNo": 1,
            "walletType": 0,
            "txKey": ""
        })
    }
}

/// All withdrawals, oldest first.
#[derive(Default)]
pub(crate) struct Withdrawals(Vec<Withdrawal>);

impl Withdrawals {
    /// `POST /sapi/v1/capital/withdraw/apply`: the answer, and its words for the record.
    pub(crate) fn apply(
        &mut self,
        params: &Params,
        account: &mut Account,
        now_ms: u64,
    ) -> Result<(Value, String), Refusal> {
        let withdrawal = read(params, now_ms)?;
        let Withdrawal { asset, amount, .. } = &withdrawal;
        account
            .spend(asset, amount)
            .map_err(|_| Refusal::WithdrawBalance)?;
        let sentence = format!(
            "withdraw {} {asset} to {} (network {})",
            amount.normalized().to_plain_string(),
            withdrawal.address,
            withdrawal.network
        );
        let answer = json!({ "id": withdrawal.id });
        self.0.push(withdrawal);
        Ok((answer, sentence))
    }

    /// `GET /sapi/v1/capital/withdraw/history`, newest first.
    pub(crate) fn history(&self, params: &Params) -> Result<Value, Refusal> {
        let coin = params.text("coin")?;
        let order_id = params.text("withdrawOrderId")?;
        let wanted = |w: &&Withdrawal| {
            coin.is_none_or(|coin| coin == w.asset)
                && order_id.is_none_or(|id| w.order_id.as_deref() == Some(id))
        };
        Ok(self
            .0
            .iter()
            .rev()
            .filter(wanted)
            .map(Withdrawal::shown)
            .collect())
    }

    /// All of them, for the web site.
    pub(crate) fn all(&self) -> Value {
        self.0.iter().map(Withdrawal::shown).collect()
    }
}

fn read(params: &Params, now_ms: u64) -> Result<Withdrawal, Refusal> {
    let (coin, address) = (params.required("coin")?, params.required("address")?);
    params.required("amount")?;
    let amount = params.decimal("amount")?.unwrap_or_default();
    let coin = coins()
        .into_iter()
        .find(|known| known.asset == coin)
        .ok_or(Refusal::Asset)?;
    let wanted = params.text("network")?;
    let fits = |network: &Network| wanted.is_none_or(|name| name == network.name);
    let network = coin
        .networks
        .into_iter()
        .find(fits)
        .ok_or(Refusal::Network)?;
    if address.len() > 128 || !address.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Refusal::Address);
    }
    if !is_multiple(&amount, &network.step) {
        return Err(Refusal::Multiple(plain(&network.step)));
    }
    if amount.is_zero() || amount < network.minimum {
        return Err(Refusal::Minimum(plain(&network.minimum)));
    }
    Ok(Withdrawal {
        id: random_text(ID_CHARACTERS).ok_or(Refusal::Broken { status: 500 })?,
        order_id: params.text("withdrawOrderId")?.map(ToOwned::to_owned),
        asset: coin.asset,
        network: network.name,
        amount,
        fee: network.fee,
        address: address.to_owned(),
        address_tag: params.text("addressTag")?.map(ToOwned::to_owned),
        time_ms: now_ms,
    })
}

/// `2026-11-22 15:36:53`, UTC. Days to date: Howard Hinnant, "chrono-compatible low-level date algorithms".
fn utc(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, of_day) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(query: &str) -> (Result<(Value, String), Refusal>, Account) {
        let mut account = Account::default();
        let params = Params::parse(query.as_bytes(), b"").unwrap();
        let result = Withdrawals::default().apply(&params, &mut account, 0);
        (result, account)
    }

    #[test]
    fn a_withdrawal_takes_exactly_its_amount() {
        let (result, account) = apply("coin=BTC&address=bc1qexample&amount=0.10000001&network=BTC");
        assert_eq!(
            result.unwrap().1,
            "withdraw 0.10000001 BTC to bc1qexample (network BTC)"
        );
        assert_eq!(account.shown("BTC").0, "9.89999999");
    }

    #[test]
    fn what_is_wrong_has_its_own_code() {
        for (query, refusal) in [
            ("coin=BTC&address=a&amount=10.1", Refusal::WithdrawBalance),
            ("coin=XYZ&address=a&amount=1", Refusal::Asset),
            ("coin=BTC&address=a&amount=1&network=TRX", Refusal::Network),
            ("coin=BTC&address=a%20b&amount=1", Refusal::Address),
            (
                "coin=USDT&address=a&amount=2.0000001",
                Refusal::Multiple("0.00000100".to_owned()),
            ),
            (
                "coin=BTC&address=a&amount=0",
                Refusal::Minimum("0.00010000".to_owned()),
            ),
            (
                "coin=BTC&amount=1",
                Refusal::Mandatory("address".to_owned()),
            ),
        ] {
            let (result, account) = apply(query);
            assert_eq!(result.map(|_| ()), Err(refusal), "{query}");
            assert_eq!(account.shown("BTC").0, "10.00000000");
        }
    }

    #[test]
    fn dates_are_right() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(utc(1_700_000_000_000), "2023-11-14 22:13:20");
    }
}
