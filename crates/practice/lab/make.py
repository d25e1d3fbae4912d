#!/usr/bin/env python3
"""Made the lab's keys and certificates, once: the record of how they came to be.

Run again it would make others, which no product trusts; so it refuses while they are there. Needs `cryptography`.
Names, dates, path lengths and key usages are shaped like those of Yubico's own certificates.
"""

import datetime
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

HERE = pathlib.Path(__file__).parent
NOTE = b"""This private key is public on purpose: it signs attestations of practice cards, and nothing but
practice vaults accepts those.
"""
LEGACY = (datetime.datetime(2016, 3, 14), datetime.datetime(2052, 4, 17))
PRESENT = (datetime.datetime(2024, 12, 1), datetime.datetime(9999, 12, 31, 23, 59, 59))


def make(stem, subject, issuer, dates, path_length, *, legacy=False):
    """Makes one key and its certificate, signed by `issuer` or by itself; answers both."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    issuer_name, issuer_key = (issuer[1].subject, issuer[0]) if issuer else (name, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dates[0])
        .not_valid_after(dates[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer:
        identifier = issuer[1].extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        builder = builder.add_extension(authority, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(True, path_length), critical=not legacy)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
        False,
    )
    usage |= {"digital_signature": not legacy, "key_cert_sign": True, "crl_sign": True}
    builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (HERE / f"{stem}.key").write_bytes(NOTE + encoded)
    (HERE / f"{stem}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key, certificate


def main():
    if list(HERE.glob("*.pem")):
        sys.exit("lab: the certificates are there already, and no product would trust others")
    make("piv-root-ca", "Touchkeep Practice PIV Root CA", None, LEGACY, 1, legacy=True)
    root = make("attestation-root-1", "Touchkeep Practice Attestation Root 1", None, PRESENT, 3)
    middle = make(
        "attestation-intermediate-b-1", "Touchkeep Practice Attestation Intermediate B 1", root, PRESENT, 2
    )
    make("piv-attestation-b-1", "Touchkeep Practice PIV Attestation B 1", middle, PRESENT, 1)


if __name__ == "__main__":
    main()
