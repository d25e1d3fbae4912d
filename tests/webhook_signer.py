"""Signs deliveries as their senders do, with code of others: Stripe's and the standard's own libraries, Python's
cryptography for Ed25519, openssl for GitHub and Coinbase Commerce and for bytes that are no text.

One {"scheme", "secret", "body": base64, "time", "id"} a line on stdin, one {"headers": [[name, value], ...]} a line out.
"""

import base64
import datetime
import json
import subprocess
import sys

import stripe
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook


def hmac_hex(secret, message):
    """By openssl; the key is an argument, so no real secret is ever signed with here."""
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:" + secret.encode().hex()],
        input=message, capture_output=True, check=True,
    )
    return done.stdout.decode().strip().split("= ")[1]


def by_stripe(secret, body, time, _):
    try:
        header = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, time)
        stripe.WebhookSignature.verify_header(body.decode(), header, secret)
    except UnicodeDecodeError:
        header = f"t={time},v1=" + hmac_hex(secret, str(time).encode() + b"." + body)
    return [["Stripe-Signature", header]]


def by_github(secret, body, _, name):
    return [["X-GitHub-Delivery", name], ["X-Hub-Signature-256", "sha256=" + hmac_hex(secret, body)]]


def by_coinbase(secret, body, *_):
    return [["X-CC-Webhook-Signature", hmac_hex(secret, body)]]


def by_standard(secret, body, time, name):
    if secret.startswith("whsk_"):
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret[5:]))
        message = f"{name}.{time}.".encode() + body
        signature = "v1a," + base64.b64encode(key.sign(message)).decode()
    else:
        moment = datetime.datetime.fromtimestamp(time, tz=datetime.timezone.utc)
        signature = Webhook(secret).sign(name, moment, body.decode())
    return [["webhook-id", name], ["webhook-timestamp", str(time)], ["webhook-signature", signature]]


SENDERS = {"stripe": by_stripe, "github": by_github, "coinbase-commerce": by_coinbase, "standard": by_standard}

for line in sys.stdin:
    said = json.loads(line)
    body = base64.b64decode(said["body"])
    headers = SENDERS[said["scheme"]](said["secret"], body, said["time"], said["id"])
    print(json.dumps({"headers": headers}), flush=True)
