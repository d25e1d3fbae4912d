"""Unlocking and the state of items and settings: sections 3 and 6 of docs/formats/vault.md."""

import base64
import fcntl
import os
import pty
import re
import subprocess
import tempfile
import termios

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from texts import HASH, ID, NUMBER, Refused, need

LAST_MS = 253402300799999
CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


# ---- age


def bech32(prefix, data):
    values, bits, have = [], 0, 0
    for byte in data:
        bits, have = bits << 8 | byte, have + 8
        while have >= 5:
            have -= 5
            values.append(bits >> have & 31)
    if have:
        values.append(bits << (5 - have) & 31)
    spread = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = 1
    for value in spread + values + [0] * 6:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> i & 1 else 0
    check ^= 1
    return prefix + "1" + "".join(CHARSET[v] for v in values + [check >> 5 * (5 - i) & 31 for i in range(6)])


def unbech32(text):
    bits, have, data = 0, 0, bytearray()
    for char in text.lower().rsplit("1", 1)[1][:-6]:
        bits, have = bits << 5 | CHARSET.index(char), have + 5
        if have >= 8:
            have -= 8
            data.append(bits >> have & 255)
    return bytes(data)


def identity(raw):
    return bech32("age-secret-key-", raw).upper()


def recipient(secret):
    public = x25519.X25519PrivateKey.from_private_bytes(unbech32(secret)).public_key()
    return bech32("age", public.public_bytes_raw())


def age_open(data, identities):
    """The plaintext, or None where none of the identities opens it. Only ciphertext touches the disk."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        keys = "\n".join(identities) + "\n"
        done = subprocess.run(["age", "-d", "-i", "-", file.name], input=keys.encode(), capture_output=True)
    if done.returncode == 0:
        return done.stdout
    need(b"no identity matched" in done.stderr, "age: " + done.stderr.decode(errors="replace").strip())
    return None


def age_open_passphrase(data, passphrase):
    """age asks on its terminal, so it gets one."""
    master, slave = pty.openpty()
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        age = subprocess.Popen(
            ["age", "-d", file.name],
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        said = b""
        while b":" not in said:
            said += os.read(master, 1024)
        os.write(master, passphrase + b"\n")
        out, err = age.communicate()
        os.close(master)
    need(age.returncode == 0, "age: " + err.decode(errors="replace").strip())
    return out


# ---- unlocking


def plain_lines(data, *patterns):
    lines = data.decode().split("\n")
    need(lines[-1] == "" and len(lines) == len(patterns) + 1, "form of a bundle")
    found = []
    for line, pattern in zip(lines, patterns):
        match = re.fullmatch(pattern, line)
        need(match, "form of a bundle")
        found.append(match[1])
    return found


def identity_of(plain):
    try:
        return plain_lines(plain, SECRET)[0]
    except Refused:
        return None


SECRET = r"(AGE-SECRET-KEY-1[A-Z0-9]+)"
BYTES = r"([A-Za-z0-9+/]{43}=)"


def kit_keys(words):
    from mnemonic import Mnemonic

    raw = bytes(Mnemonic("english").to_entropy(words))
    need(len(raw) == 32, "a kit has 24 words")
    derive = lambda info: HKDF(hashes.SHA256(), 32, None, info).derive(raw)
    return identity(raw), identity(derive(b"touchkeep/kit/v1 seal"))


def passphrase_keys(vault, passphrase):
    """Unlock and seal identities of the software devices in use that the passphrase opens."""
    found = []
    for name, data in vault.members.items():
        match = re.fullmatch(rf"d/({ID})-{ID}\.age", name)
        if match and not vault.now.devices[match[1]].retired:
            try:
                plain = age_open_passphrase(data, passphrase)
            except Exception:
                continue
            found.append(tuple(plain_lines(plain, SECRET, "# seal " + SECRET, "# sign-ed25519 " + BYTES)[:2]))
    need(found, "the passphrase opens no device")
    return found


class Opened:
    """A vault with the keys of one user."""

    def __init__(self, vault, unlock, seal):
        self.vault, self.seal = vault, seal
        now = vault.now
        self.user, secret = self.open_user(unlock)
        identities = {}
        for name, data in vault.members.items():
            match = re.fullmatch(rf"k/({ID})\.({NUMBER})-{ID}\.age", name)
            plain = match and age_open(data, [secret])
            if plain:
                key = identity_of(plain)
                if key is None:
                    continue
                epochs = now.environments[match[1]]
                epoch = int(match[2])
                if 1 <= epoch <= len(epochs) and epochs[epoch - 1] == recipient(key):
                    identities.setdefault(match[1], []).append(key)
        self.environments = {e: Environment(self, e, keys) for e, keys in identities.items()}

    def open_user(self, unlock):
        for name, data in self.vault.members.items():
            match = re.fullmatch(rf"u/({ID})-{ID}\.age", name)
            plain = match and age_open(data, unlock)
            if plain:
                try:
                    secret, author = plain_lines(plain, SECRET, "# author-ed25519 " + BYTES)
                except Refused:
                    continue
                key = ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(author)).public_key()
                now = self.vault.now
                if now.recipients.get(match[1]) == recipient(secret) and now.authors.get(match[1]) == key.public_bytes_raw():
                    return match[1], secret
        need(False, "the key opens no bundle")

    def sealed(self, item, id):
        plain = age_open(self.vault.members[f"t/{item}-{id}.age"], self.seal)
        return None if plain is None else plain.decode()


# ---- operations

TEXT = r'(?:null|"(?:[^"\\\x00-\x1f]|\\["\\nrt]|\\u00[01][0-9a-f])*")'
AT = r'"at":"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"'
PAIR = rf'"([a-z0-9._-]{{1,128}})":({TEXT})'
LINE = re.compile(rf'\{{{AT}(?:,"item":"({ID})")?,(?:"set":\{{({PAIR}(?:,{PAIR})*)\}}|"removed":true)\}}')
FROM = re.compile(rf'\{{"from":"({HASH})"\}}')
ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}


def unquote(text):
    if text == "null":
        return None
    for match in re.finditer(r"\\u00(..)", re.sub(r"\\\\", "", text)):
        need(chr(int(match[1], 16)) not in "\n\r\t", "an escape in another form")
    plain = re.sub(r"\\(u00(..)|.)", lambda m: chr(int(m[2], 16)) if m[2] else ESCAPES[m[1]], text[1:-1])
    need(len(plain.encode()) <= 1 << 20, "text too long")
    return plain


def read_operations(data, commit, before):
    """(clock, commit, item or None, None for removed or a dict, the texts as they stand there); `before` are the commits that the text may speak for."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise Refused("operations are not UTF-8") from e
    need(text == "" or text.endswith("\n"), "operations without an end")
    for line in text.split("\n")[:-1]:
        match = FROM.fullmatch(line)
        if match:
            need(match[1] in before, "from a commit that did not come before")
            commit = match[1]
            continue
        match = LINE.fullmatch(line)
        need(match, "form of an operation")
        clock = (int(match[1]), int(match[2]))
        need(clock[0] <= LAST_MS and clock[1] < 1 << 32, "clock")
        need(match[3] or match[4], "removed settings")
        raw = dict(re.findall(PAIR, match[4] or ""))
        pairs = [(k, unquote(v)) for k, v in re.findall(PAIR, match[4])] if match[4] else None
        if pairs:
            keys = [k for k, _ in pairs]
            need(keys == sorted(set(keys)) and len(keys) <= 256, "keys of a set")
        yield clock, commit, match[3], dict(pairs) if pairs else None, raw


