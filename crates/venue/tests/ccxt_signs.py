"""Lets ccxt sign random calls and prints, a line of JSON each, what it was given, what it signed, and what it would send.

    python3 ccxt_signs.py SEED CALLS VENUE...

VENUE is a venue, or `venue:rsa`, `venue:ed25519`, `venue:es256` for another kind of key. With those that ccxt has no signature
for, it makes the text that is to be signed, and `cryptography` signs it as the venue's pages say.
"""

import base64
import json
import pathlib
import random
import re
import sys

import ccxt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

# Venues that sign and send some parameters as they are, without percent-encoding: there, only what has one reading then.
RAW = {"binance", "bybit", "kucoin"}
# Kinds of key that ccxt does not sign with. HTX names the kind in what is signed.
NOT_CCXT = {"bitget:rsa", "htx:ed25519"}
ODD = [" ", "/", "'", "~", ",", ":", "@", "!", "*", "(", ")", "\"", "é", "中", "😀", "\u00a0", "$", "|", "<", "^", "`"]
ODDER = ["+", "&", "=", "%", "#", "?", ";", "\\", "%41", "&a=1"]
NAMES = ["alpha", "beta", "gamma_1", "limit", "note", "zeta", "kappa9", "orderNote", "omega"]
SCOPE = {
    # The others before v5 are signed by ccxt in their parameters, and by us in the headers that v3 takes as well.
    "bybit": r"^(v5|contract/v3|unified/v3)/",
    # Take a list alone.
    "backpack": r"^(?!api/v1/orders$)",
    "gate": r"^(?!.*batch_cancel_orders)",
    # Signed as raw JSON in a form, which is no form; the same in ours, percent-encoded, has another hash.
    "krakenfutures": r"^(?!batchorder)",
}
SECTIONS = {
    "cryptocom": [("v1", "private"), ("v2", "private"), ("derivatives", "private")],
    "mexc": [("spot", "private"), ("contract", "private"), ("spot2", "private")],
    "htx": [("spot", "private"), ("contract", "private")],
    "kucoin": [("private",), ("futuresPrivate",)],
}
REAL = {
    "binance": [("private", "POST", "order", {"symbol": "LTCBTC", "side": "BUY", "type": "LIMIT", "quantity": "N", "price": "N", "newClientOrderId": "ODD"}),
                ("sapi", "POST", "capital/withdraw/apply", {"coin": "BTC", "address": "ODD", "amount": "N"})],
    "kraken": [("private", "POST", "Withdraw", {"asset": "XBT", "key": "ODD", "amount": "N"}),
               ("private", "POST", "AddOrderBatch", {"pair": "XBTUSD", "orders": [{"ordertype": "limit", "volume": "N"}], "note": "ODD"})],
    "okx": [("private", "POST", "asset/withdrawal", {"ccy": "BTC", "amt": "N", "toAddr": "ODD", "dest": "4"}),
            ("private", "POST", "trade/batch-orders", [{"instId": "BTC-USDT", "sz": "N", "clOrdId": "ODD"}])],
    "bybit": [("private", "POST", "v5/asset/withdraw/create", {"coin": "BTC", "address": "ODD", "amount": "N"})],
    "kucoin": [("private", "POST", "withdrawals", {"currency": "BTC", "address": "ODD", "amount": "N"})],
    "backpack": [("private", "POST", "api/v1/orders", [{"symbol": "SOL_USDC", "quantity": "N", "clientNote": "ODD"}])],
    "cryptocom": [("v1.private", "POST", "private/create-order-list", {"contingency_type": "LIST", "order_list": [{"instrument_name": "BTC_USD", "quantity": "N"}]})],
    "coinbase": [("v2.private", "POST", "accounts/{account_id}/transactions", {"account_id": "7", "type": "send", "to": "ODD", "amount": "N", "currency": "BTC"})],
    "gate": [("private.spot", "PATCH", "orders/{order_id}", {"order_id": "7", "amount": "N", "text": "ODD"})],
}


def endpoints(node, sections=()):
    for key, value in node.items():
        if key.upper() in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            for path in value:
                yield sections, key.upper(), path
        elif isinstance(value, dict):
            yield from endpoints(value, (*sections, key))


def is_private(venue, sections):
    if venue in SECTIONS:
        return sections in SECTIONS[venue]
    if venue == "binance":
        return sections[0] in ("private", "sapi", "fapiPrivate", "dapiPrivate", "eapiPrivate", "papi")
    return "private" in sections


# What ccxt signs at all: some of its private endpoints take the key alone.
def signed(venue):
    with open(pathlib.Path(__file__).parent / "vectors/ccxt-endpoints.tsv", encoding="utf-8") as rows:
        cells = (row.rstrip("\n").split("\t") for row in rows if not row.startswith("#"))
        return {(method, name) for of, method, _, _, name in cells if of == venue}


