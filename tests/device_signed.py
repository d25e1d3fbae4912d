"""Which checkpoints of a log the key of a certificate signed, read from docs/formats/audit.md and C2SP's signed-note.

device_signed.py LOG CERTIFICATE VKEY   prints the size of each, a line each. The certificate is what another program read from
the card; VKEY, as the product says it, has to be of the same key.
"""
import base64, hashlib, sqlite3, sys
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

log, certificate, vkey = sys.argv[1:]
key = x509.load_pem_x509_certificate(open(certificate, "rb").read()).public_key()
spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
name, key_id, said = vkey.split("+", 2)
assert base64.b64decode(said) == b"\x02" + spki, "the product says another key"
assert hashlib.sha256(spki).hexdigest()[:8] == key_id
for size, note in sqlite3.connect(f"file:{log}?mode=ro", uri=True).execute("SELECT size, note FROM checkpoint ORDER BY id"):
    text, _, lines = note.rpartition("\n\n")
    assert text.split("\n")[1] == str(size)
    for line in lines.splitlines():
        _, signer, blob = line.split(" ")
        blob = base64.b64decode(blob)
        if signer == name and blob[:4].hex() == key_id:
            try:
                key.verify(blob[4:], (text + "\n").encode(), ec.ECDSA(hashes.SHA256()))
            except InvalidSignature:
                sys.exit(f"the checkpoint of row {size} is forged")
            print(size)
