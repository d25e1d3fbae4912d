"""Venues with WebSocket logins, and the clients of ccxt.pro, by another implementation.

    logins_of_venues.py serve {VENUE: KEYS}  prints {VENUE: PORT}, and then a line of JSON for each message that one hears
    logins_of_venues.py watch [[VENUE, URL, KEYS]]  prints what an unmodified ccxt.pro sees of an account at each address
    logins_of_venues.py connect URL KEY PEM  logs on and orders with Binance's own connector
    logins_of_venues.py say URL TOKEN MSG…   prints a line for each answer; `hear` says nothing and waits for one

KEYS is JSON: key, secret, passphrase, and, for a client of the proxy, token. `htx.swap` is a venue of its own here.

What a venue here takes for a login is written from the venues' documentation with Python's own hmac and `cryptography`. That
it is what ccxt takes for one, too, is proved by `watch` without a proxy between.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time
from datetime import datetime, timezone
from urllib.parse import quote

import aiohttp
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

CHALLENGE = "226aee50-88fc-4618-a42a-34f7709570b2"
TOKEN = "the/venues+own=token"


def mac(secret, text, kind, form):
    key = secret if isinstance(secret, bytes) else secret.encode()
    made = hmac.new(key, text if isinstance(text, bytes) else text.encode(), kind).digest()
    return made.hex() if form == "hex" else base64.b64encode(made).decode()


def by_private_key(pem, text, signature):
    """Whether that is the text's signature in base64, by a key of which the venue knows the public half alone."""
    public = serialization.load_pem_private_key(pem.encode(), None).public_key()
    how = (padding.PKCS1v15(), hashes.SHA256()) if isinstance(public, rsa.RSAPublicKey) else ()
    try:
        public.verify(base64.b64decode(signature), text.encode(), *how)
        return True
    except InvalidSignature:
        return False


def fresh(time_, unit=1000):
    return abs(float(time_) / unit - time.time()) < 30


class Venue:
    """A venue that knows one key. `login` says of a message whether it is a login that it takes; None where it is none."""

    takes_lists = False

    def __init__(self, keys):
        self.key, self.secret, self.passphrase = keys["key"], keys["secret"], keys.get("passphrase")

    def mac(self, text, kind=hashlib.sha256, form="hex", decoded=False):
        return mac(base64.b64decode(self.secret) if decoded else self.secret, text, kind, form)

    # With the shared secret, or with RSA, where the venue takes either.
    def signed(self, text, signature, form):
        if self.secret.startswith("-----BEGIN"):
            return by_private_key(self.secret, text, signature)
        return self.mac(text, form=form) == signature

    def opens(self, request):
        return None

    def greets(self):
        return []

    def login(self, path, said):
        return None

    def answers(self, said, taken):
        return []

    async def rest(self, request):
        return web.json_response({"ok": True})


class Okx(Venue):
    verify = "/users/self/verify"

    def login(self, path, said):
        if said.get("op") != "login":
            return None
        arg = said["args"][0]
        good = self.signed(arg["timestamp"] + "GET" + self.verify, arg["sign"], "base64")
        return good and fresh(arg["timestamp"], 1) and (arg["apiKey"], arg["passphrase"]) == (self.key, self.passphrase)

    def answers(self, said, taken):
        if taken is not None:
            return [{"event": "login", "code": "0", "msg": ""} if taken else {"event": "error", "code": "60009", "msg": "Login failed."}]
        detail = {"ccy": "BTC", "availBal": "1.5", "frozenBal": "0", "eq": "1.5"}
        return [{"arg": {"channel": "account"}, "data": [{"uTime": "1", "details": [detail]}]}]


class Bitget(Okx):
    verify = "/user/verify"

    def answers(self, said, taken):
        if taken is not None:
            return [{"event": "login", "code": 0} if taken else {"event": "error", "code": 30005, "msg": "error"}]
        coin = {"coin": "BTC", "available": "1.5", "frozen": "0", "locked": "0"}
        return [{"action": "snapshot", "arg": {"instType": "SPOT", "channel": "account", "coin": "default"}, "data": [coin]}]


