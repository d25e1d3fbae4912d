"""Unmodified ccxt against the practice venue, with the venue's own keys: what a bot does without Touchkeep.

usage: ccxt_direct.py URL CONTROL

Creates its keys on the venue's web site (HMAC, RSA-2048, Ed25519), trades and withdraws with each, has a key made for a
sub-account, and compares what ccxt reports with the venue's own record. Prints one line per step; ends with a traceback
and status 1 at the first difference.
"""

import hashlib
import hmac
import json
import sys
import urllib.parse
import urllib.request

import ccxt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

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


def own_key(control, kind, private, permissions=ALL):
    """Registers the public half of a key that was made here; the secret is its private half."""
    pem = public_pem(private)
    name, secret = new_key(control, "binance", kind, permissions, public_key_pem=pem)
    same("the venue makes no secret", secret, None)
    return name, private_pem(private)


def public_pem(private):
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(private):
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


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


# After a request of the same bot was accepted ccxt calls -2015 a DDoSProtection.
DENIED = (ccxt.AuthenticationError, ccxt.DDoSProtection)


def sub_account(url, control):
    """A key that is made over the API, used, restricted and deleted, as a rotation does it."""
    master = exchange(url, *hmac_key(control, ["read", "trade", "transfer"]))
    email = master.sapiPostSubAccountVirtualSubAccount({"subAccountString": "desk"})["email"]
    master.sapiPostSubAccountUniversalTransfer(
        {"toEmail": email, "fromAccountType": "SPOT", "toAccountType": "SPOT", "asset": "USDT", "amount": "30000"})
    private = ed25519.Ed25519PrivateKey.generate()
    ask = {"email": email, "apiName": "desk bot", "status": 1, "canTrade": "true"}
    made = call(master, "POST", "sapi/v1/sub-account/subAccountApi", {**ask, "publicKey": public_pem(private)})
    same("no secret for a public key", (made.get("secretKey"), made["canTrade"]), (None, True))
    desk = exchange(url, made["apiKey"], private_pem(private))
    trade(desk, 30000.0)
    same("the customer's own orders", master.fetch_open_orders("BTC/USDT"), [])
    denied = refused(DENIED, desk.withdraw, "USDT", 10, ADDRESS)
    assert "-2015" in denied, denied
    denied = refused(DENIED, desk.sapiPostSubAccountVirtualSubAccount, {"subAccountString": "x"})
    assert "-2015" in denied, denied

    named = {"email": email, "subAccountApiKey": made["apiKey"]}
    far = {**named, "status": 2, "ipAddress": "10.0.0.1"}
    same("restricted", call(master, "POST", "sapi/v2/sub-account/subAccountApi/ipRestriction", far)["ipList"], ["10.0.0.1"])
    assert "-2015" in refused(DENIED, desk.fetch_balance)
    near = {**far, "ipAddress": "127.0.0.1"}
    call(master, "POST", "sapi/v2/sub-account/subAccountApi/ipRestriction", near)
    call(master, "DELETE", "sapi/v1/sub-account/subAccountApi/ipRestriction/ipList", {**named, "ipAddress": "10.0.0.1"})
    same("from here again", desk.fetch_balance()["USDT"]["free"], 30000.0)
    seen = call(master, "GET", "sapi/v1/sub-account/subAccountApi/ipRestriction", named)
    same("restriction", (seen["ipRestrict"], seen["ipList"]), ("true", ["127.0.0.1"]))

    second = call(master, "POST", "sapi/v1/sub-account/subAccountApi", ask)
    after = exchange(url, second["apiKey"], second["secretKey"])
    trade(after, 30000.0)
    names = [key["apiKey"] for key in call(master, "GET", "sapi/v1/sub-account/subAccountApi", {"email": email})]
    same("keys", sorted(names), sorted([made["apiKey"], second["apiKey"]]))
    call(master, "DELETE", "sapi/v1/sub-account/subAccountApi", named)
    assert "-2015" in refused(DENIED, desk.fetch_balance)

    denied = refused(DENIED, after.sapiPostSubAccountTransferSubToMaster, {"asset": "USDT", "amount": "1"})
    assert "-2015" in denied, denied
    grant = {"email": email, "subAccountApiKey": second["apiKey"], "canUniversalTransfer": "true"}
    call(master, "POST", "sapi/v1/sub-account/subAccountApiPermission", grant)
    restrictions = after.sapiGetAccountApiRestrictions()
    same("honest about itself", (restrictions["enableInternalTransfer"], restrictions["enableWithdrawals"]), (True, False))
    after.sapiPostSubAccountTransferSubToMaster({"asset": "USDT", "amount": "30000"})
    same("everything came back", after.fetch_balance()["USDT"]["free"], 0.0)


