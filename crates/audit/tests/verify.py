#!/usr/bin/env python3
"""A second verifier of audit logs, written from docs/formats/audit.md. Of what is exported from them: verify_bundle.py.

verify.py [--key VKEY]... [--head SIZE:ROOTHEX]... LOG...   prints a line for each: `sound SIZE SIGNED`, or `damaged ROW`,
or `damaged file` where no row in particular is to blame.
"""
import argparse, sqlite3
from signed_note import read_checkpoint, read_key, sha256

ROWS = "SELECT seq, time_ms, kind, decision, session, closes, item_tag, client_tag, hashes, body FROM row ORDER BY seq"


class Damaged(Exception):
    """The row that is to blame, or `file`."""


def u64(value):
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError
    return value.to_bytes(8, "big")


def field(value, kind):
    if not isinstance(value, kind):
        raise ValueError
    data = value.encode() if kind is str else value
    return len(data).to_bytes(4, "big") + data


def tag(value):
    return b"\xff" * 4 if value is None else field(value, bytes)


def session_hash(log, session, started, key):
    return sha256(b"touchkeep/audit/session/v1\0", log, u64(session), u64(started), field(key, bytes))


def clear_columns(row, sessions):
    seq, time, kind, decision, session, closes, item, client = row
    if session not in sessions or closes == 0:
        raise ValueError
    numbers = u64(seq) + u64(time) + u64(session) + sessions[session] + u64(closes or 0)
    texts = field(kind, str) + field(decision, str) + tag(item) + tag(client)
    return b"touchkeep/audit/row/v1\0" + numbers + texts


def root_of(peaks):
    root = peaks[-1] if peaks else sha256()
    for peak in reversed(peaks[:-1]):
        root = sha256(b"\1", peak, root)
    return root


def grow_tree(rows, anchors):
    """RFC 6962, 2.1, over (number, leaf, stored hashes); anchors are heads that are known: (size, root, or None if bad)."""
    size, peaks, vouched, anchors = 0, [], 0, sorted(anchors, key=lambda anchor: anchor[0])
    rows = iter(rows)
    while True:
        while anchors and anchors[0][0] <= size:
            at, root = anchors.pop(0)
            if root is None:
                raise Damaged(at)
            if (at, root) != (size, root_of(peaks)):
                raise Damaged(min(vouched + 1, at))
            vouched = at
        seq, leaf, stored = next(rows, (None, None, None))
        if seq is None:
            break
        if seq != size + 1:
            raise Damaged(size + 1)
        completed = [leaf]
        while size >> (len(completed) - 1) & 1:
            completed.append(sha256(b"\1", peaks.pop(), completed[-1]))
        if len(stored) != 32 * len(completed):
            raise Damaged(seq)
        for level, node in enumerate(completed):
            if stored[32 * level : 32 * level + 32] != node:
                raise Damaged(seq + 1 - (1 << level))
        peaks.append(completed[-1])
        size = seq
    if anchors:
        raise Damaged(size + 1)
    return size


def postings_of(rows):
    """Of one full block."""
    words, block = {}, (rows[0][0] - 1) // 256
    for seq, _, kind, decision, _, closes, item, client in rows:
        found = {b"k" + kind.encode(): seq, b"d" + decision.encode(): seq}
        found |= {letter + of: seq for letter, of in ((b"i", item), (b"c", client)) if of is not None}
        found |= {b"o" + u64((closes - 1) // 256): closes} if closes else {}
        for word, row in found.items():
            words[word] = words.get(word, 0) | 1 << (row - 1) % 256
    times = [row[1] for row in rows]
    postings = {(word, block): bits.to_bytes(32, "little") for word, bits in words.items()}
    return postings | {(b"t", block): u64(min(times)) + u64(max(times))}


def lowest_bit(number):
    return max((number & -number).bit_length() - 1, 0)


def first_hidden(expected, stored):
    """Block and place of the first row that wrong postings hide."""
    wrong = []
    for word, block in expected.keys() | stored.keys():
        sides = [side.get((word, block), b"") for side in (expected, stored)]
        if sides[0] != sides[1]:
            a, b = (int.from_bytes(side, "little") if len(side) == 32 else 0 for side in sides)
            of = int.from_bytes(word[1:], "big") if word[:1] == b"o" and len(word) == 9 else block
            wrong.append((of, lowest_bit(a ^ b)))
    return min(wrong)


def verify_log(path, keys, heads):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    if db.execute("PRAGMA application_id").fetchone()[0] != 0x544B4155:
        raise Damaged("file")
    origin, recipient, tag_key = db.execute("SELECT origin, recipient, tag_key FROM log").fetchone()
    log = field(origin, str) + field(recipient, str) + field(tag_key, bytes)
    sessions, unused = {}, set()
    for session in db.execute("SELECT id, started_ms, key FROM session"):
        unused.add(session[0])
        try:
            sessions[session[0]] = session_hash(log, *session)
        except ValueError:
            pass  # A row of it is to blame.
    anchors = []
    for size, note in db.execute("SELECT size, note FROM checkpoint ORDER BY id"):
        found = read_checkpoint(note, origin, keys)
        anchors.append((size, found[1] if found and found[0] == size else None))
    expected, block, read = {}, [], 0

    def rows():
        nonlocal read, block
        for *row, stored, body in db.execute(ROWS):
            try:
                leaf = sha256(b"\0", clear_columns(row, sessions), field(body, bytes))
                yield row[0], leaf, stored
            except ValueError:
                raise Damaged(read + 1)
            read = row[0]
            unused.discard(row[4])
            block.append(row)
            if len(block) == 256:
                expected.update(postings_of(block))
                block = []

    size = grow_tree(rows(), anchors + heads)
    stored = {(word, at): bits for word, at, bits in db.execute("SELECT word, block, rows FROM posting")}
    if stored != expected:
        at, place = first_hidden(expected, stored)
        raise Damaged(256 * min(at, size // 256) + place + 1)
    if unused or db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
        raise Damaged("file")
    return f"sound {size} {max([at for at, _ in anchors], default=0)}"


def main(verify, description):
    args = argparse.ArgumentParser(description=description)
    args.add_argument("--key", action="append", default=[])
    args.add_argument("--head", action="append", default=[])
    args.add_argument("files", nargs="+")
    args = args.parse_args()
    keys = [read_key(key) for key in args.key]
    heads = [(int(size), bytes.fromhex(root)) for size, root in (head.split(":") for head in args.head)]
    for path in args.files:
        try:
            print(verify(path, keys, heads))
        except Damaged as damaged:
            print("damaged", damaged)
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError, StopIteration, AttributeError):
            print("damaged file")


if __name__ == "__main__":
    main(verify_log, __doc__)