class Oracle:
    def __init__(self, which, rng):
        self.which, (self.venue, _, self.kind) = which, which.partition(":")
        self.rng, self.seen = rng, []
        self.key, self.secret, self.der = self.make_key()
        pem = self.secret if self.venue == "hyperliquid" else ""
        if self.venue == "revolutx":
            pem = ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.secret)).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        self.ex = getattr(ccxt, self.venue)({
            "apiKey": self.key, "secret": self.secret, "password": "pass phrase", "privateKey": pem, "token": ""})
        self.ex.options["recvWindow"] = 5000
        # One of two names of one server; the signature is over it, and we use the other.
        self.ex.urls = json.loads(json.dumps(self.ex.urls).replace("api.hbdm.vn", "api.hbdm.com"))
        self.watch()
        real = {(tuple(s.split(".")), m, p): v for s, m, p, v in REAL.get(self.venue, [])}
        wanted = re.compile(SCOPE.get(self.venue, ""))
        known = signed(self.venue)
        self.calls = [
            c for c in endpoints(self.ex.api)
            if (c[1], f"{'.'.join(c[0])}:{c[2]}") in known and is_private(self.venue, c[0]) and wanted.search(c[2])
        ]
        self.real = list(real.items())

    def make_key(self):
        seed = self.rng.randbytes(32)
        plain = base64.b64encode(self.rng.randbytes(48)).decode()
        form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        if self.kind == "rsa":
            key = rsa.generate_private_key(65537, 2048)
        elif self.kind == "ed25519":
            key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        elif self.kind == "es256":
            key = ec.generate_private_key(ec.SECP256R1())
            der = key.private_bytes(serialization.Encoding.DER, *form)
            pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, form[1])
            return "organizations/1/apiKeys/2", pem.decode(), base64.b64encode(der).decode()
        elif self.venue == "hyperliquid":
            return "agent", "0x" + seed.hex(), base64.b64encode(seed).decode()
        elif self.venue in ("backpack", "revolutx", "coinbase"):
            return "account-key", base64.b64encode(seed).decode(), base64.b64encode(seed).decode()
        else:
            return "account-key", plain, ""
        self.private = key
        pem = key.private_bytes(serialization.Encoding.PEM, *form).decode()
        der = key.private_bytes(serialization.Encoding.DER, *form)
        return "account-key", pem, base64.b64encode(seed if self.kind == "ed25519" else der).decode()

    def watch(self):
        ex, seen = self.ex, self.seen
        for name in ("hmac", "eddsa", "rsa"):
            original = self.by_hand if self.which in NOT_CCXT else getattr(type(ex), name)

            def watched(request, *rest, original=original, **more):
                seen.append(request if isinstance(request, bytes) else request.encode())
                return original(request, *rest, **more)

            setattr(ex, name, watched)
        if self.which == "htx:ed25519":
            urlencode = ex.urlencode
            named = lambda given: given | {"SignatureMethod": "Ed25519"} if "SignatureMethod" in given else given
            ex.urlencode = lambda given, *rest: urlencode(named(given), *rest)
        original_jwt = type(ex).jwt

        def jwt(*args, **more):
            token = original_jwt(*args, **more)
            seen.append(token.rsplit(".", 1)[0].encode())
            return token

        ex.jwt = jwt
        original_hash = ex.sign_hash if self.venue == "hyperliquid" else None

        def sign_hash(digest, key):
            seen.append(bytes.fromhex(digest[-64:]))
            return original_hash(digest, key)

        ex.sign_hash = sign_hash

    # In place of `hmac`, whose secret it does not look at.
    def by_hand(self, request, *_):
        how = (padding.PKCS1v15(), hashes.SHA256()) if self.kind == "rsa" else ()
        return base64.b64encode(self.private.sign(request, *how)).decode()

    def text(self):
        odd = ODD if self.venue in RAW else ODD + ODDER
        parts = [self.rng.choice(odd) if self.rng.random() < 0.3 else self.rng.choice("abcXYZ019_-.") for _ in range(self.rng.randint(1, 10))]
        return "".join(parts)

    def number(self):
        return f"{self.rng.randint(0, 10**6)}.{self.rng.randint(1, 10**6)}"

    def value(self, body):
        roll = self.rng.random()
        if roll < 0.5:
            return self.text()
        if roll < 0.8 or self.venue in ("cryptocom", "upbit"):
            return self.number()
        if not body or self.venue == "backpack":
            return self.rng.randint(0, 10**9)
        return self.rng.choice([True, False, self.rng.randint(0, 10**9), 0.5, [self.text(), self.number()], {"inner": self.text()}])

    def fill(self, value):
        if isinstance(value, dict):
            return {k: self.fill(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.fill(v) for v in value]
        return {"ODD": self.text, "N": self.number}.get(value, lambda: value)()

    # Hyperliquid's sign() signs nothing; its own methods do, action by action.
    def action(self, nonce):
        rng, ex = self.rng, self.ex
        address = "0x" + rng.randbytes(20).hex()
        typed = {"hyperliquidChain": "Mainnet", "signatureChainId": "0x66eee"}
        kind = rng.choice(["l1", "l1", "withdraw3", "usdSend", "usdClassTransfer", "sendAsset", "approveBuilderFee"])
        message, vault = {"hyperliquidChain": "Mainnet", "amount": self.number()}, None
        if kind == "l1":
            inner = rng.choice([rng.randint(0, 2**40), self.text() * rng.randint(1, 40), True, None, [self.number()] * rng.randint(0, 20)])
            action = {"type": rng.choice(["order", "cancel", "updateLeverage", "dummy"]), "zeta": inner, "alpha": {"b": self.text(), "a": rng.randint(0, 300)}}
            vault = rng.choice([None, address])
            signature = ex.sign_l1_action(action, nonce, vault and vault[2:])
            return action, signature, vault
        if kind in ("withdraw3", "usdSend"):
            message |= {"destination": address, "time": nonce}
            sign = ex.build_withdraw_sig if kind == "withdraw3" else ex.build_usd_send_sig
        elif kind == "usdClassTransfer":
            message |= {"toPerp": rng.random() < 0.5, "nonce": nonce}
            sign = ex.build_usd_class_send_sig
        elif kind == "sendAsset":
            message |= {"destination": address, "sourceDex": "", "destinationDex": "spot", "token": "USDC", "fromSubAccount": "", "nonce": nonce}
            sign = ex.build_send_asset_sig
        else:
            message = {"hyperliquidChain": "Mainnet", "maxFeeRate": "0.01%", "builder": address, "nonce": nonce}
            sign = ex.build_approve_builder_fee_sig
        return {"type": kind, **typed, **message}, sign(message), None

    def signed_action(self, now):
        action, signature, vault = self.action(now)
        envelope = {"action": action, "nonce": now, "signature": signature} | ({"vaultAddress": vault} if vault else {})
        headers = {"Content-Type": "application/json"}
        body = type(self.ex).json(envelope)
        return {"url": "https://api.hyperliquid.xyz/exchange", "method": "POST", "body": body, "headers": headers}

    def call(self):
        if self.real and self.rng.random() < 0.3:
            (sections, method, path), params = self.rng.choice(self.real)
            return sections, method, path, self.fill(params)
        sections, method, path = self.rng.choice(self.calls)
        params = {place: str(self.rng.randint(1, 999)) for place in re.findall(r"\{([\w-]+)\}", path)}
        # Gate's PATCH says everything in the query as well, where a truth is a word.
        in_body = method not in ("GET", "DELETE", "PATCH") and self.venue not in (
            "kraken", "krakenfutures", "bitstamp", "binance", "deribit") and not (self.venue == "mexc" and sections[0] == "spot")
        in_body = in_body and not (self.venue == "gate" and ("positions" in path or "dual" in path))  # a POST with a query
        many = 0 if self.venue == "gemini" and method == "GET" else self.rng.randint(0, 5)
        for name in self.rng.sample(NAMES, many):
            params[name] = self.value(in_body)
        return sections, method, path, params

    def sign(self):
        ex, rng = self.ex, self.rng
        now = rng.randint(1_600_000_000_000, 1_900_000_000_000)
        if self.venue == "htx":
            now -= now % 1000  # ccxt rounds half a second up, we down
        unique = bytearray(rng.randbytes(16))
        unique[6], unique[8] = unique[6] & 0x0F | 0x40, unique[8] & 0x3F | 0x80
        text = bytes(unique).hex()
        uuid = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
        ex.milliseconds = lambda: now
        ex.seconds = lambda: now // 1000
        ex.microseconds = lambda: now * 1000
        ex.uuid = lambda *_: uuid
        ex.uuid16 = lambda *_: text[:16]
        ex.uuid22 = lambda *_: text[:22]
        ex.random_bytes = lambda *_: text
        if self.venue == "deribit":
            ex.nonce = lambda: text
        ex.options["lastNonce"] = 0
        self.seen.clear()
        if self.venue == "hyperliquid":
            sections, method, path, given = (), "POST", "exchange", None
            made = self.signed_action(now)
        else:
            sections, method, path, params = self.call()
            given = json.loads(json.dumps(params))
            made = ex.sign(path, list(sections), method, params)
        return {
            "which": f"{self.venue}:{self.kind}" if self.kind else self.venue, "now": now, "unique": text,
            "key": self.key, "secret": self.secret, "der": self.der, "call": [list(sections), method, path, given],
            "result": made, "signed": [base64.b64encode(seen).decode() for seen in self.seen],
        }


def main():
    seed, calls, venues = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    for which in venues:
        oracle = Oracle(which, random.Random(f"{seed} {which}"))
        slow = 20 if which.endswith(":rsa") else 1
        for _ in range(max(10, calls // slow)):
            print(json.dumps(oracle.sign()))


main()
