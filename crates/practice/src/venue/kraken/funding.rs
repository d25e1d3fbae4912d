//! Money that leaves, to a name that the customer has put into the address book on the web site.
//!
//! Source: docs.kraken.com "Withdraw Funds", "Get Withdrawal Information", "Get Withdrawal Addresses", "Get Withdrawal
//! Methods", "Get Status of Recent Withdrawals" (read 2026-11-26).

use serde_json::{Value, json};

use super::super::addresses::Address;
use super::super::coins::{Coin, Network, coin, coins};
use super::super::exchange::Exchange;
use super::super::request::Done;
use super::super::withdrawals::{Fee, NewWithdrawal, Unsent, Withdrawal};
use super::endpoints::Call;
use super::names::{self, Asset};
use super::refusal::Refusal;

impl From<Unsent> for Refusal {
    fn from(why: Unsent) -> Self {
        match why {
            Unsent::Asset => Self::FUNDING_ASSET,
            Unsent::Network => Self::WITHDRAW_KEY,
            Unsent::Address => Self::ADDRESS,
            Unsent::Step(_) | Unsent::Minimum(_) | Unsent::Balance => Self::AMOUNT,
            Unsent::Randomness => Self::INTERNAL,
        }
    }
}

/// `POST /0/private/Withdraw`
pub(crate) fn withdraw(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let (asset, entry, network) = destination(exchange, call)?;
    // Kraken compares, and sends to what the key says in any case.
    if call
        .params
        .text("address")
        .is_some_and(|sent| sent != entry.address)
    {
        return Err(Refusal::ADDRESS);
    }
    if call.params.text("max_fee").is_some() && call.params.decimal("max_fee")? < network.fee {
        return Err(Refusal::MAX_FEE);
    }
    let new = NewWithdrawal {
        owner: call.owner,
        asset: asset.plain,
        network: Some(network.name),
        amount: call.params.decimal("amount")?,
        address: &entry.address,
        address_tag: None,
        key: Some(&entry.key),
        client_id: None,
        fee: Fee::Inside,
    };
    let Exchange {
        withdrawals,
        accounts,
        ..
    } = exchange;
    let done = withdrawals.apply(new, accounts, call.now_ms())?;
    let refid = names::reference(&done.id);
    Ok(Done::said(json!({ "refid": refid }), done.sentence()))
}

/// `POST /0/private/WithdrawInfo`
pub(crate) fn info(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let (asset, _, network) = destination(exchange, call)?;
    let amount = call.params.decimal("amount")?;
    let free = exchange.accounts.of(call.owner).of(asset.plain).free;
    if amount < network.minimum || amount > free {
        return Err(Refusal::AMOUNT);
    }
    Ok(json!({
        "method": network.title,
        "limit": names::amount(&free, 8),
        "amount": names::amount(&(amount - &network.fee), 8),
        "fee": names::amount(&network.fee, 8)
    })
    .into())
}

/// `POST /0/private/WithdrawMethods`
pub(crate) fn methods(_: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let wanted = wanted(call)?;
    let rows = coins().into_iter().flat_map(|coin: Coin| {
        let id = names::id_of(coin.asset);
        let networks = coin.networks.into_iter();
        networks.map(move |network| (coin.asset, id, network))
    });
    let rows = rows.filter(|(plain, ..)| wanted.is_none_or(|asset| asset.plain == *plain));
    let shown = rows.map(|(_, id, network)| {
        json!({
            "asset": id,
            "method": network.title,
            "network": network.name,
            "minimum": names::amount(&network.minimum, 8)
        })
    });
    Ok(shown.collect::<Value>().into())
}

/// `POST /0/private/WithdrawAddresses`
pub(crate) fn addresses(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let wanted = wanted(call)?;
    let (key, method) = (call.params.text("key"), call.params.text("method"));
    let rows = exchange.addresses.all().iter();
    let shown = rows.filter_map(|entry| {
        let asset = names::of_plain(&entry.asset)?;
        let network = network(entry)?;
        let fits = wanted.is_none_or(|wanted| wanted.id == asset.id)
            && key.is_none_or(|key| key == entry.key)
            && method.is_none_or(|method| method == network.title);
        fits.then(|| {
            json!({
                "address": entry.address,
                "asset": asset.altname,
                "method": network.title,
                "key": entry.key,
                "verified": true
            })
        })
    });
    Ok(shown.collect::<Value>().into())
}

/// `POST /0/private/WithdrawStatus`, newest first.
pub(crate) fn status(exchange: &mut Exchange, call: &Call<'_>) -> Result<Done, Refusal> {
    let wanted = wanted(call)?;
    let newest = exchange.withdrawals.newest(call.owner);
    let found = newest.filter(|w| wanted.is_none_or(|asset| asset.plain == w.asset));
    Ok(found.map(shown).collect::<Value>().into())
}

fn shown(withdrawal: &Withdrawal) -> Value {
    let seconds = withdrawal.time_ms / 1000;
    json!({
        "method": withdrawal.network.title,
        "network": withdrawal.network.name,
        "aclass": "currency",
        "asset": names::id_of(withdrawal.asset),
        "refid": names::reference(&withdrawal.id),
        "txid": withdrawal.transaction(),
        "info": withdrawal.address,
        "amount": names::amount(&withdrawal.net, 8),
        "fee": names::amount(&withdrawal.network.fee, 8),
        "time": seconds,
        "status": "Success",
        "key": withdrawal.key
    })
}

fn destination(
    exchange: &Exchange,
    call: &Call<'_>,
) -> Result<(&'static Asset, Address, Network), Refusal> {
    let asset = names::asset(call.params.required("asset")?).ok_or(Refusal::FUNDING_ASSET)?;
    let key = call.params.required("key")?;
    let entry = exchange.addresses.find(key);
    let entry = entry.filter(|entry| entry.asset == asset.plain);
    let entry = entry.ok_or(Refusal::WITHDRAW_KEY)?.clone();
    let network = network(&entry).ok_or(Refusal::WITHDRAW_KEY)?;
    Ok((asset, entry, network))
}

fn network(entry: &Address) -> Option<Network> {
    let coin = coin(&entry.asset)?;
    coin.network(entry.network.as_deref()).cloned()
}

fn wanted(call: &Call<'_>) -> Result<Option<&'static Asset>, Refusal> {
    match call.params.text("asset") {
        None => Ok(None),
        Some(name) => names::asset(name).map(Some).ok_or(Refusal::ASSET),
    }
}
