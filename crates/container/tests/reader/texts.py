"""Strict tar, the small texts of a vault file, and signed notes: sections 1 and 2 of docs/formats/vault.md."""

import base64
import hashlib
import re
from unicodedata import category

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_der_public_key

HASH = r"[0-9a-f]{64}"
ID = r"[a-z2-7]{25}[aeimquy4]"
NUMBER = r"(?:0|[1-9][0-9]*)"
NOTE_BYTES = 4 << 20
MEMBER_BYTES = 64 << 20
FILE_BYTES = 512 << 20
MEMBERS = 65536
ED25519 = bytes.fromhex("302a300506032b6570032100")
P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
WORD_BYTES = 4096
SIGNATURE_BYTES = 8192


class Refused(Exception):
    """The file is not a vault of format 1."""


def need(condition, what):
    if not condition:
        raise Refused(what)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# ---- archive


def member_name(raw):
    name = raw.rstrip(b"\0")
    need(b"\0" not in name, "name with NUL")
    name = name.decode("ascii", "strict") if name.isascii() else ""
    parts = name.split("/")
    good = all(re.fullmatch(r"[a-z0-9._-]+", part) and part.strip(".") for part in parts)
    need(name == "README.txt" or good, f"name {name!r}")
    return name


def header(name, size):
    """The one header that a member may have."""
    block = bytearray(512)
    block[0 : len(name)] = name.encode()
    block[100:108] = b"0000644\0"
    block[108:116] = block[116:124] = block[329:337] = block[337:345] = b"0000000\0"
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"00000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = b"0"
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def read_archive(data):
    need(len(data) <= FILE_BYTES, "larger than 512 MiB")
    members, at, before = {}, 0, ""
    while data[at : at + 512] != bytes(512):
        block = data[at : at + 512]
        need(len(block) == 512, "no end blocks")
        name = member_name(block[:100])
        need(re.fullmatch(rb"[0-7]{11}\0", block[124:136]), "size field")
        size = int(block[124:135], 8)
        need(size <= MEMBER_BYTES, "member too large")
        need(block == header(name, size), f"header of {name}")
        need(name > before, "order of names")
        before = name
        end = at + 512 + size
        padded = (end + 511) // 512 * 512
        need(padded <= len(data), "cut")
        members[name] = data[at + 512 : end]
        need(not any(data[end:padded]), "padding")
        at = padded
    need(data[at:] == bytes(1024), "end blocks")
    need(len(members) <= MEMBERS, "too many members")
    return members


# ---- texts


def fields(line, pattern, what):
    match = re.fullmatch(pattern, line)
    need(match, f"{what}: {line[:80]!r}")
    return match.groups()


def number(text, bits=32):
    need(re.fullmatch(NUMBER, text) and len(text) <= 20, f"number {text[:40]!r}")
    value = int(text)
    need(value < 1 << bits, "number too large")
    return value


def time(text):
    return number(text, 64)


def word(text):
    """A word's text; None for `-`."""
    if text == "-":
        return None
    need(0 < len(text) <= WORD_BYTES, "length of a word")
    plain = b"" if text == "%" else None
    if plain is None:
        need(re.fullmatch(r"(?:[A-Za-z0-9._:/+=-]|%[0-9A-F]{2})+", text), f"word {text[:80]!r}")
        plain = re.sub(rb"%(..)", lambda m: bytes([int(m[1], 16)]), text.encode())
        again = "".join(
            chr(b) if re.fullmatch(rb"[A-Za-z0-9._:/+=-]", bytes([b])) else f"%{b:02X}" for b in plain
        )
        need(("%2D" if again == "-" else again) == text, f"word {text[:80]!r} is not in its one form")
    try:
        return plain.decode()
    except UnicodeDecodeError as e:
        raise Refused("word is not UTF-8") from e


def unbase64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as e:
        raise Refused("base64") from e
    need(base64.b64encode(data).decode() == text, "base64 is not canonical")
    return data


# ---- notes


class Note:
    """A signed note: its text and signature lines, still unchecked."""

    def __init__(self, data):
        need(len(data) <= NOTE_BYTES, "note too large")
        try:
            whole = data.decode("utf-8")
        except UnicodeDecodeError as e:
            raise Refused("note is not UTF-8") from e
        cut = whole.rfind("\n\n")
        need(cut >= 0 and whole.endswith("\n"), "note without signatures")
        self.text, lines = whole[: cut + 1], whole[cut + 2 :].split("\n")[:-1]
        need(not re.search(r"[\x00-\x09\x0b-\x1f]", self.text), "control characters in a note")
        need(1 <= len(lines) <= 64, "number of signatures")
        self.signatures = []
        for line in lines:
            match = re.fullmatch(r"\u2014 ([^ ]+) ([^ ]+)", line)
            need(match and not any(c == "+" or c.isspace() or category(c) == "Cc" for c in match[1]), "signature line")
            blob = unbase64(match[2])
            need(4 < len(blob) <= 4 + SIGNATURE_BYTES, "length of a signature")
            self.signatures.append((match[1], blob[:4], blob[4:]))
        self.lines = self.text.split("\n")[:-1]

    def signed_by(self, keys):
        """Which of the known keys (name, SPKI) signed it. A wrong line of one of them spoils it."""
        found = set()
        for name, spki in keys:
            for signer, key_id, signature in self.signatures:
                if signer == name and key_id == note_key_id(name, spki):
                    need(verifies(spki, signature, self.text.encode()), f"wrong signature of {name}")
                    found.add(name)
        return found


def note_key_id(name, spki):
    if spki.startswith(ED25519):
        return hashlib.sha256(name.encode() + b"\n\x01" + spki[len(ED25519) :]).digest()[:4]
    return hashlib.sha256(spki).digest()[:4]


def verifies(spki, signature, text):
    try:
        public = load_der_public_key(spki)
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(signature, text)
        else:
            public.verify(signature, text, ec.ECDSA(hashes.SHA256()))
        return True
    except (InvalidSignature, ValueError):
        return False
