"""What can be ordered at the practice venue's web site takes effect in every dialect.

usage: site_control.py URL CONTROL

Keys are changed and taken away, the clock is put ahead and back, and faults strike the dialect that they are meant for
and are told in its own words. Prints one line per step; ends with a traceback and status 1 at the first difference.
"""

import hashlib
import hmac
import http.client
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import ccxt_coinbase as coinbase
import ccxt_kraken as kraken
from practice_site import ADDRESS, new_key, same, site

BTC = {"asset": "BTC", "key": "cold", "address": ADDRESS}


class Clients:
    """One key of each dialect, and a balance query with each."""

    def __init__(self, url, control):
        self.url, self.nonce = url, int(time.time() * 1000)
        self.binance = new_key(control, "binance", "hmac")
        self.kraken = new_key(control, "kraken", "hmac")
        self.coinbase = new_key(control, "coinbase", "es256")

    def ask_binance(self):
        return binance(self.url, *self.binance, "GET", "/api/v3/account")

    def ask_kraken(self, method="Balance", **params):
        self.nonce += 1
        return kraken.call(self.url, *self.kraken, method, {"nonce": self.nonce, **params})

    def ask_coinbase(self):
        return coinbase.call(self.url, coinbase.token(*self.coinbase, "GET", coinbase.ACCOUNTS))

    def all_answer(self):
        same("binance", self.ask_binance()[0], 200)
        same("kraken", "XXBT" in self.ask_kraken(), True)
        same("coinbase", self.ask_coinbase()[0], 200)


def binance(url, name, secret, method, path, params=None, at=None):
    """Status, headers and body of a signed request; the signature is made here."""
    query = urllib.parse.urlencode({**(params or {}), "timestamp": at or int(time.time() * 1000)})
    mac = hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    request = urllib.request.Request(f"{url}{path}?{query}&signature={mac}", method=method, headers={"X-MBX-APIKEY": name})
    return sent(request)


def sent(request):
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as refusal:
        text = refusal.read().decode()
        return refusal.code, refusal.headers, json.loads(text) if text.startswith("{") else text.strip()


def site_status(control, method, path, form):
    """The status with which the web site refuses a form."""
    try:
        site(control, method, path, form)
        return 200
    except urllib.error.HTTPError as refusal:
        return refusal.code


def keys(url, control):
    """Lists, changes and deletions, by names that hold slashes and plus signs."""
    clients = Clients(url, control)
    clients.all_answer()
    names = {"binance": clients.binance[0], "kraken": clients.kraken[0], "coinbase": clients.coinbase[0]}
    listed = {row["api_key"]: row for row in site(control, "GET", "/keys")}
    for dialect, name in names.items():
        same("listed", listed[name]["dialect"], dialect)
        assert "secret" not in listed[name]
        place = "/keys/" + urllib.parse.quote(name, safe="")
        same("away", site(control, "PATCH", place, {"ips": ["10.0.0.1"]})["ips"], ["10.0.0.1"])
    same("binance elsewhere", clients.ask_binance()[2]["code"], -2015)
    same("kraken elsewhere", clients.ask_kraken(), "EGeneral:Permission denied")
    same("coinbase elsewhere", clients.ask_coinbase()[0], 401)
    for name in names.values():
        place = "/keys/" + urllib.parse.quote(name, safe="")
        site(control, "PATCH", place, {"ips": [], "permissions": ["trade"]})
    same("binance may not read", clients.ask_binance()[2]["code"], -2015)
    same("kraken may not read", clients.ask_kraken(), "EGeneral:Permission denied")
    same("coinbase may not read", clients.ask_coinbase()[0], 403)
    for name in names.values():
        place = "/keys/" + urllib.parse.quote(name, safe="")
        site(control, "PATCH", place, {"permissions": ["read"]})
    clients.all_answer()
    for name in names.values():
        place = "/keys/" + urllib.parse.quote(name, safe="")
        same("deleted", site(control, "DELETE", place)["deleted"], name)
        same("gone", site_status(control, "DELETE", place, None), 404)
        same("nothing to change", site_status(control, "PATCH", place, {}), 404)
    same("binance gone", clients.ask_binance()[2]["code"], -2015)
    same("kraken gone", clients.ask_kraken(), "EAPI:Invalid key")
    same("coinbase gone", clients.ask_coinbase()[0], 401)
    same("nobody's balance", site_status(control, "GET", "/balances/nobody@example.com", None), 404)
    for dialect, kind, more in [
        ("binance", "es256", {}), ("kraken", "ed25519", {}), ("kraken", "rsa", {}), ("coinbase", "hmac", {}),
        ("binance", "ed25519", {}), ("binance", "ed25519", {"public_key_pem": "x"}), ("mars", "hmac", {}),
        ("coinbase", "es256", {"public_key_pem": "x"}), ("binance", "hmac", {"account": "nobody@example.com"}),
    ]:
        form = {"label": "", "dialect": dialect, "type": kind, "permissions": [], **more}
        same(f"no {kind} key for {dialect}", site_status(control, "POST", "/keys", form), 400)


def address_book(control):
    same("entered", site(control, "POST", "/withdrawal-addresses", BTC)["key"], "cold")
    for form in [BTC, {**BTC, "key": "b", "asset": "XBT"}, {**BTC, "key": "b", "network": "TRX"}, {"key": "b"}]:
        same("not entered", site_status(control, "POST", "/withdrawal-addresses", form), 400)
    same("listed", [row["key"] for row in site(control, "GET", "/withdrawal-addresses")], ["cold"])
    site(control, "DELETE", "/withdrawal-addresses/cold")
    same("empty", site(control, "GET", "/withdrawal-addresses"), [])