class Bybit(Venue):
    def login(self, path, said):
        if said.get("op") != "auth":
            return None
        key, expires, sign = said["args"]
        return self.signed(f"GET/realtime{expires}", sign, "hex") and int(expires) > time.time() * 1000 and key == self.key

    def answers(self, said, taken):
        if taken is not None:
            return [{"success": taken, "ret_msg": "", "op": "auth", "conn_id": "c"}]
        coin = {"coin": "BTC", "walletBalance": "1.5", "equity": "1.5", "locked": "0", "totalOrderIM": "0", "totalPositionIM": "0"}
        return [{"topic": "wallet", "data": [{"accountType": "UNIFIED", "coin": [coin]}]}]


class Binance(Venue):
    def login(self, path, said):
        if said.get("method") not in ("session.logon", "userDataStream.subscribe.signature"):
            return None
        params = dict(said["params"])
        signature = params.pop("signature")
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        good = self.signed(text, signature, "hex") and (said["method"] != "session.logon" or "BEGIN" in self.secret)
        return good and fresh(params["timestamp"]) and params["apiKey"] == self.key

    def answers(self, said, taken):
        return [{"rateLimits": [], **answer} if "status" in answer else answer for answer in self.answered(said, taken)]

    def answered(self, said, taken):
        if taken is False:
            return [{"id": said["id"], "status": 401, "error": {"code": -1022, "msg": "Signature for this request is not valid."}}]
        if said["method"] == "session.logon":
            return [{"id": said["id"], "status": 200, "result": {"apiKey": self.key, "authorizedSince": int(time.time() * 1000)}}]
        if taken is None:
            return [{"id": said["id"], "status": 200, "result": {}}]
        event = {"e": "outboundAccountPosition", "E": 1, "u": 1, "B": [{"a": "BTC", "f": "1.5", "l": "0"}]}
        return [{"id": said["id"], "status": 200, "result": {"subscriptionId": 0}}, {"subscriptionId": 0, "event": event}]


class Deribit(Venue):
    def login(self, path, said):
        if said.get("method") != "public/auth":
            return None
        p = said["params"]
        good = self.mac(f"{p['timestamp']}\n{p['nonce']}\n{p['data']}") == p["signature"]
        return good and p["grant_type"] == "client_signature" and p["client_id"] == self.key and fresh(p["timestamp"])

    def answers(self, said, taken):
        head = {"jsonrpc": "2.0", "id": said["id"]}
        if taken is False:
            return [{**head, "error": {"code": 13004, "message": "invalid_credentials"}}]
        if taken:
            tokens = {"access_token": TOKEN, "refresh_token": TOKEN, "scope": "connection", "expires_in": 900, "token_type": "bearer"}
            return [{**head, "result": tokens}]
        data = {"currency": "BTC", "equity": 1.5, "balance": 1.5, "margin_balance": 1.5, "available_funds": 1.5, "maintenance_margin": 0}
        params = {"channel": "user.portfolio.btc", "data": data}
        return [{**head, "result": said["params"].get("channels")}, {"jsonrpc": "2.0", "method": "subscription", "params": params}]


class Gate(Venue):
    def login(self, path, said):
        auth = said.get("auth")
        if auth is None:
            return None
        text = f"channel={said['channel']}&event={said['event']}&time={said['time']}"
        good = self.mac(text, hashlib.sha512) == auth["SIGN"]
        return good and auth["method"] == "api_key" and auth["KEY"] == self.key and fresh(said["time"], 1)

    def answers(self, said, taken):
        head = {"id": said.get("id"), "time": int(time.time()), "channel": said["channel"]}
        if taken is False:
            return [{**head, "event": said["event"], "error": {"code": 4, "message": "invalid signature"}}]
        coin = {"timestamp": "1", "timestamp_ms": "1000", "user": "1", "currency": "BTC", "total": "1.5", "available": "1.5", "freeze": "0"}
        return [
            {**head, "event": said["event"], "error": None, "result": {"status": "success"}},
            {**head, "event": "update", "result": [coin]},
        ]


