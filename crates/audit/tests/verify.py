#!/usr/bin/env python3
"""A second verifier of audit logs and of what is exported from them, written from docs/formats/audit.md.

verify.py [--key VKEY]... [--head SIZE:ROOTHEX]... FILE...   prints a line for each file, a log or a bundle:
`sound SIZE SIGNED`, `sound SIZE ROWS DISCLOSED`, or `damaged ROW`, or `damaged file` where no row in particular is to blame.
Needs the package `cryptography` for signatures and for rows that are disclosed. Of a bundle whose keys are not named by
--key it believes those that it brings along.
"""
import argparse, base64, hashlib, hmac, json, sqlite3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes as digests, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


class Damaged(Exception):
    pass


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text):
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError
    return data


def number(value):
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError
    return value.to_bytes(8, "big")


def field(value, kind):
    if value is None:
        return b"\xff" * 4
    if not isinstance(value, kind):
        raise ValueError
    data = value.encode() if kind is str else value
    return len(data).to_bytes(4, "big") + data


def blob(value):
    if not isinstance(value, bytes):
        raise ValueError
    return value


# --- checkpoints: C2SP signed-note and tlog-checkpoint


def read_key(vkey):
    name, key_id, data = vkey.split("+", 2)
    raw = unbase64(data)
    if raw[0] == 1:
        key, expected = ed25519.Ed25519PublicKey.from_public_bytes(raw[1:]), sha256(name.encode(), b"\n", raw)
        check = lambda signature, text: key.verify(signature, text)
    elif raw[0] == 2:
        key, expected = serialization.load_der_public_key(raw[1:]), sha256(raw[1:])
        check = lambda signature, text: key.verify(signature, text, ec.ECDSA(digests.SHA256()))
    else:
        raise ValueError
    if expected[:4].hex() != key_id:
        raise ValueError
    return name, expected[:4], check


def checkpoint(note, origin, keys):
    """Size and root of a checkpoint of this log that one of the keys signed, or None."""
    try:
        text, _, lines = note.rpartition("\n\n")
        found_origin, size, found_root = text.split("\n")
        if found_origin != origin or str(int(size)) != size or len(unbase64(found_root)) != 32 or lines[-1:] != "\n":
            return None
        signed = False
        for line in lines[:-1].split("\n"):
            dash, signer, data = line.split(" ")
            raw = unbase64(data)
            if dash != "—" or len(raw) < 5:
                return None
            for name, key_id, check in keys:
                if (signer, raw[:4]) == (name, key_id):
                    check(raw[4:], (text + "\n").encode())
                    signed = True
        return (int(size), unbase64(found_root)) if signed else None
    except (ValueError, InvalidSignature):
        return None


# --- rows and the tree: RFC 6962, 2.1


def session_hash(log, session, started, key):
    return sha256(b"touchkeep/audit/session/v1\0", log, number(session), number(started), field(blob(key), bytes))


def clear_columns(row, sessions):
    seq, time, kind, decision, session, closes, item, client = row
    if session not in sessions or closes == 0 or kind is None or decision is None:
        raise ValueError
    return b"".join([b"touchkeep/audit/row/v1\0", number(seq), number(time), number(session), sessions[session],
                     number(closes or 0), field(kind, str), field(decision, str), field(item, bytes), field(client, bytes)])


def root_of(peaks):
    out = peaks[-1] if peaks else sha256()
    for peak in reversed(peaks[:-1]):
        out = sha256(b"\1", peak, out)
    return out


