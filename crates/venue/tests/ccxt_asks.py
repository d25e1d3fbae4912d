"""Asks ccxt for known things and prints, a line of JSON each, what it was asked for and what it would send.

    python3 ccxt_asks.py SEED VENUE...

What is asked is known here, by ccxt's own names; what a request says is then read by somebody else.
"""

import json
import random
import sys

import ccxt

# The names of one coin, one spot market and one perpetual of it at each venue, as its own lists have them.
NAMES = {
    "backpack": ("SOL", "USDC", "SOL_USDC", "SOL_USDC_PERP"),
    "binance": ("BTC", "USDT", "BTCUSDT", "BTCUSDT"),
    "bitfinex": ("BTC", "UST", "tBTCUST", "tBTCF0:USTF0"),
    "bitget": ("BTC", "USDT", "BTCUSDT", "BTCUSDT"),
    "bitstamp": ("BTC", "USD", "btcusd", "btcusd-perp"),
    "bybit": ("BTC", "USDT", "BTCUSDT", "BTCUSDT"),
    "coinbase": ("BTC", "USD", "BTC-USD", "BTC-PERP-INTX"),
    "coinbaseexchange": ("BTC", "USD", "BTC-USD", None),
    "cryptocom": ("BTC", "USDT", "BTC_USDT", "BTCUSD-PERP"),
    "deribit": ("BTC", "USDC", "BTC_USDC", "BTC-PERPETUAL"),
    "gate": ("BTC", "USDT", "BTC_USDT", "BTC_USDT"),
    "gemini": ("BTC", "USD", "btcusd", None),
    "htx": ("btc", "usdt", "btcusdt", "BTC-USDT"),
    "kraken": ("XXBT", "ZUSD", "XXBTZUSD", None),
    "krakenfutures": ("xbt", "usd", None, "PF_XBTUSD"),
    "kucoin": ("BTC", "USDT", "BTC-USDT", "XBTUSDTM"),
    "mexc": ("BTC", "USDT", "BTCUSDT", "BTC_USDT"),
    "okx": ("BTC", "USDT", "BTC-USDT", "BTC-USDT-SWAP"),
    "revolutx": ("BTC", "USD", "BTC-USD", None),
    "upbit": ("BTC", "USDT", "USDT-BTC", None),
}
TYPES = ["LIMIT", "MARKET", "LIMIT_MAKER", "STOP", "STOP_MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT",
         "TAKE_PROFIT_LIMIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
ADDRESS = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"


# What a withdrawal needs there beside.
MORE = {"kraken": {"key": "cold"}, "coinbase": {"account_id": "7"}}
# Where ccxt says it in another way: to a name, or the tag behind the address.
TO = {"kraken": ("cold", None), "okx": (f"{ADDRESS}:777", None)}
# How the coin is written where money moves, where that is not how its list has it.
COINS = {"bitstamp": "btc", "gemini": "btc", "krakenfutures": "XBT"}


class Sent(Exception):
    """What was to be sent, in place of sending it."""


def market(ex, base_id, quote_id, name, swap):
    base, quote = ex.safe_currency_code(base_id), ex.safe_currency_code(quote_id)
    linear = swap or None
    return ex.safe_market_structure({
        "id": name, "lowercaseId": name.lower(), "baseId": base_id, "quoteId": quote_id, "base": base, "quote": quote,
        "symbol": f"{base}/{quote}" + (f":{quote}" if swap else ""), "settle": quote if swap else None,
        "settleId": quote_id.lower() if swap else None, "type": "swap" if swap else "spot", "spot": not swap, "margin": not swap,
        "swap": swap, "future": False, "option": False, "contract": swap, "linear": linear, "inverse": False if swap else None,
        "contractSize": 1.0 if swap else None, "active": True, "taker": 0.001, "maker": 0.001,
        "precision": {n: 8 if ex.id == "bitfinex" else 1e-8 for n in ("amount", "price", "cost")},
        "limits": {"amount": {"min": None}, "price": {}, "cost": {"min": None}},
        "altname": name, "wsId": name, "info": {"type": "spot", "altname": name, "aclass_base": "currency", "orderTypes": TYPES, "quoteIncrement": "0.000001"},
    })


def exchange(venue):
    ex = getattr(ccxt, venue)({"apiKey": "account-dummydummydummy1", "secret": "dG91Y2hrZWVwLWR1bW15LXNlY3JldC1ub3QtYS1rZXk=",
                               "password": "dummy", "uid": "1", "enableRateLimit": False})
    ex.options["adjustForTimeDifference"] = False
    ex.options |= {"enableUnifiedMargin": False, "enableUnifiedAccount": True, "uta": False, "networkChainIdsByNames": {}}
    if venue == "htx":
        ex.accounts = [{"id": "1", "type": t, "info": {"subtype": s}} for t, s in (("spot", ""), ("super-margin", ""), ("margin", "btcusdt"))]
    if venue == "backpack":
        ex.secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    if venue == "revolutx":
        from cryptography.hazmat.primitives import serialization as s
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        ex.privateKey = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode()
        ex.secret = ex.privateKey
    base, quote, spot, swap = NAMES[venue]
    nets = {n: {"id": n, "network": n, "precision": 1e-8, "fee": 0.0, "info": {}, "limits": {}} for n in ("BTC", "ERC20", "TRC20", "SOL")}
    coins = {}
    for coin in (base, quote):
        code = ex.safe_currency_code(coin)
        coins[code] = {"id": coin, "uppercaseId": coin.upper(), "lowercaseId": coin.lower(), "code": code, "precision": 8 if venue == "bitfinex" else 1e-8, "networks": nets, "type": "crypto", "numericId": 1,
                       "info": [coin] if venue == "bitfinex" else {}, "limits": {}}
    made = [market(ex, base, quote, name, which) for name, which in ((spot, False), (swap, True)) if name]
    ex.set_markets(made, coins)
    ex.currencies_by_id = {c["id"]: c for c in coins.values()}
    return ex, made


# What some venues are asked before, answered so that the request itself comes next.
def answer(venue, url):
    if venue == "okx" and "account/config" in url:
        return {"code": "0", "data": [{"acctLv": "1", "posMode": "net_mode"}]}
    return None


def sends(ex, venue, ask):
    def fetch(url, method="GET", headers=None, body=None):
        said = answer(venue, url)
        if said is not None:
            return said
        raise Sent(url, method, headers, body)

    ex.fetch = fetch
    try:
        ask()
    except Sent as sent:
        url, method, headers, body = sent.args
        return {"url": url, "method": method, "headers": dict(headers or {}), "body": body}
    return None


def asked(ex, venue, markets, rng):
    def number(most):
        return f"{rng.randint(1, most)}.{rng.randint(1, 9999):04d}5"

    base, quote, *_ = NAMES[venue]
    code = ex.safe_currency_code(base)
    usd = ex.safe_currency_code(quote)
    amount = number(20)
    coin = COINS.get(venue, base)
    target, tag = TO.get(venue, (ADDRESS, "777"))
    yield "withdraw", {"asset": coin, "amount": amount, "destination": target, "tag": tag}, lambda: ex.withdraw(
        code, float(amount), ADDRESS, {"tag": "777", "network": "BTC", **MORE.get(venue, {})})
    amount2 = number(20)
    for source, target in (("spot", "swap"), ("funding", "spot"), ("main", "trade"), ("spot", "margin"), ("spot", "future"), ("cash", "flex"), ("exchange", "margin"), ("main", "42")):
        yield f"transfer {source} {target}", {"asset": coin, "amount": amount2}, lambda s=source, t=target: ex.transfer(code, float(amount2), s, t)
    yield "convert", {"asset": coin, "amount": amount2}, lambda: ex.create_convert_trade("77", code, usd, float(amount2))
    yield "borrow cross", {"asset": coin, "amount": amount2}, lambda: ex.borrow_cross_margin(code, float(amount2))
    yield "repay cross", {"asset": coin, "amount": amount2}, lambda: ex.repay_cross_margin(code, float(amount2))
    for m in markets:
        kind, symbol, name = m["type"], m["symbol"], m["id"]
        if kind == "spot":
            yield "borrow isolated", {"asset": coin, "amount": amount2}, lambda y=symbol: ex.borrow_isolated_margin(y, code, float(amount2))
            yield "repay isolated", {"asset": coin, "amount": amount2}, lambda y=symbol: ex.repay_isolated_margin(y, code, float(amount2))
        else:
            yield "leverage", {"symbol": name}, lambda y=symbol: ex.set_leverage(7, y, {"marginMode": "cross"})
            yield "margin mode", {"symbol": name}, lambda y=symbol: ex.set_margin_mode("cross", y, {"leverage": 7})
            yield "add margin", {"symbol": name}, lambda y=symbol: ex.add_margin(y, 5.0)
            yield "close position", {"symbol": name}, lambda y=symbol: ex.close_position(y, "buy")
        for side in ("buy", "sell"):
            size, price, trigger = number(20), f"{rng.randint(20000, 60000)}.5", f"{rng.randint(20000, 60000)}.5"
            if kind == "swap":
                size = str(rng.randint(2, 40))
            said = {"symbol": name, "side": side, "amount": size, "at": price}
            f, p, t = float(size), float(price), float(trigger)

            def order(kind_, price_, params, y=symbol, s=side, f=f):
                return lambda: ex.create_order(y, kind_, s, f, price_, params)

            yield f"{kind} limit {side}", said | {"price": price}, order("limit", p, {})
            yield f"{kind} post-only {side}", said | {"price": price}, order("limit", p, {"postOnly": True})
            yield f"{kind} ioc {side}", said | {"price": price}, order("limit", p, {"timeInForce": "IOC"})
            yield f"{kind} named {side}", said | {"price": price}, order("limit", p, {"clientOrderId": "20261127"})
            if kind == "swap":
                yield f"{kind} reducing {side}", said | {"price": price}, order("limit", p, {"reduceOnly": True})
            yield f"{kind} market {side}", said, order("market", p, {})
            yield f"{kind} market cost {side}", said | {"quote": size}, order("market", None, {"cost": f})
            yield f"{kind} trigger limit {side}", said | {"price": price}, order("limit", p, {"triggerPrice": t})
            yield f"{kind} trigger market {side}", said, order("market", None, {"triggerPrice": t})
            yield f"{kind} stop loss {side}", said | {"price": price}, order("limit", p, {"stopLossPrice": t})
            yield f"{kind} stop loss market {side}", said, order("market", None, {"stopLossPrice": t})
            yield f"{kind} take profit {side}", said | {"price": price}, order("limit", p, {"takeProfitPrice": t})
            yield f"{kind} trailing {side}", said, order("market", p, {"trailingPercent": "1", "trailingTriggerPrice": t})
            yield f"{kind} trailing amount {side}", said, order("market", p, {"trailingAmount": "5", "trailingTriggerPrice": t})
            yield f"{kind} margin {side}", said | {"price": price}, order("limit", p, {"marginMode": "cross"})
            yield f"{kind} with both {side}", said | {"price": price}, order("limit", p, {"takeProfit": {"triggerPrice": t}, "stopLoss": {"triggerPrice": t}})
            yield f"{kind} twap {side}", said, lambda y=symbol, s=side, f=f: ex.create_twap_order(y, s, f, 600000)
            if venue == "coinbaseexchange":
                said["symbol"] = symbol  # it is cancelled there, under this name
            yield f"{kind} edit {side}", said | {"price": price}, lambda y=symbol, s=side, f=f, p=p: ex.edit_order("123", y, "limit", s, f, p)
            yield f"{kind} edit trigger {side}", said | {"price": price}, lambda y=symbol, s=side, f=f, p=p, t=t: ex.edit_order("123", y, "limit", s, f, p, {"triggerPrice": t})
            yield f"{kind} two orders {side}", {"symbol": name, "side": side}, lambda y=symbol, s=side, f=f, p=p: ex.create_orders(
                [{"symbol": y, "type": "limit", "side": s, "amount": f, "price": p} for _ in range(2)])
        if venue == "coinbaseexchange":
            name = symbol  # ccxt names the market of an order to be cancelled so
        yield f"{kind} cancel", {"symbol": name}, lambda y=symbol: ex.cancel_order("123", y)
        yield f"{kind} cancel trigger", {"symbol": name}, lambda y=symbol: ex.cancel_order("123", y, {"trigger": True, "stop": True})
        yield f"{kind} cancel all", {"symbol": name}, lambda y=symbol: ex.cancel_all_orders(y)


def main():
    seed, venues = int(sys.argv[1]), sys.argv[2:]
    for venue in venues:
        rng = random.Random(f"{seed} {venue}")
        ex, markets = exchange(venue)
        for what, said, ask in asked(ex, venue, markets, rng):
            try:
                made = sends(ex, venue, ask)
            except ccxt.ExchangeError:
                continue  # what this venue does not have
            if made is None or ":null" in str(made["body"]):
                continue  # an account that is not there
            print(json.dumps({"venue": venue, "what": what, "asked": said, "result": made}))


main()