class CryptoCom(Venue):
    def login(self, path, said):
        if said.get("method") != "public/auth":
            return None
        text = f"public/auth{said['id']}{said['api_key']}{said['nonce']}"
        return self.mac(text) == said["sig"] and said["api_key"] == self.key and fresh(said["nonce"])

    def answers(self, said, taken):
        if taken is not None:
            return [{"id": said["id"], "method": "public/auth", "code": 0 if taken else 40101}]
        data = {"position_balances": [{"instrument_name": "BTC", "quantity": "1.5", "reserved_qty": "0"}]}
        result = {"subscription": "user.balance", "channel": "user.balance", "data": [data]}
        return [{"id": said.get("id", 1), "method": "subscribe", "code": 0, "result": result}]


class Htx(Venue):
    def login(self, path, said):
        if said.get("op") == "auth":
            names, got, host = ("AccessKeyId", "SignatureMethod", "SignatureVersion", "Timestamp"), said, "api.hbdm.com"
            signature = said["Signature"]
        elif (said.get("action"), said.get("ch")) == ("req", "auth"):
            names, got, host = ("accessKey", "signatureMethod", "signatureVersion", "timestamp"), said["params"], "api.huobi.pro"
            signature = got["signature"]
        else:
            return None
        query = "&".join(f"{name}={quote(str(got[name]), safe='')}" for name in sorted(names))
        taken = signature in [self.mac(f"GET\n{host}\n{p}\n{query}", form="base64") for p in (path, self.by_ccxt(path))]
        stamp = datetime.fromisoformat(got[names[3]]).replace(tzinfo=timezone.utc).timestamp()
        version = {"AccessKeyId": "2", "accessKey": "2.1"}[names[0]]
        return taken and fresh(stamp, 1) and got[names[0]] == self.key and (got[names[1]], got[names[2]]) == ("HmacSHA256", version)

    # ccxt signs what is left of the whole address without the venue's own host.
    def by_ccxt(self, path):
        return f"ws://127.0.0.1:{self.port}{path}"

    def answers(self, said, taken):
        contracts = "op" in said
        if taken is not None and contracts:
            return [{"op": "auth", "type": "api", "err-code": 0 if taken else 2002, "ts": 1, "data": {"user-id": "1"}}]
        if taken is not None:
            return [{"action": "req", "code": 200 if taken else 2002, "ch": "auth", "data": {}}]
        if contracts:
            details = {"currency": "BTC", "equity": "1.5", "available": "1.5"}
            return [{"op": "notify", "topic": "account", "ts": 1, "uid": "1", "event": "snapshot", "data": {"details": [details]}}]
        if said.get("action") != "sub":
            return []
        data = {"orderSize": "1", "orderCreateTime": 1, "orderPrice": "1", "type": "buy-limit", "orderId": 77, "clientOrderId": "c",
                "orderStatus": "submitted", "symbol": "btcusdt", "eventType": "creation", "accountId": 1}
        return [{"action": "push", "ch": said["ch"], "data": data}]


class Gemini(Venue):
    def opens(self, request):
        head = request.headers
        payload = head["X-GEMINI-PAYLOAD"]
        said = json.loads(base64.b64decode(payload))
        good = self.mac(payload, hashlib.sha384) == head["X-GEMINI-SIGNATURE"]
        return good and head["X-GEMINI-APIKEY"] == self.key and said["request"] == request.path and int(said["nonce"]) > 0

    def greets(self):
        order = {"type": "accepted", "order_id": "77", "client_order_id": "c", "symbol": "btcusdt", "side": "buy", "order_type": "exchange limit",
                 "timestamp": "1659739407", "timestampms": 1659739407576, "is_live": True, "is_cancelled": False, "original_amount": "1", "price": "1"}
        return [[order]]


class Bitfinex(Venue):
    last = 0

    def login(self, path, said):
        if said.get("event") != "auth":
            return None
        nonce = int(said["authNonce"])
        up, self.last = nonce > self.last, max(nonce, self.last)
        good = self.mac(said["authPayload"], hashlib.sha384) == said["authSig"]
        return up and good and said["authPayload"] == f"AUTH{nonce}" and said["apiKey"] == self.key and nonce < 2**53

    def greets(self):
        return [{"event": "info", "version": 2, "platform": {"status": 1}}]

    def answers(self, said, taken):
        if taken is None:
            return []
        if not taken:
            return [{"event": "auth", "status": "FAILED", "chanId": 0, "code": 10100, "msg": "apikey: invalid"}]
        wallet = ["exchange", "BTC", 1.5, 0, 1.5, "", None]
        return [{"event": "auth", "status": "OK", "chanId": 0, "userId": 1}, [0, "ws", [wallet]]]


