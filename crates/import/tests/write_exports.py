"""Writes exports of other programs into the folder that is named, from their published formats and with other libraries than ours.

Bitwarden: https://bitwarden.com/help/encrypted-export and the key derivation of its clients (PBKDF2 or Argon2id over the
password and the export's own salt, HKDF-Expand with "enc" and "mac", AES-256-CBC, HMAC-SHA-256). 1PUX:
https://support.1password.com/1pux-format. AWS: what `configparser` writes.
"""

import base64
import configparser
import json
import os
import sys
import zipfile

from cryptography.hazmat.primitives import hashes, hmac, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

PASSWORD = "correct horse é"

VAULT = {
    "encrypted": False,
    "folders": [{"id": "f1", "name": "Bots/EU"}],
    "items": [
        {"id": "1", "folderId": "f1", "type": 1, "name": "Kraken", "notes": "two\nlines", "creationDate": "2024-02-29T12:34:56.000Z",
         "fields": [{"name": "API Key", "value": "canary-key", "type": 0}, {"name": "API Secret", "value": "canary-secret", "type": 1},
                    {"name": "Пароль", "value": "canary-odd", "type": 1}, {"name": "on", "value": "true", "type": 2}],
         "login": {"uris": [{"match": None, "uri": "https://kraken.com"}, {"match": None, "uri": "https://pro.kraken.com"}],
                   "username": "me", "password": "canary-password", "totp": "otpauth://totp/x?secret=AAAA"},
         "passwordHistory": [{"lastUsedDate": "2023-01-01T00:00:00.000Z", "password": "canary-older"}]},
        {"id": "2", "type": 2, "name": "Words", "notes": "canary-note", "secureNote": {"type": 0}},
        {"id": "3", "type": 5, "name": "host", "notes": None, "sshKey": {"privateKey": "canary-ssh", "publicKey": "ssh-ed25519 A", "keyFingerprint": "SHA256:x"}},
        {"id": "4", "type": 3, "name": "Card", "notes": None, "card": {"number": "canary-card", "code": None}},
        # Kinds and parts of a version that is newer than the reader.
        {"id": "5", "type": 99, "name": "Bank", "notes": None, "login": None, "edit": True, "hint": "canary-hint",
         "bankAccount": {"accountNumber": "canary-account", "limits": {"daily": "canary-limit"}, "cards": []}},
    ],
}


def enc_string(enc, mac, plain):
    iv = os.urandom(16)
    padder = padding.PKCS7(128).padder()
    padded = padder.update(plain) + padder.finalize()
    encryptor = Cipher(algorithms.AES(enc), modes.CBC(iv)).encryptor()
    ciphertext = encryptor.update(padded) + encryptor.finalize()
    signer = hmac.HMAC(mac, hashes.SHA256())
    signer.update(iv + ciphertext)
    return "2." + "|".join(base64.b64encode(part).decode() for part in (iv, ciphertext, signer.finalize()))


def protected(kdf):
    salt = base64.b64encode(os.urandom(16)).decode()
    document = {"encrypted": True, "passwordProtected": True, "salt": salt, "kdfType": kdf}
    if kdf == 0:
        document["kdfIterations"] = 6000
        key = PBKDF2HMAC(hashes.SHA256(), 32, salt.encode(), 6000).derive(PASSWORD.encode())
    else:
        document |= {"kdfIterations": 3, "kdfMemory": 16, "kdfParallelism": 4}
        digest = hashes.Hash(hashes.SHA256())
        digest.update(salt.encode())
        key = Argon2id(salt=digest.finalize(), length=32, iterations=3, lanes=4, memory_cost=16 * 1024).derive(PASSWORD.encode())
    enc, mac = (HKDFExpand(hashes.SHA256(), 32, info).derive(key) for info in (b"enc", b"mac"))
    document["encKeyValidation_DO_NOT_EDIT"] = enc_string(enc, mac, os.urandom(16).hex().encode())
    document["data"] = enc_string(enc, mac, json.dumps(VAULT).encode())
    return json.dumps(document, indent=2)


def field(title, kind, value):
    return {"title": title, "id": title.lower(), "value": {kind: value}, "guarded": False, "multiline": False}


