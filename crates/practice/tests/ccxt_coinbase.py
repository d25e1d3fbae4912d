"""Unmodified ccxt against the practice venue in Coinbase's dialect, with the venue's own keys.

usage: ccxt_coinbase.py URL CONTROL

Trades and sends money with an ES256 and with an Ed25519 key, then has everything refused that a careless or hostile
client would try. The tokens of the refused requests are made here with Python's cryptography. Prints one line per step;
ends with a traceback and status 1 at the first difference.
"""

import base64
import json
import secrets
import sys
import time
import urllib.error
import urllib.request

import ccxt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from practice_site import ADDRESS, new_key, refused, same, site

ACCOUNTS = "/api/v3/brokerage/accounts"


def exchange(url, api_key, secret):
    """The whole configuration that points ccxt's coinbase at another place."""
    return ccxt.coinbase({
        "apiKey": api_key,
        "secret": secret,
        "enableRateLimit": False,
        "urls": {"api": {"rest": url}},
    })


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(name, secret, method, path, host="api.coinbase.com", alg=None, header=None, claims=None, drop=()):
    """A token for one request, as docs.cdp.coinbase.com describes it; `header`, `claims` and `drop` spoil it."""
    is_pem = secret.startswith("-----BEGIN")
    now = int(time.time())
    head = {"alg": alg or ("ES256" if is_pem else "EdDSA"), "typ": "JWT", "kid": name,
            "nonce": secrets.token_hex(16), **(header or {})}
    said = {"sub": name, "iss": "cdp", "nbf": now, "exp": now + 120,
            "uri": f"{method} {host}{path}", **(claims or {})}
    for gone in drop:
        head.pop(gone, None)
        said.pop(gone, None)
    signed = base64url(json.dumps(head).encode()) + "." + base64url(json.dumps(said).encode())
    if is_pem:
        key = serialization.load_pem_private_key(secret.encode(), None)
        r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    else:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret)[:32])
        signature = key.sign(signed.encode())
    return signed + "." + base64url(signature)