def included(index, size, leaf, proof):  # RFC 9162, 2.1.3.2: the root that the proof leads to
    node, last, out = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ValueError
        if node & 1 or node == last:
            out = sha256(b"\1", sibling, out)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            out = sha256(b"\1", out, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ValueError
    return out


def extends(old, new, proof):  # RFC 9162, 2.1.4.2
    (size, root), (new_size, new_root) = old, new
    if size == 0 or size >= new_size:
        return not proof and (old == new or old == (0, sha256()))
    path = ([root] if size & (size - 1) == 0 else []) + proof
    if not path:
        return False
    node, last = size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    a = b = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            a, b = sha256(b"\1", sibling, a), sha256(b"\1", sibling, b)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            b = sha256(b"\1", b, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and a == root and b == new_root


class Tree:
    """All rows from the first, each against the hashes that are stored with it, and heads that are known at some sizes."""

    def __init__(self, anchors):
        self.size, self.peaks, self.vouched, self.anchors = 0, [], 0, sorted(anchors, key=lambda anchor: anchor[0])
        self.look()

    def look(self):
        while self.anchors and self.anchors[0][0] <= self.size:
            at, known = self.anchors.pop(0)
            if known is None:
                raise Damaged(at)
            if at != self.size or known != root_of(self.peaks):
                raise Damaged(min(self.vouched + 1, at))
            self.vouched = at

    def push(self, seq, leaf, stored):
        if seq != self.size + 1:
            raise Damaged(self.size + 1)
        width, made, n, completed = 1, leaf, self.size, [leaf]
        while n & 1:
            made, n, width = sha256(b"\1", self.peaks.pop(), made), n >> 1, width * 2
            completed.append(made)
        if len(stored) != 32 * len(completed) or stored[:32] != leaf:
            raise Damaged(seq)
        for level, made in enumerate(completed):
            if stored[32 * level : 32 * level + 32] != made:
                raise Damaged(seq + 1 - (1 << level))
        self.peaks.append(made)
        self.size = seq
        self.look()

    def end(self):
        if self.anchors:
            raise Damaged(self.size + 1)


def postings_of(rows):
    """Of one full block."""
    words, block = {}, (rows[0][0] - 1) // 256
    for seq, time, kind, decision, _, closes, item, client in rows:
        found = [(b"k" + kind.encode(), seq), (b"d" + decision.encode(), seq)]
        found += [(b"i" + item, seq)] if item is not None else []
        found += [(b"c" + client, seq)] if client is not None else []
        found += [(b"o" + number((closes - 1) // 256), closes)] if closes else []
        for word, of in found:
            bits = words.setdefault(word, bytearray(32))
            bits[(of - 1) % 256 // 8] |= 1 << ((of - 1) % 8)
    times = [row[1] for row in rows]
    words[b"t"] = number(min(times)) + number(max(times))
    return {(word, block): bytes(bits) for word, bits in words.items()}


def first_hidden(expected, stored):
    wrong = []
    for word, block in expected.keys() | stored.keys():
        a, b = (side.get((word, block), b"") for side in (expected, stored))
        if a != b:
            a, b = (side if len(side) == 32 else bytes(32) for side in (a, b))
            differs = [n for n in range(256) if (a[n // 8] ^ b[n // 8]) >> n % 8 & 1]
            of = int.from_bytes(word[1:], "big") if word[:1] == b"o" and len(word) == 9 else block
            wrong.append((of, differs[0] if differs else 0))
    return min(wrong)


# --- a log


def verify_log(path, keys, heads):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    if db.execute("PRAGMA application_id").fetchone()[0] != 0x544B4155:
        raise Damaged("file")
    origin, recipient, tag_key = db.execute("SELECT origin, recipient, tag_key FROM log").fetchone()
    log = field(origin, str) + field(recipient, str) + field(tag_key, bytes)
    sessions, stored_sessions, used = {}, 0, set()
    for session in db.execute("SELECT id, started_ms, key FROM session"):
        stored_sessions += 1
        try:
            sessions[session[0]] = session_hash(log, *session)
        except ValueError:
            pass
    anchors = []
    for size, note in db.execute("SELECT size, note FROM checkpoint ORDER BY id"):
        found = checkpoint(note, origin, keys)
        anchors.append((size, found[1] if found and found[0] == size else None))
    signed = max([size for size, root in anchors if root], default=0)
    tree = Tree(anchors + heads)

    expected, block = {}, []
    for *row, stored, body in db.execute(
        "SELECT seq, time_ms, kind, decision, session, closes, item_tag, client_tag, hashes, body FROM row ORDER BY seq"
    ):
        try:
            leaf = sha256(b"\0", clear_columns(row, sessions), field(blob(body), bytes))
        except ValueError:
            raise Damaged(tree.size + 1)
        tree.push(row[0], leaf, blob(stored))
        used.add(row[4])
        block.append(row)
        if len(block) == 256:
            expected.update(postings_of(block))
            block = []
    tree.end()
    stored = {(word, at): rows for word, at, rows in db.execute("SELECT word, block, rows FROM posting")}
    if stored != expected:
        block, place = first_hidden(expected, stored)
        raise Damaged(256 * min(block, tree.size // 256) + place + 1)
    if len(used) != stored_sessions or db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
        raise Damaged("file")
    return f"sound {tree.size} {signed}"


# --- a bundle


def disclosed(row_key, clear, body):
    if body[:32] != sha256(b"touchkeep/audit/row-commitment/v1\0", row_key):
        raise ValueError
    return json.loads(ChaCha20Poly1305(row_key).decrypt(bytes(12), body[32:], clear))


HEADER = {"bundle", "origin", "recipient", "tag_key", "keys", "checkpoints", "consistency", "complete"}
SESSION = {"session", "started_ms", "key"}
ROW = {"row", "time_ms", "kind", "decision", "session", "closes", "item_tag", "client_tag", "body"}


def only(line, required, *more):
    """Names that nobody knows, or that are missing, or a disclosed row without its key, are no form of ours."""
    if any(set(line) == required | extra for extra in more or [set()]):
        return line
    raise Damaged("file")


def verify_bundle(lines, keys):
    lines = iter(lines)
    head = only(json.loads(next(lines)), HEADER)
    if head["bundle"] != "touchkeep/audit/bundle/v1":
        raise Damaged("file")
    origin, first, last = head["origin"], *(head["complete"] or (0, 0))
    keys = keys or [read_key(key) for key in head["keys"]]
    log = field(origin, str) + field(head["recipient"], str) + field(unbase64(head["tag_key"]), bytes)
    heads = [checkpoint(note, origin, keys) for note in head["checkpoints"]]
    if not heads or None in heads:
        raise Damaged("file")
    size, root = heads[-1]
    whole = (first, last) == (1, size)
    if not whole:
        for old, new, proof in zip(heads[:-1], heads[1:], head["consistency"], strict=True):
            if not extends(old, new, [unbase64(one) for one in proof]):
                raise Damaged(old[0] + 1)
    tree = Tree(heads) if whole else None
    sessions, rows, shown, before = {}, 0, 0, 0
    for line in lines:
        line = json.loads(line)
        if "end" in line:
            if line["end"] != rows or next(lines, None) is not None:
                raise Damaged("file")
            break
        if "row" not in line:
            only(line, SESSION)
            started, key = line["started_ms"], unbase64(line["key"])
            sessions[line["session"]] = session_hash(log, line["session"], started, key)
            continue
        shown_by = {"row_key", "event"}
        proof = {"hashes"} if tree else {"proof"}
        seq = only(line, ROW, proof, proof | shown_by)["row"]
        at = before + 1 if before else first or seq
        if seq <= before or (first and seq != at):
            raise Damaged(at)
        try:
            item, client = (line[tag] and unbase64(line[tag]) if line[tag] is not None else None for tag in ("item_tag", "client_tag"))
            clear = clear_columns((seq, line["time_ms"], line["kind"], line["decision"], line["session"], line["closes"], item, client), sessions)
            body = unbase64(line["body"])
            leaf = sha256(b"\0", clear, field(body, bytes))
            if tree:
                tree.push(seq, leaf, unbase64(line["hashes"]))
            elif seq > size or included(seq - 1, size, leaf, [unbase64(one) for one in line["proof"]]) != root:
                raise Damaged(seq)
            if "row_key" in line:
                if disclosed(unbase64(line["row_key"]), clear, body) != line["event"]:
                    raise Damaged(seq)
                shown += 1
        except (ValueError, KeyError, TypeError, InvalidTag):
            raise Damaged(seq)
        rows, before = rows + 1, seq
    else:
        raise Damaged(before + 1 if first else "file")
    if first and before != last:
        raise Damaged(before + 1)
    if tree:
        tree.end()
    return f"sound {size} {rows} {shown}"


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--key", action="append", default=[])
    args.add_argument("--head", action="append", default=[])
    args.add_argument("files", nargs="+")
    args = args.parse_args()
    keys = [read_key(key) for key in args.key]
    heads = [(int(size), bytes.fromhex(root)) for size, root in (head.split(":") for head in args.head)]
    for path in args.files:
        try:
            with open(path, "rb") as file:
                is_log = file.read(16) == b"SQLite format 3\0"
            if is_log:
                print(verify_log(path, keys, heads))
            else:
                with open(path, encoding="utf-8") as file:
                    print(verify_bundle(file.read().splitlines(), keys))
        except Damaged as damaged:
            print("damaged", damaged)
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError, StopIteration, AttributeError):
            print("damaged file")


if __name__ == "__main__":
    main()