def clock(url, control):
    """A server whose clock is off refuses what it would have taken; Kraken does not look at the time."""
    clients = Clients(url, control)
    for skew, name in [(70_000, "ahead"), (-70_000, "behind")]:
        site(control, "PUT", "/clock", {"skew_ms": skew})
        same(f"binance {name}", clients.ask_binance()[2]["code"], -1021)
        same(f"kraken {name}", "XXBT" in clients.ask_kraken(), True)
        near = lambda seen: abs(seen - (time.time() * 1000 + skew)) < 2000
        same("binance's clock", near(get(url, "/api/v3/time")["serverTime"]), True)
        same("kraken's clock", near(get(url, "/0/public/Time")["result"]["unixtime"] * 1000), True)
        same("coinbase's clock", near(int(get(url, "/api/v3/brokerage/time")["epochMillis"])), True)
    same("coinbase behind", clients.ask_coinbase()[0], 401)
    site(control, "PUT", "/clock", {"skew_ms": 130_000})
    same("coinbase ahead", clients.ask_coinbase()[0], 401)
    site(control, "PUT", "/clock", {"skew_ms": 0})
    clients.all_answer()


def get(url, path):
    with urllib.request.urlopen(url + path) as answer:
        return json.load(answer)


def faults(url, control):
    """Each dialect is told in its own words, and no other is struck."""
    clients = Clients(url, control)
    order = lambda path, **fault: site(control, "POST", "/faults", {"next": fault, "path": path})

    order("/api/v3/account", rate_limit=True)
    order("/0/", rate_limit=True)
    order("/api/v3/brokerage/", rate_limit=True)
    status, headers, body = clients.ask_binance()
    same("binance limits", (status, body["code"], headers["retry-after"]), (429, -1003, "1"))
    assert int(headers["x-mbx-used-weight-1m"]) > 0
    same("kraken limits", clients.ask_kraken(), "EAPI:Rate limit exceeded")
    bearer = coinbase.token(*clients.coinbase, "GET", coinbase.ACCOUNTS)
    status, headers, body = sent(urllib.request.Request(
        url + coinbase.ACCOUNTS, headers={"Authorization": "Bearer " + bearer}))
    same("coinbase limits", (status, body["errors"][0]["id"]), (429, "rate_limit_exceeded"))
    same("coinbase says when", (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]), ("30", "0"))

    for path in ("/api/v3/account", "/0/", "/api/v3/brokerage/"):
        order(path, status=503)
    same("binance broken", clients.ask_binance()[0], 503)
    try:
        clients.ask_kraken()
        raise AssertionError("kraken was not broken")
    except urllib.error.HTTPError as broken:
        same("kraken broken", (broken.code, json.load(broken)["error"]), (503, ["EService:Unavailable"]))
    same("coinbase broken", clients.ask_coinbase()[0], 503)
    clients.all_answer()

    before = len(site(control, "GET", "/withdrawals"))
    site(control, "POST", "/withdrawal-addresses", BTC)
    order("/0/private/Withdraw", cut=True, after=True)
    cut_off(clients.ask_kraken, "Withdraw", asset="XBT", key="cold", amount="0.1")
    same("sent, and nobody heard of it", len(site(control, "GET", "/withdrawals")), before + 1)
    order("/0/private/Withdraw", cut=True)
    cut_off(clients.ask_kraken, "Withdraw", asset="XBT", key="cold", amount="0.1")
    same("not sent", len(site(control, "GET", "/withdrawals")), before + 1)
    seen = site(control, "GET", "/record")[-2:]
    same("the record tells them apart", [(r["accepted"], r["status"], r["fault"]) for r in seen],
         [(True, 0, '{"cut":true,"after":true}'), (False, 0, '{"cut":true}')])

    order("/0/private/Balance", torn=True)
    try:
        clients.ask_kraken()
        raise AssertionError("the answer was whole")
    except http.client.IncompleteRead as torn:
        assert torn.partial.startswith(b'{"error":[],"result":{'), torn.partial
        assert torn.expected > 0
    same("carried out all the same", site(control, "GET", "/record")[-1]["accepted"], True)

    order("/api/v3/brokerage/", delay_ms=300)
    began = time.monotonic()
    clients.ask_coinbase()
    assert time.monotonic() - began >= 0.3


def cut_off(ask, *args, **params):
    try:
        ask(*args, **params)
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return
    raise AssertionError("the connection was not cut")


def one_account(url, control):
    """What one dialect spends the others no longer have."""
    clients = Clients(url, control)
    clients.ask_kraken("AddOrder", pair="XBTUSDT", type="buy", ordertype="limit", price="50000", volume="0.5")
    usdt = {row["asset"]: row for row in clients.ask_binance()[2]["balances"]}["USDT"]
    same("binance sees it locked", usdt["locked"], "25000.00000000")
    wallets = {row["currency"]: row for row in clients.ask_coinbase()[1]["accounts"]}
    same("coinbase sees it held", wallets["USDT"]["hold"]["value"], "25000")
    gone = binance(url, *clients.binance, "DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"})
    same("binance cancels it", gone[2][0]["status"], "CANCELED")
    same("kraken sees it gone", clients.ask_kraken("OpenOrders"), {"open": {}})


def main(url, control):
    for step in (keys, clock, faults, one_account):
        step(url, control)
        print(step.__name__, "as ordered")
    site(control, "DELETE", "/withdrawal-addresses/cold")
    address_book(control)
    print("the venue's record agrees")


if __name__ == "__main__":
    main(*sys.argv[1:])