def call(bot, method, path, params):
    """A signed request that ccxt has no method for: signed here, with Python's own hmac."""
    query = urllib.parse.urlencode({**params, "timestamp": bot.milliseconds()})
    mac = hmac.new(bot.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    base = bot.urls["api"]["public"].removesuffix("api/v3")
    signed, headers = f"{query}&signature={mac}", {"X-MBX-APIKEY": bot.apiKey, "X-Practice": "direct"}
    target, data = (base + path, signed.encode()) if method == "POST" else (f"{base}{path}?{signed}", None)
    request = urllib.request.Request(target, method=method, data=data, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def main(url, control):
    print("ccxt", ccxt.__version__)
    bot = exchange(url, *hmac_key(control))
    same("markets", sorted(bot.load_markets()), ["BTC/USDT", "ETH/BTC", "ETH/USDT"])
    candles = bot.fetch_ohlcv("BTC/USDT", "5m", limit=3)
    same("candles", [row[1:] for row in candles], [[60000.0] * 4 + [0.0]] * 3)
    same("widths", {b[0] - a[0] for a, b in zip(candles, candles[1:])}, {300_000})
    refused(ccxt.BadRequest, bot.public_get_klines, {"symbol": "BTCUSDT", "interval": "7m"})
    trade(bot, 100000.0)
    bought = bot.create_order("BTC/USDT", "market", "buy", 0.1)
    same("bought", (bought["status"], bought["average"]), ("closed", 60000.0))
    same("trades", [t["amount"] for t in bot.fetch_my_trades("BTC/USDT")], [0.1])
    withdraw(bot, 0.5)
    print("hmac key: traded and withdrew")

    signer = exchange(url, *own_key(control, "rsa", rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    trade(signer, 94000.0)
    withdraw(signer, 0.25)
    print("rsa key: traded and withdrew")
    signer = exchange(url, *own_key(control, "ed25519", ed25519.Ed25519PrivateKey.generate()))
    trade(signer, 94000.0)
    withdraw(signer, 0.25)
    print("ed25519 key: traded and withdrew")

    same("left", bot.fetch_balance()["BTC"]["free"], 9.1)
    weak = exchange(url, *hmac_key(control, ["read"]))
    assert "-2015" in refused(ccxt.AuthenticationError, weak.withdraw, "BTC", 1, ADDRESS)
    forger = exchange(url, bot.apiKey, "x" * 64)
    assert "-1022" in refused(ccxt.AuthenticationError, forger.fetch_balance)
    poor = refused(ccxt.InsufficientFunds, bot.create_order, "BTC/USDT", "market", "sell", 100)
    assert "insufficient balance for requested action" in poor, poor
    print("refused as the real exchange refuses")
    sub_account(url, control)
    print("a sub-account has its own key and its own money")

    record = site(control, "GET", "/record")
    done = [r["operation"] for r in record if r["accepted"] and "withdraw/apply" in r["path"]]
    same("venue's record", done, [
        f"withdraw 0.5 BTC to {ADDRESS} (network BTC)",
        f"withdraw 0.25 BTC to {ADDRESS} (network BTC)",
        f"withdraw 0.25 BTC to {ADDRESS} (network BTC)",
    ])
    same("venue's ledger", len(site(control, "GET", "/withdrawals")), 3)
    same("headers on every request", {r["headers"].get("x-practice") for r in record}, {"direct"})
    print("the venue's record agrees:", len(record), "requests")


if __name__ == "__main__":
    main(*sys.argv[1:])