def item(category, title, details, **more):
    return {"uuid": title, "favIndex": 0, "createdAt": 1709210096, "updatedAt": 1709210096, "state": more.get("state", "active"),
            "categoryUuid": category, "overview": {"title": title, "url": more.get("url", ""), "tags": more.get("tags", []), "urls": []}, "details": details}


def one_pux(path):
    login = {"loginFields": [{"value": "me", "id": "", "name": "username", "fieldType": "T", "designation": "username"},
                             {"value": "canary-password", "id": "", "name": "password", "fieldType": "P", "designation": "password"}],
             "notesPlain": "canary-note", "sections": [{"title": "", "name": "", "fields": [
                 field("one-time password", "totp", "AAAA"), field("pin", "concealed", "canary-pin"), field("since", "date", 1600000000),
                 field("home", "address", {"street": "canary-street", "city": "x"}),
                 field("contract", "file", {"fileName": "contract.pem", "documentId": "d2", "decryptedSize": 3})]}],
             "passwordHistory": [{"value": "canary-older", "time": 1}], "passkey": {"privateKey": "canary-passkey"}, "links": []}
    credential = {"loginFields": [], "notesPlain": "", "sections": [{"title": "", "name": "", "fields": [
        {"title": "username", "id": "username", "value": {"string": "canary-key"}}, {"title": "credential", "id": "credential", "value": {"concealed": "canary-secret"}}]}]}
    ssh = {"sections": [{"title": "", "name": "", "fields": [field("private key", "sshKey", {
        "privateKey": "canary-ssh", "metadata": {"privateKey": "canary-ssh", "publicKey": "ssh-ed25519 A", "fingerprint": "SHA256:x", "keyType": {"t": "ed25519"}}}),
        field("older key", "sshKey", {"privateKey": "canary-second"})]}]}
    document = {"documentAttributes": {"fileName": "plan.pdf", "documentId": "d1", "decryptedSize": 3}}
    items = [item("001", "Shop", login, url="https://shop.example", tags=["t"]), item("112", "Binance bot", credential, state="archived"),
             item("114", "host", ssh), item("003", "Note", {"notesPlain": "canary-text"}), item("006", "Plan", document)]
    data = {"accounts": [{"attrs": {"accountName": "a"}, "vaults": [{"attrs": {"name": "Private", "avatar": "vault.png"}, "items": items}]}]}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export.attributes", json.dumps({"version": 3}))
        archive.writestr("export.data", json.dumps(data))
        archive.writestr("files/d1__plan.pdf", b"pdf")
        archive.writestr("files/d2__contract.pem", b"pem")
        archive.writestr("files/d3__nobody's.txt", b"txt")
        archive.writestr("files/vault.png", b"png")


def bombs(folder):
    with zipfile.ZipFile(os.path.join(folder, "bomb.1pux"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export.data", b"0" * (64 << 20))
    with open(os.path.join(folder, "bomb.1pux"), "rb") as file:
        lying = bytearray(file.read())
    # A directory that promises little: the size stands at 24 of the central entry.
    at = lying.rindex(b"PK\x01\x02")
    lying[at + 24:at + 28] = (10).to_bytes(4, "little")
    with open(os.path.join(folder, "lying.1pux"), "wb") as file:
        file.write(lying)


def aws(path):
    config = configparser.RawConfigParser()
    config["default"] = {"aws_access_key_id": "AKIAcanary", "aws_secret_access_key": "canary/secret+=%(x)s"}
    config["profile dev"] = {"region": "eu-central-1", "s3": "\nmax_concurrent_requests = 20"}
    config["profile old"] = {"aws_access_key_id": "AKIAold", "aws_secret_access_key": "canary-old", "aws_session_token": "canary-token"}
    with open(path, "w", encoding="utf-8") as file:
        config.write(file)


def main(folder):
    def text(name, value):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(value)

    text("plain.json", json.dumps(VAULT))
    text("pbkdf2.json", protected(0))
    text("argon2.json", protected(1))
    text("account.json", json.dumps({"encrypted": True, "encKeyValidation_DO_NOT_EDIT": "2.a|b|c", "items": []}))
    one_pux(os.path.join(folder, "export.1pux"))
    bombs(folder)
    aws(os.path.join(folder, "credentials"))


main(sys.argv[1])
