#!/usr/bin/env python3
"""A second verifier of evidence bundles, written from docs/formats/audit.md.

verify_bundle.py [--key VKEY]... BUNDLE...   prints a line for each: `sound SIZE ROWS DISCLOSED`, or `damaged ROW`, or
`damaged file` where no row in particular is to blame. Where no key is named it believes those that the bundle brings along.
"""
import json
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from signed_note import read_checkpoint, read_key, sha256, unbase64
from verify import Damaged, clear_columns, field, grow_tree, main, session_hash

HEAD = {"bundle", "origin", "recipient", "tag_key", "keys", "checkpoints", "consistency", "complete"}
SESSION = {"session", "started_ms", "key"}
ROW = {"row", "time_ms", "kind", "decision", "session", "closes", "item_tag", "client_tag", "body"}
DISCLOSED = {"row_key", "event"}


def only(line, *forms):
    """Names that nobody knows, or that are missing, or a disclosed row without its key, are no form of ours."""
    if set(line) not in forms:
        raise Damaged("file")
    return line


def split(size):
    """RFC 6962, 2.1: the largest power of two below."""
    return 1 << (size - 1).bit_length() - 1


def root_by(index, size, leaf, proof):
    """RFC 6962, 2.1.1: the root that a path, whose last hash is of the uppermost level, leads to."""
    if size == 1:
        return leaf
    sibling, left = proof.pop(), split(size)
    if index < left:
        return sha256(b"\1", root_by(index, left, leaf, proof), sibling)
    return sha256(b"\1", sibling, root_by(index - left, size - left, leaf, proof))


def leads_to(root, index, size, leaf, proof):
    try:
        return root_by(index, size, leaf, proof) == root and not proof
    except IndexError:  # It is too short.
        return False


def roots(old, size, new_size, proof, is_whole=True):
    """RFC 6962, 2.1.2: of a tree and of one that it is the beginning of, as a proof says; `old` is the root of the whole."""
    if size == new_size:
        root = old if is_whole else proof.pop()
        return root, root
    sibling, left = proof.pop(), split(new_size)
    if size <= left:
        root, new_root = roots(old, size, left, proof, is_whole)
        return root, sha256(b"\1", new_root, sibling)
    root, new_root = roots(old, size - left, new_size - left, proof, False)
    return sha256(b"\1", sibling, root), sha256(b"\1", sibling, new_root)


def extends(old, new, proof):
    (size, root), (new_size, _) = old, new
    if size == 0 or size >= new_size:
        return not proof and (old == new or old == (0, sha256()))
    try:
        return (root, new[1]) == roots(root, size, new_size, proof) and not proof
    except IndexError:  # It is too short.
        return False


def read_row(line, sessions):
    """The row's leaf. What it discloses has to be its body."""
    item, client = (None if line[tag] is None else unbase64(line[tag]) for tag in ("item_tag", "client_tag"))
    row = [line[name] for name in ("row", "time_ms", "kind", "decision", "session", "closes")]
    clear, body = clear_columns((*row, item, client), sessions), unbase64(line["body"])
    if "row_key" in line:
        key = unbase64(line["row_key"])
        event = json.loads(ChaCha20Poly1305(key).decrypt(bytes(12), body[32:], clear))
        if body[:32] != sha256(b"touchkeep/audit/row-commitment/v1\0", key) or event != line["event"]:
            raise ValueError
    return sha256(b"\0", clear, field(body, bytes))


def verify_bundle(path, keys, _):
    with open(path, encoding="utf-8") as file:
        head, *lines = (json.loads(line) for line in file.read().splitlines())
    if only(head, HEAD)["bundle"] != "touchkeep/audit/bundle/v1":
        raise Damaged("file")
    log = field(head["origin"], str) + field(head["recipient"], str) + field(unbase64(head["tag_key"]), bytes)
    keys = keys or [read_key(key) for key in head["keys"]]
    heads = [read_checkpoint(note, head["origin"], keys) for note in head["checkpoints"]]
    if not heads or None in heads:
        raise Damaged("file")
    size, root = heads[-1]
    first, last = head["complete"] or (0, 0)
    is_whole = (first, last) == (1, size)
    sessions, rows, shown, before = {}, 0, 0, first - 1

    def read_rows():
        nonlocal rows, shown, before
        for line in lines:
            if "row" not in line:
                only(line, SESSION)
                sessions[line["session"]] = session_hash(log, line["session"], line["started_ms"], unbase64(line["key"]))
                continue
            proof = {"hashes"} if is_whole else {"proof"}
            seq = only(line, ROW | proof, ROW | proof | DISCLOSED)["row"]
            if seq <= before or (first and seq != before + 1):
                raise Damaged(before + 1)
            try:
                yield seq, read_row(line, sessions), [unbase64(one) for one in line.get("proof", [line.get("hashes")])]
            except (ValueError, KeyError, TypeError, InvalidTag):
                raise Damaged(seq)
            rows, shown, before = rows + 1, shown + ("row_key" in line), seq

    has_end = bool(lines) and set(lines[-1]) == {"end"}
    end = lines.pop()["end"] if has_end else None
    if is_whole:
        grow_tree(((seq, leaf, hashes) for seq, leaf, [hashes] in read_rows()), heads)
    else:
        for old, new, proof in zip(heads[:-1], heads[1:], head["consistency"], strict=True):
            if not extends(old, new, [unbase64(one) for one in proof]):
                raise Damaged(old[0] + 1)
        for seq, leaf, proof in read_rows():
            if seq > size or not leads_to(root, seq - 1, size, leaf, proof):
                raise Damaged(seq)
    if first and before != last:
        raise Damaged(before + 1)
    if end != rows:
        raise Damaged("file")
    return f"sound {size} {rows} {shown}"


if __name__ == "__main__":
    main(verify_bundle, __doc__)
