#!/usr/bin/env python3
"""A second verifier of audit logs, written from docs/formats/audit.md with nothing but the standard library.

verify.py --key HEX --name NAME [--head SIZE:ROOTHEX] LOG...   prints a line for each log:
`sound SIZE SIGNED`, or `damaged SEQ`, or `damaged file` where no row in particular is to blame.
"""
import argparse, base64, hashlib, sqlite3

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
ORDER = 2**252 + 27742317777372353535851937790883648493


class Damaged(Exception):
    pass


def recover(y, sign):  # RFC 8032, 5.1.3
    if y >= P:
        raise ValueError
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        raise ValueError
    return (P - x if x & 1 != sign else x), y


def point(data):
    y = int.from_bytes(data, "little")
    x, y = recover(y & (1 << 255) - 1, y >> 255)
    return x, y, 1, x * y % P


def add(a, b):  # RFC 8032, 5.1.4
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, a):
    out = (0, 1, 1, 0)
    while n:
        out, a, n = add(out, a) if n & 1 else out, add(a, a), n >> 1
    return out


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519(public, text, signature):
    try:
        r, a, s = point(signature[:32]), point(public), int.from_bytes(signature[32:], "little")
    except ValueError:
        return False
    if len(signature) != 64 or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little") % ORDER
    left, right = times(s, BASE), add(r, times(k, a))
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def number(value):
    if not isinstance(value, int) or value < 0:
        raise ValueError
    return value.to_bytes(8, "big")


def field(value, kind):
    if value is None:
        return b"\xff" * 4
    if not isinstance(value, kind):
        raise ValueError
    data = value.encode() if kind is str else value
    return len(data).to_bytes(4, "big") + data


def root(peaks):
    if not peaks:
        return sha256()
    out = peaks[-1]
    for peak in reversed(peaks[:-1]):
        out = sha256(b"\1", peak, out)
    return out


def checkpoint(note, size, origin, public, name):
    """The root in a checkpoint that the key signed, or None."""
    try:
        text, _, lines = note.rpartition("\n\n")
        found_origin, found_size, found_root = text.split("\n")
        root = base64.b64decode(found_root, validate=True)
        if found_origin != origin or found_size != str(size) or len(root) != 32 or not lines.endswith("\n"):
            return None
        if base64.b64encode(root).decode() != found_root:
            return None
        signed = False
        key_id = sha256(name.encode(), b"\n\1", public)[:4]
        for line in lines[:-1].split("\n"):
            dash, signer, data = line.split(" ")
            raw = base64.b64decode(data, validate=True)
            if dash != "—" or base64.b64encode(raw).decode() != data or len(raw) < 5:
                return None
            if signer == name and raw[:4] == key_id:
                if not ed25519(public, (text + "\n").encode(), raw[4:]):
                    return None
                signed = True
        return root if signed else None
    except ValueError:
        return None


def verify(path, public, name, head):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    if db.execute("PRAGMA application_id").fetchone()[0] != 0x544B4155:
        raise Damaged("file")
    origin, recipient, tag_key = db.execute("SELECT origin, recipient, tag_key FROM log").fetchone()
    log = field(origin, str) + field(recipient, str) + field(tag_key, bytes)
    sessions, used = {}, set()
    for session, started, key in db.execute("SELECT id, started_ms, key FROM session"):
        try:
            sessions[session] = sha256(b"touchkeep/audit/session/v1\0", log, number(session), number(started), field(key, bytes))
        except ValueError:
            pass

    anchors = []
    for size, note in db.execute("SELECT size, note FROM checkpoint ORDER BY id"):
        anchors.append((size, checkpoint(note, size, origin, public, name)))
    signed = max([size for size, found in anchors if found], default=0)
    if head:
        anchors.append(head)
    anchors.sort(key=lambda anchor: anchor[0])

    size, peaks, vouched = 0, [], 0
    nodes = db.execute("SELECT id, hash FROM node ORDER BY id")
    stored, queue = 0, list(anchors)

    def look():
        nonlocal vouched
        while queue and queue[0][0] <= size:
            at, known = queue.pop(0)
            if known is None:
                raise Damaged(at)
            if at != size or known != root(peaks):
                raise Damaged(min(vouched + 1, at))
            vouched = at

    look()
    for seq, time, kind, decision, session, closes, item, client, body in db.execute(
        "SELECT seq, time_ms, kind, decision, session, closes, item_tag, client_tag, body FROM row ORDER BY seq"
    ):
        expected = size + 1
        if seq != expected or session not in sessions or closes == 0 or body is None:
            raise Damaged(expected)
        used.add(session)
        try:
            leaf = sha256(b"\0touchkeep/audit/row/v1\0", number(seq), number(time), number(session), sessions[session],
                          number(closes or 0), field(kind, str), field(decision, str), field(item, bytes),
                          field(client, bytes), field(body, bytes))
        except ValueError:
            raise Damaged(expected)
        width, made, n = 1, leaf, size
        while True:
            node = nodes.fetchone()
            if node != (stored, made):
                raise Damaged(expected + 1 - width)
            stored += 1
            if not n & 1:
                break
            made, n, width = sha256(b"\1", peaks.pop(), made), n >> 1, width * 2
        peaks.append(made)
        size = expected
        look()
    if nodes.fetchone() or queue:
        raise Damaged(size + 1)

    for index, column in [("row_kind", "kind"), ("row_item", "item_tag"), ("row_client", "client_tag"), ("row_closes", "closes")]:
        where = "TRUE" if column == "kind" else f"{column} IS NOT NULL"
        table, shown = (set(db.execute(f"SELECT {column}, seq FROM row {by} WHERE {where}")) for by in ("NOT INDEXED", f"INDEXED BY {index}"))
        if table != shown:
            raise Damaged(min(seq for _, seq in table ^ shown))
    if set(sessions) != used or db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
        raise Damaged("file")
    return f"sound {size} {signed}"


def main():
    args = argparse.ArgumentParser()
    for option in ("--key", "--name", "--head"):
        args.add_argument(option)
    args.add_argument("logs", nargs="+")
    args = args.parse_args()
    head = None
    if args.head:
        size, root_hex = args.head.split(":")
        head = int(size), bytes.fromhex(root_hex)
    for path in args.logs:
        try:
            print(verify(path, bytes.fromhex(args.key), args.name, head))
        except Damaged as damaged:
            print("damaged", damaged)
        except sqlite3.DatabaseError:
            print("damaged file")


if __name__ == "__main__":
    main()