class Coinbase(Venue):
    def login(self, path, said):
        if "jwt" in said:
            return self.token(said["jwt"])
        if "signature" in said:
            text = f"{said['timestamp']}{said['channel']}{','.join(said['product_ids'])}"
            return self.mac(text) == said["signature"] and said["api_key"] == self.key and fresh(said["timestamp"], 1)
        return None

    def token(self, token):
        head, claims, signature = token.split(".")
        read = lambda part: base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        raw = read(signature)
        public = serialization.load_pem_private_key(self.secret.encode(), None).public_key()
        if isinstance(public, ed25519.Ed25519PublicKey):
            return self.names("EdDSA", head, claims, lambda: public.verify(raw, f"{head}.{claims}".encode()))
        encoded = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        return self.names("ES256", head, claims, lambda: public.verify(encoded, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256())))

    def names(self, algorithm, head, claims, verify):
        try:
            verify()
        except InvalidSignature:
            return False
        head, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, claims))
        named = (head["alg"], head["kid"], claims["sub"]) == (algorithm, self.key, self.key)
        return named and claims["nbf"] <= time.time() < claims["exp"] <= claims["nbf"] + 120 and not {"uri", "uris"} & claims.keys()

    def answers(self, said, taken):
        if taken is False:
            return [{"type": "error", "message": "authentication failure"}]
        if said["channel"] != "user":
            return []
        order = {"order_id": "77", "client_order_id": "c", "cumulative_quantity": "0", "leaves_quantity": "1", "avg_price": "0", "total_fees": "0",
                 "status": "OPEN", "product_id": "BTC-USDT", "creation_time": "2022-12-07T19:42:18.719312Z", "order_side": "BUY", "order_type": "Limit"}
        return [{"channel": "user", "timestamp": "2023-02-09T20:33:57.609931463Z", "sequence_num": 0, "events": [{"type": "snapshot", "orders": [order]}]}]


class CoinbaseExchange(Venue):
    def login(self, path, said):
        if "signature" not in said:
            return None
        good = self.mac(f"{said['timestamp']}GET/users/self/verify", form="base64", decoded=True) == said["signature"]
        return good and (said["key"], said["passphrase"]) == (self.key, self.passphrase) and fresh(said["timestamp"], 1)

    def answers(self, said, taken):
        if taken is False:
            return [{"type": "error", "message": "Authentication Failed", "reason": "invalid signature"}]
        return [{"type": "open", "side": "sell", "product_id": "BTC-USDT", "time": "2021-03-05T16:42:21.878177Z", "sequence": 1,
                 "price": "50000", "order_id": "77", "remaining_size": "1"}]


class Backpack(Venue):
    def login(self, path, said):
        if "signature" not in said:
            return None
        key, signature, stamp, window = said["signature"]
        public = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(self.key))
        try:
            public.verify(base64.b64decode(signature), f"instruction=subscribe&timestamp={stamp}&window={window}".encode())
        except InvalidSignature:
            return False
        return key == self.key and fresh(stamp)

    def answers(self, said, taken):
        if taken is False:
            return [{"id": None, "error": {"code": 4006, "message": "Invalid signature"}}]
        data = {"e": "orderAccepted", "E": "1754939110175843", "O": "USER", "S": "Bid", "X": "New", "f": "GTC", "i": "77", "o": "LIMIT",
                "q": "1", "p": "1", "r": False, "s": "BTC_USDT", "z": "0", "Z": "0", "T": "1754939110174703"}
        return [{"stream": "account.orderUpdate.BTC_USDT", "data": data}]


