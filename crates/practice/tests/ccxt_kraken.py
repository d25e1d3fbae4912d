"""Unmodified ccxt against the practice venue in Kraken's dialect, with the venue's own keys.

usage: ccxt_kraken.py URL CONTROL

Trades and withdraws, then has everything refused that a careless or hostile client would try. The signatures of the
refused requests are made with Python's own hmac and hashlib. Prints one line per step; ends with a traceback and status
1 at the first difference.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
import urllib.parse
import urllib.request

import ccxt

from practice_site import ADDRESS, new_key, refused, same, site


def exchange(url, api_key, secret):
    """The whole configuration that points ccxt's kraken at another place."""
    return ccxt.kraken({
        "apiKey": api_key,
        "secret": secret,
        "enableRateLimit": False,
        "urls": {"api": {"public": url, "private": url}},
    })


def call(url, api_key, secret, method, params, tamper=None, sign=None, path=None):
    """One private request, signed here; `tamper` changes the body after it was signed."""
    path = path or "/0/private/" + method
    body = urllib.parse.urlencode(params)
    inner = hashlib.sha256((str(params.get("nonce", "")) + body).encode()).digest()
    good = hmac.new(base64.b64decode(secret), path.encode() + inner, hashlib.sha512).digest()
    headers = {"API-Key": api_key, "API-Sign": sign or base64.b64encode(good).decode()}
    data = (tamper(body) if tamper else body).encode()
    request = urllib.request.Request(url + "/0/private/" + method, data=data, headers=headers)
    with urllib.request.urlopen(request) as answer:
        reply = json.load(answer)
    return reply["error"][0] if reply["error"] else reply["result"]


