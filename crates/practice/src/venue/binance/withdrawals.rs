//! The wallet API: coins with their networks, and withdrawals.

use serde_json::{Value, json};

use super::super::account::{Account, Owner};
use super::super::calendar;
use super::super::coins::{Coin, Network, coins};
use super::super::market::plain;
use super::super::withdrawals::{Fee, NewWithdrawal, Unsent, Withdrawal};
use super::params::Params;
use super::refusal::Refusal;

const COMPLETED: u8 = 6;

/// `GET /sapi/v1/capital/config/getall`
pub(crate) fn config(account: &Account) -> Value {
    coins()
        .iter()
        .map(|coin| coin_shown(coin, account))
        .collect()
}

/// Reads the parameters of `POST /sapi/v1/capital/withdraw/apply`.
pub(crate) fn read<'a>(params: &'a Params, owner: &'a Owner) -> Result<NewWithdrawal<'a>, Refusal> {
    let (asset, address) = (params.required("coin")?, params.required("address")?);
    params.required("amount")?;
    Ok(NewWithdrawal {
        owner,
        asset,
        address,
        amount: params.decimal("amount")?.unwrap_or_default(),
        network: params.text("network")?,
        address_tag: params.text("addressTag")?,
        key: None,
        client_id: params.text("withdrawOrderId")?,
        fee: Fee::Inside,
    })
}

/// `GET /sapi/v1/capital/withdraw/history`, newest first.
pub(crate) fn history<'a>(
    newest: impl Iterator<Item = &'a Withdrawal>,
    params: &Params,
) -> Result<Value, Refusal> {
    let coin = params.text("coin")?;
    let order_id = params.text("withdrawOrderId")?;
    let wanted = |w: &&Withdrawal| {
        coin.is_none_or(|coin| coin == w.asset)
            && order_id.is_none_or(|id| w.client_id.as_deref() == Some(id))
    };
    Ok(newest.filter(wanted).map(shown).collect())
}

/// One row of the history.
pub(crate) fn shown(withdrawal: &Withdrawal) -> Value {
    let time = calendar::plain(withdrawal.time_ms);
    json!({
        "id": withdrawal.id,
        "withdrawOrderId": withdrawal.client_id,
        "amount": plain(&withdrawal.net),
        "transactionFee": plain(&withdrawal.network.fee),
        "coin": withdrawal.asset,
        "network": withdrawal.network.name,
        "status": COMPLETED,
        "address": withdrawal.address,
        "addressTag": withdrawal.address_tag,
        "txId": withdrawal.transaction(),
        "applyTime": time,
        "completeTime": time,
        "transferType": 0,
        "info": "",
        "confirmNo": 1,
        "walletType": 0,
        "txKey": ""
    })
}

impl From<Unsent> for Refusal {
    fn from(why: Unsent) -> Self {
        match why {
            Unsent::Asset => Self::Asset,
            Unsent::Network => Self::Network,
            Unsent::Address => Self::Address,
            Unsent::Step(step) => Self::Multiple(plain(&step)),
            Unsent::Minimum(minimum) => Self::Minimum(plain(&minimum)),
            Unsent::Balance => Self::WithdrawBalance,
            Unsent::Randomness => Self::Broken { status: 500 },
        }
    }
}

fn coin_shown(coin: &Coin, account: &Account) -> Value {
    let balance = account.of(coin.asset);
    let rows = coin.networks.iter().enumerate();
    json!({
        "coin": coin.asset,
        "name": coin.name,
        "depositAllEnable": true,
        "withdrawAllEnable": true,
        "free": plain(&balance.free),
        "locked": plain(&balance.locked),
        "freeze": "0",
        "withdrawing": "0",
        "ipoing": "0",
        "ipoable": "0",
        "storage": "0",
        "isLegalMoney": false,
        "trading": true,
        "networkList": rows.map(|(index, network)| network_shown(network, coin.asset, index == 0)).collect::<Value>()
    })
}

fn network_shown(network: &Network, asset: &str, is_default: bool) -> Value {
    json!({
        "network": network.name,
        "coin": asset,
        "name": network.title,
        "withdrawIntegerMultiple": plain(&network.step),
        "isDefault": is_default,
        "depositEnable": true,
        "withdrawEnable": true,
        "depositDesc": "",
        "withdrawDesc": "",
        "specialTips": "",
        "resetAddressStatus": false,
        "addressRegex": "^[!-~]{1,128}$",
        "memoRegex": "",
        "withdrawFee": plain(&network.fee),
        "withdrawMin": plain(&network.minimum),
        "withdrawMax": "9999999999.99999999",
        "minConfirm": 1,
        "unLockConfirm": 0,
        "sameAddress": false,
        "busy": false
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::account::Accounts;
    use super::super::super::withdrawals::Withdrawals;
    use super::*;

    fn apply(query: &str) -> (Result<String, Refusal>, String) {
        let mut accounts = Accounts::default();
        let params = Params::parse(query.as_bytes(), b"").unwrap();
        let result = read(&params, &Owner::Master).and_then(|new| {
            let done = Withdrawals::default().apply(new, &mut accounts, 0)?;
            Ok(done.sentence())
        });
        (result, plain(&accounts.of(&Owner::Master).of("BTC").free))
    }

    #[test]
    fn a_withdrawal_takes_exactly_its_amount() {
        let (result, left) = apply("coin=BTC&address=bc1qexample&amount=0.10000001&network=BTC");
        assert_eq!(
            result.unwrap(),
            "withdraw 0.10000001 BTC to bc1qexample (network BTC)"
        );
        assert_eq!(left, "9.89999999");
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
            let (result, left) = apply(query);
            assert_eq!(result.map(|_| ()), Err(refusal), "{query}");
            assert_eq!(left, "10.00000000");
        }
    }
}