def call(url, bearer, method="GET", path=ACCOUNTS, body=None):
    """Status and body of one request with this token."""
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    data = None if text is None else text.encode()
    headers = {"Content-Type": "application/json"}
    if bearer is not None:
        headers["Authorization"] = "Bearer " + bearer
    request = urllib.request.Request(url + path, method=method, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode().strip()


def trade(bot, free_usdt):
    """Places, sees and cancels a resting order."""
    same("markets", sorted(bot.load_markets()), ["BTC/USDT", "ETH/BTC", "ETH/USDT"])
    order = bot.create_order("BTC/USDT", "limit", "buy", 0.5, 50000)
    balance = bot.fetch_balance({"v3": True})["USDT"]
    same("locked", (balance["free"], balance["used"]), (free_usdt - 25000, 25000.0))
    opened = bot.fetch_open_orders("BTC/USDT")
    same("open", [(o["id"], o["status"], o["price"], o["amount"]) for o in opened],
         [(order["id"], "open", 50000.0, 0.5)])
    bot.cancel_order(order["id"], "BTC/USDT")
    same("cancelled", bot.fetch_order(order["id"], "BTC/USDT")["status"], "canceled")
    same("nothing open", bot.fetch_open_orders("BTC/USDT"), [])
    refused(ccxt.BadRequest, bot.cancel_order, order["id"], "BTC/USDT")


def refusals(url, control, kind):
    """Nothing is done for a token that is not exactly right."""
    name, secret = new_key(control, "coinbase", kind)
    other = new_key(control, "coinbase", kind)
    wrong_kind = new_key(control, "coinbase", "ed25519" if kind == "es256" else "es256")
    now = int(time.time())
    good = token(name, secret, "GET", ACCOUNTS)
    same("good", call(url, good)[0], 200)
    head, claims, signature = good.split(".")
    bare = lambda **spoilt: token(name, secret, "GET", ACCOUNTS, **spoilt)
    bad = {
        "the same token again": good,
        "the same nonce again": bare(header={"nonce": json.loads(base64.urlsafe_b64decode(head + "=="))["nonce"]}),
        "no token": None,
        "no signature": head + "." + claims + ".",
        "unsigned": base64url(json.dumps({"alg": "none", "kid": name, "nonce": "1"}).encode()) + "." + claims + ".",
        "changed claims": head + "." + claims[:-2] + "AA." + signature,
        "padded": bare() + "=",
        "another key's signature": token(name, other[1], "GET", ACCOUNTS),
        "another algorithm": token(name, wrong_kind[1], "GET", ACCOUNTS),
        "unknown key": token(name + "0", secret, "GET", ACCOUNTS),
        "another subject": bare(claims={"sub": other[0]}),
        "another issuer": bare(claims={"iss": "me"}),
        "another method": token(name, secret, "POST", ACCOUNTS),
        "another path": token(name, secret, "GET", ACCOUNTS + "/BTC"),
        "with the query": token(name, secret, "GET", ACCOUNTS + "?limit=1"),
        "another host": token(name, secret, "GET", ACCOUNTS, host="api.example.com"),
        "no uri": bare(drop=["uri"]),
        "no nonce": bare(drop=["nonce"]),
        "empty nonce": bare(header={"nonce": ""}),
        "no kid": bare(drop=["kid"]),
        "critical": bare(header={"crit": ["b64"]}),
        "too early": bare(claims={"nbf": now + 60, "exp": now + 120}),
        "over": bare(claims={"nbf": now - 130, "exp": now - 10}),
        "too long a life": bare(claims={"nbf": now, "exp": now + 121}),
        "no end": bare(drop=["exp"]),
    }
    for what, bearer in bad.items():
        same(what, call(url, bearer), (401, "Unauthorized"))
    listed = bare(claims={"uris": ["GET api.coinbase.com" + ACCOUNTS]}, drop=["uri"])
    same("a list of uris", call(url, listed)[0], 200)
    same("the host that was dialled", call(url, bare(host=url.removeprefix("http://")))[0], 200)
    same("query beside the uri", call(url, bare(), path=ACCOUNTS + "?limit=1")[0], 200)
    viewer = new_key(control, "coinbase", kind, ["read"])
    orders = "/api/v3/brokerage/orders"
    status, body = call(url, token(*viewer, "POST", orders), "POST", orders, {})
    same("permission", (status, json.loads(body)["error_details"]), (403, "Missing required scopes"))
    send = "/v2/accounts/BTC/transactions"
    ask = {"type": "send", "to": ADDRESS, "amount": "0.1", "currency": "BTC"}
    trader = new_key(control, "coinbase", kind, ["read", "trade"])
    status, body = call(url, token(*trader, "POST", send), "POST", send, ask)
    same("transfer", (status, json.loads(body)["errors"][0]["id"]), (403, "invalid_scope"))
    far = new_key(control, "coinbase", kind, ips=["10.0.0.1"])
    same("address", call(url, token(*far, "GET", ACCOUNTS))[0], 401)
    permissions = "/api/v3/brokerage/key_permissions"
    seen = call(url, token(*trader, "GET", permissions), path=permissions)[1]
    same("introspection", (seen["can_view"], seen["can_trade"], seen["can_transfer"]), (True, True, False))


def idempotence(url, control):
    """A second wish of the same name gets the first one's result."""
    key = new_key(control, "coinbase", "es256")
    send = "/v2/accounts/BTC/transactions"
    ask = {"type": "send", "to": ADDRESS, "amount": "0.1", "currency": "BTC", "idem": "once"}
    first, second = [call(url, token(*key, "POST", send), "POST", send, ask) for _ in range(2)]
    same("created", first[0], 201)
    same("same transaction", first[1]["data"]["id"], second[1]["data"]["id"])
    orders = "/api/v3/brokerage/orders"
    ask = {"client_order_id": "once", "product_id": "BTC-USDT", "side": "BUY",
           "order_configuration": {"limit_limit_gtc": {"base_size": "0.5", "limit_price": "50000"}}}
    first, second = [call(url, token(*key, "POST", orders), "POST", orders, ask)[1] for _ in range(2)]
    same("same order", first["order_id"], second["order_id"])
    ask["client_order_id"] = "other"
    for extra, expected in [({"leverage": "2"}, 200), ({"attached_order_configuration": {}}, 200), ({"odd": 1}, 400)]:
        status, answer = call(url, token(*key, "POST", orders), "POST", orders, {**ask, **extra})
        same("not half done", (status, status == 200 and answer["success"]), (expected, False))
    twice = json.dumps(ask).replace('{"limit_limit_gtc"', '{"limit_limit_gtc": {"base_size": "9", "limit_price": "1"}, "limit_limit_gtc"')
    status, _ = call(url, token(*key, "POST", orders), "POST", orders, twice)
    same("a configuration twice", status, 400)


def main(url, control):
    print("ccxt", ccxt.__version__)
    bot = exchange(url, *new_key(control, "coinbase", "es256"))
    trade(bot, 100000.0)
    bought = bot.create_order("BTC/USDT", "market", "buy", 0.1, 60000)
    filled = bot.fetch_order(bought["id"], "BTC/USDT")
    same("bought", (filled["status"], filled["filled"], filled["average"]), ("closed", 0.1, 60000.0))
    trades = bot.fetch_my_trades("BTC/USDT")
    same("trades", [(t["order"], t["amount"], t["price"]) for t in trades], [(bought["id"], 0.1, 60000.0)])
    same("ticker", bot.fetch_ticker("BTC/USDT")["ask"], 60000.0)
    poor = refused(ccxt.InsufficientFunds, bot.create_order, "BTC/USDT", "market", "sell", 100)
    assert "Insufficient balance" in poor, poor
    sent = bot.withdraw("BTC", 0.5, ADDRESS)
    same("sent", (sent["address"], sent["amount"], sent["fee"]["cost"]), (ADDRESS, 0.5, 0.00001))
    print("ES256 key: traded and sent")

    signer = exchange(url, *new_key(control, "coinbase", "ed25519"))
    trade(signer, 94000.0)
    signer.withdraw("BTC", 0.25, ADDRESS, params={"network": "bitcoin"})
    seen = signer.fetch_deposits_withdrawals("BTC", params={"currencyType": "crypto"})
    print("Ed25519 key: traded and sent;", len(seen), "seen by ccxt")

    for kind in ("es256", "ed25519"):
        refusals(url, control, kind)
    print("refused as the real exchange refuses")
    idempotence(url, control)
    record = site(control, "GET", "/record")
    done = [r["operation"] for r in record if r["accepted"] and r["method"] == "POST" and "/v2/" in r["path"]]
    same("venue's record", done, [
        f"withdraw 0.5 BTC to {ADDRESS} (network BTC)",
        f"withdraw 0.25 BTC to {ADDRESS} (network BTC)",
        f"withdraw 0.1 BTC to {ADDRESS} (network BTC)",
        f"repeated: withdraw 0.1 BTC to {ADDRESS} (network BTC)",
    ])
    same("venue's ledger", len(site(control, "GET", "/withdrawals")), 3)
    left = {row["asset"]: row["free"] for row in site(control, "GET", "/balances")}
    same("left", left["BTC"], "9.24997000")
    assert all(r["dialect"] == "coinbase" for r in record)
    print("the venue's record agrees:", len(record), "requests")


if __name__ == "__main__":
    main(*sys.argv[1:])