def sent(url, api_key, secret, method, nonce, body):
    """One private request with a JSON body."""
    path = "/0/private/" + method
    inner = hashlib.sha256((str(nonce) + body).encode()).digest()
    mac = hmac.new(base64.b64decode(secret), path.encode() + inner, hashlib.sha512).digest()
    headers = {"API-Key": api_key, "API-Sign": base64.b64encode(mac).decode(), "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url + path, data=body.encode(), headers=headers)) as answer:
        reply = json.load(answer)
    return reply["error"][0] if reply["error"] else reply["result"]


def trade(bot):
    """Places, sees and cancels a resting order, then buys at the market."""
    same("markets", sorted(bot.load_markets()), ["BTC/USDT", "ETH/BTC", "ETH/USDT"])
    order = bot.create_order("BTC/USDT", "limit", "buy", 0.5, 50000)
    balance = bot.fetch_balance()["USDT"]
    same("locked", (balance["free"], balance["used"]), (75000.0, 25000.0))
    opened = bot.fetch_open_orders("BTC/USDT")
    same("open", [(o["id"], o["status"], o["price"], o["amount"]) for o in opened],
         [(order["id"], "open", 50000.0, 0.5)])
    bot.cancel_order(order["id"], "BTC/USDT")
    same("cancelled", bot.fetch_order(order["id"], "BTC/USDT")["status"], "canceled")
    same("nothing open", bot.fetch_open_orders("BTC/USDT"), [])
    bought = bot.create_order("BTC/USDT", "market", "buy", 0.1)
    filled = bot.fetch_order(bought["id"], "BTC/USDT")
    same("bought", (filled["status"], filled["filled"], filled["average"]), ("closed", 0.1, 60000.0))
    trades = bot.fetch_my_trades("BTC/USDT")
    same("trades", [(t["order"], t["amount"], t["price"]) for t in trades], [(bought["id"], 0.1, 60000.0)])
    same("closed", len(bot.fetch_closed_orders("BTC/USDT")), 2)
    same("ticker", bot.fetch_ticker("BTC/USDT")["ask"], 60000.0)
    poor = refused(ccxt.InsufficientFunds, bot.create_order, "BTC/USDT", "market", "sell", 100)
    assert "EOrder:Insufficient funds" in poor, poor


def withdraw(bot, control):
    """Withdraws to a name of the address book, and to no other."""
    unknown = refused(ccxt.InvalidAddress, bot.withdraw, "BTC", 0.5, ADDRESS, {"key": "cold"})
    assert "EFunding:Unknown withdraw key" in unknown, unknown
    site(control, "POST", "/withdrawal-addresses",
         {"asset": "BTC", "key": "cold", "address": ADDRESS, "network": "BTC"})
    other = ADDRESS[:-1] + "z"
    mismatch = refused(ccxt.ExchangeError, bot.withdraw, "BTC", 0.5, other, {"key": "cold"})
    assert "EFunding:Invalid withdrawal address" in mismatch, mismatch
    sent = bot.withdraw("BTC", 0.5, ADDRESS, {"key": "cold"})
    seen = bot.fetch_withdrawals("BTC")
    same("withdrawals", [(w["id"], w["address"], w["amount"]) for w in seen],
         [(sent["id"], ADDRESS, 0.49999)])
    addresses = bot.private_post_withdrawaddresses({"asset": "XBT"})["result"]
    same("address book", [(a["key"], a["address"]) for a in addresses], [("cold", ADDRESS)])
    info = bot.private_post_withdrawinfo({"asset": "XBT", "key": "cold", "amount": "0.1"})["result"]
    same("terms", (info["amount"], info["fee"]), ("0.09999000", "0.00001000"))


def refusals(url, control):
    """Each refused request leaves the balance and the nonce as they were."""
    key, secret = new_key(control, "kraken", "hmac")
    other = new_key(control, "kraken", "hmac")[1]
    balance = lambda nonce, **more: call(url, key, secret, "Balance", {"nonce": nonce}, **more)
    first = int(time.time() * 1000)
    same("first", balance(first)["XXBT"], "9.6000000000")
    same("same nonce", balance(first), "EAPI:Invalid nonce")
    same("lower nonce", balance(first - 1), "EAPI:Invalid nonce")
    same("no nonce", call(url, key, secret, "Balance", {}), "EAPI:Invalid nonce")
    same("no number", balance("soon"), "EAPI:Invalid nonce")
    same("more than 64 bits", balance(2**64), "EAPI:Invalid nonce")
    same("body changed", balance(first + 9, tamper=lambda b: b + "&a=1"), "EAPI:Invalid signature")
    same("other path", balance(first + 9, path="/0/private/Withdraw"), "EAPI:Invalid signature")
    same("other secret", call(url, key, other, "Balance", {"nonce": first + 9}), "EAPI:Invalid signature")
    same("no signature", balance(first + 9, sign="AAAA"), "EAPI:Invalid signature")
    same("unknown key", call(url, key[:-1] + "?", secret, "Balance", {"nonce": first + 9}), "EAPI:Invalid key")
    as_json = '{"nonce":"%d","asset":"XBT"%s}'
    same("JSON", sent(url, key, secret, "WithdrawAddresses", first + 1, as_json % (first + 1, ""))[0]["key"], "cold")
    twice = as_json % (first + 2, ',"asset":"ETH"')
    same("JSON with a name twice", sent(url, key, secret, "WithdrawAddresses", first + 2, twice), "EGeneral:Invalid arguments:body")
    same("next", balance(first + 3)["XXBT"], "9.6000000000")
    other_key = new_key(control, "kraken", "hmac")
    same("another key counts for itself", call(url, *other_key, "Balance", {"nonce": 1})["XXBT"], "9.6000000000")
    reader, reads = new_key(control, "kraken", "hmac", ["read"])
    ask = {"nonce": 1, "asset": "XBT", "key": "cold", "amount": "0.1"}
    same("permission", call(url, reader, reads, "Withdraw", ask), "EGeneral:Permission denied")
    far, secret = new_key(control, "kraken", "hmac", ips=["10.0.0.1"])
    same("address", call(url, far, secret, "Balance", {"nonce": 1}), "EGeneral:Permission denied")
    info = call(url, far, secret, "GetApiKeyInfo", {"nonce": 2})
    same("address again", info, "EGeneral:Permission denied")
    binance = new_key(control, "binance", "hmac")[0]
    same("a key of another kind", call(url, binance, secret, "Balance", {"nonce": 3}), "EAPI:Invalid key")
    info = call(url, reader, reads, "GetApiKeyInfo", {"nonce": 9})
    same("introspection", (info["nonce"], info["nonceWindow"], info["permissions"]),
         ("9", 0, ["query-funds", "query-open-trades", "query-closed-trades"]))


def main(url, control):
    print("ccxt", ccxt.__version__)
    bot = exchange(url, *new_key(control, "kraken", "hmac"))
    trade(bot)
    withdraw(bot, control)
    print("traded and withdrew")
    refusals(url, control)
    print("refused as the real exchange refuses")
    record = site(control, "GET", "/record")
    done = [r["operation"] for r in record if r["accepted"] and r["path"] == "/0/private/Withdraw"]
    same("venue's record", done, [f"withdraw 0.5 BTC to {ADDRESS} (network BTC)"])
    same("venue's ledger", len(site(control, "GET", "/withdrawals")), 1)
    assert all(r["dialect"] == "kraken" for r in record)
    print("the venue's record agrees:", len(record), "requests")


if __name__ == "__main__":
    main(*sys.argv[1:])
