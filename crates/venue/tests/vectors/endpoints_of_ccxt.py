"""Prints the endpoints that the installed ccxt signs: venue, method, host, path, and ccxt's own name of it.

    python3 endpoints_of_ccxt.py > ccxt-endpoints.tsv

A path is what ccxt's own sign() makes of the endpoint, with its places put back. Signed is what comes out differently
under two secrets. What ccxt cannot make is said on the error output.
"""

import base64
import re
import sys
from datetime import date
from urllib.parse import urlsplit

import ccxt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

VENUES = [
    "backpack", "binance", "bitfinex", "bitget", "bitstamp", "bybit", "coinbase", "coinbaseexchange", "cryptocom",
    "deribit", "gate", "gemini", "htx", "kraken", "krakenfutures", "kucoin", "mexc", "okx", "revolutx", "upbit",
]


def endpoints(node, sections=()):
    for key, value in node.items():
        if key.upper() in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            for path in value:
                yield list(sections), key.upper(), path
        elif isinstance(value, dict):
            yield from endpoints(value, (*sections, key))


def exchange(venue, seed):
    pem = ed25519.Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    ex = getattr(ccxt, venue)({
        "apiKey": "account-key", "secret": base64.b64encode(seed).decode(), "password": "pass",
        "privateKey": pem.decode(), "token": "",
    })
    ex.milliseconds = lambda: 1700000000000
    ex.seconds = lambda: 1700000000
    ex.microseconds = lambda: 1700000000000000
    ex.uuid = lambda *_: "00000000-0000-4000-8000-000000000001"
    ex.uuid16 = lambda *_: "0" * 16
    ex.uuid22 = lambda *_: "0" * 22
    ex.random_bytes = lambda n: "0" * (2 * n)
    return ex


def signed(ex, path, sections, method):
    places = re.findall(r"\{(\w+)\}", path)
    ex.options["lastNonce"] = 0
    made = ex.sign(path, list(sections), method, {place: f"ZZ{place}ZZ" for place in places})
    url = urlsplit(made["url"])
    return made, url.netloc, re.sub(r"ZZ(\w+?)ZZ", r"{\1}", url.path)


def main():
    print(f"# Endpoints of ccxt {ccxt.__version__} (PyPI), by endpoints_of_ccxt.py, {date.today()}")
    print("# venue\tmethod\thost\tpath\tname in ccxt")
    for venue in VENUES:
        one, two = exchange(venue, b"\1" * 32), exchange(venue, b"\2" * 32)
        for sections, method, path in endpoints(one.api):
            try:
                made, host, full = signed(one, path, sections, method)
                other, _, _ = signed(two, path, sections, method)
            except Exception as error:
                print(venue, method, sections, path, repr(error)[:200], file=sys.stderr)
                continue
            if made != other:
                print(venue, method, host, full, f"{'.'.join(sections)}:{path}", sep="\t")


main()