class Kraken(Venue):
    last = 0

    def login(self, path, said):
        params = said.get("params", {})
        return params["token"] == TOKEN if "token" in params else None

    def answers(self, said, taken):
        if taken is False:
            return [{"error": "ESession:Invalid session", "method": said["method"], "success": False, "req_id": said.get("req_id")}]
        order = {"order_id": "77", "cl_ord_id": "c", "exec_type": "new", "order_status": "new", "symbol": "BTC/USDT", "side": "buy", "order_qty": 1,
                 "limit_price": 1, "order_type": "limit", "timestamp": "2022-12-07T19:42:18.719312Z", "cum_qty": 0, "cum_cost": 0}
        return [{"channel": "executions", "type": "snapshot", "data": [order], "sequence": 1}]

    async def rest(self, request):
        body = (await request.post()) if "json" not in request.content_type else await request.json()
        raw, nonce = await request.read(), body["nonce"]
        inner = hashlib.sha256(str(nonce).encode() + raw).digest()
        good = self.mac(request.path.encode() + inner, hashlib.sha512, "base64", decoded=True) == request.headers["API-Sign"]
        up, self.last = int(nonce) > self.last, int(nonce)
        if not (good and up and request.headers["API-Key"] == self.key and request.path == "/0/private/GetWebSocketsToken"):
            return web.json_response({"error": ["EAPI:Invalid key"]})
        return web.json_response({"error": [], "result": {"token": TOKEN, "expires": 900}})


class KrakenFutures(Venue):
    def login(self, path, said):
        if "signed_challenge" not in said:
            return None
        inner = hashlib.sha256(CHALLENGE.encode()).digest()
        good = self.mac(inner, hashlib.sha512, "base64", decoded=True) == said["signed_challenge"]
        return good and said["original_challenge"] == CHALLENGE and said["api_key"] == self.key

    def greets(self):
        return [{"event": "info", "version": 1}]

    def answers(self, said, taken):
        if said["event"] == "challenge":
            good = said["api_key"] == self.key
            return [{"event": "challenge", "message": CHALLENGE} if good else {"event": "error", "message": "Invalid API key"}]
        if taken is False:
            return [{"event": "error", "message": "Invalid challenge"}]
        return [{"feed": "balances_snapshot", "account": "a", "holding": {"BTC": 1.5}, "timestamp": 1640995200000, "seq": 0}]


class KuCoin(Venue):
    def opens(self, request):
        return request.query.get("token") == TOKEN

    def greets(self):
        return [{"id": "1", "type": "welcome"}]

    def answers(self, said, taken):
        if said.get("type") == "ping":
            return [{"id": said["id"], "type": "pong"}]
        data = {"accountId": "a", "available": "1.5", "currency": "BTC", "hold": "0", "total": "1.5", "relationEvent": "trade.transfer", "time": "1"}
        if "contractAccount" in said.get("topic", ""):
            data = {"currency": "BTC", "holdBalance": "0", "availableBalance": "1.5", "timestamp": "1"}
        event = {"id": "2", "type": "message", "topic": said.get("topic"), "subject": "account.balance", "channelType": "private", "data": data}
        return [{"id": said["id"], "type": "ack"}, event]

    async def rest(self, request):
        head, raw = request.headers, (await request.read()).decode()
        text = head["KC-API-TIMESTAMP"] + request.method + request.path_qs + raw
        good = self.mac(text, form="base64") == head["KC-API-SIGN"] and self.mac(self.passphrase, form="base64") == head["KC-API-PASSPHRASE"]
        if not (good and head["KC-API-KEY"] == self.key and request.path == "/api/v1/bullet-private"):
            return web.json_response({"code": "400005", "msg": "Invalid KC-API-SIGN"})
        server = {"endpoint": self.endpoint, "encrypt": True, "protocol": "websocket", "pingInterval": 18000, "pingTimeout": 10000}
        return web.json_response({"code": "200000", "data": {"token": TOKEN, "instanceServers": [server]}})


