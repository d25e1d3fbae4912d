"""A small exchange in Bybit's dialect (v5, unified account, spot) on loopback, for tests.

It checks of a private request what Bybit checks: the key, its permission, the time against the window, and the signature
over time, key, window and query or body, with Python's own hmac. Its web site is that of the practice venue, as far as tests
need it: POST /keys, GET /balances, GET /record. Prints one JSON line when it is ready.
"""

import hashlib
import hmac
import json
import secrets
import threading
import time
import urllib.parse
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOCK = threading.Lock()
KEYS, ORDERS, RECORD = {}, {}, []
FREE = {"USDT": Decimal(100000), "BTC": Decimal(10)}
LOCKED = {"USDT": Decimal(0), "BTC": Decimal(0)}


class Refused(Exception):
    """Bybit's code and words."""


def wallet(asked):
    def coin(name):
        return {"coin": name, "walletBalance": str(FREE[name] + LOCKED[name]), "locked": str(LOCKED[name])}

    named = asked.get("coin")
    coins = [coin(name) for name in FREE if named in (None, name)]
    return {"list": [{"accountType": asked["accountType"], "coin": coins}]}, "balances"


def create(asked):
    if (asked["category"], asked["symbol"], asked["side"], asked["orderType"]) != ("spot", "BTCUSDT", "Buy", "Limit"):
        raise Refused(10001, "this exchange buys BTC with a limit, and nothing else")
    cost = Decimal(asked["qty"]) * Decimal(asked["price"])
    if cost > FREE["USDT"]:
        raise Refused(170131, "Insufficient balance.")
    FREE["USDT"] -= cost
    LOCKED["USDT"] += cost
    order = str(secrets.randbits(60))
    ORDERS[order] = cost
    return {"orderId": order, "orderLinkId": asked.get("orderLinkId", "")}, f"buy {asked['qty']} BTC at {asked['price']}"


def cancel(asked):
    cost = ORDERS.pop(asked.get("orderId"), None)
    if cost is None:
        raise Refused(170213, "Order does not exist.")
    FREE["USDT"] += cost
    LOCKED["USDT"] -= cost
    return {"orderId": asked["orderId"], "orderLinkId": ""}, f"cancel order {asked['orderId']}"


def withdraw(asked):
    if abs(time.time() * 1000 - int(asked["timestamp"])) > 5000 * 60:
        raise Refused(131002, "timestamp")
    FREE[asked["coin"]] -= Decimal(asked["amount"])
    words = f"withdraw {asked['amount']} {asked['coin']} to {asked['address']} (network {asked['chain']})"
    return {"id": str(secrets.randbits(30))}, words


ENDPOINTS = {
    ("GET", "/v5/account/wallet-balance"): ("read", wallet),
    ("POST", "/v5/order/create"): ("trade", create),
    ("POST", "/v5/order/cancel"): ("trade", cancel),
    ("POST", "/v5/asset/withdraw/create"): ("withdraw", withdraw),
}


def checked(headers, payload, permission):
    """Nothing, if the request is its key's."""
    key = KEYS.get(headers.get("X-BAPI-API-KEY"))
    if key is None:
        raise Refused(10003, "API key is invalid.")
    stamp, window = headers["X-BAPI-TIMESTAMP"], headers.get("X-BAPI-RECV-WINDOW", "5000")
    now = time.time() * 1000
    if not now - int(window) <= int(stamp) < now + 1000:
        raise Refused(10002, "invalid request, please check your server timestamp or recv_window param")
    signed = (stamp + headers["X-BAPI-API-KEY"] + window).encode() + payload
    mac = hmac.new(key["secret"].encode(), signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(mac, headers.get("X-BAPI-SIGN", "")):
        raise Refused(10004, "error sign! origin_string[" + signed.decode() + "]")
    if permission not in key["permissions"]:
        raise Refused(10005, "Permission denied, please check your API key permissions.")


class Port(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def say(self, answer):
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Exchange(Port):
    def do(self):
        path, _, query = self.path.partition("?")
        body = self.body()
        row = {"method": self.command, "path": path, "accepted": False, "operation": None}
        with LOCK:
            RECORD.append(row)
            try:
                permission, run = ENDPOINTS[(self.command, path)]
                checked(self.headers, query.encode() if self.command == "GET" else body, permission)
                asked = dict(urllib.parse.parse_qsl(query)) if self.command == "GET" else json.loads(body)
                result, row["operation"] = run(asked)
                row["accepted"] = True
                answer = {"retCode": 0, "retMsg": "OK", "result": result}
            except Refused as refused:
                code, words = refused.args
                answer = {"retCode": code, "retMsg": words, "result": {}}
        self.say({**answer, "retExtInfo": {}, "time": int(time.time() * 1000)})

    do_GET = do_POST = do


class Site(Port):
    def do_GET(self):
        with LOCK:
            pages = {
                "/record": RECORD,
                "/balances": [{"asset": asset, "free": f"{free:.8f}"} for asset, free in FREE.items()],
            }
            self.say(pages[self.path])

    def do_POST(self):
        asked = json.loads(self.body())
        # As the exchange makes them: letters and digits, none of which begins an option.
        key, secret = secrets.token_hex(9), secrets.token_hex(18)
        with LOCK:
            KEYS[key] = {"secret": secret, "permissions": asked["permissions"]}
        self.say({"api_key": key, "secret": secret})


def serve(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    return f"http://127.0.0.1:{server.server_port}"


if __name__ == "__main__":
    print(json.dumps({"ready": True, "url": serve(Exchange), "control": serve(Site)}), flush=True)
