"""Unmodified ccxt.pro and a plain client against the practice venue's WebSockets, with the venue's own keys.

usage: sockets.py URL CONTROL

Kraken: orders placed, cancelled and watched with a token from a signed request; bad, foreign and late tokens refused.
Binance: orders with each request signed, and with a session that an Ed25519 key has logged on. Prints one line per step;
ends with a traceback and status 1 at the first difference.
"""

import asyncio
import base64
import hashlib
import hmac
import sys
import time

import aiohttp
import ccxt
import ccxt.pro
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

import ccxt_kraken
from practice_site import new_key, same, site

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.5", "price": "50000"}


class Line:
    """A plain WebSocket."""

    def __init__(self, socket):
        self.socket, self.sent = socket, 0

    async def ask(self, method, params, name="req_id"):
        self.sent += 1
        await self.socket.send_json({"method": method, "params": params, name: self.sent})
        while True:
            answer = await self.socket.receive_json(timeout=10)
            if answer.get(name) == self.sent:
                return answer

    async def next(self, channel):
        while True:
            answer = await self.socket.receive_json(timeout=10)
            if answer.get("channel") == channel:
                return answer


async def until(holds):
    """Lets the others work until this holds; ten seconds are a failure."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0)


async def kraken_ccxt(url, control):
    sockets = url.replace("http://", "ws://") + "/v2"
    bot = ccxt.pro.kraken({"enableRateLimit": False, "urls": {"api": {
        "public": url, "private": url, "ws": {"private": sockets, "privateV2": sockets}}}})
    bot.apiKey, bot.secret = new_key(control, "kraken", "hmac")
    try:
        same("balance", (await bot.watch_balance())["BTC"]["total"], 10.0)
        order = await bot.create_order_ws("BTC/USDT", "limit", "buy", 0.5, 50000)
        same("open", [o["id"] for o in await bot.fetch_open_orders("BTC/USDT")], [order["id"]])
        seen = (await bot.watch_orders("BTC/USDT"))[-1]
        same("watched", (seen["id"], seen["status"], seen["amount"]), (order["id"], "open", 0.5))
        later = asyncio.ensure_future(bot.watch_orders("BTC/USDT"))
        await until(lambda: "orders:BTC/USDT" in bot.client(sockets).futures)
        await bot.cancel_order_ws(order["id"])
        same("cancelled", await bot.fetch_open_orders("BTC/USDT"), [])
        seen = (await asyncio.wait_for(later, 10))[-1]
        same("watched again", (seen["id"], seen["status"]), (order["id"], "canceled"))
    finally:
        await bot.close()


async def kraken_tokens(session, url, control):
    key = new_key(control, "kraken", "hmac")
    reader = new_key(control, "kraken", "hmac", ["read"])
    token = lambda key, nonce=1: ccxt_kraken.call(url, *key, "GetWebSocketsToken", {"nonce": nonce})["token"]
    add = {"order_type": "limit", "side": "buy", "order_qty": 0.5, "symbol": "BTC/USDT", "limit_price": 50000}
    async with session.ws_connect(url + "/v2") as socket:
        line = Line(socket)
        same("greeting", (await socket.receive_json(timeout=10))["channel"], "status")
        same("ping", (await line.ask("ping", {}))["method"], "pong")
        for bad in [{}, {"token": "x"}, {"token": base64.b64encode(bytes(32)).decode()}]:
            same("no session", (await line.ask("add_order", {**add, **bad}))["error"], "ESession:Invalid session")
        weak = token(reader)
        same("reads", (await line.ask("subscribe", {"channel": "balances", "token": weak}))["success"], True)
        same("and no more", (await line.ask("add_order", {**add, "token": weak}))["error"], "EGeneral:Permission denied")
        odd = await line.ask("add_order", {**add, "token": token(key), "margin": True})
        same("what is not understood", odd["error"], "EGeneral:Invalid arguments:margin")
        good = token(key, 2)
        site(control, "PUT", "/clock", {"skew_ms": 899_000})
        same("in time", (await line.ask("add_order", {**add, "token": good, "validate": True}))["success"], True)
        site(control, "PUT", "/clock", {"skew_ms": 901_000})
        same("used in time", (await line.ask("add_order", {**add, "token": good, "validate": True}))["success"], True)
        late = await line.ask("add_order", {**add, "token": token(key, 3)})
        same("a new one counts from now", late["success"], True)
        site(control, "PUT", "/clock", {"skew_ms": 0})
        same("watching", (await line.ask("subscribe", {"channel": "executions", "token": good}))["success"], True)
        first = await line.next("executions")
        same("what is open", (first["type"], [row["exec_type"] for row in first["data"]]), ("snapshot", ["new"]))
        ccxt_kraken.call(url, *key, "CancelAll", {"nonce": 4})
        then = await line.next("executions")
        same("what others do", (then["type"], [row["exec_type"] for row in then["data"]]), ("update", ["canceled"]))
    late = token(key, 5)
    site(control, "PUT", "/clock", {"skew_ms": 901_000})
    async with session.ws_connect(url + "/v2") as socket:
        line = Line(socket)
        same("too late", (await line.ask("add_order", {**add, "token": late}))["error"], "ESession:Invalid session")
    site(control, "PUT", "/clock", {"skew_ms": 0})
    async with session.ws_connect(url + "/v2") as socket:
        line = Line(socket)
        site(control, "POST", "/faults", {"next": {"rate_limit": True}, "path": "/v2"})
        same("limited", (await line.ask("add_order", {**add, "token": late}))["error"], "EAPI:Rate limit exceeded")
        site(control, "POST", "/faults", {"next": {"cut": True}, "path": "/v2"})
        await socket.send_json({"method": "ping"})
        while not socket.closed and (await socket.receive(timeout=10)).type == aiohttp.WSMsgType.TEXT:
            pass
        site(control, "DELETE", "/keys/" + key[0].replace("+", "%2B").replace("/", "%2F"))
    async with session.ws_connect(url + "/v2") as socket:
        gone = await Line(socket).ask("add_order", {**add, "token": late})
        same("the key is gone", gone["error"], "ESession:Invalid session")


async def binance_ccxt(url, control):
    sockets = url.replace("http://", "ws://") + "/ws-api/v3"
    bot = ccxt.pro.binance({"enableRateLimit": False, "options": {
        "defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}, "urls": {"api": {
            "public": url + "/api/v3", "private": url + "/api/v3", "sapi": url + "/sapi/v1",
            "ws": {"spot": url.replace("http://", "ws://") + "/ws", "ws-api": {"spot": sockets}}}}})
    bot.apiKey, bot.secret = new_key(control, "binance", "hmac")
    try:
        order = await bot.create_order_ws("BTC/USDT", "limit", "buy", 0.5, 50000)
        same("placed", (order["status"], order["amount"]), ("open", 0.5))
        same("cancelled", (await bot.cancel_order_ws(order["id"], "BTC/USDT"))["status"], "canceled")
        same("short ticker", (await bot.watch_ticker("BTC/USDT"))["last"], 60000.0)
        same("ticker", (await bot.watch_ticker("BTC/USDT", {"name": "ticker"}))["ask"], 60000.0)
        # How ccxt itself reads the answer is not of interest: it looks for futures balances.
        await bot.fetch_balance_ws()
        poor = bot.create_order_ws("BTC/USDT", "limit", "buy", 5, 50000)
        try:
            await poor
            raise AssertionError("more than there is was spent")
        except ccxt.BaseError as refusal:
            assert "insufficient balance" in str(refusal), refusal
    finally:
        await bot.close()


async def binance_session(session, url, control):
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    name, _ = new_key(control, "binance", "ed25519", public_key_pem=public)
    hmac_name, secret = new_key(control, "binance", "hmac")
    reader, reads = new_key(control, "binance", "hmac", ["read"])
    now = lambda: int(time.time() * 1000)
    payload = lambda params: "&".join(f"{k}={v}" for k, v in sorted(params.items())).encode()
    eddsa = lambda params: base64.b64encode(private.sign(payload(params))).decode()
    mac = lambda key, params: hmac.new(key.encode(), payload(params), hashlib.sha256).hexdigest()
    async with session.ws_connect(url + "/ws-api/v3") as socket:
        line = Line(socket)
        ask = lambda method, params: line.ask(method, params, "id")
        code = lambda answer: (answer["status"], answer["error"]["code"])
        same("time", (await ask("time", {}))["status"], 200)
        same("no key", code(await ask("order.place", {**ORDER, "timestamp": now()})), (400, -1102))
        wish = {**ORDER, "apiKey": hmac_name, "timestamp": now()}
        same("unsigned", code(await ask("order.place", wish)), (400, -1102))
        same("changed", code(await ask("order.place", {**wish, "price": "1", "signature": mac(secret, wish)})), (400, -1022))
        old = {**wish, "timestamp": now() - 6000}
        same("old", code(await ask("order.place", {**old, "signature": mac(secret, old)})), (400, -1021))
        weak = {**wish, "apiKey": reader}
        same("permission", code(await ask("order.place", {**weak, "signature": mac(reads, weak)})), (401, -2015))
        logon = {"apiKey": hmac_name, "timestamp": now()}
        refused = await ask("session.logon", {**logon, "signature": mac(secret, logon)})
        same("no session with HMAC", (code(refused), refused["error"]["msg"]),
             ((400, -4056), "HMAC_SHA256 API key is not supported."))
        logon = {"apiKey": name, "timestamp": now()}
        same("forged", code(await ask("session.logon", {**logon, "signature": mac(secret, logon)})), (400, -1022))
        same("no session yet", (await ask("session.status", {}))["result"]["apiKey"], None)
        same("logged on", (await ask("session.logon", {**logon, "signature": eddsa(logon)}))["result"]["apiKey"], name)
        same("no time", code(await ask("order.place", ORDER)), (400, -1102))
        placed = await ask("order.place", {**ORDER, "timestamp": now()})
        same("placed without a signature", placed["result"]["status"], "NEW")
        other = {**ORDER, "apiKey": hmac_name, "timestamp": now()}
        same("another key signs for itself", code(await ask("order.place", other)), (400, -1102))
        gone = await ask("openOrders.cancelAll", {"symbol": "BTCUSDT", "timestamp": now()})
        same("cancelled", gone["result"][0]["status"], "CANCELED")
        site(control, "PATCH", "/keys/" + name, {"permissions": ["read"]})
        same("taken away", code(await ask("order.place", {**ORDER, "timestamp": now()})), (401, -2015))
        await ask("session.logout", {})
        same("logged out", code(await ask("account.status", {"timestamp": now()})), (400, -1102))


async def binance_streams(session, url):
    async with session.ws_connect(url + "/stream?streams=btcusdt@bookTicker/nothing@at.all") as socket:
        for _ in range(2):
            event = await socket.receive_json(timeout=10)
            same("best prices", (event["stream"], event["data"]["a"]), ("btcusdt@bookTicker", "60000.00000000"))
        await socket.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 7})
        while (answer := await socket.receive_json(timeout=10)).get("id") != 7:
            pass
        same("unsubscribed", answer, {"result": None, "id": 7})


async def main(url, control):
    await kraken_ccxt(url, control)
    await binance_ccxt(url, control)
    print("ccxt.pro", ccxt.__version__, "traded over WebSockets")
    async with aiohttp.ClientSession() as session:
        await kraken_tokens(session, url, control)
        print("kraken's tokens are good for what they are good for")
        await binance_session(session, url, control)
        print("binance's session is good for what its key is good for")
        await binance_streams(session, url)
        print("binance's streams tell the prices")
        async with session.get(url + "/nowhere", headers={"Upgrade": "websocket", "Connection": "Upgrade"}) as answer:
            same("no socket there", answer.status, 404)
    record = site(control, "GET", "/record")
    spoken = [r for r in record if r["method"] == "WS"]
    assert any(r["operation"] == "buy 0.5 BTC for USDT at 50000" and r["accepted"] for r in spoken)
    same("nothing is left open", [o for o in site(control, "GET", "/orders") if o["status"] == "NEW"], [])
    print("the venue's record agrees:", len(spoken), "messages")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