class Bitstamp(Venue):
    user = "4848701"

    def login(self, path, said):
        data = said["data"]
        if not data["channel"].startswith("private-"):
            return None
        return data["auth"] == TOKEN and data["channel"].endswith(f"-{self.user}")

    def answers(self, said, taken):
        channel = said["data"]["channel"]
        if taken is False:
            return [{"event": "bts:error", "channel": channel, "data": {"code": 4009, "message": "Connection is unauthorized."}}]
        order = {"id": 77, "id_str": "77", "order_type": 0, "datetime": "1659739407", "microtimestamp": "1659739407576000", "amount": 1,
                 "amount_str": "1", "amount_traded": "0", "amount_at_create": "1", "price": 1, "price_str": "1"}
        event = {"data": order, "channel": channel, "event": "order_created"} if taken else {"data": {}, "channel": channel, "event": "trade"}
        return [{"event": "bts:subscription_succeeded", "channel": channel, "data": {}}, event]

    async def rest(self, request):
        head, raw = request.headers, (await request.read()).decode()
        if request.path != "/api/v2/websockets_token/":
            return web.json_response({"ok": True})
        # ccxt signs the whole address where it is none of https.
        hosts = ("www.bitstamp.net", f"http://{head['Host']}")
        texts = ["".join((head["X-Auth"], request.method, host, request.path_qs, head["Content-Type"], head["X-Auth-Nonce"],
                          head["X-Auth-Timestamp"], head["X-Auth-Version"], raw)) for host in hosts]
        good = head["X-Auth-Signature"].lower() in [self.mac(text) for text in texts] and fresh(head["X-Auth-Timestamp"])
        if not (good and head["X-Auth"] == f"BITSTAMP {self.key}"):
            return web.json_response({"status": "error", "reason": "Invalid signature", "code": "API0005"}, status=403)
        return web.json_response({"valid_sec": 60, "token": TOKEN, "user_id": int(self.user)})


class Mexc(Venue):
    def login(self, path, said):
        if said.get("method") != "login":
            return None
        param = said["param"]
        good = self.mac(param["apiKey"] + param["reqTime"]) == param["signature"]
        return good and param["apiKey"] == self.key and fresh(param["reqTime"])

    def answers(self, said, taken):
        if taken is False:
            return [{"channel": "rs.error", "data": "signature validation failed", "ts": 1}]
        if taken is None:
            return []
        asset = {"availableBalance": 1.5, "bonus": 0, "currency": "BTC", "frozenBalance": 0, "positionMargin": 0}
        return [{"channel": "rs.login", "data": "success", "ts": 1}, {"channel": "push.personal.asset", "data": asset, "ts": 1}]


class Upbit(Venue):
    takes_lists = True

    def opens(self, request):
        head, claims, signature = request.headers["Authorization"].removeprefix("Bearer ").split(".")
        read = lambda part: base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        kind = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}[json.loads(read(head))["alg"]]
        said = json.loads(read(claims))
        good = hmac.new(self.secret.encode(), f"{head}.{claims}".encode(), kind).digest() == read(signature)
        return good and said["access_key"] == self.key and len(said["nonce"]) == 36 and "query_hash" not in said

    def answers(self, said, taken):
        assets = [{"currency": "BTC", "balance": 1.5, "locked": 0}]
        return [{"type": "myAsset", "asset_uuid": "u", "assets": assets, "asset_timestamp": 1, "timestamp": 1, "stream_type": "REALTIME"}]


VENUES = {
    "bitstamp": Bitstamp, "mexc": Mexc, "upbit": Upbit,
    "okx": Okx, "bitget": Bitget, "bybit": Bybit, "binance": Binance, "deribit": Deribit, "gate": Gate, "cryptocom": CryptoCom, "htx": Htx,
    "gemini": Gemini, "bitfinex": Bitfinex, "coinbase": Coinbase, "coinbaseexchange": CoinbaseExchange, "backpack": Backpack,
    "kraken": Kraken, "krakenfutures": KrakenFutures, "kucoin": KuCoin, "kucoinfutures": KuCoin,
}


async def serve(all_keys):
    ports = {}
    for name, keys in all_keys.items():
        ports[name] = await listen(name, VENUES[name.split(".")[0]](keys), keys.get("endpoint"))
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


async def flood(socket, wanted):
    """What a venue out of its mind does: it floods with pings, or with one message."""
    if "pings" in wanted:
        for _ in range(20_000):
            await socket.ping(bytes(125))
    else:
        await socket.send_str("x" * (17 * 1024 * 1024))
    await socket.send_str("after the flood")


