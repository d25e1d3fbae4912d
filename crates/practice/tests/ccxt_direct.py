"""Unmodified ccxt against the practice venue, with the venue's own keys: what a bot does without Touchkeep.

usage: ccxt_direct.py URL CONTROL

Creates its keys on the venue's web site (one HMAC, one RSA-2048), trades and withdraws with both, and compares what
ccxt reports with the venue's own record. Prints one line per step; ends with a traceback and status 1 at the first
difference.
"""

import sys

import ccxt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from practice_site import ADDRESS, ALL, new_key, refused, same, site


def exchange(url, api_key, secret):
    """The whole configuration that points ccxt's binance at another place."""
    return ccxt.binance({
        "apiKey": api_key,
        "secret": secret,
        "headers": {"X-Practice": "direct"},
        "urls": {"api": {
            "public": url + "/api/v3",
            "private": url + "/api/v3",
            "sapi": url + "/sapi/v1",
        }},
        "options": {
            "defaultType": "spot",
            "fetchMarkets": {"types": ["spot"]},
            "fetchMargins": False,
        },
    })


def hmac_key(control, permissions=ALL):
    return new_key(control, "binance", "hmac", permissions)


def rsa_key(control):
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    form = {"label": "rsa bot", "type": "rsa", "public_key_pem": public.decode(), "permissions": ALL}
    key = site(control, "POST", "/keys", form)
    assert "secret" not in key, key
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key["api_key"], pem.decode()


def trade(bot, free_usdt):
    """Places, sees and cancels a resting order."""
    order = bot.create_order("BTC/USDT", "limit", "buy", 0.5, 50000)
    same("order", (order["status"], order["price"], order["amount"]), ("open", 50000.0, 0.5))
    balance = bot.fetch_balance()["USDT"]
    same("locked", (balance["free"], balance["used"]), (free_usdt - 25000, 25000.0))
    same("open orders", [o["id"] for o in bot.fetch_open_orders("BTC/USDT")], [order["id"]])
    same("cancelled", bot.cancel_order(order["id"], "BTC/USDT")["status"], "canceled")
    same("nothing open", bot.fetch_open_orders("BTC/USDT"), [])
    same("given back", bot.fetch_balance()["USDT"]["used"], 0.0)


def withdraw(bot, amount):
    """Withdraws, and finds the withdrawal in the history."""
    sent = bot.withdraw("BTC", amount, ADDRESS, params={"network": "BTC"})
    newest = bot.fetch_withdrawals("BTC")
    same("withdrawal", [w["id"] for w in newest].count(sent["id"]), 1)


def main(url, control):
    print("ccxt", ccxt.__version__)
    bot = exchange(url, *hmac_key(control))
    same("markets", sorted(bot.load_markets()), ["BTC/USDT", "ETH/BTC", "ETH/USDT"])
    trade(bot, 100000.0)
    bought = bot.create_order("BTC/USDT", "market", "buy", 0.1)
    same("bought", (bought["status"], bought["average"]), ("closed", 60000.0))
    same("trades", [t["amount"] for t in bot.fetch_my_trades("BTC/USDT")], [0.1])
    withdraw(bot, 0.5)
    print("hmac key: traded and withdrew")

    signer = exchange(url, *rsa_key(control))
    trade(signer, 94000.0)
    withdraw(signer, 0.25)
    print("rsa key: traded and withdrew")

    same("left", bot.fetch_balance()["BTC"]["free"], 9.35)
    weak = exchange(url, *hmac_key(control, ["read"]))
    assert "-2015" in refused(ccxt.AuthenticationError, weak.withdraw, "BTC", 1, ADDRESS)
    forger = exchange(url, bot.apiKey, "x" * 64)
    assert "-1022" in refused(ccxt.AuthenticationError, forger.fetch_balance)
    poor = refused(ccxt.InsufficientFunds, bot.create_order, "BTC/USDT", "market", "sell", 100)
    assert "insufficient balance for requested action" in poor, poor
    print("refused as the real exchange refuses")

    record = site(control, "GET", "/record")
    done = [r["operation"] for r in record if r["accepted"] and "withdraw/apply" in r["path"]]
    same("venue's record", done, [
        f"withdraw 0.5 BTC to {ADDRESS} (network BTC)",
        f"withdraw 0.25 BTC to {ADDRESS} (network BTC)",
    ])
    same("venue's ledger", len(site(control, "GET", "/withdrawals")), 2)
    same("headers on every request", {r["headers"].get("x-practice") for r in record}, {"direct"})
    print("the venue's record agrees:", len(record), "requests")


if __name__ == "__main__":
    main(*sys.argv[1:])