def is_secret(key):
    return key == "secret" or key.startswith("secret.")


class Environment:
    def __init__(self, opened, id, identities):
        self.opened, self.history = opened, opened.vault.history
        self.fields, self.removed = {}, {}
        for name, data in opened.vault.members.items():
            if re.match(rf"[sb]/{id}/", name):
                plain = age_open(data, identities)
                need(plain is not None, f"{name} does not open")
                self.read(name, plain)

    def read(self, name, plain):
        by = self.history.adder(name)
        before = self.history.ancestry[by] - {by} if name[0] == "b" else ()
        for clock, commit, item, values, raw in read_operations(plain, by, before):
            if values is None:
                self.removed.setdefault(item, []).append((clock, commit))
                continue
            for key, value in values.items():
                self.fields.setdefault((item, key), []).append((clock, commit, value, raw[key][1:-1]))

    def secrets(self, writes):
        """The writes of a secret that none replaces."""
        before = lambda a, b: (a[1] == b[1] and a[0] < b[0]) or (a[1] != b[1] and a[1] in self.history.ancestry[b[1]])
        return [w for w in writes if not any(before(w, other) for other in writes)]

    def latest(self, stamps):
        at = max(at for at, _ in stamps)
        commits = {commit for clock, commit in stamps if clock == at}
        return at, max(c for c in commits if not any(c != d and c in self.history.ancestry[d] for d in commits))

    def later(self, one, other):
        return one != other and self.latest([one, other]) == one

    def show(self, reveal):
        settings, items, last = {}, {}, {}
        for (item, key), writes in self.fields.items():
            stamp = self.latest([w[:2] for w in writes])
            greatest = max((w for w in writes if w[:2] == stamp), key=lambda w: (w[2] is not None, w[3]))
            if item is None:
                settings[key] = greatest[2]
                continue
            shown = items.setdefault(item, {})
            if is_secret(key):
                remaining = self.secrets(writes)
                shown["in conflict"] = shown.get("in conflict", False) or len({w[:2] for w in remaining}) > 1
                greatest = max(remaining, key=lambda w: w[:2])
            last.setdefault(item, []).append(greatest[:2])
            if is_secret(key):
                last[item] += [w[:2] for w in remaining]
            value = greatest[2]
            if is_secret(key) and value and value.startswith("stored:") and not reveal:
                value = "stored"
            if is_secret(key) and value and value.startswith("sealed:") and reveal:
                shown["opened" + key[len("secret") :]] = self.opened.sealed(item, value[len("sealed:") :])
            shown[key] = value
        removed = {i: self.latest(stamps) for i, stamps in self.removed.items()}
        there = {i: f for i, f in items.items() if i not in removed or any(self.later(s, removed[i]) for s in last[i])}
        return {"settings": settings, "items": there}