async def listen(name, venue, endpoint):
    def hear(request, **what):
        shown = " ".join([*request.headers.values(), request.path_qs, what.get("text", "")])
        # What no client may have, and what no venue.
        heard = {"venue": name, "path": request.path, "token": "tkc_" in shown, "extensions": request.headers.get("sec-websocket-extensions", "")}
        print(json.dumps({**heard, **what}), flush=True)

    async def answer(request):
        if request.headers.get("upgrade", "").lower() != "websocket":
            answer = await venue.rest(request)
            hear(request, text=(await request.read()).decode(), rest=True)
            return answer
        taken = venue.opens(request)
        if taken is not None:
            hear(request, signed=taken)
            if not taken:
                return web.Response(status=401)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for greeting in venue.greets():
            await socket.send_json(greeting)
        async for message in socket:
            if message.data == "ping":
                await socket.send_str("pong")
                continue
            if "floods" in message.data:
                await flood(socket, message.data)
                continue
            said = json.loads(message.data)
            taken = venue.login(request.path, said) if isinstance(said, dict) else None
            hear(request, text=message.data, **({} if taken is None else {"signed": taken}))
            answers = venue.answers(said, taken) if isinstance(said, dict) or venue.takes_lists else []
            for one in answers or [{"event": "echo"}]:
                await socket.send_json(one)
        print(json.dumps({"venue": name, "closed": True}), flush=True)
        return socket

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    venue.port = site._server.sockets[0].getsockname()[1]
    venue.endpoint = endpoint or f"ws://127.0.0.1:{venue.port}/endpoint"
    return venue.port


def addresses(venue, url):
    """Where ccxt is pointed: its own settings, and nothing else of it."""
    ws = "ws" + url[4:]
    v4 = {"public": {"wallet": url}, "ws": ws + "/ws/v4/", "spot": ws + "/ws/v4/"}
    contracts = {kind: {"linear": {"privateV5": ws + "/ws/v5/notification", "private": ws + "/linear-swap-notification"}} for kind in ("swap", "future")}
    htx = {"api": {"spot": {"private": ws + "/ws/v2"}, **contracts}}
    return {
        "okx": {"ws": ws + "/ws/v5"},
        "bitget": {"ws": {"public": ws + "/v2/ws/public", "private": ws + "/v2/ws/private"}},
        "bybit": {"ws": {"private": {"unified": ws + "/v5/private", "contract": ws + "/v5/private", "spot": {"unified": ws + "/v5/private"}}}},
        "binance": {"ws": {"ws-api": {"spot": ws + "/ws-api/v3"}}},
        "deribit": {"ws": ws + "/ws/api/v2"},
        "gate": v4,
        "cryptocom": {"ws": {"public": ws + "/exchange/v1/market", "private": ws + "/exchange/v1/user"}},
        "htx": {"ws": htx},
        "gemini": {"ws": ws},
        "bitfinex": {"ws": {"public": ws + "/ws/2", "private": ws + "/ws/2"}},
        "coinbase": {"ws": ws + "/"},
        "coinbaseexchange": {"ws": ws + "/"},
        "backpack": {"ws": {"public": ws + "/", "private": ws + "/"}},
        "kraken": {"private": url, "ws": {"private": ws, "privateV2": ws + "/v2"}},
        "krakenfutures": {"ws": ws + "/ws/v1"},
        "bitstamp": {"public": url + "/api", "private": url + "/api", "ws": ws + "/"},
        "mexc": {"ws": {"swap": ws + "/edge"}},
        "upbit": {"ws": ws + "/websocket/v1"},
        "kucoin": {"public": url, "private": url},
        "kucoinfutures": {"futuresPrivate": url},
    }[venue]


MARKETS = {"bitstamp": "btcusdt", "mexc": "BTC_USDT", "upbit": "USDT-BTC", "deribit": "BTC_USDT", "gate": "BTC_USDT", "gemini": "btcusdt", "htx": "btcusdt", "bitfinex": "tBTCUST", "coinbase": "BTC-USDT", "coinbaseexchange": "BTC-USDT", "backpack": "BTC_USDT", "kraken": "BTC/USDT", "kucoin": "BTC-USDT"}


async def watch(all_of_them):
    await asyncio.gather(*(watch_one(*one) for one in all_of_them))


