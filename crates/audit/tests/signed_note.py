"""Checkpoints as C2SP writes them: signed-note and tlog-checkpoint. Needs the package `cryptography`."""
import base64, hashlib
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text):
    """Of standard, padded, canonical base64."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError
    return data


def read_key(vkey):
    """Name, id and check of `<name>+<id>+<base64 of type and key>`."""
    name, key_id, data = vkey.split("+", 2)
    raw = unbase64(data)
    if raw[0] == 1:
        check = ed25519.Ed25519PublicKey.from_public_bytes(raw[1:]).verify
        made = sha256(name.encode(), b"\n", raw)
    elif raw[0] == 2:
        p256 = serialization.load_der_public_key(raw[1:])
        check = lambda signature, text: p256.verify(signature, text, ec.ECDSA(hashes.SHA256()))
        made = sha256(raw[1:])
    else:
        raise ValueError
    if made[:4].hex() != key_id:
        raise ValueError
    return name, made[:4], check


def read_checkpoint(note, origin, keys):
    """Size and root of a checkpoint of this log that one of the keys signed, and none signed wrongly; or None."""
    try:
        text, _, lines = note.rpartition("\n\n")
        found_origin, size, root = text.split("\n")
        if found_origin != origin or str(int(size)) != size or len(unbase64(root)) != 32 or lines[-1:] != "\n":
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
        return (int(size), unbase64(root)) if signed else None
    except (ValueError, InvalidSignature):
        return None