async def watch_one(name_here, url, keys):
    import ccxt.pro as ccxt

    venue, _, contracts = name_here.partition(".")
    class Gemini(ccxt.gemini):
        # ccxt 4.5.90 takes the headers of the login away again before the socket is opened.
        def client(self, url):
            client = super().client(url)
            client.options = json.loads(json.dumps(client.options))
            return client

    name = {"kucoinfutures": "kucoin"}.get(venue, venue)
    kind = Gemini if venue == "gemini" and "token" not in keys else getattr(ccxt, name)
    bot = kind({"apiKey": keys["key"], "secret": keys["secret"], "password": keys.get("passphrase"), "uid": "1"})
    bot.urls["api"] = bot.deep_extend(bot.urls["api"], addresses(venue, url)) if isinstance(bot.urls["api"], dict) else addresses(venue, url)
    # Only what shows the token to the proxy where a venue's opening handshake shows no key.
    if "token" in keys:
        bot.options["ws"] = {**bot.options.get("ws", {}), "options": {"headers": {"X-Touchkeep-Token": keys["token"]}}}
    if isinstance(bot.options.get("watchBalance"), dict):
        bot.options["watchBalance"] = {**bot.options["watchBalance"], "fetchBalanceSnapshot": False, "awaitBalanceSnapshot": False}
    bot.options.update({"uta": False, "enableUnifiedMargin": False, "enableUnifiedAccount": True})
    if venue == "htx":
        bot.urls["hostnames"]["contract"] = "api.hbdm.com"
    market = bot.safe_market_structure({"id": MARKETS.get(venue, "BTCUSDT"), "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "baseId": "BTC",
                                        "quoteId": "USDT", "type": "spot", "spot": True, "active": True, "contract": False, "lowercaseId": MARKETS.get(venue, "").lower()})
    bot.open()
    bot.set_markets([market])
    try:
        if venue in ("bitstamp", "gemini", "coinbase", "coinbaseexchange", "backpack", "kraken") or (venue, contracts) == ("htx", ""):
            orders = await asyncio.wait_for(bot.watch_orders("BTC/USDT"), 30)
            print(json.dumps({"venue": name_here, "order": orders[-1]["id"]}), flush=True)
        else:
            params = {"htx": {"type": contracts}, "kucoinfutures": {"type": "swap"}, "mexc": {"type": "swap"}}.get(venue, {})
            balance = await asyncio.wait_for(bot.watch_balance(params), 30)
            total = balance["BTC"]["total"] or balance["BTC"]["free"]
            total = total["BTC"] if isinstance(total, dict) else total
            print(json.dumps({"venue": name_here, "balance": total}), flush=True)
    except Exception as error:
        print(json.dumps({"venue": name_here, "error": f"{type(error).__name__}: {error}"[:400]}), flush=True)
    finally:
        await bot.close()


async def connect(url, key, secret):
    """Binance's own connector: logs on, and then tries to order."""
    from binance_common.configuration import ConfigurationWebSocketAPI
    from binance_sdk_spot.spot import Spot

    client = Spot(config_ws_api=ConfigurationWebSocketAPI(api_key=key, private_key=secret, stream_url=url))
    connection = await client.websocket_api.create_connection()
    print(json.dumps({"logon": (await connection.session_logon()).data()}, default=str), flush=True)
    try:
        order = await connection.order_place(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=1.0)
        print(json.dumps({"order": order.data()}, default=str), flush=True)
    except Exception as error:
        print(json.dumps({"refused": str(error)}), flush=True)
    await connection.close_connection(close_session=True)


async def say(url, token, messages):
    headers = {"X-Touchkeep-Token": token} if token else {}
    async with aiohttp.ClientSession() as session:
        try:
            socket = await session.ws_connect(url, headers=headers, compress=15)
        except aiohttp.WSServerHandshakeError as refused:
            print(json.dumps({"refused": refused.status}), flush=True)
            return
        for message in messages:
            if message != "hear":
                await socket.send_str(message)
            heard = await socket.receive(timeout=30)
            print(json.dumps({"type": heard.type.name, "data": heard.data if isinstance(heard.data, (str, int)) else None}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(json.loads(sys.argv[2])))
    elif sys.argv[1] == "watch":
        asyncio.run(watch(json.loads(sys.argv[2])))
    elif sys.argv[1] == "connect":
        asyncio.run(connect(*sys.argv[2:5]))
    else:
        asyncio.run(say(sys.argv[2], sys.argv[3], sys.argv[4:]))
